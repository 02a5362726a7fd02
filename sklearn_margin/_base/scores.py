"""Scores of data in parts: a few sums of the predictions of each part, where these are.

Sums are added up in the order of the parts. Weights are divided by the largest of all, so that
sums of huge ones do not overflow.
"""

import warnings
from typing import NamedTuple

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import accuracy_score
from sklearn.utils.validation import check_is_fitted

from sklearn_margin._base.tables import check_all_in_batches
from sklearn_margin._dask import DaskTable, Raw, blocks_of, joined
from sklearn_margin._hints import levels_to_caller
from sklearn_margin._lazy import OfBlock, is_dask
from sklearn_margin._tables import ByRow, columns_of
from sklearn_margin._validation import float_column, nonnegative_weights
from sklearn_margin._workers import InProcess
from sklearn_margin.batches import Batch, Batches, n_rows, named
from sklearn_margin.metrics._pair_counts import PairCounts, count_pairs
from sklearn_margin.metrics._pairs import share_of_pairs
from sklearn_margin.metrics._scored_rows import check_scored_rows

__all__ = ["Predictions", "accuracy", "predictions_in_parts"]


def accuracy(y, labels, sample_weight=None) -> float:
    """Share of the labels that are right: scikit-learn's, whose checks take longer than predicting.

    They are left out where nothing can be wrong: for an array of integers, strings or truth values
    of the same length and kind as the predicted labels, or of whole numbers.
    """
    plain = isinstance(y, np.ndarray) and sample_weight is None and y.shape == labels.shape
    if plain and y.dtype.kind == labels.dtype.kind and len(y):
        kind = y.dtype.kind
        if kind in "biuU" or (kind == "f" and np.array_equal(y, np.rint(y))):
            return float(np.mean(y == labels))
    return float(accuracy_score(y, labels, sample_weight=sample_weight))


def predictions_in_parts(estimator, X, y, **given):
    """Predictions of data that are not in memory; None for others.

    Parameters
    ----------
    estimator : LossEstimator
        Fitted.
    X, y
        As ``score`` was given them.
    **given
        ``sample_weight``, ``offset`` and, of rankers, ``groups``; None where there are none.

    Returns
    -------
    Predictions or None

    Raises
    ------
    ValueError
        If there is no y, anything is given besides ``Batches``, there are no rows, a weight is
        negative or all are zero, or for what ``predict`` raises it.
    """
    check_is_fitted(estimator)
    unpack = estimator._unpack
    if isinstance(X, Batches):
        check_all_in_batches(y=y, **given)
        blocks = [
            _predicted(named(batch.X), *batch[1:], k, estimator.predict, unpack, "batch")
            for k, batch in enumerate(X)
            if n_rows(batch.X) > 0
        ]
        return Predictions(InProcess(blocks))
    if y is None:
        raise ValueError(f"score of {type(estimator).__name__} requires y to be passed")
    if not is_dask(X):
        return None
    predict = OfBlock(estimator, "predict", X, given.get("offset") is not None)
    return Predictions(blocks_of(X, {"y": y, **given}, _predicted, predict, unpack, "part"))


class Predictions:
    """Predictions, in parts that hold what else there is of their rows.

    Parameters
    ----------
    blocks : InProcess or the like of a cluster
        Of ``Raw`` with predictions in place of X.
    """

    def __init__(self, blocks):
        facts = blocks.map(_facts)
        blocks.held = [one for one, fact in zip(blocks.held, facts, strict=True) if fact.n > 0]
        facts = [fact for fact in facts if fact.n > 0]
        if not facts:
            raise ValueError("X holds no rows to be scored")
        for k, name in enumerate(ByRow._fields[1:]):
            if len({fact.has[k] for fact in facts}) > 1:
                raise ValueError(f"some parts have {name}, and some have none: give all or none")
        self.blocks = blocks
        _, _, self.has_groups, self.has_offset = facts[0].has
        self.n, self.largest = sum(fact.n for fact in facts), max(fact.largest for fact in facts)
        if self.largest == 0:
            raise ValueError("sample_weight is zero for every sample")

    def _map(self, function, *arguments):
        return self.blocks.map(function, self.largest, *arguments)

    def accuracy(self) -> float:
        """Share of the labels that are right."""
        right, total = np.sum(self._map(_agreement), axis=0)
        return float(right / total)

    def r2(self) -> float:
        """Share of the variance of the targets that is explained, R²."""
        if self._are_too_few("R^2"):
            return np.nan
        total, mean, squares, errors = np.transpose(self._map(_squares))
        # From the first mean on, so that equal ones remain equal.
        center = mean[0] + total @ (mean - mean[0]) / total.sum()
        return _explained(errors.sum(), squares.sum() + total @ (mean - center) ** 2)

    def d2(self, quantiles) -> float:
        """Share of the quantile loss that is explained, D², averaged over quantiles.

        Predictions have a column for each of the ``quantiles``.
        """
        if self._are_too_few("D^2"):
            return np.nan
        constants = self._quantiles(quantiles)
        losses = np.sum(self._map(_quantile_losses, quantiles, constants), axis=0)
        return float(np.mean([_explained(*both) for both in losses.T]))

    def pairwise_accuracy(self) -> float:
        """Share of the pairs that are in the right order; all rows are a group if none are given.

        Rows without groups come together in one part.
        """
        if self.has_groups:
            self.blocks = DaskTable.whole_groups(self.blocks)
        else:
            self.blocks.held = [self.blocks.submit(joined, self.blocks.held)]
        *counts, unit = np.transpose(self._map(_pairs))
        return share_of_pairs(*(np.array(counts) @ (unit / (unit.max() or 1.0)) ** 2))

    def _quantiles(self, quantiles):
        """Sample quantiles of the targets: the digits of their bit patterns, one after the other.

        Eight bits at a time, by the weights of the targets that have each of the 256 values next:
        the result is exact, and what travels does not depend on how many targets there are.
        """
        prefixes = np.zeros(len(quantiles), np.uint64)
        below = None  # weight that is still to be found below the quantile
        for shift in range(56, -1, -8):
            weights = np.sum(self._map(_next_digits, shift, prefixes), axis=0)
            if below is None:
                below = quantiles * weights.sum(axis=1)
            for k, weight in enumerate(weights):
                last = np.flatnonzero(weight)[-1]  # sums may be less by rounding
                digit = min(np.searchsorted(np.cumsum(weight), below[k]), last)
                below[k] -= weight[:digit].sum()
                prefixes[k] = prefixes[k] << np.uint64(8) | np.uint64(digit)
        return _from_ordered(prefixes)

    def _are_too_few(self, name):
        if self.n > 1:
            return False
        message = f"{name} score is not well-defined with less than two samples."
        warnings.warn(message, UndefinedMetricWarning, stacklevel=levels_to_caller())
        return True


def _explained(error, error_of_constant):
    """Share of an error of constants that is explained; without one, as scikit-learn has it."""
    if error == 0:
        return 1.0
    return 0.0 if error_of_constant == 0 else float(1 - error / error_of_constant)


# --- what is computed where a part is -----------------------------------------------------------


class _Facts(NamedTuple):
    n: int
    has: tuple  # of y, weights, groups, offset
    largest: float  # weight


def _predicted(X, y, sample_weight, groups, offset, k, predict, unpack, what):
    """Predictions of a block, and what else there is of its rows."""
    if y is None:
        raise ValueError(f"score requires y, and {what} {k} holds none: give tuples (X, y)")
    z = predict(X) if offset is None else predict(X, offset)
    batch = Batch(None, y, sample_weight, groups, offset)
    return Raw(z, columns_of(batch, len(z), k, unpack, what))


def _facts(part):
    rows = part.by_row
    largest = _weights(part, 1.0).max() if rows.n > 0 else 0.0
    return _Facts(rows.n, tuple(values is not None for values in rows[1:]), largest)


def _weights(part, largest):
    rows = part.by_row
    return nonnegative_weights(rows.sample_weight, rows.n) / largest


def _agreement(part, largest):
    """Weight of the rows with the right label, and of all."""
    z, rows = part
    s = _weights(part, largest)
    return accuracy_score(rows.y, z, normalize=False, sample_weight=s), s.sum()


def _squares(part, largest):
    """Weight, mean of the targets, squared deviations from it and from the predictions."""
    z, rows = part
    y, s = float_column(rows.y, "y"), _weights(part, largest)
    total = s.sum()
    mean = y[0] + s @ (y - y[0]) / (total or 1.0)
    return total, mean, s @ (y - mean) ** 2, s @ (y - z) ** 2


def _quantile_losses(part, largest, quantiles, constants):
    """For each quantile the loss of the predictions, and that of a constant."""
    z, rows = part
    y, s = float_column(rows.y, "y"), _weights(part, largest)
    z = z.reshape(rows.n, len(quantiles))

    def losses(residual):
        return s @ np.maximum(quantiles * residual, (quantiles - 1) * residual)

    return losses(y[:, None] - z), losses(y[:, None] - constants)


def _next_digits(part, largest, shift, prefixes):
    """Weights of the targets that begin with each prefix, by their next eight bits."""
    y, s = _ordered(float_column(part.by_row.y, "y")), _weights(part, largest)
    found = np.zeros((len(prefixes), 256))
    for k, prefix in enumerate(prefixes):
        rows = y >> np.uint64(shift) >> np.uint64(8) == prefix
        digits = y[rows] >> np.uint64(shift) & np.uint64(255)
        found[k] = np.bincount(digits.astype(np.intp), s[rows], 256)
    return found


_SIGN = np.uint64(1 << 63)


def _ordered(values):
    """Numbers of float64 as integers in the same order."""
    bits = (values + 0.0).view(np.uint64)  # -0.0 is 0.0
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def _from_ordered(keys):
    return np.where(keys & _SIGN, keys & ~_SIGN, ~keys).view(np.float64)


def _pairs(part, largest):
    """Weights of the pairs, and their unit."""
    z, rows = part
    scale = _facts(part).largest / largest
    if scale == 0:
        return PairCounts(0, 0, 0, 0.0)
    y = float_column(rows.y, "y")
    counts = count_pairs(check_scored_rows(y, z, rows.groups, rows.sample_weight))
    return counts._replace(unit=scale * counts.unit)
