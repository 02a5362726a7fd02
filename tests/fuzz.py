"""Fits of random problems by every solver: which are wrong, and say nothing?

    python tests/fuzz.py --seeds 0 947

prints counts by kind of failure and solver, and what to run to see each failure again.
``examine`` is what ``test_properties.py`` asserts, too. What is looked for:

* "error": an exception that is not a refusal naming a parameter; "not finite" coefficients;
* "silently far": F exceeds the lowest known value by more than ``tol`` allows, without a warning;
* "gap above tol": ``dual_gap_`` says so, and no warning does;
* "gap too small": F exceeds the lowest known value by more than ``dual_gap_``;
* "far, no penalty": the same where alpha = 0 and there is no gap, which is not a failure;
* "n_iter": more iterations than ``max_iter``;
* "work": more reads of X than a problem of this size can need; "slow" and "hangs": more seconds,
  measured by this script only;
* "not converged", by the fit's own account. Not a failure, but of ``auto`` it should be rare.
"""

import argparse
import multiprocessing
import sys
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from naive import known
from problems import draw
from sklearn.exceptions import ConvergenceWarning

from sklearn_margin.objective.rows import Rows
from sklearn_margin.solvers import SOLVERS

ROUGH = ("sgd", "subgradient")  # these promise 3 %
READS = 20_000  # of X: far more than any fit of a small problem should need
SECONDS, MOST_SECONDS = 2.0, 40.0  # of a fit; after the latter the process is ended


@dataclass
class Finding:
    """What one fit did."""

    kind: str
    solver: str
    note: str = ""
    used: str = ""  # the solver that "auto" used

    def __str__(self):
        return f"{self.kind} [{self.solver}{self.used and ' → ' + self.used}] {self.note}"


@contextmanager
def reads():
    """Counts how often blocks of X are visited."""
    count, original = [0], Rows.run

    def run(self, *args, **kwargs):
        count[0] += 1
        return original(self, *args, **kwargs)

    Rows.run = run
    try:
        yield count
    finally:
        Rows.run = original


def examine(problem, solvers=None, reference=True, watch=lambda solver: None):
    """Fit a problem by "auto" and all solvers that accept it.

    Parameters
    ----------
    problem : Problem
    solvers : list of str, default=None
        Those to try.
    reference : bool, default=True
        Whether to ask CVXPY, too, for the minimum.
    watch : callable, default=None
        Is told each solver before it starts.

    Returns
    -------
    findings : list of Finding
        What went wrong.
    n_fits : int
    """
    findings, fits = [], []
    for solver in ["auto", *SOLVERS] if solvers is None else solvers:
        watch(solver)
        with reads() as count:
            began = time.process_time()
            try:
                model, caught = problem.fit(solver)
            except (ValueError, TypeError) as error:
                if isinstance(error, np.linalg.LinAlgError):
                    findings.append(Finding("error", solver, f"LinAlgError: {error}"))
                elif "cannot be used here" not in str(error):
                    findings.append(Finding("refused", solver, str(error)[:160]))
                continue
            except Exception as error:
                findings.append(Finding("error", solver, f"{type(error).__name__}: {error}"[:160]))
                continue
            seconds = time.process_time() - began
        coef, intercept = model.coef_, getattr(model, "intercept_", 0.0)
        if not (np.isfinite(coef).all() and np.isfinite(intercept).all()):
            findings.append(Finding("not finite", solver))
            continue
        if model.n_iter_ > model.max_iter:
            findings.append(Finding("n_iter", solver, f"{model.n_iter_} > {model.max_iter}"))
        if count[0] > READS and model.solver_ not in ROUGH:
            findings.append(Finding("work", solver, f"{count[0]} reads", model.solver_))
        fits.append((solver, model, caught, seconds, problem.split(coef, intercept)))
    if not problem.convex or not fits:
        return findings, len(fits)
    watch("reference")
    best = known(problem) if reference else np.full(len(problem.targets()), np.longdouble(np.inf))
    values = [problem.values(points) for *_, points in fits]
    best = np.min([best, _in_double(problem), *values], axis=0)
    scale = problem.constants()
    for (solver, model, caught, seconds, points), value in zip(fits, values, strict=True):
        findings += judge(problem, solver, model, caught, points, value, best, scale)
        if seconds > SECONDS:  # compilation included: once more
            began = time.process_time()
            problem.fit(solver)
            seconds = time.process_time() - began
        if seconds > SECONDS:
            findings.append(Finding("slow", solver, f"{seconds:.1f} s", model.solver_))
    return findings, len(fits)


def _in_double(problem):
    """What "auto" finds in float64 with a fine tolerance."""
    try:
        model, _ = problem.in_double().fit("auto")
    except Exception:
        return np.full(len(problem.targets()), np.longdouble(np.inf))
    return problem.values(problem.split(model.coef_, getattr(model, "intercept_", 0.0)))


def judge(problem, solver, model, caught, points, value, best, scale):
    """Compare what a fit says of itself with what it is."""
    warned = any(issubclass(w.category, ConvergenceWarning) for w in caught)
    used, found = (model.solver_ if solver == "auto" else ""), []
    rough = model.solver_ in ROUGH
    double = problem.X.dtype == np.float64
    noise = problem.noise(points) + (1e-9 if double else 1e-4) * value
    if problem.loss is None:  # σ is not sought below a share of the spread of y
        noise = noise + 2 * np.sqrt(problem.eps) * np.ptp(problem.targets()[0])
    error = value - best
    gap = getattr(model, "dual_gap_", None)
    gap = None if gap is None else np.atleast_1d(gap)

    def add(kind, where):
        k = int(np.argmax(where))
        bound = "no gap" if gap is None else f"gap={gap[k]:.3g}"
        said = "warned" if warned else "silent"
        note = f"F={value[k]:.6g}, best={best[k]:.6g}, F(0)={scale[k]:.3g}, {bound}, {said}"
        found.append(Finding(kind, solver, f"{note}, {model.n_iter_} iterations", used))

    # With margin 0 the best is 0, and nothing near it is relatively near.
    scale = np.where(scale > 0, scale, 1e3)
    allowed = (0.03 if rough and solver != "auto" else problem.tol) * value + problem.eps * scale
    far = error > allowed + noise
    if not warned and far.any():
        # Without a penalty a smooth fit ends at a small gradient, which may be far from the end.
        add("silently far" if gap is not None or problem.alpha > 0 else "far, no penalty", far)
    if gap is not None:
        # "sgd" promises 3 %; and a minimum of zero has no relative accuracy.
        promised = max(problem.tol, 0.03) if model.solver_ == "sgd" else problem.tol
        zero = np.maximum(value, gap) <= max(1e-10, 8 * problem.eps) * scale
        wide = (gap > 1.001 * promised * value + problem.eps * scale) & ~zero
        if not warned and wide.any():
            add("gap above tol", wide)
        false = gap < error - noise
        if false.any():
            add("gap too small", false)
    if warned:
        add("not converged" + ("" if far.any() else " (but near)"), error)
    return found


class Worker:
    """A process that examines one problem after the other, and can be ended when a fit hangs."""

    def __init__(self):
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=_work, args=(other,), daemon=True)
        self.process.start()

    def examine(self, seed, settings, solvers):
        """As ``examine``, and the solver that hung or None."""
        self.pipe.send((seed, settings, solvers))
        solver = None
        while self.pipe.poll(MOST_SECONDS if solver else None):
            try:
                what, content = self.pipe.recv()
            except EOFError:
                break
            if what == "done":
                return *content, None
            solver = content
        self.process.kill()
        self.process.join()
        return [], 0, solver


def _work(pipe):
    while True:
        seed, settings, solvers = pipe.recv()
        problem = draw(seed, **settings)
        found = examine(problem, solvers, watch=lambda solver: pipe.send(("fit", solver)))
        pipe.send(("done", found))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs=2, default=(0, 100), metavar=("FIRST", "END"))
    parser.add_argument("--solver", action="append", help="only these (default: all that accept)")
    parser.add_argument("--family")
    parser.add_argument("--dtype")
    parser.add_argument("--quiet", action="store_true", help="counts only")
    args = parser.parse_args()
    counts, n_fits, began, worker = Counter(), 0, time.time(), Worker()
    settings = {"family": args.family, "dtype": args.dtype}
    for seed in range(*args.seeds):
        problem, solvers, findings = draw(seed, **settings), args.solver or ["auto", *SOLVERS], []
        while True:
            found, fits, hung = worker.examine(seed, settings, solvers)
            if hung is None:
                break
            findings.append(Finding("hangs", hung, f"more than {MOST_SECONDS:.0f} s, or crashed"))
            solvers, worker = [name for name in solvers if name != hung], Worker()
            if hung not in ("auto", *SOLVERS):
                break
        n_fits += fits
        for finding in findings + found:
            alpha = "alpha=0" if problem.alpha == 0 else "alpha>0"
            counts[finding.kind, finding.solver, alpha, str(problem.X.dtype)] += 1
            if not args.quiet:
                print(f"{finding}\n    {problem}", flush=True)
    print(f"\nseeds {args.seeds[0]} to {args.seeds[1]}: {n_fits} fits, {time.time() - began:.0f} s")
    for (kind, solver, alpha, dtype), count in sorted(counts.items()):
        print(f"{count:5d}  {kind:28s} {solver:20s} {alpha}  {dtype}")
    harmless = ("not converged", "far, no penalty", "slow")
    return int(any(not kind.startswith(harmless) for kind, *_ in counts))


if __name__ == "__main__":
    sys.exit(main())
