"""Rounding errors of duality gaps."""

import numpy as np

__all__ = ["rounding", "rounding_of_scores"]


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
    u, _ = objective.split(params)
    unit = _unit(objective, slopes.norm)
    sums = np.finfo(np.float64).eps * (
        12.0 * np.sqrt(slopes.n * objective.n_outputs) * loss + objective.penalty.value(u)
    )
    off = unit * _size(objective, params)
    return sums + off + objective.penalty.rounding(unit, gap, loss)


def rounding_of_scores(objective, params):
    """By how much rounding errors of scores may have lowered L at a point where it is zero."""
    return _unit(objective) * _size(objective, params)


def _unit(objective, norm=0.0):
    """The error of L, by that of scores of size one, for slopes of some norm or, since those where
    scores are off may be beyond a kink, of the largest that a hinge has."""
    norm = max(norm, objective.n_outputs * objective.weight_norm)
    return 4.0 * np.finfo(objective.rows.dtype).eps * np.sqrt(objective.rows.shape[0]) * norm


def _size(objective, params):
    """Root mean square of the scores at ``params``, or more."""
    u, b = objective.split(params)
    return float(np.linalg.norm(u)) + float(np.abs(b).max()) + objective.offset_size
