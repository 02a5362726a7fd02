"""Grouped ranking metrics against naive loops over groups, permutations and pairs."""

import importlib.util
import itertools
import json
import os
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
import sklearn
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import DataConversionWarning, UndefinedMetricWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate

from sklearn_margin._groups import encode_groups, unpack_target
from sklearn_margin.metrics import (
    average_precision_score,
    make_ranking_scorer,
    ndcg_score,
    pairwise_accuracy_score,
    precision_at_k_score,
    reciprocal_rank_score,
)
from sklearn_margin.metrics._ndcg import grouped_ndcg

AVERAGED = [ndcg_score, average_precision_score, reciprocal_rank_score, precision_at_k_score]
ALL = [*AVERAGED, pairwise_accuracy_score]


def by_name(metric):
    return metric.__name__


every_metric = pytest.mark.parametrize("metric", ALL, ids=by_name)
every_average = pytest.mark.parametrize("metric", AVERAGED, ids=by_name)


def make_rows(seed=0, n=60, n_groups=7, n_labels=4, n_scores=6):
    """Rows in shuffled groups, with many ties in labels and scores."""
    rng = np.random.default_rng(seed)
    groups = rng.permutation(
        np.r_[np.repeat(np.arange(n_groups), 2), rng.integers(n_groups, size=n)]
    )
    y = rng.integers(n_labels, size=groups.size).astype(float)
    score = rng.integers(n_scores, size=groups.size) - 2.5
    return y, score, groups


# The rows of random problems: label, score, group and a whole weight.
rows = st.lists(
    st.tuples(st.integers(0, 3), st.integers(-2, 2), st.integers(0, 3), st.integers(0, 3)),
    min_size=1,
    max_size=12,
)


# ------------------------------------------------------------------------- one group at a time


def naive_reciprocal_rank(y, score):
    return max(((y > 0) / (score[:, None] <= score).sum(axis=1)), default=0)


def mean_over_orders(of_ranked, y, score):
    """Expectation of a function of the ranked labels over all orders of tied rows."""
    orders = [
        order
        for order in itertools.permutations(range(len(y)))
        if all(score[a] >= score[b] for a, b in itertools.pairwise(order))
    ]
    return np.mean([of_ranked(y[list(order)]) for order in orders])


def naive_pairs(y, score, groups, weight):
    total = good = 0.0
    for i, j in itertools.permutations(range(len(y)), 2):
        if groups[i] == groups[j] and y[i] > y[j]:
            total += weight[i] * weight[j]
            good += weight[i] * weight[j] * ((score[i] > score[j]) + (score[i] == score[j]) / 2)
    return good / total if total else np.nan


def split(y, score, groups):
    return [(y[groups == g], score[groups == g]) for g in np.unique(groups)]


@pytest.mark.parametrize("k", [None, 1, 3, 1000])
@pytest.mark.parametrize("seed", range(3))
def test_ndcg_is_scikit_learns_by_group(seed, k):
    y, score, groups = make_rows(seed)
    y[groups == 2] = 0  # no relevant row
    expected = [sklearn.metrics.ndcg_score([a], [b], k=k) for a, b in split(y, score, groups)]
    assert 0 in expected
    assert ndcg_score(y, score, groups=groups, k=k) == pytest.approx(np.mean(expected), abs=1e-12)


def test_ndcg_exponential_gain():
    y, score, groups = make_rows()
    expected = ndcg_score(2**y - 1, score, groups=groups, k=5)
    actual = ndcg_score(y, score, groups=groups, k=5, gain="exponential")
    assert actual == pytest.approx(expected, abs=1e-12)
    assert actual != pytest.approx(ndcg_score(y, score, groups=groups, k=5), abs=1e-3)


@pytest.mark.parametrize("gain", ["linear", "exponential"])
@pytest.mark.parametrize("scale", [1e-150, 2000, 1e150, 1.7e308])
def test_ndcg_of_extreme_relevance(gain, scale):
    """Of three rows the first is irrelevant, and the others are as good as each other."""
    y = np.array([0, 1, 1]) * scale
    expected = sklearn.metrics.ndcg_score([[0, 1, 1]], [[3, 2, 1]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ndcg_score(y, [3, 2, 1], gain=gain) == pytest.approx(expected)


def test_ndcg_ignore_ties():
    y, score, groups = make_rows()
    assert ndcg_score([0, 1], [5, 5], ignore_ties=True) == pytest.approx(1 / np.log2(3))
    assert ndcg_score([1, 0], [5, 5], ignore_ties=True) == 1
    assert ndcg_score([1, 0], [5, 5]) == pytest.approx((1 + 1 / np.log2(3)) / 2)
    untied = score + np.arange(score.size) / 1e3
    expected = ndcg_score(y, untied, groups=groups)
    assert ndcg_score(y, untied, groups=groups, ignore_ties=True) == pytest.approx(expected)


@pytest.mark.parametrize(("gain", "scale"), [("linear", 1e-200), ("exponential", 1e-20)])
def test_ndcg_of_a_small_group_after_large_ones(gain, scale):
    """Running sums go through all groups at once; none may cost another one its digits."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(302), [*[1000] * 300, 4, 3])
    y, score = rng.random(groups.size), rng.integers(50, size=groups.size)
    y[-7:], score[-7:] = np.array([0, 1, 3, 0, 0, 0, 0]) * scale, [4, 3, 2, 1, 3, 2, 1]
    ndcg = grouped_ndcg(y, score, groups=groups, gain=gain, sample_weight=None)
    for k in (1, 2, 3, None):
        expected = sklearn.metrics.ndcg_score([[0, 1, 3, 0]], [[4, 3, 2, 1]], k=k)
        assert ndcg.per_group(k)[-2] == pytest.approx(expected, rel=1e-14, abs=0)
        assert ndcg.per_group(k)[-1] == 0  # nothing relevant


def test_ndcg_of_groups_of_one_row():
    assert ndcg_score([2, 0, 1], [1, 1, 1], groups=[0, 1, 2]) == pytest.approx(2 / 3)


RANX = """
import json, sys, ranx
qrels, run, metrics = json.load(sys.stdin)
print(json.dumps(ranx.evaluate(ranx.Qrels(qrels), ranx.Run(run), metrics)))
"""


def test_metrics_are_those_of_ranx():
    """Without ties. Groups without a relevant row score 0 there, too."""
    if importlib.util.find_spec("ranx") is None:  # to import it takes seconds
        pytest.skip("ranx is not installed")
    y, _, groups = make_rows()
    y[groups == 2] = 0
    score = y + 3 * np.random.default_rng(0).normal(size=y.size)
    qrels, run = {}, {}
    for row in range(y.size):
        qrels.setdefault(f"group {groups[row]}", {})[f"row {row}"] = int(y[row])
        run.setdefault(f"group {groups[row]}", {})[f"row {row}"] = score[row]
    actual = {
        "ndcg": ndcg_score(y, score, groups=groups),
        "ndcg@5": ndcg_score(y, score, groups=groups, k=5),
        "ndcg_burges@5": ndcg_score(y, score, groups=groups, k=5, gain="exponential"),
        "map": average_precision_score(y, score, groups=groups),
        "mrr": reciprocal_rank_score(y, score, groups=groups),
        "precision@3": precision_at_k_score(y, score, groups=groups, k=3),
        "precision@15": precision_at_k_score(y, score, groups=groups, k=15),
    }
    assert len(set(actual.values())) == len(actual)
    # In a process of its own and not compiled, which would take it a minute.
    done = subprocess.run(
        [sys.executable, "-c", RANX], input=json.dumps([qrels, run, list(actual)]),
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert actual == pytest.approx(json.loads(done.stdout), abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_average_precision_is_scikit_learns_by_group(seed):
    y, score, groups = make_rows(seed)
    y = np.where(y == 1, -1, y)  # negative is not relevant
    y[groups == 1] = 0
    expected = [
        sklearn.metrics.average_precision_score(a > 0, b) if (a > 0).any() else 0
        for a, b in split(y, score, groups)
    ]
    actual = average_precision_score(y, score, groups=groups)
    assert actual == pytest.approx(np.mean(expected), abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_reciprocal_rank_by_group(seed):
    y, score, groups = make_rows(seed, n_labels=2)
    y[groups == 1] = 0
    expected = [naive_reciprocal_rank(a, b) for a, b in split(y, score, groups)]
    actual = reciprocal_rank_score(y, score, groups=groups)
    assert actual == pytest.approx(np.mean(expected), abs=1e-12)


def test_reciprocal_rank_equals_average_precision_of_one_relevant_row():
    _, score, groups = make_rows()
    y = np.zeros(groups.size)
    y[np.unique(groups, return_index=True)[1]] = 1
    expected = average_precision_score(y, score, groups=groups)
    assert 0 < expected < 1
    assert reciprocal_rank_score(y, score, groups=groups) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("k", [1, 2, 4, 10])
def test_precision_is_the_mean_over_orders_of_ties(k):
    y, score, groups = make_rows(n=15, n_groups=4, n_labels=2, n_scores=2)
    expected = [
        mean_over_orders(lambda ranked: (ranked[:k] > 0).sum() / k, a, b)
        for a, b in split(y, score, groups)
    ]
    actual = precision_at_k_score(y, score, groups=groups, k=k)
    assert actual == pytest.approx(np.mean(expected), abs=1e-12)


def test_precision_counts_ten_ranks_by_default():
    y, score = np.r_[np.ones(5), np.zeros(20), np.ones(5)], -np.arange(30)
    assert precision_at_k_score(y, score) == 0.5
    assert precision_at_k_score([1, 1], [1, 2]) == 0.2  # a short group is divided by k, too


@settings(deadline=None)
@given(rows)
def test_metrics_of_random_rows(rows):
    y, score, groups, _ = np.array(rows, dtype=float).T
    parts = split(y, score, groups)

    def ap(a, b):
        return np.mean([(a[b >= s] > 0).mean() for s in b[a > 0]]) if (a > 0).any() else 0

    def rr(a, b):
        return naive_reciprocal_rank(a, b)

    for metric, naive in [(average_precision_score, ap), (reciprocal_rank_score, rr)]:
        expected = np.mean([naive(a, b) for a, b in parts])
        assert metric(y, score, groups=groups) == pytest.approx(expected, abs=1e-12)
    expected = [sklearn.metrics.ndcg_score([a], [b]) if a.size > 1 else a[0] > 0 for a, b in parts]
    assert ndcg_score(y, score, groups=groups) == pytest.approx(np.mean(expected), abs=1e-12)


# ---------------------------------------------------------------------------------------- pairs


@settings(deadline=None, max_examples=300)
@given(rows)
def test_pairwise_accuracy_counts_pairs(rows):
    y, score, groups, weight = np.array(rows, dtype=float).T
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        actual = pairwise_accuracy_score(y, score, groups=groups)
        expected = naive_pairs(y, score, groups, np.ones_like(y))
        assert actual == pytest.approx(expected, abs=1e-14, nan_ok=True)
        if weight.any():
            actual = pairwise_accuracy_score(y, score, groups=groups, sample_weight=weight)
            expected = naive_pairs(y, score, groups, weight)
            assert actual == pytest.approx(expected, abs=1e-14, nan_ok=True)


@pytest.mark.parametrize("n_groups", [1, 5, 40])
@pytest.mark.parametrize("n_labels", [2, 3, 17, 1000])
def test_pairwise_accuracy_with_weights(n_groups, n_labels):
    y, score, groups = make_rows(n=120, n_groups=n_groups, n_labels=n_labels)
    weight = np.random.default_rng(1).exponential(size=y.size)
    actual = pairwise_accuracy_score(y, score, groups=groups, sample_weight=weight)
    assert actual == pytest.approx(naive_pairs(y, score, groups, weight), abs=1e-12)


def test_pairwise_accuracy_weights_are_repetitions():
    y, score, groups = make_rows()
    weight = np.random.default_rng(1).integers(4, size=y.size)
    assert not weight.all()
    repeated = [np.repeat(a, weight) for a in (y, score, groups)]
    expected = pairwise_accuracy_score(*repeated[:2], groups=repeated[2])
    actual = pairwise_accuracy_score(y, score, groups=groups, sample_weight=weight)
    assert actual == pytest.approx(expected, abs=1e-14)
    assert actual != pytest.approx(pairwise_accuracy_score(y, score, groups=groups), abs=1e-4)


def test_pairwise_accuracy_is_auc_and_kendalls_tau():
    rng = np.random.default_rng(0)
    y, score = rng.normal(size=20_000), rng.normal(size=20_000)
    score += y
    tau = kendalltau(y, score).statistic
    assert pairwise_accuracy_score(y, score) == pytest.approx((1 + tau) / 2, abs=1e-12)
    weight = rng.random(y.size)
    score = score.round(1)
    expected = sklearn.metrics.roc_auc_score(y > 0, score, sample_weight=weight)
    actual = pairwise_accuracy_score(y > 0, score, sample_weight=weight)
    assert actual == pytest.approx(expected, abs=1e-12)


def test_pairwise_accuracy_pools_pairs():
    """One group has three pairs, all right; the other has one, wrong."""
    y, score, groups = [2, 1, 0, 1, 0], [2, 1, 0, 0, 1], ["a", "a", "a", "b", "b"]
    assert pairwise_accuracy_score(y, score, groups=groups) == 3 / 4


def test_pairwise_accuracy_extremes():
    y, _, groups = make_rows(n=500)
    weight = np.random.default_rng(0).random(y.size)
    for sample_weight in (None, weight):
        kwargs = {"groups": groups, "sample_weight": sample_weight}
        assert pairwise_accuracy_score(y, 2 * y, **kwargs) == pytest.approx(1, abs=1e-14)
        assert pairwise_accuracy_score(y, -y, **kwargs) == 0
        assert pairwise_accuracy_score(y, 0 * y, **kwargs) == pytest.approx(0.5, abs=1e-14)


def test_perfect_scores_never_exceed_one():
    """For some of these seeds, the sums before they are clipped do."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        y, weight = rng.integers(0, 4, 50) + rng.random(50), rng.random(50)
        assert 1 - 1e-14 < pairwise_accuracy_score(y, y, sample_weight=weight) <= 1
        assert 1 - 1e-14 < ndcg_score(y.round(), y.round()) <= 1


@pytest.mark.parametrize(
    "kwargs", [{"groups": [0, 0, 1, 1]}, {"groups": [*"abcd"]}, {"sample_weight": [1, 1, 0, 0]}]
)
def test_pairwise_accuracy_without_pairs(kwargs):
    with pytest.warns(UndefinedMetricWarning, match="pairwise accuracy is undefined"):
        assert np.isnan(pairwise_accuracy_score([1, 1, 0, 0], [1, 2, 3, 4], **kwargs))


def test_pairwise_accuracy_of_a_group_beside_one_of_huge_weight():
    """Group 0 has no pair, so its weights must neither count nor cost precision."""
    y, score, groups = [1, 1, 2, 1, 0], [1, 1, 3, 1, 2], [0, 0, 1, 1, 1]
    weight = np.array([1e100, 1e100, 1, 2, 3])
    actual = pairwise_accuracy_score(y, score, groups=groups, sample_weight=weight)
    assert actual == pytest.approx((1 * 2 + 1 * 3) / (1 * 2 + 1 * 3 + 2 * 3), abs=1e-14)


# ----------------------------------------------------------------- what holds for every metric


@every_metric
def test_rows_may_come_in_any_order(metric):
    y, score, groups = make_rows()
    order = np.random.default_rng(1).permutation(y.size)
    expected = metric(y, score, groups=groups)
    assert 0 < expected < 1
    actual = metric(y[order], score[order], groups=groups[order])
    assert actual == pytest.approx(expected, abs=1e-14)


@every_metric
def test_no_groups_is_one_group(metric):
    y, score, groups = make_rows()
    expected = metric(y, score, groups=np.full(y.size, "only"))
    assert metric(y, score) == expected
    assert metric(y, score) != metric(y, score, groups=groups)


@every_metric
@pytest.mark.parametrize("offset", [1e9, -1e9])
def test_offset_of_the_scores(metric, offset):
    y, score, groups = make_rows()
    assert metric(y, score + offset, groups=groups) == metric(y, score, groups=groups)


@pytest.mark.parametrize("offset", [1e9, -1e9])
def test_offset_of_the_labels(offset):
    y, score, groups = make_rows()
    expected = pairwise_accuracy_score(y, score, groups=groups)
    assert pairwise_accuracy_score(y + offset, score, groups=groups) == expected


@every_metric
@pytest.mark.parametrize(
    "rename",
    [
        lambda g: g.astype(np.int8),
        lambda g: g * 2**61,  # a float cannot tell some of these apart
        lambda g: g - 0.5,
        lambda g: np.array([f"query {i}" for i in g]),
        lambda g: [f"query {i}" for i in g],
        lambda g: np.array([i if i % 2 else str(i) for i in g], dtype=object),
        lambda g: np.array([*((i, "tuple") for i in g), None], dtype=object)[:-1],
        lambda g: g.astype("datetime64[D]"),
        lambda g: g[:, None],
    ],
    ids=["int8", "big_int", "float", "str", "list", "mixed", "tuples", "dates", "column"],
)
def test_groups_of_any_dtype(metric, rename):
    y, score, groups = make_rows()
    expected = metric(y, score, groups=groups)
    assert metric(y, score, groups=rename(groups)) == expected


@every_metric
def test_packed_target(metric):
    pd = pytest.importorskip("pandas")
    y, score, groups = make_rows()
    names = np.array([f"query {g}" for g in groups])
    expected = metric(y, score, groups=groups)
    packed = [
        np.column_stack([y, groups]),
        np.column_stack([y.astype(str), names]),
        np.array(list(zip(y, names, strict=True)), dtype=object),
        list(zip(y, names, strict=True)),
        pd.DataFrame({"relevance": y.astype(int), "query": names}),
        pd.DataFrame({"relevance": y, "query": pd.Categorical(names)}),
    ]
    for target in packed:
        assert metric(target, score) == expected
        assert metric(target, score, groups=groups) == expected  # the same groups once more
        with pytest.raises(ValueError, match=r"y_true is packed .* Pass the groups once"):
            metric(target, score, groups=np.zeros(y.size))


@every_metric
def test_pandas_columns(metric):
    pd = pytest.importorskip("pandas")
    y, score, groups = make_rows()
    frame = pd.DataFrame({"y": y, "s": score, "g": [f"q{g}" for g in groups]}).sample(frac=1)
    expected = metric(y, score, groups=groups)
    actual = metric(frame["y"], frame["s"], groups=frame["g"])
    assert actual == pytest.approx(expected, abs=1e-14)


@every_metric
def test_inputs_are_not_changed(metric):
    arrays = make_rows()
    weight = np.arange(arrays[0].size, dtype=float)
    for array in (*arrays, weight):
        array.flags.writeable = False
    assert 0 < metric(*arrays[:2], groups=arrays[2], sample_weight=weight) < 1


# -------------------------------------------------------------------------------------- weights


@every_metric
def test_weight_zero_drops_the_row(metric):
    y, score, groups = make_rows()
    weight = np.random.default_rng(0).integers(3, size=y.size)
    weight[groups == 3] = 0  # a whole group
    kept = weight > 0
    expected = metric(y[kept], score[kept], groups=groups[kept], sample_weight=weight[kept])
    actual = metric(y, score, groups=groups, sample_weight=weight)
    assert actual == pytest.approx(expected, abs=1e-14)
    assert actual != pytest.approx(metric(y, score, groups=groups, sample_weight=weight + 0.1))


@every_average
def test_a_group_weighs_the_mean_of_its_rows(metric):
    y, score, groups = make_rows()
    weight = np.random.default_rng(0).random(y.size) + 0.1
    parts = [metric(a, b) for a, b in split(y, score, groups)]
    by_group = [weight[groups == g].mean() for g in np.unique(groups)]
    expected = np.average(parts, weights=by_group)
    actual = metric(y, score, groups=groups, sample_weight=weight)
    assert actual == pytest.approx(expected, abs=1e-14)
    assert actual != pytest.approx(np.mean(parts), abs=1e-6)


@every_metric
@pytest.mark.parametrize("scale", [1e-300, 3.0, 1e300])
def test_a_common_factor_of_the_weights_changes_nothing(metric, scale):
    y, score, groups = make_rows()
    weight = np.random.default_rng(0).random(y.size)
    expected = metric(y, score, groups=groups, sample_weight=weight)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        actual = metric(y, score, groups=groups, sample_weight=scale * weight)
        scalar = metric(y, score, groups=groups, sample_weight=scale)
    assert actual == pytest.approx(expected, abs=1e-13)
    assert scalar == pytest.approx(metric(y, score, groups=groups), abs=1e-13)


# --------------------------------------------------------------------------------------- errors


@every_metric
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y_true": [1, np.nan, 0]}, "y_true contains NaN"),
        ({"y_true": [1, np.inf, 0]}, "y_true contains infinity"),
        ({"y_true": [1, "high", 0]}, "y_true must hold numbers.*'high'"),
        ({"y_true": [1, None, 0]}, "y_true contains NaN"),
        ({"y_true": np.array([1, {}, 0])}, "y_true must hold numbers"),
        ({"y_true": [1, 1j, 0]}, "Complex data not supported: y_true"),
        ({"y_true": [[1, 0, 0]] * 3}, r"y_true should be a 1d array, got .* \(3, 3\)"),
        ({"y_true": None}, r"y_true should be a 1d array, got .* \(\)"),
        ({"y_true": []}, "y_true is empty"),
        ({"y_true": np.empty((0, 2))}, "y_true is empty"),
        ({"y_true": [[1, 0], [0, np.nan], [0, 0]]}, "groups contains NaN"),
        ({"y_true": [[1, "a"], [0, None], [0, "a"]]}, "groups contains .* missing value"),
        ({"y_true": [[np.nan, "a"], [0, "b"], [0, "a"]]}, "y_true contains NaN"),
        ({"y_score": [1, 2]}, "y_score has length 2, expected 3"),
        ({"y_score": [1, 2, np.nan]}, "y_score contains NaN"),
        ({"y_score": [[1, 2]] * 3}, r"y_score should be a 1d array, got .* \(3, 2\)"),
        ({"groups": [1, 2]}, "groups has length 2, expected 3"),
        ({"groups": []}, "groups has length 0, expected 3"),
        ({"groups": [[1, 2]] * 3}, r"groups should be a 1d array, got .* \(3, 2\)"),
        ({"groups": [1, 2, np.nan]}, "groups contains NaN"),
        ({"groups": [1, 2, np.inf]}, "groups contains infinity"),
        ({"groups": ["a", "b", np.nan]}, "groups contains NaN"),
        ({"groups": ["a", "b", None]}, "groups contains .* missing value"),
        ({"groups": np.array(["2001-01-01", "NaT", "NaT"], "M8[ns]")}, "groups contains NaT"),
        ({"groups": np.array([{}, {}, {}])}, "groups must hold hashable values"),
        ({"sample_weight": [1, 2]}, "sample_weight has length 2, expected 3"),
        ({"sample_weight": [1, -2, 3]}, "sample_weight must not be negative, got -2"),
        ({"sample_weight": -1}, r"sample_weight must be in \(0, inf\), got -1"),
        ({"sample_weight": [0, 0, 0]}, "sample_weight is zero for every sample"),
        ({"sample_weight": [1, np.nan, 0]}, "sample_weight contains NaN"),
    ],
)
def test_invalid_input(metric, change, message):
    arguments = {"y_true": [1, 0, 0], "y_score": [3, 2, 1], **change}
    with pytest.raises(ValueError, match=message):
        metric(arguments.pop("y_true"), arguments.pop("y_score"), **arguments)


@every_metric
def test_missing_pandas_group(metric):
    pd = pytest.importorskip("pandas")
    for groups in [
        pd.Series([1, 2, None], dtype="Int64"),
        pd.Series(["a", None, "b"]),
        np.array(["a", pd.NA, "b"], dtype=object),
    ]:
        with pytest.raises(ValueError, match="groups contains NaN"):
            metric([1, 0, 0], [3, 2, 1], groups=groups)


@pytest.mark.parametrize("metric", [ndcg_score, precision_at_k_score], ids=by_name)
@pytest.mark.parametrize(("k", "error"), [(0, ValueError), (-1, ValueError), (2.5, TypeError)])
def test_invalid_k(metric, k, error):
    with pytest.raises(error, match=rf"k .*{1 if error is ValueError else 'float'}"):
        metric([1, 0], [1, 2], k=k)


def test_invalid_ndcg():
    with pytest.raises(ValueError, match=r"y_true must not be negative for NDCG, got -2\.0"):
        ndcg_score([1, -2], [1, 2])
    with pytest.raises(ValueError, match="gain must be 'linear' or 'exponential', got 'squared'"):
        ndcg_score([1, 2], [1, 2], gain="squared")


# ------------------------------------------------------------------- groups and packed targets


def test_codes_follow_first_appearance():
    expected = [0, 1, 0, 2, 1]
    for groups in ([7, 3, 7, -1, 3], [7.5, 3, 7.5, -1, 3], list("cacba")):
        codes = encode_groups(groups, 5)
        assert codes.dtype == np.int64
        assert codes.tolist() == expected
    assert encode_groups(None, 3).tolist() == [0, 0, 0]


def test_unpack_target():
    relevance, groups = unpack_target([3, 1])
    assert relevance.dtype == np.float64
    assert relevance.tolist() == [3, 1]
    assert groups is None
    assert unpack_target([3, 1], ["a", "b"])[1].tolist() == ["a", "b"]
    relevance, groups = unpack_target(np.array([["3", "a"], ["1", "b"]]))
    assert relevance.tolist() == [3, 1]
    assert groups.tolist() == ["a", "b"]
    with pytest.raises(ValueError, match="Input y contains NaN"):
        unpack_target([np.nan, 1])
    with pytest.warns(DataConversionWarning):
        assert unpack_target([[3], [1]])[0].tolist() == [3, 1]


# -------------------------------------------------------------------------------------- scorers


class SumRanker(RegressorMixin, BaseEstimator):
    """A linear model with coefficients 1 and `tilt`, which wants the same groups as its scorer."""

    __metadata_request__fit = {"groups": True}

    def __init__(self, tilt=0.0):
        self.tilt = tilt

    def fit(self, X, y, sample_weight=None, groups=None):
        self.groups_ = unpack_target(y, groups)[1]
        assert self.groups_ is not None
        return self

    def predict(self, X):
        return X @ [1, self.tilt]


TILTS = [-1.0, 0.5, 3.0]


@pytest.fixture
def searched():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 2))
    names = rng.permutation(np.repeat([f"query {i}" for i in range(20)], 6))
    y = np.clip(np.round(X @ [1, 0.7] + rng.normal(size=120)), 0, 4)
    return X, y, names


def expected_scores(metric, X, y, groups, weight=None, **kwargs):
    """Mean score over the folds for each tilt, without scikit-learn's search."""
    scores = []
    for tilt in TILTS:
        folds = []
        for _, test in GroupKFold(4).split(X, y, groups):
            test_weight = None if weight is None else weight[test]
            prediction = X[test] @ [1, tilt]
            folds.append(
                metric(
                    y[test], prediction, groups=groups[test], sample_weight=test_weight, **kwargs
                )
            )
        scores.append(np.mean(folds))
    assert np.ptp(scores) > 0.01
    return scores


def search(scoring):
    grid = {"tilt": TILTS}
    return GridSearchCV(SumRanker(), grid, scoring=scoring, cv=GroupKFold(4), error_score="raise")


@every_metric
def test_one_scorer_with_routing_on_and_off(metric, searched):
    X, y, groups = searched
    kwargs = {"k": 3} if metric is precision_at_k_score else {}
    expected = expected_scores(metric, X, y, groups, **kwargs)
    packed = np.array(list(zip(y, groups, strict=True)), dtype=object)
    scorer = make_ranking_scorer(metric, **kwargs)
    with sklearn.config_context(enable_metadata_routing=False):
        off = search(scorer).fit(X, packed, groups=groups)
        assert off.score(X, packed) == metric(packed, off.predict(X), **kwargs)
    with sklearn.config_context(enable_metadata_routing=True):
        on = search(scorer).fit(X, y, groups=groups)
        expected_score = metric(y, on.predict(X), groups=groups, **kwargs)
        assert on.score(X, y, groups=groups) == expected_score
        on_and_packed = search(scorer).fit(X, packed, groups=groups)
    for result in (off, on, on_and_packed):
        np.testing.assert_allclose(result.cv_results_["mean_test_score"], expected, atol=1e-14)
        assert result.best_params_ == {"tilt": TILTS[np.argmax(expected)]}


@pytest.mark.parametrize("routing", [False, True])
def test_scorer_weights(searched, routing):
    X, y, groups = searched
    weight = np.random.default_rng(1).exponential(size=y.size)
    expected = expected_scores(ndcg_score, X, y, groups, weight, k=3)
    unweighted = expected_scores(ndcg_score, X, y, groups, k=3)
    assert np.abs(np.subtract(expected, unweighted)).max() > 1e-3
    packed = np.array(list(zip(y, groups, strict=True)), dtype=object)
    model = search(make_ranking_scorer(ndcg_score, k=3))
    with sklearn.config_context(enable_metadata_routing=routing):
        if routing:
            model.estimator.set_fit_request(sample_weight=True)
        model.fit(X, packed, groups=groups, sample_weight=weight)
    np.testing.assert_allclose(model.cv_results_["mean_test_score"], expected, atol=1e-14)


@pytest.mark.parametrize("routing", [False, True])
def test_several_scorers_at_once(searched, routing):
    X, y, groups = searched
    packed = np.array(list(zip(y, groups, strict=True)), dtype=object)
    scoring = {
        "pairs": make_ranking_scorer(pairwise_accuracy_score),
        "top": make_ranking_scorer(precision_at_k_score, k=2),
    }
    with sklearn.config_context(enable_metadata_routing=routing):
        passed = {"params": {"groups": groups}} if routing else {"groups": groups}
        target = y if routing else packed
        result = cross_validate(
            SumRanker(0.5), X, target, scoring=scoring, cv=GroupKFold(4), **passed
        )
    pairs = expected_scores(pairwise_accuracy_score, X, y, groups)[TILTS.index(0.5)]
    top = expected_scores(precision_at_k_score, X, y, groups, k=2)[TILTS.index(0.5)]
    assert result["test_pairs"].mean() == pytest.approx(pairs)
    assert result["test_top"].mean() == pytest.approx(top)


@pytest.mark.parametrize("routing", [False, True])
def test_scorer_refuses_to_score_without_groups(searched, routing):
    X, y, groups = searched
    scorer = make_ranking_scorer(ndcg_score)
    with (
        sklearn.config_context(enable_metadata_routing=routing),
        pytest.raises(ValueError, match="scorer of ndcg_score got no groups"),
    ):
        scorer(SumRanker(), X, y)
    # Replacing the requests loses the groups: an error, not a fold scored as one query.
    with sklearn.config_context(enable_metadata_routing=True):
        scorer.set_score_request(sample_weight=True)
        with pytest.raises(ValueError, match="got no groups"):
            search(scorer).fit(X, y, groups=groups)


def test_scorer_ranks_by_a_classifier(searched):
    X, y, groups = searched
    classifier = LogisticRegression().fit(X, y > 0)
    packed = np.array(list(zip(y, groups, strict=True)), dtype=object)
    scorer = make_ranking_scorer(ndcg_score, response_method="decision_function", k=4)
    expected = ndcg_score(y, classifier.decision_function(X), groups=groups, k=4)
    assert expected != ndcg_score(y, classifier.predict(X), groups=groups, k=4)
    assert scorer(classifier, X, packed) == expected


def test_scorer_pickles_and_prints(searched):
    X, y, groups = searched
    packed = np.array(list(zip(y, groups, strict=True)), dtype=object)
    scorer = make_ranking_scorer(ndcg_score, k=3)
    assert repr(scorer) == "make_scorer(ndcg_score, response_method='predict', k=3)"
    copy = pickle.loads(pickle.dumps(scorer))
    assert repr(copy) == repr(scorer)
    assert copy(SumRanker(), X, packed) == scorer(SumRanker(), X, packed)
    with sklearn.config_context(enable_metadata_routing=True):
        assert search(copy).fit(X, y, groups=groups).best_score_ > 0


def test_scorer_of_a_users_metric(searched):
    X, y, groups = searched

    def first_label(y_true, y_score, *, groups=None):
        relevance, groups = unpack_target(y_true, groups)
        assert groups is not None
        return relevance[np.argmax(y_score)]

    with sklearn.config_context(enable_metadata_routing=True):
        model = search(make_ranking_scorer(first_label)).fit(X, y, groups=groups)
    assert model.best_score_ > 0
    with pytest.raises(ValueError, match="metric must have a parameter `groups`"):
        make_ranking_scorer(sklearn.metrics.ndcg_score)
