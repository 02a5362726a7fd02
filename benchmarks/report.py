"""Results on disk: JSON that grows case by case, and tables and charts of all of it."""

import json
import os
import platform
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from threadpoolctl import threadpool_info

from benchmarks.harness import LEVELS, THREADS
from benchmarks.summary import number, overview_rst, power, summary_table

PACKAGES = (
    "numpy", "scipy", "scikit-learn", "numba", "statsmodels", "rehline", "skglm", "cyanure",
    "snapml", "glum", "celer", "liblinear-multicore", "pinball-qr", "pyqreg2",
    "quantile-regression-pdlp", "vowpalwabbit", "scikit-survival", "xgboost", "lightgbm", "torch",
    "pytorch-metric-learning", "pyarrow", "dask", "distributed", "dask-ml", "pyspark",
)  # fmt: skip
METHOD = f"""\
A time is the least that a contestant needs to come within 1e-4 of the best objective known,
relatively (1e-6 or 1e-9, too, in the details); every solution is scored by our objective, whose
intercept is not penalised. Contestants take turns, {THREADS} threads each where they can use them;
the median of up to five runs. A peer may spend 60 times what we need (at least 3 s, at most 20 s in
all), then counts as not getting there. "ratio" is the time of the best peer that does ÷ ours; where
none does, "> 9" says that all of them ran 9 times as long. "passes" is our time ÷ that of one
`X @ w` plus one `X.T @ r`, by NumPy with {THREADS} threads if X is dense and by SciPy with one if
it is sparse. The last column: "met" the target, else "ahead" of the peer, or "lost".
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
    levels = [f"s to {power(level)}" for level in result.get("levels", LEVELS)]
    columns = ["contestant", *levels, "passes", "time ÷ ours", *metric, "note"]
    ours = result["rows"][0]["time"][0]
    rows = []
    for row in result["rows"]:
        first, last = row["time"]
        share = f"{first / ours:.3g}" if first and ours else "–"
        passes = f"{row['passes']:.0f}" if row["passes"] else "–"
        cells = [row["name"], _time_or_reason(row), number(last), passes, share]
        cells += [number(row["metric"], 4)] if metric else []
        rows.append([*cells, row["note"] or "–"])
    return {"columns": columns, "rows": rows}


def _time_or_reason(row):
    if row["time"][0]:
        return number(row["time"][0])
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
    from benchmarks.charts import draw_all

    pictures = "\n".join(f"![{title}]({path.name})" for path, title in
                         draw_all(results, folder, kind).items())  # fmt: skip
    parts = ["# Results", METHOD, summary_table(results), "## Pictures\n", pictures + "\n"]
    parts += [
        "## Details\n",
        *map(details, results.values()),
        "## Measured on\n",
        measured(results),
    ]
    (folder / f"{kind}.md").write_text("\n".join(parts) + "\n")
    (folder / f"{kind}.rst").write_text(overview_rst(results))


def measured(results: dict) -> str:
    """Machine and versions, once for all cases that share them."""
    envs = {}
    for case, result in results.items():
        envs.setdefault(describe(result["env"]), []).append(case)
    if len(envs) == 1:
        return next(iter(envs))
    return "\n\n".join(f"{', '.join(names)}: {env}" for env, names in envs.items())
