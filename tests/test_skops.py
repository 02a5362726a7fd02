"""Models come back from files of skops, by the list of types that is exported."""

import importlib
import warnings

import numpy as np
import pandas as pd
import pytest
from planted import D, planted
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    KBinsDiscretizer,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
    TargetEncoder,
)

import sklearn_margin
from sklearn_margin import (
    SKOPS_TRUSTED,
    HingeClassifier,
    LinearClassifier,
    LinearEmbedding,
    LinearRegressor,
    QuantileRegressor,
    RankSVM,
)
from sklearn_margin._base.estimator import LossEstimator
from sklearn_margin.losses import CrossEntropy, ProbabilityLoss
from sklearn_margin.solvers import SGD, SOLVERS, Adam

skops = pytest.importorskip("skops.io")

X = np.random.default_rng(0).normal(size=(90, D))
Y = (X[:, :3] + 0.3 * np.random.default_rng(1).normal(size=(90, 3))).argmax(axis=1)
LABELS = {"two": np.array(["no", "yes"]), "three": np.array([3, 5, 9])}
ESTIMATORS = {
    name: cls
    for name, cls in vars(sklearn_margin).items()
    if isinstance(cls, type) and issubclass(cls, LossEstimator)
}


class Mine(ProbabilityLoss):
    """Somebody's own loss: 1 − p."""

    def phi(self, log_p, q):
        return q


def through_a_file(model, trusted=SKOPS_TRUSTED):
    return skops.loads(skops.dumps(model), trusted=trusted)


def fit(model, *data, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(*data, **options)


def assert_same_results(found, model, rows=X):
    assert type(found) is type(model)
    methods = ("predict", "predict_proba", "decision_function", "transform")
    for method in methods:
        assert hasattr(found, method) == hasattr(model, method)
        if hasattr(model, method):
            expected = getattr(model, method)(rows)
            np.testing.assert_array_equal(getattr(found, method)(rows), expected)
    assert any(hasattr(model, method) for method in methods)


def losses_of(cls):
    """A loss object of each name that an estimator knows."""
    return [loss() for loss in cls._losses.values()] if "loss" in cls._get_param_names() else [None]


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_estimator_with_every_loss_and_solver(name):
    cls = ESTIMATORS[name]
    for loss in losses_of(cls):
        model = cls() if loss is None else cls(loss)
        for labels in LABELS.values():
            assert_same_results(through_a_file(planted(model, labels)), model)
    for solver in SOLVERS.values():
        model = cls(solver=solver())
        found = through_a_file(model).get_params()
        assert repr(found) == repr(model.get_params())
        assert type(found["solver"]) is solver


FITS = {
    "sigmoid": lambda: fit(HingeClassifier(probability="sigmoid"), X, Y),
    "isotonic": lambda: fit(HingeClassifier(probability="isotonic"), X, Y),
    "smoothed": lambda: fit(LinearClassifier(CrossEntropy(label_smoothing=0.1)), X, Y > 0),
    "sparsified": lambda: fit(LinearClassifier("logistic"), X, Y).sparsify(),
    "of a frame": lambda: fit(LinearClassifier("logistic"), pd.DataFrame(X).add_prefix("x"), Y),
    "ranker": lambda: fit(RankSVM(), X, Y, groups=np.arange(90) // 9),
    "quantiles": lambda: fit(QuantileRegressor(quantile=[0.2, 0.8]), X, X[:, 0]),
    "embedding": lambda: fit(LinearEmbedding("arc_face", n_components=2, max_iter=2), X, Y),
}


@pytest.mark.parametrize("name", FITS)
def test_fitted(name):
    model = FITS[name]()
    rows = pd.DataFrame(X).add_prefix("x") if name == "of a frame" else X
    assert_same_results(through_a_file(model), model, rows)


@pytest.mark.parametrize(
    "model",
    [
        LinearClassifier("logistic", solver=SGD(), random_state=0),
        LinearRegressor("huber", solver=SGD(eta0=0.1), random_state=0),
        LinearEmbedding("arc_face", n_components=2, solver=Adam(), random_state=0),
    ],
    ids=["distance", "eta0", "adam"],
)
def test_learning_goes_on(model):
    options = {} if isinstance(model, LinearRegressor) else {"classes": [0, 1, 2]}
    model = clone(model).partial_fit(X, Y, **options)
    found = through_a_file(model)
    found.partial_fit(X, Y)
    model.partial_fit(X, Y)
    assert_same_results(found, model)


def test_in_a_pipeline_with_imputers_and_encoders():
    table = pd.DataFrame(X.copy(), columns=list("abcd"))
    table.loc[::7, "a"] = np.nan
    table["kind"] = np.array(["u", "v", "w"])[Y]
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), ["a"]),
        (KNNImputer(), ["a", "b"]),
        (KBinsDiscretizer(), ["c"]),
        (make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder()), ["kind"]),
        (OrdinalEncoder(), ["kind"]),
        (TargetEncoder(), ["kind"]),
    )
    model = make_pipeline(columns, RankSVM())
    model.fit(table, Y, ranksvm__groups=np.arange(90) // 9)
    assert_same_results(through_a_file(model), model, table)


def test_the_list_holds_only_classes_and_mostly_ours():
    assert sorted(set(SKOPS_TRUSTED)) == SKOPS_TRUSTED
    others = [name for name in SKOPS_TRUSTED if not name.startswith("sklearn_margin.")]
    assert others == ["numpy.dtype", "scipy.sparse._csr.csr_array"]
    for name in SKOPS_TRUSTED:
        module, _, cls = name.rpartition(".")
        assert isinstance(getattr(importlib.import_module(module), cls), type)


def test_a_loss_of_ones_own_has_to_be_named():
    model = planted(LinearClassifier(Mine()), LABELS["two"])
    with pytest.raises(TypeError, match=f"{Mine.__module__}.Mine"):
        through_a_file(model)
    name = f"{Mine.__module__}.Mine"
    assert_same_results(through_a_file(model, [*SKOPS_TRUSTED, name]), model)
