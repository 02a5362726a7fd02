"""Where pictures are drawn."""

__all__ = ["axes_of"]


def axes_of(ax):
    """Axes to draw on: those given, or new ones."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("plotting needs matplotlib: pip install matplotlib") from error
    return plt.subplots()[1] if ax is None else ax
