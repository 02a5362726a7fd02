"""The minimum with thresholds in order, by way of that with thresholds in any order."""

from typing import Any

import numpy as np

from sklearn_margin.solvers.base import Solver

__all__ = ["AnyOrderFirst"]


class AnyOrderFirst(Solver):
    """Solve without the constraint that thresholds are in order; where they are, that is the
    minimum with it, and the gap to the one without holds for the other, which is no lower."""

    def __init__(self, free: Any, ordered: Any) -> None:
        self.free = free
        self.ordered = ordered

    @property
    def name(self):
        return self.free.name

    def solve(self, objective, start, *, callback=None, max_iter, **settings):
        free, stopped = objective.in_any_order(), False

        def after(n_iter, params):
            nonlocal stopped
            stopped = bool(callback(n_iter, objective.from_coef(*free.to_coef(params))))
            return stopped

        result = self.free.solve(
            free, free.from_coef(*objective.to_coef(start)), max_iter=max_iter,
            callback=None if callback is None else after, **settings,
        )  # fmt: skip
        coef, b = free.to_coef(result.params)
        near = objective.from_coef(coef, b)
        if (np.diff(b) <= 0).all():
            return result._replace(params=near)
        if stopped or result.n_iter >= max_iter:
            return self._at(objective, near, result)
        before = result.n_iter
        result = self.ordered.solve(
            objective, near, max_iter=max_iter - before,
            callback=callback and (lambda n_iter, params: callback(before + n_iter, params)),
            **settings,
        )  # fmt: skip
        return result._replace(n_iter=before + result.n_iter)

    @staticmethod
    def _at(objective, params, result):
        """The result of an early end, with crossed thresholds made equal."""
        value = float(objective.value(params))
        gap = None if result.gap is None else max(value - result.value + result.gap, 0.0)
        return result._replace(params=params, value=value, gap=gap, converged=False)
