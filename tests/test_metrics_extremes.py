"""Ranking metrics at the ends of what their arguments may be, against exact arithmetic."""

import warnings
from fractions import Fraction

import numpy as np
import pytest

from sklearn_margin.metrics import ndcg_score, pairwise_accuracy_score, precision_at_k_score
from sklearn_margin.plotting import RankingDisplay


def exact_pairwise_accuracy(y, score, groups, weight):
    """By the definition, in rational numbers."""
    total, right = Fraction(0), Fraction(0)
    w = [Fraction(float(x)) for x in weight]
    for i in range(len(y)):
        for j in range(len(y)):
            if groups[i] == groups[j] and y[i] > y[j]:
                total += w[i] * w[j]
                right += w[i] * w[j] * (Fraction(1, 2) * (int(score[i] >= score[j]))
                                        + Fraction(1, 2) * (int(score[i] > score[j])))  # fmt: skip
    return float(right / total)


@pytest.mark.parametrize("spread", [3, 9, 12, 30, 100])
@pytest.mark.parametrize("seed", range(6))
def test_pairwise_accuracy_keeps_its_digits(spread, seed):
    rng = np.random.RandomState(seed)
    n = 80
    groups = rng.randint(1 + 4 * (seed % 3), size=n)
    y, score = rng.randint(4, size=n), rng.randint(20, size=n)
    weight = 10.0 ** rng.uniform(-spread, spread, size=n)
    expected = exact_pairwise_accuracy(y, score, groups, weight)
    found = pairwise_accuracy_score(y, score, groups=groups, sample_weight=weight)
    assert found == pytest.approx(expected, rel=1e-12, abs=0)


@pytest.mark.parametrize("small", [1e-9, 1e-12, 1e-100, 1e-200])
def test_pairs_of_light_rows_beside_a_heavy_one(small):
    """The heavy row has no pair but with light ones, behind another group of heavy rows."""
    y = np.array([1, 0, 1, 1, 0, 0, 0])
    score = np.array([2, 1, 5, 1, 3, 2, 4])
    groups = np.array([0, 0, 1, 1, 1, 1, 1])
    weight = np.array([small, small, 1.0, 7.0, 3 * small, 5 * small, 9 * small])
    expected = exact_pairwise_accuracy(y, score, groups, weight)
    found = pairwise_accuracy_score(y, score, groups=groups, sample_weight=weight)
    assert found == pytest.approx(expected, rel=1e-12, abs=0)


@pytest.mark.parametrize(
    ("heavy", "light"), [(1e9, 1.0), (1e154, 1.0), (1e200, 1.0), (1e300, 1e-5), (1.0, 1e-200)]
)
def test_the_only_pairs_are_those_of_a_light_group(heavy, light):
    y, score = [1, 1, 2, 1, 0], [3, 4, 1, 2, 0]
    groups, weight = [0, 0, 1, 1, 1], [heavy, heavy, light, light, 2 * light]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = pairwise_accuracy_score(y, score, groups=groups, sample_weight=weight)
    assert found == pytest.approx(exact_pairwise_accuracy(y, score, groups, weight), rel=1e-12)
    assert found == pytest.approx(0.8)  # pairs weigh 1, 2 and 2; the first is in the wrong order


def test_many_groups_do_not_wear_the_digits_off():
    """The pairs of 20,000 groups of full weight, and of groups a million times lighter."""
    n_groups = 20_000
    groups = np.repeat(np.arange(n_groups), 3)
    rng = np.random.RandomState(0)
    y, score = np.tile([2, 1, 0], n_groups), rng.uniform(size=3 * n_groups)
    weight = 10.0 ** rng.uniform(-12, 12, size=3 * n_groups)
    w, s = weight.reshape(-1, 3).T, score.reshape(-1, 3).T
    products = [w[0] * w[1], w[0] * w[2], w[1] * w[2]]
    right = [s[0] > s[1], s[0] > s[2], s[1] > s[2]]
    expected = sum(p[r].sum() for p, r in zip(products, right, strict=True))
    expected /= sum(p.sum() for p in products)
    found = pairwise_accuracy_score(y, score, groups=groups, sample_weight=weight)
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("k", [True, False, np.True_, 1.0, "1"])
@pytest.mark.parametrize("metric", [ndcg_score, precision_at_k_score])
def test_a_number_of_ranks_is_a_number(metric, k):
    with pytest.raises(TypeError, match="k must be"):
        metric([1, 0], [2.0, 1.0], k=k)


def test_ks_of_a_picture_are_numbers():
    with pytest.raises(ValueError, match="ks must be whole numbers"):
        RankingDisplay.from_predictions([1, 0], [2.0, 1.0], ks=[True])
