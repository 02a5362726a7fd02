r"""A certificate from the rows of a sample: a dual point that costs no read of the others.

The slopes g of L at a point are a dual point, and X̃ᵀg differs from what the penalty's slopes
balance by the gradient r of F. That is what makes the plain gap, ½ Σ r_j²/λ_j, so much more than
F − min F: as many times as the loss is more curved than the penalty. To remove r it is enough to
change the slopes of some rows. A direction p with (H_S + Λ) p = −r, where H_S is the mean over a
sample of the rows' part of the Hessian, gives that change: with D the Hessian of L by score over
the sample alone, Δ = D X̃p has X̃ᵀΔ = H_S p, and X̃ᵀ(g + Δ) + Λu = −Λp.

If the sample has the share σ of the weights, its rows change as those of a quadratic model would in
a step of p/σ: they make up for the others. So L*(g + Δ) exceeds what Fenchel's equality allows by
about ½ pᵀH_S p / σ, that is 1/σ times what a step p by all rows would lower F by. As a bound of
F − min F that is a few times too large, and the whole price is a pass over the sample.

Slopes of a row have limits: those of the cross entropy are probabilities less the true ones. A row
whose Δ would lead beyond them takes a part of it; what that leaves of r is little, since few do.

With free intercepts the slopes must sum to zero: a shift of the scores of the sample, by a Newton
step over the intercepts alone, sees to that.
"""

import numpy as np

__all__ = ["sample_gap"]


def sample_gap(point, part, p) -> float:
    """Duality gap at a point, from a dual point that differs from its slopes in some rows.

    Parameters
    ----------
    point : Point
        Of an objective that ``foresees``; its gradient is known.
    part : Point
        Of a sample of its rows, with the curvature there: at the same parameters, or where the
        Hessian of the sample was found before.
    p : ndarray of shape (n_params,)
        About the Newton direction by that Hessian.

    Returns
    -------
    float
        Infinity where the dual point is not known to be one.
    """
    objective, sample, curvature = point.objective, part.objective, part.curvature
    # With weights that sum to one: for the whole, times the share.
    change = sample.shortened(curvature, curvature.product(sample.scores_along(p)))
    if objective.fit_intercept:
        _, missing = objective.split(point.gradient)
        missing = missing + change.sum(axis=0, dtype=np.float64)
        total, _ = sample.hessian_sums(curvature)
        shift = np.linalg.lstsq(total, -np.atleast_1d(missing), rcond=None)[0]
        change += curvature.product(np.full_like(change, shift if change.ndim > 1 else shift[0]))
    z = part.scores if part.params is point.params else sample.scores(point.params)
    excess = sample.share * sample.excess(z, change / sample.share)
    if not np.isfinite(excess):
        return np.inf
    slope, total = objective.split(point.gradient + sample.loss_gradient(change))
    if np.max(np.abs(total)) > objective.imbalance * point.slopes.size:
        return np.inf
    return excess + objective.penalty_gap(point.u, slope, 0.0, point.loss)
