"""Points and lines: what solvers see of an objective, and that they see no more."""

import re
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
from sklearn_margin.objective import (
    ConcomitantHuberObjective,
    MulticlassObjective,
    PairwiseObjective,
    PointwiseObjective,
)
from sklearn_margin.objective import rows as rows_module
from sklearn_margin.objective.base import Objective
from sklearn_margin.objective.row_access import RowAccess, SingleRows
from sklearn_margin.objective.rows import Rows
from sklearn_margin.penalties import ElasticNet
from sklearn_margin.solvers import (
    LBFGS,
    SGD,
    SOLVERS,
    CoordinateDescent,
    DualCD,
    InteriorPoint,
    Newton,
    Smoothing,
    Subgradient,
    candidates,
    newton,
)


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


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [("one", np.float64), ("one", np.float32), ("several", np.float64), ("joint", np.float64),
     ("joint", np.float32)],
)  # fmt: skip
def test_a_point_of_many_rows_is_read_once_and_a_step_from_there_too(kind, dtype, monkeypatch):
    def make(n_jobs=None):
        rng = np.random.default_rng(0)
        X = rng.normal(size=(3000, 4)).astype(dtype) + 3
        z = (X[:, 0] - 3 + rng.standard_t(2, size=3000)).astype(dtype)
        rows, s = Rows(X, center=True, n_jobs=n_jobs), np.full(3000, 1 / 3000, dtype)
        settings = {"penalty": ElasticNet(0.01), "fit_intercept": True}
        if kind == "joint":
            return ConcomitantHuberObjective(Huber(1.35), rows, z, s, **settings)
        if kind == "several":
            k = np.digitize(z, [-1.0, 1.0])
            return MulticlassObjective(CrossEntropy(), rows, k, s, n_outputs=3, **settings)
        return PointwiseObjective(Logistic(), rows, np.sign(z), s, **settings)

    def visit(objective):
        point = objective.at(np.random.default_rng(1).normal(size=objective.n_params))
        found = [point.value, point.gradient, point.gap(), point.largest_score, point.noise]
        line = point.along(-point.gradient)
        found += [line.slope(1.0), line.move(1.0).gradient]
        reads, expected = objective.rows.n_read[0] / 3000, 2 if objective.reads_once else 4
        # The scale is guessed from some rows, and slopes that it says wrongly are corrected.
        assert expected <= reads <= expected + 0.5 * (kind == "joint")
        found += [line.move(1.0).gap(), line.slope(0.3), line.move(0.3).gradient]
        return [np.asarray(part) for part in found]

    apart = visit(make())
    monkeypatch.setattr(rows_module, "_BLOCK_BYTES", 1024)
    monkeypatch.setattr(rows_module, "_FEW_ENTRIES", 0)
    assert make().reads_once
    at_once, threaded = visit(make()), []
    threaded_objective = make(n_jobs=2)
    with threaded_objective.rows.session():
        threaded = visit(threaded_objective)
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    for one, other, same in zip(apart, at_once, threaded, strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance * 1e-2)
        np.testing.assert_array_equal(other, same)


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
    """An objective whose rows are elsewhere: whatever has an entry per row raises."""

    why_no_rows = "the rows are on another machine"

    def __init__(self, inner):
        self._inner = inner

    def __getattr__(self, name):
        value = getattr(self._inner, name)
        caller = sys._getframe(1).f_globals["__name__"]
        ours = caller.startswith("sklearn_margin.objective")
        return value if ours else self._shown(name, value)

    def _shown(self, name, value):
        return guarded(value, type(self))

    def __setattr__(self, name, value):
        object.__setattr__(self if name == "_inner" else self._inner, name, value)


def guarded(value, guard=Guard):
    if isinstance(value, np.ndarray) or sp.issparse(value):
        assert max(value.shape, default=0) < LONG, f"a solver sees an array of {value.shape}"
        return value
    if isinstance(value, tuple):
        return tuple(guarded(part, guard) for part in value)
    if callable(value) and not isinstance(value, type):
        return called(value, lambda result: guarded(result, guard))
    ours = type(value).__module__.startswith("sklearn_margin.objective")
    return guard(value) if ours else value


def called(function, shown):
    """The function with arguments as they are, and what it returns ``shown``."""
    return lambda *a, **k: shown(function(*map(bare, a), **{n: bare(v) for n, v in k.items()}))


class RowGuard(Guard):
    """The same, but for what ``RowAccess`` lists."""

    why_no_rows = None

    def _shown(self, name, value):
        return opened(value) if name in ROW_ACCESS else super()._shown(name, value)


def members(protocol):
    return {n for n in {*vars(protocol), *protocol.__annotations__} if not n.startswith("_")}


ROW_ACCESS = members(RowAccess) | members(SingleRows)


def opened(value):
    """What has an entry per row as it is; objectives and rows with their guard."""
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return tuple(map(opened, value))
    if callable(value):
        return called(value, opened)
    return RowGuard(value) if isinstance(value, (Objective, Rows)) else value


def bare(value):
    return value._inner if isinstance(value, Guard) else value


CASES = [
    (Newton(), Logistic(), 0.0),
    (Newton(), CrossEntropy(), 0.0),
    (Newton(gram_max=0), Huber(), 0.0),
    (Newton(), PairwiseSquaredHinge(), 0.0),
    (CoordinateDescent(), Logistic(), 0.5),
    (CoordinateDescent(gram_max=0), Huber(), 0.0),
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


POINTS_ONLY = {"newton", "coordinate_descent", "lbfgs", "smoothing", "subgradient"}


PROBLEMS = {repr(case[1:]): case[1:] for case in [*CASES, (None, CrammerSinger(), 0.0)]}


@pytest.mark.parametrize(("loss", "l1_ratio"), PROBLEMS.values(), ids=PROBLEMS)
def test_rows_that_are_elsewhere_are_left_to_solvers_that_need_none(loss, l1_ratio):
    objective = objective_of(loss, 2 * LONG, 5, l1_ratio)
    able = {name for name, cls in SOLVERS.items() if cls().obstacle(objective) is None}
    assert able - POINTS_ONLY
    for name in able - POINTS_ONLY:
        with pytest.raises(ValueError, match=f"{Guard.why_no_rows}. Solvers that can") as error:
            candidates(name, Guard(objective))
        assert set(re.findall(r"'(\w+)'", str(error.value).partition(". ")[2])) <= POINTS_ONLY
    chosen = candidates("auto", Guard(objective))
    assert {solver.name for solver in chosen} <= POINTS_ONLY
    settings = {"tol": 1e-3, "max_iter": 100}
    assert chosen[0].solve(Guard(objective), objective.start(), **settings).converged


BY_ROW = [
    (InteriorPoint(), Hinge(), 0.5, N),  # some rows are sifted out
    (InteriorPoint(), Hinge(), 0.0, 2 * LONG),
    (InteriorPoint(), CrammerSinger(), 0.0, 2 * LONG),
    (DualCD(), Hinge(), 0.0, 2 * LONG),
    (DualCD(), CrammerSinger(), 0.0, 2 * LONG),
    (Smoothing(), CrammerSinger(), 0.0, 2 * LONG),  # ends with exact slopes
    (SGD(), Logistic(), 0.5, 2 * LONG),
    (SGD(early_stopping=True), CrossEntropy(), 0.0, 2 * LONG),
    (SGD(), PairwiseHinge(), 0.0, 2 * LONG),
]


@pytest.mark.parametrize(("solver", "loss", "l1_ratio", "n"), BY_ROW, ids=repr)
def test_solvers_by_row_ask_for_what_is_listed(solver, loss, l1_ratio, n):
    container = sp.csr_array if isinstance(solver, SGD) else np.asarray
    objective, another = (objective_of(loss, n, 5, l1_ratio, container=container) for _ in "12")
    settings = {"tol": 1e-3, "max_iter": 5}
    found = solver.solve(RowGuard(objective), objective.start(), **settings)
    plain = solver.solve(another, objective.start(), **settings)
    np.testing.assert_array_equal(found.params, plain.params)
    with pytest.raises(AssertionError, match="a solver sees an array"):
        _ = RowGuard(objective).at(objective.start())._z


@pytest.mark.parametrize("loss", [Logistic(), CrammerSinger(), PairwiseHinge()], ids=repr)
def test_what_is_listed_exists(loss):
    objective = objective_of(loss, 60, 3)
    assert all(hasattr(objective, name) for name in members(RowAccess))
    assert all(hasattr(objective.rows, name) for name in members(SingleRows))


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
    begin = newton._Run.__init__

    def noted(self, objective, *args, **settings):
        sizes.append(objective.rows.shape[0])
        begin(self, objective, *args, **settings)

    monkeypatch.setattr(newton._Run, "__init__", noted)
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
