"""Rows in query groups: checking and encoding them.

The ranking metrics and the ranking estimators take their targets through `unpack_target` and
`encode_groups`, so that they accept the same inputs and raise the same errors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import assert_all_finite

from sklearn_margin._validation import (
    as_array,
    as_column,
    check_not_empty,
    float_column,
)


def unpack_target(
    y: ArrayLike | None, groups: ArrayLike | None = None, *, input_name: str = "y"
) -> tuple[NDArray[np.float64], NDArray[Any] | None]:
    """Split a ranking target into relevance and groups.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, 2)
        Relevance of each row, or *packed*: the columns ``[relevance, group]``. Packing carries the
        groups through scikit-learn tools that pass on nothing but `y`. A packed `y` may have any
        dtype, strings and objects included; in a float array, integer groups above 2**53 collide.
    groups : array-like of shape (n_samples,), default=None
        Group of each row. If `y` is packed too, both must split the rows alike.
    input_name : str, default="y"
        What error messages call `y`.

    Returns
    -------
    relevance : ndarray of shape (n_samples,), float64
    groups : ndarray of shape (n_samples,) or None
        As given, not encoded; None only if neither argument holds groups.

    Raises
    ------
    ValueError
        If `y` is empty, has another shape, holds NaN, infinity or something that is not a number;
        if `groups` is not as :func:`encode_groups` needs it, or contradicts a packed `y`.

    Examples
    --------
    >>> from sklearn_margin._groups import unpack_target
    >>> relevance, groups = unpack_target([[2, "a"], [0, "b"]])
    >>> relevance, groups.tolist()
    (array([2., 0.]), ['a', 'b'])
    """
    y = as_array(_as_records(y), input_name)
    if y.dtype.names is not None:
        return _survival(y, input_name)[1], None if groups is None else as_array(groups, "groups")
    if not is_packed(y):
        relevance = float_column(y, input_name, warn=True)
        return relevance, None if groups is None else as_array(groups, "groups")
    relevance = float_column(y[:, 0], input_name)
    packed = y[:, 1]
    if groups is not None:
        n_samples = relevance.shape[0]
        if not np.array_equal(encode_groups(groups, n_samples), encode_groups(packed, n_samples)):
            raise ValueError(
                f"{input_name} is packed as [relevance, group], and `groups` splits the rows "
                "differently. Pass the groups once."
            )
    return relevance, packed


def events_of(y: Any, input_name: str = "y") -> NDArray[np.bool_] | None:
    """Whether the time of each row is that of an event, of a structured `y`; None of any other."""
    y = _as_records(y)
    names = getattr(getattr(y, "dtype", None), "names", None)
    return None if names is None else _survival(y, input_name)[0]


def _as_records(y):
    """A data frame with the columns event and time as a structured array; others as they are."""
    if not hasattr(y, "to_records"):
        return y
    names = [str(name).lower() for name in getattr(y, "columns", ())]
    return y.to_records(index=False) if sorted(names) == ["event", "time"] else y


def _survival(y, input_name):
    """Events and times, of a structured array that has them as its fields, as scikit-survival's.

    A censored time is known to be exceeded. So it becomes the next larger number, above an event at
    the same time.
    """
    kinds = "".join(y.dtype[k].kind for k in range(len(y.dtype.names)))
    if y.ndim != 1 or kinds not in ("bf", "bi", "bu"):
        raise ValueError(
            f"{input_name} with named fields must have two, whether there was an event (bool) and "
            f"the time (a number), got {y.dtype}"
        )
    event, time = (y[name] for name in y.dtype.names)
    time = float_column(time, f"the time in {input_name}")
    return event.copy(), np.where(event, time, np.nextafter(time, np.inf))


def inverse_propensity(propensity: ArrayLike | None, n_samples: int) -> NDArray[Any] | None:
    """One over each propensity; None if there are none.

    Raises
    ------
    ValueError
        If they are not one number for each row, above 0 and at most 1.
    """
    if propensity is None:
        return None
    propensity = float_column(propensity, "propensity", n_samples=n_samples)
    # One over less than that is, as products of such weights, no number any more.
    inside = (propensity >= 1e-100) & (propensity <= 1)
    if not inside.all():
        raise ValueError(f"propensity must be above 0 and at most 1, got {propensity[~inside][0]}")
    return 1.0 / propensity


def is_packed(y: ArrayLike) -> bool:
    """Whether `y` has the shape (n_samples, 2) of a packed ``[relevance, group]`` target."""
    shape = np.shape(y)
    return len(shape) == 2 and shape[1] == 2


def encode_groups(groups: ArrayLike | None, n_samples: int) -> NDArray[np.int64]:
    """Encode groups as 0, 1, … in order of their first appearance.

    Equal partitions of the rows have equal codes, whatever the dtype and the names of the groups:
    results do not depend on either.

    Parameters
    ----------
    groups : array-like of shape (n_samples,) or None
        Group of each row: any dtype, unsorted and non-contiguous allowed. None means one group.
    n_samples : int
        The length `groups` must have.

    Returns
    -------
    codes : ndarray of shape (n_samples,), int64
        Every value from 0 to n_groups - 1 occurs.

    Raises
    ------
    ValueError
        If `groups` is empty, has another length or shape, or holds missing values or infinity.

    Examples
    --------
    >>> from sklearn_margin._groups import encode_groups
    >>> encode_groups(["b", "a", "b"], 3)
    array([0, 1, 0])
    """
    if groups is None:
        groups = np.zeros(n_samples, dtype=np.int64)
    groups = as_column(as_array(groups, "groups"), "groups")
    if groups.shape[0] != n_samples:
        raise ValueError(
            f"groups has length {groups.shape[0]}, expected {n_samples}, the group of each row"
            + (_OF_SIZES if _are_sizes(groups, n_samples) else "")
        )
    check_not_empty(groups, "groups")
    if groups.dtype.kind in "biuf":
        assert_all_finite(groups, input_name="groups")
        if (groups[1:] >= groups[:-1]).all():  # as they mostly are
            codes = np.zeros(n_samples, dtype=np.int64)
            np.cumsum(groups[1:] != groups[:-1], out=codes[1:])
            return codes
        _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
        rank = np.empty_like(first)
        rank[np.argsort(first)] = np.arange(first.shape[0])
        return rank[inverse].astype(np.int64, copy=False)
    return _encode_by_hashing(groups)


_OF_SIZES = (
    ". These look like the sizes of the groups: if the rows of each group follow each other, pass "
    "np.repeat(np.arange(len(sizes)), sizes)"
)


def _are_sizes(groups: NDArray[Any], n_samples: int) -> bool:
    """Whether they may be what LightGBM and XGBoost call groups: how many rows each has."""
    return groups.dtype.kind in "iuf" and bool((groups > 0).all()) and groups.sum() == n_samples


def _encode_by_hashing(groups: NDArray[Any]) -> NDArray[np.int64]:
    """Codes of groups that NumPy sorts slowly (strings) or not at all (mixed types)."""
    if groups.dtype.kind in "mM" and np.isnat(groups).any():
        raise ValueError("Input groups contains NaT.")
    table: dict[Any, int] = {}
    try:
        codes = [table.setdefault(group, len(table)) for group in groups.tolist()]
    except TypeError as error:
        raise ValueError(f"groups must hold hashable values: {error}") from error
    if any(_is_missing(group) for group in table):
        raise ValueError("Input groups contains NaN or another missing value.")
    return np.array(codes, dtype=np.int64)


def _is_missing(value: Any) -> bool:
    try:
        return value is None or bool(value != value)
    except TypeError:  # pandas.NA refuses to be a bool
        return True
