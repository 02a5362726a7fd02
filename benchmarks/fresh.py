"""Row 16 of the targets: import and first fit in a fresh process, after one earlier run.

Each contestant runs in processes of its own, on data so small that the fit itself costs next to
nothing. Ours compiles its kernels in the first run and reads them from a cache in all later ones;
the cache is a new folder, so that the first run is seen, too.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.harness import OURS, installed

ROOT = Path(__file__).parents[1]
ALLOWED = 0.35  # seconds more than scikit-learn
PROGRAM = """
from time import perf_counter
start = perf_counter()
{load}
imported = perf_counter()
import numpy as np
rng = np.random.default_rng(0)
X = rng.standard_normal((1000, 10))
z = X @ rng.standard_normal(10) + rng.logistic(size=1000)
sign = np.where(z > 0, 1, -1)
ready = perf_counter()
{fit}
print([imported - start, perf_counter() - ready])
"""
# By task: contestant, package, what it imports, what it fits. The first is ours.
TASKS = {
    "hinge": [
        ("HingeClassifier", OURS, "from sklearn_margin import HingeClassifier",
         "HingeClassifier(alpha=1e-3).fit(X, sign)"),
        ("LinearSVC", "scikit-learn", "from sklearn.svm import LinearSVC",
         "LinearSVC(loss='hinge').fit(X, sign)"),
    ],
    "logistic": [
        ("LinearClassifier", OURS, "from sklearn_margin import LinearClassifier",
         "LinearClassifier(loss='logistic', alpha=1e-3).fit(X, sign)"),
        ("LogisticRegression", "scikit-learn",
         "from sklearn.linear_model import LogisticRegression",
         "LogisticRegression().fit(X, sign)"),
    ],
    "L1 logistic": [
        ("LinearClassifier", OURS, "from sklearn_margin import LinearClassifier",
         "LinearClassifier(loss='logistic', alpha=1e-3, l1_ratio=1.0).fit(X, sign)"),
        ("LogisticRegression liblinear", "scikit-learn",
         "from sklearn.linear_model import LogisticRegression",
         "LogisticRegression(l1_ratio=1.0, solver='liblinear').fit(X, sign)"),
    ],
    "Huber": [
        ("HuberRegressor", OURS, "from sklearn_margin import HuberRegressor",
         "HuberRegressor().fit(X, z)"),
        ("HuberRegressor", "scikit-learn", "from sklearn.linear_model import HuberRegressor",
         "HuberRegressor().fit(X, z)"),
    ],
    "quantile": [
        ("QuantileRegressor", OURS, "from sklearn_margin import QuantileRegressor",
         "QuantileRegressor(quantile=0.9).fit(X, z)"),
        ("QuantileRegressor", "scikit-learn",
         "from sklearn.linear_model import QuantileRegressor",
         "QuantileRegressor(quantile=0.9, alpha=0.0).fit(X, z)"),
    ],
    "ranking": [
        ("RankSVM", OURS, "from sklearn_margin import RankSVM",
         "RankSVM().fit(X, z.round(), groups=np.arange(1000) // 50)"),
    ],
}  # fmt: skip


def run(quick: bool, repeats: int) -> dict:
    """Time every contestant: a first run, then the best of `repeats` later ones."""
    repeats = min(repeats, 3)
    tasks = {name: TASKS[name] for name in (["hinge"] if quick else TASKS)}
    rows, summary = [], []
    for task, contestants in tasks.items():
        with tempfile.TemporaryDirectory() as cache:
            times = _measure(contestants, cache, repeats)
        for (name, package, *_), runs in zip(contestants, times, strict=True):
            shown = f"sklearn_margin {name}" if package == OURS else name
            if runs is None:
                rows.append([task, shown, "not installed", "–", "–", "–"])
                continue
            load, fit = min(runs[1:], key=sum)
            cells = [f"{seconds:.2f}" for seconds in (load + fit, load, fit, sum(runs[0]))]
            rows.append([task, shown, *cells])
        summary.append(_line(task, contestants, times))
    return {
        "title": "fresh process: import and first fit", "row": 16, "summary": summary,
        "table": {
            "columns": ["task", "contestant", "s", "of it import", "of it fit", "first run ever"],
            "rows": rows,
        },
        "notes": [f"1,000 × 10; best of {repeats} processes after a first one that fills the cache "
                  "of compiled code."],
    }  # fmt: skip


def _measure(contestants, cache, repeats):
    """[import, fit] seconds of each run of each contestant, taking turns; None if not there."""
    times = [[] if installed(package) else None for _, package, *_ in contestants]
    for _ in range(1 + repeats):
        for runs, (*_, load, fit) in zip(times, contestants, strict=True):
            if runs is not None:
                runs.append(_process(PROGRAM.format(load=load, fit=fit), cache))
    return times


def _process(program, cache):
    env = os.environ | {"NUMBA_CACHE_DIR": cache, "PYTHONWARNINGS": "ignore"}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # users have the byte code of what they installed
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=env, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def _line(task, contestants, times):
    best = [min(map(sum, runs[1:])) if runs else None for runs in times]
    line = {
        "case": f"fresh process, {task}", "ours": best[0], "passes": None, "bar": None,
        "target": f"≤ scikit-learn's + {ALLOWED} s", "peer": "no peer", "theirs": None,
    }  # fmt: skip
    if len(best) > 1:
        line |= {"peer": contestants[1][0], "theirs": best[1]}
        line["bar"] = best[1] / (best[1] + ALLOWED)
    return line
