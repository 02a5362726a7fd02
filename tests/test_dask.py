"""Fits and predictions of Dask collections."""

import os
import pickle
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn_releases import HAS_CALLBACKS, Callback, ProgressBar
from test_batches import GRADES, LABELS, MODELS, QUERIES, WEIGHTS, D, N, T, X

from sklearn_margin import (
    HingeClassifier,
    LinearClassifier,
    LinearEmbedding,
    LinearRanker,
    LinearRegressor,
    QuantileRegressor,
    RankSVM,
    _dask,
    _tables,
    _workers,
    regularization_path,
)
from sklearn_margin.objective.parted import PartedRows

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")
distributed = pytest.importorskip("distributed")


CHUNKS = (100, 0, 600, 1, 799, 500)
NAMES = list("abcd")


@pytest.fixture(autouse=True)
def few_are_kept(monkeypatch):
    """Of so few rows all would be kept, and fitted in memory."""
    monkeypatch.setattr(_tables, "KEPT", 2000)


def cluster(n_workers, n_threads=1, processes=False):
    return distributed.Client(
        distributed.LocalCluster(
            n_workers=n_workers,
            threads_per_worker=n_threads,
            processes=processes,
            dashboard_address=":0",
        ),
        set_as_default=False,
    )


@pytest.fixture(scope="module")
def threads():
    """The client of two workers in this process."""
    with cluster(2) as client, client.cluster:
        yield client


@pytest.fixture(scope="module")
def processes():
    """The client of two workers in processes of their own."""
    with cluster(2, processes=True) as client, client.cluster:
        yield client


def blocks(values, chunks=CHUNKS):
    """A Dask array of some rows."""
    return da.from_array(values, chunks=(chunks, *values.shape[1:]))


def frame(n_parts=3):
    """Columns of several types, and y, w and q."""
    table = pd.DataFrame(X, columns=NAMES).assign(y=LABELS, w=WEIGHTS, q=QUERIES)
    table["a"] = (10 * table["a"]).round().astype(np.int16)
    table["c"] = table["c"] > 0
    table["d"] = table["d"].astype(np.float32)
    return dd.from_pandas(table, npartitions=n_parts, sort=False)


def csr_blocks(dtype=np.float64, kind=sp.csr_array):
    return blocks(X.astype(dtype)).map_blocks(kind, meta=kind((0, 0), dtype=dtype))


def unknown(values, chunks=CHUNKS):
    """As ``blocks``, of which no size is known."""
    parts = blocks(values, chunks)
    return parts[blocks(np.ones(N, dtype=bool), chunks)]


# --- fits -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [name for name in MODELS if name not in ("squared", "squared hinge", "crammer_singer")]
)
def test_a_fit_is_that_in_memory(name):
    model, target = MODELS[name]
    options = {"sample_weight": WEIGHTS}
    if isinstance(model, LinearRanker | RankSVM):
        options["groups"] = QUERIES
    given = {key: blocks(values) for key, values in options.items()}
    smooth = name not in ("hinge", "one against the rest", "quantiles", "pairwise hinge")
    model = clone(model).set_params(tol=1e-4 if smooth else 1e-6)
    found = clone(model).fit(blocks(X), blocks(target), **given)
    exact = clone(model).set_params(solver=found.solver_).fit(X, target, **options)
    error = 1e-5 if smooth else 2e-3  # near kinks the objective is flat
    np.testing.assert_allclose(found.coef_, exact.coef_, rtol=error, atol=0.1 * error)
    if hasattr(exact, "intercept_"):
        np.testing.assert_allclose(found.intercept_, exact.intercept_, atol=10 * error)
    assert np.all(found.dual_gap_ <= exact.dual_gap_ + 1e-4)
    if hasattr(exact, "scale_"):
        np.testing.assert_allclose(found.scale_, exact.scale_, rtol=1e-5)
    if hasattr(exact, "classes_"):
        np.testing.assert_array_equal(found.classes_, exact.classes_)
    if hasattr(exact, "n_pairs_"):
        assert found.n_pairs_ == exact.n_pairs_


def of_unknown_width(parts):
    parts = [da.from_delayed(part, (np.nan, np.nan), float) for part in parts]
    return da.concatenate(parts, allow_unknown_chunksizes=True)


X_FORMS = {
    "columns in blocks": lambda: (blocks(X).rechunk({1: (1, 3)}), X),
    "unknown sizes": lambda: (unknown(X), X),
    "unknown width": lambda: (of_unknown_width(blocks(X).to_delayed()[:, 0]), X),
    "float32": lambda: (blocks(X.astype(np.float32)), X.astype(np.float32)),
    "float32 and float64": lambda: (
        da.concatenate([blocks(X)[:700].astype(np.float32), blocks(X)[700:]]).rechunk(
            {0: CHUNKS}
        ),
        np.concatenate([X[:700].astype(np.float32), X[700:]]),
    ),
    "integers": lambda: (blocks((10 * X).astype(np.int32)), (10 * X).astype(np.int32)),
    "csr_array": lambda: (csr_blocks(), sp.csr_array(X)),
    "csr_matrix": lambda: (csr_blocks(kind=sp.csr_matrix), sp.csr_array(X)),
    "csc": lambda: (csr_blocks(kind=sp.csc_array), sp.csr_array(X)),
    "csr columns in blocks": lambda: (
        blocks(X).rechunk({1: (1, 3)}).map_blocks(sp.csr_matrix, meta=sp.csr_matrix((0, 0))),
        sp.csr_array(X),
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", X_FORMS)
def test_forms_of_x(form):
    given, here = X_FORMS[form]()
    model = LinearClassifier("logistic", tol=1e-6)
    y = unknown(LABELS) if form.startswith("unknown") else blocks(LABELS)
    found, exact = clone(model).fit(given, y), clone(model).fit(here, LABELS)
    assert found.coef_.dtype == exact.coef_.dtype
    assert found.n_features_in_ == D
    assert not hasattr(found, "feature_names_in_")
    np.testing.assert_allclose(found.coef_, exact.coef_, rtol=1e-3 if "32" in form else 1e-6)


def test_a_frame():
    table = frame()
    there = table.compute()
    model = LinearClassifier("logistic", tol=1e-8)
    found = clone(model).fit(table[NAMES], table["y"], table["w"])
    exact = clone(model).fit(there[NAMES], there["y"], there["w"])
    np.testing.assert_allclose(found.coef_, exact.coef_, rtol=1e-6)
    assert found.feature_names_in_.tolist() == NAMES
    assert found.classes_.dtype == exact.classes_.dtype
    ranker = RankSVM().fit(table[NAMES], table["w"], groups=table["q"])
    assert ranker.n_pairs_ == RankSVM().fit(there[NAMES], there["w"], groups=there["q"]).n_pairs_
    parts = table[table["b"] > 0]  # of sizes that are not known
    found = clone(model).fit(parts[NAMES].to_dask_array(), parts["y"])
    there = there[there["b"] > 0]
    exact = clone(model).fit(there[NAMES].to_numpy(dtype=float), there["y"])
    np.testing.assert_allclose(found.coef_, exact.coef_, rtol=1e-6)


Y_FORMS = {
    "array": lambda: LABELS,
    "list": lambda: LABELS.tolist(),
    "series": lambda: pd.Series(LABELS),
    "column": lambda: blocks(LABELS[:, None]),
    "column in memory": lambda: LABELS[:, None],
    "other chunks": lambda: blocks(LABELS, (1000, 1000)),
    "objects": lambda: blocks(LABELS.astype(object)),
    "unknown sizes": lambda: unknown(LABELS),
    "one series": lambda: dd.from_pandas(pd.Series(LABELS), npartitions=1),
}


def test_columns_of_files_come_in_the_same_parts(tmp_path):
    """Dask merges files of which few columns are read: y alone would come in other parts than X."""
    pytest.importorskip("pyarrow")
    table = pd.DataFrame(X, columns=list("abcd")).assign(y=LABELS == "yes", w=WEIGHTS)
    for k, rows in enumerate(np.array_split(np.arange(N), 10)):
        table.iloc[rows].to_parquet(tmp_path / f"{k}.parquet", index=False)
    frame = dd.read_parquet(tmp_path)
    features = frame[list("abcd")]
    assert len(features.to_delayed()) != len(frame["y"].to_delayed())
    found = LinearClassifier("logistic").fit(features, frame["y"], sample_weight=frame["w"])
    exact = LinearClassifier("logistic").fit(X, LABELS == "yes", WEIGHTS)
    np.testing.assert_allclose(found.coef_, exact.coef_, rtol=1e-5, atol=1e-6)
    assert found.score(features, frame["y"]) == exact.score(X, LABELS == "yes")


@pytest.mark.parametrize("form", Y_FORMS)
def test_forms_of_y(form):
    y = Y_FORMS[form]()
    rows = blocks(X, (N,)) if form == "one series" else blocks(X)
    found = LinearClassifier("logistic").fit(rows, y)
    exact = LinearClassifier("logistic").fit(rows, blocks(LABELS))
    np.testing.assert_allclose(found.coef_, exact.coef_, rtol=1e-6)
    assert found.classes_.tolist() == ["no", "yes"]


def test_targets_that_hold_groups():
    packed = np.column_stack([GRADES, QUERIES])
    exact = RankSVM().fit(X, GRADES, groups=QUERIES)
    for y in (blocks(packed), blocks(packed).rechunk({1: 1}), packed):
        found = RankSVM().fit(blocks(X), y)
        np.testing.assert_allclose(found.coef_, exact.coef_, rtol=1e-5)
        assert found.n_pairs_ == exact.n_pairs_


def test_a_number_for_all_weights():
    exact = LinearClassifier("logistic").fit(blocks(X), blocks(LABELS))
    for number in (3.0, frame()["w"].sum(), da.from_array(np.array(3.0))):
        found = LinearClassifier("logistic").fit(blocks(X), blocks(LABELS), number)
        np.testing.assert_allclose(found.coef_, exact.coef_, rtol=1e-9)


def test_a_class_that_is_missing_in_parts():
    order = np.argsort(GRADES, kind="stable")
    model = LinearClassifier("cross_entropy")
    found = clone(model).fit(blocks(X[order]), blocks(GRADES[order]))
    exact = clone(model).fit(X, GRADES)
    assert found.classes_.tolist() == exact.classes_.tolist()
    np.testing.assert_allclose(found.coef_, exact.coef_, rtol=1e-4, atol=1e-5)


def test_few_rows_are_fitted_in_memory(monkeypatch):
    monkeypatch.setattr(_tables, "KEPT", 10**6)
    for data in (blocks(X), csr_blocks(), frame()[NAMES]):
        y = frame()["y"] if hasattr(data, "columns") else blocks(LABELS)
        found = HingeClassifier(solver="interior_point").fit(data, y)
        here = data.compute()
        exact = HingeClassifier(solver="interior_point").fit(here, LABELS)
        np.testing.assert_array_equal(found.coef_, exact.coef_)
        assert hasattr(found, "feature_names_in_") == hasattr(data, "columns")


def test_what_x_and_y_are_made_of_is_read_once():
    reads = []

    def load(k):
        reads.append(k)
        return np.column_stack([X, T])[400 * k : 400 * (k + 1)]

    parts = [da.from_delayed(dask.delayed(load)(k), (400, D + 1), float) for k in range(5)]
    table = da.concatenate(parts)
    LinearRegressor("huber").fit(table[:, :D], table[:, D])
    assert sorted(reads) == list(range(5))


# --- places ---------------------------------------------------------------------------------


def fitted(name="logistic"):
    """A fit to the same blocks, with all there is by row."""
    model, target = MODELS[name]
    groups = {"groups": blocks(QUERIES)} if isinstance(model, RankSVM) else {}
    return clone(model).fit(blocks(X), blocks(target), blocks(WEIGHTS), **groups)


@cache
def fitted_here(name="logistic"):
    """The same without a cluster, by Dask's scheduler of threads."""
    return fitted(name)


def assert_same(found, expected):
    np.testing.assert_array_equal(found.coef_, expected.coef_)
    np.testing.assert_array_equal(found.dual_gap_, expected.dual_gap_)


@pytest.mark.parametrize("name", ["rank svm", "huber"])
def test_places_change_no_bit(name, threads):
    with threads.as_current():
        found = fitted(name)
    assert_same(found, fitted_here(name))


@pytest.mark.parametrize("scheduler", ["threads", "synchronous", "processes"])
def test_schedulers_of_dask(scheduler, threads):
    with threads.as_current(), dask.config.set(scheduler=scheduler, num_workers=1):
        seen = []
        plain, _workers.Cluster.map = _workers.Cluster.map, lambda *_: seen.append(0)
        try:
            found = fitted()
        finally:
            _workers.Cluster.map = plain
    assert not seen
    assert_same(found, fitted_here())


@pytest.mark.parametrize(("n_workers", "n_threads"), [(1, 3), (7, 1)])
def test_any_number_of_workers(n_workers, n_threads):
    with cluster(n_workers, n_threads) as client, client.cluster, client.as_current():
        assert_same(fitted(), fitted_here())


def test_a_client_of_later(threads):
    data = blocks(X), blocks(LABELS)
    first = LinearClassifier("logistic").fit(*data)
    with threads.as_current():
        assert_same(LinearClassifier("logistic").fit(*data), first)
        kept = dask.persist(*data)
        assert_same(LinearClassifier("logistic").fit(*kept), first)


def test_two_fits_at_once(threads):
    """In threads that know the client by the configuration alone."""
    names = ["logistic", "rank svm"]
    with dask.config.set(scheduler=threads), ThreadPoolExecutor(2) as pool:
        for name, found in zip(names, pool.map(fitted, names), strict=True):
            assert_same(found, fitted_here(name))


def test_processes_change_no_bit(processes):
    """Where what comes in a message is not aligned."""
    with processes.as_current():
        model = fitted()
        if HAS_CALLBACKS:
            model.set_callbacks(ProgressBar())  # which is not pickled
        labels = model.predict(blocks(X)).compute()
    assert_same(model, fitted_here())
    np.testing.assert_array_equal(labels, model.predict(X))


def killed_within(client, k, monkeypatch):
    """Let a worker of the client die at the evaluation number k of a fit."""
    calls, real = [], PartedRows.map

    def evaluate(self, *arguments, **options):
        calls.append(0)
        if len(calls) == k:
            pids = client.run(os.getpid)
            address = max(client.has_what().items(), key=lambda item: len(item[1]))[0]
            os.kill(pids[address], getattr(signal, "SIGKILL", signal.SIGTERM))  # Windows
        return real(self, *arguments, **options)

    monkeypatch.setattr(PartedRows, "map", evaluate)
    return calls


def test_a_worker_is_killed(processes, monkeypatch):
    expected = fitted_here("rank svm")
    with processes.as_current():
        calls = killed_within(processes, 8, monkeypatch)
        found = fitted("rank svm")
    assert len(calls) > 8
    assert_same(found, expected)


def test_scattered_data_are_lost(processes, monkeypatch):
    processes.wait_for_workers(2)
    with processes.as_current():
        sent = processes.scatter([X[:1000], X[1000:]])
        rows = da.concatenate([da.from_delayed(part, (1000, D), float) for part in sent])
        model = LinearClassifier("logistic")
        expected = clone(model).fit(rows, blocks(LABELS, (1000, 1000)))
        model.fit(X, LABELS)
        before = model.coef_
        killed_within(processes, 8, monkeypatch)
        with pytest.raises(RuntimeError, match=r"lost with its worker.*scatter"):
            model.fit(rows, blocks(LABELS, (1000, 1000)))
    assert model.coef_ is before
    assert expected.dual_gap_ < 1e-4


# --- groups ---------------------------------------------------------------------------------


def grouped(ids, chunks, make=np.asarray):
    """A ranker of which the groups are cut, and that of the same rows in memory."""
    found = RankSVM(tol=1e-8).fit(
        blocks(X, chunks), blocks(GRADES, chunks), blocks(WEIGHTS, chunks),
        groups=blocks(make(ids), chunks),
    )  # fmt: skip
    exact = RankSVM(tol=1e-8).fit(X, GRADES, WEIGHTS, groups=ids)
    return found, exact


SHUFFLED = np.concatenate([np.random.default_rng(k).permutation(QUERIES[a:a + 500])
                           for k, a in enumerate(range(0, N, 500))])  # fmt: skip
LONG = np.concatenate([np.repeat(np.arange(9), 100), np.full(700, 9), np.repeat([10, 11], 200)])
GROUPS = {
    "within parts": (np.repeat(np.arange(20), 100), (500,) * 4),
    "straddling": (QUERIES, (500,) * 4),
    "unsorted": (SHUFFLED, (500,) * 4),
    "over three parts": (LONG, (850, 100, 650, 400)),
    "over five parts": (LONG, (850, 100, 0, 1, 99, 550, 400)),
    "all in one": (np.zeros(N, dtype=int), (500,) * 4),
    "backwards": (QUERIES[::-1].copy(), (500,) * 4),
}  # fmt: skip


@pytest.mark.parametrize(
    ("case", "kind"),
    [
        *((case, "numbers") for case in GROUPS),
        ("unsorted", "strings"),
        ("over three parts", "strings"),
        ("all in one", "strings"),
        ("over five parts", "cluster"),
    ],
)
def test_groups_of_parts(case, kind, threads):
    ids, chunks = GROUPS[case]
    if kind == "strings":
        found, exact = grouped(ids, chunks, lambda ids: np.char.add("q", ids.astype(str)))
    elif kind == "cluster":
        with threads.as_current():
            found, exact = grouped(ids, chunks)
    else:
        found, exact = grouped(ids, chunks)
    assert found.n_pairs_ == exact.n_pairs_
    np.testing.assert_allclose(found.coef_, exact.coef_, rtol=1e-6)


def test_only_groups_that_straddle_are_moved(monkeypatch):
    moved, real = [], _dask._within

    def within(raw, ids):
        moved.append(real(raw, ids))
        return moved[-1]

    monkeypatch.setattr(_dask, "_within", within)
    ids = np.repeat(np.arange(40), 50)
    grouped(ids, (500, 520, 480, 500))  # group 20 is cut
    assert [rows.by_row.n for rows in moved] == [20, 30]
    assert {rows.by_row.groups[0] for rows in moved} == {20}


@pytest.mark.parametrize("in_cluster", [False, True])
def test_a_group_in_parts_that_are_no_neighbours(in_cluster, threads):
    ids = np.repeat([0, 1, 2, 0], 500)
    with threads.as_current(), dask.config.set(scheduler=None if in_cluster else "threads"):
        with pytest.raises(ValueError, match=r"group .*0.* not neighbours.*shuffle"):
            grouped(ids, (500,) * 4)
        with pytest.raises(ValueError, match="not neighbours"):
            grouped(ids, (500,) * 4, lambda ids: ids.astype(str))


# --- predictions ----------------------------------------------------------------------------


def never(block):
    """What must not be computed."""
    raise AssertionError("a block was computed")


METHODS = ("predict", "decision_function", "predict_proba", "predict_log_proba")
PREDICTORS = {
    "two classes": (LinearClassifier("logistic"), LABELS),
    "three classes": (LinearClassifier("cross_entropy"), GRADES),
    "regression": (LinearRegressor("squared"), T),
    "quantiles": (QuantileRegressor(quantile=[0.1, 0.9], alpha=1e-2), T),
    "ranking": (RankSVM(), np.column_stack([GRADES, QUERIES])),
}


@pytest.mark.parametrize("name", PREDICTORS)
@pytest.mark.parametrize("form", ["array", "float32", "csr", "columns in blocks", "unknown sizes"])
def test_predictions_of_arrays(name, form):
    model, target = PREDICTORS[name]
    dtype = np.float32 if form == "float32" else np.float64
    rows = X.astype(dtype)
    model = clone(model).fit(rows, target)
    given = {
        "csr": csr_blocks,
        "columns in blocks": lambda: blocks(rows).rechunk({1: (1, 3)}),
        "unknown sizes": lambda: unknown(rows),
    }.get(form, lambda: blocks(rows))()
    for method in METHODS:
        if not hasattr(model, method):
            continue
        expected = getattr(model, method)(rows)
        found = getattr(model, method)(given)
        assert isinstance(found, da.Array)
        assert found.dtype == expected.dtype
        assert found.ndim == expected.ndim
        assert found.shape[1:] == expected.shape[1:]
        assert isinstance(found._meta, np.ndarray)
        if form == "unknown sizes":
            assert np.isnan(found.chunks[0]).all()
        else:
            assert found.chunks[0] == CHUNKS
        parts = [part.compute() for part in np.ravel(found.to_delayed())]
        assert [len(part) for part in parts] == list(CHUNKS)
        assert {part.dtype for part in parts} == {expected.dtype}
        whole = np.concatenate(parts)
        if expected.dtype.kind == "f":
            error = 1e-4 if form == "float32" else 1e-10
            np.testing.assert_allclose(whole, expected, rtol=error, atol=error)
        else:
            np.testing.assert_array_equal(whole, expected)


def test_predictions_of_frames():
    table = frame()[NAMES]
    here = table.compute()
    model = LinearClassifier("logistic").fit(here, LABELS)
    for method in METHODS:
        expected = getattr(model, method)(here)
        found = getattr(model, method)(table)
        assert (found.dtype, found.shape[1:]) == (expected.dtype, expected.shape[1:])
        same = np.testing.assert_array_equal if method == "predict" else np.testing.assert_allclose
        same(found.compute(), expected)
    floats = here.astype(np.float32)
    single = LinearClassifier("logistic").fit(floats, LABELS)
    found = single.decision_function(dd.from_pandas(floats, npartitions=3, sort=False))
    assert found.dtype == found.compute().dtype == np.float32
    some = table[table["b"] > 0]
    assert len(model.predict(some).compute()) == (here["b"] > 0).sum()
    none = model.predict_proba(table[table["b"] > 1e9])
    assert none.compute().shape == (0, 2)


def test_predictions_are_computed_when_they_are_needed():
    model = LinearClassifier("logistic").fit(X, LABELS)
    lazy = blocks(X).map_blocks(never, meta=np.empty((0, 0)))
    frames = frame()[NAMES].map_partitions(never, meta=frame()[NAMES]._meta)
    named = LinearClassifier("logistic").fit(frame()[NAMES].compute(), LABELS)
    for method in METHODS:
        for fitted_model, rows in ((model, lazy), (named, frames)):
            found = getattr(fitted_model, method)(rows)
            with pytest.raises(AssertionError, match="a block was computed"):
                found.compute()


def test_predictions_are_those_of_the_model_as_it_was():
    model = LinearClassifier("logistic").fit(X, LABELS)
    before, found = model.predict(X), model.predict(blocks(X))
    model.fit(X, LABELS[::-1])
    np.testing.assert_array_equal(found.compute(), before)
    assert model.predict(blocks(X)).name != found.name


def test_wrong_rows_are_told_at_once():
    table = frame()
    model = LinearClassifier("logistic").fit(table[NAMES], table["y"])
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(table[NAMES[::-1]])
    with pytest.raises(ValueError, match=r"numbers.*\['y'\]"):
        model.predict(table[[*NAMES[:3], "y"]])
    with (
        pytest.raises(ValueError, match="X has 3 features"),
        pytest.warns(UserWarning, match="names"),
    ):
        model.predict(blocks(X[:, :3]))
    with pytest.warns(UserWarning, match="names") as told:
        model.predict(blocks(X)).compute()
    assert len(told) == 1  # not for each block
    with pytest.raises(ValueError, match="not fitted"):
        LinearClassifier().predict(blocks(X))


WITHOUT_DASK = """
import pickle, sys
sys.modules["dask"] = sys.modules["distributed"] = None  # to import them is an error
model, rows, expected = pickle.load(sys.stdin.buffer)
assert (model.predict(rows) == expected).all()
import sklearn_margin
sklearn_margin.LinearClassifier("logistic").fit(rows, expected).predict(rows)
assert not [name for name in sys.modules if name.startswith(("dask.", "distributed."))]
"""


@pytest.mark.compiled
def test_a_fitted_model_needs_no_dask(threads):
    with threads.as_current():
        model = LinearClassifier("logistic").fit(frame()[NAMES], frame()["y"])
    rows = frame()[NAMES].compute()
    subprocess.run(
        [sys.executable, "-c", WITHOUT_DASK], check=True, timeout=120,
        input=pickle.dumps((model, rows, model.predict(rows))),
    )  # fmt: skip


# --- what is refused ------------------------------------------------------------------------


def test_a_failed_fit_changes_nothing(threads):
    model = LinearClassifier("logistic").fit(blocks(X), blocks(LABELS))
    before = dict(vars(model))
    broken = X.copy()
    broken[-1, 0] = np.nan
    for scheduler in ("threads", threads):
        with dask.config.set(scheduler=scheduler):
            with pytest.raises(ValueError, match="X in part 5 contains NaN"):
                model.fit(blocks(broken), blocks(LABELS))
            with pytest.raises(ValueError, match=r"[Nn]egative"):
                model.fit(blocks(X), blocks(LABELS), blocks(-WEIGHTS))
    assert vars(model) == before


ROWS, TWICE = blocks(X), np.tile(LABELS, 2)
HALVES = (1000, 1000)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: (
                of_unknown_width([dask.delayed(X), dask.delayed(X[:, :3])]),
                blocks(TWICE, (N, N)),
            ),
            r"same number of features.*\[3, 4\]",
        ),
        (lambda: (da.concatenate([ROWS, csr_blocks()]), TWICE), "sparse or dense"),
        (lambda: (ROWS, blocks(LABELS[1:], (1000, 999))), "y has 1999 entries, and X has 2000"),
        (lambda: (ROWS, LABELS[1:]), "y has 1999 entries, and X has 2000"),
        (lambda: (ROWS, unknown(LABELS, HALVES)), "y is in 2 parts, and X in 6"),
        (
            lambda: (blocks(X, HALVES), unknown(LABELS, (999, 1001))),
            r"y of part [01] has (999|1001) entries, and X has 1000",
        ),
        (lambda: (unknown(X), LABELS), "y must be a Dask collection"),
        (lambda: (frame()[NAMES], LABELS), "y must be a Dask collection"),
        (lambda: (frame(3)[NAMES], frame(2)["y"]), "y is in 2 parts, and X in 3"),
        (lambda: (frame(), frame()["y"]), r"numbers, and its columns \['y'\]"),
        (lambda: (frame()[NAMES].astype("category"), frame()["y"]), "numbers, and its columns"),
        (lambda: (frame()["a"], frame()["y"]), "2 dimensions"),
        (lambda: (blocks(X[:, :, None]), blocks(LABELS)), "2 dimensions"),
        (lambda: (blocks(X[:0], (0,)), blocks(LABELS[:0], (0,))), "no rows"),
        (lambda: (ROWS, None), "requires y"),
        (lambda: (ROWS, blocks(np.full(N, "no"))), "at least 2 classes"),
        (lambda: (ROWS, blocks(T)), "Unknown label type"),
        (lambda: (blocks(np.full((N, 2), "a")), blocks(LABELS)), "convert string to float"),
    ],
)
def test_wrong_data(make, message):
    with pytest.raises(ValueError, match=message):
        LinearClassifier("logistic").fit(*make())


def test_wrong_uses():
    rows, y = blocks(X), blocks(LABELS)
    for data in ((X, y), (X, LABELS, blocks(WEIGHTS))):
        with pytest.raises(TypeError, match="Dask Array"):
            LinearClassifier("logistic").fit(*data)
    with pytest.raises(TypeError, match="Dask Array"):
        RankSVM().fit(X, GRADES, groups=blocks(QUERIES))
    with pytest.raises(TypeError, match="got a Dask Array"):
        LinearClassifier(solver="sgd").partial_fit(rows, y, classes=["no", "yes"])
    with pytest.raises(TypeError, match="got a Dask Array"):
        LinearEmbedding("nca").fit(rows, y)
    for other in (dask.delayed(X), frame()[NAMES].to_bag()):
        with pytest.raises(TypeError, match="must be a Dask array or data frame"):
            LinearClassifier("logistic").fit(other, y)
    for solver in ("interior_point", "sgd", "dual_cd"):
        with pytest.raises(ValueError, match=rf"'{solver}'.*on Dask.*smoothing"):
            LinearClassifier("hinge", solver=solver).fit(rows, y)
    with pytest.raises(ValueError, match=r"Dice.*on Dask.*partial_fit"):
        LinearClassifier("dice").fit(rows, y)
    with pytest.raises(ValueError, match=r"probability='sigmoid' needs the rows in memory"):
        HingeClassifier(probability="sigmoid", max_iter=1).fit(rows, y)  # and is not begun
    with pytest.raises(ValueError, match=r"needs groups.*on Dask"):
        RankSVM().fit(rows, blocks(GRADES))


# --- traffic --------------------------------------------------------------------------------


def watched(client, monkeypatch):
    """Lists of what comes to the client, in bytes, and of how many tasks an evaluation has."""
    size, tasks, real_get, real_map = [], [], _workers.Cluster.get, _workers.Cluster.map

    def get(self, held):
        found = real_get(self, held)
        size.append(len(pickle.dumps(found)))
        return found

    def spread(self, function, *arguments, **options):
        submitted, submit = [], self.client.submit
        self.client.submit = lambda *a, **k: (submitted.append(0), submit(*a, **k))[1]
        try:
            return real_map(self, function, *arguments, **options)
        finally:
            del self.client.submit
            tasks.append(len(submitted))

    monkeypatch.setattr(_workers.Cluster, "get", get)
    monkeypatch.setattr(_workers.Cluster, "map", spread)
    return size, tasks


def test_nothing_with_entries_by_row_travels(threads, monkeypatch):
    size, tasks = watched(threads, monkeypatch)
    largest = []
    for times in (1, 8):
        size.clear(), tasks.clear()
        chunks = (times * 250,) * 8
        # As many groups of the same sizes, for each of the times.
        groups = np.concatenate([QUERIES + 80 * k for k in range(times)])
        rows = [blocks(np.concatenate([part] * times), chunks) for part in (X, GRADES, WEIGHTS)]
        with threads.as_current():
            RankSVM().fit(*rows, blocks(groups, chunks))
        kept = max(size)  # the sample is the largest
        largest.append((kept, max(part for part in size if part < kept)))
        # Which of the two workers hold blocks is for Dask to say; of eight blocks, here.
        assert set(tasks) <= {1, 2}, "more than one task for a worker"
    (kept, rest), (kept_of_more, rest_of_more) = largest
    assert kept_of_more < 1.5 * kept
    assert rest_of_more < 1.1 * rest < 20_000


def test_no_block_moves(threads, monkeypatch):
    """Evaluations go where blocks are, from the first one on."""
    moved, real = [], _workers.Cluster._shares

    def shares(self):
        found = real(self)
        where = self.client.who_has(self.held)
        moved.extend(
            self.held[k].key for worker, share in found for k in share
            if worker not in where[self.held[k].key]
        )  # fmt: skip
        assert sorted(k for _, share in found for k in share) == list(range(len(self.held)))
        assert len(found) == len({worker for worker, _ in found}) <= 2
        return found

    monkeypatch.setattr(_workers.Cluster, "_shares", shares)
    with threads.as_current():
        LinearClassifier("logistic").fit(blocks(X, (250,) * 8), blocks(LABELS, (250,) * 8))
    assert not moved


# --- the rest of a fit ----------------------------------------------------------------------


def test_a_warm_start():
    model = LinearClassifier("logistic", warm_start=True, tol=1e-6)
    first = model.fit(blocks(X), blocks(LABELS)).n_iter_
    assert model.fit(blocks(X), blocks(LABELS)).n_iter_ < first


def test_a_path(threads):
    model, target = RankSVM(tol=1e-6), blocks(GRADES)
    settings = {"n_alphas": 3, "alpha_ratio": 1e-2}
    with threads.as_current():
        groups = blocks(QUERIES)
        found = regularization_path(model, blocks(X), target, groups=groups, **settings)
    exact = regularization_path(model, X, GRADES, groups=QUERIES, **settings)
    np.testing.assert_allclose(found.alphas, exact.alphas, rtol=1e-6)
    np.testing.assert_allclose(found.coefs, exact.coefs, atol=2e-3 * np.abs(exact.coefs).max())


@pytest.mark.sklearn("1.9")
def test_progress_is_told(capsys, threads):
    seen = []

    class Told(Callback):
        def on_fit_task_end(self, estimator, context):
            seen.append(context.task_name)

    with threads.as_current():
        model = LinearClassifier("logistic", verbose=1).set_callbacks(Told())
        model.fit(blocks(X), blocks(LABELS))
    assert seen.count("iteration") == model.n_iter_
    assert "gap" in capsys.readouterr().out
