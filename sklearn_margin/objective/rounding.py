"""Rounding errors of duality gaps."""

import numpy as np

__all__ = ["rounding"]


def rounding(objective, params, slopes, loss, gap):
    r"""By how much rounding errors of scores and of X̃ᵀg may have lowered a duality gap.

    Entries of X̃ have mean square 1 by column, so that the errors of products with it are those of
    √n ‖g‖ by column and of √n ‖g‖ ‖u‖ in all, times the unit of rounding: each is a sum of errors
    of any sign, within four standard deviations (Higham & Mary 2019). What errors of X̃ᵀg do is
    known to the penalty. L, L_w and their conjugates are sums of n terms that are not negative.

    Parameters
    ----------
    objective : LinearObjective
    params : ndarray of shape (n_params,)
    slopes : Slopes
        Of the loss, by score.
    loss, gap : float
        L, and the gap without rounding errors.

    Returns
    -------
    float
    """
    u, b = objective.split(params)
    # Slopes where scores are off may be those beyond a kink.
    norm = max(slopes.norm, objective.n_outputs * objective.weight_norm)
    unit = 4.0 * np.finfo(objective.rows.dtype).eps * np.sqrt(objective.rows.shape[0]) * norm
    size = float(np.linalg.norm(u)) + float(np.abs(b).max()) + objective.offset_size
    sums = np.finfo(np.float64).eps * (
        12.0 * np.sqrt(slopes.n * objective.n_outputs) * loss + objective.penalty.value(u)
    )
    return sums + unit * size + objective.penalty.rounding(unit, gap, loss)
