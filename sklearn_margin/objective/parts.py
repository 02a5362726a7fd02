"""Parts of a table that is not in memory as a whole, and what is computed at them.

A part is a range of consecutive rows: a batch that is read from a file when it is visited, or what
a worker of a cluster holds. A function is mapped over the parts, and what it gives is added up in
their order, so that sums do not depend on where a part is or when it is visited. What belongs to
rows (labels, weights, scores) stays with its part; parameters go there, and sums come back.

What a part keeps of one evaluation for the next it can compute again, to the same bits: it may be
lost with the process that held it.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from sklearn_margin.objective.point import largest_of

__all__ = [
    "Along",
    "Blank",
    "Extras",
    "Here",
    "Level",
    "Look",
    "Part",
    "Shifted",
    "added",
    "aligned",
    "along",
    "corrected",
    "count_pairs",
    "curved_product",
    "envelope",
    "look",
    "merged",
    "scale_sums",
    "slope",
    "step",
    "sum_of_slopes",
    "sum_of_squares",
    "target_range",
    "value",
]


def aligned(values):
    """An array, or a CSR matrix, at an address that suits its dtype.

    What came in a message may be anywhere, and products with it would be in another order of sums.
    """
    if sp.issparse(values):
        for name in ("data", "indices", "indptr"):
            setattr(values, name, aligned(getattr(values, name)))
    elif isinstance(values, np.ndarray) and not values.flags.aligned:
        return values.copy()
    return values


class Part:
    """Rows that are together, and what was computed of them last.

    Parameters
    ----------
    X : ndarray or CSR of shape (n, d), default=None
        Validated. None where it is not at hand, and not needed.
    y : ndarray of shape (n,)
        Targets; indices of classes.
    s : ndarray of shape (n,) or float
        Weights, of which those of all parts add up to one; a number if they are equal.
    groups : ndarray of int of shape (n,), default=None
        Group of each row, of rankers.
    offset : ndarray of shape (n,) or (n, n_columns), default=None
        Of the scores, by objective or by output.
    """

    def __init__(self, X, y, s, groups=None, offset=None):
        self.X, self.y, self.s, self.groups, self.offset = X, y, s, groups, offset
        self._kept: dict[str, tuple[Any, Any]] = {}
        self._pieces: list[tuple[slice, Part]] = []

    def __getstate__(self):
        return {**vars(self), "_kept": {}, "_pieces": []}

    def pieces(self) -> list["Part"]:
        """The rows in parts that fit a cache, for sums over rows: each keeps its own."""
        if self.X is None:
            return [piece for _, piece in self._pieces] or [self]
        if not self._pieces:
            size = max(_LEAST_ROWS, _rows_in_cache(self.X))
            slices = [slice(first, first + size) for first in range(0, len(self.y), size)]
            # At once, for another thread may be here. The list is shared with ``on``.
            self._pieces[:] = [(rows, self._piece(rows)) for rows in slices]
        return [piece.on(self.X[rows]) for rows, piece in self._pieces]

    def _piece(self, rows):
        s = self.s[rows] if np.ndim(self.s) else self.s
        offset = None if self.offset is None else self.offset[rows]
        return Part(None, self.y[rows], s, offset=offset)

    def __setstate__(self, state):
        vars(self).update({name: aligned(value) for name, value in state.items()})

    def on(self, X) -> "Part":
        """The same rows with their features at hand; both keep the same."""
        new = Part.__new__(Part)
        vars(new).update(vars(self), X=X)
        return new

    def kept(self, name, key, make: Callable):
        """What ``make`` gives, or gave for the same ``key``: one for each name is kept."""
        found = self._kept.get(name)
        if found is None or found[0] != key:
            self._kept.pop(name, None)  # before there is another
            found = self._kept[name] = key, make()
        return found[1]

    def forget(self, *names):
        """Drop what was kept."""
        for name in names:
            self._kept.pop(name, None)


_CACHE_BYTES = 1 << 22  # of X, of a piece
_LEAST_ROWS = 4096


def _rows_in_cache(X):
    size = X.data.nbytes + X.indices.nbytes if sp.issparse(X) else X.nbytes
    return _CACHE_BYTES * X.shape[0] // max(size, 1)


class Blank:
    """An objective without rows, to be laid on parts.

    Parameters
    ----------
    objective : LinearObjective
        In the coordinates of the whole.
    label : int, default=None
        Index of the class that is told from the rest by labels −1/+1, of losses of one score; None
        where y is what the objective wants.
    column : int or slice, default=...
        Of the offset of parts, if that has one for each objective.
    """

    def __init__(self, objective, label=None, column=...):
        rows, none = objective.rows, {"pairs": None, "groups": None}
        self.objective = objective.placed(
            rows=rows.like(rows.X[:0]), y=objective.y[:0], s=objective.s[:0], offset=None,
            **(none if objective.pairs is not None else {}),
        )  # fmt: skip
        self.label, self.column = label, column
        self.total = None if objective.pairs is None else 1.0  # weight of all pairs of all parts

    def changed(self, **changes) -> "Blank":
        """The same with other attributes."""
        new = Blank.__new__(Blank)
        vars(new).update(vars(self), **changes)
        return new

    def on(self, part, **held):
        """The objective of a part; ``held`` are attributes that rest on all parts."""
        blank, n = self.objective, len(part.y)
        rows = blank.rows.like(_no_features(n, blank.rows) if part.X is None else part.X)
        if self.total is not None:
            held = {"pairs": self._pairs(part), "groups": part.groups}
        y = self._targets(part, rows.dtype)
        offset = None if part.offset is None else part.offset[:, self.column]
        return blank.placed(rows=rows, y=y, s=_weights(part, rows.dtype), offset=offset, **held)

    def _targets(self, part, dtype):
        if self.objective.n_outputs > 1:
            return part.y.astype(np.int64)
        if self.label is not None:
            return np.where(part.y == self.label, dtype.type(1), dtype.type(-1))
        return part.y if self.total is not None else part.y.astype(dtype, copy=False)

    def _pairs(self, part):
        pairs = _index_of(part, self.objective.loss)
        pairs.total = self.total
        return pairs


def _index_of(part, loss):
    """What the loss is a mean over, of the rows of a part."""

    def make():
        return loss.index(part.y, part.groups, _weights(part, np.float64), alone=False)

    return part.kept("pairs", loss.index_key, make)


def _weights(part, dtype):
    return part.s if np.ndim(part.s) else np.full(len(part.y), part.s, dtype)


def _no_features(n, rows):
    """A matrix of zeros that takes no memory, for work that does not look at features."""
    d = rows.shape[1]
    if rows.is_sparse:
        return sp.csr_array((n, d), dtype=rows.dtype)
    return np.broadcast_to(rows.dtype.type(0), (n, d))


# --- where -----------------------------------------------------------------------------------


def _scored(part, scores, params):
    """Scores, of rows that are at hand."""
    if part.X is None:
        raise RuntimeError("scores of a part were asked for without a read, and it had kept none")
    return scores(params)


class Here(NamedTuple):
    """The scores at a parameter vector."""

    params: np.ndarray

    @property
    def key(self):
        return self.params.tobytes()

    @property
    def point(self):
        """The parameters."""
        return self.params

    def scores(self, part, objective):
        """Scores by row."""
        return part.kept("point", self.key, lambda: _scored(part, objective.scores, self.params))


class Along(NamedTuple):
    """The scores at params + t·p, on a line."""

    params: np.ndarray
    p: np.ndarray
    t: float

    @property
    def key(self):
        return self.params.tobytes(), self.p.tobytes()

    @property
    def point(self):
        """The parameters."""
        return self.params + self.t * self.p

    def on_line(self, part, objective):
        """Scores at t = 0, and how they change with t."""

        def make():
            z = Here(self.params).scores(part, objective)
            part.forget("point", "curvature")
            return z, _scored(part, objective.scores_along, self.p)

        return part.kept("line", self.key, make)

    def scores(self, part, objective):
        z, dz = self.on_line(part, objective)
        return (z + self.t * dz).astype(z.dtype, copy=False)


class Shifted(NamedTuple):
    """The scores somewhere, and ``shift``."""

    where: Any
    shift: float

    @property
    def key(self):
        return self.where.key, getattr(self.where, "t", None), self.shift

    @property
    def point(self):
        return self.where.point

    def scores(self, part, objective):
        """Scores by row."""
        z = self.where.scores(part, objective)
        return (z + self.shift).astype(z.dtype, copy=False)


class Level(NamedTuple):
    """The scores at parameters without coefficients: ``b`` in all rows, and the offset."""

    point: np.ndarray
    b: Any

    @property
    def key(self):
        return self.point.tobytes()

    def scores(self, part, objective):
        """Scores by row."""
        shape = (len(part.y), *np.shape(self.b))
        z = np.broadcast_to(np.asarray(self.b, objective.rows.dtype), shape).copy()
        return objective.shifted(z)


# --- what is computed at a part, from what is given alone ------------------------------------


class Extras(NamedTuple):
    """What is to be found besides value and gradient."""

    hessian: bool = False
    cautious: bool = False
    held: dict = {}  # attributes of the objective that rest on all parts
    grid: float = 0.0  # what entries of a Hessian are rounded to multiples of; 0 is nothing


class Look(NamedTuple):
    """L at a point, and what is known of it there: of a part, or the sums over all."""

    loss: float
    gradient: np.ndarray  # of L, with respect to the parameters
    size: float  # Σ |g| over the slopes by score
    squares: np.ndarray  # Σ g², by output
    by_class: np.ndarray  # Σ g by class, of several scores
    largest: float  # score
    positive: np.ndarray  # what slopes above zero contribute to the gradient, if it is of use
    hessian: np.ndarray | float = 0.0  # of L, if it was asked for
    q: np.ndarray | float = 0.0  # of a rank-one part of it, − q qᵀ / pivot
    pivot: float = 0.0


def merged(results, arguments) -> list:
    """Results of some parts, with the sum of their Hessians in the first: one matrix travels.

    Entries on a grid are added without a rounding error, so that no order of parts, and no way of
    sharing them out, makes a difference.
    """
    on_grid = any(isinstance(argument, Extras) and argument.grid for argument in arguments)
    if not on_grid or len(results) < 2:
        return results
    hessian = sum(_look_in(result).hessian for result in results)
    return [_with_hessian(results[0], hessian), *(_with_hessian(r, 0.0) for r in results[1:])]


def _look_in(result):
    return result if isinstance(result, Look) else result[-1]


def _with_hessian(result, hessian):
    changed = _look_in(result)._replace(hessian=hessian)
    return changed if isinstance(result, Look) else (*result[:-1], changed)


def added(looks) -> Look:
    """Sums over parts, in their order."""
    total = [0.0] * len(Look._fields)
    for found in looks:
        for k, value in enumerate(found):
            largest = Look._fields[k] == "largest"
            total[k] = max(total[k], value) if largest else total[k] + value
    return Look(*total)


def _in_pieces(*add):
    """Of a function of a part that gives numbers: the same, with a loss that is a sum over rows
    piece by piece. ``add`` says how each number is added up."""

    def decorate(function):
        @wraps(function)
        def whole(part, blank, *arguments):
            if blank.total is not None:  # pairs may be of rows of several pieces
                return function(part, blank, *arguments)
            found = [function(piece, blank, *arguments) for piece in part.pieces()]
            if len(found) == 1:
                return found[0]
            if len(add) == 1:
                return add[0](found)
            columns = zip(*found, strict=True)
            return tuple(each(column) for each, column in zip(add, columns, strict=True))

        return whole

    return decorate


@_in_pieces(added)
def look(part, blank, where, extras):
    """What there is to know at ``where``: a ``Look``."""
    objective = blank.on(part, **extras.held)
    z = where.scores(part, objective)
    return _looked(objective, z, extras)[0]


def _looked(objective, z, extras):
    """A ``Look``, and the slopes by score."""
    hessian, q, pivot, positive = 0.0, 0.0, 0.0, np.zeros(0)
    if extras.hessian:
        curvature = objective.curvature(z, extras.cautious)
        loss, g = curvature.value, curvature.gradient
        if getattr(curvature, "q", None) is not None:
            q, pivot = objective.loss_gradient(curvature.q), curvature.pivot
            curvature = curvature._replace(q=None)
        gradient, hessian = objective.loss_gradient_hessian(curvature)
        if extras.grid:
            hessian = np.rint(hessian / extras.grid) * extras.grid
    else:
        g = np.empty_like(z)
        loss = objective.score_gradient(z, g)
        gradient = objective.loss_gradient(g)
    if objective.fit_intercept and objective.n_outputs == 1:  # slopes must be balanced
        positive = objective.loss_gradient(np.maximum(g, 0))
    slopes = objective.slopes(g)
    by_class = slopes.by_class if objective.n_outputs > 1 else np.zeros(0)
    largest = largest_of(z)
    sums = slopes.size, slopes.squares, by_class
    return Look(loss, gradient, *sums, largest, positive, hessian, q, pivot), g


@_in_pieces(max, sum, added)
def step(part, blank, where, extras):
    """The beginning of a line, and its end: the largest score along it, the slope of L by t at
    ``where``, and a ``Look`` there."""
    objective = blank.on(part, **extras.held)
    _, dz = where.on_line(part, objective)
    found, g = _looked(objective, where.scores(part, objective), extras)
    return largest_of(dz), float(np.vdot(g, dz)), found


@_in_pieces(max)
def along(part, blank, where):
    """The largest score along a line."""
    return largest_of(where.on_line(part, blank.on(part))[1])


@_in_pieces(sum, sum)
def slope(part, blank, where, held):
    """L at ``where`` on a line, and its slope by t."""
    objective = blank.on(part, **held)
    _, dz = where.on_line(part, objective)
    z = where.scores(part, objective)
    g = np.empty_like(z)
    loss = objective.score_gradient(z, g)
    return loss, float(np.vdot(g, dz))


@_in_pieces(sum)
def value(part, blank, where, held):
    """L at ``where``."""
    objective = blank.on(part, **held)
    return objective.score_value(where.scores(part, objective))


@_in_pieces(sum, sum)
def envelope(part, blank, where, smooth):
    """L, and its excess over the envelope of ``smooth``, as of ``envelope_excess``."""
    objective = blank.on(part)
    z = where.scores(part, objective)
    return objective.envelope_excess(smooth.on(part), z)[:2]


@_in_pieces(sum, sum)
def curved_product(part, blank, where, direction, cautious, held):
    """Product of the Hessian of L, without its rank-one part, with a direction; and q·X̃v."""
    objective = blank.on(part, **held)
    curvature, moved = _curvature(part, blank, objective, where, cautious), 0.0
    if getattr(curvature, "q", None) is not None:
        moved = float(curvature.q @ objective.scores_along(direction))
        curvature = curvature._replace(q=None)
    return objective.loss_product(curvature, direction), moved


@_in_pieces(sum, sum, sum, sum, sum)
def corrected(part, blank, where, step, held):
    """The slopes g + Δ at ``where``, with Δ the change that the Hessian of L says a step makes, as
    a dual point: what it lacks, X̃ᵀΔ, and Σ |g + Δ| and the other sums of ``Look``."""
    objective = blank.on(part, **held)
    z = where.scores(part, objective)
    curvature = objective.curvature(z)
    change = curvature.product(objective.scores_along(step))
    slopes = objective.slopes(curvature.gradient + change)
    by_class = slopes.by_class if objective.n_outputs > 1 else np.zeros(0)
    moved = objective.loss_gradient(change)
    return objective.excess(z, change), moved, slopes.size, np.asarray(slopes.squares), by_class


def _curvature(part, blank, objective, where, cautious):
    """Curvature at ``where``, kept without the objective, which may hold X."""

    def make():
        found = objective.curvature(where.scores(part, objective), cautious)
        return found._replace(objective=None) if hasattr(found, "objective") else found

    if objective.pairs is not None:  # which is no more than the scores
        return objective.curvature(where.scores(part, objective), cautious)
    of_problem = objective.loss, blank.label  # several problems may share parts
    key = where.key, getattr(where, "t", None), cautious, of_problem
    found = part.kept("curvature", key, make)
    return found._replace(objective=objective) if hasattr(found, "objective") else found


@_in_pieces(sum, sum)
def sum_of_slopes(part, blank, where, held):
    """L at ``where``, and Σ of the slopes by score, by output."""
    objective = blank.on(part, **held)
    z = where.scores(part, objective)
    g = np.empty_like(z)
    return objective.score_gradient(z, g), g.sum(axis=0, dtype=np.float64)


def sum_of_squares(part):
    """Σ s² over the weights."""
    if np.ndim(part.s) == 0:
        return len(part.y) * part.s**2
    return float(np.square(part.s, dtype=np.float64).sum())


def target_range(part):
    """Least and largest target, less the offset, of the rows that count; infinities where there are
    none."""
    y = part.y if part.offset is None else part.y.astype(np.float64) - part.offset
    y = y[part.s > 0] if np.ndim(part.s) else y
    return float(y.min(initial=np.inf)), float(y.max(initial=-np.inf))


def count_pairs(part, loss):
    """Weight and number of the pairs of a part."""
    pairs = _index_of(part, loss)
    return pairs.own_total, pairs.n_pairs


@_in_pieces(sum, sum, max)
def scale_sums(part, blank, where, unit, bound):
    r"""For the scale of residuals: Σ s r², in units of ``unit``², where r² is no more than
    ``bound``, Σ s elsewhere, max \|r\|."""
    objective = blank.on(part)
    residual = objective.y.astype(np.float64) - where.scores(part, objective)
    used = objective.s > 0
    s, residual = objective.s[used].astype(np.float64), np.abs(residual[used])
    scaled = (residual / unit) ** 2
    inside = scaled <= bound
    sums = float(s[inside] @ scaled[inside]), float(s[~inside].sum())
    return *sums, float(residual.max(initial=0.0))
