"""Huber's regression with its scale: the scale is minimised over, given the scores."""

from functools import partial

import numpy as np

from sklearn_margin._jit import REASSOCIATE, kernel
from sklearn_margin.objective.base import LinearObjective
from sklearn_margin.objective.point import Reading, largest_of
from sklearn_margin.objective.pointwise import DiagonalCurvature, PointwiseObjective
from sklearn_margin.objective.slopes import SlopeSums

__all__ = ["ConcomitantHuberObjective", "scale_root"]

_PASS = 4  # entries of X per row that a pass over residuals is as much work as
_FEW = 4_000  # rows whose scale is a guess of that of all


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
        sigma, guess = 0.0, self._last or self._rough_scale(z)
        if guess > 0.0:
            tau = scale_root(self._squares(z, guess), float(self.loss.delta), 1.0, True)
            sigma = guess * np.sqrt(tau)
        if sigma == 0.0:
            sigma = self._scale_from_above(self.y - z, self.s, partial(self._squares, z))
        self._last = sigma
        return max(sigma, self.smallest)

    def _squares(self, z, unit):
        """A function for the sums of ``_squares_within`` over all rows, of residuals in units of
        ``unit``."""

        def sums(bound):
            parts = self.rows.run(
                lambda w: _squares_within(self.y[w], z[w], self.s[w], 1.0 / unit, bound),
                self._slices(), _PASS * len(z),
            )  # fmt: skip
            return tuple(sum(part) for part in zip(*parts, strict=True))

        return sums

    def _scale_from_above(self, r, s, squares):
        """σ of residuals r, without a guess; ``squares(unit)`` as ``_squares``. 0 if there is
        none."""
        r, s = r[s > 0], s[s > 0]
        largest = largest_of(r)
        if not largest > 0.0:
            return 0.0
        r = r / largest
        tau = float(np.sum(s * r * r, dtype=np.float64))
        return largest * np.sqrt(scale_root(squares(largest), float(self.loss.delta), tau, False))

    def _rough_scale(self, z):
        """σ of some of many rows; 0 if rows are few."""
        step = len(z) // _FEW
        if step < 2:
            return 0.0
        y, z, s = (np.ascontiguousarray(v[::step]) for v in (self.y, z, self.s))
        s = s / max(float(s.sum(dtype=np.float64)), 1e-300)
        s = s.astype(z.dtype, copy=False)

        def squares(unit):
            return lambda bound: _squares_within(y, z, s, 1.0 / unit, bound)

        return self._scale_from_above(y - z, s, squares)

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

    def seen_by(self, sample, point, z):
        return _JointRows(self, sample, point, z)

    def read(self, params, start=None) -> Reading:
        """As of other losses. σ rests on all scores, which are known after the read only: the
        slopes in it are those of a guess of σ. Within the threshold slopes are proportional to
        1/σ, beyond it they are constant: apart, the two parts of X̃ᵀg make that of the exact σ, but
        for the few rows that are within one threshold and beyond the other, which are corrected.
        """
        z, epsilon = np.empty(self.rows.shape[0], self.rows.dtype), float(self.loss.delta)
        guess = float(self._guess(params, start))

        def slopes(w, change):
            there = self.scores_read(w, change, start, z)
            apart = np.empty((len(there), 2), z.dtype)
            _slopes_apart(self.y[w], there, self.s[w], epsilon, guess, apart)
            return 0.0, apart

        _, projected, total = self.rows.through_scores(*self.split(params), slopes)
        return self._exact(z, start, guess, projected, total)

    def _exact(self, z, start, guess, projected, total):
        """The ``Reading`` at scores ``z``, from X̃ᵀg and Σg, in two parts, for the scale
        ``guess``."""
        sigma, epsilon, n = float(self.scale(z)), float(self.loss.delta), len(z)
        before = z if start is None else start

        def work(w):
            some = np.arange(w.start, w.stop)
            sums, error = np.zeros(6), np.empty_like(z[w])
            y, there, s = self.y[w], z[w], self.s[w]
            _joint_sums(y, there, before[w], s, epsilon, sigma, sums)
            few = _beyond_one(y, there, s, epsilon, sigma, guess, some, error)
            return sums[:4], sums[4:], some[:few], error[:few]

        found, peaks, index, error = zip(*self.rows.run(work, self.rows.ranges), strict=True)
        loss, slope, size, squares = sum(found).tolist()
        parts = np.array([guess / sigma, 1.0])
        projected, total = parts @ projected, float(parts @ total)
        index = np.concatenate(index)
        if len(index) > n // 4:  # no longer few
            g = np.empty_like(z)
            self.score_gradient(z, g)
            projected, total = self.rows.backproject(g)
        elif len(index):
            moved, more = self.rows.take(index).backproject(np.concatenate(error))
            projected, total = projected + moved, total + more
        slopes = SlopeSums(n, size, squares)
        return Reading(z, *np.max(peaks, axis=0).tolist(), loss, slope, slopes,
                       self.join(projected, total))  # fmt: skip

    def _guess(self, params, start):
        """About σ at the scores of ``params``, or along a line that begins at ``start``."""
        if self.held is None and start is None:
            some = self.take(np.arange(0, len(self.y), max(10, len(self.y) // _FEW)))
            self._last = some.scale(some.scores(params))
        return max(self._last if self.held is None else self.held, self.smallest)

    value_gradient = LinearObjective.value_gradient  # σ needs all scores first
    draws_samples = has_diagonal_hessian = foresees = False


class _JointRows:
    r"""Slopes of a sample of the rows as part of a dual point; see ``reached_gap``.

    With σ free L* is g·y where Σ g²/s ≤ Σ s and \|g_i\| ≤ epsilon·s_i. So changes are clipped, and
    then all slopes multiplied by κ ≤ 1 such that the first holds: L exceeds what the dual point
    says by (1 − κ) L + κ Δ·r.
    """

    def __init__(self, objective, sample, point, z):
        self.loss, epsilon = point.loss, float(objective.loss.delta)
        sigma = objective.scale(point.scores)
        self.is_free = sigma > objective.smallest
        self.s = sample.s.astype(np.float64) * sample.share
        self.r = sample.y.astype(np.float64) - z
        self.g = self.s * np.clip(self.r / -sigma, -epsilon, epsilon)
        self.bound, self.dtype = epsilon * self.s, sample.rows.dtype

    def reached(self, wanted):
        """As of ``SampledRows``."""
        change = np.clip(wanted, -self.bound - self.g, self.bound - self.g).astype(self.dtype)
        exact, used = change.astype(np.float64), self.s > 0
        grown = float(np.sum((exact * (2 * self.g + exact))[used] / self.s[used]))
        kappa = 1.0 / np.sqrt(1.0 + max(grown, 0.0))
        moved = exact * self.r
        known = self.is_free and float(np.abs(moved).sum()) <= self.loss
        price = max((1.0 - kappa) * self.loss + kappa * float(moved.sum()), 0.0)
        return change, price + 1e-14 * self.loss if known else np.inf, kappa


def scale_root(squares, epsilon, tau, either_side):
    """τ where A(τ) = τ, with squares in units such that they neither overflow nor vanish. From the
    left of the root the first step leads to its right. 0 if there is none.

    ``squares(bound)`` are Σ s r² of the rows with r² ≤ ``bound``, and Σ s of the others.
    """
    for k in range(100):
        inside, outside = squares(epsilon * epsilon * tau)
        slope = 1.0 - epsilon * epsilon * outside
        if slope <= 0.0:
            return 0.0
        previous, tau = tau, inside / slope
        if tau >= previous * (1.0 - 1e-15) and not (k == 0 and either_side):
            break
    return tau


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
def _slopes_apart(y, z, s, epsilon, sigma, out):
    """Slopes of residuals within the threshold, and of those beyond it, zeros elsewhere."""
    bound, inverse = epsilon * sigma, 1.0 / sigma
    for i in range(z.shape[0]):
        r = y[i] - z[i]
        inside = abs(r) <= bound
        out[i, 0] = -s[i] * r * inverse if inside else 0.0
        out[i, 1] = 0.0 if inside else (-s[i] * epsilon if r > 0 else s[i] * epsilon)


@kernel(fastmath=REASSOCIATE)
def _joint_sums(y, z, before, s, epsilon, sigma, sums):
    r"""L, g·(z − before), Σ \|g\|, Σ g², and the largest absolute score and change of one, to
    ``sums``, with the slopes g."""
    inverse = 1.0 / sigma
    total = slope = size = squares = largest = longest = 0.0
    for i in range(z.shape[0]):
        r, change = (y[i] - z[i]) * inverse, z[i] - before[i]
        q = min(max(r, -epsilon), epsilon)
        g = s[i] * q
        total += g * (r - 0.5 * q) + 0.5 * s[i] if s[i] != 0 else 0.0
        slope -= g * change
        size += abs(g)
        squares += g * g
        largest = max(largest, abs(z[i]))
        longest = max(longest, abs(change))
    sums[0], sums[1], sums[2], sums[3] = sigma * total, slope, size, squares
    sums[4], sums[5] = largest, longest


@kernel
def _beyond_one(y, z, s, epsilon, sigma, guess, index, error):
    """The rows that are within the threshold of one scale and beyond that of the other, which go to
    ``index``: how many, and what slopes exceed those of ``_slopes_apart`` for ``guess``, less
    their scale, by, to ``error``. ``index`` numbers the rows before.
    """
    count, bound, old = 0, epsilon * sigma, epsilon * guess
    for i in range(z.shape[0]):
        r = y[i] - z[i]
        if (abs(r) <= bound) != (abs(r) <= old):
            at_end = -s[i] * epsilon if r > 0 else s[i] * epsilon
            inside = -s[i] * r / sigma
            error[count] = inside - at_end if abs(r) <= bound else at_end - inside
            index[count] = index[i]
            count += 1
    return count


@kernel(fastmath=REASSOCIATE)
def _concomitant_gradient(y, z, s, epsilon, sigma, out):
    """Σ s [1/2 + ρ(r/σ)]; slopes of σ times that go to ``out``."""
    total, inverse = 0.0, 1.0 / sigma
    for i in range(z.shape[0]):
        r = (y[i] - z[i]) * inverse
        q = min(max(r, -epsilon), epsilon)
        total += s[i] * (q * (r - 0.5 * q) + 0.5) if s[i] != 0 else 0.0
        out[i] = -s[i] * q
    return total
