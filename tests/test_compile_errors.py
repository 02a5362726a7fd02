"""What an author reads whose loss cannot be compiled, and changes of a loss in a session."""

import decimal
import math
import re
import statistics
import traceback
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit
from sklearn.base import clone

from sklearn_margin import LinearRegressor, _jit
from sklearn_margin.losses import (
    BatchLoss,
    Hinge,
    MulticlassLoss,
    PairwiseLoss,
    PointwiseLoss,
    ProbabilityLoss,
)

TABLE = {"a": 1.0}
UFUNC = np.frompyfunc(abs, 1, 1)
DECIMAL = decimal.Decimal("1.5")


class Loss(PointwiseLoss):
    """The other half of each loss below."""

    def sample_value(self, y, z):
        return 0.0

    def sample_gradient(self, y, z):
        return 1.0


class MisspeltParameter(Loss):
    def __init__(self, width=1.0):
        self.width = width

    def sample_value(self, y, z):
        return self.witdh * z  # here


class MisspeltMethod(Loss):
    def residual(self, y, z):
        return y - z

    def sample_value(self, y, z):
        return self.resdual(y, z)  # here


class MisspeltName(Loss):
    def sample_value(self, y, z):
        return y - zz  # noqa: F821 here


class MisspeltNameInALambda(Loss):
    def sample_value(self, y, z):
        f = lambda x: x + zz  # noqa: E731, F821 here
        return f(z)


class AttributeOfTheClass(Loss):
    factor = 2.0

    def sample_value(self, y, z):
        return self.factor * z  # here


class StaticMethod(Loss):
    @staticmethod
    def half(z):
        return 0.5 * z

    def sample_value(self, y, z):
        return self.half(z)  # here


class ReturnsTuple(Loss):
    def sample_value(self, y, z):
        return y, z  # here


class ReturnsArray(Loss):
    def sample_gradient(self, y, z):
        return np.array([y, z])  # here


class ReturnsText(Loss):
    def sample_value(self, y, z):
        return "z"  # here


class ReturnsNoneOnABranch(Loss):
    def sample_value(self, y, z):  # here
        if z > 10.0:
            return 1.0


class ReturnsNothing(Loss):
    def sample_value(self, y, z):  # here
        y - z


class TooFewArguments(Loss):
    def sample_value(self, z):  # here
        return z


class TooManyArguments(Loss):
    def sample_gradient(self, y, z, weight):  # here
        return z


class WrongCall(Loss):
    def residual(self, y):
        return y

    def sample_value(self, y, z):
        return self.residual(y, z)  # here


class WrongInAHelper(Loss):
    def middle(self, y, z):
        return statistics.fmean([y, z])  # here

    def sample_value(self, y, z):
        return self.middle(y, z)


class FString(Loss):
    def sample_value(self, y, z):
        return float(f"{y - z:.3f}")  # here


class TwoTypes(Loss):
    def sample_value(self, y, z):
        a = "x"
        if y > z:
            a = 1.0
        return a  # here


class Import(Loss):
    def sample_value(self, y, z):
        import math  # here

        return math.exp(z)


class Dictionary(Loss):
    def sample_value(self, y, z):
        return TABLE["a"] * z  # here


class OtherObject(Loss):
    def sample_value(self, y, z):
        return DECIMAL * z  # here


class OtherFunction(Loss):
    def sample_value(self, y, z):
        return UFUNC(z)  # here


class FunctionOfScipy(Loss):
    """A ufunc or, under SCIPY_ARRAY_API, a function of any arguments."""

    def sample_value(self, y, z):
        return expit(z)


class AddsTupleAndNumber(Loss):
    def sample_value(self, y, z):
        return (y, z) + 1.0  # here


class MethodOfANumber(Loss):
    def sample_value(self, y, z):
        return z.mean()  # here


class Super(Hinge):
    def sample_value(self, y, z):
        return 2.0 * super().sample_value(y, z)  # here


class OfAClass(MulticlassLoss):
    def sample_value(self, k, z):
        return z  # here

    def sample_gradient(self, k, z, out):
        out[:] = 1.0


class OfAPair(PairwiseLoss):
    def pair_value(self, d):
        return (d,)  # here

    def pair_gradient(self, d):
        return 1.0


class OfAProbability(ProbabilityLoss):
    def phi(self, log_p, q):
        return self.scale * log_p  # here

    def phi_prime(self, log_p, q):
        return 1.0


class OfABatch(BatchLoss):
    def batch_value(self, y, z, s):
        return np.sum(z)

    def batch_gradient(self, y, z, s):  # here
        return z


class OfABatchOfArrays(BatchLoss):
    def batch_value(self, y, z, s):
        return z * z  # here

    def batch_gradient(self, y, z, s, out):
        out[:] = z


WRONG = [
    (MisspeltParameter, "sample_value uses self.witdh, .* did you mean self.width?"),
    (MisspeltMethod, "sample_value uses self.resdual, .* did you mean self.residual?"),
    (MisspeltName, "sample_value uses zz, which is not defined"),
    (MisspeltNameInALambda, "sample_value uses zz, which is not defined"),
    (AttributeOfTheClass, "sample_value uses self.factor, an attribute of the class"),
    (StaticMethod, "sample_value uses self.half, a static method"),
    (ReturnsTuple, "sample_value must return a number, got a tuple"),
    (ReturnsArray, "sample_gradient must return a number, got an array"),
    (ReturnsText, "sample_value must return a number, got a string"),
    (ReturnsNoneOnABranch, "sample_value returns None on a branch"),
    (ReturnsNothing, "sample_value must return a number, and returns nothing"),
    (TooFewArguments, r"sample_value takes \(z\), expected \(y, z\)"),
    (TooManyArguments, r"sample_gradient takes \(y, z, weight\), expected \(y, z\)"),
    (WrongCall, "sample_value cannot be compiled: .*wrong number of arguments"),
    (WrongInAHelper, "middle cannot be compiled: statistics.fmean is not supported"),
    (FString, "sample_value cannot be compiled: .*f-string"),
    (TwoTypes, "a is a string on one path and a number on another"),
    (Import, "a module is imported inside it; import it at the top of the file"),
    (Dictionary, "TABLE is of the type dict, which is not supported"),
    (OtherObject, "DECIMAL is of the type decimal.Decimal, which is not supported"),
    (OtherFunction, "UFUNC is of the type numpy.ufunc, which is not supported"),
    (AddsTupleAndNumber, r"add\(a tuple, a number\) is not supported"),
    (MethodOfANumber, "a number has no attribute mean"),
    (Super, r"super\(\) is not supported; write the formula out"),
    (OfAClass, "sample_value must return a number, got an array"),
    (OfAPair, "pair_value must return a number, got a tuple"),
    (OfAProbability, "phi uses self.scale, which is neither a parameter nor a method of"),
    (OfABatch, r"batch_gradient takes \(y, z, s\), expected \(y, z, s, out\)"),
    (OfABatchOfArrays, "batch_value must return a number, got an array"),
]

LINES = Path(__file__).read_text(encoding="utf-8").splitlines()


def marked_line(cls):
    """Number of the line of a class that says "here"."""
    first = next(i for i, line in enumerate(LINES) if line.startswith(f"class {cls.__name__}("))
    return next(i for i in range(first, len(LINES)) if LINES[i].endswith("here")) + 1


@pytest.mark.parametrize(("cls", "message"), WRONG, ids=lambda v: getattr(v, "__name__", ""))
@pytest.mark.skipif(_jit.JIT_DISABLED, reason="nothing is compiled")
def test_what_is_wrong_and_where(cls, message):
    y, z = ([0, 1], [[0.1, 0.2]] * 2) if cls is OfAClass else ([1.0, -1.0], [0.1, 0.2])
    with pytest.raises(TypeError) as caught:
        cls().gradient(y, z)
    said = str(caught.value)
    assert re.search(message, said), said
    assert said.startswith(f"{cls.__name__}."), said
    assert f"(test_compile_errors.py:{marked_line(cls)})" in said, said
    internals = r"float64|\b_value|nopython|Literal|Function\(|Overload|\bloss\."
    assert not re.search(internals, said), said
    report = "".join(traceback.format_exception(caught.value))
    assert "During handling" not in report
    assert "direct cause" not in report
    assert len(report.splitlines()) < 30


@pytest.mark.skipif(_jit.JIT_DISABLED, reason="nothing is compiled")
def test_a_fit_says_the_same():
    X = np.arange(6.0)[:, None]
    with pytest.raises(
        TypeError, match=r"ReturnsTuple.sample_value must return a number"
    ) as caught:
        LinearRegressor(ReturnsTuple()).fit(X, X[:, 0])
    assert caught.value.__cause__ is None
    assert len(traceback.format_exception(caught.value)) < 20


@pytest.mark.skipif(_jit.JIT_DISABLED, reason="nothing is compiled")
def test_functions_of_scipy_are_refused_by_name():
    with pytest.raises(TypeError, match=r"FunctionOfScipy\.sample_value cannot be compiled"):
        FunctionOfScipy().value([1.0], [0.0])


@pytest.mark.compiled
def test_an_assertion_of_the_author_is_passed_on():
    class Positive(Loss):
        def sample_value(self, y, z):
            if z < 0:
                raise AssertionError("scores must be positive")
            return z

    with pytest.raises(AssertionError, match="scores must be positive"):
        Positive().value([1.0], [-1.0])


def test_a_type_error_of_a_kernel_is_passed_on():
    """One that has nothing to do with what methods return."""
    with pytest.raises(TypeError, match="argument"):
        Loss()._run(lambda loss: (lambda: None)(1))


# --- changes in a session -------------------------------------------------------------------------

FACTOR = 3.0


def factor():
    return FACTOR


class ByGlobal(Loss):
    def sample_value(self, y, z):
        return FACTOR * z


class ByHelper(Loss):
    def sample_value(self, y, z):
        return factor() * z


@pytest.mark.parametrize("cls", [ByGlobal, ByHelper])
def test_a_global_that_changes_is_noticed(cls, monkeypatch):
    loss = cls()
    assert loss.value([0.0], [1.0]) == 3.0
    monkeypatch.setitem(globals(), "FACTOR", 7.0)
    assert loss.value([0.0], [1.0]) == 7.0
    monkeypatch.undo()
    assert loss.value([0.0], [1.0]) == 3.0


def test_a_method_that_is_replaced_is_noticed():
    class Patched(Loss):
        def sample_value(self, y, z):
            return self.inner(z)

        def inner(self, z):
            return z

    loss = Patched()
    assert loss.value([0.0], [1.0]) == 1.0
    Patched.inner = lambda self, z: 2.0 * z
    assert loss.value([0.0], [1.0]) == 2.0
    Patched.sample_value = lambda self, y, z: 5.0 * z
    assert loss.value([0.0], [1.0]) == 5.0


def test_a_name_that_is_defined_later_is_noticed():
    loss = DefinedLater()
    with pytest.raises((TypeError, NameError), match="LATER"):
        loss.value([0.0], [1.0])
    try:
        globals()["LATER"] = 2.0
        assert loss.value([0.0], [1.0]) == 2.0
    finally:
        del globals()["LATER"]


class DefinedLater(Loss):
    def sample_value(self, y, z):
        return LATER * z  # noqa: F821


@pytest.mark.skipif(_jit.JIT_DISABLED, reason="nothing is compiled")
def test_what_did_not_change_is_not_read_again():
    ByHelper().value([0.0], [1.0])
    assert _jit.class_source(ByHelper) is _jit.class_source(ByHelper)


# --- parameters -----------------------------------------------------------------------------------


class Knots(PointwiseLoss):
    """Has an array for a parameter."""

    def __init__(self, knots=(0.0, 1.0)):
        self.knots = knots

    def sample_value(self, y, z):
        total = 0.0
        for k in range(len(self.knots)):
            total += abs(y - z - self.knots[k])
        return total

    def sample_gradient(self, y, z):
        total = 0.0
        for k in range(len(self.knots)):
            total += np.sign(z + self.knots[k] - y)
        return total


def test_losses_with_arrays_can_be_compared():
    one, same, other = (Knots(np.array(knots)) for knots in ([0.0, 1.0], [0.0, 1.0], [0.0, 2.0]))
    assert one == one == same == clone(one)
    assert one != other
    assert one != Knots(np.array([0.0, 1.0, 2.0]))
    assert one != Knots((0.0, 1.0))
    assert Knots((one.knots, 1.0)) == Knots((same.knots, 1.0)) != Knots((other.knots, 1.0))
    assert Knots([1.0]) != Knots((1.0,))
    assert Knots(math.nan) == Knots(math.nan)
    assert Knots(Hinge()) == Knots(Hinge()) != Knots(Hinge(2.0))


def test_an_array_for_a_parameter():
    """Arrays are passed to methods at each call, so that one changed in place is noticed."""
    loss = Knots(np.array([0.0, 1.0]))
    assert loss.value([0.0], [3.0]) == Knots((0.0, 1.0)).value([0.0], [3.0]) == 7.0
    loss.knots[1] = 2.0
    assert loss.value([0.0], [3.0]) == 8.0


def test_a_parameter_of_another_name_is_named():
    class Stored(Loss):
        def __init__(self, width=1.0):
            self.w = width

    uses = [lambda loss: loss.get_params(), clone]
    if not _jit.JIT_DISABLED:
        uses.append(lambda loss: loss.value([0.0], [1.0]))
    for use in uses:
        with pytest.raises(AttributeError, match=r"Stored.__init__ takes width and does not store"):
            use(Stored())


@pytest.mark.parametrize("weights", [np.array([1.0 + 0j, 2.0]), [1.0, 2.0 + 1j], [1 + 1j, "a"]])
def test_complex_weights_are_refused(weights):
    X = np.arange(2.0)[:, None]
    with pytest.raises(ValueError, match=r"sample_weight (must hold|has dtype complex)"):
        Hinge().value([1, -1], [0.0, 0.0], sample_weight=weights)
    with pytest.raises(ValueError, match=r"sample_weight (must hold|has dtype complex)"):
        LinearRegressor().fit(X, X[:, 0], sample_weight=weights)
