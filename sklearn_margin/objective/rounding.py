"""Rounding errors of duality gaps."""

import numpy as np

__all__ = ["rounding"]


def rounding(objective, params, g, loss, gap):
    r"""By how much rounding errors of scores and of X̃ᵀg may have lowered a duality gap.

    Entries of X̃ have mean square 1 by column, so that the errors of products with it are those of
    √n ‖g‖ by column and of √n ‖g‖ ‖u‖ in all, times the unit of rounding: each is a sum of errors
    of any sign, within four standard deviations (Higham & Mary 2019). Since the penalty's part
    of the gap is least where its slope in v = X̃ᵀg is zero, an error of v counts by the distance
    from there, √(2 gap/λ). Where there is no λ, all of g is shortened. L, L_w and their
    conjugates are sums of n terms that are not negative.

    Parameters
    ----------
    objective : LinearObjective
    params : ndarray of shape (n_params,)
    g : ndarray
        Slopes of the scores.
    loss, gap : float
        L, and the gap without rounding errors.

    Returns
    -------
    float
    """
    l1, l2 = objective.penalty.l1, objective.penalty.l2
    u, b = objective.split(params)
    # Slopes where scores are off may be those beyond a kink.
    steepest = objective.n_outputs * np.linalg.norm(objective.s.astype(np.float64))
    norm = max(float(np.linalg.norm(g.astype(np.float64))), float(steepest))
    unit = 4.0 * np.finfo(objective.rows.dtype).eps * np.sqrt(objective.rows.shape[0]) * norm
    size = float(np.linalg.norm(u)) + float(np.abs(b).max())
    ridge = l2 > 0
    stiff = float(np.sum(1.0 / l2[ridge])) if ridge.all() else 0.0
    shortened = 0.0 if ridge.all() else loss * unit / float(l1[~ridge].min())
    sums = np.finfo(np.float64).eps * (12.0 * np.sqrt(len(g)) * loss + objective.penalty.value(u))
    bent = unit * np.sqrt(2.0 * gap * stiff) + 0.5 * unit**2 * stiff
    return sums + unit * size + bent + shortened
