"""The family of losses of embeddings: rows of a batch, compared by their labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils import check_array

from sklearn_margin._sklearn import column_or_1d
from sklearn_margin._typing import Array, ArrayLike, of_any_arguments
from sklearn_margin._validation import check_weights
from sklearn_margin.losses.base import Loss, place_in_order

__all__ = ["EmbeddingLoss"]


class EmbeddingLoss(Loss):
    """A loss of the rows Z of a batch, with labels, and of parameters that are learned with them.

    The author writes ``value(labels, Z)`` and ``gradient(labels, Z)`` in plain NumPy, the
    gradient having the shape of Z; both for any batch, a batch without a positive or a
    negative pair included. A loss that is to be used with sample weights takes a keyword
    ``sample_weight`` in both.

    A loss may learn auxiliary parameters. Their names are in ``auxiliary``; ``start`` gives
    their first values; they are further arguments of ``value`` and ``gradient``, in that order,
    and ``gradient`` returns a tuple: the derivative by Z, then one by each of them.

    Attributes
    ----------
    auxiliary : tuple of str
        Names of the auxiliary parameters.
    positive : tuple of str
        Those that have to stay positive numbers.
    angular : bool
        Whether the loss depends on the directions of the rows only, not on their lengths.
    is_smooth : bool
        Whether the loss is differentiable (almost everywhere will do), for ``lbfgs``.
    rows_per_class : int
        How many rows of a class a batch should have. 1: the loss compares rows with
        prototypes, not with each other.
    sampler : {"auto", "balanced"}
        Whether batches have to be drawn class by class.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_margin import LinearEmbedding
    >>> from sklearn_margin.losses import EmbeddingLoss
    >>> class Spread(EmbeddingLoss):  # rows stay near the mean of their class, length 1 apart
    ...     def _distances(self, labels, Z):
    ...         means = np.array([Z[labels == label].mean(axis=0) for label in labels])
    ...         return Z - means, np.sqrt((Z**2).sum(axis=1)) + 1e-12
    ...     def value(self, labels, Z):
    ...         inner, length = self._distances(labels, Z)
    ...         return float(np.mean((inner**2).sum(axis=1) + (length - 1) ** 2))
    ...     def gradient(self, labels, Z):
    ...         inner, length = self._distances(labels, Z)
    ...         return 2 * (inner + ((length - 1) / length)[:, None] * Z) / len(Z)
    >>> X, y = [[1.0, 5.0], [1.1, 2.0], [-1.0, 4.0], [-1.1, 1.0]], [0, 0, 1, 1]
    >>> model = LinearEmbedding(Spread(), n_components=1).fit(X, y)
    >>> bool(abs(model.components_[0, 0]) > abs(model.components_[0, 1]))
    True
    """

    formula = ("value", "gradient")
    convex = False
    auxiliary: tuple[str, ...] = ()
    positive: tuple[str, ...] = ()
    angular = False
    is_smooth = True
    rows_per_class = 4
    sampler = "auto"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # Whether a class states a formula that ``batch_value_gradient`` knows nothing of. That is
        # not taken back as claims are, since ``super().value`` is made of it.
        cls._composed = place_in_order(cls, *cls.formula) < place_in_order(
            cls, "batch_value_gradient"
        )

    def start(
        self, labels: Array, Z: Array, n_classes: int, random_state: np.random.RandomState
    ) -> tuple[Any, ...]:
        """First values of the auxiliary parameters: numbers or arrays, in their order.

        Parameters
        ----------
        labels : ndarray of intp of shape (n,)
            Class indices.
        Z : ndarray of shape (n, n_components)
            Embeddings of some rows, to begin with.
        n_classes : int
            Number of classes, of which not all need be among the labels.
        random_state : RandomState
        """
        return ()

    @of_any_arguments
    def value(
        self,
        labels: ArrayLike,
        Z: ArrayLike,
        *auxiliary: ArrayLike,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """Loss of a batch.

        Parameters
        ----------
        labels : array-like of shape (n,)
            Labels of any type; class indices for a loss with prototypes.
        Z : array-like of shape (n, n_components)
            Embeddings.
        *auxiliary : array-like
            One argument per auxiliary parameter.
        sample_weight : float or array-like of shape (n,), default=None
            How often each row is meant to be there: 2 counts as two equal rows, 0 as none.

        Returns
        -------
        float
        """
        batch, _ = self._check_batch(labels, Z, sample_weight)
        return float(self._compute(*batch, *self._check_auxiliary(batch, auxiliary))[0])

    @of_any_arguments
    def gradient(
        self,
        labels: ArrayLike,
        Z: ArrayLike,
        *auxiliary: ArrayLike,
        sample_weight: ArrayLike | None = None,
    ) -> Any:
        """Derivative of ``value`` with respect to Z and to the auxiliary parameters.

        Parameters
        ----------
        labels, Z, *auxiliary, sample_weight
            As in ``value``.

        Returns
        -------
        ndarray of shape (n, n_components), or tuple
            For a loss with auxiliary parameters the tuple (by Z, by the first of them, …), each of
            the shape of its argument.
        """
        batch, there = self._check_batch(labels, Z, sample_weight)
        given = np.asarray(Z)
        dZ = np.zeros(given.shape, given.dtype if given.dtype == np.float32 else np.float64)
        _, dZ[there], *parts = self._compute(*batch, *self._check_auxiliary(batch, auxiliary))
        parts = [dZ, *parts]
        return tuple(parts) if self.auxiliary else parts[0]

    # --- what objectives call: validated arrays of float64, labels as class indices ---

    def batch_value_gradient(self, labels: Array, Z: Array, s: Array, *auxiliary: Any) -> tuple:
        """Value, derivative by Z and by each auxiliary parameter, in one go.

        Parameters
        ----------
        labels : ndarray of intp of shape (n,)
            Class indices.
        Z : ndarray of float64 of shape (n, n_components)
        s : ndarray of float64 of shape (n,)
            Weights, as in ``value``, all positive.
        *auxiliary : float or ndarray
        """
        value = self.value(labels, Z, *auxiliary, **_weights_if_any(s))
        parts = self.gradient(labels, Z, *auxiliary, **_weights_if_any(s))
        parts = parts if isinstance(parts, tuple) else (parts,)
        wanted = [np.shape(part) for part in (Z, *auxiliary)]
        found = [np.shape(part) for part in parts]
        if found != wanted:
            raise ValueError(
                f"{type(self).__name__}.gradient returned shapes {found}, expected {wanted}: one "
                "for Z and one for each auxiliary parameter"
            )
        return float(value), *(np.asarray(part, dtype=np.float64) for part in parts)

    def batch_function(self):
        """``batch_value_gradient``, or the same made of ``value`` and ``gradient``.

        The latter where a subclass overrides these two but inherits the former.
        """
        if self._composed:
            return lambda *batch: EmbeddingLoss.batch_value_gradient(self, *batch)
        return self.batch_value_gradient

    # Losses of given pairs or triplets have these; for others, labels stand in for them.

    #: ``pair_value_gradient(Z1, Z2, similar, s)``: value, and derivatives by Z1 and Z2.
    pair_value_gradient: Callable[..., Any] | None = None
    #: ``triplet_value_gradient(A, P, N, s)``: value, and derivatives by A, P and N.
    triplet_value_gradient: Callable[..., Any] | None = None

    # --- validation ---

    def _compute(self, *batch):
        if type(self).batch_value_gradient is EmbeddingLoss.batch_value_gradient:
            raise NotImplementedError(f"{type(self).__name__} has no value(labels, Z) of its own")
        return self.batch_value_gradient(*batch)

    def _check_batch(self, labels, Z, sample_weight):
        self.check_params()
        Z = check_array(Z, dtype=(np.float64, np.float32), input_name="Z")
        Z = np.ascontiguousarray(Z, dtype=np.float64)
        labels = column_or_1d(labels, input_name="labels")
        if len(labels) != len(Z):
            raise ValueError(f"labels has {len(labels)} entries and Z has {len(Z)} rows")
        s, labels = check_weights(sample_weight, len(Z)), self._class_indices(labels)
        there = s > 0
        return (labels[there], Z[there], s[there]), there

    def _class_indices(self, labels):
        return np.unique(labels, return_inverse=True)[1].astype(np.intp, copy=False)

    def _check_auxiliary(self, batch, auxiliary):
        if len(auxiliary) != len(self.auxiliary):
            wanted = ", ".join(self.auxiliary) or "none"
            raise TypeError(
                f"{type(self).__name__} has these auxiliary parameters: {wanted}; got "
                f"{len(auxiliary)} arguments after Z"
            )
        return auxiliary


def _weights_if_any(s):
    """Weights as a keyword argument; nothing where all are one, for losses that take none."""
    return {} if np.all(s == 1) else {"sample_weight": s}
