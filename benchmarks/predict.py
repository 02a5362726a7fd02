"""Row 18 of the targets: prediction, of one row and of 10⁶, beside scikit-learn's."""

import time
import warnings

import numpy as np
from sklearn.linear_model import HuberRegressor as SklearnHuber
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from benchmarks import data
from sklearn_margin import HingeClassifier, HuberRegressor, LinearClassifier

D = 50
TRAIN = 5_000
SHORT = 0.05  # seconds for which a quick call is repeated


def _pairs():
    """Fitted models, ours and theirs, and the methods they share."""
    X, y = data.labels(TRAIN, D)
    _, t = data.targets(TRAIN, D)
    logistic = ["decision_function", "predict", "predict_proba"]
    return [
        (HingeClassifier().fit(X, y), LinearSVC().fit(X, y), logistic[:2]),
        (LinearClassifier(loss="logistic").fit(X, y), LogisticRegression().fit(X, y), logistic),
        (HuberRegressor().fit(X, t), SklearnHuber(max_iter=1000).fit(X, t), ["predict"]),
    ]


def run(quick: bool, repeats: int) -> dict:
    """Time all methods; the two libraries take turns, and the least time counts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pairs = _pairs()
    X = np.random.default_rng(1).standard_normal((50_000 if quick else 1_000_000, D))
    rows, summary = [], []
    for ours, theirs, methods in pairs:
        for name in methods:
            for part in (X[:1], X):
                calls = [getattr(model, name) for model in (ours, theirs)]
                a, b = _race(calls, part, repeats)
                label = f"{type(ours).__name__}.{name}"
                peer = type(theirs).__name__
                size = "1 row" if len(part) == 1 else f"{len(part):,} rows"
                rows.append([label, size, f"{a:.3g}", peer, f"{b:.3g}", f"{b / a:.2f}"])
                summary.append({
                    "case": f"{label}, {size}", "ours": a, "passes": None, "peer": peer,
                    "theirs": b, "bar": 1.0, "target": "≥ 1",
                })  # fmt: skip
    return {
        "title": f"prediction, {D} features", "row": 18, "summary": summary,
        "table": {"columns": ["ours", "of", "s", "theirs", "s", "ratio"], "rows": rows},
    }  # fmt: skip


def _race(calls, X, repeats):
    """Least seconds of a call, for each of the calls."""
    best = [np.inf] * len(calls)
    number = None
    for _ in range(1 + repeats):  # the first round warms up and counts, too
        for i, call in enumerate(calls):
            start = time.perf_counter()
            for _ in range(number or 1):
                call(X)
            best[i] = min(best[i], (time.perf_counter() - start) / (number or 1))
        number = number or max(1, int(SHORT / min(best)))
    return best
