"""What a fit shows of itself while it runs."""

import copy
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from sklearn_margin.solvers.base import value_gap

__all__ = ["Step", "Trace", "Watch", "is_watched", "recorded"]


class Step(NamedTuple):
    """What is known of a fit after an iteration."""

    iteration: int
    reads: float  # of X
    seconds: float
    objective: float  # NaN where it is not known
    gap: float  # NaN where there is none


class Trace(list[Step]):
    """The steps of a problem that an estimator solved."""

    def __init__(self, estimator: Any) -> None:
        super().__init__()
        self.estimator = estimator


_TRACES: ContextVar[list[Trace] | None] = ContextVar("traces", default=None)


@contextmanager
def recorded() -> Iterator[list[Trace]]:
    """Record the fits that this thread does meanwhile: a ``Trace`` for each problem."""
    traces: list[Trace] = []
    token = _TRACES.set(traces)
    try:
        yield traces
    finally:
        _TRACES.reset(token)


def is_watched(estimator) -> bool:
    """Whether anybody looks at the iterations of a fit."""
    recorded = _TRACES.get() is not None
    return recorded or bool(estimator.verbose) or bool(getattr(estimator, "_skl_callbacks", None))


class Watch:
    """Callback of a solver that prints, records, and calls scikit-learn's callbacks.

    Parameters
    ----------
    estimator : LossEstimator
    objective : LinearObjective
    context : CallbackContext
        Task of the fit.
    data : dict
        What callbacks are given.
    fitted : callable
        ``fitted((coef, intercept))``: the fitted attributes that a solution would give.
    n_read : int, default=0
        Rows that were read for problems before.
    """

    def __init__(self, estimator, objective, context, data, fitted, n_read=0):
        self.estimator, self.objective, self.data = estimator, objective, data
        self.context, self.fitted = context, fitted
        self.has_callbacks = bool(getattr(estimator, "_skl_callbacks", None))
        self.began, self.n_read = time.perf_counter(), n_read
        self.traces, self.looking = _TRACES.get(), 0.0  # seconds that looks at the gap took
        self.trace = Trace(estimator)
        self.stopped = False  # by a callback

    @property
    def is_wanted(self):
        """Whether anybody looks at iterations."""
        return is_watched(self.estimator)

    @contextmanager
    def problem(self, solver, several):
        """One of ``several`` problems, a task of its own, or the only one."""
        self._say(f"{type(self.objective.loss).__name__}, solver {solver.name}")
        if self.traces is not None:
            self.traces.append(self.trace)
        if not (several and self.has_callbacks):
            yield
            return
        most = self.estimator.max_iter
        self.context = self.context.subcontext(task_name="problem", max_subtasks=most)
        self.context.call_on_fit_task_begin(**self.data)
        yield
        self.context.call_on_fit_task_end(**self.data)

    def __call__(self, n_iter, params):
        if self.estimator.verbose or self.traces is not None:
            value, gap = self._look(params)
            self._record(n_iter, value, gap)
            shown = "" if value is None else f": {value:.10g}"
            self._say(f"iteration {n_iter}{shown}", self._reached(value, gap))
        if not self.has_callbacks:
            return False
        step = self.context.subcontext(task_name="iteration")
        step.call_on_fit_task_begin(**self.data)
        self.stopped = step.call_on_fit_task_end(
            **self.data,
            reconstruction_attributes=lambda: self.fitted(self.objective.to_coef(params)),
        )
        return self.stopped

    def _look(self, params):
        """F and its gap at a point; None where they are not known."""
        began, before = time.perf_counter(), self.objective.rows.n_read[0]
        # A copy, for an objective may remember where it was: a fit is the same, seen or unseen.
        objective = copy.copy(self.objective)
        look = objective.glance if objective.is_remote else partial(value_gap, objective)
        value, gap = look(params)
        self.objective.rows.n_read[0] = before
        self.looking += time.perf_counter() - began
        # A gap as large as F says nothing: slopes at a kink are often of no use.
        return value, gap if gap is not None and gap < value else None

    def _record(self, n_iter, value, gap):
        known = [np.nan if x is None or not np.isfinite(x) else float(x) for x in (value, gap)]
        reads, seconds = self._spent()
        self.trace.append(Step(n_iter, reads, seconds - self.looking, *known))

    def _spent(self):
        """Reads of X, and seconds, so far."""
        rows = self.objective.rows
        reads = (rows.n_read[0] - self.n_read) / rows.shape[0]
        return reads, time.perf_counter() - self.began

    def end(self, result):
        """Record and print how it ended."""
        self._record(result.n_iter, result.value, result.gap)
        tol, ended = self.estimator.tol, "converged" if result.converged else "stopped"
        reached = self._reached(result.value, result.gap)
        self._say(
            f"{ended} after {result.n_iter} iterations: {result.value:.10g}",
            f"{reached}, tol {tol:g}" if reached else f"tol {tol:g}",
        )

    def _reached(self, value, gap):
        if gap is None or not np.isfinite(gap):
            return ""
        return f"relative gap {gap / max(abs(value), 1e-300):.2g}"

    def _say(self, what, reached=None):
        if not self.estimator.verbose:
            return
        parts = [what]
        if reached is not None:
            n_reads, seconds = self._spent()
            parts += [reached, f"{n_reads:.4g} reads of X", f"{seconds:.2g} s"]
        print(f"[{type(self.estimator).__name__}] {', '.join(part for part in parts if part)}")
