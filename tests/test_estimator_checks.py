"""Scikit-learn's own battery of estimator checks, with no expected failure."""

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from sklearn_margin import (
    HingeClassifier,
    HuberRegressor,
    LinearClassifier,
    LinearRanker,
    LinearRegressor,
    RankSVM,
)

ESTIMATORS = [
    HingeClassifier(),
    HuberRegressor(),
    LinearClassifier(),
    LinearRanker(),
    LinearRegressor(),
    RankSVM(),
]
VARIANTS = [
    LinearClassifier(loss="logistic"),
    LinearClassifier(loss="squared_hinge"),
    LinearRegressor(loss="absolute"),
    LinearRegressor(loss="huber"),
]


@parametrize_with_checks(ESTIMATORS + VARIANTS)
def test_estimator_check(estimator, check):
    check(estimator)
