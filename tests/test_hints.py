"""Messages for people who come from elsewhere, and for those who forgot something."""

import inspect
import pickle
import types
import warnings
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn import config_context
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import make_scorer, r2_score
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn_releases import ScoringMonitor

import sklearn_margin
from sklearn_margin import (
    HingeClassifier,
    HuberRegressor,
    LinearClassifier,
    LinearEmbedding,
    LinearRanker,
    LinearRegressor,
    QuantileRegressor,
    RankSVM,
    regularization_path,
)
from sklearn_margin.losses import Focal, Huber
from sklearn_margin.metrics import make_ranking_scorer, ndcg_score, pairwise_accuracy_score
from sklearn_margin.plotting import RankingDisplay
from sklearn_margin.solvers import SGD

ESTIMATORS = [
    HingeClassifier,
    HuberRegressor,
    LinearClassifier,
    LinearEmbedding,
    LinearRanker,
    LinearRegressor,
    QuantileRegressor,
    RankSVM,
]
every_estimator = pytest.mark.parametrize("cls", ESTIMATORS)
RNG = np.random.RandomState(0)
X, LABELS = RNG.normal(size=(60, 3)), np.arange(60) % 2
GROUPS = np.repeat(np.arange(12), 5)


# --- keywords of other libraries --------------------------------------------------------------

KEYWORDS = [
    (HingeClassifier, "C", r"alpha, which is 1/\(C·n\) for n rows"),
    (LinearClassifier, "C", r"alpha, which is 1/\(C·n\) for n rows"),
    (LinearRegressor, "C", r"alpha, which is 1/\(C·n\) for n rows"),
    (RankSVM, "C", r"alpha, which is 1/\(C·P\) for P pairs"),
    (LinearRanker, "C", r"alpha, which is 1/\(C·P\) for P pairs"),
    (HingeClassifier, "penalty", "l1_ratio=1 the L1 penalty"),
    (LinearRanker, "penalty", "l1_ratio=1 the L1 penalty"),
    (LinearRegressor, "delta", r"an object, loss=Huber\(delta=...\)"),
    (LinearEmbedding, "temperature", r"an object, loss=InfoNCE\(temperature=...\)"),
    (LinearEmbedding, "learning_rate", r"an object, solver=Adam\(learning_rate=...\)"),
    (RankSVM, "eta0", r"an object, solver=SGD\(eta0=...\)"),
    (HingeClassifier, "loss", r"LinearClassifier\(loss=...\)"),
    (QuantileRegressor, "loss", r"LinearRegressor\(loss=...\)"),
    (HuberRegressor, "loss", r"LinearRegressor\(loss=...\)"),
    (HuberRegressor, "delta", r"epsilon, .*LinearRegressor\(Huber\(delta=...\)\)"),
    (QuantileRegressor, "tau", "called quantile"),
]


@pytest.mark.parametrize(("cls", "name", "remedy"), KEYWORDS)
def test_unknown_parameter_of_a_constructor(cls, name, remedy):
    start = rf"^{cls.__name__}.__init__\(\) got an unexpected keyword argument '{name}': "
    with pytest.raises(TypeError, match=start + f".*{remedy}"):
        cls(**{name: 1.0})


@every_estimator
def test_constructors_are_as_they_were_otherwise(cls):
    """Scikit-learn reads signatures; help, copies and pickles must not notice anything."""
    with pytest.raises(TypeError, match=rf"^{cls.__name__}.__init__\(\) got .* 'nonsense'$"):
        cls(nonsense=1)
    signature = inspect.signature(cls)
    assert {p.kind for p in signature.parameters.values()} <= {
        inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD,
    }  # fmt: skip
    assert list(cls().get_params(deep=False)) == sorted(signature.parameters)
    assert inspect.isfunction(cls.__init__)
    assert cls.__init__.__qualname__ == f"{cls.__name__}.__init__"
    model = cls(alpha=0.5)
    for copy in (clone(model), pickle.loads(pickle.dumps(model))):
        assert type(copy) is cls
        assert copy.get_params(deep=False) == model.get_params(deep=False)


def test_subclasses_of_users():
    class Mine(HingeClassifier):
        def __init__(self, *, alpha=0.5, extra=1):
            super().__init__(alpha=alpha)
            self.extra = extra

    class Open(HingeClassifier):
        def __init__(self, **anything):
            super().__init__(**anything)

    assert clone(Mine(extra=2)).extra == 2
    assert "margin" not in Mine().get_params()
    with pytest.raises(TypeError, match=r"^Mine.__init__\(\) got .* 'C': .*alpha"):
        Mine(C=1)
    with pytest.raises(TypeError, match=r"^Open.__init__\(\) got .* 'C': .*alpha"):
        Open(C=1)


@pytest.mark.parametrize("cls", [RankSVM, LinearRanker])
@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("qid", "pass groups=qid"),
        ("group", r"groups=np.repeat\(np.arange\(len\(sizes\)\), sizes\)"),
        ("eval_set", "X_val and y_val"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "score"])
def test_unknown_argument_of_fit(method, name, remedy, cls):
    """The class is the one that the user knows, not the base that defines the method."""
    start = rf"^{cls.__name__}.{method}\(\) got an unexpected keyword argument '{name}'"
    with pytest.raises(TypeError, match=f"{start}: .*{remedy}"):
        getattr(cls(), method)(X, LABELS, **{name: GROUPS})


@every_estimator
def test_signatures_of_fit(cls):
    assert "X" in inspect.signature(cls.fit).parameters or cls is LinearEmbedding
    assert "sample_weight" in inspect.signature(cls().fit).parameters
    assert "Fit" in cls.fit.__doc__ or "Learn" in cls.fit.__doc__


@pytest.mark.parametrize(
    ("model", "name", "remedy"),
    [
        (LinearRegressor("huber"), "loss__delta", r"pass an object, such as loss=Huber\(delta"),
        (LinearClassifier(), "loss__margin", r"such as loss=Hinge\(margin=...\)"),
        (LinearEmbedding(), "loss__temperature", r"such as loss=InfoNCE\(temperature=...\)"),
        (LinearRegressor(), "solver__eta0", r"such as solver=SGD\(eta0=...\)"),
        (LinearRegressor(solver="sgd"), "solver__eta0", r"such as solver=SGD\(eta0=...\)"),
        (LinearEmbedding(solver="sgd"), "solver__n_updates", r"solver=Adam\(n_updates=...\)"),
        (RankSVM(), "loss__margin", "margin is a parameter of RankSVM itself"),
        (LinearRegressor("huber"), "loss__nonsense", "has no parameters$"),
    ],
)
def test_a_parameter_of_a_name(model, name, remedy):
    with pytest.raises(ValueError, match=f"{name} cannot be set: .* is a name.*{remedy}"):
        model.set_params(**{name: 2.0})
    with pytest.raises(ValueError, match=remedy):
        make_pipeline(model).set_params(**{f"{type(model).__name__.lower()}__{name}": 2.0})


def test_parameters_of_objects_are_set_as_ever():
    model = LinearRegressor("huber").set_params(loss=Huber(), loss__delta=3.0)
    assert model.set_params(solver=SGD(), solver__eta0=0.5).get_params()["solver__eta0"] == 0.5
    assert model.loss == Huber(delta=3.0)
    with pytest.raises(ValueError, match="Invalid parameter 'nonsense'"):
        model.set_params(nonsense=1)


@pytest.mark.parametrize("value", [True, False])
def test_probability_of_svc(value):
    model = HingeClassifier(probability=value)
    with pytest.raises(ValueError, match=r"probability must be .*, got (True|False).*'sigmoid'"):
        model.fit(X, LABELS)


@pytest.mark.parametrize("short", ["hinge", "squared_hinge"])
def test_both_vocabularies_of_hinges(short):
    y = RNG.randint(3, size=60)
    kwargs = {"y": y, "groups": GROUPS}
    fits = [
        RankSVM(loss=short, weighting="difference").fit(X, **kwargs),
        RankSVM(loss=f"pairwise_{short}", weighting="difference").fit(X, **kwargs),
        LinearRanker(short).fit(X, **kwargs),
        LinearRanker(f"pairwise_{short}").fit(X, **kwargs),
    ]
    for other in fits[1:]:
        np.testing.assert_array_equal(other.coef_, fits[0].coef_)


def test_words_that_mean_nothing_to_rankers():
    with pytest.raises(ValueError, match=r"loss must be one of .*'pairwise_squared_hinge'"):
        RankSVM(loss="logistic").fit(X, LABELS)
    with pytest.raises(ValueError, match=r"loss must be one of .*'logistic', 'margin_ranking'"):
        LinearRanker("absolute").fit(X, LABELS)


# --- data that is not there yet ---------------------------------------------------------------

NOT_THERE = {
    "lazy frame": (lambda: pl.DataFrame(X).lazy(), r"LazyFrame, .* pass \w+.collect\(\)"),
    "generator": (lambda: (row for row in X), "generator, which can be read only once"),
    "iterator": (lambda: map(list, X), "map, which can be read only once"),
    "path": (lambda: Path("table.parquet"), "files are not read"),
    "name": (lambda: "table.parquet", "files are not read .* pandas.read_parquet"),
}
every_absence = pytest.mark.parametrize("kind", NOT_THERE)


@every_estimator
@every_absence
def test_X_that_is_not_there(kind, cls):
    make, message = NOT_THERE[kind]
    with pytest.raises(TypeError, match=f"^X .*{message}"):
        cls().fit(make(), LABELS)
    model = cls(max_iter=5, tol=1.0).fit(X, LABELS)
    predict = model.transform if cls is LinearEmbedding else model.predict
    with pytest.raises(TypeError, match=f"^X .*{message}"):
        predict(make())


def damage_indices(S):
    S.indices[3] = 10**8


def damage_sign(S):
    S.indices[3] = -1


def damage_order(S):
    S.indptr[2] = 10**8


def damage_end(S):
    S.indptr[-1] = 10**8


def damage_start(S):
    S.indptr[0] = 1


def damage_length(S):
    S.indptr = S.indptr[:-1]


@every_estimator
@pytest.mark.parametrize("container", [sp.csr_array, sp.csc_matrix])
@pytest.mark.parametrize(
    "damage", [damage_indices, damage_sign, damage_order, damage_end, damage_start, damage_length]
)
def test_sparse_matrices_that_are_none(damage, container, cls):
    """Compiled code would follow their indices out of memory."""
    S = container(X)
    fitted = cls(max_iter=5, tol=1.0).fit(S, LABELS)
    predict = fitted.transform if cls is LinearEmbedding else fitted.predict
    damage(S)
    for call in (lambda: cls().fit(S, LABELS), lambda: predict(S)):
        with pytest.raises(ValueError, match=r"X is not a valid CS[RC] matrix of shape \(60, 3\)"):
            call()


@every_absence
def test_y_and_groups_that_are_not_there(kind):
    make, message = NOT_THERE[kind]
    with pytest.raises(TypeError, match=f"^groups .*{message}"):
        RankSVM().fit(X, LABELS, groups=make())
    with pytest.raises(TypeError, match=f"^y_true .*{message}"):
        pairwise_accuracy_score(make(), LABELS)
    with pytest.raises(TypeError, match=f"^sample_weight .*{message}"):
        pairwise_accuracy_score(LABELS, LABELS, sample_weight=make())


@every_estimator
@pytest.mark.parametrize("kind", ["lazy frame", "generator"])
def test_labels_that_are_not_there(kind, cls):
    make, message = NOT_THERE[kind]
    with pytest.raises(TypeError, match=f"^y .*{message}"):
        cls().fit(X, make())


# --- groups -----------------------------------------------------------------------------------


@pytest.mark.parametrize("container", [list, np.array, lambda x: np.array(x, float), pl.Series])
def test_sizes_in_place_of_groups(container):
    y, sizes = RNG.randint(3, size=60), [10, 20, 30]
    message = r"length 3, expected 60.*sizes of the groups.*np.repeat\(np.arange\(len\(sizes\)\)"
    with pytest.raises(ValueError, match=message):
        RankSVM().fit(X, y, groups=container(sizes))
    with pytest.raises(ValueError, match=message):
        ndcg_score(y, X[:, 0], groups=container(sizes))
    groups = np.repeat(np.arange(len(sizes)), sizes)
    assert RankSVM().fit(X, y, groups=groups)._has_groups


@pytest.mark.parametrize("groups", [[10, 20, 31], [-10, 30, 40], ["a", "b"], [60.5, -0.5], [0, 60]])
def test_other_wrong_lengths_are_no_sizes(groups):
    with pytest.raises(ValueError, match=r"expected 60, the group of each row$"):
        RankSVM().fit(X, LABELS, groups=groups)


def graded(n, levels, dtype=np.int64, seed=0):
    rng = np.random.RandomState(seed)
    return rng.normal(size=(n, 2)), (np.arange(n) % levels).astype(dtype)


FORGOTTEN = "got grades y without groups, and compares all rows with each other"


@pytest.mark.parametrize("dtype", [np.int64, np.float32, np.uint8])
@pytest.mark.parametrize(("n", "levels"), [(200, 3), (1000, 5), (620, 31)])
def test_groups_that_were_forgotten(n, levels, dtype):
    A, y = graded(n, levels, dtype)
    model = RankSVM(max_iter=5, tol=1.0)
    with pytest.warns(UserWarning, match=FORGOTTEN) as caught:
        model.fit(A, y)
    assert caught[0].filename == __file__
    assert not model._has_groups
    with pytest.warns(UserWarning, match=FORGOTTEN):
        regularization_path(model, A, y, alphas=[1.0])


ONE_QUERY = {
    "two grades: AUC": graded(1000, 2),
    "few rows": graded(150, 3),
    "few rows of a grade": graded(400, 25),
    "many grades": graded(4000, 40),
    "many grades after the first thousand rows": (
        np.zeros((2000, 1)), np.r_[np.arange(1000) % 3, np.arange(1000)],
    ),
    "real numbers": (graded(300, 5)[0], graded(300, 5)[1] / 2),
    "signs": (graded(300, 3)[0], graded(300, 3)[1] - 1),
}  # fmt: skip


@pytest.mark.parametrize("kind", ONE_QUERY)
def test_one_query_is_left_alone(kind):
    A, y = ONE_QUERY[kind]
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*without groups")
        RankSVM(max_iter=5, tol=1.0).fit(A, y)


@pytest.mark.parametrize("packed", [False, True])
def test_one_query_that_says_so(packed):
    A, y = graded(300, 3)
    one = np.zeros(len(y))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*without groups")
        fit = RankSVM(max_iter=5, tol=1.0).fit
        model = fit(A, np.c_[y, one]) if packed else fit(A, y, groups=one)
    assert np.array_equal(model.coef_, RankSVM(max_iter=5, tol=1.0).fit(A, y).coef_)


def test_groups_that_a_search_does_not_pass_on():
    """Without metadata routing they reach the splitter only."""
    A, y = graded(600, 3)
    groups = np.repeat(np.arange(60), 10)
    search = GridSearchCV(RankSVM(max_iter=5, tol=1.0), {"alpha": [1.0]}, cv=GroupKFold(2))
    with pytest.warns(UserWarning, match=FORGOTTEN):
        search.fit(A, y, groups=groups)
    with config_context(enable_metadata_routing=True), warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*without groups")
        search.fit(A, y, groups=groups)


def test_a_picture_needs_the_groups_that_the_model_had():
    y = RNG.randint(3, size=60)
    model = make_pipeline(StandardScaler(), RankSVM()).fit(X, y, ranksvm__groups=GROUPS)
    with config_context(enable_metadata_routing=True):
        search = GridSearchCV(model, {"ranksvm__alpha": [1.0]}, cv=GroupKFold(2))
        search.fit(X, y, groups=GROUPS)
    for fitted in (model[-1], model, search):
        with pytest.raises(ValueError, match="this RankSVM was fitted with groups and needs them"):
            RankingDisplay.from_estimator(fitted, X, y)
    given = RankingDisplay.from_estimator(model, X, y, groups=GROUPS)
    packed = RankingDisplay.from_estimator(model, X, np.c_[y, GROUPS])
    np.testing.assert_array_equal(given.ndcg, packed.ndcg)
    alone = RankSVM().fit(X, y)
    assert len(RankingDisplay.from_estimator(alone, X, y).per_group) == 1


@pytest.mark.sklearn("1.9")
def test_scorers_of_monitors():
    """The message comes before the fit begins, and the model stays as it was."""
    y = RNG.randint(3, size=60)
    for scoring in ("r2", ["r2"], {"fit": make_scorer(r2_score)}, make_scorer(r2_score)):
        model = RankSVM().fit(X, y, groups=GROUPS)
        coef = model.coef_
        monitor = ScoringMonitor(scoring=scoring)
        with pytest.raises(TypeError, match=r"ScoringMonitor cannot score .*make_ranking_scorer"):
            model.set_callbacks(monitor).fit(X, -y, groups=GROUPS)
        assert model.coef_ is coef
        with pytest.raises(ValueError, match="No logs"):
            monitor.get_logs()


@pytest.mark.sklearn("1.9")
@pytest.mark.parametrize(
    "scoring",
    [
        make_ranking_scorer(ndcg_score),
        {"ndcg": make_ranking_scorer(ndcg_score), "pairs": make_ranking_scorer(ndcg_score, k=1)},
        lambda model, X, y, groups=None: {"score": model.score(X, y, groups=groups)},
        lambda model, X, y, **given: {"score": model.score(X, y, **given)},
    ],
)
def test_monitors_that_know_groups(scoring):
    y = RNG.randint(3, size=60)
    for given in ({"y": y, "groups": GROUPS}, {"y": np.c_[y, GROUPS]}):
        monitor = ScoringMonitor(scoring=scoring)
        RankSVM(max_iter=3, tol=1.0).set_callbacks(monitor).fit(X, **given)
        assert len(monitor.get_logs().data) > 0


@pytest.mark.sklearn("1.9")
def test_any_monitor_without_groups():
    monitor = ScoringMonitor(scoring="r2")
    RankSVM(max_iter=3, tol=1.0).set_callbacks(monitor).fit(X, LABELS)
    assert len(monitor.get_logs().data) > 0


# --- methods that are not there, and parameters that changed after the fit ---------------------


@pytest.mark.parametrize(
    ("model", "method", "message"),
    [
        (LinearClassifier(), "predict_proba", "the loss Hinge defines no probabilities"),
        (LinearClassifier(), "predict_log_proba", "the loss Hinge defines no probabilities"),
        (LinearClassifier("nonsense"), "predict_proba", "not available: loss must be one of"),
        (HingeClassifier(), "predict_proba", "fit with probability='sigmoid' or 'isotonic'"),
        (HingeClassifier(), "partial_fit", "needs solver='sgd' or a configured SGD, got .*'auto'"),
        (LinearRegressor(), "partial_fit", "needs solver='sgd' or a configured SGD, got .*'auto'"),
        (RankSVM(), "partial_fit", "needs solver='sgd' or a configured SGD, got .*'auto'"),
        (LinearEmbedding(solver="lbfgs"), "partial_fit", "needs solver='sgd' or a configured Adam"),
        (LinearEmbedding("nca"), "predict", "needs a loss with prototypes, such as 'arc_face'"),
    ],
)
def test_the_last_line_says_why_a_method_is_missing(model, method, message):
    assert not hasattr(model, method)
    with pytest.raises(AttributeError, match=message):
        getattr(model, method)
    with pytest.raises(AttributeError, match=message):  # as sub-estimators are called
        getattr(type(model), method)(model, X)
    assert isinstance(getattr(type(model), method), types.FunctionType)
    assert getattr(type(model), method).__doc__


def test_probabilities_are_those_of_the_loss_that_was_fitted():
    y = np.arange(60) % 3
    model = LinearClassifier("logistic", max_iter=20).fit(X, y)
    expected = model.predict_proba(X)
    for loss in ("hinge", "poly", Focal(alpha=0.3), "nonsense"):
        np.testing.assert_array_equal(model.set_params(loss=loss).predict_proba(X), expected)
    hinge = LinearClassifier("hinge").fit(X, y).set_params(loss="logistic")
    with pytest.raises(AttributeError, match="the loss Hinge defines no probabilities"):
        hinge.predict_proba(X)
    assert hasattr(hinge.fit(X, y), "predict_proba")


class Tempered(sklearn_margin.losses.Logistic):
    """Probabilities that depend on a parameter."""

    def __init__(self, power=1.0):
        self.power = power

    def probability(self, z):
        return super().probability(self.power * np.asarray(z))


def test_parameters_of_the_loss_that_change_after_the_fit():
    model = LinearClassifier(Tempered()).fit(X, LABELS)
    expected = model.predict_proba(X)
    model.set_params(loss__power=3.0)
    np.testing.assert_array_equal(model.predict_proba(X), expected)
    copied = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copied.predict_proba(X), expected)
    assert not np.allclose(model.fit(X, LABELS).predict_proba(X), expected)


def test_probabilities_of_a_stream():
    model = LinearClassifier("logistic", solver="sgd").partial_fit(X, LABELS, classes=[0, 1])
    expected = model.predict_proba(X)
    np.testing.assert_array_equal(model.set_params(loss="hinge").predict_proba(X), expected)


def test_calibration_is_that_of_the_fit():
    model = HingeClassifier(probability="sigmoid").fit(X, LABELS)
    expected = model.predict_proba(X)
    for value in ("isotonic", None):
        np.testing.assert_array_equal(
            model.set_params(probability=value).predict_proba(X), expected
        )
    model = HingeClassifier().fit(X, LABELS).set_params(probability="sigmoid")
    with pytest.raises(AttributeError, match=r"this one was not, whatever it is now: 'sigmoid'"):
        model.predict_proba(X)
    model = HingeClassifier(probability="sigmoid", solver="sgd", max_iter=2, tol=0.0)
    model.fit(X, LABELS).set_params(probability=None).partial_fit(X, LABELS)
    assert not hasattr(model, "predict_proba")  # the calibration was of other scores


def test_embeddings_are_those_of_the_fit():
    model = LinearEmbedding("arc_face", normalize=True, max_iter=3, solver="sgd", random_state=0)
    Z, labels = model.fit(X, LABELS).transform(X), model.predict(X)
    model.set_params(normalize=False, loss="nca")
    np.testing.assert_array_equal(model.transform(X), Z)
    np.testing.assert_array_equal(model.predict(X), labels)
    assert np.allclose(model.pair_distance(X[:30], X[30:]) ** 2, ((Z[:30] - Z[30:]) ** 2).sum(1))
    other = LinearEmbedding("nca", max_iter=3).fit(X, LABELS).set_params(loss="arc_face")
    with pytest.raises(AttributeError, match="got components of another loss"):
        other.predict(X)


@pytest.mark.parametrize(
    ("first", "then", "message"),
    [
        ({"n_components": 3}, {"n_components": 2}, "cannot change n_components"),
        ({"n_components": 2}, {"n_components": 3}, "cannot change n_components"),
        ({"normalize": False}, {"normalize": True}, "cannot change normalize"),
        ({"loss": "nca"}, {"loss": "circle"}, "a loss of distances for one of cosines"),
        ({"loss": "arc_face"}, {"loss": "circle"}, "one with other auxiliary parameters"),
        ({"loss": "ge2e"}, {"loss": "arc_face"}, "one with other auxiliary parameters"),
    ],
)
def test_a_stream_of_embeddings_keeps_its_meaning(first, then, message):
    """What was kept is read by a kernel, by the shapes of the parameters as they are now."""
    model = LinearEmbedding(solver="sgd", random_state=0).set_params(**first)
    model.partial_fit(X, LABELS, classes=[0, 1])
    components = model.components_
    with pytest.raises(ValueError, match=f"partial_fit .*{message}"):
        model.set_params(**then).partial_fit(X, LABELS)
    assert model.components_ is components
    model.set_params(**first).partial_fit(X, LABELS)


def test_a_damaged_stream_of_embeddings():
    model = LinearEmbedding(solver="sgd", random_state=0).partial_fit(X, LABELS)
    state = model._stream_states[0][-1]
    state.first = state.first[:-1]
    with pytest.raises(ValueError, match="damaged"):
        model.partial_fit(X, LABELS)


def test_a_stream_of_embeddings_goes_on_after_a_fit():
    """One pass at a small step leaves the components where the fit had brought them, about."""
    solver = sklearn_margin.solvers.Adam(learning_rate=1e-9)
    model = LinearEmbedding("nca", solver="lbfgs", random_state=0, max_iter=50).fit(X, LABELS)
    fitted = model.components_
    model.set_params(solver=solver).partial_fit(X, LABELS)
    np.testing.assert_allclose(model.components_, fitted, rtol=1e-4, atol=1e-6)


def test_what_tab_completion_shows():
    shown = set(dir(sklearn_margin))
    assert set(sklearn_margin.__all__) | {"losses", "metrics", "solvers", "__version__"} <= shown
    assert not shown & {"objective", "classification", "quantile", "path", "_base"}
    assert all(hasattr(sklearn_margin, name) for name in shown)
    assert issubclass(sklearn_margin.RankSVM, BaseEstimator)


def test_warnings_of_a_fit_in_code_without_a_name():
    code = "HingeClassifier(max_iter=1).fit(X, y)"
    scope = {"HingeClassifier": HingeClassifier, "X": [[0.0], [1.0], [2.0]], "y": [0, 1, 0]}
    with pytest.warns(ConvergenceWarning, match="stopped after 1 iterations"):
        exec(code, scope)
