"""Loss, the base class of the families.

A loss knows labels and scores, nothing else. Its author writes its value and derivative
for one score in plain Python; kernels compile that source when they meet the object.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from sklearn.base import BaseEstimator

from sklearn_margin._compile_errors import explain_failure
from sklearn_margin._html import DrawnByScikitLearn
from sklearn_margin._jit import register_parameter_object
from sklearn_margin._typing import Array, of_any_arguments

__all__ = ["Loss", "place_in_order"]


class Loss(DrawnByScikitLearn, BaseEstimator):
    """A loss: parameters, a value, and a gradient.

    Follows scikit-learn's parameter protocol (``get_params``, ``set_params``, ``clone``,
    ``repr``) and holds no fitted state, so losses can be cloned, compared, pickled and
    searched over (``loss__<parameter>``). Parameters are validated at first use.

    For a loss of your own take the base class of its family: ``BinaryLoss``, ``RegressionLoss`` or
    ``PointwiseLoss`` for one score by row, ``ProbabilityLoss``, ``MulticlassLoss``, ``BatchLoss``,
    ``PairwiseLoss`` or ``EmbeddingLoss``.

    Examples
    --------
    >>> from sklearn_margin.losses import Huber, Loss
    >>> loss = Huber(delta=2.0)
    >>> isinstance(loss, Loss), loss == Huber(2.0), loss.get_params()
    (True, True, {'delta': 2.0})
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

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Take back what base classes say of a formula that ``cls`` states anew.

        A solver that believed their Hessian, their list of hinges or their envelope would solve
        another problem. In ``cls`` these are what they are in the family, that is not provided,
        unless ``cls`` provides them itself.
        """
        super().__init_subclass__(**kwargs)
        family: Any
        for family in reversed(cls.__mro__):
            if "formula" in vars(family):
                stated, end = place_in_order(cls, *family.formula), cls.__mro__.index(family)
                for name in family.claims:
                    if stated < place_in_order(cls, name) < end:
                        setattr(cls, name, inspect.getattr_static(family, name))

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return False
        ours, theirs = self.get_params(deep=False), other.get_params(deep=False)
        return all(_same(value, theirs[name]) for name, value in ours.items())

    __hash__ = None  # type: ignore[assignment]  # parameters can change

    def get_params(self, deep: bool = True) -> dict[str, Any]:
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

    def smoothed(self, width: float) -> Loss | None:
        """Moreau envelope of the loss with parameter ``width``, or None if it is not at hand.

        The envelope is max over θ of θ·z − ℓ*(θ) − width·θ²/2. It is smooth, at most the loss,
        tends to it as ``width`` goes to 0, and says so by its ``envelope_width``.
        """
        return None

    @property
    def envelope_width(self) -> float | None:
        """``width`` of ``smoothed``, of a loss that it made; None of others."""
        return None

    #: A convex loss whose optimum is a good start, for a loss that is not convex.
    convex_start: Loss | None = None
    #: Whether the loss is a sum over samples (or pairs).
    splits = True
    #: Whether the loss of every sample grows without bound as its score leaves for either side: a
    #: fit then has a minimum without a penalty.
    coercive = False

    def start_score(self, y: Array, s: Array) -> float:
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

    def for_classes(self, n_classes: int) -> Loss:
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
    multiclass: Loss | None = None

    @of_any_arguments
    def value(self, y_true, y_pred, sample_weight=None) -> float:
        """Weighted mean of the loss."""
        raise NotImplementedError

    @of_any_arguments
    def gradient(self, y_true, y_pred, sample_weight=None) -> Any:
        """Derivative of ``value`` with respect to ``y_pred``."""
        raise NotImplementedError

    @property
    def author(self) -> Loss:
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


def place_in_order(cls: type, *names: str) -> float:
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
