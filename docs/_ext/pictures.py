"""One style for the pictures of the gallery and of ``.. plot::``."""

from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib import rc_params_from_file

STYLE = Path(__file__).parent.parent / "pictures.mplstyle"


def settings():
    """What the style sets, as ``plot_rcparams`` wants it."""
    return dict(rc_params_from_file(STYLE, use_default_template=False))


def use_style(gallery_conf, script):
    """Start a script of the gallery with the style, whatever the last one has set."""
    plt.style.use(["default", STYLE])
