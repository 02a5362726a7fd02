r"""A dual point for coefficients without a penalty, where scores are not known to enough digits.

X̃ᵀ of a dual point must vanish for the parameters that nothing holds: free intercepts, and
coefficients of a penalty factor 0. At their minimum the slopes of L do that, but for the rounding
errors of scores, which the curvature of L makes larger, and much larger where it is an envelope of
a small width. No scores have the slopes that are wanted, but a mean of slopes has: those at scores
that are moved along these parameters, a little to the side where each product has the other sign.
As a mean of dual points it is one (see ``mean_slopes.py``).

For slopes g_k of L at z_k, and weights λ_k that add up to one, Fenchel's equality at z is missed by

    L(z) + L*(Σ λ_k g_k) − Σ λ_k g_k·z ≤ Σ λ_k [L(z) − L(z_k) − g_k·(z − z_k)],

which is as small as the moves are.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

__all__ = ["MeanOfSlopes", "without_loose_slopes"]

_MOVE = 1e-8  # of Σ |g|: by how much products are moved, or more
_MOST_WEIGHT = 0.5  # of all that were moved


class MeanOfSlopes(NamedTuple):
    """A dual point near the slopes of L at some scores."""

    g: np.ndarray
    excess: float  # by how much it misses Fenchel's equality there


def without_loose_slopes(objective, z, directions) -> MeanOfSlopes | None:
    """A mean of slopes near scores ``z`` whose products with ``directions`` vanish.

    Parameters
    ----------
    objective : LinearObjective
        Its loss has a Hessian.
    z : ndarray
        Scores.
    directions : list of ndarray
        Scores of unit parameters.

    Returns
    -------
    MeanOfSlopes or None
        None where none was found.
    """
    curvature = objective.curvature(z)
    g, loss = curvature.gradient.astype(np.float64), curvature.value
    V = np.array([v.reshape(-1) for v in directions], np.float64)
    products = V @ g.reshape(-1)
    hessian = V @ np.array([curvature.product(v).reshape(-1) for v in directions], np.float64).T
    far = 4 * len(V) * np.abs(products) + _MOVE * objective.slopes(curvature.gradient).size
    steps = np.linalg.lstsq(hessian, np.diag(-np.sign(products) * far), rcond=None)[0]
    moved, excesses = [], []
    for step in steps.T:
        there, new = (z + (step @ V).reshape(z.shape)).astype(z.dtype), np.empty_like(z)
        value = objective.score_gradient(there, new)
        new = new.astype(np.float64)
        moved.append((new - g).reshape(-1))
        excesses.append(loss - value + float(np.vdot(new, there.astype(np.float64) - z)))
    changes = np.array(moved)
    weights = _weights(V, g.reshape(-1), changes)
    if weights is None:
        return None
    rounding = 8 * float(np.finfo(np.float64).eps) * abs(loss)
    excess = float(weights @ (np.maximum(excesses, 0.0) + rounding))
    return MeanOfSlopes(g + (weights @ changes).reshape(g.shape), excess)


def _weights(V, g, changes):
    """Weights λ ≥ 0, not too large, such that V (g + Σ λ_k changes_k) is zero but for rounding
    errors; None if there are none."""
    system = V @ changes.T
    if not np.isfinite(system).all():
        return None
    try:
        weights = nnls(system, -(V @ g))[0]
    except RuntimeError:  # too many iterations
        return None
    used = weights > 0
    for _ in range(2):  # for the rounding errors of what was before
        rest = V @ (g + weights @ changes)
        weights[used] -= np.linalg.lstsq(system[:, used], rest, rcond=None)[0]
    return weights if weights.min() >= 0 and weights.sum() <= _MOST_WEIGHT else None
