"""Certificates from the rows of a sample."""

import numpy as np
import pytest

from sklearn_margin.losses import CrossEntropy, Logistic
from sklearn_margin.objective import PointwiseObjective, Rows
from sklearn_margin.objective.multiclass import MulticlassObjective
from sklearn_margin.objective.sample_gap import sample_gap
from sklearn_margin.penalties import ElasticNet
from sklearn_margin.solvers import Newton


def make(k, l1_ratio=0.0, n=300, d=3):
    rng = np.random.default_rng(k)
    X = rng.standard_normal((n, d)) + 2.0
    y = np.argmax(X @ rng.standard_normal((d, k)) + rng.gumbel(size=(n, k)), axis=1)
    s = rng.exponential(size=n)
    settings = {"penalty": ElasticNet(1e-3, l1_ratio), "fit_intercept": True}
    rows, s = Rows(X, center=True), s / s.sum()
    if k == 2:
        return PointwiseObjective(Logistic(), rows, 2.0 * y - 1.0, s, **settings)
    return MulticlassObjective(CrossEntropy(), rows, y, s, n_outputs=k, **settings)


@pytest.mark.parametrize("k", [2, 4])
def test_it_bounds_the_error_and_is_nearer_than_the_gap_of_the_slopes(k):
    objective = make(k)
    sample = objective.take(np.arange(0, 300, 3))
    best = Newton().minimize(objective, objective.start(), 1e-12, 100, polish=True)
    rng, known = np.random.default_rng(0), 0
    for size in (1e-3, 1e-2, 1e-1, 1.0):
        point = objective.at(best.params + size * rng.standard_normal(objective.n_params))
        for where in (point.params, best.params):  # where the Hessian of the sample is that of
            part = sample.at(where)
            part.find_curvature()
            p = np.linalg.lstsq(part.hessian(), -point.gradient, rcond=None)[0]
            for direction in (p, 0.9 * p, np.zeros_like(p)):
                gap = sample_gap(point, part, direction)
                known += gap < np.inf
                assert gap >= (point.value - best.value) * (1 - 1e-9)
            if size <= 1e-2:
                assert sample_gap(point, part, p) < 0.2 * point.gap()
    assert known >= 8


def test_an_approximate_hessian_is_exact_where_all_rows_are_curved_alike():
    objective = make(4)
    point = objective.at(np.zeros(objective.n_params))
    point.find_curvature()
    solve = objective.approximate_hessian(point.curvature).inverse(objective, point.curvature)
    v = objective.anchored(np.random.default_rng(0).standard_normal(objective.n_params))
    found = objective.anchored(solve(point.hessian_product(v)))  # equal shifts change nothing
    np.testing.assert_allclose(found, v, rtol=1e-6, atol=1e-9)
