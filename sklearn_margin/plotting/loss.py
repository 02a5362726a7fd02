"""Pictures of losses; they need matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sklearn_margin._validation import check_number
from sklearn_margin.classification import LinearClassifier
from sklearn_margin.losses import BinaryLoss, Loss, MulticlassLoss, PairwiseLoss, PointwiseLoss
from sklearn_margin.losses.regression import RegressionLoss
from sklearn_margin.plotting._axes import axes_of, check_kind, in_legend
from sklearn_margin.ranking import LinearRanker
from sklearn_margin.regression import LinearRegressor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

__all__ = ["LossDisplay"]

# A name that several families have is that of the classifier.
_NAMED = LinearRanker._losses | LinearRegressor._losses | LinearClassifier._losses
_RIVALS = (0.0, -1.0)  # scores of the other classes
_N_POINTS = 402  # a grid that avoids 0 and ±1, where losses have their kinks


class LossDisplay:
    """A loss, or its derivative, against the score that it judges.

    Make one with ``from_loss``. For several losses in one picture, pass the ``ax_`` of the first
    as `ax`.

    Parameters
    ----------
    position : ndarray of shape (n_points,)
        Where the loss was evaluated: margins y·z of a loss for labels -1 and +1, z − y for a
        loss of the residual, differences zᵢ − zⱼ of the scores of a pair, scores z of others.
    value : ndarray of shape (n_points,)
        The loss.
    gradient : ndarray of shape (n_points,)
        Its derivative with respect to the score z, or to the difference of a pair.
    xlabel : str
        What ``position`` is.
    name : str, default=None
        Name of the loss in the legend; None is no legend.

    Attributes
    ----------
    line_ : matplotlib Line2D
        The curve, after ``plot``. That of a derivative is broken where it jumps.
    ax_ : matplotlib Axes
        What was drawn on.
    figure_ : matplotlib Figure
        Its figure.

    Examples
    --------
    >>> from sklearn_margin.losses import SmoothedHinge
    >>> from sklearn_margin.plotting import LossDisplay
    >>> display = LossDisplay.from_loss("hinge", z=[-1.0, 0.0, 2.0])
    >>> display.value, display.gradient
    (array([2., 1., 0.]), array([-1., -1.,  0.]))
    >>> display.ax_.get_xlabel()
    'margin y·z'
    >>> both = LossDisplay.from_loss(SmoothedHinge(), ax=display.ax_)
    >>> [line.get_label() for line in both.ax_.lines]
    ['Hinge()', 'SmoothedHinge()']
    """

    line_: Line2D
    ax_: Axes
    figure_: Any

    def __init__(
        self,
        position: NDArray[Any],
        value: NDArray[Any],
        gradient: NDArray[Any],
        xlabel: str,
        *,
        name: str | None = None,
    ) -> None:
        self.position = position
        self.value = value
        self.gradient = gradient
        self.xlabel = xlabel
        self.name = name

    @classmethod
    def from_loss(
        cls,
        loss: str | Loss,
        *,
        kind: str = "value",
        y: float | None = None,
        z: ArrayLike | None = None,
        name: str | None = None,
        ax: Axes | None = None,
        **kwargs: Any,
    ) -> Self:
        """Evaluate a loss along a line of scores, and draw it.

        Parameters
        ----------
        loss : str or Loss
            A name that ``LinearClassifier``, ``LinearRegressor`` or ``LinearRanker`` takes
            ("hinge" is the classifier's, "pairwise_hinge" the ranker's), or an object, one of
            your own too: a loss of one score, of a pair of scores, or of a score for each of
            several classes.
        kind : {"value", "gradient"}, default="value"
            What to draw.
        y : float, default=None
            Label or target. None is +1 for a loss of labels -1 and +1, and 0 for others. Not used
            for pairs, of which the first has to come before the second, nor for several classes.
        z : array-like of shape (n_points,), default=None
            Scores; of a pair, differences; of several classes, scores of the true one, while two
            rivals have the scores 0 and -1. None is the interval from -3 to 3 around y, or
            around 0 if y is a label.
        name : str, default=None
            Name in the legend; None is the loss with its parameters.
        ax : matplotlib Axes, default=None
            Where to draw; None is a new figure.
        **kwargs
            Passed to ``Axes.plot``.

        Returns
        -------
        LossDisplay

        Raises
        ------
        TypeError
            If `loss` is not a loss of these families: a loss of a whole batch, or of embeddings.
        ValueError
            For an unknown name, a wrong parameter of the loss, a y that it does not take,
            scores z that are no finite numbers, or another `kind`.
        """
        check_kind(kind, ("value", "gradient"))
        loss = _resolved(loss)
        y = _default_label(loss) if y is None else y
        check_number(y, "y")
        z = _scores(z, 0.0 if isinstance(loss, (BinaryLoss, PairwiseLoss, MulticlassLoss)) else y)
        value, gradient = _evaluated(loss, y, z)
        position, xlabel = _axis(loss, y, z)
        name = repr(loss) if name is None else name
        display = cls(position, value, gradient, xlabel, name=name)
        return display.plot(ax, kind=kind, **kwargs)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        kind: str = "value",
        name: str | None = None,
        **kwargs: Any,
    ) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None is a new figure.
        kind : {"value", "gradient"}, default="value"
            The loss, or its derivative with respect to the score.
        name : str, default=None
            Name in the legend instead of that of the display.
        **kwargs
            Passed to ``Axes.plot``.

        Returns
        -------
        LossDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            For another `kind`.
        """
        check_kind(kind, ("value", "gradient"))
        ax = axes_of(ax)
        name = self.name if name is None else name
        x, drawn = self.position, self.value
        if kind == "gradient":
            x, drawn = _broken(x, self.gradient)
        by = "zᵢ − zⱼ" if self.xlabel.endswith("zᵢ − zⱼ") else "z"
        ylabel = "loss" if kind == "value" else f"derivative by {by}"
        ax.set(xlabel=_label(ax, "x", self.xlabel), ylabel=_label(ax, "y", ylabel))
        (self.line_,) = ax.plot(x, drawn, **{"label": in_legend(name)} | kwargs)
        if name is not None:
            ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _resolved(loss):
    """The loss object for a name or an object."""
    if isinstance(loss, str):
        if loss not in _NAMED:
            raise ValueError(f"loss must be one of {sorted(_NAMED)} or a Loss, got {loss!r}")
        loss = _NAMED[loss]()
    if not isinstance(loss, (PointwiseLoss, PairwiseLoss, MulticlassLoss)):
        raise TypeError(
            "loss must be a loss of one score, of a pair or of several classes (or a name), got "
            f"{loss!r}"
        )
    loss.check_params()
    return loss


def _default_label(loss):
    return 1.0 if isinstance(loss, BinaryLoss) else 0.0


def _scores(z, center):
    """Validated scores, or a grid of them."""
    if z is None:
        return np.linspace(center - 3, center + 3, _N_POINTS)
    z = np.asarray(z, dtype=np.float64)
    if z.ndim != 1 or z.size == 0 or not np.isfinite(z).all():
        raise ValueError(f"z must hold finite numbers in one dimension, got {z!r}")
    return z


def _evaluated(loss, y, z):
    """Value and derivative at each of the scores, taken alone."""
    if isinstance(loss, PairwiseLoss):
        value, gradient = map(loss.pair_value, z), map(loss.pair_gradient, z)
        return np.array(list(value)), np.array(list(gradient))
    if isinstance(loss, PointwiseLoss):
        label, rows, at = [y], [[x] for x in z], 0
    else:
        label, rows, at = [0], [[[x, *_RIVALS]] for x in z], (0, 0)
    value = [loss.value(label, row) for row in rows]
    gradient = [loss.gradient(label, row)[at] for row in rows]
    return np.array(value), np.array(gradient)


def _axis(loss, y, z):
    """Positions on the axis, and its label."""
    if isinstance(loss, BinaryLoss):
        return y * z, "margin y·z"
    if isinstance(loss, RegressionLoss):
        return z - y, "prediction − target, z − y"
    if isinstance(loss, PairwiseLoss):
        return z, "difference of scores, zᵢ − zⱼ"
    if isinstance(loss, MulticlassLoss):
        return z, "score of the true class, rivals at 0 and −1"
    return z, f"score z, y = {y:g}"


def _label(ax, which, label):
    """The label of an axis, beside those of the curves that are there already."""
    others = getattr(ax, f"get_{which}label")().split(" | ") if ax.lines else []
    return " | ".join([*others, *({label} - set(others))] if any(others) else [label])


def _broken(x, gradient):
    """The curve with a gap at each jump: a step much larger than those beside it."""
    with np.errstate(invalid="ignore"):  # a loss of one's own may be infinite
        step = np.abs(np.diff(gradient))
    beside = np.maximum(np.r_[0.0, step[:-1]], np.r_[step[1:], 0.0])
    jumps = np.flatnonzero((step > 10 * beside) & (step > 1e-3 * np.ptp(gradient))) + 1
    if len(x) < 10:
        return x, gradient  # too coarse to tell
    return np.insert(x, jumps, x[jumps]), np.insert(gradient, jumps, np.nan)
