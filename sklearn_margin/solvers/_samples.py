"""Solve a sample of the rows first: where rows are many, most of the way is made on few of them."""

import numpy as np

from sklearn_margin.solvers.base import SMALL

__all__ = ["stages"]

_LEAST = 100_000  # rows of a sample of many more


def stages(objective, start, tol, most=None) -> list[tuple]:
    """What to solve one after the other, each from the point before: samples, then the whole.

    Parameters
    ----------
    objective : LinearObjective
    start : ndarray of shape (n_params,)
        Where the first will start; from a warm start no sample is worth the while.
    tol : float
        Accuracy that is wanted of the whole.
    most : int, default=None
        Most samples; None is as many as pay.

    Returns
    -------
    list of (LinearObjective, float)
        Each with its accuracy, the smallest sample first. Samples are drawn from the next one, and
        no more accurate than a tenth of how far their minimum may be off.
    """
    found, small = [(objective, tol)], SMALL
    while len(found) - 1 != most and _wants_sample(found[0][0], start, small):
        whole, goal = found[0]
        # No larger than brings its minimum within half of what is wanted of the whole.
        size = whole.rows.shape[0] // 10
        size = int(min(size, max(_LEAST, 2.0 * whole.n_params / max(tol, 1e-300))))
        sample = whole.sample(size, np.random.RandomState(0))
        error = whole.n_params / sample.rows.shape[0]  # relative, of the minimum of the sample
        found.insert(0, (sample, max(goal, 0.1 * error)))
        small = SMALL // 10
    return found


def _wants_sample(objective, start, small):
    """Whether it pays to solve a sample of the rows first: a pass is more work than ``small``
    entries of X are, there are many rows, and there is nothing to start from."""
    if objective.shared or not (objective.takes_samples and objective.loss.splits):
        return False  # one that shares something goes on from another penalty
    n, n_params = objective.rows.shape[0], objective.n_params
    # Several scores of a row say more than one.
    many = n * objective.n_outputs >= 200 * n_params and objective.pass_work > small
    return many and not objective.split(start)[0].any()
