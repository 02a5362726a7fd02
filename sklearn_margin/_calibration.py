"""Probabilities for margin losses: scores of rows that were left out, and maps to probabilities."""

from typing import NamedTuple

import numpy as np
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression
from sklearn.model_selection import StratifiedKFold

from sklearn_margin.losses import Logistic
from sklearn_margin.objective import PointwiseObjective, Rows
from sklearn_margin.solvers import Newton, choose

__all__ = ["Sigmoid", "calibrate", "held_out_scores"]

_FOLDS = 5
_NOISE = 1e-6  # relative differences of scores that say nothing: coefficients may be float32
_TOL = 1e-3  # the scores of a fold need no more: its rows are fewer by far more than that


def held_out_scores(objectives, solutions, labels, *, solver, tol, max_iter, random_state):
    """Scores of each row by models fitted without it, from folds that start at the solution.

    Parameters
    ----------
    objectives : list of PointwiseObjective
        Over the same rows.
    solutions : list of (coef, intercept)
        Their optima.
    labels : ndarray of shape (n,)
        Class of each row, for stratified folds.
    solver, tol, max_iter, random_state
        As of the fit.

    Returns
    -------
    ndarray of shape (n_problems, n)
        Of rows with a positive weight; 0 for others.

    Raises
    ------
    ValueError
        If a class has less than two rows.
    """
    used = np.flatnonzero(objectives[0].s > 0)
    fewest = int(np.unique(labels[used], return_counts=True)[1].min())
    if fewest < 2:
        raise ValueError("probability needs at least 2 rows of each class, got a class with 1")
    scores = np.zeros((len(objectives), len(labels)))
    folds = StratifiedKFold(min(_FOLDS, fewest))
    for _, test in folds.split(used, labels[used]):
        test = used[test]
        for k, (objective, solution) in enumerate(zip(objectives, solutions, strict=True)):
            s = objective.s.copy()
            s[test] = 0
            rest = objective.with_weights(s / s.sum())
            found = choose(solver, rest, tol).solve(
                rest, rest.from_coef(*solution), tol=max(tol, _TOL), max_iter=max_iter,
                random_state=random_state,
            )  # fmt: skip
            scores[k, test] = rest.scores(found.params)[test]
    return scores


def calibrate(method, scores, positive, weight):
    """A map from scores to the probability of the positive class.

    Parameters
    ----------
    method : {"sigmoid", "isotonic"}
    scores : ndarray of shape (n,)
        Scores of rows by models that did not see them.
    positive : ndarray of bool of shape (n,)
    weight : ndarray of shape (n,)
        Positive weights.

    Returns
    -------
    object with a method ``predict(scores)``
    """
    if method == "isotonic":
        isotonic = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
        return isotonic.fit(scores, positive.astype(np.float64), sample_weight=weight)
    return Sigmoid.fit(scores, positive, weight)


class Sigmoid(NamedTuple):
    """σ(slope · score + intercept), by maximum likelihood (Platt 1999).

    Targets are (N₊ + 1)/(N₊ + 2) for the N₊ positive rows and 1/(N₋ + 2) for the others, so that
    scores that separate the classes have a finite slope.
    """

    slope: float
    intercept: float

    @classmethod
    def fit(cls, scores, positive, weight):
        """The sigmoid for these scores; a constant one if they differ by rounding errors only."""
        if np.ptp(scores) <= _NOISE * np.abs(scores).max():
            scores = np.zeros_like(scores)
        n_positive, n_negative = weight[positive].sum(), weight[~positive].sum()
        target = np.where(positive, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))
        # A row with target t is one of each class, with the weights t and 1 − t.
        both = np.concatenate([scores, scores])[:, None]
        y = np.repeat([1.0, -1.0], len(scores))
        s = np.concatenate([weight * target, weight * (1 - target)])
        objective = PointwiseObjective(
            Logistic(), Rows(both, center=True), y, s / s.sum(), fit_intercept=True
        )
        found = Newton().solve(objective, objective.start(), tol=1e-10, max_iter=100)
        slope, intercept = objective.to_coef(found.params)
        return cls(float(slope[0]), float(intercept))

    def predict(self, scores):
        """Probabilities."""
        return expit(self.slope * scores + self.intercept)
