"""Scikit-learn's own battery of estimator checks, with no expected failure."""

import os
from importlib.util import find_spec

import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    estimator_checks_generator,
    parametrize_with_checks,
)

import sklearn_margin
from sklearn_margin import (
    HingeClassifier,
    HuberRegressor,
    LinearClassifier,
    LinearEmbedding,
    LinearRanker,
    LinearRegressor,
    QuantileRegressor,
    RankSVM,
)

pytestmark = pytest.mark.compiled

# Scikit-learn 1.9 has this many; fewer would mean that a tag or a method was lost.
AT_LEAST = {
    HingeClassifier: 65,
    HuberRegressor: 61,
    LinearClassifier: 65,
    LinearEmbedding: 56,
    LinearRanker: 51,
    LinearRegressor: 61,
    QuantileRegressor: 61,
    RankSVM: 51,
}
# One for each way through an estimator; what losses of a kind differ by, checks do not look at.
VARIANTS = [
    LinearClassifier(loss="crammer_singer"),
    LinearClassifier(loss="focal"),
    LinearClassifier(loss="logistic"),
    LinearClassifier(loss="squared_hinge"),
    LinearEmbedding(loss="arc_face"),
    LinearEmbedding(loss="contrastive", normalize=True),
    LinearEmbedding(loss="info_nce"),
    LinearRegressor(loss="huber"),
    QuantileRegressor(quantile=0.7, l1_ratio=0.5),
]
SEVERAL = QuantileRegressor(quantile=[0.7, 0.3], non_crossing=True)
# They want one prediction for each row.
ONE_PREDICTION = {
    "check_estimator_sparse_array",
    "check_estimator_sparse_matrix",
    "check_regressors_train",
}


def quick(cls):
    """With parameters of its own only where the default takes a thousand steps of Adam."""
    return cls(max_iter=5) if cls is LinearEmbedding else cls()


@parametrize_with_checks([*map(quick, AT_LEAST), *VARIANTS])
def test_estimator_check(estimator, check):
    check(estimator)


def name_of(check):
    return getattr(check, "func", check).__name__


def test_several_quantiles():
    checks = list(estimator_checks_generator(SEVERAL))
    rest = [(model, check) for model, check in checks if name_of(check) not in ONE_PREDICTION]
    assert len(checks) - 5 == len(rest) >= AT_LEAST[QuantileRegressor] - 5
    for model, check in rest:
        check(model)


def test_a_loss_of_the_batch():
    """Weights are repetitions to the 1e-6 that L-BFGS can, not 1e-7: see test_multiclass.py."""
    checks = list(estimator_checks_generator(LinearClassifier(loss="dice")))
    rest = [(m, c) for m, c in checks if "sample_weight_equivalence" not in name_of(c)]
    assert len(checks) - 2 == len(rest) >= AT_LEAST[LinearClassifier] - 2
    for model, check in rest:
        check(model)


@pytest.mark.parametrize("cls", AT_LEAST)
def test_number_of_checks(cls):
    names = [name_of(check) for _, check in estimator_checks_generator(cls())]
    assert len(names) >= AT_LEAST[cls]
    # Those that a wrong tag would silently switch off.
    assert {
        "check_sample_weight_equivalence_on_dense_data",
        "check_sample_weight_equivalence_on_sparse_data",
        "check_estimator_sparse_array",
        "check_fit2d_predict1d",
        "check_readonly_memmap_input",
        "check_dict_unchanged",
        "check_n_features_in_after_fitting",
    } <= set(names)


@pytest.mark.parametrize("cls", AT_LEAST)
def test_no_check_is_expected_to_fail(cls):
    """Such checks would come marked, here as expected failures; the generator marks none."""
    marked = list(estimator_checks_generator(cls(), expected_failed_checks=None, mark="xfail"))
    assert not [check for _, check in marked if hasattr(check, "marks")]
    assert not hasattr(cls(), "_xfail_checks")


@pytest.mark.parametrize("cls", AT_LEAST)
def test_column_names(cls):
    """A check that scikit-learn applies to its own estimators only."""
    check_dataframe_column_names_consistency(cls.__name__, cls())


def test_every_estimator_is_checked():
    exported = {getattr(sklearn_margin, name) for name in sklearn_margin.__all__}
    estimators = {c for c in exported if isinstance(c, type) and issubclass(c, BaseEstimator)}
    assert estimators == set(AT_LEAST)


def test_array_api_checks_are_not_skipped():
    """They would be without array-api-strict, or if scipy had not been told (conftest.py does)."""
    assert find_spec("array_api_strict") is not None
    assert os.environ["SCIPY_ARRAY_API"] == "1"
    with config_context(array_api_dispatch=True):  # raises if scipy was imported too early
        pass
