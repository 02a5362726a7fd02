"""Value and derivative of losses against the score, drawn from the loss objects."""

import matplotlib.pyplot as plt
import numpy as np

from sklearn_margin import losses

__all__ = ["batch", "binary", "multiclass", "pairwise", "probability", "regression"]


def binary():
    """Draw the losses for labels -1 and +1, at label +1."""
    shown = [
        loss for loss in _public(losses.BinaryLoss) if not isinstance(loss, losses.ProbabilityLoss)
    ]
    _draw_margins(shown)


def regression():
    """Draw the losses of a residual, at target 0."""
    z = np.linspace(-3, 3, 301)
    curves = [(repr(loss), *_at(loss, 0.0, z)) for loss in _public(losses.RegressionLoss)]
    _draw(curves, z, "z − y")


def probability():
    """Draw focal and Poly losses for a few parameters, at label +1."""
    focal = [losses.Focal(gamma=gamma) for gamma in (0.0, 1.0, 2.0, 5.0)]
    poly = [losses.Poly(epsilon=epsilon) for epsilon in (-1.0, 1.0, 3.0)]
    _draw_margins([*focal, *poly], dashed=len(focal), ylim=(-0.1, 5), slopes=(-2.2, 0.2))


def multiclass():
    """Draw losses of three classes, the rivals having the scores 0 and -1."""
    shown = [
        losses.CrossEntropy(), losses.CrossEntropy(label_smoothing=0.3), losses.CrammerSinger(),
        losses.WestonWatkins(), losses.Focal(), losses.Poly(),
    ]  # fmt: skip
    z = np.linspace(-3, 3, 301)
    curves = []
    for loss in shown:
        rows = [[[score, 0.0, -1.0]] for score in z]
        value = [loss.value([0], row) for row in rows]
        slope = [loss.gradient([0], row)[0, 0] for row in rows]
        curves.append((repr(loss), value, slope))
    _draw(curves, z, "score of the true class", slopes=(-2.4, 0.4))


def pairwise():
    """Draw the losses of a score difference, for one pair."""
    d = np.linspace(-3, 3, 301)
    curves = [
        (repr(loss), [loss.pair_value(x) for x in d], [loss.pair_gradient(x) for x in d])
        for loss in _public(losses.PairwiseLoss)
    ]
    _draw(curves, d, "d = z_i − z_j", by="d")


def batch():
    """Draw losses of a batch against an intercept added to its scores."""
    b = np.linspace(-8, 4, 121)
    rng = np.random.default_rng(0)
    _, axes = plt.subplots(ncols=2, figsize=(10, 3.8), layout="constrained", sharey=True)
    for ax, share in zip(axes, (0.5, 0.05), strict=True):
        y = np.where(np.arange(2000) < 2000 * share, 1.0, -1.0)
        z = rng.normal(size=2000) + np.maximum(y, 0.0)
        for k, loss in enumerate([losses.Dice(), losses.Dice(squared=True), losses.Logistic()]):
            value = np.array([loss.value(y, z + shift) for shift in b])
            ax.plot(b, value, color=f"C{k}", label=repr(loss))
            ax.plot(b[value.argmin()], value.min(), "o", color=f"C{k}")
        ax.set(title=f"{share:.0%} positive", xlabel="intercept", ylim=(0, 1.4))
    axes[0].set_ylabel("value")
    axes[1].legend(frameon=False)


def _public(family):
    """Every public loss of a family, with its default parameters."""
    classes = [getattr(losses, name) for name in losses.__all__]
    families = {family, losses.ProbabilityLoss}
    return [cls() for cls in classes if issubclass(cls, family) and cls not in families]


def _at(loss, y, z):
    """Value and derivative at the scores ``z`` of one label."""
    value = [loss.value([y], [score]) for score in z]
    return value, [loss.gradient([y], [score])[0] for score in z]


def _draw_margins(shown, **options):
    z = np.linspace(-3, 3, 301)
    curves = [(repr(loss), *_at(loss, 1.0, z)) for loss in shown]
    _draw(curves, z, "margin m = y·z", **options)


def _draw(curves, z, xlabel, by="z", ylim=(-0.2, 6), slopes=(-4.4, 4.4), dashed=None):
    """Draw (label, value, derivative) of several losses; from number ``dashed`` on dashed."""
    figure, (left, right) = plt.subplots(ncols=2, figsize=(10, 3.8), layout="constrained")
    widths = np.linspace(3.5, 1, len(curves))  # the thin ones lie above
    for k, ((label, value, gradient), width) in enumerate(zip(curves, widths, strict=True)):
        gradient = np.array(gradient)
        gradient[1:][np.abs(np.diff(gradient)) > 0.2] = np.nan  # a jump, not a slope
        line = "-" if dashed is None or k < dashed else "--"
        style = {"color": f"C{k % 10}", "linewidth": width, "linestyle": line}
        left.plot(z, value, label=label, **style)
        right.plot(z, gradient, **style)
    left.set(title="value", xlabel=xlabel, ylim=ylim)
    right.set(title=f"derivative with respect to {by}", xlabel=xlabel, ylim=slopes)
    for axes in (left, right):
        axes.axhline(0, color="0.8", linewidth=0.8, zorder=0)
        axes.axvline(0, color="0.8", linewidth=0.8, zorder=0)
    figure.legend(loc="outside right center", fontsize="medium", frameon=False)
