"""Data that is read batch by batch, for fits and predictions that never hold all of it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import wraps
from typing import Any, NamedTuple, Self, cast

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_array

from sklearn_margin._arrays import on_host
from sklearn_margin._hints import check_rows
from sklearn_margin._lazy import is_dask, lazily
from sklearn_margin._typing import ByBatch, ByBatchWithOffset
from sklearn_margin._validation import check_number

__all__ = [
    "Batch",
    "Batches",
    "by_batch",
    "by_batch_with_offset",
    "head_of",
    "matrix_of",
    "n_rows",
    "named",
]


class Batch(NamedTuple):
    """Rows of a source: features and, where there are any, targets, weights, groups and offsets."""

    X: Any
    y: Any = None
    sample_weight: Any = None
    groups: Any = None
    offset: Any = None


class Batches:
    """Rows that come in batches, as often as they are asked for.

    Estimators take it in place of X, ``fit(Batches(source))``, and read it once for every step of
    a solver that needs a product with X, a handful of times in all. In memory are a batch or two
    and a few numbers per row: targets, weights, scores. ``predict`` and its like yield an array
    for each batch, ``score`` reads all of them once.

    Parameters
    ----------
    source : iterable or callable
        Something that can be iterated over again and again, such as a list, or a function without
        arguments that returns an iterator from the beginning. Its items are ``(X, y)``,
        ``(X, y, sample_weight)``, ``(X, y, sample_weight, groups)`` or ``(X, y, sample_weight,
        groups, offset)``, None for what there is not, or X alone for predictions. X may be an
        array, a sparse matrix, a data frame or an Arrow table of numbers. Rows must be the same at
        every iteration, batches may be of any sizes.

    Raises
    ------
    TypeError
        If ``source`` can be read only once, as a generator can, or not at all.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_margin import Batches, LinearRegressor
    >>> def parts():
    ...     for k in range(3):  # as if each were a file
    ...         X = np.arange(4.0 * k, 4.0 * k + 4.0)[:, None]
    ...         yield X, 2.0 * X.ravel() + 1.0
    >>> model = LinearRegressor("huber", alpha=0).fit(Batches(parts))
    >>> model.coef_.round(4), float(model.intercept_.round(4))
    (array([2.]), 1.0)
    >>> [len(part) for part in model.predict(Batches(parts))]
    [4, 4, 4]
    """

    def __init__(self, source: Iterable[Any] | Callable[[], Iterable[Any]]) -> None:
        if not callable(source):
            if not hasattr(source, "__iter__") or isinstance(source, (str, bytes)):
                raise TypeError(
                    "source must be an iterable of batches or a function that returns an "
                    f"iterator over them, got {source!r}"
                )
            if isinstance(source, Iterator):
                raise TypeError(
                    f"source can be read only once, being a {type(source).__name__}: pass the "
                    "function that makes it, as in Batches(lambda: read(path)), or learn from "
                    "what never comes back with partial_fit"
                )
        self.source = source

    @classmethod
    def from_parquet(
        cls,
        path: Any,
        *,
        target: str | None = None,
        weight: str | None = None,
        groups: str | None = None,
        offset: str | None = None,
        columns: Sequence[str] | None = None,
        batch_size: int = 131_072,
    ) -> Self:
        """Batches of a Parquet file, or of a folder of them; needs pyarrow.

        Only the columns that are used are read, and two batches ahead at most.

        Parameters
        ----------
        path : path-like or pyarrow.dataset.Dataset
            File, folder, or data set.
        target, weight, groups, offset : str, default=None
            Columns of y, sample weights, groups and offsets of the scores.
        columns : list of str, default=None
            Features, in their order; None is all other columns.
        batch_size : int, default=131072
            Most rows of a batch.

        Returns
        -------
        Batches

        Raises
        ------
        ValueError
            If a column is not there.

        Examples
        --------
        >>> import tempfile
        >>> import pandas as pd
        >>> from sklearn_margin import Batches, LinearRegressor
        >>> folder = tempfile.mkdtemp()
        >>> frame = pd.DataFrame({"x": [0.0, 1.0, 2.0], "t": [1.0, 3.0, 5.0]})
        >>> frame.to_parquet(folder + "/0.parquet")
        >>> data = Batches.from_parquet(folder, target="t")
        >>> LinearRegressor("huber", alpha=0).fit(data).coef_.round(4)
        array([2.])
        """
        from pyarrow.dataset import Dataset, dataset

        check_number(batch_size, "batch_size", minimum=1, integer=True)
        found = path if isinstance(path, Dataset) else dataset(path)
        by_row = {"target": target, "weight": weight, "groups": groups, "offset": offset}
        others = [name for name in by_row.values() if name is not None]
        names = found.schema.names
        if columns is None:
            columns = [name for name in names if name not in others]
        given = {parameter: [name] for parameter, name in by_row.items()} | {"columns": columns}
        for parameter, wanted in given.items():
            missing = [name for name in wanted if name is not None and name not in names]
            if missing:
                raise ValueError(
                    f"{parameter} must be of the columns {names}, and the data have no column "
                    f"{missing[0]!r}"
                )

        def read():
            scanner = found.scanner(
                columns=list(dict.fromkeys([*columns, *others])), batch_size=batch_size,
                batch_readahead=2, fragment_readahead=1,
            )  # fmt: skip
            for batch in scanner.to_batches():
                rest = (None if name is None else batch[name] for name in by_row.values())
                yield Batch(batch.select(columns), *rest)

        return cls(read)

    @classmethod
    def from_svmlight(
        cls,
        path: str | os.PathLike[str],
        *,
        n_features: int,
        query_id: bool = False,
        zero_based: bool = False,
        dtype: npt.DTypeLike = np.float64,
        batch_bytes: int = 1 << 26,
    ) -> Self:
        """Batches of a file in the svmlight format, as CSR matrices.

        Parameters
        ----------
        path : str or path-like
            File.
        n_features : int
            Number of features.
        query_id : bool, default=False
            Whether lines have a ``qid``, which becomes the group.
        zero_based : bool, default=False
            Whether features are numbered from 0.
        dtype : dtype, default=float64
            Of the features.
        batch_bytes : int, default=67108864
            Size of a batch in the file.

        Returns
        -------
        Batches

        Raises
        ------
        OSError
            If there is no such file.

        Examples
        --------
        >>> import tempfile
        >>> from sklearn_margin import Batches, LinearClassifier
        >>> with tempfile.NamedTemporaryFile("w", suffix=".svm", delete=False) as file:
        ...     _ = file.write("1 1:2.0\\n-1 1:-1.0\\n1 1:1.0\\n-1 1:-2.0\\n")
        >>> data = Batches.from_svmlight(file.name, n_features=1)
        >>> list(LinearClassifier("logistic").fit(data).predict(data))
        [array([ 1., -1.,  1., -1.])]
        """
        check_number(n_features, "n_features", minimum=1, integer=True)
        check_number(batch_bytes, "batch_bytes", minimum=1, integer=True)
        from sklearn.datasets import load_svmlight_file  # which takes a tenth of a second

        size = os.path.getsize(path)

        def read():
            for offset in range(0, size, batch_bytes):
                X, y, *query = load_svmlight_file(
                    path, n_features=n_features, dtype=dtype, query_id=query_id,
                    zero_based=zero_based, offset=offset, length=batch_bytes,
                )  # fmt: skip
                yield Batch(X, y, None, *query)

        return cls(read)

    def __repr__(self) -> str:
        return f"Batches({self.source!r})"

    def __iter__(self) -> Iterator[Batch]:
        """The batches from the beginning, as they are."""
        items = self.source() if callable(self.source) else self.source
        if not isinstance(items, Iterable):
            raise TypeError(f"source must return an iterator over batches, got {items!r}")
        for k, item in enumerate(items):
            parts = item if isinstance(item, tuple) else (item,)
            if not 1 <= len(parts) <= len(Batch._fields):
                raise ValueError(
                    "a batch must be X or a tuple (X, y), (X, y, sample_weight), (X, y, "
                    "sample_weight, groups) or (X, y, sample_weight, groups, offset), got a tuple "
                    f"of {len(parts)} as batch {k}"
                )
            yield Batch(*parts)


def by_batch(method: Callable[[Any, Any], Any]) -> ByBatch:
    """A method of X that takes ``Batches``, too, and then yields what it gives for each; of a Dask
    collection it makes another one."""

    def of_batch(self, X):
        if n_rows(X) > 0:
            return method(self, X)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of features without names
            return method(self, np.zeros((1, self.n_features_in_)))[:0]

    @wraps(method)
    def wrapper(self, X):
        if isinstance(X, Batches):
            return (of_batch(self, named(batch.X)) for batch in X)
        if is_dask(X):
            return lazily(self, method, X)
        return method(self, X)

    return cast(ByBatch, wrapper)


def by_batch_with_offset(method: Callable[..., Any]) -> ByBatchWithOffset:
    """As ``by_batch``, of a method of X and an offset, which ``Batches`` hold."""
    of_rows = by_batch(method)

    def of_batch(self, batch):
        X, offset = named(batch.X), batch.offset
        if offset is None or n_rows(X) == 0:
            return next(of_rows(self, Batches([X])))
        return method(self, X, offset)

    @wraps(method)
    def wrapper(self, X, offset=None):
        if isinstance(X, Batches):
            if offset is not None:
                raise ValueError("offset must be in the batches, which hold all there is by row")
            return (of_batch(self, batch) for batch in X)
        if offset is None:
            return of_rows(self, X)
        return lazily(self, method, X, offset) if is_dask(X) else method(self, X, offset)

    return cast(ByBatchWithOffset, wrapper)


def named(X):
    """X, of which scikit-learn finds the names of features."""
    if type(X).__module__.startswith("pyarrow") and hasattr(type(X), "from_struct_array"):
        from pyarrow import Table as ArrowTable

        return ArrowTable.from_batches([X]) if type(X).__name__ == "RecordBatch" else X
    return X


def head_of(X):
    """The first row of X, as it is."""
    if hasattr(X, "iloc"):
        return X.iloc[:1]
    return X.slice(0, 1) if hasattr(X, "slice") else on_host(X)[:1]


def n_rows(X):
    shape = getattr(X, "shape", None)
    return len(X) if shape is None else shape[0]


def matrix_of(X, dtype, k, check, name="X of batch", least=1):
    """Features of a batch as a validated matrix, of ``dtype`` if one is given."""
    if type(X).__module__.startswith("pyarrow"):
        names = X.schema.names
        X = np.column_stack([np.asarray(column) for column in X.columns])
        if X.dtype.kind not in "fiub":
            raise ValueError(f"{name} {k} must hold numbers, got columns {names} of {X.dtype}")
    wanted = (np.float64, np.float32) if dtype is None else dtype
    X = on_host(X)
    check_rows(X)  # at every read: kernels follow the indices of a sparse matrix anywhere
    return check_array(
        X, accept_sparse="csr", dtype=wanted, order="C", ensure_all_finite=check,
        input_name=f"{name} {k}", ensure_min_samples=least,
    )  # fmt: skip
