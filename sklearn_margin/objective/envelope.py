"""What the minimum of a smoothed objective proves about the objective itself."""

import numpy as np

from sklearn_margin.objective.rounding import rounding

__all__ = ["envelope_certificate", "envelope_excess"]


def envelope_excess(point, smooth) -> float:
    """How far L exceeds its envelope at ``point``, beyond what its dual value does: see
    ``LinearObjective.envelope_excess``."""
    return point.envelope(smooth).excess


def envelope_certificate(point, smooth, run, exact):
    """F, and a bound on F − min F, at the end of a run on its envelope F_w.

    The dual point is the gradient g of the envelope, for which

        L(z) + L*(g) − g·z = [L(z) − L_w(z)] − [L_w*(g) − L*(g)].

    If it is multiplied by κ to be feasible, that is at most κ times as much, and (1 − κ) L(z),
    where the gap of F_w has (1 − κ) L_w(z): multiplied by L/L_w it is more than enough.

    Parameters
    ----------
    point : Point
        Where the run ended, of the objective itself.
    smooth : LinearObjective
        The objective with the envelope for its loss.
    run : Result
        Of the run on ``smooth``.
    exact : bool
        Whether to compute the gap in any case, which takes a product with X, and not to bound it.

    Returns
    -------
    value : float
        F.
    above : float
        How far F exceeds F_w plus what the dual value of F exceeds that of F_w.
    gap : float
        The bound, rounding included.
    """
    objective, params = point.objective, point.params
    loss, above, slopes, gradient = point.envelope(smooth)
    penalty = objective.penalty.value(point.u)
    value = loss + penalty
    if objective.penalty.is_zero:
        held = objective.penalty.padded(objective.n_params)
        slope = np.abs(held.steepest(params, gradient()))
        charge = float(slope @ (np.abs(params) + np.abs(params).max(initial=0.0)))
        zero = np.sqrt(np.finfo(objective.rows.dtype).eps) * slopes.size
        return value, above, above + (charge if slope.max(initial=0.0) <= zero else np.inf)
    envelope = run.value - penalty
    gap = run.gap * (loss / envelope) if envelope > 1e-8 * loss else np.inf
    # A gap that was refined is that of another dual point.
    if exact or not gap <= max(1.1 * run.gap, above):
        gap = objective.gap(params, gradient(), slopes, loss)
    return value, above, above + gap + rounding(objective, params, slopes, loss, gap)
