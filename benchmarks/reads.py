"""Row 20 of the targets: how often a certified fit reads X, as it counts them itself.

The count hardly depends on the number of rows. A product with X and one with its transpose are two
reads where they are made apart, one where both come from the same visit of a row.
"""

import contextlib
import io
import re

from benchmarks import data
from benchmarks.harness import THREADS
from sklearn_margin import HingeClassifier, HuberRegressor, LinearClassifier, QuantileRegressor

D = 20
READS = {"smooth": 5, "kinked": 9}  # at most
PATTERN = re.compile(r"([\d.]+) reads of X")


def _models(n):
    common = {"n_jobs": THREADS, "verbose": 1}
    return [
        ("logistic", "smooth", LinearClassifier(loss="logistic", alpha=1 / n, **common)),
        ("squared hinge", "smooth", LinearClassifier(loss="squared_hinge", alpha=1 / n, **common)),
        ("Huber with joint scale", "smooth", HuberRegressor(**common)),
        ("hinge", "kinked", HingeClassifier(alpha=1 / n, **common)),
        ("quantile 0.9", "kinked", QuantileRegressor(quantile=0.9, alpha=1 / n, **common)),
    ]


def run(quick: bool, repeats: int) -> dict:
    """Fit each model once, and take the last count that it prints."""
    n = 20_000 if quick else 2_000_000
    (X, y), (_, t) = data.labels(n, D), data.targets(n, D)
    rows, summary = [], []
    for name, kind, model in _models(n):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            model.fit(X, y if "Classifier" in type(model).__name__ else t)
        reads = float(PATTERN.findall(printed.getvalue())[-1])
        rows.append([name, f"{reads:g}", f"{model.n_iter_}", f"≤ {READS[kind]}"])
        summary.append({
            "case": f"{name}, {n:,} × {D}", "ours": reads, "unit": "reads", "passes": None,
            "peer": "", "theirs": None, "bar": None, "most": READS[kind],
            "target": f"≤ {READS[kind]} reads",
        })  # fmt: skip
    columns = ["fit", "reads of X", "iterations", "target"]
    return {
        "title": "reads of X in a fit with a certificate", "row": 20, "summary": summary,
        "table": {"columns": columns, "rows": rows},
    }  # fmt: skip
