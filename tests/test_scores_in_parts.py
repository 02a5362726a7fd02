"""Scores and embeddings of data in parts: ``Batches`` and Dask collections."""

import pickle
import tracemalloc
from functools import cache

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.exceptions import NotFittedError, UndefinedMetricWarning
from test_batches import (
    CONTAINERS,
    CUTS,
    GRADES,
    LABELS,
    MODELS,
    QUERIES,
    WEIGHTS,
    N,
    T,
    X,
    batches,
)

from sklearn_margin import Batches, LinearEmbedding, LinearRegressor, QuantileRegressor, RankSVM
from sklearn_margin._base import scores
from sklearn_margin._tables import columns_of
from sklearn_margin.batches import Batch

da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")

SIZES = tuple(np.diff(CUTS).tolist())
NAMES = ["logistic", "hinge", "cross entropy", "huber", "squared", "quantiles", "rank svm"]


@cache
def fitted(name):
    """The model in memory, its target, and its groups."""
    model, target = MODELS[name]
    groups = {"groups": QUERIES} if isinstance(model, RankSVM) else {}
    return clone(model).fit(X, target, **groups), target, groups


def on_dask(values):
    return da.from_array(values, chunks=(SIZES, *values.shape[1:]))


def lazy(**given):
    return {name: None if part is None else on_dask(part) for name, part in given.items()}


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["equal", "weights"])
@pytest.mark.parametrize("name", NAMES)
def test_a_score_is_that_in_memory(name, weights):
    model, target, groups = fitted(name)
    expected = model.score(X, target, sample_weight=weights, **groups)
    found = model.score(batches(np.asarray, target, weights, **groups))
    assert found == pytest.approx(expected, rel=1e-12)
    assert isinstance(found, float)
    given = lazy(y=target, sample_weight=weights, **groups)
    assert model.score(on_dask(X), **given) == found


@pytest.mark.parametrize("container", ["csr", "pandas"])
def test_containers(container):
    make = CONTAINERS[container]
    target = pd.Series(LABELS)
    model = clone(MODELS["logistic"][0]).fit(make(X), target)
    expected = model.score(make(X), target, WEIGHTS)
    assert model.score(batches(make, target, WEIGHTS)) == pytest.approx(expected, rel=1e-12)


def test_data_frames():
    frame = pd.DataFrame(X, columns=list("abcd")).assign(y=LABELS, w=WEIGHTS)
    model = clone(MODELS["logistic"][0]).fit(frame[list("abcd")], frame["y"])
    expected = model.score(frame[list("abcd")], frame["y"], frame["w"])
    parts = dd.from_pandas(frame, npartitions=3)
    found = model.score(parts[list("abcd")], parts["y"], parts["w"])
    assert found == pytest.approx(expected, rel=1e-12)
    with pytest.raises(ValueError, match="feature names"):
        model.score(parts[list("abdc")], parts["y"])


@pytest.mark.parametrize("offset", [0.0, 1e7])
def test_the_variance_of_targets_far_from_zero(offset):
    model = LinearRegressor("squared", alpha=0).fit(X, T + offset)
    expected = model.score(X, T + offset)
    found = model.score(batches(np.asarray, T + offset))
    assert found == pytest.approx(expected, rel=1e-12 if offset == 0 else 1e-9)


def test_equal_targets():
    model, *_ = fitted("huber")
    same = np.full(N, 0.1)
    assert model.score(batches(np.asarray, same)) == 0
    constant = LinearRegressor("squared", alpha=1.0).fit(X, same)
    constant.coef_[:], constant.intercept_ = 0, 0.1
    assert constant.score(batches(np.asarray, same)) == 1
    quantiles, *_ = fitted("quantiles")
    assert quantiles.score(batches(np.asarray, same)) == 0


@pytest.mark.parametrize("weighted", [False, True])
def test_quantiles_of_ties_and_zeros(weighted):
    """Of targets of both signs, most of them equal to others, and weights of which some are 0."""
    rng = np.random.default_rng(0)
    y = np.round(rng.normal(size=N)) * rng.choice([1.0, 1e-3, 1e300], N)
    y[::7], s = -0.0, rng.integers(0, 3, N) if weighted else None
    model = QuantileRegressor(quantile=[0.05, 0.25, 0.5, 0.875], alpha=1.0).fit(X, T)
    expected = model.score(X, y, s)
    assert model.score(batches(np.asarray, y, s)) == pytest.approx(expected, rel=1e-12)


def test_the_best_constant_is_a_sample_quantile():
    y = np.r_[T, [np.inf]][:N] * np.where(np.arange(N) % 3, 1.0, -1.0)
    parts = scores.Predictions(
        scores.InProcess(
            [scores.Raw(y[a:b], scores.ByRow(b - a, y[a:b])) for a, b in ((0, 3), (3, N))]
        )
    )
    q = np.array([0.01, 0.3, 0.5, 0.99])
    np.testing.assert_array_equal(parts._quantiles(q), np.quantile(y, q, method="inverted_cdf"))


def test_a_scalar_quantile():
    model = QuantileRegressor(quantile=0.3, alpha=0.1).fit(X, T)
    found = model.score(batches(np.asarray, T, WEIGHTS))
    assert found == pytest.approx(model.score(X, T, WEIGHTS), rel=1e-12)


# --- groups ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cuts", [CUTS, [0, 5, 10, 10, 11, N], [*range(0, 200, 3), N]], ids=["few", "in one", "many"]
)
def test_groups_that_straddle(cuts):
    """Also those that span several parts, or are all there is of one."""
    model, target, groups = fitted("rank svm")
    expected = model.score(X, target, WEIGHTS, **groups)
    found = model.score(batches(np.asarray, target, WEIGHTS, **groups, cuts=cuts))
    assert found == pytest.approx(expected, rel=1e-12)


def test_weights_of_groups_of_other_size():
    """The largest weight of a group is of one without pairs, or of another part."""
    weights = WEIGHTS * np.exp(QUERIES - 40.0)
    weights[:150], weights[700:1500:2] = 0, 0
    grades = np.where(QUERIES > 70, 1, GRADES)
    model, _, groups = fitted("rank svm")
    expected = model.score(X, grades, weights, **groups)
    found = model.score(batches(np.asarray, grades, weights, **groups))
    assert found == pytest.approx(expected, rel=1e-12)


def test_packed_groups():
    model, target, _ = fitted("rank svm")
    packed = np.column_stack([target, QUERIES])
    expected = model.score(X, packed)
    assert model.score(batches(np.asarray, packed)) == pytest.approx(expected, rel=1e-12)
    assert model.score(on_dask(X), on_dask(packed)) == pytest.approx(expected, rel=1e-12)


def test_no_groups_are_one_group():
    model = RankSVM().fit_pairs(X[:900], X[900:1800], np.where(T[:900] > T[900:1800], 1, -1))
    expected = model.score(X, GRADES, WEIGHTS)
    assert model.score(batches(np.asarray, GRADES, WEIGHTS)) == pytest.approx(expected, rel=1e-12)
    found = model.score(on_dask(X), on_dask(GRADES), on_dask(WEIGHTS))
    assert found == pytest.approx(expected, rel=1e-12)


def test_groups_that_are_missing_or_apart():
    model, target, _ = fitted("rank svm")
    with pytest.raises(ValueError, match="fitted with groups and needs them to score"):
        model.score(batches(np.asarray, target))
    with pytest.raises(ValueError, match="fitted with groups and needs them to score"):
        model.score(on_dask(X), on_dask(target))
    with pytest.raises(ValueError, match=r"group 1 is in parts .* not neighbours"):
        model.score(batches(np.asarray, target, None, np.arange(N) % 100))


# --- what is undefined or refused ------------------------------------------------------------


def test_undefined_scores():
    one = Batches([(X[:1], T[:1])])
    for name, score in (("huber", r"R\^2"), ("quantiles", r"D\^2")):
        with pytest.warns(UndefinedMetricWarning, match=score) as caught:
            assert np.isnan(fitted(name)[0].score(one))
        assert caught[0].filename == __file__
    equal = Batches([(X[:5], np.ones(5), None, np.ones(5)), (X[5:8], np.ones(3), None, np.ones(3))])
    with pytest.warns(UndefinedMetricWarning, match="No two rows") as caught:
        assert np.isnan(fitted("rank svm")[0].score(equal))
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([], "no rows"),
        ([(X[:0], T[:0])], "no rows"),
        ([X], "requires y.*tuples"),
        ([(X[:900], T[:900], WEIGHTS[:900]), (X[900:], T[900:])], "have sample_weight, and some"),
        ([(X, T[:-1])], "y of batch 0 has 1999 entries, and X has 2000 rows"),
        ([(X, T, -WEIGHTS)], "sample_weight must not be negative"),
        ([(X, T, 0 * WEIGHTS)], "zero for every sample"),
        ([(X[:, :3], T)], "3 features, but HuberRegressor is expecting 4"),
        ([(X, np.where(T > 1, np.nan, T))], "y contains NaN"),
    ],
)  # fmt: skip
def test_wrong_batches(source, message):
    with pytest.raises(ValueError, match=message):
        fitted("huber")[0].score(Batches(source))


def test_wrong_uses():
    model, target, _ = fitted("huber")
    data = batches(np.asarray, target)
    for given in ({"y": target}, {"sample_weight": WEIGHTS}):
        with pytest.raises(ValueError, match=f"{next(iter(given))} must be in the batches"):
            model.score(data, **given)
    for rows in (X, on_dask(X)):
        with pytest.raises(ValueError, match="requires y"):
            model.score(rows)
    with pytest.raises(ValueError, match="y has 7 entries"):
        model.score(on_dask(X), on_dask(target)[:7])
    with pytest.raises(NotFittedError):
        LinearRegressor().score(data)
    with pytest.raises(ValueError, match="mix of"):
        fitted("logistic")[0].score(batches(np.asarray, T))


def test_one_read_and_nothing_held():
    reads, d = [], 20

    def parts():
        reads.append(0)
        rng = np.random.default_rng(0)
        for _ in range(20):
            frame = pd.DataFrame(rng.normal(size=(1000, d)))
            yield frame, frame[0]

    model = LinearRegressor("squared").fit(next(parts())[0], np.arange(1000.0))
    reads.clear()
    tracemalloc.start()
    model.score(Batches(parts))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(reads) == 1
    assert peak < 0.3 * 20_000 * d * 8


def test_a_column_does_not_hold_its_frame():
    frame = pd.DataFrame(X, columns=list("abcd"))
    rows = columns_of(Batch(None, frame["a"], X[:, 0], QUERIES[:N]), N, 0, None, "batch")
    assert all(values.flags.owndata for values in rows[1:] if values is not None)


def test_what_is_computed_elsewhere_travels():
    part = scores.Raw(T[:9], scores.ByRow(9, T[:9], WEIGHTS[:9], QUERIES[:9]))
    for function in (scores._facts, scores._squares, scores._pairs):
        more = () if function is scores._facts else (2.0,)
        again = pickle.loads(pickle.dumps(function))
        assert again(pickle.loads(pickle.dumps(part)), *more) == function(part, *more)


# --- embeddings ------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["nca", "arc_face"])
def test_embeddings(loss):
    model = LinearEmbedding(loss, n_components=2, max_iter=3, solver="lbfgs", tol=0)
    model.fit(X[:100], GRADES[:100])
    methods = [model.transform] + ([model.predict] if loss == "arc_face" else [])
    for method in methods:
        expected = method(X)
        found = list(method(batches(np.asarray, None)))
        assert [len(part) for part in found] == list(SIZES)
        np.testing.assert_allclose(np.concatenate(found), expected, rtol=1e-12, atol=1e-14)
        collection = method(on_dask(X))
        assert collection.dtype == expected.dtype
        assert collection.shape == expected.shape
        np.testing.assert_allclose(collection.compute(), expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(
        np.concatenate(list(model.transform(batches(sp.csr_array, None)))), model.transform(X)
    )


def test_embeddings_as_frames():
    frame = pd.DataFrame(X[:300], columns=list("abcd"))
    model = LinearEmbedding("nca", n_components=2, max_iter=3, solver="lbfgs", tol=0)
    model.fit(frame[:100], GRADES[:100]).set_output(transform="pandas")
    expected = model.transform(frame)
    parts = [frame[:100], frame[:0], frame[100:]]
    found = pd.concat(model.transform(Batches(parts)))
    pd.testing.assert_frame_equal(found, expected, check_index_type=False)
    collection = model.transform(dd.from_pandas(frame, npartitions=2))
    np.testing.assert_allclose(collection.compute(), expected)
