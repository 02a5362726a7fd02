"""Errors that say what to do instead, and warnings that point at where."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from functools import update_wrapper, wraps
from inspect import Parameter, signature
from types import MethodType
from typing import Any, cast

import numpy as np
import scipy.sparse as sp

from sklearn_margin._lazy import is_dask
from sklearn_margin._typing import Method

__all__ = [
    "FIT_HINTS",
    "INIT_HINTS",
    "PAIR_HINTS",
    "available_if",
    "check_in_memory",
    "check_rows",
    "explain_nested",
    "explains_keywords",
    "levels_to_caller",
    "parameter_of",
]

#: Parameters that constructors of other libraries have, and what stands for them here.
INIT_HINTS = {
    "C": "the strength of the penalty is alpha, which is 1/(C·n) for n rows (of weight 1)",
    "penalty": "l1_ratio=0 is the L2 penalty, l1_ratio=1 the L1 penalty and what is between them "
    "the elastic net; alpha=0 is none",
}
PAIR_HINTS = {
    "C": "the strength of the penalty is alpha, which is 1/(C·P) for P pairs, n_pairs_ after a fit",
}
#: The same for ``fit``.
FIT_HINTS = {
    "qid": "pass groups=qid, the group of each row",
    "group": "pass groups, the group of each row; with sizes of groups that is "
    "groups=np.repeat(np.arange(len(sizes)), sizes)",
    "init_score": "pass offset=init_score, and to predictions the offset of their rows",
    "base_margin": "pass offset=base_margin, and to predictions the offset of their rows",
    "eval_set": "a validation set is given as X_val and y_val, with an early stopping solver",
}


def explains_keywords(function: Callable, hint: Callable[[Any, str], str | None]) -> Callable:
    """A method whose error for an unknown keyword names the class of the object, and a remedy.

    Signature and documentation stay those of ``function``.

    Parameters
    ----------
    function : function
        Method to wrap; one that takes any keyword is returned as it is.
    hint : callable
        ``hint(self, name)``: what to do instead of passing ``name``, None if nothing is known.
    """
    parameters = signature(function).parameters
    if any(parameter.kind is Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return function

    @wraps(function)
    def wrapper(self, *args, **kwargs):
        for name in kwargs:
            if name not in parameters:
                remedy = hint(self, name)
                raise TypeError(
                    f"{type(self).__name__}.{function.__name__}() got an unexpected keyword "
                    f"argument {name!r}" + (f": {remedy}" if remedy else "")
                )
        return function(self, *args, **kwargs)

    return wrapper


def parameter_of(classes, name: str) -> str | None:
    """Names of the classes that have a parameter, as calls: ``"Huber(delta=...)"``."""
    owners = {cls.__name__ for cls in classes if name in signature(cls).parameters}
    return " or ".join(f"{owner}({name}=...)" for owner in sorted(owners)) or None


def explain_nested(estimator, params: dict[str, Any], families: dict[str, dict]) -> None:
    """Raise for a parameter of an object, such as ``loss__delta``, where there is but its name.

    Parameters
    ----------
    estimator : BaseEstimator
    params : dict
        What ``set_params`` was given.
    families : dict of str to dict
        For ``loss`` and ``solver``: the classes, by name.

    Raises
    ------
    ValueError
        As scikit-learn for a parameter that does not exist.
    """
    for full in params:
        head, separator, name = full.partition("__")
        value = params.get(head, getattr(estimator, head, None))
        if not (separator and isinstance(value, str)):
            continue
        own = name in type(estimator)._get_param_names()
        known = families.get(head, {})
        named = [known[value]] if value in known else []
        call = parameter_of(named, name) or parameter_of(known.values(), name)
        remedy = f"{name} is a parameter of {type(estimator).__name__} itself" if own else None
        if not own and call is not None:
            remedy = f"pass an object, such as {head}={call} of sklearn_margin.{_MODULES[head]}"
        raise ValueError(
            f"{full} cannot be set: {head}={value!r} is a name, and has no parameters"
            + (f"; {remedy}" if remedy else "")
        )


_MODULES = {"loss": "losses", "solver": "solvers"}


class available_if:
    """As scikit-learn's, but the error that a user sees is that of ``check``.

    Parameters
    ----------
    check : callable
        ``check(estimator)`` raises an AttributeError that says why the method is not there.
    """

    def __init__(self, check: Callable[[Any], Any]) -> None:
        self.check = check

    def __call__(self, function: Method) -> Method:
        return cast(Method, _Available(function, self.check))


class _Available:
    def __init__(self, function, check):
        self.function, self._check = function, check
        update_wrapper(self, function)

    def __get__(self, instance, owner=None):
        if instance is not None:
            self.check(instance)
            return MethodType(self.function, instance)

        @wraps(self.function)  # on the class it is a function, documented and inspected as one
        def unbound(estimator, *args, **kwargs):
            self.check(estimator)
            return self.function(estimator, *args, **kwargs)

        return unbound

    def check(self, instance):
        try:
            self._check(instance)
        except AttributeError:
            raise
        except Exception as error:  # a wrong parameter; hasattr expects but one kind of error
            raise AttributeError(f"{self.function.__name__} is not available: {error}") from error


def check_in_memory(values, name: str) -> None:
    """Raise for what holds no rows yet: a path, a lazy frame, a generator.

    Raises
    ------
    TypeError
        Naming ``name`` and what to do.
    """
    if isinstance(values, (str, os.PathLike)):
        raise TypeError(
            f"{name} must hold the data, got {values!r}: files are not read and columns not looked "
            f"up by name; pass what, say, pandas.read_parquet returns, or, if it is larger than "
            f"memory, sklearn_margin.Batches.from_parquet(path, target=...)"
        )
    if type(values).__name__ == "LazyFrame":
        raise TypeError(f"{name} is a LazyFrame, which holds no data yet: pass {name}.collect()")
    if isinstance(values, Iterator):
        raise TypeError(
            f"{name} is a {type(values).__name__}, which can be read only once: pass "
            f"numpy.array(list({name})), one batch after the other to partial_fit, or, to "
            f"fit(sklearn_margin.Batches(...)), the function that makes it"
        )
    if is_dask(values):
        raise TypeError(
            f"{name} must hold the data, got a Dask {type(values).__name__}: fit of classifiers, "
            "regressors and rankers takes X from Dask, with all there is by row, and so do "
            f"predictions; elsewhere pass {name}.compute()"
        )
    if type(values).__name__ == "Batches":
        raise TypeError(
            f"{name} must hold the data, got Batches: fit of classifiers, regressors and rankers "
            "takes them, in place of all arguments, and partial_fit takes one batch at a time"
        )


def check_rows(X) -> None:
    """Raise for an X that holds no rows, or whose indices point outside of it.

    Neither scipy nor scikit-learn looks at the indices of a sparse matrix that is there already,
    and compiled code would follow them anywhere.

    Raises
    ------
    TypeError
        For a path, a lazy frame or a generator.
    ValueError
        For a CSR or CSC matrix that is none.
    """
    check_in_memory(X, "X")
    if not (sp.issparse(X) and X.format in ("csr", "csc") and X.ndim == 2):
        return
    n_major, n_minor = X.shape if X.format == "csr" else X.shape[::-1]
    ends, indices = np.asarray(X.indptr), np.asarray(X.indices)
    valid = len(ends) == n_major + 1 and ends[0] == 0 and np.all(ends[1:] >= ends[:-1])
    valid = valid and ends[-1] <= min(len(indices), len(X.data))
    used = indices[: ends[-1]] if valid else indices
    if not valid or (len(used) and not 0 <= used.min() <= used.max() < n_minor):
        raise ValueError(
            f"X is not a valid {X.format.upper()} matrix of shape {X.shape}: its indptr or indices "
            "point outside"
        )


def levels_to_caller() -> int:
    """The ``stacklevel`` with which a warning points at who called ``fit``."""
    frame, level = sys._getframe(1), 1
    # Code that ``exec`` ran may have no name.
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(
        ("sklearn_margin.", "sklearn.callback.")
    ):
        frame, level = frame.f_back, level + 1
    return level
