"""Huber's regression with its scale: a certificate that tells an optimum from what is not one."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from sklearn_margin import HuberRegressor
from sklearn_margin.losses import Huber
from sklearn_margin.objective import ConcomitantHuberObjective, Rows
from sklearn_margin.penalties import ElasticNet
from sklearn_margin.solvers import LBFGS, CoordinateDescent, Newton


def build(X, y, alpha, l1_ratio=0.0, s=None):
    s = np.ones(len(y)) if s is None else s
    return ConcomitantHuberObjective(
        Huber(), Rows(X, center=True), y, s / s.sum(), penalty=ElasticNet(alpha, l1_ratio),
        fit_intercept=True,
    )  # fmt: skip


def data(seed, n=40, d=5, noise=1.0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    return X, X @ [1.0, -2.0, 0.0, 0.0, 1.0] + noise * rng.standard_t(2, n)


def solve(solver, objective, tol=1e-8):
    with objective.rows.session():
        return solver.solve(objective, objective.start(), tol=tol, max_iter=500)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("noise", [0.0, 1e-6, 1.0])
@pytest.mark.parametrize(("alpha", "l1_ratio"), [(1e-8, 1.0), (1e-3, 0.3), (1e-5, 0.0)])
def test_optimum_is_certified(scale, noise, alpha, l1_ratio):
    X, y = data(0, noise=noise)
    # The same problem whatever the scale, but for the weak quadratic part.
    objective = build(X * scale, y, alpha * (scale if l1_ratio else scale**2), l1_ratio)
    run = solve(CoordinateDescent(), objective)
    assert run.converged
    assert run.gap <= 1e-8 * run.value
    other = solve(LBFGS(), objective)
    assert (
        other.value >= run.value - run.gap - 1e-9 * run.value
    )  # of rounding: residuals are known to 1e-16


@pytest.mark.parametrize("solver", [Newton, LBFGS, CoordinateDescent])
def test_large_columns(solver):
    X, y = data(1)
    run = solve(solver(), build(1e9 * X, y, 1e-6))
    assert run.converged
    assert run.gap <= 1e-8 * run.value


def test_a_point_that_is_off_is_told_from_the_optimum():
    X, y = data(2, noise=1e-9)
    objective = build(X * 1e6, y, 1e-8, 1.0)
    run = solve(CoordinateDescent(), objective)
    optimum = objective.refined_gap(run.params)
    off = run.params * 1.001
    assert optimum <= 1e-8 * run.value
    assert objective.refined_gap(off) >= objective.value(off) - run.value > 1e-3 * run.value


def test_conjugate_of_the_loss_with_a_smallest_scale():
    """L*(g) = g·y + smallest · A(g): by the supremum over residuals at many scales."""
    X, y = data(3, n=4)
    objective = build(X[:, :2], y, 1e-3)
    objective.smallest = 0.5
    s, epsilon = objective.s, objective.loss.delta
    rng = np.random.default_rng(0)
    z = y + 0.1 * rng.normal(size=4)
    curvature = objective.curvature(z)
    g = curvature.gradient
    room = np.sum(g**2 / s) / 2 - 0.5
    assert np.all(np.abs(g) <= epsilon * s)
    assert room <= 0
    conjugate = g @ y + objective.smallest * room
    assert conjugate == pytest.approx(g @ z - curvature.value, abs=1e-12)
    for _ in range(200):
        there = y + rng.normal(size=4) * 10.0 ** rng.uniform(-2, 1)
        assert conjugate >= g @ there - objective.score_value(there) - 1e-12


@pytest.mark.parametrize("exponent", [-200, -150, 150, 200])
def test_targets_of_any_size(exponent):
    X, y = data(4)
    model, other = (HuberRegressor(alpha=0).fit(X, y * 10.0**power) for power in (exponent, 0))
    assert np.allclose(model.coef_ / 10.0**exponent, other.coef_, rtol=1e-6)


def test_l1_of_next_to_nothing_does_not_cry_wolf():
    X, y = data(5, n=30, d=5)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        model = HuberRegressor(alpha=1e-12, l1_ratio=1.0).fit(X, y)
    assert model.dual_gap_ <= 1e-4 * np.abs(y).max()
