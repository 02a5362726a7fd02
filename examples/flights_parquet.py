"""
Learning from a folder of files
===============================

A year of flights lies in a folder, one Parquet file for each month, as if it were too large for
memory. A logistic regression learns from January to November how likely a flight is to arrive
more than 15 minutes late, and is judged on December. It never holds more than a batch or two of
rows: :class:`~sklearn_margin.Batches` reads the files anew whenever the solver needs them, eight
times. What comes out is the optimum, to a certified relative duality gap of 1e-4, as it is in
memory.

The features are those of ``rank_flights.py``, as numbers. ``flights_dask.py`` does the same on
several processes.

Run it with ``pip install ".[examples]"`` and ``python examples/flights_parquet.py``.
"""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from rank_flights import PLANE, TIME_AND_TRAFFIC, TRIP, WEATHER, load_flights, say
from sklearn.metrics import log_loss, roc_auc_score

from sklearn_margin import Batches, LinearClassifier

LAST_MONTH = 12  # the one that is held out
LATE = 2  # the grade of flights more than 15 minutes late


def write_months(folder):
    """Write a file for each month into ``learn`` or ``judge``; returns names of the features."""
    features, grade, _, month = load_flights()
    numbers = features[TIME_AND_TRAFFIC + TRIP + PLANE + WEATHER]
    learned = numbers[month < LAST_MONTH]
    numbers = ((numbers - learned.mean()) / learned.std()).fillna(0.0)  # 0 is the mean
    indicators = pd.get_dummies(features[["carrier", "dest", "weekday_hour"]])
    table = pd.concat([numbers, indicators], axis=1).astype(np.float32)
    columns = list(table)
    table["late"] = (grade >= LATE).astype(np.int8)
    for k, rows in table.groupby(month):
        part = Path(folder) / ("learn" if k < LAST_MONTH else "judge")
        part.mkdir(exist_ok=True)
        rows.to_parquet(part / f"{k:02d}.parquet", index=False)
    return columns


def judge(model, data):
    """Predict batch by batch, and print how good the probabilities are."""
    labels, probabilities = [], []
    for batch, probability in zip(data, model.predict_proba(data), strict=True):
        labels.append(batch.y)
        probabilities.append(probability[:, 1])
    late, p = np.concatenate(labels), np.concatenate(probabilities)
    say(f"December: {late.mean():.1%} late, {p.mean():.1%} expected")
    constant = log_loss(late, np.full(len(late), late.mean()))
    say(f"log loss {log_loss(late, p):.4f} ({constant:.4f} if only the share were known)")
    say(f"ROC AUC {roc_auc_score(late, p):.4f}")


def main():
    """Write the files, fit, judge the month that was held out."""
    with tempfile.TemporaryDirectory() as folder:
        columns = write_months(folder)
        say(f"{len(columns)} features written")
        learn = Batches.from_parquet(f"{folder}/learn", target="late", columns=columns)
        model = LinearClassifier("logistic", n_jobs=2, verbose=1).fit(learn)
        say(f"fitted to a gap of {model.dual_gap_:.1g}")
        judge(model, Batches.from_parquet(f"{folder}/judge", target="late", columns=columns))


if __name__ == "__main__":
    main()
