"""Ranking."""

import numpy as np

from benchmarks.data import Problem
from benchmarks.harness import THREADS, Contestant
from benchmarks.peers.common import EPOCHS, TOLERANCES
from sklearn_margin.losses import PairwiseHinge


def survival_svm(p: Problem, tree: str) -> Contestant:
    """scikit-survival's RankSVM, for one query. It minimises ½‖w‖² + A/2·Σ over all pairs.

    Rows of equal label are pairs, too, in an order at random: another objective than ours unless
    all labels differ.
    """
    n = len(p.y)
    factor = 2 / (p.alpha * n * (n - 1) / 2)

    def fit(tol):
        from sksurv.svm import FastSurvivalSVM
        from sksurv.util import Surv

        model = FastSurvivalSVM(
            alpha=factor, rank_ratio=1.0, optimizer=tree, tol=tol, max_iter=1000, random_state=0
        )
        time = p.y - p.y.min() + 1  # survival times are positive; only their order counts
        model.fit(p.X, Surv.from_arrays(np.ones(n, bool), time))
        return model.coef_, 0.0

    name, package = f"FastSurvivalSVM {tree}", "scikit-survival"
    if len(np.unique(p.y)) == n:
        return Contestant(name, fit, TOLERANCES, package)
    return Contestant(name, fit, (1e-4,), package, "breaks ties at random", comparable=False)


def explicit_pairs(p: Problem, dual: bool) -> Contestant:
    """LinearSVC on the differences of all pairs, which are built on the way."""
    from sklearn.svm import LinearSVC

    loss = "hinge" if isinstance(p.loss, PairwiseHinge) else "squared_hinge"

    def fit(rung):
        D = _pair_differences(p.X, p.y, p.groups)
        sign = np.where(np.arange(len(D)) % 2, 1.0, -1.0)  # LinearSVC wants two classes
        D *= sign[:, None]
        stop = {"tol": 1e-10, "max_iter": rung} if dual else {"tol": rung, "max_iter": 10_000}
        model = LinearSVC(
            loss=loss, C=1 / (p.alpha * len(D)), dual=dual, fit_intercept=False, random_state=0,
            **stop,
        )  # fmt: skip
        return model.fit(D, sign).coef_, 0.0

    name = f"pairs + LinearSVC {'dual' if dual else 'primal'}"
    return Contestant(name, fit, EPOCHS if dual else TOLERANCES, "scikit-learn")


def _pair_differences(X, y, groups):
    """Rows better − worse of all pairs of a group; groups are sorted and of equal size."""
    size = np.searchsorted(groups, groups[0], side="right")
    i, j = np.triu_indices(size, 1)
    start = np.arange(0, len(y), size)[:, None]
    i, j = (start + i).ravel(), (start + j).ravel()
    order = np.sign(y[i] - y[j])
    i, j, order = i[order != 0], j[order != 0], order[order != 0]
    D = X[i]
    D -= X[j]
    D *= order[:, None]
    return D


def xgb_ranker(p: Problem) -> Contestant:
    """XGBoost's linear booster with a pairwise logistic loss: another objective."""

    def fit(rounds):
        from xgboost import XGBRanker

        model = XGBRanker(
            booster="gblinear", objective="rank:pairwise", n_estimators=rounds, n_jobs=THREADS
        )
        groups = np.zeros(len(p.y), int) if p.groups is None else p.groups
        return model.fit(p.X, p.y, qid=groups).coef_, 0.0

    note = "pairwise logistic loss of sampled pairs"
    return Contestant("XGBRanker gblinear", fit, (10, 100), "xgboost", note, comparable=False)
