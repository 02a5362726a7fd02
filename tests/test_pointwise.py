"""Targets that leave the floating-point range are named, not fitted as zeros."""

import numpy as np
import pytest

from sklearn_margin import LinearRegressor
from sklearn_margin.losses import Absolute, Hinge, PointwiseLoss
from sklearn_margin.objective import PointwiseObjective, Rows


def data(dtype=np.float64):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))
    return X.astype(dtype), X @ [1.0, 2.0, 3.0] + 0.1 * rng.normal(size=40)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("alpha", [0.0, 1e-4])
@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
@pytest.mark.parametrize("exponent", [-200, -170, 170, 200, 300])
def test_squares_out_of_range(exponent, l1_ratio, alpha):
    X, y = data()
    with pytest.raises(ValueError, match=f"y is too {'large' if exponent > 0 else 'small'}"):
        LinearRegressor("squared", alpha=alpha, l1_ratio=l1_ratio).fit(X, y * 10.0**exponent)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("exponent", [-46, -40, -30, 30, 40])
def test_targets_that_single_precision_cannot_hold(exponent):
    X, y = data(np.float32)
    with pytest.raises(ValueError, match="y is too"):
        LinearRegressor("squared", alpha=0).fit(X, y * 10.0**exponent)


@pytest.mark.parametrize("exponent", [-150, -100, 100, 150])
def test_large_and_small_targets_within_range(exponent):
    X, y = data()
    models = [LinearRegressor("squared", alpha=0).fit(X, y * 10.0**p) for p in (exponent, 0)]
    assert np.allclose(models[0].coef_ / 10.0**exponent, models[1].coef_, rtol=1e-9)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("y", [np.zeros(40), np.full(40, 1e-200), np.full(40, 3.0)], ids=str)
def test_constant_targets_are_no_error(y):
    X, _ = data()
    model = LinearRegressor("squared").fit(X, y)
    assert model.intercept_ == y[0]
    assert not model.coef_.any()


class OfTargets(PointwiseLoss):
    """A user's loss of targets, which is no ``RegressionLoss``."""

    coercive = True

    def sample_value(self, y, z):
        return abs(y - z)

    def sample_gradient(self, y, z):
        return 1.0 if z > y else -1.0


@pytest.mark.parametrize(
    ("loss", "y", "expected"),
    [
        (Absolute(), [1.0, 5.0, 100.0, 7.0], 5.0),  # the last has no weight
        (OfTargets(), [1.0, 5.0, 100.0, 7.0], 5.0),
        (OfTargets(), [1.0, -1.0, 1.0, 1.0], 0.0),  # labels: no side is preferred
        (Hinge(), [1.0, -1.0, 1.0, 1.0], 0.0),
    ],
    ids=repr,
)
def test_where_a_fit_starts(loss, y, expected):
    s = np.array([1.0, 1.0, 1.0, 0.0]) / 3
    rows = Rows(np.ones((4, 1)), center=True)
    objective = PointwiseObjective(loss, rows, np.array(y), s, fit_intercept=True)
    np.testing.assert_array_equal(objective.start(), [0.0, expected])
