"""Smoothing: gaps that are bounds to the last digit, and L1 penalties."""

import functools

import numpy as np
import pytest
import scipy.sparse as sp

from sklearn_margin import LinearClassifier, LinearRanker, LinearRegressor, check_loss
from sklearn_margin.losses import CrammerSinger, Hinge, PairwiseHinge, PairwiseLoss, WestonWatkins
from sklearn_margin.losses.multiclass_hinge import SmoothedCrammerSinger
from sklearn_margin.objective import MulticlassObjective, PointwiseObjective, Rows
from sklearn_margin.penalties import ElasticNet
from sklearn_margin.solvers import InteriorPoint, Smoothing
from tests.test_multiclass_dual import build, solve


@functools.cache
def ranking(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(20, 3))
    return X, np.round(X @ [1, -1, 0.5] + rng.normal(size=20))


def ranking_value(seed, coef):
    X, y = ranking(seed)
    return PairwiseHinge().value(y, X @ coef) + 0.005 * float(coef @ coef)


@pytest.mark.parametrize("seed", [2, 12, 20, 35])
def test_gap_of_pairs_includes_rounding(seed):
    X, y = ranking(seed)
    best = LinearRanker("pairwise_hinge", alpha=0.01, solver="interior_point").fit(X, y)
    model = LinearRanker("pairwise_hinge", alpha=0.01, solver="smoothing", tol=1e-8).fit(X, y)
    error = ranking_value(seed, model.coef_) - ranking_value(seed, best.coef_)
    assert model.dual_gap_ >= error - 1e-16
    assert model.dual_gap_ <= 2e-8


@pytest.mark.parametrize("width", [0.3, 1e-4, 1e-8])
def test_slopes_of_a_narrow_envelope(width):
    """Against the projection on the simplex in extended precision."""
    rng = np.random.default_rng(0)
    z, k = rng.normal(size=(300, 5)) * 10, rng.integers(0, 5, 300)
    z[::2, 2] = z[::2, 1] + width * rng.normal(size=150)
    rows = np.arange(300)
    out = np.empty_like(z)
    SmoothedCrammerSinger(1.0, width).scores_value_gradient(k, z, np.ones(300), out)
    t = 1 + z.astype(np.longdouble) - z[rows, k][:, None]
    t[rows, k] = 0
    shifted = t / np.longdouble(width)
    shifted[rows, k] += 1
    order = -np.sort(-shifted, axis=1)
    tau = (np.cumsum(order, axis=1) - 1) / np.arange(1, 6)
    tau = tau[rows, (order > tau).sum(axis=1) - 1]
    expected = np.maximum(shifted - tau[:, None], 0)
    expected[rows, k] -= 1
    np.testing.assert_allclose(out, expected.astype(float), atol=1e-14 + 4e-15 / width)
    np.testing.assert_allclose(out.sum(axis=1), 0, atol=1e-14)


def multiclass(dtype=np.float64):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4))
    k = (X @ rng.normal(size=(4, 3)) + rng.gumbel(size=(60, 3))).argmax(axis=1)
    return X.astype(dtype), k


@pytest.mark.parametrize("l1_ratio", [0.3, 1.0])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_l1_penalty(l1_ratio, fit_intercept):
    X, k = multiclass()
    objective = build(CrammerSinger(), X, k, np.ones(60), fit_intercept)
    objective = type(objective)(
        objective.loss, objective.rows, k, objective.s, n_outputs=3,
        penalty=ElasticNet(0.02, l1_ratio), fit_intercept=fit_intercept,
    )  # fmt: skip
    best = solve(InteriorPoint(), objective)
    result = solve(Smoothing(), objective, tol=1e-3)
    assert result.converged
    error = result.value - best.value
    assert -1e-12 <= error <= result.gap <= 1e-3 * result.value


@pytest.mark.parametrize("make", [np.asarray, sp.csr_array])
def test_l1_penalty_on_pairs(make):
    X, y = ranking(0)
    settings = {"alpha": 0.05, "l1_ratio": 0.5}
    best = LinearRanker("pairwise_hinge", solver="interior_point", **settings).fit(make(X), y)
    model = LinearRanker("pairwise_hinge", solver="smoothing", **settings).fit(make(X), y)
    np.testing.assert_allclose(model.coef_, best.coef_, atol=1e-2)
    assert model.dual_gap_ <= 1e-4


def test_large_problems_with_an_l1_penalty_are_certified():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2_500, 40))
    y = (X @ rng.normal(size=(40, 3)) + rng.gumbel(size=(2_500, 3))).argmax(axis=1)
    model = LinearClassifier("crammer_singer", alpha=0.1, l1_ratio=0.5, tol=0.05).fit(X, y)
    assert model.solver_ == "smoothing"
    assert 0 < model.dual_gap_ < 0.1
    assert np.count_nonzero(model.coef_ == 0) > 0


class Deviation(PairwiseLoss):
    """|1 − d|, of which no sum over pairs is known, nor are the slopes of one sign."""

    def pair_value(self, d):
        return abs(1.0 - d)

    def pair_gradient(self, d):
        return -1.0 if d < 1.0 else 1.0

    def smoothed(self, width):
        return SmoothedDeviation(width)


class SmoothedDeviation(PairwiseLoss):
    def __init__(self, width=0.1):
        self.width = width

    @property
    def envelope_width(self):
        return self.width

    def pair_value(self, d):
        u = abs(1.0 - d)
        return 0.5 * u * u / self.width if u < self.width else u - 0.5 * self.width

    def pair_gradient(self, d):
        return min(max((d - 1.0) / self.width, -1.0), 1.0)

    def pair_hessian(self, d):
        return 1.0 / self.width if abs(1.0 - d) < self.width else 0.0


@pytest.mark.parametrize("seed", [2, 12])
def test_a_loss_of_pairs_may_have_an_envelope_of_its_own(seed):
    X, y = ranking(seed)
    check_loss(Deviation())
    model = LinearRanker(Deviation(), alpha=0.01, tol=1e-6).fit(X, y)
    assert model.solver_ == "smoothing"
    pairs = [(i, j) for i in range(len(y)) for j in range(len(y)) if y[i] > y[j]]
    D = np.array([X[i] - X[j] for i, j in pairs])
    peer = LinearRegressor("absolute", alpha=0.01, fit_intercept=False, tol=1e-10)
    peer.fit(D, np.ones(len(D)))

    def value(coef):
        return float(np.mean(np.abs(1 - D @ coef)) + 0.005 * coef @ coef)

    error = value(model.coef_) - value(peer.coef_)
    assert -1e-12 <= error <= model.dual_gap_ <= 1e-6 * value(peer.coef_)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("last", [0, np.inf])
def test_slopes_of_a_narrow_envelope_without_a_penalty(last):
    """Where a factor of the penalty is 0 they must cancel each other, which those of the envelope
    of a width w do up to eps/w only: no gap was known. That factors differ, moreover, was an error
    where the last digits of such a loss are found."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 4)) * [1.0, 3.0, 1.0, 0.3]
    y = np.digitize(X @ [1.0, -1.0, 0.5, 1.0] + rng.normal(size=30), [-1.5, 1.5])
    settings = {"alpha": 1e-2, "penalty_factors": [0, 1, 0.3, last]}
    model = LinearClassifier("weston_watkins", solver="smoothing", tol=1e-7, **settings).fit(X, y)
    exact = LinearClassifier("weston_watkins", tol=1e-6, **settings).fit(X, y)
    (objective,) = model._prepare(X, y).objectives
    value, other = (
        objective.value(objective.from_coef(m.coef_, m.intercept_)) for m in (model, exact)
    )
    assert value - other <= model.dual_gap_ + 1e-12 * value
    assert model.dual_gap_ <= 1e-7 * value


@pytest.mark.filterwarnings("error")
def test_an_envelope_without_curvature_has_no_preconditioner():
    """Its Hessian was divided by zero: a warning came of nan."""
    rows, y = Rows(np.eye(8)[:, :2].copy(), center=True), np.arange(8) % 3
    loss = WestonWatkins().smoothed(1e-9)
    objective = MulticlassObjective(loss, rows, y, np.full(8, 0.125), n_outputs=3,
                                    penalty=ElasticNet(0.1), fit_intercept=True)  # fmt: skip
    point = objective.at(objective.start())
    point.find_curvature()
    assert point.approximate_hessian() is None


def test_a_loss_of_zero_is_off_by_the_rounding_errors_of_scores():
    """In single precision at coefficients of 1e14 hinges were zero that were not."""
    X = np.array([[1.0, 0.5], [2.0, -0.5], [-1.0, 0.5], [-2.0, -0.5]], dtype=np.float32)
    penalty = ElasticNet(1.0, factors=np.array([0.0, 1.0]))
    y, s = np.sign(X[:, 0]), np.full(4, 0.25, np.float32)
    objective = PointwiseObjective(Hinge(), Rows(X, center=False), y, s, penalty=penalty)
    for size, converged in ((4.0, True), (1e9, False)):
        start = np.array([size, 0.0])
        found = Smoothing().solve(objective, start, tol=1e-4, max_iter=20)
        assert found.value == 0.0
        assert 0 < found.gap < 1e-6 * size
        assert found.converged == converged
