"""Loss and its families.

A loss knows labels and scores, nothing else. Its author writes its value and derivative
for one score in plain Python; kernels compile that source when they meet the object.
"""

import inspect
import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_array

from sklearn_margin._compile_errors import explain_failure
from sklearn_margin._groups import encode_groups
from sklearn_margin._jit import kernel, register_parameter_object
from sklearn_margin._validation import check_choice, normalize_weights
from sklearn_margin.losses._pairs import PairIndex

__all__ = ["BinaryLoss", "Loss", "PairwiseLoss", "PointwiseLoss", "RegressionLoss"]


class Loss(BaseEstimator):
    """A loss: parameters, a value, and a gradient.

    Follows scikit-learn's parameter protocol (``get_params``, ``set_params``, ``clone``,
    ``repr``) and holds no fitted state, so losses can be cloned, compared, pickled and
    searched over (``loss__<parameter>``). Parameters are validated at first use.
    """

    #: Methods of the author's contract, compiled when a kernel needs them.
    kernel_methods: tuple[str, ...] = ()
    #: Methods that state the formula, which an author cannot leave out; each family has its own.
    formula: tuple[str, ...] = ()
    #: What a class may say of its formula: taken back where a subclass states another.
    claims: tuple[str, ...] = ("nonnegative", "smoothed", "multiclass")
    #: Whether the loss is convex in the score.
    convex = True
    #: Whether the loss is never negative, which helps to bound the error of a fit.
    nonnegative = False

    def __init_subclass__(cls, **kwargs):
        """Take back what base classes say of a formula that ``cls`` states anew.

        A solver that believed their Hessian, their list of hinges or their envelope would solve
        another problem. In ``cls`` these are what they are in the family, that is not provided,
        unless ``cls`` provides them itself.
        """
        super().__init_subclass__(**kwargs)
        for family in reversed(cls.__mro__):
            if "formula" in vars(family):
                stated, end = place_in_order(cls, *family.formula), cls.__mro__.index(family)
                for name in family.claims:
                    if stated < place_in_order(cls, name) < end:
                        setattr(cls, name, inspect.getattr_static(family, name))

    def __eq__(self, other):
        if type(self) is not type(other):
            return False
        ours, theirs = self.get_params(deep=False), other.get_params(deep=False)
        return all(_same(value, theirs[name]) for name, value in ours.items())

    __hash__ = None  # parameters can change

    def get_params(self, deep=True):
        """Parameters by name; see ``sklearn.base.BaseEstimator``.

        Raises
        ------
        AttributeError
            If ``__init__`` stores a parameter under another name than its own.
        """
        for name in self._get_param_names():
            if not hasattr(self, name):
                raise AttributeError(
                    f"{type(self).__name__}.__init__ takes {name} and does not store it as "
                    f"self.{name}, as it has to"
                )
        return super().get_params(deep)

    def check_params(self) -> None:
        """Raise ``ValueError`` or ``TypeError`` naming the parameter that is wrong."""

    def smoothed(self, width: float) -> "Loss | None":
        """Moreau envelope of the loss with parameter ``width``, or None if it is not at hand.

        The envelope is max over θ of θ·z − ℓ*(θ) − width·θ²/2. It is smooth, at most the loss,
        tends to it as ``width`` goes to 0, and has an attribute ``envelope_width``.
        """
        return None

    #: A convex loss whose optimum is a good start, for a loss that is not convex.
    convex_start: "Loss | None" = None
    #: Whether the loss is a sum over samples (or pairs).
    splits = True
    #: Whether the loss of every sample grows without bound as its score leaves for either side: a
    #: fit then has a minimum without a penalty.
    coercive = False

    def start_score(self, y, s) -> float:
        """A score that suits all samples alike: the intercept that a fit starts from.

        Parameters
        ----------
        y, s : ndarray of shape (n,)
            Labels or targets, and their weights.

        Returns
        -------
        float
            In the units of scores; 0 unless a loss says otherwise.
        """
        return 0.0

    def for_classes(self, n_classes: int) -> "Loss":
        """The form of the loss for a number of classes; a binary loss serves one against the rest.

        Raises
        ------
        ValueError
            If a parameter does not fit the number of classes.
        """
        self.check_classes(n_classes)
        return self if n_classes <= 2 or self.multiclass is None else self.multiclass

    def check_classes(self, n_classes: int) -> None:
        """Raise ``ValueError`` if a parameter does not fit the number of classes."""

    #: The form of a binary loss for more than two classes, if it has one.
    multiclass: "Loss | None" = None

    def value(self, y_true, y_pred, sample_weight=None) -> float:
        """Weighted mean of the loss."""
        raise NotImplementedError

    def gradient(self, y_true, y_pred, sample_weight=None) -> np.ndarray:
        """Derivative of ``value`` with respect to ``y_pred``."""
        raise NotImplementedError

    @property
    def author(self) -> "Loss":
        """The loss whose source is to blame if it cannot be compiled."""
        return self

    def _run(self, function: Callable, *args: Any) -> Any:
        """Call a kernel with this loss; turn a failed compilation into a readable error."""
        try:
            return function(self, *args)
        except (numba.errors.NumbaError, numba.errors.UnsupportedBytecodeError) as error:
            failure = self._failure(error)
        except (TypeError, AssertionError) as error:
            # A method that returns None on a branch fails when it does; and what the compiler
            # thinks impossible is an assertion. Others may be the author's own.
            suspect = "got None" in str(error) or isinstance(error, AssertionError)
            explained = suspect and explain_failure(self.author, function, (self, *args))
            if not explained:
                raise
            failure = TypeError(explained)
        raise failure from None  # numba's report would bury it

    def _failure(self, error) -> Exception:
        """What to raise for an error of the compiler."""
        author = type(self.author)
        for method in author.formula:
            if sum(method in vars(cls) for cls in author.__mro__) == 1:  # in its family only
                return NotImplementedError(f"{author.__name__} does not define {method}")
        explained = explain_failure(self.author)
        return TypeError(explained or f"{author.__name__} cannot be compiled: {error}")


register_parameter_object(Loss)


def place_in_order(cls: type, *names: str) -> int:
    """Place of the first in the order of base classes that defines one of ``names``."""
    order = enumerate(cls.__mro__)
    return next((k for k, base in order if not vars(base).keys().isdisjoint(names)), math.inf)


def _same(a, b) -> bool:
    """Whether two values of a parameter are equal."""
    if isinstance(a, (tuple, list)) and type(a) is type(b):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return type(a) is type(b) and a.dtype == b.dtype and np.array_equal(a, b)
    return a is b or bool(a == b)


def check_scores(y_true, y_pred, sample_weight):
    """Validate arrays given to ``value`` and ``gradient``.

    Returns
    -------
    y, z, s : ndarray of shape (n,)
        Labels and scores in one floating dtype, weights that sum to one.
    """
    z = check_array(
        y_pred, ensure_2d=False, dtype=(np.float64, np.float32), input_name="y_pred", order="C"
    )
    y = check_array(y_true, ensure_2d=False, dtype=z.dtype, input_name="y_true", order="C")
    if z.ndim != 1 or y.ndim != 1:
        raise ValueError(
            f"y_true and y_pred must be one-dimensional, got shapes {y.shape} and {z.shape}"
        )
    if len(y) != len(z):
        raise ValueError(f"y_true has {len(y)} entries and y_pred has {len(z)}: one per sample")
    return writable(y), writable(z), normalize_weights(sample_weight, len(z), z.dtype)


def writable(array) -> np.ndarray:
    """``array``, or a copy if it is read-only, for which kernels would be compiled once more."""
    return array if array.flags.writeable else array.copy()


class PointwiseLoss(Loss):
    """A loss of one score per row.

    The author writes ``sample_value(y, z)`` and ``sample_gradient(y, z)`` for one label
    and one score; ``sample_hessian(y, z)`` if the loss is smooth; ``piecewise_linear(y)``
    if it is piecewise linear. In a classifier ``y`` is −1 or +1.

    Examples
    --------
    >>> from sklearn_margin import LinearRegressor
    >>> from sklearn_margin.losses import PointwiseLoss
    >>> class Cauchy(PointwiseLoss):
    ...     def __init__(self, scale=1.0):
    ...         self.scale = scale
    ...     def sample_value(self, y, z):
    ...         return math.log1p(((y - z) / self.scale) ** 2)
    ...     def sample_gradient(self, y, z):
    ...         r = (z - y) / self.scale
    ...         return 2 * r / (1 + r * r) / self.scale
    >>> round(Cauchy().value([0.0, 1.0], [0.0, 0.0]), 4)
    0.3466
    """

    kernel_methods = ("sample_value", "sample_gradient", "sample_hessian")
    formula = kernel_methods[:2]
    claims = (*Loss.claims, "sample_hessian", "piecewise_linear", "scores_value",
              "scores_value_gradient", "scores_gradient_hessian")  # fmt: skip
    #: Set to True for a loss that is differentiable but has no ``sample_hessian``.
    smooth: bool | None = None

    def sample_value(self, y, z):
        """Loss of one sample."""
        raise NotImplementedError(f"{type(self).__name__} has no sample_value(y, z)")

    def sample_gradient(self, y, z):
        """Derivative of ``sample_value`` with respect to ``z``."""
        raise NotImplementedError(f"{type(self).__name__} has no sample_gradient(y, z)")

    def sample_hessian(self, y, z):
        """Second derivative (or an element of the generalised one)."""
        raise NotImplementedError(f"{type(self).__name__} has no sample_hessian(y, z)")

    def piecewise_linear(self, y):
        """Hinges the loss is a sum of, or None if it is not piecewise linear.

        Parameters
        ----------
        y : ndarray of shape (n,)
            Labels.

        Returns
        -------
        list of (kink, left, right) or None
            Arrays of shape (n,): each hinge is ``left * (z - kink)`` below its kink and
            ``right * (z - kink)`` above it, with ``left <= right``.
        """
        return None

    def start_score(self, y, s):
        used = y[s > 0]
        labels = np.all(np.abs(used) == 1)
        return float(np.median(used)) if self.coercive and not labels else 0.0

    @property
    def has_hessian(self) -> bool:
        """Whether the author wrote ``sample_hessian``."""
        return type(self).sample_hessian is not PointwiseLoss.sample_hessian

    @property
    def is_smooth(self) -> bool:
        """Whether the loss is differentiable everywhere."""
        return self.has_hessian if self.smooth is None else self.smooth

    def check_labels(self, y) -> None:
        """Raise if ``y`` holds a label the loss is not defined for."""

    def value(self, y_true, y_pred, sample_weight=None) -> float:
        """Weighted mean of the loss.

        Parameters
        ----------
        y_true : array-like of shape (n,)
            Labels (−1 or +1) or targets.
        y_pred : array-like of shape (n,)
            Scores.
        sample_weight : array-like of shape (n,), default=None
            Non-negative weights.

        Returns
        -------
        float
        """
        self.check_params()
        y, z, s = check_scores(y_true, y_pred, sample_weight)
        self.check_labels(y)
        return self.scores_value(y, z, s)

    def gradient(self, y_true, y_pred, sample_weight=None) -> np.ndarray:
        """Derivative of ``value`` with respect to the scores.

        Parameters
        ----------
        y_true, y_pred, sample_weight
            As in ``value``.

        Returns
        -------
        ndarray of shape (n,)
        """
        self.check_params()
        y, z, s = check_scores(y_true, y_pred, sample_weight)
        self.check_labels(y)
        out = np.empty_like(z)
        self.scores_value_gradient(y, z, s, out)
        return out

    # What objectives call: validated arrays, weights as they are (not normalised).

    def scores_value(self, y, z, s) -> float:
        """Sum of ``s * loss`` over validated arrays."""
        return self.scores_value_gradient(y, z, s, np.empty_like(z))  # one kernel less to compile

    def scores_value_gradient(self, y, z, s, out) -> float:
        """Sum of ``s * loss``; its derivatives go to ``out``."""
        return float(self._run(_value_gradient, y, z, s, out))

    def scores_gradient_hessian(self, y, z, s, gradient, hessian) -> float:
        """Sum of ``s * loss``; first and second derivatives go to the last two arguments."""
        return self._run(_value_gradient_hessian, y, z, s, gradient, hessian)


class BinaryLoss(PointwiseLoss):
    """A pointwise loss for labels −1 and +1."""

    def start_score(self, y, s):
        return 0.0

    def check_labels(self, y) -> None:
        """Raise unless every label is −1 or +1."""
        wrong = np.abs(y) != 1
        if wrong.any():
            raise ValueError(
                f"y_true must hold only -1 and +1 for {type(self).__name__}, "
                f"got {y[wrong][0].item()!r}"
            )


class RegressionLoss(PointwiseLoss):
    """A pointwise loss of the residual r = y − z."""

    coercive = True

    def start_score(self, y, s):
        return float(np.median(y[s > 0]))


# Samples of weight zero are skipped, not multiplied: 0 * inf would be NaN.


@kernel
def _value_gradient(loss, y, z, s, out):
    total = 0.0
    for i in range(z.shape[0]):
        if s[i] != 0:
            total += s[i] * loss.sample_value(y[i], z[i])
            out[i] = s[i] * loss.sample_gradient(y[i], z[i])
        else:
            out[i] = 0.0
    return total


@kernel
def _value_gradient_hessian(loss, y, z, s, gradient, hessian):
    total = 0.0
    for i in range(z.shape[0]):
        if s[i] != 0:
            total += s[i] * loss.sample_value(y[i], z[i])
            gradient[i] = s[i] * loss.sample_gradient(y[i], z[i])
            hessian[i] = s[i] * loss.sample_hessian(y[i], z[i])
        else:
            gradient[i] = 0.0
            hessian[i] = 0.0
    return total


class PairwiseLoss(Loss):
    """A loss of score differences d = z_i − z_j over pairs with y_i > y_j in one group.

    The author writes ``pair_value(d)`` and ``pair_gradient(d)``, and ``pair_hessian(d)``
    if the loss is smooth. A parameter ``weighting`` chooses the weight of a pair:
    ``"uniform"`` (1) or ``"difference"`` (y_i − y_j); the sample weights of both rows
    multiply it.

    value = Σ u_ij φ(z_i − z_j) / Σ u_ij, and 0 if there is no pair.

    Examples
    --------
    >>> from sklearn_margin.losses import PairwiseLoss
    >>> class Exponential(PairwiseLoss):  # of RankBoost (Freund et al., JMLR 4, 2003)
    ...     def pair_value(self, d):
    ...         return math.exp(-d)
    ...     def pair_gradient(self, d):
    ...         return -math.exp(-d)
    >>> Exponential().value([0, 1], [0.5, 0.5])
    1.0
    """

    kernel_methods = ("pair_value", "pair_gradient", "pair_hessian", "sample_value",
                      "sample_gradient")  # fmt: skip
    formula = kernel_methods[:2]
    claims = (*Loss.claims, "pair_hessian", "hinge_power", "hinge_terms", "hinge_shape",
              "is_logistic")  # fmt: skip
    smooth: bool | None = None

    def pair_value(self, d):
        """Loss of one pair."""
        raise NotImplementedError(f"{type(self).__name__} has no pair_value(d)")

    def pair_gradient(self, d):
        """Derivative of ``pair_value``."""
        raise NotImplementedError(f"{type(self).__name__} has no pair_gradient(d)")

    def pair_hessian(self, d):
        """Second derivative of ``pair_value`` (or an element of the generalised one)."""
        raise NotImplementedError(f"{type(self).__name__} has no pair_hessian(d)")

    #: Power p of losses of the form [margin − d]₊^p, which are summed in O(n log n);
    #: 0 for any other loss, summed pair by pair.
    hinge_power = 0
    #: Whether the loss is log(1 + e^(−d)), which is summed with one exponential per row.
    is_logistic = False
    #: What a piecewise linear loss is of its margins: "sum", of their positive parts.
    hinge_shape: str | None = None

    @property
    def hinge_terms(self) -> list[tuple[float, float, float]]:
        """The loss as a sum of linear·[margin − d]₊ + square·[margin − d]₊², or empty if it is not:
        (margin, linear, square) of each."""
        power = self.hinge_power
        return [(self.margin, power == 1, power == 2)] if power else []

    def check_params(self) -> None:
        """Raise ``ValueError`` or ``TypeError`` naming the parameter that is wrong."""
        check_choice(self.pair_weighting, "weighting", ("uniform", "difference"))

    @property
    def pair_weighting(self) -> str:
        """The parameter ``weighting``, or "uniform" for a loss without it."""
        return getattr(self, "weighting", "uniform")

    def value(self, y_true, y_pred, sample_weight=None, groups=None) -> float:
        """Weighted mean of the loss over the ordered pairs within groups.

        Parameters
        ----------
        y_true : array-like of shape (n,)
            Relevance: graded or real-valued, higher is better.
        y_pred : array-like of shape (n,)
            Scores.
        sample_weight : array-like of shape (n,), default=None
            Non-negative weights of rows; a pair has the product of its rows' weights.
        groups : array-like of shape (n,), default=None
            Group (query) of each row, of any type and in any order; None is one group.

        Returns
        -------
        float
        """
        return self._value_gradient(y_true, y_pred, sample_weight, groups)[0]

    def gradient(self, y_true, y_pred, sample_weight=None, groups=None) -> np.ndarray:
        """Derivative of ``value`` with respect to the scores.

        Parameters
        ----------
        y_true, y_pred, sample_weight, groups
            As in ``value``.

        Returns
        -------
        ndarray of shape (n,)
        """
        return self._value_gradient(y_true, y_pred, sample_weight, groups)[1]

    def _value_gradient(self, y_true, y_pred, sample_weight, groups):
        self.check_params()
        y, z, s = check_scores(y_true, y_pred, sample_weight)
        codes = None if groups is None else encode_groups(groups, len(y))
        out = np.empty(len(z))
        value = PairIndex(y, codes, s, self.pair_weighting).value_gradient(self, z, out)
        return value, out.astype(z.dtype, copy=False)

    # A pair is a sample whose row is x_i − x_j: what stochastic solvers see.

    def sample_value(self, y, z):
        """Loss of one pair, the label being unused."""
        return self.pair_value(z)

    def sample_gradient(self, y, z):
        """Derivative of ``sample_value``."""
        return self.pair_gradient(z)

    @property
    def has_hessian(self) -> bool:
        """Whether the author wrote ``pair_hessian``."""
        return type(self).pair_hessian is not PairwiseLoss.pair_hessian

    @property
    def is_smooth(self) -> bool:
        """Whether the loss is differentiable everywhere."""
        return self.has_hessian if self.smooth is None else self.smooth
