"""Checks of what users give: numbers, choices, columns of numbers, weights."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import assert_all_finite

from sklearn_margin._arrays import on_host
from sklearn_margin._hints import check_in_memory
from sklearn_margin._sklearn import column_or_1d

__all__ = [
    "as_array",
    "as_column",
    "check_choice",
    "check_not_empty",
    "check_number",
    "check_offset",
    "check_weights",
    "float_column",
    "nonnegative_weights",
    "normalize_weights",
    "writable",
]


def check_number(value, name, *, minimum=-math.inf, maximum=math.inf, closed=True, integer=False):
    """Raise unless ``value`` is a finite number in a range.

    Parameters
    ----------
    value : object
        What the user gave.
    name : str
        Name of the parameter, for the message.
    minimum, maximum : float
        Bounds of the range.
    closed : bool, default=True
        Whether the bounds themselves are allowed.
    integer : bool, default=False
        Whether the number must be an integer.

    Raises
    ------
    TypeError
        If ``value`` is not a number of the wanted kind.
    ValueError
        If it is not finite or out of range.
    """
    kind = Integral if integer else Real
    if not isinstance(value, kind) or isinstance(value, (bool, np.bool_)):
        wanted = "an integer" if integer else "a number"
        raise TypeError(f"{name} must be {wanted}, got {value!r} of type {type(value).__name__}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    inside = minimum <= number <= maximum if closed else minimum < number < maximum
    if not (inside and math.isfinite(number)):
        left = "[" if closed and minimum > -math.inf else "("
        right = "]" if closed and maximum < math.inf else ")"
        raise ValueError(f"{name} must be in {left}{minimum}, {maximum}{right}, got {value!r}")


def check_choice(value, name, choices):
    """Raise ``ValueError`` unless ``value`` is one of ``choices``."""
    if not (isinstance(value, str) and value in choices):
        raise ValueError(f"{name} must be one of {sorted(choices)}, got {value!r}")


def check_weights(sample_weight, n_samples: int) -> np.ndarray:
    """Weights as a new array of float64, one per sample.

    Parameters
    ----------
    sample_weight : float, array-like of shape (n_samples,) or None
        A number stands for as many equal weights, None for ones.
    n_samples : int
        How many there must be.

    Returns
    -------
    ndarray of shape (n_samples,)

    Raises
    ------
    TypeError
        If it holds no data yet, as a generator does, or is no number.
    ValueError
        If a weight is negative, complex or not finite, all are zero, or the length is wrong.
    """
    weight = nonnegative_weights(sample_weight, n_samples)
    if weight.max() == 0:
        raise ValueError("sample_weight is zero for every sample")
    return weight


def nonnegative_weights(sample_weight, n_samples: int) -> np.ndarray:
    """As ``check_weights``, of rows of which all weights may be zero."""
    if sample_weight is None:
        return np.ones(n_samples)
    given = as_array(sample_weight, "sample_weight")
    if given.ndim == 0:
        check_number(given.item(), "sample_weight", minimum=0, closed=False)
        return np.full(n_samples, float(given))
    if given.ndim > 1:
        raise ValueError(
            f"sample_weight should be a 1d array, got an array of shape {given.shape} instead."
        )
    weight = float_column(given, "sample_weight", n_samples=n_samples).copy()
    if weight.min() < 0:
        raise ValueError(f"sample_weight must not be negative, got {weight.min()}")
    return weight


def normalize_weights(sample_weight, n_samples: int, dtype) -> np.ndarray:
    """Weights divided by their sum, as a new array; see ``check_weights``."""
    if sample_weight is None:
        return np.full(n_samples, 1.0 / n_samples, dtype)
    weight = check_weights(sample_weight, n_samples)
    weight = weight / weight.max()  # so that the sum of huge weights does not overflow
    return (weight / weight.sum()).astype(dtype, copy=False)


def check_offset(offset, n_samples: int, dtype, *, n_scores=1, shared=False) -> np.ndarray:
    """What is added to the scores of each row, checked.

    Parameters
    ----------
    offset : float or array-like of shape (n_samples,) or (n_samples, n_scores)
        A number is added to all scores.
    n_samples : int
        How many rows there must be.
    dtype : dtype
        Of the result.
    n_scores : int, default=1
        Scores of a row.
    shared : bool, default=False
        Whether one column may be for all scores of a row.

    Returns
    -------
    ndarray of shape (n_samples,), or (n_samples, n_scores) if that is not 1

    Raises
    ------
    TypeError
        If it holds no data yet, as a generator does, or is no number.
    ValueError
        If it is complex, not of numbers or not finite, or the shape is wrong.
    """
    given = as_array(offset, "offset")
    wanted = (n_samples,) if n_scores == 1 else (n_samples, n_scores)
    if given.ndim == 0:
        check_number(given.item(), "offset")
        given = np.full(wanted, float(given))
    if given.ndim == 1 and n_scores > 1 and shared:
        given = np.repeat(float_column(given, "offset", n_samples=n_samples), n_scores)
        given = given.reshape(wanted)
    if n_scores == 1:
        found = float_column(given, "offset", n_samples=n_samples)
    elif given.shape != wanted:
        raise ValueError(
            f"offset must have a row for each sample and a column for each of {n_scores} scores, "
            f"shape {wanted}, got an array of shape {given.shape}"
        )
    else:
        found = float_column(given.ravel(), "offset").reshape(wanted)
    with np.errstate(over="ignore"):
        cast = found.astype(dtype, copy=False)
    if not np.isfinite(cast).all():
        raise ValueError(
            f"offset is too large for {np.dtype(dtype)}: its largest entry is "
            f"{np.abs(found).max():g}"
        )
    return cast


def float_column(
    values: ArrayLike, input_name: str, *, n_samples: int | None = None, warn: bool = False
) -> NDArray[np.float64]:
    """Check a vector of finite numbers and return it as float64.

    Parameters
    ----------
    values : array-like of shape (n_samples,) or (n_samples, 1)
        What to check.
    input_name : str
        What error messages call it.
    n_samples : int, default=None
        The length it must have.
    warn : bool, default=False
        Warn of a column vector, as scikit-learn's estimators do.

    Returns
    -------
    values : ndarray of shape (n_samples,), float64

    Raises
    ------
    ValueError
        If it is empty, not a vector, of another length, or holds anything but finite numbers.
    """
    array = as_column(as_array(values, input_name), input_name, warn=warn)
    if n_samples is not None and array.shape[0] != n_samples:
        raise ValueError(f"{input_name} has length {array.shape[0]}, expected {n_samples}")
    check_not_empty(array, input_name)
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {input_name} has dtype {array.dtype}")
    try:
        array = array.astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{input_name} must hold numbers: {error}") from error
    assert_all_finite(array, input_name=input_name)
    return array


def as_array(values: ArrayLike, input_name: str) -> NDArray[Any]:
    """Values as an array; raises ``TypeError`` for what holds no data yet."""
    check_in_memory(values, input_name)
    array = np.asarray(on_host(values))
    if array.dtype.kind in "SU" and not hasattr(values, "dtype"):
        # A list of strings and numbers: as strings 1 and "1" would be one group, and NaN one.
        array = np.asarray(values, dtype=object)
    return array


def as_column(array: NDArray[Any], input_name: str, *, warn: bool = False) -> NDArray[Any]:
    """A column (n, 1) as an array (n,); raises ``ValueError`` unless it is one or the other."""
    if array.ndim == 1:
        return array
    if array.ndim == 2 and array.shape[1] == 1:
        return column_or_1d(array, input_name=input_name, warn=warn)
    raise ValueError(
        f"{input_name} should be a 1d array, got an array of shape {array.shape} instead."
    )


def check_not_empty(array: NDArray[Any], input_name: str) -> None:
    """Raise ``ValueError`` if there is no entry."""
    if array.shape[0] == 0:
        raise ValueError(f"{input_name} is empty: a minimum of 1 sample is required.")


def writable(array) -> np.ndarray:
    """``array``, or a copy if it is read-only, for which kernels would be compiled once more."""
    return array if array.flags.writeable else array.copy()
