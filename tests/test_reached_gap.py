"""Certificates from the rows of a sample, of losses whose slopes have ends."""

import numpy as np
import pytest

from sklearn_margin._linalg import factorized
from sklearn_margin.losses import Huber, Logistic, SquaredHinge
from sklearn_margin.objective import ConcomitantHuberObjective, PointwiseObjective, Rows
from sklearn_margin.objective.reached_gap import reached_gap
from sklearn_margin.penalties import ElasticNet
from sklearn_margin.solvers import CoordinateDescent, Newton

LOSSES = {
    "joint": (ConcomitantHuberObjective, Huber(1.35)),
    "Huber": (PointwiseObjective, Huber(0.5)),
    "Logistic": (PointwiseObjective, Logistic()),
    "SquaredHinge": (PointwiseObjective, SquaredHinge()),
}


def make(name, l1_ratio=0.0, n=300, d=3):
    kind, loss = LOSSES[name]
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d)) + 2.0
    y = X @ rng.standard_normal(d) + 0.5 * rng.standard_t(2, n)
    y = y if "uber" in repr(loss) else np.sign(y - np.median(y))
    s = rng.exponential(size=n)
    s[::7] = 0.0
    objective = kind(
        loss, Rows(X, center=True), y, s / s.sum(),
        penalty=ElasticNet(1e-3, l1_ratio), fit_intercept=True,
    )  # fmt: skip
    return objective.with_offset(rng.standard_normal(n))


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
@pytest.mark.parametrize("name", LOSSES)
def test_it_bounds_the_error_and_is_nearer_than_the_gap_of_the_slopes(name, l1_ratio):
    objective = make(name, l1_ratio)
    sample = objective.take(np.arange(0, 300, 3))
    solver = CoordinateDescent() if l1_ratio else Newton()
    best = solver.solve(objective, objective.start(), tol=1e-13, max_iter=200)
    rng, nearer = np.random.default_rng(0), 0
    for size in (1e-4, 1e-3, 1e-2, 1e-1, 1.0):
        point = objective.at(best.params + size * rng.standard_normal(objective.n_params))
        for where in (point.params, best.params):  # where the Hessian of the sample is that of
            part = sample.at(where)
            part.find_curvature()
            solve = factorized(part.hessian())
            error = point.value - best.value
            for direction in (solve, lambda v, solve=solve: 0.7 * solve(v), np.zeros_like):
                gap = reached_gap(point, part, direction)
                assert gap >= error * (1 - 1e-9) - 1e-15
            if size <= 1e-2:
                gap = reached_gap(point, part, solve)
                nearer += gap < 0.2 * point.gap()
    assert nearer >= 4
