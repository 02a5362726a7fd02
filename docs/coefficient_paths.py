"""Coefficients of a regression against the strength of its penalty."""

import matplotlib.pyplot as plt
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import scale

from sklearn_margin import HuberRegressor
from sklearn_margin.plotting import PathDisplay

X, y = load_diabetes(return_X_y=True, as_frame=True)
X.loc[:] = scale(X)
figure, axes = plt.subplots(2, figsize=(5.6, 6.2), layout="constrained", sharey=True)
for ax, l1_ratio, title in zip(axes, (1.0, 0.0), ("L1", "L2"), strict=True):
    PathDisplay.from_estimator(HuberRegressor(l1_ratio=l1_ratio), X, y, ax=ax)
    ax.axhline(0, color="0.5", lw=0.8, zorder=0)
    ax.set(title=f"{title} penalty")
