"""The fits of a path, whoever asks for it."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import numpy as np

from sklearn_margin._tables import Table

__all__ = ["decreasing", "fits"]


def fits(model, grid, X, y, fit_params):
    """Fit a model for one alpha after the other; yields when it is fitted.

    Data in memory are validated once, and what one fit learns of the loss serves the next.
    """
    if isinstance(X, Table):
        for alpha in grid:
            yield model.set_params(alpha=float(alpha)).fit(X, y, **fit_params)
        return
    problem: Any = None

    def prepare(X, y, **given):
        nonlocal problem
        if problem is None:
            problem = model._prepare_fit(X, y, **given)
            problem = problem._replace(objectives=[o.sharing() for o in problem.objectives])
        penalty = model._penalty(problem.objectives[0].rows.shape[1])
        return problem._replace(objectives=[o.penalized(penalty) for o in problem.objectives])

    with ExitStack() as stack:
        for alpha in grid:
            model.alpha = float(alpha)
            yield model._fit(prepare, X, y, **fit_params)
            if alpha == grid[0]:
                stack.enter_context(problem.objectives[0].rows.session())


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
