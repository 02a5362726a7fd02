"""Softmax cross entropy of lists: the rows of each group against their gains."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np

from sklearn_margin._jit import kernel
from sklearn_margin._typing import Array
from sklearn_margin._validation import check_choice
from sklearn_margin.losses.cross_entropy import Logistic
from sklearn_margin.losses.pairs.index import PairIndex
from sklearn_margin.losses.ranking import RankingLoss, Sides

__all__ = ["ListwiseSoftmax"]


class ListwiseSoftmax(RankingLoss):
    r"""Softmax cross entropy of lists, of ListNet [1]_ with graded gains [2]_.

    In a list (a group) with the probabilities q = softmax(z) of its scores it is
    −Σ p_i log q_i, where p_i is the share of row i in the gains of the list: the negative
    log-likelihood of which row is first, if that is drawn in proportion to the gains. Value,
    gradient and Hessian product cost O(n).

    Lists count alike, however long they are, or by the mean of their rows' weights. A list without
    a row of positive gain is left out.

    Parameters
    ----------
    gain : {"linear", "exponential"}, default="linear"
        Gain of relevance r, which must not be negative: r itself, or 2**r - 1; as of
        ``metrics.ndcg_score``.

    Notes
    -----
    .. math:: -\frac{1}{\sum_g s_g} \sum_g s_g \sum_{i \in g} p_i \log
        \frac{e^{z_i}}{\sum_{j \in g} e^{z_j}}, \qquad
        p_i = \frac{\mathrm{gain}(y_i)}{\sum_{j \in g} \mathrm{gain}(y_j)}

    References
    ----------
    .. [1] Cao, Qin, Liu, Tsai & Li, "Learning to rank: from pairwise approach to listwise
       approach", ICML 2007.
    .. [2] Bruch, Wang, Bendersky & Najork, "An analysis of the softmax cross entropy loss for
       learning-to-rank with binary relevance", ICTIR 2019.

    Examples
    --------
    >>> from sklearn_margin.losses import ListwiseSoftmax
    >>> round(ListwiseSoftmax().value([0, 1, 0, 0], [0.5] * 4), 6)  # log 4
    1.386294
    """

    formula: tuple[str, ...] = ("index",)
    nonnegative = True
    has_hessian = is_smooth = True

    def __init__(self, gain: Literal["linear", "exponential"] = "linear") -> None:
        self.gain = gain

    def check_params(self) -> None:
        check_choice(self.gain, "gain", ("linear", "exponential"))

    def index(
        self,
        y: Array,
        groups: Array | None,
        s: Array,
        alone: bool = True,
        sides: Sides = (None, None),
    ) -> ListIndex:
        return ListIndex(y, groups, s, self.gain, alone, sides[0])

    @property
    def index_key(self) -> str:
        return self.gain

    @property
    def binary(self) -> Logistic:
        """The loss of one given pair: that of a list of two rows, one of which has all the gain."""
        return Logistic()


class ListIndex(PairIndex):
    """Lists of rows, with their gains.

    Parameters
    ----------
    y, groups, sample_weight, alone
        As of ``PairIndex``.
    gain : {"linear", "exponential"}
    factor : ndarray of shape (n,), default=None
        Factors of gains. Lists then count by the sum of their gains, for shares in a list would not
        know a factor that its rows share.

    Attributes
    ----------
    target : ndarray of shape (n,)
        p, by position.
    weight : ndarray of shape (n_groups,)
        Weights of lists, zero for those without gains.
    total, own_total : float
        Sums of these, as those of pairs in ``PairIndex``. ``n_pairs`` is that of pairs.
    """

    def __init__(self, y, groups, sample_weight, gain, alone=True, factor=None):
        super().__init__(y, groups, sample_weight, "uniform", alone)
        y, first = self.layout.y, self.group_start[:-1]
        if len(y) and y.min() < 0:
            raise ValueError(f"y must not be negative, which gains are, got {y.min()}")
        sizes = np.diff(self.group_start)
        highest = np.repeat(y[self.group_start[1:] - 1], sizes)
        if factor is not None:  # sums of lists are compared
            highest = np.full(len(y), y.max(initial=0.0))
        gains = _relative_gains(y, highest, gain)
        if factor is not None:
            gains *= factor[self.layout.order]
        sums = np.add.reduceat(gains, first) if len(y) else np.zeros(0)
        self.target = gains / np.repeat(np.where(sums > 0, sums, 1.0), sizes)
        s = sample_weight[self.layout.order].astype(np.float64)
        if alone and len(s):
            s /= s.max()
        means = np.add.reduceat(s, first) / sizes if len(y) else np.zeros(0)
        if factor is not None:
            means = means * sums / sums.max(initial=1e-300)
        self.weight = np.where(sums > 0, means, 0.0)
        self.own_total = self.total = float(self.weight.sum())

    def value_gradient(self, loss, z, out, run: Callable = map) -> float:
        return self.softmax(z, out, run)[0]

    def hessian_product(self, loss, z, v, out, run: Callable = map) -> None:
        q = self.softmax(z, np.empty(len(z)), run)[1]
        self.product(q, v, out, run)

    def softmax(self, z, out, run: Callable = map) -> tuple[float, np.ndarray]:
        """Value of the loss and q, by position; its derivative by row goes to ``out``."""
        q = np.empty(len(self.target))
        return self._sum(run, _softmax, z, q, out, clears=out), q

    def product(self, q, v, out, run: Callable = map) -> None:
        """Product of the Hessian at the scores of ``q`` with ``v``, into ``out``."""
        self._sum(run, _product, q, v, out, clears=out)

    def foreseen(self, q, dz, there, run: Callable = map) -> float:
        """As ``LinearObjective.foreseen``, where ``q`` and ``there`` are q at both ends."""
        slopes = np.zeros(len(dz))
        excess = self._sum(run, _foreseen, q, there, dz, slopes, clears=slopes)
        dz[:] = slopes
        return excess

    def _sum(self, run, function, *arrays, clears):
        """Sum of what a kernel gives for ranges of lists, in their order."""
        if self.n_dropped:
            clears[:] = 0.0  # of rows that no kernel writes
        weight = self.weight / (self.total or 1.0)
        layout = self.layout.order, self.group_start, self.target, weight
        pieces = sorted([*self.chunks, *((g, g + 1) for g in self.large)])
        return float(sum(run(lambda piece: function(*arrays, *layout, *piece), pieces)))


def _relative_gains(y, highest, gain):
    """Gains divided by a number of each list, which cannot overflow, of its ``highest`` label."""
    if gain == "exponential":
        return -np.expm1(-y * math.log(2.0)) * np.exp2(y - highest)
    return y / np.where(highest > 0, highest, 1.0)


@kernel
def _softmax(z, q, out, order, start, target, weight, first, last):
    """Σ w (−Σ p log q) over some lists; q goes to ``q``, and the slopes w (q − p) to ``out``."""
    total = 0.0
    for g in range(first, last):
        top = start[g]
        for k in range(start[g], start[g + 1]):
            top = k if z[order[k]] > z[order[top]] else top
        highest, rest = float(z[order[top]]), 0.0
        for k in range(start[g], start[g + 1]):
            q[k] = math.exp(float(z[order[k]]) - highest)
            rest += q[k] if k != top else 0.0
        log_sum, loss = math.log1p(rest), 0.0
        for k in range(start[g], start[g + 1]):
            loss += target[k] * (log_sum + (highest - float(z[order[k]])))
            q[k] /= 1.0 + rest
            out[order[k]] = weight[g] * (q[k] - target[k])
        # As a difference of 1 and 1 this one would have no digits.
        out[order[top]] = weight[g] * ((1.0 - target[top]) - rest / (1.0 + rest))
        total += weight[g] * loss
    return total


@kernel
def _product(q, v, out, order, start, target, weight, first, last):
    """w (diag(q) − q qᵀ) v by list, to ``out``; returns 0."""
    for g in range(first, last):
        mean = 0.0
        for k in range(start[g], start[g + 1]):
            mean += q[k] * v[order[k]]
        for k in range(start[g], start[g + 1]):
            out[order[k]] = weight[g] * q[k] * (v[order[k]] - mean)
    return 0.0


@kernel
def _foreseen(q, there, dz, out, order, start, target, weight, first, last):
    """Σ w KL(q̂‖q'), where q̂ = q + (diag(q) − q qᵀ) dz and q' is ``there``; infinity if some q̂ is
    negative. The slopes w (q̂ − p) go to ``out``.

    Fenchel's inequality of the slopes w (q̂ − p) at scores with the softmax q' is off by this. With
    t = q̂/q' − 1 it is Σ q' [(1 + t) log(1 + t) − t], and the bracket is at most t²/2 − t³/6 + t⁴/3.
    """
    total = 0.0
    for g in range(first, last):
        mean = 0.0
        for k in range(start[g], start[g + 1]):
            mean += q[k] * dz[order[k]]
        for k in range(start[g], start[g + 1]):
            step = float(dz[order[k]]) - mean
            out[order[k]] = weight[g] * ((q[k] - target[k]) + q[k] * step)
            change = (q[k] - there[k]) + q[k] * step
            if step < -1.0 or (there[k] == 0.0 and change != 0.0):
                return np.inf
            if change != 0.0:
                t = change / there[k]
                total += weight[g] * change * t * (0.5 - t * (1.0 / 6.0 - t / 3.0))
    return total
