"""
Clicks on a list that was in some order already
===============================================

Nobody clicks on what he has not seen, and what is far down is seldom seen. A ranker that learns
from clicks therefore learns the order that the rows were shown in, too. If it is known how often
each place is looked at, the ``propensity``, clicks can be weighed by one over it.
"""

import matplotlib.pyplot as plt
import numpy as np

from sklearn_margin import RankSVM
from sklearn_margin.metrics import ndcg_score

# %%
# Lists of 20 rows, two or three of which are relevant: that depends on four features. They are
# shown by an old ranker, which knows one of those, and is fond of a fifth that means nothing. The
# place p is looked at with probability 1/p to the power of the bias, and what is looked at is
# clicked if it is relevant.


def draw(n_lists, bias, rng):
    """Features, lists, relevance, order of the old ranker, clicks and propensities."""
    X = rng.normal(size=(n_lists, 20, 6))
    relevant = X @ [1.0, 1.0, 1.0, 1.0, 0.0, 0.0] + rng.logistic(size=(n_lists, 20)) > 3.5
    old = X @ [1.0, 0.0, 0.0, 0.0, 2.0, 0.0]
    place = 1 + np.argsort(np.argsort(-old, axis=1), axis=1)
    propensity = 1 / place**bias
    clicked = relevant & (rng.random(place.shape) < propensity)
    groups = np.repeat(np.arange(n_lists), 20)
    return X.reshape(-1, 6), groups, *(a.ravel() for a in (relevant, old, clicked, propensity))


# %%
# One fit takes clicks for relevance, the other one has the propensities; a third one is told what
# is relevant, which nobody knows. All are judged by the true relevance of new lists.


def quality(bias, seed):
    """NDCG of the three fits and of the old ranker."""
    rng = np.random.default_rng(seed)
    X, groups, relevant, _, clicked, propensity = draw(1000, bias, rng)
    X_new, new, relevant_new, old, *_ = draw(1000, bias, rng)
    model, found = RankSVM(alpha=1e-3), []
    for y, given in ((clicked, None), (clicked, propensity), (relevant, None)):
        model.fit(X, y, groups=groups, propensity=given)
        found.append(ndcg_score(relevant_new, model.predict(X_new), groups=new))
    return [*found, ndcg_score(relevant_new, old, groups=new)]


strengths = [0.0, 0.5, 1.0, 1.5, 2.0]
names = ["clicks as they are", "clicks by propensity", "true relevance", "order that was shown"]
ndcg = np.array([[quality(bias, seed) for seed in range(6)] for bias in strengths])
print(f"{'bias':>20}", *(f"{bias:7.1f}" for bias in strengths))
for name, means in zip(names, ndcg.mean(axis=1).T, strict=True):
    print(f"{name:>20}", *(f"{mean:7.3f}" for mean in means))

# %%
# The bands are a standard deviation over six draws of all there is.

figure, ax = plt.subplots(figsize=(5.6, 3.8), layout="constrained")
for k, name in enumerate(names[:2]):
    mean, spread = ndcg[:, :, k].mean(axis=1), ndcg[:, :, k].std(axis=1)
    ax.plot(strengths, mean, label=name)
    ax.fill_between(strengths, mean - spread, mean + spread, alpha=0.2, lw=0)
for k, style in ((2, "--"), (3, ":")):
    ax.axhline(ndcg[:, :, k].mean(), color="0.5", ls=style, lw=1.5, label=names[k])
ax.set(xlabel="bias of places: 0 is none, 1 is 1/p, 2 is 1/p²", ylabel="NDCG of the true relevance")
ax.set(title="What is left of the relevance", xticks=strengths)
ax.legend(loc="lower left", bbox_to_anchor=(0, 0.1))

# %%
# **To conclude**: without a bias propensities change nothing; with one they mend most of it. Where
# it is strong, a few clicks far down have weights of hundreds, and the fit gets uncertain: clip
# small propensities then. Both fits beat the old order. Next: :doc:`/user_guide/clicks`.
