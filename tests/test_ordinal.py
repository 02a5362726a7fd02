"""Ordered classes: against OrderedModel, a convex solver, finite differences, and themselves."""

import warnings

import cvxpy as cp
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.optimize import approx_fprime, minimize
from scipy.special import expit
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from sklearn_margin import (
    AlphaSearchCV,
    Batches,
    LinearClassifier,
    OrdinalClassifier,
    _tables,
    regularization_path,
)
from sklearn_margin.losses import Hinge, Huber, Logistic, SquaredHinge
from sklearn_margin.losses._ordinal import CumulativeLogistic, ThresholdLoss
from sklearn_margin.objective import Rows
from sklearn_margin.objective.ordinal import OrdinalObjective
from sklearn_margin.penalties import ElasticNet

pytestmark = pytest.mark.compiled

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 3)) * [1.0, 3.0, 0.5] + [0.0, 5.0, 0.0]
Z = X @ [1.0, 0.4, -1.0] + RNG.logistic(size=120)
Y = np.digitize(Z, [1.0, 2.0, 3.5])
S = RNG.choice([0.0, 1.0, 2.0], size=120)


def objective_value(loss, threshold, model, alpha, y=Y, s=S, offset=0.0):
    """F, in words."""
    z, thresholds, s = X @ model.coef_[0] + offset, model.thresholds_, s / s.sum()
    if loss == "cumulative_logistic":
        above = np.column_stack([np.ones(len(y)), expit(z[:, None] - thresholds), np.zeros(len(y))])
        total = -s @ np.log(above[np.arange(len(y)), y] - above[np.arange(len(y)), y + 1])
    else:
        total = 0.0
        for k, theta in enumerate(thresholds):
            sign = np.where(y > k, 1.0, -1.0)
            used = np.isin(y, [k, k + 1]) | (threshold == "all")
            loss_of_one = Hinge() if loss == "hinge" else Logistic()
            values = [loss_of_one.sample_value(*pair) for pair in zip(sign, z - theta, strict=True)]
            total += (s * used) @ values
    return total + alpha / 2 * np.sum(model.coef_**2)


def least(loss, threshold, alpha, y=Y, s=S, offset=0.0):
    """min F by a convex solver."""
    w, theta = cp.Variable(X.shape[1]), cp.Variable(y.max())
    total, s = alpha / 2 * cp.sum_squares(w), s / s.sum()
    for k in range(y.max()):
        margin = cp.multiply(np.where(y > k, 1.0, -1.0), X @ w + offset - theta[k])
        weight = s * (np.isin(y, [k, k + 1]) | (threshold == "all"))
        total += weight @ (cp.pos(1 - margin) if loss == "hinge" else cp.logistic(-margin))
    problem = cp.Problem(cp.Minimize(total), [cp.diff(theta) >= 0])
    return problem.solve(solver=cp.CLARABEL)


@pytest.mark.parametrize("threshold", ["all", "immediate"])
@pytest.mark.parametrize("loss", ["hinge", "logistic"])
def test_gap_bounds_the_error(loss, threshold):
    y = np.where(Y == 1, np.arange(120) % 3, Y)  # class 1 is rare, and its thresholds would cross
    lowest = least(loss, threshold, 0.01, y)
    for tol, max_iter in ((1e-2, 1), (1e-4, 1000)):
        model = OrdinalClassifier(loss, threshold=threshold, alpha=0.01, tol=tol, max_iter=max_iter)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X, y, sample_weight=S)
        error = objective_value(loss, threshold, model, 0.01, y) - lowest
        assert -1e-7 <= error <= model.dual_gap_ + 1e-7
    assert error <= 1e-6
    assert (np.diff(model.thresholds_) >= 0).all()
    if threshold == "immediate":
        assert np.diff(model.thresholds_).min() < 1e-6


@pytest.mark.parametrize("threshold", ["all", "immediate"])
@pytest.mark.parametrize("loss", ["hinge", "logistic", "cumulative_logistic"])
def test_an_offset_is_of_the_score(loss, threshold):
    offset = 3.0 * np.sin(np.arange(120.0))
    model = OrdinalClassifier(loss, threshold=threshold, alpha=0.01, tol=1e-8)
    model.fit(X, Y, sample_weight=S, offset=offset)
    column = OrdinalClassifier(
        loss, threshold=threshold, alpha=0.01, tol=1e-8, penalty_factors=[1, 1, 1, 0],
        coef_bounds={"o": (1, 1)},
    )  # fmt: skip
    if loss == "cumulative_logistic":
        frame = pd.DataFrame(np.column_stack([X, offset]), columns=[*"abco"])
        column.fit(frame, Y, sample_weight=S)
        np.testing.assert_allclose(model.coef_[0], column.coef_[0, :3], atol=1e-4)
    else:
        lowest = least(loss, threshold, 0.01, offset=offset)
        error = objective_value(loss, threshold, model, 0.01, offset=offset) - lowest
        assert -1e-7 <= error <= model.dual_gap_ + 1e-7
    z = model.linear_predictor(X, offset=offset)
    np.testing.assert_allclose(z, X @ model.coef_[0] + offset)
    other = clone(model).fit(sp.csr_array(X), Y, sample_weight=S, offset=offset)
    np.testing.assert_allclose(other.coef_, model.coef_, atol=1e-5)
    with pytest.raises(ValueError, match="fitted with an offset"):
        model.score(X, Y)
    assert model.score(X, Y, offset=offset) == np.mean(model.predict(X, offset=offset) == Y)


def test_gap_of_proportional_odds():
    alpha = 0.01

    def value(params):
        model = OrdinalClassifier()
        model.coef_, model.thresholds_ = (
            params[None, :3],
            np.cumsum([params[3], *np.exp(params[4:])]),
        )
        return objective_value("cumulative_logistic", "all", model, alpha)

    lowest = minimize(value, [0.0, 0.0, 0.0, 0.0, 0.0, 0.0], method="BFGS", tol=1e-9).fun
    for max_iter in (1, 2, 1000):
        model = OrdinalClassifier("cumulative_logistic", alpha=alpha, tol=1e-8, max_iter=max_iter)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X, Y, sample_weight=S)
        error = objective_value("cumulative_logistic", "all", model, alpha) - lowest
        assert -1e-8 <= error <= model.dual_gap_ + 1e-8
        assert 0 < model.dual_gap_ < 1 or max_iter == 1000
    assert error < 1e-8


def test_ordered_model():
    """The maximum of the likelihood, and its probabilities, are those of statsmodels."""
    ordered = pytest.importorskip("statsmodels.miscmodels.ordinal_model")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = ordered.OrderedModel(Y, X, distr="logit").fit(method="bfgs", disp=0, gtol=1e-8)
    thresholds = found.model.transform_threshold_params(found.params)[1:-1]
    model = OrdinalClassifier("cumulative_logistic", alpha=0).fit(X, Y)
    np.testing.assert_allclose(model.coef_[0], found.params[:3], atol=1e-5)
    np.testing.assert_allclose(model.thresholds_, thresholds, atol=1e-5)
    np.testing.assert_allclose(model.predict_proba(X), found.predict(), atol=1e-5)


LOSSES = [
    CumulativeLogistic(), ThresholdLoss(Logistic()), ThresholdLoss(Logistic(), immediate=True),
]  # fmt: skip


@pytest.mark.parametrize("loss", LOSSES, ids=["cumulative", "all", "immediate"])
@pytest.mark.parametrize("make", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
def test_derivatives(loss, make):
    rows, s = Rows(make(X), center=True), S / S.sum()
    immediate = loss.is_immediate
    objective = OrdinalObjective(
        loss, rows, Y, s, n_outputs=3, penalty=ElasticNet(0.1), ordered=immediate
    )
    at = objective.from_coef([0.3, -0.1, 0.2], np.array([1.0, 0.2, -1.5]))
    coef, b = objective.to_coef(at)
    np.testing.assert_allclose(coef, [0.3, -0.1, 0.2])
    np.testing.assert_allclose(b, [1.0, 0.2, -1.5])
    value, gradient = objective.value_gradient(at)
    assert value == pytest.approx(objective.value(at))
    np.testing.assert_allclose(gradient, approx_fprime(at, objective.value), atol=1e-6)
    curvature = objective.curvature(objective.scores(at))
    found, hessian = objective.gradient_hessian(at, curvature)
    np.testing.assert_allclose(found, gradient, atol=1e-12)
    expected = approx_fprime(at, lambda x: objective.value_gradient(x)[1], 1e-6)
    np.testing.assert_allclose(hessian, expected, atol=1e-5)
    v = np.arange(1.0, len(at) + 1)
    np.testing.assert_allclose(objective.hessian_product(curvature, v), hessian @ v, atol=1e-12)


@pytest.mark.parametrize("loss", LOSSES[:2], ids=["cumulative", "all"])
def test_slopes_whose_sum_is_cancelled(loss):
    """Slopes that are mended sum to zero, and none is shorter by more than the share paid."""
    objective = OrdinalObjective(
        loss, Rows(X, center=True), Y, S / S.sum(), n_outputs=3, penalty=ElasticNet(0.1)
    )
    at = objective.from_coef([0.3, -0.1, 0.2], np.array([2.0, 0.2, -1.5]))
    g = np.empty((120, 3))
    objective.score_gradient(objective.scores(at), g)
    before, slopes = g.copy(), objective.slopes(g.copy())
    share = objective.cancel_sum(g)
    np.testing.assert_allclose(g.sum(axis=0), 0, atol=1e-15)
    assert 0 < share < 1
    assert (np.abs(g) >= (1 - share - 1e-12) * np.abs(before)).all()
    paid, slack = objective.share_to_cancel(slopes, before.sum(axis=0))
    assert paid == pytest.approx(share)
    moved = np.abs(objective.rows.backproject((g - before).sum(axis=1))[0])
    assert (moved <= slack).all()


def test_thresholds_settle():
    """What no penalty holds gets to its optimum: scores on the way are in the order of memory that
    losses write to."""
    objective = OrdinalObjective(
        ThresholdLoss(Logistic(), immediate=True), Rows(X, center=True), Y, S / S.sum(),
        n_outputs=3, penalty=ElasticNet(0.1), ordered=True,
    )  # fmt: skip
    model = OrdinalClassifier(threshold="immediate", alpha=0.1).fit(X, Y, S)
    start = objective.from_coef(model.coef_, 1.0 - 2.0 * model.thresholds_)
    settled = objective.minimized_over_loose(objective.at(start))
    assert objective.loose_parameters(settled.params, settled.gradient, settled.slopes) is None
    for direction in objective._directions(np.arange(6)):
        assert direction.flags.c_contiguous


def test_likelihood_from_equal_thresholds():
    """They come from other losses, and from classes of no weight worth mentioning."""
    y = np.where(Y == 1, np.arange(120) % 3, Y)  # class 1 is rare
    model = OrdinalClassifier("hinge", threshold="immediate", warm_start=True).fit(X, y)
    assert np.diff(model.thresholds_).min() < 1e-6
    model.set_params(loss="cumulative_logistic", tol=1e-8).fit(X, y)
    expected = OrdinalClassifier("cumulative_logistic", tol=1e-8).fit(X, y)
    np.testing.assert_allclose(model.thresholds_, expected.thresholds_, rtol=1e-6)
    assert 0 <= model.dual_gap_ < 1e-7
    with pytest.warns(ConvergenceWarning):  # no number is between its thresholds
        model.fit(X, Y, np.where(Y == 1, 1e-18, 1.0))
    assert np.isfinite(model.dual_gap_)


def test_likelihood_of_as_many_classes_as_rows():
    """Steps that cross thresholds are cut, by half and not by less."""
    X = np.random.default_rng(0).normal(size=(100, 3))
    model = OrdinalClassifier("cumulative_logistic", solver="newton", alpha=1e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that y may be of a regression
        warnings.simplefilter("error", ConvergenceWarning)
        assert model.fit(X, np.argsort(np.argsort(X[:, 0]))).dual_gap_ < 1e-4
    assert model.n_iter_ < 50


def test_a_rare_class_in_single_precision():
    """Its thresholds are close: their difference must not come from scores of seven digits."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(5000, 2)).astype(np.float32)
    y = np.digitize(3 * X[:, 0] + rng.logistic(size=5000), [-1.0, 1.0])
    y[np.flatnonzero(y == 1)[1:]] = 2  # one row is left of it
    model = OrdinalClassifier("cumulative_logistic", alpha=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model.fit(X, y).dual_gap_ < 1e-4
    expected = clone(model).fit(X.astype(float), y)
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-4)


def test_predictions():
    model = OrdinalClassifier().fit(X, Y)
    z, p = model.linear_predictor(X), model.predict_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    np.testing.assert_allclose(p.cumsum(axis=1)[:, :3], expit(model.thresholds_ - z[:, None]))
    np.testing.assert_array_equal(model.predict(X), p.argmax(axis=1))
    np.testing.assert_array_equal(model.decision_function(X).argmax(axis=1), model.predict(X))
    hinge = OrdinalClassifier("hinge").fit(X, Y)
    interval = np.searchsorted(hinge.thresholds_, hinge.linear_predictor(X))
    np.testing.assert_array_equal(hinge.predict(X), interval)
    assert hinge.score(X, Y) > 0.4
    for other in (hinge, OrdinalClassifier(threshold="immediate").fit(X, Y)):
        with pytest.raises(AttributeError, match="predict_proba is not available"):
            other.predict_proba(X)


def test_two_classes_are_those_of_the_linear_classifier():
    for loss in ("logistic", "hinge"):
        found = OrdinalClassifier(loss, alpha=0.01).fit(X, Y > 1)
        expected = LinearClassifier(loss, alpha=0.01).fit(X, Y > 1)
        np.testing.assert_allclose(found.coef_, expected.coef_)
        np.testing.assert_allclose(found.thresholds_, -expected.intercept_)
        np.testing.assert_array_equal(found.predict(X), expected.predict(X))


def test_order_of_labels():
    names = np.array(["low", "mid", "high", "top"])
    model = OrdinalClassifier(classes=[*names, "never"], class_weight={"top": 2.0})
    found, expected = clone(model).fit(X, names[Y]), clone(model)
    expected.set_params(classes=None, class_weight={3: 2.0}).fit(X, Y)
    assert found.classes_.tolist() == names.tolist()
    np.testing.assert_array_equal(found.coef_, expected.coef_)
    np.testing.assert_array_equal(found.predict(X), names[expected.predict(X)])
    with pytest.raises(ValueError, match=r"not in classes: \['high'\]"):
        OrdinalClassifier(classes=["low", "mid", "top"]).fit(X, names[Y])
    with pytest.raises(ValueError, match="each label once"):
        OrdinalClassifier(classes=["low", "low"]).fit(X, names[Y])


def test_an_ordered_categorical_says_the_order():
    names = np.array(["low", "mid", "high", "top"])
    y = pd.Series(pd.Categorical.from_codes(Y, names, ordered=True))
    model = OrdinalClassifier().fit(X, y)
    assert model.classes_.tolist() == names.tolist()
    np.testing.assert_array_equal(model.coef_, OrdinalClassifier().fit(X, Y).coef_)
    search = AlphaSearchCV(OrdinalClassifier(), alphas=[1e-3], cv=2).fit(X, y)
    assert search.best_estimator_.classes_.tolist() == names.tolist()
    unordered = OrdinalClassifier().fit(X, y.cat.as_unordered())
    assert unordered.classes_.tolist() == sorted(names)


@pytest.mark.parametrize("params", [{}, {"loss": "hinge"}, {"threshold": "immediate"}], ids=repr)
def test_weights_dtypes_and_starts(params):
    model = OrdinalClassifier(alpha=0.01, tol=1e-8, **params)
    full = clone(model).fit(X, Y, sample_weight=S)
    again = clone(model).fit(np.repeat(X, S.astype(int), axis=0), np.repeat(Y, S.astype(int)))
    sparse = clone(model).fit(sp.csr_array(X), Y, sample_weight=S)
    for other in (again, sparse):
        np.testing.assert_allclose(other.coef_, full.coef_, atol=1e-6)
        np.testing.assert_allclose(other.thresholds_, full.thresholds_, atol=1e-6)
    single = clone(model).set_params(tol=1e-4).fit(X.astype(np.float32), Y, sample_weight=S)
    assert single.coef_.dtype == single.thresholds_.dtype == np.float32
    np.testing.assert_allclose(single.coef_, full.coef_, atol=2e-3)
    warm = clone(model).set_params(warm_start=True).fit(X, Y, sample_weight=S)
    assert warm.fit(X, Y, sample_weight=S).n_iter_ <= full.n_iter_
    np.testing.assert_allclose(warm.coef_, full.coef_, atol=1e-6)


def test_bounds_and_factors():
    params = {"coef_bounds": (0, None), "penalty_factors": [0.0, 1.0, 1.0], "alpha": 0.05}
    for loss, solver in (("logistic", "coordinate_descent"), ("hinge", "interior_point")):
        model = OrdinalClassifier(loss, **params).fit(X, Y)
        assert model.solver_ == solver
        assert (model.coef_ >= 0).all() and model.coef_[0, 2] == 0
        assert 0 <= model.dual_gap_ < 1e-4


def test_what_is_refused():
    for model, error, message in (
        (OrdinalClassifier(threshold="each"), ValueError, "threshold must be"),
        (OrdinalClassifier("crammer_singer"), ValueError, "loss must be one of"),
        (OrdinalClassifier(Huber()), TypeError, "use LinearRegressor"),
        (OrdinalClassifier(solver="sgd"), ValueError, "share their coefficients"),
    ):
        with pytest.raises(error, match=message):
            model.fit(X, Y)
    likelihood = OrdinalClassifier("cumulative_logistic", class_weight={1: 0})
    with pytest.raises(ValueError, match="class_weight leaves class"):
        likelihood.fit(X, Y)
    known = OrdinalClassifier(classes=[0, 1, 2, 3]).fit(X, np.where(S > 0, Y, 9), S)
    assert known.classes_.tolist() == [0, 1, 2, 3]
    with pytest.raises(AttributeError, match="all rows at once"):
        _ = OrdinalClassifier().partial_fit


def test_batches(monkeypatch):
    """Few rows are fitted as if they were in memory; of many that are elsewhere it says so."""
    model = OrdinalClassifier(SquaredHinge()).fit(X, Y)
    stream = Batches(lambda: iter([(X[:70], Y[:70]), (X[70:], Y[70:])]))
    np.testing.assert_allclose(clone(model).fit(stream).coef_, model.coef_)
    np.testing.assert_array_equal(np.concatenate([*model.predict(stream)]), model.predict(X))
    monkeypatch.setattr(_tables, "KEPT", 50)
    with pytest.raises(ValueError, match="needs the rows in memory"):
        OrdinalClassifier().fit(stream)


@pytest.mark.parametrize("loss", ["hinge", "logistic"])
@pytest.mark.parametrize("threshold", ["all", "immediate"])
def test_paths_and_searches(loss, threshold):
    """Thresholds are penalised along a path no more than in a fit, and stay in order."""
    y = np.where(Y == 1, np.arange(120) % 3, Y)
    model = OrdinalClassifier(loss, threshold=threshold, l1_ratio=0.5)
    path = regularization_path(model, X, y, n_alphas=3)
    np.testing.assert_allclose(path.coefs[0], 0, atol=1e-6)
    expected = clone(model).set_params(alpha=path.alphas[1]).fit(X, y)
    np.testing.assert_allclose(path.coefs[1], expected.coef_, atol=1e-4)
    np.testing.assert_allclose(path.intercepts[1], -expected.thresholds_, atol=1e-3)
    search = AlphaSearchCV(model, alphas=2, cv=2).fit(X, y)
    assert search.best_estimator_.thresholds_.shape == (3,)
