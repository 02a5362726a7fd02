"""The weighted bootstrap: fits to the same rows with random weights."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from joblib import effective_n_jobs
from sklearn.utils import check_random_state

from sklearn_margin.inference._far_rows import FarRows
from sklearn_margin.objective import PairwiseObjective

__all__ = ["bootstrap"]


def bootstrap(fit, n_bootstrap, n_jobs, random_state):
    """Coefficients of fits to random weights, of shape (n_bootstrap, *coef.shape)."""
    seeds = check_random_state(random_state).randint(2**31, size=n_bootstrap)

    problems = list(zip(fit.objectives, fit.params, strict=True))
    far = [FarRows.of(*problem) for problem in problems]

    def solve(objective, params, known):
        if known is None:
            return fit.solve(objective, params)
        return known.solve(objective, fit.solve)

    def replicate(seed):
        factors = _factors(fit, np.random.default_rng(seed))
        found = [
            raw @ solve(_reweighted(objective, factors), params, known)
            for (objective, params), known, raw in zip(problems, far, fit.raw, strict=True)
        ]
        return np.concatenate(found).reshape(fit.coef.shape)

    with fit.objectives[0].rows.session(), ThreadPoolExecutor(effective_n_jobs(n_jobs)) as pool:
        return np.array(list(pool.map(replicate, seeds)))


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
        return type(objective)(
            objective.loss, objective.rows, objective.y, objective.s * factors, objective.groups,
            penalty=objective.penalty.penalty,
        )  # fmt: skip
    s = objective.s * factors
    return objective.with_weights(s / s.sum())
