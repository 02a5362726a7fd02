"""Pictures of embeddings and of what their losses look at; they need matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.decomposition import PCA
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_consistent_length, check_is_fitted

from sklearn_margin._arrays import on_host
from sklearn_margin._sklearn import column_or_1d
from sklearn_margin.losses import Circle, InfoNCE
from sklearn_margin.plotting._axes import axes_of, in_legend, set_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.lines import Line2D

__all__ = ["EmbeddingDisplay", "HardnessDisplay"]

_MARKERS = "o^sD"


class EmbeddingDisplay:
    """Rows of an embedding in two dimensions, coloured by class.

    Make one with ``from_estimator`` or ``from_embedding``.

    Parameters
    ----------
    points : ndarray of shape (n_samples, 2)
        Where to draw.
    labels : ndarray of shape (n_samples,)
        Classes.
    axis_names : sequence of two str, default=("component 1", "component 2")
        Labels of the axes.
    name : str, default=None
        Title of the picture; None is none.

    Attributes
    ----------
    points_ : list of matplotlib PathCollection
        The points of each class, after ``plot``, in sorted order of the classes.
    ax_ : matplotlib Axes
        What was drawn on, after ``plot``.
    figure_ : matplotlib Figure
        Its figure.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_margin import LinearEmbedding
    >>> from sklearn_margin.plotting import EmbeddingDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LinearEmbedding(n_components=2, random_state=0).fit(X, y)
    >>> display = EmbeddingDisplay.from_estimator(model, X, y)
    >>> display.points.shape, display.axis_names
    ((150, 2), ('linearembedding0', 'linearembedding1'))
    >>> EmbeddingDisplay.from_embedding(X, y).axis_names  # of four features
    ('PC 1 (92 %)', 'PC 2 (5 %)')
    """

    points_: list[PathCollection]
    ax_: Axes
    figure_: Any

    def __init__(
        self,
        points: NDArray[Any],
        labels: NDArray[Any],
        axis_names: Sequence[str] = ("component 1", "component 2"),
        *,
        name: str | None = None,
    ) -> None:
        self.points = points
        self.labels = labels
        self.axis_names = axis_names
        self.name = name

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, y: ArrayLike, **options: Any) -> Self:
        """Embed rows by a fitted transformer, and draw them.

        Parameters
        ----------
        estimator : object
            Fitted transformer.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,)
            Classes.
        **options
            As in ``from_embedding``. The title is the name of the class of the estimator, and axes
            have the names that it gives its output, unless others are passed.

        Returns
        -------
        EmbeddingDisplay

        Raises
        ------
        NotFittedError
            If the transformer is not fitted.
        """
        check_is_fitted(estimator)
        if hasattr(estimator, "get_feature_names_out"):
            options.setdefault("names", estimator.get_feature_names_out())
        options.setdefault("name", type(estimator).__name__)
        return cls.from_embedding(estimator.transform(X), y, **options)

    @classmethod
    def from_embedding(
        cls,
        Z: ArrayLike,
        y: ArrayLike,
        *,
        names: Sequence[str] | None = None,
        name: str | None = None,
        ax: Axes | None = None,
        most: int = 2000,
        random_state: int | np.random.RandomState | None = 0,
        **kwargs: Any,
    ) -> Self:
        """Draw rows that are embedded; more than two dimensions by their principal components.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components)
            Embeddings.
        y : array-like of shape (n_samples,)
            Classes.
        names : array-like of str of shape (n_components,), default=None
            Names of the components, for the axes. Principal components are called "PC 1 (x %)",
            with their share of the variance.
        name : str, default=None
            Title of the picture; None is none.
        ax : matplotlib Axes, default=None
            Where to draw; None is a new figure.
        most : int, default=2000
            Most points; of more rows, some are drawn at random.
        random_state : int, RandomState or None, default=0
            Which.
        **kwargs
            Passed to ``Axes.scatter``.

        Returns
        -------
        EmbeddingDisplay

        Raises
        ------
        ValueError
            If Z is not two-dimensional, or has one row and more than two columns, or y or `names`
            do not fit it.
        """
        rows, labels = check_array(on_host(Z), input_name="Z"), column_or_1d(on_host(y))
        check_consistent_length(rows, labels)
        if names is None:
            names = [f"component {k}" for k in range(1, rows.shape[1] + 1)]
        elif len(names) != rows.shape[1]:
            raise ValueError(f"names has {len(names)} entries, expected {rows.shape[1]}")
        if len(rows) > most:
            some = check_random_state(random_state).choice(len(rows), most, replace=False)
            rows, labels = rows[some], labels[some]
        if rows.shape[1] > 2:
            if len(rows) < 2:
                raise ValueError("Z has one row: principal components need 2, or 2 columns")
            pca = PCA(2)
            rows = pca.fit_transform(rows)
            shares = enumerate(pca.explained_variance_ratio_, start=1)
            names = [f"PC {k} ({100 * share:.0f} %)" for k, share in shares]
        elif rows.shape[1] == 1:
            rows, names = np.column_stack([rows, np.zeros(len(rows))]), [names[0], ""]
        return cls(rows, labels, tuple(names), name=name).plot(ax=ax, **kwargs)

    def plot(self, ax: Axes | None = None, **kwargs: Any) -> Self:
        """Draw, with a legend at the right for up to ten classes.

        Classes beyond the number of colours have another marker.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None is a new figure.
        **kwargs
            Passed to ``Axes.scatter``.

        Returns
        -------
        EmbeddingDisplay
        """
        ax = axes_of(ax)
        from matplotlib import rcParams

        classes, self.points_ = np.unique(self.labels), []
        n_colors = len(rcParams["axes.prop_cycle"])
        for k, label in enumerate(classes):
            at = self.points[self.labels == label]
            marker = _MARKERS[k // n_colors % len(_MARKERS)]
            style: dict[str, Any] = {"s": 8, "color": f"C{k}", "marker": marker}
            style |= {"alpha": 0.7, "lw": 0, "label": in_legend(label)}
            self.points_.append(ax.scatter(at[:, 0], at[:, 1], **style | kwargs))
        if len(classes) <= 10:
            legend = ax.legend(
                loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, markerscale=2,
                handletextpad=0.1,
            )  # fmt: skip
            for text in legend.get_texts():
                text.set_parse_math(False)  # $ is a dollar
        ax.set_aspect("equal", adjustable="datalim")
        ax.locator_params(nbins=5)
        ax.set(xlabel=self.axis_names[0], ylabel=self.axis_names[1])
        set_title(ax, self.name)
        self.ax_, self.figure_ = ax, ax.figure
        return self


class HardnessDisplay:
    """Share of the gradient that the hardest negatives of an anchor get.

    For InfoNCE over its temperature (Wang & Liu, CVPR 2021: the lower, the more the nearest
    negatives weigh), for the circle loss over its scale.

    Parameters
    ----------
    settings : ndarray of shape (n_settings,)
        Temperatures, or inverse scales.
    shares : ndarray of shape (n_settings,)
        Shares of the gradient.
    name : str
        What the settings are.

    Attributes
    ----------
    line_ : matplotlib Line2D
        The curve, after ``plot``.
    ax_ : matplotlib Axes
        What was drawn on.
    figure_ : matplotlib Figure
        Its figure.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_margin.losses import InfoNCE
    >>> from sklearn_margin.plotting import HardnessDisplay
    >>> similarity = np.linspace(-0.5, 0.8, 100)
    >>> display = HardnessDisplay.from_loss(InfoNCE(), similarity, [0.05, 0.1, 1.0])
    >>> display.shares.round(2)
    array([0.93, 0.73, 0.17])
    """

    line_: Line2D
    ax_: Axes
    figure_: Any

    def __init__(self, settings: NDArray[Any], shares: NDArray[Any], name: str) -> None:
        self.settings = settings
        self.shares = shares
        self.name = name

    @classmethod
    def from_loss(
        cls,
        loss: InfoNCE | Circle,
        similarity: ArrayLike,
        settings: ArrayLike,
        *,
        hardest: float = 0.1,
        ax: Axes | None = None,
    ) -> Self:
        """Compute shares and draw them.

        Parameters
        ----------
        loss : InfoNCE or Circle
            Its other parameters are kept.
        similarity : array-like of shape (n_negatives,)
            Cosines of the negatives of an anchor.
        settings : array-like
            Temperatures of InfoNCE; values of 1/scale of the circle loss.
        hardest : float, default=0.1
            Share of the negatives that count as hardest.
        ax : matplotlib Axes, default=None
            Where to draw; None is a new figure.

        Returns
        -------
        HardnessDisplay

        Raises
        ------
        TypeError
            For another loss.
        """
        if not isinstance(loss, (InfoNCE, Circle)):
            raise TypeError(f"loss must be an InfoNCE or a Circle, got {loss!r}")
        cosines, scales = np.sort(similarity), np.asarray(settings, dtype=float)
        count = max(1, round(hardest * len(cosines)))
        shares = []
        for scale in scales:
            weight = _weights(loss, cosines, scale)
            shares.append(weight[-count:].sum() / weight.sum())
        name = "temperature" if isinstance(loss, InfoNCE) else "1 / scale"
        display = cls(scales, np.array(shares), name)
        return display.plot(ax=ax, label=type(loss).__name__)

    def plot(self, ax: Axes | None = None, **options: Any) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None is a new figure.
        **options
            Of ``Axes.plot``.

        Returns
        -------
        HardnessDisplay
        """
        ax = axes_of(ax)
        (self.line_,) = ax.semilogx(self.settings, self.shares, **options)
        ax.set_xlabel(self.name)
        ax.set_ylabel("share of the hardest negatives")
        ax.set_ylim(0, 1.02)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _weights(loss, similarity, setting):
    """Size of the derivative by the similarity of each negative, up to a common factor."""
    if isinstance(loss, InfoNCE):
        exponent, slope = similarity / setting, 1.0
    else:
        reach = np.maximum(similarity + loss.margin, 0.0)
        exponent = reach * (similarity - loss.margin) / setting
        slope = reach if loss.detach_weights else np.where(reach > 0, np.abs(2 * similarity), 0.0)
    return slope * np.exp(exponent - exponent.max())
