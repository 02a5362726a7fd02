"""
Probabilities from a support vector machine
===========================================

The score of a hinge loss is a distance, not a probability.
``HingeClassifier(probability="sigmoid")`` learns the map from one to the other on rows that the
score was not fitted to; ``"isotonic"`` learns a map of any increasing shape. Are they right? If so,
of the images with a probability of 30 % to show an odd digit, 30 % do.
"""

import matplotlib.pyplot as plt
from scipy.special import expit
from sklearn.calibration import calibration_curve
from sklearn.datasets import load_digits
from sklearn.metrics import brier_score_loss, log_loss
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from sklearn_margin import HingeClassifier, LinearClassifier

# %%
# Odd or even? All probabilities are of images that were not learned from, in five folds.

X, y = load_digits(return_X_y=True)
odd = y % 2
folds = KFold(5, shuffle=True, random_state=0)


def unseen(model, method="predict_proba"):
    """Scores or probabilities of each image from a model that has not seen it."""
    return cross_val_predict(make_pipeline(MinMaxScaler(), model), X, odd, cv=folds, method=method)


alpha = 1e-3
probability = {
    "hinge score": expit(unseen(HingeClassifier(alpha=alpha), "decision_function")),
    "hinge, sigmoid": unseen(HingeClassifier(alpha=alpha, probability="sigmoid"))[:, 1],
    "hinge, isotonic": unseen(HingeClassifier(alpha=alpha, probability="isotonic"))[:, 1],
    "logistic": unseen(LinearClassifier("logistic", alpha=alpha))[:, 1],
}
print(f"{'':16}{'accuracy':>9}{'log loss':>10}{'Brier score':>13}")
for name, p in probability.items():
    accuracy = ((p > 0.5) == odd).mean()
    print(f"{name:16}{accuracy:9.3f}{log_loss(odd, p):10.3f}{brier_score_loss(odd, p):13.4f}")

# %%
# On the diagonal, probabilities are right. A score that is taken for a logit is too timid: of the
# images to which it gives 18 %, 7 % are odd.

figure, ax = plt.subplots(figsize=(5.6, 4.6), layout="constrained")
ax.plot([0, 1], [0, 1], color="0.5", lw=1, ls="--")
for k, name in enumerate(["hinge score", "hinge, sigmoid", "logistic"]):
    share, mean = calibration_curve(odd, probability[name], n_bins=8)
    ax.plot(mean, share, "o-", color=f"C{k}", label=name)
ax.legend(frameon=False, loc="lower right")
ax.set(xlabel="probability of an odd digit, as predicted", ylabel="share that is odd")
ax.set_title("The sigmoid makes timid scores right")

# %%
# **To conclude**: without a map a hinge score makes poor probabilities; with one they are about
# right. Isotonic maps are wiggly with so few rows, which costs log loss. The logistic loss needs no
# map and is a little better still: take it if probabilities are what you want, and calibrate where
# the hinge is fitted for other reasons. Next: :doc:`/user_guide/classification`.
