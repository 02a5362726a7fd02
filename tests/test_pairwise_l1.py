"""Pairwise hinges with L1 and elastic-net penalties, and pairs of extreme weights."""

import functools
import warnings

import cvxpy as cp
import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning

from sklearn_margin import LinearRanker
from sklearn_margin._groups import encode_groups
from sklearn_margin.losses import PairwiseHinge, PairwiseLogistic, PairwiseSquaredHinge
from sklearn_margin.losses.pairs.index import PairIndex

PENALTIES = [(1e-8, 0.5), (1e-3, 1.0), (0.05, 0.0), (0.3, 0.9), (10.0, 1.0)]


@functools.cache
def problem(n=40, d=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    y = np.round(X @ rng.normal(size=d) + rng.normal(size=n))
    return X, y, rng.integers(0, 4, n), rng.integers(0, 3, n).astype(float)


def pairs(y, groups, s, weighting):
    """Every pair and its share of the weight, by a plain loop."""
    found = []
    for i in range(len(y)):
        for j in range(len(y)):
            if groups[i] == groups[j] and y[i] > y[j] and s[i] * s[j] > 0:
                lift = y[i] - y[j] if weighting == "difference" else 1.0
                found.append((i, j, s[i] * s[j] * lift))
    better, worse, weight = (np.array(part) for part in zip(*found, strict=True))
    return better, worse, weight / weight.sum()


def value(X, better, worse, weight, alpha, l1_ratio, coef):
    losses = np.maximum(1 - (X[better] - X[worse]) @ coef, 0)
    penalty = (1 - l1_ratio) / 2 * coef @ coef + l1_ratio * np.abs(coef).sum()
    return float(weight @ losses + alpha * penalty)


@pytest.mark.parametrize("make", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("weighting", ["difference", "uniform"])
@pytest.mark.parametrize(("alpha", "l1_ratio"), PENALTIES)
def test_reaches_the_minimum(alpha, l1_ratio, weighting, make):
    X, y, groups, s = problem()
    model = LinearRanker(PairwiseHinge(weighting=weighting), alpha=alpha, l1_ratio=l1_ratio)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(make(X), y, sample_weight=s, groups=groups)
    assert model.solver_ == "interior_point"
    better, worse, weight = pairs(y, groups, s, weighting)
    w = cp.Variable(3)
    penalty = (1 - l1_ratio) / 2 * cp.sum_squares(w) + l1_ratio * cp.norm1(w)
    losses = cp.pos(1 - (X[better] - X[worse]) @ w)
    program = cp.Problem(cp.Minimize(weight @ losses + alpha * penalty))
    best = program.solve(solver="CLARABEL", tol_gap_rel=1e-11, tol_gap_abs=1e-13)
    found = value(X, better, worse, weight, alpha, l1_ratio, model.coef_)
    assert found == pytest.approx(best, rel=1e-7)
    assert found - best <= model.dual_gap_ + 1e-9 * best
    assert model.dual_gap_ <= 1e-10 * found


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
def test_float32_and_scales(l1_ratio):
    X, y, groups, _ = problem()
    X = (X * [1e-4, 1, 1e4] + [0, 10, 0]).astype(np.float32)
    settings = {"alpha": 1e-4, "l1_ratio": l1_ratio}
    model = LinearRanker("pairwise_hinge", **settings).fit(X, y, groups=groups)
    exact = LinearRanker("pairwise_hinge", **settings).fit(X.astype(float), y, groups=groups)
    parts = pairs(y, groups, np.ones(len(y)), "difference")
    found, best = (
        value(X.astype(float), *parts, 1e-4, l1_ratio, m.coef_.astype(float))
        for m in (model, exact)
    )
    assert found - best <= model.dual_gap_ + 1e-15
    assert model.dual_gap_ <= 1e-4 * found
    assert exact.dual_gap_ <= 1e-9 * best


@pytest.mark.parametrize("difference", [False, True])
def test_listed_pairs(difference):
    _, y, groups, s = problem()
    weighting = "difference" if difference else "uniform"
    index = PairIndex(y, groups, s, weighting)
    better, worse, weight = index.listed()
    expected = sorted(zip(*pairs(y, groups, s, weighting), strict=True))
    found = sorted(zip(better, worse, weight / index.total, strict=True))
    assert len(found) == index.n_pairs
    np.testing.assert_allclose(found, expected, rtol=1e-13)


LOSSES = [PairwiseHinge(), PairwiseSquaredHinge(), PairwiseLogistic()]


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("small", [1e-100, 1e-170, 1e-200])
def test_light_pairs_beside_heavy_rows_without_pairs(loss, small):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(8, 2)), np.array([0, 1, 1, 1, 0, 1, 2, 2])
    groups = np.array([0, 0, 1, 1, 2, 2, 2, 3])
    paired = np.isin(groups, [0, 2])
    s = np.where(paired, small, 1.0)
    expected = LinearRanker(loss, alpha=0.1).fit(X[paired], y[paired], groups=groups[paired])
    model = LinearRanker(loss, alpha=0.1).fit(X, y, sample_weight=s, groups=groups)
    assert model.coef_.any()
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-6)
    z = X @ model.coef_
    assert loss.value(y, z, s, groups=groups) == pytest.approx(
        loss.value(y[paired], z[paired], groups=groups[paired]), rel=1e-12
    )


def test_light_pairs_beside_heavier_ones_keep_their_share():
    X, y = np.eye(4), np.array([0, 1, 0, 1])
    groups, s = np.array([0, 0, 1, 1]), np.array([1e-90, 1e-90, 1.0, 1e-180])
    z = np.array([0.0, 0.5, 0.0, 0.25])
    # Both pairs weigh 1e-180.
    assert PairwiseHinge().value(y, z, s, groups=groups) == pytest.approx(0.625, rel=1e-12)
    model = LinearRanker("pairwise_hinge", alpha=0.1).fit(X, y, sample_weight=s, groups=groups)
    np.testing.assert_allclose(model.coef_[:2], model.coef_[2:], rtol=1e-6)


@pytest.mark.parametrize("alpha", [1e-20, 1e-300])
def test_penalties_next_to_nothing(alpha):
    X, y, groups, _ = problem()
    model = LinearRanker("pairwise_hinge", alpha=alpha)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y, groups=groups)
    parts = pairs(y, groups, np.ones(len(y)), "difference")
    found = value(X, *parts, alpha, 0.0, model.coef_)
    assert found <= value(X, *parts, 0.0, 0.0, np.zeros(3))
    warned = any(issubclass(w.category, ConvergenceWarning) for w in caught)
    assert model.dual_gap_ <= (found * (1 + 1e-12) if warned else 1e-4 * found)


@pytest.mark.parametrize(
    "groups", [[1, "1", 1, "1"], [1, b"1", 1, b"1"], [[1], ["1"], [1], ["1"]], (1.5, "1.5") * 2]
)
def test_a_number_and_a_string_are_two_groups(groups):
    np.testing.assert_array_equal(encode_groups(groups, 4), [0, 1, 0, 1])
