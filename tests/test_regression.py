"""Regressors: Huber's scale, and other people's optima."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.linear_model import ElasticNet, Ridge
from sklearn.linear_model import HuberRegressor as TheirHuberRegressor
from sklearn.linear_model import QuantileRegressor as TheirQuantileRegressor

from sklearn_margin import HuberRegressor, LinearRegressor
from sklearn_margin.losses import EpsilonInsensitive, Huber, Quantile

NAMES = [
    "absolute", "epsilon_insensitive", "huber", "quantile", "squared",
    "squared_epsilon_insensitive",
]  # fmt: skip


def data(n=150, d=4, outliers=15, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    y = X @ np.resize([1.0, -2.0, 0.5, 0.0], d) + 3.0 + 0.3 * rng.normal(size=n)
    y[:outliers] += 20 * rng.normal(size=outliers)
    return X, y


def huber_objective(model, X, y, alpha, epsilon, weight):
    """Scikit-learn's function of coef_, intercept_ and scale_, over twice the total weight."""
    r = np.abs(y - X @ model.coef_ - model.intercept_) / model.scale_
    rho = np.where(r <= epsilon, r**2 / 2, epsilon * (r - epsilon / 2))
    s = weight / weight.sum()
    return s @ (model.scale_ * (0.5 + rho)) + alpha / 2 * model.coef_ @ model.coef_


# --- HuberRegressor --------------------------------------------------------------------------


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("epsilon", [1.0, 1.1, 1.35, 2.5])
@pytest.mark.parametrize("weighted", [False, True])
def test_scikit_learns_huber_regressor(epsilon, fit_intercept, weighted):
    X, y = data()
    n, alpha = len(y), 1e-3
    weight = np.random.default_rng(1).random(n) + 0.1 if weighted else np.ones(n)
    ours = HuberRegressor(epsilon=epsilon, alpha=alpha, fit_intercept=fit_intercept)
    ours.fit(X, y, sample_weight=weight)
    value = huber_objective(ours, X, y, alpha, epsilon, weight)
    if epsilon > 1.0:  # at 1 their line search breaks down
        theirs = TheirHuberRegressor(
            epsilon=epsilon, alpha=alpha * weight.sum(), fit_intercept=fit_intercept,
            tol=1e-9, max_iter=100_000,
        )  # fmt: skip
        theirs.fit(X, y, sample_weight=weight)
        assert value <= huber_objective(theirs, X, y, alpha, epsilon, weight) * (1 + 1e-9)
        np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(ours.scale_, theirs.scale_, rtol=1e-4)
        np.testing.assert_array_equal(ours.outliers_, theirs.outliers_)
    residual = np.abs(y - ours.predict(X))
    np.testing.assert_array_equal(ours.outliers_, residual > epsilon * ours.scale_)
    assert ours.outliers_.dtype == bool
    assert ours.outliers_.shape == (n,)
    assert isinstance(ours.scale_, float)
    # A minimum: no neighbour is better.
    rng = np.random.default_rng(2)
    for _ in range(20):
        near = HuberRegressor()
        near.coef_ = ours.coef_ + 1e-3 * rng.normal(size=4)
        near.intercept_ = ours.intercept_ + 1e-3 * rng.normal() * fit_intercept
        near.scale_ = ours.scale_ * np.exp(1e-3 * rng.normal())
        assert huber_objective(near, X, y, alpha, epsilon, weight) >= value * (1 - 1e-9)


def test_huber_regressor_finds_the_outliers():
    X, y = data()
    y[:15] = 100.0
    model = HuberRegressor().fit(X, y)
    assert model.outliers_[:15].all()
    np.testing.assert_allclose(model.coef_, [1.0, -2.0, 0.5, 0.0], atol=0.15)


@pytest.mark.parametrize("container", [np.array, sp.csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize("offset", [1e3, 1e6, 1e8])
def test_offset_features(offset, container):
    """Scikit-learn issue 27777: there, a badly offset feature is silently fitted wrong."""
    X, y = data()
    moved = X + offset * np.array([1.0, -1.0, 0.0, 1.0])
    if container is sp.csr_array and offset > 1e6:
        moved = X + 1e6  # sparse rows cannot be centred; this is what the arithmetic can bear
    plain, fitted = HuberRegressor().fit(X, y), HuberRegressor().fit(container(moved), y)
    # Adding 10⁸ rounds X itself to 10⁻⁸.
    np.testing.assert_allclose(fitted.coef_, plain.coef_, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(fitted.scale_, plain.scale_, rtol=1e-4)
    np.testing.assert_array_equal(fitted.outliers_, plain.outliers_)


def test_equivariance():
    """y times c, shifted: coefficients and scale follow (without a penalty)."""
    X, y = data()
    plain = HuberRegressor(alpha=0.0).fit(X, y)
    for factor in (1e-100, 1e-3, 1e3, 1e100):
        fitted = HuberRegressor(alpha=0.0).fit(X, factor * (y + 5.0))
        np.testing.assert_allclose(fitted.coef_, factor * plain.coef_, rtol=1e-6, atol=0)
        np.testing.assert_allclose(fitted.scale_, factor * plain.scale_, rtol=1e-6)
        np.testing.assert_allclose(fitted.intercept_, factor * (plain.intercept_ + 5), rtol=1e-6)


@pytest.mark.parametrize("scale", [0.3, 1.0, 7.0])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
def test_fixed_scale(scale, l1_ratio):
    X, y = data()
    settings = {"alpha": 0.01, "l1_ratio": l1_ratio}
    fixed = HuberRegressor(epsilon=1.5, scale=scale, **settings).fit(X, y)
    same = LinearRegressor(Huber(delta=1.5 * scale), **settings).fit(X, y)
    np.testing.assert_allclose(fixed.coef_, same.coef_, rtol=1e-9)
    np.testing.assert_allclose(fixed.intercept_, same.intercept_, rtol=1e-9)
    assert fixed.scale_ == scale
    np.testing.assert_array_equal(fixed.outliers_, np.abs(y - fixed.predict(X)) > 1.5 * scale)


def test_perfect_fit():
    X, _ = data()
    y = X @ [1.0, -2.0, 0.5, 0.0] + 3.0
    model = HuberRegressor(alpha=0.0).fit(X, y)
    np.testing.assert_allclose(model.coef_, [1.0, -2.0, 0.5, 0.0], rtol=1e-6, atol=1e-6)
    assert 0 < model.scale_ < 1e-6
    assert not model.outliers_.any()
    nearly = y.copy()
    nearly[:10] += 50.0  # all but ten rows fit perfectly
    model = HuberRegressor(alpha=0.0, max_iter=5000).fit(X, nearly)
    np.testing.assert_allclose(model.coef_, [1.0, -2.0, 0.5, 0.0], rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(model.outliers_[:10], True)


def test_constant_target():
    X, _ = data()
    for value in (0.0, 5.0, -1e6):
        model = HuberRegressor().fit(X, np.full(len(X), value))
        np.testing.assert_allclose(model.coef_, 0.0, atol=1e-9)
        np.testing.assert_allclose(model.predict(X), value, rtol=1e-9, atol=1e-9)
        assert np.isfinite(model.scale_)
        assert model.scale_ > 0


def test_sparse_outliers_and_names():
    X, y = data()
    dense, sparse = HuberRegressor().fit(X, y), HuberRegressor().fit(sp.csr_array(X), y)
    np.testing.assert_array_equal(dense.outliers_, sparse.outliers_)
    assert dense.scale_ == pytest.approx(sparse.scale_, rel=1e-8)


def test_weight_zero_does_not_move_the_scale():
    X, y = data()
    weight = np.ones(len(y))
    weight[:15] = 0
    wild = y.copy()
    wild[:15] = 1e9
    model = HuberRegressor().fit(X, wild, sample_weight=weight)
    expected = HuberRegressor().fit(X[15:], y[15:])
    assert model.scale_ == pytest.approx(expected.scale_, rel=1e-6)
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-6, atol=1e-8)
    assert model.outliers_[:15].all()


def test_huber_regressor_has_no_probable_failure_on_hard_data():
    """Heavy tails, few rows, many features: it converges, silently."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for seed in range(15):
            rng = np.random.default_rng(seed)
            n, d = int(rng.integers(8, 60)), int(rng.integers(1, 12))
            X = rng.standard_cauchy(size=(n, d)) * 10.0 ** rng.integers(-3, 4, d)
            y = rng.standard_cauchy(size=n) * 10.0 ** rng.integers(-3, 4)
            model = HuberRegressor(epsilon=1.01 + 2 * rng.random()).fit(X, y)
            assert np.isfinite(model.coef_).all()
            assert model.scale_ > 0


# --- other people's optima -------------------------------------------------------------------


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("alpha", [1e-3, 1.0])
@pytest.mark.parametrize("container", [np.array, sp.csr_array], ids=["dense", "csr"])
def test_ridge(alpha, fit_intercept, container):
    X, y = data()
    weight = np.random.default_rng(1).random(len(y))
    theirs = Ridge(alpha=weight.sum() * alpha / 2, fit_intercept=fit_intercept, tol=1e-12)
    theirs.fit(X, y, sample_weight=weight)
    ours = LinearRegressor(alpha=alpha, fit_intercept=fit_intercept)
    ours.fit(container(X), y, sample_weight=weight)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("alpha", [0.01, 0.5])
def test_elastic_net(alpha):
    X, y = data()
    theirs = ElasticNet(alpha=alpha, l1_ratio=0.6, tol=1e-12, max_iter=100_000).fit(X, y)
    ours = LinearRegressor(alpha=2 * alpha, l1_ratio=0.6).fit(X, y)  # theirs is of r²/2
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-5, atol=1e-7)
    assert ours.intercept_ == pytest.approx(theirs.intercept_, rel=1e-5)


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.85])
@pytest.mark.parametrize("alpha", [0.0, 0.05])
def test_quantile_loss(quantile, alpha):
    """Its penalty is L1. The minimiser need not be unique; the minimum is."""
    X, y = data()
    theirs = TheirQuantileRegressor(quantile=quantile, alpha=alpha).fit(X, y)
    ours = LinearRegressor(Quantile(quantile=quantile), alpha=alpha, l1_ratio=1.0).fit(X, y)

    def objective(model):
        r = y - model.predict(X)
        loss = np.mean(np.maximum(quantile * r, (quantile - 1) * r))
        return loss + alpha * np.abs(model.coef_).sum()

    assert objective(ours) == pytest.approx(objective(theirs), rel=1e-6)
    # The share of rows below is the quantile, up to the d + 1 rows on the plane.
    assert abs(np.mean(y < ours.predict(X)) - quantile) <= 5 / len(y)
    if quantile == 0.5:
        absolute = LinearRegressor("absolute", alpha=2 * alpha, l1_ratio=1.0).fit(X, y)
        assert objective(absolute) == pytest.approx(objective(theirs), rel=1e-6)


def test_huber_tends_to_squared_and_absolute():
    X, y = data()
    squared = LinearRegressor("squared", alpha=0.2).fit(X, y)
    wide = LinearRegressor(Huber(delta=1e6), alpha=0.1).fit(X, y)
    np.testing.assert_allclose(wide.coef_, squared.coef_, rtol=1e-6)
    absolute = LinearRegressor("absolute", alpha=0.1).fit(X, y)
    narrow = LinearRegressor(Huber(delta=1e-4), alpha=1e-5, max_iter=5000).fit(X, y)
    np.testing.assert_allclose(narrow.coef_, absolute.coef_, atol=1e-2)


def test_epsilon_tube():
    """With a tube that holds all rows, nothing is worth a coefficient."""
    X, y = data()
    model = LinearRegressor(EpsilonInsensitive(epsilon=1e3)).fit(X, y)
    np.testing.assert_allclose(model.coef_, 0.0, atol=1e-6)
    assert np.abs(y - model.predict(X)).max() <= 1e3


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_a_shift_of_the_target_moves_the_intercept_only(name, shift):
    X, y = data()
    plain = LinearRegressor(name, alpha=0.01).fit(X, y)
    moved = LinearRegressor(name, alpha=0.01).fit(X, y + shift)
    np.testing.assert_allclose(moved.coef_, plain.coef_, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(moved.intercept_ - shift, plain.intercept_, rtol=1e-4, atol=1e-5)
    assert plain.score(X, y) == pytest.approx(moved.score(X, y + shift), abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("d", [1, 4, 200])
def test_every_name(name, d):
    X, y = data(d=d, outliers=0)
    assert LinearRegressor(name, alpha=0.01).fit(X, y).score(X, y) > 0.8


def test_one_row():
    for name in NAMES:
        model = LinearRegressor(name).fit([[2.0, 3.0]], [5.0])
        np.testing.assert_allclose(model.predict([[2.0, 3.0]]), 5.0, atol=0.11)
        np.testing.assert_allclose(model.coef_, 0.0, atol=1e-6)


@pytest.mark.parametrize("y", [["yes", "no"] * 4, np.arange(8).astype("datetime64[D]")])
def test_targets_that_are_no_numbers(y):
    with pytest.raises(ValueError, match=r"y must hold numbers, got .*LinearClassifier"):
        LinearRegressor().fit(np.arange(8.0)[:, None], y)
