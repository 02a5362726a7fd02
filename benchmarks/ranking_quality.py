"""How well rankers rank queries they have not seen, and how long they learn.

Every contestant picks its setting by NDCG@10 on a part of the training queries, from a short list;
then it is fitted on all of them, which is the time that counts, and judged on other queries. Those
who know no queries (Ridge, FastSurvivalSVM) learn from all rows as one.
"""

import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.model_selection import GroupShuffleSplit

from benchmarks import flights
from benchmarks.harness import OURS, SPENT, THREADS, installed
from sklearn_margin import LinearRanker, RankSVM
from sklearn_margin.metrics import pairwise_accuracy_score
from sklearn_margin.metrics._ndcg import grouped_ndcg

LETOR = "LETOR_FOLDER"  # environment variable
NEARBY = Path(__file__).parents[2] / "shared/data/lightgbm_lambdarank"
LIMIT = 12.0  # seconds; who takes longer for a setting tries no more of them
ALPHAS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)


class Part(NamedTuple):
    """Rows sorted by query."""

    X: np.ndarray | sp.csr_matrix
    y: np.ndarray
    groups: np.ndarray

    def rows(self, chosen):
        """Some of the rows."""
        return Part(self.X[chosen], self.y[chosen], self.groups[chosen])


@dataclass
class Ranker:
    """A way to learn scores."""

    name: str
    fit: Callable  # fit(part, setting) -> a function from features to scores
    settings: tuple
    package: str = OURS
    setting: str = "alpha"


# --- contestants ---


def rank_svm(loss):
    def fit(part, alpha):
        model = RankSVM(loss=loss, alpha=alpha, n_jobs=THREADS)
        return model.fit(part.X, part.y, groups=part.groups).predict

    return Ranker(f"RankSVM {loss.replace('_', ' ')}", fit, ALPHAS)


def listwise():
    def fit(part, alpha):
        model = LinearRanker("listwise_softmax", alpha=alpha, n_jobs=THREADS)
        return model.fit(part.X, part.y, groups=part.groups).predict

    return Ranker("listwise softmax", fit, ALPHAS)


def ridge():
    def fit(part, alpha):
        from sklearn.linear_model import Ridge

        return Ridge(alpha=alpha * len(part.y)).fit(part.X, part.y).predict

    return Ranker("Ridge", fit, ALPHAS, "scikit-learn")


def survival_svm():
    """All pairs of rows of all queries; those of equal relevance in an order at random."""

    def fit(part, alpha):
        from sksurv.svm import FastSurvivalSVM
        from sksurv.util import Surv

        n = len(part.y)
        model = FastSurvivalSVM(
            alpha=4 / (alpha * n * (n - 1)), rank_ratio=1.0, tol=1e-4, max_iter=100, random_state=0
        )
        X = part.X.toarray() if sp.issparse(part.X) else part.X
        model.fit(X, Surv.from_arrays(np.ones(n, bool), part.y + 1))
        return lambda X: X @ model.coef_

    return Ranker("FastSurvivalSVM", fit, ALPHAS[::-2], "scikit-survival")


def xgb_linear():
    def fit(part, rounds):
        from xgboost import XGBRanker

        model = XGBRanker(
            booster="gblinear", objective="rank:pairwise", n_estimators=rounds, n_jobs=THREADS
        )
        return model.fit(part.X, part.y, qid=part.groups).predict

    return Ranker("XGBRanker gblinear", fit, (10, 100), "xgboost", "rounds")


def xgb_trees():
    def fit(part, depth):
        from xgboost import XGBRanker

        model = XGBRanker(n_estimators=100, learning_rate=0.1, max_depth=depth, n_jobs=THREADS)
        return model.fit(part.X, part.y, qid=part.groups).predict

    return Ranker("XGBRanker trees", fit, (3, 6), "xgboost", "depth")


def lightgbm_trees(objective="lambdarank"):
    def fit(part, leaves):
        from lightgbm import LGBMRanker

        model = LGBMRanker(
            objective=objective, n_estimators=100, num_leaves=leaves, n_jobs=THREADS,
            random_state=0, verbosity=-1,
        )  # fmt: skip
        sizes = np.unique(part.groups, return_counts=True)[1]
        return model.fit(part.X, part.y.astype(int), group=sizes).predict

    return Ranker(f"LGBMRanker {objective}", fit, (7, 31), "lightgbm", "leaves")


# The first is the one whose time is the unit.
RANKERS = (
    rank_svm("squared_hinge"), rank_svm("hinge"), listwise(), ridge(), survival_svm(),
    xgb_linear(), xgb_trees(), lightgbm_trees(), lightgbm_trees("rank_xendcg"),
)  # fmt: skip


# --- data ---


def letor():
    """LightGBM's example of LambdaRank, as SVMlight files with query ids."""
    from sklearn.datasets import load_svmlight_files

    folder = Path(os.environ.get(LETOR, NEARBY))
    files = [folder / "train.svm", folder / "test.svm"]
    if not all(file.exists() for file in files):
        raise FileNotFoundError(f"{LETOR} should name a folder with train.svm and test.svm")
    loaded = load_svmlight_files([str(file) for file in files], query_id=True)
    return [Part(*loaded[:3]), Part(*loaded[3:])]


def flights_by_day(quick):
    """Flights of an airport and day by lateness; October to December are held out."""
    X, y, groups = flights.grades(flights.N_FLIGHTS)
    rows = Part(X, y, groups)
    test = flights.months_of_grades() >= flights.FIRST_TEST_MONTH
    kept = groups % 10 == 0 if quick else np.ones(len(y), bool)
    return [rows.rows(kept & ~test), rows.rows(kept & test)]


# --- the case ---


def ndcg_by_query(scores, part):
    """NDCG@10 of each query."""
    return grouped_ndcg(
        part.y, scores, groups=part.groups, gain="linear", sample_weight=None
    ).per_group(10)


def choose(ranker, train):
    """The setting with the best NDCG@10 on a quarter of the training queries."""
    split = GroupShuffleSplit(1, test_size=0.25, random_state=0)
    fitted, held_out = next(split.split(train.y, train.y, train.groups))
    fitted, held_out = train.rows(fitted), train.rows(held_out)
    found = {}
    for setting in ranker.settings:
        start = time.perf_counter()
        scores = ranker.fit(fitted, setting)(held_out.X)
        found[setting] = ndcg_by_query(scores, held_out).mean()
        if time.perf_counter() - start > LIMIT:
            break
    return max(found, key=found.get)


def measure(ranker, train, test, repeats):
    """Setting, median time of the fit, and scores of the test rows."""
    setting, seconds = choose(ranker, train), []
    for _ in range(repeats):
        start = time.perf_counter()
        predict = ranker.fit(train, setting)
        seconds.append(time.perf_counter() - start)
        if sum(seconds) + seconds[-1] > SPENT:
            break
    return setting, float(np.median(seconds)), predict(test.X)


def _row(ranker, parts, repeats, ours):
    """A line of the table, and the time and NDCG by query; `ours` are those of the first line."""
    if not installed(ranker.package):
        return [ranker.name, "not installed", *["–"] * 5], None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            setting, seconds, scores = measure(ranker, *parts, repeats)
        except Exception as error:  # whatever a peer raises must not lose the results of others
            reason = f"{type(error).__name__}: {str(error).splitlines()[0][:100]}"
            return [ranker.name, reason.replace("|", "/"), *["–"] * 5], None
    test = parts[1]
    ndcg = ndcg_by_query(scores, test)
    accuracy = pairwise_accuracy_score(test.y, scores, groups=test.groups)
    share, gain = "1", "–"
    if ours is not None:
        better = ndcg - ours[1]
        share = f"{seconds / ours[0]:.3g}"
        gain = f"{better.mean():+.4f} ± {better.std(ddof=1) / np.sqrt(len(better)):.4f}"
    cells = [f"{seconds:.3g}", share, f"{ndcg.mean():.4f}", gain, f"{accuracy:.4f}"]
    return [ranker.name, *cells, f"{ranker.setting} {setting:g}"], (seconds, ndcg)


def compare(title, parts, repeats) -> dict:
    """All rankers on training and test queries."""
    rows, ours = [], None
    for ranker in RANKERS:
        row, result = _row(ranker, parts, repeats, ours)
        rows.append(row)
        ours = ours or result
    columns = "fit, s", "time ÷ ours", "NDCG@10", "− ours", "pairwise accuracy", "setting"
    train, test = (f"{len(np.unique(p.groups)):,} queries of {len(p.y):,} rows" for p in parts)
    note = (
        f"Learned from {train}, judged on {test}, {parts[0].X.shape[1]} features. The setting is "
        "the best of a few on a quarter of the training queries. ± is the standard error of a "
        "difference of NDCG@10 over the test queries."
    )
    return {
        "title": f"{title}: ranking of unseen queries", "row": None, "summary": [],
        "table": {"columns": ["ranker", *columns], "rows": rows}, "notes": [note],
    }  # fmt: skip


def run_letor(quick: bool, repeats: int) -> dict:
    """LightGBM's example of LambdaRank; its size is that of a quick run."""
    return compare("LightGBM's LambdaRank example", letor(), repeats)


def run_flights(quick: bool, repeats: int) -> dict:
    """Flights from New York."""
    return compare("flights of an airport and day by delay", flights_by_day(quick), repeats)
