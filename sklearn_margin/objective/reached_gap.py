r"""A certificate from the rows of a sample, for losses of one score whose slopes have ends.

As in ``sample_gap``, the slopes g of L become a better dual point as those of a sample of the rows
change by Δ = D X̃p, where (H_S + Λ) p = −r for the gradient r of F: then X̃ᵀ(g + Δ) balances the
slopes of the penalty. A slope that has an end, as Huber's has, goes no further than that. What is
missing then is a gradient itself, a small part of r, and is removed in the same way.
"""

import numpy as np

from sklearn_margin.objective.slopes import SlopeSums

__all__ = ["SampledRows", "reached_gap"]

_ROUNDS = 4
_LEFT = 0.05  # of the price of the change: what is missing may cost that


class SampledRows:
    """Slopes of a sample of the rows as part of a dual point for scores ``z`` of the sample."""

    def __init__(self, sample, z):
        self.sample, self.z, self.curvature = sample, z, sample.curvature(z)

    def reached(self, wanted):
        """The change of the slopes that is nearest to the one ``wanted``.

        Returns
        -------
        change : ndarray of the dtype of X
        price : float
            At least L + L*(κ(g + change)) − κ(g + change)·z, with the slopes g of all rows.
        kappa : float
            κ.
        """
        share = self.sample.share
        delta, price = self.sample.corrected(self.z, self.curvature, wanted / share)
        return (share * delta).astype(self.z.dtype, copy=False), share * price, 1.0


def reached_gap(point, part, solve, goal=0.0) -> float:
    """Duality gap at a point, from a dual point that differs from its slopes in some rows.

    Parameters
    ----------
    point : Point
        Of a pointwise objective with one score per row; its gradient is known.
    part : Point
        Of a sample of its rows, with the curvature there.
    solve : callable
        ``solve(v)`` solves with the Hessian at ``part``.
    goal : float, default=0
        A gap that is small enough.

    Returns
    -------
    float
        Infinity where there is no bound.
    """
    objective, sample, loss = point.objective, part.objective, point.loss
    z = sample.scores(point.params)
    there = objective.seen_by(sample, point, z)
    pull = objective.penalty_gradient(point.params)
    slope, change, gap = point.gradient, 0.0, np.inf
    for _ in range(_ROUNDS):
        wanted = change + part.curvature.product(sample.scores_along(-solve(slope)))
        change, price, kappa = there.reached(wanted)
        slope = point.gradient + sample.loss_gradient(change)
        mended = slope - (1 - kappa) * (slope - pull)
        missing, total = objective.split(mended)
        share, slack = 0.0, 0.0
        if abs(total) > objective.imbalance * point.slopes.size:
            share, slack = objective.share_to_cancel(_slopes_after(point.slopes, change), total)
        rest = objective.penalty_gap(point.u, missing, slack, loss) + share * (2 * loss + price)
        if share == 0 or (share < 1 and objective.may_scale):
            gap = min(gap, price + rest)
        if gap <= goal or price > goal > 0 or not rest > _LEFT * price:
            break
    return gap


def _slopes_after(slopes, change):
    """Bounds on the sums of slopes that were changed."""
    change = change.astype(np.float64)
    size = max(slopes.size - float(np.abs(change).sum()), 1e-300)
    norm = slopes.norm + float(np.linalg.norm(change))
    return SlopeSums(slopes.n, size, norm * norm)
