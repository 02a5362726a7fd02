"""What ``python tests/fuzz.py`` has found: small problems whose fits said something wrong."""

import warnings

import numpy as np
import pytest
from problems import draw

from sklearn_margin import HuberRegressor, LinearRanker, LinearRegressor, losses


def fitted(seed, solver):
    """A model, F there, F without coefficients and messages of warnings."""
    problem = draw(seed)
    model, caught = problem.fit(solver)
    value = problem.values(problem.split(model.coef_, getattr(model, "intercept_", 0.0)))
    return model, float(value[0]), float(problem.constants()[0]), [str(w.message) for w in caught]


@pytest.mark.parametrize("seed", [357, 766])
def test_a_minimum_of_zero_needs_no_relative_accuracy(seed):
    """Hinges of columns of 1e30: F and its gap are 1e-28 of the loss at zero, which is enough.
    "auto" once went on to dual_cd and took its point, whose F was 1e49 times as large."""
    model, value, at_zero, messages = fitted(seed, "auto")
    assert messages == []
    assert model.solver_ == "interior_point"
    assert max(value, model.dual_gap_) <= 1e-20 * at_zero


def test_values_far_above_rounding_error_are_not_called_zero():
    """F = 1e-9 beside a loss of 1: a column 1e8 from zero makes score errors larger than that."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(12, 2))
    X[:, 0] += 1e8
    y = X[:, 0] - 1e8 + X[:, 1] + 3e-9 * rng.normal(size=12)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = LinearRegressor(losses.Absolute(), alpha=0.0, solver="interior_point").fit(X, y)
    value = np.abs(y - model.predict(X)).mean()
    assert model.dual_gap_ <= model.tol * value or caught


@pytest.mark.parametrize("container", [np.asarray, np.asfortranarray])
def test_coefficients_that_overflow_float32_are_refused(container):
    """Pairs apart by 1e-40: in float64 their coefficients are finite, as float32 they are not."""
    X = container(np.array([[0.0], [1e-40], [2e-40]], dtype=np.float32))
    ranker = LinearRanker("hinge", alpha=0.0, solver="subgradient", tol=0.01)
    with pytest.raises(ValueError, match="found no finite coefficients"):
        ranker.fit(X, [0, 1, 2])


def test_sgd_does_not_take_a_point_that_overflows():
    """Steps that diverge may end where all overflowing scores are right, at a loss of zero."""
    problem = draw(1284)
    model, _ = problem.fit("sgd")
    assert np.isfinite(model.coef_).all()


@pytest.mark.parametrize("solver", ["auto", "subgradient"])
@pytest.mark.parametrize("seed", [216, 468])
def test_no_loss_at_all_is_the_minimum(seed, solver):
    """Without a penalty there is no gap, but no loss is less than zero."""
    _, value, _, messages = fitted(seed, solver)
    assert value == 0.0
    assert messages == []


@pytest.mark.parametrize("solver", ["auto", "newton", "coordinate_descent", "lbfgs"])
def test_targets_far_from_zero_do_not_make_a_loss_count_as_zero(solver):
    """Targets near 1000 in float32: F = 3e-5, and once as much for coordinate_descent, was taken as
    zero beside a loss of 1e6 at scores of zero, though the intercept alone leaves a loss of 1."""
    model, value, _, messages = fitted(1966, solver)
    assert model.dual_gap_ <= model.tol * value or any("converging" in text for text in messages)
    assert value < 3.3e-5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huber_of_constant_targets_divides_by_no_zero(dtype):
    X = np.random.default_rng(0).normal(size=(30, 2)).astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = HuberRegressor(alpha=1e-4).fit(X, np.full(30, 0.1))
    np.testing.assert_allclose(model.predict(X), 0.1, rtol=1e-6)


def test_steps_that_change_nothing_come_to_an_end():
    """At the limit of the arithmetic Newton's steps on a narrow envelope became 6e-20 long, and F
    stayed what it was for 900 of them."""
    model, _, _, messages = fitted(709, "smoothing")
    assert model.n_iter_ < 300
    assert np.max(model.dual_gap_) < 1e-11
    assert messages


def test_bounds_that_fix_all_coefficients_leave_lbfgs_nothing_to_do():
    """Scipy's result then has no status, which was an AttributeError."""
    rng = np.random.default_rng(0)
    X, fixed = rng.normal(size=(20, 2)), [0.5, -1.0]
    for l1_ratio in (0.0, 1.0):
        model = LinearRegressor(
            "squared", l1_ratio=l1_ratio, fit_intercept=False, coef_bounds=(fixed, fixed),
            solver="lbfgs",
        ).fit(X, rng.normal(size=20))  # fmt: skip
        np.testing.assert_array_equal(model.coef_, fixed)
        assert model.dual_gap_ == 0.0


@pytest.mark.parametrize(
    "params", [{"alpha": 0, "coef_bounds": (0, None)}, {"penalty_factors": [np.inf, np.inf]}]
)
def test_hinges_of_pairs_within_bounds_say_that_they_need_a_penalty(params):
    with pytest.raises(ValueError, match=r"coef_bounds, and penalty_factors .* Take alpha > 0"):
        LinearRanker("hinge", **params).fit([[0.0, 1.0], [1.0, 0.0], [2.0, 3.0]], [0, 1, 2])
