"""Exact line search along a straight step of scores."""

import numpy as np

__all__ = ["Drift", "line_search"]

_MOST_LOST = 100.0


def line_search(objective, params, z, p, dz, decrement, value):
    """Zero of the slope of F along p, to a tenth of the slope at 0; 0 if there is none.

    The slope of a convex function is non-decreasing: bracket its zero, then close in by
    regula falsi with the Illinois rule. A point where F is above ``value`` is too far. With an L1
    penalty the slope jumps where a coefficient is zero: then a tenth of the step will do, too.

    Parameters
    ----------
    objective : LinearObjective
    params, p : ndarray of shape (n_params,)
        A point and a direction of descent.
    z, dz : ndarray
        Their scores.
    decrement : float
        Minus the slope of F at the point.
    value : float
        F at the point.

    Returns
    -------
    step : float
    z : ndarray
        Scores there.
    known : tuple of float and ndarray, or None
        Value and gradient of L there, if they were computed.
    """
    slope_at = _Slope(objective, params, z, p, dz, value)
    goal = 0.1 * decrement
    low, slope_low = 0.0, -decrement
    high = 1.0
    slope_high = slope_at(high)
    while slope_high < -goal and high < 1e12:
        low, slope_low = high, slope_high
        high *= 4.0
        slope_high = slope_at(high)
    if abs(slope_high) <= goal and slope_at.lower:
        return high, *slope_at.there
    for _ in range(60):
        with np.errstate(all="ignore"):
            t = (low * slope_high - high * slope_low) / np.float64(slope_high - slope_low)
        if not low < t < high:
            t = 0.5 * (low + high)
        slope = slope_at(t)
        near = abs(slope) <= goal or (objective.penalty.has_l1 and high - low <= 0.1 * low)
        if near and slope_at.lower:
            return t, *slope_at.there
        if slope > 0:
            high, slope_high, slope_low = t, slope, 0.5 * slope_low
        else:
            low, slope_low, slope_high = t, slope, 0.5 * slope_high
    return low, (z + low * dz).astype(z.dtype, copy=False), None


class _Slope:
    """Slope of F along a line; of the point looked at last, what L is there and whether F is no
    higher than at first."""

    def __init__(self, objective, params, z, p, dz, value):
        self.objective, self.z, self.dz, self.value = objective, z, dz, value
        self.u, _ = objective.split(params)
        self.du, _ = objective.split(p)
        self.g = np.empty_like(z)
        penalty = objective.penalty
        self.slope = float((penalty.l2 * self.u) @ self.du)
        self.bend = float((penalty.l2 * self.du) @ self.du)
        self.noise = 10 * float(np.finfo(z.dtype).eps) * abs(value)

    def __call__(self, t):
        penalty = self.objective.penalty
        z = (self.z + t * self.dz).astype(self.z.dtype, copy=False)
        loss = self.objective.score_gradient(z, self.g)
        self.there = z, (loss, self.g)
        u = self.u + t * self.du
        slope = float(np.dot(self.g, self.dz)) + self.slope + t * self.bend
        if penalty.has_l1:
            slope += float((penalty.l1 * np.sign(u)) @ self.du)
        self.lower = loss + penalty.value(u) <= self.value + self.noise
        if not np.isfinite(slope):
            self.lower = False
            return 1e300
        return slope


class Drift:
    """Keeps an eye on scores that are added to and never computed anew.

    Each step may leave behind a rounding error of the scores before it. That matters where those
    were much larger, as the first steps along the row of an outlier are.
    """

    def __init__(self, objective):
        self.objective = objective
        self.lost = 0.0  # in rounding errors

    def follow(self, params, before, after):
        """Scores of ``params``: those that a step from ``before`` led to, if they are good."""
        self.lost += float(np.abs(before).max(initial=0.0))
        if self.lost <= _MOST_LOST * float(np.abs(after).max(initial=0.0)):
            return after
        self.lost = 0.0
        return self.objective.scores(params)
