"""Parameters that have a number for each feature: bounds of coefficients, factors of penalties."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sklearn_margin._validation import as_array

__all__ = ["coefficient_bounds", "penalty_factors"]


def coefficient_bounds(given, n_features: int, names=None) -> tuple[np.ndarray, np.ndarray] | None:
    """Lower and upper bounds by feature; None where there are none.

    Parameters
    ----------
    given : None, tuple of (low, high), or dict
        What the user gave as ``coef_bounds``.
    n_features : int
    names : array-like of str or None
        Of the features, if they have names.

    Raises
    ------
    TypeError, ValueError
        Where it is wrong; names what.
    """
    if given is None:
        return None
    if isinstance(given, Mapping):
        bounds = np.full(n_features, -np.inf), np.full(n_features, np.inf)
        for name, pair in given.items():
            what = f"coef_bounds[{name!r}]"
            low, high = _pair(pair, what)
            where = _number_of(name, names, "coef_bounds")
            bounds[0][where] = _numbers(low, -np.inf, f"the lower bound of {what}", 1)[0]
            bounds[1][where] = _numbers(high, np.inf, f"the upper bound of {what}", 1)[0]
    else:
        low, high = _pair(given, "coef_bounds")
        bounds = (
            _numbers(low, -np.inf, "the lower bound of coef_bounds", n_features),
            _numbers(high, np.inf, "the upper bound of coef_bounds", n_features),
        )
    low, high = bounds
    wrong = np.flatnonzero((low > high) | (low == np.inf) | (high == -np.inf))
    if len(wrong):
        j = int(wrong[0])
        raise ValueError(
            f"coef_bounds of {_called(j, names)} leave no coefficient: they are from "
            f"{low[j]:g} to {high[j]:g}"
        )
    return bounds if np.isfinite(low).any() or np.isfinite(high).any() else None


def penalty_factors(given, n_features: int, names=None, bounds=None) -> np.ndarray | None:
    """Factors of the penalty by feature; None where all are one.

    Parameters
    ----------
    given : None, array-like of shape (n_features,), or dict
        What the user gave as ``penalty_factors``.
    n_features : int
    names : array-like of str or None
        Of the features, if they have names.
    bounds : tuple of two ndarray of shape (n_features,), default=None
        Which 0 must be within, where a factor is infinite.

    Raises
    ------
    TypeError, ValueError
        Where it is wrong; names what.
    """
    if given is None:
        return None
    if isinstance(given, Mapping):
        factors = np.ones(n_features)
        for name, value in given.items():
            where = _number_of(name, names, "penalty_factors")
            factors[where] = _numbers(value, 1.0, f"penalty_factors[{name!r}]", 1)[0]
    else:
        factors = _numbers(given, 1.0, "penalty_factors", n_features)
        if np.ndim(given) == 0:
            raise ValueError(
                f"penalty_factors must have a number for each of the {n_features} features, got "
                f"{given!r}: alpha is the strength for all"
            )
    if (factors < 0).any():
        raise ValueError(f"penalty_factors must not be negative, got {factors.min():g}")
    if bounds is not None:
        low, high = bounds
        wrong = np.flatnonzero(np.isinf(factors) & ((low > 0) | (high < 0)))
        if len(wrong):
            j = int(wrong[0])
            raise ValueError(
                f"penalty_factors leave out {_called(j, names)}, whose coef_bounds exclude 0: they "
                f"are from {low[j]:g} to {high[j]:g}"
            )
    return None if (factors == 1).all() else factors


def _pair(given, what):
    """The two parts of (low, high)."""
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        arrays = "" if "[" in what else ", an array with an entry for each feature"
        raise ValueError(
            f"{what} must be a pair (low, high), each a number{arrays} or None, got {given!r}"
        )
    return given


def _called(j, names):
    """What to call a feature in a message."""
    return f"feature {j}" if names is None else repr(str(names[j]))


def _number_of(name, names, parameter):
    """Which feature has this name."""
    if names is None:
        raise ValueError(
            f"{parameter} has the name {name!r}, and X has no names of features: fit a data frame "
            "(in a pipeline, call set_output(transform='pandas')), or give an array"
        )
    where = np.flatnonzero(np.asarray(names, dtype=object) == name)
    if len(where) != 1:
        known = ", ".join(map(repr, map(str, list(names)[:10])))
        more = ", …" if len(names) > 10 else ""
        raise ValueError(
            f"{parameter} has the name {name!r}, which no feature has: they are {known}{more}"
        )
    return int(where[0])


def _numbers(given, default, what, n_features):
    """An array of one number for each feature, which may be infinite."""
    if given is None:
        return np.full(n_features, default)
    values = np.asarray(given, dtype=object) if isinstance(given, str) else as_array(given, what)
    if values.dtype.kind not in "iufO" or values.ndim > 1:
        raise ValueError(f"{what} must be a number or one-dimensional, got {given!r}")
    try:
        values = values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what} must hold numbers, got {given!r}") from error
    if values.ndim == 1 and len(values) != n_features:
        raise ValueError(
            f"{what} must have {n_features} entries, one for each feature, got {len(values)}"
        )
    if np.isnan(values).any():
        raise ValueError(f"{what} must not be NaN")
    return np.broadcast_to(values, n_features).copy()
