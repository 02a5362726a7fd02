"""Value and derivative of losses against the score, drawn from the loss objects."""

import matplotlib.pyplot as plt
import numpy as np

from sklearn_margin import losses
from sklearn_margin.plotting import LossDisplay

__all__ = ["batch", "binary", "multiclass", "pairwise", "probability", "regression"]


def binary():
    """Draw the losses for labels -1 and +1, at label +1."""
    shown = _public(losses.BinaryLoss)
    shown = [loss for loss in shown if not isinstance(loss, losses.ProbabilityLoss)]
    _draw(shown, slopes=(-4.4, 0.4))


def regression():
    """Draw the losses of a residual."""
    _draw(_public(losses.RegressionLoss))


def probability():
    """Draw focal and Poly losses for a few parameters, at label +1."""
    focal = [losses.Focal(gamma=gamma) for gamma in (0.0, 1.0, 2.0, 5.0)]
    poly = [losses.Poly(epsilon=epsilon) for epsilon in (-1.0, 1.0, 3.0)]
    _draw([*focal, *poly], dashed=len(focal), ylim=(-0.1, 5), slopes=(-2.2, 0.2))


def multiclass():
    """Draw losses of three classes against the score of the true one."""
    shown = [
        losses.CrossEntropy(), losses.CrossEntropy(label_smoothing=0.3), losses.CrammerSinger(),
        losses.WestonWatkins(), losses.Focal().for_classes(3), losses.Poly().for_classes(3),
    ]  # fmt: skip
    _draw(shown, slopes=(-2.4, 0.4))


def pairwise():
    """Draw the losses of a score difference, for one pair."""
    _draw(_public(losses.PairwiseLoss), slopes=(-4.4, 0.4))


def batch():
    """Draw losses of a batch against an intercept added to its scores."""
    b = np.linspace(-8, 4, 121)
    rng = np.random.default_rng(0)
    figure, axes = plt.subplots(2, figsize=(5.6, 5.6), layout="constrained", sharex=True)
    for ax, share in zip(axes, (0.5, 0.05), strict=True):
        y = np.where(np.arange(2000) < 2000 * share, 1.0, -1.0)
        z = rng.normal(size=2000) + np.maximum(y, 0.0)
        for k, loss in enumerate([losses.Dice(), losses.Dice(squared=True), losses.Logistic()]):
            value = np.array([loss.value(y, z + shift) for shift in b])
            ax.plot(b, value, color=f"C{k}", label=repr(loss))
            ax.plot(b[value.argmin()], value.min(), "o", color=f"C{k}")
        ax.set(title=f"{share:.0%} positive", ylabel="loss", ylim=(0, 1.4))
    axes[1].set_xlabel("intercept")
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=3)


def _public(family):
    """Every public loss of a family, with its default parameters."""
    classes = [getattr(losses, name) for name in losses.__all__]
    families = {family, losses.ProbabilityLoss}
    return [cls() for cls in classes if issubclass(cls, family) and cls not in families]


def _draw(shown, ylim=(-0.2, 6), slopes=(-4.4, 4.4), dashed=None):
    """Draw value and derivative of several losses; from number ``dashed`` on dashed."""
    figure, (top, bottom) = plt.subplots(2, figsize=(5.6, 6.2), layout="constrained", sharex=True)
    widths = np.linspace(4, 1.5, len(shown))  # the thin ones lie above
    for k, (loss, width) in enumerate(zip(shown, widths, strict=True)):
        name = repr(getattr(loss, "inner", loss))  # of the form for several classes
        style = {"name": name, "lw": width, "ls": "-" if dashed is None or k < dashed else "--"}
        LossDisplay.from_loss(loss, ax=top, **style)
        LossDisplay.from_loss(loss, ax=bottom, kind="gradient", **style)
    top.set(ylim=ylim, xlabel="")
    bottom.set(ylim=slopes)
    for ax in (top, bottom):
        ax.get_legend().remove()
        ax.axhline(0, color="0.5", lw=0.8, zorder=0)
        ax.axvline(0, color="0.5", lw=0.8, zorder=0)
    figure.legend(*top.get_legend_handles_labels(), loc="outside upper center", ncols=2)
