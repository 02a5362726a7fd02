"""Softmax cross entropy of lists: the fits. Value and gradient are tested with all other losses."""

from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import minimize

from sklearn_margin import Batches, LinearRanker, _tables
from sklearn_margin.losses import ListwiseSoftmax, Logistic
from sklearn_margin.objective import ListwiseObjective, Rows
from sklearn_margin.penalties import ElasticNet

N, D = 3000, 5


@pytest.fixture(scope="module")
def data():
    """Lists of about ten rows, some without a relevant one, and rows without a weight."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, D)) * [1.0, 0.1, 30.0, 1.0, 1.0] + [0.0, 5.0, 0.0, 0.0, 1.0]
    groups = rng.integers(0, N // 10, N)
    z = (X - X.mean(axis=0)) @ [1.0, 5.0, 0.05, 0.0, -1.0]
    y = np.clip(np.round(z + rng.normal(size=N)), 0, 3) * (groups % 7 > 0)
    return X, y, rng.random(N) * (rng.random(N) < 0.9), groups


def objective(data, **penalty):
    X, y, s, groups = data
    rows = Rows(X, center=True)
    return ListwiseObjective(
        ListwiseSoftmax(), rows, y, s / s.sum(), groups, penalty=ElasticNet(0.01, **penalty)
    )


def test_hessians_are_slopes_of_the_gradient(data):
    F = objective(data)
    at = np.random.default_rng(1).normal(size=D)
    step = 1e-6 * np.eye(D)
    slopes = np.array(
        [(F.value_gradient(at + e)[1] - F.value_gradient(at - e)[1]) / 2e-6 for e in step]
    )
    curvature = F.curvature(F.scores(at))
    products = [F.hessian_product(curvature, e) for e in np.eye(D)]
    gradient, hessian = F.gradient_hessian(at, curvature)
    np.testing.assert_allclose(products, slopes, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(hessian, products, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(gradient, F.value_gradient(at)[1], rtol=1e-12)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
def test_the_gap_bounds_the_error(data, l1_ratio):
    """Against scipy, wherever a fit stops; weights, CSR and single precision."""
    X, y, s, groups = data

    loss, strength = ListwiseSoftmax(), 0.01 * l1_ratio

    def F(w):
        norms = (0.01 - strength) / 2 * w @ w + strength * np.abs(w).sum()
        return loss.value(y, X @ w, s, groups) + norms

    def smooth(parts):  # w = u − v, for the kinks of the norm
        w = parts[:D] - parts[D:]
        g = X.T @ loss.gradient(y, X @ w, s, groups) + (0.01 - strength) * w
        value = F(w) + strength * (parts.sum() - np.abs(w).sum())
        return value, np.r_[g, -g] + strength

    settings = {"alpha": 0.01, "l1_ratio": l1_ratio}
    best = LinearRanker("listwise_softmax", tol=1e-10, **settings).fit(X, y, s, groups)
    start = np.maximum(np.r_[best.coef_, -best.coef_], 0.0)
    lowest = minimize(smooth, start, jac=True, bounds=[(0, None)] * (2 * D), tol=1e-10).fun
    assert F(best.coef_) <= lowest + 1e-9
    for tol in (1e-1, 1e-2, 1e-4):
        for container in (np.asarray, sp.csr_array):
            for dtype in (np.float64, np.float32):
                model = LinearRanker("listwise_softmax", tol=tol, solver="auto", **settings)
                model.fit(container(X.astype(dtype)), y, s, groups)
                error = F(model.coef_.astype(float)) - lowest
                assert error <= model.dual_gap_ + 1e-7 * lowest
                assert model.dual_gap_ <= tol * lowest * 1.01


def test_slopes_that_are_foreseen_are_a_dual_point(data):
    """The excess is at least what Fenchel's inequality lacks, by the entropy of q̂."""
    F = objective(data)
    rng = np.random.default_rng(2)
    z, dz = F.scores(rng.normal(size=D)), 0.01 * F.scores(rng.normal(size=D))
    there, slopes = z + dz, dz.copy()
    excess = F.foreseen(z, slopes, there)
    g = np.empty(N)
    loss = F.score_gradient(there, g)
    pairs = F.pairs
    weight = np.repeat(pairs.weight / pairs.total, np.diff(pairs.group_start))
    used = weight > 0
    q = slopes[pairs.layout.order][used] / weight[used] + pairs.target[used]
    conjugate = weight[used] @ (q * np.log(q))
    needed = loss + conjugate - slopes @ there
    assert needed <= excess <= 1.5 * needed
    assert F.foreseen(z, 1e3 * dz, there) == np.inf


def test_what_lists_are_left_out(data):
    X, y, s, groups = data
    dead = groups % 7 == 0
    fits = [
        LinearRanker("listwise_softmax", alpha=0.01).fit(X[k], y[k], s[k], groups[k])
        for k in (np.ones(N, bool), ~dead, s > 0)
    ]
    for model in fits[1:]:
        np.testing.assert_allclose(model.coef_, fits[0].coef_, rtol=1e-6)


def test_batches(data, monkeypatch):
    monkeypatch.setattr(_tables, "KEPT", 500)
    X, y, s, groups = (a[np.argsort(data[3], kind="stable")] for a in data)
    cuts = [0, *(np.searchsorted(groups, [70, 200])), N]
    parts = [(X[a:b], y[a:b], s[a:b], groups[a:b]) for a, b in pairwise(cuts)]
    model = LinearRanker("listwise_softmax", alpha=0.01, tol=1e-8)
    found = model.fit(Batches(parts)).coef_
    np.testing.assert_allclose(found, model.fit(X, y, s, groups).coef_, rtol=1e-6)


def test_what_it_refuses(data):
    X, y, _, groups = data
    with pytest.raises(ValueError, match="y must not be negative"):
        LinearRanker("listwise_softmax").fit(X, y - 1, groups=groups)
    with pytest.raises(ValueError, match=r"ListwiseSoftmax is one of whole lists"):
        LinearRanker("listwise_softmax", solver="sgd").fit(X, y, groups=groups)
    with pytest.raises(ValueError, match=r"gain must be one of"):
        ListwiseSoftmax("cubic").value([0, 1], [0, 1])


def test_a_pair_is_a_list_of_two():
    d = np.array([-2.0, 0.3, 4.0])
    lists = ListwiseSoftmax().value([1, 0] * 3, np.c_[d, 0 * d].ravel(), groups=[0, 0, 1, 1, 2, 2])
    assert lists == pytest.approx(ListwiseSoftmax().binary.value(np.ones(3), d), rel=1e-14)
    assert ListwiseSoftmax().binary == Logistic()


def test_large_scores_lose_no_digits():
    """Where the best row is far ahead, its slope is minus the probability of the others."""
    loss = ListwiseSoftmax()
    gradient = loss.gradient([1, 0, 0], [40.0, 0.0, 0.0])
    assert gradient[0] == pytest.approx(-2 * np.exp(-40.0), rel=1e-12)
    assert loss.value([1, 0, 0], [40.0, 0.0, 0.0]) == pytest.approx(2 * np.exp(-40.0), rel=1e-12)
    assert loss.value([1, 0], [-1e6, 1e6]) == 2e6
    assert np.isfinite(ListwiseSoftmax("exponential").value([0, 2000, 1999], [0, 1, 2]))
