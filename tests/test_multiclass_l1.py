"""Multiclass hinges with L1 and elastic-net penalties, on ordinary data and degenerate ones."""

import functools
import warnings

import cvxpy as cp
import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning

from sklearn_margin import LinearClassifier
from sklearn_margin._validation import normalize_weights
from sklearn_margin.losses import CrammerSinger, WestonWatkins
from sklearn_margin.objective import MulticlassObjective, Rows
from sklearn_margin.objective.multiclass import stationary
from sklearn_margin.penalties import ElasticNet
from sklearn_margin.solvers import choose
from sklearn_margin.solvers._class_hinges import ClassHinges

LOSSES = [CrammerSinger(), WestonWatkins()]
PENALTIES = [(1e-8, 0.5), (1e-3, 1.0), (0.05, 0.1), (0.3, 0.9), (10.0, 1.0)]


@functools.cache
def problem(seed=0, n=60, d=4, n_classes=3, weights=None):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    k = (X @ rng.normal(size=(d, n_classes)) + rng.gumbel(size=(n, n_classes))).argmax(axis=1)
    s = {
        None: np.ones(n),
        "integer": rng.integers(0, 4, n).astype(float),
        "wild": 10.0 ** rng.uniform(-8, 8, n),
    }[weights]
    return X, k, s


def value(loss, X, k, s, alpha, l1_ratio, coef, intercept):
    """F, in extended precision where there is one."""
    X, W = X.astype(np.longdouble), np.asarray(coef, np.longdouble)
    z = X @ W.T + np.asarray(intercept, np.longdouble)
    t = loss.margin + z - z[np.arange(len(k)), k][:, None]
    t[np.arange(len(k)), k] = 0
    t = np.maximum(t, 0)
    losses = t.max(axis=1) if isinstance(loss, CrammerSinger) else t.sum(axis=1)
    penalty = (1 - l1_ratio) / 2 * (W**2).sum() + l1_ratio * np.abs(W).sum()
    return float(s @ losses / s.sum() + alpha * penalty)


def minimum(loss, X, k, s, alpha, l1_ratio, fit_intercept):
    """The least F that Clarabel finds."""
    n, n_classes = len(k), int(k.max()) + 1
    W, b = cp.Variable((n_classes, X.shape[1])), cp.Variable((1, n_classes))
    true = np.eye(n_classes)[k]
    z = X @ W.T + (np.ones((n, 1)) @ b if fit_intercept else 0)
    own = cp.reshape(cp.sum(cp.multiply(true, z), axis=1), (n, 1), order="C")
    t = z - own @ np.ones((1, n_classes)) + loss.margin * (1 - true)
    losses = cp.max(t, axis=1)
    if isinstance(loss, WestonWatkins):
        losses = cp.sum(cp.multiply(1 - true, cp.pos(t)), axis=1)
    penalty = (1 - l1_ratio) / 2 * cp.sum_squares(W) + l1_ratio * cp.norm1(W)
    program = cp.Problem(cp.Minimize(s @ losses / s.sum() + alpha * penalty))
    return program.solve(solver="CLARABEL", tol_gap_rel=1e-11, tol_gap_abs=1e-13, tol_feas=1e-11)


def fit(loss, X, k, s, alpha, l1_ratio, fit_intercept=True, **settings):
    """A fit that must not warn, and its F."""
    model = LinearClassifier(
        loss, alpha=alpha, l1_ratio=l1_ratio, fit_intercept=fit_intercept, **settings
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X, k, sample_weight=s)
    dense = X.toarray() if sp.issparse(X) else X
    return model, value(loss, dense, k, s, alpha, l1_ratio, model.coef_, model.intercept_)


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize(("alpha", "l1_ratio"), PENALTIES)
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_reaches_the_minimum(loss, alpha, l1_ratio, fit_intercept):
    X, k, s = problem(weights="integer")
    model, found = fit(loss, X, k, s, alpha, l1_ratio, fit_intercept)
    best = minimum(loss, X, k, s, alpha, l1_ratio, fit_intercept)
    assert model.solver_ == "interior_point"
    assert found == pytest.approx(best, rel=1e-7)
    assert found - best <= model.dual_gap_ + 1e-9 * best
    assert model.dual_gap_ <= 1e-10 * found


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_default_settings_are_exact(loss, seed):
    X, k, s = problem(seed)
    model, found = fit(loss, X, k, s, 1e-3, 1.0)
    assert found <= minimum(loss, X, k, s, 1e-3, 1.0, True) * (1 + 1e-7)
    assert np.count_nonzero(model.coef_ == 0) > 0


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_sparse_and_repeated_rows(loss):
    X, k, s = problem(weights="integer")
    model, _ = fit(loss, X, k, s, 0.02, 0.5)
    sparse, _ = fit(loss, sp.csr_array(X), k, s, 0.02, 0.5)
    times = s.astype(int)
    repeated, _ = fit(
        loss, X.repeat(times, axis=0), k.repeat(times), np.ones(times.sum()), 0.02, 0.5
    )
    np.testing.assert_allclose(sparse.coef_, model.coef_, atol=1e-7)
    np.testing.assert_allclose(repeated.coef_, model.coef_, atol=1e-7)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_float32(loss):
    X, k, s = problem()
    model, found = fit(loss, X.astype(np.float32), k, s, 0.02, 0.5)
    exact, best = fit(loss, X.astype(np.float32).astype(float), k, s, 0.02, 0.5)
    assert model.coef_.dtype == np.float32
    assert found - best <= model.dual_gap_ < 1e-5
    np.testing.assert_allclose(model.coef_, exact.coef_, atol=1e-5)


SCALES = {
    "columns": lambda X: X * [1e-5, 1e-2, 1e2, 1e5],
    "tiny": lambda X: X * 1e-9,
    "offset": lambda X: X + np.array([0, 1e2, 1e4, 1e5]),
    "constant": lambda X: np.column_stack([X[:, :3], np.full(len(X), 2024.0)]),
    "duplicate": lambda X: X[:, [0, 1, 1, 2]],
    "rank one": lambda X: np.outer(X[:, 0], [1.0, 2.0, -1.0, 0.0]),
    "outlier": lambda X: X * np.where(np.arange(len(X)) == 5, 1e4, 1.0)[:, None],
}


@pytest.mark.parametrize("weights", [None, "wild"])
@pytest.mark.parametrize("kind", SCALES)
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_degenerate_data_are_certified(loss, kind, weights):
    X, k, s = problem(n=25, weights=weights)
    X = SCALES[kind](X)
    model, found = fit(loss, X, k, s, 1e-5, 0.7, tol=1e-6)
    assert model.dual_gap_ <= 1e-6 * found
    # Steps of coordinate descent from there gain no more than the certificate allows.
    rng, lowest = np.random.default_rng(0), found
    for size in (1e-2, 1e-4, 1e-6, 1e-8):
        for _ in range(20):
            coef = model.coef_ * (1 + size * rng.normal(size=model.coef_.shape))
            intercept = model.intercept_ + size * rng.normal(size=3)
            lowest = min(lowest, value(loss, X, k, s, 1e-5, 0.7, coef, intercept))
    assert found - lowest <= model.dual_gap_ + 1e-15


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_what_arithmetic_cannot_do_is_said(loss):
    X, k, s = problem(n=25)
    model = LinearClassifier(loss, alpha=1e-3, l1_ratio=0.5, tol=1e-12, fit_intercept=True)
    with pytest.warns(ConvergenceWarning):
        model.fit((X + 1e9).astype(float), k, sample_weight=s)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_the_dual_point_is_feasible(loss):
    """Multipliers of any kind become slopes that sum to zero and lie within their bounds."""
    X, k, s = problem(weights="wild")
    s = normalize_weights(s, len(k), float)
    objective = MulticlassObjective(
        loss, Rows(X, center=True), k, s, n_outputs=3, penalty=ElasticNet(0.1), fit_intercept=True
    )
    model = ClassHinges(objective)
    rng = np.random.default_rng(0)
    for multipliers in (s[:, None] * rng.random((60, 3)), np.tile(s[:, None], 3)):
        p = model.feasible(multipliers)
        g = model.slopes(p)
        assert (p >= 0).all()
        assert (p <= s[:, None] * (1 + 1e-15)).all()
        assert np.abs(g.sum(axis=0)).max() <= 1e-14 * np.abs(g).sum()
        if isinstance(loss, CrammerSinger):
            assert (-g[np.arange(60), k] <= s * (1 + 1e-15)).all()


def test_stationary_distribution_of_any_scales():
    rng = np.random.default_rng(0)
    rates = rng.random((4, 4)) * 10.0 ** rng.uniform(-12, 3, (4, 4))
    pi = stationary(rates)
    np.fill_diagonal(rates, 0)
    flow = pi[:, None] * rates
    np.testing.assert_allclose(flow.sum(axis=0), flow.sum(axis=1), rtol=1e-12)
    assert pi.max() == 1
    assert not stationary([[0.0, 1.0], [0.0, 0.0]]).any()


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_the_gap_after_one_step_is_finite(loss, l1_ratio):
    X, k, s = problem()
    with pytest.warns(ConvergenceWarning):
        model = LinearClassifier(loss, alpha=1e-3, l1_ratio=l1_ratio, max_iter=1).fit(X, k)
    found = value(loss, X, k, s, 1e-3, l1_ratio, model.coef_, model.intercept_)
    assert 0 < model.dual_gap_ <= found * (1 + 1e-12)


def test_auto_never_takes_a_rough_solver_for_a_small_problem():
    X, k, s = problem()
    for loss in LOSSES:
        for l1_ratio in (0.0, 0.5, 1.0):
            objective = MulticlassObjective(
                loss, Rows(X, center=False), k, s / s.sum(), n_outputs=3,
                penalty=ElasticNet(0.1, l1_ratio),
            )  # fmt: skip
            assert choose("auto", objective).name == "interior_point"
