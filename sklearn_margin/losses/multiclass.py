"""The family of losses of a row of scores, one per class."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_array

from sklearn_margin._jit import kernel
from sklearn_margin._typing import Array, ArrayLike
from sklearn_margin._validation import normalize_weights, writable
from sklearn_margin.losses.base import Loss
from sklearn_margin.losses.pointwise import BinaryLoss

__all__ = ["MulticlassLoss"]


def check_shape(y_pred):
    """Raise ``ValueError`` unless scores have one column for each of several classes."""
    shape = np.shape(y_pred)
    if len(shape) != 2 or shape[1] < 2:
        raise ValueError(
            f"y_pred has shape {shape}, expected (n,) or (n, n_classes) with two classes or more"
        )


def check_score_rows(y_true, y_pred, sample_weight):
    """Validate class indices and rows of scores.

    Returns
    -------
    k : ndarray of int64 of shape (n,)
    z : ndarray of shape (n, n_classes)
    s : ndarray of shape (n,)
        Weights that sum to one.
    """
    check_shape(y_pred)
    z = check_array(y_pred, dtype=(np.float64, np.float32), input_name="y_pred", order="C")
    y = check_array(y_true, ensure_2d=False, dtype=None, input_name="y_true")
    if y.shape != (len(z),):
        raise ValueError(
            f"y_true has shape {y.shape}, expected ({len(z)},): one class index per row of y_pred"
        )
    with np.errstate(invalid="ignore"):  # what overflows is found to differ
        k = y.astype(np.int64)
    wrong = (k != y) | (k < 0) | (k >= z.shape[1])
    if wrong.any():
        raise ValueError(
            f"y_true must hold class indices from 0 to {z.shape[1] - 1}, got {y[wrong][0].item()!r}"
        )
    return k, writable(z), normalize_weights(sample_weight, len(z), z.dtype)


class MulticlassLoss(Loss):
    """A loss of a row of scores, one per class.

    The author writes ``sample_value(k, z)`` for the index k of the true class and the scores z
    of one sample, and ``sample_gradient(k, z, out)``, which writes the derivatives to ``out``;
    ``smooth = True`` if the loss is differentiable. Newton's method needs two more methods:
    ``sample_curvature(k, z, out)`` writes n_classes numbers from which
    ``curvature_product(k, a, v, out)`` finds the product of the Hessian with v. Dual coordinate
    descent needs ``dual_step``, ``dual_gap`` and ``dual_flow``.

    With two classes there is one score f, as for a binary loss, and z = (−f/2, f/2).

    Examples
    --------
    >>> from sklearn_margin.losses import MulticlassLoss
    >>> class Perceptron(MulticlassLoss):  # Crammer-Singer without a margin
    ...     def sample_value(self, k, z):
    ...         return max(z) - z[k]
    ...     def sample_gradient(self, k, z, out):
    ...         out[:] = 0.0
    ...         out[np.argmax(z)] += 1.0
    ...         out[k] -= 1.0
    >>> Perceptron().value([0, 2], [[1.0, 0.0, 0.0], [3.0, 0.0, 1.0]])
    1.0
    """

    kernel_methods: tuple[str, ...] = (
        "sample_value",
        "sample_gradient",
        "sample_curvature",
        "curvature_product",
        "dual_step",
        "dual_gap",
        "dual_flow",
    )
    formula: tuple[str, ...] = kernel_methods[:2]
    claims: tuple[str, ...] = (
        *Loss.claims,
        *kernel_methods[2:],
        "binary",
        "hinge_shape",
        "scores_value",
        "scores_value_gradient",
        "scores_curvature",
        "slopes_excess",
    )
    #: Whether the loss is differentiable everywhere; None is whether it has a curvature.
    smooth: bool | None = None
    #: Whether the loss depends on differences of scores only. Intercepts then sum to zero.
    shift_invariant = False
    #: What a piecewise linear loss is of its margins: the "sum" of their positive parts, or the
    #: "largest" of them and zero.
    hinge_shape: str | None = None

    def sample_value(self, k: int, z: Array) -> float:
        """Loss of one sample."""
        raise NotImplementedError(f"{type(self).__name__} has no sample_value(k, z)")

    def sample_gradient(self, k: int, z: Array, out: Array) -> None:
        """Derivatives of ``sample_value`` with respect to ``z``, to ``out``."""
        raise NotImplementedError(f"{type(self).__name__} has no sample_gradient(k, z, out)")

    def sample_curvature(self, k: int, z: Array, out: Array) -> None:
        """What ``curvature_product`` needs to know of ``z``, to ``out``."""
        raise NotImplementedError(f"{type(self).__name__} has no sample_curvature(k, z, out)")

    def curvature_product(self, k: int, a: Array, v: Array, out: Array) -> None:
        """Product of the Hessian (or an element of the generalised one) with ``v``."""
        raise NotImplementedError(f"{type(self).__name__} has no curvature_product(k, a, v, out)")

    # What block coordinate descent on the dual needs. A slope g is a subgradient of s * loss.

    def dual_step(self, k: int, z: Array, g: Array, s: float, norm: float, out: Array) -> float:
        """The slopes g' that maximise z·(g' − g) − s ℓ*(g'/s) − (norm/2)‖g' − g‖², to ``out``.

        Returns the optimality violation, in units of scores (> 0): how far they have to move for
        ``g`` to be a subgradient there. Or minus the distance to it (≤ 0): how far they may move
        before it is none any more; then ``out`` need not be written.
        """
        raise NotImplementedError(f"{type(self).__name__} has no dual_step(k, z, g, s, norm, out)")

    def dual_gap(self, k: int, z: Array, g: Array, s: float) -> float:
        """s ℓ(z) + s ℓ*(g/s) − g·z, which is not negative, as a sum of such terms."""
        raise NotImplementedError(f"{type(self).__name__} has no dual_gap(k, z, g, s)")

    def dual_flow(self, k: int, g: Array, s: float, v: Array, out: Array) -> None:
        """H v for a positive semi-definite matrix H(g) with the constant vectors in its kernel.

        g − H v is a slope wherever max v − min v ≤ 1, and H is 0 at the vertices of the set of
        slopes: moves in its range cost nothing to first order.
        """
        raise NotImplementedError(f"{type(self).__name__} has no dual_flow(k, g, s, v, out)")

    @property
    def has_dual(self) -> bool:
        """Whether the author wrote the three methods of the dual."""
        return self._wrote("dual_step", "dual_gap", "dual_flow")

    @property
    def has_hessian(self) -> bool:
        """Whether the author wrote ``sample_curvature`` and ``curvature_product``."""
        return self._wrote("sample_curvature", "curvature_product")

    def _wrote(self, *names):
        return all(getattr(type(self), n) is not getattr(MulticlassLoss, n) for n in names)

    @property
    def is_smooth(self) -> bool:
        """Whether the loss is differentiable everywhere."""
        return self.has_hessian if self.smooth is None else self.smooth

    @property
    def binary(self) -> BinaryLoss:
        """The loss of one score f that two classes have."""
        return TwoClasses(self)

    def for_classes(self, n_classes: int) -> Loss:
        return self if n_classes > 2 else self.binary

    def envelope_gain(self, k: Array, g: Array, s: Array) -> float:
        """L_w*(g) − L*(g) for an envelope; see ``LinearObjective.envelope_excess``."""
        used = s > 0
        squares = np.square(g[used], dtype=np.float64).sum(axis=1) / s[used]
        return 0.5 * (self.envelope_width or 0.0) * float(squares.sum())

    def value(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Weighted mean of the loss.

        Parameters
        ----------
        y_true : array-like of shape (n,)
            Class indices, from 0; −1 and +1 if there is one score.
        y_pred : array-like of shape (n, n_classes) or (n,)
            Scores; one per row stands for two classes.
        sample_weight : array-like of shape (n,), default=None
            Non-negative weights.

        Returns
        -------
        float
        """
        self.check_params()
        if np.ndim(y_pred) == 1:
            return self.for_classes(2).value(y_true, y_pred, sample_weight)
        k, z, s = check_score_rows(y_true, y_pred, sample_weight)
        self.check_classes(z.shape[1])
        return self.scores_value(k, z, s)

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
        self.check_params()
        if np.ndim(y_pred) == 1:
            return self.for_classes(2).gradient(y_true, y_pred, sample_weight)
        k, z, s = check_score_rows(y_true, y_pred, sample_weight)
        self.check_classes(z.shape[1])
        out = np.empty_like(z)
        self.scores_value_gradient(k, z, s, out)
        return out

    # What objectives call: validated arrays, weights as they are (not normalised).

    def scores_value(self, k: Array, z: Array, s: Array) -> float:
        """Sum of ``s * loss`` over validated arrays."""
        return self.scores_value_gradient(k, z, s, np.empty_like(z))

    def scores_value_gradient(self, k: Array, z: Array, s: Array, out: Array) -> float:
        """Sum of ``s * loss``; its derivatives go to ``out``.

        Parameters
        ----------
        k : ndarray of int64 of shape (n,)
            Class indices.
        z : ndarray of shape (n, n_classes)
            Scores.
        s : ndarray of shape (n,)
            Weights.
        out : ndarray of shape (n, n_classes)
        """
        return float(self._run(_value_gradient, k, z, s, out))

    def scores_curvature(
        self, k: Array, z: Array, s: Array, gradient: Array, curvature: Array
    ) -> float:
        """As ``scores_value_gradient``; what ``sample_curvature`` writes for each row goes to
        ``curvature``, of the shape of ``z``."""
        self._run(_curvature, k, z, s, curvature)
        return self.scores_value_gradient(k, z, s, gradient)

    def scores_product(self, k: Array, curvature: Array, s: Array, v: Array, out: Array) -> None:
        """Products of the Hessians of ``s * loss`` with rows of ``v``, to those of ``out``.

        Parameters
        ----------
        k, s
            As in ``scores_value_gradient``.
        curvature, v, out : ndarray of shape (n, n_classes)
            ``curvature`` as ``scores_curvature`` gives it.
        """
        self._run(_product, k, curvature, s, v, out)

    def slopes_excess(self, k: Array, curvature: Array, s: Array, change: Array) -> float:
        """By how much slopes g + ``change`` miss Fenchel's equality at scores of which g are the
        slopes: a bound on Σ s ℓ(z) + s ℓ*((g + change)/s) − (g + change)·z; infinity if there is
        none.

        Parameters
        ----------
        k, curvature, s
            As in ``scores_product``.
        change : ndarray of shape (n, n_classes)
        """
        return np.inf

    def shorten(self, curvature: Array, s: Array, change: Array) -> None:
        """Multiply rows of ``change`` such that they lead to slopes of ``s * loss``, where that is
        known from the curvature alone."""

    def scores_hessians(self, k: Array, curvature: Array, s: Array) -> np.ndarray:
        """Hessians of ``s * loss`` by sample, of shape (n, n_classes, n_classes)."""
        n, n_classes = curvature.shape
        out = np.empty((n, n_classes, n_classes), curvature.dtype)
        self._run(_hessians, k, curvature, s, out)
        return out

    def hessian_sums(self, k: Array, curvature: Array, s: Array) -> tuple[Array, Array]:
        """Sum of the Hessians of ``s * loss``, of shape (n_classes, n_classes), and their traces
        by sample."""
        hessians = self.scores_hessians(k, curvature, s)
        return hessians.sum(axis=0, dtype=np.float64), np.einsum("ijj->i", hessians)


@kernel
def _value_gradient(loss, k, z, s, out):
    total = 0.0
    for i in range(z.shape[0]):
        if s[i] != 0:
            total += s[i] * loss.sample_value(k[i], z[i])
            loss.sample_gradient(k[i], z[i], out[i])
            for j in range(z.shape[1]):
                out[i, j] *= s[i]
        else:
            out[i, :] = 0.0
    return total


@kernel
def _curvature(loss, k, z, s, out):
    for i in range(z.shape[0]):
        if s[i] != 0:
            loss.sample_curvature(k[i], z[i], out[i])
        else:
            out[i, :] = 0.0


@kernel
def _product(loss, k, a, s, v, out):
    for i in range(v.shape[0]):
        if s[i] != 0:
            loss.curvature_product(k[i], a[i], v[i], out[i])
            for j in range(v.shape[1]):
                out[i, j] *= s[i]
        else:
            out[i, :] = 0.0


@kernel
def _hessians(loss, k, a, s, out):
    unit = np.zeros(a.shape[1], a.dtype)
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            unit[j] = s[i]
            if s[i] != 0:
                loss.curvature_product(k[i], a[i], unit, out[i, j])
            else:
                out[i, j, :] = 0.0
            unit[j] = 0.0


class TwoClasses(BinaryLoss):
    """A multiclass loss of two classes with the scores (−f/2, f/2), as a loss of f.

    Parameters
    ----------
    inner : MulticlassLoss
    """

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    @property
    def author(self) -> Loss:
        return self.inner

    def sample_value(self, y: float, z: float) -> float:
        row = np.array([-0.5 * z, 0.5 * z])
        return self.inner.sample_value(1 if y > 0 else 0, row)

    def sample_gradient(self, y: float, z: float) -> float:
        row = np.array([-0.5 * z, 0.5 * z])
        out = np.empty(2)
        self.inner.sample_gradient(1 if y > 0 else 0, row, out)
        return 0.5 * (out[1] - out[0])

    @property
    def convex(self) -> bool:
        return self.inner.convex

    @property
    def nonnegative(self) -> bool:
        return self.inner.nonnegative

    @property
    def smooth(self) -> bool:
        return self.inner.is_smooth
