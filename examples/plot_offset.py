"""
A linear model on top of a boosted one
======================================

A boosted model was fitted to plenty of rows. Then the world changed a little, and of the new one
there are few rows. With the margin of the old model for an ``offset`` a linear model learns what
changed, and nothing else: it needs few rows, and its coefficients can be read.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss

from sklearn_margin import LinearClassifier

# %%
# Last year: curves and an interaction, of which trees make good use. This year feature 0 counts for
# less, feature 4 for something, and events are rarer.

rng = np.random.default_rng(0)


def draw(n, changed):
    """Features, and labels of last year or of this one."""
    X = rng.uniform(-1, 1, size=(n, 6))
    margin = 3 * np.sin(3 * X[:, 0]) + 4 * X[:, 1] * X[:, 2] + 2 * np.abs(X[:, 3])
    if changed:
        margin += -1.0 - 1.5 * X[:, 0] + 2.0 * X[:, 4]
    return X, (rng.uniform(size=n) < expit(margin)).astype(int)


old_X, old_y = draw(5_000, changed=False)
X, y = draw(2_000, changed=True)
X_test, y_test = draw(5_000, changed=True)
boosted = HistGradientBoostingClassifier(max_iter=50, random_state=0).fit(old_X, old_y)

# %%
# The offset is added to the scores as it is, in ``fit`` and wherever the model is used: here, to
# what a logistic regression on this year's rows has to explain. It is no feature, and has no
# coefficient. (The rows must be new to the boosted model. Of its own training rows take
# ``cross_val_predict``: it knows those too well.)

margin, margin_test = boosted.decision_function(X), boosted.decision_function(X_test)
on_top = LinearClassifier("logistic", alpha=1e-2).fit(X[:300], y[:300], offset=margin[:300])
print("what changed:", *(f"{w:+.1f}" for w in on_top.coef_[0]), f"and {on_top.intercept_[0]:+.1f}")
print(f"objective at most {on_top.dual_gap_:.0e} above its minimum")

# %%
# How many of the new rows does it take? The linear model alone never learns the curves, trees need
# thousands of rows for them; on top of the old model, a hundred rows are enough to be better.

sizes = [50, 100, 200, 500, 1000, 2000]
losses = {"linear, on top of the old one": [], "linear, alone": [], "boosted anew": []}
for n in sizes:
    new, labels, alone = X[:n], y[:n], LinearClassifier("logistic", alpha=1e-2)
    trees = HistGradientBoostingClassifier(max_iter=30, random_state=0).fit(new, labels)
    on_top.fit(new, labels, offset=margin[:n])
    predicted = [
        on_top.predict_proba(X_test, offset=margin_test),
        alone.fit(new, labels).predict_proba(X_test),
        trees.predict_proba(X_test),
    ]
    for found, probability in zip(losses.values(), predicted, strict=True):
        found.append(log_loss(y_test, probability))

figure, ax = plt.subplots(figsize=(5.6, 4.2), layout="constrained")
ax.axhline(
    log_loss(y_test, boosted.predict_proba(X_test)), color="0.5", ls="--", label="the old one"
)
for name, found in losses.items():
    ax.plot(sizes, found, "o-", label=name)
ax.set(xscale="log", xticks=sizes, xlabel="rows of the new year", ylabel="log loss on new rows")
ax.set_xticklabels(sizes)
ax.minorticks_off()
ax.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 0.1))
ax.set_title("What changed is learned from few rows")

# %%
# **To conclude**: keep what another model knows, and fit what it does not: pass its margin as
# ``offset``. For a regression that is its prediction, for a ranker its score; of several classes a
# column for each. Next: :doc:`/user_guide/offsets`.
