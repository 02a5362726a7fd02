"""Problems of tables that are not in memory: what targets and weights become, part by part.

The functions of a ``ByRow`` are computed where the part is; they take and return what can travel.
"""

from functools import partial

import numpy as np
from sklearn.utils import check_X_y
from sklearn.utils.multiclass import check_classification_targets

from sklearn_margin._groups import encode_groups
from sklearn_margin._validation import check_offset, float_column, nonnegative_weights
from sklearn_margin.objective import Rows
from sklearn_margin.objective.parted import PartedRows, parted
from sklearn_margin.objective.parts import sum_of_squares
from sklearn_margin.objective.pointwise import cast_targets

__all__ = [
    "check_all_in_batches",
    "check_has_target",
    "class_totals",
    "classes_coder",
    "grades_coder",
    "largest_weight",
    "numbers_coder",
    "parted_objectives",
]


def parted_objectives(
    table, encode, make, *, center, n_jobs, labels=(None,), is_sample=True, shares_offset=False
):
    """Objectives over the parts of a table.

    Parameters
    ----------
    table : Table
    encode : callable
        ``encode(by_row)``: y, s and groups of a ``Part``.
    make : callable
        ``make(rows, y, s, groups)``: the objectives of the rows that were kept.
    center : bool
        Whether columns are shifted to mean zero.
    n_jobs : int or None
    labels : sequence, default=(None,)
        Of each objective, as of ``Blank``; of one for all, repeated.
    is_sample : bool, default=True
        Whether the solution of the kept rows is near that of all.
    shares_offset : bool, default=False
        Whether an offset of one column may be for all scores of a row.
    """
    rows = Rows(table.kept_X, center=False, n_jobs=n_jobs)
    rows = rows.in_coordinates(*table.moments.statistics(center))
    y, s, groups = encode(table.kept)
    equal = None if np.ndim(s) else s
    s = np.full(len(y), s) if equal else s
    total = s.sum(dtype=np.float64)
    if total == 0:  # no row that counts is here
        s, total, is_sample = np.ones_like(s), float(len(s)), False
    local = make(rows, y, s / total, groups)
    columns = range(len(local)) if len(local) > 1 else [...]
    if table.kept.offset is not None:
        n_scores = sum(objective.n_outputs for objective in local)
        offset = partial(_offset_of, dtype=table.dtype, n_scores=n_scores, shared=shares_offset)
        encode, found = partial(_with_offset, encode=encode, offset=offset), offset(table.kept)
        pairs = zip(local, columns, strict=True)
        local = [objective.with_offset(found[:, column]) for objective, column in pairs]
    parts = table.parts(encode, n_jobs)
    squares = table.shape[0] * equal**2 if equal else sum(parts.map(sum_of_squares, reads=False))
    whole = PartedRows(
        parts, table.shape, rows, table.entries / table.shape[0], float(np.sqrt(squares))
    )
    whole.n_read[0] = table.n_reads * table.shape[0]
    labels = labels if len(labels) == len(local) else [labels[0]] * len(local)
    return [
        parted(objective, whole, label=label, column=column, is_sample=is_sample)
        for objective, label, column in zip(local, labels, columns, strict=True)
    ]


def _offset_of(by_row, dtype, n_scores, shared):
    return check_offset(by_row.offset, by_row.n, dtype, n_scores=n_scores, shared=shared)


def _with_offset(by_row, encode, offset):
    return *encode(by_row), offset(by_row)


def check_has_target(estimator, table) -> None:
    """Raise ``ValueError`` if a table holds no y."""
    if table.kept.y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the {table.what} hold none: "
            f"give {table.remedy}"
        )


def check_all_in_batches(**given) -> None:
    """Raise ``ValueError`` if something by row is given besides ``Batches``."""
    for name, value in given.items():
        if value is not None:
            raise ValueError(f"{name} must be in the batches, which hold all there is by row")


# --- weights ------------------------------------------------------------------------------------


def _weights(by_row):
    """Validated weights; None if there are none."""
    if by_row.sample_weight is None:
        return None
    return nonnegative_weights(by_row.sample_weight, by_row.n)


def _part_largest(by_row):
    weight = _weights(by_row)
    return 1.0 if weight is None else float(weight.max(initial=0.0))


def largest_weight(table) -> float:
    """The largest weight: weights are divided by it, so that sums of huge ones do not overflow.

    Raises
    ------
    ValueError
        If all are zero, or one is not a finite number that is not negative.
    """
    if table.kept.sample_weight is None:
        return 1.0
    largest = max(table.ask(_part_largest))
    if largest == 0:
        raise ValueError("sample_weight is zero for every sample")
    return largest


# --- classes ------------------------------------------------------------------------------------


def _valid(by_row, numeric=False):
    rows = np.broadcast_to(np.float32(0), (by_row.n, 1))  # takes no memory
    return check_X_y(rows, by_row.y, y_numeric=numeric)[1]


def class_totals(table, top) -> tuple[np.ndarray, np.ndarray]:
    """All labels, and the weight of each."""
    labels, totals = zip(*table.ask(_class_totals, top), strict=True)
    known = np.unique(np.concatenate(labels))
    weight = np.zeros(len(known))
    for some, total in zip(labels, totals, strict=True):
        weight[np.searchsorted(known, some)] += total
    return known, weight


def _class_totals(by_row, top):
    y = _valid(by_row)
    check_classification_targets(y)
    labels, index = np.unique(y, return_inverse=True)
    weight = _weights(by_row)
    return labels, np.bincount(index, None if weight is None else weight / top, len(labels))


def classes_coder(labels, factors, classes, top):
    """What encodes labels as indices of ``classes``, and weights; ``factors`` are of ``labels``."""
    return partial(_coded_classes, labels=labels, factors=factors, classes=classes, top=top)


def _coded_classes(by_row, labels, factors, classes, top):
    y, weight = _valid(by_row), _weights(by_row)
    index = np.searchsorted(labels, y)
    # Rows of weight 0 may have a label that is no class.
    code = np.minimum(np.searchsorted(classes, labels), len(classes) - 1)
    y = code.astype(np.min_scalar_type(len(classes)))[index]
    if weight is None and np.ptp(factors) == 0:
        return y, float(factors[0]), None
    s = factors[index] if weight is None else factors[index] * (weight / top)
    return y, s, None


# --- numbers ------------------------------------------------------------------------------------


def numbers_coder(table, top):
    """What casts targets to the dtype of X, and encodes weights."""
    largest, totals = zip(*table.ask(_number_range, top), strict=True)
    cast_targets(np.array([max(largest)]), table.dtype)
    return partial(_coded_numbers, dtype=table.dtype, top=top, total=sum(totals))


def _number_range(by_row, top):
    weight = _weights(by_row)
    total = by_row.n if weight is None else float((weight / top).sum())
    return float(np.abs(_valid(by_row, True)).max(initial=0)), total


def _coded_numbers(by_row, dtype, top, total):
    return _valid(by_row, True).astype(dtype, copy=False), *_coded_weights(
        by_row, dtype, top, total
    )


def _coded_weights(by_row, dtype, top, total):
    weight = _weights(by_row)
    return (1.0 / total if weight is None else (weight / top / total).astype(dtype)), None


# --- grades in groups ---------------------------------------------------------------------------


def grades_coder(table, top):
    """What encodes relevance, weights and groups."""
    total = table.shape[0]
    if table.kept.sample_weight is not None:
        total = sum(table.ask(_total_weight, top))
    return partial(_coded_grades, top=top, total=total)


def _total_weight(by_row, top):
    return float((_weights(by_row) / top).sum())


def _coded_grades(by_row, top, total):
    y = float_column(by_row.y, "y")
    groups = encode_groups(by_row.groups, by_row.n)
    groups = groups.astype(np.min_scalar_type(groups.max(initial=0)))
    s, _ = _coded_weights(by_row, np.float64, top, total)
    return _small(y), s, groups


def _small(y):
    """Numbers in the smallest dtype that holds them exactly."""
    for dtype in (np.int8, np.int16, np.float32):
        with np.errstate(over="ignore", invalid="ignore"):
            small = y.astype(dtype)
        if (small == y).all():
            return small
    return y
