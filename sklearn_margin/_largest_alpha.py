"""The alpha from which a grid starts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import linprog
from sklearn.base import clone

from sklearn_margin._tables import Table
from sklearn_margin.solvers import Smoothing, choose
from sklearn_margin.solvers._hinges import best_intercept, hinge_terms, is_sum_of_hinges

__all__ = ["BY_ROW", "largest_alpha"]

BY_ROW = ("sample_weight", "groups", "offset")  # what there is besides X and y

_SHARE = 0.01  # of the loss: the most that coefficients can save at the first alpha without L1
_WIDTH = 1e-3  # of the envelope of a multiclass loss with kinks
_NARROW = 1e-6  # of that of a loss of one score, of which the best constant is found by bisection
_LARGEST = 1_000_000  # entries of the rows at a kink beyond which a linear programme is slow


def largest_alpha(model, X, y, fit_params):
    """The alpha a grid starts from; 1 if coefficients are of no use, whatever alpha is."""
    data = {name: fit_params[name] for name in BY_ROW if name in fit_params}
    model._check_params()
    problem = model._prepare(X, y, **data)
    objectives = problem.objectives
    if isinstance(X, Table):
        with objectives[0].rows.session():
            largest = max(_alpha_in_parts(objective, model.l1_ratio) for objective in objectives)
        return largest if 0 < largest < np.inf else 1.0
    # The same problems with one feature that is always zero: only the intercept matters.
    blank = np.zeros((problem.X.shape[0], 1))
    constants = (
        clone(model)
        .set_params(l1_ratio=0.0, coef_bounds=None, penalty_factors=None)
        ._prepare(blank, y, **data)
        .objectives
    )
    problems = zip(objectives, constants, strict=True)
    largest = max(_alpha_of_problem(*problem, model.l1_ratio) for problem in problems)
    return largest if 0 < largest < np.inf else 1.0


def _alpha_of_problem(objective, constant, l1_ratio):
    """The alpha that one class, one quantile, asks for."""
    if getattr(objective, "ordered", False):  # distances of thresholds are no coefficients
        objective = objective.in_any_order()
    if is_sum_of_hinges(objective.loss) and not objective.n_distances:
        point = _piecewise_linear_point(objective)
    else:
        point = _smooth_point(objective, constant)
    slope = _slope(objective, point.g)
    if l1_ratio == 0:
        return _alpha_without_l1(slope, point.value)
    bound = _smallest_bound(objective, point, float(np.abs(slope).max()))
    return _alpha_with_l1(objective, bound, l1_ratio)


def _alpha_without_l1(slope, value):
    return float(slope @ slope) / (2 * _SHARE * max(value, np.finfo(np.float64).tiny))


def _alpha_with_l1(objective, bound, l1_ratio):
    # Where the best intercept is, is known to half the digits; zeros should be zeros.
    return bound * (1 + np.sqrt(np.finfo(objective.rows.dtype).eps)) / l1_ratio


def _alpha_in_parts(objective, l1_ratio):
    """As ``_alpha_of_problem``; kinks are rounded off."""
    whole = objective
    if Smoothing().obstacle(objective) is None and not objective.is_smooth:
        width = _WIDTH if objective.n_outputs > 1 else _NARROW
        objective = objective.with_loss(objective.loss.smoothed(width))
    point = objective.at(objective.best_constant())
    slope = _in_raw_coordinates(objective, point.loss_gradient, point.slopes.size)
    if l1_ratio == 0:
        return _alpha_without_l1(slope, whole.at(point.params).loss)
    return _alpha_with_l1(objective, float(np.abs(slope).max()), l1_ratio)


class _Point(NamedTuple):
    """The best point without coefficients.

    A piecewise linear loss has free slopes where it has a kink there: any in [low, high] that
    keep the sum of ``g``.
    """

    value: float
    g: np.ndarray  # (n,) derivative with respect to the scores
    index: np.ndarray = np.empty(0, np.intp)  # type: ignore[assignment]  # rows with a free slope; one may appear twice
    low: np.ndarray = np.empty(0)
    high: np.ndarray = np.empty(0)
    free: np.ndarray = np.empty(0)  # the slopes that g has, in [low, high]


def _smooth_point(objective, constant):
    """The best point without coefficients, for a loss with a gradient.

    Several scores that tie are at a kink. There the gradient of a narrow envelope is a
    subgradient that treats them alike, and its sums over the rows vanish.
    """
    several = objective.n_outputs > 1 or objective.n_distances > 0
    if several and Smoothing().obstacle(constant) is None:
        envelope = objective.loss.smoothed(_WIDTH)
        objective, constant = objective.with_loss(envelope), constant.with_loss(envelope)
    b = 0.0
    if objective.fit_intercept:
        solver, rng = choose("auto", constant), np.random.RandomState(0)
        found = solver.solve(constant, constant.start(), tol=0.0, max_iter=1000, random_state=rng)
        b = constant.to_coef(found.params)[1]
    none = np.zeros_like(objective.to_coef(objective.start())[0])
    z = objective.scores(objective.from_coef(none, b))
    g = np.empty_like(z)
    return _Point(objective.score_gradient(z, g), g)


def _piecewise_linear_point(objective):
    """The best point without coefficients, for a loss that is a sum of hinges."""
    kink, low, high = (np.array(part) for part in zip(*hinge_terms(objective), strict=True))
    b = 0.0
    if objective.fit_intercept:
        b = best_intercept(kink, low, high)
    rounding = 8 * np.finfo(objective.rows.dtype).eps * np.abs(kink).max()
    free = (np.abs(kink - b) <= rounding) & (high > low)
    slope = np.where(b > kink, high, low)
    if objective.fit_intercept:
        rest, width = slope[~free].sum() + low[free].sum(), (high - low)[free].sum()
        share = np.clip(-rest / width, 0.0, 1.0) if width > 0 else 0.0
        slope[free] = (low + share * (high - low))[free]
    else:
        slope[free] = np.clip(0.0, low, high)[free]
    value = float(np.sum(np.where(b > kink, high, low) * (b - kink)))
    g = slope.sum(axis=0).astype(objective.rows.dtype)
    return _Point(value, g, np.nonzero(free)[1], low[free], high[free], slope[free])


def _slope(objective, g):
    """Xᵀg in raw coordinates, with centred columns; zero where it is rounding error."""
    return _in_raw_coordinates(objective, objective.loss_gradient(g), objective.slopes(g).size)


def _in_raw_coordinates(objective, gradient, size):
    """A gradient of L, where the slopes by score have the ``size`` Σ|g|."""
    slope, _ = objective.split(gradient)
    noise = 100 * np.finfo(objective.rows.dtype).eps * size
    slope = np.where(np.abs(slope) <= noise, 0.0, slope)
    return (objective.by_output(slope) * (objective.rows.scale * _per_factor(objective))).ravel()


def _per_factor(objective):
    """What a slope counts by feature: a factor of the penalty divides alpha's share of it, its
    square without L1. Where there is no penalty, or no coefficient, it says nothing of alpha."""
    penalty = objective.penalty.penalty
    if penalty.factors is None:
        return 1.0
    held = np.isfinite(penalty.factors) & (penalty.factors > 0)
    share = np.divide(1.0, penalty.factors, out=np.zeros(len(held)), where=held)
    return share if penalty.l1_ratio > 0 else np.sqrt(share)


def _smallest_bound(objective, point, bound):
    """The smallest max_j |(Xᵀg)_j| that free slopes allow; ``bound`` is that of ``point``."""
    m, d = len(point.index), objective.rows.shape[1]
    if m < 1 + objective.fit_intercept or m * d > _LARGEST or bound == 0:
        return bound
    width = point.high - point.low
    rest = point.g.astype(np.float64)
    np.subtract.at(rest, point.index, point.free - point.low)
    # Over v in [0, 1]^m and τ, in units of ``bound``: minimise τ with |Xᵀ(rest + width·v)| ≤ τ.
    fixed = _slope(objective, rest.astype(objective.rows.dtype)) / bound
    K = (objective.rows.dense(point.index) * (objective.rows.scale * _per_factor(objective))).T * (
        width / bound
    )
    sums = {}
    if objective.fit_intercept:
        share = float(np.sum(point.free - point.low) / width.sum())
        sums = {"A_eq": np.append(width / width.sum(), 0.0)[None], "b_eq": [share]}
    found = linprog(
        np.append(np.zeros(m), 1.0),
        A_ub=np.block([[K, -np.ones((d, 1))], [-K, -np.ones((d, 1))]]),
        b_ub=np.append(-fixed, fixed),
        **sums,
        bounds=[(0.0, 1.0)] * m + [(0.0, None)],
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    if found.status != 0:
        return bound
    return bound * min(float(found.fun), 1.0) if found.fun > 1e-8 else 0.0
