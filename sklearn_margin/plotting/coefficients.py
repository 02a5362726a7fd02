"""Pictures of coefficients; they need matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sklearn_margin._validation import check_number
from sklearn_margin.inference import CoefInference
from sklearn_margin.plotting._axes import axes_of, last_step, set_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.container import BarContainer

__all__ = ["CoefficientDisplay"]


class CoefficientDisplay:
    """The largest coefficients of a linear model, as bars.

    Make one with ``from_estimator``. Coefficients can be compared with each other only if their
    features share a unit: scale them first.

    Parameters
    ----------
    coef : ndarray of shape (n_shown,)
        Coefficients, the largest in size first.
    feature_names : ndarray of str of shape (n_shown,)
        Their features.
    errors : ndarray of shape (n_shown,), default=None
        Half the length of the error bars; None is none.
    name : str, default=None
        What the coefficients are of, for the title: a class or a quantile.

    Attributes
    ----------
    bars_ : matplotlib BarContainer
        The bars, after ``plot``, the largest in size first, which is at the top.
    ax_ : matplotlib Axes
        What was drawn on.
    figure_ : matplotlib Figure
        Its figure.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_margin import HuberRegressor
    >>> from sklearn_margin.plotting import CoefficientDisplay
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> model = make_pipeline(StandardScaler(), HuberRegressor(alpha=0.01)).fit(X, y)
    >>> display = CoefficientDisplay.from_estimator(model, top=3)
    >>> for name, coef in zip(display.feature_names, display.coef):
    ...     print(f"{name}: {coef:.1f}")
    bmi: 17.8
    s5: 16.1
    bp: 12.3
    """

    bars_: BarContainer
    ax_: Axes
    figure_: Any

    def __init__(
        self,
        coef: NDArray[Any],
        feature_names: NDArray[Any],
        *,
        errors: NDArray[Any] | None = None,
        name: str | None = None,
    ) -> None:
        self.coef = coef
        self.feature_names = feature_names
        self.errors = errors
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        feature_names: ArrayLike | None = None,
        top: int = 20,
        target: Any = None,
        errors: ArrayLike | CoefInference | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the coefficients of a fitted model.

        Parameters
        ----------
        estimator : object
            Fitted model with ``coef_``, of this package or not, or a ``Pipeline`` that ends with
            one.
        feature_names : array-like of str of shape (n_features,), default=None
            Names of the features that the model itself sees. None is those that it was fitted
            with; of a pipeline, those that the steps before the last give; x0, x1, … if there are
            none, or a step does not say.
        top : int, default=20
            Most coefficients to draw, the largest in size; zeros are left out.
        target : class label or float, default=None
            Of a model with several rows of coefficients, the class or the quantile whose row to
            draw.
        errors : array-like with the shape of ``coef_`` or CoefInference, default=None
            Standard errors or the like, drawn to both sides; of what
            ``sklearn_margin.inference.coef_inference`` gives, 95 % intervals.
        ax : matplotlib Axes, default=None
            Where to draw; None is a new figure.
        **kwargs
            Passed to ``Axes.barh``.

        Returns
        -------
        CoefficientDisplay

        Raises
        ------
        NotFittedError
            If the model is not fitted.
        TypeError
            If it has no ``coef_``.
        ValueError
            If `target` is missing or unknown, `feature_names` or `errors` do not fit the
            coefficients, errors are negative, `top` is less than 1, or there are bars on `ax`.
        """
        check_number(top, "top", minimum=1, integer=True)
        check_is_fitted(estimator)
        model = last_step(estimator)
        if not hasattr(model, "coef_"):
            raise TypeError(f"estimator must have coefficients coef_, got {model!r}")
        coef = model.coef_.toarray() if sp.issparse(model.coef_) else np.asarray(model.coef_)
        row = target_row(coef, target_names(model), target)
        names = check_names(feature_names, coef.shape[-1], lambda: _names_seen(estimator))
        if isinstance(errors, CoefInference):
            errors = errors.half_widths().reshape(coef.shape)
        half = None if errors is None else np.asarray(errors, dtype=np.float64)
        if half is not None and half.shape != coef.shape:
            raise ValueError(f"errors has shape {half.shape}, expected {coef.shape}")
        if half is not None and (half < 0).any():
            raise ValueError("errors must not be negative")
        shown = np.atleast_2d(coef)[row]
        order = np.argsort(-np.abs(shown), kind="stable")[:top]
        order = order[shown[order] != 0]
        half = None if half is None else np.atleast_2d(half)[row, order]
        name = None if target is None else str(target)
        display = cls(shown[order], names[order], errors=half, name=name)
        return display.plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> Self:
        """Draw, positive coefficients in one colour and negative ones in another.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None is a new figure, as high as the number of bars asks for.
        **kwargs
            Passed to ``Axes.barh``.

        Returns
        -------
        CoefficientDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If there are bars on `ax`, for they would get the names of these.
        """
        drawn = axes_of(ax)
        if drawn.containers:
            raise ValueError("ax has bars, which would get the names of these: pass other axes")
        if ax is None:
            drawn.figure.set_figheight(max(2.0, 0.9 + 0.22 * len(self.coef)))
        places = np.arange(len(self.coef))
        style: dict[str, Any] = {
            "color": ["C0" if coef > 0 else "C1" for coef in self.coef],
            "xerr": self.errors, "ecolor": "0.5",
        }  # fmt: skip
        self.bars_ = drawn.barh(places, self.coef, **style | kwargs)
        drawn.axvline(0, color="0.5", lw=0.8)
        drawn.set_yticks(places, self.feature_names, parse_math=False)  # $ is a dollar
        drawn.set(ylim=(len(self.coef) - 0.4, -0.6), xlabel="coefficient")
        set_title(drawn, self.name)
        self.ax_, self.figure_ = drawn, drawn.figure
        return self


def target_names(model):
    """What the rows of ``coef_`` are of: classes, or quantiles; None if there is only one row."""
    if np.ndim(getattr(model, "quantile", None)) == 1:
        return np.asarray(model.quantile)
    return getattr(model, "classes_", None)


def target_row(coef, targets, target):
    """Number of the row of coefficients that ``target`` asks for.

    Parameters
    ----------
    coef : ndarray of shape (n_features,) or (n_rows, n_features)
    targets : array-like of shape (n_rows,) or None
        What the rows are of; None counts them.
    target
        One of them, or None.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If there are several rows and ``target`` is none of theirs, or one row and a target.
    """
    n_rows = len(np.atleast_2d(coef))
    if n_rows == 1:
        if target is not None:
            raise ValueError(f"target must be None for one row of coefficients, got {target!r}")
        return 0
    known = list(range(n_rows)) if targets is None else np.asarray(targets).tolist()
    if target not in known:
        raise ValueError(f"target must be one of {known}, got {target!r}")
    return known.index(target)


def check_names(feature_names, n_features, default):
    """Names of the features, or those of ``default()``, or x0, x1, …"""
    names = default() if feature_names is None else feature_names
    if names is None:
        names = [f"x{j}" for j in range(n_features)]
    names = np.asarray(names, dtype=object)
    if names.shape != (n_features,):
        raise ValueError(f"feature_names has shape {names.shape}, expected ({n_features},)")
    return names


def _names_seen(estimator):
    """Names of the features that the model itself sees; None if unknown."""
    names = getattr(last_step(estimator), "feature_names_in_", None)
    if names is not None or not isinstance(estimator, Pipeline) or len(estimator) == 1:
        return names
    try:
        return estimator[:-1].get_feature_names_out()
    except (AttributeError, ValueError):  # names are asked for step by step: one does not know
        return None
