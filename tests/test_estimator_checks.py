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
from sklearn_releases import SKLEARN

import sklearn_margin
from sklearn_margin import (
    AlphaSearchCV,
    HingeClassifier,
    HuberRegressor,
    LinearClassifier,
    LinearEmbedding,
    LinearRanker,
    LinearRegressor,
    OrdinalClassifier,
    QuantileRegressor,
    RankSVM,
)

pytestmark = pytest.mark.compiled

# Scikit-learn has this many, from 1.9 on one more; fewer would mean that a tag or method was lost.
AT_LEAST = {
    HingeClassifier: 64 + (SKLEARN >= (1, 9)),
    HuberRegressor: 60 + (SKLEARN >= (1, 9)),
    LinearClassifier: 64 + (SKLEARN >= (1, 9)),
    LinearEmbedding: 55 + (SKLEARN >= (1, 9)),
    LinearRanker: 50 + (SKLEARN >= (1, 9)),
    LinearRegressor: 60 + (SKLEARN >= (1, 9)),
    OrdinalClassifier: 60 + (SKLEARN >= (1, 9)),
    QuantileRegressor: 60 + (SKLEARN >= (1, 9)),
    RankSVM: 50 + (SKLEARN >= (1, 9)),
}
# One for each way through an estimator. What is left out for them are checks of the class alone:
# its parameters, tags and signatures, and what it refuses before it knows of a loss or solver.
VARIANTS = [
    LinearClassifier(loss="crammer_singer"),
    LinearClassifier(loss="focal"),
    LinearClassifier(loss="logistic"),
    LinearClassifier(loss="squared_hinge"),
    LinearEmbedding(loss="arc_face"),
    LinearEmbedding(loss="contrastive", normalize=True),
    LinearEmbedding(loss="info_nce"),
    LinearRegressor(loss="huber"),
    OrdinalClassifier("hinge", threshold="immediate"),
    QuantileRegressor(quantile=0.7, l1_ratio=0.5),
]
# Of each kind; the checks know nothing of the metadata that a search passes on.
SEARCHES = {
    "classifier": (AlphaSearchCV(LinearClassifier("squared_hinge"), alphas=[0.1], cv=2), 54),
    "regressor": (AlphaSearchCV(LinearRegressor(), alphas=[0.1], cv=2), 51),
    "ranker": (AlphaSearchCV(RankSVM(), alphas=[0.1], cv=2), 41),
}
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


BY_CLASS = {
    "check_classifiers_one_label",
    "check_classifiers_regression_target", "check_complex_data",
    "check_do_not_raise_errors_in_init_or_set_params", "check_dtype_object",
    "check_estimator_cloneable", "check_estimator_repr", "check_estimator_sparse_matrix",
    "check_estimator_sparse_tag", "check_estimator_tags_renamed",
    "check_estimators_empty_data_messages", "check_estimators_nan_inf",
    "check_estimators_partial_fit_n_features", "check_estimators_unfitted",
    "check_fit1d", "check_fit_check_is_fitted", "check_fit_score_takes_y",
    "check_get_params_invariance", "check_mixin_order", "check_n_features_in",
    "check_n_features_in_after_fitting", "check_no_attributes_set_in_init",
    "check_parameters_default_constructible", "check_pipeline_consistency",
    "check_positive_only_tag_during_fit", "check_regressors_no_decision_function",
    "check_requires_y_none", "check_sample_weights_list", "check_sample_weights_not_an_array",
    "check_sample_weights_pandas_series", "check_sample_weights_shape", "check_set_params",
    "check_supervised_y_2d", "check_supervised_y_no_nan", "check_transformers_unfitted",
    "check_valid_tag_types",
}  # fmt: skip
NEW_BY_CLASS = {"check_all_zero_sample_weights_error", "check_array_api_input"}  # in 1.9


@parametrize_with_checks([*map(quick, AT_LEAST)])
def test_estimator_check(estimator, check):
    check(estimator)


def name_of(check):
    return getattr(check, "func", check).__name__


@pytest.mark.parametrize("variant", VARIANTS, ids=repr)
def test_a_variant(variant):
    checks = list(estimator_checks_generator(variant))
    assert len(checks) >= AT_LEAST[type(variant)]
    some = [
        (model, check) for model, check in checks if name_of(check) not in BY_CLASS | NEW_BY_CLASS
    ]
    assert len(some) >= 20
    for model, check in some:
        try:
            check(model)
        except BaseException as error:
            error.add_note(f"in {name_of(check)}")
            raise


@pytest.mark.parametrize("kind", SEARCHES)
def test_a_search(kind):
    search, at_least = SEARCHES[kind]
    checks = list(estimator_checks_generator(search))
    assert len(checks) >= at_least
    for model, check in checks:
        check(model)


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


def test_checks_of_classes_exist():
    every = {name_of(check) for cls in AT_LEAST for _, check in estimator_checks_generator(cls())}
    assert every >= BY_CLASS
    assert every & NEW_BY_CLASS == (NEW_BY_CLASS if SKLEARN >= (1, 9) else set())


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
    exported = [getattr(sklearn_margin, name) for name in sklearn_margin.__all__]
    estimators = {c for c in exported if isinstance(c, type) and issubclass(c, BaseEstimator)}
    assert estimators == {*AT_LEAST, AlphaSearchCV}


@pytest.mark.sklearn("1.9")
def test_array_api_checks_are_not_skipped():
    """They would be without array-api-strict, or if scipy had not been told (conftest.py does)."""
    assert find_spec("array_api_strict") is not None
    assert os.environ["SCIPY_ARRAY_API"] == "1"
    with config_context(array_api_dispatch=True):  # raises if scipy was imported too early
        pass
