"""The interior point where data are degenerate, and what it says of itself there."""

import warnings

import cvxpy as cp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.linalg import LinAlgError
from scipy.optimize import linprog
from sklearn.exceptions import ConvergenceWarning

from sklearn_margin import (
    HingeClassifier,
    LinearClassifier,
    LinearRegressor,
    QuantileRegressor,
    regularization_path,
)
from sklearn_margin._linalg import factorized
from sklearn_margin.losses import Absolute, EpsilonInsensitive, Hinge, Quantile
from sklearn_margin.objective import PointwiseObjective, Rows
from sklearn_margin.penalties import ElasticNet
from sklearn_margin.solvers import InteriorPoint, _central_path
from sklearn_margin.solvers import base as solver_base

LOSSES = {
    "hinge": Hinge(),
    "absolute": Absolute(),
    "quantile": Quantile(quantile=0.9),
    "epsilon_insensitive": EpsilonInsensitive(),
}


def value(loss, X, y, w, b, s=None, alpha=0.0, l1_ratio=0.0):
    """F from raw coefficients, in extended precision."""
    X, w, y = (np.asarray(v, dtype=np.longdouble) for v in (X, w, y))
    s = np.ones(len(y)) if s is None else s
    z = X @ w + np.longdouble(b)
    r = y - z
    losses = {
        Hinge: lambda: np.maximum(1 - y * z, 0),
        Absolute: lambda: np.abs(r),
        Quantile: lambda: np.maximum(
            np.longdouble(loss.quantile) * r, (np.longdouble(loss.quantile) - 1) * r
        ),
        EpsilonInsensitive: lambda: np.maximum(np.abs(r) - loss.epsilon, 0),
    }[type(loss)]()
    penalty = (1 - l1_ratio) / 2 * (w @ w) + l1_ratio * np.abs(w).sum()
    return float(s @ losses / s.sum() + alpha * penalty)


def fit(loss, X, y, s=None, **settings):
    """F, gap and whether a warning was given, of a fit by the interior point."""
    cls = LinearClassifier if isinstance(loss, Hinge) else LinearRegressor
    model = cls(loss, solver="interior_point", **settings)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y, sample_weight=s)
    assert all(w.category is ConvergenceWarning for w in caught)
    penalty = {k: settings.get(k, 0.0) for k in ("alpha", "l1_ratio")}
    reached = value(
        loss, X, y, model.coef_.ravel(), float(np.ravel(model.intercept_)[0]), s, **penalty
    )
    return reached, float(model.dual_gap_), bool(caught)


def targets(loss, z):
    return np.where(z > np.median(z), 1.0, -1.0) if isinstance(loss, Hinge) else z


def objective(loss, X, y, s=None, fit_intercept=True, **settings):
    s = np.ones(len(y)) if s is None else s
    rows = Rows(X, center=fit_intercept)
    return PointwiseObjective(
        loss, rows, y, s / s.sum(), fit_intercept=fit_intercept, penalty=ElasticNet(**settings)
    )


def solve(problem, **options):
    settings = {"tol": 1e-6, "max_iter": 200, **options}
    with problem.rows.session():
        return InteriorPoint().solve(problem, problem.start(), **settings)


# --- linear algebra --------------------------------------------------------------------------


def test_a_matrix_that_only_rounding_errors_keep_from_being_semi_definite():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(20, 4))
    gram = A.T @ A
    for noise in (-1e-9, 0.0, 1e-30):  # of a variable that does nothing
        matrix = np.zeros((5, 5))
        matrix[:4, :4] = gram
        matrix[4, 4], matrix[4, :4], matrix[:4, 4] = noise, 1e-8, 1e-8
        x = factorized(matrix, hold=True)(np.append(gram @ np.ones(4), 0.0))
        assert np.isfinite(x).all()
        assert_allclose(x[:4], 1.0, atol=1e-6)
    twice = np.tile(gram, (2, 2))
    x = factorized(twice, hold=True)(twice @ np.ones(8))
    assert_allclose(twice @ x, twice @ np.ones(8), rtol=1e-6)
    with pytest.raises(LinAlgError, match="not finite"):
        factorized(np.full((2, 2), np.nan))


@pytest.mark.parametrize("hold", [False, True])
def test_attempts_to_factorise_are_few(monkeypatch, hold):
    """However far from semi-definite a matrix is, and if the factorisation fails for ever."""
    matrix = np.array([[1.0, 1e6, 0.0], [1e6, 1.0, 0.0], [0.0, 0.0, 0.0]])
    x = factorized(matrix, hold=hold)(np.ones(3))
    assert np.isfinite(x).all()
    assert (x[2] == 0) == hold
    attempts = []

    def fails(matrix, **settings):
        attempts.append(matrix)
        raise LinAlgError("as if")

    monkeypatch.setattr("sklearn_margin._linalg.cho_factor", fails)
    with pytest.raises(LinAlgError, match="as if"):
        factorized(np.eye(3), hold=hold)
    assert len(attempts) <= 12


def test_failing_linear_algebra_is_reported_not_raised(monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 2))
    problem = objective(Hinge(), X, np.sign(X[:, 0]), alpha=0.1)

    def fails(matrix, **settings):
        raise LinAlgError("as if")

    monkeypatch.setattr(_central_path, "factorized", fails)
    result = solve(problem)
    assert not result.converged
    assert result.gap >= result.value - 1e-12
    assert result.value == pytest.approx(problem.value(result.params))


# --- columns that say nothing, or nearly the same --------------------------------------------


@pytest.mark.parametrize("alpha", [0.0, 1e-8, 1e-4])
@pytest.mark.parametrize("constant", [1.0, 2024.0, 1e6])
@pytest.mark.parametrize("name", LOSSES)
def test_constant_column(name, constant, alpha):
    loss = LOSSES[name]
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 2))
    y = targets(loss, X @ [1.0, -2.0] + rng.normal(size=50))
    reached, gap, warned = fit(loss, np.c_[X, np.full(50, constant)], y, alpha=alpha)
    without = fit(loss, X, y, alpha=alpha)[0]
    assert not warned
    assert reached == pytest.approx(without, rel=1e-8)
    assert gap <= 1e-8 * reached


def test_year_column_at_default_parameters():
    rng = np.random.default_rng(0)
    X = np.c_[rng.normal(size=(200, 2)), np.full(200, 2024.0)]
    y = X[:, 0] + rng.normal(size=200)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert QuantileRegressor().fit(X, y).coef_[2] == pytest.approx(0.0, abs=1e-6)
        assert HingeClassifier().fit(X, y > 0).score(X, y > 0) > 0.7
        path = regularization_path(QuantileRegressor(l1_ratio=1.0), X, y, n_alphas=3)
    assert (path.dual_gaps < 1e-4).all()


@pytest.mark.parametrize("band", [0, 4])
def test_constant_column_of_many_rows(band):
    """Columns are centred by algebra, which leaves rounding errors of a constant one."""
    rng = np.random.default_rng(0)
    X = np.c_[rng.normal(size=(30_000, 2)), np.full(30_000, 1e6)]
    y = X[:, 0] + rng.normal(size=30_000)
    model = QuantileRegressor(quantile=0.9, alpha=0.0, solver=InteriorPoint(band=band))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X, y)
    without = QuantileRegressor(quantile=0.9, alpha=0.0).fit(X[:, :2], y)
    reached, best = (
        value(Quantile(quantile=0.9), Z, y, m.coef_, m.intercept_)
        for m, Z in ((model, X), (without, X[:, :2]))
    )
    assert reached == pytest.approx(best, rel=2e-4)


@pytest.mark.parametrize("name", LOSSES)
def test_columns_in_the_span_of_others(name):
    """Duplicates, a linear combination, and dummies of a category beside an intercept."""
    loss = LOSSES[name]
    rng = np.random.default_rng(1)
    X = np.c_[rng.normal(size=(60, 2)), np.eye(4)[rng.integers(0, 4, 60)]]
    y = targets(loss, X @ rng.normal(size=6) + rng.normal(size=60))
    reached, gap, warned = fit(loss, np.c_[X, 3 * X[:, 0], X[:, 0] - 7 * X[:, 1]], y, alpha=0.0)
    assert not warned
    assert fit(loss, X[:, :-1], y, alpha=0.0)[0] == pytest.approx(reached, rel=1e-8)
    assert gap <= 1e-8 * reached


def check(loss, X, y, known, **settings):
    """A fit within tol of ``known`` or with a warning, and never with a gap that is too small."""
    reached, gap, warned = fit(loss, X, y, **settings)
    assert warned or reached <= known * (1 + 1e-4)
    assert gap >= (reached - known) * (1 - 1e-6) - 1e-12
    return warned


@pytest.mark.parametrize("difference", [1e-6, 1e-8, 1e-10, 1e-12, 1e-14])
def test_columns_that_nearly_agree(difference):
    for seed in range(3):
        z, d = np.random.default_rng(seed).normal(size=(2, 200))
        X = np.c_[z, z + difference * d]
        y = d + 0.1 * np.random.default_rng(seed + 10).normal(size=200)
        known = value(Absolute(), X, y, [-1 / difference, 1 / difference], 0.0)
        warned = check(Absolute(), X, y, known, alpha=0.0)
        assert not (warned and difference >= 1e-10)


@pytest.mark.parametrize("offset", [1e7, 1e8, 1e10, 1e12, 1e14])
def test_offsets_without_intercept(offset):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        Z = rng.normal(size=(200, 2))
        y = Z[:, 0] - Z[:, 1] + 0.1 * rng.normal(size=200)
        known = value(Absolute(), Z + offset, y, [1.0, -1.0], 0.0)
        warned = check(Absolute(), Z + offset, y, known, alpha=0.0, fit_intercept=False)
        assert not (warned and offset <= 1e10)


# --- the gap is a bound ----------------------------------------------------------------------


def awkward(kind, n, d, rng):
    X = rng.normal(size=(n, d))
    if kind == "wide":
        X *= 10.0 ** rng.uniform(-6, 6, d)
    elif kind == "offset":
        X += 10.0 ** rng.uniform(4, 8, d)
    elif kind == "constant":
        X[:, 0] = 2024.0
    elif kind == "duplicate":
        X[:, -1] = X[:, 0]
    elif kind == "rank one":
        X = np.outer(X[:, 0], rng.normal(size=d))
    elif kind == "outlier":
        X[0] *= 1e4
    elif kind == "huge":
        X *= 1e9
    return X


def clarabel(loss, X, y, s, alpha, l1_ratio, fit_intercept):
    """F at the solution of Clarabel."""
    scale = np.sqrt(np.mean(X**2, axis=0))
    u, b = cp.Variable(X.shape[1]), cp.Variable() if fit_intercept else 0.0
    z, w = (X / scale) @ u + b, cp.multiply(1 / scale, u)
    losses = {
        Hinge: lambda: cp.pos(1 - cp.multiply(y, z)),
        Absolute: lambda: cp.abs(y - z),
        Quantile: lambda: cp.maximum(loss.quantile * (y - z), (loss.quantile - 1) * (y - z)),
        EpsilonInsensitive: lambda: cp.pos(cp.abs(y - z) - loss.epsilon),
    }[type(loss)]()
    penalty = (1 - l1_ratio) / 2 * cp.sum_squares(w) + l1_ratio * cp.norm1(w)
    problem = cp.Problem(cp.Minimize(s / s.sum() @ losses + alpha * penalty))
    try:
        problem.solve(solver=cp.CLARABEL)
    except cp.SolverError:
        return np.inf
    if u.value is None:
        return np.inf
    intercept = float(b.value) if fit_intercept else 0.0
    return value(loss, X, y, u.value / scale, intercept, s, alpha, l1_ratio)


@pytest.mark.filterwarnings("ignore:Solution may be inaccurate")
@pytest.mark.parametrize(
    "kind",
    ["plain", "wide", "offset", "constant", "duplicate", "rank one", "outlier", "huge"],
)
@pytest.mark.parametrize("name", LOSSES)
def test_gap_and_tol_on_awkward_data(name, kind):
    loss = LOSSES[name]
    rng = np.random.default_rng([list(LOSSES).index(name), len(kind)])
    for alpha in (0.0, 1e-8, 1e-4, 1.0):
        fit_intercept = bool(rng.random() < 0.5)
        l1_ratio = rng.choice([0.0, 0.3, 1.0])
        n, d = int(rng.integers(3, 30)), int(rng.integers(2, 7))
        X = awkward(kind, n, d, rng)
        y = targets(loss, (X / np.abs(X).max(axis=0)) @ rng.normal(size=d) + rng.normal(size=n))
        s = 10.0 ** rng.uniform(-8, 8, n) if rng.random() < 0.3 else np.ones(n)
        settings = {"alpha": alpha, "l1_ratio": l1_ratio, "fit_intercept": fit_intercept}
        reached, gap, warned = fit(loss, X, y, s, **settings)
        best = min(
            reached,
            fit(loss, X, y, s, tol=1e-10, **settings)[0],
            clarabel(loss, X, y, s, **settings),
        )
        zero = 1e-14 * np.abs(y).max()
        assert gap >= (reached - best) * (1 - 1e-6) - zero
        assert warned or reached - best <= 1e-4 * reached + zero
        assert warned or gap <= 1e-4 * reached or best <= 1e-6 * np.abs(y).max()


@pytest.mark.parametrize("seed", [0, 133, 141, 209, 247])
def test_weights_of_wild_scales_and_an_elastic_net(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(17, 1))
    y = np.where(rng.random(17) < 0.5, 1.0, -1.0)
    y[:2] = 1.0, -1.0
    s = 10.0 ** rng.uniform(-8, 3, 17)
    reached, gap, warned = fit(Hinge(), X, y, s, alpha=1e-4, l1_ratio=0.3)
    assert not warned
    assert gap <= 1e-4 * reached
    best = clarabel(Hinge(), X, y, s, 1e-4, 0.3, True)
    assert reached <= best * (1 + 1e-4)
    assert gap >= reached - best - 1e-9 * reached


@pytest.mark.parametrize("quantile", [1e-12, 1 - 1e-9, 1 - 1e-12, 1 - 1e-15])
def test_extreme_quantiles(quantile):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    y = X @ [1.0, 2.0, 3.0] + rng.normal(size=200)
    A, sign = np.c_[X, np.ones(200)], 1.0 if quantile > 0.5 else -1.0
    envelope = linprog(
        sign * A.sum(axis=0), A_ub=-sign * A, b_ub=-sign * y, bounds=[(None, None)] * 4
    ).x
    loss = Quantile(quantile=quantile)
    check(loss, X, y, value(loss, X, y, envelope[:3], envelope[3]), alpha=0.0)


def test_the_gap_of_many_rows_without_a_penalty(monkeypatch):
    """Only some of the rows are looked at, and scores are updated, not computed."""
    monkeypatch.setattr(solver_base, "SMALL", 0)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 3)) + 5.0
    y = X @ [1.0, 2.0, 3.0] + rng.normal(size=3000)
    problem = objective(Absolute(), X, y, alpha=0.0)
    best = solve(problem, tol=1e-11).value
    for max_iter in (1, 3, 5, 7, 9, 50):
        result = solve(problem, tol=1e-4, max_iter=max_iter)
        assert result.gap >= result.value - best - 1e-12
        assert result.gap <= result.value * (1 + 1e-9)
    assert result.converged


# --- stopped early ---------------------------------------------------------------------------


@pytest.mark.parametrize("small", [True, False])
@pytest.mark.parametrize("name", LOSSES)
def test_what_is_returned_is_the_best_point_so_far(name, small, monkeypatch):
    if not small:
        monkeypatch.setattr(solver_base, "SMALL", 0)
    loss = LOSSES[name]
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 3))
    y = targets(loss, 10 * X @ [1.0, -2.0, 3.0] + rng.normal(size=100) + 5)
    problem = objective(loss, X, y, alpha=1e-2)
    shown = []
    solve(problem, callback=lambda n_iter, params: shown.append((n_iter, params.copy())))
    values = [problem.value(params) for _, params in shown]
    assert [n_iter for n_iter, _ in shown] == list(range(1, len(shown) + 1))
    assert len(shown) > 6
    assert (np.diff(values) <= 1e-12 * np.abs(values[:-1])).all()
    assert values[5] < 0.9 * problem.value(problem.start())
    for k in (1, 2, 3, 4):
        result = solve(problem, max_iter=k)
        assert_allclose(result.params, shown[k - 1][1], rtol=1e-10)
        assert result.value == pytest.approx(values[k - 1])
        assert values[-1] * (1 - 1e-9) <= result.value
        assert result.value - values[-1] <= result.gap <= result.value * (1 + 1e-9)
        stopped = solve(problem, callback=lambda n_iter, params, k=k: n_iter == k)
        assert_allclose(stopped.params, result.params, rtol=1e-10)


def test_callbacks_of_sifting_are_no_more_than_iterations():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(25_000, 2))
    y = X @ [1.0, 2.0] + rng.normal(size=25_000)
    problem = objective(Absolute(), X, y, alpha=1e-3)
    whole = solve(problem, tol=1e-5)
    assert whole.converged
    for max_iter in (2, whole.n_iter - 1, whole.n_iter):
        seen = []
        result = solve(
            problem,
            tol=1e-5,
            max_iter=max_iter,
            callback=lambda n, params, seen=seen: seen.append(n),
        )
        assert result.n_iter <= max_iter
        assert seen == sorted(set(seen))
        assert all(n <= max_iter for n in seen)
        assert result.gap >= result.value - whole.value - 1e-12


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("seed", [5, 17, 18, 20, 23])
def test_rows_without_weight_move_no_mean_of_the_gap(seed):
    """Standardised columns have their means over all rows, not over those that count: the slopes
    that a certificate moves are of columns without either."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(6, 1)) * 100
    X[:3] += 300
    y, s = np.arange(6) % 2, np.array([0, 0, 0, 1, 1, 1]) * rng.uniform(0.5, 4, 6)
    offset = 4 * rng.normal(size=6)
    found = []
    for solver in ("interior_point", "smoothing"):
        model = HingeClassifier(alpha=1e-8, tol=1e-6, solver=solver)
        model.fit(X, y, s, offset=offset)
        z = model.decision_function(X, offset=offset)
        loss = s @ np.maximum(1 - (2 * y - 1) * z, 0) / s.sum()
        found.append(loss + 0.5e-8 * float(model.coef_[0] @ model.coef_[0]))
        if solver == "interior_point":
            gap = model.dual_gap_
    assert found[0] - gap <= found[1] * (1 + 1e-9) + 1e-15


def test_weak_signals_are_sifted():
    """The minimum of a sample may be worse than a constant: that says nothing of how many rows are
    next to their kinks, unless the constant is at these."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30_000, 30))
    y = 0.05 * X[:, 0] + rng.normal(size=30_000)
    assert QuantileRegressor(quantile=0.9, alpha=0).fit(X, y).solver_ == "interior_point"
