"""The weighted bootstrap: fits to the same rows with random weights."""

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from joblib import effective_n_jobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from sklearn_margin._hints import levels_to_caller
from sklearn_margin.inference._equations import check_minimum, check_regular, gram
from sklearn_margin.inference._far_rows import FarRows
from sklearn_margin.inference._smooth import check_classes
from sklearn_margin.objective import PairwiseObjective

__all__ = ["bootstrap"]


def bootstrap(fit, n_bootstrap, n_jobs, random_state):
    """Coefficients of fits to random weights, of shape (n_bootstrap, \\*coef.shape).

    Raises
    ------
    ValueError
        If the problem has no unique minimum, or the coefficients are not there.
    """
    for objective, params in zip(fit.objectives, fit.params, strict=True):
        _check_unique(fit, objective, params)
    seeds = check_random_state(random_state).randint(2**31, size=n_bootstrap)
    problems = list(zip(fit.objectives, fit.params, fit.raw, strict=True))
    failed = []
    with fit.objectives[0].rows.session():
        far = [FarRows.of(objective, params) for objective, params, _ in problems]

        def solve(factors):
            found = []
            for (objective, params, raw), known in zip(problems, far, strict=True):
                new = _reweighted(objective, factors)
                run = _Solver(fit, failed)
                there = run(new, params) if known is None else known.solve(new, run)
                found.append(raw @ there)
            return np.concatenate(found)

        def replicate(seed):
            return solve(_factors(fit, np.random.default_rng(seed)))

        whole = solve(np.ones(len(fit.used)))
        with ThreadPoolExecutor(effective_n_jobs(n_jobs)) as pool:
            found = np.array(list(pool.map(replicate, seeds)))
    errors = np.maximum(found.std(axis=0), np.finfo(float).tiny)
    check_minimum(fit, np.abs(whole - fit.coef.ravel()) / errors)
    if failed:
        warnings.warn(
            f"{len(failed)} fits of the bootstrap did not converge: scale the features, or "
            "increase max_iter",
            ConvergenceWarning,
            stacklevel=levels_to_caller(),
        )
    return found.reshape(n_bootstrap, *fit.coef.shape)


class _Solver:
    """The solver of a fit, which notes what fails."""

    def __init__(self, fit, failed):
        self.fit, self.failed = fit, failed

    def __call__(self, objective, start):
        result = self.fit.solve(objective, start)
        if not result.converged:
            self.failed.append(result.reached)
        return result.params


def _check_unique(fit, objective, params):
    if objective.n_outputs > 1 or isinstance(objective, PairwiseObjective):
        return
    with objective.rows.session():
        check_regular(fit, objective, objective.with_penalty(gram(objective, objective.s)))
        if objective.penalty.is_zero:
            check_classes(fit, objective, params)


def _factors(fit, rng):
    """Exponential factors of the weights of rows: one for each row, or group."""
    if fit.groups is None:
        return rng.standard_exponential(len(fit.used))
    return rng.standard_exponential(int(fit.groups.max()) + 1)[fit.groups]


def _reweighted(objective, factors):
    """The objective with its weights times ``factors``."""
    if isinstance(objective, PairwiseObjective):
        # A pair has the product of the weights of its rows: within a group, that of the group.
        factors = factors if objective.groups is None else np.sqrt(factors)
        new = type(objective)(
            objective.loss, objective.rows, objective.y, objective.s * factors, objective.groups,
            penalty=objective.penalty.penalty,
        )  # fmt: skip
        return new.with_offset(objective.offset)
    s = objective.s * factors
    return objective.with_weights(s / s.sum())
