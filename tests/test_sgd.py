"""Stochastic gradient descent: what it says of how it ended, and the parts it holds out."""

import re
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning

from sklearn_margin import LinearClassifier, LinearRanker, LinearRegressor
from sklearn_margin.losses import Absolute, Focal, Hinge, Logistic, Quantile, SquaredHinge
from sklearn_margin.solvers import SGD
from sklearn_margin.solvers._batch_form import batch_form, implicit_form
from sklearn_margin.solvers._memory import MemoryRun, remembers
from sklearn_margin.solvers.sgd import _Search


def data(n=200, d=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    return X, X @ rng.normal(size=d) + 0.5 * rng.normal(size=n)


def solve(objective, solver=None, tol=1e-4, max_iter=1000, callback=None):
    solver = SGD() if solver is None else solver
    with objective.rows.session():
        return solver.solve(
            objective, objective.start(), tol=tol, max_iter=max_iter, callback=callback,
            random_state=np.random.RandomState(0),
        )  # fmt: skip


# --- how a fit ends ----------------------------------------------------------------------------


# One container for each loss, as in test_solvers.py: passes are compiled for each.
@pytest.mark.compiled  # steps of trial overflow, of which interpreted code warns
@pytest.mark.parametrize("alpha", [1e-2, 1e-4])
@pytest.mark.parametrize(
    ("model", "container"),
    [
        (LinearClassifier("hinge"), np.array),
        (LinearClassifier("logistic"), sp.csr_array),
        (LinearRegressor("absolute"), np.array),
        (LinearRegressor("squared", l1_ratio=0.5), np.array),
        (LinearRanker("pairwise_hinge"), sp.csr_array),
    ],
    ids=lambda x: getattr(x, "loss", None) or x.__name__,
)
def test_usual_fits_do_not_warn(model, alpha, container):
    """And what they say is proven."""
    X, t = data()
    y = t if isinstance(model, LinearRegressor) else np.digitize(t, [0.0])
    model.set_params(alpha=alpha, random_state=0, solver="auto", tol=1e-8)
    exact = model.fit(container(X), y)
    objective = model._prepare(container(X), y).objectives[0]
    at = (np.ravel(exact.coef_), *np.ravel(getattr(exact, "intercept_", [])).tolist())
    minimum = objective.value(objective.from_coef(*at))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rough = model.set_params(solver="sgd", tol=1e-4).fit(container(X), y)
    at = (np.ravel(rough.coef_), *np.ravel(getattr(rough, "intercept_", [])).tolist())
    value = objective.value(objective.from_coef(*at))
    assert value - minimum <= rough.dual_gap_ <= 0.03 * value * (1 + 1e-9)
    assert value <= minimum * 1.01


def test_a_stall_far_from_the_optimum_warns():
    """Steps of 1e-9 improve nothing, and neither do a third of them."""
    X, t = data()
    model = LinearClassifier("hinge", solver=SGD(eta0=1e-9), random_state=0)
    with pytest.warns(ConvergenceWarning, match="gap") as record:
        model.fit(X, t > 0)
    assert not re.search(r"\b(nan|inf)\b", str(record[0].message))
    assert model.n_iter_ < 1000
    assert model.dual_gap_ > 0.5


@pytest.mark.parametrize(
    ("model", "solver"),
    [
        (LinearRegressor("squared"), SGD()),
        (LinearRegressor("squared"), SGD(early_stopping=True)),
        (LinearRegressor("absolute", alpha=0), SGD()),
        (LinearClassifier("dice"), SGD()),
    ],
    ids=["gap", "validation", "alpha=0", "not convex"],
)
def test_the_warning_prints_a_number(model, solver):
    X, t = data()
    y = t > 0 if isinstance(model, LinearClassifier) else t
    with pytest.warns(ConvergenceWarning, match=r"per epoch 0?\.?\d") as record:
        model.set_params(solver=solver, max_iter=1, random_state=0).fit(X, y)
    assert not re.search(r"\b(nan|inf)\b", str(record[0].message))


@pytest.mark.parametrize("alpha", [0.0, 1e-4])
def test_where_no_gap_is_known_it_is_the_improvement_that_counts(alpha):
    X, t = data()
    model = LinearRegressor("absolute", alpha=0.0) if alpha == 0 else LinearClassifier("dice")
    y = t if alpha == 0 else (t > 0) * 1
    result = solve(model._prepare(X, y).objectives[0])
    assert result.converged
    assert result.gap is None
    assert result.measure == "relative improvement per epoch"
    assert 0 <= result.reached <= 1e-4


def test_patience_is_doubled_only_where_it_pays():
    """Another run is for small problems without a gap that is small enough, while they gain."""
    X, t = data(40)
    objective = LinearClassifier("hinge", alpha=1e-2)._prepare(X, (t > 0) * 1).objectives[0]
    once = solve(objective, SGD("invscaling"))
    assert once.converged
    runs = []
    original = _Search.begin_again
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Search, "begin_again", lambda s: (runs.append(s.patience), original(s)))
        patch.setattr("sklearn_margin.solvers.sgd._ROUGH", 1e-12)
        again = solve(objective, SGD("invscaling"), tol=1e-13, max_iter=3000)
    assert runs[0] == 5
    assert runs == [5 * 2**k for k in range(len(runs))]
    assert again.value <= once.value
    assert not again.converged


def test_a_diverged_run_comes_back():
    X, t = data()
    objective = LinearRegressor("squared", alpha=1e-2)._prepare(X, t).objectives[0]
    seen = []
    result = solve(objective, SGD(eta0=1e6), callback=lambda n, params: seen.append(n))
    assert seen == list(range(1, result.n_iter + 1))  # a callback for each epoch
    assert result.converged
    assert result.value <= solve(objective).value * 1.01


def test_weights_of_wild_scales():
    X, t = data(30)
    weight = 10.0 ** np.random.default_rng(0).uniform(-8, 3, 30)
    model = LinearClassifier("hinge", alpha=1e-2)
    objective = model._prepare(X, (t > 0) * 1, weight).objectives[0]
    result = solve(objective)
    best = model.set_params(solver="interior_point", tol=1e-8).fit(X, (t > 0) * 1, weight)
    minimum = objective.value(objective.from_coef(best.coef_.ravel(), best.intercept_[0]))
    assert result.gap >= result.value - minimum
    assert not result.converged or result.value <= minimum * 1.03


# --- slopes that are kept ------------------------------------------------------------------------


def objective_of(loss, container=np.array, **parameters):
    X, t = data()
    return LinearClassifier(loss, **parameters)._prepare(container(X), t > 0).objectives[0]


def minimum_of(objective):
    """The minimum, by a solver that is trusted."""
    name = "newton" if objective.loss.is_smooth else "interior_point"
    X, t = objective.rows.X, objective.y
    model = LinearClassifier(
        objective.loss, alpha=objective.penalty.strength, solver=name, tol=1e-10
    )
    best = model.fit(X, t)
    return objective.value(objective.from_coef(best.coef_.ravel(), best.intercept_[0]))


def test_a_smooth_loss_converges_linearly():
    objective = objective_of("logistic", sp.csr_array)
    minimum = minimum_of(objective)
    errors = [solve(objective, tol=0.0, max_iter=k).value - minimum for k in (5, 30)]
    assert errors[0] < 1e-2 * minimum
    assert abs(errors[1]) < 1e-10 * minimum


@pytest.mark.parametrize("alpha", [1e-1, 1e-4])
def test_the_gap_of_slopes_that_are_kept_bounds_the_error(alpha):
    """All the way, wherever the intercept is, and it closes."""
    objective = objective_of("hinge", alpha=alpha)
    minimum, run = minimum_of(objective), MemoryRun(SGD(), objective)
    random_state, state = np.random.RandomState(0), run.initial(objective.start())
    for epoch in range(30):
        run.epoch(state, random_state)
        point = run.decode(state.average) + (epoch % 3 == 0) * 0.1
        gap = run._own_gap(point, 0.0)
        assert gap >= objective.value(point) - minimum - 1e-12
    assert gap <= 0.03 * minimum


def test_a_start_with_coefficients_is_kept():
    objective = objective_of("logistic", sp.csr_array)
    best = solve(objective, tol=0.0, max_iter=30)
    run = MemoryRun(SGD(), objective)
    state = run.initial(best.params)
    run.epoch(state, np.random.RandomState(0))
    assert run.value(objective, state.average) <= best.value * (1 + 1e-9)


def test_an_epoch_is_as_many_visits_as_rows_on_the_average():
    run = MemoryRun(SGD(), objective_of("hinge"))
    state, random_state = run.initial(run.objective.start()), np.random.RandomState(0)
    for _ in range(10):
        run.epoch(state, random_state)
        assert 0 <= state.excess < 200
    assert (state.rest >= 16).any()


def test_who_keeps_slopes():
    objective = objective_of("hinge")
    assert remembers(SGD(), objective)
    assert remembers(SGD(batch_size=1, average=False, early_stopping=True), objective)
    for other in (SGD("invscaling"), SGD("pegasos"), SGD(eta0=0.1), SGD(batch_size=2)):
        assert not remembers(other, objective)
    X, t = data()
    assert not remembers(SGD(), LinearRanker()._prepare(X, t).objectives[0])
    y = np.digitize(t, [-1.0, 1.0])
    assert not remembers(SGD(), LinearClassifier("logistic")._prepare(X, y).objectives[0])
    assert not remembers(SGD(), LinearRegressor()._prepare(1e60 * X, t).objectives[0])


@pytest.mark.parametrize(
    "loss", [Hinge(), Absolute(), Quantile(0.9), Logistic(), SquaredHinge(), Focal(2.0)], ids=repr
)
def test_an_implicit_slope_solves_its_equation(loss):
    """Within a hundredth of where it was; and the dual point is one, by Fenchel and Young."""
    form, rng = implicit_form(loss), np.random.default_rng(0)
    for _ in range(100):
        y, z, q, s = rng.choice([-1.0, 1.0]), 3 * rng.normal(), 10 ** rng.uniform(-3, 2), 0.7
        g = s * loss.sample_gradient(y, 3 * rng.normal())
        first = abs(q * (s * loss.sample_gradient(y, z) - g))
        slope = form.implicit_slope(y, s, z, g, q)
        root, near = z + q * (g - slope), 0.011 * first + 1e-12
        low, high = (s * loss.sample_gradient(y, root + side * near) for side in (-1, 1))
        assert min(low, high) - 1e-9 <= slope <= max(low, high) + 1e-9
        if loss.convex:
            slope, conjugate = form.dual_point(y, s, z, g, q)
            for t in 5 * rng.normal(size=20):
                assert s * loss.sample_value(y, t) >= slope * t - conjugate - 1e-9


# --- the parts -------------------------------------------------------------------------------


def stopping(fraction):
    return SGD(early_stopping=True, validation_fraction=fraction)


def test_rows_left_to_learn_from_must_be_of_all_classes():
    X = np.array([[-2.0, 0], [-1, 0], [-1, -1], [-2, -1], [1, 1], [1, 2], [2, 1], [2, 2]])
    y = np.repeat([0, 1], 4)
    for fraction in (0.99, 0.8):
        model = LinearClassifier("hinge", solver=stopping(fraction), random_state=0)
        with pytest.raises(ValueError, match=f"validation_fraction={fraction} leaves . of 8 rows"):
            model.fit(X, y)
        assert not hasattr(model, "coef_")
    y = np.arange(8) % 4
    model = LinearClassifier("crammer_singer", solver=stopping(0.7), random_state=0)
    with pytest.raises(ValueError, match="lack one of 4 classes"):
        model.fit(X, y)
    LinearRegressor(solver=stopping(0.5), random_state=0).fit(X, [1.0, 2, 1, 1, 2, 2, 1, 1])
    with pytest.raises(ValueError, match=r"validation_fraction=0\.5 needs 2 rows"):
        LinearRegressor(solver=stopping(0.5)).fit(X[:1], [1.0])


@pytest.mark.parametrize("fraction", [0.01, 0.99])
def test_both_parts_of_a_ranking_hold_pairs(fraction):
    X, t = data(6)
    model = LinearRanker(solver=stopping(fraction), random_state=0)
    model.fit(X, t, groups=[0, 0, 1, 1, 2, 2])  # a group at least on either side
    with pytest.raises(ValueError, match=f"validation_fraction={fraction}.*holds no pair"):
        model.fit(X, t)


# --- the form of losses that passes see ----------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "n_classes"),
    [
        (LinearClassifier("hinge"), 2),
        (LinearClassifier("crammer_singer"), 3),
        (LinearClassifier("dice"), 2),
        (LinearClassifier("dice"), 3),
    ],
)
def test_slopes_are_the_derivative_of_the_mean(model, n_classes):
    loss = model._loss().for_classes(n_classes)
    n_outputs = 1 if n_classes == 2 else n_classes
    rng = np.random.default_rng(0)
    form = batch_form(loss, n_outputs)
    y = rng.integers(0, n_classes, 5).astype(float)
    y = 2 * y - 1 if n_classes == 2 else y
    z, s = rng.normal(size=(5, n_outputs)), rng.random(5) + 0.1
    slopes = np.empty_like(z)
    form.slopes(y, z, s, slopes)
    for i in np.ndindex(z.shape):
        step = np.zeros_like(z)
        step[i] = 1e-6
        found = (form.mean(y, z + step, s) - form.mean(y, z - step, s)) / 2e-6
        assert found == pytest.approx(slopes[i], abs=1e-8)
