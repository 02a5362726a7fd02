"""Coefficients of a regression against the strength of its penalty."""

import matplotlib.pyplot as plt
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import scale

from sklearn_margin import HuberRegressor, regularization_path

data = load_diabetes()
X, y = scale(data.data), data.target
figure, panels = plt.subplots(ncols=2, figsize=(10, 3.8), sharey=True, layout="constrained")
for axes, l1_ratio, title in zip(panels, (1.0, 0.0), ("L1", "L2"), strict=True):
    path = regularization_path(HuberRegressor(l1_ratio=l1_ratio), X, y, n_alphas=100)
    axes.plot(path.alphas, path.coefs, label=data.feature_names)
    axes.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    axes.set(title=f"{title} penalty", xlabel="alpha", xscale="log")
    axes.invert_xaxis()  # as the path goes
panels[0].set_ylabel("coefficient")
figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center", frameon=False)
