"""Ours against others on one problem: the pieces that all cases are made of."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from benchmarks.data import Problem
from benchmarks.harness import PATIENCE, THREADS, Case, Contestant
from sklearn_margin import LinearClassifier, LinearRanker, LinearRegressor
from sklearn_margin.losses.pairs.base import PairwiseLoss
from sklearn_margin.losses.pointwise import RegressionLoss
from sklearn_margin.solvers import SGD

OUR_TOLERANCES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8, 1e-9, 1e-10)
TIGHT = 1e-7  # of the reference
EXACT, TIGHTEST = (1e-4, 1e-9), 1e-11  # levels beside peers that are exact, and the reference then


@dataclass
class Spec:
    """A case that can be built at any size, and what is aimed at."""

    row: int | None  # of the table of targets
    build: Callable  # build(n) -> Case
    size: int
    quick: int  # size of a quick run
    ratio: float | None = None  # time of the best peer that reaches it ÷ ours, at least
    target: str = ""  # what is aimed at besides
    finest: float | None = None  # the ratio at the last level, if that is of interest
    versus: dict[str, float] = field(default_factory=dict)  # ratio by beginning of a peer's name
    companion: float | None = None  # times of a related fit of ours that this one may take
    patience: float = PATIENCE  # times of ours that a contestant may climb


def fit_ours(p: Problem, tol, **params):
    """Coefficients and intercept of our estimator for a problem."""
    kind, extra = LinearClassifier, {}
    if isinstance(p.loss, RegressionLoss):
        kind = LinearRegressor
    elif isinstance(p.loss, PairwiseLoss):
        kind, extra = LinearRanker, {"groups": p.groups}
    if kind is not LinearRanker:
        params["fit_intercept"] = p.fit_intercept
    model = kind(
        loss=p.loss, alpha=p.alpha, l1_ratio=p.l1_ratio, tol=tol, n_jobs=THREADS, **params
    ).fit(p.X, p.y, **extra)
    return model.coef_, getattr(model, "intercept_", 0.0)


def sgd(p: Problem) -> Contestant:
    """Our stochastic gradient descent; its ladder is the number of epochs."""

    def fit(epochs):
        solver = SGD(n_iter_no_change=1000)
        return fit_ours(p, 0.0, solver=solver, max_iter=epochs, random_state=0)

    return Contestant("sklearn_margin sgd", fit, (1, 5, 20))


def race(p: Problem, title: str, others: list[Contestant], **details) -> Case:
    """Ours against others on one problem; `details` are further fields of the case."""
    ours = Contestant("sklearn_margin", partial(fit_ours, p), OUR_TOLERANCES)
    reference = partial(fit_ours, p, TIGHTEST if details.get("levels") == EXACT else TIGHT)
    return Case(title, p.value, [ours, *others], reference, yardstick(p.X), **details)


def companion(name: str, fit: Callable, rungs=(1e-4,)) -> Contestant:
    """A related fit of ours, which the time of this one is compared with; not one of the race."""
    note = "what ours is compared with"
    return Contestant(f"sklearn_margin, {name}", fit, rungs, note=note, comparable=False)


def yardstick(X) -> Callable:
    """One product with the matrix and one with its transpose, as NumPy or SciPy do them."""
    w, r = np.ones(X.shape[1], X.dtype), np.ones(X.shape[0], X.dtype)
    return lambda: (X @ w, X.T @ r)


def shape(X) -> str:
    """Rows × columns."""
    return f"{X.shape[0]:,} × {X.shape[1]:,}"
