"""Objectives: values, derivatives, coordinates, threads and memory."""

import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest
import scipy.sparse as sp
from threadpoolctl import ThreadpoolController

from sklearn_margin import LinearClassifier, LinearRanker, LinearRegressor
from sklearn_margin.losses import (
    EpsilonInsensitive,
    Hinge,
    Huber,
    Logistic,
    PairwiseHinge,
    PairwiseLogistic,
    PairwiseSquaredHinge,
    Squared,
    SquaredHinge,
)
from sklearn_margin.objective import (
    ConcomitantHuberObjective,
    PairwiseObjective,
    PointwiseObjective,
    Rows,
)
from sklearn_margin.penalties import ElasticNet

N, D = 50, 5
CONTAINERS = {
    "dense": np.array,
    "csr": sp.csr_array,
    "csr64": lambda X: with_indices(sp.csr_array(X), np.int64),
}
KINDS = {
    "Logistic": (PointwiseObjective, Logistic()),
    "SquaredHinge": (PointwiseObjective, SquaredHinge()),
    "Hinge": (PointwiseObjective, Hinge()),
    "Squared": (PointwiseObjective, Squared()),
    "Huber": (PointwiseObjective, Huber(delta=0.8)),
    "EpsilonInsensitive": (PointwiseObjective, EpsilonInsensitive()),
    "ConcomitantHuber": (ConcomitantHuberObjective, Huber(delta=1.35)),
    "PairwiseHinge": (PairwiseObjective, PairwiseHinge()),
    "PairwiseLogistic": (PairwiseObjective, PairwiseLogistic()),
    "PairwiseSquaredHinge": (PairwiseObjective, PairwiseSquaredHinge()),
}
TWICE = [
    "Logistic",
    "SquaredHinge",
    "Squared",
    "Huber",
    "ConcomitantHuber",
    "PairwiseLogistic",
    "PairwiseSquaredHinge",
]


def with_indices(X, dtype):
    """A CSR array whose indices have a dtype; scipy's constructors choose their own."""
    X = X.copy()
    X.indices, X.indptr = X.indices.astype(dtype), X.indptr.astype(dtype)
    return X


def data(kind, seed=0, n=N, d=D):
    """X with zeros, labels, weights that sum to one (some zero) and groups."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * (rng.random((n, d)) < 0.7)
    z = X.sum(axis=1) + rng.normal(size=n)
    y = np.where(z > 0, 1.0, -1.0) if "Hinge" in kind or kind == "Logistic" else z
    if kind.startswith("Pairwise"):
        y = np.digitize(z, [-1.0, 1.0]).astype(float)
    s = rng.random(n) * (rng.random(n) < 0.9)
    return X, y, s / s.sum(), rng.integers(0, 3, n)


def build(kind, X, y, s, groups, fit_intercept=True, alpha=0.1, l1_ratio=0.3, n_jobs=None):
    cls, loss = KINDS[kind]
    penalty = ElasticNet(alpha, l1_ratio)
    if cls is PairwiseObjective:
        rows = Rows(X, center=True, n_jobs=n_jobs)
        return cls(loss, rows, y, s, groups, penalty=penalty)
    rows = Rows(X, center=fit_intercept, n_jobs=n_jobs)
    return cls(loss, rows, y, s, penalty=penalty, fit_intercept=fit_intercept)


def naive_loss(kind, z, y, s, groups):
    """Loss of scores by plain loops over rows and pairs."""
    loss = KINDS[kind][1]
    if kind.startswith("Pairwise"):
        total = weight = 0.0
        for i in range(len(z)):
            for j in range(len(z)):
                if groups[i] == groups[j] and y[i] > y[j]:
                    u = s[i] * s[j] * (y[i] - y[j])
                    total += u * loss.pair_value(z[i] - z[j])
                    weight += u
        return total / weight
    if kind == "ConcomitantHuber":
        # The scale by bisection: the derivative in σ is ½ − Σ s min(r², ε²σ²) / 2σ².
        low, high = 1e-12, 1e6
        for _ in range(200):
            sigma = np.sqrt(low * high)
            inside = s @ np.minimum((y - z) ** 2, (loss.delta * sigma) ** 2)
            low, high = (sigma, high) if inside > sigma**2 else (low, sigma)
        r = np.abs(y - z) / sigma
        rho = np.where(r <= loss.delta, r**2 / 2, loss.delta * (r - loss.delta / 2))
        return s @ (sigma / 2 + sigma * rho)
    return sum(s_i * loss.sample_value(y_i, z_i) for y_i, z_i, s_i in zip(y, z, s, strict=True))


def differences(function, x, h=1e-6):
    """Central differences of a scalar- or vector-valued function."""
    return np.array([(function(x + h * e) - function(x - h * e)) / (2 * h) for e in np.eye(len(x))])


def points(objective, seed=0):
    """Parameter vectors without a zero entry (where the L1 part has a kink)."""
    return np.random.default_rng(seed).normal(size=(3, objective.n_params))


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_value_is_the_formula(kind, fit_intercept, container):
    X, y, s, groups = data(kind)
    fit_intercept = fit_intercept and not kind.startswith("Pairwise")
    objective = build(kind, CONTAINERS[container](X), y, s, groups, fit_intercept)
    for params in points(objective):
        w, b = objective.to_coef(params)
        if not fit_intercept and not kind.startswith("Pairwise"):
            assert b == 0
        penalty = 0.1 * (0.7 / 2 * w @ w + 0.3 * np.abs(w).sum())
        expected = naive_loss(kind, X @ w + b, y, s, groups) + penalty
        assert objective.value(params) == pytest.approx(expected, rel=1e-12)
        assert objective.value_gradient(params)[0] == pytest.approx(expected, rel=1e-12)
        np.testing.assert_allclose(objective.scores(params), X @ w + b, rtol=1e-12, atol=1e-12)
        back = objective.from_coef(w, b) if fit_intercept else objective.from_coef(w)
        np.testing.assert_allclose(back, params, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_gradient_is_the_derivative(kind, fit_intercept, container):
    X, y, s, groups = data(kind)
    fit_intercept = fit_intercept and not kind.startswith("Pairwise")
    objective = build(kind, CONTAINERS[container](X), y, s, groups, fit_intercept)
    for params in points(objective):
        _, gradient = objective.value_gradient(params)
        expected = differences(objective.value, params)
        np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("kind", TWICE)
def test_hessian_is_the_second_derivative(kind, fit_intercept, container):
    X, y, s, groups = data(kind)
    fit_intercept = fit_intercept and not kind.startswith("Pairwise")
    objective = build(kind, CONTAINERS[container](X), y, s, groups, fit_intercept)
    for params in points(objective):
        expected = differences(lambda p: objective.value_gradient(p)[1], params)
        curvature = objective.curvature(objective.scores(params))
        value, gradient = objective.value_gradient(params)
        penalty = objective.penalty.value(objective.split(params)[0])
        assert curvature.value + penalty == pytest.approx(value, rel=1e-12)
        columns = [objective.hessian_product(curvature, e) for e in np.eye(len(params))]
        np.testing.assert_allclose(np.array(columns).T, expected, rtol=1e-5, atol=1e-7)
        if not kind.startswith("Pairwise"):
            same_gradient, hessian = objective.gradient_hessian(params, curvature)
            np.testing.assert_allclose(same_gradient, gradient, rtol=1e-10, atol=1e-12)
            np.testing.assert_allclose(hessian, expected, rtol=1e-5, atol=1e-7)
            np.testing.assert_allclose(hessian, hessian.T, rtol=1e-12, atol=1e-15)


def test_a_loss_that_is_not_convex_has_no_negative_curvature():
    class Wavy(Squared):
        convex = False

        def sample_hessian(self, y, z):
            return -1.0 if y > z else 1.0

    X, y, s, _ = data("Squared")
    objective = PointwiseObjective(Wavy(), Rows(X, center=False), y, s)
    h = objective.curvature(np.zeros(N)).h
    np.testing.assert_allclose(h, np.where(y > 0, 0.0, s), rtol=1e-12)


def test_cautious_curvature_bounds_the_scale_estimate():
    X, y, s, groups = data("ConcomitantHuber")
    objective = build("ConcomitantHuber", X, y, s, groups)
    rng = np.random.default_rng(1)
    z = X.sum(axis=1)
    bound = objective.curvature(z, cautious=True)
    for length in (0.01, 0.1, 1.0, 10.0, 100.0):
        v = length * rng.normal(size=N)
        above = bound.value + bound.gradient @ v + 0.5 * v @ bound.product(v)
        assert objective.score_value(z + v) <= above * (1 + 1e-12)


def test_scale_of_a_perfect_fit_is_positive():
    X, _, s, groups = data("ConcomitantHuber")
    objective = build("ConcomitantHuber", X, X.sum(axis=1), s, groups)
    assert 0 < objective.scale(X.sum(axis=1)) < 1e-6
    value, gradient = objective.value_gradient(objective.from_coef(np.ones(D)))
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


# --- coordinates -----------------------------------------------------------------------------


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("center", [False, True])
def test_shift_and_scale(center, container):
    X = np.random.default_rng(0).normal(size=(500, 3)) * [1.0, 1e3, 1e-3] + [5.0, 0.0, 0.01]
    rows = Rows(CONTAINERS[container](X), center=center)
    mean = X.mean(axis=0) * center
    np.testing.assert_allclose(rows.shift, mean, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(rows.scale, np.sqrt(((X - mean) ** 2).mean(axis=0)), rtol=1e-9)


@pytest.mark.parametrize("container", CONTAINERS)
def test_products_with_standardised_rows(container):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3)) * (rng.random((40, 3)) < 0.6) + [0.0, 2.0, 0.0]
    rows = Rows(CONTAINERS[container](X), center=True)
    Z = (X - rows.shift) / rows.scale
    u, g, h = rng.normal(size=3), rng.normal(size=40), rng.random(40)
    h[::2] = 0  # rows without curvature are left out
    np.testing.assert_allclose(rows.scores(u, 0.5), Z @ u + 0.5, rtol=1e-12, atol=1e-12)
    projected, total = rows.backproject(g)
    np.testing.assert_allclose(projected, Z.T @ g, rtol=1e-12, atol=1e-12)
    assert total == pytest.approx(g.sum(), rel=1e-12)
    gram, cross, sum_h, projected, sum_g = rows.gram(h, g)
    np.testing.assert_allclose(gram, (Z.T * h) @ Z, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(cross, Z.T @ h, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(projected, Z.T @ g, rtol=1e-10, atol=1e-12)
    assert (sum_h, sum_g) == pytest.approx((h.sum(), g.sum()), rel=1e-12)


@pytest.mark.parametrize("kind", TWICE)
def test_explicit_standardisation_agrees(kind):
    X, y, s, groups = data(kind)
    X = X * [1.0, 10.0, 0.1, 1.0, 1.0] + [0.0, 5.0, 0.0, -3.0, 0.0]
    implicit, explicit = (build(kind, X, y, s, groups) for _ in range(2))
    assert not implicit.rows._explicit
    explicit.rows._explicit = True
    explicit.rows._implicit_shift, explicit.rows._implicit_scale = np.zeros(D), np.ones(D)
    for params in points(implicit):
        for one, other in zip(
            implicit.value_gradient(params), explicit.value_gradient(params), strict=True
        ):
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)
        curvatures = [o.curvature(o.scores(params)) for o in (implicit, explicit)]
        for e in np.eye(len(params)):
            np.testing.assert_allclose(
                implicit.hessian_product(curvatures[0], e),
                explicit.hessian_product(curvatures[1], e),
                rtol=1e-9,
                atol=1e-11,
            )
        if not kind.startswith("Pairwise"):
            np.testing.assert_allclose(
                implicit.gradient_hessian(params, curvatures[0])[1],
                explicit.gradient_hessian(params, curvatures[1])[1],
                rtol=1e-9,
                atol=1e-11,
            )


@pytest.mark.parametrize(
    "kind", ["Logistic", "Squared", "ConcomitantHuber", "PairwiseLogistic", "PairwiseSquaredHinge"]
)
def test_badly_offset_features(kind):
    """A column's mean is 10⁶ times its spread: no digit of the answer may be lost."""
    X, y, s, groups = data(kind)
    X = np.random.default_rng(1).normal(size=(N, D)) + np.array([0.0, 1e6, -1e6, 0.0, 1e6])
    objective = build(kind, X, y, s, groups, alpha=0.0)
    exact = np.longdouble(X) - objective.rows.shift
    Z = (exact / objective.rows.scale).astype(float)
    np.testing.assert_allclose(objective.rows.scale, X.std(axis=0), rtol=1e-6)
    for params in points(objective):
        u, b = objective.split(params)
        expected = naive_loss(kind, Z @ u + b, y, s, groups)
        value, gradient = objective.value_gradient(params)
        assert value == pytest.approx(expected, rel=1e-9)
        np.testing.assert_allclose(
            gradient, differences(objective.value, params), rtol=1e-5, atol=1e-7
        )
        curvature = objective.curvature(objective.scores(params))
        hessian = differences(lambda p: objective.value_gradient(p)[1], params)
        for k, e in enumerate(np.eye(len(params))):
            np.testing.assert_allclose(
                objective.hessian_product(curvature, e), hessian[k], rtol=1e-4, atol=1e-7
            )
        if not kind.startswith("Pairwise"):
            np.testing.assert_allclose(
                objective.gradient_hessian(params, curvature)[1], hessian, rtol=1e-4, atol=1e-7
            )


@pytest.mark.parametrize("scale", [1e-150, 1e150])
@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize(
    "kind", ["Logistic", "Squared", "ConcomitantHuber", "PairwiseLogistic", "PairwiseSquaredHinge"]
)
def test_extreme_scales(kind, container, scale):
    """In standardised coordinates a common factor of X is invisible."""
    X, y, s, groups = data(kind)
    plain = build(kind, CONTAINERS[container](X), y, s, groups, alpha=0.0)
    scaled = build(kind, CONTAINERS[container](X * scale), y, s, groups, alpha=0.0)
    for params in points(plain):
        value, gradient = plain.value_gradient(params)
        w, b = plain.to_coef(params)
        params = (
            scaled.from_coef(w / scale, b) if scaled.fit_intercept else scaled.from_coef(w / scale)
        )
        same_value, same_gradient = scaled.value_gradient(params)
        assert same_value == pytest.approx(value, rel=1e-9)
        # Gradients in raw coordinates, whatever the standardisation.
        raw = gradient[:D] * plain.rows.scale
        same_raw = same_gradient[:D] * (scaled.rows.scale / scale)
        np.testing.assert_allclose(same_raw, raw, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("center", [False, True])
def test_constant_and_empty_columns(center, container):
    X, y, s, groups = data("Logistic")
    X[:, 1], X[:, 2], X[:, 3] = 0.0, 7.0, -1e9
    objective = build("Logistic", CONTAINERS[container](X), y, s, groups, center)
    rows = objective.rows
    assert (rows.scale > 0).all()
    assert np.isfinite(rows.scale).all()
    for params in points(objective):
        value, gradient = objective.value_gradient(params)
        w, b = objective.to_coef(params)
        penalty = 0.1 * (0.7 / 2 * w @ w + 0.3 * np.abs(w).sum())
        assert np.isfinite(gradient).all()
        assert value == pytest.approx(
            naive_loss("Logistic", X @ w + b, y, s, groups) + penalty, rel=1e-6
        )
        curvature = objective.curvature(objective.scores(params))
        assert np.isfinite(objective.gradient_hessian(params, curvature)[1]).all()


# --- parts of the rows, for early stopping ---------------------------------------------------


@pytest.mark.parametrize("container", CONTAINERS)
def test_take_keeps_the_coordinates(container):
    X, y, s, groups = data("Logistic")
    objective = build("Logistic", CONTAINERS[container](X), y, s, groups)
    index = np.array([3, 1, 4, 15, 9, 2, 6])
    part = objective.take(index)
    np.testing.assert_array_equal(part.rows.scale, objective.rows.scale)
    params = points(objective)[0]
    np.testing.assert_allclose(
        part.scores(params), objective.scores(params)[index], rtol=1e-12, atol=1e-14
    )
    assert part.s.sum() == pytest.approx(1.0)


def test_split_rows_is_a_partition():
    X, y, s, groups = data("Logistic")
    X[:, 0] = np.arange(N)
    rest, held = build("Logistic", X, y, s, groups).split_rows(0.2, np.random.RandomState(0))
    assert held.rows.shape[0] == 10
    seen = np.r_[rest.rows.X[:, 0], held.rows.X[:, 0]]
    np.testing.assert_array_equal(np.sort(seen), np.arange(N))


def test_split_rows_keeps_groups_whole():
    X, y, s, groups = data("PairwiseHinge")
    rest, held = build("PairwiseHinge", X, y, s, groups).split_rows(0.3, np.random.RandomState(0))
    assert len(set(held.groups)) == 1
    assert not set(held.groups) & set(rest.groups)
    assert len(rest.groups) + len(held.groups) == N


@pytest.mark.parametrize("weighting", ["uniform", "difference"])
def test_drawn_pairs_have_the_right_mean(weighting):
    X, y, s, groups = data("PairwiseHinge")
    loss = PairwiseHinge(weighting=weighting)
    objective = PairwiseObjective(loss, Rows(X, center=True), y, s, groups)
    first, second, _, weights, _ = objective.draw(np.random.RandomState(0))
    assert (y[first] > y[second]).all()
    np.testing.assert_array_equal(groups[first], groups[second])
    z = X.sum(axis=1)
    exact = objective.score_value(z)
    random_state, estimates = np.random.RandomState(1), []
    for _ in range(400):
        first, second, _, weights, _ = objective.draw(random_state)
        estimates.append(np.mean(weights * np.maximum(0, 1 - z[first] + z[second])))
    error = np.std(estimates) / np.sqrt(len(estimates))
    assert abs(np.mean(estimates) - exact) < 5 * error
    assert error < 0.05 * exact


# --- threads ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large():
    """Enough rows for several blocks and several chunks of groups."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60_000, 6))
    z = X @ rng.normal(size=6) + rng.normal(size=60_000)
    return X, z, rng.integers(0, 6000, 60_000)


@pytest.mark.compiled
@pytest.mark.parametrize("container", ["dense", "csr"])
@pytest.mark.parametrize(
    "kind", ["Logistic", "ConcomitantHuber", "PairwiseLogistic", "PairwiseSquaredHinge"]
)
@pytest.mark.usefixtures("threads")
def test_threads_change_no_bit(kind, container, large):
    X, z, groups = large
    y = {"Logistic": np.sign(z), "ConcomitantHuber": z}.get(kind, np.digitize(z, [-1.0, 1.0]) * 1.0)
    X, s = CONTAINERS[container](X), np.full(len(z), 1 / len(z))
    results = []
    for n_jobs in (1, 2, 3):
        objective = build(kind, X, y, s, groups, n_jobs=n_jobs)
        assert len(objective.rows.blocks) >= 2
        if kind.startswith("Pairwise"):
            assert len(objective.pairs.chunks) >= 2
        params = points(objective)[0]
        with objective.rows.session():
            value, gradient = objective.value_gradient(params)
            curvature = objective.curvature(objective.scores(params))
            found = [np.array(value), gradient, objective.hessian_product(curvature, params)]
            if not kind.startswith("Pairwise"):
                found += objective.gradient_hessian(params, curvature)
        results.append(found)
    for other in results[1:]:
        for expected, got in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(got, expected)


@pytest.mark.compiled
@pytest.mark.parametrize("container", ["dense", "csr"])
@pytest.mark.parametrize(
    "model",
    [
        LinearClassifier("logistic"),
        LinearClassifier("hinge"),
        LinearRegressor("huber"),
        LinearRanker(),
    ],
)
@pytest.mark.usefixtures("threads")
def test_fits_do_not_depend_on_n_jobs(model, container, large):
    X, z, groups = large
    X = CONTAINERS[container](X)
    options = {"groups": groups} if isinstance(model, LinearRanker) else {}
    y = z > 0 if isinstance(model, LinearClassifier) else z.round()
    fits = [
        model.set_params(n_jobs=n_jobs).fit(X, y, **options) and model.coef_ for n_jobs in (1, 2)
    ]
    np.testing.assert_array_equal(fits[0], fits[1])


@pytest.mark.compiled
@pytest.mark.usefixtures("threads")
def test_a_fit_in_another_thread_is_the_same(large):
    X, z, _ = large

    def fit(alpha):
        return LinearClassifier("logistic", alpha=alpha, n_jobs=2).fit(X, z > 0).coef_

    alphas = [1e-4, 1e-2, 1e-1, 1.0]
    alone = [fit(alpha) for alpha in alphas]
    for n_threads in (1, 4):
        with ThreadPoolExecutor(n_threads) as pool:
            np.testing.assert_array_equal(list(pool.map(fit, alphas)), alone)


def blas_libraries():
    """Those that have threads at all, unlike what a solver of the references brings along."""
    libraries = ThreadpoolController().select(user_api="blas").lib_controllers
    return [library for library in libraries if "scs.libs" not in library.filepath]


def blas_threads():
    """Threads that BLAS libraries would use."""
    return [library.num_threads for library in blas_libraries()]


@pytest.fixture
def blas_of_two_threads():
    """Which also a worker, whose BLAS has one, must be able to lose."""
    before = blas_threads()

    def set_threads(numbers):
        for library, number in zip(blas_libraries(), numbers, strict=True):
            library.set_num_threads(number)

    # By a thread that ends: OpenBLAS obeys a thread that has set this, as long as it lives.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(set_threads, [2] * len(before)).result()
    yield
    with ThreadPoolExecutor(1) as pool:
        pool.submit(set_threads, before).result()


@pytest.mark.usefixtures("blas_of_two_threads")
def test_blas_has_one_thread_in_a_session_of_any_thread():
    rows = Rows(np.ones((2, 2)), center=False)
    before = blas_threads()
    assert set(before) == {2}

    def inside():
        with rows.session():
            return blas_threads()

    assert set(inside()) == {1}
    with ThreadPoolExecutor(1) as pool:
        assert set(pool.submit(inside).result()) == {1}
    assert blas_threads() == before


@pytest.mark.usefixtures("blas_of_two_threads")
def test_blas_threads_are_restored_when_sessions_overlap():
    rows = Rows(np.ones((2, 2)), center=False)
    before = blas_threads()
    assert set(before) == {2}
    first_left, second_entered = Event(), Event()

    def second():
        with rows.session():
            second_entered.set()
            first_left.wait(60)
            during = blas_threads()
        return during, blas_threads()

    with ThreadPoolExecutor(1) as pool:
        with rows.session():
            result = pool.submit(second)
            assert second_entered.wait(60)
        first_left.set()
        during, after = result.result()
    assert set(during) == {1}
    assert after == before
    assert blas_threads() == before


# --- memory ----------------------------------------------------------------------------------


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("model", "share"),
    [
        (LinearClassifier("logistic"), 0.5),
        (LinearClassifier("logistic", solver="lbfgs"), 0.5),
        (LinearRegressor("squared"), 0.5),
        (LinearRegressor("huber"), 0.5),
    ],
)
def test_dense_rows_are_not_copied(model, share):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200_000, 20))
    y = X[:, 0] + rng.normal(size=len(X))
    y = y > 0 if isinstance(model, LinearClassifier) else y
    model.fit(X[:500], y[:500])  # compile
    tracemalloc.start()
    model.fit(X, y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < share * X.nbytes


@pytest.mark.compiled
def test_sparse_rows_are_not_copied_more_than_once():
    X = sp.random_array(
        (50_000, 200), density=0.2, format="csr", random_state=np.random.default_rng(0)
    )
    y = np.random.default_rng(0).random(50_000) < 0.5
    size = X.data.nbytes + X.indices.nbytes
    model = LinearClassifier("logistic", solver="lbfgs", max_iter=3, tol=0.5)
    model.fit(X[:500], y[:500])
    tracemalloc.start()
    model.fit(X, y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.5 * size


@pytest.mark.compiled
def test_ranking_lists_no_pairs():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20_000, 3)), rng.integers(0, 5, 20_000)
    model = LinearRanker(max_iter=3, tol=0.5)
    model.fit(X[:100], y[:100])
    tracemalloc.start()
    model.fit(X, y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert model.n_pairs_ > 1e8
    assert peak < 1000 * len(y)  # bytes
