"""An offset of the scores: as a column of X would be whose coefficient is one."""

import cvxpy as cp
import numpy as np
import pytest
import scipy.sparse as sp
from sklearn import config_context
from sklearn.calibration import expit
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_margin import (
    Batches,
    HingeClassifier,
    HuberRegressor,
    LinearClassifier,
    LinearRanker,
    LinearRegressor,
    QuantileRegressor,
    RankSVM,
    regularization_path,
)
from sklearn_margin.losses import CrammerSinger, CrossEntropy, Hinge, Huber, Logistic, PairwiseHinge
from sklearn_margin.metrics import make_ranking_scorer, pairwise_accuracy_score
from sklearn_margin.objective import (
    ConcomitantHuberObjective,
    MulticlassObjective,
    PairwiseObjective,
    PointwiseObjective,
    Rows,
)
from sklearn_margin.penalties import ElasticNet
from sklearn_margin.solvers import SGD, DualCD, Newton, Smoothing, Subgradient, candidates

N, D, ALPHA, L1_RATIO = 40, 3, 0.05, 0.4
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, D)) + 1.0
BY_CLASS = 2.0 * RNG.normal(size=(N, 3))
OFFSET = BY_CLASS[:, 0]
T = X @ [1.0, -1.0, 0.5] + OFFSET + RNG.normal(size=N)
LABELS = np.array(["no", "yes"])[np.where(np.median(T) < T, 1, 0)]
CLASSES = np.digitize(T, np.quantile(T, [0.3, 0.6]))
S = RNG.integers(1, 4, N).astype(float)
GROUPS = np.repeat(np.arange(N // 8), 8)


# --- against a column with a coefficient of one -----------------------------------------------


def losses_of_scores():
    """Weighted mean of each loss in CVXPY as a function of all scores, offset included."""
    s, sign = S / S.sum(), np.where(LABELS == "yes", 1.0, -1.0)
    pairs = [(i, j) for i in range(N) for j in range(N) if CLASSES[i] > CLASSES[j]]
    i, j = np.array([pair for pair in pairs if GROUPS[pair[0]] == GROUPS[pair[1]]]).T
    u = S[i] * S[j] * (CLASSES[i] - CLASSES[j])
    one_hot, u = np.eye(3)[CLASSES], u / u.sum()
    sigma, inside, outside = cp.Variable(pos=True), cp.Variable(N), cp.Variable(N)

    def joint_huber(z):
        terms = [0.5 * s[k] * cp.quad_over_lin(inside[k], sigma) for k in range(N)]
        cost = 0.5 * sigma + cp.sum(cp.hstack(terms)) + 1.35 * s @ cp.abs(outside)
        return cost, [inside + outside == T - z]

    return {
        "hinge": lambda z: (s @ cp.pos(1 - cp.multiply(sign, z)), []),
        "squared_hinge": lambda z: (s @ cp.square(cp.pos(1 - cp.multiply(sign, z))), []),
        "logistic": lambda z: (s @ cp.logistic(-cp.multiply(sign, z)), []),
        "cross_entropy": lambda z: (
            s @ (cp.log_sum_exp(z, axis=1) - cp.sum(cp.multiply(one_hot, z), axis=1)), []
        ),
        "huber": lambda z: (0.5 * s @ cp.huber(T - z, 1.35), []),
        "joint huber": joint_huber,
        "quantile": lambda z: (s @ (0.3 * cp.pos(T - z) + 0.7 * cp.pos(z - T)), []),
        "pairwise_hinge": lambda z: (u @ cp.pos(1 - z[i] + z[j]), []),
        "pairwise_squared_hinge": lambda z: (u @ cp.square(cp.pos(1 - z[i] + z[j])), []),
    }  # fmt: skip


SETTINGS = {"alpha": ALPHA, "l1_ratio": L1_RATIO, "tol": 1e-9}
CASES = {
    "hinge": (LinearClassifier("hinge", **SETTINGS), LABELS),
    "squared_hinge": (LinearClassifier("squared_hinge", **SETTINGS), LABELS),
    "logistic": (LinearClassifier("logistic", **SETTINGS), LABELS),
    "cross_entropy": (LinearClassifier("cross_entropy", **SETTINGS), CLASSES),
    "huber": (HuberRegressor(scale=1.0, **SETTINGS), T),
    "joint huber": (HuberRegressor(**SETTINGS), T),
    "quantile": (QuantileRegressor(quantile=0.3, **SETTINGS), T),
    "pairwise_hinge": (LinearRanker("pairwise_hinge", **SETTINGS), CLASSES),
    "pairwise_squared_hinge": (LinearRanker("pairwise_squared_hinge", **SETTINGS), CLASSES),
}


@pytest.mark.parametrize("name", CASES)
def test_the_optimum_is_that_of_a_column_with_coefficient_one(name):
    model, y = CASES[name]
    ranks, k = "pairwise" in name, 3 if name == "cross_entropy" else 1
    offset = BY_CLASS if k > 1 else OFFSET
    coef, intercept = cp.Variable((D, k)), cp.Variable((1, k))
    z = X @ coef + offset.reshape(N, k) + (0.0 if ranks else np.ones((N, 1)) @ intercept)
    cost, constraints = losses_of_scores()[name](z if k > 1 else z[:, 0])
    cost += ALPHA * (L1_RATIO * cp.norm1(coef) + 0.5 * (1 - L1_RATIO) * cp.sum_squares(coef))
    problem = cp.Problem(cp.Minimize(cost), constraints)
    problem.solve(solver="CLARABEL", tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
    given = {"sample_weight": S, "offset": offset} | ({"groups": GROUPS} if ranks else {})
    matrix = sp.csr_array(X) if name in ("logistic", "quantile", "pairwise_hinge") else X
    model.fit(matrix, y, **given)
    np.testing.assert_allclose(model.coef_.ravel(), coef.value.T.ravel(), atol=2e-5)
    coef.value, intercept.value = np.reshape(model.coef_, (k, D)).T, intercept.value
    if not ranks:
        intercept.value = np.reshape(model.intercept_, (1, k))
    if not constraints:  # of which there are some only where the inner minimum is not at hand
        assert cost.value == pytest.approx(problem.value, rel=1e-6)
    assert model.dual_gap_ <= 1e-6 * problem.value


def objectives():
    """Objectives of several families with an offset, small enough for every solver."""
    rows, pen = Rows(X, center=True), {"penalty": ElasticNet(ALPHA, 0.0)}
    sign, s = np.where(LABELS == "yes", 1.0, -1.0), S / S.sum()
    free = {**pen, "fit_intercept": True}
    return [
        PointwiseObjective(Hinge(), rows, sign, s, **free).with_offset(OFFSET),
        PointwiseObjective(Logistic(), rows, sign, s, **pen).with_offset(OFFSET),
        ConcomitantHuberObjective(Huber(), rows, T, s, **free).with_offset(OFFSET),
        MulticlassObjective(CrossEntropy(), rows, CLASSES, s, n_outputs=3, **free).with_offset(
            BY_CLASS
        ),
        MulticlassObjective(CrammerSinger(), rows, CLASSES, s, n_outputs=3, **free).with_offset(
            BY_CLASS
        ),
        PairwiseObjective(PairwiseHinge(), rows, CLASSES.astype(float), S, **pen).with_offset(
            OFFSET
        ),
    ]


@pytest.mark.parametrize("k", range(6))
def test_all_solvers_agree_and_gaps_bound_errors(k):
    objective = objectives()[k]
    more = {0: [DualCD(), Smoothing(), SGD(), Subgradient()], 1: [SGD()], 4: [DualCD()]}.get(k, [])
    able = [s for s in more if s.obstacle(objective) is None] + candidates("auto", objective)
    found = []
    for solver in able:
        tol, most = (0.03, 300) if solver.name in ("sgd", "subgradient") else (1e-6, 1000)
        found.append(solver.solve(objective, objective.start(), tol=tol, max_iter=most))
    least = min(result.value for result in found)
    for solver, result in zip(able, found, strict=True):
        off = 0.05 if not solver.exact else 1e-5
        assert result.value <= least * (1 + off), solver
        assert result.gap is None or result.gap >= result.value - least - 1e-12, solver
    random = np.random.default_rng(k)
    for size in (1e-4, 1e-2, 1.0):
        point = objective.at(found[-1].params + size * random.normal(size=objective.n_params))
        assert point.gap() >= point.value - least - 1e-12


# --- regression: targets less the offset ------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    [
        LinearRegressor("squared", solver=Newton(gram_max=0)),
        LinearRegressor("epsilon_insensitive", solver="dual_cd", alpha=0.1, max_iter=10_000),
        QuantileRegressor(quantile=[0.2, 0.7], alpha=0.01),
        HuberRegressor(),
        LinearRegressor("huber", solver=SGD(), random_state=0),
    ],
    ids=repr,
)
def test_an_offset_is_as_good_as_other_targets(model):
    given, taken_off = model.set_params(tol=1e-6).fit(X, T, offset=OFFSET), None
    coef, intercept = given.coef_, given.intercept_
    outliers, scale = getattr(given, "outliers_", 0), getattr(given, "scale_", 0)
    predicted = given.predict(X, offset=OFFSET)
    taken_off = model.fit(X, T - OFFSET)
    close = {"atol": 1e-3 if "sgd" in model.solver_ else 1e-6}
    np.testing.assert_allclose(coef, taken_off.coef_, **close)
    np.testing.assert_allclose(intercept, taken_off.intercept_, **close)
    np.testing.assert_array_equal(outliers, getattr(taken_off, "outliers_", 0))
    np.testing.assert_allclose(scale, getattr(taken_off, "scale_", 0), atol=1e-8)
    plain = taken_off.predict(X)
    np.testing.assert_allclose(
        predicted, plain + OFFSET.reshape(N, *[1] * (plain.ndim - 1)), **close
    )


@pytest.mark.parametrize("loss", ["quantile", "huber"])
def test_many_rows_are_sampled_and_sifted_with_their_offsets(loss):
    rng = np.random.default_rng(2)
    many, offset = rng.normal(size=(25_000, 2)), 5.0 * rng.normal(size=25_000)
    y = many[:, 0] + offset + rng.standard_t(2, size=25_000)
    model = LinearRegressor(loss, alpha=1e-3, tol=1e-6)
    coef, gap = model.fit(many, y, offset=offset).coef_, model.dual_gap_
    model.fit(many, y - offset)
    np.testing.assert_allclose(coef, model.coef_, atol=2e-3)
    assert gap < 1e-5


def test_many_rows_of_several_classes_prove_their_gap():
    rng = np.random.default_rng(3)
    many, offset = rng.normal(size=(20_000, 2)), 2.0 * rng.normal(size=(20_000, 3))
    y = np.argmax(many @ rng.normal(size=(2, 3)) + offset + rng.gumbel(size=(20_000, 3)), axis=1)
    rows, s = Rows(many, center=True), np.full(20_000, 1 / 20_000)
    settings = {"penalty": ElasticNet(1e-3), "fit_intercept": True, "n_outputs": 3}
    objective = MulticlassObjective(CrossEntropy(), rows, y, s, **settings).with_offset(offset)
    rough, fine = (
        Newton().solve(objective, objective.start(), tol=tol, max_iter=100) for tol in (1e-3, 1e-9)
    )
    assert rough.value == pytest.approx(objective.value(rough.params), rel=1e-12)
    assert rough.gap >= rough.value - fine.value - 1e-12
    assert rough.gap <= 1e-3 * rough.value and fine.gap <= 1e-9 * fine.value


def test_several_quantiles_have_an_offset_each_or_one_for_all():
    model = QuantileRegressor(quantile=[0.2, 0.7], alpha=0.01)
    one = model.fit(X, T, offset=OFFSET).coef_
    np.testing.assert_array_equal(
        one, model.fit(X, T, offset=np.column_stack([OFFSET, OFFSET])).coef_
    )
    assert np.any(one[1] != model.fit(X, T, offset=np.column_stack([OFFSET, -OFFSET])).coef_[1])


def test_float32_offsets_stay_float32():
    narrow = X.astype(np.float32)
    model = LinearClassifier("logistic", alpha=0.01).fit(narrow, LABELS, offset=OFFSET)
    wide = LinearClassifier("logistic", alpha=0.01).fit(X, LABELS, offset=OFFSET)
    assert model.decision_function(narrow, offset=OFFSET).dtype == np.float32
    np.testing.assert_allclose(model.coef_, wide.coef_, rtol=1e-3)
    with pytest.raises(ValueError, match="offset is too large for float32"):
        model.fit(narrow, LABELS, offset=1e300 * OFFSET)


# --- predictions ------------------------------------------------------------------------------


def test_predictions_have_the_offset_given():
    model = LinearClassifier("logistic").fit(X, CLASSES, offset=BY_CLASS)
    z = model.decision_function(X)
    np.testing.assert_array_equal(model.decision_function(X, offset=BY_CLASS), z + BY_CLASS)
    np.testing.assert_array_equal(model.predict(X, BY_CLASS), np.argmax(z + BY_CLASS, axis=1))
    probability = model.predict_proba(X, offset=BY_CLASS)
    np.testing.assert_allclose(np.log(probability), model.predict_log_proba(X, offset=BY_CLASS))
    shared = model.predict_proba(X, offset=BY_CLASS + 7.0)  # which changes nothing for all classes
    np.testing.assert_allclose(probability, shared, rtol=1e-9)
    assert model.score(X, CLASSES, offset=BY_CLASS) == np.mean(
        model.predict(X, BY_CLASS) == CLASSES
    )
    with pytest.warns(UserWarning, match="fitted with an offset and predicts without one"):
        model.predict(X)
    np.testing.assert_array_equal(model.predict(X, offset=0), z.argmax(axis=1))


def test_calibrated_probabilities_are_of_scores_with_the_offset():
    model = HingeClassifier(probability="sigmoid", alpha=0.01).fit(X, LABELS, offset=OFFSET)
    (sigmoid,), z = model.calibrators_, model.decision_function(X, offset=OFFSET)
    expected = expit(sigmoid.slope * z + sigmoid.intercept)
    np.testing.assert_allclose(model.predict_proba(X, offset=OFFSET)[:, 1], expected)
    assert sigmoid.slope > 0.1


def test_a_score_without_the_offset_is_refused():
    for model, y in (CASES["hinge"], CASES["huber"], CASES["quantile"], CASES["pairwise_hinge"]):
        fitted = model.fit(X, y, offset=OFFSET)
        with pytest.raises(ValueError, match=r"fitted with an offset .* offset=0"):
            fitted.score(X, y)
        assert fitted.score(X, y, offset=OFFSET) != fitted.score(X, y, offset=0)
        fitted.fit(X, y).score(X, y)


# --- wrong offsets ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset", "message"),
    [
        (OFFSET[:-1], f"offset has length {N - 1}, expected {N}"),
        (np.append(OFFSET[:-1], np.nan), "Input offset contains NaN"),
        (np.append(OFFSET[:-1], np.inf), "offset contains infinity"),
        (BY_CLASS, r"offset should be a 1d array, got an array of shape \(40, 3\)"),
        (OFFSET + 1j, "Complex data not supported: offset"),
        (["a"] * N, "offset must hold numbers"),
        (np.nan, "offset must be in"),
    ],
)
def test_wrong_offsets_are_refused_by_name(offset, message):
    model = LinearClassifier("logistic").fit(X, LABELS)
    for call in (model.fit, model.score):
        with pytest.raises(ValueError, match=message):
            call(X, LABELS, offset=offset)
    for call in (model.predict, model.decision_function, model.predict_proba):
        with pytest.raises(ValueError, match=message):
            call(X, offset=offset)


def test_several_scores_need_several_columns():
    for loss in ("logistic", "hinge"):  # at once, and one against the rest
        with pytest.raises(ValueError, match=r"offset must have .* column for each of 3 scores"):
            LinearClassifier(loss).fit(X, CLASSES, offset=OFFSET)
    with pytest.raises(TypeError, match="offset"):
        LinearClassifier().fit(X, LABELS, offset=(o for o in OFFSET))


def test_a_validation_set_has_no_offset():
    stops = LinearClassifier("logistic", solver=SGD(early_stopping=True), random_state=0)
    with pytest.raises(ValueError, match="offset: the validation set X_val, y_val has none"):
        stops.fit(X, LABELS, X_val=X, y_val=LABELS, offset=OFFSET)
    assert stops.fit(X, LABELS, offset=OFFSET).score(X, LABELS, offset=OFFSET) > 0.7


# --- one after the other, and elsewhere -------------------------------------------------------


def test_batches_that_are_learned_from_have_offsets():
    rng = np.random.default_rng(1)
    many = rng.normal(size=(4000, D))
    offset = 3.0 * rng.normal(size=4000)
    y = (many[:, 0] + offset + rng.logistic(size=4000) > 0).astype(int)
    model = LinearClassifier("logistic", solver="sgd", alpha=1e-4, random_state=0)
    for k in range(0, 4000, 500):
        rows = slice(k, k + 500)
        model.partial_fit(many[rows], y[rows], classes=[0, 1], offset=offset[rows])
    np.testing.assert_allclose(model.coef_, [[1, 0, 0]], atol=0.15)
    with pytest.raises(ValueError, match="fitted with an offset"):
        model.score(many, y)
    ranker = RankSVM(solver="sgd", random_state=0)
    ranker.partial_fit(many, y, groups=np.arange(4000) // 20, offset=offset)
    np.testing.assert_allclose(ranker.coef_[1:] / ranker.coef_[0], 0, atol=0.2)


@pytest.mark.parametrize("kept", [None, 30])
def test_a_stream_is_fitted_as_memory_is(kept, monkeypatch):
    if kept is not None:  # and the others are read again and again
        monkeypatch.setattr("sklearn_margin._tables.KEPT", kept)
    source = [(X[k : k + 16], CLASSES[k : k + 16], None, GROUPS[k : k + 16], BY_CLASS[k : k + 16])
              for k in range(0, N, 16)]  # fmt: skip
    model = LinearClassifier("logistic", tol=1e-8)
    here = model.fit(X, CLASSES, offset=BY_CLASS).coef_
    np.testing.assert_allclose(model.fit(Batches(source)).coef_, here, atol=1e-5)
    there = np.concatenate(list(model.predict_proba(Batches(source))))
    np.testing.assert_allclose(there, model.predict_proba(X, offset=BY_CLASS))
    assert model.score(Batches(source)) == pytest.approx(model.score(X, CLASSES, offset=BY_CLASS))
    with pytest.raises(ValueError, match="offset must be in the batches"):
        model.predict(Batches(source), offset=BY_CLASS)
    one = [(*batch[:4], batch[4][:, 0]) for batch in source]
    ranker = LinearRanker("pairwise_squared_hinge", tol=1e-8)
    here = ranker.fit(X, CLASSES, groups=GROUPS, offset=OFFSET).coef_
    np.testing.assert_allclose(ranker.fit(Batches(one)).coef_, here, atol=1e-5)


def test_dask_collections_have_offsets():
    da = pytest.importorskip("dask.array")
    chunks = {name: da.from_array(v, chunks=16) for name, v in [("T", T), ("OFFSET", OFFSET)]}
    model, rows = HuberRegressor(tol=1e-8), da.from_array(X, chunks=(16, D))
    here = model.fit(X, T, offset=OFFSET)
    expected, coef = here.predict(X, offset=OFFSET), here.coef_
    there = model.fit(rows, chunks["T"], offset=chunks["OFFSET"])
    np.testing.assert_allclose(there.coef_, coef, atol=1e-8)
    np.testing.assert_allclose(there.predict(rows, offset=chunks["OFFSET"]).compute(), expected)


def test_paths_and_warm_starts_keep_the_offset():
    model = LinearClassifier("logistic", l1_ratio=1.0, tol=1e-8)
    path = regularization_path(model, X, LABELS, n_alphas=4, offset=OFFSET)
    np.testing.assert_allclose(path.coefs[0], 0.0, atol=1e-6)
    assert abs(path.coefs[1]).max() > 1e-2
    alone = model.set_params(alpha=path.alphas[-1]).fit(X, LABELS, offset=OFFSET)
    np.testing.assert_allclose(path.coefs[-1], alone.coef_, atol=1e-6)
    before = alone.coef_
    again = model.set_params(warm_start=True).fit(X, LABELS, offset=OFFSET)
    assert again.n_iter_ <= 3
    np.testing.assert_allclose(again.coef_, before, atol=1e-6)


# --- routing ----------------------------------------------------------------------------------


@pytest.mark.sklearn("1.8")  # before, a search passes nothing on to the score of a pipeline
def test_an_offset_is_routed_without_a_request():
    model = make_pipeline(StandardScaler(), LinearClassifier("logistic"))
    with config_context(enable_metadata_routing=True):
        search = GridSearchCV(model, {"linearclassifier__alpha": [1e-3, 1.0]}, cv=2)
        search.fit(X, LABELS, offset=OFFSET)
        assert search.score(X, LABELS, offset=OFFSET) > 0.7
        assert len(search.best_estimator_.predict(X, offset=OFFSET)) == N


def test_scorers_of_rankings_add_the_offset():
    with config_context(enable_metadata_routing=True):
        ranker = GridSearchCV(
            LinearRanker(), {"alpha": [1e-3, 1.0]}, cv=GroupKFold(2),
            scoring=make_ranking_scorer(pairwise_accuracy_score),
        )  # fmt: skip
        ranker.fit(X, CLASSES, groups=GROUPS, offset=OFFSET)
        score = ranker.score(X, CLASSES, groups=GROUPS, offset=OFFSET)
    best = ranker.best_estimator_
    assert score == best.score(X, CLASSES, groups=GROUPS, offset=OFFSET)
    with pytest.raises(ValueError, match="offset cannot be added to what response_method"):
        scorer = make_ranking_scorer(pairwise_accuracy_score, response_method="predict_proba")
        scorer._score_func(CLASSES, T, groups=GROUPS, offset=OFFSET)
