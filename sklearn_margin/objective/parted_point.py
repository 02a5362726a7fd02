"""Points and lines of objectives in parts: sums that come from where the rows are."""

from functools import cached_property
from typing import NamedTuple

import numpy as np

from sklearn_margin.objective import parts as work
from sklearn_margin.objective.parts import Along, Here, Look
from sklearn_margin.objective.point import MOST_LOST, Envelope, Line

__all__ = ["PartedLine", "PartedPoint"]

_MOST_PARAMETERS = 200  # of a Hessian that is formed for a certificate alone
_NEAR = 0.01  # relative size of a gap, and of slopes, that are worth a read to be known better


class SummedSlopes(NamedTuple):
    """As ``Slopes``, from sums over parts."""

    n: int
    size: float
    squares: np.ndarray
    by_class: np.ndarray
    gradient: np.ndarray  # of L
    positive: np.ndarray  # what slopes above zero contribute to it; empty if that is not known

    def moved(self, share, total):
        """As ``Slopes.moved``."""
        if len(self.positive) == 0:
            return None
        return -share * (self.positive if total > 0 else self.gradient - self.positive)

    @property
    def norm(self):
        return float(np.sqrt(np.sum(self.squares)))


class PartedPoint:
    """As ``Point``, of an objective in parts."""

    has_gradient = False  # it may take a read

    def __init__(self, objective, params, where):
        self.objective, self.params, self.where = objective, params, where
        self._cautious = False

    def under(self, objective) -> "PartedPoint":
        """As ``Point.under``."""
        return PartedPoint(objective, self.params, self.where)

    @property
    def u(self):
        return self.objective.split(self.params)[0]

    @property
    def _look(self) -> Look:
        return self.objective.look(self.where)

    @property
    def loss(self):
        return self._look.loss

    @property
    def value(self):
        return self.loss + self.objective.penalty.value(self.u)

    @property
    def loss_gradient(self):
        """Gradient of L."""
        return self._look.gradient

    @property
    def gradient(self):
        return self._look.gradient + self.objective.penalty_gradient(self.params)

    @property
    def largest_score(self):
        return self._look.largest

    @property
    def slopes(self) -> SummedSlopes:
        """Sums of the slopes by score."""
        found = self._look
        return SummedSlopes(
            self.objective.rows.shape[0], found.size, np.asarray(found.squares), found.by_class,
            found.gradient, found.positive,
        )  # fmt: skip

    @property
    def noise(self):
        size = self.slopes.norm * np.sqrt(
            self.slopes.n * self.objective.n_outputs * len(self.params)
        )
        return float(np.finfo(self.objective.rows.dtype).eps) * size

    def plain_gap(self):
        """The gap from what one read of X tells."""
        return self.objective.gap(self.params, self.gradient, self.slopes, self.loss)

    def gap(self):
        """As ``Point.gap``."""
        gap = self.plain_gap()
        index = None if gap is None else self._loose()
        return gap if index is None else min(gap, self._corrected_gap(index))

    def _loose(self):
        """Numbers of the parameters that no penalty holds, if the slope of one of them is all that
        may be in the way of a gap; None otherwise."""
        objective, slopes = self.objective, self.slopes
        if objective.penalty.loose is None or not objective.local.foresees or not objective.shrinks:
            return None
        index = objective.loose_parameters(self.params, self.gradient, slopes)
        if index is None or len(self.params) > _MOST_PARAMETERS:
            return None
        others = self.gradient.copy()
        others[index] = 0.0
        rest = objective.penalty_gap(self.u, objective.split(others)[0], 0.0, self.loss)
        most = np.abs(self.gradient[index]).max(initial=0.0)
        near = rest <= _NEAR * self.value and most <= _NEAR * np.sqrt(slopes.n) * slopes.norm
        return index if near else None

    def _corrected_gap(self, index):
        """The gap from slopes that are corrected so that X̃ᵀ of them vanishes for some parameters: a
        read of X, or two."""
        objective = self.objective
        hessian = objective.look(self.where, hessian=True).hessian
        step = np.zeros(len(self.params))
        step[index] = -np.linalg.lstsq(
            hessian[np.ix_(index, index)], self.gradient[index], rcond=None
        )[0]
        found = objective.rows.map(
            work.corrected, objective.blank, self.where, step, objective.held_at(self.where)
        )
        objective.rows.scores.keep(self.where)
        excess, moved, *sums = (sum(column) for column in zip(*found, strict=True))
        if not np.isfinite(excess):
            return np.inf
        gradient = self.gradient + moved
        slopes = SummedSlopes(self.slopes.n, *sums, gradient, np.zeros(0))
        return excess + objective.gap(self.params, gradient, slopes, self.loss)

    def envelope(self, smooth) -> Envelope:
        """As ``Point.envelope``."""
        there = PartedPoint(smooth, self.params, self.where)
        smooth.look(self.where)  # before, for then parts keep the scores
        found = self.objective.ask(work.envelope, self.where, smooth.blank)
        loss, excess = (sum(column) for column in zip(*found, strict=True))
        return Envelope(loss, excess, there.slopes, lambda: there.gradient)

    # --- second derivatives ---

    def find_curvature(self, cautious=False):
        """As ``Point.find_curvature``: there is nothing to do before it is used."""
        self._cautious = cautious

    @cached_property
    def hessian_products(self):
        local = self.objective.local
        point = local.at(self.params)
        point.find_curvature(self._cautious)
        return point.hessian_products

    def _curved(self):
        self.objective.memory.wants_hessian = self.objective.forms_hessian  # at little cost
        return self.objective.look(self.where, True, self._cautious)

    def hessian(self):
        found = self._curved()
        hessian = found.hessian.copy()
        if found.pivot > 0:
            hessian -= np.outer(found.q, found.q / found.pivot)
        return self.objective.with_penalty(hessian)

    def hessian_product(self, v):
        objective = self.objective
        found = objective.rows.map(
            work.curved_product, objective.blank, self.where, v, self._cautious,
            objective.held_at(self.where),
        )  # fmt: skip
        product, moved = (sum(column) for column in zip(*found, strict=True))
        if moved:
            curved = self._curved()
            product = product - curved.q * (moved / curved.pivot)
        return product + objective.penalty_product(v)

    # --- from here to others ---

    def along(self, p):
        """As ``Point.along``: a read of X."""
        return PartedLine(self, p)

    def toward(self, params):
        """As ``Point.toward``."""
        line = self.along(params - self.params)
        line.end = params
        return line


class PartedLine(Line):
    """A line from a point of an objective in parts.

    It begins with a read of X, in which the point at t = 1 is looked at, too.
    """

    enough = 0.5  # since any other point takes another read

    def _shorten(self, point, p):
        objective = self.objective
        self._whole = np.asarray(p, dtype=np.float64)
        end = Along(np.asarray(self.params, dtype=np.float64), self._whole, 1.0)
        largest = objective.begin_line(end)
        factor = self._factor(largest)
        self._lost = largest + self._largest
        return factor, (self._whole if factor == 1.0 else factor * self._whole)

    def _where(self, t):
        start = np.asarray(self.params, dtype=np.float64)
        return Along(start, self._whole, float(t * self.shortened))

    def _slope(self, t):
        where = self._where(t)
        loss, slope = self.objective.slope_at(where)
        return loss, self.shortened * slope

    def falls(self, t, promised):
        value = self.move(t).value
        return value <= self.value - 0.01 * promised + self._noise

    def move(self, t):
        params, where = self._params(t), self._where(t)
        point = PartedPoint(self.objective, params, where)
        known = self.objective.remembered(where)
        if known is not None and self._lost > MOST_LOST * known.largest:
            return PartedPoint(self.objective, params, Here(params))
        return point
