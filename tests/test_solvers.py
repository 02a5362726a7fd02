"""Every solver on every loss it claims, against CVXPY and scipy."""

import contextlib
import functools
import itertools
import math
from typing import NamedTuple

import cvxpy as cp
import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose
from references import ROUGH, crammer_singer, cross_entropy, weston_watkins
from scipy.optimize import minimize

from sklearn_margin import HingeClassifier, losses
from sklearn_margin._validation import normalize_weights
from sklearn_margin.losses import (
    BatchLoss,
    BinaryLoss,
    MulticlassLoss,
    PairwiseLoss,
    PointwiseLoss,
    RegressionLoss,
)
from sklearn_margin.objective import (
    ConcomitantHuberObjective,
    MulticlassObjective,
    PairwiseObjective,
    PointwiseObjective,
    Rows,
)
from sklearn_margin.penalties import ElasticNet
from sklearn_margin.solvers import LBFGS, SGD, SOLVERS, InteriorPoint, Newton, choose, resolve
from sklearn_margin.solvers import base as solver_base

# Solvers of what is linear in its parameters, as embeddings are not.
REGISTRY = {name: cls for name, cls in SOLVERS.items() if name != "adam"}

ALPHA = 0.05


class LogCosh(PointwiseLoss):
    """A user's loss: smooth and convex, with a second derivative."""

    def sample_value(self, y, z):
        r = abs(y - z)
        return r + math.log1p(math.exp(-2.0 * r)) - math.log(2.0)

    def sample_gradient(self, y, z):
        return math.tanh(z - y)

    def sample_hessian(self, y, z):
        return 1.0 - math.tanh(z - y) ** 2


class Cauchy(PointwiseLoss):
    """A user's loss: smooth, not convex, without a second derivative."""

    convex = False
    smooth = True

    def sample_value(self, y, z):
        return math.log1p((y - z) ** 2)

    def sample_gradient(self, y, z):
        r = z - y
        return 2.0 * r / (1.0 + r * r)


class Staircase(PointwiseLoss):
    """A user's loss: convex with kinks, and says nothing else of itself."""

    def sample_value(self, y, z):
        r = abs(y - z)
        return r + max(0.0, r - 1.0)

    def sample_gradient(self, y, z):
        r = z - y
        if r == 0:
            return 0.0
        slope = 2.0 if abs(r) > 1.0 else 1.0
        return slope if r > 0 else -slope


# Loss of y and z in CVXPY, written from the formulas and not from the code.
FORMULAS = {
    "CrammerSinger": lambda loss, y, z: crammer_singer(y, z, loss.margin),
    "CrossEntropy": lambda loss, y, z: cross_entropy(y, z, loss.label_smoothing),
    "WestonWatkins": lambda loss, y, z: weston_watkins(y, z, loss.margin),
    "Absolute": lambda loss, y, z: cp.abs(y - z),
    "EpsilonInsensitive": lambda loss, y, z: cp.pos(cp.abs(y - z) - loss.epsilon),
    "Hinge": lambda loss, y, z: cp.pos(loss.margin - cp.multiply(y, z)),
    "Huber": lambda loss, y, z: 0.5 * cp.huber(y - z, loss.delta),
    "LogCosh": lambda loss, y, z: (
        cp.logistic(2 * (y - z)) - (y - z) - math.log(2.0)
    ),  # log cosh r = log(1 + e^2r) − r − log 2
    "Logistic": lambda loss, y, z: cp.logistic(-cp.multiply(y, z)),
    "MarginRanking": lambda loss, y, d: cp.pos(loss.margin - d),
    "ModifiedHuber": lambda loss, y, z: cp.huber(cp.pos(1 - cp.multiply(y, z)), 2.0),
    "PairwiseHinge": lambda loss, y, d: cp.pos(loss.margin - d),
    "PairwiseLogistic": lambda loss, y, d: cp.logistic(-d),
    "PairwiseSquaredHinge": lambda loss, y, d: cp.square(cp.pos(loss.margin - d)),
    "Quantile": lambda loss, y, z: cp.maximum(
        loss.quantile * (y - z), (loss.quantile - 1) * (y - z)
    ),
    "SmoothedHinge": lambda loss, y, z: (
        cp.huber(cp.pos(loss.margin - cp.multiply(y, z)), loss.smoothing) / (2 * loss.smoothing)
    ),
    "Squared": lambda loss, y, z: cp.square(y - z),
    "SquaredEpsilonInsensitive": lambda loss, y, z: cp.square(cp.pos(cp.abs(y - z) - loss.epsilon)),
    "SquaredHinge": lambda loss, y, z: cp.square(cp.pos(loss.margin - cp.multiply(y, z))),
    "Staircase": lambda loss, y, z: cp.abs(y - z) + cp.pos(cp.abs(y - z) - 1.0),
}
# Parameters that differ from the defaults, so that a forgotten parameter shows.
SETTINGS = {
    "EpsilonInsensitive": {"epsilon": 0.3},
    "CrammerSinger": {"margin": 0.8},
    "CrossEntropy": {"label_smoothing": 0.2},
    "Hinge": {"margin": 0.8},
    "Huber": {"delta": 0.7},
    "MarginRanking": {"margin": 0.7},
    "PairwiseHinge": {"margin": 0.7},
    "PairwiseLogistic": {"weighting": "uniform"},
    "PairwiseSquaredHinge": {"margin": 0.7, "weighting": "uniform"},
    "Poly": {"epsilon": (-0.7,)},
    "Quantile": {"quantile": 0.8},
    "SmoothedHinge": {"margin": 1.2, "smoothing": 0.7},
    "SquaredEpsilonInsensitive": {"epsilon": 0.3},
    "SquaredHinge": {"margin": 0.8},
    "WestonWatkins": {"margin": 0.8},
}
FAMILIES = (BinaryLoss, RegressionLoss, PairwiseLoss, MulticlassLoss, BatchLoss)
ABSTRACT = {"Loss", "PointwiseLoss", "ProbabilityLoss", *(family.__name__ for family in FAMILIES)}
CATALOGUE = {
    name: getattr(losses, name)
    for name in losses.__all__
    # Those of embeddings have objectives, and tests, of their own.
    if name not in ABSTRACT and not issubclass(getattr(losses, name), losses.EmbeddingLoss)
}
CUSTOM = {"LogCosh": LogCosh, "Cauchy": Cauchy, "Staircase": Staircase}
LOSSES = {name: cls(**SETTINGS.get(name, {})) for name, cls in {**CATALOGUE, **CUSTOM}.items()}
POINTWISE = [name for name, loss in LOSSES.items() if isinstance(loss, PointwiseLoss)]


CLASSES = 3


class Problem(NamedTuple):
    """Data of one loss."""

    X: np.ndarray
    y: np.ndarray
    s: np.ndarray
    groups: np.ndarray | None


@functools.cache
def problem(name, weighted=False, shape=(60, 4)):
    """Noisy data with zeros in X, so that dense and CSR have the same optimum."""
    rng = np.random.default_rng(len(name))
    n, d = shape
    X = rng.normal(size=(n, d)) * (rng.random((n, d)) < 0.7)
    z = X @ np.resize([1.0, -2.0, 0.5, 0.0], d) / max(1, d / 4) + rng.normal(size=n)
    s = rng.integers(0, 4, n) * rng.random(n) if weighted else np.ones(n)
    groups = None
    if isinstance(LOSSES[name], MulticlassLoss):
        noisy = X @ rng.normal(size=(d, CLASSES)) + rng.normal(size=(n, CLASSES))
        y = np.add(noisy, [0.5, 0.0, -0.3]).argmax(axis=1)
    elif isinstance(LOSSES[name], (BinaryLoss, BatchLoss)):
        y = np.where(z > 0.4, 1.0, -1.0)
    elif isinstance(LOSSES[name], PairwiseLoss):
        y, groups = np.digitize(z, [-1.0, 0.0, 1.0]).astype(float), rng.integers(0, 4, n)
    else:
        y = z + 3.0 + 5.0 * (rng.random(n) < 0.1)
    for array in (X, y, s):
        array.flags.writeable = False
    return Problem(X, y, s, groups)


def build(name, X, data, fit_intercept=False, alpha=ALPHA, l1_ratio=0.0, n_jobs=None):
    """The library's objective."""
    loss, s = LOSSES[name], normalize_weights(data.s, len(data.y), X.dtype)
    # A copy: kernels would be compiled once more for arrays that cannot be written to.
    X = X if sp.issparse(X) else np.array(X)
    if isinstance(loss, PairwiseLoss):
        rows = Rows(X, center=True, n_jobs=n_jobs)
        return PairwiseObjective(
            loss, rows, data.y, s, data.groups, penalty=ElasticNet(alpha, l1_ratio)
        )
    rows = Rows(X, center=fit_intercept, n_jobs=n_jobs)
    settings = {"penalty": ElasticNet(alpha, l1_ratio), "fit_intercept": fit_intercept}
    if isinstance(loss, MulticlassLoss):
        return MulticlassObjective(loss, rows, data.y, s, n_outputs=CLASSES, **settings)
    y = data.y.astype(X.dtype)
    return PointwiseObjective(loss, rows, y, s, **settings)


def pairs_of(data):
    """All pairs (better, worse), listed."""
    better, worse = np.nonzero((data.y[:, None] > data.y) & (data.groups[:, None] == data.groups))
    return better, worse


@pytest.fixture(scope="module")
def optimum(reference):
    """Cached CVXPY solution of a problem."""

    @functools.cache
    def solve(name, fit_intercept=False, l1_ratio=0.0, weighted=False, shape=(60, 4), alpha=ALPHA):
        loss, data = LOSSES[name], problem(name, weighted, shape)
        if isinstance(loss, PairwiseLoss):
            i, j = pairs_of(data)
            u = data.s[i] * data.s[j]
            if loss.pair_weighting == "difference":
                u = u * (data.y[i] - data.y[j])
            D = data.X[i] - data.X[j]
            return reference(
                lambda w, b: u / u.sum() @ FORMULAS[name](loss, None, D @ w),
                data.X.shape[1], alpha, l1_ratio, False,
            )  # fmt: skip
        s = data.s / data.s.sum()
        if isinstance(loss, MulticlassLoss):
            ones = np.ones((len(s), 1))
            return reference(
                lambda w, b: s @ FORMULAS[name](
                    loss, data.y, data.X @ w.T + ones @ cp.reshape(b, (1, CLASSES), "C")
                ),
                (CLASSES, data.X.shape[1]), alpha, l1_ratio, fit_intercept,
            )  # fmt: skip
        return reference(
            lambda w, b: s @ FORMULAS[name](loss, data.y, data.X @ w + b),
            data.X.shape[1], alpha, l1_ratio, fit_intercept,
        )  # fmt: skip

    return solve


def run(solver, objective, **options):
    """Solve to high accuracy where the solver can."""
    rough = solver.name in ROUGH
    tight = 1e-6 if solver.name == "smoothing" else 1e-9  # as its documentation says
    settings = {"tol": 1e-4, "max_iter": 1500} if rough else {"tol": tight, "max_iter": 5000}
    settings |= options
    with objective.rows.session():
        return solver.solve(
            objective, objective.start(), random_state=np.random.RandomState(0), **settings
        )


def check_optimal(solver, objective, optimum):
    """Compare a solver with the reference, and its claims with the facts."""
    result = run(solver, objective)
    coef, intercept = objective.to_coef(result.params)
    value = optimum.at(coef, intercept if objective.fit_intercept else 0.0)
    tolerance = 0.03 if solver.name in ROUGH else 1e-6
    assert value <= optimum.minimum * (1 + tolerance)
    assert value >= optimum.minimum * (1 - 1e-6)  # or the reference is wrong
    assert result.value == pytest.approx(value, rel=1e-9)
    assert 0 < result.n_iter <= 5000
    if result.gap is not None:
        assert result.gap >= value - optimum.minimum * (1 + 1e-8)
        # The gap of a subgradient method is slow to follow; it says what it has come to.
        assert result.gap <= (0.2 if solver.name in ROUGH else 1e-6) * value
        assert result.converged or solver.name in ROUGH
        assert result.reached == pytest.approx(result.gap / value) or not result.converged
    else:
        assert result.converged
    return result


def is_pairwise(name):
    return isinstance(LOSSES[name], PairwiseLoss)


def is_kinked(name):
    """Whether the loss says that it is piecewise linear."""
    hinges = getattr(LOSSES[name], "piecewise_linear", None)
    return hinges is not None and hinges(np.ones(1)) is not None


@functools.cache
def to_be_asked(name, fit_intercept, l1_ratio):
    """An objective that solvers are asked about."""
    return build(name, problem(name).X, problem(name), fit_intercept, ALPHA, l1_ratio)


# Every setting for which the solver has no excuse: the excuses are tested further below.
CASES = [
    (solver, name, fit_intercept, l1_ratio)
    for solver in REGISTRY
    for name in LOSSES
    for fit_intercept in ((False,) if is_pairwise(name) else (False, True))
    for l1_ratio in (0.0, 0.5)
    if name in FORMULAS
    and REGISTRY[solver]().obstacle(to_be_asked(name, fit_intercept, l1_ratio)) is None
]


def example_of(solver):
    """A loss that the solver can take, with intercept and without L1."""
    return next(
        n
        for s, n, fit_intercept, l1_ratio in CASES
        if s == solver and fit_intercept and l1_ratio == 0
    )


def test_catalogue_is_covered():
    unknown = [name for name, cls in CATALOGUE.items() if not issubclass(cls, FAMILIES)]
    assert not unknown, "give these families a problem to solve in build()"
    convex = {name for name, loss in LOSSES.items() if loss.convex}
    # What CVXPY cannot express has a test of its own: test_poly.
    assert convex - {"Poly"} == set(FORMULAS), "write these losses in CVXPY in FORMULAS"
    assert {name for _, name, _, _ in CASES} == set(FORMULAS)


def test_every_solver_is_used():
    assert {solver for solver, *_ in CASES} == set(REGISTRY)
    claimed = {(solver, name) for solver, name, *_ in CASES}
    # What the design promises; a solver that finds an excuse is not tested, so it may not.
    for name, loss in LOSSES.items():
        if name not in FORMULAS:
            continue
        assert {("sgd", name), ("subgradient", name)} <= claimed
        assert (("lbfgs", name) in claimed) == loss.is_smooth
        assert (("newton", name) in claimed) == loss.has_hessian
        assert ("interior_point", name) in claimed or not is_kinked(name)
        assert ("interior_point", name) not in claimed or not loss.is_smooth
    assert sum(name in CATALOGUE for solver, name in claimed if solver == "newton") >= 8
    assert sum(name in CATALOGUE for solver, name in claimed if solver == "interior_point") >= 4


CONTAINERS = {"dense": np.array, "csr": sp.csr_array}


# A pass of sgd is compiled for each loss and container: some losses of each family, a user's, and
# containers that other tests, too, compile it for.
SGD_CONTAINERS = {
    "Absolute": "dense", "CrammerSinger": "csr", "CrossEntropy": "dense", "Hinge": "dense",
    "Logistic": "csr", "PairwiseHinge": "csr", "PairwiseSquaredHinge": "dense",
    "Quantile": "dense", "Squared": "dense", "Staircase": "dense",
}  # fmt: skip


def is_weighted(fit_intercept, l1_ratio):
    """One of the two for each kind of problem, so that tests share the references."""
    return fit_intercept == (l1_ratio > 0)


def settings_of(solver, name):
    """Intercept, L1, weights and container of some problems of a loss for a solver.

    An exact solver meets both of each with a loss, and any two of two by its losses.
    """
    k, swap = sorted(FORMULAS).index(name), list(REGISTRY).index(solver)
    cases = [case[2:] for case in CASES if case[:2] == (solver, name)]
    if solver in ROUGH and not is_pairwise(name):  # with and without an intercept
        odd = (k // 2 + (solver == "sgd")) % 2
        cases = [case for case in cases if is_weighted(*case) == odd]
    found = []
    for fit_intercept, l1_ratio in cases:
        flip = l1_ratio > 0 and not is_pairwise(name)
        container = list(CONTAINERS)[(k + swap + fit_intercept + flip) % 2]
        if solver == "sgd":
            container = SGD_CONTAINERS[name]
        weighted = is_weighted(fit_intercept, l1_ratio)
        found.append((fit_intercept, l1_ratio, weighted, container))
        if len(cases) == 2 and fit_intercept and solver not in ROUGH:  # no L1
            found.append((True, 0.0, True, container))
    return found


@pytest.mark.parametrize(
    ("solver", "name"),
    [
        pytest.param(solver, name, marks=[pytest.mark.compiled] * (solver in ROUGH))
        for solver, name in dict.fromkeys(case[:2] for case in CASES)
        if solver != "sgd" or name in SGD_CONTAINERS
    ],
)
def test_reaches_the_minimum(solver, name, optimum):
    for fit_intercept, l1_ratio, weighted, container in settings_of(solver, name):
        data = problem(name, weighted)
        X = CONTAINERS[container](data.X)
        objective = build(name, X, data, fit_intercept, ALPHA, l1_ratio)
        best = optimum(name, fit_intercept, l1_ratio, weighted)
        with note(fit_intercept, l1_ratio, weighted, container):
            check_optimal(REGISTRY[solver](), objective, best)


@contextlib.contextmanager
def note(*case):
    """Say in which case of a loop an assertion failed."""
    try:
        yield
    except AssertionError as error:
        error.add_note(f"in the case {case}")
        raise


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("solver", "name", "fit_intercept", "container"),
    [
        (solver, name, k % 2 == 1 and not is_pairwise(name), list(CONTAINERS)[k // 2 % 2])
        for k, (solver, name) in enumerate(sorted({case[:2] for case in CASES}))
        if solver not in ROUGH and (solver, name, not is_pairwise(name), 0.0) in CASES
    ],
)
def test_more_features_than_rows(solver, name, fit_intercept, container, optimum):
    data = problem(name, shape=(20, 45))
    objective = build(name, CONTAINERS[container](data.X), data, fit_intercept)
    check_optimal(REGISTRY[solver](), objective, optimum(name, fit_intercept, shape=(20, 45)))


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("solver", "name"),
    [
        (s, n)
        for s, n in sorted({(s, n) for s, n, *_ in CASES if s not in ROUGH})
        if REGISTRY[s]().obstacle(build(n, problem(n).X, problem(n), alpha=0.0)) is None
    ],
)
def test_no_penalty(solver, name, optimum):
    data = problem(name)
    objective = build(name, data.X, data, not is_pairwise(name), alpha=0.0)
    check_optimal(REGISTRY[solver](), objective, optimum(name, not is_pairwise(name), alpha=0.0))


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("name", [n for n in FORMULAS if n in POINTWISE and LOSSES[n].has_hessian])
def test_newton_by_conjugate_gradients(name, fit_intercept, optimum):
    for weighted in (False, True):  # unweighted, smoothed_hinge has no curvature at the start
        data = problem(name, weighted)
        objective = build(name, data.X, data, fit_intercept)
        best = optimum(name, fit_intercept, weighted=weighted)
        check_optimal(Newton(gram_max=1), objective, best)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
@pytest.mark.parametrize("name", [n for n in FORMULAS if n in POINTWISE and LOSSES[n].is_smooth])
def test_scipy_agrees_with_cvxpy(name, l1_ratio, optimum):
    """A second opinion on the references themselves, from the losses' Python source."""
    weighted = is_weighted(True, l1_ratio)
    data, loss = problem(name, weighted), LOSSES[name]
    s, d = data.s / data.s.sum(), data.X.shape[1]
    signed = np.hstack([data.X, -data.X])  # w = v⁺ − v⁻, both non-negative

    def value_gradient(v):
        z = signed @ v[:-1] + v[-1]
        w = v[:d] - v[d:-1]
        total = sum(s_i * loss.sample_value(*yz) for s_i, *yz in zip(s, data.y, z, strict=True))
        g = np.array(
            [s_i * loss.sample_gradient(*yz) for s_i, *yz in zip(s, data.y, z, strict=True)]
        )
        total += ALPHA * ((1 - l1_ratio) / 2 * w @ w + l1_ratio * v[:-1].sum())
        slope = signed.T @ g + ALPHA * ((1 - l1_ratio) * np.r_[w, -w] + l1_ratio)
        return total, np.append(slope, g.sum())

    found = minimize(
        value_gradient, np.zeros(2 * d + 1), jac=True, method="L-BFGS-B",
        bounds=[(0, None)] * (2 * d) + [(None, None)],
        options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 5000},
    )  # fmt: skip
    assert found.fun == pytest.approx(optimum(name, True, l1_ratio, weighted).minimum, rel=1e-6)


@pytest.mark.parametrize("solver", ["newton", "lbfgs", "coordinate_descent"])
@pytest.mark.parametrize("epsilon", [-1.0, 0.6])
def test_poly(epsilon, solver):
    """Against scipy, from the formula: −log p + ε(1 − p)."""
    data, loss = problem("Logistic", True), losses.Poly(epsilon)
    s = data.s / data.s.sum()

    def value(v):
        log_p = -np.logaddexp(0, -data.y * (data.X @ v[:-1] + v[-1]))
        return s @ (epsilon * -np.expm1(log_p) - log_p) + ALPHA / 2 * v[:-1] @ v[:-1]

    best = minimize(value, np.zeros(data.X.shape[1] + 1), method="BFGS", tol=1e-9).fun
    rows = Rows(data.X, center=True)
    objective = PointwiseObjective(
        loss, rows, data.y, s, penalty=ElasticNet(ALPHA), fit_intercept=True
    )
    result = run(REGISTRY[solver](), objective)
    assert result.converged
    assert result.value == pytest.approx(best, rel=1e-8)
    assert 0 <= result.gap <= 1e-8 * best


@pytest.mark.parametrize("solver", [s for s in REGISTRY if s not in ROUGH])
def test_not_convex_is_stationary(solver):
    data = problem("Cauchy", True)
    objective = build("Cauchy", data.X, data, True)
    if REGISTRY[solver]().obstacle(objective) is not None:
        with pytest.raises(ValueError, match="Cauchy"):
            choose(solver, objective)
        return
    result = run(REGISTRY[solver](), objective)
    _, at_start = objective.value_gradient(objective.start())
    value, gradient = objective.value_gradient(result.params)
    assert value < 0.9 * objective.value(objective.start())
    assert np.abs(gradient).max() <= 1e-6 * np.abs(at_start).max()


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("epsilon", [1.0, 1.35, 3.0])
@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
def test_concomitant_scale(solver, epsilon, fit_intercept, reference):
    data = problem("Huber", True)
    rows = Rows(data.X, center=fit_intercept)
    s = data.s / data.s.sum()
    objective = ConcomitantHuberObjective(
        losses.Huber(delta=epsilon),
        rows,
        data.y,
        s,
        penalty=ElasticNet(ALPHA),
        fit_intercept=fit_intercept,
    )
    # σρ(r/σ) = min over o of (r − o)²/(2σ) + epsilon |o|: jointly convex.
    sigma, outlier = cp.Variable(), cp.Variable(len(s))

    def loss(w, b):
        r = cp.multiply(np.sqrt(s), data.y - data.X @ w - b - outlier)
        return sigma / 2 + cp.quad_over_lin(r, sigma) / 2 + epsilon * (s @ cp.abs(outlier))

    optimum = reference(loss, 4, ALPHA, 0.0, fit_intercept)
    best_sigma = float(sigma.value)
    result = run(REGISTRY[solver](), objective)
    assert result.value == pytest.approx(optimum.minimum, rel=1e-6)
    coef, _ = objective.to_coef(result.params)
    np.testing.assert_allclose(coef, optimum.coef, rtol=1e-3, atol=1e-4)
    assert objective.scale(objective.scores(result.params)) == pytest.approx(
        best_sigma,
        rel=1e-4,
        abs=1e-6,  # epsilon = 1: the scale goes to 0
    )


# --- what a solver reports -------------------------------------------------------------------


@pytest.mark.parametrize("solver", REGISTRY)
def test_stops_where_told(solver):
    name = example_of(solver)
    data = problem(name)
    objective = build(name, data.X, data, True)
    seen = []
    result = run(
        REGISTRY[solver](), objective, tol=1e-12, max_iter=2, callback=lambda n, p: seen.append(n)
    )
    assert seen == [1, 2]
    assert result.n_iter == 2
    assert not result.converged
    assert result.value == pytest.approx(objective.value(result.params), rel=1e-9)
    if solver != "interior_point":  # which judges points by their gap
        assert result.value < objective.value(objective.start())

    def stop_at_once(n_iter, params):
        assert params.shape == (objective.n_params,)
        return True

    assert run(REGISTRY[solver](), objective, callback=stop_at_once).n_iter == 1


@pytest.mark.parametrize("solver", REGISTRY)
def test_start_is_not_written_to(solver):
    name = example_of(solver)
    data = problem(name)
    objective = build(name, data.X, data, True)
    start = objective.start() + 0.1
    start.flags.writeable = False
    before = start.copy()
    REGISTRY[solver]().solve(
        objective, start, tol=1e-6, max_iter=3, random_state=np.random.RandomState(0)
    )
    np.testing.assert_array_equal(start, before)


@pytest.mark.parametrize("max_iter", [1, 3, 6, 9])
@pytest.mark.parametrize("name", ["Hinge", "Absolute", "Quantile", "EpsilonInsensitive"])
def test_gap_bounds_the_distance_all_the_way(name, max_iter, optimum):
    data, best = problem(name), optimum(name, True, 0.5)
    objective = build(name, data.X, data, True, ALPHA, 0.5)
    result = run(InteriorPoint(), objective, max_iter=max_iter)
    distance = best.at(*objective.to_coef(result.params)) - best.minimum
    assert result.gap >= distance - 1e-9
    assert distance >= -1e-9


@pytest.mark.parametrize("schedule", ["auto", "invscaling", "pegasos"])
@pytest.mark.parametrize(
    "options", [{"batch_size": 7}, {"average": False}, {"early_stopping": True}]
)
def test_sgd_options(schedule, options, optimum):
    name = "Logistic"
    data = problem(name)
    objective = build(name, data.X, data, True)
    best = optimum(name, True)
    result = run(SGD(schedule=schedule, **options), objective)
    worst = 0.15 if "early_stopping" in options else 0.05  # fewer rows to learn from
    assert best.at(*objective.to_coef(result.params)) <= best.minimum * (1 + worst)
    assert result.value == pytest.approx(objective.value(result.params), rel=1e-9)


def test_sgd_is_reproducible():
    data = problem("Logistic")
    objective = build("Logistic", data.X, data, True)
    first, second = run(SGD(), objective), run(SGD(), objective)
    np.testing.assert_array_equal(first.params, second.params)
    other = SGD().solve(
        objective, objective.start(), tol=1e-4, max_iter=5000,
        random_state=np.random.RandomState(1),
    )  # fmt: skip
    assert (other.params != first.params).any()


@pytest.fixture
def nothing_is_small(monkeypatch):
    """Solvers polish small problems, which hides when they would stop. Stop as on large ones."""
    monkeypatch.setattr(solver_base, "SMALL", 0)


@pytest.mark.compiled
@pytest.mark.usefixtures("nothing_is_small")
@pytest.mark.parametrize(
    ("solver", "name"), sorted({(s, n) for s, n, *_ in CASES if s not in ROUGH})
)
def test_stops_no_earlier_than_tol(solver, name, optimum):
    data, fit_intercept = problem(name), not is_pairwise(name)
    for alpha, tol in itertools.product((1e-6, ALPHA, 100.0), (1e-2, 1e-4)):
        objective = build(name, data.X, data, fit_intercept, alpha)
        best = optimum(name, fit_intercept, alpha=alpha)
        # Rows ≫ features and hardly a penalty: coordinate descent may take for ever, and says so.
        endless = solver == "dual_cd" and alpha == 1e-6
        result = run(REGISTRY[solver](), objective, tol=tol, max_iter=300 if endless else 5000)
        coef, intercept = objective.to_coef(result.params)
        excess = best.at(coef, intercept if fit_intercept else 0.0) - best.minimum
        assert result.converged or endless, (alpha, tol)
        if result.gap is None:
            assert excess <= 10 * tol * best.minimum, (alpha, tol)
        else:
            assert excess <= result.gap + 1e-8 * best.minimum, (alpha, tol)
            assert result.gap <= tol * result.value or not result.converged, (alpha, tol)


@pytest.mark.usefixtures("nothing_is_small")
@pytest.mark.parametrize(
    ("solver", "name"),
    [
        (solver, name)
        for solver in REGISTRY
        for name in POINTWISE
        if solver not in ROUGH
        and LOSSES[name].convex
        and REGISTRY[solver]().obstacle(to_be_asked(name, True, 0.0)) is None
    ],
)
def test_the_intercept_is_fitted_where_features_say_nothing(solver, name, optimum):
    """A gradient of zero in the coefficients is no proof: the intercept is not penalised."""
    data = problem(name)
    X, y = np.zeros((60, 2)), data.y
    if isinstance(LOSSES[name], BinaryLoss):
        y = np.where(np.arange(60) % 6 == 0, -1.0, 1.0)
    else:
        y = y + 100.0
    objective = build(name, X, data._replace(y=y), True)
    result = run(REGISTRY[solver](), objective, tol=1e-4)
    grid = np.linspace(y.min() - 3, y.max() + 3, 20_001)
    least = min(LOSSES[name].value(y, np.full(60, b)) for b in grid[::200])
    assert LOSSES[name].value(y, np.full(60, result.params[-1])) <= least * (1 + 1e-3)


@pytest.mark.compiled
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
@pytest.mark.parametrize("name", [n for n in POINTWISE if is_kinked(n)])
def test_sifting_rows(name, l1_ratio):
    """With many rows most are set aside as linear: the answer must not depend on that."""
    data = problem(name, True, (40_000, 4))
    assert 20_000 < np.count_nonzero(data.s) < 40_000
    objective = build(name, data.X, data, True, 1e-3, l1_ratio)
    everything = run(InteriorPoint(band=0), objective, tol=1e-7)
    for band in (4.0, 1e-3):
        sifted = run(InteriorPoint(band=band), objective, tol=1e-6)
        assert sifted.converged
        assert sifted.gap <= 1e-6 * sifted.value
        assert sifted.gap >= sifted.value - everything.value - 1e-9
        assert sifted.value == pytest.approx(objective.value(sifted.params), rel=1e-9)
        assert sifted.value == pytest.approx(everything.value, rel=2e-6)


def sifting_cases():
    """Data whose two samples agree exactly, or whose rows tie, or whose few rows decide."""
    rng = np.random.default_rng(0)
    X, one = rng.normal(size=(30_000, 2)), np.ones(30_000)
    twice = np.repeat([[-1.0, 0.0], [1.0, 0.0]], 15_000, axis=0)
    rare = np.where(np.arange(30_000) < 3, 1.0, -1.0)
    line = X @ [1.0, 2.0]
    counts = rng.poisson(0.3, size=(30_000, 3)).astype(float)
    return {
        "no features": ("Absolute", 0 * X, line),
        "one target": ("Absolute", X, one),
        "perfect fit": ("Absolute", X, line),
        "two kinds of rows": ("Hinge", twice, twice[:, 0]),
        "two kinds of targets": ("Absolute", twice, twice[:, 0]),
        "counts": ("Quantile", counts, rng.poisson(1.0, 30_000).astype(float)),
        "rare class": ("Hinge", X, rare),
        "in the tube": ("EpsilonInsensitive", X, line + 0.01 * rng.normal(size=30_000)),
        "heavy tails": (
            "Absolute", rng.standard_cauchy((30_000, 2)), rng.standard_cauchy(30_000),
        ),
    }  # fmt: skip


@pytest.mark.compiled
@pytest.mark.parametrize("case", sifting_cases())
def test_sifting_hard_cases(case):
    name, X, y = sifting_cases()[case]
    data = Problem(X, y, np.ones(30_000), None)
    objective = build(name, X, data, True, 1e-3)
    everything = run(InteriorPoint(band=0), objective, tol=1e-7)
    sifted = run(InteriorPoint(), objective, tol=1e-6, max_iter=1000)
    assert everything.converged
    assert sifted.converged
    assert sifted.value <= everything.value * (1 + 2e-6) + 1e-9


@pytest.mark.compiled
@pytest.mark.parametrize("container", [np.array, sp.csr_array], ids=["dense", "csr"])
def test_sifting_where_the_samples_mislead(container):
    """A few rows of huge weight, which two small samples hardly see."""
    data = problem("Absolute", False, (25_000, 4))
    s = np.ones(25_000)
    s[:20] = 1e5
    y = data.y.copy()
    y[:20] += 50.0
    objective = build("Absolute", container(data.X), data._replace(s=s, y=y), True, 1e-3)
    everything = run(InteriorPoint(band=0), objective, tol=1e-7)
    sifted = run(InteriorPoint(), objective, tol=1e-6)
    assert sifted.converged
    assert sifted.value == pytest.approx(everything.value, rel=2e-6)


# --- who can do what -------------------------------------------------------------------------


IMPOSSIBLE = [
    ("newton", "Hinge", 0.0, "Hinge has no second derivative"),
    ("newton", "Logistic", 0.5, "l1_ratio"),
    ("newton", "PairwiseHinge", 0.0, "PairwiseHinge has no second derivative"),
    ("newton", "Cauchy", 0.0, "Cauchy has no second derivative"),
    ("lbfgs", "Hinge", 0.0, "Hinge is not differentiable"),
    ("lbfgs", "PairwiseHinge", 0.5, "PairwiseHinge is not differentiable"),
    ("interior_point", "Logistic", 0.0, "Logistic is not piecewise linear"),
    ("interior_point", "PairwiseSquaredHinge", 0.0, "PairwiseSquaredHinge is not"),
]


@pytest.mark.parametrize(("solver", "name", "l1_ratio", "reason"), IMPOSSIBLE)
def test_impossible_combinations(solver, name, l1_ratio, reason):
    data = problem(name)
    objective = build(name, data.X, data, l1_ratio=l1_ratio)
    with pytest.raises(ValueError, match=f"solver='{solver}' .*{reason}") as raised:
        choose(solver, objective)
    able = [n for n, cls in REGISTRY.items() if cls().obstacle(objective) is None]
    assert able
    assert all(f"'{n}'" in str(raised.value).split("Solvers that can")[1] for n in able)
    with pytest.raises(ValueError, match=reason):
        choose(REGISTRY[solver](), objective)  # a configured solver, too


def test_pegasos_needs_a_penalty():
    data = problem("Logistic")
    objective = build("Logistic", data.X, data, alpha=0.0)
    with pytest.raises(ValueError, match="alpha"):
        choose(SGD(schedule="pegasos"), objective)


def test_sgd_refuses_what_does_not_split_over_samples():
    data = problem("Huber")
    rows, s = Rows(data.X, center=False), data.s / data.s.sum()
    objective = ConcomitantHuberObjective(
        losses.Huber(), rows, data.y, s, penalty=ElasticNet(ALPHA)
    )
    with pytest.raises(ValueError, match=r"solver='sgd'.*newton"):
        choose("sgd", objective)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
@pytest.mark.parametrize("name", LOSSES)
def test_auto_is_rough_only_where_all_are(name, l1_ratio):
    data = problem(name)
    objective = build(name, data.X, data, l1_ratio=l1_ratio)
    able = {n for n, cls in REGISTRY.items() if cls().obstacle(objective) is None}
    for tol in (1e-2, 1e-4, 1e-8):
        chosen = choose("auto", objective, tol)
        assert chosen.name in (able - ROUGH or able)
        assert choose(chosen, objective) is chosen


# Pinned, so that a change is a decision: loss, l1_ratio, shape, density, tol, solver.
CHOICES = [
    ("Logistic", 0.0, (60, 4), 1, 1e-4, "newton"),
    ("Logistic", 0.5, (60, 4), 1, 1e-4, "coordinate_descent"),
    ("Cauchy", 0.0, (60, 4), 1, 1e-4, "lbfgs"),
    ("PairwiseSquaredHinge", 0.0, (60, 4), 1, 1e-4, "newton"),
    ("Hinge", 0.0, (60, 4), 1, 1e-4, "interior_point"),
    ("Hinge", 0.0, (60_000, 4), 1, 1e-4, "interior_point"),  # few are near their kinks
    ("Hinge", 0.0, (30_000, 100), 1, 1e-4, "smoothing"),  # Gram matrices cost more than reads
    ("Hinge", 0.0, (60_000, 4), 1, 1e-8, "interior_point"),  # finer than smoothing can
    ("Hinge", 0.5, (60_000, 4), 1, 1e-4, "interior_point"),  # with any elastic net
    ("Hinge", 0.0, (1_000, 500), 1, 1e-4, "interior_point"),  # too few rows near each kink
    ("Hinge", 0.0, (400, 600), 1, 1e-4, "dual_cd"),  # wide
    ("Hinge", 0.0, (3_000, 2_000), 0.01, 1e-4, "dual_cd"),  # sparse, with many features
    ("Staircase", 0.0, (60, 4), 1, 1e-4, "subgradient"),
    ("Staircase", 0.0, (300_000, 4), 1, 1e-4, "sgd"),  # full subgradients cost too much
]


@pytest.mark.parametrize(("name", "l1_ratio", "shape", "density", "tol", "solver"), CHOICES)
def test_auto_chooses_by_loss_penalty_and_size(name, l1_ratio, shape, density, tol, solver):
    rng = np.random.default_rng(0)
    y = rng.choice([-1.0, 1.0], shape[0])
    data = Problem(None, y, np.ones(shape[0]), np.zeros(shape[0], int))
    if density < 1:
        X = sp.random_array(shape, density=density, format="csr", random_state=rng)
    else:
        X = rng.normal(size=shape)
    assert choose("auto", build(name, X, data, l1_ratio=l1_ratio), tol).name == solver


@pytest.mark.parametrize("wrong", [None, "nope", "", 3, Newton, np.array(["newton"])])
def test_unknown_solver(wrong):
    with pytest.raises((ValueError, TypeError), match="solver") as raised:
        resolve(wrong)
    assert "newton" in str(raised.value)


SOLVER_PARAMETERS = [
    (name, parameter) for name, cls in REGISTRY.items() for parameter in cls().get_params()
]


@pytest.mark.parametrize(("solver", "parameter"), SOLVER_PARAMETERS)
def test_wrong_solver_parameters(solver, parameter):
    for wrong in (None, "nonsense", object(), math.nan, [1]):
        with pytest.raises((ValueError, TypeError), match=parameter):
            resolve(REGISTRY[solver](**{parameter: wrong}))


@pytest.mark.parametrize(
    ("solver", "parameter", "wrong"),
    [
        (LBFGS, "memory", 0),
        (LBFGS, "memory", 2.5),
        (Newton, "gram_max", -1),
        (SGD, "batch_size", 0),
        (SGD, "batch_size", 1.5),
        (SGD, "eta0", 0.0),
        (SGD, "eta0", -1.0),
        (SGD, "eta0", math.inf),
        (SGD, "n_iter_no_change", 0),
        (SGD, "power", -0.1),
        (SGD, "power", 1.1),
        (SGD, "validation_fraction", 0.0),
        (SGD, "validation_fraction", 1.0),
    ],
)
def test_solver_parameters_out_of_range(solver, parameter, wrong):
    with pytest.raises((ValueError, TypeError), match=parameter):
        resolve(solver(**{parameter: wrong}))


@pytest.mark.compiled
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize(
    ("n", "d", "alpha"), [(4, 1, 1e-3), (4, 1, 0.1), (20, 2, 0.01), (20, 2, 0.1), (1000, 200, 1.0)]
)
def test_dual_cd_finds_intercepts(n, d, alpha, container):
    # A few rows move an intercept a long way, and rows that a strong penalty holds at their
    # bounds move it in steps that are too short at first.
    for seed in range(5):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(n, d)) * (rng.random((n, d)) < (0.2 if d > 100 else 1.0))
        y = X[:, 0] + 0.3 * rng.normal(size=n) > 0
        y[:2] = False, True
        model = HingeClassifier(solver="dual_cd", alpha=alpha, tol=1e-6).fit(container(X), y)
        reference = HingeClassifier(solver="interior_point", alpha=alpha, tol=1e-8).fit(X, y)
        values = [hinge_objective(m, X, y, alpha) for m in (model, reference)]
        assert_allclose(*values, rtol=1e-5)
        assert model.n_iter_ < 800


def hinge_objective(model, X, y, alpha):
    """Mean hinge loss and penalty of a fitted model."""
    margins = np.where(y, 1.0, -1.0) * model.decision_function(X)
    return np.maximum(1 - margins, 0).mean() + 0.5 * alpha * np.sum(model.coef_**2)
