"""The family of losses of a whole batch of scores, which are no sum over samples."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from sklearn.utils import check_array

from sklearn_margin._jit import kernel
from sklearn_margin._typing import Array, ArrayLike, of_any_arguments
from sklearn_margin._validation import check_weights, writable
from sklearn_margin.losses.base import Loss
from sklearn_margin.losses.multiclass import check_score_rows

__all__ = ["BatchLoss", "Unweighted"]


class BatchLoss(Loss):
    """A loss of the scores of a batch together.

    The author writes ``batch_value(y, z, s)`` and ``batch_gradient(y, z, s, out)`` for labels,
    scores and weights of a batch; the derivatives go to ``out``. Labels are −1 and +1 if z has
    shape (n,), class indices if it has shape (n, n_classes); weights are as the user gave them,
    1 by default. A loss that knows no weights may leave out ``s``.

    Full-batch solvers see all rows at once; ``sgd`` applies the loss to each mini-batch, which
    is another objective.

    Examples
    --------
    >>> from sklearn_margin.losses import BatchLoss
    >>> class Spread(BatchLoss):  # classes should have means 2 apart
    ...     def batch_value(self, y, z):
    ...         return (np.mean(y * z) - 1.0) ** 2
    ...     def batch_gradient(self, y, z, out):
    ...         out[:] = 2.0 * (np.mean(y * z) - 1.0) * y / len(y)
    >>> Spread().value([1, -1], [0.5, -0.5])
    0.25
    """

    kernel_methods: tuple[str, ...] = ("batch_value", "batch_gradient")
    formula: tuple[str, ...] = kernel_methods
    convex = False
    splits = False
    shift_invariant = False
    has_hessian = False
    #: Whether the loss is differentiable.
    smooth: Any = True  # a number, where a parameter has that name

    @of_any_arguments
    def batch_value(self, y: Array, z: Array, s: Array) -> float:
        """Loss of a batch."""
        raise NotImplementedError(f"{type(self).__name__} has no batch_value(y, z, s)")

    @of_any_arguments
    def batch_gradient(self, y: Array, z: Array, s: Array, out: Array) -> None:
        """Derivatives of ``batch_value`` with respect to ``z``, to ``out``."""
        raise NotImplementedError(f"{type(self).__name__} has no batch_gradient(y, z, s, out)")

    @property
    def is_smooth(self) -> bool:
        """Whether the loss is differentiable."""
        return self.smooth

    @property
    def knows_weights(self) -> bool:
        """Whether the author's methods take weights."""
        return len(inspect.signature(self.batch_value).parameters) == 3

    def check_batch_weights(self, s: Array) -> None:
        """Raise ``ValueError`` if the weights differ and the loss knows none."""
        if not self.knows_weights and s.min() != s.max():
            raise ValueError(
                f"{type(self).__name__} knows no sample weights: give batch_value and "
                "batch_gradient an argument s"
            )

    def value(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Loss of the batch.

        Parameters
        ----------
        y_true : array-like of shape (n,)
            Labels −1 and +1, or class indices if there are scores by class.
        y_pred : array-like of shape (n,) or (n, n_classes)
            Scores.
        sample_weight : array-like of shape (n,), default=None
            Non-negative weights; 2 counts as two equal samples.

        Returns
        -------
        float
        """
        return self.scores_value(*self._check(y_true, y_pred, sample_weight))

    def gradient(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Array:
        """Derivative of ``value`` with respect to the scores.

        Parameters
        ----------
        y_true, y_pred, sample_weight
            As in ``value``.

        Returns
        -------
        ndarray of the shape of ``y_pred``
        """
        y, z, s = self._check(y_true, y_pred, sample_weight)
        out = np.empty_like(z)
        self.scores_value_gradient(y, z, s, out)
        return out

    def check_labels(self, y: Array) -> Array:
        """Labels of one score as −1 and +1; raises ``ValueError`` for others."""
        wrong = np.abs(y) != 1
        if wrong.any():
            raise ValueError(f"y_true must hold only -1 and +1, got {y[wrong][0].item()!r}")
        return y

    def _check(self, y_true, y_pred, sample_weight):
        self.check_params()
        if np.ndim(y_pred) > 1:
            y, z, _ = check_score_rows(y_true, y_pred, sample_weight)
            self.check_classes(z.shape[1])
        else:
            # In one layout, or kernels are compiled again.
            z = check_array(
                y_pred, ensure_2d=False, dtype=(np.float64, np.float32), order="C",
                input_name="y_pred",
            )  # fmt: skip
            y = check_array(y_true, ensure_2d=False, dtype=z.dtype, order="C", input_name="y_true")
            if y.shape != z.shape:
                raise ValueError(f"y_true has shape {y.shape} and y_pred has {z.shape}")
            y = self.check_labels(y)
        s = check_weights(sample_weight, len(z)).astype(z.dtype, copy=False)
        self.check_batch_weights(s)
        return writable(y), writable(z), s

    # What objectives call: validated arrays, weights as the user gave them.

    def scores_value(self, y: Array, z: Array, s: Array) -> float:
        """The loss over validated arrays."""
        return self.scores_value_gradient(y, z, s, np.empty_like(z))

    def scores_value_gradient(self, y: Array, z: Array, s: Array, out: Array) -> float:
        """The loss over validated arrays; its derivatives go to ``out``.

        Parameters
        ----------
        y, s : ndarray of shape (n,)
            Labels (class indices, if there are scores by class) and weights.
        z, out : ndarray of shape (n,) or (n, n_classes)
        """
        return self._run(_value_gradient, self._weighted(), y, z, s, out)

    def _weighted(self):
        return self if self.knows_weights else Unweighted(self)


@kernel
def _value_gradient(_, loss, y, z, s, out):
    loss.batch_gradient(y, z, s, out)
    return float(loss.batch_value(y, z, s))


class Unweighted(Loss):
    """A batch loss whose author's methods take no weights."""

    kernel_methods: tuple[str, ...] = ("batch_value", "batch_gradient")

    def __init__(self, inner):
        self.inner = inner

    def batch_value(self, y: Array, z: Array, s: Array) -> float:
        return self.inner.batch_value(y, z)

    def batch_gradient(self, y: Array, z: Array, s: Array, out: Array) -> None:
        self.inner.batch_gradient(y, z, out)
