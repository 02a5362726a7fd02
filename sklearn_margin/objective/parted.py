"""Objectives over rows that are in parts, of which no number by row is ever here.

A solver sees points and lines as of any objective. A point is one read of X: value, gradient, sums
of slopes for the gap and, if the solver has wanted it before, the Hessian come from the same visit
of each part. So does the end of a step of length one: a line finds its beginning, the slope at its
end, and all that the point there would be asked for. What was found is remembered, and a point
where a solver has just been is not read again.
"""

import copy
from collections import OrderedDict
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from scipy.optimize import minimize

from sklearn_margin.objective import parts as work
from sklearn_margin.objective.base import LinearObjective
from sklearn_margin.objective.concomitant import ConcomitantHuberObjective, scale_root
from sklearn_margin.objective.parted_point import PartedPoint
from sklearn_margin.objective.parts import Along, Blank, Extras, Here, Level, Look, Shifted

__all__ = ["PartedHuberObjective", "PartedObjective", "PartedRows", "Parts", "parted"]

_REMEMBERED = 4  # looks
_SCALES = 100  # of residuals: those of a line search, and of the steps before


class Parts(Protocol):
    """Parts, wherever they are."""

    #: Why rows cannot be visited by themselves.
    why_elsewhere: str
    #: Whether what is found travels through a network.
    travels: bool

    def session(self):
        """Threads and the like for the length of a solve."""

    def map(self, function: Callable, *arguments, reads: bool) -> list:
        """``function(part, *arguments)`` of each, in their order.

        Without ``reads`` it needs no X, or only where what was kept has been lost.
        """


class PartedRows:
    """What there is to know here of rows in parts.

    Parameters
    ----------
    parts : Parts
    shape : tuple of int
    local : Rows
        Some of the rows in the coordinates of all.
    entries_per_row : float
    weight_norm : float
        Norm of the weights of all rows.
    """

    X = None

    def __init__(self, parts, shape, local, entries_per_row, weight_norm):
        self.parts, self.shape, self.entries_per_row = parts, shape, entries_per_row
        self.dtype, self.is_sparse = local.dtype, local.is_sparse
        self.shift, self.scale, self.weight_norm = local.shift, local.scale, weight_norm
        self.n_read, self.scores = [0], _KeptScores()

    @property
    def why_elsewhere(self):
        return self.parts.why_elsewhere

    @contextmanager
    def session(self):
        """Threads and the like for the length of a solve."""
        with self.parts.session():
            yield self

    def map(self, function, *arguments, reads=True) -> list:
        """``function(part, *arguments)`` of each part, in their order: a read of X, or none."""
        self.n_read[0] += self.shape[0] * reads
        return self.parts.map(function, *arguments, reads=reads)


class _Memory:
    """What was found at points lately."""

    def __init__(self):
        self.looks: OrderedDict[Any, tuple] = OrderedDict()
        self.wants_hessian = False
        self.slope: tuple = (None, 0.0)  # key of the end of a line, and the slope there
        self.grid: tuple = (None, 0.0)  # of Hessians, by loss


class _KeptScores:
    """Whose scores the parts keep, for all objectives that share them."""

    def __init__(self):
        self.point = self.line = None  # keys

    def holds(self, where) -> bool:
        """Whether parts keep the scores at ``where``, or need none."""
        if isinstance(where, Shifted):
            return self.holds(where.where)
        if isinstance(where, Level):
            return True
        return where.key == (self.line if isinstance(where, Along) else self.point)

    def keep(self, where):
        """Parts keep the scores at ``where`` from now on."""
        if isinstance(where, Shifted):
            self.keep(where.where)
        elif isinstance(where, Level):
            pass
        elif isinstance(where, Along):
            self.point, self.line = None, where.key
        else:
            self.point = where.key


class PartedObjective(LinearObjective):
    """An objective that is a sum over parts.

    Parameters
    ----------
    local : LinearObjective
        The same objective of some of the rows, drawn at random, in the coordinates of all.
    rows : PartedRows
    label, column
        As of ``Blank``.
    is_sample : bool, default=True
        Whether a solution for ``local`` is near the one for all.
    """

    def __init__(self, local, rows, label=None, is_sample=True, column=...):
        self.local, self.rows, self.blank = local, rows, Blank(local, label, column)
        self.loss, self.penalty, self.shrinks = local.loss, local.penalty, local.shrinks
        self.fit_intercept, self.n_params = local.fit_intercept, local.n_params
        self.n_outputs, self.pairs = local.n_outputs, local.pairs
        self.takes_samples, self.extra_work = is_sample, local.extra_work
        self.forms_hessian = local.forms_hessian
        self.memory = _Memory()

    @classmethod
    def over(cls, local, rows, **settings) -> "PartedObjective":
        """As the constructor; pairs are counted."""
        new = cls(local, rows, **settings)
        if local.pairs is None:
            new.check_range()
            return new
        counted = rows.map(work.count_pairs, local.loss, reads=False)
        total, new.n_pairs = (sum(column) for column in zip(*counted, strict=True))
        new.blank = new.blank.changed(total=total)
        return new

    is_remote = True

    def check_range(self):
        """Raise ``ValueError`` if the loss is infinite for targets that are not here."""
        middle = self.start()[-1] if self.fit_intercept and self.n_outputs == 1 else 0.0
        if self.loss.coercive and self.loss_at(middle) == np.inf:
            raise ValueError(
                f"y is too large for the loss {type(self.loss).__name__} in {self.rows.dtype}: it "
                "is inf. Scale y."
            )

    # --- parameters: as of the rows that are here ---

    def by_output(self, u):
        return self.local.by_output(u)

    def split(self, params):
        return self.local.split(params)

    def join(self, u, b):
        return self.local.join(u, b)

    def to_coef(self, params):
        return self.local.to_coef(params)

    def from_coef(self, coef, intercept=0.0):
        return self.local.from_coef(coef, intercept)

    def anchored(self, step):
        return self.local.anchored(step)

    def with_penalty(self, hessian):
        return self.local.with_penalty(hessian)

    def share_to_cancel(self, slopes, total):
        return self.local.share_to_cancel(slopes, total)

    def start(self):
        return self.local.start()

    def loss_at(self, score):
        """L where all scores are one number. Reads no X."""
        scores = np.full(self.n_outputs, score) if self.n_outputs > 1 else score
        with np.errstate(over="ignore"):
            u = np.zeros_like(self.split(self.local.start())[0])
            return self._slopes_at(Level(self.join(u, scores), scores))[0]

    def sample_gram(self):
        return self.local.sample_gram()

    def sample(self, size, random_state):
        """The objective of the rows that are here."""
        return self.local

    def at_hand(self):
        return self.local

    def with_loss(self, loss, shrinks=True):
        new = copy.copy(self)
        new.loss, new.shrinks = loss, shrinks
        new.local = self.local.with_loss(loss, shrinks)
        new.blank = self.blank.changed(objective=self.blank.objective.with_loss(loss, shrinks))
        return new

    @property
    def weight_norm(self):
        return self.rows.weight_norm

    @property
    def offset_size(self):
        return self.local.offset_size

    # --- F ---

    def at(self, params):
        where = Here(np.asarray(params, dtype=np.float64))
        for _, _, there, _ in reversed(self.memory.looks.values()):
            if isinstance(there, Along) and (there.point == params).all():
                where = there
                break
        return PartedPoint(self, params, where)

    def value(self, params):
        return self.at(params).value

    def glance(self, params) -> tuple[float | None, float | None]:
        """F and the duality gap, to be shown; None for what would take a read of X."""
        where = self.at(params).where
        if self.remembered(where) is not None:
            point = PartedPoint(self, params, where)
            return point.value, point.plain_gap()
        if not self.rows.scores.holds(where):
            return None, None
        penalty = self.penalty.value(self.split(params)[0])
        return sum(self.ask(work.value, where, self.held_at(where))) + penalty, None

    def value_gradient(self, params):
        point = self.at(params)
        return point.value, point.gradient

    def look(self, where, hessian=False, cautious=False) -> Look:
        """What there is to know at ``where``, found or remembered."""
        known = self.remembered(where, hessian, cautious)
        if known is None:
            hessian = hessian or self.memory.wants_hessian
            grid = self.grid_at(where) if hessian else 0.0
            extras = Extras(hessian, cautious, self.held_at(where), grid)
            found = work.added(self.rows.map(work.look, self.blank, where, extras))
            known = self.remember(where, cautious, found)
            self.rows.scores.keep(where)
        return known

    def remembered(self, where, hessian=False, cautious=False) -> Look | None:
        """What was found at ``where``; None if that was not all that is wanted."""
        entry = self.memory.looks.get(self._key(where))
        if entry is None or (hessian and (entry[0].hessian is None or entry[1] != cautious)):
            return None
        return entry[0]

    def remember(self, where, cautious, found) -> Look:
        """Remember what was found."""
        looks = self.memory.looks
        found = found if np.ndim(found.hessian) else found._replace(hessian=None)
        looks[self._key(where)] = found, cautious, where, self.loss
        while len(looks) > _REMEMBERED:
            looks.popitem(last=False)
        return found

    def _key(self, where):
        return id(self.loss), where.key, getattr(where, "t", None)

    def begin_line(self, end) -> float:
        """Look at ``end`` of a line; the largest score along it."""
        hessian = self.memory.wants_hessian
        grid = self.grid_at(end) if hessian else 0.0
        extras = Extras(hessian, held=self.held_at(end), grid=grid)
        found = self.rows.map(work.step, self.blank, end, extras)
        largest, slopes, looks = zip(*found, strict=True)
        self.rows.scores.keep(end)
        self.remember(end, False, work.added(looks))
        self.memory.slope = self._key(end), sum(slopes)
        return max(largest)

    def slope_at(self, where) -> tuple[float, float]:
        """L at ``where`` on a line, and its slope by t."""
        known, slope = self.memory.slope
        if known == self._key(where):
            return self.look(where).loss, slope
        found = self.ask(work.slope, where, self.held_at(where))
        loss, slope = (sum(column) for column in zip(*found, strict=True))
        return loss, slope

    def grid_at(self, where) -> float:
        """What entries of Hessians are rounded to multiples of, where these travel: 2⁻⁴⁴ of 16
        times the largest in the Hessian of the rows that are here. Sums of up to 512 times that are
        exact."""
        if not self.rows.parts.travels:
            return 0.0
        if self.memory.grid[0] is not self.loss:
            point = self.local.at(where.point)
            point.find_curvature()
            largest = float(np.abs(point.hessian()).max(initial=0.0))
            grid = 2.0 ** (int(np.frexp(largest)[1]) + 4 - 44) if 0 < largest < np.inf else 0.0
            self.memory.grid = self.loss, grid
        return self.memory.grid[1]

    def held_at(self, where) -> dict:
        """Attributes of the objective of a part, at ``where``, that rest on all parts."""
        return {}

    def with_best_intercept(self, params):
        where = self.at(params).where
        self.look(where)
        return self._at_zero_slope(params, lambda shift: self._slopes_at(Shifted(where, shift))[1])

    def best_constant(self) -> np.ndarray:
        """The best parameters without coefficients. Reads no X."""
        params = self.join(np.zeros_like(self.split(self.local.start())[0]), 0.0)
        if not self.fit_intercept:
            return params

        u = self.split(params)[0]

        def value_slope(b):
            return self._slopes_at(Level(self.join(u, b), b))

        if self.n_outputs == 1:
            params[-1] = self.split(self.start())[1]
            middle = params[-1]
            return self._at_zero_slope(params, lambda shift: value_slope(middle + shift)[1])
        found = minimize(value_slope, np.zeros(self.n_outputs), jac=True, tol=1e-12)
        return self.join(u, found.x)

    def _slopes_at(self, where):
        """L at ``where``, and the sum of the slopes by score, by output."""
        found = self.ask(work.sum_of_slopes, where, self.held_at(where))
        loss, slope = (sum(column) for column in zip(*found, strict=True))
        return loss, slope

    def ask(self, function, where, *arguments) -> list:
        """``function(part, blank, where, …)`` of each, without a read if parts keep the scores."""
        reads = not self.rows.scores.holds(where)
        found = self.rows.map(function, self.blank, where, *arguments, reads=reads)
        self.rows.scores.keep(where)
        return found


class PartedHuberObjective(PartedObjective):
    """``ConcomitantHuberObjective`` over parts: the scale rests on all of them.

    Scores are found first, in a read of their own, then the scale from them, without another one.
    """

    def __init__(self, local, rows, **settings):
        super().__init__(local, rows, **settings)
        self._scales: OrderedDict[Any, tuple] = OrderedDict()  # parameters and σ, by where
        least, largest = zip(*rows.map(work.target_range, reads=False), strict=True)
        smallest = local.smallest_scale(max(largest) - min(least))
        self.local.smallest = self.blank.objective.smallest = smallest

    def held_at(self, where):
        key = self._key(where)
        if key in self._scales:
            return {"held": self._scales[key][1]}
        found = self._scale(where, self.local.scale(self.local.scores(where.point)))
        if not isinstance(where, (Shifted, Level)):  # where a solver only has a glance
            self._scales[key] = where.point, found
            while len(self._scales) > _SCALES:
                self._scales.popitem(last=False)
        return {"held": found}

    def begin_line(self, end):
        largest = max(self.rows.map(work.along, self.blank, end))
        self.rows.scores.keep(end)
        return max(super().begin_line(end), largest)

    def scale_near(self, params) -> float:
        """The minimising σ at a point that was looked at lately, but for rounding of ``params``."""
        distance = [float(np.linalg.norm(there - params)) for there, _ in self._scales.values()]
        return max(list(self._scales.values())[int(np.argmin(distance))][1], self.local.smallest)

    def _scale(self, where, guess):
        """As the kernels of ``ConcomitantHuberObjective``: Newton's method for σ², from a guess or
        from the right."""
        if guess > 0:
            tau = self._scale_from(where, guess, 1.0, True)
            if tau > 0:
                return guess * float(np.sqrt(tau))
        _, _, largest = self._sums(where, 1.0, np.inf)
        if largest == 0:
            return 0.0
        tau, _, _ = self._sums(where, largest, np.inf)
        return largest * float(np.sqrt(self._scale_from(where, largest, tau, False)))

    def _scale_from(self, where, unit, tau, either_side):
        epsilon = float(self.loss.delta)
        return scale_root(
            lambda bound: self._sums(where, unit, bound)[:2], epsilon, tau, either_side
        )

    def _sums(self, where, unit, bound):
        inside, outside, largest = zip(*self.ask(work.scale_sums, where, unit, bound), strict=True)
        return sum(inside), sum(outside), max(largest)


def parted(local, rows, **settings) -> PartedObjective:
    """The objective over parts whose rows here are those of ``local``."""
    huber = isinstance(local, ConcomitantHuberObjective)
    return (PartedHuberObjective if huber else PartedObjective).over(local, rows, **settings)
