"""The search for alpha: that of GridSearchCV, along paths."""

from inspect import signature

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata
from sklearn import config_context
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_margin import (
    AlphaSearchCV,
    Batches,
    HuberRegressor,
    LinearClassifier,
    LinearRegressor,
    QuantileRegressor,
    RankSVM,
)
from sklearn_margin._folds import chosen
from sklearn_margin.metrics import make_ranking_scorer, ndcg_score
from sklearn_margin.plotting import AlphaSearchDisplay

N, D = 120, 4
rng = np.random.default_rng(0)
X = rng.normal(size=(N, D)) * [1.0, 3.0, 0.5, 1.0] + [0.0, 5.0, 0.0, -2.0]
Z = X @ [1.0, -0.5, 0.0, 0.3] + rng.normal(size=N)
LABELS = np.array(["a", "b", "c"])[np.digitize(Z, np.quantile(Z, [0.3, 0.6]))]
GROUPS = rng.integers(15, size=N)
GRADES = np.digitize(Z, np.quantile(Z, [0.3, 0.6]))
WEIGHT = rng.random(N) + 0.1
NDCG = make_ranking_scorer(ndcg_score, k=3)


def scaled(model):
    return make_pipeline(StandardScaler(), model)


def grid_search(search):
    """The same search by scikit-learn, after ours was fitted."""
    rows = search.cv_results_["params"]
    names = sorted({name for row in rows for name in row})
    return GridSearchCV(
        search.estimator, [{name: [row[name]] for name in names} for row in rows],
        cv=search.cv, scoring=search.scoring, refit=search.refit,
    )  # fmt: skip


def assert_same(search, theirs):
    ours = search.cv_results_
    assert set(theirs.cv_results_) | {"mean_n_nonzero"} == set(ours)
    for key, values in theirs.cv_results_.items():
        if "_test_" in key and "rank" not in key:
            np.testing.assert_allclose(ours[key], values, atol=1e-6)
    assert ours["params"] == theirs.cv_results_["params"]
    if theirs.refit:
        assert search.best_params_ == theirs.best_params_
        assert search.best_index_ == theirs.best_index_
        np.testing.assert_allclose(search.best_score_, theirs.best_score_, atol=1e-6)


@pytest.mark.parametrize(
    ("model", "y", "options"),
    [
        (LinearRegressor(l1_ratio=1), Z, {"l1_ratio": [0.5, 1.0]}),
        (scaled(LinearClassifier("logistic")), LABELS, {"scoring": "neg_log_loss"}),
        (scaled(LinearClassifier("squared_hinge")), LABELS == "a",
         {"scoring": ["roc_auc", "accuracy"], "refit": "roc_auc"}),
        (QuantileRegressor(quantile=[0.3, 0.7]), Z, {"cv": ShuffleSplit(2, random_state=0)}),
        (scaled(HuberRegressor()), Z, {"scoring": {"r2": "r2"}, "refit": False, "cv": 3}),
        (LinearClassifier("cross_entropy"), LABELS, {"cv": KFold(3)}),
    ],
    ids=["elastic net", "one against the rest", "scorers", "quantiles", "scale", "classes"],
)  # fmt: skip
def test_is_a_grid_search(model, y, options):
    last = model[-1] if hasattr(model, "steps") else model
    last.set_params(tol=1e-9)
    search = AlphaSearchCV(model, alphas=4, **options).fit(X, y)
    theirs = grid_search(search).fit(X, y)
    assert_same(search, theirs)
    assert search.n_splits_ == theirs.n_splits_
    if search.refit:
        np.testing.assert_array_equal(search.predict(X), theirs.predict(X))
        assert search.score(X, y) == theirs.score(X, y)
        assert search.n_features_in_ == D


def test_weights_are_those_of_fit_and_score():
    search = AlphaSearchCV(LinearRegressor(tol=1e-9), alphas=3).fit(X, Z, sample_weight=WEIGHT)
    with config_context(enable_metadata_routing=True):
        asking = clone(search.estimator).set_fit_request(sample_weight=True)
        asking.set_score_request(sample_weight=True)
        routed = AlphaSearchCV(asking, alphas=3).fit(X, Z, sample_weight=WEIGHT)
        theirs = grid_search(routed).fit(X, Z, sample_weight=WEIGHT)
        assert_same(routed, theirs)
        score = routed.score(X, Z, sample_weight=WEIGHT)
    assert score == search.score(X, Z, sample_weight=WEIGHT) != search.score(X, Z)
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_score"], routed.cv_results_["mean_test_score"]
    )
    piped = AlphaSearchCV(scaled(LinearRegressor()), alphas=3)
    piped.fit(X, Z, linearregressor__sample_weight=WEIGHT)
    plain = AlphaSearchCV(scaled(LinearRegressor()), alphas=3).fit(X, Z)
    assert piped.best_score_ != plain.best_score_


@pytest.mark.skipif(
    "offset" not in signature(LinearRegressor.fit).parameters, reason="there are no offsets"
)
def test_offsets_are_those_of_fit_and_prediction():
    """With a squared loss an offset is taken from the target."""
    offset = 3 * np.cos(np.arange(N))
    for scoring in (None, "neg_mean_squared_error"):
        search = AlphaSearchCV(scaled(LinearRegressor(tol=1e-9)), alphas=3, scoring=scoring)
        search.fit(X, Z + offset, linearregressor__offset=offset)
        if scoring is not None:
            without = clone(search).fit(X, Z)
            np.testing.assert_allclose(search.best_score_, without.best_score_, rtol=1e-6)
            score = search.score(X, Z + offset, offset=offset)
            np.testing.assert_allclose(score, without.score(X, Z), rtol=1e-6)
        with config_context(enable_metadata_routing=True):
            routed = clone(search).fit(X, Z + offset, offset=offset)
            score = routed.score(X, Z + offset, offset=offset)
        np.testing.assert_allclose(search.best_score_, routed.best_score_, rtol=1e-12)
        assert score == search.score(X, Z + offset, offset=offset)
        shifted = search.predict(X, offset=offset)
        np.testing.assert_allclose(shifted, search.predict(X, offset=0) + offset, rtol=1e-12)


@pytest.mark.parametrize("pipe", [scaled, lambda model: model], ids=["pipeline", "model"])
def test_offsets_of_the_scores_of_labels(pipe):
    offset = np.cos(np.arange(N))
    search = AlphaSearchCV(pipe(LinearClassifier("logistic")), alphas=2, cv=2).fit(X, Z > 0)
    z = search.decision_function(X) + offset
    np.testing.assert_allclose(search.decision_function(X, offset=offset), z, rtol=1e-12)
    np.testing.assert_array_equal(search.predict(X, offset=offset), z > 0)
    p = search.predict_proba(X, offset=offset)[:, 1]
    np.testing.assert_allclose(p, 1 / (1 + np.exp(-z)), rtol=1e-10)


@pytest.mark.parametrize("scoring", [None, NDCG, {"a": NDCG, "b": NDCG}], ids=["own", "one", "two"])
def test_groups_of_rankers(scoring):
    """Routed, as an argument, and as a column of y: whole groups are held out."""
    model = scaled(RankSVM(tol=1e-9))
    refit = "a" if isinstance(scoring, dict) else True
    search = AlphaSearchCV(model, alphas=3, cv=3, scoring=scoring, refit=refit)
    scores = []
    search.fit(X, GRADES, groups=GROUPS)
    scores.append((search.best_score_, search.score(X, GRADES, groups=GROUPS)))
    packed = clone(search).fit(X, np.column_stack([GRADES, GROUPS]))
    scores.append((packed.best_score_, packed.score(X, np.column_stack([GRADES, GROUPS]))))
    with config_context(enable_metadata_routing=True):
        routed = clone(search).fit(X, GRADES, groups=GROUPS)
        scores.append((routed.best_score_, routed.score(X, GRADES, groups=GROUPS)))
        if scoring is not None:  # before 1.8 groups of a pipeline do not reach its score
            theirs = grid_search(routed).set_params(cv=GroupKFold(3))
            assert_same(routed, theirs.fit(X, GRADES, groups=GROUPS))
    assert scores[0] == scores[1] == scores[2]
    with pytest.raises(TypeError, match="takes no colour"):
        search.score(X, GRADES, groups=GROUPS, colour=GROUPS)


def test_a_callable_sees_the_pipeline_and_the_rows():
    def score(estimator, rows, y):
        assert list(rows.columns) == list("abcd")
        return {"error": -np.abs(estimator.predict(rows) - y).mean(), "n": len(rows)}

    frame = pd.DataFrame(X, columns=list("abcd"))
    search = AlphaSearchCV(scaled(LinearRegressor()), alphas=3, scoring=score, refit="error")
    search.fit(frame, Z)
    assert search.multimetric_
    assert set(search.cv_results_["split0_test_n"]) == {N // 5}
    assert list(search.feature_names_in_) == list("abcd")
    assert search.score(frame, Z) > -1.0


def test_rows_are_transformed_once_in_a_fold():
    calls = []

    def count(rows):
        calls.append(len(rows))
        return rows

    model = make_pipeline(FunctionTransformer(count), LinearRegressor())
    AlphaSearchCV(model, alphas=[0.1, 1.0, 10.0], cv=2, refit=False).fit(X, Z)
    assert calls == [N // 2] * 4


def test_one_standard_error():
    """The largest alpha of the path of the best whose mean is within one standard error."""
    other = [0.84] * 4  # of a path with another l1_ratio
    folds = np.array([[*other, 0.5, 0.82, 0.80, 0.80], [*other, 0.5, 0.82, 0.83, 0.92]])
    results = {f"split{k}_test_score": scores for k, scores in enumerate(folds)}
    results["mean_test_score"] = mean = folds.mean(axis=0)
    results["rank_test_score"] = rankdata(-mean, method="min")
    assert chosen(results, "score", "best", 4) == 7
    assert chosen(results, "score", "one_standard_error", 4) == 5
    best = AlphaSearchCV(scaled(LinearRegressor(l1_ratio=1)), alphas=10).fit(X, Z)
    simple = clone(best).set_params(rule="one_standard_error").fit(X, Z)
    assert simple.alpha_ > best.alpha_
    assert simple.best_estimator_[-1].alpha == simple.alpha_


def test_threads_give_the_same_bits():
    one = AlphaSearchCV(scaled(LinearClassifier("hinge")), alphas=4).fit(X, LABELS)
    two = clone(one).set_params(n_jobs=2).fit(X, LABELS)
    for key, values in one.cv_results_.items():
        if "time" not in key:
            np.testing.assert_array_equal(two.cv_results_[key], values)


def test_a_fold_that_cannot_be_fitted():
    y = np.sort(LABELS == "a")  # of the first rows one label only
    search = AlphaSearchCV(LinearClassifier(), alphas=[1.0, 0.1], cv=KFold(2))
    with pytest.raises(ValueError, match="at least 2 classes"):
        search.fit(X, y)
    assert not hasattr(search, "cv_results_")
    search.set_params(error_score=-1.0)
    with pytest.warns(FitFailedWarning, match="gets the score -1"):
        search.fit(X, y)
    assert -1.0 in search.cv_results_["split0_test_score"] or (
        -1.0 in search.cv_results_["split1_test_score"]
    )


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"estimator": Ridge()}, TypeError, "must be a classifier, regressor or ranker"),
        ({"alphas": 0}, ValueError, "alphas"),
        ({"alphas": [-1.0]}, ValueError, "alphas must be finite"),
        ({"l1_ratio": [0.5, 2.0]}, ValueError, "l1_ratio"),
        ({"l1_ratio": []}, ValueError, "l1_ratio must not be empty"),
        ({"rule": "worst"}, ValueError, "rule must be one of"),
        ({"scoring": ["r2"]}, ValueError, "refit must be the name of the score"),
    ],
)
def test_wrong_parameters(options, error, match):
    search = AlphaSearchCV(LinearRegressor()).set_params(**options)
    with pytest.raises(error, match=match):
        search.fit(X, Z)


def test_rows_elsewhere_are_refused():
    with pytest.raises(TypeError, match="needs the rows in memory"):
        AlphaSearchCV(LinearRegressor()).fit(Batches(lambda: iter([(X, Z)])))


def test_is_what_it_searches_for():
    search = AlphaSearchCV(LinearClassifier("logistic"), refit=False, alphas=2)
    assert is_classifier(search) and not is_regressor(search)
    assert not hasattr(search, "predict")
    search.set_params(refit=True, estimator__loss="hinge")
    assert not hasattr(search, "predict_proba")
    assert not hasattr(AlphaSearchCV(RankSVM()), "decision_function")
    with pytest.raises(NotFittedError):
        search.predict(X)
    search.set_params(estimator__loss="logistic").fit(X, LABELS)
    assert search.predict_proba(X).shape == (N, 3)
    assert search.decision_function(X).shape == (N, 3)
    assert list(search.classes_) == ["a", "b", "c"]


def test_picture():
    pytest.importorskip("matplotlib")
    search = AlphaSearchCV(
        LinearRegressor(), alphas=[1.0, 0.1, 0.0], l1_ratio=[0.5, 1.0], scoring="r2",
        rule="one_standard_error",
    ).fit(X, Z)  # fmt: skip
    display = AlphaSearchDisplay.from_search(search, lw=3)
    assert [line.get_label() for line in display.lines_] == ["l1_ratio 0.5", "l1_ratio 1"]
    mean = search.cv_results_["mean_test_score"]
    np.testing.assert_allclose(display.lines_[1].get_ydata(), mean[3:5])
    assert display.ax_.xaxis_inverted() and display.ax_.get_ylabel() == "r2"
    assert display.nonzero_ax_ is not None
    assert display.lines_[0].get_linewidth() == 3
    with pytest.raises(NotFittedError):
        AlphaSearchDisplay.from_search(clone(search))
