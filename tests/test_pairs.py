"""Sums over the ordered pairs of groups against sums over a list of all pairs."""

import itertools
import math
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sklearn_margin._groups import encode_groups
from sklearn_margin.losses import PairwiseHinge, PairwiseLogistic, PairwiseSquaredHinge
from sklearn_margin.losses.pairs import hinge_sums
from sklearn_margin.losses.pairs import index as pair_index
from sklearn_margin.losses.pairs.any_pairs import AnyPairs
from sklearn_margin.losses.pairs.hinge_sums import HingeSums
from sklearn_margin.losses.pairs.index import PairIndex
from sklearn_margin.losses.pairs.logistic_sums import LogisticSums
from sklearn_margin.objective import PairwiseObjective, Rows
from sklearn_margin.penalties import ElasticNet

LOSSES = [PairwiseHinge, PairwiseSquaredHinge]
POWERS = {PairwiseHinge: 1, PairwiseSquaredHinge: 2}
WEIGHTINGS = ["uniform", "difference"]

every_loss = pytest.mark.parametrize("cls", LOSSES, ids=lambda cls: cls.__name__)
every_weighting = pytest.mark.parametrize("weighting", WEIGHTINGS)


class SlowHinge(PairwiseHinge):
    """The hinge, kept from the fast path by having a formula of its own."""

    def pair_value(self, d):
        return max(0.0, self.margin - d)


class SlowSquaredHinge(PairwiseSquaredHinge):
    """The squared hinge, kept from the fast path by having a formula of its own."""

    pair_hessian = PairwiseSquaredHinge.pair_hessian

    def pair_value(self, d):
        return max(0.0, self.margin - d) ** 2


class SlowLogistic(PairwiseLogistic):
    """The logistic loss, likewise."""

    pair_hessian = PairwiseLogistic.pair_hessian

    def pair_value(self, d):
        return math.log1p(math.exp(-d)) if d > 0 else math.log1p(math.exp(d)) - d


SLOW = {PairwiseHinge: SlowHinge, PairwiseSquaredHinge: SlowSquaredHinge}


class Sums(NamedTuple):
    """Value, gradient and Hessian product; what each of them is rounded relative to."""

    value: float
    gradient: np.ndarray
    product: np.ndarray
    gradient_size: float
    product_size: float
    total: float
    n_pairs: int


def sums_over_list(power, margin, y, z, s, groups, weighting, v):
    """Sums over an explicit list of all pairs of rows with a weight."""
    y, z, s, v = (np.asarray(array, dtype=np.float64) for array in (y, z, s, v))
    groups = np.asarray(groups)
    together = groups[:, None] == groups
    i, j = np.nonzero(together & (y[:, None] > y) & (s[:, None] * s > 0))
    zero = np.zeros(len(y))
    if not len(i):
        return Sums(0.0, zero, zero, 0.0, 0.0, 0.0, 0)
    u = s[i] * s[j] * (y[i] - y[j] if weighting == "difference" else 1.0)
    total = u.sum()
    u /= total
    d = z[i] - z[j]
    over = np.where(d < margin, margin - d, 0.0)
    slope = u * (-2.0 * over if power == 2 else -1.0 * (d < margin))
    bend = 2.0 * u * (d < margin) * (v[i] - v[j])
    return Sums(
        float((u * over**power).sum()),
        _scatter(i, j, slope, len(y), np.subtract),
        _scatter(i, j, bend, len(y), np.subtract),
        np.linalg.norm(_scatter(i, j, np.abs(slope), len(y), np.add)),
        np.linalg.norm(_scatter(i, j, np.abs(bend), len(y), np.add)),
        total,
        len(i),
    )


def _scatter(i, j, values, n, combine):
    return combine(np.bincount(i, values, n), np.bincount(j, values, n))


def sums_by_index(loss, index, z, v=None, run=map):
    """The same of a ``PairIndex``. Outputs begin as NaN, to see that every row is written."""
    gradient = np.full(len(z), np.nan)
    value = index.value_gradient(loss, z, gradient, run)
    if v is None:
        return value, gradient, None
    product = np.full(len(z), np.nan)
    index.hessian_product(loss, z, v, product, run)
    return value, gradient, product


def check(loss, power, y, z, s, groups, weighting, v, rtol=1e-12):
    """Compare both, norm-wise."""
    codes = None if groups is None else encode_groups(groups, len(y))
    expected = sums_over_list(
        power, loss.margin, y, z, s, np.zeros(len(y)) if groups is None else groups, weighting, v
    )
    index = PairIndex(y, codes, s, weighting)
    assert index.n_pairs == expected.n_pairs
    assert index.total == pytest.approx(expected.total, rel=1e-12, abs=0)
    value, gradient, product = sums_by_index(loss, index, z, v if power == 2 else None)
    assert isinstance(value, float)
    assert abs(value - expected.value) <= rtol * expected.value
    assert np.linalg.norm(gradient - expected.gradient) <= rtol * expected.gradient_size
    if power == 2:
        assert np.linalg.norm(product - expected.product) <= rtol * expected.product_size
    return expected


# --- random problems ---------------------------------------------------------------------------


class Problem(NamedTuple):
    """What ``problems`` draws."""

    y: np.ndarray
    z: np.ndarray
    s: np.ndarray
    groups: np.ndarray | None
    v: np.ndarray
    margin: float


@st.composite
def problems(draw):
    """Rows in no order: groups of all sizes, ties, weights of zero, offsets."""
    n = draw(st.integers(1, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    margin = draw(st.sampled_from([0.0, 0.3, 1.0, 1, 4.0]))
    grades = draw(st.sampled_from([1, 2, 4, None]))
    y = rng.normal(size=n) if grades is None else rng.integers(0, grades, n).astype(float)
    # Multiples of a power of two: ties, and differences that equal the margin exactly.
    step = draw(st.sampled_from([0.0, 0.25, 1.0]))
    z = rng.normal(scale=draw(st.sampled_from([0.1, 2.0])), size=n)
    z = np.round(z / step) * step if step else z
    offset = draw(st.sampled_from([0.0, 1e9, -1e9]))
    s = draw(
        st.sampled_from(
            [
                np.ones(n),
                rng.uniform(0.01, 3, n),
                rng.integers(0, 3, n),
                10.0 ** rng.uniform(-8, 0, n),
            ]
        )
    ).astype(float)
    n_groups = draw(st.sampled_from([None, 1, 3, n]))
    groups = None if n_groups is None else rng.integers(0, n_groups, n)
    v = rng.normal(size=n) + draw(st.sampled_from([0.0, 1e3]))
    return Problem(y + draw(st.sampled_from([0.0, 1e9, -1e9])), z + offset, s, groups, v, margin)


TINY = Problem(np.array([0.0, 1.0]), np.zeros(2), np.ones(2), None, np.ones(2), 1.0)

# A far label of hardly any weight: the weights of all pairs must not be summed as differences
# from it.
STRAY = Problem(
    y=np.array([0.0, 1e9, 1e9 + 1, 1e9 + 2, 1e9 + 2.5]),
    z=np.array([0.0, 0.3, -0.2, 0.1, 0.4]),
    s=np.array([1e-12, 1.0, 1.0, 1.0, 1.0]),
    groups=None,
    v=np.arange(5.0),
    margin=1.0,
)


@every_loss
@every_weighting
@settings(max_examples=100, deadline=None)
@given(problem=problems())
@example(problem=TINY)
@example(problem=TINY._replace(margin=0.0))
@example(problem=TINY._replace(s=np.zeros(2)))
@example(problem=TINY._replace(groups=np.array([1, 0])))
@example(problem=STRAY)
def test_fast_path_is_the_sum_over_pairs(cls, weighting, problem):
    y, z, s, groups, v, margin = problem
    loss = cls(margin=margin)
    check(loss, POWERS[type(loss)], y, z, s, groups, weighting, v)


@every_loss
@every_weighting
@settings(max_examples=40, deadline=None)
@given(problem=problems())
@example(problem=TINY)
@example(problem=TINY._replace(s=np.zeros(2)))
def test_pair_by_pair_is_the_sum_over_pairs(cls, weighting, problem):
    y, z, s, groups, v, margin = problem
    loss = SLOW[cls](margin=float(margin))
    assert type(loss.summation) is AnyPairs
    check(loss, POWERS[cls], y, z, s, groups, weighting, v)


@every_loss
@every_weighting
def test_pair_by_pair_equals_the_fast_path(cls, weighting):
    rng = np.random.default_rng(0)
    n = 700
    y, z, s = rng.integers(0, 4, n).astype(float), rng.normal(size=n), rng.uniform(0, 2, n)
    groups, v = rng.integers(0, 9, n), rng.normal(size=n)
    index = PairIndex(y, groups, s, weighting)
    curved = v if POWERS[cls] == 2 else None
    fast = sums_by_index(cls(margin=0.5), index, z, curved)
    slow = sums_by_index(SLOW[cls](margin=0.5), index, z, curved)
    assert fast[0] == pytest.approx(slow[0], rel=1e-13)
    np.testing.assert_allclose(fast[1], slow[1], rtol=1e-11, atol=1e-16)
    if curved is not None:
        np.testing.assert_allclose(fast[2], slow[2], rtol=1e-10, atol=1e-16)


def check_logistic(loss, y, z, s, groups, weighting, v, rtol=1e-12):
    """Compare value, gradient and Hessian product with sums over a list of all pairs."""
    found = []
    labels = np.zeros(len(y), dtype=int) if groups is None else groups
    order = np.argsort(labels, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
        better, worse = np.nonzero((y[rows, None] > y[rows]) & (s[rows, None] * s[rows] > 0))
        found.append((rows[better], rows[worse]))
    i, j = np.concatenate(found, axis=1)
    index = PairIndex(y, None if groups is None else encode_groups(groups, len(y)), s, weighting)
    assert index.n_pairs == len(i)
    value, gradient, product = sums_by_index(loss, index, z, v)
    u = s[i] * s[j] * (y[i] - y[j] if weighting == "difference" else 1.0)
    u /= max(u.sum(), 1e-300)
    d = z[i] - z[j]
    slope = -u * np.exp(-np.logaddexp(0, d))
    bend = u * np.exp(-np.logaddexp(0, d) - np.logaddexp(0, -d)) * (v[i] - v[j])
    expected = float(u @ np.logaddexp(0, -d))
    assert abs(value - expected) <= rtol * expected
    for got, parts in ((gradient, slope), (product, bend)):
        size = np.linalg.norm(_scatter(i, j, np.abs(parts), len(y), np.add))
        error = np.linalg.norm(got - _scatter(i, j, parts, len(y), np.subtract))
        assert error <= rtol * size


every_logistic = pytest.mark.parametrize("cls", [PairwiseLogistic, SlowLogistic])


@every_logistic
@every_weighting
@settings(max_examples=75, deadline=None)
@given(problem=problems(), spread=st.sampled_from([1.0, 30.0, 1000.0]))
@example(problem=TINY, spread=1.0)
@example(problem=TINY._replace(s=np.zeros(2)), spread=1.0)
@example(problem=STRAY, spread=1.0)
def test_logistic_is_the_sum_over_pairs(cls, weighting, problem, spread):
    y, z, s, groups, v, _ = problem
    assert isinstance(cls().summation, LogisticSums) == (cls is PairwiseLogistic)
    check_logistic(cls(), y, spread * z, s, groups, weighting, v)


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("cls", "weighting", "equal", "spread"),
    [
        (PairwiseLogistic, *case)
        for case in itertools.product(WEIGHTINGS, [True, False], [0.01, 3.0, 100.0, 250.0])
    ]
    # No products of factors here: that pairs are taken one by one does not depend on the scores.
    + [(SlowLogistic, "uniform", True, 3.0), (SlowLogistic, "difference", False, 250.0)],
)
def test_logistic_of_long_levels(cls, weighting, equal, spread):
    """Many factors to a product: neither overflow nor loss of small terms."""
    rng = np.random.default_rng(1)
    n = 900
    y, z = rng.integers(0, 3, n) * 1.0, spread * np.clip(rng.normal(size=n), -2, 2)
    s = np.ones(n) if equal else rng.uniform(0, 2, n)
    groups = np.minimum(np.arange(n) // 30, 3)
    check_logistic(cls(), y, z, s, groups, weighting, rng.normal(size=n))
    check_logistic(cls(), y, spread * y + 0.01 * z, s, groups, weighting, rng.normal(size=n))


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("cls", "weighting"),
    [
        (PairwiseLogistic, "uniform"),
        (PairwiseLogistic, "difference"),
        (SlowLogistic, "difference"),
    ],
)
def test_a_large_group_among_tiny_ones_is_shared_by_threads(cls, weighting):
    rng = np.random.default_rng(2)
    n = 9000
    groups = np.concatenate(
        [np.arange(2000) // 2, np.full(2500, 1000), np.arange(4500) // 3 + 1001]
    )
    order = rng.permutation(n)
    groups, y = groups[order], rng.integers(0, 4, n) * 1.0
    z, v = rng.normal(size=n), rng.normal(size=n)
    index = PairIndex(y, encode_groups(groups, n), np.ones(n), weighting)
    value, gradient, product = sums_by_index(cls(), index, z, v)
    assert len(index.units) > 8
    largest = max(end - begin for _, _, begin, end in index.units)
    assert largest < n
    check_logistic(cls(), y, z, np.ones(n), groups, weighting, v)
    for n_threads in (2, 3):
        with ThreadPoolExecutor(n_threads) as pool:
            again = sums_by_index(cls(), index, z, v, pool.map)
        assert again[0] == value
        np.testing.assert_array_equal(again[1], gradient)
        np.testing.assert_array_equal(again[2], product)


@every_weighting
@pytest.mark.parametrize("width", [1e-3, 0.3, 5.0])
def test_smoothed_hinge_is_the_sum_over_pairs(weighting, width):
    """Its value is a difference of two squared hinges, its own methods say what it should be."""
    loss = PairwiseHinge(margin=0.5).smoothed(width)
    assert len(loss.summation.terms) == 2
    rng = np.random.default_rng(10)
    n = 50
    y, z, s = rng.integers(0, 4, n).astype(float), rng.normal(size=n), rng.integers(0, 3, n) * 1.0
    groups, v = rng.integers(0, 3, n), rng.normal(size=n)
    pairs = [(i, j) for i in range(n) for j in range(n) if groups[i] == groups[j] and y[i] > y[j]]
    i, j = np.array(pairs).T
    u = s[i] * s[j] * (y[i] - y[j] if weighting == "difference" else 1.0)
    u /= u.sum()
    d = z[i] - z[j]
    expected = u @ [loss.pair_value(one) for one in d]
    slope = _scatter(i, j, u * [loss.pair_gradient(one) for one in d], n, np.subtract)
    bend = u * [loss.pair_hessian(one) for one in d] * (v[i] - v[j])
    value, gradient, product = sums_by_index(loss, PairIndex(y, groups, s, weighting), z, v)
    assert value == pytest.approx(expected, rel=1e-10)
    np.testing.assert_allclose(gradient, slope, atol=1e-10)
    np.testing.assert_allclose(
        product, _scatter(i, j, bend, n, np.subtract), atol=1e-10 * max(1.0, 1.0 / width)
    )


@every_loss
@every_weighting
@pytest.mark.parametrize("grades", [2, 5, None])
def test_long_levels_and_many_levels(cls, weighting, grades):
    rng = np.random.default_rng(1)
    n = 500
    y = rng.normal(size=n) if grades is None else rng.integers(0, grades, n).astype(float)
    z = np.round(rng.normal(size=n), 1)
    loss = cls(margin=0.5)
    check(loss, POWERS[type(loss)], y, z, rng.uniform(0, 2, n), None, weighting, rng.normal(size=n))


@every_loss
@every_weighting
@pytest.mark.parametrize("shape", ["sorted", "reversed", "constant", "two values"])
def test_scores_in_order(cls, weighting, shape):
    n = 130
    z = {
        "sorted": np.arange(n) / n,
        "reversed": -np.arange(n) / n,
        "constant": np.full(n, 0.7),
        "two values": np.arange(n) % 2.0,
    }[shape]
    rng = np.random.default_rng(2)
    for y in (np.arange(n) // 50.0, np.arange(n) * 1.0, rng.permutation(n) // 3.0):
        loss = cls(margin=0.25)
        v = rng.normal(size=n)
        check(loss, POWERS[type(loss)], y, z, np.ones(n), None, weighting, v)


@every_loss
@every_weighting
def test_a_far_row_costs_the_others_no_accuracy(cls, weighting):
    """One score of 1e8 in the group must not cancel what the rows near the margin add."""
    rng = np.random.default_rng(3)
    n = 60
    loss = cls(margin=1.0)
    y, z, v = rng.integers(0, 3, n).astype(float), rng.normal(size=n), rng.normal(size=n)
    y[:2] = 2.0, 0.0
    z[:2] = 1e8, -1e8  # as they should be: no pair with them costs anything
    expected = check(loss, POWERS[type(loss)], y, z, np.ones(n), None, weighting, v)
    assert 0 < expected.value < 10


@every_loss
@every_weighting
def test_the_order_of_rows_does_not_matter(cls, weighting):
    rng = np.random.default_rng(4)
    n = 200
    y, z, s = rng.integers(0, 4, n).astype(float), rng.normal(size=n), rng.uniform(0, 2, n)
    groups = rng.integers(0, 6, n)
    value, gradient, _ = sums_by_index(cls(), PairIndex(y, groups, s, weighting), z)
    order = rng.permutation(n)
    index = PairIndex(y[order], groups[order], s[order], weighting)
    shuffled, shuffled_gradient, _ = sums_by_index(cls(), index, z[order])
    assert shuffled == pytest.approx(value, rel=1e-13)
    np.testing.assert_allclose(shuffled_gradient, gradient[order], rtol=1e-11, atol=1e-16)


@every_loss
@every_weighting
def test_float32_scores_and_weights_are_summed_in_float64(cls, weighting):
    rng = np.random.default_rng(5)
    n = 300
    y, groups = rng.integers(0, 4, n).astype(np.float32), rng.integers(0, 3, n)
    z, s = rng.normal(size=n).astype(np.float32), rng.uniform(0, 2, n).astype(np.float32)
    loss = cls(margin=0.5)
    v = rng.normal(size=n).astype(np.float32)
    check(loss, POWERS[type(loss)], y, z, s, groups, weighting, v)


# --- nothing to compare ------------------------------------------------------------------------


NO_PAIRS = {
    "one row": ([1.0], [0], [1.0]),
    "equal labels": ([2.0] * 5, [0, 0, 1, 1, 1], [1.0] * 5),
    "one row per group": ([0.0, 1.0, 2.0], [2, 0, 1], [1.0] * 3),
    "no weight on the better rows": ([0.0, 0.0, 1.0, 1.0], [0] * 4, [1.0, 1.0, 0.0, 0.0]),
}


@pytest.mark.parametrize("cls", [*LOSSES, *SLOW.values()], ids=lambda cls: cls.__name__)
@every_weighting
@pytest.mark.parametrize("case", NO_PAIRS)
def test_no_pair(cls, weighting, case):
    y, groups, s = (np.array(part) for part in NO_PAIRS[case])
    z = np.linspace(-1, 1, len(y))
    index = PairIndex(y, groups, s, weighting)
    assert index.total == index.n_pairs == 0
    squared = issubclass(cls, PairwiseSquaredHinge)
    value, gradient, product = sums_by_index(cls(), index, z, np.ones(len(y)) if squared else None)
    assert value == 0.0
    np.testing.assert_array_equal(gradient, 0.0)
    if squared:
        np.testing.assert_array_equal(product, 0.0)


@pytest.mark.parametrize("cls", [*LOSSES, *SLOW.values()], ids=lambda cls: cls.__name__)
def test_rows_without_a_pair_have_no_gradient(cls):
    y = np.array([0.0, 1.0, 3.0, 3.0, 5.0])
    groups = np.array([0, 0, 1, 1, 2])
    value, gradient, _ = sums_by_index(
        cls(), PairIndex(y, groups, np.ones(5), "uniform"), np.ones(5)
    )
    assert value == 1.0
    np.testing.assert_array_equal(gradient[2:], 0.0)
    assert gradient[0] == -gradient[1] > 0


# --- large problems ----------------------------------------------------------------------------


def test_chunks_split_the_groups():
    rng = np.random.default_rng(6)
    n = 70_000
    groups = np.concatenate([np.zeros(30_000, int), rng.integers(1, 9000, n - 30_000)])
    groups = encode_groups(rng.permutation(groups), n)
    index = PairIndex(rng.normal(size=n), groups, np.ones(n), "uniform")
    assert len(index.chunks) >= 3
    covered = [group for first, last in index.chunks for group in range(first, last)]
    assert covered == list(range(groups.max() + 1))


@pytest.mark.compiled
@every_loss
@every_weighting
def test_many_groups_in_several_chunks_and_threads(cls, weighting):
    """The whole equals its groups one by one, and threads change no bit of it."""
    rng = np.random.default_rng(7)
    n = 50_000
    groups = encode_groups(rng.integers(0, 5000, n), n)
    y, z, s = rng.integers(0, 3, n).astype(float), rng.normal(size=n), rng.uniform(0, 2, n)
    v = rng.normal(size=n) if POWERS[cls] == 2 else None
    index = PairIndex(y, groups, s, weighting)
    assert len(index.chunks) > 1
    value, gradient, product = sums_by_index(cls(), index, z, v)

    numerator = 0.0
    for group in range(200):
        rows = np.flatnonzero(groups == group)
        part = PairIndex(y[rows], None, s[rows], weighting)
        one, slope, bend = sums_by_index(cls(), part, z[rows], None if v is None else v[rows])
        numerator += one * part.total
        share = part.total / index.total
        np.testing.assert_allclose(gradient[rows], share * slope, rtol=1e-9, atol=1e-18)
        if v is not None:
            np.testing.assert_allclose(product[rows], share * bend, rtol=1e-9, atol=1e-18)
    first = np.flatnonzero(groups < 200)
    part = PairIndex(y[first], groups[first], s[first], weighting)
    assert sums_by_index(cls(), part, z[first])[0] == pytest.approx(
        numerator / part.total, rel=1e-12
    )

    with ThreadPoolExecutor(4) as pool:
        threaded = sums_by_index(cls(), index, z, v, pool.map)
    assert threaded[0] == value
    np.testing.assert_array_equal(threaded[1], gradient)
    if v is not None:
        np.testing.assert_array_equal(threaded[2], product)


@pytest.mark.compiled
@every_loss
@every_weighting
@pytest.mark.parametrize("grades", [2, 5, None])
def test_threads_share_a_large_group(cls, weighting, grades, monkeypatch):
    """Whatever is large: the sums are those over pairs, and bit-identical for any threads."""
    rng = np.random.default_rng(9)
    n = 700
    y = rng.normal(size=n) if grades is None else rng.integers(0, grades, n) * 1.0
    groups = np.concatenate([np.arange(200) // 2, np.full(300, 500), np.arange(200) // 90 + 600])
    order = rng.permutation(n)
    groups, z, s = groups[order], np.round(rng.normal(size=n), 2), rng.uniform(0, 2, n)
    v, loss = rng.normal(size=n), cls(margin=0.5)
    curved = v if POWERS[type(loss)] == 2 else None
    codes = encode_groups(groups, n)
    apart = sums_by_index(loss, PairIndex(y, codes, s, weighting), z, curved)
    monkeypatch.setattr(pair_index, "_LARGE_ROWS", 80)
    monkeypatch.setattr(pair_index, "_CHUNK_ROWS", 20)
    index = PairIndex(y, codes, s, weighting)
    assert len(index.large) == 3
    assert len(index.chunks) > 5
    check(loss, POWERS[type(loss)], y, z, s, groups, weighting, v)
    for run in (map, ThreadPoolExecutor(2).map, ThreadPoolExecutor(5).map):
        index = PairIndex(y, codes, s, weighting)
        for scores in (z, z[::-1].copy(), z):  # levels stay sorted between calls
            value, gradient, product = sums_by_index(loss, index, scores, curved, run)
        assert value == pytest.approx(apart[0], rel=1e-13)
        np.testing.assert_allclose(gradient, apart[1], rtol=1e-10, atol=1e-15)
        if run is map:
            first = value, gradient, product
        assert value == first[0]
        np.testing.assert_array_equal(gradient, first[1])
        if curved is not None:
            np.testing.assert_allclose(product, apart[2], rtol=1e-9, atol=1e-14)
            np.testing.assert_array_equal(product, first[2])


@pytest.mark.compiled
@every_weighting
def test_threads_share_one_query_in_parts_of_many_runs(weighting, monkeypatch):
    rng, n = np.random.default_rng(2), 1500
    y, z, v, s = rng.normal(size=(4, n))
    loss, s = PairwiseSquaredHinge(margin=0.5), np.abs(s)
    apart = sums_by_index(loss, PairIndex(y, None, s, weighting), z, v)
    monkeypatch.setattr(pair_index, "_LARGE_ROWS", 80)
    index = PairIndex(y, None, s, weighting)
    assert index.large == [0]
    assert len(index.runs.level) > 2 * hinge_sums._PARTS
    shared = [sums_by_index(loss, index, z, v, run) for run in (map, ThreadPoolExecutor(2).map)]
    for one, other, same in zip(apart, *shared, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-9, atol=1e-13)
        np.testing.assert_array_equal(other, same)


def largest_resident():
    """Bytes that this process had at most; 0 on Windows, which does not say."""
    if find_spec("resource") is None:
        return 0
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("cls", "weighting"), [(PairwiseHinge, "difference"), (PairwiseSquaredHinge, "uniform")]
)
def test_100_000_rows_in_one_group_need_memory_for_rows_only(cls, weighting):
    rng = np.random.default_rng(8)
    n = 100_000
    y, z, s = rng.normal(size=n), rng.normal(size=n), rng.uniform(0, 2, n)
    v = rng.normal(size=n) if POWERS[cls] == 2 else None
    some = slice(70_000)  # enough to compile all that large groups need
    sums_by_index(
        cls(), PairIndex(y[some], None, s[some], weighting), z[some], None if v is None else v[some]
    )
    resident = largest_resident()
    tracemalloc.start()
    try:
        index = PairIndex(y, None, s, weighting)
        value, gradient, _ = sums_by_index(cls(), index, z, v)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert index.n_pairs == n * (n - 1) // 2
    assert peak < 20 * 8 * n
    # Kernels allocate where tracemalloc does not look. One byte a pair would be 5 GB.
    assert largest_resident() - resident < 200e6
    assert np.all(np.isfinite(gradient))

    # Independent scores: the mean over pairs is close to that of a sample of pairs.
    i, j = rng.integers(0, n, (2, 400_000))
    i, j = np.where(y[i] > y[j], i, j), np.where(y[i] > y[j], j, i)
    u = s[i] * s[j] * (y[i] - y[j] if weighting == "difference" else y[i] > y[j])
    sample = np.average(np.maximum(0, 1 - (z[i] - z[j])) ** POWERS[cls], weights=u)
    assert value == pytest.approx(sample, rel=0.02)


def test_hessian_is_symmetric_and_positive_semidefinite():
    rng = np.random.default_rng(9)
    n = 40
    y, z, s = rng.integers(0, 3, n).astype(float), rng.normal(size=n), rng.uniform(0, 2, n)
    index = PairIndex(y, rng.integers(0, 2, n), s, "difference")
    H = np.column_stack([sums_by_index(PairwiseSquaredHinge(), index, z, e)[2] for e in np.eye(n)])
    np.testing.assert_allclose(H, H.T, rtol=1e-10, atol=1e-16)
    assert np.linalg.eigvalsh(H).min() > -1e-14
    np.testing.assert_allclose(H @ np.ones(n), 0, atol=1e-15)


@pytest.mark.parametrize("weighting", ["uniform", "difference"])
def test_drawn_pairs_stand_for_all(weighting):
    rng = np.random.default_rng(0)
    n = 30
    y, groups = rng.integers(0, 4, n).astype(float), rng.integers(0, 3, n)
    s = rng.integers(0, 3, n) * rng.exponential(size=n)
    loss = PairwiseHinge(weighting=weighting)
    objective = PairwiseObjective(
        loss, Rows(np.eye(n), center=True), y, s, groups, penalty=ElasticNet(0.1)
    )
    size = 30_000
    random_state = np.random.RandomState(0)
    draws = [objective.draw(random_state) for _ in range(size // n)]
    better, worse, _, weights, _ = (np.concatenate(part) for part in zip(*draws, strict=True))
    seen = np.zeros((n, n))
    np.add.at(seen, (better, worse), weights / len(better))
    expected = np.where((y[:, None] > y) & (groups[:, None] == groups), s[:, None] * s, 0.0)
    if weighting == "difference":
        expected *= y[:, None] - y
    expected /= expected.sum()
    assert np.all(seen[expected == 0] == 0)
    assert np.abs(seen - expected).max() < 5 * np.sqrt(expected.max() * weights.max() / size)
    if weighting == "uniform":
        np.testing.assert_allclose(weights, 1.0)  # a heavy pair comes often, not with a jolt


@pytest.mark.parametrize("loss", [PairwiseHinge(), PairwiseSquaredHinge(), PairwiseLogistic()])
def test_rows_without_weight_are_written(loss):
    rng = np.random.default_rng(0)
    y, z = rng.integers(0, 3, 20).astype(float), rng.normal(size=20)
    s = rng.integers(0, 2, 20).astype(float)
    index = PairIndex(y, None, s, "uniform")
    out = np.full(20, np.nan)
    if isinstance(loss.summation, HingeSums):
        loss.summation.means(index, z, out)
        assert np.all(out[s == 0] == 0) and np.isfinite(out).all()
    for out in (np.full(20, np.nan), np.full(20, np.nan)):
        index.value_gradient(loss, z, out)
        assert np.all(out[s == 0] == 0) and np.isfinite(out).all()
