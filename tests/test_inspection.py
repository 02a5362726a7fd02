"""``check_loss``, and the part of it that a fit makes."""

import math
import re

import numpy as np
import pytest
from loss_catalogue import CASES
from loss_catalogue import _fits as _serves
from test_embedding_losses import LOSSES as EMBEDDING_LOSSES

from sklearn_margin import (
    LinearClassifier,
    LinearEmbedding,
    LinearRanker,
    LinearRegressor,
    check_loss,
    losses,
)
from sklearn_margin.inspection import check_on_rows
from sklearn_margin.losses import (
    Absolute,
    BatchLoss,
    EmbeddingLoss,
    Hinge,
    MarginRanking,
    MulticlassLoss,
    PairwiseLoss,
    PointwiseLoss,
    ProbabilityLoss,
    RegressionLoss,
    Squared,
)
from sklearn_margin.losses.pairs.hinge_sums import HingeSums
from sklearn_margin.objective import (
    EmbeddingObjective,
    MulticlassObjective,
    PairwiseObjective,
    PointwiseObjective,
    Rows,
)

# --- losses that are right ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "loss", [*CASES, MarginRanking(), MarginRanking(1.0), *EMBEDDING_LOSSES], ids=repr
)
def test_every_loss_of_the_package_passes(loss):
    assert check_loss(loss) is None


# Some have a parameter by which they are wrong: a class of its own would be compiled again, and
# so would one string for another.
ROW, CURVATURE, BINARY = 1, 2, 3
WEIGHTS, COPIES = 1, 2
SLOPE, OTHER = 1, 2


class Tukey(RegressionLoss):
    """The biweight, which is right; those below err in one respect each."""

    convex = False
    nonnegative = True
    smooth = True

    def __init__(self, width=4.685):
        self.width = width

    def sample_value(self, y, z):
        u = (y - z) / self.width
        return self.width**2 / 6 * (1.0 - (1.0 - u * u) ** 3 if abs(u) < 1 else 1.0)

    def sample_gradient(self, y, z):
        u = (y - z) / self.width
        return (z - y) * (1 - u * u) ** 2 if abs(u) < 1 else 0.0


class Cubic(RegressionLoss):
    """\\|r\\|³, with a Hessian, and factors by which the derivatives are wrong."""

    def __init__(self, slope=1.0, bend=1.0):
        self.slope = slope
        self.bend = bend

    def sample_value(self, y, z):
        return abs(y - z) ** 3

    def sample_gradient(self, y, z):
        return 3.0 * self.slope * (z - y) * abs(z - y)

    def sample_hessian(self, y, z):
        return 6.0 * self.bend * abs(z - y)


class Exponential(MulticlassLoss):
    """Sum of e^(z_j − z_k), with a Hessian."""

    shift_invariant = True

    def __init__(self, wrong=0):
        self.wrong = wrong

    def sample_value(self, k, z):
        total = 0.0
        for j in range(len(z)):
            total += math.exp(z[j] - z[k])
        return total - 1.0

    def sample_gradient(self, k, z, out):
        total = 0.0
        for j in range(len(z)):
            out[j] = math.exp(z[j] - z[k])
            total += out[j]
        out[k] = 0.0 if self.wrong == ROW else 1.0 - total

    def sample_curvature(self, k, z, out):
        for j in range(len(z)):
            out[j] = math.exp(z[j] - z[k])

    def curvature_product(self, k, a, v, out):
        out[k] = a[k] * v[k] if self.wrong == CURVATURE else 0.0
        for j in range(len(v)):
            if j != k:
                out[j] = a[j] * (v[j] - (0.0 if self.wrong == CURVATURE else v[k]))
                out[k] -= 0.0 if self.wrong == CURVATURE else out[j]

    @property
    def binary(self):
        return losses.Logistic() if self.wrong == BINARY else super().binary


class Missed(ProbabilityLoss):
    convex = False
    nonnegative = True

    def __init__(self, lift=0.0, bend=1.0):
        self.lift = lift
        self.bend = bend

    def phi(self, log_p, q):
        return q

    def phi_prime(self, log_p, q):
        return q - 1.0 + self.lift

    def phi_second(self, log_p, q):
        return self.bend * (q - 1.0)


class Softplus(PairwiseLoss):
    nonnegative = True

    def __init__(self, sign=1.0):
        self.sign = sign

    def pair_value(self, d):
        return math.log1p(math.exp(-abs(d))) + max(-d, 0.0)

    def pair_gradient(self, d):
        return -self.sign / (1.0 + math.exp(d))

    def pair_hessian(self, d):
        return 0.25 / math.cosh(0.5 * d) ** 2


class Pooled(BatchLoss):
    """log of a weighted mean of exponentials of the margins."""

    convex = True

    def __init__(self, wrong=0):
        self.wrong = wrong

    def batch_value(self, y, z, s):
        total = np.sum(s * np.exp(-y * z))
        return total / len(y) if self.wrong == COPIES else np.log(total / np.sum(s))

    def batch_gradient(self, y, z, s, out):
        e = np.exp(-y * z)
        if self.wrong != WEIGHTS:
            e *= s
        out[:] = -y * e / (len(y) if self.wrong == COPIES else np.sum(e))


class Centre(EmbeddingLoss):
    """Squared distances from the mean of the class."""

    def _inner(self, labels, Z, s):
        means = np.empty_like(Z)
        for label in np.unique(labels):
            rows = labels == label
            means[rows] = np.average(Z[rows], axis=0, weights=s[rows])
        return Z - means

    def value(self, labels, Z, sample_weight=None):
        s = np.ones(len(Z)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
        labels, Z, s = np.asarray(labels)[s > 0], np.asarray(Z)[s > 0], s[s > 0]
        return float(np.sum(s[:, None] * self._inner(labels, Z, s) ** 2) / s.sum())

    def gradient(self, labels, Z, sample_weight=None):
        s = np.ones(len(Z)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
        labels, Z, out = np.asarray(labels), np.asarray(Z), np.zeros(np.shape(Z))
        inner = self._inner(labels[s > 0], Z[s > 0], s[s > 0])
        out[s > 0] = 2 * s[s > 0, None] * inner / s.sum()
        return out


RIGHT = [Tukey(), Tukey(1.0), Cubic(), Exponential(), Missed(), Softplus(), Pooled(), Centre()]


@pytest.mark.parametrize("loss", RIGHT, ids=repr)
def test_losses_of_users_pass(loss):
    assert check_loss(loss) is None


# --- losses that are wrong ------------------------------------------------------------------------


class WrongSign(Tukey):
    def sample_gradient(self, y, z):
        u = (y - z) / self.width
        return (y - z) * (1 - u * u) ** 2 if abs(u) < 1 else 0.0


class NotANumber(RegressionLoss):
    def sample_value(self, y, z):
        return np.log(y - z + 1e-3)

    def sample_gradient(self, y, z):
        return -1.0 / (y - z + 1e-3)


class InfiniteSlope(RegressionLoss):
    def sample_value(self, y, z):
        return math.sqrt(abs(y - z))

    def sample_gradient(self, y, z):
        return np.sign(z - y) / (2.0 * math.sqrt(abs(y - z))) if y != z else math.inf


class NotConvex(Tukey):
    convex = True


class Negative(Cubic):
    nonnegative = True

    def sample_value(self, y, z):
        return abs(y - z) ** 3 - 0.1


class NotSmooth(RegressionLoss):
    smooth = True

    def sample_value(self, y, z):
        return abs(y - z)

    def sample_gradient(self, y, z):
        return np.sign(z - y)


class WrongHinges(Absolute):
    """The slopes it tells of are others, or are no arrays."""

    def __init__(self, left=-1.0, right=1.0, arrays=True):
        self.left = left
        self.right = right
        self.arrays = arrays

    def piecewise_linear(self, y):
        like = np.ones_like(y) if self.arrays else 1.0
        return [(y, self.left * like, self.right * like)]


class WrongEnvelope(Hinge):
    """What it is smoothed to has another margin or width, or another slope, or is no envelope."""

    def __init__(self, margin=1.0, shift=0.0, factor=1.0, kind=0):
        self.margin = margin
        self.shift = shift
        self.factor = factor
        self.kind = kind

    def smoothed(self, width):
        if self.kind == SLOPE:
            return EnvelopeOfWrongSlope(self.margin, width)
        if self.kind == OTHER:
            return losses.SquaredHinge(self.margin)
        return Envelope(self.margin + self.shift, self.factor * width, width)


class Envelope(losses.SmoothedHinge):
    def __init__(self, margin=1.0, smoothing=1.0, claimed=None):
        super().__init__(margin, smoothing)
        self.claimed = claimed

    @property
    def envelope_width(self):
        return self.claimed or self.smoothing


class EnvelopeOfWrongSlope(losses.SmoothedHinge):
    def sample_gradient(self, y, z):
        return -0.5 * y * min(1.0, max(0.0, (self.margin - y * z) / self.smoothing))

    def sample_hessian(self, y, z):
        return 0.0


class NotShiftInvariant(Exponential):
    def sample_value(self, k, z):
        return 0.5 * z[k] ** 2

    def sample_gradient(self, k, z, out):
        out[:] = 0.0
        out[k] = z[k]


class WrongSummation(PairwiseLoss):
    summation = HingeSums((1.0, 0.0, 1.0))

    def __init__(self, margin=1.0):
        self.margin = margin

    def pair_value(self, d):
        return max(0.0, self.margin - d)

    def pair_gradient(self, d):
        return -1.0 if d < self.margin else 0.0


class WrongEmbedding(Centre):
    def gradient(self, labels, Z, sample_weight=None):
        return len(Z) * super().gradient(labels, Z, sample_weight)


class EmbeddingWithoutWeights(Centre):
    def value(self, labels, Z, sample_weight=None):
        return super().value(labels, Z)


class NotAngular(Centre):
    angular = True


class Rounds(Cubic):
    def __init__(self, power=3):
        self.power = float(power)


WRONG = [
    (WrongSign(), r"WrongSign.sample_gradient\(y=\S+, z=\S+\) returned .* sample_value .* sign\?"),
    (Cubic(4.0, 4.0), r"Cubic.sample_gradient\(y=.* a factor of 4\?"),
    (Cubic(1.0, 0.5), r"Cubic.sample_hessian\(y=.* of sample_gradient .* a factor of 0.5\?"),
    (Cubic(1.0, -1.0), r"Cubic.sample_hessian\(y=.* is negative"),
    (NotANumber(), r"NotANumber.sample_value is nan at y=\S+, z=\S+"),
    (InfiniteSlope(), r"InfiniteSlope.sample_gradient is inf at y=(\S+), z=\1"),
    (NotConvex(), r"NotConvex says convex = True, but its derivative falls from .* at y=.* to"),
    (Negative(), r"Negative says nonnegative = True, but sample_value\(y=.* returned -0\."),
    (NotSmooth(), r"NotSmooth says .*smooth.* jumps from -1 to [01] at y="),
    (WrongHinges(right=2.0), r"WrongHinges.piecewise_linear adds up to .* where sample_value is"),
    (WrongHinges(1.0, -1.0), r"piecewise_linear at y=.* left=1 > right=-1"),
    (WrongHinges(arrays=False), r"WrongHinges.piecewise_linear\(y\) must return arrays"),
    (WrongEnvelope(shift=-0.4), r"WrongEnvelope.smoothed\(0.1\) at y=.*an envelope is at least"),
    (WrongEnvelope(shift=1.0), r"WrongEnvelope.smoothed\(0.1\) at y=.* above the loss, which is"),
    # Between the bounds, but not the Moreau envelope, of which the gap is computed.
    (WrongEnvelope(factor=0.5), r"smoothed\(0.1\) at .*; the Moreau envelope of this width is"),
    (WrongEnvelope(kind=OTHER), r"WrongEnvelope.smoothed\(0.1\) must have an attribute"),
    (WrongEnvelope(kind=SLOPE), r"smoothed\(0.1\): EnvelopeOfWrongSlope.sample_gradient\(y="),
    (
        Exponential(ROW),
        r"Exponential.sample_gradient\(k=\d, z=\[.*\]\) gave out\[\d\] = 0; .*sample_value",
    ),
    (Exponential(CURVATURE), r"Exponential.curvature_product\(k="),
    (NotShiftInvariant(), r"NotShiftInvariant says shift_invariant = True"),
    (Exponential(BINARY), r"Exponential.binary at y="),
    (Missed(lift=1.0), r"Missed.phi_prime\(.* of phi"),
    (Missed(bend=-1.0), r"Missed.phi_second\(y="),
    (Softplus(-1.0), r"Softplus.pair_gradient\(d=.* of pair_value there is .* wrong sign\?"),
    (WrongSummation(), r"WrongSummation.pair_value\(d=.*by summation"),
    (Pooled(WEIGHTS), r"Pooled.batch_gradient\(y=.*s=\["),
    (Pooled(COPIES), r"Pooled.batch_value .*as many equal rows"),
    (WrongEmbedding(), r"WrongEmbedding.gradient\(labels=.* of value .* a factor of 12\?"),
    (EmbeddingWithoutWeights(), r"EmbeddingWithoutWeights.value is .* as many equal rows"),
    (NotAngular(), r"NotAngular says angular = True"),
    (Rounds(), r"Rounds.__init__ must store power as it is given, but made 3.0 of 3"),
]


@pytest.mark.parametrize(("loss", "message"), WRONG, ids=lambda v: getattr(type(v), "__name__", ""))
def test_a_wrong_loss_is_refused_and_the_method_named(loss, message):
    with pytest.raises(ValueError, match=r"^\S") as caught:
        check_loss(loss)
    assert re.search(message, str(caught.value)), str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_two_numbers_are_those_of_the_loss():
    with pytest.raises(ValueError, match="WrongSign") as caught:
        check_loss(WrongSign())
    pattern = r"y=(\S+), z=(\S+)\) returned (\S+); .* there is (\S+?):"
    y, z, claimed, found = map(float, re.search(pattern, str(caught.value)).groups())
    assert WrongSign().sample_gradient(y, z) == pytest.approx(claimed, rel=1e-4)
    assert Tukey().sample_gradient(y, z) == pytest.approx(found, rel=1e-4)


def test_labels_may_be_given():
    class Gamma(PointwiseLoss):
        def sample_value(self, y, z):
            return z + y * math.exp(-z) - np.log(y)

        def sample_gradient(self, y, z):
            return 1.0 - y * math.exp(-z)

    with pytest.raises(ValueError, match=r"Gamma\.sample_value is nan at y=-1"):
        check_loss(Gamma())
    check_loss(Gamma(), y=[0.5, 1.0, 7.0])


@pytest.mark.parametrize(
    ("given", "hint"), [(Hinge, r"did you mean Hinge\(\)\?"), (lambda y, z: 0.0, "not a function")]
)
def test_what_is_no_loss(given, hint):
    for use in (check_loss, lambda loss: LinearClassifier(loss).fit([[0.0], [1.0]], [0, 1])):
        with pytest.raises(TypeError, match=f"loss must be .*{hint}"):
            use(given)


# --- the part of it that a fit makes --------------------------------------------------------------

rng = np.random.default_rng(0)
X = rng.normal(size=(30, 2))
TARGET = X @ [1.0, -2.0] + rng.normal(size=30)
KINDS = np.digitize(TARGET, [-1.0, 1.0])


def fit_regressor(loss, **settings):
    return LinearRegressor(loss, **settings).fit(X, TARGET)


def fit_classifier(loss, **settings):
    return LinearClassifier(loss, **settings).fit(X, KINDS)


def fit_two_classes(loss):
    return LinearClassifier(loss).fit(X, KINDS > 0)


def fit_ranker(loss):
    return LinearRanker(loss).fit(X, KINDS)


def fit_pairs(loss):
    return LinearRanker(loss).fit_pairs(X[:15], X[15:], np.resize([1, -1], 15))


def fit_embedding(loss):
    return LinearEmbedding(loss, n_components=2).fit(X, KINDS)


def fit_part(loss):
    return LinearRegressor(loss, solver="sgd").partial_fit(X, TARGET)


@pytest.mark.parametrize(
    ("fit", "loss", "message"),
    [
        (fit_regressor, WrongSign(), r"WrongSign.sample_gradient\(y=.*wrong sign\?"),
        (fit_part, WrongSign(), r"WrongSign.sample_gradient\(y=.*wrong sign\?"),
        (fit_regressor, Cubic(4.0, 4.0), r"Cubic.sample_gradient\(y=.*a factor of 4\?"),
        (fit_regressor, Cubic(1.0, 0.5), r"Cubic.sample_hessian\(y="),
        (fit_regressor, NotANumber(), r"NotANumber.sample_value is nan at y=\S+, z="),
        (fit_classifier, Exponential(ROW), r"Exponential.sample_gradient\(k="),
        (fit_two_classes, Exponential(ROW), r"Exponential.sample_gradient\(y="),
        (fit_classifier, Exponential(CURVATURE), r"Exponential.curvature_product\(k="),
        (fit_classifier, Missed(lift=1.0), r"Missed.phi_prime\(k="),
        (fit_two_classes, Missed(lift=1.0), r"Missed.phi_prime\(y="),
        (fit_two_classes, Pooled(COPIES), None),  # right for equal weights
        (fit_ranker, Softplus(-1.0), r"Softplus.pair_gradient\(d=.*wrong sign\?"),
        (fit_pairs, Softplus(-1.0), r"Softplus.pair_gradient\(y=.*wrong sign\?"),
        (fit_embedding, WrongEmbedding(), r"WrongEmbedding.gradient\(labels="),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_fit_refuses_a_wrong_loss(fit, loss, message):
    if message is None:
        fit(loss)
    else:
        with pytest.raises(ValueError, match=message):
            fit(loss)


def test_a_failed_check_leaves_the_model_as_it_was():
    model = fit_regressor(Tukey())
    before = model.coef_
    with pytest.raises(ValueError, match="WrongSign"):
        model.set_params(loss=WrongSign()).fit(X, TARGET)
    assert model.coef_ is before


def test_a_row_that_is_not_finite_is_named():
    """One row of many, which is none of those looked at more closely."""

    class Positive(RegressionLoss):
        def sample_value(self, y, z):
            return 0.5 * (y - z) ** 2 if y != 0.125 else math.inf

        def sample_gradient(self, y, z):
            return z - y

    y = np.linspace(-1.0, 1.0, 201)
    y[77] = 0.125
    with pytest.raises(ValueError, match=r"Positive.sample_value is inf at y=0.125, z="):
        LinearRegressor(Positive()).fit(np.arange(201.0)[:, None], y)
    weights = np.where(y == 0.125, 0.0, 1.0)
    assert LinearRegressor(Positive()).fit(y[:, None] ** 2, y, sample_weight=weights).n_iter_ > 0


def objective_of(loss, y, dtype):
    """What a fit of a loss would minimise, on labels of its kind."""
    rows = Rows(X.astype(dtype), center=True)
    s = np.full(len(y), 1 / len(y), dtype)
    if isinstance(loss, EmbeddingLoss):
        settings = {"n_classes": 3, "n_components": 2}
        return EmbeddingObjective(loss, rows, KINDS, np.ones(len(y)), **settings)
    if isinstance(loss, PairwiseLoss):
        return PairwiseObjective(loss, rows, KINDS.astype(dtype), s)
    if isinstance(loss, MulticlassLoss):
        return MulticlassObjective(loss, rows, KINDS, s, n_outputs=3, fit_intercept=True)
    if not isinstance(loss, RegressionLoss):
        y = np.where(KINDS > 0, 1.0, -1.0)
    return PointwiseObjective(loss, rows, y.astype(dtype), s, fit_intercept=True)


TARGETS = {
    "normal": TARGET, "small": 1e-6 * TARGET, "large": 1e6 * TARGET, "offset": 1e6 + TARGET,
    "tiny": 1e-150 * TARGET, "huge": 1e150 * TARGET, "equal": np.full(30, 3.0),
    "zero": np.zeros(30), "integer": np.round(TARGET), "outlier": np.append(TARGET[:-1], 1e9),
}  # fmt: skip
FIRST = {type(loss): loss for loss in reversed([*CASES, *EMBEDDING_LOSSES, *RIGHT])}


def scales(loss):
    """Targets and dtypes; single precision once for each class, whose kernels are compiled."""
    for name in TARGETS if isinstance(loss, RegressionLoss) else ["normal"]:
        if isinstance(loss, Cubic) and name == "huge":  # the cube of which is not finite
            continue
        yield name, np.float64
        if name in ("normal", "equal", "offset") and loss is FIRST[type(loss)]:
            yield name, np.float32


@pytest.mark.parametrize(
    "loss",
    [a for a in [*CASES, *EMBEDDING_LOSSES, *RIGHT]
     if _serves(a, 2) or isinstance(a, ProbabilityLoss)],
    ids=repr,
)  # fmt: skip
def test_no_fit_refuses_a_loss_that_is_right(loss, monkeypatch):
    """Those of the package are taken for a user's: their kernels are compiled already."""
    monkeypatch.setattr("sklearn_margin.inspection.has_formulas_of_others", lambda loss: True)
    if not _serves(loss, 2):
        loss = loss.multiclass
        check_on_rows(MulticlassObjective(
            loss, Rows(X, center=True), KINDS, np.full(30, 1 / 30), n_outputs=4
        ))  # fmt: skip
        return
    for name, dtype in scales(loss):
        try:
            check_on_rows(objective_of(loss, TARGETS[name], dtype))
        except ValueError as refusal:
            pytest.fail(f"{name}, {dtype.__name__}: {refusal}")


def test_losses_of_the_package_are_not_checked_in_a_fit(monkeypatch):
    def fail(*_):
        raise AssertionError

    monkeypatch.setattr("sklearn_margin.inspection.check_derivatives", fail)
    assert fit_regressor(Squared()).n_iter_ > 0

    class Renamed(Squared):
        """Nothing that matters is its own."""

    assert fit_regressor(Renamed()).n_iter_ > 0
    with pytest.raises(AssertionError):
        fit_regressor(Tukey())


def test_a_formula_that_is_assigned_later_is_noticed_by_a_fit():
    """What is said of a formula is taken back where a class is defined. A method that is assigned
    to the class later takes nothing back, and the hinge was solved for it, with a certificate."""

    class Late(Hinge):
        pass

    Late.sample_value = lambda self, y, z: (y - z) ** 2
    Late.sample_gradient = lambda self, y, z: 2.0 * (z - y)
    with pytest.raises(ValueError, match=r"piecewise_linear adds up to .* where .*sample_value"):
        LinearClassifier(Late()).fit(X, np.where(TARGET > 0, 1, 0))
