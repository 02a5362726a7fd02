"""Fits of data that are larger than memory, or on several processes, beside their peers.

Every contestant runs in a process of its own, one after the other, on Parquet files that are
written once. It is warmed up on a small folder, loads its data, which is timed by itself, and
climbs its ladder of tolerances; every solution is scored by the same objective on all rows. The
results of single cases are merged into one JSON file.

Needs ``pip install ".[bench-scale]"``; peers that are not installed are left out.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from fnmatch import fnmatch
from pathlib import Path

from benchmarks.harness import LEVELS, THREADS, installed
from benchmarks.scale_cases import CASES, TINY, Case

ROOT = Path(__file__).parents[1]
QUICK = 50  # a quick run has as many times fewer rows
LEVEL = LEVELS[0]
LONGEST = 3600  # seconds that a contestant may take in all
METHOD = f"""\
Written by `python -m benchmarks.scale`. "fit, s" is the least that a contestant needs to come
within {LEVEL:g} of the best objective known, relatively: the median of three fits, of one if it
takes 10 s or more; "excess" is how far it is then, or at best. The objective is the mean loss
plus alpha/2·‖w‖², alpha = 1e-4, of all rows, the intercept unpenalised. Loading (reading Parquet,
building arrays, persisting or caching them) comes before and is "load, s"; fits "from Parquet"
read the files themselves. These lie in the page cache. There are {THREADS} threads, or {THREADS}
worker processes of one thread. "client" is the peak of the resident memory of the process that
calls `fit`, the scheduler of the cluster in it, and in brackets what it was before; "others" that
of the worker processes, or of the JVM, in all. "traffic" is what went over the loopback interface
during a fit.
"""


# --- running ---


def run(case: Case, root: Path, quick: bool) -> dict:
    """Every contestant of a case, and the table of what came of it."""
    from benchmarks.scale_data import folder

    n = max(case.n // QUICK, TINY) if quick else case.n
    common = {
        "folder": str(folder(root, n, case.parts, case.dtype)),
        "tiny": str(folder(root, TINY, case.parts, case.dtype)),
        "intercept": case.intercept,
        "quick": quick,
    }
    results = []
    for entry in case.entries:
        print(f"{case.title}: {entry.loss}, {entry.name}", file=sys.stderr, flush=True)
        result = _process(entry, common) if installed(entry.package) else _problem("not installed")
        results.append({"name": entry.name, "loss": entry.loss} | result)
        _score(results[-1], common["folder"])
    rows = [_cells(case.entries, results, k) for k in range(len(results))]
    fewer = [f"A quick run: {n:,} rows instead of {case.n:,}."] if n != case.n else []
    return {
        "title": case.title, "notes": [*fewer, case.notes], "results": results,
        "table": {
            "columns": case.columns,
            "rows": [[row.get(name, "–") for name in case.columns] for row in rows],
        },
    }  # fmt: skip


def _problem(what):
    return {"problem": what, "runs": []}


def _process(entry, common):
    """Run a contestant by itself; its children end with it, however it ends."""
    job = common | {
        "way": entry.way, "loss": entry.loss, "rungs": entry.rungs, "limit": entry.limit,
        "params": entry.params,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as temporary:
        output, log = Path(temporary) / "result.json", Path(temporary) / "log"
        command = [sys.executable, "-m", "benchmarks.scale_fits", json.dumps(job), str(output)]
        with log.open("w") as stream:
            process = subprocess.Popen(
                command, cwd=ROOT, stdout=stream, stderr=stream, start_new_session=True
            )
            try:
                code = f"exit code {process.wait(LONGEST)}"
            except subprocess.TimeoutExpired:
                code = f"more than {LONGEST} s"
            finally:
                _end(process)
        if output.exists():
            return json.loads(output.read_text())
        last = (log.read_text(errors="replace").strip().splitlines() or [""])[-1]
        return _problem(f"failed: {code}: {last[:100]}")


def _end(process):
    """Kill what is left of the process group of a contestant."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def _score(result, path):
    """Adds the objective to each solution."""
    from benchmarks.scale_data import value

    for rung in result["runs"]:
        if rung["solution"] is not None:
            rung["value"] = value(path, result["loss"], *rung["solution"])


# --- tables ---


def _cells(entries, results, k):
    """Cells of the k-th contestant by name of column."""
    entry, result = entries[k], results[k]
    cells = {"loss": entry.loss, "contestant": entry.name}
    if "problem" in result:
        return cells | {"fit, s": result["problem"].replace("|", "/")}
    same = [(e, r) for e, r in zip(entries, results, strict=True) if e.loss == entry.loss]
    values = [rung["value"] for e, r in same if e.comparable for rung in r["runs"]]
    best = min(values, default=None)
    chosen = [_chosen(r["runs"], best) for _, r in same]
    rung, first = _chosen(result["runs"], best), chosen[0]
    cells["fit, s"] = f"{rung['seconds']:.3g}"
    if "value" in rung:
        cells |= _cells_of_value(entry, rung, best)
    if first is not None:
        cells["÷ first"] = f"{rung['seconds'] / first['seconds']:.3g}"
    alone = [r["seconds"] for r in chosen if r and r["solution"] is None]
    cells |= _cells_of_work(rung, alone) | _cells_of_place(result, rung)
    return cells | _cells_of_evaluation(result["runs"][0], result["runs"][-1])


def _chosen(runs, best):
    """The fastest rung that is within the level, or else the closest; None if there is none."""
    scored = [rung for rung in runs if "value" in rung]
    if not scored:
        return runs[0] if runs else None
    reached = [rung for rung in scored if _excess(rung, best) <= LEVEL]
    if reached:
        return min(reached, key=lambda rung: rung["seconds"])
    return min(scored, key=lambda rung: rung["value"])


def _excess(rung, best):
    return (rung["value"] - best) / abs(best)


def _cells_of_value(entry, rung, best):
    """How good a solution is."""
    excess, cells = _excess(rung, best), {}
    cells["excess"] = f"{max(excess, 0.0):.1e}"
    if not entry.comparable:
        cells["fit, s"] = f"another objective ({rung['seconds']:.3g} s)"
    elif excess > LEVEL:
        cells["fit, s"] = f"not reached in {rung['seconds']:.3g} s"
    if rung.get("gap") is not None:
        cells["gap"] = f"{rung['gap'] / rung['value']:.1e}"
    return cells


def _cells_of_work(rung, alone):
    """Reads and tasks; ``alone`` holds the seconds of reading alone, if that was done."""
    cells, seconds = {}, rung["seconds"]
    if rung["reads"]:
        each = seconds / rung["reads"]
        cells |= {"reads": f"{rung['reads']:.3g}", "s per read": f"{each:.3g}"}
        cells |= {"÷ reading alone": f"{each / alone[0]:.3g}"} if alone else {}
    if rung.get("tasks"):
        cells["tasks"] = str(rung["tasks"])
    return cells


def _cells_of_evaluation(loose, tight):
    """What an evaluation on a cluster costs, from two fits."""
    tasks = tight.get("tasks", 0) - loose.get("tasks", 0)
    if tasks <= 0:
        return {}
    seconds = (tight["seconds"] - loose["seconds"]) / tasks * THREADS
    return {"ms per evaluation": f"{1e3 * seconds:.3g}"}


def _cells_of_place(result, rung):
    """Loading, memory and traffic."""
    cells = {"load, s": f"{result['load']:.3g}"}
    if result["client"] is not None:
        cells["client, MB"] = f"{result['client']:.0f} ({result['before']:.0f})"
        cells["others, MB"] = f"{result['others']:.0f}" if result["others"] else "–"
        cells["traffic, MB"] = f"{rung['traffic']:.2g}"
    return cells


def render(results: dict, path: Path) -> None:
    """Write the tables of all results."""
    from benchmarks import report

    measured = {report.describe(result["env"]) for result in results.values()}
    parts = [METHOD, *map(report.details, results.values()), *sorted(measured)]
    path.write_text("\n".join(parts) + "\n")


# --- the command ---


def parse(arguments):
    """The parser, for its errors, and the options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"{', '.join(CASES)} or patterns; default: all")
    parser.add_argument("--quick", action="store_true", help=f"1/{QUICK} of the rows, one fit each")
    parser.add_argument("--data", type=Path, help="folder that keeps the Parquet files, 8 GB")
    parser.add_argument("--render", action="store_true", help="only write the tables")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"))
    return parser, parser.parse_args(arguments)


def main(arguments=None) -> int:
    """Do what the command line says."""
    parser, options = parse(arguments)
    from benchmarks import report

    for pattern in options.names:
        if not any(fnmatch(name, pattern) for name in CASES):
            parser.error(f"no case is called {pattern!r}; known: {', '.join(CASES)}")
    kind = "scale_quick" if options.quick else "scale"
    chosen = [n for n in CASES if not options.names or any(fnmatch(n, p) for p in options.names)]
    with tempfile.TemporaryDirectory() as temporary:
        for name in () if options.render else chosen:
            result = run(CASES[name](), options.data or Path(temporary), options.quick)
            print(report.details(result), flush=True)
            result["env"] = report.environment()
            report.merge(options.output, kind, name, result, list(CASES))
    render(report.load(options.output / f"{kind}.json"), options.output / f"{kind}.md")
    return 0


if __name__ == "__main__":
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(THREADS)
    sys.exit(main())
