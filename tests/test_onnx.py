"""Models under onnxruntime predict what they predict here.

``python tests/test_onnx.py`` prints the table of errors that docs/user_guide/deploy.rst shows.
"""

import warnings

import numpy as np
import pandas as pd
import pytest
from planted import D, planted
from sklearn.base import is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklearn_margin import (
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
from sklearn_margin._calibration import Sigmoid
from sklearn_margin.losses import CrossEntropy, Focal, Logistic, ProbabilityLoss

onnxruntime = pytest.importorskip("onnxruntime")
skl2onnx = pytest.importorskip("skl2onnx")
from skl2onnx.common.data_types import (  # noqa: E402
    DoubleTensorType,
    FloatTensorType,
    Int64TensorType,
    StringTensorType,
)

N = 200
# Numbers of float32, so that both dtypes see the same rows.
X = np.random.default_rng(0).normal(size=(N, D)).astype(np.float32).astype(np.float64)
X32 = X.astype(np.float32)
LABELS = {
    "two": np.array(["no", "yes"]),
    "three": np.array(["a", "bé", "c"]),
    "integers": np.array([-7, 3, 40]),
    "booleans": np.array([False, True]),
    "floats": np.array([0.0, 1.0, 2.0]),
    "unsigned": np.array([3, 5], np.uint8),
}
TOLERANCE = {np.float32: 1e-5, np.float64: 1e-12}
both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


class Missed(ProbabilityLoss):
    """1 − p of the true class: somebody's own loss."""

    def phi(self, log_p, q):
        return q


class OwnLink(Logistic):
    """A loss with probabilities of its own."""

    def probability(self, z):
        return np.arctan(z) / np.pi + 0.5


def fitted(model, labels=None):
    z = X @ [1.0, -2.0, 0.5, 0.0] + 0.5 * np.random.default_rng(1).normal(size=N)
    options = {}
    if is_classifier(model) or isinstance(model, LinearEmbedding):
        k = len(labels)
        z = np.digitize(z if k == 2 else X[:, 0], np.quantile(z, np.arange(1, k) / k))
        z = labels[np.clip(z + (X[:, 1] > 0.5) * (k - 2), 0, k - 1)]
    elif isinstance(model, (LinearRanker, RankSVM)):
        z, options = np.digitize(z, [-1.0, 1.0]), {"groups": np.arange(N) // 10}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(X, z, **options)


CLASSIFIERS = {
    **{name: LinearClassifier(name) for name in LinearClassifier._losses},
    "smoothed labels": LinearClassifier(CrossEntropy(label_smoothing=0.1)),
    "focal, weighted": LinearClassifier(Focal(gamma=1.0)),
    "own": LinearClassifier(Missed()),
    "HingeClassifier": HingeClassifier(),
    "ordinal": OrdinalClassifier(),
    "ordinal, immediate": OrdinalClassifier(threshold="immediate"),
}
OTHERS = {
    **{f"regressor, {name}": LinearRegressor(name) for name in LinearRegressor._losses},
    **{f"ranker, {name}": LinearRanker(name) for name in LinearRanker._losses},
    "RankSVM": RankSVM(),
    "HuberRegressor": HuberRegressor(),
    "a quantile": QuantileRegressor(quantile=0.3),
    "a list of one": QuantileRegressor(quantile=[0.3]),
    "quantiles": QuantileRegressor(quantile=[0.9, 0.1, 0.5]),
    "quantiles, sorted": QuantileRegressor(quantile=[0.9, 0.1, 0.5], non_crossing=True),
}
FITTED = {
    "LinearClassifier": lambda: fitted(LinearClassifier("logistic"), LABELS["two"]),
    "LinearClassifier, 3 classes": lambda: fitted(LinearClassifier("logistic"), LABELS["three"]),
    "sigmoid": lambda: fitted(HingeClassifier(probability="sigmoid"), LABELS["two"]),
    "sigmoid, 3 classes": lambda: fitted(HingeClassifier(probability="sigmoid"), LABELS["three"]),
    "isotonic": lambda: fitted(HingeClassifier(probability="isotonic"), LABELS["two"]),
    "isotonic, 3 classes": lambda: fitted(HingeClassifier(probability="isotonic"), LABELS["three"]),
    "RankSVM": lambda: fitted(RankSVM()),
    "QuantileRegressor": lambda: fitted(QuantileRegressor(quantile=[0.2, 0.8])),
    "LinearEmbedding": lambda: embedding(normalize=False),
    "LinearEmbedding, of unit length": lambda: embedding(normalize=True),
}


def embedding(**params):
    model = LinearEmbedding(n_components=2, max_iter=2, random_state=0, **params)
    return fitted(model, LABELS["three"])


def session(model, types, target_opset=None, **options):
    options = {id(model): options} if options else None
    graph = skl2onnx.to_onnx(model, initial_types=types, options=options, target_opset=target_opset)
    return onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )


def run(model, X=X32, **options):
    """Outputs by name."""
    kind = {"f": FloatTensorType, "d": DoubleTensorType, "l": Int64TensorType}[X.dtype.char]
    runner = session(model, [("X", kind([None, X.shape[1]]))], **options)
    names = [output.name for output in runner.get_outputs()]
    return dict(zip(names, runner.run(None, {"X": X}), strict=True))


def relative_error(found, expected):
    expected = np.asarray(expected, np.float64).reshape(found.shape)
    return np.abs(found - expected).max() / max(1.0, np.abs(expected).max())


def scores_of(model, X):
    """Scores by class, as ``raw_scores`` has them."""
    z = model.decision_function(X)
    return z if z.ndim == 2 else np.column_stack([-z, z])


def check_labels(model, X, labels, tol):
    """The labels predicted, wherever scores differ by more than rounding."""
    best = np.sort(scores_of(model, X), axis=1)
    sure = best[:, -1] - best[:, -2] > 10 * tol * np.abs(best).max()
    assert sure.mean() > 0.9
    np.testing.assert_array_equal(labels[sure], model.predict(X)[sure])


def errors(model, dtype):
    """The largest error of each output relative to its scale, or to 1 if that is more."""
    Z = X.astype(dtype)
    if not is_classifier(model):
        expected = model.transform(X) if hasattr(model, "transform") else model.predict(X)
        return {"variable": relative_error(run(model, Z)["variable"], expected)}
    raw = run(model, Z, raw_scores=True, zipmap=False)
    assert list(raw) == ["label", "scores"]
    assert raw["scores"].dtype == dtype
    check_labels(model, X, raw["label"], TOLERANCE[dtype])
    found = {"scores": relative_error(raw["scores"], scores_of(model, X))}
    if hasattr(model, "predict_proba"):
        p = run(model, Z, zipmap=False)["probabilities"]
        assert p.dtype == dtype
        found["probabilities"] = relative_error(p, model.predict_proba(X))
    return found


@both_dtypes
@pytest.mark.parametrize("labels", ["two", "three"])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers(name, labels, dtype):
    model = planted(CLASSIFIERS[name], LABELS[labels])
    assert max(errors(model, dtype).values()) <= TOLERANCE[dtype]


@both_dtypes
@pytest.mark.parametrize("name", OTHERS)
def test_regressors_and_rankers(name, dtype):
    assert max(errors(planted(OTHERS[name]), dtype).values()) <= TOLERANCE[dtype]


@pytest.mark.parametrize("name", FITTED)
def test_fitted(name):
    model = FITTED[name]()
    for dtype, tol in TOLERANCE.items():
        found = errors(model, dtype)
        if name.startswith("isotonic") and dtype is np.float32:
            assert found.pop("probabilities") < 0.05  # where the map is steep, so are its errors
        assert max(found.values()) <= tol


@pytest.mark.parametrize("labels", LABELS)
def test_labels_of_any_type(labels):
    model = planted(LinearClassifier("logistic"), LABELS[labels])
    check_labels(model, X, run(model, zipmap=False)["label"], 1e-5)


def test_labels_that_onnx_does_not_have():
    for labels in (
        np.array([0.5, 1.0]),
        np.array([1, "a"], dtype=object),
        np.array([1, 2**63 + 5], dtype=np.uint64),
        np.array([0.0, np.inf]),
    ):
        model = planted(LinearClassifier("logistic"), labels)
        with pytest.raises(ValueError, match="labels must be strings or integers"):
            run(model)


@both_dtypes
@pytest.mark.parametrize("labels", ["three", "integers"])
def test_zipmap(labels, dtype):
    model = planted(LinearClassifier("logistic"), LABELS[labels])
    P, Z = model.predict_proba(X), X.astype(dtype)
    zipped = run(model, Z)
    assert list(zipped) == ["output_label", "output_probability"]
    assert list(zipped["output_probability"][0]) == model.classes_.tolist()
    rows = [list(row.values()) for row in zipped["output_probability"]]
    np.testing.assert_allclose(rows, P, atol=1e-5)
    columns = run(model, Z, zipmap="columns")
    prefix = "i" if labels == "integers" else "s"
    assert list(columns) == ["output_label", *(f"{prefix}{c}" for c in model.classes_)]
    for label, p in zip(model.classes_, P.T, strict=True):
        np.testing.assert_allclose(columns[f"{prefix}{label}"], p, atol=1e-5)


def test_scores_are_not_zipped_where_there_are_no_probabilities():
    assert list(run(planted(HingeClassifier(), LABELS["two"]))) == ["label", "scores"]


def test_ties_are_as_in_predict():
    """A score of zero is the first of two classes."""
    model = planted(LinearClassifier("logistic"), LABELS["two"])
    model.intercept_[:] = 0
    assert run(model, 0 * X32, zipmap=False)["label"][0] == model.predict(0 * X)[0] == "no"


@both_dtypes
@pytest.mark.parametrize("labels", ["two", "three"])
def test_probabilities_of_scores_far_from_zero(labels, dtype):
    """Shares of tiny sigmoids, and those themselves: onnxruntime's are 0 below −17 or so."""
    model = planted(HingeClassifier(probability="sigmoid"), LABELS[labels])
    model.calibrators_ = [Sigmoid(1.0, 0.5)] * len(model.coef_)
    model.coef_ = np.array([1.0, 1.2, 1.1])[: len(model.coef_), None] * np.eye(D)[0]
    model.intercept_ = 0 * model.intercept_
    rows = np.outer([-5.0, -15, -30, -80, -400, 5, 15, 400], np.eye(D)[0])
    expected = model.predict_proba(rows)
    found = run(model, rows.astype(dtype), zipmap=False)["probabilities"]
    np.testing.assert_allclose(found, expected, atol=TOLERANCE[dtype])
    tiny = expected[:3, -1]
    np.testing.assert_allclose(found[:3, -1], tiny, rtol=10 * TOLERANCE[dtype])


@pytest.mark.parametrize("opset", [9, 10, 11, 13, 18])
def test_operators_of_older_runtimes(opset):
    models = (
        planted(LinearEmbedding(normalize=True)),
        planted(QuantileRegressor(quantile=[0.9, 0.1, 0.5, 0.1], non_crossing=True)),
        planted(HingeClassifier(), LABELS["integers"]),
    )
    for model in models:
        # Some runtimes have no ArgMax of float64 that old.
        found = run(model, X32 if is_classifier(model) else X, target_opset=opset)
        predicted = model.transform(X) if hasattr(model, "transform") else model.predict(X)
        for output in ("variable", "label"):
            if output in found:
                np.testing.assert_array_almost_equal(found[output], predicted, decimal=12)


def test_sparse_coefficients():
    model = planted(LinearClassifier("logistic"), LABELS["three"]).sparsify()
    assert max(errors(model, np.float64).values()) <= 1e-12
    ranker = planted(RankSVM()).sparsify()
    assert max(errors(ranker, np.float64).values()) <= 1e-12


def test_one_against_the_rest_of_which_none_is_likely():
    """Where all probabilities vanish they are equal, as in ``predict_proba``."""
    model = fitted(HingeClassifier(probability="isotonic"), LABELS["three"])
    model.coef_, model.intercept_ = 0 * model.coef_, np.full(3, -1e6)
    found = run(model, X[:2], zipmap=False)["probabilities"]
    np.testing.assert_allclose(found, model.predict_proba(X[:2]))


def test_isotonic_of_one_value():
    model = fitted(HingeClassifier(probability="isotonic"), LABELS["two"])
    model.calibrators_[0].fit([1.0, 2.0], [0.25, 0.25])
    found = run(model, zipmap=False)["probabilities"]
    np.testing.assert_allclose(found, np.tile([0.75, 0.25], (N, 1)))


def test_rows_of_zeros_and_of_extremes_have_an_embedding():
    model = embedding(normalize=True)
    for dtype, size in ((np.float32, 1e18), (np.float64, 1e150)):
        rows = np.array([[0.0], [1.0], [size], [1 / size]]) * X32[0].astype(dtype)
        found = run(model, rows.astype(dtype))["variable"]
        np.testing.assert_allclose(found, model.transform(rows.astype(np.float64)), atol=1e-5)


# --- inside of other estimators -----------------------------------------------------------------


def frame():
    table = pd.DataFrame(X[:, :2].copy(), columns=["price", "stars"])
    table.loc[::7, "price"] = np.nan
    table["district"] = np.array(["centre", "harbour"])[(X[:, 2] > 0).astype(int)]
    return table


def test_in_a_pipeline_of_columns():
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), ["price", "stars"]),
        (OneHotEncoder(handle_unknown="ignore"), ["district"]),
    )
    table, y = frame(), (X[:, 0] + X[:, 2] > 0).astype(int)
    model = make_pipeline(columns, LinearClassifier("logistic")).fit(table, y)
    types = [
        ("price", FloatTensorType([None, 1])),  # onnxruntime has no Imputer of float64
        ("stars", FloatTensorType([None, 1])),
        ("district", StringTensorType([None, 1])),
    ]
    runner = session(model, types, zipmap=False)
    given = {name: table[[name]].to_numpy() for name in table}
    given = {name: v if name == "district" else v.astype(np.float32) for name, v in given.items()}
    labels, p = runner.run(None, given)
    np.testing.assert_array_equal(labels, model.predict(table))
    np.testing.assert_allclose(p, model.predict_proba(table), atol=1e-5)


def test_zipmap_is_the_default_in_a_pipeline():
    model = make_pipeline(StandardScaler(), LinearClassifier("logistic"))
    model.fit(X, LABELS["two"][(X[:, 0] > 0).astype(int)])
    assert list(run(model)) == ["output_label", "output_probability"]


def test_a_column_each():
    """As skl2onnx sees a data frame: rows come as several inputs."""
    model = planted(RankSVM())
    runner = session(model, [(f"x{j}", FloatTensorType([None, 1])) for j in range(D)])
    found = runner.run(None, {f"x{j}": X32[:, j : j + 1] for j in range(D)})[0]
    np.testing.assert_allclose(found.ravel(), model.predict(X), atol=1e-5)


def test_columns_in_another_order():
    """They are told by their names, where the model knows these."""
    model = planted(RankSVM())
    model.feature_names_in_ = np.array([f"x{j}" for j in range(D)], dtype=object)
    table = pd.DataFrame(X32, columns=model.feature_names_in_)
    graph = skl2onnx.to_onnx(model, table[:1].iloc[:, ::-1]).SerializeToString()
    runner = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    found = runner.run(None, {name: table[[name]].to_numpy() for name in table})[0]
    np.testing.assert_allclose(found.ravel(), model.predict(table), atol=1e-5)


def test_inputs_of_another_width():
    model = planted(RankSVM())
    for width in (D - 1, D + 1):
        with pytest.raises(ValueError, match=f"inputs have {width} columns.*{D} features"):
            session(model, [("X", FloatTensorType([None, width]))])


def test_integers():
    model = planted(RankSVM())
    Z = np.round(3 * X).astype(np.int64)
    np.testing.assert_allclose(run(model, Z)["variable"].ravel(), model.predict(Z), rtol=1e-5)


def test_an_embedding_before_a_classifier():
    y = LABELS["three"][np.digitize(X[:, 0], [-0.5, 0.5])]
    first, last = LinearEmbedding(n_components=2, max_iter=2), LinearClassifier("logistic")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = make_pipeline(first, last).fit(X, y)
    found = run(model, X, zipmap=False)["probabilities"]
    np.testing.assert_allclose(found, model.predict_proba(X), atol=1e-12)


def test_after_a_search():
    y = (X[:, 0] > 0).astype(int)
    search = GridSearchCV(LinearClassifier("logistic"), {"alpha": [1e-2, 1.0]}, cv=2).fit(X, y)
    for model in (search.best_estimator_, search):
        found = run(model, zipmap=False)
        np.testing.assert_array_equal(found["label"], search.predict(X))
    ranker = GridSearchCV(LinearRegressor("huber"), {"alpha": [1e-2, 1.0]}, cv=2).fit(X, X[:, 0])
    np.testing.assert_allclose(run(ranker)["variable"].ravel(), ranker.predict(X), atol=1e-5)


def test_calibrated_by_scikit_learn():
    """Its converter looks classes up: they have to be known before."""
    HingeClassifier().onnx_parser()
    for labels in ("two", "three"):
        y = LABELS[labels][np.digitize(X[:, 0], [-0.5, 0.5][: len(LABELS[labels]) - 1])]
        model = CalibratedClassifierCV(HingeClassifier(), cv=2).fit(X, y)
        found = run(model, X, zipmap=False)["probabilities"]
        np.testing.assert_allclose(found, model.predict_proba(X), atol=1e-6)


# --- what cannot be converted -------------------------------------------------------------------


def test_not_fitted():
    for model in (LinearClassifier(), RankSVM(), LinearEmbedding(), QuantileRegressor()):
        with pytest.raises(NotFittedError, match=type(model).__name__):
            run(model)


def test_probabilities_of_ones_own():
    model = planted(LinearClassifier(OwnLink()), LABELS["two"])
    with pytest.raises(NotImplementedError, match=r"loss OwnLink.*raw_scores"):
        run(model)
    found = run(model, raw_scores=True, zipmap=False)
    np.testing.assert_allclose(found["scores"], scores_of(model, X), atol=1e-5)


def test_calibrators_of_ones_own():
    model = planted(HingeClassifier(), LABELS["two"])
    model.calibrators_ = [object()]
    with pytest.raises(NotImplementedError, match="calibrator"):
        run(model)


def test_unknown_options():
    with pytest.raises(NameError, match="nocl"):
        run(planted(LinearClassifier("logistic"), LABELS["two"]), nocl=True)


def table():
    """Print the table of maximal errors."""
    cases = [
        ("LinearClassifier, every loss, 2 and 3 classes", [
            planted(CLASSIFIERS[name], LABELS[labels])
            for name in CLASSIFIERS if name != "HingeClassifier" for labels in ("two", "three")
        ]),
        ("HingeClassifier", [planted(HingeClassifier(), LABELS[k]) for k in ("two", "three")]),
        *[(f"HingeClassifier, {name}", [FITTED[name](), FITTED[f"{name}, 3 classes"]()])
          for name in ("sigmoid", "isotonic")],
        ("LinearRegressor, every loss", models(OTHERS, "regressor")),
        ("HuberRegressor", [planted(OTHERS["HuberRegressor"])]),
        ("QuantileRegressor, one and several", models(OTHERS, "a quantile", "a list", "quantiles")),
        ("RankSVM", [planted(RankSVM())]),
        ("LinearRanker, every loss", models(OTHERS, "ranker")),
        ("LinearEmbedding", [FITTED["LinearEmbedding"]()]),
        ("LinearEmbedding, normalize=True", [FITTED["LinearEmbedding, of unit length"]()]),
    ]  # fmt: skip
    for name, some in cases:
        for output in ("scores", "probabilities", "variable"):
            found = [
                max((errors(model, dtype).get(output, np.nan) for model in some), key=np.nan_to_num)
                for dtype in TOLERANCE
            ]
            if np.isfinite(found).any():
                what = "predictions" if output == "variable" else output
                print(f"{name:48s}{what:15s}{found[0]:10.1e}{found[1]:10.1e}")


def models(cases, *beginnings):
    return [planted(model) for name, model in cases.items() if name.startswith(beginnings)]


if __name__ == "__main__":
    table()
