"""Pictures of how fits converge; they need matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils import Bunch

from sklearn_margin._base.estimator import LossEstimator
from sklearn_margin._base.watch import Step, recorded
from sklearn_margin.plotting._axes import axes_of, check_kind, in_legend, last_step

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

__all__ = ["ConvergenceDisplay"]

_UNITS = {"reads": "reads of X", "seconds": "seconds", "iterations": "iterations"}
_KINDS = ("error", "objective")
_FEW = 30  # steps that are marked one by one


class ConvergenceDisplay:
    """How a fit gets to the minimum: its error, and the certificate that bounds it.

    Make one with ``from_estimator``. For several solvers in one picture, pass the ``ax_`` of the
    first as `ax`.

    Parameters
    ----------
    traces : list of Bunch
        The course of each problem that was solved: one, or one for each class against the rest or
        quantile. Arrays of shape (n_steps,), the last step being the result of the fit:

        iterations : ndarray of int
            Number of iterations.
        reads : ndarray
            How many times the rows of X were read.
        seconds : ndarray
            Time since the problem was built, without that of recording.
        objective : ndarray
            F, the penalised mean loss; NaN where it was not known.
        gap : ndarray
            Duality gap, which bounds F − min F: to the best lower bound so far. NaN where there
            is none.
    name : str, default=None
        Name of the solver in the legend; None is no legend.

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        A curve for each problem, after ``plot``: how far F is from its minimum, or F.
    gap_lines_ : list of matplotlib Line2D
        The gap of each problem, if it was known before the end.
    ax_ : matplotlib Axes
        What was drawn on.
    figure_ : matplotlib Figure
        Its figure.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.preprocessing import scale
    >>> from sklearn_margin import HuberRegressor
    >>> from sklearn_margin.plotting import ConvergenceDisplay
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X = scale(X)
    >>> newton = ConvergenceDisplay.from_estimator(HuberRegressor(solver="newton"), X, y)
    >>> (trace,) = newton.traces
    >>> bool(trace.gap[-1] <= 1e-4 * trace.objective[-1])
    True
    >>> lbfgs = ConvergenceDisplay.from_estimator(
    ...     HuberRegressor(solver="lbfgs"), X, y, ax=newton.ax_
    ... )
    >>> [text.get_text() for text in lbfgs.ax_.get_legend().get_texts()]
    ['newton', 'newton: gap', 'lbfgs', 'lbfgs: gap']
    """

    lines_: list[Line2D]
    gap_lines_: list[Line2D]
    ax_: Axes
    figure_: Any

    def __init__(self, traces: list[Bunch], *, name: str | None = None) -> None:
        self.traces = traces
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        x: str = "reads",
        kind: str = "error",
        best: ArrayLike | None = None,
        name: str | None = None,
        ax: Axes | None = None,
        line_kw: dict[str, Any] | None = None,
        **fit_params: Any,
    ) -> Self:
        """Fit a clone of an estimator, record how it went, and draw it.

        After each iteration the gap is computed anew, which takes a read of X: the fit takes longer
        than without a record. Neither these reads nor their time are counted. What is compiled or
        loaded at the first fit in a process is, in seconds: fit once before.

        Parameters
        ----------
        estimator : estimator
            Of this package, or a ``Pipeline`` that ends with one. It is not changed.
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features), or Batches
            Features.
        y : array-like of shape (n_samples,)
            Labels, targets or relevance; None for ``Batches``.
        x : {"reads", "seconds", "iterations"}, default="reads"
            What the horizontal axis counts. Embeddings do not count reads.
        kind : {"error", "objective"}, default="error"
            What to draw; see ``plot``.
        best : float or array-like of shape (n_problems,), default=None
            The minimum of F, if it is known; see ``plot``.
        name : str, default=None
            Name in the legend; None is that of the solver.
        ax : matplotlib Axes, default=None
            Where to draw; None is a new figure.
        line_kw : dict, default=None
            Passed to ``Axes.plot``.
        **fit_params
            Passed to ``fit``: ``sample_weight``, for rankers ``groups``.

        Returns
        -------
        ConvergenceDisplay

        Raises
        ------
        TypeError
            If `estimator` is not one of this package, nor a pipeline that ends with one.
        ValueError
            For another `x` or `kind`, or reads of an embedding; if the error is to be drawn and
            there is neither a gap nor `best`; or whatever ``fit`` raises it for.
        """
        check_kind(x, tuple(_UNITS), "x")
        check_kind(kind, _KINDS)
        if not isinstance(last_step(estimator), LossEstimator):
            raise TypeError(
                "estimator must be an estimator of sklearn_margin, or a Pipeline that ends with "
                f"one, got {estimator!r}"
            )
        model = clone(estimator)
        with recorded() as traces:
            model.fit(X, y, **fit_params)
        fitted = last_step(model)
        columns = [_columns(trace) for trace in traces if trace.estimator is fitted]
        name = fitted.solver_ if name is None else name
        display = cls(columns, name=name)
        return display.plot(ax, x=x, kind=kind, best=best, **(line_kw or {}))

    @property
    def lowest(self) -> NDArray[np.float64]:
        """Lowest objective that was reached: ndarray of shape (n_problems,)."""
        return np.array([np.nanmin(trace.objective) for trace in self.traces])

    @property
    def bound(self) -> NDArray[np.float64]:
        """Highest lower bound of the minimum: ndarray of shape (n_problems,), NaN without gaps."""
        bounds = [trace.objective - trace.gap for trace in self.traces]
        return np.array([np.fmax.reduce(each) for each in bounds])

    def plot(
        self,
        ax: Axes | None = None,
        *,
        x: str = "reads",
        kind: str = "error",
        best: ArrayLike | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None is a new figure.
        x : {"reads", "seconds", "iterations"}, default="reads"
            What the horizontal axis counts.
        kind : {"error", "objective"}, default="error"
            The objective F; or, on a logarithmic axis, how far it is from its minimum: F − `best`
            as a line, and the duality gap, which is what the fit knew of that distance at the time,
            dashed. Both are divided by the lowest F, so that the fit has ended once the gap is
            below ``tol``. At the kinks of a loss such as the hinge gaps say little until the end.
        best : float or array-like of shape (n_problems,), default=None
            The minimum of F, such as the ``lowest`` of a fit with a tiny ``tol``. None is the
            highest lower bound that the fit proved, ``bound``: the line is then an upper bound of
            the error, and ends where the gap does.
        name : str, default=None
            Name in the legend instead of that of the display.
        **kwargs
            Passed to ``Axes.plot``.

        Returns
        -------
        ConvergenceDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            For another `x` or `kind`, or reads that were not counted; for `best` of another
            length; or if the error is to be drawn and there is neither a gap nor `best`.
        """
        check_kind(x, tuple(_UNITS), "x")
        check_kind(kind, _KINDS)
        if x == "reads" and not any(trace.reads.any() for trace in self.traces):
            raise ValueError("x must be 'seconds' or 'iterations': embeddings count no reads")
        minima = self.bound if best is None else _check_best(best, len(self.traces))
        if kind == "error" and np.isnan(minima).any():
            raise ValueError(
                f"best is needed: {self.name or 'the fit'} has no duality gap. kind='objective' "
                "can be drawn without"
            )
        ax = axes_of(ax)
        name = self.name if name is None else name
        self.lines_, self.gap_lines_ = [], []
        for trace, minimum in zip(self.traces, minima, strict=True):
            self._draw(ax, trace, x, kind, minimum, name, kwargs)
        ax.set(xlabel=_UNITS[x], ylabel="objective F" if kind == "objective" else "relative error")
        if kind == "error":
            ax.set_yscale("log")
        if name is not None:
            ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw(self, ax, trace, x, kind, minimum, name, kwargs):
        """One problem, in the colour of the first, which alone has a name in the legend."""

        def line(lines, y, label, **style):
            label = None if name is None or lines else in_legend(f"{name}{label}")
            drawn = (self.lines_ + self.gap_lines_)[:1]
            if drawn:
                style["color"] = drawn[0].get_color()
            lines += ax.plot(trace[x], y, **style | {"label": label} | kwargs)

        marker = "." if len(trace[x]) <= _FEW else None
        if kind == "objective":
            line(self.lines_, trace.objective, "", marker=marker)
            return
        unit = max(np.nanmin(np.abs(trace.objective)), np.finfo(float).tiny)
        line(self.lines_, _positive(trace.objective - minimum) / unit, "", marker=marker)
        if np.isfinite(trace.gap).sum() > 1:  # one, at the end, is where the other line ends
            line(self.gap_lines_, _positive(trace.gap) / unit, ": gap", ls="--")


def _columns(trace):
    """The steps of a trace as arrays, the gaps to the best lower bound so far."""
    steps = Step(*np.array(trace, dtype=np.float64).T)
    bounds = np.where(np.isnan(steps.gap), -np.inf, steps.objective - steps.gap)
    gap = steps.objective - np.maximum.accumulate(bounds)
    return Bunch(
        iterations=steps.iteration.astype(int),
        reads=steps.reads,
        seconds=steps.seconds,
        objective=steps.objective,
        gap=np.where(np.isfinite(gap), np.fmin(np.maximum(gap, 0.0), steps.gap), np.nan),
    )


def _check_best(best, n_problems):
    """The minimum of each problem."""
    minima = np.atleast_1d(np.asarray(best, dtype=np.float64))
    if minima.shape not in ((1,), (n_problems,)) or not np.isfinite(minima).all():
        raise ValueError(f"best must be a finite number, or one for each of {n_problems} problems")
    return np.broadcast_to(minima, n_problems)


def _positive(values):
    """Values that a logarithmic axis can show; NaN for others."""
    return np.where(values > 0, values, np.nan)
