"""Standard errors of coefficients: statsmodels' numbers, the bootstrap, and what is refused."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import statsmodels.api as sm
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_margin import (
    Batches,
    HuberRegressor,
    LinearClassifier,
    LinearRanker,
    LinearRegressor,
    OrdinalClassifier,
    QuantileRegressor,
)
from sklearn_margin.inference import coef_inference
from sklearn_margin.plotting import CoefficientDisplay

EXACT = {"alpha": 0, "tol": 1e-12}
RNG = np.random.default_rng(0)
N, D = 200, 3
X = RNG.normal(size=(N, D)) * [1, 2, 10] + [0, 5, 3]
NOISE = RNG.standard_t(3, size=N) * (1 + 0.3 * np.abs(X[:, 0]))
Y = X @ [1, -0.5, 0.02] + 1 + NOISE
LABELS = (np.median(Y) < Y).astype(int)
GROUPS = RNG.integers(0, 25, N)
WEIGHTS = RNG.uniform(0.5, 2, N)
E = sm.add_constant(X)
CLUSTER = {"cov_type": "cluster", "cov_kwds": {"groups": GROUPS}}
ROBUST = {name: {"cov_type": name} for name in ("HC0", "HC1", "HC2", "HC3")}


def errors(model, y, method, sample_weight=None, **settings):
    groups = GROUPS if method == "cluster" else None
    found = coef_inference(model, X, y, sample_weight, method=method, groups=groups, **settings)
    return found.standard_errors


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["OLS", "WLS"])
@pytest.mark.parametrize("method", ["classical", *ROBUST, "cluster"])
def test_least_squares(method, weights):
    model = LinearRegressor("squared", **EXACT).fit(X, Y, weights)
    theirs = sm.OLS(Y, E) if weights is None else sm.WLS(Y, E, weights=weights)
    theirs = theirs.fit(**{"classical": {}, "cluster": CLUSTER, **ROBUST}[method], use_t=True)
    summary = coef_inference(
        model, X, Y, weights, method=method, groups=GROUPS if method == "cluster" else None
    )
    np.testing.assert_allclose(summary.standard_errors, theirs.bse, rtol=1e-10)
    np.testing.assert_allclose(summary.p_values, theirs.pvalues, rtol=1e-8)
    np.testing.assert_allclose(np.transpose(summary.confidence_interval(0.9)), theirs.conf_int(0.1))


@pytest.mark.parametrize("method", ["classical", "HC0", "cluster"])
def test_logistic(method):
    model = LinearClassifier("logistic", **EXACT).fit(X, LABELS)
    settings = {"classical": {}, "HC0": ROBUST["HC0"], "cluster": CLUSTER}[method]
    theirs = sm.Logit(LABELS, E).fit(disp=0, **settings)
    np.testing.assert_allclose(errors(model, LABELS, method), theirs.bse, rtol=1e-6)
    assert (errors(model, LABELS, "HC3") > errors(model, LABELS, "HC0")).all()


@pytest.mark.parametrize("method", ["classical", "HC0"])
def test_weighted_logistic(method):
    model = LinearClassifier("logistic", **EXACT).fit(X, LABELS, WEIGHTS)
    theirs = sm.GLM(LABELS, E, sm.families.Binomial(), var_weights=WEIGHTS)
    theirs = theirs.fit(tol=1e-12, **({} if method == "classical" else ROBUST["HC0"]))
    found = errors(model, LABELS, method, WEIGHTS)
    np.testing.assert_allclose(found, theirs.bse, rtol=1e-6)


@pytest.mark.parametrize("method", ["classical", "HC0"])
def test_several_classes(method):
    """Differences to the first class are what statsmodels has."""
    y = np.digitize(Y, np.quantile(Y, [0.3, 0.7]))
    model = LinearClassifier("cross_entropy", **EXACT).fit(X, y)
    settings = {} if method == "classical" else ROBUST["HC0"]
    theirs = sm.MNLogit(y, E).fit(disp=0, tol=1e-12, **settings)
    summary = coef_inference(model, X, y, method=method)
    p = D + 1
    against = np.kron([[-1, 1, 0], [-1, 0, 1]], np.eye(p))
    found = np.sqrt((against @ summary.covariance @ against.T).diagonal())
    np.testing.assert_allclose(found.reshape(2, p), np.transpose(theirs.bse), rtol=1e-6)
    assert summary.to_frame().loc[(1, "x0"), "coef"] == model.coef_[1, 0]


@pytest.mark.parametrize("method", ["H1", "H2", "H3"])
def test_huber(method):
    norm = sm.robust.norms.HuberT(1.345)
    theirs = sm.RLM(Y, E, M=norm).fit(cov=method, tol=1e-12, maxiter=500)
    model = HuberRegressor(epsilon=1.345, scale=theirs.scale, **EXACT).fit(X, Y)
    np.testing.assert_allclose(errors(model, Y, method), theirs.bse, rtol=1e-6)


def test_huber_with_its_scale():
    """The scale is a parameter more: the sandwich of both, from finite differences."""
    model = HuberRegressor(**EXACT).fit(X, Y)
    theta = np.r_[model.intercept_, model.coef_, model.scale_]

    def slopes(theta):
        r = (Y - E @ theta[:-1]) / theta[-1]
        clipped = np.clip(r, -1.35, 1.35)
        return np.column_stack([-clipped[:, None] * E, 0.5 * (1 - clipped**2)])

    steps = 1e-6 * np.eye(D + 2)
    A = np.array([(slopes(theta + h) - slopes(theta - h)).sum(0) / 2e-6 for h in steps])
    inverse = np.linalg.inv(A)
    covariance = inverse @ slopes(theta).T @ slopes(theta) @ inverse
    expected = np.sqrt(covariance.diagonal())[:-1]
    np.testing.assert_allclose(errors(model, Y, "HC0"), expected, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:Convergence cycle")  # of statsmodels, at its solution
@pytest.mark.parametrize("quantile", [0.25, 0.5])
def test_quantiles(quantile):
    y = 1000 * Y  # residuals below 1e-6 are 1e-6 to statsmodels
    model = QuantileRegressor(quantile=quantile, **EXACT).fit(X, y)
    for ours, kernel in (("epanechnikov", "epa"), ("gaussian", "gau"), ("parzen", "par"),
                         ("biweight", "biw"), ("cosine", "cos")):  # fmt: skip
        theirs = sm.QuantReg(y, E).fit(quantile, vcov="iid", kernel=kernel, p_tol=1e-12)
        np.testing.assert_allclose(errors(model, y, "iid", kernel=ours), theirs.bse, rtol=1e-6)
    for ours in ("chamberlain", "bofinger"):
        if (quantile, ours) == (0.25, "bofinger"):
            continue  # statsmodels has the normal density at twice the quantile
        theirs = sm.QuantReg(y, E).fit(quantile, vcov="iid", bandwidth=ours, p_tol=1e-12)
        np.testing.assert_allclose(errors(model, y, "iid", bandwidth=ours), theirs.bse, rtol=1e-6)
    if quantile == 0.5:  # else rows at the quantile, which have no side, make a difference
        theirs = sm.QuantReg(y, E).fit(quantile, vcov="robust", p_tol=1e-12)
        np.testing.assert_allclose(errors(model, y, "robust"), theirs.bse, rtol=1e-6)


def test_quantiles_by_any_method():
    """Methods agree on many rows with errors of equal distribution."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(4000, 2))
    y = X[:, 0] + rng.normal(size=4000)
    model = QuantileRegressor(quantile=[0.3, 0.6], **EXACT).fit(X, y)
    found = {
        method: coef_inference(model, X, y, method=method, n_bootstrap=200, random_state=0)
        for method in ("iid", "robust", "kernel", "hks", "bootstrap")
    }
    for method, summary in found.items():
        np.testing.assert_allclose(
            summary.standard_errors, found["iid"].standard_errors, rtol=0.4, err_msg=method
        )
        assert 0.4 < summary.covariance[1, 4] / summary.covariance[1, 1] < 0.7  # of both quantiles
    assert found["hks"].targets == [0.3, 0.6]


@pytest.mark.parametrize(
    ("model", "y"),
    [
        (LinearRegressor("squared", **EXACT), Y),
        (LinearRegressor("absolute", **EXACT), Y),
        (HuberRegressor(**EXACT), Y),
        (LinearClassifier("hinge", alpha=1e-3, tol=1e-8), LABELS),
        (LinearClassifier("hinge", **EXACT), LABELS),
    ],
)
def test_bootstrap_is_of_fits(model, y):
    """A replicate is a fit with its weights, and threads change nothing."""
    model.fit(X, y)
    settings = {"method": "bootstrap", "n_bootstrap": 4, "random_state": 3}
    summary = coef_inference(model, X, y, **settings)
    again = coef_inference(model, X, y, n_jobs=2, **settings)
    np.testing.assert_array_equal(summary.replicates, again.replicates)
    seeds = np.random.RandomState(3).randint(2**31, size=4)
    for seed, replicate in zip(seeds, summary.replicates, strict=True):
        weights = np.random.default_rng(seed).standard_exponential(N)
        model.fit(X, y, weights)
        expected = np.r_[model.intercept_, np.ravel(model.coef_)]
        np.testing.assert_allclose(replicate, expected, atol=0.05 * summary.standard_errors.min())
    low, high = summary.confidence_interval(kind="percentile")
    assert (low < high).all()


def test_bootstrap_of_rankers():
    """Queries are drawn, not their rows; a smooth loss has a sandwich that agrees."""
    rng = np.random.default_rng(0)
    X, groups = rng.normal(size=(900, 2)), np.repeat(np.arange(90), 10)
    y = X[:, 0] + rng.logistic(size=900)
    model = LinearRanker("pairwise_squared_hinge", **EXACT).fit(X, y, groups=groups)
    by_fits = coef_inference(
        model, X, y, groups=groups, method="bootstrap", n_bootstrap=80, random_state=0
    )
    sandwich = coef_inference(model, X, y, groups=groups)
    assert sandwich.method == "cluster"
    assert by_fits.feature_names == ["x0", "x1"]
    np.testing.assert_allclose(by_fits.standard_errors, sandwich.standard_errors, rtol=0.3)
    with pytest.raises(ValueError, match="compared with each other"):
        coef_inference(model, X, y, groups=groups, method="HC1")


SURVIVAL = [("event", bool), ("time", float)]


@pytest.mark.parametrize("kind", ["lists", "censored"])
def test_bootstrap_of_lists_and_censored_times(kind):
    """A list weighs as its rows, not as their pairs; pairs stay those of a known order."""
    rng = np.random.default_rng(0)
    X, groups = rng.normal(size=(900, 2)), np.repeat(np.arange(90), 10)
    y, loss = np.digitize(X[:, 0] + rng.logistic(size=900), [-1, 1]), "listwise_softmax"
    if kind == "censored":
        times, ends = np.exp(X[:, 0] + rng.normal(size=900)), rng.exponential(size=900)
        y = np.array([*zip(times < ends, np.minimum(times, ends), strict=True)], dtype=SURVIVAL)
        loss = "pairwise_squared_hinge"
    model = LinearRanker(loss, **EXACT).fit(X, y, groups=groups)
    settings = {"method": "bootstrap", "n_bootstrap": 80, "random_state": 0}
    by_fits = coef_inference(model, X, y, groups=groups, **settings)
    sandwich = coef_inference(model, X, y, groups=groups)
    np.testing.assert_allclose(by_fits.standard_errors, sandwich.standard_errors, rtol=0.3)


def test_an_outlier_separates_nothing():
    """One row far out has no curvature, and the others say what the coefficient is."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 2))
    X[0, 0] = 1e3
    y = (X[:, 0] + rng.logistic(size=400) > 0).astype(int)
    found = coef_inference(
        LinearClassifier("logistic", **EXACT).fit(X, y), X, y, method="classical"
    )
    theirs = sm.Logit(y, sm.add_constant(X)).fit(disp=0)
    np.testing.assert_allclose(found.standard_errors, theirs.bse, rtol=1e-6)


def test_quantiles_of_few_values():
    """Many rows at the quantile, of three categories: the slopes there balance those of others."""
    rng = np.random.default_rng(0)
    group = rng.integers(0, 3, 600)
    X, y = np.eye(3)[group][:, 1:], np.round(rng.normal(size=600) + group, 1)
    model = QuantileRegressor(**EXACT).fit(X, y)
    found = coef_inference(model, X, y, method="iid").standard_errors
    theirs = sm.QuantReg(1000 * y, sm.add_constant(X)).fit(0.5, vcov="iid", p_tol=1e-12)
    np.testing.assert_allclose(1000 * found, theirs.bse, rtol=1e-6)
    with pytest.raises(ValueError, match="half of the residuals are zero"):
        coef_inference(model.fit(X, y > 5), X, y > 5)


def test_neighbouring_quantiles_have_no_units():
    X, y = RNG.normal(size=(300, 2)), RNG.normal(size=300)
    found = [
        coef_inference(QuantileRegressor(**EXACT).fit(X, y * unit), X, y * unit, method="hks")
        for unit in (1.0, 1e-9)
    ]
    np.testing.assert_allclose(found[1].standard_errors * 1e9, found[0].standard_errors, rtol=1e-6)


def test_groups_are_summed_over_parts_of_the_rows(monkeypatch):
    model = LinearRegressor("squared", **EXACT).fit(X, Y)
    whole = errors(model, Y, "cluster")
    monkeypatch.setattr("sklearn_margin.inference._fit._CHUNK", 50)
    np.testing.assert_allclose(errors(model, Y, "cluster"), whole, rtol=1e-12)


def test_data_of_other_kinds():
    """Pipelines, names, sparse rows and single precision give the same numbers."""
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    model = make_pipeline(StandardScaler(), LinearRegressor("squared", **EXACT)).fit(frame, Y)
    summary = coef_inference(model, frame, Y)
    assert summary.feature_names == ["intercept", "a", "b", "c"]
    Z = StandardScaler().fit_transform(X)
    for data in (sp.csr_array(Z), Z.astype(np.float32)):
        plain = LinearRegressor("squared", **EXACT).fit(data, Y)
        other = coef_inference(plain, data, Y)
        np.testing.assert_allclose(other.standard_errors, summary.standard_errors, rtol=1e-4)
    table = summary.to_frame(0.9)
    assert list(table.index) == summary.feature_names
    assert "HC1" in str(summary)
    display = CoefficientDisplay.from_estimator(model, errors=summary)
    low, high = summary.confidence_interval()
    np.testing.assert_allclose(np.sort(display.errors), np.sort((high - low)[1:] / 2))


SEPARABLE = np.repeat([0, 1], N // 2), 1e-3 * X + np.repeat([[0], [1]], N // 2, axis=0)


@pytest.mark.parametrize(
    ("model", "data", "settings", "message"),
    [
        (LinearRegressor("squared", alpha=0.1, l1_ratio=1), (X, Y), {}, "L1 penalty"),
        (LinearRegressor("squared", alpha=10), (X, Y), {}, "refit with alpha=0"),
        (LinearRegressor("squared", alpha=0, coef_bounds=(0, None)), (X, Y), {}, "x1 is at a bou"),
        (LinearClassifier("focal", alpha=0.1), (X, LABELS), {}, "not convex"),
        (LinearClassifier("squared_hinge", alpha=0), (X, LABELS), {"method": "classical"}, "no li"),
        (LinearRegressor("absolute", alpha=0), (X, Y), {"method": "HC0"}, "has kinks"),
        (LinearRegressor("squared", alpha=0), (X, Y), {"method": "iid"}, "is of quantiles"),
        (LinearRegressor("squared", alpha=0), (X, Y), {"method": "cluster"}, "needs groups"),
        (LinearRegressor("squared", alpha=0), (X[:, [0, 0]], Y), {}, "singular"),
        (LinearClassifier("logistic", alpha=1e-6), SEPARABLE[::-1], {}, "separable"),
        (LinearClassifier("logistic", alpha=0, max_iter=50),
         (np.c_[X, (X[:, 0] > 1) & (LABELS == 1)], LABELS), {}, "x3 separates"),
        (LinearRegressor("squared", alpha=0, solver="sgd", max_iter=1), (X, Y), {}, "not at the"),
    ],
)  # fmt: skip
def test_refused(model, data, settings, message):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(*data)
    with pytest.raises(ValueError, match=message):
        coef_inference(model, *data, **settings)


ONE = np.zeros(N)
CONSTANT = np.c_[X, np.full(N, 3.0)]
BOOTSTRAP = {"method": "bootstrap", "n_bootstrap": 5}


@pytest.mark.parametrize(
    ("model", "data", "settings", "message"),
    [
        (LinearRegressor("squared", **EXACT), (X, Y), {"groups": ONE, **BOOTSTRAP}, "2 groups"),
        (LinearRegressor("squared", **EXACT), (X, Y), {"groups": ONE}, "at least 2 groups"),
        (LinearRanker("listwise_softmax", **EXACT), (X, LABELS), BOOTSTRAP, "needs groups"),
        (LinearRanker("pairwise_hinge", **EXACT), (CONSTANT, Y), BOOTSTRAP, "x3 is a combination"),
        (LinearClassifier("cross_entropy", **EXACT), (CONSTANT, GROUPS % 3), BOOTSTRAP, "x3 is a"),
        (HuberRegressor(scale=1.0, **EXACT), (X[:4], Y[:4]), {"method": "H1"}, "are too few"),
        (LinearRegressor("squared", **EXACT), (X[:4], Y[:4]), BOOTSTRAP, "are too few"),
        (LinearClassifier("cross_entropy", **EXACT), (X[:24], np.arange(24) % 7), {},
         "24 rows are too few for the errors of 24"),
    ],
)  # fmt: skip
def test_refused_for_what_the_data_are(model, data, settings, message):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(*data)
    with pytest.raises(ValueError, match=message):
        coef_inference(model, *data, **settings)


def test_refused_data():
    model = LinearRegressor("squared", **EXACT).fit(X, Y)
    with pytest.raises(ValueError, match="not at the minimum"):
        coef_inference(model, X[:100], Y[:100])
    with pytest.raises(ValueError, match="not at the minimum"):
        coef_inference(model, X, Y + X[:, 0], method="bootstrap", n_bootstrap=5)
    with pytest.raises(TypeError, match="in memory"):
        coef_inference(model, Batches(lambda: iter([(X, Y)])), None)
    with pytest.raises(TypeError, match="sklearn_margin"):
        coef_inference(StandardScaler().fit(X), X, Y)
    for name in ("n_jobs", "random_state"):
        with pytest.raises((TypeError, ValueError), match=name):
            coef_inference(model, X, Y, **BOOTSTRAP, **{name: "a"})
    streamed = LinearRegressor("squared", solver="sgd", max_iter=1).partial_fit(X, Y)
    with pytest.raises(ValueError, match="partial_fit"):
        coef_inference(streamed, X, Y)


OFFSET = np.sin(np.arange(len(Y)))


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        (LinearRegressor("squared", **EXACT), {}),
        (HuberRegressor(**EXACT), {}),
        (QuantileRegressor(quantile=[0.3, 0.6], alpha=0), {}),
        (QuantileRegressor(quantile=0.3, alpha=0), {"method": "bootstrap", "n_bootstrap": 20}),
    ],
    ids=repr,
)
def test_an_offset_is_as_good_as_other_targets(model, settings):
    found = coef_inference(
        model.fit(X, Y, offset=OFFSET), X, Y, offset=OFFSET, random_state=0, **settings
    )
    with pytest.raises(ValueError, match="pass it as offset="):
        coef_inference(model, X, Y, **settings)
    taken_off = Y - OFFSET
    expected = coef_inference(model.fit(X, taken_off), X, taken_off, random_state=0, **settings)
    np.testing.assert_allclose(found.standard_errors, expected.standard_errors, rtol=1e-6)


def test_an_offset_of_log_odds():
    """Errors by the likelihood are those of statsmodels' GLM, and as those of a bootstrap."""
    model = LinearClassifier("logistic", **EXACT).fit(X, LABELS, offset=OFFSET)
    family = sm.families.Binomial()
    expected = sm.GLM(LABELS, E, family=family, offset=OFFSET).fit(tol=1e-12)
    found = coef_inference(model, X, LABELS, offset=OFFSET, method="classical")
    np.testing.assert_allclose(found.standard_errors, expected.bse, rtol=1e-6)
    hinge = LinearClassifier("hinge", alpha=0, tol=1e-8).fit(X, LABELS, offset=OFFSET)
    settings = {"method": "bootstrap", "n_bootstrap": 60, "random_state": 0}
    errors = [
        coef_inference(each, X, LABELS, offset=OFFSET, **settings).standard_errors
        for each in (model, hinge)
    ]
    np.testing.assert_allclose(errors[0], expected.bse, rtol=0.4)
    np.testing.assert_array_less(0, errors[1])


def test_thresholds_are_refused():
    X = np.random.default_rng(0).normal(size=(60, 2))
    grades = np.digitize(X[:, 0] + np.sin(np.arange(60.0)), [-1.0, 1.0])
    with pytest.raises(ValueError, match="inference of OrdinalClassifier is not supported"):
        coef_inference(OrdinalClassifier().fit(X, grades), X, grades)
