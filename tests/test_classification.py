"""Classifiers: labels, classes, probabilities, and other people's optima."""

import math
import warnings

import cvxpy as cp
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.special import expit, softmax
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC
from sklearn_releases import ELASTIC_NET

from sklearn_margin import HingeClassifier, LinearClassifier
from sklearn_margin._calibration import Sigmoid
from sklearn_margin.losses import Hinge, Logistic, SquaredHinge
from sklearn_margin.solvers import SGD

ALPHA = 0.02
CLASSIFIERS = {
    "HingeClassifier": HingeClassifier(alpha=ALPHA),
    "modified_huber": LinearClassifier("modified_huber", alpha=ALPHA),
    "squared_hinge": LinearClassifier("squared_hinge", alpha=ALPHA),
}
NAMES = [
    "cross_entropy", "hinge", "logistic", "modified_huber", "smoothed_hinge", "squared_hinge",
]  # fmt: skip
every_classifier = pytest.mark.parametrize("model", CLASSIFIERS.values(), ids=CLASSIFIERS.keys())


def data(n_classes=2, n=120):
    return make_classification(
        n, 5, n_informative=4, n_redundant=0, n_classes=n_classes, class_sep=1.0, random_state=0
    )


@pytest.fixture
def model():
    return LinearClassifier("logistic", alpha=ALPHA)


# --- labels ----------------------------------------------------------------------------------

BINARY_LABELS = {
    "strings": ["no", "yes"],
    "objects": np.array(["no", "yes"], dtype=object),
    "bool": [False, True],
    "negative": [-1, 1],
    "floats": [0.0, 1.0],
    "uint8": np.array([3, 200], dtype=np.uint8),
    "far apart": [-(2**62), 2**62],
}


@every_classifier
@pytest.mark.parametrize("name", BINARY_LABELS)
def test_any_two_labels(model, name):
    X, y = data()
    labels = np.asarray(BINARY_LABELS[name])
    expected = clone(model).fit(X, y)
    for target in (labels[y], list(labels[y]), pd.Series(labels[y])):
        fitted = clone(model).fit(X, target)
        np.testing.assert_array_equal(fitted.classes_, np.unique(labels))
        np.testing.assert_array_equal(fitted.coef_, expected.coef_)
        np.testing.assert_array_equal(fitted.predict(X), labels[expected.predict(X)])
    assert fitted.predict(X).dtype == fitted.classes_.dtype


def test_categorical_labels(model):
    X, y = data(3)
    target = pd.Series(np.array(["low", "mid", "high"])[y], dtype="category")
    fitted = model.fit(X, target)
    assert list(fitted.classes_) == ["high", "low", "mid"]
    assert set(fitted.predict(X)) <= {"high", "low", "mid"}


@every_classifier
@pytest.mark.parametrize("container", [np.array, sp.csr_array], ids=["dense", "csr"])
def test_one_against_the_rest(model, container):
    X, y = data(4)
    X, labels = container(X), np.array(["b", "d", "a", "c"])[y]
    weight = np.random.default_rng(0).random(len(y))
    fitted = clone(model).fit(X, labels, sample_weight=weight)
    assert list(fitted.classes_) == list("abcd")
    assert fitted.coef_.shape == (4, 5)
    assert fitted.intercept_.shape == (4,)
    scores = fitted.decision_function(X)
    assert scores.shape == (120, 4)
    iterations = []
    for k, label in enumerate("abcd"):
        binary = clone(model).fit(X, labels == label, sample_weight=weight)
        np.testing.assert_allclose(fitted.coef_[k], binary.coef_[0], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(fitted.intercept_[k], binary.intercept_[0], rtol=1e-9)
        np.testing.assert_allclose(scores[:, k], binary.decision_function(X), rtol=1e-9, atol=1e-9)
        iterations.append(binary.n_iter_)
    assert fitted.n_iter_ == max(iterations)
    np.testing.assert_array_equal(fitted.predict(X), fitted.classes_[scores.argmax(axis=1)])
    assert fitted.score(X, labels) > 0.5


def test_gap_per_class():
    X, y = data(3)
    many = HingeClassifier(alpha=ALPHA).fit(X, y)
    assert many.dual_gap_.shape == (3,)
    assert (many.dual_gap_ >= 0).all()
    two = HingeClassifier(alpha=ALPHA).fit(X, y == 1)
    assert np.ndim(two.dual_gap_) == 0
    # Refitting where no gap is known forgets it.
    two = LinearClassifier("hinge", alpha=ALPHA).fit(X, y == 1)
    assert hasattr(two, "dual_gap_")
    two.set_params(loss="focal").fit(X, y == 1)
    assert not hasattr(two, "dual_gap_")


@every_classifier
def test_targets_that_are_wrong(model):
    X, y = data()
    with pytest.raises(ValueError, match=r"2 classes.*1 class"):
        clone(model).fit(X, np.ones(len(X)))
    with pytest.raises(ValueError, match=r"2 classes.*1 class"):
        clone(model).fit(X, y, sample_weight=y)
    with pytest.raises(ValueError, match="continuous"):
        clone(model).fit(X, X[:, 0])
    with pytest.raises(ValueError, match=r"y should be a 1d array|[Mm]ultilabel|Unknown label"):
        clone(model).fit(X, np.column_stack([y, y]))
    with pytest.raises(ValueError, match="y contains NaN"):
        clone(model).fit(X, np.where(y == 1, np.nan, 0.0))


def test_a_class_without_weight_does_not_exist(model):
    X, y = data(3)
    fitted = clone(model).fit(X, y, sample_weight=(y != 1) * 1.0)
    assert list(fitted.classes_) == [0, 2]
    np.testing.assert_allclose(
        fitted.coef_, clone(model).fit(X[y != 1], y[y != 1]).coef_, rtol=1e-9
    )


# --- probabilities ---------------------------------------------------------------------------


def test_probabilities_of_two_classes(model):
    X, y = data()
    fitted = model.fit(X, y)
    scores, probability = fitted.decision_function(X), fitted.predict_proba(X)
    assert scores.shape == (120,)
    assert probability.shape == (120, 2)
    np.testing.assert_allclose(probability[:, 1], expit(scores), rtol=1e-12)
    np.testing.assert_allclose(probability.sum(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(fitted.predict_log_proba(X), np.log(probability), rtol=1e-12)


class Doubled(Logistic):
    """A user's loss with probabilities, which are fitted one class against the rest."""

    def sample_value(self, y, z):
        return 2.0 * math.log1p(math.exp(-y * z))

    def sample_gradient(self, y, z):
        return -2.0 * y / (1.0 + math.exp(y * z))


@pytest.mark.parametrize("loss", ["logistic", Doubled()])
def test_probabilities_of_many_classes(loss):
    X, y = data(4)
    fitted = LinearClassifier(loss, alpha=ALPHA).fit(X, y)
    probability = fitted.predict_proba(X)
    one_by_one = expit(fitted.decision_function(X))
    expected = one_by_one / one_by_one.sum(axis=1, keepdims=True)
    if loss == "logistic":
        expected = softmax(fitted.decision_function(X), axis=1)
    np.testing.assert_allclose(probability, expected, rtol=1e-12)
    np.testing.assert_array_equal(fitted.classes_[probability.argmax(axis=1)], fitted.predict(X))
    far = fitted.predict_proba(np.full((1, 5), 1e6) * np.sign(fitted.coef_[0]))
    assert np.isfinite(far).all()


def test_probabilities_are_calibrated():
    """The intercept is not penalised, so the mean probability is the share of the class."""
    X, y = data()
    fitted = LinearClassifier("logistic", alpha=1.0).fit(X, y)
    assert fitted.predict_proba(X)[:, 1].mean() == pytest.approx(y.mean(), rel=1e-8)


def test_scores_that_differ_by_rounding_only_have_one_probability():
    """A hinge of one class against the rest may fit nothing but its intercept."""
    positive = np.arange(30) < 10
    scores = -1.0 + 1e-13 * np.where(positive, 1, -1)
    found = Sigmoid.fit(scores, positive, np.ones(30))
    np.testing.assert_allclose(found.predict(np.array([-1.0, -0.99])), 1 / 3, atol=0.02)


@pytest.mark.parametrize("name", NAMES)
def test_probabilities_exist_where_the_loss_has_them(name):
    X, y = data()
    model = LinearClassifier(name)
    expected = name in ("logistic", "cross_entropy")
    for one in (model, model.fit(X, y)):
        assert hasattr(one, "predict_proba") == expected
        assert hasattr(one, "predict_log_proba") == expected
    if not expected:
        with pytest.raises(AttributeError, match="predict_proba"):
            model.predict_proba(X)
    assert not hasattr(HingeClassifier(), "predict_proba")


@pytest.mark.parametrize("name", NAMES)
def test_every_name(name):
    X, y = data()
    assert LinearClassifier(name, alpha=ALPHA).fit(X, y).score(X, y) > 0.7


# --- class weights ---------------------------------------------------------------------------


@every_classifier
def test_class_weight_is_a_sample_weight(model):
    X, y = data(3)
    labels, weight = np.array(["a", "b", "c"])[y], np.random.default_rng(0).random(len(y))
    factor = {"a": 2.0, "c": 0.25}
    product = weight * np.array([factor.get(label, 1.0) for label in labels])
    expected = clone(model).fit(X, labels, sample_weight=product)
    fitted = clone(model).set_params(class_weight=factor).fit(X, labels, sample_weight=weight)
    np.testing.assert_allclose(fitted.coef_, expected.coef_, rtol=1e-6, atol=1e-9)
    plain = clone(model).fit(X, labels, sample_weight=weight)
    assert np.abs(fitted.coef_ - plain.coef_).max() > 1e-3


@every_classifier
def test_balanced(model):
    X, y = data()
    keep = (y == 0) | (np.arange(len(y)) % 4 == 0)
    X, y = X[keep], y[keep]
    weight = np.random.default_rng(0).integers(0, 4, len(y)).astype(float)
    total = np.bincount(y, weights=weight)
    fitted = clone(model).set_params(class_weight="balanced").fit(X, y, sample_weight=weight)
    expected = clone(model).fit(X, y, sample_weight=weight / total[y])
    np.testing.assert_allclose(fitted.coef_, expected.coef_, rtol=1e-6, atol=1e-9)
    # As scikit-learn: weights of the classes by the weighted counts.
    plain = clone(model).set_params(class_weight="balanced").fit(X, y)
    count = np.bincount(y)
    by_hand = clone(model).set_params(class_weight={0: 1 / count[0], 1: 1 / count[1]}).fit(X, y)
    np.testing.assert_allclose(plain.coef_, by_hand.coef_, rtol=1e-6, atol=1e-9)


def test_class_weight_of_a_missing_label(model):
    X, y = data()
    with pytest.raises(ValueError, match=r"class_weight.*7"):
        model.set_params(class_weight={0: 1.0, 7: 2.0}).fit(X, y)


def test_class_weight_zero_leaves_one_class(model):
    X, y = data()
    with pytest.raises(ValueError, match="class"):
        model.set_params(class_weight={0: 0.0}).fit(X, y)


# --- incremental learning --------------------------------------------------------------------


def test_partial_fit_needs_classes():
    X, y = data(3)
    model = LinearClassifier("logistic", solver="sgd")
    with pytest.raises(ValueError, match="classes"):
        model.partial_fit(X, y)
    with pytest.raises(ValueError, match="classes"):
        model.partial_fit(X, y, classes=[1])
    with pytest.raises(ValueError, match=r"classes.*2"):
        model.partial_fit(X, y, classes=[0, 1])
    assert not hasattr(model, "coef_")
    model.partial_fit(X[y != 1], y[y != 1], classes=[2, 1, 0])
    assert list(model.classes_) == [0, 1, 2]
    assert model.coef_.shape == (3, 5)
    model.partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="classes"):
        model.partial_fit(X, y, classes=[0, 1, 2, 3])
    with pytest.raises(ValueError, match="7"):
        model.partial_fit(X, y + 7)


def test_partial_fit_takes_batches_of_one_class():
    """A stream sorted by label must not break anything."""
    X, y = data()
    model = LinearClassifier("hinge", solver=SGD(batch_size=4), random_state=0)
    for _ in range(15):
        for label in (0, 1):
            for half in (0, 1):
                rows = np.flatnonzero(y == label)[half::2]
                model.partial_fit(X[rows], y[rows], classes=[0, 1])
    assert np.isfinite(model.coef_).all()


def test_partial_fit_with_class_weight():
    X, y = data()
    settings = {"solver": "sgd", "random_state": 0, "alpha": 0.01}
    weighted = LinearClassifier("logistic", class_weight={0: 3.0}, **settings)
    by_hand = LinearClassifier("logistic", **settings)
    for _ in range(3):
        weighted.partial_fit(X, y, classes=[0, 1])
        by_hand.partial_fit(X, y, classes=[0, 1], sample_weight=np.where(y == 0, 3.0, 1.0))
    np.testing.assert_allclose(weighted.coef_, by_hand.coef_, rtol=1e-9)


def test_partial_fit_with_class_weight_and_batches_of_one_class():
    """Class weights compare batches, too; "balanced" cannot know them."""
    X, y = data()
    settings = {"solver": SGD(eta0=0.05), "random_state": 0, "alpha": 0.01}
    weighted = LinearClassifier("logistic", class_weight={0: 10.0, 1: 0.1}, **settings)
    plain = LinearClassifier("logistic", **settings)
    for label in (0, 1, 0, 1):
        rows = y == label
        weighted.partial_fit(X[rows], y[rows], classes=[0, 1])
        plain.partial_fit(X[rows], y[rows], classes=[0, 1])
    assert np.abs(weighted.coef_ - plain.coef_).max() > 1e-3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        balanced = LinearClassifier("logistic", class_weight="balanced", **settings)
        try:
            balanced.partial_fit(X[y == 0], y[y == 0], classes=[0, 1])
        except ValueError as error:
            assert "class_weight" in str(error)  # as SGDClassifier


# --- other people's optima -------------------------------------------------------------------


@pytest.mark.parametrize("C", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_logistic_regression(C, weighted):
    X, y = data()
    weight = np.random.default_rng(0).random(len(y)) + 0.1 if weighted else np.ones(len(y))
    theirs = LogisticRegression(C=C, tol=1e-10, max_iter=10_000)
    theirs.fit(X, y, sample_weight=weight)
    ours = LinearClassifier("logistic", alpha=1 / (C * weight.sum()))
    ours.fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-5)


def test_logistic_regression_with_l1():
    X, y = data()
    n, C, l1_ratio = len(y), 0.1, 0.7
    theirs = LogisticRegression(
        C=C, l1_ratio=l1_ratio, solver="saga", tol=1e-10, max_iter=100_000, **ELASTIC_NET
    )
    theirs.fit(X, y)
    ours = LinearClassifier("logistic", alpha=1 / (C * n), l1_ratio=l1_ratio).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("C", [0.1, 10.0])
def test_support_vector_machine(C):
    """SVC has a free intercept too, and a dual that is solved by other means."""
    X, y = data()
    theirs = SVC(kernel="linear", C=C, tol=1e-8).fit(X, y)
    ours = HingeClassifier(alpha=1 / (C * len(y))).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-3, atol=1e-4)
    same = LinearClassifier(Hinge(margin=1), alpha=1 / (C * len(y))).fit(X, y)
    np.testing.assert_array_equal(ours.coef_, same.coef_)


@pytest.mark.parametrize("margin", [0.5, 1.0])
def test_squared_hinge_with_a_free_intercept(margin, reference):
    """LinearSVC's problem, but for its penalised intercept."""
    X, y = data()
    sign = 2.0 * y - 1
    X = X + 5.0  # far from the origin a penalised intercept would be wrong
    best = reference(
        lambda w, b: cp.sum_squares(cp.pos(margin - cp.multiply(sign, X @ w + b))) / len(y),
        5, ALPHA,
    )  # fmt: skip
    ours = LinearClassifier(SquaredHinge(margin=margin), alpha=ALPHA).fit(X, y)
    assert best.at(ours.coef_[0], ours.intercept_[0]) <= best.minimum * (1 + 1e-6)
    np.testing.assert_allclose(ours.coef_[0], best.coef, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(ours.intercept_[0], best.intercept, rtol=1e-4, atol=1e-6)


def test_separable_data():
    """Without a penalty there is no minimum: a finite model, whatever else."""
    X = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    y = np.array([0, 0, 1, 1])
    for name in NAMES:
        for alpha in (1e-12, 1e-4, 1.0):
            fitted = LinearClassifier(name, alpha=alpha).fit(X, y)
            assert np.isfinite(fitted.coef_).all()
            assert fitted.coef_[0, 0] > 0
            assert fitted.score(X, y) == 1.0
    hard = HingeClassifier(alpha=1e-9).fit(X, y)
    np.testing.assert_allclose(hard.coef_, [[1.0]], rtol=1e-5)  # the maximum margin
    np.testing.assert_allclose(hard.intercept_, [0.0], atol=1e-5)


def test_the_penalty_decides_where_the_data_do_not():
    X, y = np.zeros((10, 3)), np.arange(10) % 2
    for name in NAMES:
        fitted = LinearClassifier(name).fit(X, y)
        np.testing.assert_array_equal(fitted.coef_, 0.0)
    with_huge_alpha = LinearClassifier("logistic", alpha=1e10).fit(*data())
    np.testing.assert_allclose(with_huge_alpha.coef_, 0.0, atol=1e-9)


def test_loss_objects_are_not_touched():
    X, y = data()
    loss = Logistic()
    before = vars(loss).copy()
    model = LinearClassifier(loss).fit(X, y)
    assert model.loss is loss
    assert vars(loss) == before
    assert model.get_params()["loss"] == Logistic()
