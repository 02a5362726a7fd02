"""Hinge losses of a row of scores, one per class, and their envelopes."""

from __future__ import annotations

import math

import numpy as np

from sklearn_margin._jit import kernel
from sklearn_margin._typing import Array
from sklearn_margin._validation import check_number
from sklearn_margin.losses._envelope import envelope, envelope_gradient, envelope_hessian
from sklearn_margin.losses.base import Loss
from sklearn_margin.losses.binary import Hinge
from sklearn_margin.losses.multiclass import MulticlassLoss

__all__ = ["CrammerSinger", "WestonWatkins"]


def simplex_threshold(a, size):
    """τ of the projection p_j = [a_j − τ]₊ onto the simplex Σ p = size, from below [1]_.

    References
    ----------
    .. [1] Michelot, "A finite algorithm for finding the projection of a point onto the canonical
       simplex of ℝⁿ", Journal of Optimization Theory and Applications 50, 1986.
    """
    tau, count = -math.inf, 0
    for j in range(a.shape[0]):
        tau = max(tau, a[j] - size)
    for _ in range(a.shape[0]):
        total, before, count = -size, count, 0
        for j in range(a.shape[0]):
            if a[j] > tau:
                total += a[j]
                count += 1
        if count == before or count == 0:
            break
        tau = total / count
    return tau


class CrammerSinger(MulticlassLoss):
    r"""Multiclass hinge loss of Crammer and Singer [1]_, [max_{j≠k}(margin + z_j) − z_k]₊.

    Where several classes attain the maximum the gradient is that of the first, and 0 where
    the loss is 0. Two classes have one score, and the loss is ``Hinge``.

    Parameters
    ----------
    margin : float, default=1.0
        By how much the score of the true class must exceed all others.

    Notes
    -----
    .. math:: \ell(k, z) = \max\left(0,\, \max_{j \ne k} (\mathrm{margin} + z_j) - z_k\right)

    References
    ----------
    .. [1] Crammer & Singer, "On the algorithmic implementation of multiclass kernel-based
       vector machines", JMLR 2, 2001.

    Examples
    --------
    >>> from sklearn_margin.losses import CrammerSinger
    >>> CrammerSinger().value([0, 1], [[2.0, 0.5, 1.5], [0.0, 3.0, 1.0]])
    0.25
    """

    nonnegative = True
    shift_invariant = True
    hinge_shape = "largest"

    def __init__(self, margin: float = 1.0) -> None:
        self.margin = margin

    def check_params(self) -> None:
        check_number(self.margin, "margin", minimum=0)

    def sample_value(self, k: int, z: Array) -> float:
        worst = 0.0
        for j in range(z.shape[0]):
            if j != k:
                worst = max(worst, self.margin + (z[j] - z[k]))
        return worst

    def sample_gradient(self, k: int, z: Array, out: Array) -> None:
        worst, rival = 0.0, k
        for j in range(z.shape[0]):
            out[j] = 0.0
            if j != k and self.margin + (z[j] - z[k]) > worst:
                worst, rival = self.margin + (z[j] - z[k]), j
        if rival != k:
            out[rival] = 1.0
            out[k] = -1.0

    # The slopes of s * loss are g = p − s e_k with p on the simplex of size s, and
    # s ℓ(z) = max over p of p·t with t_j = margin·[j ≠ k] + z_j − z_k.

    def dual_step(self, k: int, z: Array, g: Array, s: float, norm: float, out: Array) -> float:
        low, lowest = math.inf, k
        for j in range(z.shape[0]):
            t = 0.0 if j == k else self.margin + (z[j] - z[k])
            p = g[j] + s if j == k else g[j]
            out[j] = p + t / norm
            if p > 0.0 and t < low:
                low, lowest = t, j
        excess = -math.inf
        for j in range(z.shape[0]):
            if j != lowest:
                t = 0.0 if j == k else self.margin + (z[j] - z[k])
                excess = max(excess, t - low)
        if excess > 0.0:
            tau = simplex_threshold(out, s)
            for j in range(z.shape[0]):
                out[j] = max(0.0, out[j] - tau)
            out[k] -= s
        return excess

    def dual_gap(self, k: int, z: Array, g: Array, s: float) -> float:
        loss = self.sample_value(k, z)
        gap = (g[k] + s) * loss
        for j in range(z.shape[0]):
            if j != k:
                gap += g[j] * (loss - (self.margin + (z[j] - z[k])))
        return gap

    def dual_flow(self, k: int, g: Array, s: float, v: Array, out: Array) -> None:
        # H = diag(p) − p pᵀ/s
        mean = (g[k] + s) * v[k]
        for j in range(g.shape[0]):
            if j != k:
                mean += g[j] * v[j]
        mean /= s
        for j in range(g.shape[0]):
            out[j] = (g[j] + s if j == k else g[j]) * (v[j] - mean)

    @property
    def binary(self):
        return Hinge(self.margin)

    def smoothed(self, width: float) -> Loss | None:
        return SmoothedCrammerSinger(self.margin, width)


class SmoothedCrammerSinger(CrammerSinger):
    """Moreau envelope of the Crammer-Singer loss, for solvers.

    With t_j = margin·[j ≠ k] + z_j − z_k the loss is the largest p·t over the simplex, and the
    envelope that of p·t − (w/2)‖p − e_k‖², attained where p is the projection of e_k + t/w.

    Parameters
    ----------
    margin : float, default=1.0
    width : float, default=0.1
        The parameter w of the envelope.
    """

    nonnegative = True

    def __init__(self, margin=1.0, width=0.1):
        super().__init__(margin)
        self.width = width

    def leading(self, k, z):
        """Index of the largest coordinate of e_k + t/w."""
        top, largest = k, self.width
        for j in range(z.shape[0]):
            if j != k and self.margin + (z[j] - z[k]) > largest:
                top, largest = j, self.margin + (z[j] - z[k])
        return top

    def shifted(self, k, z, j, top):
        """Coordinate j of e_k + t/w less the largest one, from a difference of scores: that of two
        coordinates is as far off as both are large."""
        if j == top:
            return 0.0
        if j == k:
            return (self.width - (self.margin + (z[top] - z[k]))) / self.width
        if top == k:
            return (self.margin + (z[j] - z[k]) - self.width) / self.width
        return (z[j] - z[top]) / self.width

    def project(self, k, z, out):
        """The projection p_j = [e_k + t/w − τ]₊, to ``out``."""
        top = self.leading(k, z)
        for j in range(z.shape[0]):
            out[j] = self.shifted(k, z, j, top)
        tau = simplex_threshold(out, 1.0)
        for j in range(z.shape[0]):
            out[j] = max(0.0, out[j] - tau)

    def value_at(self, k: int, z: Array, g: Array) -> float:
        """The loss, given its gradient p − e_k."""
        value = 0.0
        for j in range(z.shape[0]):
            t = 0.0 if j == k else self.margin + (z[j] - z[k])
            value += g[j] * t - 0.5 * self.width * g[j] * g[j]
        return value

    def sample_value(self, k: int, z: Array) -> float:
        g = np.empty(z.shape[0])
        self.sample_gradient(k, z, g)
        return self.value_at(k, z, g)

    def sample_gradient(self, k: int, z: Array, out: Array) -> None:
        self.project(k, z, out)
        out[k] -= 1.0

    def scores_value_gradient(self, k: Array, z: Array, s: Array, out: Array) -> float:
        return float(_value_gradient_at_once(self, k, z, s, out))

    def sample_curvature(self, k: int, z: Array, out: Array) -> None:
        # 1/w on the support S of p: the Hessian is (I − 11ᵀ/|S|)/w there, 0 if S is one class.
        self.project(k, z, out)
        count = 0
        for j in range(z.shape[0]):
            count += out[j] > 0.0
            out[j] = 1.0 / self.width if out[j] > 0.0 else 0.0
        if count == 1:
            out[:] = 0.0

    def curvature_product(self, k: int, a: Array, v: Array, out: Array) -> None:
        total, count = 0.0, 0
        for j in range(a.shape[0]):
            if a[j] > 0:
                total += v[j]
                count += 1
        mean = total / max(count, 1)
        for j in range(a.shape[0]):
            out[j] = a[j] * (v[j] - mean) if a[j] > 0 else 0.0

    @property
    def envelope_width(self) -> float:
        return self.width


@kernel
def _value_gradient_at_once(loss, k, z, s, out):
    """As for other losses, with one projection for the value and the gradient."""
    total = 0.0
    for i in range(z.shape[0]):
        if s[i] != 0:
            loss.sample_gradient(k[i], z[i], out[i])
            total += s[i] * loss.value_at(k[i], z[i], out[i])
            for j in range(z.shape[1]):
                out[i, j] *= s[i]
        else:
            out[i, :] = 0.0
    return total


class WestonWatkins(MulticlassLoss):
    r"""Multiclass hinge loss of Weston and Watkins [1]_, Σ_{j≠k} [margin + z_j − z_k]₊.

    The derivative at a kink is taken to be 0. Two classes have one score, and the loss is
    ``Hinge``.

    Parameters
    ----------
    margin : float, default=1.0
        By how much the score of the true class must exceed each other.

    Notes
    -----
    .. math:: \ell(k, z) = \sum_{j \ne k} \max(0,\, \mathrm{margin} + z_j - z_k)

    References
    ----------
    .. [1] Weston & Watkins, "Support vector machines for multi-class pattern recognition",
       ESANN 1999.

    Examples
    --------
    >>> from sklearn_margin.losses import WestonWatkins
    >>> WestonWatkins().value([0, 1], [[2.0, 1.5, 1.5], [0.0, 3.0, 1.0]])
    0.5
    """

    nonnegative = True
    shift_invariant = True
    hinge_shape = "sum"

    def __init__(self, margin: float = 1.0) -> None:
        self.margin = margin

    def check_params(self) -> None:
        check_number(self.margin, "margin", minimum=0)

    def sample_value(self, k: int, z: Array) -> float:
        total = 0.0
        for j in range(z.shape[0]):
            if j != k:
                total += max(0.0, self.margin + (z[j] - z[k]))
        return total

    def sample_gradient(self, k: int, z: Array, out: Array) -> None:
        count = 0.0
        for j in range(z.shape[0]):
            out[j] = 1.0 if j != k and self.margin + (z[j] - z[k]) > 0 else 0.0
            count += out[j]
        out[k] = -count

    # The slopes of s * loss are 0 ≤ g_j ≤ s for j ≠ k, and g_k is less their sum.

    def dual_step(self, k: int, z: Array, g: Array, s: float, norm: float, out: Array) -> float:
        excess = -math.inf
        for j in range(z.shape[0]):
            u = self.margin + (z[j] - z[k])
            if j != k:
                out[j] = g[j] + u / norm
                miss = u if g[j] <= 0.0 else (-u if g[j] >= s else abs(u))
                excess = max(excess, miss)
        if excess > 0.0:
            self.clip_slopes(k, g[k], s, out)
        return excess

    def clip_slopes(self, k, g_k, s, out):
        """Slopes clip(out_j − δ, 0, s), where δ is by how much their sum grows: −g_k is the sum
        before. Newton's method, kept within bounds, on a decreasing, piecewise linear function.
        """
        low, high, delta = g_k, g_k + (out.shape[0] - 1) * s, 0.0
        for _ in range(4 * out.shape[0] + 8):
            total, inside = g_k - delta, 1
            for j in range(out.shape[0]):
                if j != k:
                    total += min(s, max(0.0, out[j] - delta))
                    if 0.0 < out[j] - delta < s:
                        inside += 1
            if abs(total) <= 1e-16 * s:
                break
            if total > 0.0:
                low = delta
            else:
                high = delta
            after = delta + total / inside
            if not low < after < high:
                after = 0.5 * (low + high)
            if after == delta:
                break
            delta = after
        total = 0.0
        for j in range(out.shape[0]):
            if j != k:
                out[j] = min(s, max(0.0, out[j] - delta))
                total += out[j]
        out[k] = -total

    def dual_gap(self, k: int, z: Array, g: Array, s: float) -> float:
        gap = 0.0
        for j in range(z.shape[0]):
            if j != k:
                u = self.margin + (z[j] - z[k])
                gap += (s - g[j]) * u if u > 0.0 else -g[j] * u
        return gap

    def dual_flow(self, k: int, g: Array, s: float, v: Array, out: Array) -> None:
        # H = Σ g_j (1 − g_j/s) (e_j − e_k)(e_j − e_k)ᵀ
        total = 0.0
        for j in range(g.shape[0]):
            if j != k:
                out[j] = g[j] * (1.0 - g[j] / s) * (v[j] - v[k])
                total += out[j]
        out[k] = -total

    @property
    def binary(self):
        return Hinge(self.margin)

    def smoothed(self, width: float) -> Loss | None:
        return SmoothedWestonWatkins(self.margin, width)


class SmoothedWestonWatkins(WestonWatkins):
    """Weston-Watkins loss with each of its hinges smoothed, for solvers.

    Parameters
    ----------
    margin : float, default=1.0
    width : float, default=0.1
        Width w of the quadratic part of each hinge.
    """

    nonnegative = True

    def __init__(self, margin=1.0, width=0.1):
        super().__init__(margin)
        self.width = width

    def sample_value(self, k: int, z: Array) -> float:
        total = 0.0
        for j in range(z.shape[0]):
            if j != k:
                total += envelope(self.margin + (z[j] - z[k]), self.width)
        return total

    def sample_gradient(self, k: int, z: Array, out: Array) -> None:
        total = 0.0
        for j in range(z.shape[0]):
            out[j] = 0.0 if j == k else envelope_gradient(self.margin + (z[j] - z[k]), self.width)
            total += out[j]
        out[k] = -total

    def sample_curvature(self, k: int, z: Array, out: Array) -> None:
        # Second derivatives of the hinges: the Hessian is Σ a_j (e_j − e_k)(e_j − e_k)ᵀ.
        for j in range(z.shape[0]):
            out[j] = 0.0 if j == k else envelope_hessian(self.margin + (z[j] - z[k]), self.width)

    def curvature_product(self, k: int, a: Array, v: Array, out: Array) -> None:
        total = 0.0
        for j in range(a.shape[0]):
            out[j] = a[j] * (v[j] - v[k])
            total += out[j]
        out[k] = -total

    @property
    def envelope_width(self) -> float:
        return self.width

    def envelope_gain(self, k: Array, g: Array, s: Array) -> float:
        # What is smoothed are the slopes of the hinges, which the true class has none of.
        g = g.copy()
        g[np.arange(len(k)), k] = 0.0
        return super().envelope_gain(k, g, s)
