"""Penalties: values, gradients, their part of a duality gap, and bounds of coefficients."""

from dataclasses import dataclass

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import minimize
from test_objective import differences

from sklearn_margin.losses import (
    CrossEntropy,
    Hinge,
    Huber,
    Logistic,
    PairwiseSquaredHinge,
    Squared,
    SquaredHinge,
)
from sklearn_margin.objective import (
    MulticlassObjective,
    PairwiseObjective,
    PointwiseObjective,
    Rows,
)
from sklearn_margin.penalties import ElasticNet, SeparablePenalty
from sklearn_margin.solvers import LBFGS, SOLVERS, CoordinateDescent, candidates, choose


def test_penalty():
    penalty = ElasticNet(0.5, 0.2).in_coordinates(np.array([1.0, 2.0, 0.5]))
    w = np.array([1.0, -2.0, 0.25])
    u = w * [1.0, 2.0, 0.5]
    assert penalty.value(u) == pytest.approx(0.5 * (0.8 / 2 * w @ w + 0.2 * np.abs(w).sum()))
    np.testing.assert_allclose(penalty.gradient(u), differences(penalty.value, u), rtol=1e-6)
    v = penalty.prox(u, 0.7)
    # v minimises a strictly convex function: 0 is in its subdifferential.
    slope = (v - u) / 0.7 + penalty.l2 * v
    assert (np.abs(slope + penalty.l1 * np.sign(v))[v != 0] < 1e-12).all()
    assert (np.abs(slope)[v == 0] <= penalty.l1[v == 0]).all()
    assert (v == 0).any()
    assert (v != 0).any()
    assert not ElasticNet(0.5).in_coordinates(np.ones(3)).has_l1
    assert not ElasticNet(0.0, 0.5).in_coordinates(np.ones(3)).has_l1


@pytest.mark.parametrize("l1_ratio", [0.0, 0.4, 1.0])
def test_penalty_gap_by_its_definition(l1_ratio):
    """Σ P(u) + P*(−κv) + κuv with the supremum of P* found on a grid."""
    rng = np.random.default_rng(0)
    penalty = ElasticNet(0.7, l1_ratio).in_coordinates(np.array([1.0, 0.5, 2.0]))
    u, v = rng.normal(size=3), rng.normal(size=3)
    gap, kappa = penalty.gap(u, v + penalty.l2 * u, 0.0, 3.0)
    x = np.linspace(-30, 30, 600_001)
    conjugate = sum(
        np.max(-kappa * v[j] * x - 0.5 * penalty.l2[j] * x**2 - penalty.l1[j] * np.abs(x))
        for j in range(3)
    )
    assert 0 <= kappa <= 1
    expected = (1 - kappa) * 3.0 + penalty.value(u) + conjugate + kappa * (u @ v)
    assert gap == pytest.approx(expected, abs=1e-6)
    assert gap <= 3.0 + penalty.value(u) + 1e-12 or l1_ratio > 0


# --- a penalty with bounds, added as CONTRIBUTING says: one class ------------------------------


@dataclass(frozen=True)
class NonNegative:
    """An elastic net of coefficients that may not be negative."""

    alpha: float = 0.0
    l1_ratio: float = 0.0
    is_zero = property(lambda self: not self.alpha > 0)
    ridge = None

    def in_coordinates(self, scale):
        net = ElasticNet(self.alpha, self.l1_ratio).in_coordinates(scale)
        l1 = net.l1 if net.has_l1 else None
        return SeparablePenalty(net.l2, l1, lower=np.zeros(len(scale)), penalty=self)


CASES = [Squared(), Huber(), Logistic(), SquaredHinge(), PairwiseSquaredHinge(), CrossEntropy()]


def objective(loss, penalty, container=np.asarray, fit_intercept=True, dtype=np.float64):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 5)) * [1.0, 3.0, 0.3, 1.0, 1.0] + [0.0, 1.0, 0.0, 0.0, -2.0]
    t = X @ [1.0, -1.0, 2.0, 0.0, 0.5] + rng.normal(size=60)
    s = rng.uniform(0.5, 2.0, 60)
    rows = Rows(container(X.astype(dtype)), center=fit_intercept)
    s, grades = (s / s.sum()).astype(dtype), np.digitize(t, [-2.0, 2.0])
    settings = {"penalty": penalty}
    if isinstance(loss, PairwiseSquaredHinge):
        return PairwiseObjective(loss, rows, grades.astype(dtype), s, **settings)
    settings["fit_intercept"] = fit_intercept
    if isinstance(loss, CrossEntropy):
        return MulticlassObjective(loss, rows, grades, s, n_outputs=3, **settings)
    y = t if isinstance(loss, (Squared, Huber)) else np.where(t > 0, 1.0, -1.0)
    return PointwiseObjective(loss, rows, y.astype(dtype), s, **settings)


def lowest(problem):
    """F at its minimum by scipy's L-BFGS-B, in u and b."""
    n_u, l1 = len(problem.penalty.l2), problem.penalty.l1

    def value_gradient(params):
        value, gradient = problem.value_gradient(params)
        gradient[:n_u] += l1 * (params[:n_u] == 0)  # the slope to the right
        return value, gradient

    bounds = [(0.0, None)] * n_u + [(None, None)] * (problem.n_params - n_u)
    found = minimize(
        value_gradient, problem.start(), jac=True, method="L-BFGS-B", bounds=bounds,
        options={"ftol": 0.0, "gtol": 1e-12, "maxiter": 20_000, "maxfun": 100_000},
    )  # fmt: skip
    return found.fun


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
@pytest.mark.parametrize(
    "solver",
    [LBFGS(), CoordinateDescent(), CoordinateDescent(gram_max=0)],
    ids=["lbfgs", "coordinate_descent", "products"],
)
@pytest.mark.parametrize("loss", CASES, ids=lambda loss: type(loss).__name__)
def test_non_negative_coefficients(loss, solver, l1_ratio):
    problem = objective(loss, NonNegative(0.05, l1_ratio), sp.csr_array if l1_ratio else np.asarray)
    with problem.rows.session():
        run = solver.solve(problem, problem.start(), tol=1e-9, max_iter=1000)
    u = problem.split(run.params)[0]
    assert run.converged
    assert u.min() == 0
    assert u.max() > 0
    best = lowest(problem)
    assert run.value == pytest.approx(problem.value(run.params), rel=1e-12)
    assert abs(run.value - best) <= 1e-7 * best
    assert run.value - best - 1e-12 * best <= run.gap <= 1e-9 * run.value


@pytest.mark.parametrize("loss", CASES, ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
def test_the_gap_with_bounds_bounds(loss, l1_ratio):
    problem = objective(loss, NonNegative(0.05, l1_ratio))
    run = CoordinateDescent().solve(problem, problem.start(), tol=1e-10, max_iter=1000)
    rng = np.random.default_rng(1)
    for size in (1e-6, 1e-3, 1e-1, 1.0):
        params = problem.feasible(run.params + size * rng.normal(size=problem.n_params))
        point = problem.at(params)
        assert point.gap() >= (point.value - run.value) * (1 - 1e-9)
        assert point.gap() <= 2 * point.value


@pytest.mark.parametrize("l1_ratio", [0.0, 0.4])
def test_gap_with_bounds_by_its_definition(l1_ratio):
    rng = np.random.default_rng(0)
    for _ in range(20):
        scale, lower = np.array([1.0, 0.5, 2.0]), np.array([-0.5, 0.2, -np.inf])
        net, upper = ElasticNet(0.7, l1_ratio).in_coordinates(scale), np.array([np.inf, 0.9, 0.1])
        penalty = SeparablePenalty(net.l2, net.l1 if net.has_l1 else None, lower, upper)
        u, v = penalty.clip(rng.normal(size=3)), 2 * rng.normal(size=3)
        slack = rng.choice([0.0, 0.1])
        gap, kappa = penalty.gap(u, v + penalty.l2 * u, slack)
        x = np.linspace(-30, 30, 600_001)
        conjugate = 0.0
        for j in range(3):
            at = np.r_[x[(x >= lower[j]) & (x <= upper[j])], np.clip([-30, 30], lower[j], upper[j])]
            own = 0.5 * penalty.l2[j] * at**2 + penalty.l1[j] * np.abs(at)
            conjugate += max(np.max(-w * at - own) + u[j] * w for w in (v[j] - slack, v[j] + slack))
        assert kappa == 1.0
        assert gap == pytest.approx(penalty.value(u) + conjugate, abs=1e-6)


def test_solvers_without_bounds_refuse_by_name():
    problem = objective(Logistic(), NonNegative(0.05))
    able = {name for name, cls in SOLVERS.items() if cls.keeps_bounds}
    assert able == {"coordinate_descent", "interior_point", "lbfgs", "smoothing"}
    for name in SOLVERS.keys() - able - {"adam"}:
        with pytest.raises(ValueError, match=f"solver='{name}'.*NonNegative has bounds.*lbfgs"):
            choose(name, problem)
    assert [solver.name for solver in candidates("auto", problem)] == [
        "coordinate_descent",
        "lbfgs",
    ]
    hinge = objective(Hinge(), NonNegative(0.05))
    assert [solver.name for solver in candidates("auto", hinge)] == ["interior_point", "smoothing"]


def test_a_start_beyond_a_bound_is_moved_to_it():
    problem = objective(Squared(), NonNegative(0.05))
    start = np.full(problem.n_params, -3.0)
    runs = [solver.solve(problem, start, tol=1e-9, max_iter=1000)
            for solver in (LBFGS(), CoordinateDescent())]  # fmt: skip
    for run in runs:
        assert problem.split(run.params)[0].min() >= 0
        assert run.value == pytest.approx(lowest(problem), rel=1e-7)


def test_single_precision_with_bounds():
    problem = objective(Logistic(), NonNegative(0.05), dtype=np.float32)
    for solver in (LBFGS(), CoordinateDescent()):
        run = solver.solve(problem, problem.start(), tol=1e-4, max_iter=1000)
        assert run.converged
        assert problem.split(run.params)[0].min() == 0
