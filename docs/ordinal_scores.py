"""Scores of ordered classes and the thresholds between them."""

import matplotlib.pyplot as plt
import numpy as np

from sklearn_margin import OrdinalClassifier

names = ["poor", "fair", "good", "great"]
rng = np.random.default_rng(0)
X = rng.normal(size=(4000, 3))
quality = X @ [1.0, -0.5, 0.0] + 0.5 * rng.logistic(size=4000)
y = np.array(names)[np.digitize(quality, [-1, 0, 2])]
model = OrdinalClassifier("cumulative_logistic", classes=names).fit(X, y)
z = model.linear_predictor(X)
grid = np.linspace(-7, 7, 200)

figure, ax = plt.subplots(figsize=(5.6, 3.2), layout="constrained")
for k, name in enumerate(names):
    own = z[y == name]
    width = 0.35
    kernel = np.exp(-(((grid[:, None] - own) / width) ** 2) / 2) / np.sqrt(2 * np.pi)
    density = kernel.sum(axis=1) / width / len(z)
    ax.fill_between(grid, density, alpha=0.35, color=f"C{k}", lw=0)
    ax.plot(grid, density, color=f"C{k}", lw=1.5)
    edges = [-7, *model.thresholds_, 7]
    ax.text((edges[k] + edges[k + 1]) / 2, 0.165, name, color=f"C{k}", ha="center")
for k, threshold in enumerate(model.thresholds_):
    ax.axvline(threshold, color="0.5", ls="--", lw=1)
    ax.text(threshold, 0.185, f"θ$_{k + 1}$", ha="center")
ax.set(xlabel="score z = x·w", ylabel="density of scores", xlim=(-7, 7), ylim=(0, 0.18))
