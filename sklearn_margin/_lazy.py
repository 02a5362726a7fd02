"""Dask collections: how they are known, and predictions that are computed when they are needed.

Nothing here imports Dask before a collection is seen.
"""

import copy
import sys

import numpy as np
from sklearn.utils.validation import check_is_fitted

__all__ = ["OfBlock", "check_table", "is_dask", "lazily", "names_of"]


def is_dask(X) -> bool:
    """Whether X is on Dask: an array, a frame, or another of its collections. Imports nothing."""
    if "dask" not in sys.modules or not type(X).__module__.startswith("dask"):
        return False
    return hasattr(X, "to_delayed") or hasattr(X, "__dask_graph__")


def check_table(X) -> None:
    """Raise for a Dask collection that is no table of numbers.

    Raises
    ------
    TypeError
        If it is neither an array nor a data frame.
    ValueError
        If it has not two dimensions, or a column of a frame is not of numbers.
    """
    if not type(X).__module__.startswith(("dask.array", "dask.dataframe")):
        kind = type(X).__name__
        raise TypeError(f"X must be a Dask array or data frame, got a {kind}: see {_MADE_BY}")
    if X.ndim != 2:
        raise ValueError(f"X must have 2 dimensions, got a Dask collection with {X.ndim}")
    if hasattr(X, "columns"):
        from pandas.api.types import is_numeric_dtype

        others = [name for name, kind in X.dtypes.items() if not is_numeric_dtype(kind)]
        if others:
            raise ValueError(
                f"X must hold numbers, and its columns {others} do not: encode them, or leave "
                "them out"
            )


_MADE_BY = "dask.array.from_delayed, dask.dataframe.from_delayed"


def names_of(X, n_features):
    """A row of X of zeros, with the names and dtypes of its features, if it has any."""
    if not hasattr(X, "columns"):
        return np.zeros((1, n_features), getattr(X, "dtype", np.float64))
    import pandas as pd

    return pd.DataFrame(np.zeros((1, len(X.columns))), columns=X.columns).astype(dict(X.dtypes))


def lazily(estimator, method, X, offset=None):
    """What a method gives for a Dask collection: a Dask array that is computed when it is needed.

    Parameters
    ----------
    estimator : LossEstimator
        Fitted. What it learns later changes nothing.
    method : callable
        ``method(estimator, X)`` of some rows.
    X : dask.array.Array or dask.dataframe.DataFrame
    offset : float, array or Dask collection with the parts of X, default=None
        What ``method`` is given besides.

    Returns
    -------
    dask.array.Array
    """
    import dask
    import dask.array as da

    work = OfBlock(estimator, method.__name__, X, offset is not None)
    sample = work.sample
    form = {"dtype": sample.dtype, "meta": np.empty((0,) * sample.ndim, sample.dtype)}
    if offset is not None or not hasattr(X, "chunks"):
        from sklearn_margin._dask import blocks_by_part

        compute, parts = dask.delayed(work, pure=True), zip(*blocks_by_part(X, offset), strict=True)
        sizes = X.chunks[0] if hasattr(X, "chunks") else [np.nan] * X.npartitions
        blocks = [
            da.from_delayed(compute(*part), (size, *sample.shape[1:]), **form)
            for part, size in zip(parts, sizes, strict=True)
        ]
        return da.concatenate(blocks)
    X = X.rechunk({1: -1}) if X.numblocks[1] > 1 else X
    if sample.ndim == 1:
        return X.map_blocks(work, drop_axis=1, **form)
    return X.map_blocks(work, chunks=(X.chunks[0], (sample.shape[1],)), **form)


class OfBlock:
    """A method of an estimator, for blocks of X, of which some may be empty.

    It is tried at once, so that a wrong X is told of here. What the estimator learns later changes
    nothing.
    """

    def __init__(self, estimator, name, X, has_offset=False):
        check_is_fitted(estimator)
        check_table(X)
        n_features = X.shape[1] if X.shape[1] == X.shape[1] else estimator.n_features_in_
        given = {"offset": 0.0} if has_offset else {}
        self.sample = np.asarray(getattr(estimator, name)(names_of(X, n_features), **given))
        self.estimator, self.name = copy.copy(estimator), name
        if not hasattr(X, "columns"):  # of which was warned once
            vars(self.estimator).pop("feature_names_in_", None)

    def __call__(self, X, offset=None):
        if X.shape[0] == 0:
            return self.sample[:0]
        given = () if offset is None else (offset,)
        return np.asarray(getattr(self.estimator, self.name)(X, *given))
