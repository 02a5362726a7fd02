"""One contestant of ``benchmarks.scale``, in a process of its own.

It takes a job as JSON and leaves what came of it in a file: seconds of loading and of every fit,
solutions, reads of X, peaks of memory. Every contestant is warmed up on a small folder first.
"""

import contextlib
import io
import json
import os
import re
import sys
import time
import warnings
from pathlib import Path
from statistics import median

import numpy as np
from sklearn.base import clone

from benchmarks.harness import THREADS
from benchmarks.scale_cases import ONE_ITERATION
from benchmarks.scale_data import (
    ALPHA,
    BATCH,
    FEATURES,
    LOSSES,
    column,
    columns_of,
    features,
    files,
    n_rows,
    read_batches,
)
from sklearn_margin import Batches

READS = re.compile(r"([\d.e+]+) reads of X")
SHORT = 10.0  # seconds; a fit that takes less is repeated
REPEATS = 3


class Way:
    """A way to fit: ``load`` a folder, then ``fit`` what that returned, with a rung of a ladder.

    A fit returns coefficients, intercept and a dictionary of what else is to be told.
    """

    def __init__(self, job):
        self.job, self.loss = job, job["loss"]

    def load(self, path):
        raise NotImplementedError

    def fit(self, data, rung):
        raise NotImplementedError

    def count_reads(self, data, rung):
        """Reads of X, None if they are not known; apart from the fit that is timed."""

    def close(self):
        """Give back what is not data."""


class Ours(Way):
    """Estimators of this package, on whatever it is that holds X."""

    n_jobs = THREADS

    def fit(self, data, rung):
        model = self._fitted(data, rung)
        gap = np.max(getattr(model, "dual_gap_", np.nan))
        told = {"gap": float(gap) if np.isfinite(gap) else None}
        return np.ravel(model.coef_), np.ravel(getattr(model, "intercept_", 0.0))[0], told

    def count_reads(self, data, rung):
        """As printed by a fit, which reads X more often then, to print what it has reached."""
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            self._fitted(data, rung, verbose=1)
        return float(READS.findall(printed.getvalue())[-1])

    def _fitted(self, data, rung, verbose=0):
        model = clone(LOSSES[self.loss][2])
        until = {"max_iter": 1} if rung == ONE_ITERATION else {"tol": rung}
        model.set_params(alpha=ALPHA, n_jobs=self.n_jobs, verbose=verbose, **until)
        if "fit_intercept" in model.get_params():
            model.set_params(fit_intercept=self.job["intercept"])
        X, y, *groups = data
        return model.set_params(**self.job["params"]).fit(
            X, y, **({"groups": groups[0]} if groups else {})
        )


class Memory(Ours):
    """Ours, on arrays."""

    def load(self, path):
        X = np.concatenate([features(file) for file in files(path)])
        return X, *(
            np.concatenate([column(file, name) for file in files(path)])
            for name in columns_of(self.loss)
        )


class Streamed(Ours):
    """Ours, on ``Batches`` of the files; reads are counted where they happen."""

    def load(self, path):
        target, *groups = columns_of(self.loss)
        batches = Batches.from_parquet(
            path, target=target, groups=groups[0] if groups else None, columns=FEATURES,
            batch_size=BATCH,
        )  # fmt: skip
        self.n_batches, source = [0], batches.source

        def counted():
            for batch in source():
                self.n_batches[0] += 1
                yield batch

        batches.source = counted
        self.in_a_read = sum(-(-n_rows(file) // BATCH) for file in files(path))
        return batches, None

    def fit(self, data, rung):
        self.n_batches[0] = 0
        return super().fit(data, rung)

    def count_reads(self, data, rung):
        """Of the last fit."""
        return self.n_batches[0] / self.in_a_read


class ReadAlone(Way):
    """What ``Streamed`` reads in one read, as arrays, and nothing else."""

    def load(self, path):
        return path

    def fit(self, data, rung):
        for _ in read_batches(data, columns_of(self.loss)):
            pass
        return None, None, {}

    def count_reads(self, data, rung):
        return 1.0


class Cluster(Way):
    """Dask arrays that two worker processes hold."""

    def __init__(self, job):
        super().__init__(job)
        from dask.distributed import Client, LocalCluster

        self.cluster = LocalCluster(
            n_workers=THREADS, threads_per_worker=1, processes=True, dashboard_address=None
        )
        self.client, self.finished = Client(self.cluster), _count_tasks(self.cluster.scheduler)

    def load(self, path):
        """X, the target and the groups, a chunk for each file, persisted."""
        import dask
        from dask.distributed import wait

        found = files(path)
        sizes = [n_rows(file) for file in found]
        dtypes = [features(found[0]).dtype]
        columns = columns_of(self.loss)
        dtypes += [column(found[0], name).dtype for name in columns]
        reads = [(features,), *((column, name) for name in columns)]
        arrays = [
            self._array(found, sizes, dtype, *read)
            for dtype, read in zip(dtypes, reads, strict=True)
        ]
        arrays = dask.persist(*arrays)
        wait(arrays)
        return arrays

    def _array(self, found, sizes, dtype, read, *args):
        import dask.array as da
        from dask import delayed

        wide = (len(FEATURES),) if read is features else ()
        return da.concatenate(
            [
                da.from_delayed(delayed(read)(file, *args), (size, *wide), dtype)
                for file, size in zip(found, sizes, strict=True)
            ]
        )

    def close(self):
        self.client.close()
        self.cluster.close()


def _count_tasks(scheduler):
    """A list of one number, which grows by one with every task that a worker has finished."""
    from distributed.diagnostics.plugin import SchedulerPlugin

    finished = [0]

    class Count(SchedulerPlugin):
        def transition(self, key, start, finish, *args, **kwargs):
            finished[0] += start == "processing" and finish in ("memory", "erred")

    scheduler.add_plugin(Count())
    return finished


class OnDask(Ours, Cluster):
    """Ours, on Dask arrays."""

    n_jobs = None

    def fit(self, data, rung):
        before = self.finished[0]
        coef, intercept, told = super().fit(data, rung)
        return coef, intercept, told | {"tasks": self.finished[0] - before}


class LeftOnDask(OnDask):
    """Ours, on Dask arrays of which the client may take only a few rows, as if they were many."""

    def __init__(self, job):
        from sklearn_margin import _tables

        _tables.KEPT = 20_000  # entries; data that are no larger are solved at the client
        super().__init__(job)


class DaskML(Cluster):
    """dask-ml's logistic regression; a rung is the norm of the gradient of the *mean* loss."""

    def fit(self, data, rung):
        from dask_ml.linear_model import LogisticRegression

        X, y = data
        n = X.shape[0]
        model = LogisticRegression(
            solver="lbfgs", C=1 / (ALPHA * n), fit_intercept=False, tol=rung * n, max_iter=1000,
            solver_kwargs={"normalize": False},
        )  # fmt: skip
        model.fit(X, y)
        return np.ravel(model.coef_), 0.0, {}


class XGBoost(Cluster):
    """XGBoost's linear booster on Dask; a rung is a number of rounds."""

    def fit(self, data, rung):
        from xgboost import dask as dxgb

        X, y = data
        params = {
            "booster": "gblinear", "objective": "binary:logistic", "lambda": ALPHA,
            "base_score": 0.5,
        }  # fmt: skip
        trained = dxgb.train(
            self.client, params, dxgb.DaskDMatrix(self.client, X, y), num_boost_round=rung
        )
        learned = json.loads(trained["booster"].save_raw("json"))["learner"]
        *coef, intercept = learned["gradient_booster"]["model"]["weights"]
        return np.array(coef), intercept, {}


class Spark(Way):
    """Spark's linear classifiers on a cached DataFrame; a rung is the limit of iterations."""

    def __init__(self, job):
        super().__init__(job)
        from pyspark.sql import SparkSession

        # The console of Spark writes over what others print.
        settings = {
            "spark.driver.memory": "8g", "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
        }  # fmt: skip
        builder = SparkSession.builder.master(f"local[{THREADS}]")
        for name, setting in settings.items():
            builder = builder.config(name, setting)
        self.session = builder.getOrCreate()
        self.session.sparkContext.setLogLevel("ERROR")

    def load(self, path):
        from pyspark.ml.feature import VectorAssembler

        table = self.session.read.parquet(str(path))
        assembler = VectorAssembler(inputCols=FEATURES, outputCol="features")
        rows = assembler.transform(table).selectExpr("features", "cast(y as double) as label")
        rows = rows.cache()
        rows.count()
        return rows

    def fit(self, data, rung):
        from pyspark.ml.classification import LinearSVC, LogisticRegression

        kind = LinearSVC if self.loss == "hinge" else LogisticRegression
        model = kind(
            regParam=ALPHA, standardization=False, fitIntercept=self.job["intercept"], maxIter=rung,
            tol=1e-9,
        ).fit(data)  # fmt: skip
        return model.coefficients.toArray(), model.intercept, {}

    def close(self):
        self.session.stop()


WAYS = {
    "memory": Memory,
    "stream": Streamed,
    "read": ReadAlone,
    "dask": OnDask,
    "left-on-dask": LeftOnDask,
    "dask-ml": DaskML,
    "xgboost": XGBoost,
    "spark": Spark,
}


# --- memory and traffic, Linux only ---

PROC = Path("/proc")


def _status(process, name):
    """A line of the status of a process, in MB."""
    for line in (PROC / str(process) / "status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) / 1024
    return 0.0  # a process that is ending has none


def _family():
    """This process, and those that it and they have started."""
    found = ["self"]
    tasks = list((PROC / "self" / "task").iterdir())
    while tasks:
        for child in (tasks.pop() / "children").read_text().split():
            found.append(child)
            with contextlib.suppress(OSError):
                tasks += (PROC / child / "task").iterdir()
    return found


def _peaks():
    """Peak resident memory of this process, and of all others together."""
    client, *others = (_status(process, "VmHWM") for process in _family())
    return client, sum(others)


def _forget_peaks():
    """Makes the present resident memory the peak; returns that of this process."""
    for process in _family():
        (PROC / process / "clear_refs").write_text("5")
    return _status("self", "VmRSS")


def _traffic():
    """Bytes that have gone over the loopback interface, whoever sent them."""
    if not PROC.exists():
        return 0
    for line in (PROC / "net" / "dev").read_text().splitlines():
        if line.strip().startswith("lo:"):
            return int(line.split(":")[1].split()[0])
    return 0


# --- the job ---


def confine(limit):
    """Give this process no more memory than ``limit`` bytes, page cache included, by a control
    group of its own where one can be made; else no more data than that, resident or not."""
    root = Path("/sys/fs/cgroup")
    for folder, name in ((root / "memory", "memory.limit_in_bytes"), (root, "memory.max")):
        group = folder / f"sklearn_margin_{os.getpid()}"
        try:
            group.mkdir()
            (group / name).write_text(str(limit))
            (group / "cgroup.procs").write_text(str(os.getpid()))
        except OSError:
            continue
        return
    import resource

    resource.setrlimit(resource.RLIMIT_DATA, (limit,) * 2)


def run(job: dict) -> dict:
    """Warm up, load, climb the ladder."""
    if job["limit"]:
        confine(job["limit"])
    way = WAYS[job["way"]](job)
    try:
        way.fit(way.load(job["tiny"]), job["rungs"][-1])
        start = time.perf_counter()
        data = way.load(job["folder"])
        load = time.perf_counter() - start
        before = _forget_peaks() if PROC.exists() else None
        runs = [_rung(way, data, rung, job["quick"]) for rung in job["rungs"]]
        peaks = _peaks() if PROC.exists() else (None, None)
    finally:
        way.close()
    return {"load": load, "before": before, "client": peaks[0], "others": peaks[1], "runs": runs}


def _rung(way, data, rung, quick):
    """Median seconds and solution of a rung, and the least traffic of a fit."""
    seconds, traffic = [], []
    while not seconds or (not quick and seconds[0] < SHORT and len(seconds) < REPEATS):
        sent, start = _traffic(), time.perf_counter()
        coef, intercept, told = way.fit(data, rung)
        seconds.append(time.perf_counter() - start)
        traffic.append((_traffic() - sent) / 2**20)
    solution = None if coef is None else [list(map(float, coef)), float(intercept)]
    return {
        "rung": rung, "seconds": median(seconds), "solution": solution,
        "traffic": min(traffic), "reads": way.count_reads(data, rung), **told,
    }  # fmt: skip


def main(job: str, output: str):
    warnings.simplefilter("ignore")
    try:
        result = run(json.loads(job))
    except Exception as error:  # whatever a peer raises is a result
        line = str(error).strip().splitlines() or [""]
        result = {"problem": f"failed: {type(error).__name__}: {line[0][:150]}", "runs": []}
    Path(output).write_text(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
