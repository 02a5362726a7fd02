"""Points and lines: what solvers see of an objective, and that they see no more."""

import sys

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.utils.validation import check_random_state

from sklearn_margin.losses import (
    CrammerSinger,
    CrossEntropy,
    Hinge,
    Huber,
    Logistic,
    PairwiseHinge,
    PairwiseSquaredHinge,
)
from sklearn_margin.objective import MulticlassObjective, PairwiseObjective, PointwiseObjective
from sklearn_margin.objective.rows import Rows
from sklearn_margin.penalties import ElasticNet
from sklearn_margin.solvers import LBFGS, CoordinateDescent, Newton, Smoothing, Subgradient


def objective_of(loss, n, d, l1_ratio=0.0, alpha=0.01, container=np.asarray):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d))
    target = X @ rng.normal(size=d) + rng.normal(size=n)
    rows, s = Rows(container(X), center=True), np.full(n, 1.0 / n)
    more = {"penalty": ElasticNet(alpha, l1_ratio)}
    if isinstance(loss, (PairwiseHinge, PairwiseSquaredHinge)):
        grades = np.digitize(target, [-1.0, 1.0]).astype(float)
        return PairwiseObjective(loss, rows, grades, np.ones(n), rng.integers(0, 5, n), **more)
    more["fit_intercept"] = True
    if isinstance(loss, (CrossEntropy, CrammerSinger)):
        y = np.digitize(target, [-1.0, 1.0])
        return MulticlassObjective(loss, rows, y, s, n_outputs=3, **more)
    y = target if isinstance(loss, Huber) else np.sign(target)
    return PointwiseObjective(loss, rows, y, s, **more)


# --- numbers ----------------------------------------------------------------------------------

SMOOTH = [Logistic(), Huber(), CrossEntropy(), PairwiseSquaredHinge()]


@pytest.mark.parametrize("loss", SMOOTH, ids=repr)
def test_a_point_is_what_the_objective_says(loss):
    objective = objective_of(loss, 60, 3)
    rng = np.random.default_rng(1)
    params, v = rng.normal(size=(2, objective.n_params))
    v = objective.anchored(v)  # the Hessian bends where nothing changes, to be regular
    point = objective.at(params)
    value, gradient = objective.value_gradient(params)
    assert point.value == pytest.approx(value, rel=1e-14)
    np.testing.assert_allclose(point.gradient, gradient, rtol=1e-12, atol=1e-15)
    assert (
        point.gap()
        >= point.value - Newton().solve(objective, params, tol=1e-10, max_iter=100).value
    )
    point.find_curvature()
    hessian = point.hessian()
    np.testing.assert_allclose(hessian @ v, point.hessian_product(v), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
@pytest.mark.parametrize("loss", SMOOTH, ids=repr)
def test_a_line_is_a_row_of_points(loss, l1_ratio):
    objective = objective_of(loss, 60, 3, l1_ratio)
    rng = np.random.default_rng(2)
    params, p = rng.normal(size=(2, objective.n_params))
    line = objective.at(params).along(p)
    for t in (0.0, 0.3, 2.0):
        there = objective.at(params + t * p)
        assert line.slope(t) == pytest.approx(float(there.gradient @ p), rel=1e-10)
        assert line.is_lower == (there.value <= line.value * (1 + 1e-14))
        moved = line.move(t)
        assert moved.value == pytest.approx(there.value, rel=1e-13)
        np.testing.assert_allclose(moved.gradient, there.gradient, rtol=1e-10, atol=1e-14)
    gradient = objective.at(params).gradient
    line = objective.at(params).along(-gradient)
    decrement = line.shortened * float(gradient @ gradient)
    found = line.search(decrement)
    assert found.value < line.value
    if l1_ratio == 0:
        assert abs(float(found.gradient @ gradient)) <= 0.1 * float(gradient @ gradient) + 1e-12


def test_a_line_ends_where_it_is_told_to():
    """Coefficients that are zero there are zero, and not the rounding error of a difference."""
    objective = objective_of(Logistic(), 60, 3, l1_ratio=1.0)
    start, end = np.array([0.1, 0.7, -0.3, 1e-3]), np.array([0.0, 0.3, 0.0, 1.0])
    moved = objective.at(start).toward(end).move(1.0)
    np.testing.assert_array_equal(moved.params, end)
    assert moved.value == pytest.approx(objective.value(end), rel=1e-14)


def test_a_step_without_curvature_is_kept_in_range():
    objective = objective_of(Logistic(), 60, 3)
    line = objective.at(np.zeros(objective.n_params)).along(np.full(objective.n_params, 1e200))
    assert 0 < line.shortened < 1e-190
    assert 0 < line.slope(1.0) < 1e10


def test_scores_that_lost_their_digits_are_computed_anew():
    """Steps out to 1e12 and back leave rounding errors of 1e-4 behind in scores that are added
    to."""
    objective = objective_of(Logistic(), 60, 3)
    point = objective.at(np.zeros(objective.n_params))
    far = np.full(objective.n_params, 1e12)
    for p in (far, -far + 0.1):
        point = point.along(p).move(1.0)
    assert point.value == pytest.approx(objective.value(point.params), rel=1e-12)


# --- solvers see nothing else -----------------------------------------------------------------

N, D, LONG = 30_000, 40, 1_000  # a sample is drawn from so many; no parameters are as many


class Guard:
    """What solvers are given of an objective: whatever has an entry per row raises."""

    def __init__(self, inner):
        self._inner = inner

    def __getattr__(self, name):
        value = getattr(self._inner, name)
        caller = sys._getframe(1).f_globals["__name__"]
        return value if caller.startswith("sklearn_margin.objective") else guarded(value)

    def __setattr__(self, name, value):
        object.__setattr__(self if name == "_inner" else self._inner, name, value)


def guarded(value):
    if isinstance(value, np.ndarray) or sp.issparse(value):
        assert max(value.shape, default=0) < LONG, f"a solver sees an array of {value.shape}"
        return value
    if isinstance(value, tuple):
        return tuple(map(guarded, value))
    if callable(value) and not isinstance(value, type):
        return lambda *a, **k: guarded(value(*map(bare, a), **{n: bare(v) for n, v in k.items()}))
    ours = type(value).__module__.startswith("sklearn_margin.objective")
    return Guard(value) if ours else value


def bare(value):
    return value._inner if isinstance(value, Guard) else value


CASES = [
    (Newton(), Logistic(), 0.0),
    (Newton(), CrossEntropy(), 0.0),
    (Newton(gram_max=0), Huber(), 0.0),
    (Newton(), PairwiseSquaredHinge(), 0.0),
    (CoordinateDescent(), Logistic(), 0.5),
    (CoordinateDescent(gram_max=0), Huber(), 1.0),
    (LBFGS(), Logistic(), 0.0),
    (LBFGS(), CrossEntropy(), 0.5),
    (Smoothing(), Hinge(), 0.0),
    (Smoothing(), Hinge(), 0.5),
    (Smoothing(), PairwiseHinge(), 0.0),
    (Subgradient(), Hinge(), 0.0),
    (Subgradient(), Huber(), 0.5),
]


@pytest.mark.compiled
@pytest.mark.parametrize(("solver", "loss", "l1_ratio"), CASES, ids=repr)
def test_solvers_hold_nothing_by_row(solver, loss, l1_ratio):
    # One for each: pairs are sorted by how they were when they were last looked at.
    objective, another = (objective_of(loss, N, D, l1_ratio) for _ in range(2))
    most = 30 if isinstance(solver, Subgradient) else 100
    settings = {"tol": 1e-3, "max_iter": most, "random_state": check_random_state(0)}
    found = solver.solve(Guard(objective), objective.start(), **settings)
    plain = solver.solve(another, objective.start(), **settings)
    np.testing.assert_array_equal(found.params, plain.params)
    assert found.converged or isinstance(solver, Subgradient)


@pytest.mark.parametrize("name", ["scores", "rows.X", "at._z"])
def test_the_guard_raises(name):
    objective = Guard(objective_of(Logistic(), N, D))
    params = np.zeros(D + 1)
    with pytest.raises(AssertionError, match="a solver sees an array"):
        if name == "scores":
            objective.scores(params)
        elif name == "rows.X":
            _ = objective.rows.X
        else:
            _ = objective.at(params)._z


@pytest.mark.compiled
@pytest.mark.parametrize("loss", [Logistic(), CrossEntropy(), PairwiseSquaredHinge()], ids=repr)
def test_a_sample_is_solved_first(monkeypatch, loss):
    """Where rows outnumber features: an objective that can be sampled says so."""
    sizes = []
    minimize = Newton.minimize

    def noted(self, objective, *args, **settings):
        sizes.append(objective.rows.shape[0])
        return minimize(self, objective, *args, **settings)

    monkeypatch.setattr(Newton, "minimize", noted)
    objective = objective_of(loss, N, D)
    Newton().solve(objective, objective.start(), tol=1e-3, max_iter=100)
    assert sizes[-1] == N
    assert sizes[0] < 0.3 * N


def test_abilities_are_declared():
    objective = objective_of(Logistic(), 60, 3)
    undeclared = {
        name
        for cls in (PointwiseObjective, MulticlassObjective, PairwiseObjective)
        for name, ability in (("sample", "takes_samples"), ("draw", "draws_samples"))
        if hasattr(cls, name) != getattr(cls, ability)
    }
    assert undeclared == set()
    assert objective.is_linear
