"""Points and lines of objectives in parts: sums that come from where the rows are."""

from functools import cached_property
from typing import NamedTuple

import numpy as np

from sklearn_margin.objective import parts as work
from sklearn_margin.objective.parts import Along, Here, Look
from sklearn_margin.objective.point import MOST_LOST, Envelope, Line

__all__ = ["PartedLine", "PartedPoint"]


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

    def gap(self):
        return self.objective.gap(self.params, self.gradient, self.slopes, self.loss)

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
