"""
Outliers: what Huber's loss does about six wrong years
======================================================

Millions of telephone calls from Belgium to abroad, 1950 to 1973. From 1964 to 1969 minutes were
written down instead of calls. Least squares believes all of them.
:class:`~sklearn_margin.HuberRegressor` estimates how far rows usually are from the line, the
*scale*, together with the line, and bounds the pull of rows that are farther.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LinearRegression

from sklearn_margin import HuberRegressor

# %%
# The data are those of Rousseeuw & Leroy, *Robust Regression and Outlier Detection*, 1987.

year = np.arange(1950, 1974)
calls = np.array([
    4.4, 4.7, 4.7, 5.9, 6.6, 7.3, 8.1, 8.8, 10.6, 12.0, 13.5, 14.9,
    16.1, 21.2, 119.0, 124.0, 142.0, 159.0, 182.0, 212.0, 43.0, 24.0, 27.0, 29.0,
])  # fmt: skip
X = (year - 1950).reshape(-1, 1)

# %%
# ``alpha=0`` is no penalty: there is one coefficient to find and nothing to hold back.
# ``outliers_`` says which rows are more than ``epsilon`` scales from the line.

wrong = (year >= 1964) & (year <= 1969)
lines = {
    "least squares": LinearRegression().fit(X, calls),
    "Huber": HuberRegressor(alpha=0).fit(X, calls),
    "least squares without 1964–69": LinearRegression().fit(X[~wrong], calls[~wrong]),
}
for name, model in lines.items():
    print(f"{name:30}{model.coef_[0]:5.2f} million calls more each year")
outliers = lines["Huber"].outliers_
print("outliers:", year[outliers])

# %%
# Rings mark what Huber calls outliers.

figure, ax = plt.subplots(figsize=(5.6, 4), layout="constrained")
ax.plot(year, calls, "o", color="0.5", ms=5)
ax.plot(year[outliers], calls[outliers], "o", color="C1", mfc="none", ms=10)
for k, model in enumerate(lines.values()):
    ax.plot(year, model.predict(X), color=f"C{k}", lw=2)
ax.text(1962.5, 78, "least squares", color="C0", weight="bold", ha="right")
ax.text(1973, 49, "Huber", color="C1", weight="bold", ha="right")
ax.text(1973, 3, "without 1964–69", color="C2", weight="bold", ha="right")
ax.set(xlabel="year", ylabel="millions of calls, as reported")
ax.set_title("Six wrong years turn least squares, not Huber")

# %%
# **To conclude**: Huber finds all six, and its error in the slope is a sixth of that of least
# squares. But a bounded pull is still a pull: a quarter of the rows, all on one side, lift its line
# above the last three years, which it calls outliers, too. A loss whose pull falls to zero far away
# ends that, at the price of convexity: :doc:`/user_guide/custom_losses` has one. Next:
# :doc:`/user_guide/robust_regression`.
