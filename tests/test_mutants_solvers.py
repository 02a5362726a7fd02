"""Parts of solvers by themselves, where a fit as a whole would hide a slip.

Like those of ``test_mutants``, each kills changes of the source that the rest of the suite let
pass: a solver with a certificate corrects many a mistake, and only takes longer.
"""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import approx_fprime

from sklearn_margin._validation import normalize_weights
from sklearn_margin.losses import Absolute, CrammerSinger, Hinge, Logistic, WestonWatkins
from sklearn_margin.objective import MulticlassObjective, PointwiseObjective, Rows
from sklearn_margin.penalties import ElasticNet
from sklearn_margin.solvers import (
    SGD,
    CoordinateDescent,
    InteriorPoint,
    Newton,
    Smoothing,
    _newton_directions,
    _sifting,
)
from sklearn_margin.solvers._central_path import _longest, initial_point
from sklearn_margin.solvers._face_model import _curved_search
from sklearn_margin.solvers._hinge_dual import HingeDual, _balanced
from sklearn_margin.solvers._hinge_gap import HingeGap, _independent, _length
from sklearn_margin.solvers._hinges import hinge_terms
from sklearn_margin.solvers._newton_directions import Cholesky, ConjugateGradients
from sklearn_margin.solvers._sifting import _Sides, sift
from sklearn_margin.solvers.base import (
    InTurn,
    Iterate,
    Result,
    Solver,
    conjugate_gradients,
    enough,
)
from sklearn_margin.solvers.coordinate_descent import _without_rounding
from sklearn_margin.solvers.interior_point import _model
from sklearn_margin.solvers.lbfgs import _Plain, _Split
from sklearn_margin.solvers.multiclass_dual import ClassDual
from sklearn_margin.solvers.sgd import stream

CONTAINERS = [np.asarray, sp.csr_array]


def problem(loss, alpha=0.1, l1_ratio=0.0, fit_intercept=True, container=np.asarray, n=40, unit=1):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 3)) * [1.0, 3.0, 0.2] * (rng.random((n, 3)) < 0.8)
    t = X @ [1.0, -0.3, 2.0] + rng.normal(size=n) + 0.3
    y = unit * t if isinstance(loss, Absolute) else np.sign(t)
    s = normalize_weights(rng.uniform(0.5, 2.0, n), n, X.dtype)
    return PointwiseObjective(loss, Rows(container(X), center=fit_intercept), y, s,
        penalty=ElasticNet(alpha, l1_ratio), fit_intercept=fit_intercept)  # fmt: skip


def classes(loss, fit_intercept=True, container=np.asarray, n=40, k=5):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(n, 6)) * (rng.random((n, 6)) < 0.9)
    y = (X @ rng.normal(size=(6, k)) + rng.gumbel(size=(n, k))).argmax(axis=1)
    y[:k] = np.arange(k)
    s = normalize_weights(rng.uniform(0.5, 2.0, n), n, X.dtype)
    return MulticlassObjective(loss, Rows(container(X), center=fit_intercept), y, s, n_outputs=k,
                               penalty=ElasticNet(0.1), fit_intercept=fit_intercept)  # fmt: skip


# --- steps and directions -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tol", "value", "floor", "expected"),
    [(1e-3, 2.0, 1e-9, 2e-3), (1e-3, 5e-7, 1e-9, 1e-9), (1e-3, 0.9e-6, 1e-7, 1e-7),
     (1e-9, 1.1e-6, 1e-9, 1.1e-15), (0.0, 1.0, 0.0, 1e-300)],
)  # fmt: skip
def test_what_is_enough(tol, value, floor, expected):
    assert enough(tol, value, floor) == pytest.approx(expected, rel=1e-12, abs=0)


def test_conjugate_gradients_solve_stop_and_count():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(8, 8))
    A, b = A @ A.T + np.eye(8), rng.normal(size=8)
    settings = {"least": 1e-10, "most": 50}
    p, n = conjugate_gradients(lambda v: A @ v, lambda v: v, b, 1e30, **settings)
    assert n <= 9
    np.testing.assert_allclose(A @ p, b, rtol=1e-6, atol=1e-8)
    inverse = np.linalg.inv(A)
    p, n = conjugate_gradients(lambda v: A @ v, lambda v: inverse @ v, b, 1e30, **settings)
    assert n == 1
    np.testing.assert_allclose(A @ p, b, rtol=1e-9)
    # Far from the optimum a tenth will do; not less than the rounding error; not too often.
    p, n = conjugate_gradients(lambda v: A @ v, lambda v: v, b, 1e-30, **settings)
    assert 1e-3 < np.linalg.norm(A @ p - b) / np.linalg.norm(b) <= 0.11
    few = conjugate_gradients(lambda v: A @ v, lambda v: v, b, 1e30, noise=0.5, **settings)
    assert np.linalg.norm(A @ few[0] - b) <= 0.5
    assert few[1] < 8
    assert conjugate_gradients(lambda v: A @ v, lambda v: v, b, 1e30, least=0.0, most=2)[1] == 2
    # Along directions without curvature it goes no further.
    p, n = conjugate_gradients(lambda v: 0 * v, lambda v: v, b, 1.0, **settings)
    assert n == 1
    np.testing.assert_array_equal(p, b)


@pytest.mark.parametrize(("decrement", "step", "again"), [(0.1, 0.4, True), (0.11, 0.4, False),
                                                           (0.05, 0.3, False)])  # fmt: skip
def test_a_factor_serves_while_it_cuts_the_decrement(decrement, step, again, monkeypatch):
    objective = problem(Logistic())
    system, point = Cholesky(), objective.at(np.zeros(4))
    system(point, False, None)()
    system.note(1.0, 1.0)
    assert not system.reuse  # of a problem so tiny another one is cheap
    monkeypatch.setattr(_newton_directions, "forming_is_cheap", lambda objective: False)
    system(point, False, None)()
    assert not system.stale
    system.note(1.0, 1.0)
    assert system.reuse
    fresh = system.factor
    direction = system(point, False, None)()
    assert system.stale
    assert system.factor is fresh
    point.find_curvature()
    np.testing.assert_allclose(point.hessian() @ direction, -point.gradient, rtol=1e-9)
    system.note(decrement, step)
    assert system.reuse is again
    assert system.decrement == decrement
    system(point, True, None)()  # caution asks for a new one
    assert not system.stale


@pytest.mark.parametrize(("decrement", "step", "kept"), [(0.3, 0.4, True), (0.31, 1.0, False),
                                                          (0.1, 0.3, False)])  # fmt: skip
def test_a_sample_serves_while_it_cuts_the_decrement(decrement, step, kept):
    system = ConjugateGradients()
    system.part = problem(Logistic())
    system.note(1.0, 1.0)
    assert system.part is not None
    system.note(decrement, step)
    assert (system.part is not None) is kept


@pytest.mark.parametrize("l1_ratio", [0.0, 0.6])
def test_the_problem_that_scipy_sees(l1_ratio):
    objective = problem(Logistic(), 0.3, l1_ratio)
    seen = (_Split if l1_ratio else _Plain)(objective)
    params = np.array([0.5, -1.0, 0.2, 0.3])
    v = seen.encode(params)
    np.testing.assert_allclose(seen.decode(v), params, rtol=1e-14)
    assert seen.value_gradient(v)[0] == pytest.approx(objective.value(params), rel=1e-14)
    v = v + np.random.default_rng(0).uniform(0.1, 0.5, len(v))  # both parts of a coefficient
    _, gradient = seen.value_gradient(v)
    slope = approx_fprime(v, lambda w: seen.value_gradient(w)[0], 1e-7)
    np.testing.assert_allclose(gradient, slope, atol=1e-5)
    if l1_ratio:
        assert seen.bounds.lb.tolist() == [0.0] * 6 + [-np.inf]
        assert seen.bounds.ub.tolist() == [np.inf] * 7
        at = np.array([0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 5.0])
        assert seen.projected_norm(at, np.array([9.0, -1, 2, 0, 0, -3, 1])) == 3
        assert seen.projected_norm(at, np.array([9.0, -4, 2, 0, 0, -3, 1])) == 4
        assert seen.projected_norm(at, np.array([9.0, 1, 2, 0, 0, -3, -8])) == 8
    else:
        assert seen.projected_norm(v, np.array([1.0, -3.0, 2.0, 0.0])) == 3


@pytest.mark.parametrize(
    ("width", "excess", "last", "factor"),
    [(1.0, 0.4, None, 0.1), (1.0, 4e-3, None, 0.1), (1.0, 1e-4, None, 0.5),
     (1.0, 1.6e-3, None, 0.15811388), (0.1, 1.6e-3, (1.0, 1.6e-2), 0.1),
     (0.1, 1.6e-4, (1.0, 1.6e-2), 0.5), (0.1, 1e-3, (1.0, 1e-4), 0.2)],
)  # fmt: skip
def test_the_next_width(width, excess, last, factor):
    """The excess is taken to fall by a power of the width from 1 to 2, as it did."""
    assert Smoothing()._next_width(width, excess, last, 1e-4) == pytest.approx(
        width * factor, rel=1e-6
    )


# --- solvers in turn --------------------------------------------------------------------------


class Told(Solver):
    """Returns what it was told to, and notes what it was asked for."""

    def __init__(self, name, **result):
        self.name, self.result, self.asked = name, result, None

    def solve(self, objective, start, *, tol, max_iter, callback=None, **more):
        self.asked = float(start[0]), max_iter
        if callback is not None:
            callback(1, start)
        return Result(np.ones(1), **self.result)


def at_start(value):
    """An objective of which F at the start is all that is asked for."""
    return SimpleNamespace(value=lambda params: value, feasible=lambda params: params)


def test_the_next_solver_begins_where_the_last_failed():
    first = Told("a", value=4.0, n_iter=3, converged=False, gap=1.5)
    second = Told("b", value=5.0, n_iter=4, converged=False, gap=1.0)
    third = Told("c", value=9.0, n_iter=1, converged=False, gap=9.0)
    seen = []

    def callback(n_iter, params):
        seen.append(n_iter)
        return False

    turn = InTurn([first, second, third])
    run = turn.solve(at_start(10.0), np.zeros(1), tol=1e-3, max_iter=20, callback=callback)
    assert (first.asked, second.asked, third.asked) == ((0.0, 20), (1.0, 17), (1.0, 13))
    assert (run.value, run.n_iter, run.solver) == (4.0, 8, "a")
    assert run.gap == 0.0  # min F ≥ 5 − 1, by the second
    assert run.converged
    assert run.reached == 0.0
    assert seen == [1, 4, 8]
    assert turn.name == "a"


@pytest.mark.parametrize("why", ["converged", "stopped", "max_iter", "value"])
def test_no_other_solver_is_tried_where_one_ended_for_a_reason(why):
    value = np.inf if why == "value" else 1.0
    first = Told("a", value=value, n_iter=5, converged=why == "converged", gap=None)
    second = Told("b", value=0.5, n_iter=1, converged=True, gap=0.0)
    InTurn([first, second]).solve(
        at_start(value), np.zeros(1), tol=1e-3, max_iter=5 if why == "max_iter" else 6,
        callback=(lambda *_: why == "stopped"),
    )  # fmt: skip
    assert second.asked is None


def test_what_an_iterate_reports():
    run = Iterate(np.zeros(1), 4.0, None, 0.5).result(3, np.True_, "estimate")
    assert (run.gap, run.measure, run.reached, run.converged) == (None, "estimate", 0.125, True)
    assert Iterate(np.zeros(1), 4.0, 0.5, 0.5).result(3, False, "estimate").measure != "estimate"


# --- coordinate descent and smoothing ---------------------------------------------------------


def test_coefficients_that_are_rounding_error_become_zero():
    objective = problem(Logistic(), l1_ratio=0.5)
    eps = np.finfo(float).eps
    params = np.array([3.9 * eps, -4.1 * eps, 1.0, 1e-20])
    kept = _without_rounding(objective, params, 1.0)
    np.testing.assert_array_equal(kept, [0.0, -4.1 * eps, 1.0, 1e-20])
    ridge = problem(Logistic())
    np.testing.assert_array_equal(_without_rounding(ridge, params, 1.0), params)


def test_a_curved_search_halves_its_steps():
    objective = problem(Logistic())
    point = objective.at(np.zeros(4))
    tried = []

    def path(step):
        tried.append(step)
        return -8.0 * step * point.gradient * (100 if step > 0.3 else 1)

    found = _curved_search(point, path, point.gradient)
    assert tried[:2] == [1.0, 0.5]
    assert found.value < point.value
    np.testing.assert_array_equal(found.params, path(tried[-1]))
    uphill = _curved_search(point, lambda step: step * point.gradient, point.gradient)
    assert uphill is None or uphill.value <= point.value * (1 + 1e-12)


def test_an_l1_penalty_is_descended_alike_by_matrix_and_by_products():
    objective = problem(Logistic(), 0.05, 0.9)
    runs = [
        CoordinateDescent(gram_max=most).minimize(objective, objective.start(), 1e-10, 100)
        for most in (1000, 0)
    ]
    assert all(run.converged for run in runs)
    np.testing.assert_allclose(runs[0].params, runs[1].params, atol=1e-5)
    assert (runs[0].params[:3] == 0).any()
    assert max(run.n_iter for run in runs) <= 12


def test_smoothing_goes_down_with_the_width_in_few_steps():
    objective = problem(Hinge(), n=200)
    run = Smoothing().solve(objective, objective.start(), tol=1e-5, max_iter=500)
    assert run.converged
    assert run.gap <= 1e-5 * run.value
    assert run.n_iter <= 60


# --- interior point ---------------------------------------------------------------------------


def test_the_longest_step_ends_at_the_first_bound():
    v = np.array([1.0, 2.0, 4.0])
    assert _longest(v, np.array([-0.5, -4.0, 1.0])) == 0.5
    assert _longest(v, np.array([0.5, 0.0, 1.0])) == np.inf


def test_a_path_begins_inside_and_in_the_units_of_the_data():
    for unit in (1.0, 1e6):
        objective = problem(Absolute(), unit=unit)
        model = _model(objective)
        point = initial_point(model, objective.start())
        assert (np.minimum(point.p, point.q) > 0).all()
        np.testing.assert_allclose(point.p - point.q, point.e, atol=1e-9 * unit)
        assert 0.1 <= point.t.min() <= point.t.max() <= 0.9
        far = np.abs(model.by_hinge(point.e))
        spread = np.average(far, weights=model.by_hinge(model.width))
        hinges = model.by_hinge(np.minimum(point.p, point.q) / model.distance)
        np.testing.assert_allclose(hinges, 2 * spread, rtol=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 1e-3])
def test_a_path_is_as_long_in_other_units(alpha):
    runs = []
    for unit in (1.0, 2.0**20):
        objective = problem(Absolute(), alpha * unit**-1, unit=unit)
        start = np.zeros(objective.n_params)
        runs.append(InteriorPoint().solve(objective, start, tol=1e-9, max_iter=60))
    assert all(run.converged for run in runs)
    assert runs[0].n_iter == runs[1].n_iter <= 14
    assert runs[1].value == pytest.approx(2.0**20 * runs[0].value, rel=1e-8)


def test_rows_that_prove_to_be_on_the_other_side_join_the_band(monkeypatch):
    objective = problem(Absolute(), n=3000)
    best = InteriorPoint(band=0).solve(objective, objective.start(), tol=1e-9, max_iter=60)
    error = np.where(np.random.default_rng(0).random(3000) < 0.3, 0.003, 0.02)
    solved, follow = [], _sifting.follow_path
    start = np.add(best.params, [0.0, 0.0, 0.0, 0.02])

    def counted(model, *arguments, **options):
        solved.append(len(model.kink))
        return follow(model, *arguments, **options)

    monkeypatch.setattr(_Sides, "approach", lambda self, band: error)
    monkeypatch.setattr(_sifting, "follow_path", counted)
    found, n_iter, _ = sift(objective, start, 1e-6, 60, None, 2.0)
    assert len(solved) == 2
    assert 50 < solved[0] < solved[1] < 300
    assert found.gap <= 1e-6 * found.value
    assert found.value == pytest.approx(best.value, rel=1e-6)
    assert found.value == pytest.approx(objective.value(found.params), rel=1e-12)
    assert found.value - found.gap <= best.value
    assert found.n_iter == n_iter > 5
    # A band that is wide is no use.
    assert sift(objective, start, 1e-6, 60, None, 500.0)[0] is None


def test_steps_lead_to_the_minimum_of_all_rows():
    """With and without an L1 penalty; and sums over rows follow those that change sides."""
    for penalty in (0.0, 1.0):
        objective = problem(Absolute(), 1e-2, n=3000).penalized(ElasticNet(1e-2, penalty))
        best = InteriorPoint(band=0).solve(objective, objective.start(), tol=1e-9, max_iter=60)
        sides = _Sides(objective)
        sides.look(np.array(best.params) + 0.1)
        error = sides.approach(4.0)
        far = np.abs(objective.scores(sides.x - best.params))
        assert np.all(far <= 4.0 * error)
        assert np.median(error) < 0.03
        slopes = np.where(sides.e > 0, sides.high, sides.low).sum(axis=0)
        np.testing.assert_allclose(sides.gradient, objective.loss_gradient(slopes), atol=1e-12)


# --- gaps of hinges ---------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1.0, 1e-5])
def test_length_of_the_shortest_change(scale):
    """√(vᵀ(BᵀB)⁻¹v), and more where v is uncertain."""
    rng = np.random.default_rng(0)
    B, v = rng.normal(size=(12, 3)) * [1.0, scale, 1 / scale], rng.normal(size=3)
    exact = np.sqrt(v @ np.linalg.solve(B.T @ B, v))
    assert _length(B, v, np.zeros(3)) == pytest.approx(exact, rel=1e-9)
    corners = [np.array(c) for c in np.ndindex(2, 2, 2)]
    error = 0.1 * np.abs(v)
    worst = max(
        np.sqrt(w @ np.linalg.solve(B.T @ B, w)) for w in (v + (2 * c - 1) * error for c in corners)
    )
    assert worst <= _length(B, v, error) <= 3 * worst
    assert _length(B[:2], v, error) == np.inf
    assert _length(B * [1.0, 0.0, 1.0], v, error) == np.inf
    assert _length(B[:, [0, 0, 2]], v, error) > 1e6
    assert _length(B[:, :0], v[:0], error[:0]) == 0.0


def test_columns_in_the_span_of_others_are_left_out():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(10, 4)) * [1.0, 1e3, 1e-3, 1.0]
    A = np.column_stack([A, A[:, 0] - 1e-3 * A[:, 1], np.zeros(10)])
    free = np.zeros(6, bool)
    keep = _independent(A, free)
    assert keep.sum() == 4
    assert not keep[5]
    assert keep[2]
    assert keep[3]
    bounded = np.array([False, False, False, False, True, True])
    assert _independent(A, bounded)[4:].all()


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("alpha", [1e-9, 0.1])
@pytest.mark.parametrize("loss", [Hinge(), Absolute()], ids=repr)
def test_slopes_prove_no_more_than_is_true(loss, alpha, l1_ratio):
    """At points of any kind, and nearly all of it at the optimum."""
    objective = problem(loss, alpha, l1_ratio)
    best = InteriorPoint(band=0).solve(objective, objective.start(), tol=1e-10, max_iter=100)
    assert best.converged
    kink, low, high = (np.array(v) for v in zip(*hinge_terms(objective), strict=True))
    certificate = HingeGap(objective, objective.rows, kink, low, high)
    rng = np.random.default_rng(0)
    for distance in (0.0, 1e-3, 1.0):
        for share in (0.5, 0.0, 1.0):
            x = best.params + distance * rng.normal(size=4)
            e = objective.scores(x) - kink
            slope = np.where(e > 0, high, low)
            t = slope + share * rng.random(e.shape) * (0.5 * (low + high) - slope)
            projected = objective.join(*objective.rows.backproject(t.sum(axis=0)))
            bound = certificate.at(x, e, t - low, high - t, projected, np.inf)
            assert bound.value == pytest.approx(objective.value(x), rel=1e-12)
            assert bound.lower <= best.value + 1e-14
            assert bound.lower >= 0  # hinges are not negative
            assert 0 <= bound.noise <= 1e-10
    # Where no feature says anything, the intercept alone makes F what it is.
    for b in (-1e3, -10.0, 10.0, 1e3):
        far = certificate.farthest_intercept(objective.value(np.array([0.0, 0.0, 0.0, b])))
        assert far >= abs(b)


# --- dual coordinate descent ------------------------------------------------------------------


def test_slopes_are_balanced_within_their_bounds():
    rng = np.random.default_rng(0)
    low, high = np.full((1, 30), -1.0), np.zeros((1, 30))
    for _ in range(20):
        t = np.clip(rng.normal(-0.5, 0.6, (1, 30)), low, high)
        low2, high2 = low + 0.4, high + 0.4
        new = _balanced(t + 0.4, low2, high2)
        assert ((new >= low2) & (new <= high2)).all()
        assert new.sum() == pytest.approx(0, abs=1e-12)
        held = (t == low) | (t == high)
        if abs((t + 0.4).sum()) < 0.1:
            np.testing.assert_array_equal(new[held], (t + 0.4)[held])


def unsettled(dual):
    """Rows to go on with, and those of them whose slopes are within their bounds."""
    inside = (dual.slopes > dual.arrays.low) & (dual.slopes < dual.arrays.high)
    return dual.unsettled(dual.certify(), np.arange(40)), np.flatnonzero(inside.any(axis=0))


@pytest.mark.compiled
@pytest.mark.parametrize("container", CONTAINERS, ids=["dense", "csr"])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("loss", [Hinge(), Absolute()], ids=repr)
def test_epochs_of_hinges_come_to_rest_and_leave_settled_rows_out(loss, fit_intercept, container):
    objective = problem(loss, 0.3, fit_intercept=fit_intercept, container=container)
    # A seed with which moves that are next to nothing would once be made a thousand times as long.
    dual, rng = HingeDual(objective, objective.start()), np.random.RandomState(35)
    part = dual.part(np.arange(40))
    for _ in range(3000):
        part, off = dual.epoch(part, rng, False)
        # Slopes are at rest long before the multiplier where that moves slowly.
        if off < 1e-11 and not (fit_intercept and abs(dual.total) > 1e-9):
            break
    assert off < 1e-10  # no row with its slope at a bound counts as off
    dual.store(part)
    bound = (dual.slopes <= dual.arrays.low) | (dual.slopes >= dual.arrays.high)
    assert 5 < bound.all(axis=0).sum() < 40
    exact = InteriorPoint().solve(objective, objective.start(), tol=1e-10, max_iter=100)
    certificate = dual.certify()
    assert certificate.value == pytest.approx(exact.value, rel=1e-7)
    assert certificate.lower == pytest.approx(exact.value, rel=1e-7)
    # From next to it: a pass that finds nothing to do has no measure of what is far from a kink.
    dual.slopes *= 0.999
    dual.refresh()
    part = dual.part(np.arange(40))
    for k in range(5):
        part, _ = dual.epoch(part, rng, True)
        if k == 1:
            dual.store(part)
            left, inside = unsettled(dual)
    settled = np.setdiff1d(np.arange(40), part.index[part.active])
    assert bound.all(axis=0)[settled].all()
    assert len(settled) >= 10
    assert set(inside) <= set(left)
    assert len(left) < 40


@pytest.mark.parametrize("container", CONTAINERS, ids=["dense", "csr"])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("loss", [CrammerSinger(0.8), WestonWatkins(0.8)],
                         ids=["crammer_singer", "weston_watkins"])  # fmt: skip
def test_epochs_of_classes_keep_their_coefficients_and_come_to_rest(loss, fit_intercept, container):
    objective = classes(loss, fit_intercept, container)
    dual, rng = ClassDual(objective, objective.start()), np.random.RandomState(0)
    part = dual.part(np.arange(40))
    X = objective.rows.X.toarray() if objective.rows.is_sparse else objective.rows.X - dual.shift
    for done in range(600):
        part, off = dual.epoch(part, rng, False)
        if done < 3:  # W = −gᵀX/alpha as it is kept up to date
            W = -part.slopes.T @ X / 0.1
            np.testing.assert_allclose(dual.coef.T if objective.rows.is_sparse else dual.coef, W,
                                       atol=1e-10)  # fmt: skip
            np.testing.assert_allclose(dual.total, part.slopes.sum(axis=0), atol=1e-12)
        if off < 1e-6:
            break
    assert off < 1e-5
    dual.store(part)
    if fit_intercept:
        g, found = dual.balanced()
        assert found
        assert np.abs(g.sum(axis=0)).max() <= 1e-12 * np.abs(g).sum()
    certificate = dual.certify()
    assert certificate.gap <= 1e-5 * certificate.value
    assert certificate.value == pytest.approx(objective.value(certificate.params), rel=1e-12)
    again = dual.certify_at(certificate.params)
    assert again.value == pytest.approx(certificate.value, rel=1e-9)
    left = dual.unsettled(certificate, np.arange(40))
    np.testing.assert_array_equal(left, np.flatnonzero(certificate.by_row >= -dual.threshold))
    assert 0 < len(left) < 40


# --- streams ----------------------------------------------------------------------------------


def streamed(objective, order, every):
    """A pass with learned steps as its documentation has it, in raw coordinates."""
    X = objective.rows.X.toarray() if objective.rows.is_sparse else objective.rows.X
    n, d = X.shape
    entries = (X != 0).sum() / n if objective.rows.is_sparse else d
    p, average, origin = np.zeros(d + 1), np.zeros(d + 1), np.zeros(d + 1)
    squares, sizes, reach = np.zeros((3, d + 1))
    mean = seen = averaged = since = 0
    penalty = objective.penalty.in_coordinates(np.ones(d))
    l2, l1 = penalty.l2[0], penalty.l1[0]

    def length(floor):
        with np.errstate(all="ignore"):
            step = np.maximum(reach, floor * np.sqrt(sizes / squares)) / np.sqrt(squares)
        return np.where(squares > 0, step, 0.0)

    for count, i in enumerate(order):
        row = np.append(X[i], 1.0)
        margin = objective.y[i] * (row @ p)
        weight = objective.s[i] * n
        a = -weight * objective.y[i] / (1 + np.exp(margin))
        seen += 1
        mean += (weight * np.log1p(np.exp(-margin)) / abs(a) - mean) / seen
        floor, g = 0.3 * mean / (entries + 1), a * row
        known, moved = squares > 0, g != 0
        squares[moved] += g[moved] ** 2
        sizes[moved] += a * a
        p = np.where(known & moved, p - length(floor) * g, p)
        reach = np.where(known & moved, np.maximum(reach, np.abs(p - origin)), reach)
        since += 1
        if since == every or count == n - 1:
            step = since * length(floor)[:d]
            size = np.maximum(np.abs(p[:d]) - step * l1, 0.0) / (1 + step * l2)
            p[:d] = np.where(step > 0, np.sign(p[:d]) * size, p[:d])
            averaged, since = averaged + 1, 0
            average += (p - average) * 2 / (averaged + 1)
    return p, average, np.array([origin, squares, sizes, reach]), [mean, seen, averaged]


@pytest.mark.parametrize("container", CONTAINERS, ids=["dense", "csr"])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
def test_a_stream_is_what_its_documentation_says(l1_ratio, container):
    objective = problem(Logistic(), 0.05, l1_ratio, container=container)
    state = stream(SGD(), objective, None, objective.start(), np.random.RandomState(3))
    order = objective.draw(np.random.RandomState(3))[0]
    density = objective.rows.X.nnz / 40 if objective.rows.is_sparse else 3
    every = int(np.clip(3 / max(1.0, density), 1, 10))
    params, average, memory, counts = streamed(objective, order, every)
    np.testing.assert_allclose(state.params, params, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(state.average, average, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(state.memory, memory, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(state.counts, counts, rtol=1e-10)
    # Another pass goes on from there, and leaves the state it was given alone.
    before = state.params.copy()
    further = stream(SGD(), objective, state, objective.start(), np.random.RandomState(4))
    np.testing.assert_array_equal(state.params, before)
    assert further.counts[1] == 80


def test_bands_hold_rare_features_and_collapsed_scores_are_handed_over():
    """A dummy of 12 rows is solved with all of them; a rare class without a signal, whose scores
    are all next to a kink, ends at the first step."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 3))
    X[:, 2] = np.arange(4000) < 12
    rows, s = Rows(X, center=True), np.full(4000, 1 / 4000)
    y = X @ [1.0, -1.0, 5.0] + rng.standard_t(3, size=4000)
    objective = PointwiseObjective(
        Absolute(), rows, y, s, penalty=ElasticNet(0.0), fit_intercept=True
    )
    found, _, _ = sift(objective, objective.start(), 1e-9, 60, None, 4.0)
    best = InteriorPoint(band=0).solve(objective, objective.start(), tol=1e-11, max_iter=60)
    assert found.gap <= 1e-9 * found.value
    assert found.value == pytest.approx(best.value, rel=1e-9)
    rare = np.where(rng.random(4000) < 0.01, 1.0, -1.0)
    objective = PointwiseObjective(
        Hinge(), rows, rare, s, penalty=ElasticNet(1e-4), fit_intercept=True
    )
    found, n_iter, params = sift(objective, objective.start(), 1e-4, 60, None, 4.0)
    assert found is None
    assert n_iter < 20
    assert objective.value(params) <= objective.value(objective.start())


def test_steps_without_a_gap_are_not_judged_by_one():
    objective = problem(Logistic(), alpha=0.0, n=400)
    result = Newton().solve(objective, objective.start(), tol=1e-12, max_iter=50)
    assert result.converged
    assert result.gap is None
