"""``python -m benchmarks [NAME …] [--quick]``: run cases, write JSON, Markdown and a chart."""

import argparse
from pathlib import Path

from benchmarks.cases import cases
from benchmarks.harness import environment, markdown, run_case, save


def main():
    """Run the cases named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help="cases to run; default: all")
    parser.add_argument("--quick", action="store_true", help="smaller data, fewer repetitions")
    parser.add_argument("--repeats", type=int, help="repetitions (default 5; 3 with --quick)")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    known = cases(options.quick)
    unknown = set(options.names) - set(known)
    if unknown:
        parser.error(f"unknown cases {sorted(unknown)}; known: {sorted(known)}")
    env = environment()
    results = []
    for name in options.names or known:
        results.append(run_case(known[name](), options.repeats or (3 if options.quick else 5)))
        print(markdown(results[-1:], env), flush=True)
    save(results, env, options.output, "quick" if options.quick else "results")


if __name__ == "__main__":
    main()
