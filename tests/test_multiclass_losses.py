"""Losses of rows of scores and of batches: what the battery of test_losses.py does not cover."""

import itertools

import numpy as np
import pytest
from loss_catalogue import (
    CASES,
    FORMS,
    assert_subgradient,
    draw,
    form_id,
    formula,
    one_sided_slopes,
    weights_for,
)
from scipy.optimize import minimize
from scipy.special import softmax
from test_inspection import Missed  # of one source, it is compiled once

from sklearn_margin import LinearClassifier
from sklearn_margin.losses import (
    BatchLoss,
    CrammerSinger,
    CrossEntropy,
    Dice,
    Focal,
    Hinge,
    Logistic,
    MulticlassLoss,
    Poly,
    ProbabilityLoss,
    WestonWatkins,
)

K = 4
HINGES = [CrammerSinger(), CrammerSinger(margin=0.3), WestonWatkins(), WestonWatkins(margin=2)]
every_hinge = pytest.mark.parametrize("loss", HINGES, ids=repr)


def rows(n=40, columns=K, seed=0, spread=2.0):
    """Class indices and rows of scores."""
    y, z, _ = draw(CrossEntropy(), columns, n=n, seed=seed, spread=spread)
    return y.astype(int), z


def signs(n=40):
    y, z, _ = draw(Logistic(), n=n)
    return y, z


# --- Hessians ---------------------------------------------------------------------------------


def of_rows(loss, columns=K):
    """What objectives use for rows of scores."""
    return loss.for_classes(columns) if columns > 2 else loss.multiclass or loss


def hessian_rows(loss, k, z, s):
    """Hessians of the samples, one product at a time."""
    gradient, curvature = np.empty_like(z), np.empty_like(z)
    loss.scores_curvature(k, z, s, gradient, curvature)
    out = np.empty((len(z), z.shape[1], z.shape[1]))
    for j, unit in enumerate(np.eye(z.shape[1])):
        product = np.empty_like(z)
        loss.scores_product(k, curvature, s, np.tile(unit, (len(z), 1)), product)
        out[:, :, j] = product
    np.testing.assert_allclose(out, loss.scores_hessians(k, curvature, s), rtol=1e-12, atol=1e-15)
    return out


def hessians_by_difference(loss, k, z, s, h=1e-5):
    """Central differences of the gradients."""

    def gradient(at):
        out = np.empty_like(at)
        loss.scores_value_gradient(k, at, s, out)
        return out

    steps = h * np.eye(z.shape[1])
    return np.stack([(gradient(z + e) - gradient(z - e)) / (2 * h) for e in steps], axis=-1)


CURVED = [(loss, K) for loss, columns in FORMS if columns == K and of_rows(loss).has_hessian]


def test_losses_with_hessians_are_found():
    assert {type(loss) for loss, _ in CURVED} == {CrossEntropy, Focal, Poly}


@pytest.mark.parametrize(("loss", "columns"), CURVED, ids=[form_id(*case) for case in CURVED])
def test_hessian_of_rows(loss, columns):
    """The true one where that is positive semi-definite; always positive semi-definite."""
    k, z = rows(n=200)
    s = weights_for(len(z))
    s[::10] = 0
    inner = of_rows(loss)
    found, true = hessian_rows(inner, k, z, s), hessians_by_difference(inner, k, z, s)
    np.testing.assert_allclose(found, found.transpose(0, 2, 1), rtol=1e-9, atol=1e-12)
    assert np.linalg.eigvalsh(found).min() > -1e-12
    exact = np.linalg.eigvalsh(true)[:, 0] > -1e-7
    assert exact.all() if loss.convex else exact.sum() > 10
    np.testing.assert_allclose(found[exact], true[exact], rtol=1e-6, atol=1e-8)
    np.testing.assert_array_equal(found[::10], 0.0)


@pytest.mark.parametrize("loss", [Focal(), Focal(gamma=0.5), Poly(epsilon=3.0)], ids=repr)
def test_hessians_that_are_not_positive_exist(loss):
    """Or clipping them, and refusing a certificate, would be for nothing."""
    k, z = rows(n=200)
    true = hessians_by_difference(of_rows(loss), k, z, np.ones(len(z)))
    assert np.linalg.eigvalsh(true).min() < -1e-3


@pytest.mark.parametrize(("loss", "columns"), CURVED, ids=[form_id(*case) for case in CURVED])
def test_hessian_of_extreme_rows(loss, columns):
    rng = np.random.default_rng(0)
    k, z = rng.integers(K, size=30), rng.choice([-1e3, 1e3, 0.0, 40.0], size=(30, K))
    found = hessian_rows(of_rows(loss), k, z, np.ones(30))
    assert np.isfinite(found).all()
    assert np.linalg.eigvalsh(found).min() > -1e-12


# --- claims -----------------------------------------------------------------------------------


def worst_chord(loss, columns, tries=40):
    """How far the loss of a sample rises above a chord, at most; positive if not convex."""
    rng = np.random.default_rng(0)
    k = rng.integers(columns, size=tries)
    worst = -np.inf
    for spread in (1.0, 4.0):
        a, b = rng.normal(scale=spread, size=(2, tries, columns))
        for p in range(tries):
            ends = [loss.value(k[[p]], z[[p]]) for z in (a, b)]
            middle = loss.value(k[[p]], 0.5 * (a + b)[[p]])
            worst = max(worst, middle - np.mean(ends))
    return worst


@pytest.mark.parametrize("columns", [2, K])
@pytest.mark.parametrize("epsilon", [-1.0, -0.3, 0.0, 1.0, (0.7, 0.0)])
def test_poly_is_convex(epsilon, columns):
    assert Poly(epsilon).convex
    assert worst_chord(Poly(epsilon), columns) <= 1e-14


@pytest.mark.parametrize(
    "loss", [Poly(1.5), Poly((1.0, 1.0)), Poly(-1.5), Focal(gamma=0.5), Focal(), Focal(gamma=5.0)]
)
def test_losses_that_claim_nothing_are_not_convex(loss):
    assert not loss.convex
    assert max(worst_chord(loss, 2), worst_chord(loss, K)) > 1e-3


def test_dice_is_not_convex():
    assert not Dice().convex
    y = np.array([1.0, -1.0, -1.0])
    a, b = np.array([0.0, -4.0, -4.0]), np.array([8.0, -4.0, -4.0])
    assert Dice().value(y, (a + b) / 2) < (Dice().value(y, a) + Dice().value(y, b)) / 2
    a, b = a - 8, a
    assert Dice().value(y, (a + b) / 2) > (Dice().value(y, a) + Dice().value(y, b)) / 2 + 0.01


NOT_NEGATIVE = [(loss, columns) for loss, columns in FORMS if loss.nonnegative]


@pytest.mark.parametrize(
    ("loss", "columns"), NOT_NEGATIVE, ids=[form_id(*case) for case in NOT_NEGATIVE]
)
def test_losses_are_not_negative_where_they_say_so(loss, columns):
    for seed, spread in itertools.product(range(5), (1.0, 10.0, 100.0)):
        y, z, more = draw(loss, columns, n=3, seed=seed, spread=spread)
        assert loss.value(y, z, **more) >= -1e-15  # −log p − (1 − p) rounds


def test_a_negative_loss_claims_nothing():
    assert not Poly(epsilon=-2.0).nonnegative
    assert Poly(epsilon=-2.0).value([1], [0.3]) < 0
    assert not Poly(epsilon=(1.0, -1.0)).nonnegative
    assert Poly(epsilon=-1.0).nonnegative


class Shifted(Focal):
    """Focal with a formula of its own, of which the parent knows nothing."""

    def phi(self, log_p, q):
        return -log_p - 3.0

    def phi_prime(self, log_p, q):
        return -1.0


def test_a_subclass_of_focal_inherits_no_claim():
    loss = Shifted()
    assert not loss.nonnegative
    assert not loss.has_hessian
    assert not of_rows(loss).has_hessian
    assert not of_rows(loss).nonnegative
    assert Focal().has_hessian
    assert of_rows(Focal()).nonnegative
    y, z = signs()
    assert loss.value(y, z) == pytest.approx(Logistic().value(y, z) - 3, rel=1e-13)
    k, z = rows()
    assert loss.value(k, z) == pytest.approx(CrossEntropy().value(k, z) - 3, rel=1e-13)


class Scaled(CrammerSinger):
    """Another formula: what the parent says of two classes and of envelopes does not hold."""

    def sample_value(self, k, z):
        return 3.0 * max(0.0, 2.0 + np.max(z) - z[k])

    def sample_gradient(self, k, z, out):
        out[:] = 0.0
        out[np.argmax(z)] += 3.0
        out[k] -= 3.0


def test_a_subclass_of_crammer_singer_is_not_the_hinge():
    assert Scaled().value([1], [0.0]) == 6.0 != CrammerSinger().value([1], [0.0])
    assert Scaled().smoothed(0.1) is None
    assert not Scaled().nonnegative


# --- losses that are one ----------------------------------------------------------------------


def assert_same(one, other, y, z, rtol=1e-13):
    s = weights_for(len(z))
    assert one.value(y, z, s) == pytest.approx(other.value(y, z, s), rel=rtol)
    np.testing.assert_allclose(
        one.gradient(y, z, s), other.gradient(y, z, s), rtol=rtol, atol=1e-16
    )


@pytest.mark.parametrize("loss", [Focal(gamma=0.0), Poly(epsilon=0.0), Poly(epsilon=(0.0, 0.0))])
def test_special_cases_are_the_cross_entropy(loss):
    assert loss.convex
    assert_same(loss, Logistic(), *signs(), rtol=1e-12)
    assert_same(loss, CrossEntropy(), *rows(), rtol=1e-12)


@pytest.mark.parametrize(
    ("rowwise", "binary"),
    [
        (CrossEntropy(), Logistic()),
        (CrammerSinger(), Hinge()),
        (CrammerSinger(margin=0.3), Hinge(margin=0.3)),
        (WestonWatkins(margin=2), Hinge(margin=2)),
    ],
    ids=repr,
)
def test_two_classes_are_the_binary_loss(rowwise, binary):
    assert_same(rowwise, binary, *signs())
    assert rowwise.for_classes(2) == binary


@pytest.mark.parametrize(
    "loss",
    [loss for loss, columns in FORMS if columns == 2 and not isinstance(loss, BatchLoss)],
    ids=repr,
)
def test_one_score_stands_for_two(loss):
    """z for (−z/2, z/2): the derivative is half the difference of theirs."""
    y, z = signs()
    s, two = weights_for(len(z)), np.column_stack([-0.5 * z, 0.5 * z])
    assert loss.value(y, z, s) == pytest.approx(loss.value(y > 0, two, s), rel=1e-13)
    by_row = loss.gradient((y > 0) * 1, two, s)
    expected = 0.5 * (by_row[:, 1] - by_row[:, 0])
    np.testing.assert_allclose(loss.gradient(y, z, s), expected, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("loss", [*HINGES, CrossEntropy(), CrossEntropy(0.2), Focal(), Poly(3.0)])
def test_only_differences_of_scores_count(loss):
    k, z = rows()
    shift = np.random.default_rng(0).normal(size=(len(z), 1))
    assert of_rows(loss).shift_invariant
    assert loss.value(k, z + shift) == pytest.approx(loss.value(k, z), rel=1e-12)
    np.testing.assert_allclose(loss.gradient(k, z).sum(axis=1), 0.0, atol=1e-16)


def test_alpha_of_focal_weighs_classes():
    y, z = signs()
    expected = np.where(y > 0, 0.25, 0.75)
    for alpha in (0.25, (0.75, 0.25)):
        loss = Focal(alpha=alpha)
        value = Focal().value(y, z, expected) * expected.mean()
        assert loss.value(y, z) == pytest.approx(value, rel=1e-13)
        gradient = Focal().gradient(y, z, expected) * expected.mean()
        np.testing.assert_allclose(loss.gradient(y, z), gradient, rtol=1e-12)
    k, z = rows()
    alpha = (0.5, 2.0, 1.0, 0.0)
    expected = np.array(alpha)[k]
    value = Focal().value(k, z, expected) * expected.mean()
    assert Focal(alpha=alpha).value(k, z) == pytest.approx(value, rel=1e-13)
    np.testing.assert_array_equal(Focal(alpha=alpha).gradient(k, z)[k == 3], 0.0)


@pytest.mark.parametrize("alpha", [(0.5, 0.5, 1.0), 0.25, [1.0] * 5])
def test_alpha_of_focal_must_fit_the_classes(alpha):
    k, z = rows()
    for method in (Focal(alpha=alpha).value, Focal(alpha=alpha).gradient):
        with pytest.raises(ValueError, match=r"alpha.*4 classes"):
            method(k, z)
    if np.ndim(alpha):
        with pytest.raises(ValueError, match=r"alpha.*2 classes"):
            Focal(alpha=alpha).value(*signs())


# --- soft labels ------------------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_soft_labels(smoothing):
    loss, (k, z) = CrossEntropy(label_smoothing=smoothing), rows()
    s, hot = weights_for(len(z)), np.eye(K)[k]
    assert loss.value(hot, z, s) == pytest.approx(loss.value(k, z, s), rel=1e-13)
    np.testing.assert_allclose(loss.gradient(hot, z, s), loss.gradient(k, z, s), atol=1e-16)
    mixed = softmax(np.random.default_rng(0).normal(size=z.shape), axis=1)
    left, right = one_sided_slopes(lambda at: loss.value(mixed, at, s), z)
    np.testing.assert_allclose(loss.gradient(mixed, z, s), (left + right) / 2, atol=1e-8)
    # The loss is linear in the labels.
    by_class = [loss.value(np.full(len(z), c), z, s * mixed[:, c]) for c in range(K)]
    shares = [np.average(mixed[:, c], weights=s) for c in range(K)]
    assert loss.value(mixed, z, s) == pytest.approx(np.dot(by_class, shares), rel=1e-12)


def test_label_smoothing_is_a_soft_label():
    k, z = rows()
    soft = 0.8 * np.eye(K)[k] + 0.2 / K
    smoothed, plain = CrossEntropy(0.2), CrossEntropy()
    assert smoothed.value(k, z) == pytest.approx(plain.value(soft, z), rel=1e-13)
    np.testing.assert_allclose(smoothed.gradient(k, z), plain.gradient(soft, z), atol=1e-16)
    assert smoothed.for_classes(2) != Logistic()


def test_soft_labels_of_extreme_scores():
    z = np.array([[1e3, -1e3, 0.0], [-1e3, 1e3, 999.0]])
    q = np.full((2, 3), 1 / 3)
    assert np.isfinite(CrossEntropy().value(q, z))
    assert np.isfinite(CrossEntropy().gradient(q, z)).all()
    gradient = CrossEntropy().gradient(q.astype(np.float32), z.astype(np.float32))
    assert gradient.dtype == np.float32
    assert CrossEntropy().value(q.tolist(), z.tolist()) == CrossEntropy().value(q, z)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda q: 0.9 * q,
        lambda q: q + np.array([0.5, -0.5, 0.0, 0.0]),
        lambda q: q[:, :3],
        lambda q: q[:-1],
        lambda q: np.where(q > 0.3, np.nan, q),
    ],
    ids=["sum", "negative", "classes", "rows", "nan"],
)
def test_wrong_soft_labels(wrong):
    _, z = rows()
    q = wrong(softmax(np.zeros_like(z), axis=1) * 1.0 + 0.1 * np.array([1, -1, 0, 0]))
    for method in (CrossEntropy().value, CrossEntropy().gradient):
        with pytest.raises(ValueError, match="y_true"):
            method(q, z)


@pytest.mark.parametrize("label", [-1.0, float(K), 0.5, 1e300])
@pytest.mark.parametrize(
    "loss",
    [CrossEntropy(), CrammerSinger(), WestonWatkins(), Focal(), Poly(), Dice()],
    ids=repr,
)
def test_labels_that_are_no_class_index(loss, label):
    k, z = rows()
    k = k.astype(float)
    k[3] = label
    for method in (loss.value, loss.gradient):
        with pytest.raises(ValueError, match=r"y_true.*0 to 3"):
            method(k, z)


@pytest.mark.parametrize("loss", [CrossEntropy(), CrammerSinger(), Focal(), Dice()], ids=repr)
def test_one_column_is_no_row_of_scores(loss):
    with pytest.raises(ValueError, match=r"y_pred.*\(3, 1\)"):
        loss.value([0, 0, 0], np.zeros((3, 1)))


# --- Dice -------------------------------------------------------------------------------------


def test_labels_of_dice():
    y, z = signs()
    s = weights_for(len(z))
    zero_one = (y > 0).astype(int)
    assert Dice().value(zero_one, z, s) == Dice().value(y, z, s)
    np.testing.assert_array_equal(Dice().gradient(zero_one, z, s), Dice().gradient(y, z, s))
    assert Dice().value(zero_one.tolist(), z.tolist(), s.tolist()) == Dice().value(y, z, s)


def test_weights_of_dice_are_raw():
    """Twice the weight halves the part of ``smooth``; without it only proportions count."""
    for y, z in (signs(), rows()):
        s = weights_for(len(z))
        value = Dice(smooth=1.0).value(y, z, s)
        assert Dice(smooth=2.0).value(y, z, 2 * s) == pytest.approx(value, rel=1e-13)
        assert Dice(smooth=1.0).value(y, z, 2 * s) != pytest.approx(value, rel=1e-3)
        plain = Dice(smooth=0.0)
        assert plain.value(y, z, 2 * s) == pytest.approx(plain.value(y, z, s), rel=1e-13)
        assert Dice().value(y, z, 2.0) == pytest.approx(Dice().value(y, z, 2 * np.ones(len(z))))


def test_perfect_and_hopeless_overlap():
    y = np.array([1.0, 1.0, -1.0, -1.0])
    for squared in (False, True):
        assert Dice(smooth=0.0, squared=squared).value(y, 100 * y) == pytest.approx(0, abs=1e-12)
        assert Dice(smooth=0.0, squared=squared).value(y, -100 * y) == pytest.approx(1, abs=1e-12)
        # No positive label and none predicted: nothing overlaps, and nothing is missed.
        empty = Dice(smooth=0.0, squared=squared)
        assert empty.value(-np.ones(3), np.full(3, -1e3)) == 0.0
        np.testing.assert_array_equal(empty.gradient(-np.ones(3), np.full(3, -1e3)), 0.0)


def test_two_columns_of_dice_average_both_classes():
    y, z = signs()
    two = np.column_stack([-0.5 * z, 0.5 * z])
    both = 0.5 * (Dice().value(y, z) + Dice().value(-y, -z))
    assert Dice().value((y > 0) * 1, two) == pytest.approx(both, rel=1e-13)


# --- envelopes --------------------------------------------------------------------------------


@every_hinge
@pytest.mark.parametrize("columns", [2, 3, K])
def test_envelopes_lie_below_the_loss_and_tend_to_it(loss, columns):
    k, z = rows(columns=columns, n=60)
    z[::5] = np.round(z[::5]) * (loss.margin or 1.0)  # ties and kinks
    previous, value = -np.inf, loss.value(k, z)
    for width in (3.0, 0.3, 1e-2, 1e-4):
        envelope = loss.smoothed(width)
        assert envelope.is_smooth
        assert envelope.convex
        assert envelope.envelope_width == width
        for c, row in zip(k, z, strict=True):
            assert envelope.value([c], [row]) <= loss.value([c], [row]) + 1e-12
        smoothed = envelope.value(k, z)
        assert smoothed >= previous - 1e-12
        assert value - smoothed <= columns * width
        previous = smoothed
    assert smoothed == pytest.approx(value, abs=1e-3)


@every_hinge
@pytest.mark.parametrize("width", [0.05, 1.0])
def test_derivatives_of_envelopes(loss, width):
    k, z = rows(n=60, spread=1.0)
    envelope, s = loss.smoothed(width), weights_for(60)
    left, right = one_sided_slopes(lambda at: envelope.value(k, at, s), z)
    assert_subgradient(envelope.gradient(k, z, s), left, right, 1e-7)
    found = hessian_rows(envelope, k, z, s)
    assert np.linalg.eigvalsh(found).min() > -1e-10
    true = hessians_by_difference(envelope, k, z, s)
    same = np.isclose(found, true, rtol=1e-5, atol=1e-7 / width).all(axis=(1, 2))
    assert same.mean() > 0.95  # all but rows at a bend
    # Adding the gradients of samples up, as solvers do.
    out = np.empty_like(z)
    total = envelope.scores_value_gradient(k, z, s, out)
    assert total == pytest.approx(envelope.value(k, z, s) * s.sum(), rel=1e-12)
    np.testing.assert_allclose(out, envelope.gradient(k, z, s) * s.sum(), rtol=1e-12, atol=1e-15)


def conjugate(value, g, start):
    """max over z of g·z − value(z), by a search from ``start`` that no slope guides."""
    best = minimize(
        lambda z: value(z) - g @ z,
        start,
        method="Nelder-Mead",
        options={"xatol": 1e-10, "fatol": 1e-13, "maxiter": 20_000, "maxfev": 20_000},
    )
    return -best.fun


@every_hinge
@pytest.mark.parametrize("columns", [2, 3])
def test_gain_of_an_envelope(loss, columns):
    """L_w*(g) − L*(g) at the gradients g of L_w.

    Where L_w has the gradient g, L_w*(g) = g·z − L_w(z). L* is found by a search in z, and for
    the Crammer-Singer loss also in closed form: −margin·(1 − p_k) for g = p − e_k.
    """
    width = 0.7
    envelope = loss.smoothed(width)
    k, z = rows(n=6, columns=columns, spread=0.7)
    s = weights_for(6)
    g = np.empty_like(z)
    envelope.scores_value_gradient(k, z, s, g)
    expected = 0.0
    for c, row, weight, slope in zip(k, z, s, g / s[:, None], strict=True):
        smooth_conjugate = slope @ row - envelope.value([c], [row])
        # L is a function of differences: the last score stays where it is.
        free = conjugate(
            lambda t, c=c: float(formula(loss, c, np.append(t, 0.0))),
            slope[:-1],
            row[:-1] - row[-1],
        )
        if isinstance(loss, CrammerSinger):
            assert free == pytest.approx(loss.margin * slope[c], abs=1e-8)
        expected += weight * (smooth_conjugate - free)
    assert expected > 0
    assert envelope.envelope_gain(k, g, s) == pytest.approx(expected, rel=1e-6, abs=1e-8)


# --- what a user writes -----------------------------------------------------------------------


class Exponential(MulticlassLoss):
    """Σ_{j≠k} exp(rate·(z_j − z_k))."""

    smooth = True

    def __init__(self, rate=1.0):
        self.rate = rate

    def term(self, u):
        return np.exp(self.rate * u)

    def sample_value(self, k, z):
        total = -1.0
        for j in range(len(z)):
            total += self.term(z[j] - z[k])
        return total

    def sample_gradient(self, k, z, out):
        for j in range(len(z)):
            out[j] = self.rate * self.term(z[j] - z[k])
        out[k] = self.rate - np.sum(out)


class Apart(MulticlassLoss):
    """Σ_{j≠k} |1 + z_j − z_k|, with kinks."""

    def sample_value(self, k, z):
        return np.sum(np.abs(1.0 + z - z[k])) - 1.0

    def sample_gradient(self, k, z, out):
        out[:] = np.sign(1.0 + z - z[k])
        out[k] = 1.0 - np.sum(out)


class Tempered(ProbabilityLoss):
    """(1 − p^power) / power, without a second derivative."""

    convex = False

    def __init__(self, power=0.5):
        self.power = power

    def phi(self, log_p, q):
        return (1.0 - np.exp(self.power * log_p)) / self.power

    def phi_prime(self, log_p, q):
        return -np.exp(self.power * log_p)


class Spread(BatchLoss):
    """Knows no weights: the mean margin should be ``target``."""

    def __init__(self, target=1.0):
        self.target = target

    def batch_value(self, y, z):
        return (np.mean(y * z) - self.target) ** 2

    def batch_gradient(self, y, z, out):
        out[:] = 2.0 * (np.mean(y * z) - self.target) * y / len(y)


class Pooled(BatchLoss):
    """log of a weighted sum of exponentials of the margins, for one score or several."""

    def batch_value(self, y, z, s):
        return np.log(np.sum(s * np.exp(-y * z)))

    def batch_gradient(self, y, z, s, out):
        e = s * np.exp(-y * z)
        out[:] = -y * e / np.sum(e)


class PooledRows(BatchLoss):
    """As ``Pooled`` for rows of scores, each class against the rest."""

    def sign(self, c, j):
        return 1.0 if j == c else -1.0

    def batch_value(self, y, z, s):
        total = 0.0
        for i in range(len(y)):
            for j in range(z.shape[1]):
                total += s[i] * np.exp(-self.sign(y[i], j) * z[i, j])
        return np.log(total)

    def batch_gradient(self, y, z, s, out):
        for i in range(len(y)):
            for j in range(z.shape[1]):
                sign = self.sign(y[i], j)
                out[i, j] = -sign * s[i] * np.exp(-sign * z[i, j])
        out /= np.sum(np.abs(out))


def by_hand(loss, y, z, s):
    """Value from the author's own methods, run by Python."""
    if isinstance(loss, BatchLoss):
        return loss.batch_value(y, z, s) if loss.knows_weights else loss.batch_value(y, z)
    if isinstance(loss, MulticlassLoss):
        pairs = [(c, row) for c, row in zip(y, z, strict=True)]
        if z.ndim == 1:
            pairs = [(int(c > 0), np.array([-t / 2, t / 2])) for c, t in pairs]
        return np.average([loss.sample_value(c, row) for c, row in pairs], weights=s)
    p = 1 / (1 + np.exp(-y * z)) if z.ndim == 1 else softmax(z, axis=1)[np.arange(len(z)), y]
    values = [loss.phi(log_p, q) for log_p, q in zip(np.log(p), 1 - p, strict=True)]
    return np.average(values, weights=s)


@pytest.mark.parametrize("columns", [0, 3])
@pytest.mark.parametrize(
    "loss",
    # Whole numbers as parameters, which are compiled again, are in test_custom_losses.py.
    [Exponential(), Exponential(rate=2.0), Apart(), Missed(), Tempered(), Tempered(power=1.0)],
    ids=repr,
)
def test_custom_losses(loss, columns):
    y, z = rows(n=12, columns=3, spread=1.0) if columns else signs(12)
    s = weights_for(12)
    assert loss.value(y, z, s) == pytest.approx(by_hand(loss, y, z, s), rel=1e-12)
    left, right = one_sided_slopes(lambda at: loss.value(y, at, s), z)
    np.testing.assert_allclose(loss.gradient(y, z, s), (left + right) / 2, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("loss", "columns"),
    [(Spread(), 0), (Spread(3.0), 0), (Pooled(), 0), (PooledRows(), 3)],
    ids=str,
)
def test_custom_batches(loss, columns):
    y, z = rows(n=12, columns=3, spread=1.0) if columns else signs(12)
    s = weights_for(12) if loss.knows_weights else np.full(12, 2.0)
    assert loss.value(y, z, s) == pytest.approx(by_hand(loss, y, z, s), rel=1e-12)
    left, right = one_sided_slopes(lambda at: loss.value(y, at, s), z)
    np.testing.assert_allclose(loss.gradient(y, z, s), (left + right) / 2, rtol=1e-6, atol=1e-7)
    if not loss.knows_weights:
        with pytest.raises(ValueError, match="Spread knows no sample weights"):
            loss.value(y, z, weights_for(12))


def classes(n_classes, n=150):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 3))
    scores = X @ rng.normal(size=(3, n_classes)) + 0.7 * rng.normal(size=(n, n_classes))
    return X, scores.argmax(axis=1)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("loss", "n_classes", "solver"),
    [
        (Exponential(), 3, "lbfgs"),
        (Exponential(), 3, "subgradient"),
        (Exponential(), 2, "lbfgs"),
        (Apart(), 3, "subgradient"),
        (Missed(), 3, "newton"),
        (Missed(), 2, "lbfgs"),
        (Tempered(), 3, "lbfgs"),
        (Tempered(), 3, "subgradient"),
        (Spread(), 2, "lbfgs"),
        (Pooled(), 2, "lbfgs"),
        (Pooled(), 2, "subgradient"),
        (PooledRows(), 3, "lbfgs"),
    ],
    ids=str,
)
def test_custom_losses_are_fitted(loss, n_classes, solver):
    """As well as by a general minimiser that is given values only."""
    X, y = classes(n_classes)
    alpha = 0.05
    model = LinearClassifier(loss, alpha=alpha, solver=solver, max_iter=5000).fit(X, y)
    labels = 2.0 * y - 1 if n_classes == 2 else y
    shape = (1, 4) if n_classes == 2 else (n_classes, 4)

    def objective(flat):
        w = flat.reshape(shape)
        z = X @ w[:, :3].T + w[:, 3]
        value = loss.value(labels, z.ravel() if n_classes == 2 else z)
        return value + 0.5 * alpha * np.sum(w[:, :3] ** 2)

    at_model = np.column_stack([model.coef_, model.intercept_]).ravel()
    found = objective(at_model)
    better = minimize(objective, at_model, method="Powell", options={"maxiter": 30}).fun
    slack = 0.03 if solver == "subgradient" else 1e-4
    assert found <= better + slack * abs(better) + 1e-12
    assert found < objective(np.zeros_like(at_model))


def test_a_batch_loss_without_weights_refuses_them_in_a_fit():
    X, y = classes(2)
    model = LinearClassifier(Spread())
    with pytest.raises(ValueError, match="knows no sample weights"):
        model.fit(X, y, sample_weight=weights_for(len(y)))
    with pytest.raises(ValueError, match="knows no sample weights"):
        LinearClassifier(Spread(), class_weight={0: 2.0}).fit(X, y)
    assert not hasattr(model, "coef_")


def test_missing_methods_are_named():
    class Nothing(MulticlassLoss):
        pass

    class NoSlope(ProbabilityLoss):
        def phi(self, log_p, q):
            return q

    class NoBatch(BatchLoss):
        def batch_value(self, y, z, s):
            return 0.0

    k, z = rows()
    for loss, method in [(Nothing(), "sample_"), (NoSlope(), "phi_prime"), (NoBatch(), "batch_")]:
        with pytest.raises((NotImplementedError, TypeError), match=type(loss).__name__) as caught:
            loss.gradient(k, z)
        assert method in str(caught.value)


def test_every_multiclass_loss_is_here():
    """The tests above name losses; a new one must be added to them or be none of theirs."""
    families = (MulticlassLoss, BatchLoss, ProbabilityLoss)
    named = {CrossEntropy, CrammerSinger, WestonWatkins, Focal, Poly, Dice}
    assert {type(loss) for loss in CASES if isinstance(loss, families)} == named
