"""Pictures of searches for alpha; they need matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from sklearn_margin.plotting._axes import axes_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import FillBetweenPolyCollection
    from matplotlib.lines import Line2D

    from sklearn_margin.search import AlphaSearchCV

__all__ = ["AlphaSearchDisplay"]


class AlphaSearchDisplay:
    """Scores of a search against alpha, and the alpha that was chosen.

    Make one with ``from_search``.

    Parameters
    ----------
    alphas : ndarray of shape (n_paths, n_alphas)
        Alphas of each path, decreasing.
    scores : ndarray of shape (n_paths, n_alphas, n_splits)
        Scores of the folds.
    chosen : tuple of int
        Path and place in it of the chosen alpha.
    n_nonzero : ndarray of shape (n_paths, n_alphas), default=None
        Coefficients that are not zero, on average over the folds; None draws none.
    names : list of str, default=None
        Names of the paths, for the legend; None draws none.
    score_name : str, default="score"
        What the scores are.

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        Mean scores of each path, after ``plot``.
    bands_ : list of matplotlib FillBetweenPolyCollection
        One standard error of the mean to both sides.
    chosen_line_ : matplotlib Line2D
        A dashed line at the chosen alpha.
    best_line_ : matplotlib Line2D
        A dotted line at the alpha of the best mean score.
    nonzero_ax_ : matplotlib Axes or None
        The axis at the top with numbers of coefficients that are not zero, of the chosen path.
    ax_ : matplotlib Axes
        What was drawn on; alphas fall from left to right.
    figure_ : matplotlib Figure
        Its figure.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.preprocessing import scale
    >>> from sklearn_margin import AlphaSearchCV, HuberRegressor
    >>> from sklearn_margin.plotting import AlphaSearchDisplay
    >>> X, y = load_diabetes(return_X_y=True)
    >>> search = AlphaSearchCV(HuberRegressor(l1_ratio=1), alphas=10).fit(scale(X), y)
    >>> display = AlphaSearchDisplay.from_search(search)
    >>> display.ax_.get_ylabel()
    'score'
    """

    lines_: list[Line2D]
    bands_: list[FillBetweenPolyCollection]
    chosen_line_: Line2D
    best_line_: Line2D
    nonzero_ax_: Any
    ax_: Axes
    figure_: Any

    def __init__(
        self,
        alphas: NDArray[Any],
        scores: NDArray[Any],
        chosen: tuple[int, int],
        *,
        n_nonzero: NDArray[Any] | None = None,
        names: list[str] | None = None,
        score_name: str = "score",
    ) -> None:
        self.alphas = alphas
        self.scores = scores
        self.chosen = chosen
        self.n_nonzero = n_nonzero
        self.names = names
        self.score_name = score_name

    @classmethod
    def from_search(cls, search: AlphaSearchCV, *, ax: Axes | None = None, **kwargs: Any) -> Self:
        """Draw a search that was fitted.

        Of several scores the one that was chosen by is drawn; of several values of ``l1_ratio``,
        each has a line.

        Parameters
        ----------
        search : AlphaSearchCV
            A fitted search.
        ax : matplotlib Axes, default=None
            Where to draw; None is a new figure.
        **kwargs
            Passed to ``Axes.plot`` for the mean scores.

        Returns
        -------
        AlphaSearchDisplay

        Raises
        ------
        NotFittedError
            If the search is not fitted.
        ValueError
            If nothing was chosen, or no alpha is above 0.
        """
        check_is_fitted(search)
        if not hasattr(search, "best_index_"):
            raise ValueError("nothing was chosen: with several scores, refit must name one")
        alphas, results = np.atleast_2d(search.alphas_), search.cv_results_
        name = str(search.refit) if search.multimetric_ else "score"
        folds = [results[f"split{k}_test_{name}"] for k in range(search.n_splits_)]
        names = None
        if len(alphas) > 1:
            key = next(key for key in results if key.endswith("l1_ratio"))
            names = [f"l1_ratio {ratio:g}" for ratio in results[key][:: alphas.shape[1]]]
        counts = results["mean_n_nonzero"].reshape(alphas.shape)
        shown = search.scoring if isinstance(search.scoring, str) else name
        display = cls(
            alphas, np.transpose(folds).reshape(*alphas.shape, -1),
            divmod(search.best_index_, alphas.shape[1]),
            n_nonzero=counts if search.l1_ratio_ > 0 else None,
            names=names, score_name=shown,
        )  # fmt: skip
        return display.plot(ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None is a new figure.
        **kwargs
            Passed to ``Axes.plot`` for the mean scores.

        Returns
        -------
        AlphaSearchDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If no alpha is above 0.
        """
        if not (self.alphas > 0).any():
            raise ValueError("alphas must hold one above 0, for a logarithmic axis")
        ax = axes_of(ax)
        mean, n_splits = self.scores.mean(axis=2), self.scores.shape[2]
        error = np.zeros_like(mean)
        if n_splits > 1:
            error = self.scores.std(axis=2, ddof=1) / np.sqrt(n_splits)
        self.lines_, self.bands_ = [], []
        for k, alphas in enumerate(self.alphas):
            some = alphas > 0  # a logarithmic axis has no zero
            x, y, e = alphas[some], mean[k, some], error[k, some]
            label = None if self.names is None else self.names[k]
            self.lines_ += ax.plot(x, y, **{"label": label} | kwargs)
            color = self.lines_[-1].get_color()
            self.bands_.append(ax.fill_between(x, y - e, y + e, alpha=0.2, lw=0, color=color))
        best = np.unravel_index(np.nanargmax(mean), mean.shape)
        self.best_line_ = ax.axvline(self.alphas[best], color="0.5", ls=":", zorder=1)
        self.chosen_line_ = ax.axvline(self.alphas[self.chosen], color="0.3", ls="--", zorder=1)
        ax.set(xscale="log", xlabel="alpha", ylabel=self.score_name)
        if not ax.xaxis_inverted():
            ax.invert_xaxis()  # as the path goes
        if self.names is not None:
            ax.legend()
        self.nonzero_ax_ = None if self.n_nonzero is None else self._count(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _count(self, ax):
        """An axis with numbers of coefficients that are not zero."""
        path = self.chosen[0]
        drawn = np.flatnonzero(self.alphas[path] > 0)
        places = drawn[np.unique(np.linspace(0, len(drawn) - 1, 6).round().astype(int))]
        top = ax.secondary_xaxis("top")
        counts = [f"{count:.0f}" for count in self.n_nonzero[path, places]]
        top.set_xticks(self.alphas[path, places], counts)
        top.set_xticks([], minor=True)
        top.set_xlabel("coefficients that are not zero")
        return top
