"""The weighted bootstrap: fits to the same rows with random weights."""

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import scipy.sparse as sp
from joblib import effective_n_jobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from sklearn_margin._hints import levels_to_caller
from sklearn_margin._validation import check_number
from sklearn_margin.inference._equations import (
    check_enough_rows,
    check_groups,
    check_minimum,
    check_regular,
    gram,
)
from sklearn_margin.inference._far_rows import FarRows
from sklearn_margin.inference._smooth import check_classes
from sklearn_margin.objective import ListwiseObjective, PairwiseObjective

__all__ = ["bootstrap"]


def bootstrap(fit, n_bootstrap, n_jobs, random_state):
    """Coefficients of fits to random weights, of shape (n_bootstrap, \\*coef.shape).

    Raises
    ------
    ValueError
        If the problem has no unique minimum, or the coefficients are not there; or if all rows are
        one group, whose weight is a common factor, or one list.
    """
    if n_jobs is not None:
        check_number(n_jobs, "n_jobs", integer=True)
    try:
        seeds = check_random_state(random_state).randint(2**31, size=n_bootstrap)
    except ValueError as error:
        raise ValueError(f"random_state: {error}") from error
    _check_data(fit)
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


def _check_data(fit):
    """Raise ``ValueError`` if weights that are drawn say nothing of the coefficients."""
    if fit.groups is not None or isinstance(fit.objectives[0], ListwiseObjective):
        check_groups(fit, "bootstrap")
    if not fit.is_penalized:
        check_enough_rows(fit, fit.n_params)
    for objective, params in zip(fit.objectives, fit.params, strict=True):
        _check_unique(fit, objective, params)


def _check_unique(fit, objective, params):
    """Raise ``ValueError`` if coefficients can change, and no score, or no difference of scores."""
    if objective.n_outputs > 1 and not objective.penalty.is_zero:
        return
    with objective.rows.session():
        if objective.pairs is not None:
            check_regular(fit, objective.with_penalty(_gram_within(objective)))
            return
        hessian = gram(objective, objective.s)
        check_regular(fit, hessian if objective.n_outputs > 1 else objective.with_penalty(hessian))
        if objective.penalty.is_zero:
            check_classes(fit, objective, params)


def _gram_within(objective):
    """Mean of x̃x̃ᵀ over rows of weight, each less the mean of its group."""
    rows, order, start = objective.rows, objective.pairs.layout.order, objective.pairs.group_start
    sizes, share = np.diff(start), np.zeros(rows.shape[0])
    share[order] = 1.0 / len(order)
    mean = np.repeat(1.0 / sizes, sizes), order, start
    means = sp.csr_array(mean, shape=(len(sizes), len(share))) @ rows.X
    means = (means.toarray() if sp.issparse(means) else means) - rows.shift
    means *= np.sqrt(sizes / len(order))[:, None] / rows.scale
    return gram(objective, share) - means.T @ means


def _factors(fit, rng):
    """Exponential factors of the weights of rows: one for each row, or group."""
    if fit.groups is None:
        return rng.standard_exponential(len(fit.used))
    return rng.standard_exponential(int(fit.groups.max()) + 1)[fit.groups]


def _reweighted(objective, factors):
    """The objective with its weights times ``factors``."""
    if isinstance(objective, PairwiseObjective):
        if objective.groups is not None and not isinstance(objective, ListwiseObjective):
            # A pair has the product of the weights of its rows: within a group, that of the group.
            factors = np.sqrt(factors)
        new = type(objective)(
            objective.loss, objective.rows, objective.y, objective.s * factors, objective.groups,
            objective.sides, penalty=objective.penalty.penalty,
        )  # fmt: skip
        return new.with_offset(objective.offset)
    s = objective.s * factors
    return objective.with_weights(s / s.sum())
