"""What solver="auto" does when a solver fails, and what a fit prints and warns of."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from sklearn_margin import HingeClassifier, LinearClassifier, LinearRegressor, QuantileRegressor
from sklearn_margin.losses import Hinge, Logistic
from sklearn_margin.objective import PointwiseObjective, Rows
from sklearn_margin.penalties import ElasticNet
from sklearn_margin.solvers import SOLVERS, Newton, candidates, choose
from sklearn_margin.solvers.base import InTurn, Result, Solver


class Fake(Solver):
    """Ends where it is told to, after ``n_iter`` iterations that it reports."""

    name = "fake"

    def __init__(self, value=1.0, gap=0.5, n_iter=3, converged=False):
        self.value, self.gap, self.n_iter, self.converged = value, gap, n_iter, converged
        self.seen = []

    def obstacle(self, objective):
        return None

    def solve(self, objective, start, *, tol, max_iter, callback=None, **more):
        self.seen.append((start.copy(), max_iter))
        n_iter = 0
        params = np.full(2, self.value)
        while n_iter < min(self.n_iter, max_iter):
            n_iter += 1
            if callback is not None and callback(n_iter, params):
                break
        return Result(params, self.value, n_iter, self.converged, self.gap, "relative gap",
                      self.gap / self.value)  # fmt: skip


def run(*solvers, max_iter=100, tol=1e-3, callback=None, at_start=10.0):
    """``at_start`` is F at the start, all that an objective is asked for."""
    objective = SimpleNamespace(value=lambda params: at_start, feasible=lambda params: params)
    return InTurn(list(solvers)).solve(
        objective, np.zeros(2), tol=tol, max_iter=max_iter, callback=callback
    )


def test_the_next_solver_starts_where_the_first_failed():
    first, second = Fake(2.0), Fake(1.0, gap=1e-9, converged=True)
    result = run(first, second)
    np.testing.assert_array_equal(second.seen[0][0], [2.0, 2.0])
    assert (result.value, result.n_iter, result.converged) == (1.0, 6, True)


@pytest.mark.parametrize("value", [20.0, np.inf, np.nan])
def test_a_point_that_is_worse_than_the_start_leads_nowhere(value):
    second = Fake(1.0, gap=1e-9, converged=True)
    assert run(Fake(value, gap=np.inf), second).value == 1.0
    np.testing.assert_array_equal(second.seen[0][0], [0.0, 0.0])
    # Nor does one of which no more is known than rounding errors: its gap is larger than F.
    second = Fake(1.0, gap=1e-9, converged=True)
    run(Fake(1e-9, gap=0.5), second)
    np.testing.assert_array_equal(second.seen[0][0], [0.0, 0.0])
    # Nor is it what is returned, or gone on from later.
    third = Fake(30.0)
    assert run(Fake(value, gap=np.inf), Fake(2.0), third).value == 2.0
    np.testing.assert_array_equal(third.seen[0][0], [2.0, 2.0])


def test_where_no_value_is_finite_none_goes_on():
    second = Fake(1.0)
    assert run(Fake(np.nan, gap=np.inf), second, at_start=np.inf).value is np.nan
    assert second.seen == []


def test_none_goes_on_after_success_or_when_iterations_are_used_up():
    second = Fake(1.0)
    assert run(Fake(2.0, converged=True), second).value == 2.0
    assert run(Fake(2.0, n_iter=5), second, max_iter=5).n_iter == 5
    assert second.seen == []
    run(Fake(2.0, n_iter=5), second, max_iter=7)
    assert second.seen[0][1] == 2


def test_what_is_returned_is_the_best_point_and_the_best_bound():
    # The first bound of the minimum is 0.9, the second 0.7; the better value is the first.
    result = run(Fake(1.0, gap=0.1), Fake(1.2, gap=0.5))
    assert (result.value, result.gap) == (1.0, pytest.approx(0.1))
    result = run(Fake(1.2, gap=0.3 + 1e-4), Fake(0.9005, gap=0.5))
    assert result.gap == pytest.approx(0.0006)
    assert result.converged
    assert not run(Fake(1.2, gap=0.3), Fake(0.95, gap=0.5)).converged


def test_iterations_are_counted_on_and_a_callback_stops_all():
    seen = []

    def callback(n_iter, params):
        seen.append(n_iter)
        return n_iter == 4

    last = Fake(0.5)
    result = run(Fake(2.0), Fake(1.0), last, callback=callback)
    assert seen == [1, 2, 3, 4]
    assert result.n_iter == 4
    assert last.seen == []


@pytest.mark.parametrize(("rank", "place"), [(0.5, 0), (1.5, 1), (None, None)])
def test_a_solver_is_taken_where_it_ranks_itself(monkeypatch, rank, place):
    """A class and its entry in the registry are all that "auto" needs."""

    class Own(Newton):
        name = "own"

        def rank(self, objective, tol):
            return rank

    monkeypatch.setitem(SOLVERS, "own", Own)
    X = np.random.default_rng(0).normal(size=(30, 3))
    model = LinearClassifier("logistic").fit(X, X[:, 0] > 0)
    assert model.solver_ == ("own" if place == 0 else "newton")
    y, s = np.where(X[:, 0] > 0, 1.0, -1.0), np.full(30, 1 / 30)
    objective = PointwiseObjective(Logistic(), Rows(X, center=True), y, s, penalty=ElasticNet(0.1))
    names = [solver.name for solver in candidates("auto", objective)]
    assert (names.index("own") if "own" in names else None) == place


def test_auto_goes_on_to_exact_solvers_only():
    X = np.random.default_rng(0).normal(size=(30, 3))
    y, s = np.where(X[:, 0] > 0, 1.0, -1.0), np.full(30, 1 / 30)
    objective = PointwiseObjective(Hinge(), Rows(X, center=True), y, s, penalty=ElasticNet(0.1))
    names = [solver.name for solver in candidates("auto", objective)]
    assert len(names) >= 2
    assert all(SOLVERS[name].exact for name in names)
    assert choose("auto", objective).name == names[0]


def test_auto_recovers_from_a_solver_that_gives_up(monkeypatch):
    X = np.random.default_rng(0).normal(size=(40, 3))
    y = X[:, 0] > 0.3 * np.sin(9 * X[:, 1])
    expected = HingeClassifier().fit(X, y)

    def give_up(self, objective, start, **options):
        return Result(start, objective.value(start), 1, False, np.inf, "relative gap", np.inf)

    monkeypatch.setattr(SOLVERS[expected.solver_], "solve", give_up)
    model = HingeClassifier().fit(X, y)  # no warning
    assert model.solver_ != expected.solver_
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-2, atol=1e-3)
    assert model.dual_gap_ < 1e-3


# --- words ------------------------------------------------------------------------------------

X = np.random.default_rng(0).normal(size=(60, 3))
t = X @ [1.0, 2.0, 0.0] + np.random.default_rng(1).normal(size=60)

MODELS = [
    LinearClassifier("logistic", solver="newton"),
    LinearClassifier("logistic", solver="lbfgs"),
    HingeClassifier(solver="interior_point"),
    HingeClassifier(solver="dual_cd"),
    HingeClassifier(solver="smoothing"),
    HingeClassifier(solver="subgradient"),
    HingeClassifier(solver="sgd"),
    LinearRegressor("absolute", l1_ratio=0.5),
    QuantileRegressor(quantile=[0.2, 0.8]),
]


@pytest.mark.parametrize("max_iter", [1, 2, 3])
@pytest.mark.parametrize("model", MODELS, ids=str)
def test_warnings_say_numbers_that_mean_something(model, max_iter, recwarn):
    target = t if hasattr(model, "predict") and "Regressor" in type(model).__name__ else t > 0
    model.set_params(max_iter=max_iter, tol=1e-9, random_state=0).fit(X, target)
    messages = [str(w.message) for w in recwarn if w.category is ConvergenceWarning]
    assert len(messages) == 1
    assert not re.search(r"\b(nan|inf)\b", messages[0])
    assert "max_iter" in messages[0]
    assert "tol=1e-09" in messages[0]


def test_advice_that_can_help():
    """More iterations are recommended only to those who used them up."""

    class GivesUp(Fake):
        name = "gives_up"

        def __sklearn_clone__(self):
            return self

    solver = GivesUp(1.0, gap=0.5, n_iter=3)
    solver.solve = lambda objective, start, **options: Result(
        start, 1.0, 3, False, 0.5, "relative gap", 0.5
    )
    with pytest.warns(ConvergenceWarning, match="More iterations will not help") as record:
        LinearRegressor(solver=solver).fit(X, t)
    assert "relative gap 0.5, wanted tol=0.0001" in str(record[0].message)
    assert "float64" not in str(record[0].message)
    with pytest.warns(ConvergenceWarning, match="or fit in float64"):
        LinearRegressor(solver=solver).fit(X.astype(np.float32), t)


@pytest.mark.parametrize("model", MODELS[:5], ids=str)
def test_verbose_says_solver_gap_reads_and_how_it_ended(model, capsys):
    model.set_params(verbose=1, max_iter=1000, tol=1e-4).fit(X, t > 0)
    first, *lines, last = capsys.readouterr().out.splitlines()
    assert (
        first == f"[{type(model).__name__}] {type(model._loss()).__name__}, solver {model.solver}"
    )
    found = [re.search(r"iteration (\d+): ([^,]+)", line) for line in lines]
    values = [float(match[2]) for match in found]
    assert int(found[-1][1]) == model.n_iter_
    match = re.search(r"converged after (\d+) iterations: ([^,]+), relative gap ([^,]+)", last)
    assert int(match[1]) == model.n_iter_
    assert float(match[2]) <= min(values) * (1 + 1e-4)
    assert float(match[3]) == pytest.approx(model.dual_gap_ / float(match[2]), rel=0.1, abs=1e-15)
    assert "tol 0.0001" in last
    assert re.search(r"[\d.]+ reads of X, [\d.e-]+ s$", last)


def test_iterations_show_their_gap(capsys):
    X = np.random.default_rng(0).normal(size=(60, 3))
    LinearClassifier("logistic", verbose=1, alpha=0.1).fit(X, X[:, 0] > 0)
    lines = [line for line in capsys.readouterr().out.splitlines() if "iteration " in line]
    gaps = [float(re.search(r"relative gap ([\d.e-]+)", line)[1]) for line in lines[1:]]
    assert len(gaps) >= 3
    assert gaps[-1] <= 1e-4
    assert gaps[-1] < 0.1 * gaps[0]
