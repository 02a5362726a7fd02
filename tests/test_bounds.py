"""Bounds of coefficients and factors of the penalty by feature, of every convex loss."""

import warnings

import cvxpy as cp
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_margin import (
    Batches,
    HingeClassifier,
    HuberRegressor,
    LinearClassifier,
    LinearRanker,
    LinearRegressor,
    QuantileRegressor,
    RankSVM,
    _tables,
    regularization_path,
)
from sklearn_margin.losses import Huber
from sklearn_margin.solvers import SOLVERS

N, D = 48, 5
EPSILON = 1.35

# --- by loss: an estimator, targets, and the loss of CVXPY expressions for the scores -----------


def _margins(name, score):
    def make(t, s, groups, rng):
        y = np.where(t > np.median(t), 1.0, -1.0)
        return (LinearClassifier(name), y, {}), lambda z: s @ score(cp.multiply(y, z))

    return make


def _cross_entropy(t, s, groups, rng):
    y = np.digitize(t, np.quantile(t, [0.3, 0.7]))

    def loss(Z):
        return s @ (cp.log_sum_exp(Z, axis=1) - cp.sum(cp.multiply(np.eye(3)[y], Z), axis=1))

    return (LinearClassifier("cross_entropy"), y, {}), loss


def _regression(estimator, loss):
    return lambda t, s, groups, rng: ((estimator, t, {}), lambda z: s @ loss(t - z))


def _joint_huber(t, s, groups, rng):
    scale, small = cp.Variable(nonneg=True), cp.Variable(N)

    def loss(z):
        squares = cp.hstack([cp.quad_over_lin(small[i], scale) for i in range(N)])
        return s @ (squares / 2 + EPSILON * cp.abs(t - z - small)) + scale / 2

    return (HuberRegressor(epsilon=EPSILON), t, {}), loss


def _pairs(name, power):
    def make(t, s, groups, rng):
        y = np.digitize(t, np.quantile(t, [0.3, 0.6]))
        better, worse = np.nonzero((groups[:, None] == groups) & (y[:, None] > y))
        weight = s[better] * s[worse]
        used = weight > 0
        better, worse, weight = better[used], worse[used], weight[used] / weight.sum()

        def loss(z):
            return weight @ cp.power(cp.pos(1 - z[better] + z[worse]), power)

        return (RankSVM(loss=name), y, {"groups": groups}), loss

    return make


LOSSES = {
    "hinge": _margins("hinge", lambda m: cp.pos(1 - m)),
    "squared hinge": _margins("squared_hinge", lambda m: cp.square(cp.pos(1 - m))),
    "logistic": _margins("logistic", lambda m: cp.logistic(-m)),
    "cross entropy": _cross_entropy,
    "Huber": _regression(LinearRegressor(Huber(EPSILON)), lambda r: 0.5 * cp.huber(r, EPSILON)),
    "joint Huber": _joint_huber,
    "quantile": _regression(
        QuantileRegressor(quantile=0.7), lambda r: 0.7 * cp.pos(r) + 0.3 * cp.pos(-r)
    ),
    "pairwise hinge": _pairs("hinge", 1),
    "pairwise squared hinge": _pairs("squared_hinge", 2),
}


def table(seed, sparse):
    """X, targets, weights and groups."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, D)) * [0.3, 1.0, 3.0, 1.0, 1.0] + (not sparse) * rng.normal(size=D)
    X *= rng.uniform(size=X.shape) < (0.5 if sparse else 1.0)
    t = X @ [2.0, -1.0, 0.4, 1.0, 0.0] + rng.normal(size=N)
    s = rng.choice([0.0, 0.5, 1.0, 2.0], N, p=[0.1, 0.2, 0.5, 0.2])
    return X, t, s, rng.integers(0, 4, N), rng


LOW = np.array([-np.inf, 0.0, -0.1, 0.05, -np.inf])
HIGH = np.array([0.1, np.inf, 0.2, np.inf, np.inf])
FACTORS = np.array([0.3, 1.0, 0.0, 5.0, np.inf])


def minimum(loss, X, alpha, l1_ratio, bounds, factors, n_scores):
    """A problem of CVXPY, and its coefficients and intercept."""
    W, b = cp.Variable((n_scores, D)), cp.Variable(n_scores)
    Z = X @ W.T + np.ones((N, 1)) @ cp.reshape(b, (1, n_scores), "C")
    finite = np.where(np.isinf(factors), 0.0, factors)
    terms = (1 - l1_ratio) / 2 * cp.square(W) + l1_ratio * cp.abs(W)
    penalty = alpha * cp.sum(terms @ finite)
    low, high = bounds
    rules = [W[:, j] == 0 for j in range(D) if np.isinf(factors[j])]
    rules += [W[:, j] >= low[j] for j in range(D) if np.isfinite(low[j])]
    rules += [W[:, j] <= high[j] for j in range(D) if np.isfinite(high[j])]
    problem = cp.Problem(cp.Minimize(loss(Z if n_scores > 1 else Z[:, 0]) + penalty), rules)
    problem.solve(solver=cp.CLARABEL, tol_gap_rel=1e-9, tol_gap_abs=1e-10)
    return problem, W, b


@pytest.mark.parametrize("options", ["bounds", "factors", "both"])
@pytest.mark.parametrize("name", LOSSES)
def test_against_clarabel(name, options):
    """Penalties, containers and strengths take turns."""
    turn = list(LOSSES).index(name) + ["bounds", "factors", "both"].index(options)
    l1_ratio, sparse, alpha = [0.0, 0.5, 1.0][turn % 3], bool(turn % 2), [1e-3, 0.05][turn % 2]
    X, t, s, groups, rng = table(turn, sparse)
    (estimator, y, given), loss = LOSSES[name](t, s / s.sum(), groups, rng)
    unbounded, even = (np.full(D, -np.inf), np.full(D, np.inf)), np.ones(D)
    bounds = unbounded if options == "factors" else (LOW, HIGH)
    factors = even if options == "bounds" else FACTORS
    model = estimator.set_params(
        alpha=alpha, l1_ratio=l1_ratio, coef_bounds=bounds, penalty_factors=factors, tol=1e-7
    )
    model.fit(sp.csr_array(X) if sparse else X, y, sample_weight=s, **given)
    n_scores = 3 if name == "cross entropy" else 1
    problem, W, b = minimum(loss, X, alpha, l1_ratio, bounds, factors, n_scores)
    best = problem.value
    coef = np.atleast_2d(model.coef_)
    assert (coef >= bounds[0]).all()
    assert (coef <= bounds[1]).all()
    assert (coef[:, np.isinf(factors)] == 0).all()
    W.value, b.value = coef, np.broadcast_to(getattr(model, "intercept_", 0.0), n_scores)
    for own in set(problem.variables()) - {W, b}:  # of Huber's scale: minimised out
        r = t - (X @ coef[0] + model.intercept_)
        own.value = model.scale_ if own.shape == () else np.clip(
            r, -EPSILON * model.scale_, EPSILON * model.scale_
        )  # fmt: skip
    found = float(problem.objective.value)
    assert abs(found - best) <= 1e-6 * best
    assert found - best <= model.dual_gap_ + 1e-8 * best
    assert model.dual_gap_ <= 1e-7 * found


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("name", ["squared hinge", "logistic", "cross entropy", "Huber"])
def test_the_gap_bounds_the_excess_wherever_the_point_is(name, l1_ratio):
    X, t, s, groups, rng = table(1, False)
    (model, y, _), _ = LOSSES[name](t, s / s.sum(), groups, rng)
    settings = {"coef_bounds": (LOW, HIGH), "penalty_factors": FACTORS}
    model.set_params(alpha=0.01, l1_ratio=l1_ratio, tol=1e-9, **settings).fit(X, y)
    (objective,) = model._prepare(X, y).objectives
    best = objective.from_coef(np.squeeze(model.coef_), np.squeeze(model.intercept_))
    lowest = objective.value(best)
    for size in (0.0, 1e-6, 1e-3, 0.1, 10.0):
        params = objective.feasible(best + size * rng.normal(size=len(best)))
        point = objective.at(params)
        for gap in (point.gap(), objective.refined_gap(params)):
            assert gap >= (point.value - lowest) * (1 - 1e-9) - 1e-12 * lowest
    # Without a penalty a coefficient is like an intercept: near the optimum there is a gap.
    assert objective.at(objective.feasible(best * (1 + 1e-5))).gap() < 1e-3 * lowest


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seed", [4, 5, 6])
def test_nearly_as_many_coefficients_without_a_penalty_as_rows_that_count(seed):
    """Their slopes are rounding errors of scores, which is more than of the slopes of the loss: a
    dual point must be corrected. Only F itself was known as a gap of half of such problems."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(20, 14))
    y = X @ rng.normal(size=14) + 0.5 * rng.normal(size=20) > 0
    factors = rng.choice([0.0, 1.0, np.inf], 14, p=[0.5, 0.4, 0.1])
    model = LinearClassifier(
        "squared_hinge", alpha=1e-3, l1_ratio=[0, 0.5, 1][seed % 3], penalty_factors=factors,
        coef_bounds=(np.where(np.arange(14) % 3, -np.inf, 0), None), tol=1e-6,
    ).fit(X, y)  # fmt: skip
    assert 0 <= model.dual_gap_ < 1e-6


def test_many_rows():
    """As many that samples are solved first, and rows that are far from kinks left out."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30_000, 8))
    t = X @ rng.normal(size=8) + 0.2 * X[:, 0] * rng.normal(size=30_000) + rng.normal(size=30_000)
    low = np.where(np.arange(8) % 2, 0.0, -np.inf)
    for model in (HingeClassifier(), LinearClassifier("logistic"), QuantileRegressor(alpha=1e-3)):
        model.set_params(coef_bounds=(low, 0.3), penalty_factors=[0, *[1] * 7], tol=1e-5)
        y = t if isinstance(model, QuantileRegressor) else t > 0
        model.fit(X, y)
        other = HingeClassifier if isinstance(model, HingeClassifier) else None
        assert ((model.coef_ == low) | (model.coef_ == 0.3)).any()
        assert model.dual_gap_ < 1e-4
        exact = {"hinge": "smoothing", None: "lbfgs"}["hinge" if other else None]
        if not isinstance(model, QuantileRegressor):
            check = model.__class__(**{**model.get_params(), "solver": exact}).fit(X, y)
            np.testing.assert_allclose(check.coef_, model.coef_, atol=5e-3)


# --- names ------------------------------------------------------------------------------------


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(200, 4)), columns=["age", "fare", "price", "stops"])
    return X, X.to_numpy() @ [1.0, -1.0, 0.5, 0.2] + rng.normal(size=200)


BY_NAME = {"age": (None, 0), "stops": (0.1, 0.1)}


def test_by_name_is_by_number(frame):
    X, y = frame
    options = {"coef_bounds": BY_NAME, "penalty_factors": {"fare": 0, "price": np.inf}}
    model = LinearRegressor("huber", alpha=0.1, **options).fit(X, y)
    low, high = [-np.inf, -np.inf, -np.inf, 0.1], [0, np.inf, np.inf, 0.1]
    other = LinearRegressor(
        "huber", alpha=0.1, coef_bounds=(low, high), penalty_factors=[1, 0, np.inf, 1]
    )
    np.testing.assert_array_equal(model.coef_, other.fit(X.to_numpy(), y).coef_)
    assert model.coef_[0] == model.coef_[2] == 0
    assert model.coef_[3] == 0.1


def test_names_of_a_pipeline(frame):
    X, y = frame
    scaler = StandardScaler().set_output(transform="pandas")
    model = make_pipeline(scaler, RankSVM(coef_bounds=BY_NAME)).fit(X, y)
    assert model[-1].coef_[0] == 0


@pytest.mark.parametrize("kept", [None, 400])
def test_names_of_a_stream(frame, monkeypatch, kept):
    X, y = frame
    if kept is not None:
        monkeypatch.setattr(_tables, "KEPT", kept)

    def batches():
        yield from ((X[:120], y[:120] > 0), (X[120:], y[120:] > 0))

    model = LinearClassifier("logistic", coef_bounds=BY_NAME, penalty_factors={"fare": 0}, tol=1e-8)
    there = model.fit(Batches(batches)).coef_
    np.testing.assert_allclose(there, model.fit(X, y > 0).coef_, rtol=1e-3, atol=1e-6)
    assert there[0, 0] == 0
    # A model that was fitted to these columns in another order goes by the names of the stream.
    np.testing.assert_array_equal(model.fit(X[X.columns[::-1]], y > 0).coef_[0, 3], 0)
    np.testing.assert_array_equal(model.fit(Batches(batches)).coef_, there)


def test_single_precision_stays_within(frame):
    X, y = frame
    low, high = 0.1, 0.3  # neither is a number of single precision
    for model in (LinearRegressor("squared"), QuantileRegressor()):
        model.set_params(coef_bounds=(low, high)).fit(X.astype(np.float32), y.astype(np.float32))
        assert model.coef_.dtype == np.float32
        coef = model.coef_.astype(np.float64)
        assert low <= coef.min() < low + 1e-6
        assert high - 1e-6 < coef.max() <= high


def test_warm_starts_and_paths(frame):
    X, y = frame
    model = LinearClassifier("logistic", l1_ratio=0.5, coef_bounds=BY_NAME, tol=1e-8)
    model.set_params(penalty_factors={"fare": 0}, warm_start=True)
    path = regularization_path(model, X, y > 0, n_alphas=4)
    for alpha, coef in zip(path.alphas, path.coefs, strict=True):
        model.set_params(alpha=alpha, warm_start=alpha != path.alphas[0])
        np.testing.assert_allclose(model.fit(X, y > 0).coef_, coef, atol=1e-5)
    assert (path.coefs[:, 0, 1] != 0).all()
    # The model before is without bounds: a start is moved to them.
    free = LinearClassifier("logistic", warm_start=True).fit(X, y > 0)
    assert free.coef_[0, 0] > 0
    assert free.set_params(coef_bounds=BY_NAME).fit(X, y > 0).coef_[0, 0] == 0


def test_a_path_starts_where_factors_let_all_be_zero(frame):
    X, y = frame
    factors = {"age": 0.5, "fare": 4.0, "price": np.inf}
    model = LinearRegressor("squared", l1_ratio=1.0, penalty_factors=factors)
    path = regularization_path(model, X, y, n_alphas=3, alpha_ratio=0.5)
    assert not path.coefs[0].any()
    assert path.coefs[1].any()


# --- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"coef_bounds": (0, -1)}, ValueError, "coef_bounds of 'age' leave no coefficient"),
        ({"coef_bounds": (np.inf, None)}, ValueError, "leave no coefficient"),
        ({"coef_bounds": ([0, 0, 0], None)}, ValueError, "lower bound of coef_bounds.* 4 entries"),
        ({"coef_bounds": (None, np.nan)}, ValueError, "upper bound of coef_bounds must not be NaN"),
        ({"coef_bounds": 3}, ValueError, r"coef_bounds must be a pair \(low, high\)"),
        ({"coef_bounds": {"age": 3}}, ValueError, r"coef_bounds\['age'\] must be a pair"),
        ({"coef_bounds": {"x": (0, 1)}}, ValueError, "the name 'x', which no feature has.* 'age'"),
        ({"coef_bounds": {"age": ("a", 1)}}, (ValueError, TypeError), "lower bound of coef_bounds"),
        ({"penalty_factors": [1, -1, 0, 0]}, ValueError, "penalty_factors must not be negative"),
        ({"penalty_factors": 2.0}, ValueError, "penalty_factors must have a number for each"),
        ({"penalty_factors": [1, 2]}, ValueError, "penalty_factors must have 4 entries"),
        ({"penalty_factors": {"x": 1}}, ValueError, "penalty_factors has the name 'x'"),
        ({"penalty_factors": {"age": np.nan}}, ValueError, r"penalty_factors\['age'\].* NaN"),
        (
            {"penalty_factors": {"age": np.inf}, "coef_bounds": {"age": (1, 2)}},
            ValueError,
            "penalty_factors leave out 'age', whose coef_bounds exclude 0",
        ),
    ],
)
def test_errors_name_the_parameter(frame, options, error, message):
    X, y = frame
    with pytest.raises(error, match=message):
        LinearRegressor(**options).fit(X, y)


def test_names_need_names(frame):
    X, y = frame
    with pytest.raises(ValueError, match="coef_bounds has the name 'age', and X has no names"):
        LinearRanker(coef_bounds=BY_NAME).fit(X.to_numpy(), y)


def test_solvers_that_cannot_keep_bounds_say_so(frame):
    X, y = frame
    for name in SOLVERS.keys() - {"adam"}:
        if SOLVERS[name].keeps_bounds:
            continue
        with pytest.raises(ValueError, match=r"coef_bounds must be kept exactly.*Solvers that can"):
            LinearClassifier("hinge", coef_bounds=(0, None), solver=name).fit(X, y > 0)
    with pytest.raises(ValueError, match="partial_fit cannot be used here: coef_bounds"):
        LinearRegressor(coef_bounds=(0, None), solver="sgd").partial_fit(X, y)


def test_nothing_said_is_nothing_changed(frame):
    X, y = frame
    plain = LinearRegressor("squared").fit(X, y)
    said = {"coef_bounds": (None, None), "penalty_factors": np.ones(4)}
    model = LinearRegressor("squared", **said).fit(X, y)
    np.testing.assert_array_equal(model.coef_, plain.coef_)
    assert model.solver_ == plain.solver_


def test_least_squares_without_a_penalty(frame):
    """Non-negative least squares, as SciPy has it."""
    from scipy.optimize import nnls

    X, y = frame
    model = LinearRegressor("squared", alpha=0, coef_bounds=(0, None), fit_intercept=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X, y)
    np.testing.assert_allclose(model.coef_, nnls(X.to_numpy(), y)[0], atol=1e-8)
