"""Huber's regression with its scale: the scale is minimised over, given the scores."""

import numpy as np

from sklearn_margin._jit import REASSOCIATE, kernel
from sklearn_margin.objective.base import LinearObjective
from sklearn_margin.objective.point import largest_of
from sklearn_margin.objective.pointwise import DiagonalCurvature, PointwiseObjective

__all__ = ["ConcomitantHuberObjective"]


class ConcomitantHuberObjective(PointwiseObjective):
    """Huber's joint estimate of location and scale, with the scale minimised out.

    L(z) = min over σ > 0 of Σ s_i [σ/2 + σ ρ((y_i − z_i)/σ)], with ρ the Huber loss of
    threshold ``epsilon`` [1]_. The inner function is jointly convex, so L is convex; by the
    envelope theorem its gradient is that at the minimising σ, and its Hessian is
    diag(h) − q qᵀ/p, where over the rows with \\|r_i\\| ≤ epsilon·σ: h_i = s_i/σ,
    q_i = s_i r_i/σ², p = Σ s_i r_i²/σ³.

    σ² is the positive root of A(τ) = τ with A(τ) = Σ s_i min(r_i², epsilon²·τ). A is
    concave, so Newton's method from the right descends to it without overshooting.

    Parameters
    ----------
    loss : Huber
        Its ``delta`` is epsilon.
    rows, y, s, penalty, fit_intercept
        As in ``PointwiseObjective``.

    References
    ----------
    .. [1] Huber & Ronchetti, "Robust Statistics", 2nd edition, Wiley, 2009, section 7.7.
    """

    def __init__(self, loss, rows, y, s, **settings):
        super().__init__(loss, rows, y, s, **settings)
        self.smallest = self.smallest_scale(np.ptp(y[s > 0].astype(np.float64)))
        self._last = 0.0  # σ at the scores before: a start for the next search
        self.held: float | None = None  # σ, where it rests on other rows, too

    reads_once = False  # slopes rest on σ, which rests on all scores

    def with_offset(self, offset):
        new = super().with_offset(offset)
        if offset is not None:
            residuals = (self.y.astype(np.float64) - offset)[self.s > 0]
            new.smallest = self.smallest_scale(np.ptp(residuals))
        return new

    def smallest_scale(self, width) -> float:
        """The least σ where targets are in a range of this ``width``: a perfect fit has no scale,
        and residuals below this one count as zero."""
        info = np.finfo(self.y.dtype)  # weights are divided by it, in that dtype
        return max(width * np.sqrt(float(info.eps)), 100.0 * float(info.tiny))

    def scale(self, z) -> float:
        """The minimising σ at scores ``z``."""
        if self.held is not None:
            return max(self.held, self.smallest)
        sigma = 0.0
        if self._last > 0.0:
            tau = self._scale_from(z, self._last, 1.0, True)
            sigma = self._last * np.sqrt(tau)
        if sigma == 0.0:
            r = (self.y - z)[self.s > 0]
            largest = largest_of(r)
            if largest > 0.0:
                r /= largest
                tau = float(np.sum(self.s[self.s > 0] * r * r, dtype=np.float64))
                sigma = largest * np.sqrt(self._scale_from(z, largest, tau, False))
        self._last = sigma
        return max(sigma, self.smallest)

    def _scale_from(self, z, unit, tau, either_side):
        """τ in units of ``unit``², so that squares neither overflow nor vanish. From the left of
        the root the first step leads to its right. 0 if there is none."""
        epsilon = float(self.loss.delta)
        for k in range(100):
            bound = epsilon * epsilon * tau
            parts = self.rows.run(
                lambda w, bound=bound: _squares_within(
                    self.y[w], z[w], self.s[w], 1.0 / unit, bound
                ),
                self._slices(),
            )
            inside, outside = (sum(part) for part in zip(*parts, strict=True))
            slope = 1.0 - epsilon * epsilon * outside
            if slope <= 0.0:
                return 0.0
            previous, tau = tau, inside / slope
            if tau >= previous * (1.0 - 1e-15) and not (k == 0 and either_side):
                break
        return tau

    def score_value(self, z):
        return self.score_gradient(z, np.empty_like(z))

    def score_gradient(self, z, out):
        sigma, epsilon = self.scale(z), float(self.loss.delta)
        return sigma * self._sum(
            lambda w: _concomitant_gradient(self.y[w], z[w], self.s[w], epsilon, sigma, out[w])
        )

    def curvature(self, z, cautious=False):
        sigma = self.scale(z)
        epsilon = float(self.loss.delta)
        g = np.empty_like(z)
        value = self.score_gradient(z, g)
        r = self.y - z
        if cautious:
            # L is at most its value at this σ, and ρ at most a parabola through r_i.
            h = self.s / np.maximum(sigma, np.abs(r) / epsilon)
            return DiagonalCurvature(value, g, h.astype(z.dtype, copy=False))
        h = np.where(np.abs(r) <= epsilon * sigma, self.s / sigma, 0).astype(z.dtype, copy=False)
        q = h * r / sigma
        pivot = float((q @ r) / sigma)
        if sigma <= self.smallest or pivot <= 0:  # σ is held: no curvature through it
            return DiagonalCurvature(value, g, h)
        return DiagonalCurvature(value, g, h, q.astype(z.dtype, copy=False), pivot)

    def widest_curvature(self, z):
        return self.curvature(z)

    def corrected(self, z, curvature, wanted):
        r"""As for any loss, from the conjugate, which is known.

        With A(g) = Σ g_i²/(2 s_i) − ½ Σ s_i and σ ≥ ``smallest``, it is L*(g) = g·y +
        smallest·A(g) where A(g) ≤ 0 and \|g_i\| ≤ epsilon·s_i, and infinite elsewhere: the supremum
        over z at a fixed σ is g·y + σA(g). Where σ is free, A(g) = 0 at the slopes of L, so that
        g + Δ may have to be scaled back.
        """
        s, g = self.s.astype(np.float64), curvature.gradient.astype(np.float64)
        bound = float(self.loss.delta) * s
        delta = np.clip(wanted, np.minimum(-bound - g, 0.0), np.maximum(bound - g, 0.0))
        used = s > 0
        allowed = 0.5 * float(s.sum())
        reached = 0.5 * float(np.sum((g + delta)[used] ** 2 / s[used]))
        rounding = 1e-14 * curvature.value
        if reached > (1 + 1e-14) * allowed:
            excess = reached / allowed - 1
            root = np.sqrt(1 + excess)
            delta = delta / root - excess / (root * (1 + root)) * g
            reached = allowed
        residuals = self.y.astype(np.float64) - z
        price = curvature.value + float(g @ residuals) + float(delta @ residuals)
        price += self.smallest * min(reached - allowed, 0.0)
        return delta, max(price, 0.0) + rounding

    value_gradient = LinearObjective.value_gradient  # σ needs all scores first
    draws_samples = has_diagonal_hessian = foresees = False


@kernel(fastmath=REASSOCIATE)
def _squares_within(y, z, s, inverse, bound):
    """Σ s r² over the rows with r² ≤ ``bound``, where r = (y − z)·``inverse``, and Σ s over the
    others."""
    inside = outside = 0.0
    for i in range(z.shape[0]):
        r = (y[i] - z[i]) * inverse
        square = r * r
        within = square <= bound
        inside += s[i] * square if within else 0.0
        outside += 0.0 if within else s[i]
    return inside, outside


@kernel
def _concomitant_gradient(y, z, s, epsilon, sigma, out):
    total = 0.0
    for i in range(z.shape[0]):
        if s[i] != 0:
            r = (y[i] - z[i]) / sigma
            if abs(r) <= epsilon:
                total += s[i] * (0.5 + 0.5 * r * r)
                out[i] = -s[i] * r
            else:
                total += s[i] * (0.5 + epsilon * (abs(r) - 0.5 * epsilon))
                out[i] = -s[i] * epsilon if r > 0 else s[i] * epsilon
        else:
            out[i] = 0.0
    return total
