"""What points tell of the minimum: dual points, made feasible, and the duality gaps they prove.

The slopes of L by score at a point are a dual point if they sum to zero, where there is an
intercept, and if X̃ᵀ of them vanishes for the coefficients that nothing holds. If not, they are
multiplied (``gap``), or those of one sign are (``cancel_sum``), or parameters move to where they
do (``with_best_intercept``, ``minimized_over_loose``). Better dual points cost more: see
``loose_slopes.py``, ``refined_gap.py`` and ``sample_gap.py``.
"""

import numpy as np
from scipy.optimize import brentq

from sklearn_margin.objective.loose_slopes import MeanOfSlopes, without_loose_slopes
from sklearn_margin.objective.point import Point

__all__ = ["Certified"]

_MOST_LOOSE = 200  # parameters whose slopes are made to vanish for a certificate
_MOST_STEPS = 30
_MOST_NUMBERS = 10_000_000  # scores along such parameters that are held at a time


class Certified:
    """What bounds F − min F for a ``LinearObjective``: a part of it, in a file of its own."""

    #: Whether a dual point may be multiplied by κ although it is feasible.
    shrinks = True

    @property
    def has_gap(self) -> bool:
        """Whether there is a duality gap: the loss is convex, and something is penalised."""
        return self.loss.convex and not self.penalty.is_zero

    def gap(self, params, gradient, slopes, loss) -> float | None:
        r"""Duality gap at a point: a bound on F − min F, from the gradient of F alone.

        For convex L the score gradient g is a dual point, by Fenchel's equality
        L*(g) = g·z − L(z). With v = X̃ᵀg and penalties P_j the gap is
        Σ [P_j(u_j) + P_j*(−v_j) + u_j v_j]: with an L2 penalty alone, ½ Σ (∂F/∂u_j)² / λ_j. So it
        is with an offset o, too: the dual objective has −g·o more, which is in g·z.

        Losses that are not negative have ℓ*(0) ≤ 0, and by convexity ℓ*(κ g) ≤ κ ℓ*(g) for
        κ in [0, 1]. That gives two ways to mend a g that is not feasible, at a price of
        (1 − κ) L each. With an intercept Σg must vanish: where it is more than rounding error,
        the entries of the sign that prevails are multiplied by κ. Since columns of X̃ have
        root mean square 1, it changes no v_j by more than (1 − κ) √(n Σ g_i²). And all of g may
        be multiplied by κ: so that \|v_j\| does not exceed the strength of an L1 penalty, or as
        is best for an L2 penalty. With κ = 0 the gap is F itself; it is never larger.

        Parameters
        ----------
        params, gradient : ndarray of shape (n_params,)
            A point and the gradient of F there.
        slopes : Slopes
            Gradient of L with respect to the scores.
        loss : float
            L at the scores.

        Returns
        -------
        float or None
            Infinity where g cannot be mended. None where there is no such bound: a loss that is
            not convex, no penalty.
        """
        if not self.has_gap:
            return None
        u, _ = self.split(params)
        slope, b_slope = self.split(gradient)
        most = loss + self.penalty.value(u) if self.may_scale else np.inf
        slack, share = 0.0, 0.0
        slope = self.without_rounding(slope, slopes)
        if np.abs(b_slope).max() > self.imbalance * slopes.size:
            share, slack = self.share_to_cancel(slopes, b_slope) if self.may_scale else (1.0, 0.0)
            if share >= 1 or self.penalty.loose is not None:
                return most
            moved = slopes.moved(share, float(np.max(b_slope)))
            if moved is not None:
                slope, slack = slope + self.split(moved)[0], 0.0
        return min(self.penalty_gap(u, slope, slack, loss) + share * loss, most)

    def penalty_gap(self, u, slope, slack, loss) -> float:
        """The penalty's part of a gap, with the best multiple κ of the dual point.

        Parameters
        ----------
        u, slope : ndarray of shape (d,)
            Coordinates, and X̃ᵀg plus the gradient of the penalty there.
        slack : float or ndarray of shape (d,)
            By how much entries of X̃ᵀg may be off.
        loss : float
            What 1 − κ is multiplied by, if κ may be less than one.
        """
        residual = self.penalty.without_l1(u, slope)
        return self.penalty.gap(u, residual, slack, self.scale_price(loss))[0]

    def without_rounding(self, slope, slopes):
        """``slope`` with zeros where nothing is penalised and it is rounding error."""
        loose = self.penalty.loose
        if loose is None:
            return slope
        slope = slope.copy()
        slope[loose[np.abs(slope[loose]) <= self._zero_slope(slopes)]] = 0.0
        return slope

    @property
    def imbalance(self):
        r"""What Σg may be of Σ \|g\| and count as zero."""
        rounding = 5 * float(np.finfo(self.rows.dtype).eps) * self.n_outputs
        return rounding if self.may_scale else max(rounding, 1e-12)

    def _zero_slope(self, slopes):
        """What entries of X̃ᵀg may be and count as zero: columns have root mean square 1."""
        return self.imbalance * np.sqrt(slopes.n) * slopes.norm

    def loose_parameters(self, params, gradient, slopes):
        """Numbers of the parameters that no penalty holds and no bound, at a point where one of
        them has a slope; None where none has."""
        penalty, (u, _) = self.penalty, self.split(params)
        loose = penalty.loose
        low, high, slope = u <= penalty.lower, u >= penalty.upper, self.split(gradient)[0]
        held = (low & (slope >= 0)) | (high & (slope <= 0))
        loose = loose[~held[loose]]
        within = np.abs(slope[loose]) <= self._zero_slope(slopes)
        intercepts = np.arange(len(u), self.n_params)
        balanced = np.abs(gradient[intercepts]) <= self.imbalance * slopes.size
        return None if within.all() and balanced.all() else np.r_[loose, intercepts]

    def minimized_over_loose(self, point) -> Point:
        """The point from which no step of the parameters that no penalty holds lowers F: there
        X̃ᵀg vanishes for these, as that of a dual point must. By Newton's method; X is not read."""
        index = self.loose_parameters(point.params, point.gradient, point.slopes)
        if index is None or not self.has_hessian or len(index) > _MOST_LOOSE:
            return point
        directions, z, step = self._directions(index), point.scores, np.zeros(len(index))
        for _ in range(_MOST_STEPS):
            curvature = self.curvature(z)
            slope = np.array([np.vdot(curvature.gradient, v) for v in directions], np.float64)
            size = self.imbalance * self.slopes(curvature.gradient).size
            if np.abs(slope).max() <= 0.1 * size:
                break
            products = [curvature.product(v) for v in directions]
            hessian = np.array([[np.vdot(v, p) for v in directions] for p in products], np.float64)
            move = -np.linalg.lstsq(hessian, slope, rcond=None)[0]
            with np.errstate(over="ignore"):
                dz = sum(t * v for t, v in zip(move, directions, strict=True)).astype(z.dtype)
            if not np.isfinite(dz).all():  # hardly any curvature is left
                break
            length = 1.0
            most = curvature.value + 4 * float(np.finfo(z.dtype).eps) * abs(curvature.value)
            while self.score_value(z + length * dz) > most and length > 1e-3:
                length *= 0.5
            if length <= 1e-3:
                break
            z, step = z + length * dz, step + length * move
        params = point.params.copy()
        params[index] += step
        u, _ = self.split(params)
        return Point(self, params) if np.array_equal(self.penalty.clip(u), u) else point

    def gap_of_mean(self, point) -> float:
        """Duality gap at a point, from slopes near it that are corrected so that X̃ᵀ of them
        vanishes for the parameters that no penalty holds; infinity if there are none."""
        mean = self.mean_of_slopes(point.params, point.gradient, point.slopes, point.scores)
        if mean is None:
            return np.inf
        gradient = self.gradient_from(point.params, mean.g)
        return mean.excess + self.gap(point.params, gradient, self.slopes(mean.g), point.loss)

    def mean_of_slopes(self, params, gradient, slopes, z) -> MeanOfSlopes | None:
        """As ``without_loose_slopes``; None where there is no need or no way."""
        index = self.loose_parameters(params, gradient, slopes)
        if index is None or not self.has_hessian or len(index) * z.size > _MOST_NUMBERS:
            return None
        return without_loose_slopes(self, z, self._directions(index))

    def _directions(self, index):
        """Scores of unit parameters."""
        (n, d), k = self.rows.shape, self.n_outputs
        which = index[index < k * d] % d
        columns = self.rows.standardized_columns(which)
        found = [columns[:, j] for j in range(len(which))]
        found += [np.ones(n, self.rows.dtype)] * (len(index) - len(which))
        if k == 1:
            return found
        outputs = [i // d if i < k * d else i - k * d for i in index]
        by_output = np.zeros((len(index), n, k), self.rows.dtype)
        for whole, column, c in zip(by_output, found, outputs, strict=True):
            whole[:, c] = column
        return list(by_output)

    def with_best_intercept(self, params) -> np.ndarray:
        """Parameters with the intercept that is best for the coefficients: the slopes of the loss
        then sum to zero, as those of a dual point must. Reads X once, for the scores."""
        z = self.scores(params)
        g = np.empty_like(z)

        def slope(shift):
            self.score_gradient((z + shift).astype(z.dtype), g)
            return float(g.sum(dtype=np.float64))

        return self._at_zero_slope(params, slope)

    @staticmethod
    def _at_zero_slope(params, slope):
        """As ``with_best_intercept``, where ``slope(shift)`` is the sum of slopes of scores that
        are shifted."""
        far = 1.0 if slope(0.0) < 0 else -1.0
        while slope(far) * far < 0:
            far *= 4.0
            if abs(far) > 1e12:
                return params
        best = params.copy()
        best[-1] += brentq(slope, 0.0, far, xtol=1e-300, rtol=1e-15, maxiter=200, disp=False)
        return best

    def refined_gap(self, params) -> float:
        """As ``gap``, from a dual point that is better and takes longer to find; infinity where
        none is known."""
        return np.inf

    @property
    def may_scale(self):
        """Whether κg is a dual point, for κ in [0, 1], if g is."""
        return self.loss.nonnegative

    def scale_price(self, loss):
        """What multiplying g by κ costs, by 1 − κ; infinity if it must not be."""
        wanted = self.shrinks or self.penalty.has_l1
        return loss if wanted and self.may_scale else np.inf

    def share_to_cancel(self, slopes, total):
        """The smallest share 1 − κ to remove from the entries of the prevailing sign so that g sums
        to zero, and a bound on the change of entries of X̃ᵀg."""
        share = abs(total) / (0.5 * (slopes.size + abs(total)))
        return share, share * np.sqrt(slopes.n) * slopes.norm

    # --- dual points that a subclass knows ---

    def envelope_excess(self, smooth, z) -> tuple[float, float, np.ndarray]:
        """L, how far it exceeds an envelope L_w beyond what its dual value does, and L_w's slopes.

        Parameters
        ----------
        smooth : LinearObjective
            This objective with the envelope for its loss.
        z : ndarray of shape (n,)
            Scores.

        Returns
        -------
        loss : float
            L(z).
        excess : float
            [L(z) − L_w(z)] − [L_w*(g) − L*(g)], not negative.
        g : ndarray of shape (n,)
            Gradient of L_w.
        """
        raise NotImplementedError

    def envelope_gain(self, envelope, g) -> float:
        """L_w*(g) − L*(g) for slopes g of an envelope L_w; zero, which is no more, if unknown."""
        return 0.0

    def foreseen(self, z, dz, there) -> float:
        """The slopes g + ∇²L·dz of the quadratic model of L as a dual point for the scores
        ``there``.

        Parameters
        ----------
        z, dz, there : ndarray of shape (n,)
            Scores where the model is that of L, a step along them, and scores near z + dz. The
            slopes go to ``dz``.

        Returns
        -------
        float
            At least L(there) + L*(slopes) − slopes·there; infinity if the slopes are not known to
            be a dual point.
        """
        return np.inf

    def cancel_sum(self, g) -> float:
        """Make slopes that are a dual point, κg for them by row, sum to zero, if there is an
        intercept; the largest 1 − κ, which times L is the price."""
        total = float(g.sum(dtype=np.float64)) if self.fit_intercept else 0.0
        if total == 0.0:
            return 0.0
        side = g > 0 if total > 0 else g < 0
        share = min(total / float(g.sum(where=side, dtype=np.float64)), 1.0)
        np.multiply(g, 1.0 - share, out=g, where=side, casting="same_kind")
        return share
