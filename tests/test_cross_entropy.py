"""Logistic loss and cross entropy where scores are far apart."""

import numpy as np
import pytest

from sklearn_margin.losses import CrossEntropy, Logistic


@pytest.mark.parametrize("score", [1e3, 1e20, 1e300])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_loss_of_a_score_that_is_right_without_doubt(score, dtype):
    z = np.array([score], dtype=np.float64)
    z = np.minimum(z, np.finfo(dtype).max).astype(dtype)
    y = np.ones(1, dtype)
    assert Logistic().value(y, z) == 0
    assert Logistic().gradient(y, z)[0] == 0
    rows = np.stack([np.zeros(1, dtype), z], axis=1)
    assert CrossEntropy().value([1], rows) == 0
    assert not CrossEntropy().gradient([1], rows).any()


@pytest.mark.parametrize("margin", [1.0, 20.0, 36.0, 50.0, 300.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_keeps_its_digits_where_the_true_class_is_nearly_certain(margin, smoothing):
    """1 − p and log p from what the other classes have, not from p."""
    z = np.array([[0.0, margin, 0.5]])
    rest = np.exp(-margin) + np.exp(0.5 - margin)
    loss = CrossEntropy(label_smoothing=smoothing)
    mean = margin / 3 + 0.5 / 3
    expected = np.log1p(rest) + smoothing * (margin - mean)
    assert loss.value([1], z) == pytest.approx(expected, rel=1e-14, abs=0)
    gradient = loss.gradient([1], z)[0]
    slope = -rest / (1 + rest) + smoothing * (1 - 1 / 3)
    assert gradient[1] == pytest.approx(slope, rel=1e-14, abs=0)
    row = np.empty(3)  # as a solver row by row computes it
    loss.sample_gradient(1, z[0], row)
    assert row == pytest.approx(gradient, rel=1e-13, abs=0)
    assert loss.sample_value(1, z[0]) == pytest.approx(expected, rel=1e-14, abs=0)


def test_curvature_keeps_its_digits_where_a_class_is_nearly_certain():
    p = np.array([1e-20, 1.0, 3e-20])
    v = np.array([1.0, 2.0, 5.0])
    out = np.empty(3)
    CrossEntropy().curvature_product(1, p, v, out)
    exact = [1e-20 * (1 - 2), 1e-20 * (2 - 1) + 3e-20 * (2 - 5), 3e-20 * (5 - 2)]
    assert out == pytest.approx(exact, rel=1e-14, abs=0)
