"""Dual coordinate descent: its gap, and what callbacks see."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose
from sklearn.datasets import make_regression

from sklearn_margin import LinearClassifier
from sklearn_margin.losses import Absolute, CrammerSinger, Hinge, Quantile, SquaredHinge
from sklearn_margin.objective import MulticlassObjective, PointwiseObjective, Rows
from sklearn_margin.penalties import ElasticNet
from sklearn_margin.solvers import DualCD, Newton


def objective(loss, X, y, fit_intercept=True, alpha=1e-2):
    rows, s = Rows(X, center=fit_intercept), np.full(len(y), 1 / len(y))
    settings = {"penalty": ElasticNet(alpha), "fit_intercept": fit_intercept}
    if isinstance(loss, CrammerSinger):
        return MulticlassObjective(loss, rows, y, s, n_outputs=3, **settings)
    return PointwiseObjective(loss, rows, y, s, **settings)


def solve(problem, **options):
    settings = {"tol": 1e-6, "max_iter": 500, **options}
    with problem.rows.session():
        return DualCD().solve(problem, problem.start(), **settings)


def example(name):
    X, y = make_regression(300, 20, noise=10, random_state=0)
    loss = {"hinge": Hinge(), "absolute": Absolute(), "crammer_singer": CrammerSinger()}[name]
    if name == "hinge":
        y = np.where(y > 0, 1.0, -1.0)
    if name == "crammer_singer":
        y = np.digitize(y, [-100.0, 100.0])
    return objective(loss, X, y)


@pytest.mark.parametrize("tol", [1e-4, 1e-8, 0.0])
@pytest.mark.parametrize("name", ["hinge", "absolute", "crammer_singer"])
def test_callbacks_are_called_once_an_iteration(name, tol):
    problem = example(name)
    for max_iter in (1, 3, 6, 10):
        seen = []
        result = solve(
            problem,
            tol=tol,
            max_iter=max_iter,
            callback=lambda n, _, seen=seen: seen.append(n),
        )
        assert seen == sorted(set(seen))
        assert 1 <= len(seen) <= max_iter
        assert seen[-1] <= result.n_iter <= max_iter


@pytest.mark.parametrize("name", ["hinge", "absolute"])
def test_callbacks_see_what_a_shorter_fit_returns(name):
    problem, shown = example(name), {}
    solve(problem, tol=0.0, max_iter=6, callback=lambda n, params: shown.update({n: params.copy()}))
    assert len(shown) >= 3
    for k, params in shown.items():
        assert_allclose(solve(problem, tol=0.0, max_iter=k).params, params, rtol=1e-12)


@pytest.mark.parametrize("name", ["hinge", "absolute", "crammer_singer"])
def test_the_first_gap_is_a_finite_bound(name):
    problem = example(name)
    best = solve(problem, tol=1e-9).value
    result = solve(problem, tol=1e-9, max_iter=1)
    assert result.value - best <= result.gap <= result.value * (1 + 1e-9)


@pytest.mark.parametrize("seed", [0, 3])
def test_the_gap_counts_rounding_errors(seed):
    """Offsets of 1e8 leave eight digits of a score, and a gap of 1e-16 would be no bound."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(24, 4)) + 10.0 ** rng.uniform(6, 8, 4)
    y = rng.normal(size=24)
    problem = objective(Quantile(quantile=0.1), X, y, alpha=0.1)
    result = solve(problem, tol=1e-8, max_iter=100)
    w, b = problem.to_coef(result.params)
    r = y - (X.astype(np.longdouble) @ w + b)
    exact = float(np.mean(np.maximum(0.1 * r, -0.9 * r)) + 0.05 * w @ w)
    assert result.converged
    assert abs(exact - result.value) <= result.gap
    assert result.gap <= 1e-8 * exact


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_steps_that_are_rounding_errors_do_not_keep_it_from_converging(fit_intercept):
    """All slopes are free, passes are slow, and steps at the limit of the arithmetic are wrong."""
    rng = np.random.RandomState(4)
    X = rng.normal(size=(60, 100))
    y = X @ rng.normal(size=100) + rng.normal(size=60) + 1
    problem = objective(Quantile(quantile=0.5), X, y, fit_intercept)
    assert solve(problem, tol=1e-8, max_iter=200).converged


def test_without_an_intercept_the_gap_is_a_bound_wherever_it_ends():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(200, 30))
    problem = objective(Hinge(), X, np.sign(X[:, 0] + rng.normal(size=200)), False, alpha=1e-3)
    best = solve(problem, tol=1e-12, max_iter=5000).value
    for max_iter in (1, 5, 20, 80):
        result = solve(problem, tol=1e-9, max_iter=max_iter)
        assert -1e-15 <= result.value - best <= result.gap
        w, _ = problem.to_coef(result.params)
        shown = solve(problem, tol=1e-9, max_iter=max_iter, callback=lambda *_: False)
        assert shown.n_iter == result.n_iter
        assert_allclose(problem.to_coef(shown.params)[0], w, atol=1e-10)


def test_a_perfect_fit_converges():
    rng = np.random.default_rng(0)
    problem = objective(Absolute(), rng.normal(size=(30, 2)), np.zeros(30))
    result = solve(problem)
    assert result.converged
    assert result.value == 0.0


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_round_hinges_have_a_gap_wherever_it_ends(fit_intercept):
    rng = np.random.RandomState(0)
    X = sp.random_array((80, 120), density=0.1, random_state=rng, format="csr")
    y = np.sign(X @ rng.normal(size=120) + 0.3 * rng.normal(size=80))
    s = rng.randint(0, 3, 80) / 80
    problem = objective(SquaredHinge(margin=0.8), X, y, fit_intercept).with_weights(s / s.sum())
    with problem.rows.session():
        best = Newton().solve(problem, problem.start(), tol=1e-12, max_iter=100)
    for max_iter in (1, 4, 16, 500):
        result = solve(problem, tol=1e-8, max_iter=max_iter)
        error = problem.value(result.params) - (best.value - best.gap)
        assert -1e-14 <= error <= result.gap + 1e-14
    assert result.converged
    assert result.n_iter < 300
    again = solve(problem, tol=1e-8)  # from slopes at the solution
    with problem.rows.session():
        warm = DualCD().solve(problem, result.params, tol=1e-6, max_iter=500)
    assert warm.n_iter <= 2 < again.n_iter


def test_auto_takes_it_for_few_wide_rows_and_the_squared_hinge():
    rng = np.random.RandomState(0)
    X = sp.random_array((60, 20_000), density=1e-3, random_state=rng, format="csr")
    y = np.sign(X @ rng.normal(size=20_000))
    model = LinearClassifier("squared_hinge", alpha=1e-2).fit(X, y)
    newton = LinearClassifier("squared_hinge", alpha=1e-2, solver="newton", tol=1e-7).fit(X, y)

    def value(model):
        loss = np.maximum(1 - y * model.decision_function(X), 0) ** 2
        return np.mean(loss) + 0.005 * np.sum(model.coef_**2)

    assert model.solver_ == "dual_cd"
    assert value(model) <= value(newton) + model.dual_gap_
    # Errors of single precision would be more than tol.
    assert LinearClassifier("squared_hinge").fit(X.astype(np.float32), y).solver_ == "newton"
