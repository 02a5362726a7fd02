"""The duality gap where rounding error, an intercept or a weak penalty makes it hard to know."""

from fractions import Fraction

import numpy as np
import pytest

from sklearn_margin import LinearClassifier, LinearRanker
from sklearn_margin.losses import Huber, Logistic, SmoothedHinge, Squared, SquaredHinge
from sklearn_margin.losses.pointwise import BinaryLoss
from sklearn_margin.objective import ConcomitantHuberObjective, Rows
from sklearn_margin.objective.loose_slopes import without_loose_slopes
from sklearn_margin.objective.pointwise import PointwiseObjective
from sklearn_margin.objective.refined_gap import _compensated_products
from sklearn_margin.penalties import ElasticNet
from sklearn_margin.solvers import LBFGS, CoordinateDescent, Newton
from sklearn_margin.solvers.base import value_gap

LOSSES = [Huber(), Logistic(), SmoothedHinge(), Squared(), SquaredHinge(), "concomitant"]


def build(loss, X, t, alpha, l1_ratio=0.0, fit_intercept=True, s=None):
    """An objective for targets t, or their signs."""
    s = np.ones(len(t)) if s is None else s
    options = {"penalty": ElasticNet(alpha, l1_ratio), "fit_intercept": fit_intercept}
    rows = Rows(X, center=fit_intercept)
    if loss == "concomitant":
        return ConcomitantHuberObjective(Huber(), rows, t, s / s.sum(), **options)
    y = np.where(t > np.median(t), 1.0, -1.0) if isinstance(loss, BinaryLoss) else t
    return PointwiseObjective(loss, rows, y, s / s.sum(), **options)


def data(seed=0, n=30, d=4):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    return X, X @ rng.normal(size=d) + 3.0 * rng.normal(size=n)


def solve(solver, objective, tol=1e-8, max_iter=1000, start=None):
    with objective.rows.session():
        start = objective.start() if start is None else start
        return solver.solve(objective, start, tol=tol, max_iter=max_iter)


@pytest.mark.parametrize("solver", [Newton, LBFGS, CoordinateDescent])
@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_columns_so_large_that_the_penalty_is_rounding_error(loss, solver):
    X, t = data()
    far = build(loss, 1e9 * X, t, 1e-5)
    near = build(loss, X, t, 1e-5 * 1e-18)  # the same problem
    run, other = solve(solver(), far), solve(solver(), near)
    assert run.converged
    assert run.gap <= 1e-8 * run.value
    assert run.value == pytest.approx(other.value, rel=1e-8, abs=0)


@pytest.mark.parametrize("loss", LOSSES, ids=str)
@pytest.mark.parametrize("l1_ratio", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("distance", [0.0, 1e-9, 1e-3])
def test_refined_gap_is_a_bound(loss, l1_ratio, fit_intercept, distance):
    X, t = data(1)
    objective = build(loss, X, t, 0.01, l1_ratio, fit_intercept)
    best = solve(CoordinateDescent(), objective, tol=1e-12)
    direction = np.random.default_rng(2).normal(size=objective.n_params)
    params = best.params + distance * direction
    gap = objective.refined_gap(params)
    assert gap >= objective.value(params) - best.value - 1e-14 * best.value
    if distance <= 1e-9:
        assert gap <= 1e-8 * best.value


@pytest.mark.parametrize("loss", LOSSES[:-1], ids=str)
@pytest.mark.parametrize("size", [1e-5, 1e-3])
def test_price_of_a_correction_is_at_least_what_it_costs(loss, size):
    """By Fenchel's equality: slopes at scores z' are a dual point, L*(g') = g'·z' − L(z')."""
    X, t = data(3)
    objective = build(loss, X, t, 0.01)
    rng = np.random.default_rng(4)
    z = rng.normal(size=len(t))
    curvature, other = objective.curvature(z), np.empty_like(z)
    g = curvature.gradient
    there = z + size * rng.normal(size=len(t))
    objective.score_gradient(there, other)
    delta, _ = objective.corrected(z, curvature, other - g)
    whole = delta == other - g  # not of a row that comes to a kink on the way
    assert whole.mean() > 0.5
    there = np.where(whole, there, z)
    value = objective.score_gradient(there, other)
    delta, price = objective.corrected(z, curvature, other - g)
    assert (delta == other - g).all()
    exact = (other @ there - value) - (g @ z - curvature.value) - z @ delta
    assert price >= exact - 1e-14


def test_price_of_a_correction_for_the_concomitant_scale():
    X, t = data(5)
    objective = build("concomitant", X, t, 0.01)
    z, s = 0.3 * t, objective.s
    curvature = objective.curvature(z)
    wanted = 1e-3 * np.random.default_rng(6).normal(size=len(t))
    delta, price = objective.corrected(z, curvature, wanted)
    g = curvature.gradient + delta
    assert (np.abs(g) <= objective.loss.delta * s * (1 + 1e-12)).all()
    assert np.sum(g**2 / s) <= (1 + 1e-12) * s.sum()

    def conjugate_bound(z):  # sup of g·z − L is at least its value anywhere
        return g @ z - objective.score_value(z)

    nearby = max(conjugate_bound(t + c * (z - t)) for c in np.linspace(-2, 2, 41))
    assert price >= curvature.value + nearby - g @ z - 1e-14
    assert np.abs(delta).max() > 0


def test_a_slope_of_the_intercept_is_not_ignored():
    """Two heavy rows pull evenly either way, and a light one, alone, goes far."""
    X, s = np.zeros((3, 1)), np.array([1.0, 1.0, 1e-9])
    y = np.array([1.0, -1.0, 1.0])
    rows = Rows(X, center=True)
    objective = PointwiseObjective(SmoothedHinge(), rows, y, s / s.sum(), penalty=ElasticNet(0.1),
                                   fit_intercept=True)  # fmt: skip
    value, gap = value_gap(objective, np.zeros(2))
    assert gap >= value - objective.value(np.array([0.0, 0.5])) > 1e-10


@pytest.mark.parametrize("loss", ["logistic", "squared_hinge"])
@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
@pytest.mark.parametrize("solver", ["newton", "lbfgs", "coordinate_descent"])
def test_gap_after_one_step_is_no_more_than_the_objective(loss, l1_ratio, solver):
    if solver == "newton" and l1_ratio:
        solver = "auto"
    X, t = data(7, 60)
    with pytest.warns(match="without converging"):
        model = LinearClassifier(loss, l1_ratio=l1_ratio, solver=solver, max_iter=1, tol=1e-12).fit(
            X, t > 1
        )
    objective = build(Logistic() if loss == "logistic" else SquaredHinge(), X, t, 1e-4, l1_ratio)
    objective.y = np.where(t > 1, 1.0, -1.0)
    value = objective.value(objective.from_coef(model.coef_[0], model.intercept_[0]))
    assert 0 < model.dual_gap_ <= value * (1 + 1e-9)


class Shifted(BinaryLoss):
    """Convex, with values of either sign: nothing may be concluded from multiples of slopes."""

    def sample_value(self, y, z):
        return np.logaddexp(0.0, -y * z) - 0.1 if y > 0 else np.logaddexp(0.0, z) + 0.05 * z

    def sample_gradient(self, y, z):
        return -1.0 / (1.0 + np.exp(z)) if y > 0 else 1.0 / (1.0 + np.exp(-z)) + 0.05

    def sample_hessian(self, y, z):
        e = np.exp(-abs(z))
        return e / (1.0 + e) ** 2


@pytest.mark.parametrize("solver", [Newton, CoordinateDescent, LBFGS])
def test_intercept_is_balanced_where_slopes_cannot_be_scaled(solver):
    X, t = data(8, 60)
    objective = build(Shifted(), X, t, 0.01)
    lowest = solve(Newton(), objective).value
    run = solve(solver(), objective, max_iter=1, start=np.full(5, 0.3))
    assert run.value == pytest.approx(objective.value(run.params), rel=1e-12)
    assert run.value - lowest <= run.gap < np.inf


def test_alpha_below_all_rounding():
    """The gap of a penalty that no number resolves is F, not 1e266, and it is said."""
    X, t = data(9)
    with pytest.warns(match="without converging"):
        model = LinearRanker("pairwise_squared_hinge", alpha=1e-300).fit(X, np.round(t))
    assert 0 <= model.dual_gap_ <= 2.0


def test_products_to_twice_the_precision():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3)) * 10.0 ** rng.uniform(-8, 8, (40, 3))
    g = rng.normal(size=40)
    g[-1] = 0.0
    X[-2] = 0.0
    high, low = np.zeros(4), np.zeros(4)
    _compensated_products(X, g, high, low)
    for j in range(4):
        column = X[:, j] if j < 3 else np.ones(40)
        exact = sum(Fraction(float(a)) * Fraction(float(b)) for a, b in zip(column, g, strict=True))
        error = abs(Fraction(high[j]) + Fraction(low[j]) - exact)
        assert error <= 1e-29 * float(np.abs(column * g).sum())


@pytest.mark.parametrize("seed", range(5))
def test_slopes_are_balanced_at_the_smallest_share(seed):
    """What is removed from the entries of the sign that prevails makes their sum vanish, and X̃ᵀg
    changes by no more than is said."""
    X, t = data(seed, 40)
    objective = build(Huber(), X, t, 0.1)
    g = np.random.default_rng(seed).normal(size=len(t)) + 0.3
    share, slack = objective.share_to_cancel(objective.slopes(g), float(g.sum()))
    kept = np.where(g * g.sum() > 0, (1 - share) * g, g)
    assert kept.sum() == pytest.approx(0, abs=1e-12)
    change = objective.rows.backproject(g - kept)[0]
    assert np.all(np.abs(change) <= slack * (1 + 1e-12))


@pytest.mark.parametrize("seed", range(3))
def test_a_mean_of_slopes_without_loose_ones(seed):
    """Of squares the conjugate is known: L*(g) = Σ g²/(4 s) + g y."""
    rng = np.random.default_rng(seed)
    n = 40
    columns, y, s = rng.normal(size=(n, 3)), 10.0 * rng.normal(size=n), np.full(n, 1 / n)
    objective = PointwiseObjective(Squared(), Rows(columns, center=False), y, s)
    best = np.linalg.lstsq(columns, y, rcond=None)[0]
    z = columns @ (best + 1e-9 * rng.normal(size=3))
    g = 2 * s * (z - y)
    directions = [*columns.T, columns[:, 0] + columns[:, 1]]  # of which one is not needed
    mean = without_loose_slopes(objective, z, directions)
    assert np.abs(columns.T @ g).max() > 1e-11
    assert np.abs(columns.T @ mean.g).max() < 1e-14
    missed = s @ (z - y) ** 2 + (mean.g**2 / (4 * s) + mean.g * y).sum() - mean.g @ z
    assert missed - 1e-13 <= mean.excess < 1e-12
    # Far from the minimum none is found that costs little.
    far = without_loose_slopes(objective, z + 1.0, directions)
    assert far is None or far.excess > 0.1
