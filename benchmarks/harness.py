"""Time to reach the same objective, measured the same way for everyone.

A *case* has data, an objective F that scores any solution, and contestants. A contestant is
run at every rung of its ladder of tolerances; each solution is scored by F; the best value
anyone reached is the reference. A contestant's time is the smallest among its rungs that come
within 1e-4 (and 1e-6) of the reference, relatively. Contestants take turns, and each rung
counts the median of its repetitions. "Not reached" is a result.
"""

import json
import platform
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

import numpy as np
from threadpoolctl import threadpool_info

LEVELS = (1e-4, 1e-6)


@dataclass
class Contestant:
    """A way to solve a case."""

    name: str
    fit: Callable  # fit(rung) -> whatever the case's objective takes
    rungs: tuple  # from loose to tight
    package: str = "sklearn-margin"


@dataclass
class Case:
    """A problem and those who try to solve it."""

    name: str
    title: str
    objective: Callable  # objective(solution) -> float
    contestants: list[Contestant]
    yardstick: Callable  # one X @ w and one X.T @ r
    limit: float = 60.0  # seconds after which a contestant climbs no further rung
    ours: list[str] = field(default_factory=lambda: ["sklearn_margin"])


def run_case(case: Case, repeats: int) -> dict:
    """Measure a case.

    Returns
    -------
    dict
        JSON-serialisable: seconds by contestant and level, ratios, passes.
    """
    seconds, values = {}, {}
    alive = {c.name: list(c.rungs) for c in case.contestants}
    for c in case.contestants:  # compile, load libraries, touch memory
        _timed(c, c.rungs[0])
    for repeat in range(repeats):
        for c in case.contestants:
            for rung in list(alive[c.name]):
                elapsed, solution = _timed(c, rung)
                seconds.setdefault((c.name, rung), []).append(elapsed)
                if repeat == 0:
                    values[c.name, rung] = float(case.objective(solution))
                    if elapsed > case.limit:
                        later = c.rungs[c.rungs.index(rung) + 1 :]
                        alive[c.name] = [r for r in alive[c.name] if r not in later]
                        break
    best = min(values.values())
    yardstick = median(_clock(case.yardstick)[0] for _ in range(5))
    rows = [_summary(c, seconds, values, best, yardstick) for c in case.contestants]
    return {
        "name": case.name,
        "title": case.title,
        "best": best,
        "yardstick": yardstick,
        "rows": rows,
    }


def _timed(contestant, rung):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _clock(lambda: contestant.fit(rung))


def _clock(function):
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def _summary(contestant, seconds, values, best, yardstick):
    row = {"name": contestant.name, "package": contestant.package, "time": {}, "passes": None}
    excess = {
        rung: (values[contestant.name, rung] - best) / abs(best)
        for rung in contestant.rungs
        if (contestant.name, rung) in values
    }
    for level in LEVELS:
        times = [median(seconds[contestant.name, r]) for r, e in excess.items() if e <= level]
        row["time"][str(level)] = min(times) if times else None
    row["closest"] = min(excess.values())
    row["longest"] = max(median(seconds[contestant.name, r]) for r in excess)
    if row["time"]["0.0001"] is not None:
        row["passes"] = row["time"]["0.0001"] / yardstick
    return row


def environment() -> dict:
    """Machine, versions and date of a run."""
    packages = ("numpy", "scipy", "scikit-learn", "numba", "statsmodels", "rehline", "skglm")
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    blas = [
        {k: lib.get(k) for k in ("internal_api", "architecture", "num_threads", "version")}
        for lib in threadpool_info()
        if lib["user_api"] == "blas"
    ]
    return {
        "date": date.today().isoformat(),
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "blas": blas,
        "versions": found,
    }


def markdown(results: list[dict], env: dict) -> str:
    """Results as Markdown tables."""
    lines = []
    for result in results:
        ours = _best_time(result, ours=True)
        lines += [f"### {result['title']}", ""]
        lines += [
            "| contestant | s to 1e-4 | s to 1e-6 | passes | time ÷ ours |",
            "|---|---|---|---|---|",
        ]
        for row in result["rows"]:
            to4, to6 = row["time"]["0.0001"], row["time"]["1e-06"]
            missed = f"not reached ({row['closest']:.1e} in {row['longest']:.2g} s)"
            ratio = f"{to4 / ours:.1f}" if to4 and ours else "–"
            passes = f"{row['passes']:.0f}" if row["passes"] else "–"
            cells = [f"{to4:.3g}" if to4 else missed, f"{to6:.3g}" if to6 else "–", passes, ratio]
            lines.append(f"| {row['name']} | " + " | ".join(cells) + " |")
        lines.append("")
    versions = ", ".join(f"{k} {v}" for k, v in env["versions"].items())
    blas = ", ".join(f"{b['internal_api']} {b['architecture']}" for b in env["blas"])
    lines.append(f"{env['date']}, {env['machine']}, {blas}; {versions}.")
    return "\n".join(lines) + "\n"


def _best_time(result, ours):
    times = [
        row["time"]["0.0001"]
        for row in result["rows"]
        if (row["package"] == "sklearn-margin") == ours and row["time"]["0.0001"]
    ]
    return min(times) if times else None


def chart(results: list[dict], path: Path) -> None:
    """Bars of the time to 1e-4 by contestant, one panel a case."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        len(results), 1, figsize=(8, 0.6 + sum(0.4 * len(r["rows"]) + 0.7 for r in results)),
        squeeze=False, layout="constrained",
        height_ratios=[len(r["rows"]) + 1.5 for r in results],
    )  # fmt: skip
    for ax, result in zip(axes[:, 0], results, strict=True):
        rows = result["rows"][::-1]
        times = [row["time"]["0.0001"] for row in rows]
        colors = ["C0" if row["package"] == "sklearn-margin" else "0.7" for row in rows]
        shown = [t if t else row["longest"] for t, row in zip(times, rows, strict=True)]
        bars = ax.barh([row["name"] for row in rows], shown, color=colors)
        for bar, t, row in zip(bars, times, rows, strict=True):
            if t is None:
                bar.set(facecolor="none", edgecolor="0.6", hatch="///")
            text = f" {t:.3g} s" if t else f" not reached ({row['closest']:.0e} off)"
            ax.text(bar.get_width(), bar.get_y() + bar.get_height() / 2, text, va="center")
        ax.set(xscale="log", title=result["title"], xlabel="seconds to within 1e-4")
        ax.set_xlim(0.3 * min(shown), 30 * max(shown))
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)


def save(results, env, folder: Path, name: str) -> None:
    """Write JSON, Markdown and chart."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps({"env": env, "results": results}, indent=1))
    (folder / f"{name}.md").write_text(markdown(results, env))
    chart(results, folder / f"{name}.png")


def mean_loss(value: Callable, alpha: float) -> Callable:
    """F of a (coef, intercept) solution: mean loss of its scores plus ½ alpha ‖w‖²."""

    def objective(solution):
        coef, intercept = solution
        coef = np.asarray(coef, dtype=np.float64).ravel()
        return value(coef, float(np.ravel(intercept)[0])) + 0.5 * alpha * float(coef @ coef)

    return objective
