"""Points and lines: what a solver learns of an objective without holding a number per row."""

from collections.abc import Callable
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np

from sklearn_margin.objective.slopes import Slopes, SlopeSums

__all__ = ["MOST_LOST", "Envelope", "Line", "Point", "Reading", "largest_of"]

MOST_LOST = 100.0  # rounding errors of scores that were added to, before they are computed anew
_FARTHEST = 1e3  # how many times their size scores may move along a line


class Envelope(NamedTuple):
    """What an envelope L_w of the loss tells of L at a point."""

    loss: float  # L
    excess: float  # of L over L_w, beyond what its dual value does
    slopes: Slopes  # of L_w
    gradient: Callable  # of F, with the slopes of L_w, when it is called


class Reading(NamedTuple):
    """What one read of X tells of L at some scores: numbers, rather than slopes by row, which would
    be written to memory and read again."""

    scores: np.ndarray  # (n,)
    largest: float  # absolute score,
    largest_change: float  # and change of a score along a line
    loss: float
    slope: float  # of L along the line
    slopes: SlopeSums
    gradient: np.ndarray  # of L, by parameter


class Point:
    """A parameter vector of a linear objective, and what is known of the objective there.

    Scores are computed once and stay here, with the slopes of the loss by score. What is asked for
    is computed when it is asked for, and kept; of an objective that ``reads_once`` the scores,
    L and its gradient come from one read of X. A solver sees numbers, and arrays as long as the
    parameters.

    Parameters
    ----------
    objective : LinearObjective
    params : ndarray of shape (n_params,)
    scores : ndarray, default=None
        Scores by row, if they are known.

    Attributes
    ----------
    params : ndarray of shape (n_params,)
    """

    def __init__(self, objective, params, scores=None):
        self.objective = objective
        self.params = params
        self._scores = scores
        if scores is None and not objective.reads_once:
            self._scores = objective.scores(params)
        self._lost = 0.0  # rounding errors of the scores: see ``Line.move``
        self._known = self._loss = None  # L and its slopes; L
        self._gradient = self._curvature = self._largest = self._sums = None

    @property
    def u(self):
        """Coordinates of the parameters, the intercepts left out."""
        return self.objective.split(self.params)[0]

    def of(self, objective) -> "Point":
        """The same point of an objective that differs in its penalty."""
        new = Point(objective, self.params, self._scores)
        new._known, new._loss, new._largest = self._known, self._loss, self._largest
        new._lost, new._sums = self._lost, self._sums
        if self._gradient is not None:
            change = objective.penalty_gradient(self.params)
            change -= self.objective.penalty_gradient(self.params)
            new._gradient = self._gradient + change
        return new

    @property
    def _z(self):
        if self._scores is None:
            self._scores = self.objective.scores(self.params)
        return self._scores

    def under(self, objective) -> "Point":
        """The same point of an objective that differs in its loss."""
        new = Point(objective, self.params, self._scores)
        new._lost, new._largest = self._lost, self._largest
        return new

    def take(self, reading) -> None:
        """Take notice of what one read of X told of this point."""
        self._scores, self._sums = reading.scores, reading.slopes
        self._loss, self._largest = reading.loss, reading.largest
        self._gradient = reading.gradient + self.objective.penalty_gradient(self.params)

    def _slopes(self):
        if self._known is None:
            g = np.empty_like(self._z)
            self._known = self.objective.score_gradient(self._z, g), g
        return self._known

    @property
    def loss(self) -> float:
        """L, the loss alone."""
        if self._loss is None and self._scores is None:
            self.take(self.objective.read(self.params))
        elif self._loss is None:
            self._loss = self._slopes()[0]
        return self._loss

    @property
    def value(self) -> float:
        """F."""
        return self.loss + self.objective.penalty.value(self.u)

    @property
    def gradient(self) -> np.ndarray:
        """Gradient of F (a subgradient where there is a kink)."""
        if self._gradient is None and self._loss is None:
            _ = self.loss  # which may come with it
        if self._gradient is None:
            self._gradient = self.objective.gradient_from(self.params, self._slopes()[1])
        return self._gradient

    @property
    def has_gradient(self) -> bool:
        """Whether the gradient is known: it needs no further read of X."""
        return self._gradient is not None

    @property
    def scores(self) -> np.ndarray:
        """Scores by row, for solvers that visit rows."""
        return self._z

    @property
    def largest_score(self) -> float:
        """The largest absolute score."""
        if self._largest is None:
            self._largest = largest_of(self._z)
        return self._largest

    @property
    def noise(self) -> float:
        """About the norm of rounding errors in ``gradient``."""
        objective, slopes = self.objective, self.slopes
        size = slopes.norm * np.sqrt(slopes.n * objective.n_outputs * len(self.params))
        return float(np.finfo(objective.rows.dtype).eps) * size

    @property
    def polyak_length(self) -> float:
        """About the step of a gradient method at which the loss would vanish: L/‖g‖² by row."""
        loss, g = self._slopes()
        squares = float(np.square(g, dtype=np.float64).sum()) * g.size
        return max(loss, 1e-300) / max(squares, 1e-300)

    def gap(self) -> float | None:
        """Duality gap, a bound on F − min F; None where none is known."""
        if not self.objective.has_gap:
            return None
        gap = self.objective.gap(self.params, self.gradient, self.slopes, self.loss)
        if self.objective.penalty.loose is not None:
            other = self.objective.minimized_over_loose(self)
            known = gap
            if other is not self:
                slopes, loss = other.slopes, other.loss
                known = self.objective.gap(other.params, other.gradient, slopes, loss)
            # Where slopes that should vanish are rounding errors of the scores:
            known = min(known, self.objective.gap_of_mean(other))
            gap = min(gap, max(self.value - other.value, 0.0) + known)
        return gap

    @property
    def slopes(self) -> Slopes:
        """Slopes of the loss by score."""
        return self._sums or self.objective.slopes(self._slopes()[1])

    def envelope(self, smooth) -> "Envelope":
        """What the smoothed objective ``smooth`` tells of this one here."""
        objective = self.objective
        loss, excess, g = objective.envelope_excess(smooth, self._z)
        if objective.penalty.loose is not None:
            loss, excess, g = self._without_loose_slopes(smooth, loss, excess, g)
        gradient = partial(objective.gradient_from, self.params, g)
        return Envelope(loss, excess, objective.slopes(g), gradient)

    def _without_loose_slopes(self, smooth, loss, excess, g):
        """As ``envelope_excess``, for a mean of slopes where those here are no dual point."""
        objective, z = self.objective, self._z
        gradient = objective.gradient_from(self.params, g)
        mean = smooth.mean_of_slopes(self.params, gradient, objective.slopes(g), z)
        if mean is None:
            return loss, excess, g
        gain = objective.envelope_gain(smooth.loss, mean.g)
        excess = max(loss - smooth.score_value(z) - gain + mean.excess, 0.0)
        return loss, excess, mean.g

    # --- second derivatives ---

    def find_curvature(self, cautious=False) -> None:
        """Compute the curvature of L; with ``cautious`` an upper bound, where there is one."""
        self._curvature = self.objective.curvature(self._z, cautious)
        self._known = self._curvature.value, self._curvature.gradient

    @property
    def hessian_products(self) -> float:
        """What forming the Hessian costs, in products with it, where that depends on the point."""
        return self.objective.hessian_products(self._curvature)

    @property
    def curvature(self):
        """Derivatives of L by score, for solvers that visit rows; after ``find_curvature``."""
        return self._curvature

    def hessian(self) -> np.ndarray:
        """Hessian of F, of shape (n_params, n_params); after ``find_curvature``. Finds the
        gradient, too."""
        self._gradient, hessian = self.objective.gradient_hessian(self.params, self._curvature)
        return hessian

    def approximate_hessian(self):
        """An approximation of Hessians of F near the point, of fewer numbers; None if none is
        known. After ``find_curvature``."""
        return self.objective.approximate_hessian(self._curvature)

    def solves_with(self, approximate) -> Callable:
        """Function that solves with such an approximation in place of the Hessian here."""
        return approximate.inverse(self.objective, self._curvature)

    def hessian_product(self, v) -> np.ndarray:
        """Product of the Hessian of F with ``v``; after ``find_curvature``."""
        return self.objective.hessian_product(self._curvature, v)

    # --- from here to others ---

    def along(self, p) -> "Line":
        """The line from here in direction ``p``. Scores along it need room: what was computed here
        by row is dropped."""
        _ = self.value  # which is kept
        self._known = self._curvature = None
        return RowLine(self, p)

    def toward(self, params) -> "Line":
        """The line from here to ``params``, which are its point at t = 1 to the last digit."""
        line = self.along(params - self.params)
        line.end = params
        return line


def largest_of(v):
    """The largest absolute value, without an array for it."""
    return max(float(v.max(initial=0.0)), -float(v.min(initial=0.0)))


class Line:
    """The points at params + t·p. A subclass computes what there is by row.

    Where the curvature of L vanishes p can be as long as it likes: it is shortened, so that scores
    do not leave the range of numbers.

    Parameters
    ----------
    point : Point
        At t = 0.
    p : ndarray of shape (n_params,)
        The direction.

    Attributes
    ----------
    p : ndarray of shape (n_params,)
        The direction, shortened.
    shortened : float
        By what factor, 1 or less.
    step : float
        t of the point that ``search`` found; 0 if none.
    is_lower : bool
        Whether F where ``slope`` was asked for last is no higher than at 0.
    """

    #: What the slope at t = 1 may be of that at 0 for that point to be taken.
    enough = 0.1
    #: Whether the gradient at t = 1 is known: at another point it would be another read.
    knows_end = False

    def __init__(self, point, p):
        self.objective, self.params, self.value = point.objective, point.params, point.value
        self.end, self.step, self.is_lower = None, 0.0, False
        self._noise = 10 * float(np.finfo(self.objective.rows.dtype).eps) * abs(self.value)
        self._largest = point.largest_score
        self.shortened, self.p = self._shorten(point, p)
        du = self.objective.split(self.p)[0]
        self._penalty = self.objective.penalty.along(point.u, du)

    # --- what subclasses provide ---

    def _shorten(self, point, p):
        """Find the scores along ``p``: the factor by which it is shortened, and p shortened."""
        raise NotImplementedError

    def _slope(self, t) -> tuple[float, float]:
        """L at ``t``, and its slope by t."""
        raise NotImplementedError

    def falls(self, t, promised) -> bool:
        """Whether F at ``t`` is less than at 0 by a hundredth of what is ``promised``."""
        raise NotImplementedError

    def move(self, t) -> Point:
        """The point at ``t``."""
        raise NotImplementedError

    def foreseen_gap(self, new) -> float:
        """Duality gap at ``new``, which ``search`` found, if p is a Newton step; infinity where
        none is known.

        The dual point is the slopes g + ∇²L·X̃p that the quadratic model of L has at its minimum.
        There X̃ᵀ of them balances the penalty's slopes, which that of the slopes of L does up to
        terms of the second order only.
        """
        return np.inf

    # --- what they share ---

    def _params(self, t):
        ends = self.end is not None and t == self.shortened == 1.0
        return self.end if ends else self.objective.feasible(self.params + t * self.p)

    def _factor(self, largest):
        """What p is shortened by if the largest score along it is ``largest``."""
        return 1.0 / max(largest / (_FARTHEST * (1.0 + self._largest)), 1.0)

    def slope(self, t) -> float:
        """Slope of F by t, one pass over the scores. ``is_lower`` then tells whether F at ``t`` is
        no higher than at 0."""
        loss, slope = self._slope(t)
        slope += self._penalty.slope(t)
        self.is_lower = loss + self._penalty.value(t) <= self.value + self._noise
        if not np.isfinite(slope):
            self.is_lower = False
            return np.inf  # then the step is halved
        return slope

    def search(self, decrement) -> Point | None:
        """The point where the slope of F is zero, to a tenth of that at 0; None if there is none.

        The slope of a convex function is non-decreasing: bracket its zero, then close in by
        regula falsi with the Illinois rule. A point where F is above that at 0 is too far. With an
        L1 penalty the slope jumps where a coefficient is zero: then a tenth of the step will do,
        too.

        Parameters
        ----------
        decrement : float
            Minus the slope of F at 0, along ``p``.
        """
        goal, longest = 0.1 * decrement, min(self._penalty.longest, 1e12)
        low, slope_low = 0.0, -decrement
        high = min(1.0, longest)
        slope_high = self.slope(high)
        if self.is_lower and abs(slope_high) <= self.enough * decrement:
            return self._take(high)
        while slope_high < -goal and high < longest:
            low, slope_low = high, slope_high
            high = min(4.0 * high, longest)
            slope_high = self.slope(high)
        held = high == longest and slope_high < 0  # at a bound
        if (held or abs(slope_high) <= goal) and self.is_lower:
            return self._take(high)
        for _ in range(60):
            with np.errstate(all="ignore"):
                t = (low * slope_high - high * slope_low) / np.float64(slope_high - slope_low)
            if not low < t < high:
                t = 0.5 * (low + high)
            slope = self.slope(t)
            near = abs(slope) <= goal or (self._penalty.penalty.has_l1 and high - low <= 0.1 * low)
            if near and self.is_lower:
                return self._take(t)
            if slope > 0:
                high, slope_high, slope_low = t, slope, 0.5 * slope_low
            else:
                low, slope_low, slope_high = t, slope, 0.5 * slope_high
        return self._take(low) if low > 0 else None

    def _take(self, t):
        self.step = t
        return self.move(t)


class RowLine(Line):
    """A line whose scores are at hand: they need no further product with X.

    If the objective ``reads_once``, the point at t = 1, where most steps end, is known from the
    read of X that finds the scores.
    """

    def _shorten(self, point, p):
        self._z, self._lost = point._z, point._lost
        self._g = self._there = None  # slopes of L by score at the step looked at last
        self._end = None  # what is known of t = 1
        if self.objective.reads_once:
            self._end = self.objective.read(p, self._z)
            factor = self._factor(self._end.largest_change)
        else:
            self._dz = self.objective.scores_along(p)
            factor = self._factor(largest_of(self._dz))
        if factor < 1.0:
            p, self._dz, self._end = factor * p, factor * self._dz, None
        return factor, p

    @property
    def knows_end(self):
        return self._end is not None

    @cached_property
    def _dz(self):
        """Change of the scores from t = 0 to 1."""
        return self._end.scores - self._z

    def _scores(self, t):
        if t == 1.0:
            return (self._z + self._dz).astype(self._z.dtype, copy=False)
        z = np.multiply(self._dz, t, dtype=self._z.dtype)
        z += self._z
        return z

    def _slope(self, t):
        if t == 1.0 and self._end is not None:
            return self._end.loss, self._end.slope
        if self._g is None:
            self._g = np.empty_like(self._z)
        self._there = None  # its scores make room for others
        z = self._scores(t)
        loss = self.objective.score_gradient(z, self._g)
        self._there = t, z, loss
        return loss, float(np.vdot(self._g, self._dz))

    def foreseen_gap(self, new):
        objective, g = self.objective, self._dz
        excess = objective.foreseen(self._z, g, new._z) if self.shortened == 1.0 else np.inf
        if excess == np.inf:
            return np.inf
        if objective.may_scale:  # otherwise no price is known of slopes that do not sum to zero
            excess += objective.cancel_sum(g) * new.loss
        gradient = objective.gradient_from(new.params, g)
        return excess + objective.gap(new.params, gradient, objective.slopes(g), new.loss)

    def falls(self, t, promised):
        u, _ = self.objective.split(self._params(t))
        value = self.objective.score_value(self._scores(t)) + self.objective.penalty.value(u)
        return value <= self.value - 0.01 * promised + self._noise

    def move(self, t):
        # Each step may leave behind a rounding error of the scores before it. That matters where
        # those were much larger, as the first steps along the row of an outlier are; then scores
        # are computed anew.
        params, known = self._params(t), None
        ended = t == 1.0 and self._end is not None
        if ended:
            z = self._end.scores
        elif self._there is not None and self._there[0] == t:
            _, z, loss = self._there
            known = loss, self._g
        else:
            z = self._scores(t)
        point = Point(self.objective, params, z)
        point._lost, point._known = self._lost + self._largest, known
        if ended:
            point.take(self._end)
        if point._lost > MOST_LOST * point.largest_score:
            return Point(self.objective, params)
        return point
