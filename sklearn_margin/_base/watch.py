"""What a fit shows of itself while it runs."""

import time
from contextlib import contextmanager
from functools import partial

import numpy as np

from sklearn_margin.solvers.base import value_gap

__all__ = ["Watch"]


class Watch:
    """Callback of a solver that prints, and calls scikit-learn's callbacks.

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

    @contextmanager
    def problem(self, solver, several):
        """One of ``several`` problems, a task of its own, or the only one."""
        self._say(f"{type(self.objective.loss).__name__}, solver {solver.name}")
        if not (several and self.has_callbacks):
            yield
            return
        most = self.estimator.max_iter
        self.context = self.context.subcontext(task_name="problem", max_subtasks=most)
        self.context.call_on_fit_task_begin(**self.data)
        yield
        self.context.call_on_fit_task_end(**self.data)

    def __call__(self, n_iter, params):
        if self.estimator.verbose:
            before = self.objective.rows.n_read[0]
            remote = self.objective.is_remote
            look = self.objective.glance if remote else partial(value_gap, self.objective)
            value, gap = look(params)
            self.objective.rows.n_read[0] = before
            # A gap as large as F says nothing: slopes at a kink are often of no use.
            gap = gap if gap is not None and gap < value else None
            shown = "" if value is None else f": {value:.10g}"
            self._say(f"iteration {n_iter}{shown}", self._reached(value, gap))
        if not self.has_callbacks:
            return False
        step = self.context.subcontext(task_name="iteration")
        step.call_on_fit_task_begin(**self.data)
        return step.call_on_fit_task_end(
            **self.data,
            reconstruction_attributes=lambda: self.fitted(self.objective.to_coef(params)),
        )

    def end(self, result):
        """Print how it ended."""
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
            rows, seconds = self.objective.rows, time.perf_counter() - self.began
            n_reads = (rows.n_read[0] - self.n_read) / rows.shape[0]
            parts += [reached, f"{n_reads:.4g} reads of X", f"{seconds:.2g} s"]
        print(f"[{type(self.estimator).__name__}] {', '.join(part for part in parts if part)}")
