"""Formulas at the point where a slip of a sign, an index or an inequality shows.

Each test here kills changes of the source that the rest of the suite let pass.
"""

import math

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from sklearn_margin.losses import (
    CrammerSinger,
    CrossEntropy,
    Hinge,
    Logistic,
    ModifiedHuber,
    PairwiseHinge,
    WestonWatkins,
)
from sklearn_margin.losses.pairs.given import check_signs

# --- losses -----------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [0.0, 2.0, -0.5])
@pytest.mark.parametrize("at", [0, 2])
def test_one_wrong_sign_among_right_ones_is_refused(wrong, at):
    t = np.array([1.0, -1.0, 1.0])
    t[at] = wrong
    with pytest.raises(ValueError, match=f"only -1 and .1, got {wrong}$"):
        check_signs(t, 3)
    np.testing.assert_array_equal(check_signs([1, -1, -1], 3), [1.0, -1.0, -1.0])


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("k", [0, 1, 2, 3])
def test_cross_entropy_of_a_row_is_its_formula(k, smoothing):
    z = np.array([0.4, -1.1, 2.3, 1.9])
    loss, n = CrossEntropy(label_smoothing=smoothing), len(z)
    p = np.exp(z) / np.exp(z).sum()
    target = np.full(n, smoothing / n)
    target[k] += 1 - smoothing
    assert loss.sample_value(k, z) == pytest.approx(-target @ np.log(p), rel=1e-13)
    out = np.full(n, np.nan)
    loss.sample_gradient(k, z, out)
    np.testing.assert_allclose(out, p - target, rtol=1e-13, atol=1e-15)
    loss.sample_curvature(k, z, out)
    np.testing.assert_allclose(out, p, rtol=1e-13)
    v, product = np.array([1.0, -2.0, 0.5, 3.0]), np.full(n, np.nan)
    loss.curvature_product(k, out, v, product)
    np.testing.assert_allclose(product, p * v - p * (p @ v), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_cross_entropy_of_more_rows_than_are_worked_on_at_a_time(smoothing):
    rng = np.random.default_rng(0)
    z, s, c = 3 * rng.normal(size=(1500, 7)), rng.random(1500), 7
    k = rng.integers(0, c, 1500)
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    q = np.full((1500, c), smoothing / c)
    q[np.arange(1500), k] += 1 - smoothing
    loss, gradient, curvature = CrossEntropy(smoothing), np.empty_like(z), np.empty_like(z)
    value = loss.scores_curvature(k, z, s, gradient, curvature)
    assert value == pytest.approx(-s @ (q * np.log(p)).sum(axis=1), rel=1e-12)
    assert loss.scores_value(k, z, s) == pytest.approx(value, rel=1e-13)
    np.testing.assert_allclose(gradient, s[:, None] * (p - q), atol=1e-14)
    np.testing.assert_allclose(curvature, p, rtol=1e-12)


@pytest.mark.parametrize("z", [-3.0, 0.0, 0.7, 40.0])
def test_curvature_of_the_logistic_loss_of_a_row(z):
    p = 1 / (1 + math.exp(-z))
    bend = p * math.exp(-z) / (1 + math.exp(-z))
    for y in (-1.0, 1.0):
        assert Logistic().sample_hessian(y, z) == pytest.approx(bend, rel=1e-13)
        assert CrossEntropy(0.2).binary.sample_hessian(y, z) == pytest.approx(bend, rel=1e-13)


def test_label_smoothing_is_less_than_one():
    with pytest.raises(ValueError, match="label_smoothing must be less than 1"):
        CrossEntropy(1.0).value([0], [[0.0, 0.0, 0.0]])


def test_soft_labels_are_smoothed_and_checked():
    q = np.array([[0.2, 0.5, 0.3], [0.0, 1.0, 0.0]])
    z = np.array([[0.1, -0.4, 1.0], [2.0, 0.3, -1.0]])
    s = np.array([1.0, 3.0])
    loss, mixed = CrossEntropy(label_smoothing=0.3), 0.7 * q + 0.1
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    rows = -(mixed * np.log(p)).sum(axis=1)
    assert loss.value(q, z, s) == pytest.approx(0.25 * rows[0] + 0.75 * rows[1], rel=1e-13)
    expected = np.array([[0.25], [0.75]]) * (p - mixed)
    np.testing.assert_allclose(loss.gradient(q, z, s), expected, rtol=1e-12)
    np.testing.assert_allclose(loss.probability(z), p, rtol=1e-13)
    for bad in ([[0.2, 0.5, 0.3], [0.0, 1.1, 0.0]], [[0.2, 0.5, 0.3], [-0.5, 1.0, 0.5]]):
        with pytest.raises(ValueError, match="probabilities that sum to one"):
            loss.value(bad, z)


def projected(a, size=1.0):
    """Projection of ``a`` onto the simplex of a size, by sorting."""
    down = np.sort(a)[::-1]
    tau = (np.cumsum(down) - size) / np.arange(1, len(a) + 1)
    return np.maximum(a - tau[np.flatnonzero(down > tau)[-1]], 0.0)


def margins(loss, k, z):
    t = loss.margin + z - z[k]
    t[k] = 0.0
    return t


def rows_of_scores():
    rng = np.random.default_rng(3)
    for scale in (0.05, 0.5, 3.0):
        for _ in range(8):
            yield int(rng.integers(4)), scale * rng.normal(size=4), float(rng.uniform(0.2, 2.0))


def test_smoothed_crammer_singer_is_the_envelope():
    """By the projection of e_k + t/w onto the simplex; derivatives by their formulas."""
    loss, out, curvature = CrammerSinger(0.5).smoothed(0.5), np.empty(4), np.empty(4)
    sizes = set()
    for k, z, _ in rows_of_scores():
        t, unit = margins(loss, k, z), np.eye(4)[k]
        p = projected(unit + t / 0.5)
        value = p @ t - 0.25 * ((p - unit) ** 2).sum()
        assert loss.sample_value(k, z) == pytest.approx(value, rel=1e-12, abs=1e-14)
        loss.sample_gradient(k, z, out)
        np.testing.assert_allclose(out, p - unit, rtol=1e-12, atol=1e-14)
        support = (p > 0).astype(float)
        sizes.add(support.sum())
        hessian = (np.diag(support) - np.outer(support, support) / support.sum()) / 0.5
        loss.sample_curvature(k, z, curvature)
        for v in np.eye(4):
            loss.curvature_product(k, curvature, v, out)
            np.testing.assert_allclose(out, hessian @ v, atol=1e-13)
    assert sizes >= {1, 2, 3, 4}


def test_smoothed_weston_watkins_is_the_envelope():
    loss, out, curvature = WestonWatkins(0.8).smoothed(0.5), np.empty(4), np.empty(4)
    for k, z, _ in rows_of_scores():
        u, others = margins(loss, k, z), np.arange(4) != k
        parts = np.where(u > 0.5, u - 0.25, np.maximum(u, 0) ** 2)
        assert loss.sample_value(k, z) == pytest.approx(parts[others].sum(), rel=1e-12, abs=1e-15)
        loss.sample_gradient(k, z, out)
        slopes = np.clip(u / 0.5, 0, 1)
        slopes[k] = -slopes[others].sum()
        np.testing.assert_allclose(out, slopes, rtol=1e-12, atol=1e-15)
        loss.sample_curvature(k, z, curvature)
        bends = np.where((u > 0) & (u < 0.5) & others, 2.0, 0.0)
        to = np.eye(4) - np.eye(4)[k]
        for v in np.eye(4):
            loss.curvature_product(k, curvature, v, out)
            np.testing.assert_allclose(out, to.T @ (bends * (to @ v)), atol=1e-14)


def test_the_dual_of_crammer_singer():
    """Steps by projection, the gap by conjugates, and what a step bends by."""
    loss, out = CrammerSinger(0.8), np.empty(4)
    rng = np.random.default_rng(5)
    moved = 0
    for k, z, s in rows_of_scores():
        t = margins(loss, k, z)
        p = s * projected(rng.normal(size=4))
        g = p - s * np.eye(4)[k]
        norm = float(rng.uniform(0.1, 5.0))
        # The slope of the row's dual at p is t: how far moving weight to the best class gains.
        used = p > 0
        excess = loss.dual_step(k, z, g, s, norm, out)
        lowest = np.flatnonzero(used)[t[used].argmin()]
        assert excess == pytest.approx(np.delete(t, lowest).max() - t[used].min(), rel=1e-12)
        if excess > 0:
            moved += 1
            new = projected(p + t / norm, s) - s * np.eye(4)[k]
            np.testing.assert_allclose(out, new, rtol=1e-10, atol=1e-13)
        # s ℓ(z) + (s ℓ)*(g) − g·z, where g·z + margin Σ_{j≠k} g_j is p·t.
        gap = s * loss.sample_value(k, z) - p @ t
        assert loss.dual_gap(k, z, g, s) == pytest.approx(gap, rel=1e-12, abs=1e-14)
        v = rng.normal(size=4)
        loss.dual_flow(k, g, s, v, out)
        np.testing.assert_allclose(out, p * v - p * (p @ v) / s, rtol=1e-11, atol=1e-14)
    assert moved > 10


def test_the_dual_of_weston_watkins():
    loss, out = WestonWatkins(0.8), np.empty(4)
    rng = np.random.default_rng(6)
    moved = 0
    for k, z, s in rows_of_scores():
        u, others = margins(loss, k, z), np.arange(4) != k
        g = s * np.clip(rng.normal(0.5, 0.8, 4), 0, 1)
        g[k] = -g[others].sum()
        norm = float(rng.uniform(0.1, 5.0))
        excess = loss.dual_step(k, z, g, s, norm, out)
        misses = np.where(g <= 0, u, np.where(g >= s, -u, np.abs(u)))
        assert excess == pytest.approx(misses[others].max(), rel=1e-12)
        if excess > 0:
            moved += 1
            # Optimal: slopes follow u/norm less what the true class moves by, within 0 and s.
            shift = g[k] - out[k]
            new = np.clip(g + u / norm - shift, 0, s)
            np.testing.assert_allclose(out[others], new[others], rtol=1e-9, atol=1e-12)
            assert out[k] == pytest.approx(-out[others].sum(), rel=1e-13)
        gap = s * np.maximum(u, 0)[others].sum() - g[others] @ u[others]
        assert loss.dual_gap(k, z, g, s) == pytest.approx(gap, rel=1e-12, abs=1e-14)
        to, v = np.eye(4) - np.eye(4)[k], rng.normal(size=4)
        weights = np.where(others, g * (1 - g / s), 0.0)
        loss.dual_flow(k, g, s, v, out)
        np.testing.assert_allclose(out, to.T @ (weights * (to @ v)), rtol=1e-11, atol=1e-14)
    assert moved > 10


def test_at_a_kink_the_flat_side_counts():
    """Derivatives are documented to be 0 where a hinge begins."""
    assert Hinge(1.0).sample_gradient(1.0, 1.0) == 0
    assert PairwiseHinge(1.0).pair_gradient(1.0) == 0
    out = np.empty(3)
    z = np.array([0.0, 1.0, 0.0])
    WestonWatkins(1.0).sample_gradient(1, z, out)
    assert not out.any()
    CrammerSinger(1.0).sample_gradient(1, z, out)
    assert not out.any()


@pytest.mark.parametrize("m", [-3.0, -1.0, -0.5, 0.9, 1.0, 2.0])
def test_modified_huber_by_its_pieces(m):
    loss = ModifiedHuber()
    assert loss.sample_value(-1.0, -m) == (-4 * m if m < -1 else max(0, 1 - m) ** 2)
    slope = approx_fprime(np.array([m]), lambda z: loss.sample_value(1.0, z[0]), 1e-8)[0]
    assert loss.sample_gradient(1.0, m) == pytest.approx(slope, abs=1e-6)
    assert math.copysign(1.0, loss.sample_gradient(-1.0, m - 5)) == 1.0
