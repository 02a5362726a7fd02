"""What pictures share: where they are drawn, of which model, and checks."""

from typing import Any

from sklearn.pipeline import Pipeline

__all__ = ["axes_of", "check_kind", "in_legend", "last_step", "set_title"]


def axes_of(ax: Any) -> Any:
    """Axes to draw on: those given, or new ones."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("plotting needs matplotlib: pip install matplotlib") from error
    return plt.subplots(layout="constrained")[1] if ax is None else ax


def check_kind(kind: str, kinds: tuple[str, ...], name: str = "kind") -> None:
    """Raise ``ValueError`` unless ``kind`` is one of ``kinds``."""
    if kind not in kinds:
        raise ValueError(f"{name} must be {' or '.join(map(repr, kinds))}, got {kind!r}")


def in_legend(name: Any) -> Any:
    """A name as legends show it: they leave out those that begin with an underscore."""
    return f" {name}" if str(name).startswith("_") else name


def set_title(ax: Any, title: str | None) -> None:
    """Give axes a title, unless they have one or there is none; ``$`` in it is a dollar."""
    if title and not ax.get_title():
        ax.set_title(title, parse_math=False)


def last_step(estimator: Any) -> Any:
    """The last step of a pipeline, or the estimator itself."""
    return estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
