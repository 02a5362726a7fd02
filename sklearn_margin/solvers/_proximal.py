"""The last digits of multiclass hinges: the method of multipliers on the slopes."""

import numpy as np

from sklearn_margin._jit import kernel
from sklearn_margin.losses.multiclass_hinge import SmoothedCrammerSinger
from sklearn_margin.objective.rounding import rounding
from sklearn_margin.solvers._class_hinges import ClassHinges
from sklearn_margin.solvers._small_hinges import Certificate
from sklearn_margin.solvers._small_path import why_not_small_hinges
from sklearn_margin.solvers.base import Result
from sklearn_margin.solvers.multiclass_dual import ClassDual
from sklearn_margin.solvers.newton import Newton

__all__ = ["polished"]


def polished(objective, result, tol, max_iter, callback=None, *, g=None, width=None):
    """A result of a small problem, more accurate if few steps make it so.

    The Moreau envelope of some width charges slopes for their distance from zero. Charged for
    their distance from the slopes before, they converge to those of the loss itself (Rockafellar
    1976), and since the loss is piecewise linear in finitely many rounds.

    Parameters
    ----------
    objective : MulticlassObjective
        Its loss has a dual.
    result : Result
        A point near the optimum.
    tol, max_iter, callback
        As in ``Solver.solve``.
    g : ndarray of shape (n, n_outputs), default=None
        Slopes near the optimum; None is those of the envelope at the point.
    width : float, default=None
        Width to begin with; None is a hundredth of F.

    Returns
    -------
    Result
    """
    most = min(_MOST_STEPS, max_iter - result.n_iter)
    if most < 1 or objective.penalty.is_zero or not result.value > 0:
        return result
    width = width or 0.01 * result.value

    def after(n_steps, params):
        return callback is not None and callback(result.n_iter + n_steps, params)

    point, g, n_steps = _improve(objective, result.params, g, width, most, after)
    if point is not None:
        point = _certified(objective, point, g)
    # Where both gaps are rounding error, Newton's coefficients are the better ones.
    if point is None or not point.gap < max(result.gap, 1e-13 * result.value):
        return result
    n_iter = min(result.n_iter + n_steps, max_iter)
    reached = point.gap / max(point.value, 1e-300)
    return Result(point.params, point.value, n_iter, reached <= tol, point.gap, result.measure,
                  reached)  # fmt: skip


_MOST_STEPS = 100  # of Newton's method
_INNER_TOL = 1e-14  # relative gap of a round


def _certified(objective, point, g):
    """A point with a gap that includes rounding errors."""
    if why_not_small_hinges(objective) is not None:
        loss = point.value - objective.penalty.value(objective.split(point.params)[0])
        charge = rounding(objective, point.params, objective.slopes(g), loss, point.gap)
        return Certificate(point.params, point.value, point.gap + charge)
    model = ClassHinges(objective, np.longdouble)
    return model.certify(point.params.astype(np.longdouble), g[objective.s > 0], rounds=2)


def _improve(objective, params, g, width, most, after):
    """The best certificate found, the slopes it is from, and the number of Newton steps."""
    dual, n_steps, stale, best, slopes = ClassDual(objective, params), 0, 0, None, None
    if g is None:
        z = objective.scores(params)
        g = np.empty_like(z)
        objective.loss.smoothed(width).scores_value_gradient(objective.y, z, objective.s, g)
    dual.slopes = g.astype(np.float64)
    while n_steps < most and stale < 2:
        inner = objective.with_loss(_Proximal(objective, dual.slopes, width))
        inner = inner.with_labels(np.arange(len(objective.y)))
        run = Newton().minimize(inner, params, _INNER_TOL, most - n_steps, polish=True)
        params, n_steps = run.params, n_steps + max(run.n_iter, 1)
        z = objective.scores(params)
        g = np.empty(z.shape)
        inner.loss.scores_value_gradient(inner.y, z, objective.s, g)
        dual.slopes = g
        point = dual.certify_at(params)
        stale = 0 if best is None or point.gap < 0.5 * best.gap else stale + 1
        if best is not None and point.gap > 0.1 * best.gap:
            width *= 0.3
        if best is None or point.gap < best.gap:
            best, slopes = point, g
        # A gap of 1e-14 still allows coefficients that are off by 1e-7: no goal but rounding error.
        if run.n_iter == 0 or after(n_steps, best.params):
            break
    return best, slopes, n_steps


class _Proximal:
    """Loss of row i: max over slopes g of g·z − s ℓ*(g/s) − (width/2s)‖g − g_i‖².

    What an objective knows as labels are the indices of the rows.
    """

    convex, nonnegative, splits = True, False, True
    is_smooth = has_hessian = True

    def __init__(self, objective, g, width):
        self.loss, self.k, self.g = objective.loss, objective.y, g
        self.envelope_width = width
        # On its free entries the Hessian is that of the smoothed loss of Crammer and Singer.
        self.shape = SmoothedCrammerSinger(1.0, width)
        self.scores_product = self.shape.scores_product
        self.scores_hessians = self.shape.scores_hessians

    def scores_value(self, i, z, s):
        return self.scores_value_gradient(i, z, s, np.empty(z.shape))

    def scores_value_gradient(self, i, z, s, out):
        slopes = np.empty(z.shape)
        value = _slopes(self.loss, self.k[i], z, self.g[i], s, self.envelope_width, slopes)
        out[...] = slopes
        return value

    def scores_curvature(self, i, z, s, gradient, curvature):
        slopes = np.empty(z.shape)
        value = _slopes(self.loss, self.k[i], z, self.g[i], s, self.envelope_width, slopes)
        gradient[...] = slopes
        _free(self.loss, self.k[i], slopes, s, 1.0 / self.envelope_width, curvature)
        return value


@kernel
def _slopes(loss, k, z, g, s, width, out):
    total = 0.0
    for i in range(z.shape[0]):
        out[i] = g[i]
        if s[i] > 0.0:
            norm = width / s[i]
            if loss.dual_step(k[i], z[i], g[i], s[i], norm, out[i]) <= 0.0:
                out[i] = g[i]
            square = 0.0
            for c in range(z.shape[1]):
                square += (out[i, c] - g[i, c]) ** 2
            total += s[i] * loss.sample_value(k[i], z[i]) - 0.5 * norm * square
            total -= loss.dual_gap(k[i], z[i], out[i], s[i])
    return total


@kernel
def _free(loss, k, g, s, level, out):
    """``level`` where a slope can move either way, which is where a flow can."""
    unit, flow = np.zeros(g.shape[1]), np.empty(g.shape[1])
    for i in range(g.shape[0]):
        for c in range(g.shape[1]):
            out[i, c] = 0.0
            if s[i] > 0.0:
                unit[c] = 1.0
                loss.dual_flow(k[i], g[i], s[i], unit, flow)
                unit[c] = 0.0
                out[i, c] = level if flow[c] > 0.0 else 0.0
