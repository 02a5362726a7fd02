"""The subgradient method, and the certificate that it shares with sgd."""

import functools
import math
import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn_releases import ScoringMonitor

from sklearn_margin import LinearClassifier, LinearRanker, LinearRegressor
from sklearn_margin.losses import PointwiseLoss
from sklearn_margin.objective.mean_slopes import _with_zero_sum, own_gap
from sklearn_margin.solvers import SGD, Subgradient
from sklearn_margin.solvers._averaged_slopes import (
    gap_by_passes,
    gap_by_steps,
    without_small,
)
from sklearn_margin.solvers._stochastic import Run

# Eight rows of nearly collinear columns: a narrow valley (from scikit-learn's test_sgd_l1).
VALLEY = np.array([
    [1, 0.9, 0.8, 0, 0, 0], [1, 0.84, 0.98, 0, 0, 0], [1, 0.96, 0.88, 0, 0, 0],
    [1, 0.91, 0.99, 0, 0, 0], [0, 0, 0, 0.89, 0.91, 1], [0, 0, 0, 0.79, 0.84, 1],
    [0, 0, 0, 0.91, 0.95, 1], [0, 0, 0, 0.93, 1, 1],
])  # fmt: skip
VALLEY_SETTINGS = {"alpha": 0.2, "l1_ratio": 1.0, "fit_intercept": False, "max_iter": 5000}


def data(n=60, d=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    return X, X @ rng.normal(size=d) + 0.5 * rng.normal(size=n)


def objective_of(model, X, y, **options):
    return model._prepare(X, y, **options).objectives[0]


def solve(solver, objective, tol=1e-4, max_iter=1000, callback=None):
    with objective.rows.session():
        return solver.solve(
            objective, objective.start(), tol=tol, max_iter=max_iter, callback=callback,
            random_state=np.random.RandomState(0),
        )  # fmt: skip


MODELS = {
    "hinge": (LinearClassifier, lambda t: (t > 0) * 1),
    "crammer_singer": (LinearClassifier, lambda t: np.digitize(t, [-0.5, 0.5])),
    "absolute": (LinearRegressor, lambda t: 1000 * t + 5000),
    "pairwise_hinge": (LinearRanker, lambda t: np.digitize(t, [-0.5, 0.5])),
}


def example(loss, **settings):
    """An objective, its minimum and where it is, as an exact solver finds them."""
    cls, target = MODELS[loss]
    X, t = data()
    model = cls(loss, tol=1e-9, **settings)
    objective = objective_of(model, X, target(t))
    model.fit(X, target(t))
    intercept = getattr(model, "intercept_", 0.0)
    coef = model.coef_ if objective.n_outputs > 1 else model.coef_.ravel()
    intercept = intercept if objective.n_outputs > 1 else float(np.ravel(intercept)[0])
    params = objective.from_coef(coef, intercept)
    return objective, objective.value(params), params


# --- the certificate ---------------------------------------------------------------------------


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
@pytest.mark.parametrize("loss", ["hinge", "absolute"])
def test_gaps_bound_the_distance(loss, l1_ratio):
    """Anywhere, whatever the steps; and near the optimum they are small."""
    objective, minimum, optimum = example(loss, alpha=1e-2, l1_ratio=l1_ratio)
    run = Run(SGD(), objective)
    rng = np.random.default_rng(0)
    for spread in (0.0, 0.01, 1.0):
        params = optimum + spread * rng.normal(size=len(optimum))
        distance = objective.value(params) - minimum * (1 + 1e-12)
        for eta in (1e-4, 1e-2, 1.0, 1e3):
            assert gap_by_passes(run, params, eta, 0.0) >= distance
        for most in (1, 10, 300):
            assert gap_by_steps(objective, params, 0.0, most) >= distance
        assert own_gap(objective, params) >= distance
    value = objective.value(optimum)
    assert gap_by_passes(run, optimum, 1e-2, 0.02 * value) < 0.02 * value
    assert gap_by_steps(objective, optimum, 0.02 * value, 5000) < 0.1 * value


def test_steps_certify_what_slopes_at_a_kink_do_not():
    objective, value, optimum = example("hinge", alpha=1e-3)
    gap = gap_by_steps(objective, optimum, 1e-3 * value, 1000)
    assert 0 <= gap < 0.02 * value < own_gap(objective, optimum)


def test_slopes_are_balanced_for_the_intercept():
    """Without a price: a loss that may be negative has no other way."""

    class Negative(PointwiseLoss):
        smooth = True

        def sample_value(self, y, z):
            return math.log(math.cosh(y - z)) - 5.0

        def sample_gradient(self, y, z):
            return -math.tanh(y - z)

    X, t = data()
    objective = objective_of(LinearRegressor(Negative(), alpha=0.05), X, t)
    start = objective.start() + 1.0
    z = objective.scores(start)
    g = np.empty_like(z)
    loss = objective.score_gradient(z, g)
    assert abs(g.sum()) > 0.1 * np.abs(g).sum()
    mean, conjugate = _with_zero_sum(objective, z, loss, g, float(g @ z) - loss)
    assert abs(mean.sum()) < 1e-12
    # Fenchel's inequality at the scores, with an upper bound for the conjugate.
    assert loss + conjugate >= mean @ z
    found = solve(Subgradient(), objective)
    best = solve(Subgradient(), objective, tol=1e-9, max_iter=5000).value
    assert found.converged
    assert found.value < 0
    for params in (start, found.params):
        assert own_gap(objective, params) >= objective.value(params) - best


def test_zeros():
    objective, _, optimum = example("hinge", alpha=0.1, l1_ratio=1.0)
    noisy = optimum + 1e-9 * np.random.default_rng(0).normal(size=len(optimum))
    value = objective.value(noisy)
    zeroed, found = without_small(objective, noisy, value, 1e-6 * value)
    assert found == objective.value(zeroed) <= value * (1 + 1e-6)
    np.testing.assert_array_equal(zeroed[:-1] == 0, np.abs(optimum[:-1]) < 1e-6)
    assert zeroed[-1] == noisy[-1]  # the intercept is no coefficient
    without = example("hinge", alpha=0.1)[0]
    assert without_small(without, noisy, 1.0, 1.0)[0] is noisy


# --- how a fit ends ----------------------------------------------------------------------------


@pytest.mark.parametrize("solver", [Subgradient(), SGD(), SGD(average=False)], ids=repr)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_narrow_valley_of_an_l1_problem(solver, seed):
    y = np.repeat([1, 2], 4)
    model = LinearClassifier("hinge", solver=solver, random_state=seed, tol=1e-6, **VALLEY_SETTINGS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        coef = model.fit(VALLEY, y).coef_.ravel()
    scores = np.where(y == 2, 1, -1) * (VALLEY @ coef)
    value = np.maximum(0, 1 - scores).mean() + 0.2 * np.abs(coef).sum()
    assert 0.4 <= value <= 0.4 * 1.03  # [-1, 0, 0, 0, 0, 1]
    assert np.count_nonzero(coef[1:5] == 0) >= (4 if solver.name == "subgradient" else 1)


WILD = [
    {"n": 17, "d": 1, "weights": (-8, 3), "alpha": 1e-4, "l1_ratio": 0.3, "seed": 1005},
    {"n": 17, "d": 1, "weights": (-8, 3), "alpha": 1e-4, "l1_ratio": 0.3, "seed": 1},
    {"n": 30, "d": 5, "weights": (-8, 3), "alpha": 1e-8, "l1_ratio": 1.0, "seed": 2},
    {"n": 8, "d": 3, "weights": (0, 0), "alpha": 1e-6, "l1_ratio": 0.0, "seed": 3},
    {"n": 40, "d": 7, "weights": (0, 0), "alpha": 1e-3, "l1_ratio": 1.0, "seed": 4},
]


@functools.cache
def wild(number):
    """A wild objective, and the least value that either solver finds."""
    case = WILD[number]
    rng = np.random.default_rng(case["seed"])
    X, t = data(case["n"], case["d"], case["seed"])
    weight = 10.0 ** rng.uniform(*case["weights"], case["n"])
    settings = {name: case[name] for name in ("alpha", "l1_ratio")}
    objective = objective_of(
        LinearClassifier("hinge", **settings), X, (t > np.median(t)) * 1, sample_weight=weight
    )
    return objective, min(solve(s, objective, tol=1e-8).value for s in (Subgradient(), SGD()))


@pytest.mark.parametrize("number", range(len(WILD)), ids=lambda k: str(WILD[k]["seed"]))
@pytest.mark.parametrize("solver", [Subgradient(), SGD()], ids=lambda s: s.name)
def test_converged_is_proven(solver, number):
    """F may be far from the minimum, but then the solver does not say that it has converged."""
    objective, least = wild(number)
    result = solve(solver, objective)
    assert result.gap >= result.value - least
    assert np.isfinite(result.reached)
    wanted = 1e-4 if solver.name == "subgradient" else 0.03
    assert not result.converged or result.gap <= wanted * result.value * (1 + 1e-9)
    if result.converged:
        assert result.value - least <= wanted * result.value


@pytest.mark.parametrize("loss", MODELS)
def test_what_is_measured(loss):
    objective, minimum, _ = example(loss, alpha=0.05)
    result = solve(Subgradient(), objective)
    assert result.measure == "relative gap"
    assert result.reached == pytest.approx(result.gap / result.value)
    assert result.gap >= result.value - minimum * (1 + 1e-12)
    assert result.converged == (result.gap <= 1e-4 * result.value)
    assert result.gap < 0.05 * result.value


@pytest.mark.parametrize(
    "model", [LinearClassifier("dice"), LinearRegressor("absolute", alpha=0.0)], ids=["dice", "0"]
)
def test_without_a_gap_it_is_the_improvement_that_is_measured(model):
    X, t = data()
    y = (t > 0) * 1 if isinstance(model, LinearClassifier) else t
    for max_iter in (1, 1000):
        result = solve(Subgradient(), objective_of(model, X, y), tol=1e-3, max_iter=max_iter)
        assert result.gap is None
        assert result.measure == "relative improvement over a round"
        assert 0 <= result.reached <= 1
        assert result.converged == (max_iter == 1000)
    for max_iter in range(5, 200, 15):  # in the midst of a round, too
        result = solve(Subgradient(), objective_of(model, X, y), tol=1e-3, max_iter=max_iter)
        assert result.converged == (result.reached <= 1e-3)


@pytest.mark.sklearn("1.9")
@pytest.mark.parametrize("settings", [{}, {"l1_ratio": 0.5}], ids=["l2", "l1"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_callbacks_see_what_the_fit_would_return(settings):
    X, t = data()
    model = LinearRegressor("absolute", solver="subgradient", alpha=0.01, **settings)
    monitor = ScoringMonitor(scoring="r2")
    model.set_callbacks(monitor).set_params(max_iter=12).fit(X, t)
    logged = [row["r2"] for row in monitor.get_logs().data if row["task_name"] == "iteration"]
    for n_iter in (1, 2, 5, 12):
        fitted = LinearRegressor(
            "absolute", solver="subgradient", alpha=0.01, max_iter=n_iter, **settings
        ).fit(X, t)
        assert logged[n_iter - 1] == pytest.approx(fitted.score(X, t), abs=1e-12)


def test_a_warning_that_can_be_read():
    X, t = data()
    model = LinearClassifier("hinge", solver="subgradient", alpha=1e-3, max_iter=3)
    with pytest.warns(ConvergenceWarning, match=r"gap \d") as record:
        model.fit(X, t > 0)
    assert "nan" not in str(record[0].message)
    assert model.dual_gap_ > 0
