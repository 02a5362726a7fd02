"""Draw ``_static/readme.png`` for README.md: the picture of ``examples/plot_quantile_fan.py``."""

import runpy
from pathlib import Path

import matplotlib.pyplot as plt

HERE = Path(__file__).parent

if __name__ == "__main__":
    plt.switch_backend("agg")
    plt.style.use(HERE / "pictures.mplstyle")
    runpy.run_path(str(HERE.parent / "examples" / "plot_quantile_fan.py"))
    plt.savefig(HERE / "_static" / "readme.png", dpi=150)
