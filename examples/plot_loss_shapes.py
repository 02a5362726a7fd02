"""
The shapes of losses
====================

A loss says how much a row costs, and its derivative how hard the row pulls at the model. Most of
what tells losses apart can be seen: which rows are ignored, and how much an outlier weighs.
:class:`~sklearn_margin.plotting.LossDisplay` draws any loss, one of your own too.
"""

import math

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_margin import HingeClassifier, check_loss
from sklearn_margin.losses import RegressionLoss
from sklearn_margin.plotting import LossDisplay

# %%
# Classification
# --------------
# The margin y·z is the score, with the sign of the label: negative if the row is on the wrong side.
# To the right of 1 the hinges cost nothing, and the logistic loss never stops pulling. Below, where
# the rows of a fitted support vector machine lie: only those left of the line decide it.

X, y = load_breast_cancer(return_X_y=True)
model = make_pipeline(StandardScaler(), HingeClassifier(alpha=0.01)).fit(X, y)
margins = np.where(y == 1, 1, -1) * model.decision_function(X)
print(f"{(margins < 1 - 1e-6).mean():.0%} of the rows have a margin below 1")

figure, (top, bottom) = plt.subplots(
    2, figsize=(5.6, 5), height_ratios=(2, 1), sharex=True, layout="constrained"
)
for loss in ("hinge", "squared_hinge", "logistic"):
    LossDisplay.from_loss(loss, z=np.linspace(-2, 4, 301), ax=top)
top.set(ylim=(-0.1, 4), xlabel="")
bottom.hist(margins, bins=np.linspace(-2, 4, 49), color="0.5")
bottom.axvline(1, color="C1", ls="--")
bottom.set(xlabel="margin y·z", ylabel="rows")

# %%
# Regression
# ----------
# Here the derivative tells more. That of the squared error grows with the error, so that one
# outlier can outweigh all other rows; that of Huber's loss stops growing. A loss of one's own,
# Cauchy's, lets go of rows that are far off. It takes a value and a derivative;
# :func:`~sklearn_margin.check_loss` tells whether the one is that of the other.


class Cauchy(RegressionLoss):
    convex = False

    def sample_value(self, y, z):
        return math.log1p((z - y) ** 2)

    def sample_gradient(self, y, z):
        return 2 * (z - y) / (1 + (z - y) ** 2)


check_loss(Cauchy())

ax = plt.subplots(figsize=(5.6, 3.6), layout="constrained")[1]
for loss in ("squared", "huber", "absolute", Cauchy()):
    LossDisplay.from_loss(loss, kind="gradient", z=np.linspace(-6, 6, 602), ax=ax)
ax.set(ylim=(-3, 3))

# %%
# **To conclude**: choose a loss by the rows that are to decide. All of them, with formulas, are in
# :doc:`/user_guide/losses/index`; how to write one is in :doc:`/user_guide/custom_losses`.
