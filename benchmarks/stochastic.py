"""Row 19 of the targets: `sgd`, by the epoch, beside SGDClassifier and Vowpal Wabbit.

These methods are not run until they arrive but for a number of epochs: what an epoch costs, what
they do before the first, and how far from the minimum they are after 5 and 20. Nobody is given a
tolerance to stop at.
"""

import time
import warnings
from functools import partial
from statistics import median

from benchmarks import data, peers
from benchmarks.data import Problem
from benchmarks.harness import OURS, installed
from benchmarks.race import TIGHT, fit_ours, sgd, shape
from sklearn_margin.losses import Hinge, Logistic

EPOCHS = (1, 5, 20)
SETUP = 0.1  # seconds before the first epoch, at most
STEPS = (50, 5, 0.5, 0.05)  # of plain SGD in Vowpal Wabbit, whose default is 0.5
LOSSES = {"hinge": Hinge(), "logistic": Logistic()}
KINDS = {"dense": (lambda n: data.labels(n, 50), 200_000), "sparse": (data.text, 200_000)}
COLUMNS = [
    "contestant", "s an epoch", "s before the first", "s of 5", "error after 5", "s of 20",
    "error after 20", "note",
]  # fmt: skip

_LEAST = 1e-9  # error: about that of the minimum itself


def run(loss: str, kind: str, quick: bool, repeats: int) -> dict:
    """Measure one loss on one kind of data."""
    make, size = KINDS[kind]
    X, y = make(600 if quick else size)
    p = Problem(X, y, LOSSES[loss], 1 / len(y))
    least = p.value(fit_ours(p, TIGHT))
    rows = [_measure(c, p, least, min(repeats, 3)) for c in _contestants(p)]
    title = f"{loss}, {kind} {shape(X)}, C = 1"
    return {
        "title": f"stochastic methods: {title}", "row": 19, "rows_by_epoch": rows,
        "table": {"columns": COLUMNS, "rows": [_cells(row) for row in rows]},
        "summary": _lines(title, rows),
        "notes": ["An error is (F − min F) / min F. Averaging of SGDClassifier begins at once."],
    }  # fmt: skip


def _contestants(p):
    found = [sgd(p), peers.sgd_classifier(p), peers.sgd_classifier(p, average=True)]
    found += [peers.vowpal_wabbit(p), peers.vowpal_wabbit(p, "--coin")]
    return [*found, _best_step(p)] if installed("vowpalwabbit") else found


def _best_step(p):
    """Vowpal Wabbit without adaptive steps, by the best of four lengths after 5 epochs."""
    tried = [peers.vowpal_wabbit(p, f"--sgd -l {step}") for step in STEPS]
    best = min(tried, key=lambda c: p.value(c.fit(5)))
    best.note = "best of four steps"
    return best


def _measure(contestant, p, least, repeats):
    """Seconds and relative error after each number of epochs."""
    row = {"name": contestant.name, "package": contestant.package, "note": contestant.note}
    if not installed(contestant.package):
        return row | {"problem": "not installed"}
    if contestant.prepare:
        contestant.prepare()
    seconds, errors = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        contestant.fit(1)  # compile
        for epochs in EPOCHS:
            taken = []
            for _ in range(repeats if epochs < EPOCHS[-1] else 1):
                start = time.perf_counter()
                solution = contestant.fit(epochs)
                taken.append(time.perf_counter() - start)
            seconds.append(median(taken))
            errors.append(max(p.value(solution) / least - 1, _LEAST))
    epoch = max((seconds[-1] - seconds[0]) / (EPOCHS[-1] - EPOCHS[0]), 0.0)
    setup = max(seconds[0] - epoch, 0.0)
    return row | {"seconds": seconds, "errors": errors, "epoch": epoch, "setup": setup}


def _cells(row):
    if "problem" in row:
        return [row["name"], row["problem"], *"––––––"]
    (_, five, twenty), (_, near, nearer) = row["seconds"], row["errors"]
    numbers = row["epoch"], row["setup"], five, near, twenty, nearer
    return [row["name"], *(f"{x:.2g}" for x in numbers), row["note"] or "–"]


def _lines(title, rows):
    """An epoch, what comes before, and the distance from the minimum; each beside the best peer."""
    ours, others = rows[0], [r for r in rows if r["package"] != OURS and "seconds" in r]
    lines = [_line(f"{title}: an epoch", ours, others, lambda r: r["epoch"], 1.0)]
    setup = {"peer": "", "theirs": None, "bar": None, "most": SETUP, "target": f"≤ {SETUP} s"}
    lines.append(lines[0] | setup | {"case": f"{title}: before the first", "ours": ours["setup"]})
    for k, epochs in list(enumerate(EPOCHS))[1:]:
        case, bar = f"{title}: error after {epochs} epochs", 10.0 if epochs == 5 else None
        lines.append(_line(case, ours, others, lambda r, k=k: r["errors"][k], bar, "error"))
    return lines


def _line(case, ours, others, value, bar, unit="s"):
    best = min(others, key=value, default=None)
    return {
        "case": case, "ours": value(ours), "passes": None, "unit": unit, "bar": bar,
        "target": f"≥ {bar:g}" if bar else "", "peer": best["name"] if best else "no peer",
        "theirs": value(best) if best else None,
    }  # fmt: skip


CASES = {f"sgd-{loss}-{kind}": partial(run, loss, kind) for kind in KINDS for loss in LOSSES}
