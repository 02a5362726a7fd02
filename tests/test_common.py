"""What every estimator promises, whatever it estimates."""

import inspect
import itertools
import math
import pickle
import re
import warnings
from collections import Counter
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn import config_context
from sklearn.base import TransformerMixin, clone, is_classifier, is_regressor
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn_releases import Callback, ProgressBar, ScoringMonitor

import sklearn_margin
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
from sklearn_margin._base.estimator import LossEstimator
from sklearn_margin.losses import Absolute, Hinge, Logistic, PairwiseHinge, Squared
from sklearn_margin.objective import Rows, rows
from sklearn_margin.solvers import LBFGS, SGD, Newton

N, D = 90, 4
EXPORTED = [
    cls
    for cls in (getattr(sklearn_margin, name) for name in sklearn_margin.__all__)
    if inspect.isclass(cls)
    and issubclass(cls, LossEstimator)
    and not issubclass(cls, TransformerMixin)  # test_embedding.py
]
# alpha is large enough for a unique, well-conditioned solution.
MODELS = {
    **{cls.__name__: cls(alpha=0.05) for cls in EXPORTED},
    "LinearClassifier-logistic": LinearClassifier("logistic", alpha=0.05),
    "LinearClassifier-logistic-l1": LinearClassifier("logistic", alpha=0.05, l1_ratio=0.5),
    "LinearRegressor-absolute": LinearRegressor("absolute", alpha=0.05),
    "LinearRegressor-huber": LinearRegressor("huber", alpha=0.05, solver="lbfgs"),
    "QuantileRegressor-list": QuantileRegressor(quantile=[0.7, 0.3], alpha=0.05),
}
# One of each kind, where the loss is beside the point.
KINDS = {
    "classifier": LinearClassifier("logistic", alpha=0.05),
    "regressor": LinearRegressor("huber", alpha=0.05),
    "ranker": LinearRanker(alpha=0.05),
    "quantiles": QuantileRegressor(quantile=[0.7, 0.3], alpha=0.05),
}

every_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
INTERCEPTS = {k: v for k, v in MODELS.items() if not isinstance(v, OrdinalClassifier)}
every_model_of_scores = pytest.mark.parametrize("model", INTERCEPTS.values(), ids=INTERCEPTS.keys())
every_class = pytest.mark.parametrize("cls", EXPORTED)
every_kind = pytest.mark.parametrize("model", KINDS.values(), ids=KINDS.keys())


def own_score(estimator, X, y, **metadata):
    """For ScoringMonitor, whose scoring=None fails in scikit-learn 1.9.1."""
    return {"score": estimator.score(X, y, **metadata)}


def is_ranker(model):
    return "groups" in inspect.signature(model.fit).parameters


class Data(NamedTuple):
    """Arguments of fit."""

    X: np.ndarray
    y: np.ndarray
    options: dict  # groups, for rankers


def data_for(model, n=N, seed=0):
    """Noisy data with zeros in X."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, D)) * (rng.random((n, D)) < 0.7)
    z = X @ [1.0, -2.0, 0.5, 0.0] + 0.5 * rng.normal(size=n)
    if is_classifier(model):
        return Data(X, (z > 0).astype(int), {})
    if is_regressor(model):
        return Data(X, z + 2.0, {})
    assert is_ranker(model), "give this kind of estimator data"
    return Data(X, np.digitize(z, [-1.0, 1.0]), {"groups": rng.integers(0, 4, n)})


def fit(model, X=None, y=None, **options):
    """A fitted copy, on the standard data unless told otherwise; any warning is an error."""
    data = data_for(model)
    X, y = data.X if X is None else X, data.y if y is None else y
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return clone(model).fit(X, y, **{**data.options, **options})


def n_problems(model):
    """How many objectives a fit to the standard data minimises."""
    quantile = getattr(model, "quantile", None)
    return len(quantile) if isinstance(quantile, list) else 1


def coef_shape(model):
    """Shape of ``coef_`` after a fit to the standard data."""
    several = isinstance(getattr(model, "quantile", None), list)
    return (n_problems(model), D) if several or is_classifier(model) else (D,)


def fitted_values(model):
    """Coefficients and intercept in one vector."""
    return np.append(np.ravel(model.coef_), getattr(model, "intercept_", 0.0)).astype(float)


def assert_same_model(one, other, rtol=1e-6, atol=1e-8):
    np.testing.assert_allclose(fitted_values(one), fitted_values(other), rtol=rtol, atol=atol)


def state_of(model):
    """Everything in the object, deeply, for comparison."""
    return {name: pickle.dumps(value) for name, value in vars(model).items()}


# --- input -----------------------------------------------------------------------------------


def read_only(X, tmp_path):
    X = X.copy()
    X.flags.writeable = False
    return X


def strided(X, tmp_path):
    wide = np.full((2 * X.shape[0], 3 * X.shape[1]), np.nan)
    wide[::2, ::3] = X
    return wide[::2, ::3]


def memory_mapped(X, tmp_path):
    np.save(tmp_path / "X.npy", X)
    return np.load(tmp_path / "X.npy", mmap_mode="r")


DENSE = {
    "fortran": lambda X, tmp_path: np.asfortranarray(X),
    "strided": strided,
    "reversed": lambda X, tmp_path: X[::-1, ::-1].copy()[::-1, ::-1],
    "read-only": read_only,
    "memory-mapped": memory_mapped,
    "list": lambda X, tmp_path: X.tolist(),
    "DataFrame": lambda X, tmp_path: pd.DataFrame(X, columns=list("abcd")),
    "big-endian": lambda X, tmp_path: X.astype(">f8"),
}


def csr_with(index_dtype):
    def convert(X):
        X = sp.csr_array(X)
        X.indices, X.indptr = X.indices.astype(index_dtype), X.indptr.astype(index_dtype)
        return X

    return convert


def csr_unsorted(X):
    """Columns of each row in descending order."""
    X = sp.csr_array(X)
    for i in range(X.shape[0]):
        where = slice(X.indptr[i], X.indptr[i + 1])
        X.indices[where], X.data[where] = X.indices[where][::-1].copy(), X.data[where][::-1].copy()
    X.has_sorted_indices = False
    return X


def csr_with_duplicates(X):
    """Every entry as the sum of two."""
    X = sp.csr_array(X)
    twice = sp.csr_array(X.shape)
    twice.indptr, twice.indices = 2 * X.indptr, np.repeat(X.indices, 2)
    twice.data = np.repeat(X.data / 2, 2)
    return twice


def csr_with_explicit_zeros(X):
    """All entries stored."""
    n, d = X.shape
    return sp.csr_array((X.ravel(), np.tile(np.arange(d), n), np.arange(0, n * d + 1, d)), X.shape)


def csr_read_only(X):
    X = sp.csr_array(X)
    for part in (X.data, X.indices, X.indptr):
        part.flags.writeable = False
    return X


SPARSE = {
    "csr32": csr_with(np.int32),
    "csr64": csr_with(np.int64),
    "csr_matrix": sp.csr_matrix,
    "csc": sp.csc_array,
    "coo": sp.coo_array,
    "unsorted": csr_unsorted,
    "duplicates": csr_with_duplicates,
    "explicit-zeros": csr_with_explicit_zeros,
    "read-only": csr_read_only,
}


@every_model
def test_any_dense_container(model, tmp_path):
    X = data_for(model).X
    expected = fit(model)
    for name, convert in DENSE.items():
        found = fit(model, convert(X, tmp_path))
        np.testing.assert_array_equal(found.coef_, expected.coef_, err_msg=name)
        np.testing.assert_allclose(
            found.predict(convert(X, tmp_path)), expected.predict(X), rtol=1e-12, err_msg=name
        )


@every_model
def test_any_sparse_container(model):
    X = data_for(model).X
    expected = fit(model)
    for name, convert in SPARSE.items():
        found = fit(model, convert(X))
        np.testing.assert_allclose(
            fitted_values(found), fitted_values(expected), rtol=1e-6, atol=1e-8, err_msg=name
        )
        assert isinstance(found.coef_, np.ndarray)
        np.testing.assert_allclose(
            np.asarray(found.predict(convert(X)), dtype=float),
            found.predict(X),
            rtol=1e-12,
            err_msg=name,
        )


@every_model
def test_sparse_indices_of_64_bits_stay(model, monkeypatch):
    """They are needed where nnz exceeds 2³¹: converting them would overflow, or copy X."""
    X = csr_with(np.int64)(data_for(model).X)
    seen = set()

    run = Rows.run

    def watched(self, function, items, *work, **more):
        matrices = [self.X, *(B for _, B in [*self.blocks, *self.slabs])]
        seen.update(part.dtype for B in matrices for part in (B.indices, B.indptr))
        return run(self, function, items, *work, **more)

    monkeypatch.setattr(Rows, "run", watched)
    fit(model, X)
    assert seen == {np.dtype(np.int64)}
    assert X.indices.dtype == np.int64


@every_model
@pytest.mark.parametrize("container", [np.array, sp.csr_array], ids=["dense", "csr"])
def test_float32(model, container):
    X = data_for(model).X
    single = fit(model, container(X.astype(np.float32)))
    double = fit(model, container(X.astype(np.float32).astype(np.float64)))
    assert single.coef_.dtype == np.float32
    assert double.coef_.dtype == np.float64
    assert np.asarray(getattr(single, "intercept_", np.float32(0))).dtype == np.float32
    assert_same_model(single, double, rtol=2e-3, atol=2e-4)
    scores = getattr(single, "decision_function", single.predict)
    assert scores(X.astype(np.float32)).dtype == np.float32
    assert scores(X).dtype == np.float64


@every_model
def test_other_dtypes_become_float64(model):
    positive = data_for(model).X > 0
    expected = fit(model, positive.astype(np.float64))
    for dtype in (np.int64, np.uint8, bool, object):
        found = fit(model, positive.astype(dtype))
        assert found.coef_.dtype == np.float64, dtype
        np.testing.assert_array_equal(found.coef_, expected.coef_, err_msg=str(dtype))


@every_model
def test_target_containers(model):
    data = data_for(model)
    expected = fit(model)
    targets = [
        data.y.tolist(),
        np.repeat(data.y, 2)[::2],
        data.y.astype(np.float32) if not is_regressor(model) else data.y.astype(object),
    ]
    # A series cannot be written to, which kernels of each loss are compiled for once more.
    if any(model is MODELS[cls.__name__] for cls in EXPORTED):
        targets.append(pd.Series(data.y, index=np.arange(N) + 7))
    for y in targets:
        np.testing.assert_array_equal(fit(model, y=y).coef_, expected.coef_)


@every_model
def test_arguments_are_not_modified(model):
    data = data_for(model)
    weight = np.random.default_rng(0).random(N)
    for X in (data.X.copy(), sp.csr_array(data.X)):
        y = data.y.copy()
        given = {"sample_weight": weight.copy(), **{k: v.copy() for k, v in data.options.items()}}
        fitted = fit(model, X, y, **given)
        fitted.predict(X)
        fitted.score(X, y, **given)
        np.testing.assert_array_equal(X.toarray() if sp.issparse(X) else X, data.X)
        np.testing.assert_array_equal(y, data.y)
        np.testing.assert_array_equal(given["sample_weight"], weight)
        for name, value in data.options.items():
            np.testing.assert_array_equal(given[name], value)


@every_model
def test_feature_names(model):
    frame = pd.DataFrame(data_for(model).X, columns=list("abcd"))
    fitted = fit(model, frame)
    assert list(fitted.feature_names_in_) == list("abcd")
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(frame[list("dcba")])
    with pytest.raises(ValueError, match="4 features"):
        fitted.predict(np.ones((2, 5)))


# --- weights ---------------------------------------------------------------------------------


@every_model
@pytest.mark.parametrize("container", [np.array, sp.csr_array], ids=["dense", "csr"])
def test_weights_are_repetitions(model, container):
    data = data_for(model)
    weight = np.random.default_rng(2).integers(0, 4, N)
    assert (weight == 0).any()
    repeat = np.repeat(np.arange(N), weight)
    options = {name: value[repeat] for name, value in data.options.items()}
    weighted = fit(model, container(data.X), sample_weight=weight)
    repeated = fit(model, container(data.X[repeat]), data.y[repeat], **options)
    assert_same_model(weighted, repeated)
    plain = fit(model, container(data.X))
    assert np.abs(fitted_values(plain) - fitted_values(weighted)).max() > 1e-3


@pytest.mark.compiled
@every_model
def test_weight_zero_drops_a_row_whatever_it_holds(model):
    data = data_for(model)
    X, y = data.X.copy(), data.y.copy()
    weight = np.ones(N)
    weight[:10] = 0
    X[:10] *= 1e3
    if is_regressor(model):
        y[:10] = 1e6
    if is_classifier(model):
        y[:10] = 7  # a class that has no weight does not exist
    options = {name: value[10:] for name, value in data.options.items()}
    assert_same_model(
        fit(model, X, y, sample_weight=weight), fit(model, X[10:], y[10:], **options), rtol=1e-5
    )


@every_model
def test_only_the_ratio_of_weights_counts(model):
    weight = np.random.default_rng(1).random(N)
    expected = fit(model, sample_weight=weight)
    for factor in (1e-3, 1e6, 1e-300, 1e300):
        assert_same_model(fit(model, sample_weight=factor * weight), expected)
    assert_same_model(fit(model, sample_weight=list(weight)), expected, rtol=0)
    plain = fit(model)
    for scalar in (3, 0.5, np.float32(2), np.array(2.0)):
        assert_same_model(fit(model, sample_weight=scalar), plain, rtol=0, atol=0)


WRONG_WEIGHTS = {
    "negative": np.r_[-1.0, np.ones(N - 1)],
    "nan": np.r_[np.nan, np.ones(N - 1)],
    "inf": np.r_[np.inf, np.ones(N - 1)],
    "zeros": np.zeros(N),
    "short": np.ones(N - 1),
    "long": np.ones(N + 1),
    "empty": np.ones(0),
    "two columns": np.ones((N, 2)),
    "strings": ["a"] * N,
    "None": [None] * N,
    "scalar zero": 0.0,
    "scalar negative": -1.0,
    "scalar nan": np.nan,
    "scalar inf": np.inf,
    "scalar string": "a",
    "scalar bool": True,
}


@every_class
def test_wrong_weights(cls):
    accepted = []
    for name, value in WRONG_WEIGHTS.items():
        try:
            fit(cls(), sample_weight=value)
        except (ValueError, TypeError) as error:
            if "sample_weight" not in str(error):
                accepted.append((name, str(error)))
        else:
            accepted.append((name, "no error"))
    assert not accepted


# --- data that is wrong ----------------------------------------------------------------------


@every_model
def test_wrong_X(model):
    data = data_for(model)
    for value in (np.nan, np.inf, -np.inf):
        for container in (np.array, sp.csr_array):
            X = data.X.copy()
            X[5, 2] = value
            with pytest.raises(ValueError, match=r"X contains (NaN|infinity)"):
                fit(model, container(X))
            with pytest.raises(ValueError, match=r"X contains (NaN|infinity)"):
                fit(model).predict(container(X))
    for wrong in (data.X[0], data.X[:, :0], data.X[:0], data.X + 1j, [["a"] * D] * N):
        with pytest.raises((ValueError, TypeError)):
            fit(model, wrong)
    with pytest.raises(ValueError, match="inconsistent"):
        fit(model, data.X[:-1])


@every_model
def test_wrong_y(model):
    data = data_for(model)
    for value in (np.nan, np.inf):
        y = data.y.astype(float)
        y[5] = value
        with pytest.raises(ValueError, match=r"y contains (NaN|infinity)"):
            fit(model, y=y)
    for wrong in (data.y[:0], np.tile(data.y[:, None], 3), data.y[0], 1j * data.y):
        with pytest.raises(ValueError):
            fit(model, y=wrong)
    with pytest.raises(ValueError, match="requires y to be passed"):
        clone(model).fit(data.X, None)
    if not is_classifier(model):
        with pytest.raises((ValueError, TypeError)):
            fit(model, y=["high"] * N)


@every_model
def test_not_fitted(model):
    X = data_for(model).X
    for method in ("predict", "decision_function", "predict_proba", "sparsify", "densify"):
        if hasattr(model, method):
            with pytest.raises(NotFittedError):
                getattr(clone(model), method)(*([] if method.endswith("ify") else [X]))


def solvers_of(name, model):
    """The solver of the model and, for each class that can learn incrementally, sgd."""
    if isinstance(model, HuberRegressor) or "-" in name:
        return [model.solver]
    return [model.solver, "sgd"]


@pytest.mark.parametrize(
    ("model", "solver"), [(m, solver) for k, m in MODELS.items() for solver in solvers_of(k, m)]
)
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_failed_fit_changes_nothing(model, solver):
    data = data_for(model)
    fitted = clone(model).set_params(solver=solver, max_iter=20)
    fitted.fit(pd.DataFrame(data.X, columns=list("abcd")), data.y, **data.options)
    before, prediction = state_of(fitted), fitted.predict(data.X)
    few = {name: value[:8] for name, value in data.options.items()}
    bad, narrow, y = np.full((8, 2), np.nan), np.ones((8, 2)), data.y[:8]
    attempts = [
        (fitted.fit, bad, y, few),
        (fitted.fit, narrow, data.y[:7], few),
        (fitted.fit, narrow, None, few),
        (fitted.fit, narrow, y, {**few, "sample_weight": -1}),
    ]
    if solver == "sgd" and hasattr(fitted, "partial_fit"):
        attempts += [
            (fitted.partial_fit, bad, y, few),
            (fitted.partial_fit, narrow, y, few),
            (fitted.partial_fit, data.X[:8], data.y[:7], few),
            (fitted.partial_fit, data.X[:8], y, {**few, "sample_weight": -1}),
        ]
    for method, X, target, options in attempts:
        with pytest.raises((ValueError, TypeError)):
            method(X, target, **options)
        assert state_of(fitted) == before
    fitted.alpha = -1
    with pytest.raises(ValueError, match="alpha"):
        fitted.fit(data.X[:, :2], data.y, **data.options)
    fitted.alpha = model.alpha
    assert state_of(fitted) == before
    np.testing.assert_array_equal(fitted.predict(data.X), prediction)


@pytest.mark.sklearn("1.9")
@every_kind
def test_an_interrupted_fit_changes_nothing(model):
    data = data_for(model)
    fitted = fit(model)
    before = state_of(fitted)

    class Interrupt(Callback):
        def on_fit_task_end(self, estimator, context):
            if context.task_name == "iteration":
                raise KeyboardInterrupt

    fitted.set_callbacks(Interrupt())
    with pytest.raises(KeyboardInterrupt):
        fitted.fit(2 * data.X, data.y, **data.options)
    fitted.set_callbacks()
    assert state_of(fitted) == before


# --- parameters ------------------------------------------------------------------------------

NONSENSE = [object(), [1.0], {"a": object()}, np.ones(2)]
NOT_A_NUMBER = [None, "a", "1", *NONSENSE, math.nan, math.inf, -math.inf, 1j, True]
WRONG = {
    "alpha": [*NOT_A_NUMBER, -1e-9],
    "class_weight": [
        "a", "Balanced", 1.0, *NONSENSE, {"no such label": 1}, {0: -1.0}, {0: math.nan}, {0: "a"},
        {0: 0.0, 1: 0.0},
    ],
    "epsilon": [*NOT_A_NUMBER, 0.99, 0, -1],
    "classes": [[0, 0], ["x", "z"], *NONSENSE],
    "threshold": [None, "a", "", 1, math.nan, *NONSENSE],
    "coef_bounds": [1, "ab", (), (1,), (0, -1), (math.nan, None), (None, "a"), ([0] * 99, None),
                    {"x": (0, 1)}, *NONSENSE],
    "penalty_factors": [1, "a", [1], [-1] * 3, [math.nan] * 3, {"x": 1}, *NONSENSE],
    "fit_intercept": [None, "a", 2, 1.0, math.nan, *NONSENSE],
    "l1_ratio": [*NOT_A_NUMBER, -0.01, 1.01],
    "loss": [None, "a", "", "Hinge", 1, math.nan, *NONSENSE, Hinge, PairwiseHinge],
    "margin": [*NOT_A_NUMBER, -0.1],
    "max_iter": [*NOT_A_NUMBER, 0, -1, 1.5, 10.0],
    "non_crossing": [None, "a", 2, 1.0, math.nan, *NONSENSE],
    "n_jobs": [v for v in NOT_A_NUMBER if v is not None] + [0, 1.5],
    "probability": ["a", "", "platt", 1, math.nan, *NONSENSE, True],
    "quantile": [
        *NOT_A_NUMBER, 0, 1, 1.0, -0.1, 1.5, [], (), np.ones(0), [0.5, 2], [0.5, None], [[0.5]],
        np.full((2, 2), 0.5), [True], ["a"], (0.5, math.nan), {0.5}, {0.5: 1.0},
    ],
    "random_state": ["a", 1.5, -1, math.nan, *NONSENSE[:1]],
    "scale": [v for v in NOT_A_NUMBER if v is not None] + [0, -1.0],
    "solver": [None, "a", "", "Newton", 1, math.nan, *NONSENSE, Newton],
    "tol": [*NOT_A_NUMBER, -1e-9],
    "verbose": [None, "a", -1, 1.5, math.nan, *NONSENSE],
    "warm_start": [None, "a", 2, 1.0, math.nan, *NONSENSE],
    "weighting": [None, "a", "", 1, math.nan, *NONSENSE],
}  # fmt: skip


@every_class
def test_wrong_parameters(cls):
    parameters = set(cls().get_params(deep=False))
    assert parameters <= set(WRONG), "say which values of these parameters are wrong"
    accepted = []
    for parameter, value in [(name, value) for name in sorted(parameters) for value in WRONG[name]]:
        try:
            fit(cls(**{parameter: value}))
        except (ValueError, TypeError) as error:
            if re.search(rf"\b{parameter}\b", str(error)):
                continue
            accepted.append((parameter, value, str(error)))
        else:
            accepted.append((parameter, value, "no error"))
    assert not accepted


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (LinearClassifier(PairwiseHinge()), "loss"),
        (LinearClassifier(Squared()), "LinearRegressor"),
        (LinearClassifier("squared"), "loss"),
        (LinearClassifier(Hinge(margin=-1.0)), "margin"),
        (LinearRegressor(Hinge()), "LinearClassifier"),
        (LinearRegressor("hinge"), "loss"),
        (LinearRanker(Hinge()), "loss"),
        (LinearRanker("absolute"), "loss"),
        (LinearRanker(PairwiseHinge(weighting="a")), "weighting"),
        (LinearClassifier(solver=SGD(batch_size=0)), "batch_size"),
        (LinearRegressor(solver=SGD(schedule="a")), "schedule"),
        (LinearRanker(solver=SGD(eta0=-1.0)), "eta0"),
        (LinearRegressor(solver=LBFGS(memory=0)), "memory"),
        (LinearRegressor(solver=Newton(gram_max="a")), "gram_max"),
        (HingeClassifier(solver="newton"), "solver='newton' .*interior_point"),
        (HingeClassifier(solver="lbfgs"), "solver='lbfgs' .*interior_point"),
        (HuberRegressor(solver="sgd"), "solver='sgd' .*newton"),
        (HuberRegressor(solver="interior_point"), "solver='interior_point' .*newton"),
        (QuantileRegressor(solver="newton"), "solver='newton' .*interior_point"),
        (LinearRegressor(solver="newton", l1_ratio=0.5), "l1_ratio.*lbfgs"),
        (RankSVM(loss="hinge", solver="newton"), "solver='newton' .*subgradient"),
        (RankSVM(solver="interior_point"), "solver='interior_point' .*newton"),
    ],
)
def test_wrong_combinations(model, message):
    with pytest.raises((ValueError, TypeError), match=message):
        fit(model)


@every_class
def test_numpy_numbers_are_parameters(cls):
    options = {
        "alpha": np.float32(0.0625), "l1_ratio": np.int64(0), "tol": np.float64(1e-4),
        "max_iter": np.int32(1000), "n_jobs": np.int64(1), "verbose": np.bool_(False),
        "warm_start": np.bool_(False),
    }  # fmt: skip
    assert_same_model(fit(cls(**options)), fit(cls(alpha=0.0625)), rtol=0, atol=0)


@every_class
def test_parameters_are_stored_as_given(cls):
    """And keyword-only, but for the loss; in the order that all estimators share."""
    names = list(cls().get_params(deep=False))
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    for parameter in parameters:
        if not (parameter.name == "loss" and cls.__name__.startswith(("Linear", "Ordinal"))):
            assert parameter.kind == parameter.KEYWORD_ONLY
    common = [
        "alpha", "l1_ratio", "fit_intercept", "solver", "tol", "max_iter", "warm_start", "n_jobs",
        "random_state", "verbose",
    ]  # fmt: skip
    if issubclass(cls, (LinearRanker, RankSVM, OrdinalClassifier)):
        common.remove("fit_intercept")
    assert [p.name for p in parameters if p.name in common] == common
    defaults = {p.name: p.default for p in parameters}
    assert (defaults["alpha"], defaults["tol"], defaults["max_iter"]) == (1e-4, 1e-4, 1000)
    marks = {name: object() for name in names}
    assert all(getattr(cls(**marks), name) is mark for name, mark in marks.items())


# --- results ---------------------------------------------------------------------------------


@every_model_of_scores
def test_attributes(model):
    fitted = fit(model)
    assert fitted.n_features_in_ == D
    assert isinstance(fitted.n_iter_, int)
    assert 1 <= fitted.n_iter_ <= fitted.max_iter
    assert isinstance(fitted.solver_, str)
    assert fitted.coef_.shape == coef_shape(model)
    assert hasattr(fitted, "intercept_") == hasattr(fitted, "fit_intercept")
    if not is_ranker(model):
        assert np.shape(fitted.intercept_) == coef_shape(model)[:-1]
    if hasattr(fitted, "fit_intercept"):
        assert np.all(fit(clone(model).set_params(fit_intercept=False)).intercept_ == 0)


@every_model_of_scores
def test_prediction_is_linear(model):
    data, fitted = data_for(model), fit(model)
    scores = data.X @ fitted.coef_.T + getattr(fitted, "intercept_", 0.0)
    if is_classifier(model):
        scores = scores.ravel()
        np.testing.assert_allclose(fitted.decision_function(data.X), scores, rtol=1e-12, atol=1e-14)
        np.testing.assert_array_equal(fitted.predict(data.X), fitted.classes_[(scores > 0) * 1])
    else:
        np.testing.assert_allclose(fitted.predict(data.X), scores, rtol=1e-12, atol=1e-14)
    enough = 0.6 if isinstance(model, QuantileRegressor) else 0.8  # D² is about 1 − √(1 − R²)
    assert fitted.score(data.X, data.y, **data.options) > enough


@every_model
def test_clone_pickle_repr(model):
    data, fitted = data_for(model), fit(model)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(data.X), fitted.predict(data.X))
    assert repr(again) == repr(fitted)
    assert type(fitted).__name__ in repr(fitted)
    assert "alpha=0.05" in repr(fitted)
    copy = clone(fitted)
    assert not hasattr(copy, "coef_")
    assert copy.get_params(deep=False) == model.get_params(deep=False)
    np.testing.assert_array_equal(fit(copy).coef_, fitted.coef_)
    assert f"{type(fitted).__name__}" in fitted._repr_html_()


@every_model
def test_refitting_forgets(model):
    data = data_for(model)
    fitted = fit(model)
    narrow = fit(model, data.X[:, :2])
    fitted.fit(data.X[:, :2], data.y, **data.options)
    np.testing.assert_array_equal(fitted.coef_, narrow.coef_)
    assert set(vars(fitted)) == set(vars(narrow))


@every_model
def test_sparsify(model):
    data = data_for(model)
    fitted = fit(clone(model).set_params(alpha=0.2, l1_ratio=0.9, solver="auto"))
    coef, prediction = fitted.coef_.copy(), fitted.predict(data.X)
    assert fitted.sparsify() is fitted
    assert sp.issparse(fitted.coef_)
    assert fitted.coef_.nnz == np.count_nonzero(coef)
    for X in (data.X, sp.csr_array(data.X)):
        np.testing.assert_allclose(np.asarray(fitted.predict(X), float), prediction, rtol=1e-12)
    again = pickle.loads(pickle.dumps(fitted)).sparsify()
    assert again.densify() is again
    np.testing.assert_array_equal(again.coef_, coef)
    np.testing.assert_array_equal(again.densify().coef_, coef)
    # A model that was made sparse can be fitted again, from where it is.
    warm = fitted.set_params(warm_start=True, max_iter=1000).fit(data.X, data.y, **data.options)
    assert isinstance(warm.coef_, np.ndarray)
    np.testing.assert_allclose(warm.coef_, coef, rtol=1e-3, atol=1e-4)


@every_model
def test_warm_start(model):
    data = data_for(model)
    cold = fit(model)
    warm = clone(cold).set_params(warm_start=True)
    first = warm.fit(data.X, data.y, **data.options).n_iter_
    assert_same_model(warm, cold, rtol=0)
    warm.fit(data.X, data.y, **data.options)
    assert_same_model(warm, cold, rtol=1e-5, atol=1e-6)
    if warm.solver_ in ("newton", "lbfgs") and first > 1:
        assert warm.n_iter_ < first
    # Other features, other labels: it begins anew.
    warm.fit(data.X[:, :2], data.y, **data.options)
    assert_same_model(warm, fit(model, data.X[:, :2]), rtol=1e-5, atol=1e-6)


@every_model
def test_not_converged(model):
    data = data_for(model)
    model = clone(model).set_params(max_iter=1, tol=1e-8)
    if isinstance(model, LinearRegressor) and model.loss == "squared":
        model.set_params(solver="lbfgs")  # Newton's method needs one step
    with pytest.warns(ConvergenceWarning, match=r"(?s)1 iterations .*max_iter") as record:
        model.fit(data.X, data.y, **data.options)
    assert len(record) == 1
    assert record[0].filename == __file__  # the warning points at the call
    assert model.n_iter_ == 1
    assert np.isfinite(fitted_values(model)).all()
    assert np.isfinite(model.predict(data.X)).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.set_params(max_iter=5000, tol=1e-4).fit(data.X, data.y, **data.options)


@pytest.mark.compiled
@every_model
def test_tol_zero_asks_for_all_it_can(model):
    """No warning: nothing could satisfy the user."""
    exact = fit(clone(model).set_params(tol=0, max_iter=100))
    assert exact.n_iter_ <= exact.max_iter
    assert_same_model(exact, fit(model), rtol=1e-4, atol=1e-5)


@every_model
def test_verbose_prints(model, capsys):
    fitted = fit(clone(model).set_params(verbose=1))
    name = type(model).__name__
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith(f"[{name}] ") for line in lines)
    lines = [line for line in lines if " iteration " in line]
    pattern = rf"\[{name}\] iteration (\d+): ([^,]+),.* reads of X, \S+ s"
    matches = [re.fullmatch(pattern, line) for line in lines]
    iterations, values = [int(m[1]) for m in matches], [float(m[2]) for m in matches]
    firsts = [i for i, iteration in enumerate(iterations) if iteration == 1]
    assert len(firsts) == n_problems(model)
    assert max(iterations) == fitted.n_iter_
    for first, end in itertools.pairwise([*firsts, len(lines)]):
        assert iterations[first:end] == list(range(1, end - first + 1))
        assert values[end - 1] <= values[first]
    unseen = fit(model)
    assert capsys.readouterr().out == ""
    np.testing.assert_array_equal(unseen.coef_, fitted.coef_)


@every_model
@pytest.mark.usefixtures("threads")
def test_n_jobs(model, monkeypatch):
    monkeypatch.setattr(rows, "_BLOCK_BYTES", 1 << 10)
    data = data_for(model, n=300)
    expected = fit(model, data.X, data.y, **data.options)
    for n_jobs in (2, 3):
        threaded = clone(model).set_params(n_jobs=n_jobs)
        threaded = fit(threaded, data.X, data.y, **data.options)
        assert_same_model(threaded, expected, rtol=0, atol=0)


@every_class
def test_n_jobs_of_minus_one_is_every_core(cls):
    assert_same_model(fit(cls(n_jobs=-1)), fit(cls()), rtol=0, atol=0)


@every_model
def test_degenerate_columns(model):
    """A constant column and an empty one get no weight, and disturb nothing."""
    data = data_for(model)
    zeros = np.zeros((N, 1))
    for container in (np.array, sp.csr_array):
        wide = fit(model, container(np.hstack([zeros, data.X])))
        np.testing.assert_array_equal(wide.coef_[..., 0], 0)
        assert_same_model_but_first(wide, fit(model))
        if not hasattr(model, "fit_intercept"):
            continue
        wide = fit(model, container(np.hstack([zeros + 7.0, data.X])))
        np.testing.assert_allclose(wide.coef_[..., 0], 0, atol=1e-6)
        assert_same_model_but_first(wide, fit(model))


def assert_same_model_but_first(wide, model):
    np.testing.assert_allclose(wide.coef_[..., 1:], model.coef_, rtol=1e-5, atol=1e-6)


@every_model
@pytest.mark.parametrize("container", [np.array, sp.csr_array], ids=["dense", "csr"])
def test_units_of_features_do_not_matter_without_a_penalty(model, container):
    model = clone(model).set_params(alpha=0.0)
    scale = np.array([1e150, 1e-150, 1.0, 1e3])
    plain = fit(model, container(data_for(model).X))
    scaled = fit(model, container(data_for(model).X * scale))
    np.testing.assert_allclose(scaled.coef_ * scale, plain.coef_, rtol=1e-5, atol=1e-6)


@every_model
def test_offsets_of_features_do_not_matter(model):
    """Means 10⁶ times the spread: scikit-learn's HuberRegressor is silently wrong here."""
    X = data_for(model).X
    offset = np.array([1e6, -1e6, 0.0, 1e6])
    plain, moved = fit(model, X), fit(model, X + offset)
    np.testing.assert_allclose(moved.coef_, plain.coef_, rtol=1e-4, atol=1e-5)
    intercept = getattr(plain, "intercept_", None)
    if intercept is not None:
        expected = intercept - plain.coef_ @ offset
        np.testing.assert_allclose(moved.intercept_, expected, rtol=1e-4)
    if not is_classifier(model):
        np.testing.assert_allclose(
            moved.predict(X + offset) - moved.predict(X + offset).mean(axis=0),
            plain.predict(X) - plain.predict(X).mean(axis=0),
            atol=1e-3,
        )


@every_model
def test_offsets_of_sparse_features_do_not_matter(model):
    X = data_for(model).X
    offset = np.array([1e4, -1e4, 0.0, 1e4])
    plain, moved = fit(model, X), fit(model, sp.csr_array(X + offset))
    np.testing.assert_allclose(moved.coef_, plain.coef_, rtol=1e-4, atol=1e-5)


# --- learning in batches ---------------------------------------------------------------------


def batches(data, size=15):
    for first in range(0, N, size):
        part = slice(first, first + size)
        yield data.X[part], data.y[part], {k: v[part] for k, v in data.options.items()}


# A pass is compiled for each loss and container: dense rows of all kinds, sparse rows of two, as in
# test_partial_fit.py of the others, and batches where fits by the same passes are tested, too.
@pytest.mark.parametrize(
    ("kind", "container", "solver"),
    [
        *((kind, np.array, "sgd") for kind in KINDS),
        ("classifier", sp.csr_array, "sgd"),
        ("ranker", sp.csr_array, "sgd"),
        ("classifier", np.array, SGD(batch_size=4)),
        ("ranker", np.array, SGD(batch_size=4)),
        ("quantiles", np.array, SGD(batch_size=4)),
    ],
)
def test_partial_fit(kind, container, solver):
    model = KINDS[kind]
    data = data_for(model)
    best = fit(model).score(data.X, data.y, **data.options)
    model = clone(model).set_params(solver=solver, random_state=0)
    first = {"classes": [0, 1]} if is_classifier(model) else {}
    scores = []
    for _ in range(10):
        for X, y, options in batches(data):
            model.partial_fit(container(X), y, **first, **options)
            if not scores:
                model = pickle.loads(pickle.dumps(model))
            first = {}
        scores.append(model.score(data.X, data.y, **data.options))
    assert scores[-1] > best - 0.05
    assert model.coef_.shape == coef_shape(model)
    assert not hasattr(model, "dual_gap_")


@every_kind
def test_partial_fit_continues_after_pickling(model):
    data = data_for(model)
    first = {"classes": [0, 1]} if is_classifier(model) else {}
    straight = clone(model).set_params(solver="sgd", random_state=0)
    pickled = clone(straight)
    for X, y, options in batches(data):
        straight.partial_fit(X, y, **first, **options)
        pickled = pickle.loads(pickle.dumps(pickled)).partial_fit(X, y, **first, **options)
        first = {}
        np.testing.assert_array_equal(straight.coef_, pickled.coef_)


@every_kind
def test_partial_fit_continues_a_fit(model):
    data = data_for(model)
    fitted = fit(clone(model).set_params(solver="sgd", random_state=0, tol=1e-3))
    before = fitted.score(data.X, data.y, **data.options)
    for X, y, options in batches(data):
        fitted.partial_fit(X, y, **options)
    assert fitted.score(data.X, data.y, **data.options) > before - 0.05


@every_kind
def test_partial_fit_is_for_sgd_only(model):
    assert hasattr(clone(model).set_params(solver=SGD()), "partial_fit")
    for solver in ("auto", "newton", LBFGS()):
        assert not hasattr(clone(model).set_params(solver=solver), "partial_fit")
    with pytest.raises(AttributeError, match="partial_fit"):
        clone(model).partial_fit(data_for(model).X, data_for(model).y)


@every_kind
def test_partial_fit_checks_its_input(model):
    data = data_for(model)
    model = clone(model).set_params(solver="sgd")
    first = {"classes": [0, 1]} if is_classifier(model) else {}
    with pytest.raises(ValueError, match="X contains NaN"):
        model.partial_fit(data.X * np.nan, data.y, **first, **data.options)
    assert not hasattr(model, "coef_")
    model.partial_fit(data.X, data.y, **first, **data.options)
    with pytest.raises(ValueError, match="4 features"):
        model.partial_fit(data.X[:, :3], data.y, **data.options)
    with pytest.raises(ValueError, match="sample_weight"):
        model.partial_fit(data.X, data.y, sample_weight=-1.0, **data.options)
    with pytest.raises(ValueError, match="inconsistent"):
        model.partial_fit(data.X, data.y[1:], **data.options)


@pytest.mark.parametrize("model", [KINDS["classifier"], KINDS["regressor"]])
def test_partial_fit_compares_weights_across_batches(model):
    """Rows that come one at a time weigh what they weigh, not 1."""
    data = data_for(model)
    weight = np.where(np.arange(N) % 2 == 0, 3.0, 0.01)
    first = {"classes": [0, 1]} if is_classifier(model) else {}
    settings = {"solver": SGD(eta0=0.05, average=False), "random_state": 0, "alpha": 0.0}
    plain, weighted = clone(model).set_params(**settings), clone(model).set_params(**settings)
    for i in range(30):
        row = slice(i, i + 1)
        plain.partial_fit(data.X[row], data.y[row], **first)
        weighted.partial_fit(data.X[row], data.y[row], sample_weight=weight[row], **first)
        first = {}
    assert np.abs(fitted_values(plain) - fitted_values(weighted)).max() > 1e-3


@every_kind
def test_validation_set(model):
    data, other = data_for(model), data_for(model, n=60, seed=1)
    y_val = other.y
    if is_ranker(model):
        y_val = np.column_stack([other.y, other.options["groups"]])
    stopping = clone(model).set_params(solver=SGD(early_stopping=True), random_state=0)
    for container in (np.array, sp.csr_array):
        fitted = fit(stopping, X_val=container(other.X), y_val=y_val)
        best = fit(model).score(data.X, data.y, **data.options)
        assert fitted.score(data.X, data.y, **data.options) > best - 0.1
    for options in ({"X_val": other.X}, {"y_val": y_val}):
        with pytest.raises(ValueError, match="X_val and y_val"):
            fit(stopping, **options)
    with pytest.raises(ValueError, match="X_val"):
        fit(model, X_val=other.X, y_val=y_val)  # the solver has no use for it
    with pytest.raises(ValueError, match="NaN"):
        fit(stopping, X_val=other.X * np.nan, y_val=y_val)
    with pytest.raises(ValueError, match="inconsistent"):
        fit(stopping, X_val=other.X[1:], y_val=y_val)
    with pytest.raises(ValueError, match="features"):
        fit(stopping, X_val=other.X[:, 1:], y_val=y_val)


# --- scikit-learn's tools --------------------------------------------------------------------


@pytest.mark.sklearn("1.9")
@every_model
@pytest.mark.filterwarnings("error")
def test_callbacks(model):
    data = data_for(model)
    monitor = ScoringMonitor(scoring=own_score)
    watched = clone(model).set_callbacks(ProgressBar(), monitor)
    watched.fit(data.X, data.y, **data.options)
    plain = fit(model)
    np.testing.assert_array_equal(watched.coef_, plain.coef_)
    log = [row for row in monitor.get_logs().data if row["task_name"] == "iteration"]
    iterations = Counter(row["parent_task_id_path"] for row in log)
    assert len(iterations) == n_problems(model)
    assert max(iterations.values()) == watched.n_iter_
    scores = [row["score"] for row in log]
    assert np.isfinite(scores).all()
    # The last iterate scores like the result.
    assert scores[-1] == pytest.approx(plain.score(data.X, data.y, **data.options), abs=1e-6)
    pickle.loads(pickle.dumps(watched)).predict(data.X)


@pytest.mark.sklearn("1.9")
@every_kind
def test_callbacks_with_weights(model):
    data = data_for(model)
    weight = np.random.default_rng(0).random(N) ** 3
    monitor = ScoringMonitor(scoring=own_score)
    watched = clone(model).set_callbacks(monitor)
    watched.fit(data.X, data.y, sample_weight=weight, **data.options)
    scores = [r["score"] for r in monitor.get_logs().data if r["task_name"] == "iteration"]
    expected = watched.score(data.X, data.y, sample_weight=weight, **data.options)
    assert scores[-1] == pytest.approx(expected, abs=1e-6)


@pytest.mark.sklearn("1.9")
@pytest.mark.parametrize(
    "model, most",
    [
        (LinearClassifier("squared_hinge"), None),  # the classes are not known yet
        (LinearRegressor(max_iter=70), 70),
        (QuantileRegressor(quantile=0.3, max_iter=70), 70),
        (QuantileRegressor(quantile=[0.2, 0.8], max_iter=70), 2),
        (LinearRanker(max_iter=70), 70),
        (LinearEmbedding(max_iter=70), 70),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_callbacks_are_told_how_long_a_fit_is_at_most(model, most):
    class Told(Callback):
        def on_fit_task_begin(self, estimator, context):
            told.append((context.task_name, context.max_subtasks))

        def on_fit_task_end(self, estimator, context):
            return context.task_name == "iteration"

    told = []
    X = np.random.default_rng(0).normal(size=(N, D))
    clone(model).set_callbacks(Told()).fit(X, np.digitize(X[:, 0], [0.0]))
    assert told[0] == ("fit", most)


@pytest.mark.sklearn("1.9")
def test_callbacks_see_the_classes_that_are_solved():
    seen = []

    def scoring(model, X, y):
        seen.append(tuple(model.coef_.any(axis=1)))
        return {"score": model.score(X, y)}

    X = np.random.default_rng(0).normal(size=(N, D))
    y = np.digitize(X[:, 0], [-0.5, 0.5])
    LinearClassifier("squared_hinge").set_callbacks(ScoringMonitor(scoring=scoring)).fit(X, y)
    assert sorted(set(seen)) == [(True, False, False), (True, True, False), (True, True, True)]


class Stop(Callback):
    """Stops the fit of problem ``problem``, or of any, after the second iteration."""

    def __init__(self, problem=None):
        self.problem = problem

    def on_fit_task_end(self, estimator, context):
        if context.task_name != "iteration" or context.task_id != 1:
            return False
        return self.problem in (None, context.parent.task_id)


@pytest.mark.sklearn("1.9")
@every_kind
def test_a_callback_can_stop_the_fit(model):
    data = data_for(model)
    solver = "interior_point" if isinstance(model, QuantileRegressor) else "lbfgs"
    stopped = clone(model).set_params(solver=solver).set_callbacks(Stop())
    with pytest.warns(ConvergenceWarning, match="after 2 iterations.* A callback stopped it"):
        stopped.fit(data.X, data.y, **data.options)
    assert stopped.n_iter_ == 2
    assert np.isfinite(stopped.predict(data.X)).all()


@pytest.mark.sklearn("1.9")
def test_a_warning_is_of_the_problem_that_it_names():
    """The first class has the worst fit; it is the second one's that is stopped."""
    X = np.random.default_rng(0).normal(size=(N, D))
    y = np.digitize(X[:, 0], [-1.0, 0.5])
    model = LinearClassifier("squared_hinge", solver="lbfgs", max_iter=3, tol=1e-9)
    with pytest.warns(ConvergenceWarning, match=r"after 3 iterations.* Increase max_iter"):
        model.set_callbacks(Stop(problem=1)).fit(X, y)


@every_kind
def test_metadata_routing_of_weights(model):
    data = data_for(model)
    weight = np.random.default_rng(0).integers(1, 5, N)
    expected = fit(model, sample_weight=weight)
    with config_context(enable_metadata_routing=True):
        wants = (
            clone(model).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        )
        scaler = StandardScaler(with_mean=False, with_std=False)
        scaler.set_fit_request(sample_weight=False)
        pipeline = make_pipeline(scaler, wants)
        pipeline.fit(data.X, data.y, sample_weight=weight, **data.options)
        np.testing.assert_array_equal(pipeline[-1].coef_, expected.coef_)
        assert pipeline.score(
            data.X, data.y, sample_weight=weight, **data.options
        ) == pytest.approx(expected.score(data.X, data.y, sample_weight=weight, **data.options))
        ignores = make_pipeline(scaler, clone(model).set_fit_request(sample_weight=False))
        with pytest.raises(TypeError, match="sample_weight"):
            ignores.fit(data.X, data.y, sample_weight=weight, **data.options)


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("model", "grid"),
    [
        (LinearClassifier(Hinge()), {"loss__margin": [0.0, 0.5, 1.0], "alpha": [1e-3, 1e2]}),
        (LinearClassifier("logistic"), {"loss": ["hinge", Logistic()], "alpha": [1e-3, 1e2]}),
        (LinearClassifier("logistic", solver=SGD()), {"solver__batch_size": [1, 8]}),
        (LinearRegressor(), {"loss": ["huber", Absolute()], "alpha": [1e-3, 1e2]}),
        (HingeClassifier(), {"margin": [0.5, 1.0], "alpha": [1e-3, 1e2]}),
        (HuberRegressor(), {"epsilon": [1.1, 1.35], "alpha": [1e-3, 1e2]}),
        (QuantileRegressor(), {"quantile": [0.25, 0.5, [0.1, 0.9]], "alpha": [1e-3, 1e2]}),
    ],
)
def test_grid_search(model, grid):
    data = data_for(model)
    search = GridSearchCV(model, grid, cv=3, error_score="raise").fit(data.X, data.y)
    assert len(search.cv_results_["params"]) == math.prod(map(len, grid.values()))
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    if "alpha" in grid:
        assert search.best_params_["alpha"] == 1e-3
        assert np.ptp(search.cv_results_["mean_test_score"]) > 0.1
    for name, value in search.best_params_.items():
        assert search.best_estimator_.get_params()[name] == value
    if "loss__margin" in grid:  # the object that was given is untouched
        assert model.loss == Hinge()


@every_class
def test_exported_estimators_have_examples(cls):
    assert "Examples\n    --------\n    >>>" in inspect.getdoc(cls).replace("\n", "\n    ")
