"""The Dice loss of a batch."""

import numpy as np

from sklearn_margin._validation import check_number
from sklearn_margin.losses.batch import BatchLoss
from sklearn_margin.losses.cross_entropy import CrossEntropy, Logistic

__all__ = ["Dice"]


class Dice(BatchLoss):
    """Soft Dice loss of the whole batch [1]_.

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

    def __init__(self, smooth=1.0, squared=False):
        self.smooth = smooth
        self.squared = squared

    def check_params(self):
        check_number(self.smooth, "smooth", minimum=0)
        if not isinstance(self.squared, (bool, np.bool_)):
            raise TypeError(f"squared must be True or False, got {self.squared!r}")

    def check_labels(self, y):
        return super().check_labels(np.where(y == 0, -1, y).astype(y.dtype))

    @property
    def convex_start(self):
        return Logistic()

    @property
    def multiclass(self):
        return DiceOfClasses(self.smooth, self.squared)

    @property
    def is_smooth(self):
        return True

    def value(self, y_true, y_pred, sample_weight=None):
        if np.ndim(y_pred) > 1 and self.multiclass is not None:
            return self.multiclass.value(y_true, y_pred, sample_weight)
        return super().value(y_true, y_pred, sample_weight)

    def gradient(self, y_true, y_pred, sample_weight=None):
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

    def coefficient_slopes(self, p, t, s, out):
        """Derivatives of ``coefficient_loss`` with respect to p."""
        overlap, size = self.overlap_size(p, t, s)
        size += self.smooth
        share = (2.0 * overlap + self.smooth) / size if size > 0 else 0.0
        for i in range(p.shape[0]):
            bend = 2.0 * p[i] if self.squared else 1.0
            out[i] = s[i] * (share * bend - 2.0 * t[i]) / size if size > 0 else 0.0

    def batch_value(self, y, z, s):
        return self.coefficient_loss(1.0 / (1.0 + np.exp(-z)), 0.5 * (1.0 + y), s)

    def batch_gradient(self, y, z, s, out):
        p = 1.0 / (1.0 + np.exp(-z))
        self.coefficient_slopes(p, 0.5 * (1.0 + y), s, out)
        out *= p * (1.0 - p)


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
    def convex_start(self):
        return CrossEntropy()

    @property
    def multiclass(self):
        return None

    def softmax(self, z):
        """Probabilities by class, of shape (n_classes, n)."""
        p = np.empty((z.shape[1], z.shape[0]))
        for i in range(z.shape[0]):
            e = np.exp(z[i] - np.max(z[i]))
            p[:, i] = e / np.sum(e)
        return p

    def batch_value(self, y, z, s):
        p = self.softmax(z)
        total = 0.0
        for c in range(z.shape[1]):
            total += self.coefficient_loss(p[c], 1.0 * (y == c), s)
        return total / z.shape[1]

    def batch_gradient(self, y, z, s, out):
        p = self.softmax(z)
        slopes = np.empty_like(p)
        for c in range(z.shape[1]):
            self.coefficient_slopes(p[c], 1.0 * (y == c), s, slopes[c])
        for i in range(z.shape[0]):
            mean = np.sum(p[:, i] * slopes[:, i])
            for c in range(z.shape[1]):
                out[i, c] = p[c, i] * (slopes[c, i] - mean) / z.shape[1]
