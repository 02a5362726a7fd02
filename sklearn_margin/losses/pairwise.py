"""Losses of score differences over the ordered pairs of a group."""

import math

import numpy as np
from sklearn.utils import check_array

from sklearn_margin._validation import check_number, float_column
from sklearn_margin.losses.base import BinaryLoss, PairwiseLoss
from sklearn_margin.losses.binary import Hinge, SquaredHinge
from sklearn_margin.losses.cross_entropy import Logistic

__all__ = [
    "MarginRanking",
    "PairwiseHinge",
    "PairwiseLogistic",
    "PairwiseSquaredHinge",
    "check_signs",
    "sample_loss",
]


class PairwiseHinge(PairwiseLoss):
    """Pairwise hinge loss of RankSVM, [margin − d]₊ with d = z_i − z_j [1]_.

    Value and gradient cost O(n log n) per group. The derivative at d = margin is 0.

    Parameters
    ----------
    margin : float, default=1.0
        Score difference from which a pair costs nothing.
    weighting : {"difference", "uniform"}, default="difference"
        Weight of a pair: y_i − y_j or 1. With labels 0 and 1 they are the same.

    References
    ----------
    .. [1] Joachims, "Optimizing search engines using clickthrough data", KDD 2002.

    Examples
    --------
    >>> from sklearn_margin.losses import PairwiseHinge
    >>> PairwiseHinge(margin=0.3).value([0, 1, 2], [0.0, 0.5, 0.4])
    0.1
    """

    nonnegative = True

    def __init__(self, margin=1.0, weighting="difference"):
        self.margin = margin
        self.weighting = weighting

    def check_params(self):
        super().check_params()
        check_number(self.margin, "margin", minimum=0)

    def pair_value(self, d):
        return max(0.0, self.margin - d)

    def pair_gradient(self, d):
        return -1.0 if d < self.margin else 0.0

    hinge_power = 1
    hinge_shape = "sum"

    def smoothed(self, width):
        return SmoothedPairwiseHinge(self.margin, self.pair_weighting, width)


class PairwiseSquaredHinge(PairwiseLoss):
    """Squared pairwise hinge loss, [margin − d]₊² with d = z_i − z_j [1]_.

    Value, gradient and Hessian product cost O(n log n) per group.

    Parameters
    ----------
    margin : float, default=1.0
        Score difference from which a pair costs nothing.
    weighting : {"difference", "uniform"}, default="difference"
        Weight of a pair: y_i − y_j or 1. With labels 0 and 1 they are the same.

    References
    ----------
    .. [1] Lee & Lin, "Large-scale linear RankSVM", Neural Computation 26, 2014.

    Examples
    --------
    >>> from sklearn_margin.losses import PairwiseSquaredHinge
    >>> PairwiseSquaredHinge(margin=1.0).value([0, 1], [0.0, 0.5])
    0.25
    """

    nonnegative = True

    def __init__(self, margin=1.0, weighting="difference"):
        self.margin = margin
        self.weighting = weighting

    def check_params(self):
        super().check_params()
        check_number(self.margin, "margin", minimum=0)

    def pair_value(self, d):
        return max(0.0, self.margin - d) ** 2

    def pair_gradient(self, d):
        return -2.0 * max(0.0, self.margin - d)

    def pair_hessian(self, d):
        return 2.0 if d < self.margin else 0.0

    hinge_power = 2


class PairwiseLogistic(PairwiseLoss):
    """Pairwise logistic loss of RankNet, log(1 + e^(−d)) with d = z_i − z_j [1]_.

    The negative log-likelihood of the order of a pair if row i beats row j with probability σ(d).
    Evaluated without overflow for any d. Value, gradient and Hessian product cost O(pairs) time,
    with one exponential per row, and O(n) memory.

    Parameters
    ----------
    weighting : {"difference", "uniform"}, default="difference"
        Weight of a pair: y_i − y_j or 1. With labels 0 and 1 they are the same.

    References
    ----------
    .. [1] Burges, Shaked, Renshaw, Lazier, Deeds, Hamilton & Hullender, "Learning to rank using
       gradient descent", ICML 2005.

    Examples
    --------
    >>> from sklearn_margin.losses import PairwiseLogistic
    >>> round(PairwiseLogistic().value([0, 1], [0.5, 0.5]), 6)
    0.693147
    """

    nonnegative = True

    def __init__(self, weighting="difference"):
        self.weighting = weighting

    def pair_value(self, d):
        return max(0.0, -d) + math.log1p(math.exp(-abs(d)))

    def pair_gradient(self, d):
        e = math.exp(-abs(d))
        return -(e if d > 0 else 1.0) / (1.0 + e)

    def pair_hessian(self, d):
        e = math.exp(-abs(d))
        return e / ((1.0 + e) * (1.0 + e))

    is_logistic = True


class MarginRanking(PairwiseHinge):
    """Margin ranking loss of given pairs, [margin − t·(z_1 − z_2)]₊ with t = ±1 [1]_.

    Unlike the other pairwise losses it does not form pairs from labels: row k of the arrays is a
    pair, and t_k says which of its scores should be higher. ``LinearRanker.fit_pairs`` takes such
    pairs. In ``LinearRanker.fit``, where pairs do come from labels, it is
    ``PairwiseHinge(margin, weighting="uniform")``. The derivative at the kink is 0.

    With the default margin of 0 equal scores cost nothing. A linear model is then best with no
    coefficients at all; it needs a positive margin to learn.

    Parameters
    ----------
    margin : float, default=0.0
        Score difference from which a pair costs nothing.

    References
    ----------
    .. [1] ``torch.nn.MarginRankingLoss``, whose mean this is.

    Examples
    --------
    >>> from sklearn_margin.losses import MarginRanking
    >>> loss = MarginRanking(margin=1.0)
    >>> loss.value([1, -1], [0.5, 0.5], [0.0, 0.0])
    1.0
    >>> loss.gradient([1, -1], [0.5, 0.5], [0.0, 0.0])
    (array([-0.5,  0.5]), array([ 0.5, -0.5]))
    """

    def __init__(self, margin=0.0):
        self.margin = margin

    def value(self, t, z1, z2, sample_weight=None):
        """Weighted mean of the loss over pairs.

        Parameters
        ----------
        t : array-like of shape (n_pairs,)
            +1 where the first score should be higher, −1 where the second one should.
        z1, z2 : array-like of shape (n_pairs,)
            Scores.
        sample_weight : float or array-like of shape (n_pairs,), default=None
            Non-negative weights of pairs.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If lengths differ, t holds anything but −1 and +1, or scores or weights are not finite.
        """
        self.check_params()
        d = _differences(z1, z2)
        return Hinge(self.margin).value(check_signs(t, len(d)), d, sample_weight)

    def gradient(self, t, z1, z2, sample_weight=None):
        """Derivatives of ``value`` with respect to both scores; they add up to zero.

        Parameters
        ----------
        t, z1, z2, sample_weight
            As in ``value``.

        Returns
        -------
        g1, g2 : ndarray of shape (n_pairs,)
        """
        self.check_params()
        d = _differences(z1, z2)
        g = Hinge(self.margin).gradient(check_signs(t, len(d)), d, sample_weight)
        return g, -g


def check_signs(t, n_pairs):
    """Labels of given pairs, as float64.

    Parameters
    ----------
    t : array-like of shape (n_pairs,)
    n_pairs : int

    Raises
    ------
    ValueError
        If t has another length or holds anything but −1 and +1.
    """
    t = float_column(t, "t", n_samples=n_pairs)
    wrong = np.abs(t) != 1
    if wrong.any():
        raise ValueError(f"t must hold only -1 and +1, got {t[wrong][0].item()!r}")
    return t


def _differences(z1, z2):
    """Differences of validated scores, as float64 unless both are float32."""
    z1, z2 = (
        check_array(z, ensure_2d=False, dtype=(np.float64, np.float32), input_name=name)
        for z, name in ((z1, "z1"), (z2, "z2"))
    )
    if z1.ndim != 1 or z1.shape != z2.shape:
        raise ValueError(
            f"z1 and z2 must be one-dimensional and of one length, got {z1.shape} and {z2.shape}"
        )
    return z1 - z2


class GivenPairs(BinaryLoss):
    """Any pairwise loss as a loss of a label t and a score difference: φ(t·d).

    Parameters
    ----------
    loss : PairwiseLoss
    """

    def __init__(self, loss):
        self.loss = loss

    def sample_value(self, y, z):
        return self.loss.pair_value(y * z)

    def sample_gradient(self, y, z):
        return y * self.loss.pair_gradient(y * z)

    def sample_hessian(self, y, z):
        return self.loss.pair_hessian(y * z)

    has_hessian = property(lambda self: self.loss.has_hessian)
    is_smooth = property(lambda self: self.loss.is_smooth)
    convex = property(lambda self: self.loss.convex)

    @property
    def nonnegative(self):
        return self.loss.nonnegative


def sample_loss(loss):
    """The loss of one given pair: of a label t = ±1 and a score difference d = z_1 − z_2.

    Parameters
    ----------
    loss : PairwiseLoss

    Returns
    -------
    BinaryLoss
        φ(t·d): one of the public losses where there is one, since solvers know more about them.
    """
    if loss.hinge_power:
        return (Hinge if loss.hinge_power == 1 else SquaredHinge)(loss.margin)
    return Logistic() if loss.is_logistic else GivenPairs(loss)


class SmoothedPairwiseHinge(PairwiseHinge):
    """Moreau envelope of the pairwise hinge, for solvers: ([u]₊² − [u − w]₊²)/(2w), u = margin − d.

    Parameters
    ----------
    margin, weighting
        As in ``PairwiseHinge``.
    width : float, default=0.1
        Width w of the quadratic part.
    """

    nonnegative = True

    def __init__(self, margin=1.0, weighting="difference", width=0.1):
        super().__init__(margin, weighting)
        self.width = width

    def pair_value(self, d):
        u = max(0.0, self.margin - d)
        return 0.5 * u * u / self.width if u < self.width else u - 0.5 * self.width

    def pair_gradient(self, d):
        return -min(1.0, max(0.0, self.margin - d) / self.width)

    def pair_hessian(self, d):
        return 1.0 / self.width if 0.0 < self.margin - d < self.width else 0.0

    @property
    def hinge_terms(self):
        factor = 0.5 / self.width
        return [(self.margin, 0.0, factor), (self.margin - self.width, 0.0, -factor)]

    @property
    def envelope_width(self):
        return self.width
