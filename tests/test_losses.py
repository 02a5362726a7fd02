"""One battery for every public loss, and losses a user might write.

A new loss joins the battery by being listed in ``sklearn_margin.losses.__all__``; it only has to
bring its formula (``FORMULA``), and, if it has any, settings, kinks and bounds of parameters.
"""

import copy
import math
import pickle
import re
import statistics
import warnings

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.base import clone

from sklearn_margin import LinearClassifier, LinearRanker, LinearRegressor, losses
from sklearn_margin.losses import (
    BinaryLoss,
    EpsilonInsensitive,
    Hinge,
    Huber,
    Logistic,
    MarginRanking,
    PairwiseHinge,
    PairwiseLoss,
    PairwiseSquaredHinge,
    PointwiseLoss,
    Quantile,
    Squared,
)

# --- the catalogue ----------------------------------------------------------------------------


def _moreau(u, width):
    """Envelope of [u]₊: the minimum over v of [v]₊ + (u − v)² / (2 width)."""
    v = u - width * np.clip(u / width, 0, 1)
    return np.maximum(0, v) + (u - v) ** 2 / (2 * width)


#: Value for one label and one score (one score difference, for pairwise losses), by losses.md.
FORMULA = {
    "Absolute": lambda p, y, z: np.abs(y - z),
    "EpsilonInsensitive": lambda p, y, z: np.maximum(0, np.abs(y - z) - p.epsilon),
    "Hinge": lambda p, y, z: np.maximum(0, p.margin - y * z),
    "Huber": lambda p, y, z: np.where(
        np.abs(y - z) <= p.delta,
        (y - z) ** 2 / 2,
        p.delta * (np.abs(y - z) - p.delta / 2),
    ),
    "Logistic": lambda p, y, z: np.logaddexp(0, -y * z),
    "ModifiedHuber": lambda p, y, z: np.where(
        y * z >= -1, np.maximum(0, 1 - y * z) ** 2, -4 * y * z
    ),
    "PairwiseHinge": lambda p, d: np.maximum(0, p.margin - d),
    "PairwiseLogistic": lambda p, d: np.logaddexp(0, -d),
    "PairwiseSquaredHinge": lambda p, d: np.maximum(0, p.margin - d) ** 2,
    "Quantile": lambda p, y, z: np.maximum(p.quantile * (y - z), (p.quantile - 1) * (y - z)),
    "SmoothedHinge": lambda p, y, z: _moreau(p.margin - y * z, p.smoothing),
    "Squared": lambda p, y, z: (y - z) ** 2,
    "SquaredEpsilonInsensitive": lambda p, y, z: np.maximum(0, np.abs(y - z) - p.epsilon) ** 2,
    "SquaredHinge": lambda p, y, z: np.maximum(0, p.margin - y * z) ** 2,
}

#: Parameters to test besides the defaults.
SETTINGS = {
    "EpsilonInsensitive": [{"epsilon": 0.0}, {"epsilon": 1.5}],
    "Hinge": [{"margin": 0.0}, {"margin": 0.3}, {"margin": 2}],
    "Huber": [{"delta": 0.1}, {"delta": 3}],
    "PairwiseHinge": [
        {"margin": 0.0},
        {"margin": 0.3, "weighting": "uniform"},
        {"margin": 2, "weighting": "difference"},
    ],
    "PairwiseLogistic": [{"weighting": "uniform"}],
    "PairwiseSquaredHinge": [
        {"margin": 0.0},
        {"margin": 0.3, "weighting": "uniform"},
        {"margin": 2, "weighting": "difference"},
    ],
    "Quantile": [{"quantile": 0.05}, {"quantile": 0.9}],
    "SmoothedHinge": [{"margin": 0.0}, {"margin": 2, "smoothing": 0.1}, {"smoothing": 3.0}],
    "SquaredEpsilonInsensitive": [{"epsilon": 0.0}, {"epsilon": 1.5}],
    "SquaredHinge": [{"margin": 0.0}, {"margin": 0.3}, {"margin": 2}],
}

#: Scores (differences) at which the value or the gradient has a kink, for label y.
KINKS = {
    "EpsilonInsensitive": lambda p, y: [y - p.epsilon, y + p.epsilon],
    "Hinge": lambda p, y: [y * p.margin],
    "Huber": lambda p, y: [y - p.delta, y + p.delta],
    "ModifiedHuber": lambda p, y: [y, -y],
    "SmoothedHinge": lambda p, y: [y * p.margin, y * (p.margin - p.smoothing)],
    "SquaredEpsilonInsensitive": lambda p, y: [y - p.epsilon, y + p.epsilon],
    "SquaredHinge": lambda p, y: [y * p.margin],
}

#: Values a parameter must refuse although it takes numbers; -1 for all others.
OUT_OF_RANGE = {
    ("Huber", "delta"): [0, 0.0, -1.0],
    ("Quantile", "quantile"): [0, 1, 0.0, 1.0, -0.1, 1.1],
    ("SmoothedHinge", "smoothing"): [0, 0.0, -1.0],
}


def _public_losses():
    """All but MarginRanking, which takes two scores; it has tests of its own."""
    classes = [getattr(losses, name) for name in losses.__all__]
    families = (MarginRanking, BinaryLoss, PairwiseLoss, PointwiseLoss, losses.RegressionLoss)
    return [cls for cls in classes if cls not in families and cls is not losses.Loss]


PUBLIC = _public_losses()
CASES = [cls(**params) for cls in PUBLIC for params in [{}, *SETTINGS.get(cls.__name__, [])]]
POINTWISE = [loss for loss in CASES if isinstance(loss, PointwiseLoss)]
CURVED = [loss for loss in POINTWISE if loss.has_hessian]

every_class = pytest.mark.parametrize("cls", PUBLIC, ids=lambda cls: cls.__name__)
every_loss = pytest.mark.parametrize("loss", CASES, ids=repr)
every_pointwise = pytest.mark.parametrize("loss", POINTWISE, ids=repr)


def is_pairwise(loss):
    return isinstance(loss, PairwiseLoss)


def formula(loss, *args):
    return FORMULA[type(loss).__name__](loss, *args)


def draw(loss, n=40, seed=0, spread=2.0):
    """Labels, scores and keyword arguments for a loss of any family."""
    rng = np.random.default_rng(seed)
    z = rng.normal(scale=spread, size=n)
    if isinstance(loss, BinaryLoss):
        return rng.choice([-1.0, 1.0], size=n), z, {}
    if isinstance(loss, PointwiseLoss):
        return rng.normal(scale=spread, size=n), z, {}
    if is_pairwise(loss):
        return rng.integers(0, 4, n).astype(float), z, {"groups": rng.integers(0, 3, n)}
    raise NotImplementedError(f"tell draw() what {type(loss).__name__} takes")


def weights_for(n, seed=1):
    return np.random.default_rng(seed).uniform(0.1, 3.0, n)


def mean_by_loop(loss, y, z, s=None, groups=None):
    """Weighted mean of the formula, one sample or one pair at a time."""
    n = len(z)
    s = np.ones(n) if s is None else np.asarray(s, dtype=float)
    terms, masses = [], []
    if is_pairwise(loss):
        groups = np.zeros(n) if groups is None else groups
        for i in range(n):
            for j in range(n):
                if groups[i] == groups[j] and y[i] > y[j]:
                    u = s[i] * s[j] * (1 if loss.weighting == "uniform" else y[i] - y[j])
                    terms.append(u * float(formula(loss, z[i] - z[j])))
                    masses.append(u)
    else:
        for i in range(n):
            terms.append(s[i] * float(formula(loss, y[i], z[i])))
            masses.append(s[i])
    return math.fsum(terms) / math.fsum(masses) if terms else 0.0


def one_sided_slopes(function, z, h=1e-6):
    """Slopes of ``function`` to the left and to the right, by coordinate of ``z``."""
    here = function(z)
    steps = h * np.eye(len(z))
    left = [(here - function(z - step)) / h for step in steps]
    right = [(function(z + step) - here) / h for step in steps]
    return np.array(left), np.array(right)


def assert_subgradient(gradient, left, right, tolerance):
    """A derivative where the slopes agree, and anything between them where they do not."""
    assert np.all(gradient >= np.minimum(left, right) - tolerance)
    assert np.all(gradient <= np.maximum(left, right) + tolerance)


# --- what the battery covers ------------------------------------------------------------------


def test_the_catalogue_is_found():
    assert len(PUBLIC) >= 13
    assert {Hinge, Logistic, Huber, Quantile, PairwiseHinge} <= set(PUBLIC)


@every_class
def test_every_loss_has_a_formula(cls):
    assert cls.__name__ in FORMULA


@pytest.mark.parametrize("table", [FORMULA, SETTINGS, KINKS], ids=["FORMULA", "SETTINGS", "KINKS"])
def test_tables_name_existing_losses(table):
    assert set(table) <= {cls.__name__ for cls in PUBLIC}


# --- value and derivatives --------------------------------------------------------------------


@every_loss
@pytest.mark.parametrize("weighted", [False, True])
def test_value_is_the_weighted_mean_of_the_formula(loss, weighted):
    y, z, more = draw(loss)
    s = weights_for(len(z)) if weighted else None
    value = loss.value(y, z, s, **more)
    assert isinstance(value, float)
    np.testing.assert_allclose(value, mean_by_loop(loss, y, z, s, **more), rtol=1e-13)


@every_loss
@pytest.mark.parametrize("weighted", [False, True])
def test_gradient_is_the_slope_of_the_value(loss, weighted):
    y, z, more = draw(loss, n=25)
    s = weights_for(len(z)) if weighted else None
    gradient = loss.gradient(y, z, s, **more)
    assert gradient.shape == z.shape
    left, right = one_sided_slopes(lambda at: loss.value(y, at, s, **more), z)
    smooth_here = np.abs(right - left) < 1e-4
    assert smooth_here.sum() >= 0.9 * len(z)
    np.testing.assert_allclose(
        gradient[smooth_here], ((left + right) / 2)[smooth_here], rtol=1e-6, atol=2e-8
    )
    assert_subgradient(gradient, left, right, 2e-8)


def labels_for(loss):
    return [-1.0, 1.0] if isinstance(loss, BinaryLoss) else [-2.5, 0.0, 1.5]


def probes(loss, y):
    """Scores at and around the places where something happens."""
    kinks = KINKS.get(type(loss).__name__, lambda p, y: [0.0, y, -y])(loss, y)
    return np.array([*kinks, 0.0, y, -3.3, -0.7, 0.123, 0.9, 4.1])


@every_pointwise
def test_subgradient_at_kinks(loss):
    for y in labels_for(loss):
        for z in probes(loss, y):
            left, right = one_sided_slopes(lambda at, y=y: loss.value([y], at), np.array([z]))
            assert_subgradient(loss.gradient([y], [z]), left, right, 1e-5)
            if loss.is_smooth:
                np.testing.assert_allclose(left, right, atol=1e-4)
            else:
                assert not loss.has_hessian


@every_loss
def test_subgradient_where_scores_tie_and_pairs_are_at_the_margin(loss):
    y, z, more = draw(loss, n=14)
    margin = loss.get_params().get("margin", 1.0)
    z = np.round(z) * (margin or 1.0)
    left, right = one_sided_slopes(lambda at: loss.value(y, at, **more), z)
    assert_subgradient(loss.gradient(y, z, **more), left, right, 1e-5)


@pytest.mark.parametrize("loss", [loss for loss in CASES if loss.convex], ids=repr)
def test_convexity(loss):
    rng = np.random.default_rng(2)
    y, _, more = draw(loss)
    worst = -np.inf
    for spread in (0.5, 3.0, 50.0):
        a, b = rng.normal(scale=spread, size=(2, len(y)))
        at_a, at_b = loss.value(y, a, **more), loss.value(y, b, **more)
        for t in (0.1, 0.5, 0.8):
            chord = (1 - t) * at_a + t * at_b
            worst = max(worst, loss.value(y, (1 - t) * a + t * b, **more) - chord - 1e-12 * chord)
        below = at_a + loss.gradient(y, a, **more) @ (b - a)
        worst = max(worst, below - at_b - 1e-11 * at_b)
    assert worst <= 0


@pytest.mark.parametrize("loss", CURVED, ids=repr)
def test_hessian_is_the_slope_of_the_gradient(loss):
    for y in labels_for(loss):
        z = np.concatenate([probes(loss, y), np.random.default_rng(3).normal(scale=2, size=15)])
        labels, s = np.full(len(z), y), weights_for(len(z))
        gradient, hessian = np.empty_like(z), np.empty_like(z)
        value = loss.scores_gradient_hessian(labels, z, s, gradient, hessian)

        def weighted_gradient(at, labels=labels, s=s):
            return loss.gradient(labels, at, s) * s.sum()

        h = 1e-6
        left = (weighted_gradient(z) - weighted_gradient(z - h)) / h
        right = (weighted_gradient(z + h) - weighted_gradient(z)) / h
        assert_subgradient(hessian, left, right, 1e-7)
        np.testing.assert_allclose(value, loss.value(labels, z, s) * s.sum(), rtol=1e-13)
        np.testing.assert_allclose(gradient, weighted_gradient(z), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("loss", [loss for loss in CASES if is_pairwise(loss)], ids=repr)
def test_pair_methods_agree(loss):
    h = 1e-6
    for d in [-3.3, -0.4, 0.0, 0.123, 0.9, getattr(loss, "margin", 1.0), 4.1]:
        assert loss.pair_value(d) == pytest.approx(float(formula(loss, d)), rel=1e-14)
        assert loss.sample_value(0.0, d) == loss.pair_value(d)
        assert loss.sample_gradient(0.0, d) == loss.pair_gradient(d)
        left = (loss.pair_value(d) - loss.pair_value(d - h)) / h
        right = (loss.pair_value(d + h) - loss.pair_value(d)) / h
        assert_subgradient(loss.pair_gradient(d), left, right, 1e-8)
        if loss.has_hessian:
            left = (loss.pair_gradient(d) - loss.pair_gradient(d - h)) / h
            right = (loss.pair_gradient(d + h) - loss.pair_gradient(d)) / h
            assert_subgradient(loss.pair_hessian(d), left, right, 1e-8)


@every_pointwise
def test_plain_python_methods_are_what_is_compiled(loss):
    y, z, _ = draw(loss)
    for label, score, slope in zip(y, z, loss.gradient(y, z) * len(y), strict=True):
        one = loss.value([label], [score])
        assert loss.sample_value(label, score) == pytest.approx(one, rel=1e-14)
        assert loss.sample_gradient(label, score) == pytest.approx(slope, rel=1e-13, abs=1e-15)


@every_pointwise
def test_piecewise_linear_reproduces_the_value(loss):
    for label in labels_for(loss):
        z = np.concatenate([probes(loss, label), np.linspace(-8, 8, 41)])
        y = np.full(len(z), label)
        hinges = loss.piecewise_linear(y)
        if hinges is None:
            assert loss.is_smooth
            return
        total = np.zeros(len(z))
        for kink, left, right in hinges:
            assert kink.shape == left.shape == right.shape == y.shape
            assert np.all(left <= right)
            total += np.where(z < kink, left, right) * (z - kink)
        np.testing.assert_allclose(total, formula(loss, y, z), rtol=1e-13, atol=1e-14)
        assert not loss.is_smooth


SMOOTHABLE = [loss for loss in CASES if loss.smoothed(0.3) is not None]


def test_piecewise_linear_losses_can_be_smoothed():
    assert {Hinge, PairwiseHinge, Quantile} <= {type(loss) for loss in SMOOTHABLE}


@pytest.mark.parametrize("loss", SMOOTHABLE, ids=repr)
@pytest.mark.parametrize("width", [1e-3, 0.3, 2.0])
def test_smoothed_is_the_moreau_envelope(loss, width):
    """min over v of ℓ(v) + (z − v)² / (2 width), the minimum being looked for."""
    envelope = loss.smoothed(width)
    assert envelope.is_smooth
    assert envelope.has_hessian
    assert envelope.convex
    for y in [None] if is_pairwise(loss) else labels_for(loss):

        def value(at, y=y):
            return float(formula(loss, at) if y is None else formula(loss, y, at))

        for z in [-2.2, -0.3, 0.0, 0.31, 0.5, 0.99, 1.0, 1.45, 3.0, 0.9999]:
            found = minimize_scalar(
                lambda v, z=z, value=value: value(v) + (z - v) ** 2 / (2 * width),
                bounds=(z - 1.1 * width, z + 1.1 * width),  # no slope is steeper than 1
                method="bounded",
                options={"xatol": 1e-12},
            )
            labels, scores = ([0, 1], [0, z]) if y is None else ([y], [z])
            smoothed = envelope.value(labels, scores)
            assert smoothed == pytest.approx(found.fun, abs=1e-7)
            assert smoothed <= value(z) + 1e-12
            slope = envelope.gradient(labels, scores)[-1]
            assert slope == pytest.approx((z - found.x) / width, abs=1e-6 / width)
    y, z, more = draw(loss, n=20)
    left, right = one_sided_slopes(lambda at: envelope.value(y, at, **more), z)
    assert_subgradient(envelope.gradient(y, z, **more), left, right, 1e-6)
    if not is_pairwise(loss):
        gradient, hessian = np.empty_like(z), np.empty_like(z)
        envelope.scores_gradient_hessian(y, z, np.ones_like(z), gradient, hessian)
        left = (gradient - envelope.gradient(y, z - 1e-6) * len(z)) / 1e-6
        right = (envelope.gradient(y, z + 1e-6) * len(z) - gradient) / 1e-6
        assert_subgradient(hessian, left, right, 1e-5 / width)
    s = weights_for(len(z))
    expected = mean_of_methods(envelope, y, z, s, **more)
    assert envelope.value(y, z, s, **more) == pytest.approx(expected, rel=1e-10)
    assert pickle.loads(pickle.dumps(envelope)) == envelope == clone(envelope)


@every_loss
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_scores_of_1000_do_not_overflow(loss, dtype):
    rng = np.random.default_rng(4)
    y, _, more = draw(loss)
    y = y.astype(dtype)
    z = rng.choice([-1e3, 1e3, 0.0, 999.0], size=len(y)).astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value, gradient = loss.value(y, z, **more), loss.gradient(y, z, **more)
    assert np.isfinite(value)
    assert np.all(np.isfinite(gradient))
    expected = mean_by_loop(loss, y.astype(float), z.astype(float), **more)
    np.testing.assert_allclose(value, expected, rtol=1e-12 if dtype == np.float64 else 1e-6)
    if isinstance(loss, PointwiseLoss) and loss.has_hessian:
        g, hessian = np.empty_like(z), np.empty_like(z)
        loss.scores_gradient_hessian(y, z, np.ones_like(z), g, hessian)
        assert np.all(np.isfinite(hessian))
        assert np.all(hessian >= 0)


# --- weights ----------------------------------------------------------------------------------


@every_loss
@pytest.mark.parametrize("factor", [3.0, 1e300, 1e-300])
def test_a_common_factor_of_the_weights_means_nothing(loss, factor):
    y, z, more = draw(loss)
    s = weights_for(len(z))
    np.testing.assert_allclose(
        loss.value(y, z, factor * s, **more), loss.value(y, z, s, **more), rtol=1e-13
    )
    np.testing.assert_allclose(
        loss.gradient(y, z, factor * s, **more),
        loss.gradient(y, z, s, **more),
        rtol=1e-12,
        atol=1e-16,
    )


@every_loss
@pytest.mark.parametrize("weight", [1, 2.5, np.float32(3), np.array(4)])
def test_a_scalar_weight_is_no_weight(loss, weight):
    y, z, more = draw(loss)
    assert loss.value(y, z, weight, **more) == loss.value(y, z, **more)
    np.testing.assert_array_equal(loss.gradient(y, z, weight, **more), loss.gradient(y, z, **more))


@every_loss
def test_an_integer_weight_is_repetition(loss):
    y, z, more = draw(loss)
    times = np.random.default_rng(5).integers(0, 4, len(z))
    index = np.repeat(np.arange(len(z)), times)
    repeated = {name: value[index] for name, value in more.items()}
    np.testing.assert_allclose(
        loss.value(y, z, times, **more), loss.value(y[index], z[index], **repeated), rtol=1e-13
    )
    summed = np.bincount(index, loss.gradient(y[index], z[index], **repeated), len(z))
    np.testing.assert_allclose(loss.gradient(y, z, times, **more), summed, rtol=1e-12, atol=1e-16)


@every_loss
@pytest.mark.parametrize("wild", [1e3, 1e200, -1e200, 1e308, -1e308])
def test_weight_zero_drops_a_row_whatever_its_score(loss, wild):
    y, z, more = draw(loss)
    s = weights_for(len(z))
    dropped = np.random.default_rng(6).uniform(size=len(z)) < 0.3
    assert 3 < dropped.sum() < len(z) - 3
    s[dropped] = 0
    kept = {name: value[~dropped] for name, value in more.items()}
    expected = loss.value(y[~dropped], z[~dropped], s[~dropped], **kept)
    expected_gradient = loss.gradient(y[~dropped], z[~dropped], s[~dropped], **kept)
    z[dropped] = wild
    np.testing.assert_allclose(loss.value(y, z, s, **more), expected, rtol=1e-13)
    gradient = loss.gradient(y, z, s, **more)
    np.testing.assert_allclose(gradient[~dropped], expected_gradient, rtol=1e-12, atol=1e-16)
    np.testing.assert_array_equal(gradient[dropped], 0.0)
    if isinstance(loss, PointwiseLoss) and loss.has_hessian:
        g, hessian = np.full_like(z, np.nan), np.full_like(z, np.nan)
        assert np.isfinite(loss.scores_gradient_hessian(y, z, s, g, hessian))
        np.testing.assert_array_equal(g[dropped], 0.0)
        np.testing.assert_array_equal(hessian[dropped], 0.0)


# --- arrays -----------------------------------------------------------------------------------


@every_loss
def test_float32(loss):
    y, z, more = draw(loss)
    y, z = y.astype(np.float32), z.astype(np.float32)
    s = weights_for(len(z))
    wide = y.astype(float), z.astype(float)
    gradient = loss.gradient(y, z, s, **more)
    assert gradient.dtype == np.float32
    assert loss.gradient(*wide, s, **more).dtype == np.float64
    assert isinstance(loss.value(y, z, s, **more), float)
    np.testing.assert_allclose(loss.value(y, z, s, **more), loss.value(*wide, s, **more), rtol=1e-6)
    np.testing.assert_allclose(gradient, loss.gradient(*wide, s, **more), rtol=2e-5, atol=1e-7)


@every_loss
def test_the_scores_decide_the_dtype(loss):
    y, z, more = draw(loss)
    assert loss.gradient(y, z.astype(np.float32), **more).dtype == np.float32
    assert loss.gradient(y.astype(np.float32), z, **more).dtype == np.float64
    assert loss.gradient(y, np.round(z).astype(int), **more).dtype == np.float64


@every_loss
def test_array_likes(loss):
    y, z, more = draw(loss)
    s = weights_for(len(z))
    lists = {name: value.tolist() for name, value in more.items()}
    value, gradient = loss.value(y, z, s, **more), loss.gradient(y, z, s, **more)
    assert loss.value(y.tolist(), z.tolist(), s.tolist(), **lists) == value
    np.testing.assert_array_equal(
        loss.gradient(tuple(y), tuple(z), tuple(s), **lists), gradient, strict=True
    )
    strided = np.column_stack([z, z])[:, 0]
    np.testing.assert_array_equal(loss.gradient(y, strided, s, **more), gradient)
    swapped = z.astype(">f8")
    np.testing.assert_array_equal(loss.gradient(y, swapped, s, **more), gradient)


@every_class
def test_read_only_input_is_accepted_and_inputs_are_left_alone(cls):
    loss = cls()
    y, z, more = draw(loss)
    s = weights_for(len(z))
    before = [array.copy() for array in (y, z, s)]
    expected = loss.value(y, z, s, **more), loss.gradient(y, z, s, **more)
    for array in (y, z, s):
        array.flags.writeable = False
    assert loss.value(y, z, s, **more) == expected[0]
    np.testing.assert_array_equal(loss.gradient(y, z, s, **more), expected[1])
    for array, copied in zip((y, z, s), before, strict=True):
        np.testing.assert_array_equal(array, copied)


# --- wrong arrays -----------------------------------------------------------------------------


def _spoil(array, value):
    array = array.copy()
    array[3] = value
    return array


#: name: (change of (y, z, s), what the message must hold)
WRONG = {
    "y_true too short": (lambda y, z, s: (y[:-1], z, s), "y_true|y_pred"),
    "y_pred too short": (lambda y, z, s: (y, z[:-1], s), "y_true|y_pred"),
    "sample_weight too short": (lambda y, z, s: (y, z, s[:-1]), "sample_weight"),
    "y_true is 2-D": (lambda y, z, s: (y[:, None], z, s), "y_true"),
    "y_pred is 2-D": (lambda y, z, s: (y, z[:, None], s), "y_pred"),
    "both are 2-D": (lambda y, z, s: (y[:, None], z[:, None], s), "y_true"),
    "sample_weight is 2-D": (lambda y, z, s: (y, z, s[:, None]), "sample_weight"),
    "NaN in y_true": (lambda y, z, s: (_spoil(y, np.nan), z, s), "y_true"),
    "NaN in y_pred": (lambda y, z, s: (y, _spoil(z, np.nan), s), "y_pred"),
    "NaN in sample_weight": (lambda y, z, s: (y, z, _spoil(s, np.nan)), "sample_weight"),
    "inf in y_true": (lambda y, z, s: (_spoil(y, np.inf), z, s), "y_true"),
    "inf in y_pred": (lambda y, z, s: (y, _spoil(z, -np.inf), s), "y_pred"),
    "inf in sample_weight": (lambda y, z, s: (y, z, _spoil(s, np.inf)), "sample_weight"),
    "negative weight": (lambda y, z, s: (y, z, _spoil(s, -0.5)), r"sample_weight.*-0\.5"),
    "zero weights": (lambda y, z, s: (y, z, 0 * s), "sample_weight"),
    "scalar weight 0": (lambda y, z, s: (y, z, 0), "sample_weight.*0"),
    "scalar weight -1": (lambda y, z, s: (y, z, -1.0), "sample_weight.*-1"),
    "scalar weight NaN": (lambda y, z, s: (y, z, np.nan), "sample_weight.*nan"),
    "empty": (lambda y, z, s: (y[:0], z[:0], None), "0 sample"),
    "strings": (lambda y, z, s: (y, z.astype(str) + "x", s), "could not convert"),
}


@every_class
@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("method", ["value", "gradient"])
def test_wrong_arrays(cls, wrong, method):
    loss = cls()
    y, z, more = draw(loss)
    spoil, message = WRONG[wrong]
    with pytest.raises(ValueError, match=message):
        getattr(loss, method)(*spoil(y, z, weights_for(len(z))), **more)


@pytest.mark.parametrize(
    "cls", [cls for cls in PUBLIC if issubclass(cls, BinaryLoss)], ids=lambda cls: cls.__name__
)
@pytest.mark.parametrize("label", [0.0, 2.0, -1.0000001, 1e300])
def test_binary_losses_refuse_other_labels(cls, label):
    y, z, _ = draw(cls())
    for method in (cls().value, cls().gradient):
        with pytest.raises(ValueError, match=rf"y_true.*-1 and \+1.*{re.escape(str(label))}"):
            method(_spoil(y, label), z)


@pytest.mark.parametrize(
    "cls", [cls for cls in PUBLIC if issubclass(cls, PairwiseLoss)], ids=lambda cls: cls.__name__
)
@pytest.mark.parametrize(
    "groups", [[1, 2], [[1]] * 20 + [[2, 2]], [1.0] * 39 + [np.nan], 5], ids=str
)
def test_wrong_groups(cls, groups):
    y, z, _ = draw(cls())
    if isinstance(groups, list) and isinstance(groups[0], list):
        groups = np.ones((len(z), 2))
    for method in (cls().value, cls().gradient):
        with pytest.raises(ValueError, match="groups"):
            method(y, z, groups=groups)


# --- parameters -------------------------------------------------------------------------------


def _bad_parameters():
    cases = []
    for cls in PUBLIC:
        for name, default in cls().get_params().items():
            if isinstance(default, str):
                bad = ["no such choice", "", None, 1, True, [default], np.nan]
            else:
                bad = ["1", None, [1.0], {}, 1j, True, np.array([1.0]), math.nan, np.float32("nan")]
                bad += [math.inf, -math.inf, 10**400, -(10**400)]
                bad += OUT_OF_RANGE.get((cls.__name__, name), [-1, -1e-300])
            for value in bad:
                text = repr(value) if len(repr(value)) < 30 else f"{str(value)[:8]}..."
                cases.append(pytest.param(cls, name, value, id=f"{cls.__name__}-{name}={text}"))
    return cases


@pytest.mark.parametrize(("cls", "name", "value"), _bad_parameters())
def test_bad_parameters_are_named(cls, name, value):
    y, z, more = draw(cls())
    good = cls()
    good.value(y, z, **more)  # compiled or not, a parameter is checked
    for method in ("value", "gradient"):
        with pytest.raises((TypeError, ValueError), match=name) as caught:
            getattr(cls(**{name: value}), method)(y, z, **more)
        assert repr(value)[:8] in str(caught.value)
        with pytest.raises((TypeError, ValueError), match=name):
            getattr(clone(good).set_params(**{name: value}), method)(y, z, **more)


@pytest.mark.parametrize("value", [-1.0, "1"])
def test_estimators_name_a_bad_parameter_of_their_loss(value):
    X, y = np.arange(6.0)[:, None], np.array([0, 1, 0, 1, 0, 1])
    with pytest.raises((TypeError, ValueError), match=r"margin.*1"):
        LinearClassifier(loss=Hinge(margin=value)).fit(X, y)


@every_loss
def test_parameter_protocol(loss):
    cls, params = type(loss), loss.get_params()
    again = cls(**params)
    assert again == loss
    assert not (again != loss)  # noqa: SIM202
    assert again is not loss
    assert clone(loss) == loss
    assert cls().set_params(**params) == loss
    assert eval(repr(loss), {cls.__name__: cls}) == loss
    assert loss != cls.__name__
    others = [other for other in CASES if type(other) is not cls]
    assert all(other != loss for other in others)
    for name in params:
        changed = clone(loss).set_params(**{name: "changed"})
        assert changed != loss
        assert changed.get_params() == {**params, name: "changed"}
    with pytest.raises(ValueError, match="no_such_parameter"):
        loss.set_params(no_such_parameter=1)


@every_loss
def test_using_a_loss_leaves_no_state(loss):
    fresh = clone(loss)
    y, z, more = draw(fresh)
    before = dict(vars(fresh))
    fresh.value(y, z, **more)
    fresh.gradient(y, z, **more)
    assert vars(fresh) == before


@every_loss
@pytest.mark.parametrize(
    "duplicate",
    [lambda loss: pickle.loads(pickle.dumps(loss)), copy.deepcopy, copy.copy, clone],
    ids=["pickle", "deepcopy", "copy", "clone"],
)
def test_copies_before_and_after_first_use(loss, duplicate):
    used = clone(loss)
    y, z, more = draw(used)
    early = duplicate(used)
    value, gradient = used.value(y, z, **more), used.gradient(y, z, **more)
    late = duplicate(used)
    for other in (early, late):
        assert other == used
        assert other is not used
        assert other.value(y, z, **more) == value
        np.testing.assert_array_equal(other.gradient(y, z, **more), gradient)


@every_class
def test_set_params_changes_the_value(cls):
    params = SETTINGS.get(cls.__name__, [])
    y, z, more = draw(cls())
    loss = cls()
    loss.value(y, z, **more)
    for changed in params:
        expected = cls(**changed).value(y, z, **more)
        assert clone(loss).set_params(**changed).value(y, z, **more) == expected
        assert expected != loss.value(y, z, **more)


@pytest.mark.parametrize("number", [1, np.int64(1), np.float32(1), np.float64(1), True + 0])
def test_any_number_will_do(number):
    y, z, _ = draw(Hinge())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Hinge(margin=number).value(y, z) == Hinge(margin=1.0).value(y, z)
        assert PairwiseHinge(margin=number).value(y, z) == PairwiseHinge(margin=1.0).value(y, z)


def test_losses_cannot_be_hashed_since_they_can_change():
    with pytest.raises(TypeError, match="hash"):
        hash(Hinge())


# --- the seeds --------------------------------------------------------------------------------


def hinge_forward(target_pred, target_true):
    """Seed 002, verbatim."""
    output = np.sum((np.maximum(0, 1 - target_pred * target_true)) / target_pred.size)
    return output


def hinge_grad_input(target_pred, target_true):
    """Seed 002, verbatim."""
    grad_input = np.where(target_pred * target_true < 1, -target_true / target_pred.size, 0)
    return grad_input


@pytest.mark.parametrize("n", [1, 3, 64, 1000])
def test_hinge_is_seed_002(n):
    rng = np.random.default_rng(n)
    target_true = rng.choice([-1.0, 1.0], n)
    target_pred = rng.normal(size=n)
    target_pred[:: max(2, n // 10)] = target_true[:: max(2, n // 10)]  # exactly at the kink
    np.testing.assert_array_equal(
        Hinge().gradient(target_true, target_pred), hinge_grad_input(target_pred, target_true)
    )
    np.testing.assert_allclose(
        Hinge().value(target_true, target_pred),
        hinge_forward(target_pred, target_true),
        rtol=4e-16 * n,
    )


def seed_000(score_orig, label, margin, epsilon):
    """The last listing of seed 000, torch's relu, expand and transpose written out."""
    score_1 = np.broadcast_to(score_orig[:, None], (len(label), len(label)))
    score_2 = np.transpose(score_1)
    label_1 = np.broadcast_to(label[:, None], (len(label), len(label)))
    label_2 = np.transpose(label_1)
    label_diff = np.maximum(0, label_1 - label_2)
    score_diff = np.maximum(0, score_2 - score_1 + margin)
    hinge_loss = np.sum(score_diff * label_diff) / (np.sum(label_diff) + epsilon)
    return hinge_loss


@pytest.mark.parametrize("grades", [2, 4, 50])
@pytest.mark.parametrize("margin", [0.0, 0.3, 1.0])
def test_pairwise_hinge_is_seed_000(grades, margin):
    rng = np.random.default_rng(grades)
    label, score = rng.integers(0, grades, 60).astype(float), rng.normal(size=60)
    loss = PairwiseHinge(margin=margin)
    np.testing.assert_allclose(
        loss.value(label, score), seed_000(score, label, margin, 0.0), rtol=1e-13
    )
    # With its epsilon, which is there to avoid 0/0 and shrinks the loss by a known factor.
    total = np.maximum(0, label[:, None] - label).sum()
    np.testing.assert_allclose(
        loss.value(label, score) * total / (total + 1e-6),
        seed_000(score, label, margin, 1e-6),
        rtol=1e-13,
    )
    assert loss.value(np.ones(5), score[:5]) == seed_000(score[:5], np.ones(5), margin, 1e-6) == 0


def test_pairwise_hinge_on_two_labels_is_formula_1_2_of_seed_000():
    rng = np.random.default_rng(0)
    label, score = rng.integers(0, 2, 30), rng.normal(size=30)
    pairs = [max(0, 0.3 - (p - n)) for p in score[label == 1] for n in score[label == 0]]
    for weighting in ("difference", "uniform"):
        loss = PairwiseHinge(margin=0.3, weighting=weighting)
        assert loss.value(label, score) == pytest.approx(np.mean(pairs), rel=1e-13)


# --- what a user writes -----------------------------------------------------------------------

STEEPNESS = 1.5
KNOTS = np.array([0.5, 1.0, 2.0])


def softplus(x):
    return math.log1p(math.exp(-abs(x))) + max(x, 0.0)


def scaled_softplus(x, scale=STEEPNESS):
    return softplus(scale * x) / scale


def sigmoid(x):
    return 1.0 / (1.0 + math.exp(-x))


class WithHelpers(PointwiseLoss):
    """Calls functions of the module, one with a default, and reads a constant."""

    def sample_value(self, y, z):
        return scaled_softplus(-y * z) + STEEPNESS

    def sample_gradient(self, y, z):
        return -y * sigmoid(-STEEPNESS * y * z)


def make_closure(power):
    class WithClosure(PointwiseLoss):
        smooth = True

        def sample_value(self, y, z):
            return abs(y - z) ** power

        def sample_gradient(self, y, z):
            return power * abs(y - z) ** (power - 1) * np.sign(z - y)

    return WithClosure


class WithMethods(PointwiseLoss):
    """Calls a method that calls a method."""

    def __init__(self, scale=1.0):
        self.scale = scale

    def residual(self, y, z):
        return (z - y) / self.scale

    def square(self, y, z):
        return self.residual(y, z) ** 2

    def sample_value(self, y, z):
        return math.log1p(self.square(y, z))

    def sample_gradient(self, y, z):
        return 2 * self.residual(y, z) / (1 + self.square(y, z)) / self.scale


class WithParameters(PointwiseLoss):
    """Has a parameter of every kind."""

    def __init__(self, power=2, signed=False, mode="sum", coefs=(1.0, 0.5)):
        self.power = power
        self.signed = signed
        self.mode = mode
        self.coefs = coefs

    def sample_value(self, y, z):
        r = z - y
        if self.signed and r < 0:
            return 0.0
        total = 0.0
        for k in range(len(self.coefs)):
            total += self.coefs[k] * abs(r) ** (self.power + k)
        return total / len(self.coefs) if self.mode == "mean" else total

    def sample_gradient(self, y, z):
        r = z - y
        if self.signed and r < 0:
            return 0.0
        total = 0.0
        for k in range(len(self.coefs)):
            total += self.coefs[k] * (self.power + k) * abs(r) ** (self.power + k - 1)
        total = total if r > 0 else -total
        return total / len(self.coefs) if self.mode == "mean" else total


class WithNumPy(PointwiseLoss):
    """Uses NumPy: functions, a constant array, a comprehension and a lambda."""

    def sample_value(self, y, z):
        square = lambda r: r * r  # noqa: E731
        return np.sum(np.array([np.logaddexp(0.0, k * square(z - y)) for k in KNOTS]))

    def sample_gradient(self, y, z):
        r = z - y
        total = 0.0
        for k in KNOTS:
            total += 2 * k * r / (1.0 + np.exp(-k * r * r))
        return total


class Exponential(PairwiseLoss):
    """A pairwise loss without a weighting, with a helper and a second derivative."""

    def __init__(self, rate=0.5):
        self.rate = rate

    def pair_value(self, d):
        return scaled_softplus(-self.rate * d)

    def pair_gradient(self, d):
        return -self.rate * sigmoid(-STEEPNESS * self.rate * d)

    def pair_hessian(self, d):
        p = sigmoid(-STEEPNESS * self.rate * d)
        return STEEPNESS * self.rate**2 * p * (1.0 - p)


class Cubic(PairwiseLoss):
    """A pairwise loss with every kind of parameter."""

    def __init__(self, power=3, strict=True, mode="plain", cuts=(0.5, 2.0), weighting="difference"):
        self.power = power
        self.strict = strict
        self.mode = mode
        self.cuts = cuts
        self.weighting = weighting

    def excess(self, d, cut):
        return max(0.0, cut - d)

    def pair_value(self, d):
        total = self.excess(d, self.cuts[0]) ** self.power
        if self.strict:
            total += self.excess(d, self.cuts[1]) ** self.power
        return 10 * total if self.mode == "times ten" else total

    def pair_gradient(self, d):
        total = self.excess(d, self.cuts[0]) ** (self.power - 1)
        if self.strict:
            total += self.excess(d, self.cuts[1]) ** (self.power - 1)
        total *= -self.power
        return 10 * total if self.mode == "times ten" else total


CUSTOM = [
    WithHelpers(),
    make_closure(2)(),
    make_closure(3)(),
    WithMethods(),
    WithMethods(scale=2),
    WithParameters(),
    WithParameters(power=3, signed=True, mode="mean", coefs=(1.0,)),
    WithParameters(power=2.5, coefs=(2, 1)),
    WithNumPy(),
    Exponential(),
    Exponential(rate=2),
    Cubic(),
    Cubic(power=2, strict=False, mode="times ten", cuts=(1, 3), weighting="uniform"),
]


def mean_of_methods(loss, y, z, s, groups=None):
    """As ``mean_by_loop``, of the author's own methods run by Python."""
    if not is_pairwise(loss):
        values = [loss.sample_value(a, b) for a, b in zip(y, z, strict=True)]
        return np.average(values, weights=s)
    difference = getattr(loss, "weighting", "uniform") == "difference"
    total = mass = 0.0
    for i in range(len(z)):
        for j in range(len(z)):
            if groups[i] == groups[j] and y[i] > y[j]:
                u = s[i] * s[j] * (y[i] - y[j] if difference else 1)
                total += u * loss.pair_value(z[i] - z[j])
                mass += u
    return total / mass


@pytest.mark.parametrize("loss", CUSTOM, ids=repr)
def test_custom_losses(loss):
    y, z, more = draw(loss, n=15, spread=1.0)
    if isinstance(loss, WithHelpers):
        y = np.sign(y)
    s = weights_for(len(z))
    value, gradient = loss.value(y, z, s, **more), loss.gradient(y, z, s, **more)
    np.testing.assert_allclose(value, mean_of_methods(loss, y, z, s, **more), rtol=1e-13)
    left, right = one_sided_slopes(lambda at: loss.value(y, at, s, **more), z)
    np.testing.assert_allclose(gradient, (left + right) / 2, rtol=1e-6, atol=1e-7)
    assert clone(loss) == copy.deepcopy(loss) == loss
    assert clone(loss).value(y, z, s, **more) == value


@pytest.mark.parametrize("loss", [WithParameters(power=3), Exponential(rate=2.0)], ids=repr)
def test_custom_losses_survive_pickling(loss):
    y, z, more = draw(loss)
    value = loss.value(y, z, **more)
    again = pickle.loads(pickle.dumps(loss))
    assert again == loss
    assert again.value(y, z, **more) == value


def test_custom_loss_follows_its_parameters():
    y, z, _ = draw(WithParameters())
    loss = WithParameters()
    seen = [loss.value(y, z)]
    for change in ({"power": 3}, {"signed": True}, {"mode": "mean"}, {"coefs": (3.0, 0.5)}):
        loss.set_params(**change)
        seen.append(loss.value(y, z))
        assert seen[-1] == pytest.approx(mean_of_methods(loss, y, z, np.ones(len(z))), rel=1e-13)
    assert len(set(seen)) == len(seen)


def test_a_tuple_may_mix_integers_and_floats():
    """As ``margin=1`` is as good as ``margin=1.0``."""
    y, z, _ = draw(WithParameters())
    mixed, plain = WithParameters(coefs=(1, 0.5)), WithParameters(coefs=(1.0, 0.5))
    assert mixed.value(y, z) == plain.value(y, z)


def test_a_helper_method_may_have_a_default():
    class WithDefault(PointwiseLoss):
        def power(self, r, exponent=2):
            return r**exponent

        def sample_value(self, y, z):
            return self.power(y - z) + self.power(y - z, 4)

        def sample_gradient(self, y, z):
            return 2 * (z - y) + 4 * (z - y) ** 3

    assert WithDefault().value([2.0], [0.0]) == 20.0


def test_a_helper_may_be_called_in_a_comprehension():
    class WithComprehension(PointwiseLoss):
        def sample_value(self, y, z):
            return max([softplus(k * (y - z)) for k in KNOTS])

        def sample_gradient(self, y, z):
            return 0.0

    assert WithComprehension().value([2.0], [0.0]) == pytest.approx(softplus(4.0), rel=1e-14)


def test_two_classes_of_one_name_and_one_source():
    """As when a notebook cell is run again, with and without a change of what it uses."""
    first, same, other = make_closure(2)(), make_closure(2)(), make_closure(1)()
    assert type(first) is not type(same)
    for loss, expected in ((first, 9.0), (same, 9.0), (other, 3.0), (first, 9.0)):
        assert loss.value([3.0], [0.0]) == expected


def test_a_subclass_with_its_own_formula_does_not_take_the_fast_path():
    class Capped(PairwiseHinge):
        def pair_value(self, d):
            return min(1.0, max(0.0, self.margin - d))

        def pair_gradient(self, d):
            return -1.0 if self.margin - 1.0 < d < self.margin else 0.0

    y, z, more = draw(Capped())
    s = weights_for(len(z))
    expected = mean_of_methods(Capped(), y, z, s, **more)
    assert Capped().value(y, z, s, **more) == pytest.approx(expected, rel=1e-13)
    assert expected < PairwiseHinge().value(y, z, s, **more)


class Asymmetric(Hinge):
    """A class of its own, though it inherits what solvers know of the hinge."""

    def sample_value(self, y, z):
        return (5.0 if y > 0 else 1.0) * max(0.0, self.margin - y * z)

    def sample_gradient(self, y, z):
        return (5.0 if y > 0 else 1.0) * (-y if y * z < self.margin else 0.0)


class Lopsided(losses.Absolute):
    """As ``Asymmetric``, for regression."""

    def sample_value(self, y, z):
        return 5.0 * (y - z) if y > z else z - y

    def sample_gradient(self, y, z):
        return -5.0 if y > z else 1.0


class TwoMargins(PairwiseHinge):
    """As ``Asymmetric``, for ranking."""

    def pair_value(self, d):
        return max(0.0, self.margin - d) + max(0.0, 4.0 - d)

    def pair_gradient(self, d):
        return (-1.0 if d < self.margin else 0.0) - (1.0 if d < 4.0 else 0.0)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("estimator", "loss", "parent"),
    [
        (LinearClassifier, Asymmetric(), Hinge()),
        (LinearRegressor, Lopsided(), losses.Absolute()),
        (LinearRanker, TwoMargins(), PairwiseHinge()),
    ],
    ids=["classifier", "regressor", "ranker"],
)
def test_a_subclass_is_fitted_by_its_own_formula(estimator, loss, parent):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 2))
    target = X @ [1.0, -0.5] + rng.normal(size=150)
    y = np.sign(target) if isinstance(loss, BinaryLoss) else np.round(target)

    def objective(model):
        scores = X @ np.ravel(model.coef_) + getattr(model, "intercept_", 0.0)
        return loss.value(y, scores) + 0.05 * np.sum(model.coef_**2)

    plain = objective(estimator(loss=loss, alpha=0.1, solver="subgradient").fit(X, y))
    wrong = objective(estimator(loss=parent, alpha=0.1).fit(X, y))
    assert plain < 0.98 * wrong  # the two losses have different minima
    assert objective(estimator(loss=loss, alpha=0.1).fit(X, y)) < 1.01 * plain


def test_custom_loss_fits():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    y = X @ [1.0, -2.0] + 0.5
    model = LinearRegressor(loss=make_closure(2)(), alpha=0).fit(X, y)
    np.testing.assert_allclose(model.coef_, [1, -2], rtol=1e-6)
    np.testing.assert_allclose(model.intercept_, 0.5, rtol=1e-6)


def format_number(x):
    return float(f"{x:.3f}")


def factorial(n):
    return 1.0 if n < 1 else n * factorial(n - 1)


class CallsPythonOnly(PointwiseLoss):
    def sample_value(self, y, z):
        return statistics.fmean([y, z])

    def sample_gradient(self, y, z):
        return statistics.fmean([y, z])


class CallsUnknownSyntax(PointwiseLoss):
    def sample_value(self, y, z):
        return format_number(y - z)

    def sample_gradient(self, y, z):
        return format_number(y - z)


class ReadsNoParameter(PointwiseLoss):
    factor = 2.0

    def sample_value(self, y, z):
        return self.factor * (y - z)

    def sample_gradient(self, y, z):
        return -self.factor


class HasDict(PointwiseLoss):
    def __init__(self, table=None):
        self.table = table

    def sample_value(self, y, z):
        return self.table["a"] * z

    def sample_gradient(self, y, z):
        return self.table["a"]


class ReturnsText(PointwiseLoss):
    def sample_value(self, y, z):
        return "z"

    def sample_gradient(self, y, z):
        return "z"


class HasNoMethods(PointwiseLoss):
    pass


class PairwiseCallsPythonOnly(PairwiseLoss):
    def pair_value(self, d):
        return statistics.fmean([d, d])

    def pair_gradient(self, d):
        return statistics.fmean([d, d])


@pytest.mark.parametrize(
    ("loss", "culprit"),
    [
        (CallsPythonOnly(), "fmean"),
        (CallsUnknownSyntax(), "f-string"),
        (ReadsNoParameter(), "factor"),
        (HasDict({"a": 1.0}), "table"),
        (ReturnsText(), r"sample_value|sample_gradient|\[str\]"),
        (HasNoMethods(), "sample_(value|gradient)"),
        (PairwiseCallsPythonOnly(), "fmean"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else value,
)
@pytest.mark.parametrize("method", ["value", "gradient"])
def test_what_cannot_be_compiled_is_named(loss, culprit, method):
    with pytest.raises((TypeError, NotImplementedError), match=type(loss).__name__) as caught:
        getattr(loss, method)([1.0, 2.0], [0.0, 0.0])
    reason = str(caught.value).replace(type(loss).__name__, "")
    reason = reason.split("The compiler said:")[-1]
    assert re.search(culprit, reason), str(caught.value)


def test_a_loss_that_cannot_be_compiled_fails_fit_readably():
    X = np.arange(6.0)[:, None]
    for solver in ("auto", "sgd"):
        model = LinearRegressor(loss=CallsPythonOnly(), solver=solver)
        with pytest.raises(TypeError, match="CallsPythonOnly"):
            model.fit(X, X[:, 0])


def test_a_recursive_helper_works_or_is_refused():
    class Recursive(PointwiseLoss):
        def sample_value(self, y, z):
            return factorial(abs(y - z))

        def sample_gradient(self, y, z):
            return 0.0

    try:
        outcome = Recursive().value([3.0], [0.0])
    except TypeError as error:
        outcome = str(error)
    assert outcome == 6.0 or "Recursive" in str(outcome)


def test_an_exception_of_the_author_is_passed_on():
    class Positive(PointwiseLoss):
        def sample_value(self, y, z):
            if z < 0:
                raise ValueError("scores must be positive")
            return z

        def sample_gradient(self, y, z):
            return 1.0

    assert Positive().value([1.0], [2.0]) == 2.0
    with pytest.raises(ValueError, match="scores must be positive"):
        Positive().value([1.0], [-2.0])


def test_losses_meet_where_they_should():
    """Limits and special cases that tie losses to one another."""
    y, z, _ = draw(Squared())
    assert Quantile(quantile=0.5).value(y, z) == pytest.approx(
        EpsilonInsensitive(epsilon=0).value(y, z) / 2, rel=1e-14
    )
    assert Huber(delta=1e6).value(y, z) == pytest.approx(Squared().value(y, z) / 2, rel=1e-14)
    y, z, _ = draw(Hinge())
    smoothed = losses.SmoothedHinge(smoothing=1e-9)
    assert smoothed.value(y, z) == pytest.approx(Hinge().value(y, z), abs=1e-9)
    np.testing.assert_allclose(Logistic().probability(z) * (1 + np.exp(-z)), 1, rtol=1e-14)
    y, z, more = draw(PairwiseSquaredHinge())
    assert PairwiseHinge().gradient(y, z, **more).sum() == pytest.approx(0, abs=1e-15)


# --- given pairs ------------------------------------------------------------------------------


@pytest.mark.parametrize("margin", [0.0, 0.3, 2])
@pytest.mark.parametrize("weighted", [False, True])
def test_margin_ranking_is_its_formula(margin, weighted):
    rng = np.random.default_rng(0)
    t, z1, z2 = rng.choice([-1.0, 1.0], 30), *rng.normal(size=(2, 30))
    s = weights_for(30) if weighted else None
    loss = MarginRanking(margin=margin)

    def value(z1, z2):
        return np.average(np.maximum(0, margin - t * (z1 - z2)), weights=s)

    assert loss.value(t, z1, z2, s) == pytest.approx(value(z1, z2), rel=1e-14)
    assert loss.value(t.tolist(), z1.tolist(), z2.tolist(), s) == loss.value(t, z1, z2, s)
    g1, g2 = loss.gradient(t, z1, z2, s)
    np.testing.assert_array_equal(g1, -g2)
    assert_subgradient(g1, *one_sided_slopes(lambda z: value(z, z2), z1), 1e-7)
    assert_subgradient(g2, *one_sided_slopes(lambda z: value(z1, z), z2), 1e-7)
    narrow = loss.gradient(t, z1.astype(np.float32), z2.astype(np.float32), s)[0]
    assert narrow.dtype == np.float32
    assert loss.gradient(t, z1.astype(np.float32), z2, s)[0].dtype == np.float64
    for again in (clone(loss), copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
        assert again == loss
        assert again.value(t, z1, z2, s) == loss.value(t, z1, z2, s)
    assert loss.get_params() == {"margin": margin}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (([1, 0], [0.0, 0.0], [0.0, 0.0]), "t must hold only -1 and [+]1, got 0.0"),
        (([1], [0.0, 0.0], [0.0, 0.0]), "t has length 1, expected 2"),
        (([1, 1], [0.0], [0.0, 0.0]), "z1 and z2 must"),
        (([1, 1], [[0.0], [0.0]], [[0.0], [0.0]]), "z1 and z2 must"),
        (([1, 1], [np.nan, 0.0], [0.0, 0.0]), "z1 contains NaN"),
        (([1, 1], [0.0, 0.0], [0.0, np.inf]), "z2 contains infinity"),
        (([1, 1], [0.0, 0.0], [0.0, 0.0], [1.0, -1.0]), "sample_weight must not be negative"),
    ],
)
def test_margin_ranking_refuses_wrong_arrays(args, message):
    for method in (MarginRanking().value, MarginRanking().gradient):
        with pytest.raises(ValueError, match=message):
            method(*args)
    with pytest.raises((TypeError, ValueError), match="margin"):
        MarginRanking(margin=-1.0).value([1], [0.0], [0.0])
    with pytest.raises((TypeError, ValueError), match="margin"):
        MarginRanking(margin=None).gradient([1], [0.0], [0.0])
