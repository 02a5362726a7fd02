"""Value and derivative of losses against the score, drawn from the loss objects."""

import matplotlib.pyplot as plt
import numpy as np

from sklearn_margin import losses

__all__ = ["binary", "pairwise", "regression"]


def binary():
    """Draw the losses for labels -1 and +1, at label +1."""
    _draw(losses.BinaryLoss, y=1.0, xlabel="margin m = y·z")


def regression():
    """Draw the losses of a residual, at target 0."""
    _draw(losses.RegressionLoss, y=0.0, xlabel="z − y")


def pairwise():
    """Draw the losses of a score difference, for one pair."""
    _draw(losses.PairwiseLoss, y=None, xlabel="d = z_i − z_j")


def _draw(family, y, xlabel):
    """Draw every public loss of a family with its default parameters."""
    public = [getattr(losses, name) for name in losses.__all__]
    shown = [cls() for cls in public if issubclass(cls, family) and cls is not family]
    z = np.linspace(-3, 3, 301)
    figure, (left, right) = plt.subplots(ncols=2, figsize=(10, 3.8), layout="constrained")
    for k, (loss, width) in enumerate(zip(shown, np.linspace(3.5, 1, len(shown)), strict=True)):
        if y is None:
            value = [loss.pair_value(d) for d in z]
            gradient = np.array([loss.pair_gradient(d) for d in z])
        else:
            value = [loss.value([y], [score]) for score in z]
            gradient = np.concatenate([loss.gradient([y], [score]) for score in z])
        gradient[1:][np.abs(np.diff(gradient)) > 0.2] = np.nan  # a jump, not a slope
        style = {"color": f"C{k % 10}", "linewidth": width}  # the thin ones lie above
        left.plot(z, value, label=repr(loss), **style)
        right.plot(z, gradient, **style)
    left.set(title="value", xlabel=xlabel, ylim=(-0.2, 6))
    right.set(
        title=f"derivative with respect to {'d' if y is None else 'z'}",
        xlabel=xlabel,
        ylim=(-4.4, 4.4),
    )
    for axes in (left, right):
        axes.axhline(0, color="0.8", linewidth=0.8, zorder=0)
        axes.axvline(0, color="0.8", linewidth=0.8, zorder=0)
    figure.legend(loc="outside right center", fontsize="medium", frameon=False)
