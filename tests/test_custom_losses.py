"""Losses a user might write."""

import copy
import inspect
import math
import pickle
import re
import statistics

import numpy as np
import pytest
from loss_catalogue import draw, mean_of_methods, one_sided_slopes, weights_for
from numba import cloudpickle
from numba.cloudpickle import cloudpickle as tracker
from sklearn.base import clone

from sklearn_margin import LinearClassifier, LinearRanker, LinearRegressor, losses
from sklearn_margin.losses import BinaryLoss, Hinge, PairwiseHinge, PairwiseLoss, PointwiseLoss

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


def test_a_subclass_with_its_own_formula_does_not_take_the_fast_path():
    y, z, more = draw(TwoMargins())
    s = weights_for(len(z))
    expected = mean_of_methods(TwoMargins(), y, z, s, **more)
    assert TwoMargins().value(y, z, s, **more) == pytest.approx(expected, rel=1e-13)
    assert expected > PairwiseHinge().value(y, z, s, **more)


@pytest.mark.compiled
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


# --- what a base class says of another formula ----------------------------------------------------


def of_another_formula(cls, *bases, **members):
    """A subclass that states a formula of its own."""
    families = [c for c in cls.__mro__ if vars(c).get("formula")]
    names = {name for family in families for name in family.formula}
    formula = {name: lambda self, *arguments: 0.0 for name in names}
    return type("Other", (*bases, cls), {**formula, **members}), families[-1]


CLASSES = [cls for cls in map(vars(losses).get, losses.__all__) if cls is not losses.Loss]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_another_formula_takes_back_every_claim(cls):
    other, family = of_another_formula(cls)
    for name in family.claims:
        assert inspect.getattr_static(other, name) is inspect.getattr_static(family, name), name
        inherited = inspect.getattr_static(type("Same", (cls,), {}), name)
        assert inherited is inspect.getattr_static(cls, name), name


def test_a_claim_of_the_same_class_or_of_a_mix_in_before_it_stays():
    class Claims:
        nonnegative = True

        def smoothed(self, width):
            return self

    with_its_own, _ = of_another_formula(Hinge, **vars(Claims))
    before, _ = of_another_formula(Hinge, Claims)
    for cls in (with_its_own, type("Deeper", (Claims, Asymmetric), {})):
        assert cls().nonnegative
        assert cls().smoothed(0.1) is not None
        assert cls().piecewise_linear(np.ones(1)) is None
    # The mix-in knows nothing of a formula that is stated nearer than it is.
    assert not before().nonnegative
    assert before().smoothed(0.1) is None


def test_a_mix_in_may_state_the_formula():
    class Formula:
        sample_value, sample_gradient = Asymmetric.sample_value, Asymmetric.sample_gradient

    class Mixed(Formula, Hinge):
        pass

    class Again(Mixed):
        nonnegative = True

    assert Mixed().piecewise_linear(np.ones(1)) is None
    assert not Mixed().nonnegative
    assert Again().nonnegative
    assert Again().smoothed(0.1) is None
    assert Hinge().piecewise_linear(np.ones(1)) is not None


def test_what_is_said_of_any_loss_of_the_probability_stays():
    class Missed(losses.Focal):
        def phi(self, log_p, q):
            return q

        def phi_prime(self, log_p, q):
            return q - 1.0

    assert Missed().multiclass is not None
    assert not Missed().has_hessian
    assert Missed().value([1, -1], [0.0, 0.0]) == 0.5

    class Missed(losses.Focal):
        """By its scores, for two classes only."""

        def sample_value(self, y, z):
            return 1.0 / (1.0 + math.exp(y * z))

        def sample_gradient(self, y, z):
            p = 1.0 / (1.0 + math.exp(y * z))
            return -y * p * (1.0 - p)

    assert Missed().multiclass is None
    assert not Missed().has_hessian
    assert Missed().value([1, -1], [0.0, 0.0]) == 0.5
    with pytest.raises(ValueError, match="one-dimensional"):
        Missed().value([1], [[0.0, 1.0, 2.0]])


def test_super_of_a_loss_of_embeddings_is_the_formula_of_its_parent():
    class Doubled(losses.Contrastive):
        def value(self, labels, Z, sample_weight=None):
            return 2 * super().value(labels, Z, sample_weight=sample_weight)

        def gradient(self, labels, Z, sample_weight=None):
            return 2 * super().gradient(labels, Z, sample_weight=sample_weight)

    y, Z = np.array([0, 0, 1]), np.array([[0.0], [3.0], [4.0]])
    assert Doubled().value(y, Z) == 2 * losses.Contrastive().value(y, Z)
    value, gradient = Doubled().batch_function()(y, Z, np.ones(3))
    assert value == Doubled().value(y, Z)
    np.testing.assert_array_equal(gradient, 2 * losses.Contrastive().gradient(y, Z))


def test_what_was_taken_back_is_so_in_another_process():
    """A class of a notebook is sent to workers by value."""

    class Mine(losses.Logistic):
        def sample_value(self, y, z):
            return 3.0 * max(0.0, -y * z)

        def sample_gradient(self, y, z):
            return -3.0 * y if y * z < 0 else 0.0

    sent = cloudpickle.dumps(Mine)
    for known in (tracker._DYNAMIC_CLASS_TRACKER_BY_ID, tracker._DYNAMIC_CLASS_TRACKER_BY_CLASS):
        known.clear()  # as another process, which has never seen the class
    again = pickle.loads(sent)()
    assert type(again) is not Mine
    for loss in (Mine(), again):
        assert loss.value([1.0], [-1.0]) == 3.0
        assert not loss.has_hessian
        assert not loss.nonnegative
        assert loss.multiclass is None


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


@pytest.mark.compiled
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


@pytest.mark.compiled
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


class Square(PointwiseLoss):
    """Convex and smooth, and without a second derivative."""

    smooth = True

    def sample_value(self, y, z):
        return (y - z) ** 2

    def sample_gradient(self, y, z):
        return 2 * (z - y)


@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("alpha", [1.0, 1e-2, 1e-4])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
def test_a_convex_smooth_loss_needs_no_second_derivative(seed, alpha, l1_ratio):
    """A closer certificate takes second derivatives, if there are any; without them the intercept
    has to be balanced, whatever that costs in the last digit."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(300, 3)) * 10 ** rng.uniform(-1, 1, 3)
    y = X @ [1.0, 2.0, 3.0] + rng.standard_t(2, size=300) + 5
    model = LinearRegressor(Square(), alpha=alpha, l1_ratio=l1_ratio).fit(X, y)
    exact = LinearRegressor("squared", alpha=alpha, l1_ratio=l1_ratio).fit(X, y)
    assert model.solver_ == "lbfgs"
    assert model.dual_gap_ < 1e-4
    np.testing.assert_allclose(model.coef_, exact.coef_, atol=1e-3)
