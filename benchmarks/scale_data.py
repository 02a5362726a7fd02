"""Data in Parquet folders, made part by part and never held together, and what is minimised.

Part k is seeded by k, so that the same arguments give the same files.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sklearn_margin import (
    HingeClassifier,
    LinearClassifier,
    LinearRegressor,
    QuantileRegressor,
    RankSVM,
)  # fmt: skip
from sklearn_margin.losses import (
    Hinge,
    Huber,
    Logistic,
    PairwiseHinge,
    PairwiseSquaredHinge,
    Quantile,
    SquaredHinge,
)

D = 20
ALPHA = 1e-4
FEATURES = [f"x{j:02d}" for j in range(D)]
GROUP = 21  # rows of a group; parts are no multiples of it, so that groups straddle them
GRADE_LIMITS = (-1.19, -0.358, 0.358, 1.19)  # five equally frequent grades
BATCH = 131_072  # rows

# By name: the column of the target, the loss that scores solutions, the estimator.
LOSSES = {
    "logistic": ("y", Logistic(), LinearClassifier("logistic")),
    "squared hinge": ("y", SquaredHinge(), LinearClassifier("squared_hinge")),
    "Huber": ("t", Huber(), LinearRegressor("huber")),
    "hinge": ("y", Hinge(), HingeClassifier()),
    "quantile 0.9": ("t", Quantile(0.9), QuantileRegressor(quantile=0.9)),
    "RankSVM": ("grade", PairwiseSquaredHinge(weighting="uniform"), RankSVM()),
    "RankSVM hinge": ("grade", PairwiseHinge(weighting="uniform"), RankSVM(loss="hinge")),
}


def columns_of(loss: str) -> list[str]:
    """Columns of a loss besides the features: the target and, for a ranker, the groups."""
    target = LOSSES[loss][0]
    return [target, "query"] if target == "grade" else [target]


def folder(root, n: int, parts: int, dtype: str) -> Path:
    """A folder of Parquet files with ``n`` rows, written if it is not there yet."""
    path = Path(root) / f"{n}x{D}-{dtype}-{parts}"
    if not path.exists():
        Path(root).mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=root))
        ends = np.linspace(0, n, parts + 1).astype(int)
        for k in range(parts):
            _write(unfinished / f"{k:04d}.parquet", k, ends[k], ends[k + 1], dtype)
        os.replace(unfinished, path)
    return path


def _write(path, k, first, stop, dtype):
    """Rows ``first`` to ``stop``: Gaussian features, labels, heavy-tailed targets and grades."""
    import pyarrow as pa
    from pyarrow.parquet import write_table

    coef = np.random.default_rng(0).standard_normal(D)
    coef /= np.linalg.norm(coef)
    rng, m = np.random.default_rng([1, k]), stop - first
    X = rng.standard_normal((m, D), dtype=dtype)
    z = X @ coef
    columns = dict(zip(FEATURES, X.T, strict=True))
    columns["y"] = (z + 0.5 * rng.logistic(size=m) > 0).astype(np.int8)
    columns["t"] = (z + 0.5 * rng.standard_t(2, size=m)).astype(dtype)
    grade = np.digitize(z + rng.standard_normal(m), GRADE_LIMITS)
    columns["grade"] = grade.astype(np.int8)
    columns["query"] = (np.arange(first, stop) // GROUP).astype(np.int32)
    write_table(pa.table(columns), path)


def files(path) -> list[str]:
    return sorted(map(str, Path(path).glob("*.parquet")))


def n_rows(file) -> int:
    from pyarrow.parquet import read_metadata

    return read_metadata(file).num_rows


def features(file) -> np.ndarray:
    """X of a file, C-contiguous."""
    return _matrix(_read(file, FEATURES))


def column(file, name) -> np.ndarray:
    return np.array(_read(file, [name])[name])


def _read(file, names):
    from pyarrow.parquet import read_table

    return read_table(file, columns=names)


def _matrix(table):
    return np.column_stack([np.asarray(table[name]) for name in FEATURES])


def read_batches(path, others: list[str]) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
    """A folder as arrays, X and other columns, read as ``Batches.from_parquet`` reads it."""
    from pyarrow.dataset import dataset

    scanner = dataset(path).scanner(
        columns=[*FEATURES, *others], batch_size=BATCH, batch_readahead=2, fragment_readahead=1
    )
    for batch in scanner.to_batches():
        yield _matrix(batch), [np.asarray(batch[name]) for name in others]


def value(path, loss: str, coef, intercept: float) -> float:
    """The objective of a solution on all rows, whose scores are found batch by batch."""
    coef, parts = np.asarray(coef, dtype=np.float64), []
    others = columns_of(loss)
    for X, rest in read_batches(path, others):
        parts.append((X @ coef + intercept, *rest))
    z, y, *groups = (np.concatenate(column) for column in zip(*parts, strict=True))
    y = 2.0 * y - 1 if others == ["y"] else y.astype(np.float64)
    extra = {"groups": groups[0]} if groups else {}
    return float(LOSSES[loss][1].value(y, z, **extra)) + ALPHA * 0.5 * float(coef @ coef)
