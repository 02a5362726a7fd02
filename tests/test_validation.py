"""Checks of what users give: one message, wherever it is given."""

import math

import numpy as np
import pytest

from sklearn_margin import RankSVM
from sklearn_margin._validation import check_number, check_weights, normalize_weights
from sklearn_margin.losses import Hinge, PairwiseHinge
from sklearn_margin.metrics import pairwise_accuracy_score

Y, Z = np.array([1.0, -1.0, 1.0]), np.array([0.5, 0.1, 0.2])


@pytest.mark.parametrize(
    "given",
    [
        lambda s: Hinge().value(Y, Z, s),
        lambda s: PairwiseHinge().gradient(Y, Z, s),
        lambda s: pairwise_accuracy_score(Y, Z, sample_weight=s),
        lambda s: RankSVM().fit(Z[:, None], Y, sample_weight=s),
    ],
    ids=["loss", "pairs", "metric", "estimator"],
)
@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ([1, 2], ValueError, "sample_weight has length 2, expected 3"),
        ([[1]] * 3, ValueError, r"sample_weight should be a 1d array, .* \(3, 1\)"),
        ([1, -2, 3], ValueError, "sample_weight must not be negative, got -2"),
        ([0, 0, 0], ValueError, "sample_weight is zero for every sample"),
        ([1, np.inf, 0], ValueError, "sample_weight contains infinity"),
        ([1, 1j, 1], ValueError, "Complex data not supported: sample_weight"),
        (["a", 1, 1], ValueError, "sample_weight must hold numbers"),
        (0, ValueError, r"sample_weight must be in \(0, inf\), got 0"),
        (math.nan, ValueError, "sample_weight must be in"),
        ("weights.csv", TypeError, "sample_weight must hold the data"),
        (iter([1, 2, 3]), TypeError, "sample_weight is a list_iterator, which can be read"),
    ],
)
def test_wrong_weights_are_told_alike_everywhere(given, weights, error, message):
    with pytest.raises(error, match=message):
        given(weights)


def test_weights_are_new_arrays():
    """So that kernels are not compiled for read-only ones, and callers may change them."""
    given = np.array([1.0, 2.0, 1.0])
    given.setflags(write=False)
    found = check_weights(given, 3)
    np.testing.assert_array_equal(found, given)
    assert found.flags.writeable
    np.testing.assert_array_equal(check_weights(2, 3), [2.0, 2.0, 2.0])
    np.testing.assert_array_equal(check_weights(None, 3), np.ones(3))


def test_normalized_weights_sum_to_one():
    np.testing.assert_allclose(normalize_weights([1e308, 1e308, 0], 3, float), [0.5, 0.5, 0])
    assert normalize_weights(None, 3, np.float32).dtype == np.float32


@pytest.mark.parametrize(
    ("value", "limits", "error", "message"),
    [
        (-1, {"minimum": 0}, ValueError, r"x must be in \[0, inf\), got -1"),
        (0, {"minimum": 0, "maximum": 1, "closed": False}, ValueError, r"in \(0, 1\), got 0"),
        (10**400, {}, ValueError, "x must be in"),
        (math.inf, {}, ValueError, r"x must be in \(-inf, inf\), got inf"),
        (1.5, {"integer": True}, TypeError, "x must be an integer, got 1.5 of type float"),
        (True, {}, TypeError, "x must be a number, got True of type bool"),
        ("1", {}, TypeError, "x must be a number"),
    ],
)
def test_numbers_out_of_range(value, limits, error, message):
    with pytest.raises(error, match=message):
        check_number(value, "x", **limits)
