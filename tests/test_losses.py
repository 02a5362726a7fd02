"""One battery for every public loss, in every form it has: see loss_catalogue.py."""

import copy
import math
import pickle
import re
import warnings

import numpy as np
import pytest
from loss_catalogue import (
    CASES,
    DEFAULT_FORMS,
    ENTRIES,
    FORMS,
    FORMULAS,
    KINKS,
    OUT_OF_RANGE,
    PUBLIC,
    REFUSED,
    SETTINGS,
    assert_subgradient,
    draw,
    form_id,
    forms,
    formula,
    is_listwise,
    is_pairwise,
    mean_by_loop,
    mean_of_methods,
    one_sided_slopes,
    takes_signs,
    weights_for,
)
from scipy.optimize import minimize_scalar
from sklearn.base import clone

from sklearn_margin import LinearClassifier, losses
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
    SquaredHinge,
)

POINTWISE = [loss for loss, columns in FORMS if isinstance(loss, PointwiseLoss) and columns == 0]
CURVED = [loss for loss in POINTWISE if loss.has_hessian]


def parametrize_forms(cases):
    return pytest.mark.parametrize(
        ("loss", "columns"), cases, ids=[form_id(*case) for case in cases]
    )


every_class = pytest.mark.parametrize("cls", PUBLIC, ids=lambda cls: cls.__name__)
every_loss = pytest.mark.parametrize("loss", CASES, ids=repr)
every_pointwise = pytest.mark.parametrize("loss", POINTWISE, ids=repr)
every_form = parametrize_forms(FORMS)
every_default_form = parametrize_forms(DEFAULT_FORMS)
every_entry = parametrize_forms(ENTRIES)
#: Forms that are compiled for single precision, or for other arrays than usual: one or two of
#: each module of kernels, for numba compiles all of a loss again.
BY_KERNEL = [
    (Hinge(), 0),
    (losses.CrossEntropy(), 2),
    (losses.CrammerSinger(), 2),
    (losses.Dice(), 0),
    (PairwiseHinge(), 0),
]
SINGLE = [*BY_KERNEL, (Huber(), 0), (Logistic(), 0), (losses.Focal(), 2)]
SINGLE += [(losses.PairwiseLogistic(), 0)]
every_kernel = parametrize_forms(BY_KERNEL)
every_single = parametrize_forms(SINGLE)
every_mean = parametrize_forms([case for case in FORMS if case[0].splits])

# --- what the battery covers ------------------------------------------------------------------


def test_the_catalogue_is_found():
    assert len(PUBLIC) >= 19
    assert {Hinge, Logistic, Huber, Quantile, PairwiseHinge} <= set(PUBLIC)
    for name, columns in [("Focal", {0, 2, 4}), ("CrammerSinger", {0, 2, 4}), ("Dice", {0, 2, 4})]:
        assert {k for loss, k in FORMS if type(loss).__name__ == name} == columns


@every_class
def test_every_loss_has_a_formula(cls):
    assert sum(cls.__name__ in table for table in FORMULAS) == 1


@pytest.mark.parametrize("table", [*FORMULAS, SETTINGS, KINKS])
def test_tables_name_existing_losses(table):
    assert set(table) <= {cls.__name__ for cls in PUBLIC}


# --- value and derivatives --------------------------------------------------------------------


@every_form
def test_value_is_the_weighted_mean_of_the_formula(loss, columns):
    y, z, more = draw(loss, columns)
    for s in (None, weights_for(len(z))):
        value = loss.value(y, z, s, **more)
        assert isinstance(value, float)
        np.testing.assert_allclose(value, mean_by_loop(loss, y, z, s, **more), rtol=1e-13)


@every_form
def test_gradient_is_the_slope_of_the_value(loss, columns):
    y, z, more = draw(loss, columns, n=25)
    s = weights_for(len(z))
    gradient = loss.gradient(y, z, s, **more)
    assert gradient.shape == z.shape
    left, right = one_sided_slopes(lambda at: loss.value(y, at, s, **more), z)
    smooth_here = np.abs(right - left) < 1e-4
    assert smooth_here.mean() >= 0.9
    np.testing.assert_allclose(
        gradient[smooth_here], ((left + right) / 2)[smooth_here], rtol=1e-6, atol=2e-8
    )
    assert_subgradient(gradient, left, right, 2e-8)
    # No weights are equal ones.
    np.testing.assert_allclose(
        loss.gradient(y, z, **more), loss.gradient(y, z, np.ones(len(z)), **more), rtol=1e-13
    )


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


@every_form
def test_subgradient_where_scores_tie_and_pairs_are_at_the_margin(loss, columns):
    y, z, more = draw(loss, columns, n=14)
    margin = loss.get_params().get("margin", 1.0)
    z = np.round(z) * (margin or 1.0)
    left, right = one_sided_slopes(lambda at: loss.value(y, at, **more), z)
    assert_subgradient(loss.gradient(y, z, **more), left, right, 1e-5)


@parametrize_forms([case for case in FORMS if case[0].convex])
def test_convexity(loss, columns):
    rng = np.random.default_rng(2)
    y, z, more = draw(loss, columns)
    worst = -np.inf
    for spread in (0.5, 3.0, 50.0):
        a, b = rng.normal(scale=spread, size=(2, *z.shape))
        at_a, at_b = loss.value(y, a, **more), loss.value(y, b, **more)
        for t in (0.1, 0.5, 0.8):
            chord = (1 - t) * at_a + t * at_b
            worst = max(worst, loss.value(y, (1 - t) * a + t * b, **more) - chord - 1e-12 * chord)
        below = at_a + np.sum(loss.gradient(y, a, **more) * (b - a))
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


def test_round_hinges_reproduce_the_value():
    loss, z = SquaredHinge(margin=0.7), np.linspace(-3, 3, 41)
    for label in (-1.0, 1.0):
        y = np.full(len(z), label)
        ((kink, left, right, curve),) = loss.piecewise_quadratic(y)
        t = np.clip((z - kink) / curve, left, right)
        np.testing.assert_allclose(t * (z - kink) - 0.5 * curve * t**2, formula(loss, y, z))
    assert Hinge().piecewise_quadratic(y) is None


# Those of rows of scores are in test_multiclass_losses.py.
SMOOTHABLE = [
    loss
    for loss in CASES
    if isinstance(loss, (PointwiseLoss, PairwiseLoss)) and loss.smoothed(0.3) is not None
]


def test_piecewise_linear_losses_can_be_smoothed():
    assert {Hinge, PairwiseHinge, Quantile} <= {type(loss) for loss in SMOOTHABLE}


@pytest.mark.compiled
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


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("loss", "columns", "dtype"),
    [(*form, np.float64) for form in FORMS] + [(*form, np.float32) for form in SINGLE],
)
def test_scores_of_1000_do_not_overflow(loss, columns, dtype):
    rng = np.random.default_rng(4)
    y, z, more = draw(loss, columns)
    y = y.astype(dtype)
    z = rng.choice([-1e3, 1e3, 0.0, 999.0], size=z.shape).astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value, gradient = loss.value(y, z, **more), loss.gradient(y, z, **more)
    assert np.isfinite(value)
    assert np.all(np.isfinite(gradient))
    expected = mean_by_loop(loss, y.astype(float), z.astype(float), **more)
    np.testing.assert_allclose(value, expected, rtol=1e-12 if dtype == np.float64 else 1e-6)
    if columns == 0 and isinstance(loss, PointwiseLoss) and loss.has_hessian:
        g, hessian = np.empty_like(z), np.empty_like(z)
        loss.scores_gradient_hessian(y, z, np.ones_like(z), g, hessian)
        assert np.all(np.isfinite(hessian))
        assert np.all(hessian >= 0) or not loss.convex


# --- weights ----------------------------------------------------------------------------------


@every_mean
def test_a_common_factor_of_the_weights_means_nothing(loss, columns):
    y, z, more = draw(loss, columns)
    s = weights_for(len(z))
    value, gradient = loss.value(y, z, s, **more), loss.gradient(y, z, s, **more)
    for factor in (3.0, 1e300, 1e-300):
        np.testing.assert_allclose(loss.value(y, z, factor * s, **more), value, rtol=1e-13)
        found = loss.gradient(y, z, factor * s, **more)
        np.testing.assert_allclose(found, gradient, rtol=1e-12, atol=1e-16)


@every_mean
def test_a_scalar_weight_is_no_weight(loss, columns):
    y, z, more = draw(loss, columns)
    value, gradient = loss.value(y, z, **more), loss.gradient(y, z, **more)
    for weight in (1, 2.5, np.float32(3), np.array(4)):
        assert loss.value(y, z, weight, **more) == value
        np.testing.assert_array_equal(loss.gradient(y, z, weight, **more), gradient)


@parametrize_forms([case for case in FORMS if not is_listwise(case[0])])
def test_an_integer_weight_is_repetition(loss, columns):
    y, z, more = draw(loss, columns)
    times = np.random.default_rng(5).integers(0, 4, len(z))
    index = np.repeat(np.arange(len(z)), times)
    repeated = {name: value[index] for name, value in more.items()}
    np.testing.assert_allclose(
        loss.value(y, z, times, **more), loss.value(y[index], z[index], **repeated), rtol=1e-13
    )
    summed = np.zeros_like(z)
    np.add.at(summed, index, loss.gradient(y[index], z[index], **repeated))
    np.testing.assert_allclose(loss.gradient(y, z, times, **more), summed, rtol=1e-12, atol=1e-16)


@every_form
def test_weight_zero_drops_a_row_whatever_its_score(loss, columns):
    y, z, more = draw(loss, columns)
    s = weights_for(len(z))
    dropped = np.random.default_rng(6).uniform(size=len(z)) < 0.3
    assert 3 < dropped.sum() < len(z) - 3
    s[dropped] = 0
    kept = {name: value[~dropped] for name, value in more.items()}
    expected = loss.value(y[~dropped], z[~dropped], s[~dropped], **kept)
    expected_gradient = loss.gradient(y[~dropped], z[~dropped], s[~dropped], **kept)
    for wild in (1e3, 1e200, -1e200, 1e308, -1e308):
        z[dropped] = np.resize([wild, -wild], columns) if columns else wild
        np.testing.assert_allclose(loss.value(y, z, s, **more), expected, rtol=1e-13)
        gradient = loss.gradient(y, z, s, **more)
        np.testing.assert_allclose(gradient[~dropped], expected_gradient, rtol=1e-12, atol=1e-16)
        np.testing.assert_array_equal(gradient[dropped], 0.0)
        if columns == 0 and isinstance(loss, PointwiseLoss) and loss.has_hessian:
            g, hessian = np.full_like(z, np.nan), np.full_like(z, np.nan)
            assert np.isfinite(loss.scores_gradient_hessian(y, z, s, g, hessian))
            np.testing.assert_array_equal(g[dropped], 0.0)
            np.testing.assert_array_equal(hessian[dropped], 0.0)


# --- arrays -----------------------------------------------------------------------------------


@every_single
def test_float32(loss, columns):
    y, z, more = draw(loss, columns)
    y, z = y.astype(np.float32), z.astype(np.float32)
    s = weights_for(len(z))
    wide = y.astype(float), z.astype(float)
    gradient = loss.gradient(y, z, s, **more)
    assert gradient.dtype == np.float32
    assert loss.gradient(*wide, s, **more).dtype == np.float64
    assert isinstance(loss.value(y, z, s, **more), float)
    np.testing.assert_allclose(loss.value(y, z, s, **more), loss.value(*wide, s, **more), rtol=1e-6)
    np.testing.assert_allclose(gradient, loss.gradient(*wide, s, **more), rtol=2e-5, atol=1e-7)


def by_python(loss, y, z):
    """Losses and gradients from the methods themselves: row by row, or difference by difference."""
    if isinstance(loss, losses.BatchLoss):
        s, out = np.ones(len(z), z.dtype), np.empty_like(z)
        loss.batch_gradient(y, z, s, out)
        return loss.batch_value(y, z, s), out
    out = np.empty_like(z)
    if z.ndim == 1:
        values = [loss.sample_value(a, b) for a, b in zip(y, z, strict=True)]
        out[:] = [loss.sample_gradient(a, b) for a, b in zip(y, z, strict=True)]
    else:
        values = [loss.sample_value(int(k), row) for k, row in zip(y, z, strict=True)]
        for k, row, slopes in zip(y, z, out, strict=True):
            loss.sample_gradient(int(k), row, slopes)
    return values, out


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")  # to 1 / inf, compiled or not
def test_methods_of_every_loss_bear_single_precision():
    """In plain Python, where a number of single precision makes all it meets single."""
    for loss, columns in DEFAULT_FORMS:
        if is_listwise(loss):  # which has no method of one score
            continue
        y, z, _ = draw(loss, columns)
        extreme = np.random.default_rng(4).choice([-1e3, 1e3, 0.0, 999.0], size=z.shape)
        form = (loss.multiclass or loss) if columns else loss.for_classes(2)
        for scores in (z, extreme):
            single = y.astype(np.float32), scores.astype(np.float32)
            value, gradient = by_python(form, *single)
            wide, slope = by_python(form, *(array.astype(float) for array in single))
            name = form_id(loss, columns)
            assert np.all(np.isfinite(wide)) and np.all(np.isfinite(slope)), name
            np.testing.assert_allclose(value, wide, rtol=2e-6, atol=1e-6, err_msg=name)
            np.testing.assert_allclose(gradient, slope, rtol=2e-5, atol=1e-6, err_msg=name)


@every_single
def test_the_scores_decide_the_dtype(loss, columns):
    y, z, more = draw(loss, columns)
    assert loss.gradient(y, z.astype(np.float32), **more).dtype == np.float32
    assert loss.gradient(y.astype(np.float32), z, **more).dtype == np.float64
    assert loss.gradient(y, np.round(z).astype(int), **more).dtype == np.float64


@every_default_form
def test_array_likes(loss, columns):
    y, z, more = draw(loss, columns)
    s = weights_for(len(z))
    lists = {name: value.tolist() for name, value in more.items()}
    value, gradient = loss.value(y, z, s, **more), loss.gradient(y, z, s, **more)
    assert loss.value(y.tolist(), z.tolist(), s.tolist(), **lists) == value
    np.testing.assert_array_equal(
        loss.gradient(tuple(y), tuple(z), tuple(s), **lists), gradient, strict=True
    )
    strided = np.stack([z, z], axis=-1)[..., 0]
    np.testing.assert_array_equal(loss.gradient(y, strided, s, **more), gradient)
    swapped = z.astype(">f8")
    np.testing.assert_array_equal(loss.gradient(y, swapped, s, **more), gradient)


@every_kernel
def test_read_only_input_is_accepted_and_inputs_are_left_alone(loss, columns):
    y, z, more = draw(loss, columns)
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
    "both are 2-D": (lambda y, z, s: (y[:, None], z[:, None], s), "y_true|y_pred"),
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


def test_every_way_in_has_a_loss():
    assert {type(loss).value for loss, _ in ENTRIES} == {type(loss).value for loss in CASES}
    kinds = (PairwiseLoss, BinaryLoss, losses.RegressionLoss, losses.MulticlassLoss)
    kinds += (losses.ProbabilityLoss, losses.BatchLoss)
    assert all(any(isinstance(loss, kind) for loss, _ in ENTRIES) for kind in kinds)


def assert_refused(case, match, call, *args, **kwargs):
    """Raise a readable error unless the call does; ``case`` says which of many it was."""
    try:
        call(*args, **kwargs)
    except (TypeError, ValueError) as error:
        assert re.search(match, str(error)), f"{case}: {error!r} does not match {match!r}"
        return error
    pytest.fail(f"{case}: {call} did not raise")


@every_entry
def test_wrong_arrays(loss, columns):
    y, z, more = draw(loss, columns)
    for wrong, (spoil, message) in WRONG.items():
        arrays = spoil(y, z, weights_for(len(z)))
        for method in (loss.value, loss.gradient):
            error = assert_refused(wrong, message, method, *arrays, **more)
            assert isinstance(error, ValueError), wrong


def test_other_labels_than_signs_are_refused():
    for cls in PUBLIC:
        labels = [0.0, 2.0, -1.0000001, 1e300] if takes_signs(cls()) else []
        y, z, _ = draw(cls())
        for label in labels[cls is losses.Dice :]:  # whose labels may be 0 and 1
            message = rf"y_true.*-1 and \+1.*{re.escape(str(label))}"
            for method in (cls().value, cls().gradient):
                case = f"{cls.__name__}, {label}"
                error = assert_refused(case, message, method, _spoil(y, label), z)
                assert isinstance(error, ValueError), case


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


def bad_values(cls, name, default):
    """Values of a parameter that must be refused."""
    if (cls.__name__, name) in REFUSED:
        return REFUSED[cls.__name__, name]
    if isinstance(default, str):
        return ["no such choice", "", None, 1, True, [default], np.nan]
    bad = ["1", None, [1.0], {}, 1j, True, np.array([1.0]), math.nan, np.float32("nan")]
    bad += [math.inf, -math.inf, 10**400, -(10**400)]
    return bad + OUT_OF_RANGE.get((cls.__name__, name), [-1, -1e-300])


@every_class
def test_bad_parameters_are_named(cls):
    y, z, more = draw(cls())
    good = cls()
    good.value(y, z, **more)  # compiled or not, a parameter is checked
    for name, default in good.get_params().items():
        values = bad_values(cls, name, default)
        assert len(values) >= 5
        for value in values:
            text = repr(value)[:8]
            case = f"{cls.__name__}, {name}={text}"
            for method in ("value", "gradient"):
                made = getattr(cls(**{name: value}), method)
                error = assert_refused(case, name, made, y, z, **more)
                assert isinstance(value, tuple) or text in str(error), case
                changed = getattr(clone(good).set_params(**{name: value}), method)
                assert_refused(case, name, changed, y, z, **more)


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


@every_default_form
def test_using_a_loss_leaves_no_state(loss, columns):
    fresh = clone(loss)
    y, z, more = draw(fresh, columns)
    before = dict(vars(fresh))
    fresh.value(y, z, **more)
    fresh.gradient(y, z, **more)
    assert vars(fresh) == before


@every_default_form
def test_copies_before_and_after_first_use(loss, columns):
    used = clone(loss)
    y, z, more = draw(used, columns)
    ways = [lambda loss: pickle.loads(pickle.dumps(loss)), copy.deepcopy, copy.copy, clone]
    early = [duplicate(used) for duplicate in ways]
    value, gradient = used.value(y, z, **more), used.gradient(y, z, **more)
    late = [duplicate(used) for duplicate in ways]
    for other in (*early, *late):
        assert other == used
        assert other is not used
        assert other.value(y, z, **more) == value
        np.testing.assert_array_equal(other.gradient(y, z, **more), gradient)


@every_class
def test_set_params_changes_the_value(cls):
    loss = cls()
    for changed in SETTINGS.get(cls.__name__, []):
        for columns in forms(cls(**changed)):
            y, z, more = draw(loss, columns)
            before = loss.value(y, z, **more)
            expected = cls(**changed).value(y, z, **more)
            assert clone(loss).set_params(**changed).value(y, z, **more) == expected != before


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


# --- limits ---


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
