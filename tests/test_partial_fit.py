"""What is kept between calls of partial_fit, and what a stream may begin with."""

import copy

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.linear_model import SGDRegressor

from sklearn_margin import (
    LinearClassifier,
    LinearEmbedding,
    LinearRanker,
    LinearRegressor,
    QuantileRegressor,
)
from sklearn_margin.solvers import SGD

SIZE = 20


def data(n=400):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 5))
    return X, X @ [1.0, 2.0, 0.0, 0.0, 1.0] + 0.1 * rng.normal(size=n)


def batches(X, y, size=SIZE):
    return [(X[k : k + size], y[k : k + size]) for k in range(0, len(y), size)]


def learn(model, stream, **first):
    for X, y in stream:
        model.partial_fit(X, y, **first)
    return model


def kept(model):
    return {k: copy.deepcopy(v) for k, v in vars(model).items() if k.endswith("_")}, [
        copy.deepcopy(vars(state)) for state in states(model)
    ]


def states(model):
    return model._stream_states


def assert_refuses(model, change, X, y, match):
    """The call raises, and neither model nor stream has changed."""
    before = kept(model)
    changed = model.set_params(**change)
    with pytest.raises(ValueError, match=match):
        changed.partial_fit(X, y)
    np.testing.assert_equal(kept(model), before)


# --- what was kept must be of the same parameters ----------------------------------------------


@pytest.mark.parametrize(
    ("cls", "at_first", "solver", "container"),
    [
        (LinearClassifier, False, "sgd", np.array),
        (LinearClassifier, True, "sgd", sp.csr_array),
        (LinearClassifier, True, SGD(eta0=0.1), np.array),
        (LinearRegressor, True, "sgd", np.array),
        (LinearRegressor, False, SGD(eta0=0.1), np.array),
    ],
)
def test_fit_intercept_cannot_change(cls, at_first, solver, container):
    X, t = data(30)
    X, y = container(X), (t > 0).astype(int)
    first = {"classes": [0, 1]} if cls is LinearClassifier else {}
    model = cls("hinge" if first else "huber", solver=solver, fit_intercept=at_first)
    model.partial_fit(X, y, **first)
    change = {"fit_intercept": not at_first}
    assert_refuses(model, change, X, y, f"fit_intercept.*was {at_first}.*={not at_first}")
    assert model.set_params(fit_intercept=at_first).partial_fit(X, y).coef_.size == 5


@pytest.mark.parametrize(("loss", "other"), [("logistic", "hinge"), ("hinge", "logistic")])
def test_the_number_of_scores_cannot_change(loss, other):
    X, t = data(60)
    y = np.digitize(t, [-1.0, 1.0])
    model = LinearClassifier(loss, solver="sgd").partial_fit(X, y, classes=[0, 1, 2])
    assert_refuses(model, {"loss": other}, X, y, "loss.*one against the rest")
    same = {"logistic": "crammer_singer", "hinge": "squared_hinge"}[loss]
    assert model.set_params(loss=same).partial_fit(X, y).coef_.shape == (3, 5)


DAMAGE = {
    "short": lambda a: a[..., :-1].copy(),
    "long": lambda a: np.concatenate([a, a], axis=-1),
    "float32": lambda a: a.astype(np.float32),
    "strided": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "nan": lambda a: a * np.nan,
    "list": lambda a: a.tolist(),
    "gone": lambda a: None,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("name", ["params", "average", "memory", "counts"])
def test_a_damaged_state_never_reaches_a_kernel(name, damage):
    X, t = data(30)
    model = LinearRegressor("absolute", solver="sgd").partial_fit(X, t)
    state = model._stream_states[0]
    setattr(state, name, damage(getattr(state, name)))
    assert_refuses(model, {}, X, t, "damaged, or of another version")


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0, "1", None])
@pytest.mark.parametrize("name", ["eta0", "period", "updates", "averaged", "next_restart"])
def test_a_damaged_schedule(name, value):
    X, t = data(30)
    model = LinearRegressor("absolute", solver=SGD(eta0=0.1)).partial_fit(X, t)
    setattr(model._stream_states[0], name, value)
    with pytest.raises(ValueError, match="damaged"):
        model.partial_fit(X, t)


def test_a_state_of_another_kind():
    X, t = data(30)
    for state in ("state", (1, 2), object()):
        model = LinearRegressor("absolute", solver="sgd").partial_fit(X, t)
        model._stream_states = [state]
        with pytest.raises(ValueError, match="damaged"):
            model.partial_fit(X, t)
    model._stream_states = [state, state]
    with pytest.raises(ValueError, match="kept 2 states"):
        model.partial_fit(X, t)


def test_steps_may_change_between_calls():
    """Learned steps and a schedule have states of their own; a new one starts from the model."""
    X, t = data()
    model = learn(LinearRegressor("absolute", solver="sgd", random_state=0), batches(X, t))
    score = model.score(X, t)
    model.set_params(solver=SGD(eta0=1e-3)).partial_fit(X, t)
    assert model.score(X, t) > score - 0.01
    model.set_params(solver__eta0="auto").partial_fit(X, t)
    assert model.score(X, t) > score - 0.01


@pytest.mark.parametrize("damage", ["short", "float32", "nan", "gone"])
@pytest.mark.parametrize("name", ["params", "first", "second"])
def test_a_damaged_state_of_an_embedding(name, damage):
    X, t = data(60)
    y = np.digitize(t, [-1.0, 1.0])
    model = LinearEmbedding("triplet", n_components=2, solver="sgd", random_state=0)
    model.partial_fit(X, y)
    state = model._stream_states[0][-1]
    setattr(state, name, DAMAGE[damage](getattr(state, name)))
    before = model.components_.copy()
    with pytest.raises(ValueError, match="damaged"):
        model.partial_fit(X, y)
    np.testing.assert_array_equal(model.components_, before)


def test_what_an_embedding_cannot_change():
    X, t = data(60)
    y = np.digitize(t, [-1.0, 1.0])
    model = LinearEmbedding("triplet", n_components=2, solver="sgd", random_state=0)
    model.partial_fit(X, y)
    with pytest.raises(ValueError, match=r"change n_components .*from 2 to 3"):
        model.set_params(n_components=3).partial_fit(X, y)
    with pytest.raises(ValueError, match="loss"):
        model.set_params(n_components=2, loss="ge2e").partial_fit(X, y, classes=[0, 1, 2])
    ((coordinates, *rest),) = model._stream_states
    for wrong in ((coordinates[0][:-1], coordinates[1]), (coordinates[0], 0 * coordinates[1]), 3):
        model.set_params(loss="triplet")._stream_states = [(wrong, *rest)]
        with pytest.raises(ValueError, match="damaged"):
            model.partial_fit(X, y)


MODELS = {
    "classifier": LinearClassifier("logistic", alpha=0.05),
    "multiclass": LinearClassifier("logistic", alpha=0.05),
    "one against the rest": LinearClassifier("hinge", alpha=0.05),
    "regressor": LinearRegressor("absolute", alpha=0.05),
    "quantiles": QuantileRegressor(quantile=[0.7, 0.3], alpha=0.05),
    "ranker": LinearRanker(alpha=0.05),
}


@pytest.mark.parametrize("way", ["warm start", "partial_fit"])
@pytest.mark.parametrize("name", ["coef_", "intercept_"])
@pytest.mark.parametrize("kind", MODELS)
def test_attributes_of_a_wrong_length(kind, name, way):
    X, t = data(60)
    y = np.digitize(t, [0.0] if kind == "classifier" else [-1.0, 1.0])
    model = clone(MODELS[kind]).fit(X, y)
    if kind == "ranker" and name == "intercept_":
        name = "coef_"  # it has no other
    found = np.atleast_1d(getattr(model, name))
    if way == "warm start" and name == "coef_":
        # More rows; with other features a fit starts anew, as it always did.
        setattr(model, name, found[None, None] if found.ndim == 1 else found[None])
    else:
        setattr(model, name, np.concatenate([found, found], axis=-1))
    change = {"warm_start": True} if way == "warm start" else {"solver": "sgd"}
    model.set_params(**change)
    go_on = model.fit if way == "warm start" else model.partial_fit
    with pytest.raises(ValueError, match=f"cannot go on from {name}.*shape"):
        go_on(X, y)
    model.set_params(warm_start=False, solver="auto").fit(X, y)


def test_attributes_that_are_not_finite():
    X, t = data(60)
    model = LinearRegressor("absolute", solver="sgd").partial_fit(X, t)
    model.intercept_ = np.nan
    with pytest.raises(ValueError, match="intercept_"):
        model.partial_fit(X, t)


def test_the_solver_is_the_one_that_learned_last():
    X, t = data(60)
    for model in (LinearRegressor(), LinearClassifier(), LinearRanker(), LinearEmbedding("nca")):
        y = np.digitize(t, [0.0])
        assert model.fit(X, y).solver_ != "sgd"
        name = model.set_params(solver="sgd").partial_fit(X, y).solver_
        assert name == ("adam" if isinstance(model, LinearEmbedding) else "sgd")


def test_prototypes_do_not_outlive_their_components():
    X, t = data(60)
    y = np.digitize(t, [-1.0, 1.0])
    model = LinearEmbedding("arc_face", max_iter=2, solver="sgd", random_state=0).fit(X, y)
    model.set_params(loss="triplet").partial_fit(X, y)
    assert not hasattr(model, "predict")
    assert list(model.classes_) == [0, 1, 2]


def test_labels_after_pairs():
    """A fit of pairs has no classes; a loss that learns something for each asks for them."""
    X, t = data(60)
    y = np.digitize(t, [-1.0, 1.0])
    model = LinearEmbedding("ge2e", solver="sgd", max_iter=2, random_state=0)
    model.fit_pairs(X[:30], X[30:], y[:30] == y[30:])
    with pytest.raises(ValueError, match="classes must be given"):
        model.partial_fit(X, y)
    assert list(model.partial_fit(X, y, classes=[0, 1, 2]).classes_) == [0, 1, 2]


def test_the_gap_of_a_fit_does_not_outlive_its_coefficients():
    X, t = data(60)
    for model in (LinearRegressor("absolute"), LinearRanker()):
        model.fit(X, np.round(t))
        assert model.dual_gap_ >= 0
        assert not hasattr(model.set_params(solver="sgd").partial_fit(X, np.round(t)), "dual_gap_")


# --- no first batch is typical -----------------------------------------------------------------

LOSSES_ALIKE = ("squared_hinge", "crammer_singer")  # with kernels of their own for two classes


@pytest.mark.parametrize(
    ("loss", "alpha", "container"),
    [
        *((loss, alpha, np.array) for loss in ("hinge", "logistic") for alpha in (1e-2, 1e-4, 0.0)),
        *((loss, alpha, np.array) for loss in LOSSES_ALIKE for alpha in (1e-2, 0.0)),
        *((loss, 1e-4, sp.csr_array) for loss in ("hinge", "logistic")),
    ],
)
def test_a_first_batch_of_one_class(loss, alpha, container):
    X, t = data()
    y = (t > 0).astype(int)
    ones = np.flatnonzero(y == 0)[:SIZE]
    model = LinearClassifier(loss, alpha=alpha, solver="sgd", random_state=0)
    X = container(X)
    stream = [(X[ones], y[ones]), *batches(X, y)]
    assert learn(model, stream, classes=[0, 1]).score(X, y) > 0.95


@pytest.mark.parametrize("loss", ["hinge", "logistic"])
def test_a_first_batch_that_lacks_a_class(loss):
    X, t = data()
    y = np.digitize(t, [-1.5, 1.5])
    some = np.flatnonzero(y != 0)[:SIZE]
    settings = {"alpha": 1e-2, "solver": "sgd", "random_state": 0}
    usual = learn(LinearClassifier(loss, **settings), batches(X, y), classes=[0, 1, 2])
    stream = [(X[some], y[some]), *batches(X, y)]
    model = learn(LinearClassifier(loss, **settings), stream, classes=[0, 1, 2])
    assert model.score(X, y) > usual.score(X, y) - 0.05
    assert np.abs(model.coef_).max() < 3 * np.abs(usual.coef_).max()


@pytest.mark.parametrize(
    ("loss", "scale"), [("squared", 1e-3), ("squared", 1e6), ("absolute", 1e6), ("huber", 1.0)]
)
def test_row_by_row(loss, scale):
    """In any unit of y, and of each feature; but the delta of huber has the unit of y."""
    X, t = data(200)
    units = np.array([1e-2, 1.0, 1e2, 1e3, 1.0]) if loss != "huber" else np.ones(5)
    y = scale * t
    model = learn(LinearRegressor(loss, alpha=0, solver="sgd"), batches(X * units, y, 1))
    assert model.score(X * units, y) > 0.95


def test_row_by_row_is_no_worse_than_the_peer():
    X, t = data()
    rows = np.random.default_rng(0).permutation(len(t))
    stream = batches(X[rows], t[rows], 1)
    peer = learn(SGDRegressor(random_state=0), stream).score(X, t)
    assert learn(LinearRegressor(solver="sgd"), stream).score(X, t) > max(peer, 0.99)


@pytest.mark.parametrize("loss", ["squared", "absolute", "huber"])
def test_a_first_batch_of_equal_targets(loss):
    X, t = data()
    y = t.copy()
    y[:SIZE] = 5
    model = LinearRegressor(loss, solver="sgd", random_state=0)
    assert learn(model, batches(X, y) + batches(X, y)[1:]).score(X, t) > 0.98


def test_a_sorted_stream_is_no_catastrophe():
    X, t = data()
    order = np.argsort(t)
    y = (t > 0).astype(int)
    for loss in ("hinge", "logistic"):
        model = LinearClassifier(loss, solver="sgd", random_state=0)
        stream = batches(X[order], y[order])
        assert np.abs(learn(model, stream, classes=[0, 1]).coef_).max() < 100
        assert learn(model, batches(X, y)).score(X, y) > 0.95


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("solver", ["sgd", SGD(eta0=0.05)], ids=["learned", "schedule"])
def test_batches_without_pairs(solver):
    X, t = data()
    groups = np.repeat(range(20), 20)
    model = LinearRanker(solver=solver, random_state=0)
    for rows in (slice(0, 20), slice(0, 1)):
        model.partial_fit(X[rows], np.zeros(20)[rows], groups=groups[rows])
        np.testing.assert_array_equal(model.coef_, 0.0)
    assert model.n_pairs_ == 0
    model.partial_fit(X, t, groups=groups)
    before = model.coef_.copy()
    model.partial_fit(X[:20], np.zeros(20), groups=groups[:20])
    np.testing.assert_array_equal(model.coef_, before)
    assert model.score(X, t, groups=groups) > 0.95


def test_weights_of_wild_scales():
    X, t = data()
    weight = 10.0 ** np.random.default_rng(1).uniform(-8, 3, len(t))
    model = LinearRegressor("absolute", solver="sgd", random_state=0)
    for k in range(0, len(t), SIZE):
        rows = slice(k, k + SIZE)
        model.partial_fit(X[rows], t[rows], sample_weight=weight[rows])
    assert model.score(X, t) > 0.9


def test_dense_and_sparse_streams_agree():
    X = data()[0]
    X *= np.random.default_rng(2).random(X.shape) < 0.5
    for container in (np.array, sp.csr_array):
        model = LinearRegressor("absolute", solver="sgd", random_state=0)
        learn(model, batches(container(X), X @ [1.0, 2.0, 0.0, 0.0, 1.0] + 3.0))
        np.testing.assert_allclose(model.coef_, [1.0, 2.0, 0.0, 0.0, 1.0], atol=0.1)
        assert model.intercept_ == pytest.approx(3.0, abs=0.1)
