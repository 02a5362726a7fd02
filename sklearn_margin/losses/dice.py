"""Losses of a whole batch of scores, which are no sum over samples."""

import inspect

import numpy as np
from sklearn.utils import check_array

from sklearn_margin._jit import kernel
from sklearn_margin._validation import check_number, check_weights
from sklearn_margin.losses._batches import Unweighted
from sklearn_margin.losses.base import Loss, writable
from sklearn_margin.losses.cross_entropy import CrossEntropy, Logistic
from sklearn_margin.losses.multiclass import check_score_rows

__all__ = ["BatchLoss", "Dice"]


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

    kernel_methods = formula = ("batch_value", "batch_gradient")
    convex = False
    splits = False
    shift_invariant = False
    has_hessian = False
    #: Whether the loss is differentiable.
    smooth = True

    def batch_value(self, y, z, s):
        """Loss of a batch."""
        raise NotImplementedError(f"{type(self).__name__} has no batch_value(y, z, s)")

    def batch_gradient(self, y, z, s, out):
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

    def check_batch_weights(self, s) -> None:
        """Raise ``ValueError`` if the weights differ and the loss knows none."""
        if not self.knows_weights and s.min() != s.max():
            raise ValueError(
                f"{type(self).__name__} knows no sample weights: give batch_value and "
                "batch_gradient an argument s"
            )

    def value(self, y_true, y_pred, sample_weight=None) -> float:
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

    def gradient(self, y_true, y_pred, sample_weight=None) -> np.ndarray:
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

    def check_labels(self, y):
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

    def scores_value(self, y, z, s) -> float:
        """The loss over validated arrays."""
        return self.scores_value_gradient(y, z, s, np.empty_like(z))

    def scores_value_gradient(self, y, z, s, out) -> float:
        """The loss over validated arrays; its derivatives go to ``out``."""
        return self._run(_value_gradient, self._weighted(), y, z, s, out)

    def _weighted(self):
        return self if self.knows_weights else Unweighted(self)


@kernel
def _value_gradient(_, loss, y, z, s, out):
    loss.batch_gradient(y, z, s, out)
    return float(loss.batch_value(y, z, s))


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
