"""Cases of ranking: rows 12 and 13 of the targets, and the flights of a day."""

from dataclasses import replace
from functools import partial

import numpy as np

from benchmarks import data, flights, peers
from benchmarks.data import Problem
from benchmarks.race import Spec, companion, fit_ours, race, shape
from sklearn_margin.losses import PairwiseHinge, PairwiseSquaredHinge
from sklearn_margin.metrics import pairwise_accuracy_score

D = 20
ALPHA = 1e-4
TWICE = 2  # times of the squared hinge that the hinge may take
SURVIVAL = partial(peers.survival_svm, tree="rbtree")
LOSSES = {"squared hinge": PairwiseSquaredHinge, "hinge": PairwiseHinge}


def _ranking(X, y, groups, title, others, notes=(), loss="squared hinge"):
    """A case of RankSVM; `others` are adapters of peers."""
    p = Problem(X, y, LOSSES[loss](weighting="uniform"), ALPHA, groups=groups)

    def accuracy(solution):
        return pairwise_accuracy_score(y, X @ np.ravel(solution[0]), groups=groups)

    title = f"RankSVM {loss}, {title}"
    contestants = [other(p) for other in others]
    if loss == "hinge":
        squared = replace(p, loss=PairwiseSquaredHinge(weighting="uniform"))
        contestants.append(companion("squared hinge", partial(fit_ours, squared)))
    metric = ("pairwise accuracy", accuracy)
    return race(p, title, contestants, metric=metric, notes=list(notes))


def one_query(n, others=(), loss="squared hinge"):
    X, y, groups = data.relevance(n, D, levels=5)
    return _ranking(X, y, groups, f"one query of {shape(X)}, 5 levels", others, loss=loss)


def one_query_distinct(n):
    X, y, groups = data.relevance(n, D)
    trees = [SURVIVAL, partial(peers.survival_svm, tree="avltree")]
    note = "All labels differ, since FastSurvivalSVM would break ties at random."
    return _ranking(X, y, groups, f"one query of {shape(X)}, labels that differ", trees, [note])


def queries(n, loss="squared hinge"):
    X, y, groups = data.relevance(n, D, levels=5, group_size=50)
    others = [partial(peers.explicit_pairs, dual=True)]
    if loss == "squared hinge":  # LIBLINEAR has no primal method for the other
        others += [partial(peers.explicit_pairs, dual=False), peers.xgb_ranker]
    title = f"{n // 50:,} queries of {shape(X[:50])}, 5 levels"
    note = (
        "LinearSVC is given all pairs, which are built in its time, and memory: 8 GB at full size."
    )
    return _ranking(X, y, groups, title, others, [note], loss)


def flights_rank(n):
    X, y, groups = flights.grades(n)
    title = f"flights of an airport and day by delay, dense {shape(X)}"
    return _ranking(X, y, groups, title, [peers.xgb_ranker])


SPECS = {
    "rank-one-query": Spec(
        12, partial(one_query, others=[SURVIVAL, peers.xgb_ranker]), 256_000, 5_000
    ),
    "rank-one-query-distinct": Spec(12, one_query_distinct, 50_000, 2_000, 50, patience=200),
    "rank-one-query-distinct-256k": Spec(12, one_query_distinct, 256_000, 2_000, 50, patience=200),
    "rank-one-query-million": Spec(
        12, partial(one_query, others=[peers.xgb_ranker]), 1_000_000, 10_000, target="seconds"
    ),
    "rank-queries": Spec(12, queries, 500_000, 5_000, 50, patience=200),
    "rank-one-query-hinge": Spec(
        13, partial(one_query, loss="hinge"), 256_000, 5_000, companion=TWICE
    ),
    "rank-queries-hinge": Spec(13, partial(queries, loss="hinge"), 500_000, 5_000, companion=TWICE),
    "flights-rank": Spec(None, flights_rank, flights.N_FLIGHTS, 3_000),
}
