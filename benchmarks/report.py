"""Results on disk: JSON that grows case by case, and tables and charts of all of it."""

import json
import os
import platform
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from threadpoolctl import threadpool_info

from benchmarks.harness import LEVELS, THREADS
from benchmarks.summary import number, power, summary_table

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
the median of up to five runs. A peer may spend 30 times what we need (at least 2 s, at most 15 s in
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
    from benchmarks.pages import page

    drawn, where = draw_all(results, folder, kind), measured(results)
    pictures = "\n".join(f"![{title}]({path.name})" for path, title in drawn.items())
    parts = ["# Results", METHOD, summary_table(results), "## Pictures\n", pictures + "\n"]
    parts += [
        "## Details\n",
        *map(details, results.values()),
        f"Measured on {where}",
    ]
    (folder / f"{kind}.md").write_text("\n".join(parts) + "\n")
    (folder / f"{kind}.rst").write_text(page(results, drawn, where))


def measured(results: dict) -> str:
    """Machine and versions of all cases in one line."""
    envs = [result["env"] for result in results.values()]
    dates = sorted({env["date"] for env in envs})
    versions = {}
    for env in envs:
        for name, found in env["versions"].items():
            versions.setdefault(name, set()).add(found)
    return describe({
        "date": " to ".join(dict.fromkeys((dates[0], dates[-1]))),
        "cpu": " or ".join(sorted({env["cpu"] for env in envs})),
        "python": " or ".join(sorted({env["python"] for env in envs})),
        "blas": sorted({blas for env in envs for blas in env["blas"]}),
        "versions": {
            name: " or ".join(sorted(versions[name])) for name in PACKAGES if name in versions
        },
    })  # fmt: skip
