"""Losses of given pairs, which are not formed from labels."""

from __future__ import annotations

import numpy as np
from sklearn.utils import check_array

from sklearn_margin._typing import Array, ArrayLike
from sklearn_margin._validation import float_column
from sklearn_margin.losses.binary import Hinge
from sklearn_margin.losses.pairs.hinge import PairwiseHinge

__all__ = ["MarginRanking", "check_signs"]


class MarginRanking(PairwiseHinge):
    r"""Margin ranking loss of given pairs, [margin − t·(z_1 − z_2)]₊ with t = ±1 [1]_.

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

    Notes
    -----
    .. math:: \frac{\sum_k s_k \max(0,\, \mathrm{margin} - t_k (z_{1k} - z_{2k}))}{\sum_k s_k}

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

    def __init__(self, margin: float = 0.0) -> None:
        self.margin = margin

    def value(
        self, t: ArrayLike, z1: ArrayLike, z2: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
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

    def gradient(
        self, t: ArrayLike, z1: ArrayLike, z2: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> tuple[Array, Array]:
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
