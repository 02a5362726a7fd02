"""Where the components of an embedding start: found by discriminants, or given."""

import itertools
import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import load_iris

from sklearn_margin import LinearEmbedding
from sklearn_margin.losses import Contrastive
from sklearn_margin.objective.embedding_start import first_components


def start_of(X, y, **parameters):
    """Objective of a fit, and the coordinates that it starts from."""
    model = LinearEmbedding(**parameters)
    objective, _ = model._labelled(model._loss(), X, np.asarray(y), np.ones(len(y)))
    return objective, first_components(objective, model.init, np.random.RandomState(0))


# --- discriminants of data without scatter ----------------------------------------------------

FLAT = {
    "a category that is the class": lambda y: np.eye(3)[y],
    "a finer category": lambda y: np.eye(6)[y + 3 * (np.arange(len(y)) % 2)],
    "one column three times": lambda y: np.repeat(np.random.RandomState(0).randn(len(y), 1), 3, 1),
    "all rows equal": lambda y: np.full((len(y), 3), 0.1),
    "all zero": lambda y: np.zeros((len(y), 3)),
}


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("kind", FLAT)
def test_start_where_rows_do_not_differ(kind, seed):
    """Coordinates of features of unit variance: embeddings of unit size need no long ones."""
    y = np.random.RandomState(seed).randint(3, size=200)
    _, B = start_of(FLAT[kind](y), y)
    assert np.isfinite(B).all()
    assert 0 < np.linalg.norm(B) < 10


@pytest.mark.parametrize("loss", ["nca", "triplet"])
def test_a_category_that_is_the_class(loss):
    """The penalty at the end cannot exceed F at a start that costs about 1."""
    y = np.random.RandomState(1).randint(3, size=200)
    model = LinearEmbedding(loss, random_state=0, max_iter=20).fit(np.eye(3)[y], y)
    assert model.alpha / 2 * np.sum(model.components_**2) < 0.01
    Z = model.transform(np.eye(3))
    between = [np.linalg.norm(Z[i] - Z[j]) for i, j in itertools.combinations(range(3), 2)]
    assert min(between) > 0.5


# --- a given start: what scikit-learn's NCA is tested for -------------------------------------

X_IRIS, Y_IRIS = load_iris(return_X_y=True)
TRIPLE = X_IRIS[[0, 50, 100]], np.arange(3)  # no two rows of a class: nothing moves at alpha=0


def fit_still(init, loss="nca", **parameters):
    model = LinearEmbedding(loss, init=init, alpha=0.0, max_iter=5, **parameters)
    with pytest.warns(UserWarning, match="no two rows have the same label"):
        return model.fit(*TRIPLE)


@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
@pytest.mark.parametrize("loss", ["nca", "info_nce"])
@pytest.mark.parametrize("container", [np.array, np.ndarray.tolist, pd.DataFrame])
def test_components_start_at_the_array(container, loss, solver):
    W = np.random.RandomState(0).randn(2, 4)
    model = fit_still(container(W), loss, solver=solver)
    np.testing.assert_allclose(model.components_, W, rtol=1e-12)


@pytest.mark.parametrize("n_components", [None, 4, 2])
def test_identity_keeps_the_features(n_components):
    model = fit_still("identity", n_components=n_components)
    expected = TRIPLE[0][:, :n_components]
    np.testing.assert_allclose(model.transform(TRIPLE[0]), expected, rtol=1e-12)


@pytest.mark.parametrize("init", ["auto", "lda", "pca", "random", "identity", np.eye(4)[:2]])
def test_every_start_learns(init):
    model = LinearEmbedding("nca", init=init, n_components=2, max_iter=20, random_state=0)
    Z = model.fit(X_IRIS, Y_IRIS).transform(X_IRIS)
    D = np.linalg.norm(Z[:, None] - Z, axis=2) + np.diag(np.full(150, np.inf))
    assert np.mean(Y_IRIS[D.argmin(axis=1)] == Y_IRIS) > 0.9


@pytest.mark.parametrize("container", [np.array, sp.csr_array])
def test_a_given_start_of_pairs_triplets_and_batches(container):
    W = np.random.RandomState(0).randn(3, 4)
    X = container(X_IRIS)
    first, second = X[:50], X[100:]
    model = LinearEmbedding("nca", init=W, alpha=0.0, max_iter=1)
    with pytest.warns(UserWarning, match="no pair is similar"):
        model.fit_pairs(first, second, np.zeros(50))
    np.testing.assert_allclose(model.components_, W, rtol=1e-12)
    model = clone(model).set_params(loss=Contrastive()).fit_triplets(first, X[50:100], second)
    assert model.components_.shape == (3, 4)
    model = clone(model).set_params(loss="nca", solver="sgd").partial_fit(X[:3], TRIPLE[1])
    np.testing.assert_allclose(model.components_, W, rtol=1e-12)


@pytest.mark.parametrize(
    ("init", "n_components", "message"),
    [
        (np.ones((2, 3)), None, "init has 3 columns, but X has 4 features"),
        (np.ones((5, 4)), None, "init has more rows than X has features: 5 > 4"),
        (np.ones((2, 4)), 3, "init has 2 rows, one per component, but n_components=3"),
        (np.array([[1.0, np.nan, 0.0, 0.0]]), None, "init contains NaN"),
        (np.array([[1.0, np.inf, 0.0, 0.0]]), None, "init contains infinity"),
        (np.ones(4), None, "Expected 2D array"),
        ("identitiy", None, "init must be one of .*'identity'.*, got 'identitiy'"),
        (None, None, r"init must be one of .* or an array of shape \(n_components, n_features\)"),
        (1, None, "init must be one of .* or an array .*, got 1"),
    ],
)
def test_wrong_starts(init, n_components, message):
    model = LinearEmbedding(init=init, n_components=n_components)
    with pytest.raises(ValueError, match=message):
        model.fit(X_IRIS, Y_IRIS)
    assert not hasattr(model, "components_")


def test_previous_components_go_before_init():
    model = fit_still(np.eye(4)[:2], warm_start=True)
    model.set_params(init=np.eye(4)[2:])
    with pytest.warns(UserWarning, match="no two rows"):
        model.fit(*TRIPLE)
    np.testing.assert_allclose(model.components_, np.eye(4)[:2], rtol=1e-12)
    model.set_params(init=np.eye(4)[1:])  # of another shape than the components: a new start
    with pytest.warns(UserWarning, match="no two rows"):
        model.fit(*TRIPLE)
    np.testing.assert_allclose(model.components_, np.eye(4)[1:], rtol=1e-12)


def test_an_array_is_a_parameter_like_others():
    W = np.eye(4)[:2]
    model = LinearEmbedding("nca", init=W, max_iter=1)
    copy = clone(model)
    np.testing.assert_array_equal(copy.get_params()["init"], W)
    assert "init=array" in repr(copy)
    fitted = pickle.loads(pickle.dumps(copy.fit(X_IRIS, Y_IRIS)))
    np.testing.assert_array_equal(fitted.components_, model.fit(X_IRIS, Y_IRIS).components_)
    np.testing.assert_array_equal(W, np.eye(4)[:2])


@pytest.mark.parametrize("loss", ["nca", "triplet", "circle"])
def test_the_warning_of_single_rows_says_what_happens(loss):
    """The penalty does move the components, unless alpha is 0."""
    with pytest.warns(UserWarning, match="the penalty moves the components. With alpha=0"):
        model = LinearEmbedding(loss, init="identity", alpha=0.5, max_iter=5).fit(*TRIPLE)
    assert not np.allclose(model.components_, np.eye(4), rtol=1e-3)
