"""L-BFGS goes on until the gap is met, and says so where it is not."""

import numpy as np
import pytest

from sklearn_margin.losses import (
    CrossEntropy,
    Huber,
    Logistic,
    PairwiseLogistic,
    SmoothedHinge,
    Squared,
)
from sklearn_margin.losses.pointwise import BinaryLoss
from sklearn_margin.objective import Rows
from sklearn_margin.objective.multiclass import MulticlassObjective
from sklearn_margin.objective.pairwise import PairwiseObjective
from sklearn_margin.objective.pointwise import PointwiseObjective
from sklearn_margin.penalties import ElasticNet
from sklearn_margin.solvers import LBFGS, CoordinateDescent, lbfgs

KINDS = {
    "plain": lambda X: X,
    "offset": lambda X: X + 10.0 ** np.arange(1, 6),
    "scales": lambda X: X * np.geomspace(1e-3, 1e3, 5),
    "large": lambda X: 1e6 * X,
    "rank one": lambda X: np.outer(X[:, 0], [1.0, 2.0, -1.0, 0.5, 1.0]),
}


def build(loss, kind, alpha, l1_ratio, seed=0, n=25):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5))
    t = X @ [1.0, -1.0, 0.0, 0.0, 2.0] + 2 * rng.normal(size=n)
    X, s = np.ascontiguousarray(KINDS[kind](X)), np.full(n, 1 / n)
    options = {"penalty": ElasticNet(alpha, l1_ratio)}
    if isinstance(loss, PairwiseLogistic):
        y = np.digitize(t, [-1.0, 1.0]) * 1.0
        return PairwiseObjective(loss, Rows(X, center=True), y, s, None, **options)
    rows = Rows(X, center=True)
    if isinstance(loss, CrossEntropy):
        y = np.digitize(t, [-1.0, 1.0])
        return MulticlassObjective(loss, rows, y, s, n_outputs=3, fit_intercept=True, **options)
    y = np.where(t > 0.5, 1.0, -1.0) if isinstance(loss, BinaryLoss) else t
    return PointwiseObjective(loss, rows, y, s, fit_intercept=True, **options)


def solve(solver, objective, **options):
    with objective.rows.session():
        return solver.solve(objective, objective.start(), **{"max_iter": 1000, **options})


LOSSES = [Logistic(), SmoothedHinge(), Squared(), Huber(), CrossEntropy(), PairwiseLogistic()]


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("l1_ratio", "alpha"), [(1.0, 1e-6), (1.0, 1e-2), (0.3, 1e-4)])
def test_l1_is_certified(loss, kind, l1_ratio, alpha):
    objective = build(loss, kind, alpha, l1_ratio)
    run = solve(LBFGS(), objective, tol=1e-8)
    best = min(run.value, solve(CoordinateDescent(), objective, tol=1e-12).value)
    assert run.gap <= 1e-8 * run.value or not run.converged
    assert run.value - best <= run.gap + 1e-11 * best
    assert run.converged or isinstance(loss, (CrossEntropy, PairwiseLogistic))


def test_a_failed_line_search_is_not_convergence(monkeypatch):
    """Scipy gives up at once, far from the minimum."""
    found = lbfgs.minimize

    def gives_up(function, x, **options):
        result = found(function, x, **{**options, "options": {"maxiter": 2}})
        result.status = 2
        return result

    monkeypatch.setattr(lbfgs, "minimize", gives_up)
    objective = build(Logistic(), "plain", 1e-3, 1.0)
    monkeypatch.setattr(lbfgs, "_finish", lambda objective, best, *args: best.result(2, False, ""))
    run = solve(LBFGS(), objective, tol=1e-6)
    assert not run.converged
    monkeypatch.undo()
    monkeypatch.setattr(lbfgs, "minimize", gives_up)
    run = solve(LBFGS(), objective, tol=1e-6)
    assert run.converged
    assert run.gap <= 1e-6 * run.value


@pytest.mark.parametrize("max_iter", [1, 2, 5, 40])
def test_callbacks_and_iterations_end_at_max_iter(max_iter):
    objective, calls = build(Logistic(), "scales", 1e-6, 1.0), []
    run = solve(LBFGS(), objective, tol=1e-14, max_iter=max_iter,
                callback=lambda n_iter, params: calls.append((n_iter, params.copy())))  # fmt: skip
    assert run.n_iter <= max_iter
    assert [n_iter for n_iter, _ in calls] == list(range(1, len(calls) + 1))
    assert len(calls) <= max_iter
