"""Solvers of multiclass hinges, against CVXPY and LinearSVC."""

import functools
import math
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from references import crammer_singer, reference_of_rows, weston_watkins
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from sklearn_margin import LinearClassifier
from sklearn_margin._validation import normalize_weights
from sklearn_margin.losses import CrammerSinger, WestonWatkins
from sklearn_margin.objective import MulticlassObjective, Rows
from sklearn_margin.penalties import ElasticNet
from sklearn_margin.solvers import SOLVERS, DualCD, Smoothing, choose
from sklearn_margin.solvers import base as solver_base

LOSSES = [CrammerSinger(margin=0.8), WestonWatkins(margin=0.8)]
EXACT = ["dual_cd", "smoothing"]
CONTAINERS = [np.asarray, sp.csr_array]
ALPHA = 0.05


def name_of(loss):
    return type(loss).__name__


@functools.cache
def problem(shape=(60, 5), n_classes=4, weighted=False):
    """Noisy data with zeros in X, classes of different sizes, weights some of which are zero."""
    rng = np.random.default_rng(0)
    n, d = shape
    X = rng.normal(size=shape) * (rng.random(shape) < 0.7)
    scores = X @ rng.normal(size=(d, n_classes)) + rng.gumbel(size=(n, n_classes))
    k = (scores + 0.5 * np.arange(n_classes)).argmax(axis=1)
    s = rng.integers(0, 4, n) * rng.random(n) if weighted else np.ones(n)
    return X, k, s  # may be written to: kernels would be compiled once more if not


def build(loss, X, k, s, fit_intercept=False, alpha=ALPHA):
    """The library's objective."""
    return MulticlassObjective(
        loss, Rows(X, center=fit_intercept), k, normalize_weights(s, len(k), X.dtype),
        n_outputs=int(k.max()) + 1, penalty=ElasticNet(alpha), fit_intercept=fit_intercept,
    )  # fmt: skip


def solve(solver, objective, tol=1e-9, max_iter=2000, **options):
    with objective.rows.session():
        return solver.solve(objective, objective.start(), tol=tol, max_iter=max_iter, **options)


@functools.cache
def minimum(loss, fit_intercept, weighted=False, shape=(60, 5), n_classes=4, alpha=ALPHA):
    """The least objective, by Clarabel, from the formulas and not from the code."""
    X, k, s = problem(shape, n_classes, weighted)
    by_row = {"CrammerSinger": crammer_singer, "WestonWatkins": weston_watkins}[loss]
    return reference_of_rows(by_row, X, k, alpha, 0.0, fit_intercept, s, margin=0.8).minimum


def check(run, objective, lowest, tol=1e-6):
    assert run.converged
    assert run.value == pytest.approx(objective.value(run.params), rel=1e-9)
    assert run.value == pytest.approx(lowest, rel=tol)
    assert run.gap >= run.value - lowest * (1 + 1e-8)
    assert run.gap <= tol * run.value


# Each two values of two axes meet.
@pytest.mark.parametrize(
    ("fit_intercept", "weighted", "container", "shape"),
    [
        (False, False, np.asarray, (60, 5)),
        (True, True, np.asarray, (60, 5)),
        (True, False, sp.csr_array, (60, 5)),
        (False, True, sp.csr_array, (25, 40)),
        (True, False, np.asarray, (25, 40)),
    ],
)
@pytest.mark.parametrize("loss", LOSSES, ids=name_of)
@pytest.mark.parametrize("solver", EXACT)
def test_reaches_the_minimum(solver, loss, fit_intercept, weighted, container, shape):
    X, k, s = problem(shape, 4, weighted)
    objective = build(loss, container(X), k, s, fit_intercept)
    run = solve(SOLVERS[solver](), objective, 1e-6)
    check(run, objective, minimum(name_of(loss), fit_intercept, weighted, shape))


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("loss", LOSSES, ids=name_of)
@pytest.mark.parametrize("shrinking", [False, True])
def test_descent_alone_reaches_the_minimum(loss, fit_intercept, shrinking, monkeypatch):
    """Without the polish of small problems, which hides when it would stop."""
    monkeypatch.setattr(solver_base, "SMALL", 0)
    for container in CONTAINERS:
        X, k, s = problem(weighted=True)
        objective = build(loss, container(X), k, s, fit_intercept)
        lowest = minimum(name_of(loss), fit_intercept, True)
        for tol in (1e-3, 1e-8):
            run = solve(DualCD(shrinking), objective, tol)
            check(run, objective, lowest, max(tol, 1e-7))


@pytest.mark.parametrize("loss", LOSSES, ids=name_of)
@pytest.mark.parametrize("solver", EXACT)
def test_small_problems_are_solved_to_high_accuracy(solver, loss):
    X, k, s = problem()
    objective = build(loss, X, k, s, True)
    run = solve(SOLVERS[solver](), objective, 1e-3)
    assert run.gap <= 1e-10 * run.value


@pytest.mark.parametrize("container", CONTAINERS, ids=["dense", "csr"])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("loss", LOSSES, ids=name_of)
@pytest.mark.parametrize("solver", EXACT)
def test_gap_bounds_the_excess_wherever_it_stops(solver, loss, fit_intercept, container):
    lowest = minimum(name_of(loss), fit_intercept, True, alpha=1e-3)
    X, k, s = problem(weighted=True)
    objective = build(loss, container(X), k, s, fit_intercept, 1e-3)
    for max_iter in (1, 2, 3, 5, 8, 13, 21, 34, 50):
        run = solve(SOLVERS[solver](), objective, 1e-4, max_iter)
        assert run.n_iter <= max_iter
        assert run.value == pytest.approx(objective.value(run.params), rel=1e-9)
        assert run.gap >= run.value - lowest * (1 + 1e-8)
        assert not run.converged or run.gap <= 1e-4 * run.value * (1 + 1e-9)


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("loss", LOSSES, ids=name_of)
@pytest.mark.parametrize("solver", EXACT)
def test_weights_are_repetitions(solver, loss, fit_intercept):
    X, k, _ = problem()
    times = np.random.default_rng(1).integers(0, 4, len(k))
    options = {"solver": solver, "fit_intercept": fit_intercept, "alpha": ALPHA}
    weighted = LinearClassifier(loss, **options).fit(X, k, sample_weight=times)
    repeated = LinearClassifier(loss, **options).fit(X.repeat(times, axis=0), k.repeat(times))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(weighted.intercept_, repeated.intercept_, rtol=1e-6, atol=1e-6)


# One loss and solver: all that is beneath is compiled once more for this dtype.
@pytest.mark.parametrize(("solver", "container"), [("dual_cd", sp.csr_array)])
def test_single_precision(solver, container):
    loss = LOSSES[0]
    X, k, s = problem(weighted=True)
    objective = build(loss, container(X.astype(np.float32)), k, s, True)
    run = solve(SOLVERS[solver](), objective, 1e-4)
    assert run.converged
    assert run.value == pytest.approx(minimum(name_of(loss), True, True), rel=1e-4)
    model = LinearClassifier(loss, solver=solver, alpha=ALPHA).fit(X.astype(np.float32), k)
    assert model.coef_.dtype == np.float32


@pytest.mark.parametrize("solver", EXACT)
def test_agrees_with_liblinear(solver):
    X, y = load_iris(return_X_y=True)
    C = 0.5
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        peer = LinearSVC(
            C=C, multi_class="crammer_singer", fit_intercept=False, tol=1e-10, max_iter=100_000
        ).fit(X, y)
    model = LinearClassifier(
        "crammer_singer", alpha=1 / (C * len(y)), fit_intercept=False, solver=solver, tol=1e-9
    ).fit(X, y)
    np.testing.assert_allclose(model.coef_, peer.coef_, atol=1e-4)


@pytest.mark.compiled
@pytest.mark.parametrize("loss", LOSSES, ids=name_of)
def test_warm_start_of_the_descent(loss, monkeypatch):
    monkeypatch.setattr(solver_base, "SMALL", 0)
    X, k, s = problem((400, 30))
    objective = build(loss, X, k, s, True, 1e-2)
    cold = solve(DualCD(), objective, 1e-6)
    with objective.rows.session():
        warm = DualCD().solve(objective, cold.params, tol=1e-6, max_iter=2000)
    assert warm.value == pytest.approx(cold.value, rel=2e-6)
    assert warm.n_iter < cold.n_iter


@pytest.mark.parametrize("n_classes", [3, 10])
@pytest.mark.parametrize("loss", LOSSES, ids=name_of)
def test_dual_step_is_the_best(loss, n_classes):
    """No other slopes give more, and a row that is optimal is said to be."""
    rng = np.random.default_rng(0)

    def feasible():
        p = rng.dirichlet(np.full(n_classes, 0.3))
        if isinstance(loss, CrammerSinger):
            g = s * p
            g[k] -= s
            return g
        g = s * np.clip(rng.normal(0.5, 1.0, n_classes), 0, 1)
        g[k] = 0
        g[k] = -g.sum()
        return g

    def gain(new):
        # −s ℓ*(g/s) is margin times the slopes of the wrong classes.
        conjugate = -loss.margin * (new.sum() - new[k])
        return z @ (new - g) - conjugate - 0.5 * norm * ((new - g) ** 2).sum()

    for _ in range(50):
        k, s = int(rng.integers(n_classes)), rng.random() + 0.1
        norm = 10.0 ** rng.uniform(-2, 2)
        z, g, new = rng.normal(size=n_classes), feasible(), np.empty(n_classes)
        excess = loss.dual_step(k, z, g, s, norm, new)
        best = new if excess > 0 else g
        assert abs(best.sum()) <= 1e-12
        assert all(gain(feasible()) <= gain(best) + 1e-10 for _ in range(50))
        assert all(gain(best + t * (feasible() - best)) <= gain(best) + 1e-12 for t in (1e-3, 0.1))
        assert loss.dual_gap(k, z, best, s) >= -1e-12
        if excess <= 0:
            assert loss.dual_gap(k, z, g, s) <= 1e-12


@pytest.mark.parametrize("loss", LOSSES, ids=name_of)
def test_no_features_that_say_anything(loss):
    """Intercepts alone; and rows of zeros without one."""
    _, k, s = problem()
    for fit_intercept in (False, True):
        objective = build(loss, np.zeros((60, 2)), k, s, fit_intercept)
        run = solve(DualCD(), objective, 1e-4, 1000)
        best = solve(Smoothing(), objective, 1e-4, 1000)
        assert run.value <= best.value * (1 + 1e-3)


class Capped(CrammerSinger):
    """Another formula, which inherits methods about its parent's."""

    def sample_value(self, k, z):
        return math.sqrt(1.0 + z[k] ** 2)

    def sample_gradient(self, k, z, out):
        out[:] = 0.0
        out[k] = z[k] / math.sqrt(1.0 + z[k] ** 2)


def test_a_subclass_with_another_formula_is_not_believed():
    X, k, s = problem()
    assert "Capped" in DualCD().obstacle(build(Capped(), X, k, s))
    assert DualCD().obstacle(build(CrammerSinger(), X, k, s)) is None
    assert DualCD().obstacle(build(CrammerSinger().smoothed(0.1), X, k, s)) is not None


@pytest.mark.compiled
def test_which_solver_is_chosen():
    rng = np.random.default_rng(0)
    k = rng.integers(0, 3, 5_000)
    wide = sp.random_array((5_000, 2_000), density=0.01, format="csr", random_state=0)
    tall = rng.normal(size=(50_000, 10))
    assert choose("auto", build(LOSSES[0], wide, k, np.ones(5_000))).name == "dual_cd"
    many = build(LOSSES[0], tall, rng.integers(0, 3, 50_000), np.ones(50_000))
    assert choose("auto", many).name == "smoothing"
    assert choose("auto", many, 1e-8).name == "dual_cd"
    X, k, s = problem()
    assert choose("auto", build(LOSSES[0], X, k, s), 1e-8).name == "interior_point"
