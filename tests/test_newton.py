"""Newton's method: it stops for a reason, and takes no step that changes nothing."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from sklearn_margin import LinearClassifier, LinearRanker, LinearRegressor
from sklearn_margin.losses import CrossEntropy, Logistic, SquaredHinge
from sklearn_margin.objective import Rows
from sklearn_margin.objective.multiclass import MulticlassObjective
from sklearn_margin.objective.pointwise import PointwiseObjective
from sklearn_margin.penalties import ElasticNet
from sklearn_margin.solvers import CoordinateDescent, Newton
from sklearn_margin.solvers._newton_directions import Secants


def three_classes(seed=0, n=120, d=4):
    rng = np.random.default_rng(seed)
    X = rng.normal(loc=[0.0, 5.0, 0.0, -1.0], size=(n, d))
    scores = X @ rng.normal(size=(d, 3)) + 3 * rng.gumbel(size=(n, 3))
    return X, scores.argmax(axis=1)


def cross_entropy(X, y, alpha, l1_ratio=0.0):
    return MulticlassObjective(
        CrossEntropy(), Rows(X, center=True), y.astype(np.int64), np.full(len(y), 1 / len(y)),
        n_outputs=3, penalty=ElasticNet(alpha, l1_ratio), fit_intercept=True,
    )  # fmt: skip


@pytest.mark.parametrize("solver", ["newton", Newton(gram_max=0), "coordinate_descent"])
@pytest.mark.parametrize("column", ["none", "duplicate", "constant", "zero"])
def test_classes_have_no_common_drift_without_a_penalty(solver, column):
    X, y = three_classes()
    last = {"duplicate": X[:, :1], "constant": np.full((120, 1), 7.0), "zero": np.zeros((120, 1))}
    X = np.hstack([X, last[column]]) if column != "none" else X
    model = LinearClassifier("cross_entropy", alpha=0, solver=solver).fit(X, y)
    assert np.abs(model.coef_.sum(axis=0)).max() <= 1e-12 * np.abs(model.coef_).max()
    assert abs(model.intercept_.sum()) <= 1e-11 * np.abs(model.intercept_).max()


def test_more_features_than_rows_and_intercepts_of_three_classes():
    """All intercepts may rise together: what rounding error says of that must not matter."""
    X, y = three_classes(1, 20, 4)
    X = np.hstack([X, np.random.default_rng(2).normal(size=(20, 41))])
    objective = cross_entropy(X, y, 1e-2)
    with objective.rows.session():
        first = Newton().solve(objective, objective.start(), tol=1e-8, max_iter=100)
        again = Newton().minimize(objective, first.params, 1e-14, 5)
    assert np.abs(objective.split(again.params)[1]).max() < 10
    assert again.value == pytest.approx(objective.value(again.params), rel=1e-13)
    assert again.gap <= 1e-8 * again.value


@pytest.mark.parametrize("alpha", [1e-8, 1e-12])
@pytest.mark.parametrize("loss", ["logistic", "squared_hinge"])
@pytest.mark.parametrize("shift", [1e4, 1e7, 1e8])
def test_offset_columns_and_a_weak_penalty_without_an_intercept(loss, alpha, shift, recwarn):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(30, 3))
    y = X @ [1.0, -1.0, 0.5] + 2 * rng.normal(size=30) > 0
    X = X + shift * np.array([1.0, 2.0, 3.0])
    model = LinearClassifier(loss, alpha=alpha, fit_intercept=False, solver="newton").fit(X, y)
    objective = PointwiseObjective(
        Logistic() if loss == "logistic" else SquaredHinge(), Rows(X, center=False),
        np.where(y, 1.0, -1.0), np.full(30, 1 / 30), penalty=ElasticNet(alpha),
    )  # fmt: skip
    value = objective.value(objective.from_coef(model.coef_[0]))
    warned = any(issubclass(w.category, ConvergenceWarning) for w in recwarn)
    # The Gram matrix of columns of 1e8 holds nothing of their spread of 1: there a fit may warn.
    assert shift == 1e8 or not warned
    assert warned or model.dual_gap_ <= 1e-4 * value
    assert np.isfinite(model.dual_gap_)


def test_separable_grades_have_a_minimum():
    """Where no pair costs, the loss is flat: its preconditioner divided by zero."""
    X = np.arange(12.0)[:, None] * 1e9
    y = np.repeat([0, 1, 2], 4)
    for alpha in (1e-300, 1e-8, 1.0):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # nothing resolves 1e-300
            model = LinearRanker("pairwise_squared_hinge", alpha=alpha, tol=1e-2).fit(X, y)
        assert np.all(np.diff(model.predict(X)) >= 0)
        assert np.isfinite(model.dual_gap_)


def test_scores_are_exact_after_long_steps():
    """The row of an outlier makes the first steps leave rounding errors of 10⁶ behind."""
    rng = np.random.default_rng(4)
    X = rng.normal(size=(20, 4))
    X[3] *= 1e6
    y = np.where(rng.normal(size=20) > 0, 1.0, -1.0)
    objective = PointwiseObjective(
        SquaredHinge(),
        Rows(X, center=True),
        y,
        np.full(20, 0.05),
        penalty=ElasticNet(1e-4),
        fit_intercept=True,
    )
    for solver in (Newton(), CoordinateDescent()):
        with objective.rows.session():
            run = solver.solve(objective, objective.start(), tol=1e-10, max_iter=200)
        assert run.value == pytest.approx(objective.value(run.params), rel=1e-11)


@pytest.mark.parametrize("tol", [1e-2, 1e-8])
def test_converged_means_a_gap_below_tol(tol):
    """On problems whose gap is hard to evaluate there is a warning, or it is small."""
    rng = np.random.default_rng(5)
    for scale in (1e-6, 1.0, 1e6):
        X = rng.normal(size=(25, 5)) * scale
        y = X @ np.ones(5) / scale + rng.normal(size=25)
        objective = cross_entropy(X, np.digitize(y, [-1.0, 1.0]), 1e-7)
        with objective.rows.session():
            run = Newton().solve(objective, objective.start(), tol=tol, max_iter=200)
        assert run.gap <= tol * run.value or not run.converged


def test_line_of_targets_is_found_at_any_offset():
    x = 1.7e12 + 1e3 * np.arange(30.0)
    model = LinearRegressor("squared", alpha=0).fit(x[:, None], 2 * (x - 1.7e12) + 5)
    assert model.coef_[0] == pytest.approx(2.0, rel=1e-9)


def test_directions_by_another_hessian_are_improved_as_by_bfgs():
    rng = np.random.default_rng(0)
    A, B = (np.diag(rng.uniform(0.5, 2.0, 4)) + 0.1 for _ in range(2))
    secants, inverse, last = Secants(), np.linalg.inv(B), None
    for x in rng.normal(size=(4, 4)):
        point = SimpleNamespace(params=x, gradient=A @ x)
        found = secants.improved(point, -np.linalg.solve(B, point.gradient))
        if last is not None:
            s, y = x - last, A @ (x - last)
            shear = np.eye(4) - np.outer(s, y) / (s @ y)
            inverse = shear @ inverse @ shear.T + np.outer(s, s) / (s @ y)
        np.testing.assert_allclose(found, -inverse @ point.gradient, rtol=1e-10)
        last = x
