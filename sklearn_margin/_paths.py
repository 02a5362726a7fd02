"""The fits of a path, whoever asks for it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from sklearn_margin._base.watch import is_watched
from sklearn_margin._tables import Table
from sklearn_margin.inspection import check_on_rows
from sklearn_margin.solvers._whole_path import solve_path

__all__ = ["decreasing", "fits"]

_FEW = 2  # alphas: fits that are not worth to be solved together


def decreasing(alphas):
    """Validated alphas, sorted."""
    try:
        values = np.array(alphas, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"alphas must hold numbers: {error}") from error
    if values.ndim != 1 or len(values) == 0:
        raise ValueError(
            f"alphas must be one-dimensional and not empty, got an array of shape {values.shape}"
        )
    wrong = ~(np.isfinite(values) & (values >= 0))
    if wrong.any():
        raise ValueError(f"alphas must be finite and not negative, got {values[wrong][0]}")
    return np.sort(values)[::-1]


def fits(model, grid, X, y, fit_params):
    """Fit a model for one alpha after the other; yields when it is fitted.

    Data in memory are validated once, and what one fit learns of the loss serves the next; or all
    are solved together.
    """
    if isinstance(X, Table):
        for alpha in grid:
            yield model.set_params(alpha=float(alpha)).fit(X, y, **fit_params)
        return
    problems: Any = None

    def prepare(X, y, **given):
        nonlocal problems
        if problems is None:
            problems = _problems(model, grid, model._prepare_fit(X, y, **given))
        return problems[k]

    with ExitStack() as stack:
        for k, alpha in enumerate(grid):
            model.alpha = float(alpha)
            yield model._fit(prepare, X, y, **fit_params)
            if k == 0:
                stack.enter_context(problems[0].objectives[0].rows.session())


def _problems(model, grid, problem):
    """The problem of each alpha; with solutions, where they could be found together."""
    objectives = [objective.sharing() for objective in problem.objectives]
    penalty = model._penalty(problem.X.shape[1])
    problems = []
    for alpha in grid:
        other = replace(penalty, alpha=float(alpha))
        several = [objective.penalized(other) for objective in objectives]
        problems.append(problem._replace(objectives=several))
    found = _solved_together(model, [each.objectives for each in problems])
    for k, results in enumerate(found):
        problems[k] = problems[k]._replace(results=results)
    return problems


def _solved_together(model, objectives):
    """Results for as many alphas as have them from ``solve_path``: all but zero, or none."""
    some = [each for each in objectives if each[0].penalty.strength > 0]
    if len(some) <= _FEW or is_watched(model):
        return []
    first = some[0]
    check_on_rows(first[0])
    solvers = [model._choose_solver(objective) for objective in first]
    random_state, results = check_random_state(model.random_state), []
    with first[0].rows.session():
        for solver, path in zip(solvers, zip(*some, strict=True), strict=True):
            found = solve_path(
                solver, path, tol=model.tol, max_iter=model.max_iter, random_state=random_state
            )
            if found is None:
                return []
            results.append(found)
    return list(zip(*results, strict=True))
