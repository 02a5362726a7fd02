"""
A regularisation path, and where to stop
========================================

With an L1 penalty the coefficients of a model are zero at first and enter one by one as ``alpha``
falls. :func:`~sklearn_margin.regularization_path` fits all alphas, each from the solution before;
rows that were held out say where to stop.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import scale

from sklearn_margin import LinearClassifier, regularization_path
from sklearn_margin.plotting import PathDisplay

data = load_breast_cancer()
X, y = scale(data.data), data.target

# %%
# Logistic regression with an L1 penalty, 40 alphas, 569 tumours with 30 measurements each.

model = LinearClassifier("logistic", l1_ratio=1)
path = regularization_path(model, X, y, n_alphas=40, alpha_ratio=1e-2)
used = np.count_nonzero(path.coefs[:, 0], axis=1)
print(f"from {used[0]} to {used[-1]} of {X.shape[1]} measurements are used")

# %%
# The same alphas without a fifth of the rows, five times. What they get wrong there is a product
# with the coefficients of the path.

errors = []
for train, test in StratifiedKFold(5, shuffle=True, random_state=0).split(X, y):
    fold = regularization_path(model, X[train], y[train], alphas=path.alphas)
    scores = X[test] @ fold.coefs[:, 0].T + fold.intercepts[:, 0]
    errors.append(((scores > 0) != y[test][:, None]).mean(axis=0))
mean = np.mean(errors, axis=0)
spread = np.std(errors, axis=0, ddof=1) / np.sqrt(len(errors))
best = mean.argmin()
simple = np.flatnonzero(mean <= mean[best] + spread[best])[0]
for name, k in (("best", best), ("simplest within one standard error", simple)):
    print(f"{name}: alpha {path.alphas[k]:.4f}, {used[k]} measurements, error {mean[k]:.3f}")

# %%
# The names are those of the largest coefficients at the end. Dashed: the simplest model that is as
# good as the best one, within one standard error over the five folds.

figure, (top, bottom) = plt.subplots(
    2, figsize=(5.6, 6), height_ratios=(2, 1), sharex=True, layout="constrained"
)
PathDisplay.from_path(path, feature_names=data.feature_names, n_labels=4, ax=top)
bottom.plot(path.alphas, mean)
bottom.fill_between(path.alphas, mean - spread, mean + spread, alpha=0.25, lw=0)
bottom.set(xlabel="alpha", ylabel="held-out errors", ylim=(0, 0.12))
top.set_xlabel("")
for ax in (top, bottom):
    ax.axvline(path.alphas[simple], color="0.5", ls="--", lw=1)

# %%
# **To conclude**: a path costs little more than its last fit and shows what a grid search hides,
# which features a model can do without. More in :doc:`/user_guide/paths`.
