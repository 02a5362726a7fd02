"""What losses of scores within groups share."""

from __future__ import annotations

from typing import Any

import numpy as np

from sklearn_margin._groups import encode_groups
from sklearn_margin._typing import Array, ArrayLike
from sklearn_margin.losses.base import Loss
from sklearn_margin.losses.pointwise import check_scores

__all__ = ["RankingLoss", "Sides"]

Sides = tuple[Array | None, Array | None]


class RankingLoss(Loss):
    """A loss of the scores of groups of rows, which says what it sums over: ``index``."""

    def index(
        self,
        y: Array,
        groups: Array | None,
        s: Array,
        alone: bool = True,
        sides: Sides = (None, None),
    ) -> Any:
        """What the loss is a mean over: an object with ``value_gradient``, ``hessian_product`` and
        the attributes of ``PairIndex``, whose parameters these are."""
        raise NotImplementedError

    @property
    def index_key(self) -> str:
        """What the index depends on besides the rows."""
        raise NotImplementedError

    def value(
        self,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> float:
        """Weighted mean of the loss within groups.

        Parameters
        ----------
        y_true : array-like of shape (n,)
            Relevance, higher is better.
        y_pred : array-like of shape (n,)
            Scores.
        sample_weight : array-like of shape (n,), default=None
            Non-negative weights of rows. A pair has the product of its rows' weights, a list their
            mean; a row of weight 0 is as if it were not there.
        groups : array-like of shape (n,), default=None
            Group (query) of each row, of any type and in any order; None is one group.

        Returns
        -------
        float
        """
        return self._value_gradient(y_true, y_pred, sample_weight, groups)[0]

    def gradient(
        self,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Array:
        """Derivative of ``value`` with respect to the scores.

        Parameters
        ----------
        y_true, y_pred, sample_weight, groups
            As in ``value``.

        Returns
        -------
        ndarray of shape (n,)
        """
        return self._value_gradient(y_true, y_pred, sample_weight, groups)[1]

    def _value_gradient(self, y_true, y_pred, sample_weight, groups):
        self.check_params()
        y, z, s = check_scores(y_true, y_pred, sample_weight)
        codes = None if groups is None else encode_groups(groups, len(y))
        out = np.empty(len(z))
        value = self.index(y, codes, s).value_gradient(self, z, out)
        return value, out.astype(z.dtype, copy=False)
