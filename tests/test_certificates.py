"""The duality gap bounds what a point is worse than the best, wherever the point is."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from references import check_gap_near_and_far, gap_at, minimum
from sklearn.exceptions import ConvergenceWarning

from sklearn_margin import HingeClassifier, LinearClassifier, LinearRanker, LinearRegressor
from sklearn_margin.losses import (
    CrossEntropy,
    EpsilonInsensitive,
    Hinge,
    Huber,
    Logistic,
    ModifiedHuber,
    MulticlassLoss,
    PairwiseHinge,
    PairwiseLogistic,
    PairwiseSquaredHinge,
    Quantile,
    SmoothedHinge,
    Squared,
    SquaredEpsilonInsensitive,
    SquaredHinge,
)
from sklearn_margin.losses.pairs.base import PairwiseLoss
from sklearn_margin.losses.pointwise import BinaryLoss
from sklearn_margin.objective import (
    ConcomitantHuberObjective,
    MulticlassObjective,
    PairwiseObjective,
    Rows,
)
from sklearn_margin.objective.pointwise import PointwiseObjective
from sklearn_margin.penalties import ElasticNet
from sklearn_margin.solvers import (
    CoordinateDescent,
    DualCD,
    InteriorPoint,
    Newton,
    Smoothing,
    choose,
)

SMOOTH = [
    Huber(), Logistic(), ModifiedHuber(), SmoothedHinge(), Squared(), SquaredEpsilonInsensitive(),
    SquaredHinge(), PairwiseLogistic(), PairwiseSquaredHinge(), "concomitant",
]  # fmt: skip
KINKED = [Hinge(), Quantile(quantile=0.8), EpsilonInsensitive(), PairwiseHinge()]


def build(loss, seed, fit_intercept, l1_ratio, alpha, weighted, container=np.asarray):
    """An objective over 40 rows of 4 features."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(40, 4)) * [1.0, 3.0, 0.2, 1.0] + [0.0, 1.0, 0.0, -2.0]
    z = X @ [1.0, -0.3, 2.0, 0.5] + rng.normal(size=40)
    s = rng.random(40) * (rng.random(40) < 0.8) if weighted else np.ones(40)
    s[:3] = 1.0
    if isinstance(loss, PairwiseLoss):
        y = np.digitize(z, np.quantile(z, [0.3, 0.7])) * 1.0
        rows = Rows(container(X), center=True)
        groups = rng.integers(0, 3, 40)
        return PairwiseObjective(loss, rows, y, s, groups, penalty=ElasticNet(alpha, l1_ratio))
    rows = Rows(container(X), center=fit_intercept)
    options = {"penalty": ElasticNet(alpha, l1_ratio), "fit_intercept": fit_intercept}
    if loss == "concomitant":
        return ConcomitantHuberObjective(Huber(), rows, z, s / s.sum(), **options)
    y = np.where(z > np.median(z), 1.0, -1.0) if isinstance(loss, BinaryLoss) else z
    return PointwiseObjective(loss, rows, y, s / s.sum(), **options)


@pytest.mark.compiled
@pytest.mark.parametrize("loss", SMOOTH, ids=lambda loss: str(loss).split("(")[0])
@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 5),
    fit_intercept=st.booleans(),
    l1_ratio=st.sampled_from([0.0, 0.5, 1.0]),
    alpha=st.sampled_from([1e-4, 1e-2, 1.0]),
    weighted=st.booleans(),
)
def test_gap_at_any_point(loss, seed, fit_intercept, l1_ratio, alpha, weighted):
    check_gap_near_and_far(build(loss, seed, fit_intercept, l1_ratio, alpha, weighted), seed)


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("loss", "dtype"),
    [(Logistic(), np.float64), (SquaredHinge(), np.float64), (CrossEntropy(), np.float64),
     (CrossEntropy(0.1), np.float32)],
)  # fmt: skip
@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 5),
    fit_intercept=st.booleans(),
    alpha=st.sampled_from([1e-4, 1e-2, 1.0]),
    far=st.sampled_from([1.0, 0.1, 1e-3, 1e-6]),
)
def test_gap_of_slopes_of_the_model(loss, dtype, seed, fit_intercept, alpha, far):
    """A Newton step from wherever: its gap is true, and of the fourth order close by."""
    several = isinstance(loss, MulticlassLoss)
    data = build(Logistic(), seed, fit_intercept, 0.0, alpha, True)
    rows = Rows(data.rows.X.astype(dtype), center=fit_intercept)
    options = {"penalty": ElasticNet(alpha), "fit_intercept": fit_intercept}
    rng = np.random.default_rng(seed)
    kind, y = PointwiseObjective, data.y.astype(dtype)
    if several:
        kind, y, options["n_outputs"] = MulticlassObjective, rng.integers(0, 3, 40), 3
    objective = kind(loss, rows, y, data.s.astype(dtype), **options)
    best = Newton().solve(objective, objective.start(), tol=0.0, max_iter=200)
    point = objective.at(best.params + far * rng.normal(size=objective.n_params))
    point.find_curvature()
    hessian, gradient = point.hessian(), point.gradient
    p = objective.anchored(-np.linalg.lstsq(hessian, gradient)[0])
    decrement = -float(gradient @ p)
    line = point.along(p)
    new = line.search(decrement) or line.move(1.0)
    gap = line.foreseen_gap(new)
    rounding = 100 * np.finfo(dtype).eps * new.value
    assert gap >= new.value - best.value - rounding
    if far <= 1e-3 and not isinstance(loss, SquaredHinge):  # whose slopes have kinks
        assert gap <= 0.1 * decrement + rounding


@pytest.mark.parametrize("loss", SMOOTH, ids=lambda loss: str(loss).split("(")[0])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
def test_gap_closes_at_the_optimum(loss, l1_ratio):
    objective = build(loss, 0, True, l1_ratio, 0.05, True)
    best, lowest = minimum(objective)
    assert gap_at(objective, best) <= 1e-8 * lowest


@pytest.mark.compiled
@pytest.mark.parametrize("loss", [*SMOOTH, *KINKED], ids=lambda loss: str(loss).split("(")[0])
@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 5),
    fit_intercept=st.booleans(),
    l1_ratio=st.sampled_from([0.0, 0.5]),
    alpha=st.sampled_from([1e-3, 1e-1]),
    weighted=st.booleans(),
    max_iter=st.sampled_from([1, 3, 10, 100]),
    sparse=st.booleans(),
)
def test_gap_of_every_solver_wherever_it_stops(
    loss, seed, fit_intercept, l1_ratio, alpha, weighted, max_iter, sparse
):
    container = sp.csr_array if sparse else np.asarray
    objective = build(loss, seed, fit_intercept, l1_ratio, alpha, weighted, container)
    _, lowest = minimum(objective)
    for cls in (
        type(choose("auto", objective)),
        CoordinateDescent,
        DualCD,
        InteriorPoint,
        Smoothing,
    ):
        solver = cls()
        if solver.obstacle(objective) is not None:
            continue
        with objective.rows.session():
            run = solver.solve(objective, objective.start(), tol=1e-4, max_iter=max_iter)
        if run.gap is None:  # L1 and a pairwise hinge: nothing is claimed
            continue
        assert run.value == pytest.approx(objective.value(run.params), rel=1e-9)
        assert run.gap >= (run.value - lowest) * (1 - 1e-6) - 1e-9 * abs(lowest)
        assert not run.converged or run.gap <= 1e-4 * run.value * (1 + 1e-9) + 1e-12
        assert run.n_iter <= max_iter


class Custom(BinaryLoss):
    """Convex, and negative for large margins: nothing may be concluded from its sign."""

    def sample_value(self, y, z):
        m = y * z
        return np.exp(-m) - 0.5 / (1.0 + np.exp(-m)) if m > -30 else np.exp(30.0) - 30 - m

    def sample_gradient(self, y, z):
        m = y * z
        p = 1.0 / (1.0 + np.exp(-m))
        return y * (-np.exp(-m) - 0.5 * p * (1 - p)) if m > -30 else -y


def test_no_claim_from_a_sign_that_is_not_known():
    objective = build(Logistic(), 0, True, 0.0, 0.1, False).with_loss(Custom())
    params = objective.start()
    params[-1] = 0.3
    assert gap_at(objective, params) == np.inf


class Unsigned(BinaryLoss):
    """The logistic loss less a constant, of which nothing says how low it may be."""

    def sample_value(self, y, z):
        return np.log1p(np.exp(-y * z)) - 1.0

    def sample_gradient(self, y, z):
        return -y / (1.0 + np.exp(y * z))

    def sample_hessian(self, y, z):
        p = 1.0 / (1.0 + np.exp(y * z))
        return p * (1.0 - p)


def test_no_claim_from_slopes_of_the_model_that_do_not_sum_to_zero():
    objective = build(Logistic(), 0, True, 0.0, 0.1, False).with_loss(Unsigned())
    best = Newton().solve(objective, objective.start(), tol=0.0, max_iter=20)
    point = objective.at(best.params + 1e-2)
    point.find_curvature()
    p = -np.linalg.solve(point.hessian(), point.gradient)
    exact, rough = point.along(p), point.along(p + 1e-3 * (np.arange(len(p)) == len(p) - 1))
    assert exact.foreseen_gap(exact.move(1.0)) < np.inf
    assert rough.foreseen_gap(rough.move(1.0)) == np.inf


# --- of fits ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(12_000, 8))
    z = X @ rng.normal(size=8) + rng.normal(size=12_000)
    return X, z


FITS = {
    "newton": LinearClassifier("logistic"),
    "coordinate_descent": LinearClassifier("logistic", l1_ratio=1.0, alpha=1e-2),
    "smoothing": HingeClassifier(),
    "interior_point": HingeClassifier(solver="interior_point"),
    "dual_cd": HingeClassifier(solver="dual_cd", alpha=1e-2),
    "quantile": LinearRegressor(Quantile(quantile=0.9), alpha=0.0),
    "ranker": LinearRanker("pairwise_hinge", alpha=1e-2),
    "cg": LinearClassifier("squared_hinge", solver="newton"),
}


@pytest.mark.compiled
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize("name", FITS)
@pytest.mark.usefixtures("threads")
def test_threads_change_no_bit_of_a_fit(name, container, large):
    X, z = large
    y = {"quantile": z, "ranker": np.digitize(z, [-1.0, 1.0])}.get(name, z > 0)
    X = container(X)
    options = {"groups": np.arange(len(z)) // 20} if name == "ranker" else {}
    fits = []
    for n_jobs in (1, 3):
        model = FITS[name].set_params(n_jobs=n_jobs).fit(X, y, **options)
        gap = model.dual_gap_
        fits.append((model.coef_.tobytes(), np.asarray(getattr(model, "intercept_", 0)), gap))
    assert fits[0] == fits[1]


@pytest.mark.compiled
def test_unscaled_features_and_a_weak_penalty():
    """Scales that span 10⁶ and C = 100, where LinearSVC gives up."""
    rng = np.random.default_rng(0)
    n = 5_000
    X = rng.normal(size=(n, 20)) * np.geomspace(1e-3, 1e3, 20)
    y = (X / np.geomspace(1e-3, 1e3, 20)).sum(axis=1) + 2 * rng.normal(size=n) > 0
    for loss in ("hinge", "squared_hinge", "logistic"):
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            model = LinearClassifier(loss, alpha=1 / (100 * n)).fit(X, y)
        signs = np.where(y, 1.0, -1.0)
        scores = model.decision_function(X)
        hinge = {"hinge": Hinge(), "squared_hinge": SquaredHinge(), "logistic": Logistic()}[loss]
        total = hinge.value(signs, scores) + 0.5 * model.alpha * float((model.coef_**2).sum())
        assert model.dual_gap_ <= 1e-4 * total
