"""Quantile regression."""

import warnings

import cvxpy as cp
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, UndefinedMetricWarning
from sklearn.linear_model import QuantileRegressor as TheirQuantileRegressor
from sklearn.metrics import d2_pinball_score, mean_pinball_loss
from sklearn.model_selection import GridSearchCV
from sklearn_releases import ProgressBar, ScoringMonitor

from sklearn_margin import LinearRegressor, QuantileRegressor
from sklearn_margin.losses import Quantile
from sklearn_margin.metrics import make_pinball_scorer, pinball_loss
from sklearn_margin.solvers import SGD

QUANTILES = [0.03, 0.25, 0.5, 0.9]  # times n = 151 no integers: the minimiser is unique


def data(n=150, d=4, outliers=15, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    y = X @ np.resize([1.0, -2.0, 0.5, 0.0], d) + 3.0 + 0.3 * rng.normal(size=n)
    y[:outliers] += 20 * rng.normal(size=outliers)
    return X, y


def pinball(model, X, y, quantile, weight=None):
    """Weighted mean of the quantile loss of the predictions of one quantile."""
    return mean_pinball_loss(y, model.predict(X), alpha=quantile, sample_weight=weight)


def crossing(n=40, seed=0):
    """Data on which quantiles cross: few rows, and new rows far from them."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    return X, X[:, 0] + rng.normal(size=n), 5 * rng.normal(size=(200, 3))


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [False, True])
def test_scikit_learns_quantile_regressor(weighted, fit_intercept):
    X, y = data(n=151)
    weight = np.random.default_rng(1).random(len(y)) if weighted else np.ones(len(y))
    settings = {"alpha": 0.0, "fit_intercept": fit_intercept}
    for quantile in QUANTILES:
        theirs = TheirQuantileRegressor(quantile=quantile, solver="highs", **settings)
        theirs.fit(X, y, sample_weight=weight)
        ours = QuantileRegressor(quantile=quantile, **settings).fit(X, y, sample_weight=weight)
        np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-6, atol=1e-8)
        assert pinball(ours, X, y, quantile, weight) == pytest.approx(
            pinball(theirs, X, y, quantile, weight), rel=1e-9
        )
        assert ours.solver_ == "interior_point"


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize(("alpha", "l1_ratio"), [(0.01, 0.0), (0.3, 0.0), (0.05, 0.5), (0.05, 1.0)])
def test_minimum_with_a_penalty(alpha, l1_ratio, fit_intercept, reference):
    X, y = data(n=151)
    weight = np.random.default_rng(1).random(len(y))
    model = QuantileRegressor(
        quantile=QUANTILES, alpha=alpha, l1_ratio=l1_ratio, fit_intercept=fit_intercept
    )
    model.fit(X, y, sample_weight=weight)
    for k, quantile in enumerate(QUANTILES):

        def loss(w, b, quantile=quantile):
            r = y - X @ w - b
            costs = quantile * cp.pos(r) + (1 - quantile) * cp.neg(r)
            return weight @ costs / weight.sum()

        best = reference(loss, 4, alpha, l1_ratio, fit_intercept)
        found = best.at(model.coef_[k], model.intercept_[k])
        assert found == pytest.approx(best.minimum, rel=1e-7)
        assert found - best.minimum <= model.dual_gap_[k] + 1e-8
        assert model.dual_gap_[k] < 1e-7


@pytest.mark.parametrize("alpha", [0.0, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_share_of_rows_below(seed, weighted, alpha):
    """Σ s_i [r_i < 0] ≤ q ≤ Σ s_i [r_i ≤ 0] (Koenker & Bassett 1978).

    It is the optimality of the intercept, so a penalty on the coefficients does not matter.
    """
    X, y = data(n=151, d=6, seed=seed)
    weight = np.random.default_rng(seed).random(len(y)) if weighted else np.ones(len(y))
    s = weight / weight.sum()
    quantiles = np.array([1e-4, 0.1, 0.5, 0.77, 1 - 1e-4])
    model = QuantileRegressor(quantile=quantiles, alpha=alpha).fit(X, y, sample_weight=weight)
    residuals = y[:, None] - model.predict(X)
    below, on = residuals < -1e-5, np.abs(residuals) <= 1e-5
    assert np.all(s @ below <= quantiles)
    assert np.all(s @ (below | on) >= quantiles)
    assert on.sum(axis=0).max() <= 7  # d + 1 rows determine the plane
    if not weighted:  # q·n < 1: no row can be beyond
        assert not below[:, 0].any()
        assert (below | on)[:, -1].all()


def test_many_rows():
    """Enough for the solver to leave out rows whose side is certain."""
    X, y = data(n=60_000, d=5)
    weight = np.random.default_rng(0).random(len(y))
    model = QuantileRegressor(quantile=[0.05, 0.5], alpha=0.0).fit(X, y, sample_weight=weight)
    s = weight / weight.sum()
    np.testing.assert_allclose(s @ (y[:, None] < model.predict(X)), [0.05, 0.5], atol=1e-3)
    for k, quantile in enumerate([0.05, 0.5]):
        loss = mean_pinball_loss(y, model.predict(X)[:, k], alpha=quantile, sample_weight=weight)
        assert 0 <= model.dual_gap_[k] <= 1e-4 * loss


def test_quantiles_are_equivariant():
    """To scale, shift and reflection of y and to a change of basis (Koenker & Bassett 1978)."""
    X, y = data(n=151)
    shift = np.array([3.0, -1.0, 0.0, 2.0])
    plain = QuantileRegressor(quantile=QUANTILES, alpha=0.0).fit(X, y)

    def check(coef, intercept, X, y, quantiles=QUANTILES):
        fitted = QuantileRegressor(quantile=quantiles, alpha=0.0).fit(X, y)
        scale = np.abs(coef).max()
        np.testing.assert_allclose(fitted.coef_, coef, rtol=1e-6, atol=1e-7 * scale)
        np.testing.assert_allclose(fitted.intercept_, intercept, rtol=1e-6, atol=1e-7 * scale)

    for factor in (1e-100, 1e-3, 1e3, 1e100):
        check(factor * plain.coef_, factor * (plain.intercept_ + 5), X, factor * (y + 5))
    check(plain.coef_ + shift, plain.intercept_, X, y + X @ shift)
    mirrored = [1 - q for q in QUANTILES]
    check(-plain.coef_, -plain.intercept_, X, -y, mirrored)
    mix = np.random.default_rng(1).normal(size=(4, 4))
    check(np.linalg.solve(mix, plain.coef_.T).T, plain.intercept_, X @ mix, y)


@pytest.mark.parametrize("container", [np.array, sp.csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize("solver", ["auto", "smoothing"])
def test_several_quantiles_are_separate_fits(container, solver):
    X, y = data(n=151)
    X = X
    weight = np.random.default_rng(1).random(len(y))
    settings = {"alpha": 0.01, "solver": solver}
    quantiles = [0.9, 0.25, 0.5, 0.25]  # in any order, equal ones too
    several = QuantileRegressor(quantile=quantiles, **settings).fit(X, y, sample_weight=weight)
    assert several.coef_.shape == (4, 4)
    assert several.intercept_.shape == several.dual_gap_.shape == (4,)
    assert several.predict(X).shape == (151, 4)
    assert several.predict(X[:1]).shape == (1, 4)
    n_iter = []
    for k, quantile in enumerate(quantiles):
        one = QuantileRegressor(quantile=quantile, **settings).fit(X, y, sample_weight=weight)
        assert one.coef_.shape == (4,)
        assert np.ndim(one.intercept_) == np.ndim(one.dual_gap_) == 0
        assert one.predict(X).shape == (151,)
        np.testing.assert_array_equal(several.coef_[k], one.coef_)
        assert several.intercept_[k] == one.intercept_
        assert several.dual_gap_[k] == one.dual_gap_
        np.testing.assert_allclose(several.predict(X)[:, k], one.predict(X), rtol=1e-12)
        n_iter.append(one.n_iter_)
        # The general estimator with this loss.
        loss = Quantile(quantile=quantile)
        same = LinearRegressor(loss, **settings).fit(X, y, sample_weight=weight)
        np.testing.assert_array_equal(one.coef_, same.coef_)
    assert several.n_iter_ == max(n_iter)


def test_a_list_of_one_quantile_is_a_list():
    X, y = data()
    number, several = QuantileRegressor().fit(X, y), QuantileRegressor(quantile=[0.5]).fit(X, y)
    for model in (several, several.sparsify(), several.densify()):
        assert model.coef_.shape == (1, 4)
        assert model.intercept_.shape == model.dual_gap_.shape == (1,)
        np.testing.assert_allclose(model.predict(X), number.predict(X)[:, None], rtol=1e-12)
    assert number.sparsify().coef_.shape == (1, 4)
    assert number.predict(X).shape == (150,)
    assert number.densify().coef_.shape == (4,)


def test_containers_of_quantiles():
    X, y = data()
    expected = QuantileRegressor(quantile=[0.25, 0.5]).fit(X, y).coef_
    for quantile in (
        (0.25, 0.5), np.array([0.25, 0.5]), np.array([0.25, 0.5], np.float32),
        pd.Series([0.25, 0.5], index=[7, 3]), [np.float32(0.25), 0.5],
    ):  # fmt: skip
        model = QuantileRegressor(quantile=quantile)
        np.testing.assert_array_equal(clone(model).fit(X, y).coef_, expected)
    one = QuantileRegressor(quantile=np.float64(0.25)).fit(X, y)
    np.testing.assert_array_equal(one.coef_, expected[0])


@pytest.mark.parametrize(
    ("quantile", "value"),
    [
        (0, "0"), (1.0, "1.0"), (1.5, "1.5"), (np.nan, "nan"), ("a", "'a'"), (True, "True"),
        ([], r"\[\]"), ([[0.5]], r"\[0.5\]"), ([0.5, 2], "2"), ([0.5, None], "None"),
    ],
)  # fmt: skip
def test_wrong_quantiles(quantile, value):
    X, y = data()
    with pytest.raises((ValueError, TypeError), match=rf"quantile .*got {value}"):
        QuantileRegressor(quantile=quantile).fit(X, y)


@pytest.mark.parametrize("seed", range(3))
def test_non_crossing(seed):
    X, y, new = crossing(seed=seed)
    quantiles = [0.9, 0.2, 0.5, 0.4, 0.7]
    plain = QuantileRegressor(quantile=quantiles, alpha=0.0).fit(X, y)
    sorted_ = clone(plain).set_params(non_crossing=True).fit(X, y)
    rank = np.argsort(quantiles)
    for X_new in (X, new, sp.csr_array(new), new[:1]):
        crossed, monotone = plain.predict(X_new)[:, rank], sorted_.predict(X_new)[:, rank]
        assert np.all(np.diff(monotone) >= 0)
        np.testing.assert_array_equal(monotone, np.sort(crossed))
    assert np.any(np.diff(plain.predict(new)[:, rank]) < 0)
    np.testing.assert_array_equal(sorted_.coef_, plain.coef_)
    # Σ_k q_k z_k, the part of the sum of the losses that depends on the order, can but grow.
    y_new = new[:, 0] + np.random.default_rng(seed).normal(size=len(new))
    losses = [
        sum(mean_pinball_loss(y_new, z, alpha=q) for q, z in zip(quantiles, zs.T, strict=True))
        for zs in (sorted_.predict(new), plain.predict(new))
    ]
    assert losses[0] < losses[1]
    assert sorted_.score(new, y_new) != plain.score(new, y_new)


def test_non_crossing_does_not_matter_for_one_quantile():
    X, y, new = crossing()
    for quantile in (0.3, [0.3]):
        plain = QuantileRegressor(quantile=quantile).fit(X, y)
        same = QuantileRegressor(quantile=quantile, non_crossing=True).fit(X, y)
        np.testing.assert_array_equal(same.predict(new), plain.predict(new))


@pytest.mark.parametrize("weighted", [False, True])
def test_score_is_the_explained_quantile_loss(weighted):
    X, y = data(n=151)
    weight = np.random.default_rng(1).random(len(y)) if weighted else None
    quantiles = [0.9, 0.25]
    expected = []
    for quantile in quantiles:
        model = QuantileRegressor(quantile=quantile).fit(X, y, sample_weight=weight)
        prediction = model.predict(X)
        expected.append(d2_pinball_score(y, prediction, alpha=quantile, sample_weight=weight))
        assert isinstance(model.score(X, y, sample_weight=weight), float)
        assert model.score(X, y, sample_weight=weight) == pytest.approx(expected[-1], rel=1e-12)
        # The best constant explains nothing, which is what alpha = ∞ leaves.
        constant = QuantileRegressor(quantile=quantile, alpha=1e6).fit(X, y, sample_weight=weight)
        assert constant.score(X, y, sample_weight=weight) == pytest.approx(0.0, abs=2e-4)
    several = QuantileRegressor(quantile=quantiles).fit(X, y, sample_weight=weight)
    score = several.score(X, y, sample_weight=weight)
    assert score == pytest.approx(np.mean(expected), rel=1e-12)
    # A parameter that is set counts from the next fit on.
    before = several.predict(X)
    several.set_params(quantile=0.5)
    np.testing.assert_array_equal(several.predict(X), before)
    assert several.score(X, y, sample_weight=weight) == score
    with pytest.warns(UndefinedMetricWarning, match="less than two samples"):
        assert np.isnan(several.score(X[:1], y[:1]))


def test_warm_start_with_other_quantiles():
    """From where the same number of quantiles was, otherwise anew; the minimum is the same."""
    X, y = data(n=151)
    model = QuantileRegressor(warm_start=True, alpha=0.01)
    for quantile in (0.5, [0.25, 0.5], [0.9, 0.5, 0.03], [0.5, 0.03, 0.9], 0.25, [0.25], 0.9):
        model.set_params(quantile=quantile).fit(X, y)
        cold = QuantileRegressor(quantile=quantile, alpha=0.01).fit(X, y)
        assert model.coef_.shape == cold.coef_.shape
        np.testing.assert_allclose(model.coef_, cold.coef_, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(model.intercept_, cold.intercept_, rtol=1e-5, atol=1e-7)
        assert model.sparsify().predict(X).shape == cold.predict(X).shape


def test_several_quantiles_in_batches():
    X, y = data(outliers=0)
    settings = {"solver": SGD(batch_size=4), "random_state": 0}
    quantiles = [0.9, 0.25]
    several = QuantileRegressor(quantile=quantiles, **settings)
    separate = [QuantileRegressor(quantile=quantile, **settings) for quantile in quantiles]
    for _ in range(15):
        for first in range(0, 150, 30):
            batch = X[first : first + 30], y[first : first + 30]
            for model in (several, *separate):
                model.partial_fit(*batch)
    for k, model in enumerate(separate):
        np.testing.assert_array_equal(several.coef_[k], model.coef_)
        assert several.intercept_[k] == model.intercept_
        assert model.intercept_.dtype == np.float64
    below = np.mean(y[:, None] < several.predict(X), axis=0)
    np.testing.assert_allclose(below, quantiles, atol=0.1)
    # Another number of quantiles is another model.
    before = several.coef_.copy()
    for quantile in ([0.9, 0.5, 0.25], [0.5], 0.5):
        with pytest.raises(ValueError, match=r"number of quantiles.* 2: got quantile="):
            several.set_params(quantile=quantile).partial_fit(*batch)
        np.testing.assert_array_equal(several.coef_, before)
    several.set_params(quantile=[0.5, 0.25]).partial_fit(*batch)
    # After a fit the stream begins where the fit ended.
    fitted = QuantileRegressor(quantile=quantiles, alpha=1e-3).fit(X, y)
    before = fitted.score(X, y)
    fitted.set_params(solver=SGD(eta0=1e-3), random_state=0).partial_fit(X, y)
    assert fitted.score(X, y) == pytest.approx(before, abs=0.02)


def test_sgd_of_several_quantiles_with_a_validation_set():
    X, y = data(outliers=0)
    stopping = QuantileRegressor(
        quantile=[0.9, 0.25], solver=SGD(early_stopping=True), random_state=0
    )
    stopping.fit(X[:100], y[:100], X_val=X[100:], y_val=y[100:])
    exact = QuantileRegressor(quantile=[0.9, 0.25]).fit(X[:100], y[:100])
    assert stopping.score(X, y) > exact.score(X, y) - 0.1
    assert not hasattr(stopping, "dual_gap_")


@pytest.mark.sklearn("1.9")
def test_callbacks_of_several_quantiles():
    """More quantiles than iterations; whoever watches sees a model of all quantiles."""
    X, y = data()
    shapes = []

    def scoring(model, X, y):
        shapes.append(model.predict(X).shape)
        return {"score": model.score(X, y)}

    monitor = ScoringMonitor(scoring=scoring)
    model = QuantileRegressor(quantile=[0.1, 0.3, 0.5, 0.7], max_iter=2, non_crossing=True)
    model.set_callbacks(monitor, ProgressBar())
    with pytest.warns(ConvergenceWarning, match="2 iterations"):
        model.fit(X, y)
    assert shapes == 8 * [(150, 4)]
    tasks = [row["parent_task_id_path"] for row in monitor.get_logs().data]
    assert tasks == [(0, k) for k in range(4) for _ in range(2)]


def test_quantiles_of_degenerate_data():
    """One row, a constant target, a perfect fit, fewer rows than features: finite and right."""
    X, _ = data()
    y = X @ [1.0, -2.0, 0.5, 0.0] + 3.0
    quantiles = [0.001, 0.5, 0.999]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exact = QuantileRegressor(quantile=quantiles, alpha=0.0).fit(X, y)
        np.testing.assert_allclose(exact.predict(X), np.tile(y[:, None], 3), atol=1e-6)
        for value in (0.0, -1e6):
            flat = QuantileRegressor(quantile=quantiles).fit(X, np.full(len(X), value))
            np.testing.assert_allclose(flat.predict(X), value, rtol=1e-7, atol=1e-7)
        one = QuantileRegressor(quantile=quantiles).fit(X[:1], y[:1])
        np.testing.assert_allclose(one.predict(X[:1]), y[0], rtol=1e-6)
        few = QuantileRegressor(quantile=quantiles).fit(X[:3], y[:3])
        assert np.isfinite(few.predict(X)).all()


def test_scorer_of_several_quantiles():
    """The mean of scikit-learn's losses by column; weights are routed to it, and to it alone."""
    X, y = data()
    weight, quantiles = np.arange(150) % 3, [0.1, 0.5, 0.8]
    model = QuantileRegressor(quantile=quantiles).fit(X, y)
    columns = zip(quantiles, model.predict(X).T, strict=True)
    expected = [mean_pinball_loss(y, z, alpha=q, sample_weight=weight) for q, z in columns]
    scorer = make_pinball_scorer(quantiles)
    assert scorer(model, X, y, sample_weight=weight) == pytest.approx(-np.mean(expected))
    one = pinball_loss(y, model.predict(X)[:, 0], quantile=0.1)
    assert one == pytest.approx(mean_pinball_loss(y, model.predict(X)[:, 0], alpha=0.1))
    with config_context(enable_metadata_routing=True):
        model.set_fit_request(sample_weight=False)
        search = GridSearchCV(model, {"alpha": [1e-3, 1e3]}, scoring=scorer, cv=2)
        search.fit(X, y, sample_weight=weight)
        plain = clone(search).fit(X, y)
    assert search.best_params_ == {"alpha": 1e-3}
    assert -1e9 < search.best_score_ < 0 and search.best_score_ != plain.best_score_
    for z, quantile, message in (
        (model.predict(X), [0.1, 0.5], "a column for each quantile"),
        (model.predict(X)[:100], quantiles, "a row for each entry"),
        (model.predict(X), 1.5, r"in \(0, 1\)"),
        (model.predict(X), "a", r"in \(0, 1\)"),
    ):
        with pytest.raises(ValueError, match=message):
            pinball_loss(y, z, quantile=quantile)
    with pytest.raises(ValueError, match="quantile must be"):
        make_pinball_scorer(2.0)


@pytest.mark.parametrize("prefit", [True, False])
def test_mapie_makes_intervals(prefit):
    regression = pytest.importorskip("mapie.regression")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1500, 2))
    y = X @ [1.0, 2.0] + rng.normal(size=1500) * (0.5 + np.abs(X[:, 0]))
    model = QuantileRegressor()
    if prefit:
        model = [QuantileRegressor(quantile=q).fit(X[:500], y[:500]) for q in (0.05, 0.95, 0.5)]
    intervals = regression.ConformalizedQuantileRegressor(
        model, confidence_level=0.9, prefit=prefit
    )
    if not prefit:
        intervals.fit(X[:500], y[:500])
    intervals.conformalize(X[500:1000], y[500:1000])
    _, bounds = intervals.predict_interval(X[1000:])
    low, high = bounds[:, :, 0].T
    assert 0.86 < ((low <= y[1000:]) & (y[1000:] <= high)).mean() < 0.94
    assert np.ptp(high - low) > 0.5  # wider where it is less certain
