"""Fits and predictions of data that is read batch by batch."""

import threading
import tracemalloc
import warnings
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import dump_svmlight_file
from sklearn.exceptions import ConvergenceWarning

from sklearn_margin import (
    Batches,
    HingeClassifier,
    HuberRegressor,
    LinearClassifier,
    LinearEmbedding,
    LinearRanker,
    LinearRegressor,
    QuantileRegressor,
    RankSVM,
    _streams,
    _tables,
    losses,
    regularization_path,
)
from sklearn_margin.objective import parts
from sklearn_margin.solvers import _samples
from sklearn_margin.solvers import base as solver_base

N, D = 2000, 4
CUTS = [0, 100, 100, 700, 701, 1500, N]  # an empty batch, and one of a row
rng = np.random.default_rng(0)
X = rng.normal(size=(N, D)) * [1.0, 10.0, 0.1, 1.0] + [0.0, 5.0, 0.0, 0.0]
T = X @ [1.0, -0.1, 5.0, 0.0] + rng.normal(size=N)
LABELS = np.where(T.mean() < T, "yes", "no")
GRADES = np.digitize(T, np.quantile(T, [0.3, 0.7]))
QUERIES = np.sort(rng.integers(0, 80, N))
WEIGHTS = rng.uniform(0.5, 2.0, N)

MODELS = {
    "logistic": (LinearClassifier("logistic"), LABELS),
    "squared hinge": (LinearClassifier("squared_hinge"), LABELS),
    "hinge": (HingeClassifier(), LABELS),
    "one against the rest": (LinearClassifier("hinge"), GRADES),
    "cross entropy": (LinearClassifier("cross_entropy"), GRADES),
    "crammer_singer": (LinearClassifier("crammer_singer", alpha=1e-2), GRADES),
    "l1": (LinearClassifier("logistic", l1_ratio=1.0, alpha=1e-2), LABELS),
    "balanced": (LinearClassifier("logistic", class_weight="balanced"), LABELS),
    "huber": (HuberRegressor(), T),
    "squared": (LinearRegressor("squared", fit_intercept=False), T),
    "quantiles": (QuantileRegressor(quantile=[0.1, 0.9], alpha=1e-2), T),
    "rank svm": (RankSVM(), GRADES),
    "pairwise hinge": (LinearRanker("pairwise_hinge"), GRADES),
}


@pytest.fixture(autouse=True)
def few_are_kept(monkeypatch):
    """Of so few rows all would be kept, and fitted in memory."""
    monkeypatch.setattr(_tables, "KEPT", 2000)


def batches(make, target, weights=None, groups=None, cuts=CUTS):
    def parts():
        for a, b in pairwise(cuts):
            rest = (part if part is None else part[a:b] for part in (target, weights, groups))
            yield (make(X[a:b]), *rest)

    return Batches(parts)


CONTAINERS = {
    "dense": np.asarray,
    "csr": sp.csr_array,
    "pandas": lambda X: pd.DataFrame(X, columns=list("abcd")),
}


# Each model in one container: rows of each are tested in test_objective.py.
@pytest.mark.parametrize(
    ("name", "container"),
    [
        *((name, "dense") for name in MODELS),
        ("logistic", "csr"),
        ("rank svm", "csr"),
        ("hinge", "pandas"),
    ],
)
def test_a_fit_is_that_in_memory(name, container):
    model, target = MODELS[name]
    make, options = CONTAINERS[container], {"sample_weight": WEIGHTS}
    if isinstance(model, LinearRanker | RankSVM):
        options["groups"] = QUERIES
    kinked = ("hinge", "one against the rest", "quantiles", "pairwise hinge", "crammer_singer")
    smooth = name not in kinked
    model = clone(model).set_params(tol=1e-4 if smooth else 1e-6)
    found = clone(model).fit(batches(make, target, *options.values()))
    # Interior points visit rows by themselves.
    exact = clone(model).set_params(solver=found.solver_).fit(make(X), target, **options)
    # Near kinks the objective is flat. Of several classes the last digits are found row by row.
    error = 1e-2 if name == "crammer_singer" else 1e-5 if smooth else 2e-3
    np.testing.assert_allclose(found.coef_, exact.coef_, rtol=error, atol=0.1 * error)
    assert np.all(found.dual_gap_ <= exact.dual_gap_ + 1e-4)
    data = batches(make, target, *options.values())
    parts = list(found.predict(data))
    assert [len(part) for part in parts] == np.diff(CUTS).tolist()
    expected = found.predict(make(X))
    if expected.dtype.kind == "f":
        np.testing.assert_allclose(np.concatenate(parts), expected, rtol=1e-12, atol=1e-12)
    else:
        np.testing.assert_array_equal(np.concatenate(parts), expected)
    if container == "pandas":
        assert found.feature_names_in_.tolist() == list("abcd")


def test_other_batches_of_the_same_rows():
    one, other = (
        LinearClassifier("logistic", tol=1e-8).fit(batches(np.asarray, LABELS, cuts=cuts))
        for cuts in (CUTS, [0, 3, 999, N])
    )
    np.testing.assert_allclose(one.coef_, other.coef_, rtol=1e-6)


@pytest.mark.parametrize("group", ["all", 7])
def test_one_group(group):
    """Which is larger than what is kept."""
    groups = np.full(N, group)
    found = RankSVM().fit(batches(np.asarray, GRADES, None, groups))
    exact = RankSVM().fit(X, GRADES, groups=groups)
    np.testing.assert_allclose(found.coef_, exact.coef_, rtol=1e-5)


def test_some_rows_stand_for_a_large_group(monkeypatch):
    monkeypatch.setattr(_tables, "_LARGE", 100)
    table = _streams.StreamTable(batches(np.asarray, GRADES, None, np.full(N, "all")))
    assert 0 < len(table.kept_X) < 700


def test_threads_change_no_bit(monkeypatch):
    used = set()

    def look(*arguments):
        if threading.get_ident() not in used:
            used.add(threading.get_ident())
            together.wait(60)  # or one thread might do the work of both
        return real(*arguments)

    real = parts.look
    monkeypatch.setattr(parts, "look", look)
    cuts = np.linspace(0, N, 12).astype(int)
    coefs = []
    for n_jobs in (1, 2):
        used.clear()
        together = threading.Barrier(n_jobs)
        data = batches(np.asarray, LABELS, WEIGHTS, cuts=cuts)
        coefs.append(LinearClassifier("logistic", n_jobs=n_jobs).fit(data).coef_)
        assert len(used) == n_jobs
    np.testing.assert_array_equal(*coefs)


def test_problems_that_share_parts_do_not_mix():
    """What parts keep of one class, or of one loss, is not taken for another's."""
    model = LinearClassifier("squared_hinge")
    problem = model._prepare(_streams.StreamTable(batches(np.asarray, GRADES)), None)
    first, second, _ = problem.objectives
    other = first.with_loss(losses.Logistic())
    params = np.linspace(0.1, 0.5, first.n_params)
    with first.rows.session():
        for objective in (first, second, other):
            point = objective.at(params)
            point.find_curvature()
            product = point.hessian() @ params
            np.testing.assert_allclose(point.hessian_product(params), product, rtol=1e-9)
        here = first.at(params)
        assert second.at(2 * params).value > 0  # parts keep other scores from here on
        assert sum(first.ask(parts.value, here.where, {})) == pytest.approx(here.loss)


def test_outliers_of_another_fit_are_forgotten():
    model = HuberRegressor().fit(X, T)
    assert model.outliers_.shape == (N,)
    model.fit(batches(np.asarray, T))
    assert not hasattr(model, "outliers_")


@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
def test_a_path_of_huber_where_parts_differ_in_scale(l1_ratio):
    """The scale of residuals is one for all parts, also where there are no coefficients."""
    spread = np.where(np.arange(N) < 700, 0.1, 5.0)
    y = X[:, 0] + spread * T + 30.0 * (spread < 1)
    model = HuberRegressor(l1_ratio=l1_ratio)
    here = regularization_path(model, X, y, n_alphas=2)
    parted = regularization_path(model, batches(np.asarray, y), None, n_alphas=2)
    np.testing.assert_allclose(parted.alphas, here.alphas, rtol=1e-4)


def test_single_precision_stays():
    model = LinearClassifier("logistic").fit(batches(lambda X: X.astype(np.float32), LABELS))
    assert model.coef_.dtype == np.float32
    mixed = iter([np.float32, np.float64] * 20)
    data = Batches([(X[:900].astype(next(mixed)), T[:900]), (X[900:].astype(next(mixed)), T[900:])])
    assert LinearRegressor("huber").fit(data).coef_.dtype == np.float64


def test_a_warm_start():
    model = LinearClassifier("logistic", warm_start=True, tol=1e-6)
    first = model.fit(batches(np.asarray, LABELS)).n_iter_
    assert model.fit(batches(np.asarray, LABELS)).n_iter_ < first


@pytest.mark.parametrize(
    ("name", "l1_ratio"), [("logistic", 1.0), ("hinge", 0.0), ("quantiles", 0.5), ("rank svm", 0.0)]
)
def test_paths(name, l1_ratio):
    model, target = MODELS[name]
    groups = {"groups": QUERIES} if name == "rank svm" else {}
    settings = {"n_alphas": 4, "alpha_ratio": 1e-2}
    model = clone(model).set_params(l1_ratio=l1_ratio, tol=1e-6)
    data = batches(np.asarray, target, WEIGHTS, *groups.values())
    found = regularization_path(model, data, None, **settings)
    model.set_params(solver="auto" if name != "hinge" else "smoothing")
    exact = regularization_path(model, X, target, **settings, sample_weight=WEIGHTS, **groups)
    np.testing.assert_allclose(found.alphas, exact.alphas, rtol=1e-6)
    size = np.abs(exact.coefs).max()
    np.testing.assert_allclose(found.coefs, exact.coefs, atol=2e-3 * size)
    with pytest.raises(ValueError, match="y must be in the batches"):
        regularization_path(model, data, target)


def test_scores_and_probabilities_come_by_batch():
    model = LinearClassifier("logistic").fit(X, LABELS)
    for method in (model.decision_function, model.predict_proba, model.predict_log_proba):
        parts = np.concatenate(list(method(batches(np.asarray, None))))
        np.testing.assert_allclose(parts, method(X), rtol=1e-9)


def test_x_is_never_held(tmp_path):
    n, d = 60_000, 20

    def parts():
        rng = np.random.default_rng(0)
        for _ in range(30):
            X = rng.normal(size=(n // 30, d))
            yield X, np.where(X[:, 0] + rng.normal(size=len(X)) > 0, 1, 0)

    LinearClassifier("logistic").fit(batches(np.asarray, LABELS))  # compiles
    tracemalloc.start()
    model = LinearClassifier("logistic").fit(Batches(parts))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert model.dual_gap_ < 1e-4
    assert peak < 0.8 * n * d * 8


@pytest.mark.parametrize(
    ("name", "most"),
    [("logistic", 14), ("squared hinge", 20), ("huber", 13), ("hinge", 36), ("rank svm", 12)],
)
def test_a_handful_of_reads(name, most, monkeypatch):
    """Of rows that are more work than small: a sample is solved first, and the last digits are not
    asked for. Of so few rows it says little; of a million these are about half as many."""
    monkeypatch.setattr(solver_base, "SMALL", 1000)
    monkeypatch.setattr(_samples, "SMALL", 1000)
    reads, begin = [], _streams.StreamTable.read

    def counted(self, pool):
        reads.append(0)
        return begin(self, pool)

    monkeypatch.setattr(_streams.StreamTable, "read", counted)
    model, target = MODELS[name]
    groups = QUERIES if name == "rank svm" else None
    clone(model).fit(batches(np.asarray, target, groups=groups))
    assert 2 <= len(reads) <= most


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["logistic", "squared hinge", "cross entropy"])
def test_a_coefficient_without_a_penalty_takes_a_few_reads_more(name, monkeypatch):
    """Its slope is zero at the minimum only: the gap was F itself until the last digit, which was
    asked for in up to 130 reads, and a warning followed."""
    monkeypatch.setattr(solver_base, "SMALL", 1000)
    monkeypatch.setattr(_samples, "SMALL", 1000)
    model, target = MODELS[name]
    model = clone(model).set_params(penalty_factors=[0, 1, 1, 1], alpha=0.01)
    reads = []

    def in_parts():
        reads.append(0)
        yield from ((X[k : k + 500], target[k : k + 500]) for k in range(0, N, 500))

    model.fit(Batches(in_parts))
    assert len(reads) <= 16
    exact = clone(model).set_params(tol=1e-8).fit(X, target)
    (objective,) = model._prepare(X, target).objectives
    found, lowest = (
        objective.value(objective.from_coef(np.squeeze(m.coef_), np.squeeze(m.intercept_)))
        for m in (model, exact)
    )
    assert found - lowest <= model.dual_gap_ <= model.tol * found


def test_parquet(tmp_path):
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame(X, columns=list("abcd")).assign(y=T, w=WEIGHTS, q=QUERIES, grade=GRADES)
    for k, (a, b) in enumerate([(0, 555), (555, 1111), (1111, N)]):
        frame.iloc[a:b].to_parquet(tmp_path / f"{k}.parquet")
    options = {"columns": list("abcd"), "weight": "w", "batch_size": 500}
    data = Batches.from_parquet(tmp_path, target="y", **options)
    found = LinearRegressor("huber").fit(data)
    exact = LinearRegressor("huber").fit(X, T, WEIGHTS)
    np.testing.assert_allclose(found.coef_, exact.coef_, rtol=1e-6)
    assert found.feature_names_in_.tolist() == list("abcd")
    assert sum(map(len, found.predict(Batches.from_parquet(tmp_path, columns=list("abcd"))))) == N
    ranker = RankSVM().fit(Batches.from_parquet(tmp_path, target="grade", groups="q", **options))
    assert ranker.n_pairs_ > 0
    with pytest.raises(ValueError, match="no column 'z'"):
        Batches.from_parquet(tmp_path, target="z")


def test_svmlight(tmp_path):
    path = tmp_path / "rows.svm"
    dump_svmlight_file(X, GRADES, str(path), zero_based=False, query_id=QUERIES)
    data = Batches.from_svmlight(path, n_features=D, query_id=True, batch_bytes=10_000)
    assert len(list(data)) > 5
    found = RankSVM().fit(data)
    exact = RankSVM().fit(sp.csr_array(X), GRADES, groups=QUERIES)
    np.testing.assert_allclose(found.coef_, exact.coef_, rtol=1e-5)


# --- what is refused -------------------------------------------------------------------------


def good():
    return [(X[:900], T[:900]), (X[900:], T[900:])]


def test_what_can_be_read_once_is_refused():
    with pytest.raises(TypeError, match=r"only once.*lambda.*partial_fit"):
        Batches(part for part in good())
    with pytest.raises(TypeError, match="iterable of batches"):
        Batches("rows.parquet")
    once = iter(good())
    with pytest.raises(ValueError, match="X changed between two reads, 0 batches instead of 2"):
        LinearRegressor("huber").fit(Batches(lambda: once))
    with pytest.raises(TypeError, match="must return an iterator"):
        LinearRegressor().fit(Batches(lambda: 3))


def test_a_reader_that_gives_other_rows_is_noticed():
    rng = np.random.default_rng(0)

    def shuffled():
        order = rng.permutation(N)
        yield X[order], T[order]

    with pytest.raises(ValueError, match="X changed between two reads, batch 0 is another one"):
        LinearRegressor("huber").fit(Batches(shuffled))


def test_a_failed_fit_changes_nothing():
    model = LinearRegressor("huber").fit(Batches(good()))
    before = model.coef_.copy()
    broken = X[900:].copy()
    broken[-1, 0] = np.nan
    with pytest.raises(ValueError, match="X of batch 1 contains NaN"):
        model.fit(Batches([good()[0], (broken, T[900:])]))
    np.testing.assert_array_equal(model.coef_, before)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([], "no rows"),
        ([(X[:0], T[:0])], "no rows"),
        ([X], "requires y.*tuples"),
        ([(X[:900], T[:900]), X[900:]], "some batches have y, and some have none"),
        ([(X[:900], T[:900]), (X[900:, :2], T[900:])], "features: the first has 4.*batch 1 has 2"),
        ([(X[:900], T[:900]), (sp.csr_array(X[900:]), T[900:])], "all sparse or all dense"),
        ([(X, T[:-1])], "y of batch 0 has 1999 entries, and X has 2000 rows"),
        ([(X, T, WEIGHTS, QUERIES, T, T)], "a tuple of 6"),
    ],
)  # fmt: skip
def test_wrong_batches(source, message):
    with pytest.raises(ValueError, match=message):
        LinearRegressor("huber").fit(Batches(source))


@pytest.mark.parametrize("late", [False, True])
def test_indices_beyond_the_features_reach_no_kernel(late):
    """Of a sparse batch at any read; one past the last column is enough to write elsewhere."""
    reads = []

    def parts():
        reads.append(0)
        for a, b in ((0, 900), (900, N)):
            rows = sp.csr_array(X[a:b])
            if a and len(reads) > late:
                rows.indices[len(rows.indices) // 2] = D
            yield rows, T[a:b]

    with pytest.raises(ValueError, match="indices"):
        LinearRegressor("huber").fit(Batches(parts))


def test_wrong_uses():
    with pytest.raises(ValueError, match="y must be in the batches"):
        LinearRegressor("huber").fit(Batches(good()), T)
    with pytest.raises(ValueError, match=r"'interior_point'.*batch by batch.*smoothing"):
        LinearRegressor("absolute", solver="interior_point").fit(Batches(good()))
    with pytest.raises(TypeError, match="X must hold the data, got Batches"):
        LinearEmbedding("nca").fit(Batches(good()), GRADES)
    with pytest.raises(TypeError, match="partial_fit takes one batch"):
        LinearRegressor("huber", solver="sgd").partial_fit(Batches(good()), T)
    with pytest.raises(TypeError, match=r"fit\(sklearn_margin.Batches"):
        LinearRegressor("huber").fit(iter(good()), T)


@pytest.mark.parametrize("kept", [N * D - 1, N * D // 2 + 1, N * D // 3, N * D, N * D + 1])
def test_a_certificate_is_that_of_all_rows(kept, monkeypatch):
    """However many rows are kept in memory: all of them, or most, or some."""
    monkeypatch.setattr(_tables, "KEPT", kept)
    table = _streams.StreamTable(batches(np.asarray, T))
    assert table.complete == (len(table.kept_X) == N) and (table.complete or kept < N * D)
    assert table.kept_X.size <= 1.2 * kept
    model = LinearRegressor("huber", alpha=1e-2, tol=1e-6).fit(batches(np.asarray, T))
    exact = LinearRegressor("huber", alpha=1e-2, tol=1e-10).fit(X, T)
    np.testing.assert_allclose(model.coef_, exact.coef_, rtol=1e-3, atol=1e-4)


def value_of(model, target, weights=None):
    """F of coefficients, from all rows."""
    objective = clone(model)._prepare(X, target, weights).objectives[0]
    return objective.value(objective.from_coef(model.coef_, model.intercept_))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("model", [LinearRegressor("squared"), HuberRegressor(alpha=1.0)])
def test_no_row_that_is_kept_counts(model, monkeypatch):
    monkeypatch.setattr(_tables, "KEPT", 200)
    weights = np.zeros(N)
    weights[[9, 1000, 1990, 50]] = 1.0
    data = batches(np.asarray, T, weights)
    assert not _streams.StreamTable(data).kept.sample_weight.any()
    found = clone(model).fit(data)
    exact = clone(model).set_params(tol=1e-10).fit(X, T, sample_weight=weights)
    excess = value_of(found, T, weights) - value_of(exact, T, weights)
    assert excess <= found.dual_gap_ + 1e-12 <= 1e-3


@pytest.mark.filterwarnings("error")
def test_targets_that_differ_where_none_is_kept(monkeypatch):
    """What counts as no scale rests on all targets."""
    monkeypatch.setattr(_tables, "KEPT", 200)
    y = np.full(N, 7.0)
    y[[5, 1000, 1500, 1999]] = [8.0, 9.0, 3.0, 12.0]
    data = batches(np.asarray, y)
    assert np.ptp(_streams.StreamTable(data).kept.y) == 0
    found, exact = HuberRegressor().fit(data), HuberRegressor(tol=1e-10).fit(X, y)
    value = value_of(found, y)
    assert value - value_of(exact, y) <= found.dual_gap_ + 1e-12 * value <= 1.1e-4 * value


def test_targets_too_large_where_none_is_kept():
    y = T.copy()
    y[77] = 1e200
    for model in (LinearRegressor("squared"), LinearRegressor("squared", l1_ratio=0.5, alpha=0)):
        with pytest.raises(ValueError, match="y is too large for the loss Squared"):
            model.fit(batches(np.asarray, y))
    assert solver_base.enough(1e-4, np.inf, 0.0) < np.inf  # no bound on an infinite value


def test_the_scale_of_constants_is_that_of_all_parts():
    model, y = HuberRegressor(l1_ratio=1.0), np.sort(T)
    found = regularization_path(model, batches(np.asarray, y), None, n_alphas=3)
    exact = regularization_path(model, X, y, n_alphas=3)
    np.testing.assert_allclose(found.alphas, exact.alphas, rtol=1e-9)
    local = HuberRegressor()._prepare(_streams.StreamTable(batches(np.asarray, y)), None)
    whole = HuberRegressor()._prepare(X, y)
    params = np.array([0.1, 0.2, -0.3, 0.4, 50.0])
    assert local.objectives[0].with_best_intercept(params)[-1] == pytest.approx(
        whole.objectives[0].with_best_intercept(params)[-1], rel=1e-9
    )
    assert local.objectives[0].loss_at(1.5) == pytest.approx(whole.objectives[0].loss_at(1.5))


def test_hessians_of_several_losses_at_one_point():
    table = _streams.StreamTable(batches(np.asarray, GRADES))
    model = LinearClassifier("hinge")
    in_parts, whole = (model._prepare(*data).objectives for data in ((table, None), (X, GRADES)))
    params = np.array([0.5, -0.5, 0.5, -0.5, 0.1])
    for objective, exact in zip(in_parts, whole, strict=True):
        for width in (1.0, 0.1):
            loss = objective.loss.smoothed(width)
            point, other = objective.with_loss(loss).at(params), exact.with_loss(loss).at(params)
            other.find_curvature()
            np.testing.assert_allclose(
                point.hessian_product(params), other.hessian_product(params), rtol=1e-9
            )


def test_an_l1_penalty_takes_no_read_for_each_product(monkeypatch):
    monkeypatch.setattr(solver_base, "SMALL", 1000)
    reads, begin = [], _streams.StreamTable.read

    def counted(self, pool):
        reads.append(0)
        return begin(self, pool)

    monkeypatch.setattr(_streams.StreamTable, "read", counted)
    model = LinearClassifier("crammer_singer", l1_ratio=1.0, alpha=1e-2)
    model.fit(batches(np.asarray, GRADES))
    assert len(reads) <= 100


@pytest.mark.filterwarnings("error")
def test_a_perfect_fit_has_no_gap():
    found = LinearRegressor("absolute").fit(batches(np.asarray, np.zeros(N)))
    assert found.dual_gap_ == 0 and not found.coef_.any()


def test_kinks_without_a_penalty_need_rows_in_memory():
    with pytest.raises(ValueError, match=r"Hinge.*batch by batch.*alpha > 0"):
        LinearClassifier("hinge", alpha=0).fit(batches(np.asarray, LABELS))


def test_directions_of_many_parameters_do_not_take_hundreds_of_reads():
    W, reads = np.random.default_rng(0).normal(size=(400, 60)), []
    label = np.argmax(W @ rng.normal(size=(60, 3)) + rng.normal(size=(400, 3)), axis=1)

    def in_halves():
        reads.append(0)
        yield from ((W[k], label[k]) for k in (slice(200), slice(200, 400)))

    model = LinearClassifier("crammer_singer", alpha=1e-2).fit(Batches(in_halves))
    assert model.dual_gap_ < 1e-3 and len(reads) <= 2000


@pytest.mark.parametrize("most", [1, 2, 3, 100])
def test_the_scale_of_huber_is_that_of_the_coefficients(most):
    """Wherever the solver looked last."""
    skewed = T + np.where(np.arange(N) % 5, 0.0, 40.0 * np.abs(X[:, 0]))
    data = batches(np.asarray, skewed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = HuberRegressor(max_iter=most).fit(data)
    residuals = np.abs(skewed - model.predict(X)) / model.scale_
    # Of the equation that the scale solves: see ``ConcomitantHuberObjective``.
    assert np.minimum(residuals, model.epsilon) @ np.minimum(residuals, model.epsilon) == (
        pytest.approx(N, rel=1e-6)
    )
