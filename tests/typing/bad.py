"""What type checkers have to find: every line with a comment ``# error`` is one, and no other.

To mypy, scikit-learn is of type Any, and so is an attribute that only scikit-learn could have.
"""

import numpy as np

from sklearn_margin import (
    HingeClassifier,
    LinearClassifier,
    LinearRegressor,
    QuantileRegressor,
    RankSVM,
)
from sklearn_margin.losses import Huber, PairwiseHinge, PointwiseLoss
from sklearn_margin.solvers import SGD

X, y = np.eye(4), np.arange(4)


def mistakes() -> None:
    """Never called."""
    LinearClassifier(loss=3)  # error
    LinearClassifier("hinge", 1e-3)  # error
    LinearClassifier(C=1.0)  # error
    LinearRegressor(Huber(delta="wide"))  # error
    LinearRegressor(solver=SGD)  # error
    HingeClassifier(probability=True)  # error
    QuantileRegressor(quantile="median")  # error
    RankSVM(weighting="by grade")  # error
    PairwiseHinge(weight="uniform")  # error
    SGD(schedule="cosine")  # error
    RankSVM().fit(X, y, qid=[0, 0, 1, 1])  # error
    print(LinearRegressor().fit(X, y).coefficients)  # error (pyright)
    LinearRegressor().fit(X, y).predict()  # error


class Wrong(PointwiseLoss):
    """A loss without an argument."""

    def sample_value(self, y: float) -> float:  # error
        return y
