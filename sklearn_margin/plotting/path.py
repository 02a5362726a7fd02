"""Pictures of regularisation paths; they need matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import Bunch

from sklearn_margin._validation import check_number
from sklearn_margin.path import regularization_path
from sklearn_margin.plotting._axes import axes_of, set_title
from sklearn_margin.plotting.coefficients import check_names, target_row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from matplotlib.text import Annotation

__all__ = ["PathDisplay"]


class PathDisplay:
    """Coefficients against the strength of the penalty.

    Make one with ``from_path`` or ``from_estimator``.

    Parameters
    ----------
    alphas : ndarray of shape (n_alphas,)
        Strengths, decreasing.
    coefs : ndarray of shape (n_alphas, n_features)
        Coefficients.
    feature_names : ndarray of str of shape (n_features,)
        Names of the features.
    name : str, default=None
        What the coefficients are of, for the title: a class or a quantile.

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        A curve for each feature, after ``plot``.
    labels_ : list of matplotlib Annotation
        Names at the ends of the curves, from the top.
    ax_ : matplotlib Axes
        What was drawn on; alphas fall from left to right.
    nonzero_ax_ : matplotlib Axes or None
        The axis at the top with numbers of coefficients that are not zero.
    figure_ : matplotlib Figure
        Its figure.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.preprocessing import scale
    >>> from sklearn_margin import HuberRegressor, regularization_path
    >>> from sklearn_margin.plotting import PathDisplay
    >>> data = load_diabetes()
    >>> path = regularization_path(HuberRegressor(l1_ratio=1), scale(data.data), data.target)
    >>> display = PathDisplay.from_path(path, feature_names=data.feature_names, n_labels=3)
    >>> [label.get_text() for label in display.labels_]
    ['s5', 'bmi', 's1']
    """

    lines_: list[Line2D]
    labels_: list[Annotation]
    nonzero_ax_: Any
    ax_: Axes
    figure_: Any

    def __init__(
        self,
        alphas: NDArray[Any],
        coefs: NDArray[Any],
        feature_names: NDArray[Any],
        *,
        name: str | None = None,
    ) -> None:
        self.alphas = alphas
        self.coefs = coefs
        self.feature_names = feature_names
        self.name = name

    @classmethod
    def from_path(
        cls,
        path: Bunch,
        *,
        feature_names: ArrayLike | None = None,
        target: int | None = None,
        n_labels: int = 5,
        show_nonzero: bool = False,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw a path.

        Parameters
        ----------
        path : Bunch
            Of ``regularization_path``.
        feature_names : array-like of str of shape (n_features,), default=None
            Names of the features; None is x0, x1, …
        target : int, default=None
            Of several classes or quantiles, the number of the row of coefficients to draw.
        n_labels : int, default=5
            Most curves to have a colour and a name at their end: those with the largest
            coefficients at the smallest alpha.
        show_nonzero : bool, default=False
            Whether to say at the top how many coefficients are not zero.
        ax : matplotlib Axes, default=None
            Where to draw; None is a new figure.
        **kwargs
            Passed to ``Axes.plot``.

        Returns
        -------
        PathDisplay

        Raises
        ------
        ValueError
            If `target` is missing or unknown, `feature_names` do not fit the coefficients,
            `n_labels` is negative, or no alpha is above 0.
        """
        coefs = path.coefs
        names = check_names(feature_names, coefs.shape[-1], lambda: None)
        row = target_row(coefs[0], None, target)
        if coefs.ndim == 3:
            coefs = coefs[:, row]
        name = None if target is None else str(target)
        display = cls(path.alphas, coefs, names, name=name)
        return display.plot(ax, n_labels=n_labels, show_nonzero=show_nonzero, **kwargs)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        alphas: ArrayLike | None = None,
        n_alphas: int = 50,
        feature_names: ArrayLike | None = None,
        target: int | None = None,
        n_labels: int = 5,
        show_nonzero: bool = False,
        ax: Axes | None = None,
        line_kw: dict[str, Any] | None = None,
        **fit_params: Any,
    ) -> Self:
        """Fit a path, and draw it.

        Parameters
        ----------
        estimator : estimator
            Any classifier, regressor or ranker of this package. It is not changed.
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features), or Batches
            Features, of similar scales.
        y : array-like of shape (n_samples,)
            Labels, targets or relevance; None for ``Batches``.
        alphas : array-like of shape (n_alphas,), default=None
            Values of ``alpha``, in any order. None makes a grid.
        n_alphas : int, default=50
            Number of alphas in the grid.
        feature_names : array-like of str of shape (n_features,), default=None
            Names of the features; None is the names of the columns of a DataFrame X, or x0, x1, …
        target : int, default=None
            Of several classes or quantiles, the number of the row of coefficients to draw.
        n_labels : int, default=5
            Most curves to have a colour and a name at their end.
        show_nonzero : bool, default=False
            Whether to say at the top how many coefficients are not zero.
        ax : matplotlib Axes, default=None
            Where to draw; None is a new figure.
        line_kw : dict, default=None
            Passed to ``Axes.plot``.
        **fit_params
            Passed to ``fit``: ``sample_weight``, for rankers ``groups``.

        Returns
        -------
        PathDisplay

        Raises
        ------
        TypeError, ValueError
            As ``regularization_path`` and ``from_path``.
        """
        if feature_names is None:
            feature_names = getattr(X, "columns", None)
        path = regularization_path(estimator, X, y, alphas=alphas, n_alphas=n_alphas, **fit_params)
        return cls.from_path(
            path, feature_names=feature_names, target=target, n_labels=n_labels,
            show_nonzero=show_nonzero, ax=ax, **(line_kw or {}),
        )  # fmt: skip

    def plot(
        self,
        ax: Axes | None = None,
        *,
        n_labels: int = 5,
        show_nonzero: bool = False,
        **kwargs: Any,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None is a new figure.
        n_labels : int, default=5
            Most curves to have a colour and a name at their end; the others are grey.
        show_nonzero : bool, default=False
            Whether to say at the top how many coefficients are not zero.
        **kwargs
            Passed to ``Axes.plot``.

        Returns
        -------
        PathDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If `n_labels` is negative, or no alpha is above 0.
        """
        check_number(n_labels, "n_labels", minimum=0, integer=True)
        drawn = self.alphas > 0  # a logarithmic axis has no zero
        if not drawn.any():
            raise ValueError("alphas must hold one above 0, for a logarithmic axis")
        ax = axes_of(ax)
        alphas, coefs = self.alphas[drawn], self.coefs[drawn]
        largest = np.argsort(-np.abs(coefs[-1]), kind="stable")[:n_labels]
        self.lines_ = []
        for j in range(coefs.shape[1]):
            place = np.flatnonzero(largest == j)
            style: dict[str, Any] = {"color": "0.6", "zorder": 2}
            if place.size:
                style = {"color": f"C{place[0] % 10}", "zorder": 2.1}
            self.lines_ += ax.plot(alphas, coefs[:, j], **style | kwargs)
        ax.set(xscale="log", xlabel="alpha", ylabel="coefficient")
        if not ax.xaxis_inverted():
            ax.invert_xaxis()  # as the path goes
        set_title(ax, self.name)
        self.labels_ = self._label(ax, alphas[-1], coefs[-1], largest)
        self.nonzero_ax_ = self._count(ax, alphas, coefs) if show_nonzero else None
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _label(self, ax, alpha, coef, largest):
        """Names beside the ends of the curves, moved apart where they would overlap."""
        order = largest[np.argsort(-coef[largest], kind="stable")]
        low, high = ax.get_ylim()
        line = 1.1 * ax.xaxis.label.get_size() * ax.figure.dpi / 72  # pixels
        heights = _spread(coef[order], (high - low) * line / ax.bbox.height)
        return [
            ax.annotate(
                self.feature_names[j], (alpha, height), xytext=(4, 0), textcoords="offset points",
                va="center", color=self.lines_[j].get_color(), annotation_clip=False,
                parse_math=False,
            )
            for j, height in zip(order, heights, strict=True)
        ]  # fmt: skip

    @staticmethod
    def _count(ax, alphas, coefs):
        """An axis with numbers of coefficients that are not zero."""
        top = ax.secondary_xaxis("top")
        places = np.unique(np.linspace(0, len(alphas) - 1, 6).round().astype(int))
        counts = np.count_nonzero(coefs[places], axis=1)
        top.set_xticks(alphas[places], counts.astype(str))
        top.set_xticks([], minor=True)
        top.set_xlabel("coefficients that are not zero")
        return top


def _spread(heights, least):
    """Decreasing heights moved as little as needed to be ``least`` apart, in least squares.

    Groups of heights that touch are merged, each around its mean (isotonic regression by pools).
    """
    steps = least * np.arange(len(heights))
    pools = []  # [sum, number] of heights + steps, whose means must fall
    for shifted in heights + steps:
        pools.append([shifted, 1])
        while len(pools) > 1 and pools[-2][0] / pools[-2][1] < pools[-1][0] / pools[-1][1]:
            total, number = pools.pop()
            pools[-1][0] += total
            pools[-1][1] += number
    means = np.concatenate([np.full(number, total / number) for total, number in pools] or [[]])
    return means - steps
