"""Rankers: groups in every form, pairs that are missing, and scikit-learn's tools."""

import itertools
import pickle
import warnings
from pathlib import Path

import cvxpy as cp
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_svmlight_file
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_margin import LinearRanker, RankSVM
from sklearn_margin._sklearn import ROUTES_TO_SCORE
from sklearn_margin.losses import (
    MarginRanking,
    PairwiseHinge,
    PairwiseLoss,
    PairwiseSquaredHinge,
)
from sklearn_margin.metrics import make_ranking_scorer, pairwise_accuracy_score

LETOR = Path(__file__).parents[2] / "shared/data/lightgbm_lambdarank/train.svm"
RANKERS = {
    "LinearRanker": LinearRanker(alpha=0.01),
    "LinearRanker-logistic": LinearRanker("pairwise_logistic", alpha=0.01),
    "RankSVM": RankSVM(alpha=0.01),
    "RankSVM-difference": RankSVM(alpha=0.01, weighting="difference"),
}
every_ranker = pytest.mark.parametrize("model", RANKERS.values(), ids=RANKERS.keys())
# Groups are read by the estimator, whatever its loss.
every_class = pytest.mark.parametrize(
    "model", [RANKERS[name] for name in ("LinearRanker", "RankSVM-difference")], ids=repr
)


def data(n=120, n_groups=8, seed=0, levels=4):
    """Rows whose relevance depends on X within a group, and on the group otherwise."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4))
    groups = rng.integers(0, n_groups, n)
    z = X @ [1.0, -2.0, 0.5, 0.0] + rng.normal(size=n)
    y = np.digitize(z, np.quantile(z, np.arange(1, levels) / levels)).astype(float)
    X[:, 3] += 10.0 * groups  # between groups, a feature that means nothing
    return X, y + 10.0 * groups, groups


def pairs_of(y, groups):
    better, worse = np.nonzero((y[:, None] > y) & (groups[:, None] == groups))
    return better, worse


def naive_score(z, y, groups, weight=None):
    i, j = pairs_of(y, groups)
    u = np.ones(len(i)) if weight is None else weight[i] * weight[j]
    return u @ ((z[i] > z[j]) + 0.5 * (z[i] == z[j])) / u.sum()


# --- groups ----------------------------------------------------------------------------------

SPELLINGS = {
    "int": lambda g: g,
    "negative": lambda g: -3 * g,
    "huge": lambda g: g + 2**60,
    "uint8": lambda g: g.astype(np.uint8),
    "float": lambda g: g + 0.5,
    "bool": lambda g: g > 3,
    "strings": lambda g: np.array([f"query {k}" for k in g]),
    "objects": lambda g: np.array([f"query {k}" for k in g], dtype=object),
    "list": lambda g: [f"q{k}" for k in g],
    "bytes": lambda g: np.array([f"q{k}" for k in g]).astype("S"),
    "dates": lambda g: np.datetime64("2020-01-01") + g,
    "Series": lambda g: pd.Series(g, index=np.arange(len(g))[::-1]),
    "categories": lambda g: pd.Series([f"q{k}" for k in g], dtype="category"),
    "tuples": lambda g: list_to_objects([(int(k), "a") for k in g]),
    "column": lambda g: g[:, None],
    "read-only": lambda g: np.broadcast_to(g, g.shape),
}


def list_to_objects(values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


@every_class
def test_groups_of_any_kind(model):
    X, y, groups = data()
    expected = {
        two: clone(model).fit(X, y, groups=groups > 3 if two else groups) for two in (False, True)
    }
    for name, spell in SPELLINGS.items():
        plain = groups > 3 if name == "bool" else groups
        usual, spelled = expected[name == "bool"], spell(groups)
        fitted = clone(model).fit(X, y, groups=spelled)
        np.testing.assert_array_equal(fitted.coef_, usual.coef_, err_msg=name)
        assert fitted.n_pairs_ == len(pairs_of(y, plain)[0]), name
        assert fitted.score(X, y, groups=spelled) == usual.score(X, y, groups=plain), name


@every_ranker
def test_order_of_rows_does_not_matter(model):
    X, y, groups = data()
    expected = clone(model).fit(X, y, groups=groups)
    for order in (np.argsort(groups, kind="stable"), np.random.default_rng(0).permutation(len(y))):
        fitted = clone(model).fit(X[order], y[order], groups=groups[order])
        np.testing.assert_allclose(fitted.coef_, expected.coef_, rtol=1e-8, atol=1e-10)


@every_ranker
def test_groups_matter(model):
    X, y, groups = data()
    within = clone(model).fit(X, y, groups=groups)
    across = clone(model).fit(X, y)
    assert within.score(X, y, groups=groups) > 0.8
    # Without groups the fourth feature, which tells groups apart, orders nearly everything.
    assert np.abs(across.coef_).argmax() == 3 or across.coef_[3] > 10 * abs(within.coef_[3])
    assert across.n_pairs_ == len(pairs_of(y, np.zeros_like(groups))[0])
    one = clone(model).fit(X, y, groups=np.zeros(len(y)))
    np.testing.assert_array_equal(one.coef_, across.coef_)


@every_ranker
def test_only_the_order_of_labels_within_a_group_matters(model):
    X, y, groups = data()
    expected = clone(model).fit(X, y, groups=groups)
    shifted = clone(model).fit(X, y - 10 * groups + 7, groups=groups)
    np.testing.assert_allclose(shifted.coef_, expected.coef_, rtol=1e-8, atol=1e-10)
    stretched = clone(model).fit(X, 3 * y, groups=groups)
    np.testing.assert_allclose(stretched.coef_, expected.coef_, rtol=1e-8, atol=1e-10)
    if getattr(model, "weighting", "difference") == "uniform":
        cubed = clone(model).fit(X, (y - 10 * groups) ** 3, groups=groups)
        np.testing.assert_allclose(cubed.coef_, expected.coef_, rtol=1e-8, atol=1e-10)


@every_ranker
def test_features_constant_within_groups_get_no_weight(model):
    X, y, groups = data()
    X[:, 3] = 10.0 * groups
    fitted = clone(model).fit(X, y, groups=groups)
    np.testing.assert_allclose(fitted.coef_[3], 0.0, atol=1e-9)


# --- packed targets --------------------------------------------------------------------------

PACKINGS = {
    "floats": lambda y, g: np.column_stack([y, g]),
    "list": lambda y, g: [[a, b] for a, b in zip(y.tolist(), g.tolist(), strict=True)],
    "list with strings": lambda y, g: [[a, f"q{b}"] for a, b in zip(y, g, strict=True)],
    "strings": lambda y, g: np.column_stack([y.astype(str), np.array([f"q{k}" for k in g])]),
    "objects": lambda y, g: np.array(
        [[a, f"q{b}"] for a, b in zip(y, g, strict=True)], dtype=object
    ),
    "DataFrame": lambda y, g: pd.DataFrame({"relevance": y, "query": g}),
    "DataFrame with strings": lambda y, g: pd.DataFrame(
        {"relevance": y, "query": [f"q{k}" for k in g]}, index=np.arange(len(y))[::-1]
    ),
    "DataFrame with categories": lambda y, g: pd.DataFrame(
        {"relevance": y, "query": pd.Categorical([f"q{k}" for k in g])}
    ),
    "fortran": lambda y, g: np.asfortranarray(np.column_stack([y, g])),
}


@every_class
def test_packed_target(model):
    X, y, groups = data()
    weight = np.random.default_rng(0).random(len(y))
    expected = clone(model).fit(X, y, sample_weight=weight, groups=groups)
    score = expected.score(X, y, groups=groups)
    for name, pack in PACKINGS.items():
        packed = pack(y, groups)
        fitted = clone(model).fit(X, packed, sample_weight=weight)
        np.testing.assert_array_equal(fitted.coef_, expected.coef_, err_msg=name)
        assert fitted.n_pairs_ == expected.n_pairs_, name
        assert fitted.score(X, packed) == score, name
        assert fitted.score(X, packed, groups=groups) == score, name  # twice, but the same
        with pytest.raises(ValueError, match="group"):
            fitted.score(X, packed, groups=groups[::-1])
        with pytest.raises(ValueError, match="group"):
            clone(model).fit(X, packed, groups=np.arange(len(y)))


# --- scores ----------------------------------------------------------------------------------


@every_ranker
def test_score_is_the_share_of_ordered_pairs(model):
    X, y, groups = data()
    X = np.round(X)  # ties
    fitted = clone(model).fit(X, y, groups=groups)
    weight = np.random.default_rng(0).integers(0, 3, len(y)).astype(float)
    z = fitted.predict(X)
    assert len(set(z)) < len(z)
    assert fitted.score(X, y, groups=groups) == pytest.approx(naive_score(z, y, groups))
    assert fitted.score(X, y, weight, groups) == pytest.approx(naive_score(z, y, groups, weight))


@every_ranker
def test_a_model_with_groups_refuses_to_score_without(model):
    X, y, groups = data()
    fitted = clone(model).fit(X, y, groups=groups)
    for again in (fitted, pickle.loads(pickle.dumps(fitted))):
        with pytest.raises(ValueError, match="groups"):
            again.score(X, y)
    # Refitted without groups it scores without; and with.
    fitted.fit(X, y)
    assert 0.5 < fitted.score(X, y) <= 1
    assert 0 <= fitted.score(X, y, groups=groups) <= 1
    packed = clone(model).fit(X, np.column_stack([y, groups]))
    with pytest.raises(ValueError, match="groups"):
        packed.score(X, y)


# --- groups that are wrong -------------------------------------------------------------------


WRONG_GROUPS = [
    (np.zeros(119), r"groups.*119.*120|inconsistent"),
    (np.zeros(121), r"groups.*121.*120|inconsistent"),
    (np.zeros(0), "groups"),
    ([], "groups"),
    (np.r_[np.nan, np.zeros(119)], "groups contains NaN"),
    (np.r_[np.inf, np.zeros(119)], "groups contains infinity"),
    ([None] + ["a"] * 119, "groups contains NaN"),
    ([np.nan] + ["a"] * 119, "groups contains NaN"),
    (pd.array([pd.NA] + [1] * 119, dtype="Int64"), "groups contains NaN"),
    (np.array(["NaT"] + ["2020-01-01"] * 119, dtype="M8[D]"), "groups contains NaT"),
    (np.zeros((120, 2)), "groups"),
    ([[1]] * 119 + [[2, 3]], "groups|inhomogeneous"),
    (5, "groups"),
    ("query", "groups"),
]


@every_class
def test_wrong_groups(model):
    X, y, groups = data()
    fitted = clone(model).fit(X, y, groups=groups)
    for wrong, message in WRONG_GROUPS:
        with pytest.raises((ValueError, TypeError), match=message):
            clone(model).fit(X, y, groups=wrong)
        with pytest.raises((ValueError, TypeError), match=message):
            fitted.score(X, y, groups=wrong)


@every_ranker
def test_wrong_packed_targets(model):
    X, y, groups = data()
    for column, value in itertools.product((0, 1), (np.nan, np.inf)):
        packed = np.column_stack([y, groups])
        packed[3, column] = value
        with pytest.raises(ValueError, match="contains"):
            clone(model).fit(X, packed)
    with pytest.raises(ValueError, match="y"):
        clone(model).fit(X, np.column_stack([y, groups, groups]))
    with pytest.raises(ValueError, match="inconsistent"):
        clone(model).fit(X, np.column_stack([y, groups])[1:])


# --- pairs that are missing ------------------------------------------------------------------


@every_ranker
def test_rows_without_a_pair_change_nothing(model):
    X, y, groups = data()
    expected = clone(model).fit(X, y, groups=groups)
    # A group of one row, and a group whose labels are all equal.
    wide = np.vstack([X, [[1e3, -1e3, 5.0, 5.0]], np.random.default_rng(1).normal(size=(9, 4))])
    labels, names = np.r_[y, 99.0, np.full(9, 5.0)], np.r_[groups, 77, np.full(9, 88)]
    fitted = clone(model).fit(wide, labels, groups=names)
    assert fitted.n_pairs_ == expected.n_pairs_
    np.testing.assert_allclose(fitted.coef_, expected.coef_, rtol=1e-6, atol=1e-9)


@every_ranker
@pytest.mark.parametrize("case", ["single rows", "equal labels", "one row"])
def test_no_pair_at_all(model, case):
    X, y, groups = data()
    if case == "single rows":
        groups = np.arange(len(y))
    elif case == "equal labels":
        y = groups.astype(float)
    else:
        X, y, groups = X[:1], y[:1], groups[:1]
    with pytest.warns(UserWarning, match="no group holds two rows") as record:
        fitted = clone(model).fit(X, y, groups=groups)
    assert len(record) == 1
    assert record[0].filename == __file__
    np.testing.assert_array_equal(fitted.coef_, 0.0)
    assert fitted.n_pairs_ == 0
    np.testing.assert_array_equal(fitted.predict(X), 0.0)


@every_ranker
def test_no_pair_of_positive_weight(model):
    """Pairs exist, but every one has a row of weight zero."""
    X, y = data(n=10)[:2]
    weight = np.zeros(10)
    weight[0] = 1.0
    with pytest.warns(UserWarning, match="no group holds two rows"):
        fitted = clone(model).fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(fitted.coef_, 0.0)


# --- batches ---------------------------------------------------------------------------------


def test_partial_fit_learns_within_groups():
    X, y, groups = data(n=400, n_groups=40)
    X[:, 3] /= 100  # stochastic solvers are for scaled features
    model = LinearRanker(alpha=0.001, solver="sgd", random_state=0)
    for _ in range(10):
        for first in range(0, 40, 10):
            rows = (groups >= first) & (groups < first + 10)
            model.partial_fit(X[rows], y[rows], groups=groups[rows])
    assert model.n_pairs_ == 10 * len(pairs_of(y, groups)[0])
    best = LinearRanker(alpha=0.001).fit(X, y, groups=groups).score(X, y, groups=groups)
    assert model.score(X, y, groups=groups) > best - 0.03
    with pytest.raises(ValueError, match="groups"):
        model.score(X, y)
    packed = LinearRanker(alpha=0.001, solver="sgd", random_state=0)
    packed.partial_fit(X, np.column_stack([y, groups]))
    again = LinearRanker(alpha=0.001, solver="sgd", random_state=0)
    again.partial_fit(X, y, groups=groups)
    np.testing.assert_array_equal(packed.coef_, again.coef_)


# --- scikit-learn's tools --------------------------------------------------------------------

GRID = {"linearranker__alpha": [1e-4, 1e-1, 1e3], "linearranker__loss__margin": [0.5, 1.0]}


def search(scoring=None):
    ranker = LinearRanker(PairwiseSquaredHinge())
    pipeline = make_pipeline(StandardScaler(), ranker)
    return GridSearchCV(pipeline, GRID, cv=GroupKFold(4), scoring=scoring, error_score="raise")


def routed_search(X, y, groups, scoring=None):
    with config_context(enable_metadata_routing=True):
        return search(scoring).fit(X, y, groups=groups)


def packed_search(X, y, groups):
    """GroupKFold takes its groups from fit, the ranker from y."""
    return search().fit(X, np.column_stack([y.astype(object), groups]), groups=groups)


def scrambled():
    X, y, groups = data(n=240, n_groups=12)
    order = np.random.default_rng(5).permutation(len(y))
    return X[order], y[order], np.array([f"query {(7 * k) % 12}" for k in groups[order]])


@pytest.mark.sklearn("1.8")
@pytest.mark.compiled
def test_grid_search_with_and_without_routing():
    X, y, groups = scrambled()
    routed, packed = routed_search(X, y, groups), packed_search(X, y, groups)
    assert routed.best_params_ == packed.best_params_
    assert routed.best_params_["linearranker__alpha"] != 1e3
    for k in range(4):
        np.testing.assert_array_equal(
            routed.cv_results_[f"split{k}_test_score"], packed.cv_results_[f"split{k}_test_score"]
        )
    assert routed.best_score_ > 0.8
    assert np.ptp(routed.cv_results_["mean_test_score"]) > 0
    with config_context(enable_metadata_routing=True):
        assert routed.score(X, y, groups=groups) == packed.score(
            X, np.column_stack([y.astype(object), groups])
        )
        # Packed targets work with routing on, too.
        again = packed_search(X, y, groups)
    assert again.best_params_ == packed.best_params_


@pytest.mark.compiled
def test_grid_search_with_a_scorer():
    """Which every scikit-learn routes groups to, and before 1.8 the only thing in a search."""
    X, y, groups = scrambled()
    scoring = make_ranking_scorer(pairwise_accuracy_score)
    routed, packed = routed_search(X, y, groups, scoring), packed_search(X, y, groups)
    assert routed.best_params_ == packed.best_params_
    assert routed.best_score_ == pytest.approx(packed.best_score_)
    if not ROUTES_TO_SCORE:
        with pytest.raises(ValueError, match=r"before 1\.8 wants scoring=make_ranking_scorer"):
            routed_search(X, y, groups)


@pytest.mark.sklearn("1.8")
@pytest.mark.compiled
def test_grid_search_by_hand():
    """The scores are those of the folds, computed without any of scikit-learn's plumbing."""
    X, y, groups = scrambled()
    found = routed_search(X, y, groups)
    best = found.best_params_
    for k, (train, test) in enumerate(GroupKFold(4).split(X, y, groups)):
        scaler = StandardScaler().fit(X[train])
        loss = PairwiseSquaredHinge(margin=best["linearranker__loss__margin"])
        ranker = LinearRanker(loss, alpha=best["linearranker__alpha"])
        ranker.fit(scaler.transform(X[train]), y[train], groups=groups[train])
        expected = naive_score(ranker.predict(scaler.transform(X[test])), y[test], groups[test])
        got = found.cv_results_[f"split{k}_test_score"][found.best_index_]
        assert got == pytest.approx(expected, rel=1e-9)


@every_ranker
def test_cross_val_score(model):
    X, y, groups = scrambled()
    with config_context(enable_metadata_routing=True):
        scores = cross_val_score(
            clone(model), X, y, params={"groups": groups}, cv=GroupKFold(3), error_score="raise"
        )
    assert (scores > 0.7).all()


def test_routing_needs_no_request():
    with config_context(enable_metadata_routing=True):
        requests = LinearRanker().get_metadata_routing()
        for method in ("fit", "partial_fit", "score"):
            assert getattr(requests, method).requests["groups"] is True
        X, y, groups = data()
        pipeline = make_pipeline(StandardScaler(), RankSVM()).fit(X, y, groups=groups)
        assert pipeline.score(X, y, groups=groups) > 0.8
        with pytest.raises(ValueError, match="groups"):
            pipeline.score(X, y)


# --- the optimum -----------------------------------------------------------------------------


@pytest.mark.parametrize("container", [np.array, sp.csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize("weighting", ["uniform", "difference"])
@pytest.mark.parametrize("margin", [1.0, 0.3])
def test_rank_svm_is_its_formula(margin, weighting, container, reference):
    X, y, groups = data(n=50, n_groups=5)
    i, j = pairs_of(y, groups)
    u = np.ones(len(i)) if weighting == "uniform" else y[i] - y[j]
    best = reference(
        lambda w, b: u / u.sum() @ cp.square(cp.pos(margin - (X[i] - X[j]) @ w)),
        4,
        0.01,
        0.0,
        False,
    )
    model = RankSVM(margin=margin, weighting=weighting, alpha=0.01)
    model.fit(container(X), y, groups=groups)
    assert best.at(model.coef_) <= best.minimum * (1 + 1e-6)
    np.testing.assert_allclose(model.coef_, best.coef, rtol=1e-4, atol=1e-6)
    loss = PairwiseSquaredHinge(margin=margin, weighting=weighting)
    same = LinearRanker(loss, alpha=0.01).fit(container(X), y, groups=groups)
    np.testing.assert_array_equal(same.coef_, model.coef_)


@pytest.mark.parametrize("weighting", ["uniform", "difference"])
def test_rank_svm_with_the_linear_hinge(weighting, reference):
    X, y, groups = data(n=50, n_groups=5)
    i, j = pairs_of(y, groups)
    u = np.ones(len(i)) if weighting == "uniform" else y[i] - y[j]
    best = reference(
        lambda w, b: u / u.sum() @ cp.pos(1.0 - (X[i] - X[j]) @ w), 4, 0.01, 0.0, False
    )
    model = RankSVM(loss="hinge", weighting=weighting, alpha=0.01, max_iter=5000)
    model.fit(X, y, groups=groups)
    assert best.at(model.coef_) <= best.minimum * 1.03
    assert best.at(model.coef_) >= best.minimum * (1 - 1e-6)
    same = LinearRanker(PairwiseHinge(weighting=weighting), alpha=0.01, max_iter=5000)
    np.testing.assert_array_equal(same.fit(X, y, groups=groups).coef_, model.coef_)


def letor():
    """LightGBM's ranking example, and the optimum of ½‖w‖² + C Σ [1 − d]₊² (liblinear's RankSVM).

    A small synthetic set, solved by CVXPY, where that file is not at hand.
    """
    known = {1e-2: 96.83620578, 1.0: 9127.76139752}
    if not LETOR.exists():
        X, y, groups = data(n=60, n_groups=6)
        i, j = pairs_of(y, groups)
        D = X[i] - X[j]
        for C in known:
            w = cp.Variable(4)
            costs = cp.sum_squares(w) / 2 + C * cp.sum_squares(cp.pos(1 - D @ w))
            known[C] = cp.Problem(cp.Minimize(costs)).solve(solver=cp.CLARABEL)
        return sp.csr_array(X), y, groups, known
    X, y, groups = load_svmlight_file(str(LETOR), query_id=True)
    return sp.csr_array(X), y, groups, known


@pytest.mark.parametrize("container", ["csr", "dense"])
def test_rank_svm_on_real_data(container):
    X, y, groups, optima = letor()
    if container == "dense":
        X = X.toarray()
    i, j = pairs_of(y, groups)
    n_pairs = len(i)
    for C, optimum in optima.items():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = RankSVM(alpha=1 / (C * n_pairs), tol=1e-6).fit(X, y, groups=groups)
        assert model.n_pairs_ == n_pairs
        z = X @ model.coef_
        value = model.coef_ @ model.coef_ / 2 + C * np.sum(np.maximum(0, 1 - z[i] + z[j]) ** 2)
        assert value == pytest.approx(optimum, rel=1e-6)


class UsersLogistic(PairwiseLoss):
    """A user's loss over pairs (RankNet's)."""

    def pair_value(self, d):
        return np.log1p(np.exp(-d)) if d > 0 else np.log1p(np.exp(d)) - d

    def pair_gradient(self, d):
        return -1.0 / (1.0 + np.exp(d))

    def pair_hessian(self, d):
        e = np.exp(-abs(d))
        return e / (1.0 + e) ** 2


@pytest.mark.parametrize("solver", ["auto", "newton", "lbfgs"])
@pytest.mark.parametrize("loss", [UsersLogistic(), "pairwise_logistic"], ids=["user's", "ours"])
def test_the_logistic_loss(loss, solver, reference):
    X, y, groups = data(n=50, n_groups=5)
    i, j = pairs_of(y, groups)
    u = np.ones(len(i)) if isinstance(loss, UsersLogistic) else y[i] - y[j]
    best = reference(
        lambda w, b: u / u.sum() @ cp.logistic(-(X[i] - X[j]) @ w), 4, 0.01, 0.0, False
    )
    model = LinearRanker(loss, alpha=0.01, solver=solver).fit(X, y, groups=groups)
    assert best.at(model.coef_) <= best.minimum * (1 + 1e-6)
    if solver != "lbfgs":
        assert best.at(model.coef_) - best.minimum <= model.dual_gap_ + 1e-8 * best.minimum
        assert model.dual_gap_ <= 1e-4 * best.minimum
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


@every_ranker
def test_large_offsets_of_labels_and_features(model):
    X, y, groups = data()
    expected = clone(model).fit(X, y, groups=groups)
    moved = clone(model).fit(X + 1e6 * groups[:, None], y + 1e6, groups=groups)
    np.testing.assert_allclose(moved.coef_, expected.coef_, rtol=1e-4, atol=1e-5)


@every_ranker
def test_one_large_group(model):
    X, y, _ = data(n=3000, n_groups=1, levels=50)
    fitted = clone(model).fit(X, y)
    assert fitted.n_pairs_ == len(pairs_of(y, np.zeros(3000))[0])
    assert fitted.score(X, y) == pytest.approx(naive_score(fitted.predict(X), y, np.zeros(3000)))


# --- given pairs -----------------------------------------------------------------------------


def given(n=60, seed=0):
    """Rows of either side, labels that follow a plane with noise, and weights."""
    rng = np.random.default_rng(seed)
    X1, X2 = rng.normal([5.0, 0.0, -3.0, 1.0], size=(2, n, 4))
    t = np.sign((X1 - X2) @ [1.0, -2.0, 0.5, 0.0] + 2 * rng.normal(size=n))
    return X1, X2, t, rng.integers(0, 4, n).astype(float)


class Cubed(PairwiseLoss):
    """A user's loss, of which solvers know nothing."""

    nonnegative = True

    def pair_value(self, d):
        return max(0.0, 1.0 - d) ** 3

    def pair_gradient(self, d):
        return -3.0 * max(0.0, 1.0 - d) ** 2

    def pair_hessian(self, d):
        return 6.0 * max(0.0, 1.0 - d)


COSTS = [
    ("pairwise_hinge", lambda d: cp.pos(1 - d)),
    ("pairwise_squared_hinge", lambda d: cp.square(cp.pos(1 - d))),
    ("pairwise_logistic", lambda d: cp.logistic(-d)),
    (MarginRanking(margin=0.3), lambda d: cp.pos(0.3 - d)),
    (PairwiseHinge(margin=2.0), lambda d: cp.pos(2 - d)),
    (UsersLogistic(), lambda d: cp.logistic(-d)),
    (Cubed(), lambda d: cp.power(cp.pos(1 - d), 3)),
]
every_cost = pytest.mark.parametrize(
    ("loss", "cost"), COSTS, ids=lambda x: "" if callable(x) else str(x)
)


@every_cost
@pytest.mark.parametrize("container", [np.array, sp.csr_array], ids=["dense", "csr"])
def test_given_pairs_are_fitted_to_the_optimum(loss, cost, container, reference):
    X1, X2, t, s = given()
    D = t[:, None] * (X1 - X2)
    best = reference(lambda w, b: s / s.sum() @ cost(D @ w), 4, 0.01, 0.0, False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = LinearRanker(loss, alpha=0.01)
        model.fit_pairs(container(X1), container(X2), t, sample_weight=s)
    assert best.at(model.coef_) <= best.minimum * (1 + 1e-6)
    assert best.at(model.coef_) - best.minimum <= model.dual_gap_ + 1e-8 * best.minimum
    assert model.dual_gap_ <= 1e-4 * best.minimum
    assert model.n_pairs_ == np.count_nonzero(s)
    assert model.coef_.shape == (4,)


@pytest.mark.parametrize("solver", ["interior_point", "dual_cd", "smoothing", "subgradient", "sgd"])
def test_solvers_of_hinges_take_given_pairs(solver, reference):
    X1, X2, t, _ = given()
    D = t[:, None] * (X1 - X2)
    best = reference(lambda w, b: cp.sum(cp.pos(1 - D @ w)) / len(t), 4, 0.01, 0.0, False)
    model = RankSVM(loss="hinge", alpha=0.01, solver=solver, max_iter=5000, random_state=0)
    model.fit_pairs(X1, X2, t)
    rough = solver in ("subgradient", "sgd")
    assert best.at(model.coef_) <= best.minimum * (1.03 if rough else 1 + 1e-4)
    assert model.solver_ == solver


def test_given_pairs_of_labels_are_the_pairs_of_fit():
    X, y, groups = data(n=60, n_groups=6)
    i, j = pairs_of(y, groups)
    t = np.random.default_rng(0).choice([-1, 1], len(i))
    first, second = np.where(t > 0, i, j), np.where(t > 0, j, i)
    for model in (
        RankSVM(alpha=0.01),
        LinearRanker(MarginRanking(margin=1.0), alpha=0.01, tol=1e-6),
    ):
        by_labels = clone(model).fit(X, y, groups=groups)
        by_pairs = clone(model).fit_pairs(X[first], X[second], t)
        rtol = 1e-6 if isinstance(model, RankSVM) else 0.05
        np.testing.assert_allclose(by_pairs.coef_, by_labels.coef_, rtol=rtol, atol=1e-3)
        assert by_pairs.n_pairs_ == by_labels.n_pairs_
        # What follows a fit works; a model of pairs has no groups to ask for.
        scores = by_pairs.predict(X)
        assert by_pairs.score(X, y, groups=groups) == naive_score(scores, y, groups)
        assert by_pairs.score(X, y) == naive_score(scores, y, np.zeros(len(y)))
        assert np.array_equal(pickle.loads(pickle.dumps(by_pairs)).predict(X), scores)
    hinge = LinearRanker(PairwiseHinge(weighting="uniform"), alpha=0.01, tol=1e-6)
    expected = hinge.fit(X, y, groups=groups).coef_
    np.testing.assert_array_equal(by_labels.coef_, expected)


def test_forms_of_given_pairs():
    X1, X2, t, s = given()
    expected = RankSVM().fit_pairs(X1, X2, t, s)
    forms = {
        "mixed": RankSVM().fit_pairs(sp.csr_array(X1), X2, t, s),
        "csc": RankSVM().fit_pairs(sp.csc_array(X1), sp.csc_array(X2), t, s),
        "lists": RankSVM().fit_pairs(X1.tolist(), X2.tolist(), t.tolist(), s.tolist()),
        "swapped": RankSVM().fit_pairs(X2, X1, -t, s),
        "integers": RankSVM().fit_pairs(X1, X2, t.astype(int), s.astype(int)),
        "dropped": RankSVM().fit_pairs(X1[s > 0], X2[s > 0], t[s > 0], s[s > 0]),
        "repeated": RankSVM().fit_pairs(*(np.repeat(a, s.astype(int), 0) for a in (X1, X2, t))),
    }
    for name, model in forms.items():
        np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-7, err_msg=name)
    narrow = RankSVM().fit_pairs(X1.astype(np.float32), X2.astype(np.float32), t, s)
    assert narrow.coef_.dtype == np.float32
    np.testing.assert_allclose(narrow.coef_, expected.coef_, rtol=1e-3)
    names = [f"f{k}" for k in range(4)]
    framed = RankSVM().fit_pairs(
        pd.DataFrame(X1, columns=names), pd.DataFrame(X2, columns=names), t
    )
    assert list(framed.feature_names_in_) == names
    offset = RankSVM().fit_pairs(X1 + 1e6, X2 + 1e6, t, s)
    np.testing.assert_allclose(offset.coef_, expected.coef_, rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"t": np.zeros(60)}, "t must hold only -1 and [+]1, got 0.0"),
        ({"t": np.ones(59)}, "t has length 59, expected 60"),
        ({"t": np.full(60, np.nan)}, "t contains NaN"),
        ({"t": ["a"] * 60}, "t must hold numbers"),
        ({"X2": np.ones((59, 4))}, "X1 has 60 rows and X2 has 59"),
        ({"X2": np.ones((60, 3))}, "3 features"),
        ({"X2": np.full((60, 4), np.nan)}, "NaN"),
        ({"X1": np.full((60, 4), 1e308), "X2": np.full((60, 4), -1e308)}, "X1 - X2 contains inf"),
        ({"sample_weight": -np.ones(60)}, "sample_weight must not be negative"),
        ({"sample_weight": np.zeros(60)}, "sample_weight is zero"),
    ],
)
def test_given_pairs_that_are_wrong(change, message):
    X1, X2, t, s = given()
    model = RankSVM().fit_pairs(X1, X2, t)
    before = dict(vars(model))
    with pytest.raises(ValueError, match=message):
        model.fit_pairs(**{"X1": X1, "X2": X2, "t": t, "sample_weight": s, **change})
    assert vars(model) == before


def test_margin_ranking_without_a_margin_warns():
    X1, X2, t, _ = given()
    X, y, groups = data()
    for fit in (
        lambda model: model.fit_pairs(X1, X2, t),
        lambda model: model.fit(X, y, groups=groups),
    ):
        with pytest.warns(UserWarning, match="margin=0") as record:
            model = fit(LinearRanker("margin_ranking"))
        assert record[0].filename == __file__
        np.testing.assert_allclose(model.coef_, 0.0, atol=1e-12)
        assert model.dual_gap_ < 1e-10


def test_warm_start_between_kinds_of_fit():
    X1, X2, t, _ = given(n=400)
    cold = RankSVM(solver="lbfgs").fit_pairs(X1, X2, t)
    warm = RankSVM(solver="lbfgs", warm_start=True).fit_pairs(X1, X2, t)
    warm.fit_pairs(X1, X2, t)
    assert warm.n_iter_ < cold.n_iter_
    np.testing.assert_allclose(warm.coef_, cold.coef_, rtol=1e-4)


def test_given_pairs_that_do_not_converge():
    X1, X2, t, _ = given()
    with pytest.warns(ConvergenceWarning, match="1 iterations") as record:
        RankSVM(max_iter=1, tol=1e-12).fit_pairs(X1, X2, t)
    assert record[0].filename == __file__


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
def test_rows_of_weight_zero_leave_the_gap_true(loss):
    for seed in range(8):
        rng = np.random.default_rng(seed)
        X, y, s = rng.normal(size=(200, 4)), rng.integers(0, 5, 200), rng.integers(0, 3, 200)
        model = RankSVM(loss=loss, alpha=1e-2).fit(X, y, sample_weight=s)
        kept = s > 0
        best = RankSVM(loss=loss, alpha=1e-2, tol=1e-7).fit(X[kept], y[kept], sample_weight=s[kept])
        value, minimum = (objective_of(m, loss, X, y, s) for m in (model, best))
        assert value - minimum <= model.dual_gap_ + 1e-12
        assert value <= minimum * (1 + 2e-4)


def objective_of(model, loss, X, y, s):
    """F of a RankSVM, from the public loss."""
    cls = {"hinge": PairwiseHinge, "squared_hinge": PairwiseSquaredHinge}[loss]
    value = cls(weighting="uniform").value(y, X @ model.coef_, s)
    return value + model.alpha / 2 * model.coef_ @ model.coef_
