"""Which samples of the rows are solved first."""

import numpy as np
import pytest

from sklearn_margin.losses import Dice, Logistic
from sklearn_margin.objective import PointwiseObjective, Rows
from sklearn_margin.penalties import ElasticNet
from sklearn_margin.solvers import _samples


def objective_of(loss, n=30_000, d=5):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(n, d)), rng.choice([-1.0, 1.0], n)
    s = np.full(n, 1.0 / n)
    rows, penalty = Rows(X, center=True), ElasticNet(0.1)
    return PointwiseObjective(loss, rows, y, s, penalty=penalty, fit_intercept=True)


def sizes(stages):
    return [part.rows.shape[0] for part, _ in stages]


def test_samples_are_of_samples_and_as_accurate_as_they_can_be(monkeypatch):
    monkeypatch.setattr(_samples, "SMALL", 10_000)
    objective = objective_of(Logistic())
    cold, warm = np.zeros(6), np.full(6, 0.1)
    found = _samples.stages(objective, cold, 1e-6)
    assert sizes(found) == [300, 3000, 30_000]
    assert [tol for _, tol in found] == pytest.approx([2e-3, 2e-4, 1e-6])
    assert found[-1][0] is objective
    assert np.isin(found[0][0].rows.X[:, 0], found[1][0].rows.X[:, 0]).all()
    assert [tol for _, tol in _samples.stages(objective, cold, 0.1)] == [0.1, 0.1, 0.1]
    assert sizes(_samples.stages(objective, cold, 1e-6, most=1)) == [3000, 30_000]
    assert sizes(_samples.stages(objective, warm, 1e-6)) == [30_000]


def test_no_sample_where_it_does_not_pay(monkeypatch):
    cold = np.zeros(6)
    assert sizes(_samples.stages(objective_of(Logistic()), cold, 1e-6)) == [30_000]
    monkeypatch.setattr(_samples, "SMALL", 10)
    assert sizes(_samples.stages(objective_of(Logistic(), n=1_000), cold, 1e-6)) == [1_000]
    assert sizes(_samples.stages(objective_of(Dice()), cold, 1e-6)) == [30_000]


def test_a_sample_is_no_larger_than_its_error_asks_for(monkeypatch):
    monkeypatch.setattr(_samples, "SMALL", 10_000)
    monkeypatch.setattr(_samples, "_LEAST", 100)
    assert sizes(_samples.stages(objective_of(Logistic()), np.zeros(6), 0.01))[-2:] == [
        1200,
        30_000,
    ]


def test_a_row_of_each_range_is_in_a_sample():
    objective = objective_of(Logistic(), n=1003)
    order = np.argsort(objective.rows.X[:, 0])
    found = objective.sample(100, np.random.RandomState(0)).rows.X[:, 0]
    where = order[np.searchsorted(objective.rows.X[order, 0], found)]
    bounds = np.arange(101) * 1003 // 100
    assert (bounds[:-1] <= where).all() and (where < bounds[1:]).all()
