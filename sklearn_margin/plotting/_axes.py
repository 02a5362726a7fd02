"""What pictures share: where they are drawn, and checks."""

from typing import Any

__all__ = ["axes_of", "check_kind", "in_legend", "set_title"]


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
