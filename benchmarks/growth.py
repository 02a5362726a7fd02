"""Row 17 of the targets: how time and memory grow with the number of rows, up to 10⁷.

Every size runs in a process of its own, whose peak of resident memory during the fit is read from
the kernel: Linux only; elsewhere the memory is left out.
"""

import json
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import data
from benchmarks.harness import THREADS
from sklearn_margin import HingeClassifier, HuberRegressor, QuantileRegressor, RankSVM

ROOT = Path(__file__).parents[1]
SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
QUICK_SIZES = (2_000, 20_000)
D = 20
SLOPE, MEMORY = 1.0, 0.4  # at most
FAST = 5.0  # seconds; a fit that takes less is run again
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def _hinge(n, d):
    return HingeClassifier(alpha=1 / n, n_jobs=THREADS), *data.labels(n, d), {}


def _quantile(n, d):
    model = QuantileRegressor(quantile=0.9, alpha=1 / n, n_jobs=THREADS)
    return model, *data.targets(n, d), {}


def _huber(n, d):
    return HuberRegressor(n_jobs=THREADS), *data.targets(n, d), {}


def _ranking(n, d, loss="squared_hinge", group_size=50):
    X, y, groups = data.relevance(n, d, levels=5, group_size=group_size)
    return RankSVM(loss=loss, n_jobs=THREADS), X, y, {"groups": groups}


KINDS = {
    "hinge": _hinge,
    "quantile 0.9": _quantile,
    "Huber": _huber,
    "RankSVM, groups of 50": _ranking,
    "RankSVM hinge, groups of 50": partial(_ranking, loss="hinge"),
    "RankSVM, one group": partial(_ranking, group_size=None),
    "RankSVM hinge, one group": partial(_ranking, loss="hinge", group_size=None),
}


def measure(kind: str, n: int, d: int, dtype: str) -> dict:
    """Seconds of a fit, and its peak memory relative to X: run it in a process of its own."""
    model, X, y, extra = KINDS[kind](2_000, d)
    model.fit(X.astype(dtype), y, **extra)  # loads kernels
    model, X, y, extra = KINDS[kind](n, d)
    X = X.astype(dtype, copy=False)
    if RESET.exists():
        RESET.write_text("5")  # makes the present resident memory the peak
        before = _status("VmHWM")
    seconds = [_fit(model, X, y, extra)]
    memory = (_status("VmHWM") - before) / X.nbytes if RESET.exists() else None
    while seconds[0] < FAST and len(seconds) < 3:
        seconds.append(_fit(model, X, y, extra))
    return {"n": n, "seconds": min(seconds), "memory": memory}


def _fit(model, X, y, extra):
    start = time.perf_counter()
    model.fit(X, y, **extra)
    return time.perf_counter() - start


def _status(name):
    """A line of the status of this process, in bytes."""
    for line in STATUS.read_text().splitlines():
        if line.startswith(name + ":"):
            return 1024 * int(line.split()[1])
    raise KeyError(name)


def run(quick: bool, repeats: int) -> dict:
    """All kinds at all sizes; the fits repeat themselves, so that `repeats` has no effect."""
    rows, summary = [], []
    for kind in ["Huber"] if quick else KINDS:
        runs = [_process(kind, n, D, "float64") for n in (QUICK_SIZES if quick else SIZES)]
        rows += [_row(kind, "float64", D, r) for r in runs]
        wide = _process(kind, runs[-1]["n"] // 10, 50, "float32")
        rows.append(_row(kind, "float32", 50, wide))
        summary += _lines(kind, runs)
    return {
        "title": "growth with the number of rows", "row": 17, "summary": summary,
        "table": {
            "columns": ["fit", "rows × features", "dtype", "s", "s per 10⁶ rows",
                        "peak extra memory ÷ X"],
            "rows": rows,
        },
        "notes": ["alpha = 1/n for hinge and quantile; 1e-4 for the others. The least of three "
                  f"fits, of one if it took {FAST:g} s or more."],
    }  # fmt: skip


def _process(kind, n, d, dtype):
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.growth", kind, str(n), str(d), dtype],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def _row(kind, dtype, d, r):
    memory = "–" if r["memory"] is None else f"{r['memory']:.2f}"
    per_million = f"{r['seconds'] / r['n'] * 1e6:.3g}"
    return [kind, f"{r['n']:,} × {d}", dtype, f"{r['seconds']:.3g}", per_million, memory]


def _lines(kind, runs):
    """How time grows, and the memory of the largest fit, where it is known."""
    n, seconds = [r["n"] for r in runs], [r["seconds"] for r in runs]
    slope = float(np.polyfit(np.log(n), np.log(seconds), 1)[0])
    title = f"{kind}, {n[0]:,} to {n[-1]:,} × {D}"
    common = {"passes": None, "peer": "", "theirs": None, "bar": None}
    lines = [
        {"case": f"{title}: power of n by which time grows", "ours": slope, "unit": "",
         "most": SLOPE, "target": f"≤ {SLOPE:g}"}
    ]  # fmt: skip
    if runs[-1]["memory"] is not None:
        lines.append({
            "case": f"{title}: memory besides X, of the largest", "ours": runs[-1]["memory"],
            "unit": "of X", "most": MEMORY, "target": f"≤ {MEMORY} of X",
        })  # fmt: skip
    return [line | common for line in lines]


if __name__ == "__main__":
    kind, n, d, dtype = sys.argv[1:]
    print(json.dumps(measure(kind, int(n), int(d), dtype)))
