"""Classifiers that score all classes at once: other people's optima, weights, containers, gaps."""

import math
import tracemalloc
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from references import (
    can_be_exact,
    check_gap_near_and_far,
    crammer_singer,
    cross_entropy,
    gap_at,
    minimum,
    reference_of_rows,
    weston_watkins,
)
from scipy.special import softmax
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from sklearn_releases import ELASTIC_NET

from sklearn_margin import LinearClassifier
from sklearn_margin.losses import (
    CrammerSinger,
    CrossEntropy,
    Dice,
    Focal,
    Poly,
    WestonWatkins,
)
from sklearn_margin.objective import MulticlassObjective, Rows
from sklearn_margin.objective import rows as objective_rows
from sklearn_margin.penalties import ElasticNet
from sklearn_margin.solvers import SOLVERS

N, D, K = 90, 4, 3
ALPHA = 0.02
LOSSES = {
    "logistic": CrossEntropy(),
    "crammer_singer": CrammerSinger(),
    "weston_watkins": WestonWatkins(),
    "focal": Focal(),
    "poly": Poly(),
    "dice": Dice(),
}
HINGES = ("crammer_singer", "weston_watkins")
every_loss = pytest.mark.parametrize("name", LOSSES)


def data(n=N, n_classes=K, seed=0):
    """Overlapping classes of unequal size; features have several sizes and offsets."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, D)) * [1.0, 2.0, 0.5, 1.0] + [0.0, 3.0, 0.0, -1.0]
    scores = (X - [0.0, 3.0, 0.0, -1.0]) @ rng.normal(size=(D, n_classes))
    y = (scores + rng.normal(size=scores.shape) + [1.0, *[0.0] * (n_classes - 1)]).argmax(axis=1)
    return X, y


def weights(n=N):
    return np.random.default_rng(1).random(n) + 0.1


def objective(name, model, X, y, weight=None):
    """F at a fitted model, from the public loss alone."""
    l1_ratio = model.l1_ratio
    penalty = (1 - l1_ratio) / 2 * np.sum(model.coef_**2) + l1_ratio * np.abs(model.coef_).sum()
    return LOSSES[name].value(y, model.decision_function(X), weight) + model.alpha * penalty


def accurate(l1_ratios):
    """Losses and penalties for which some solver is not rough."""
    return [(name, r) for name, loss in LOSSES.items() for r in l1_ratios if can_be_exact(loss, r)]


# Smoothing, which the hinges are left to, stops at ``tol``.
def accuracy(name):
    return 1e-4 if name in HINGES else 1e-8


# --- other people's optima -------------------------------------------------------------------


@pytest.mark.parametrize("C", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_logistic_regression(C, weighted, fit_intercept):
    X, y = data()
    weight = weights() if weighted else np.ones(N)
    theirs = LogisticRegression(
        C=C, tol=1e-10, max_iter=10_000, fit_intercept=fit_intercept, solver="newton-cg"
    )
    theirs.fit(X, y, sample_weight=weight)
    ours = LinearClassifier(
        "logistic", alpha=1 / (C * weight.sum()), fit_intercept=fit_intercept, tol=1e-10
    )
    ours.fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-4, atol=1e-5)
    centred = theirs.intercept_ - np.mean(theirs.intercept_)
    np.testing.assert_allclose(ours.intercept_, centred, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_logistic_regression_with_l1(l1_ratio):
    X, y = data()
    C = 0.2
    theirs = LogisticRegression(
        C=C, l1_ratio=l1_ratio, solver="saga", tol=1e-9, max_iter=100_000, **ELASTIC_NET
    )
    theirs.fit(X, y)
    ours = LinearClassifier("logistic", alpha=1 / (C * N), l1_ratio=l1_ratio, tol=1e-8).fit(X, y)
    assert ours.solver_ == "coordinate_descent"
    scored = clone(ours)
    scored.classes_, scored.n_features_in_ = ours.classes_, D
    scored.coef_, scored.intercept_ = theirs.coef_, theirs.intercept_
    found, best = objective("logistic", ours, X, y), objective("logistic", scored, X, y)
    assert found <= best * (1 + 1e-7)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-4)
    assert (ours.coef_ == 0).any()


FORMULAS = {
    "logistic": cross_entropy,
    "crammer_singer": crammer_singer,
    "weston_watkins": weston_watkins,
}


@pytest.mark.compiled
@pytest.mark.parametrize("name", HINGES)
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [False, True])
def test_hinges_by_cvxpy(name, fit_intercept, weighted):
    X, y = data()
    weight = weights() if weighted else None
    best = reference_of_rows(FORMULAS[name], X, y, ALPHA, 0.0, fit_intercept, weight)
    for tol in (1e-3, 1e-5):
        ours = LinearClassifier(name, alpha=ALPHA, fit_intercept=fit_intercept, tol=tol)
        ours.fit(X, y, sample_weight=weight)
        excess = objective(name, ours, X, y, weight) - best.minimum
        assert -1e-7 * best.minimum <= excess <= tol * best.minimum * (1 + 1e-6)
        assert ours.dual_gap_ >= excess - 1e-7 * best.minimum
        assert ours.dual_gap_ <= tol * best.minimum * (1 + 2 * tol)
    np.testing.assert_allclose(ours.coef_, best.coef, atol=0.02 * np.abs(best.coef).max())
    np.testing.assert_allclose(ours.coef_.sum(axis=0), 0.0, atol=1e-8)


@pytest.mark.compiled
@pytest.mark.parametrize("margin", [0.5, 2.0])
def test_margin_by_cvxpy(margin):
    X, y = data()
    for cls, name in [(CrammerSinger, "crammer_singer"), (WestonWatkins, "weston_watkins")]:
        best = reference_of_rows(FORMULAS[name], X, y, ALPHA, margin=margin)
        ours = LinearClassifier(cls(margin=margin), alpha=ALPHA, tol=1e-5).fit(X, y)
        value = cls(margin=margin).value(y, ours.decision_function(X))
        value += 0.5 * ALPHA * np.sum(ours.coef_**2)
        assert value == pytest.approx(best.minimum, rel=2e-5)


@pytest.mark.parametrize("C", [0.1, 1.0])
def test_linear_svc_of_crammer_and_singer(C):
    X, y = data()
    theirs = LinearSVC(
        C=C, multi_class="crammer_singer", fit_intercept=False, tol=1e-8, max_iter=1_000_000
    ).fit(X, y)
    ours = LinearClassifier("crammer_singer", alpha=1 / (C * N), fit_intercept=False, tol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the finest that smoothing can
        ours.fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=5e-3 * np.abs(theirs.coef_).max())
    loss = CrammerSinger().value(y, theirs.decision_function(X))
    value = loss + 0.5 * ours.alpha * np.sum(theirs.coef_**2)
    assert objective("crammer_singer", ours, X, y) == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
@pytest.mark.parametrize("loss", [Focal(gamma=0.0), Poly(epsilon=0.0)], ids=repr)
def test_special_cases_are_the_logistic_loss(loss, l1_ratio):
    X, y = data()
    settings = {"alpha": ALPHA, "l1_ratio": l1_ratio, "tol": 1e-10}
    ours = LinearClassifier(loss, **settings).fit(X, y)
    plain = LinearClassifier("logistic", **settings).fit(X, y)
    np.testing.assert_allclose(ours.coef_, plain.coef_, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(ours.intercept_, plain.intercept_, rtol=1e-5, atol=1e-6)
    assert ours.dual_gap_ <= 1e-8


def test_label_smoothing_in_a_fit():
    """As repeated rows: each row with every label, weighted by the smoothed target."""
    X, y = data()
    smoothed = LinearClassifier(CrossEntropy(0.3), alpha=ALPHA).fit(X, y)
    target = 0.7 * np.eye(K)[y] + 0.1
    repeated = LinearClassifier("logistic", alpha=ALPHA).fit(
        np.repeat(X, K, axis=0), np.tile(np.arange(K), N), sample_weight=target.ravel()
    )
    np.testing.assert_allclose(smoothed.coef_, repeated.coef_, rtol=1e-6, atol=1e-8)


# --- losses that are not convex --------------------------------------------------------------


@pytest.mark.parametrize(
    "loss", [Focal(), Focal(gamma=5.0), Poly(epsilon=4.0), Dice(), Dice(squared=True)], ids=repr
)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_local_minima(loss, n_classes):
    """Stationary, and not above the optimum of the cross entropy, where the descent began."""
    X, y = data(n_classes=n_classes)
    fitted = LinearClassifier(loss, alpha=ALPHA, tol=1e-8).fit(X, y)
    start = LinearClassifier("logistic", alpha=ALPHA).fit(X, y)
    labels = 2 * y - 1 if n_classes == 2 else y

    def value(coef, intercept):
        z = X @ coef.T + intercept
        z = z.ravel() if n_classes == 2 else z
        return loss.value(labels, z) + 0.5 * ALPHA * np.sum(coef**2)

    found = value(fitted.coef_, fitted.intercept_)
    assert found < value(start.coef_, start.intercept_)
    z = fitted.decision_function(X)
    g = loss.gradient(labels, z).reshape(N, -1)
    slope = g.T @ X + ALPHA * fitted.coef_
    size = np.abs(g).T @ np.abs(X)
    assert np.abs(slope).max() <= 1e-4 * size.max()
    assert np.abs(g.sum(axis=0)).max() <= 1e-4 * np.abs(g).sum()
    assert not hasattr(fitted, "dual_gap_")
    again = clone(fitted).fit(X, y)
    np.testing.assert_array_equal(again.coef_, fitted.coef_)


# --- what every loss promises ----------------------------------------------------------------


@every_loss
def test_shapes_labels_and_probabilities(name):
    X, y = data()
    labels = np.array(["red", "green", "blue"])[y]
    fitted = LinearClassifier(name, alpha=ALPHA).fit(X, labels)
    assert list(fitted.classes_) == ["blue", "green", "red"]
    assert fitted.coef_.shape == (3, D)
    assert fitted.intercept_.shape == (3,)
    assert isinstance(fitted.n_iter_, int)
    scores = fitted.decision_function(X)
    assert scores.shape == (N, 3)
    np.testing.assert_array_equal(fitted.predict(X), fitted.classes_[scores.argmax(axis=1)])
    assert fitted.score(X, labels) > 0.6
    # Only differences of scores count, so that intercepts are centred.
    np.testing.assert_allclose(fitted.intercept_.sum(), 0.0, atol=1e-12)
    assert hasattr(fitted, "predict_proba") == (name in ("logistic", "focal", "poly"))
    if hasattr(fitted, "predict_proba"):
        np.testing.assert_allclose(fitted.predict_proba(X), softmax(scores, axis=1), rtol=1e-12)
        log = np.log(softmax(scores, axis=1))
        np.testing.assert_allclose(fitted.predict_log_proba(X), log, rtol=1e-9)


# All losses in CSR; what becomes of other containers, and kernels of float32, by two of them.
@pytest.mark.parametrize(
    ("name", "l1_ratio", "container"),
    [
        (*case, container)
        for container in (sp.csr_array, sp.csc_array, np.asfortranarray, np.float32)
        for case in accurate([0.0, 0.5, 1.0])
        if container is sp.csr_array or case[0] in ("logistic", "crammer_singer")
    ],
)
def test_containers(name, l1_ratio, container):
    X, y = data()
    model = LinearClassifier(name, alpha=ALPHA, l1_ratio=l1_ratio, tol=1e-5)
    dense, other = clone(model).fit(X, y), clone(model).fit(container(X), y)
    single = container is np.float32
    assert other.coef_.dtype == (np.float32 if single else np.float64)
    values = [objective(name, fitted, X, y) for fitted in (dense, other)]
    assert values[1] == pytest.approx(values[0], rel=2e-5)
    near = 2e-2 * np.abs(dense.coef_).max()
    np.testing.assert_allclose(other.coef_, dense.coef_, atol=near)


@pytest.mark.parametrize(("name", "l1_ratio"), accurate([0.0, 0.5]))
def test_weights_are_repetitions(name, l1_ratio):
    X, y = data()
    times = np.random.default_rng(2).integers(0, 4, N)
    index = np.repeat(np.arange(N), times)
    model = LinearClassifier(name, alpha=ALPHA, l1_ratio=l1_ratio, tol=1e-8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # hinges
        one = clone(model).fit(X, y, sample_weight=times)
        other = clone(model).fit(X[index], y[index])
        dropped = clone(model).fit(X[times > 0], y[times > 0], sample_weight=times[times > 0])
        plain = clone(model).fit(X, y)
    exact = name in ("logistic", "poly", "focal") and not l1_ratio
    size = np.abs(one.coef_).max()
    near = (1e-6 if exact else 1e-3) * size
    np.testing.assert_allclose(other.coef_, one.coef_, atol=near)
    np.testing.assert_allclose(dropped.coef_, one.coef_, atol=near)
    assert np.abs(plain.coef_ - one.coef_).max() > 0.01 * size


@pytest.mark.parametrize("name", ["logistic", "focal", "poly", *HINGES])
def test_a_common_factor_of_the_weights_means_nothing(name):
    X, y = data()
    model = LinearClassifier(name, alpha=ALPHA)
    one = clone(model).fit(X, y, sample_weight=weights())
    other = clone(model).fit(X, y, sample_weight=1e3 * weights())
    np.testing.assert_allclose(other.coef_, one.coef_, rtol=1e-6, atol=1e-6)


@pytest.mark.compiled
def test_the_size_of_the_weights_matters_to_dice():
    """By ``smooth``: without it, or against as much more of it, only proportions count."""
    X, y = data()

    def fit(factor, smooth):
        model = LinearClassifier(Dice(smooth=smooth), alpha=ALPHA, tol=1e-8)
        return model.fit(X, y, sample_weight=factor * weights()).coef_

    np.testing.assert_allclose(fit(10.0, 200.0), fit(1.0, 20.0), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(fit(10.0, 0.0), fit(1.0, 0.0), rtol=1e-3, atol=1e-4)
    assert np.abs(fit(10.0, 20.0) - fit(1.0, 20.0)).max() > 0.01


@every_loss
def test_class_weight(name):
    X, y = data()
    labels = np.array(["a", "b", "c"])[y]
    factor = {"a": 0.5, "c": 4.0}
    by_row = np.array([factor.get(label, 1.0) for label in labels])
    if name == "dice":  # the total stays that of the sample weights
        by_row *= N / by_row.sum()
    model = LinearClassifier(name, alpha=ALPHA, tol=1e-5)
    fitted = clone(model).set_params(class_weight=factor).fit(X, labels)
    expected = clone(model).fit(X, labels, sample_weight=by_row)
    near = 1e-4 * np.abs(expected.coef_).max()
    np.testing.assert_allclose(fitted.coef_, expected.coef_, atol=near)
    plain = clone(model).fit(X, labels)
    assert np.abs(fitted.coef_ - plain.coef_).max() > 100 * near


@pytest.mark.parametrize("name", ["logistic", "focal", "poly", "crammer_singer", "weston_watkins"])
def test_a_class_without_weight_does_not_exist(name):
    X, y = data(n_classes=4)
    fitted = LinearClassifier(name, alpha=ALPHA).fit(X, y, sample_weight=(y != 1) * 1.0)
    assert list(fitted.classes_) == [0, 2, 3]
    rest = LinearClassifier(name, alpha=ALPHA).fit(X[y != 1], y[y != 1])
    np.testing.assert_allclose(fitted.coef_, rest.coef_, rtol=1e-6, atol=1e-6)


def test_alpha_of_focal_must_fit_the_labels():
    X, y = data()
    with pytest.raises(ValueError, match=r"alpha.*3 classes"):
        LinearClassifier(Focal(alpha=0.25)).fit(X, y)
    with pytest.raises(ValueError, match=r"alpha.*2 classes"):
        LinearClassifier(Focal(alpha=(1.0, 2.0, 3.0))).fit(X, y == 1)
    weighted = LinearClassifier(Focal(alpha=(1.0, 2.0, 3.0)), alpha=ALPHA).fit(X, y)
    by_class = LinearClassifier(
        Focal(), alpha=ALPHA / np.mean(y + 1.0), class_weight={0: 1, 1: 2, 2: 3}
    ).fit(X, y)
    np.testing.assert_allclose(weighted.coef_, by_class.coef_, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["logistic", *HINGES])
def test_warm_start(name):
    X, y = data()
    model = LinearClassifier(name, alpha=ALPHA, warm_start=True).fit(X, y)
    first = model.n_iter_, objective(name, model, X, y)
    model.fit(X, y)
    assert model.n_iter_ <= first[0] + 2  # an interior point begins far from any boundary
    assert objective(name, model, X, y) <= first[1] * (1 + accuracy(name))


@pytest.mark.parametrize("solver", ["newton", "lbfgs", "subgradient"])
def test_solvers_of_the_cross_entropy(solver):
    X, y = data()
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    best = reference_of_rows(cross_entropy, X, y, ALPHA)
    model = LinearClassifier("logistic", alpha=ALPHA, solver=solver, max_iter=5000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # subgradients have no measure
        value = objective("logistic", model.fit(X, y), X, y)
    assert best.minimum * (1 - 1e-7) <= value
    assert value <= best.minimum * (1 + (0.03 if solver == "subgradient" else 1e-4))


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
@pytest.mark.parametrize("name", HINGES)
def test_what_hinges_refuse(name, l1_ratio):
    X, y = data()
    for solver in ("newton", "lbfgs", "coordinate_descent"):
        with pytest.raises(ValueError, match=f"solver='{solver}' cannot be used"):
            LinearClassifier(name, solver=solver, l1_ratio=l1_ratio).fit(X, y)
    if l1_ratio:
        with pytest.raises(ValueError, match="solver='dual_cd' cannot be used"):
            LinearClassifier(name, solver="dual_cd", l1_ratio=l1_ratio).fit(X, y)


@pytest.mark.compiled
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array], ids=["dense", "csr"])
@pytest.mark.parametrize("name", ["logistic", "crammer_singer", "focal", "dice"])
@pytest.mark.usefixtures("threads")
def test_threads_change_no_bit_of_a_fit(name, container, monkeypatch):
    monkeypatch.setattr(objective_rows, "_BLOCK_BYTES", 1 << 14)
    X, y = data(n=3_000)
    fits = [
        LinearClassifier(name, alpha=1e-3, n_jobs=n_jobs).fit(container(X), y) for n_jobs in (1, 3)
    ]
    np.testing.assert_array_equal(fits[0].coef_, fits[1].coef_)
    np.testing.assert_array_equal(fits[0].intercept_, fits[1].intercept_)


# --- the gap bounds the excess, wherever the point is ----------------------------------------


def problem(loss, seed, fit_intercept, l1_ratio, alpha, weighted, container=np.asarray):
    X, y = data(n=40, seed=seed)
    y[:K] = np.arange(K)
    rng = np.random.default_rng(seed)
    s = rng.random(40) * (rng.random(40) < 0.8) if weighted else np.ones(40)
    s[:K] = 1.0
    rows = Rows(container(X), center=fit_intercept)
    return MulticlassObjective(
        loss, rows, y, s / s.sum(), n_outputs=K, penalty=ElasticNet(alpha, l1_ratio),
        fit_intercept=fit_intercept,
    )  # fmt: skip


SMOOTH = [
    CrossEntropy(), CrossEntropy(0.2), Poly().for_classes(K), CrammerSinger().smoothed(0.3),
    WestonWatkins().smoothed(0.3),
]  # fmt: skip


@pytest.mark.compiled
@pytest.mark.parametrize("loss", SMOOTH, ids=lambda loss: type(loss).__name__)
@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 5),
    fit_intercept=st.booleans(),
    l1_ratio=st.sampled_from([0.0, 0.5, 1.0]),
    alpha=st.sampled_from([1e-3, 1e-2, 1.0]),
    weighted=st.booleans(),
)
def test_gap_at_any_point(loss, seed, fit_intercept, l1_ratio, alpha, weighted):
    check_gap_near_and_far(problem(loss, seed, fit_intercept, l1_ratio, alpha, weighted), seed)


@pytest.mark.parametrize("loss", SMOOTH[:3], ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
def test_gap_closes_at_the_optimum(loss, l1_ratio):
    problem_ = problem(loss, 0, True, l1_ratio, 0.02, True)
    best, lowest = minimum(problem_)
    assert gap_at(problem_, best) <= 1e-6 * lowest


@pytest.mark.compiled
# One container for each loss, as in test_solvers.py: passes are compiled for each.
@pytest.mark.parametrize(
    ("loss", "container"),
    [
        (CrossEntropy(), np.asarray),
        (CrammerSinger(), sp.csr_array),
        (WestonWatkins(), np.asarray),
    ],
    ids=lambda x: getattr(x, "__name__", type(x).__name__),
)
@settings(max_examples=6, deadline=None)
@given(
    seed=st.integers(0, 3),
    fit_intercept=st.booleans(),
    l1_ratio=st.sampled_from([0.0, 0.5]),
    alpha=st.sampled_from([1e-2, 1e-1]),
    weighted=st.booleans(),
    max_iter=st.sampled_from([1, 3, 10, 100]),
)
def test_gap_of_every_solver_wherever_it_stops(
    loss, container, seed, fit_intercept, l1_ratio, alpha, weighted, max_iter
):
    problem_ = problem(loss, seed, fit_intercept, l1_ratio, alpha, weighted, container)
    formula = {CrammerSinger: crammer_singer, WestonWatkins: weston_watkins}.get(type(loss))
    X, _ = data(n=40, seed=seed)
    best = reference_of_rows(
        formula or cross_entropy, X, problem_.y, alpha, l1_ratio, fit_intercept, problem_.s
    )
    solvers = [cls() for cls in SOLVERS.values() if cls().obstacle(problem_) is None]
    if not isinstance(loss, CrammerSinger):  # for one loss, since its passes are compiled for each
        solvers = [solver for solver in solvers if solver.name != "sgd"]
    for solver in solvers:
        with problem_.rows.session():
            run = solver.solve(
                problem_, problem_.start(), tol=1e-4, max_iter=max_iter,
                random_state=np.random.RandomState(0),
            )  # fmt: skip
        if run.gap is None:  # sgd and subgradient claim nothing
            continue
        assert run.value == pytest.approx(problem_.value(run.params), rel=1e-9)
        assert run.gap >= (run.value - best.minimum) * (1 - 1e-6) - 1e-6 * best.minimum
        wanted = 1e-4 if solver.exact else 0.03  # what rough solvers call converged
        assert not run.converged or run.gap <= wanted * run.value * (1 + 1e-9) + 1e-12
        assert run.n_iter <= max_iter


@pytest.mark.compiled
@pytest.mark.parametrize("name", HINGES)
def test_last_digits_take_no_memory_by_pairs_of_rows(name):
    # A matrix of n × n once had 800 MB here.
    X, y = data(n=10_000)
    LinearClassifier(name, alpha=1e-3, solver="smoothing").fit(*data(n=200))  # compiles
    tracemalloc.start()
    try:
        LinearClassifier(name, alpha=1e-3, solver="smoothing").fit(X, y)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 50 * X.nbytes + 2**22


# One epoch's kernel is compiled for each loss and kind of rows: some of each.
@pytest.mark.compiled
@pytest.mark.parametrize(
    ("name", "container"),
    [
        ("logistic", np.asarray),
        ("crammer_singer", sp.csr_array),
    ],
)
def test_partial_fit_comes_near_the_optimum(name, container):
    X, y = data(n=600)
    X, labels = (X - X.mean(axis=0)) / X.std(axis=0), np.array(["a", "b", "c"])[y]
    model = LinearClassifier(name, alpha=ALPHA, solver="sgd", random_state=0)
    order = np.random.default_rng(0).permutation(len(y))
    for _ in range(30):
        for part in np.array_split(order, 3):
            model.partial_fit(container(X[part]), labels[part], classes=["a", "b", "c"])
    assert model.coef_.shape == (3, X.shape[1])
    assert list(model.classes_) == ["a", "b", "c"]
    best = LinearClassifier(name, alpha=ALPHA).fit(X, labels)
    value, minimum = (objective(name, m, X, y) for m in (model, best))
    assert minimum * (1 - 1e-6) <= value <= minimum * 1.05


class Confusion(Dice):
    """Σ s (1 − p)² / Σ s with p the softmax, of which Dice knows no form for several classes."""

    def batch_value(self, y, z, s):
        total = 0.0
        for i in range(len(z)):
            total += s[i] * (1.0 - self.share(y[i], z[i])) ** 2
        return total / s.sum()

    def batch_gradient(self, y, z, s, out):
        for i in range(len(z)):
            p = self.share(y[i], z[i])
            for c in range(z.shape[1]):
                q = self.share(c, z[i])
                out[i, c] = 2.0 * (1.0 - p) * p * (q - (c == y[i])) * s[i] / s.sum()

    def share(self, k, z):
        total = 0.0
        for score in z:
            total += math.exp(score - z[k])
        return 1.0 / total


def test_a_batch_loss_that_states_another_formula_starts_from_the_cross_entropy_of_all_classes():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    y = np.argmax(X + 0.3 * rng.normal(size=(60, 3)), axis=1)
    model = LinearClassifier(Confusion(), alpha=0.01, tol=1e-6).fit(X, y)
    assert model.coef_.shape == (3, 3)
    assert model.score(X, y) > 0.8
