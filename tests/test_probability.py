"""What several losses are made of: probabilities, envelopes of the hinge, projections."""

import math

import numpy as np
import pytest
from scipy import special

from sklearn_margin.losses import Absolute, EpsilonInsensitive, Quantile
from sklearn_margin.losses._envelope import envelope, envelope_gradient, envelope_hessian
from sklearn_margin.losses._probability import (
    fast_softplus,
    sigmoid,
    sigmoid_gradient,
    sigmoid_terms,
    softmax,
    softmax_terms,
    softplus,
)
from sklearn_margin.losses.multiclass_hinge import simplex_threshold

SCORES = (-1000.0, -40.0, -3.0, -1e-9, 0.0, 1e-9, 0.7, 36.0, 1000.0)


@pytest.mark.parametrize("x", SCORES)
def test_probabilities_of_one_score(x):
    assert softplus(x) == pytest.approx(np.logaddexp(0.0, x), rel=1e-15)
    assert sigmoid(x) == pytest.approx(special.expit(x), rel=1e-15)
    assert sigmoid_gradient(x) == pytest.approx(special.expit(x) * special.expit(-x), rel=1e-14)
    assert sigmoid_terms(x) == pytest.approx((special.log_expit(x), special.expit(-x)), rel=1e-15)
    assert fast_softplus(x) == pytest.approx((softplus(x), sigmoid(x)), rel=1e-15, abs=1e-300)


@pytest.mark.parametrize("k", [0, 1, 2])
@pytest.mark.parametrize("spread", [0.0, 1.0, 37.0, 1000.0])
def test_probabilities_of_a_row(k, spread):
    z = spread * np.array([0.3, -1.0, 0.9])
    p = np.empty(3)
    softmax(z, p)
    np.testing.assert_allclose(p, special.softmax(z), rtol=1e-13)
    log_p, q, top, total = softmax_terms(k, z)
    others = np.delete(z, k) - z[k]
    assert log_p == pytest.approx(-np.logaddexp(0.0, special.logsumexp(others)), rel=1e-14)
    assert q == pytest.approx(np.delete(special.softmax(z), k).sum(), rel=1e-13)
    assert top + math.log(total) == pytest.approx(special.logsumexp(z), rel=1e-14)


def test_a_probability_of_nearly_one_keeps_its_digits():
    log_p, q, _, _ = softmax_terms(0, np.array([50.0, 0.0, 1.0]))
    assert log_p == pytest.approx(-(1 + math.e) * math.exp(-50.0), rel=1e-14)
    assert q == pytest.approx(-log_p, rel=1e-14)


@pytest.mark.parametrize("width", [0.1, 1.0, 3.0])
def test_the_envelope_of_the_hinge(width):
    v = np.linspace(-10, 10, 200_001)
    for u in (-1.0, 0.0, 0.05, 0.5, 2.0, 5.0):
        least = (np.maximum(v, 0.0) + (u - v) ** 2 / (2 * width)).min()
        assert envelope(u, width) == pytest.approx(least, abs=1e-7)
        slope = (envelope(u + 1e-6, width) - envelope(u - 1e-6, width)) / 2e-6
        assert envelope_gradient(u, width) == pytest.approx(slope, abs=1e-5)
        change = envelope_gradient(u + 1e-6, width) - envelope_gradient(u - 1e-6, width)
        if u != 0.0:
            assert envelope_hessian(u, width) == pytest.approx(change / 2e-6, abs=1e-6)


@pytest.mark.parametrize("loss", [Absolute(), Quantile(0.9), EpsilonInsensitive(0.0)], ids=repr)
def test_the_envelope_of_two_slopes_is_smooth_where_they_meet(loss):
    smooth = loss.smoothed(0.2)
    for y in (0.0, 0.3):
        assert smooth.sample_hessian(y, y) == 5.0
        assert smooth.sample_gradient(y, y) == 0.0
        for h in (-1e-3, 1e-3):
            assert smooth.sample_hessian(y, y + h) == pytest.approx(5.0)
            assert smooth.sample_gradient(y, y + h) == pytest.approx(5.0 * h)


@pytest.mark.parametrize("size", [1.0, 0.2, 7.0])
def test_projection_onto_the_simplex(size):
    rng = np.random.default_rng(0)
    for n in (1, 2, 5, 40):
        for spread in (0.0, 0.1, 1.0, 100.0):
            a = spread * rng.normal(size=n)
            p = np.maximum(a - simplex_threshold(a, size), 0.0)
            assert p.sum() == pytest.approx(size, rel=1e-12)
            # Nearest: the rest a − p is largest where p is positive, and the same everywhere there.
            rest = a - p
            np.testing.assert_allclose(rest[p > 0], rest.max(), rtol=1e-12, atol=1e-12)
