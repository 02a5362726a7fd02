"""From the problem of a fit to its solutions, and what is said of how it ended.

A fit that ends too early is no error: it sets what it found, and warns.
"""

import warnings
from functools import partial

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from sklearn_margin._base.watch import Watch
from sklearn_margin._hints import levels_to_caller
from sklearn_margin.inspection import check_on_rows

__all__ = ["minimize"]


def minimize(estimator, problem, held_out, context, given):
    """Solve one objective after the other.

    Parameters
    ----------
    estimator : LossEstimator
    problem : Problem
    held_out : list of Objective or None
        Of a validation set, one for each.
    context : CallbackContext
        Task of the fit.
    given : dict
        For callbacks; what is None was not given.

    Returns
    -------
    list of (coef, intercept)
    """
    objectives = problem.objectives
    if problem.results is None:
        results, stopped = _solved(estimator, problem, held_out, context, given)
    else:
        results, stopped = problem.results, [False] * len(objectives)
    _report(estimator, results, objectives[0].rows.dtype, stopped)
    pairs = zip(objectives, results, strict=True)
    solutions = [objective.to_coef(result.params) for objective, result in pairs]
    largest = np.finfo(objectives[0].rows.dtype).max  # coefficients become that dtype
    if not all((np.abs(part) <= largest).all() for parts in solutions for part in parts):
        raise ValueError(
            f"{type(estimator).__name__} found no finite coefficients: the values in X or y are "
            "too large or too small for floating-point arithmetic. Scale them."
        )
    return solutions


def _solved(estimator, problem, held_out, context, given):
    """Results, each with the name of its solver, and whether a callback stopped it."""
    objectives, previous = problem.objectives, None
    if estimator.warm_start and hasattr(estimator, estimator._learned):
        previous = estimator._previous(problem)
    check_on_rows(objectives[0].at_hand())
    metadata = {name: value for name, value in given.items() if value is not None}
    data = {"estimator": estimator, "X": problem.X, "y": problem.y, "metadata": metadata}
    results, solutions, stopped = [], [], []
    fitted = partial(_partly_fitted, estimator, problem, solutions)
    random_state = check_random_state(estimator.random_state)
    solvers = [estimator._choose_solver(objective) for objective in objectives]
    with objectives[0].rows.session():
        for k, (objective, solver) in enumerate(zip(objectives, solvers, strict=True)):
            if previous is None:
                start = estimator._start(objective, random_state)
            else:
                start = objective.from_coef(*previous[k])
            before = objective.rows.n_read[0] if results else 0
            watch = Watch(estimator, objective, context, data, fitted, before)
            with watch.problem(solver, len(objectives) > 1):
                result = solver.solve(
                    objective, start, tol=estimator.tol, max_iter=estimator.max_iter,
                    callback=watch if watch.is_wanted else None,
                    random_state=random_state,
                    validation=None if held_out is None else held_out[k],
                )  # fmt: skip
                watch.end(result)
            stopped.append(watch.stopped)
            results.append(result._replace(solver=result.solver or solver.name))
            solutions.append(objective.to_coef(result.params))
    return results, stopped


def _partly_fitted(estimator, problem, solved, solution):
    """Fitted attributes while a problem of several is being solved; later ones are zero."""
    blank = tuple(np.zeros_like(part) for part in solution)
    n_later = len(problem.objectives) - len(solved) - 1
    return estimator._fitted(problem, [*solved, solution, *[blank] * n_later])


def _report(estimator, results, dtype, stopped):
    """Store how the fits ended, ``stopped`` by a callback or not; warn of one too early."""
    estimator.n_iter_ = max(result.n_iter for result in results)
    estimator.solver_ = results[0].solver
    gaps = [result.gap for result in results]
    if any(gap is None for gap in gaps):
        estimator.__dict__.pop("dual_gap_", None)
    else:
        estimator.dual_gap_ = gaps[0] if len(gaps) == 1 else np.array(gaps)
    failed = [k for k, result in enumerate(results) if not result.converged]
    if failed and estimator.tol > 0:
        worst = max(failed, key=lambda k: np.nan_to_num(results[k].reached, nan=np.inf))
        warnings.warn(
            _complaint(estimator, results[worst], dtype, stopped[worst]),
            ConvergenceWarning,
            stacklevel=levels_to_caller(),
        )


def _complaint(estimator, result, dtype, stopped):
    """What is wrong with a result for rows of ``dtype``, and what may help."""
    found = f"{result.measure} {result.reached:.2g}, wanted tol={estimator.tol:g}"
    if not np.isfinite(result.reached):
        found = f"no bound on the error was found, wanted tol={estimator.tol:g}"
    advice = "More iterations will not help: scale the features, increase alpha or tol"
    if stopped:
        advice = "A callback stopped it"
    elif result.n_iter >= estimator.max_iter:
        advice = "Increase max_iter or tol, or scale the features"
    elif dtype == np.float32:
        advice += ", or fit in float64"
    return (
        f"{type(estimator).__name__} stopped after {result.n_iter} iterations of "
        f"solver={result.solver!r} without converging: {found}. {advice}."
    )
