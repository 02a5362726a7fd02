"""Proximal Newton steps: their models are solved exactly, in few sweeps."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.linalg import LinAlgError
from scipy.optimize import lsq_linear
from sklearn.datasets import make_classification

from sklearn_margin import LinearClassifier, LinearRegressor
from sklearn_margin.losses import (
    Huber,
    Logistic,
    ModifiedHuber,
    SmoothedHinge,
    SquaredEpsilonInsensitive,
    SquaredHinge,
)
from sklearn_margin.objective import Rows, rows
from sklearn_margin.objective.pointwise import PointwiseObjective
from sklearn_margin.penalties import ElasticNet, SeparablePenalty
from sklearn_margin.solvers import CoordinateDescent, Newton, _quadratic, coordinate_descent
from sklearn_margin.solvers._quadratic import minimize_quadratic


@pytest.fixture
def sweeps(monkeypatch):
    """The most sweeps that the models of a fit were allowed, one by one."""
    calls, sweep = [], _quadratic._sweep

    def counted(*arguments):
        calls.append(arguments[-1])
        return sweep(*arguments)

    monkeypatch.setattr(_quadratic, "_sweep", counted)
    return calls


def quadratic(seed, k=6, rank=6, strength=0.3):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(rank, k)) * 10.0 ** rng.uniform(-3, 3, k)
    l1 = strength * np.abs(rng.normal(size=k))
    l1[0] = 0.0
    start = rng.normal(size=k) * (rng.random(k) < 0.5)
    return A.T @ A, l1, start, A.T @ rng.normal(size=rank)


def only(l1, lower=None, upper=None):
    return SeparablePenalty(np.zeros(len(l1)), l1, lower, upper)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("k", "rank"), [(6, 6), (6, 3), (20, 25)])
def test_minimum_of_a_quadratic(seed, k, rank):
    """Against the same problem in parts u⁺ − u⁻ = x that are not negative."""
    hessian, l1, start, slope = quadratic(seed, k, rank)
    x = minimize_quadratic(hessian, only(l1), start, slope, 1e-25)
    now = slope + hessian @ (x - start)
    scale = np.abs(slope).max()
    assert np.all(np.abs(now)[x == 0] <= l1[x == 0] + 1e-9 * scale)
    assert np.allclose((now + l1 * np.sign(x))[x != 0], 0, atol=1e-9 * scale)


def test_minimum_of_a_quadratic_beside_another_solver():
    hessian, l1, start, slope = quadratic(11, strength=10.0)
    root = np.linalg.cholesky(hessian)
    # ½ xᵀHx + c·x + Σ l1 (u⁺ + u⁻) as least squares in v = [u⁺, u⁻] ≥ 0.
    c = slope - hessian @ start
    linear = np.r_[c + l1, l1 - c]
    A = np.c_[root.T, -root.T]
    # |Av − b|² with Aᵀb = −linear needs linear in the range; add the rest as a small ridge
    solution = lsq_linear(
        np.r_[A, 1e-9 * np.eye(12)], np.r_[np.zeros(6), -linear / 1e-9], (0, np.inf), tol=1e-15
    )
    expected = solution.x[:6] - solution.x[6:]

    def value(x):
        d = x - start
        return 0.5 * d @ hessian @ d + slope @ d + l1 @ np.abs(x)

    x = minimize_quadratic(hessian, only(l1), start, slope, 1e-25)
    assert value(x) <= value(expected) + 1e-9 * abs(value(expected))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("strength", [0.0, 1.0])
@pytest.mark.parametrize(("k", "rank"), [(6, 6), (6, 3), (20, 25)])
def test_minimum_of_a_quadratic_within_bounds(seed, strength, k, rank):
    """By its optimality conditions: slopes may not vanish only where x may not follow them."""
    hessian, l1, start, slope = quadratic(seed, k, rank, strength)
    rng = np.random.default_rng(seed)
    lower, upper = (
        -rng.random(k) * (rng.random(k) < 0.7),
        np.where(rng.random(k) < 0.5, 0.3, np.inf),
    )
    start = np.clip(start, lower, upper)
    x = minimize_quadratic(hessian, only(l1, lower, upper), start, slope, 1e-25)
    assert np.all((lower <= x) & (x <= upper))
    now, error = slope + hessian @ (x - start), 1e-9 * np.abs(slope).max()
    rises, falls = now + np.where(x >= 0, l1, -l1), now - np.where(x <= 0, l1, -l1)
    assert np.all((rises >= -error) | (x >= upper))
    assert np.all((falls <= error) | (x <= lower))
    assert np.any((x == lower) | (x == upper))


@pytest.mark.parametrize("seed", range(3))
def test_a_nearly_singular_quadratic_takes_few_sweeps(seed, sweeps):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(40, 12))
    A[:, 6:] = A[:, :6] + 1e-5 * rng.normal(size=(40, 6))
    slope = A.T @ rng.normal(size=40)
    x = minimize_quadratic(A.T @ A, only(np.full(12, 1e-6)), np.zeros(12), slope, 1e-25)
    now = slope + A.T @ (A @ x)
    assert np.all(np.abs(now) <= 1e-6 + 1e-9)
    assert sum(sweeps) <= 300


@pytest.mark.parametrize("l1_ratio", [0.5, 1.0])
@pytest.mark.parametrize("C", [1e4, 1e6])
def test_weak_penalties_take_few_sweeps(C, l1_ratio, sweeps):
    X, y = make_classification(300, random_state=0)
    model = LinearClassifier("logistic", alpha=1 / (C * 300), l1_ratio=l1_ratio).fit(X, y)
    assert sum(sweeps) <= 3_000  # 10⁵ of them were one iteration
    objective = PointwiseObjective(
        Logistic(), Rows(X, center=True), np.where(y, 1.0, -1.0), np.full(300, 1 / 300),
        penalty=ElasticNet(1 / (C * 300), l1_ratio), fit_intercept=True,
    )  # fmt: skip
    value = objective.value(objective.from_coef(model.coef_[0], model.intercept_[0]))
    assert model.dual_gap_ <= 1e-4 * value


def test_a_looser_tolerance_takes_fewer_iterations():
    X, y = make_classification(300, random_state=0)
    objective = build(Logistic(), X, np.where(y, 1.0, -1.0), 1e-6, 1.0)
    start = objective.start()
    fits = [CoordinateDescent().minimize(objective, start, tol, 100) for tol in (1e-1, 1e-4, 1e-12)]
    assert fits[0].n_iter <= fits[1].n_iter < fits[2].n_iter
    assert all(run.converged for run in fits)


def build(loss, X, y, alpha, l1_ratio, fit_intercept=True):
    return PointwiseObjective(
        loss, Rows(X, center=fit_intercept), y, np.full(len(y), 1 / len(y)),
        penalty=ElasticNet(alpha, l1_ratio), fit_intercept=fit_intercept,
    )  # fmt: skip


def labelled(seed, n=20, d=7, noise=1.0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    return X, np.where(X @ rng.normal(size=d) + noise * rng.normal(size=n) > 0, 1.0, -1.0)


def solve(solver, objective, tol=1e-8, max_iter=1000):
    with objective.rows.session():
        return solver.solve(objective, objective.start(), tol=tol, max_iter=max_iter)


@pytest.mark.parametrize("loss", [SmoothedHinge(), SquaredHinge(), ModifiedHuber()], ids=str)
@pytest.mark.parametrize("l1_ratio", [0.3, 1.0])
def test_wide_scales_and_a_weak_penalty(loss, l1_ratio, sweeps):
    X, y = labelled(1)
    objective = build(loss, X * np.geomspace(1e-6, 1e6, 7), y, 1e-8, l1_ratio)
    run = solve(CoordinateDescent(), objective)
    assert run.converged
    assert run.gap <= 1e-8 * run.value
    assert run.n_iter <= 200
    assert sum(sweeps) <= 20_000


@pytest.mark.parametrize("seed", range(4))
def test_almost_separable_rows_and_a_weak_lasso(seed):
    """Each full step passes kinks of the slope: the search along it has to be exact."""
    X, y = labelled(seed, 30, 6, noise=0.0)
    run = solve(CoordinateDescent(), build(SquaredHinge(), 1e3 * X, y, 4e-5, 1.0))
    assert run.converged
    assert run.gap <= 1e-8 * run.value
    assert run.n_iter <= 100


def test_strong_penalties_do_not_hold_the_intercept():
    """Columns so small that their penalty is 10¹⁷ leave the intercept free."""
    X, y = labelled(2, 21, 2)
    y[:15] = 1.0
    run = solve(CoordinateDescent(), build(Logistic(), 1e-9 * X, y, 0.5, 0.3))
    share = (y > 0).mean()
    entropy = -share * np.log(share) - (1 - share) * np.log(1 - share)
    assert run.converged
    assert run.value == pytest.approx(entropy, rel=1e-9)


@pytest.mark.parametrize("shift", [0.0, 1e4, 1e7])
def test_offset_columns_without_an_intercept(shift):
    X, y = labelled(3, 25, 3)
    objective = build(SquaredHinge(), X + shift, y, 1e-6, 0.0, fit_intercept=False)
    run, other = solve(CoordinateDescent(), objective), solve(Newton(), objective)
    assert run.converged
    assert run.value == pytest.approx(other.value, rel=1e-7)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_squared_epsilon_insensitive_with_a_weak_penalty(scale):
    rng = np.random.default_rng(4)
    X = rng.normal(size=(15, 6)) * scale
    y = X @ rng.normal(size=6) / scale + 0.3 * rng.normal(size=15)
    objective = build(SquaredEpsilonInsensitive(), X, y, 1e-8, 0.5)
    run, other = solve(CoordinateDescent(), objective), solve(Newton(), build(
        SquaredEpsilonInsensitive(), X, y, 0.5e-8, 0.0))  # fmt: skip
    assert run.converged
    assert run.gap <= 1e-8 * run.value
    assert run.value >= other.value * (1 - 1e-9)  # a penalty less


@pytest.mark.parametrize("cls", [CoordinateDescent, Newton])
@pytest.mark.parametrize("max_iter", [1, 2, 3, 5])
def test_a_callback_sees_what_a_shorter_fit_returns(cls, max_iter):
    X, y = labelled(5, 60, 5)
    objective = build(Logistic(), X, y, 1e-3, 0.5 if cls is CoordinateDescent else 0.0)
    seen = {}

    def callback(n_iter, params):
        seen[n_iter] = params.copy()

    with objective.rows.session():
        start = objective.start()
        cls().solve(objective, start, tol=0.0, max_iter=20, callback=callback)
        run = cls().solve(objective, start, tol=0.0, max_iter=max_iter)
    assert max(seen) <= 20
    assert run.n_iter == max_iter
    assert np.array_equal(seen[max_iter], run.params)


def test_regressor_with_a_duplicated_column_is_certified():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 5))
    y = X @ [1.0, 2.0, 0.0, 0.0, -1.0] + rng.normal(size=40)
    X = np.c_[X, X[:, 0]]
    model = LinearRegressor("squared", alpha=1e-6, l1_ratio=1.0, tol=1e-8).fit(X, y)
    residuals = y - model.predict(X)
    assert model.dual_gap_ <= 1e-8 * np.mean(residuals**2)


def sparse_problem(seed, loss, dtype=np.float64, l1_ratio=1.0, fit_intercept=True, n=80, d=60):
    """Columns from nearly full to nearly empty, one of them without entries, and weights."""
    rng = np.random.default_rng(seed)
    X = rng.gamma(2.0, size=(n, d)) * (rng.random((n, d)) < np.geomspace(0.9, 0.02, d))
    X[:, 5] = 0.0
    z = X @ (rng.normal(size=d) * (rng.random(d) < 0.3)) - 1.0 + rng.normal(size=n)
    y = z if isinstance(loss, Huber) else np.where(z > 0, 1.0, -1.0)
    s = rng.integers(0, 4, n) / 1.5 / n
    X, y, s = sp.csr_matrix(X.astype(dtype)), y.astype(dtype), (s / s.sum()).astype(dtype)
    return PointwiseObjective(
        loss, Rows(X, center=fit_intercept, n_jobs=2), y, s, penalty=ElasticNet(5e-3, l1_ratio),
        fit_intercept=fit_intercept,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("seed", "loss", "fit_intercept", "l1_ratio"),
    [(0, Logistic(), False, 1.0), (1, Logistic(), True, 0.5), (2, SquaredHinge(), True, 1.0),
     (3, SquaredHinge(), False, 0.5), (4, Huber(), True, 1.0)],
)  # fmt: skip
def test_columns_of_sparse_rows(seed, loss, fit_intercept, l1_ratio, monkeypatch):
    """Against the Gram matrix: gaps are no less than what is missing, however early a fit ends."""
    monkeypatch.setattr(coordinate_descent, "SMALL", 0)
    objective = sparse_problem(seed, loss, l1_ratio=l1_ratio, fit_intercept=fit_intercept)
    by_gram = solve(CoordinateDescent(), objective, 1e-12)
    by_column = solve(CoordinateDescent(gram_max=0), objective, 1e-10)
    assert by_column.converged
    assert by_column.value == pytest.approx(by_gram.value, rel=1e-10)
    assert np.allclose(by_column.params, by_gram.params, atol=1e-5)
    with objective.rows.session():
        for tol in (0.5, 1e-2, 1e-4):
            start = objective.start()
            run = CoordinateDescent(gram_max=0).minimize(objective, start, tol, 200)
            assert run.value - by_gram.value - 1e-13 <= run.gap <= tol * run.value


def test_columns_of_float32(monkeypatch):
    monkeypatch.setattr(coordinate_descent, "SMALL", 0)
    fits = [sparse_problem(7, Logistic(), dtype) for dtype in (np.float32, np.float64)]
    single, double = (solve(CoordinateDescent(gram_max=0), fit, 1e-5) for fit in fits)
    assert single.converged
    assert single.value == pytest.approx(double.value, rel=1e-5)


def test_columns_by_threads_give_the_same_bits(monkeypatch):
    monkeypatch.setattr(coordinate_descent, "SMALL", 0)
    monkeypatch.setattr(rows, "_FEW_ENTRIES", 0)
    runs = []
    for n_threads in (1, 2, 3):
        objective = sparse_problem(8, SquaredHinge(), n=300)
        objective.rows.n_threads = n_threads
        runs.append(solve(CoordinateDescent(gram_max=0), objective, 1e-8))
    assert all(np.array_equal(runs[0].params, run.params) for run in runs[1:])
    assert all(runs[0].gap == run.gap for run in runs[1:])


def test_a_small_problem_takes_few_steps():
    """Each with the Hessian of its point: Newton's method converges quadratically."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 10))
    y = X @ rng.normal(size=10) + rng.normal(size=100) > 0
    model = LinearClassifier(Logistic(), alpha=0.01, l1_ratio=1.0).fit(X, y)
    assert model.solver_ == "coordinate_descent" and model.n_iter_ <= 7


@pytest.mark.parametrize("seed", range(4))
def test_a_constant_column_without_a_penalty_does_not_hold_the_others(seed):
    """Its mean is rounded, so that its products with other columns are rounding errors, and that
    with itself is zero: steps by such a Hessian overflowed, and the start was called a minimum."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(5, 8)) * 10.0 ** rng.uniform(-8, 8, size=8)
    X[:, 0] = 0.7
    y, label = np.arange(5) % 2, np.array([-1, 1, -1, 1, -1])
    settings = {"alpha": 0.0, "coef_bounds": (np.where(rng.random(8) < 0.3, 0, -np.inf), None)}
    models = [LinearClassifier("squared_hinge", solver=solver, **settings).fit(X, y)
              for solver in ("coordinate_descent", "lbfgs")]  # fmt: skip
    found, known = (
        float((np.maximum(1 - label * model.decision_function(X), 0) ** 2).mean())
        for model in models
    )
    assert found <= known * (1 + 1e-4) + 1e-12
    assert abs(models[0].intercept_[0]) < 1e3


def test_a_quadratic_beyond_the_range_of_numbers_has_no_minimum():
    hessian = np.array([[1.0, 1e-3], [1e-3, 1e-300]])
    penalty = SeparablePenalty(np.zeros(2))
    with pytest.raises(LinAlgError, match="out of range"), np.errstate(all="ignore"):
        minimize_quadratic(hessian, penalty, np.zeros(2), np.array([1.0, 1e-2]), 1e-9)
