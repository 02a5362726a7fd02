"""Cases of ranking: row 12 of the targets, and the flights of a day."""

from functools import partial

import numpy as np

from benchmarks import data, flights, peers
from benchmarks.data import Problem
from benchmarks.race import Spec, race, shape
from sklearn_margin.losses import PairwiseSquaredHinge
from sklearn_margin.metrics import pairwise_accuracy_score

D = 20
ALPHA = 1e-4


def _ranking(X, y, groups, title, others, notes=()):
    """A case of RankSVM; `others` are adapters of peers."""
    p = Problem(X, y, PairwiseSquaredHinge(weighting="uniform"), ALPHA, groups=groups)

    def accuracy(solution):
        return pairwise_accuracy_score(y, X @ np.ravel(solution[0]), groups=groups)

    title = f"RankSVM squared hinge, {title}"
    metric = ("pairwise accuracy", accuracy)
    return race(p, title, [other(p) for other in others], metric=metric, notes=list(notes))


def one_query(n):
    X, y, groups = data.relevance(n, D, levels=5)
    note = "FastSurvivalSVM breaks ties of labels at random, so it cannot solve this problem."
    title = f"one query of {shape(X)}, 5 levels"
    return _ranking(X, y, groups, title, [peers.xgb_ranker], [note])


def one_query_distinct(n):
    X, y, groups = data.relevance(n, D)
    trees = [partial(peers.survival_svm, tree=tree) for tree in ("rbtree", "avltree")]
    note = "All labels differ, since FastSurvivalSVM would break ties at random."
    return _ranking(X, y, groups, f"one query of {shape(X)}, labels that differ", trees, [note])


def queries(n):
    X, y, groups = data.relevance(n, D, levels=5, group_size=50)
    pairs = [partial(peers.explicit_pairs, dual=dual) for dual in (False, True)]
    title = f"{n // 50:,} queries of {shape(X[:50])}, 5 levels"
    note = (
        "LinearSVC is given all pairs, which are built in its time, and memory: 8 GB at full size."
    )
    return _ranking(X, y, groups, title, [*pairs, peers.xgb_ranker], [note])


def flights_rank(n):
    X, y, groups = flights.grades(n)
    title = f"flights of an airport and day by delay, dense {shape(X)}"
    return _ranking(X, y, groups, title, [peers.xgb_ranker])


SPECS = {
    "rank-one-query": Spec(12, one_query, 256_000, 5_000),
    "rank-one-query-distinct": Spec(12, one_query_distinct, 50_000, 2_000, 30),
    "rank-one-query-million": Spec(12, one_query, 1_000_000, 10_000, target="seconds"),
    "rank-queries": Spec(12, queries, 500_000, 5_000),
    "flights-rank": Spec(None, flights_rank, flights.N_FLIGHTS, 3_000),
}
