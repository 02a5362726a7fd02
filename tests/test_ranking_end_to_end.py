"""Ranking as its users do it: from a table or a file to a model that was saved and loaded."""

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn import config_context
from sklearn.compose import make_column_transformer
from sklearn.datasets import dump_svmlight_file, load_svmlight_file
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklearn_margin import LinearRanker, RankSVM
from sklearn_margin.metrics import make_ranking_scorer, ndcg_score, pairwise_accuracy_score
from sklearn_margin.plotting import RankingDisplay

FEATURES = ["price", "stars", "district"]
RANKERS = {
    "squared hinge": RankSVM(),
    "hinge": RankSVM(loss="hinge"),
    "linear ranker": LinearRanker("pairwise_squared_hinge"),
}
SCORERS = {
    "own score": None,
    "NDCG": make_ranking_scorer(ndcg_score, k=3),
    "pairs": make_ranking_scorer(pairwise_accuracy_score),
}


@pytest.fixture(scope="module")
def table():
    """Rows of searches in no order, whose names are strings; prices have the level of the search.

    So that a model which compares rows of different searches learns that dear is good.
    """
    rng = np.random.default_rng(0)
    n = 600
    number = rng.integers(50, size=n)
    level = rng.normal(size=50)[number]
    table = pd.DataFrame(
        {
            "search": np.array([f"search {17 * i % 50}" for i in range(50)])[number],
            "price": 3 * level + rng.normal(size=n),
            "stars": rng.integers(1, 6, n),
            "district": rng.choice(["centre", "harbour", "airport"], n),
        },
        index=rng.permutation(n),
    )
    worth = 2 * table["stars"] - 2 * table["price"] + 6 * (table["district"] == "centre")
    worth += 18 * level + 2 * rng.normal(size=n)
    table["outcome"] = np.digitize(worth, worth.quantile([0.5, 0.8, 0.95]))
    return table


def grid_search(ranker, scoring):
    columns = make_column_transformer(
        (StandardScaler(), ["price", "stars"]), (OneHotEncoder(), ["district"])
    )
    name = type(ranker).__name__.lower()
    return GridSearchCV(
        make_pipeline(columns, ranker), {f"{name}__alpha": [1e-3, 1e-1, 1e2]}, scoring=scoring,
        cv=GroupKFold(4), error_score="raise",
    )  # fmt: skip


def packed_target(table):
    return table[["outcome", "search"]]


@pytest.mark.parametrize(
    ("ranker", "scoring"),
    [
        ("squared hinge", "NDCG"),
        pytest.param("hinge", "own score", marks=pytest.mark.sklearn("1.8")),
        pytest.param("linear ranker", "own score", marks=pytest.mark.sklearn("1.8")),
        ("linear ranker", "pairs"),
    ],
)
def test_routing_and_packed_targets_give_the_same_model(table, ranker, scoring):
    ranker, scoring = RANKERS[ranker], SCORERS[scoring]
    X, groups = table[FEATURES], table["search"]
    with config_context(enable_metadata_routing=True):
        routed = grid_search(ranker, scoring).fit(X, table["outcome"], groups=groups)
        score = routed.score(X, table["outcome"], groups=groups)
    packed = grid_search(ranker, scoring).fit(X, packed_target(table), groups=groups)
    for key in routed.cv_results_:
        if key.startswith(("split", "mean_test", "std_test", "param_")):
            np.testing.assert_array_equal(
                np.asarray(packed.cv_results_[key]), np.asarray(routed.cv_results_[key])
            )
    assert packed.best_params_ == routed.best_params_
    np.testing.assert_array_equal(packed.predict(X), routed.predict(X))
    assert packed.score(X, packed_target(table)) == score
    assert 0.65 < score < 1
    assert np.ptp(routed.cv_results_["mean_test_score"]) > 1e-3


def test_folds_keep_searches_together_and_scores_are_those_of_the_folds(table):
    search = grid_search(RankSVM(), SCORERS["NDCG"])
    with config_context(enable_metadata_routing=True):
        search.fit(table[FEATURES], table["outcome"], groups=table["search"])
    model = search.best_estimator_
    for k, (train, test) in enumerate(GroupKFold(4).split(table, groups=table["search"])):
        train, test = table.iloc[train], table.iloc[test]
        assert not set(train["search"]) & set(test["search"])
        options = {"ranksvm__groups": train["search"]}
        fitted = model.fit(train[FEATURES], train["outcome"], **options)
        # A loop over the searches, without any of the package's handling of groups.
        by_search = [
            ndcg_score(rows["outcome"], fitted.predict(rows[FEATURES]), k=3)
            for _, rows in test.groupby("search")
        ]
        expected = search.cv_results_[f"split{k}_test_score"][search.best_index_]
        assert expected == pytest.approx(np.mean(by_search), rel=1e-12)


def test_groups_are_what_makes_the_model(table):
    """Least squares compares rows of different searches, and is worse for it."""
    train, test = table.iloc[:450], table.iloc[450:]
    model = grid_search(RankSVM(), None).fit(
        train[FEATURES], packed_target(train), groups=train["search"]
    )
    baseline = grid_search(RankSVM(), None).estimator
    baseline.steps[-1] = ("ridge", Ridge())
    baseline.fit(train[FEATURES], train["outcome"])
    score = model.score(test[FEATURES], packed_target(test))
    assert score > 0.1 + pairwise_accuracy_score(
        packed_target(test), baseline.predict(test[FEATURES])
    )
    assert model.best_estimator_[-1].coef_[0] < 0 < baseline[-1].coef_[0]  # of the price


def test_saved_model_ranks_rows_it_has_not_seen(table, tmp_path):
    pytest.importorskip("matplotlib").use("Agg")
    train, test = table.iloc[:450], table.iloc[450:]
    search = grid_search(RankSVM(), SCORERS["NDCG"])
    search.fit(train[FEATURES], packed_target(train), groups=train["search"])
    joblib.dump(search.best_estimator_, tmp_path / "ranker.joblib")
    loaded = joblib.load(tmp_path / "ranker.joblib")
    scores = loaded.predict(test[FEATURES])
    np.testing.assert_array_equal(scores, search.predict(test[FEATURES]))
    with pytest.raises(ValueError, match="fitted with groups and needs them"):
        loaded.score(test[FEATURES], test["outcome"])
    shown = RankingDisplay.from_estimator(loaded, test[FEATURES], packed_target(test), ks=[1, 3])
    assert shown.ndcg[1] == search.score(test[FEATURES], packed_target(test))


@pytest.mark.parametrize("zero_based", [True, False])
def test_svmlight_round_trip(tmp_path, zero_based):
    rng = np.random.default_rng(0)
    X = sp.random_array((400, 30), density=0.2, random_state=rng, format="csr")
    X.indices, X.indptr = X.indices.astype(np.int32), X.indptr.astype(np.int32)
    X.data = X.data.round(4)  # so that the file keeps all digits
    query = np.sort(rng.integers(40, size=400)) * 1_000_003  # ids beyond what a count would be
    y = np.clip(np.round(4 * (X @ rng.normal(size=30)) + rng.normal(size=400)), 0, 4)
    path = str(tmp_path / "train.svm")
    dump_svmlight_file(X, y, path, query_id=query, zero_based=zero_based)
    loaded = load_svmlight_file(path, n_features=30, query_id=True, zero_based=zero_based)
    X_loaded, y_loaded, query_loaded = loaded
    np.testing.assert_array_equal(X_loaded.toarray(), X.toarray())
    np.testing.assert_array_equal(y_loaded, y)
    np.testing.assert_array_equal(query_loaded, query)
    X_loaded.indices = X_loaded.indices.astype(np.int64)  # which newer releases load
    X_loaded.indptr = X_loaded.indptr.astype(np.int64)
    assert X.indices.dtype == np.int32
    expected = RankSVM(alpha=1e-3).fit(X, y, groups=query)
    ranker = RankSVM(alpha=1e-3).fit(X_loaded, y_loaded, groups=query_loaded)
    np.testing.assert_array_equal(ranker.coef_, expected.coef_)
    dense = RankSVM(alpha=1e-3).fit(X.toarray(), y, groups=query)
    np.testing.assert_allclose(ranker.coef_, dense.coef_, rtol=1e-6, atol=1e-8)
    assert ranker.score(X_loaded, y_loaded, groups=query_loaded) > 0.8
    assert X_loaded.indices.dtype == np.int64  # was not changed in place
