"""Pictures of rankings; they need matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from sklearn_margin._base.queries import check_groups_given
from sklearn_margin._groups import is_packed
from sklearn_margin.metrics._ndcg import grouped_ndcg
from sklearn_margin.plotting._axes import axes_of, check_kind, in_legend, set_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

__all__ = ["RankingDisplay"]

_MOST_RANKS = 50  # that are shown unless asked for


def _check_ks(ks: Any, longest: int) -> NDArray[Any]:
    if ks is None:
        return np.arange(1, min(longest, _MOST_RANKS) + 1)
    ks = np.unique(ks)
    if ks.size == 0 or ks.dtype.kind not in "iu" or ks[0] < 1:
        raise ValueError(f"ks must be whole numbers of 1 or more, got {ks.tolist()}")
    return ks


class RankingDisplay:
    """How well rankings begin: NDCG@k by k, or its distribution over the groups.

    Make one with ``from_estimator`` or ``from_predictions``. For several models in one picture,
    pass the ``ax_`` of the first as `ax`.

    Parameters
    ----------
    ks : ndarray of shape (n_ks,)
        Numbers of first ranks that count, increasing.
    ndcg : ndarray of shape (n_ks,)
        For each k, ``metrics.ndcg_score`` with that k.
    per_group : ndarray of shape (n_groups,)
        NDCG of each group, in the order in which the groups first occur; groups of weight 0 are
        left out.
    group_weight : ndarray of shape (n_groups,), default=None
        Weight of each group; None if all are equal.
    k : int, default=None
        Number of first ranks that count in ``per_group``; None is all.
    standard_error : ndarray of shape (n_ks,), default=None
        Standard error of each ``ndcg`` as a mean over groups; None is no band.
    name : str, default=None
        Name of the model in the legend; None is no legend.

    Attributes
    ----------
    line_ : matplotlib Line2D
        The curve, after ``plot``.
    mean_line_ : matplotlib Line2D or None
        The mean, for ``kind="per_group"``.
    band_ : matplotlib PolyCollection, LineCollection or None
        One standard error to both sides of the curve, a bar if there is one k; None for
        ``kind="per_group"``, without standard errors, or for one group.
    ax_ : matplotlib Axes
        What was drawn on.
    figure_ : matplotlib Figure
        Its figure.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_margin import RankSVM
    >>> from sklearn_margin.plotting import RankingDisplay
    >>> rng = np.random.default_rng(0)
    >>> X, groups = rng.normal(size=(200, 3)), np.repeat(np.arange(20), 10)
    >>> y = np.clip(np.round(X @ [2.0, 1.0, 0.0] + rng.normal(size=200)), 0, 4)
    >>> ranker = RankSVM().fit(X, y, groups=groups)
    >>> display = RankingDisplay.from_estimator(ranker, X, y, groups=groups, ks=[1, 5, 10])
    >>> display.ndcg.round(2)
    array([0.84, 0.89, 0.93])
    >>> display.standard_error.round(3)
    array([0.057, 0.025, 0.016])
    >>> one = RankingDisplay.from_predictions(y, X[:, 1], groups=groups, name="x₁", ax=display.ax_)
    """

    line_: Line2D
    mean_line_: Line2D | None
    band_: Any
    ax_: Axes
    figure_: Any

    def __init__(
        self,
        ks: NDArray[Any],
        ndcg: NDArray[Any],
        per_group: NDArray[Any],
        *,
        group_weight: NDArray[Any] | None = None,
        k: int | None = None,
        standard_error: NDArray[Any] | None = None,
        name: str | None = None,
    ) -> None:
        self.ks = ks
        self.ndcg = ndcg
        self.per_group = per_group
        self.group_weight = group_weight
        self.k = k
        self.standard_error = standard_error
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        groups: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        ks: ArrayLike | None = None,
        gain: str = "linear",
        kind: str = "ndcg_at_k",
        name: str | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Rank rows by a fitted model, and draw how well.

        Parameters
        ----------
        estimator : object
            Fitted ranker, regressor or pipeline that ends with one: its ``predict`` gives scores.
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,) or (n_samples, 2)
            Non-negative relevance, or packed ``[relevance, group]``.
        groups : array-like of shape (n_samples,), default=None
            Group of each row. None, with a one-dimensional `y`, is one group.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row, as in ``metrics.ndcg_score``.
        ks : array-like of int, default=None
            Numbers of first ranks that count; None is 1, 2, … to the length of the longest group,
            at most 50. For "per_group" the last one counts; None is all ranks.
        gain : {"linear", "exponential"}, default="linear"
            As in ``metrics.ndcg_score``.
        kind : {"ndcg_at_k", "per_group"}, default="ndcg_at_k"
            What to draw; see ``plot``.
        name : str, default=None
            Name in the legend; None is the name of the class of the estimator.
        ax : matplotlib Axes, default=None
            Where to draw; None is a new figure.
        **kwargs
            Passed to matplotlib for the curve.

        Returns
        -------
        RankingDisplay

        Raises
        ------
        ValueError
            If the model was fitted with groups and none are given; and as ``from_predictions``.
        """
        check_is_fitted(estimator)
        if groups is None and not is_packed(y):
            check_groups_given(estimator)
        name = type(estimator).__name__ if name is None else name
        return cls.from_predictions(
            y, estimator.predict(X), groups=groups, sample_weight=sample_weight, ks=ks, gain=gain,
            kind=kind, name=name, ax=ax, **kwargs,
        )  # fmt: skip

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_score: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        ks: ArrayLike | None = None,
        gain: str = "linear",
        kind: str = "ndcg_at_k",
        name: str | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw how well scores rank.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,) or (n_samples, 2)
            Non-negative relevance, or packed ``[relevance, group]``.
        y_score : array-like of shape (n_samples,)
            Scores, higher for rows that should come first.
        groups : array-like of shape (n_samples,), default=None
            Group of each row. None, with a one-dimensional `y_true`, is one group.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row, as in ``metrics.ndcg_score``.
        ks : array-like of int, default=None
            Numbers of first ranks that count; None is 1, 2, … to the length of the longest group,
            at most 50. For "per_group" the last one counts; None is all ranks.
        gain : {"linear", "exponential"}, default="linear"
            As in ``metrics.ndcg_score``.
        kind : {"ndcg_at_k", "per_group"}, default="ndcg_at_k"
            What to draw; see ``plot``.
        name : str, default=None
            Name in the legend; None is no legend.
        ax : matplotlib Axes, default=None
            Where to draw; None is a new figure.
        **kwargs
            Passed to matplotlib for the curve.

        Returns
        -------
        RankingDisplay

        Raises
        ------
        ValueError
            For invalid input, as ``metrics.ndcg_score``; if `ks` holds anything but whole numbers
            of 1 or more; for another `kind`.
        """
        ndcg = grouped_ndcg(y_true, y_score, groups=groups, gain=gain, sample_weight=sample_weight)
        first = _check_ks(ks, int(ndcg.size.max()))
        last = None if ks is None else int(first[-1])
        errors = [_standard_error(ndcg.per_group(k), ndcg.weight) for k in first]
        display = cls(
            first,
            np.array([ndcg.mean(k) for k in first]),
            ndcg.per_group(last),
            group_weight=ndcg.weight,
            k=last,
            standard_error=np.array(errors),
            name=name,
        )
        return display.plot(ax, kind=kind, **kwargs)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        kind: str = "ndcg_at_k",
        name: str | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None is a new figure.
        kind : {"ndcg_at_k", "per_group"}, default="ndcg_at_k"
            Mean NDCG@k by k, in a band of one standard error over groups to both sides; or the
            share of groups whose NDCG is at most what the horizontal axis says, and the mean as a
            dashed line. Models that rank the same groups differ with less error than their bands
            show: their NDCGs rise and fall together.
        name : str, default=None
            Name in the legend instead of that of the display.
        **kwargs
            Passed to ``Axes.plot`` or, for "per_group", ``Axes.ecdf``.

        Returns
        -------
        RankingDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            For another `kind`.
        """
        check_kind(kind, ("ndcg_at_k", "per_group"))
        ax = axes_of(ax)
        name = self.name if name is None else name
        draw = self._plot_curve if kind == "ndcg_at_k" else self._plot_groups
        draw(ax, name, kwargs)
        if name is not None:
            ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _plot_curve(self, ax, name, kwargs):
        style = {"marker": "o" if len(self.ks) == 1 else None, "label": in_legend(name)}
        (self.line_,) = ax.plot(self.ks, self.ndcg, **style | kwargs)
        self.mean_line_, self.band_ = None, self._draw_band(ax)
        n_groups = len(self.per_group)
        set_title(ax, f"{n_groups:,} groups, ± 1 standard error" if self.band_ else None)
        ax.set(xlabel="length k of the list", ylabel="mean NDCG@k")
        if ax.get_xscale() == "linear":
            ax.locator_params(axis="x", integer=True)

    def _draw_band(self, ax):
        if self.standard_error is None or not np.isfinite(self.standard_error).all():
            return None
        color = self.line_.get_color()
        low, high = self.ndcg - self.standard_error, self.ndcg + self.standard_error
        if len(self.ks) == 1:
            return ax.vlines(self.ks, low, high, color=color)
        return ax.fill_between(self.ks, low, high, color=color, alpha=0.2, lw=0)

    def _plot_groups(self, ax, name, kwargs):
        mean = float(np.average(self.per_group, weights=self.group_weight))
        label = None if name is None else in_legend(f"{name} (mean {mean:.3f})")
        self.line_ = ax.ecdf(self.per_group, self.group_weight, **{"label": label} | kwargs)
        color = self.line_.get_color()
        self.mean_line_ = ax.axvline(mean, color=color, lw=1, ls="--")
        self.band_ = None
        of = "NDCG" if self.k is None else f"NDCG@{self.k}"
        set_title(ax, f"{len(self.per_group):,} groups")
        ax.set(xlabel=f"{of} of a group", ylabel="share of groups with at most this")


def _standard_error(values, weight):
    """Standard error of a weighted mean of ``values``, NaN for one: s/√n if weights are equal."""
    n = len(values)
    if n < 2:
        return np.nan
    share = np.full(n, 1 / n) if weight is None else weight / weight.sum()
    deviation = share * (values - share @ values)
    return float(np.sqrt(n / (n - 1) * (deviation @ deviation)))
