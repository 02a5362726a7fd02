"""Minimum of a quadratic with an L1 penalty and bounds, of few variables."""

import numpy as np
from scipy.linalg import LinAlgError

from sklearn_margin._jit import kernel
from sklearn_margin._linalg import factorized

__all__ = ["minimize_quadratic"]

_FIRST_SWEEPS = 20  # where variables are nearly independent these are enough
_SWEEPS = 3  # between steps on a face
_MOST_STEPS = 100  # on faces


def minimize_quadratic(hessian, penalty, start, slope, goal):
    """Minimise ½ δᵀHδ + slope·δ + Σ l1_j \\|x_j\\| over x = start + δ within the bounds.

    Coordinate descent finds which x_j are zero in a few sweeps, and the others only as fast as H
    is well conditioned. So every few sweeps a Cholesky factorisation takes x to the minimum over
    those with the signs they have, as far as signs and bounds allow (as in feature-sign search:
    Lee, Battle, Raina & Ng, "Efficient sparse coding algorithms", NeurIPS 2006). Each part lowers
    the function.

    Parameters
    ----------
    hessian : ndarray of shape (k, k)
        Positive semi-definite; variables of zero curvature stay where they are.
    penalty : SeparablePenalty
        Its L1 part and its bounds count; its quadratic part is in ``hessian``.
    start, slope : ndarray of shape (k,)
    goal : float
        Decrease by a sweep that is too small for another.

    Returns
    -------
    ndarray of shape (k,)
        x.

    Raises
    ------
    LinAlgError
        If numbers overflow on the way.
    """
    x, now = start.copy(), slope.copy()
    whole, face = True, None
    l1, lower, upper = penalty.l1, penalty.lower, penalty.upper
    for step in range(_MOST_STEPS):
        if whole:  # at the minimum of a face: variables that are zero may leave it
            most = _SWEEPS if step else _FIRST_SWEEPS
            moved = _sweep(hessian, l1, lower, upper, x, now, goal, most)
        x, decrease, whole = _to_minimum_of_face(hessian, penalty, x, now)
        if whole:
            before, face = face, np.where(x <= lower, -2, np.where(x >= upper, 2, np.sign(x)))
            if max(moved, decrease) <= goal or np.array_equal(before, face):
                break  # a face once more: what is left is rounding error
        now = slope + hessian @ (x - start)
    if not np.isfinite(now).all():  # a sweep has then put variables anywhere
        raise LinAlgError("the minimum of the quadratic is out of range")
    return x


def _to_minimum_of_face(hessian, penalty, x, slope):
    """The minimum over variables that are neither zero nor at a bound, as far as they stay so.

    Returns
    -------
    x : ndarray of shape (k,)
        The better of two points, if one comes to its zero or bound on the way to the minimum:
        where the first does, and the minimum with all that do set there.
    decrease : float
        Of the function, about.
    whole : bool
        Whether none did.
    """
    l1, inside = penalty.l1, (x > penalty.lower) & (x < penalty.upper)
    free = np.flatnonzero(((x != 0) | (l1 == 0)) & inside & (hessian.diagonal() > 0))
    inner, sign, strength = hessian[np.ix_(free, free)], np.sign(x[free]), l1[free]
    at, residual = x[free], slope[free] + strength * sign
    low = np.where((strength > 0) & (sign > 0), np.maximum(penalty.lower[free], 0.0),
                   penalty.lower[free])  # fmt: skip
    high = np.where((strength > 0) & (sign < 0), np.minimum(penalty.upper[free], 0.0),
                    penalty.upper[free])  # fmt: skip
    try:
        step = -factorized(inner)(residual)
    except (LinAlgError, ValueError):
        return x, 0.0, True
    # By algebra: differences of the function are rounding error where H is nearly singular.
    promised = -0.5 * float(residual @ step)
    if not promised > 0:
        return x, 0.0, True
    new, x = at + step, x.copy()
    clipped = np.clip(new, low, high)
    stopped = clipped != new
    if not stopped.any():
        x[free] = new
        return x, promised, True
    times = np.divide(clipped - at, step, out=np.full_like(at, np.inf), where=stopped)
    first = times.min()
    decrease = first * (2 - first) * promised
    short = np.where(times <= first, clipped, at + first * step)
    delta = clipped - at
    gain = -0.5 * float(delta @ (inner @ delta)) - float(residual @ delta)
    x[free] = clipped if gain > decrease else short
    return x, max(gain, decrease), False


@kernel
def _sweep(hessian, l1, lower, upper, x, slope, goal, most):
    """Cyclic coordinate descent, over all variables at first and at last and over those that are
    neither zero nor at a bound in between; ``slope`` follows. Returns Σ H_jj δ_j² of the last sweep
    over all."""
    k, kept, total, settled = x.shape[0], 0, 0.0, True
    active = np.empty(k, np.int64)
    for sweep in range(most):
        everywhere = settled or sweep == most - 1
        if everywhere:
            kept = k
            for j in range(k):
                active[j] = j
        m, kept, total = kept, 0, 0.0
        for position in range(m):
            j = active[position]
            bend = hessian[j, j]
            if bend <= 0.0:
                continue
            old = x[j]
            shifted = old * bend - slope[j]
            size = abs(shifted) - l1[j]
            new = 0.0
            if size > 0.0:
                new = size / bend if shifted > 0 else -size / bend
            new = min(max(new, lower[j]), upper[j])
            if (new != 0.0 or l1[j] == 0.0) and lower[j] < new < upper[j]:
                active[kept] = j
                kept += 1
            delta = new - old
            if delta != 0.0:
                x[j] = new
                for i in range(k):
                    slope[i] += delta * hessian[j, i]
                total += bend * delta * delta
        if everywhere and total <= goal:
            break
        settled = total <= 0.1 * goal
    return total
