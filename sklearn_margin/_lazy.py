"""Dask collections: how they are known, and predictions that are computed when they are needed.

Nothing here imports Dask before a collection is seen.
"""

import sys
import warnings

import numpy as np

__all__ = ["OfBlock", "is_dask", "lazily", "names_of"]


def is_dask(X) -> bool:
    """Whether X is a Dask array or data frame. Imports nothing."""
    if "dask" not in sys.modules or not type(X).__module__.startswith("dask"):
        return False
    return hasattr(X, "to_delayed")


def names_of(X):
    """A row that has the names of the features of X, if it has any."""
    if not hasattr(X, "columns"):
        return np.zeros((1, X.shape[1]))
    import pandas as pd

    return pd.DataFrame(np.zeros((1, len(X.columns))), columns=X.columns)


def lazily(estimator, method, X):
    """What a method gives for a Dask collection: a Dask array that is computed when it is needed.

    Parameters
    ----------
    estimator : LossEstimator
        Fitted.
    method : callable
        ``method(estimator, X)`` of some rows.
    X : dask.array.Array or dask.dataframe.DataFrame

    Returns
    -------
    dask.array.Array
    """
    import dask.array as da

    names = names_of(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        probe = np.asarray(method(estimator, names.astype(getattr(X, "dtype", np.float64))))
    work = OfBlock(estimator, method.__name__, names)
    meta = np.empty((0,) * probe.ndim, probe.dtype)
    if hasattr(X, "chunks"):
        X = X.rechunk({1: -1}) if X.numblocks[1] > 1 else X
        if probe.ndim == 1:
            return X.map_blocks(work, dtype=probe.dtype, drop_axis=1, meta=meta)
        chunks = (X.chunks[0], (probe.shape[1],))
        return X.map_blocks(work, dtype=probe.dtype, chunks=chunks, meta=meta)
    import dask

    shape = (np.nan, *probe.shape[1:])
    blocks = [
        da.from_delayed(dask.delayed(work, pure=True)(block), shape, meta=meta)
        for block in X.to_delayed()
    ]
    return da.concatenate(blocks)


class OfBlock:
    """A method of an estimator, for blocks, of which some may be empty."""

    def __init__(self, estimator, name, names):
        self.estimator, self.name, self.names = estimator, name, names

    def __call__(self, X):
        method = getattr(self.estimator, self.name)
        if X.shape[0] > 0:
            return np.asarray(method(X))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return np.asarray(method(self.names))[:0]
