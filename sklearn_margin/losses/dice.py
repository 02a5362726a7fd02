"""The Dice loss of a batch."""

from __future__ import annotations

import numpy as np

from sklearn_margin._typing import Array, ArrayLike
from sklearn_margin._validation import check_number
from sklearn_margin.losses._probability import sigmoid, softmax
from sklearn_margin.losses.base import Loss
from sklearn_margin.losses.batch import BatchLoss
from sklearn_margin.losses.cross_entropy import Logistic

__all__ = ["Dice"]


class Dice(BatchLoss):
    r"""Soft Dice loss of the whole batch [1]_.

    1 − (2 Σ s p t + smooth) / (Σ s p + Σ s t + smooth) with t ∈ {0, 1}, p the probability
    σ(z) and s the weights; ``squared`` puts p² and t² into the denominator [2]_. With a row of
    scores p is the softmax, and the mean over classes is taken. Labels of one score may be −1
    and +1 or 0 and 1. The loss is not convex: a fit starts from the optimum of the cross entropy.

    Parameters
    ----------
    smooth : float, default=1.0
        Added to numerator and denominator.
    squared : bool, default=False
        Whether to square probabilities in the denominator.

    Notes
    -----
    .. math::

        1 - \frac{2 \sum_i s_i p_i t_i + \mathrm{smooth}}{\sum_i s_i p_i + \sum_i s_i t_i +
        \mathrm{smooth}}

    with :math:`p_i = \sigma(z_i)`; the denominator has :math:`p_i^2`, :math:`t_i^2` if ``squared``.

    References
    ----------
    .. [1] Sudre, Li, Vercauteren, Ourselin & Cardoso, "Generalised Dice overlap as a deep
       learning loss function for highly unbalanced segmentations", DLMIA 2017.
    .. [2] Milletari, Navab & Ahmadi, "V-Net: Fully convolutional neural networks for
       volumetric medical image segmentation", 3DV 2016.

    Examples
    --------
    >>> from sklearn_margin.losses import Dice
    >>> round(Dice().value([1, 0, 0], [0.0, 0.0, 0.0]), 6)
    0.428571
    """

    nonnegative = True

    def __init__(self, smooth: float = 1.0, squared: bool = False) -> None:
        self.smooth = smooth
        self.squared = squared

    def check_params(self) -> None:
        check_number(self.smooth, "smooth", minimum=0)
        if not isinstance(self.squared, (bool, np.bool_)):
            raise TypeError(f"squared must be True or False, got {self.squared!r}")

    def check_labels(self, y: Array) -> Array:
        return super().check_labels(np.where(y == 0, -1, y).astype(y.dtype))

    @property
    def convex_start(self) -> Loss | None:
        return Logistic()

    @property
    def multiclass(self) -> Loss | None:
        return DiceOfClasses(self.smooth, self.squared)

    @property
    def is_smooth(self) -> bool:
        return True

    def value(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        if np.ndim(y_pred) > 1 and self.multiclass is not None:
            return self.multiclass.value(y_true, y_pred, sample_weight)
        return super().value(y_true, y_pred, sample_weight)

    def gradient(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Array:
        if np.ndim(y_pred) > 1 and self.multiclass is not None:
            return self.multiclass.gradient(y_true, y_pred, sample_weight)
        return super().gradient(y_true, y_pred, sample_weight)

    def overlap_size(self, p, t, s):
        """Σ s p t and what the denominator sums."""
        overlap, size = 0.0, 0.0
        for i in range(p.shape[0]):
            if s[i] != 0:
                overlap += s[i] * p[i] * t[i]
                size += s[i] * ((p[i] * p[i] if self.squared else p[i]) + t[i])
        return overlap, size

    def coefficient_loss(self, p, t, s):
        """1 − Dice coefficient."""
        overlap, size = self.overlap_size(p, t, s)
        size += self.smooth
        return 1.0 - (2.0 * overlap + self.smooth) / size if size > 0 else 0.0

    def coefficient_gradient(self, p, t, s, out):
        """Derivatives of ``coefficient_loss`` with respect to p."""
        overlap, size = self.overlap_size(p, t, s)
        size += self.smooth
        share = (2.0 * overlap + self.smooth) / size if size > 0 else 0.0
        for i in range(p.shape[0]):
            rise = 2.0 * p[i] if self.squared else 1.0
            out[i] = s[i] * (share * rise - 2.0 * t[i]) / size if size > 0 else 0.0

    def batch_value(self, y: Array, z: Array, s: Array) -> float:
        p, t = self.shares(y, z)
        return self.coefficient_loss(p, t, s)

    def batch_gradient(self, y: Array, z: Array, s: Array, out: Array) -> None:
        p, t = self.shares(y, z)
        self.coefficient_gradient(p, t, s, out)
        for i in range(z.shape[0]):
            out[i] *= p[i] * (1.0 - p[i])

    # Loops, since expressions of arrays take seconds to compile.

    def shares(self, y, z):
        """p and t."""
        p, t = np.empty(z.shape[0]), np.empty(z.shape[0])
        for i in range(z.shape[0]):
            p[i], t[i] = sigmoid(z[i]), 0.5 * (1.0 + y[i])
        return p, t


class DiceOfClasses(Dice):
    """Mean over classes of the Dice losses of the softmax.

    Parameters
    ----------
    smooth, squared
        As in ``Dice``.
    """

    nonnegative = True
    shift_invariant = True

    @property
    def multiclass(self) -> Loss | None:
        return None

    def batch_value(self, y: Array, z: Array, s: Array) -> float:
        p, t = self.class_shares(y, z)
        total = 0.0
        for c in range(z.shape[1]):
            total += self.coefficient_loss(p[c], t[c], s)
        return total / z.shape[1]

    def batch_gradient(self, y: Array, z: Array, s: Array, out: Array) -> None:
        p, t = self.class_shares(y, z)
        gradient = np.empty((z.shape[1], z.shape[0]))
        for c in range(z.shape[1]):
            self.coefficient_gradient(p[c], t[c], s, gradient[c])
        for i in range(z.shape[0]):
            mean = 0.0
            for c in range(z.shape[1]):
                mean += p[c, i] * gradient[c, i]
            for c in range(z.shape[1]):
                out[i, c] = p[c, i] * (gradient[c, i] - mean) / z.shape[1]

    def class_shares(self, y, z):
        """p and t, of shape (n_classes, n)."""
        n, n_classes = z.shape
        p, t, row = np.empty((n_classes, n)), np.empty((n_classes, n)), np.empty(n_classes)
        for i in range(n):
            softmax(z[i], row)
            for c in range(n_classes):
                p[c, i], t[c, i] = row[c], 1.0 if y[i] == c else 0.0
        return p, t
