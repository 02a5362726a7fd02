"""Optima by other people's means, and measures of a point, that several test files share."""

import cvxpy as cp
import numpy as np

from sklearn_margin.objective import MulticlassObjective, Rows
from sklearn_margin.penalties import ElasticNet
from sklearn_margin.solvers import SOLVERS, choose

ROUGH = {"sgd", "subgradient"}  # solvers that come within percents of a minimum

# --- losses of rows of scores, as CVXPY expressions by row ------------------------------------


def _true_score(y, Z):
    """Scores of the true classes, repeated for all classes, and 1 for the others."""
    k = Z.shape[1]
    target = np.eye(k)[y]
    own = cp.sum(cp.multiply(target, Z), axis=1, keepdims=True)
    return own @ np.ones((1, k)), 1 - target


def crammer_singer(y, Z, margin=1.0):
    """max over c of margin [c ≠ y] + z_c − z_y."""
    true, others = _true_score(y, Z)
    return cp.max(margin * others + Z - true, axis=1)


def weston_watkins(y, Z, margin=1.0):
    """Σ over c ≠ y of [margin + z_c − z_y]₊."""
    true, others = _true_score(y, Z)
    return cp.sum(cp.multiply(others, cp.pos(margin + Z - true)), axis=1)


def cross_entropy(y, Z, label_smoothing=0.0):
    """log Σ exp z − Σ t_c z_c, the targets t being smoothed."""
    k = Z.shape[1]
    target = (1 - label_smoothing) * np.eye(k)[y] + label_smoothing / k
    return cp.log_sum_exp(Z, axis=1) - cp.sum(cp.multiply(target, Z), axis=1)


# --- optima -----------------------------------------------------------------------------------


class Reference:
    """A convex problem over (w, b), solved by CVXPY and Clarabel; ``at`` evaluates it anywhere.

    Parameters
    ----------
    loss : callable
        ``loss(w, b)``: a CVXPY expression.
    d : int or tuple of int
        Number of features; (n_classes, n_features) for several scores per row.
    """

    def __init__(self, loss, d, alpha, l1_ratio=0.0, fit_intercept=True):
        self.w = cp.Variable(d)
        shape = self.w.shape[:-1]
        self.b = cp.Variable(shape) if fit_intercept else cp.Constant(np.zeros(shape))
        penalty = (1 - l1_ratio) / 2 * cp.sum_squares(self.w) + l1_ratio * cp.norm1(
            cp.vec(self.w, "C")
        )
        self.problem = cp.Problem(cp.Minimize(loss(self.w, self.b) + alpha * penalty))
        self.minimum = float(self.problem.solve(solver=cp.CLARABEL, tol_gap_rel=1e-9))
        assert self.problem.status == "optimal"
        self.coef = self.w.value.copy()
        self.intercept = np.array(self.b.value)

    def at(self, coef, intercept=0.0):
        """Objective at a point."""
        self.w.value = np.asarray(coef, dtype=np.float64)
        if isinstance(self.b, cp.Variable):
            self.b.value = np.asarray(intercept, dtype=np.float64)
        else:
            assert not np.any(intercept)
        return float(self.problem.objective.value)


def reference_of_rows(by_row, X, y, alpha, l1_ratio=0.0, fit_intercept=True, weight=None, **params):
    """``Reference`` of a loss of rows of scores, such as ``crammer_singer``, with its parameters.

    There are as many classes as ``y`` says, a class index per row.
    """
    s = np.ones(len(y)) if weight is None else np.asarray(weight, dtype=float)
    k, ones = int(y.max()) + 1, np.ones((len(y), 1))

    def loss(w, b):
        return s / s.sum() @ by_row(y, X @ w.T + ones @ cp.reshape(b, (1, k), "C"), **params)

    return Reference(loss, (k, X.shape[1]), alpha, l1_ratio, fit_intercept)


def can_be_exact(loss, l1_ratio):
    """Whether a solver that is not rough takes a loss of three classes with this penalty."""
    y, s = np.arange(6) % 3, np.full(6, 1 / 6)
    rows = Rows(np.ascontiguousarray(np.eye(6)[:, :2]), center=True)
    objective = MulticlassObjective(
        loss.for_classes(3),
        rows,
        y,
        s,
        n_outputs=3,
        penalty=ElasticNet(0.0, l1_ratio),
        fit_intercept=True,
    )
    exact = [cls() for name, cls in SOLVERS.items() if name not in ROUGH]
    return any(solver.obstacle(objective) is None for solver in exact)


def minimum(objective, tol=1e-10):
    """Parameters and value at the optimum of one of our objectives, by ``solver="auto"``."""
    with objective.rows.session():
        run = choose("auto", objective).solve(objective, objective.start(), tol=tol, max_iter=500)
    return run.params, run.value


# --- measures of a point ----------------------------------------------------------------------


def gap_at(objective, params):
    """The gap of a point, as a solver would compute it."""
    z = objective.scores(params)
    g = np.empty_like(z)
    loss = objective.score_gradient(z, g)
    return objective.gap(params, objective.gradient_from(params, g), objective.slopes(g), loss)


def check_gap_near_and_far(objective, seed):
    """Assert that the gap bounds the excess at points from the optimum itself to far away."""
    best, lowest = minimum(objective)
    direction = np.random.default_rng(seed + 1).normal(size=len(best))
    for distance in (0.0, 1e-8, 1e-4, 1e-2, 1.0, 100.0):
        for params in (best + distance * direction, best * (1 + distance), distance * direction):
            excess = objective.value(params) - lowest
            assert gap_at(objective, params) >= excess * (1 - 1e-6) - 1e-12 * abs(lowest) - 1e-13
