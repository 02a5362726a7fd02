"""Results on disk: JSON that grows case by case, and tables and charts of all of it."""

import json
import os
import platform
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from threadpoolctl import threadpool_info

from benchmarks.harness import OURS, THREADS

PACKAGES = (
    "numpy", "scipy", "scikit-learn", "numba", "statsmodels", "rehline", "skglm", "cyanure",
    "snapml", "scikit-survival", "xgboost", "lightgbm", "torch", "pytorch-metric-learning",
    "pyarrow", "dask", "distributed", "dask-ml", "pyspark",
)  # fmt: skip
METHOD = f"""\
A time is the least that a contestant needs to come within 1e-4 (1e-6) of the best objective known,
relatively; every solution is scored by our objective, whose intercept is not penalised. Medians
of the repeats, contestants taking turns, {THREADS} threads each where they can use them. "ratio"
is the time of the best peer that reaches the level ÷ ours, and "passes" our time ÷ that of one
`X @ w` plus one `X.T @ r`, by NumPy with {THREADS} threads if X is dense and by SciPy with one if
it is sparse.
"""


def environment() -> dict:
    """Date, machine and versions of a run."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    blas = [
        f"{lib['internal_api']} {lib['version']} {lib.get('architecture', '')}".strip()
        for lib in threadpool_info()
        if lib["user_api"] == "blas"
    ]
    return {
        "date": date.today().isoformat(),
        "cpu": f"{_cpu()}, {os.cpu_count()} cores",
        "python": f"Python {platform.python_version()}, {platform.system()} {platform.machine()}",
        "blas": sorted(set(blas)),
        "versions": found,
    }


def _cpu():
    """Model of the processor; Python itself knows only its architecture on Linux."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def describe(env: dict) -> str:
    """An environment in one line."""
    versions = ", ".join(f"{name} {number}" for name, number in env["versions"].items())
    return f"{env['date']}, {env['cpu']}, {env['python']}; {'; '.join(env['blas'])}; {versions}."


# --- summary ---


def race_summary(result: dict) -> dict:
    """Ours with default settings against the best peer that reaches 1e-4."""
    ours = result["rows"][0]
    peers = [row for row in result["rows"] if row["package"] != OURS and row["comparable"]]
    reached = [row for row in peers if row["time"][0]]
    best = min(reached, key=lambda row: row["time"][0], default=None)
    wanted = [f"≥ {result['ratio']:g}"] if result["ratio"] else []
    wanted += [result["target"]] if result["target"] else []
    line = {
        "case": result["title"], "ours": ours["time"][0], "passes": ours["passes"],
        "bar": result["ratio"], "target": ", ".join(wanted),
    }  # fmt: skip
    if best is None:
        return line | {"peer": "none reaches it" if peers else "no peer", "theirs": None}
    return line | {"peer": best["name"], "theirs": best["time"][0]}


def ratio(line: dict) -> float | None:
    """Time of the peer ÷ ours."""
    return line["theirs"] / line["ours"] if line["theirs"] and line["ours"] else None


def _number(value, digits=3):
    return f"{value:.{digits}g}" if value is not None else "–"


def summary_table(results: dict) -> str:
    """One line per case: ours, the best peer, the ratio and what is aimed at."""
    columns = "row", "case", "ours, s", "passes", "best peer that reaches it", "its time, s"
    lines = [f"| {' | '.join(columns)} | ratio | target |", "|---" * 8 + "|"]
    for result in results.values():
        for line in result["summary"]:
            passes = f"{line['passes']:.0f}" if line["passes"] else "–"
            ours = _number(line["ours"]) if line["ours"] else "not reached"
            cells = [
                str(result["row"] or "–"), line["case"], ours, passes, line["peer"] or "–",
                _number(line["theirs"]), _number(ratio(line)), line["target"] or "–",
            ]  # fmt: skip
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


# --- details ---


def details(result: dict) -> str:
    """Everything about one case, as Markdown."""
    table = result["table"] if "table" in result else _race_table(result)
    lines = [f"### {result['title']}", ""]
    lines += ["| " + " | ".join(table["columns"]) + " |", "|---" * len(table["columns"]) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in table["rows"]]
    for note in result.get("notes", []):
        lines += ["", note]
    return "\n".join(lines) + "\n"


def _race_table(result):
    metric = [result["metric"]] if result["metric"] else []
    columns = ["contestant", "s to 1e-4", "s to 1e-6", "passes", "time ÷ ours", *metric, "note"]
    ours = result["rows"][0]["time"][0]
    rows = []
    for row in result["rows"]:
        to4, to6 = row["time"]
        share = f"{to4 / ours:.3g}" if to4 and ours else "–"
        passes = f"{row['passes']:.0f}" if row["passes"] else "–"
        cells = [row["name"], _time_or_reason(row), _number(to6), passes, share]
        cells += [_number(row["metric"], 4)] if metric else []
        rows.append([*cells, row["note"] or "–"])
    return {"columns": columns, "rows": rows}


def _time_or_reason(row):
    if row["time"][0]:
        return _number(row["time"][0])
    if row["problem"]:
        return row["problem"].replace("|", "/")
    if not row["comparable"]:
        return f"another objective ({row['longest']:.2g} s)"
    return f"not reached ({row['closest']:.1e} in {row['longest']:.2g} s)"


# --- files ---


def load(path: Path) -> dict:
    """Results by name; none if the file is not there."""
    return json.loads(path.read_text()).get("cases", {}) if path.exists() else {}


def merge(folder: Path, kind: str, name: str, result: dict, order: list[str]) -> None:
    """Write a result into the JSON file beside the others, in the given order of names."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{kind}.json"
    merged = load(path) | {name: result}
    merged = {name: merged[name] for name in order if name in merged}
    path.write_text(json.dumps({"cases": merged}, indent=1) + "\n")


def render(results: dict, folder: Path, kind: str) -> None:
    """Write tables and charts of all results."""
    from benchmarks.charts import chart_families

    envs = {}
    for case, result in results.items():
        envs.setdefault(describe(result["env"]), []).append(case)
    measured = [
        env if len(envs) == 1 else f"{', '.join(names)}: {env}" for env, names in envs.items()
    ]
    charts = [f"![{path.stem}]({path.name})" for path in chart_families(results, folder, kind)]
    charts = "\n".join(charts) + "\n"
    parts = [METHOD, summary_table(results), charts, *map(details, results.values()), *measured]
    (folder / f"{kind}.md").write_text("\n".join(parts) + "\n")
