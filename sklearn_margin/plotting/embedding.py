"""Pictures of embeddings and of what their losses look at; they need matplotlib."""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_consistent_length

from sklearn_margin._sklearn import column_or_1d
from sklearn_margin.losses import Circle, InfoNCE
from sklearn_margin.plotting._axes import axes_of

__all__ = ["EmbeddingDisplay", "HardnessDisplay"]


class EmbeddingDisplay:
    """Rows of an embedding in two dimensions, coloured by class.

    Make one with ``from_estimator`` or ``from_embedding``.

    Parameters
    ----------
    points : ndarray of shape (n_samples, 2)
        Where to draw.
    labels : ndarray of shape (n_samples,)
        Classes.

    Attributes
    ----------
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
    >>> EmbeddingDisplay.from_estimator(model, X, y).points.shape
    (150, 2)
    """

    def __init__(self, points, labels):
        self.points = points
        self.labels = labels

    @classmethod
    def from_estimator(cls, estimator, X, y, **options):
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
            As in ``from_embedding``.

        Returns
        -------
        EmbeddingDisplay
        """
        return cls.from_embedding(estimator.transform(X), y, **options)

    @classmethod
    def from_embedding(cls, Z, y, *, ax=None, most=2000, random_state=0):
        """Draw rows that are embedded; more than two dimensions by their principal axes.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components)
            Embeddings.
        y : array-like of shape (n_samples,)
            Classes.
        ax : matplotlib Axes, default=None
            Where to draw; None is a new figure.
        most : int, default=2000
            Most points; of more rows, some are drawn at random.
        random_state : int, RandomState or None, default=0
            Which.

        Returns
        -------
        EmbeddingDisplay
        """
        Z, labels = np.asarray(Z), column_or_1d(y)
        check_consistent_length(Z, labels)
        if len(Z) > most:
            some = check_random_state(random_state).choice(len(Z), most, replace=False)
            Z, labels = Z[some], labels[some]
        if Z.shape[1] > 2:
            Z = PCA(2).fit_transform(Z)
        elif Z.shape[1] == 1:
            Z = np.column_stack([Z, np.zeros(len(Z))])
        return cls(Z, labels).plot(ax=ax)

    def plot(self, ax=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None is a new figure.

        Returns
        -------
        EmbeddingDisplay
        """
        ax = axes_of(ax)
        classes = np.unique(self.labels)
        for k, label in enumerate(classes):
            at = self.points[self.labels == label]
            ax.scatter(at[:, 0], at[:, 1], s=8, color=f"C{k % 10}", alpha=0.7, lw=0, label=label)
        if len(classes) <= 10:
            ax.legend(markerscale=2, fontsize="small", frameon=False, ncols=2, handletextpad=0.1)
        ax.set_aspect("equal", adjustable="datalim")
        ax.set_xticks([])
        ax.set_yticks([])
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
    ax_, figure_
        As in ``EmbeddingDisplay``.

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

    def __init__(self, settings, shares, name):
        self.settings = settings
        self.shares = shares
        self.name = name

    @classmethod
    def from_loss(cls, loss, similarity, settings, *, hardest=0.1, ax=None):
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
        similarity, settings = np.sort(similarity), np.asarray(settings, dtype=float)
        count = max(1, round(hardest * len(similarity)))
        shares = []
        for setting in settings:
            weight = _weights(loss, similarity, setting)
            shares.append(weight[-count:].sum() / weight.sum())
        name = "temperature" if isinstance(loss, InfoNCE) else "1 / scale"
        display = cls(settings, np.array(shares), name)
        return display.plot(ax=ax, label=type(loss).__name__)

    def plot(self, ax=None, **options):
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
        ax.semilogx(self.settings, self.shares, **options)
        ax.set_xlabel(self.name)
        ax.set_ylabel("share of the gradient of the hardest negatives")
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
