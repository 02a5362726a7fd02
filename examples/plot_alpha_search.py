"""
A search for alpha along paths
==============================

``alpha`` is best chosen by cross-validation. :class:`~sklearn_margin.AlphaSearchCV` follows the
regularisation path in every fold, so that 50 alphas cost a fraction of 50 fits, and chooses the
best alpha, or the largest one that is as good within the accuracy of the scores.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_breast_cancer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_margin import AlphaSearchCV, LinearClassifier
from sklearn_margin.plotting import AlphaSearchDisplay

data = load_breast_cancer()
X, y = data.data, data.target

# %%
# Logistic regression with an L1 penalty, 569 tumours with 30 measurements each. Scaling is part of
# the model, so that it is learned without the rows that are held out. The score is the logarithm of
# the probability of the right label, on average; 50 alphas are tried by default.

model = make_pipeline(StandardScaler(), LinearClassifier("logistic", l1_ratio=1))
search = AlphaSearchCV(model, scoring="neg_log_loss", rule="one_standard_error", n_jobs=2)
search.fit(X, y)
print(f"alpha {search.alpha_:.4f}, log loss {-search.best_score_:.3f}")

# %%
# One standard error of the mean is the band. The dotted line is at the best mean; the dashed one at
# the largest alpha whose mean is within one standard error of it, which was asked for. At the top:
# how many measurements are used.

_, ax = plt.subplots(figsize=(5.6, 3.6), layout="constrained")
AlphaSearchDisplay.from_search(search, ax=ax)

# %%
# The chosen model was fitted to all rows. It predicts, and can be saved, as any pipeline.

coef = search.best_estimator_[-1].coef_[0]
for name, value in sorted(zip(data.feature_names, coef, strict=True), key=lambda pair: pair[1]):
    if value != 0:
        print(f"{value:6.2f}  {name}")

# %%
# Several values of ``l1_ratio`` have a path each, with alphas of its own.

elastic = AlphaSearchCV(
    model, alphas=30, l1_ratio=[0.1, 0.5, 1], scoring="neg_log_loss", n_jobs=2
).fit(X, y)
print(
    f"l1_ratio {elastic.l1_ratio_}, alpha {elastic.alpha_:.5f}, log loss {-elastic.best_score_:.3f}"
)
_, ax = plt.subplots(figsize=(5.6, 3.6), layout="constrained")
AlphaSearchDisplay.from_search(elastic, ax=ax)

# %%
# **To conclude**: search along paths, look at the curve, and prefer the simpler model where the
# scores cannot tell. More in :doc:`/user_guide/paths`.
