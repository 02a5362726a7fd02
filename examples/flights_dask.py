"""
Learning on several processes
=============================

The logistic regression of ``flights_parquet.py``, on a cluster: here two processes of this
machine, and with ``Client("scheduler:8786")`` as many machines as there are. The estimator is the
same. It is given Dask collections instead of arrays, and works where their parts are: the rows
stay with the workers, and a few numbers for each feature travel. Predictions are lazy collections
again.

``verbose=1`` prints the progress of the fit.

Run it with ``pip install ".[examples,dask]"`` and ``python examples/flights_dask.py``; without the
repository, Dask comes with ``pip install "sklearn-margin[dask]"``.
"""

import tempfile

import dask.dataframe as dd
from dask.distributed import Client, LocalCluster
from flights_parquet import write_months
from rank_flights import say

from sklearn_margin import LinearClassifier


def main():
    """Write the files, fit on the workers, predict there, and score."""
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster),
    ):
        columns = write_months(folder)
        learn = dd.read_parquet(f"{folder}/learn").persist()  # read once, kept by the workers
        judge = dd.read_parquet(f"{folder}/judge").persist()
        say(f"{learn.npartitions} parts, {len(columns)} features")

        model = LinearClassifier("logistic", verbose=1).fit(learn[columns], learn["late"])
        say(f"fitted to a gap of {model.dual_gap_:.1g}")

        probability = model.predict_proba(judge[columns])  # nothing is computed yet
        expected = probability[:, 1].mean().compute()
        late = judge["late"].mean().compute()
        say(f"December: {late:.1%} late, {expected:.1%} expected")
        say(f"accuracy {model.score(judge[columns], judge['late']):.4f}")


if __name__ == "__main__":  # worker processes import this file
    main()
