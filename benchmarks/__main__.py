"""Measure sklearn_margin beside its peers; write JSON, Markdown and charts.

Results of single cases are merged into one JSON file, so that cases can be run one at a time.
"""

import argparse
import os
import subprocess
import sys
import time
import traceback
from fnmatch import fnmatch
from pathlib import Path

from benchmarks.harness import LIMIT, THREADS

#: Cases with a process of their own: what other cases import (cyanure) leaves memory behind that
#: makes scikit-learn's neighbours fail, and other measures of memory large.
_ALONE = ("embedding-tables", "ranking-quality-*", "growth")


def parse(arguments):
    """The parser, for its errors, and the options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help="cases or patterns (hinge*); default: all")
    parser.add_argument("--list", action="store_true", help="print the names of the cases")
    parser.add_argument("--quick", action="store_true", help="smaller data, fewer repetitions")
    parser.add_argument("--repeats", type=int, help="most repetitions (default 5; 1 with --quick)")
    parser.add_argument(
        "--limit", type=float, default=LIMIT, help="seconds that a contestant may take (15)"
    )
    parser.add_argument("--render", action="store_true", help="only write tables and charts")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"))
    return parser, parser.parse_args(arguments)


def main(arguments=None) -> int:
    """Do what the command line says; the exit code is 1 if a case failed."""
    parser, options = parse(arguments)
    from benchmarks import report
    from benchmarks.cases import cases
    from benchmarks.summary import summary_table

    known = cases(options.limit)
    for pattern in options.names:
        if not any(fnmatch(name, pattern) for name in known):
            parser.error(f"no case is called {pattern!r}; known: {', '.join(known)}")
    chosen = [n for n in known if not options.names or any(fnmatch(n, p) for p in options.names)]
    if options.list:
        print("\n".join(chosen))
        return 0
    failed = []
    kind = "quick" if options.quick else "results"
    if not options.render:
        failed = run(known, chosen, options, kind)
    results = report.load(options.output / f"{kind}.json")
    if results:
        report.render(results, options.output, kind)
        print(summary_table(results))
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


def run(known, chosen, options, kind) -> list[str]:
    """Run the chosen cases, saving after each; returns the names of those that failed."""
    from benchmarks import report

    repeats, failed = options.repeats or (1 if options.quick else 5), []
    env, begun = report.environment(), time.perf_counter()
    print(report.describe(env), end="\n\n")
    for name in chosen:
        start = time.perf_counter()
        if len(chosen) > 1 and any(fnmatch(name, pattern) for pattern in _ALONE):
            if run_alone(name, options):
                failed.append(name)
            continue
        try:
            result = known[name](options.quick, repeats)
        except (ModuleNotFoundError, FileNotFoundError) as error:  # a package or data
            print(f"{name} is left out: {error}\n")
            continue
        except Exception:  # must not lose the other cases
            traceback.print_exc()
            failed.append(name)
            continue
        print(report.details(result), flush=True)
        seconds = time.perf_counter() - start
        print(f"{name}: {seconds:.0f} s in all", file=sys.stderr)
        result |= {"env": env, "seconds": round(seconds, 1)}
        report.merge(options.output, kind, name, result, list(known))
    print(f"all: {(time.perf_counter() - begun) / 60:.1f} min", file=sys.stderr)
    return failed


def run_alone(name, options) -> int:
    """Run one case in a process of its own; the exit code."""
    settings = [] if options.repeats is None else ["--repeats", str(options.repeats)]
    settings += ["--quick"] * options.quick
    command = [sys.executable, "-m", "benchmarks", name, "--limit", str(options.limit)]
    return subprocess.run([*command, "--output", str(options.output), *settings]).returncode


if __name__ == "__main__":
    # Before NumPy and what else brings threads of its own is imported, which main() does.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(THREADS)
    sys.exit(main())
