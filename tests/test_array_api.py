"""Arrays of other libraries: what is predicted for them is of their kind."""

import warnings

import numpy as np
import pytest
import scipy
from sklearn import config_context
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler
from sklearn.utils.fixes import parse_version

import sklearn_margin
from sklearn_margin import (
    Batches,
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
from sklearn_margin._base.estimator import LossEstimator
from sklearn_margin.metrics import pairwise_accuracy_score
from sklearn_margin.solvers import SGD

strict = pytest.importorskip("array_api_strict")
if parse_version(scipy.__version__) < parse_version("1.14"):
    pytest.skip("scikit-learn's dispatch needs scipy 1.14", allow_module_level=True)

N, D = 200, 4
X = np.random.default_rng(0).normal(size=(N, D))
Z = X @ [1.0, -2.0, 0.5, 0.0] + np.random.default_rng(1).normal(size=N)
GROUPS = np.arange(N) // 10
MODELS = {
    "LinearClassifier": (LinearClassifier("logistic"), 2),
    "LinearClassifier, 3 classes": (LinearClassifier("logistic"), 3),
    "one against the rest": (LinearClassifier("squared_hinge"), 3),
    "HingeClassifier": (HingeClassifier(probability="sigmoid"), 3),
    "isotonic": (HingeClassifier(probability="isotonic"), 2),
    "LinearRegressor": (LinearRegressor("huber"), 0),
    "HuberRegressor": (HuberRegressor(), 0),
    "QuantileRegressor": (QuantileRegressor(), 0),
    "quantiles": (QuantileRegressor(quantile=[0.8, 0.2], non_crossing=True), 0),
    "one quantile": (QuantileRegressor(quantile=[0.8]), 0),
    "OrdinalClassifier": (OrdinalClassifier(), 3),
    "RankSVM": (RankSVM(), 3),
    "LinearRanker": (LinearRanker(), 3),
    "LinearEmbedding": (LinearEmbedding(n_components=2, max_iter=2, random_state=0), 3),
    "of unit length": (
        LinearEmbedding(n_components=2, max_iter=2, random_state=0, normalize=True),
        3,
    ),
    "prototypes": (LinearEmbedding("arc_face", n_components=2, max_iter=2, random_state=0), 3),
}
METHODS = ["decision_function", "predict", "predict_proba", "predict_log_proba", "transform"]
every_model = pytest.mark.parametrize("name", MODELS)


def strict_array(values, device="CPU_DEVICE"):
    values = np.asarray(values)
    return strict.asarray(values, device=strict.Device(device))


def torch_array(values):
    torch = pytest.importorskip("torch")
    return torch.asarray(np.array(values))


LIBRARIES = {
    "strict": strict_array,
    "device": lambda values: strict_array(values, "device1"),
    "torch": torch_array,
}


@pytest.fixture(autouse=True)
def dispatch():
    with config_context(array_api_dispatch=True):
        yield


def on_host(values):
    if isinstance(values, strict._array_object.Array):
        return np.asarray(strict.asarray(values, device=strict.Device("CPU_DEVICE")))
    return np.asarray(values)


def target(n_classes):
    """Numbers, or classes that each can be told from the rest."""
    noisy = X + 0.5 * np.random.default_rng(1).normal(size=(N, D))
    return noisy[:, :n_classes].argmax(axis=1) if n_classes else Z


def options_of(model, convert=np.asarray):
    return {"groups": convert(GROUPS)} if isinstance(model, (RankSVM, LinearRanker)) else {}


def fit(model, X, y, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(X, y, **options)


def assert_same_kind(found, like, dtype=None):
    assert type(found) is type(like)
    assert found.device == like.device
    assert dtype is None or found.dtype == dtype


@pytest.mark.filterwarnings("ignore:divide by zero")  # logarithms of probabilities that are zero
@pytest.mark.parametrize("library", LIBRARIES)
@every_model
def test_results_are_of_the_kind_of_X(name, library):
    convert = LIBRARIES[library]
    model, n_classes = MODELS[name]
    fit(model, X, target(n_classes), **options_of(model))
    for dtype, exact in ((np.float32, 2e-5), (np.float64, 1e-10)):
        there = convert(X.astype(dtype))
        for method in METHODS:
            if not hasattr(model, method):
                continue
            found, expected = getattr(model, method)(there), getattr(model, method)(X)
            tol = 1e-2 if "log" in method or name == "isotonic" else exact  # there it is steep
            is_label = expected.dtype.kind == "i"
            assert_same_kind(found, there, None if is_label else there.dtype)
            if is_label:
                assert np.mean(on_host(found) == expected) > 0.98  # the rest are ties
            else:
                np.testing.assert_allclose(on_host(found), expected, rtol=tol, atol=tol)


@pytest.mark.parametrize("library", LIBRARIES)
@every_model
def test_a_fit_is_that_of_numpy(name, library):
    """From copies on the host, wherever X, y and the rest are; coefficients are NumPy arrays."""
    convert = LIBRARIES[library]
    model, n_classes = MODELS[name]
    y, s = target(n_classes), np.random.default_rng(1).integers(1, 4, N)
    fit(model, X, y, sample_weight=s, **options_of(model))
    learned = "components_" if isinstance(model, LinearEmbedding) else "coef_"
    expected = getattr(model, learned)
    score = model.score(X, y, **options_of(model)) if hasattr(model, "score") else None
    options = options_of(model, convert)
    fit(model, convert(X), convert(y), sample_weight=convert(s), **options)
    assert type(getattr(model, learned)) is np.ndarray
    np.testing.assert_array_equal(getattr(model, learned), expected)
    if score is not None:
        assert model.score(convert(X), convert(y), **options) == score


@pytest.mark.parametrize("library", LIBRARIES)
def test_labels(library):
    """Numbers are of X's kind; of strings there are no other arrays than those of NumPy."""
    there = LIBRARIES[library](X)
    for labels in (np.array([3, 7]), np.array([False, True]), np.array(["no", "yes"])):
        model = LinearClassifier("logistic").fit(X, labels[(Z > 0).astype(int)])
        found = model.predict(there)
        np.testing.assert_array_equal(on_host(found), model.predict(X))
        assert_same_kind(found, X if labels.dtype.kind == "U" else there)


@pytest.mark.parametrize("library", LIBRARIES)
def test_batches(library):
    convert = LIBRARIES[library]
    parts = [(X[k : k + 50], Z[k : k + 50]) for k in range(0, N, 50)]
    there = Batches([(convert(part), convert(z)) for part, z in parts])
    model = LinearRegressor("huber", max_iter=50).fit(there)
    np.testing.assert_allclose(model.coef_, LinearRegressor("huber").fit(X, Z).coef_, atol=1e-2)
    for found in model.predict(there):
        assert_same_kind(found, convert(Z))


@pytest.mark.parametrize("library", LIBRARIES)
def test_parts_of_a_stream(library):
    convert = LIBRARIES[library]
    model, expected = (LinearClassifier("logistic", solver=SGD(), random_state=0) for _ in "ab")
    y = target(3)
    expected.partial_fit(X, y, classes=[0, 1, 2])
    model.partial_fit(convert(X), convert(y), classes=convert(np.arange(3)))
    np.testing.assert_array_equal(model.coef_, expected.coef_)


@pytest.mark.parametrize("library", LIBRARIES)
def test_pairs(library):
    convert = LIBRARIES[library]
    t = np.where(Z[:100] > Z[100:], 1, -1)
    expected = RankSVM().fit_pairs(X[:100], X[100:], t).coef_
    found = RankSVM().fit_pairs(convert(X[:100]), convert(X[100:]), convert(t)).coef_
    np.testing.assert_array_equal(found, expected)
    model = fit(LinearEmbedding(n_components=2, max_iter=2, random_state=0), X, target(3))
    found = model.pair_distance(convert(X[:100]), convert(X[100:]))
    assert_same_kind(found, convert(X), convert(X).dtype)
    np.testing.assert_array_equal(on_host(found), model.pair_distance(X[:100], X[100:]))


@pytest.mark.parametrize("library", ["strict", "torch"])
def test_inside_of_scikit_learn(library):
    convert = LIBRARIES[library]
    model = make_pipeline(MaxAbsScaler(), LinearClassifier("logistic"))
    there, y = convert(X), convert(target(2))
    expected = model.fit(X, target(2)).predict_proba(X)
    found = model.fit(there, y).predict_proba(there)
    assert_same_kind(found, there)
    np.testing.assert_allclose(on_host(found), expected, atol=1e-6)
    assert cross_val_score(model, there, y, cv=2).mean() > 0.8


@pytest.mark.parametrize("library", LIBRARIES)
def test_metrics(library):
    convert = LIBRARIES[library]
    y = target(3)
    expected = pairwise_accuracy_score(y, X[:, 0], groups=GROUPS)
    found = pairwise_accuracy_score(convert(y), convert(X[:, 0]), groups=convert(GROUPS))
    assert found == expected


@pytest.mark.parametrize("library", LIBRARIES)
def test_pictures(library):
    pytest.importorskip("matplotlib").use("Agg")
    from sklearn_margin.plotting import EmbeddingDisplay, RankingDisplay

    there, y = LIBRARIES[library](X), LIBRARIES[library](target(3))
    embedding = fit(LinearEmbedding(n_components=3, max_iter=2, random_state=0), X, target(3))
    found = EmbeddingDisplay.from_estimator(embedding, there, y)
    expected = EmbeddingDisplay.from_estimator(embedding, X, target(3))
    np.testing.assert_allclose(abs(found.points), abs(expected.points), rtol=1e-6, atol=1e-9)
    ranker = fit(RankSVM(), X, target(3))
    found = RankingDisplay.from_estimator(ranker, there, y, ks=[1, 20])
    expected = RankingDisplay.from_estimator(ranker, X, target(3), ks=[1, 20])
    np.testing.assert_allclose(found.ndcg, expected.ndcg)


def test_integers_become_floats_and_zeros_in_sparse_coefficients_stay():
    model = LinearClassifier("logistic").fit(X, target(3)).sparsify()
    whole = np.round(X).astype(np.int64)
    found = model.decision_function(strict_array(whole))
    assert found.dtype == strict.float64
    np.testing.assert_allclose(on_host(found), model.decision_function(whole), rtol=1e-12)


def test_wrong_input_is_refused():
    model = LinearClassifier("logistic").fit(X, target(2))
    with pytest.raises(ValueError, match="NaN"):
        model.predict(strict_array(X * np.nan))
    with pytest.raises(ValueError, match="features"):
        model.predict(strict_array(X[:, :2]))
    for library in ("strict", "torch"):  # of which torch would leave out the imaginary part
        with pytest.raises(ValueError, match="Complex data not supported"):
            model.predict(LIBRARIES[library](X + 1j))


def test_without_dispatch_nothing_changes():
    model = LinearClassifier("logistic").fit(X, target(2))
    with config_context(array_api_dispatch=False):
        assert type(model.predict(strict_array(X))) is np.ndarray
        assert type(model.decision_function(strict_array(X))) is np.ndarray


def test_every_estimator_is_here():
    assert {type(model) for model, _ in MODELS.values()} == {
        cls
        for cls in vars(sklearn_margin).values()
        if isinstance(cls, type) and issubclass(cls, LossEstimator)
    }
