"""LinearEmbedding: what it minimises, what it accepts, what it is good for."""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import load_digits, load_wine, make_classification
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from sklearn_margin import LinearClassifier, LinearEmbedding
from sklearn_margin.embedding import _LOSSES as LOSSES
from sklearn_margin.losses import (
    ArcFace,
    Circle,
    Contrastive,
    EmbeddingLoss,
    Hinge,
    InfoNCE,
)
from sklearn_margin.objective import EmbeddingObjective, TupleObjective
from sklearn_margin.objective.batches import balanced_batches, choose_sampler, uniform_batches
from sklearn_margin.objective.embedding import _pull_back
from sklearn_margin.objective.embedding_rows import scaled_rows
from sklearn_margin.solvers import LBFGS, SGD, Adam

every_loss = pytest.mark.parametrize("loss", sorted(LOSSES))
every_container = pytest.mark.parametrize("container", [np.array, sp.csr_array])
FROM_ANYWHERE = ("contrastive", "info_nce", "arc_face")  # losses that start at random, too
CLASSES = ["ant", "bee", "cow"]


def data(n=120, d=6, seed=0, **options):
    """Three classes in the first features; zeros; scales and offsets that differ."""
    X, codes = make_classification(
        n, d, n_informative=3, n_redundant=0, n_classes=3, n_clusters_per_class=1,
        class_sep=1.5, random_state=seed, shuffle=False, **options,
    )  # fmt: skip
    X[np.random.default_rng(seed).random(X.shape) < 0.2] = 0
    return X * 10.0 ** np.arange(-2, d - 2), np.array(CLASSES)[codes]


def pairs(n=200, seed=0):
    X, y = data()
    rng = np.random.default_rng(seed)
    i, j = rng.integers(len(y), size=(2, n))
    return X[i], X[j], y[i] == y[j]


def triplets(n=200, seed=0):
    X, y = data()
    rng = np.random.default_rng(seed)
    a = rng.integers(len(y), size=n)
    p = np.array([rng.choice(np.flatnonzero(y == y[k])) for k in a])
    q = np.array([rng.choice(np.flatnonzero(y != y[k])) for k in a])
    return X[a], X[p], X[q]


def neighbours(Z, y, Z_test, y_test):
    return KNeighborsClassifier().fit(Z, y).score(Z_test, y_test)


# --- the objective ----------------------------------------------------------------------------


def objective_for(loss, container, normalize=False, kind="rows"):
    X, y = data(30)
    s = np.random.default_rng(1).uniform(0.5, 2.5, 30)
    settings = {"n_components": 2, "alpha": 0.3, "normalize": normalize}
    if kind == "rows":
        labels = np.unique(y, return_inverse=True)[1]
        rows = scaled_rows(container(X), s, None)
        return EmbeddingObjective(loss, rows, labels, s, n_classes=3, **settings)
    arity = {"pairs": 2, "triplets": 3}[kind]
    n = 30 // arity
    similar = np.random.default_rng(0).random(n) < 0.5
    rows = scaled_rows(container(X), s, None)
    return TupleObjective(
        loss, rows, similar if arity == 2 else np.ones(n, bool), s[:n], n_classes=0, arity=arity,
        **settings,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("loss", "kind"),
    [
        (loss, kind)
        for loss in ("contrastive", "triplet", "info_nce", "ge2e", "arc_face")
        for kind in ("rows", "pairs", "triplets")
        if kind == "rows" or loss != "arc_face"  # which needs labels
    ],
)
@pytest.mark.parametrize("normalize", [False, True])
@every_container
def test_gradient_of_the_objective(loss, container, normalize, kind):
    loss = LOSSES[loss]()
    objective = objective_for(loss, container, normalize, kind)
    rng = np.random.default_rng(0)
    B = rng.normal(size=objective.shape)
    Z = rng.normal(size=(3, 2))
    params = objective.begin(B, loss.start(np.arange(3), Z, 3, np.random.RandomState(0)))
    index = rng.permutation(len(objective.s))[:8]
    for batch in (None, index):
        gradient = objective.batch_value_gradient(params, batch)[1]
        steps = 1e-6 * np.eye(len(params))
        slopes = [
            np.subtract(
                objective.batch_value_gradient(params + step, batch)[0],
                objective.batch_value_gradient(params - step, batch)[0],
            ) / 2e-6
            for step in steps
        ]  # fmt: skip
        np.testing.assert_allclose(gradient, slopes, rtol=1e-5, atol=1e-6)
    W, auxiliary = objective.to_coef(params)
    np.testing.assert_allclose(objective.from_coef(W, auxiliary), params, rtol=1e-10, atol=1e-12)


def total(loss, labels, X, W, auxiliary, alpha, s=None, normalize=False):
    """F as the docstring has it, of what ``transform`` gives."""
    Z, s = X @ W.T, np.ones(len(X)) if s is None else s
    if normalize:
        Z = Z / np.linalg.norm(Z, axis=1, keepdims=True)
    rows = scaled_rows(X, s, None)
    square = rows.scale**2 + rows.shift**2  # about that of the features
    size = np.sum(W**2 * square) if normalize or loss.angular else 1.0
    return loss.value(labels, Z, *auxiliary, sample_weight=s) + alpha / 2 * np.sum(W**2) / size


def together(arrays, order, gap):
    """Copies of arrays in one block of memory, ``gap`` bytes between one and the next."""
    block = np.full(sum(a.nbytes + gap for a in arrays), 255, np.uint8)
    copies, place = list(arrays), 0
    for k in order:
        end = place + arrays[k].nbytes
        copies[k] = block[place:end].view(arrays[k].dtype).reshape(arrays[k].shape)
        copies[k][...] = arrays[k]
        place = end + gap
    return copies


@pytest.mark.compiled
@pytest.mark.parametrize("angular", [False, True])
def test_the_gradient_is_the_same_wherever_arrays_lie(angular):
    """Sums of small arrays near each other were rounded otherwise, and equal fits differed."""
    rng = np.random.default_rng(0)
    for k, d in [(2, 6), (3, 6), (1, 4), (2, 17)]:
        parts = [rng.normal(size=(k, d)), rng.normal(size=(k, d)), *rng.uniform(1, 2, (4, d))]
        found = set()
        for gap in (0, 8, 64, 4096):
            for _ in range(30):
                order = rng.permutation(7)
                dW, A, scale, l2, second, axis, out = together(
                    [*parts, np.zeros(k * d + 3)], order, gap
                )
                value = _pull_back(dW, A, scale, l2, second, angular, axis, 0.3, out)
                found.add((value, out.tobytes()))
        assert len(found) == 1, (k, d)


@pytest.mark.parametrize("loss", ["contrastive", "info_nce", "ge2e", "arc_face"])
@pytest.mark.parametrize("normalize", [False, True])
@every_container
def test_value_of_the_objective(loss, container, normalize):
    """The loss is that of what ``transform`` gives: nothing is optimised but what the user gets."""
    loss = LOSSES[loss]()
    objective = objective_for(loss, container, normalize)
    X, _ = data(30)
    rng = np.random.default_rng(0)
    W = rng.normal(size=objective.shape) / X.std(axis=0)
    params = objective.begin(
        W * objective.rows.scale,
        loss.start(np.arange(3), rng.normal(size=(3, 2)), 3, np.random.RandomState(0)),
    )
    W, auxiliary = objective.to_coef(params)[0], objective.auxiliary(params)
    normalize = normalize and not loss.angular  # whose rows are normalised as it is
    expected = total(loss, objective.labels, X, W, auxiliary, 0.3, objective.s, normalize)
    assert objective.batch_value_gradient(params, None)[0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.compiled
@every_container
@pytest.mark.parametrize("loss", [InfoNCE(), Contrastive(), Circle(), ArcFace()], ids=repr)
def test_a_fit_is_a_minimum(loss, container):
    """To the eyes of who has nothing but the loss and what ``transform`` gives."""
    X, y = data()
    model = LinearEmbedding(
        loss, n_components=3, solver="lbfgs", alpha=0.01, tol=1e-6, max_iter=500
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(container(X), y)
    codes = np.searchsorted(model.classes_, y)
    more = list(model.auxiliary_.values())
    np.testing.assert_allclose(model.transform(X), X @ model.components_.T, rtol=1e-12)
    lowest = total(loss, codes, X, model.components_, more, 0.01)
    for factor in (0.3, 0.9, 1.1, 3.0):
        for component in range(3):
            W = model.components_.copy()
            W[component] *= factor
            # Cosines leave a valley that is all but flat.
            assert total(loss, codes, X, W, more, 0.01) > lowest * (1 - 1e-3)


@pytest.mark.compiled
def test_penalty():
    X, y = data()
    norms = [
        np.linalg.norm(LinearEmbedding("contrastive", alpha=alpha).fit(X, y).components_)
        for alpha in (0.0, 1e-6, 1e-3)
    ]
    assert norms[0] > norms[1] > norms[2]


# --- what it is good for ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def raw_wine():
    """Accuracy without an embedding."""
    return cross_val_score(KNeighborsClassifier(), *load_wine(return_X_y=True)).mean()


@pytest.mark.compiled
@every_loss
@pytest.mark.parametrize("solver", ["auto", "sgd"])
def test_neighbours_of_wine_are_found_in_raw_features(loss, solver, raw_wine):
    """Features whose scales differ by a factor of 1,000."""
    X, y = load_wine(return_X_y=True)
    model = make_pipeline(
        LinearEmbedding(loss, solver=solver, random_state=0, max_iter=150), KNeighborsClassifier()
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = cross_val_score(model, X, y, cv=3).mean()
    assert found > 0.87 > 0.75 > raw_wine


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("loss", "init"),
    [*((loss, "auto") for loss in sorted(LOSSES)), *((loss, "random") for loss in FROM_ANYWHERE)],
)
def test_two_dimensions_of_digits(loss, init):
    """Where a picture is wanted, discriminants that are learned are better than PCA's 0.6."""
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, random_state=0)
    model = LinearEmbedding(loss, n_components=4, init=init, random_state=0).fit(X, y)
    found = neighbours(model.transform(X), y, model.transform(X_test), y_test)
    assert found > (0.84 if init == "auto" else 0.8)


@pytest.mark.compiled
def test_predict_by_prototypes():
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, random_state=0)
    names = np.array(list("abcdefghij"))
    model = LinearEmbedding("arc_face", n_components=9, random_state=0).fit(X, names[y])
    assert model.prototypes_.shape == (10, 9)
    assert model.predict(X_test).dtype == names.dtype
    assert np.mean(model.predict(X_test) == names[y_test]) > 0.93
    assert not hasattr(LinearEmbedding("circle"), "predict")


@pytest.mark.compiled
def test_grid_search_in_a_pipeline():
    X, y = data()
    model = make_pipeline(
        LinearEmbedding("info_nce", random_state=0, max_iter=50), KNeighborsClassifier()
    )
    grid = {
        "linearembedding__loss": [InfoNCE()],
        "linearembedding__loss__temperature": [0.05, 0.5],
        "linearembedding__n_components": [1, 3],
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = GridSearchCV(model, grid, cv=3).fit(X, y)
    assert search.best_params_["linearembedding__n_components"] == 3
    assert search.best_score_ > 0.8
    scores = search.cv_results_["mean_test_score"]
    assert len(set(scores)) > 2


# --- pairs and triplets -----------------------------------------------------------------------


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("loss", "solver", "container"),
    [
        (loss, solver, container)
        # Not "nca": where each row has one mate, its errors saturate, and it learns little.
        for loss in sorted(set(LOSSES) - {"arc_face", "nca"})
        for solver, container in (("lbfgs", np.array), ("sgd", sp.csr_array))
        if not (solver == "lbfgs" and loss == "triplet")  # which has kinks
    ],
)
def test_pairs_and_triplets(loss, solver, container):
    model = LinearEmbedding(loss, n_components=3, solver=solver, random_state=0, max_iter=25)
    A, B, similar = pairs()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit_pairs(container(A), container(B), similar)
        assert not hasattr(model, "classes_")
        near = model.pair_distance(A, B)
        assert near.shape == similar.shape
        raw = np.linalg.norm(A - B, axis=1)
        assert near[~similar].mean() / near[similar].mean() > 1.2
        assert (near[~similar].mean() / near[similar].mean()
                > raw[~similar].mean() / raw[similar].mean())  # fmt: skip
        parts = triplets()
        model.fit_triplets(*map(container, parts))
    order = model.pair_distance(*parts[:2]) < model.pair_distance(parts[0], parts[2])
    assert order.mean() > 0.8
    assert model.n_iter_ >= 1


@pytest.mark.parametrize("similar", [[1, 0, 1, 0], [1, -1, 1, -1], [True, False, True, False]])
def test_ways_to_say_similar(similar):
    A, B, _ = (part[:4] for part in pairs())
    model = LinearEmbedding("contrastive", random_state=0, n_components=2)
    expected = clone(model).fit_pairs(A, B, np.array([True, False, True, False])).components_
    np.testing.assert_array_equal(model.fit_pairs(A, B, similar).components_, expected)


def test_weights_of_pairs():
    A, B, similar = pairs(60)
    s = np.random.default_rng(0).integers(0, 3, 60)
    model = LinearEmbedding("contrastive", solver="lbfgs", alpha=1e-3, n_components=3)
    repeated = np.repeat(np.arange(60), s)
    one = clone(model).fit_pairs(A, B, similar, sample_weight=s)
    other = clone(model).fit_pairs(A[repeated], B[repeated], similar[repeated])
    np.testing.assert_allclose(one.pair_distance(A, B), other.pair_distance(A, B), rtol=1e-3)


def test_pairs_and_triplets_are_checked():
    A, B, similar = pairs(20)
    model = LinearEmbedding("contrastive")
    with pytest.raises(ValueError, match="similar"):
        model.fit_pairs(A, B, similar[:-1])
    with pytest.raises(ValueError, match="similar"):
        model.fit_pairs(A, B, np.arange(20))
    with pytest.raises(ValueError, match="X1, X2"):
        model.fit_pairs(A, B[:-1], similar)
    with pytest.raises(ValueError, match="positive"):
        model.fit_triplets(A, None, B)
    with pytest.raises(ValueError, match="features"):
        model.fit_triplets(A, B, B[:, :3])
    with pytest.raises(ValueError, match=r"arc_face.*labels"):
        LinearEmbedding("arc_face").fit_pairs(A, B, similar)
    with pytest.raises(ValueError, match="init='lda'"):
        LinearEmbedding("contrastive", init="lda").fit_pairs(A, B, similar)
    assert not hasattr(model, "components_")
    with pytest.raises(NotFittedError):
        model.pair_distance(A, B)
    with pytest.raises(ValueError, match="X1, X2"):
        model.fit_pairs(A, B, similar).pair_distance(A, B[:3])


# --- data -------------------------------------------------------------------------------------


@every_loss
@pytest.mark.parametrize("solver", ["auto", "sgd"])
def test_sparse_is_dense(loss, solver):
    X, y = data()
    model = LinearEmbedding(loss, n_components=2, solver=solver, random_state=0, max_iter=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dense, sparse = clone(model).fit(X, y), clone(model).fit(sp.csr_array(X), y)
        other = clone(model).fit(sp.csc_matrix(X), y)
    size = np.abs(dense.components_ * X.std(axis=0)).max()
    for found in (sparse, other):
        difference = (found.components_ - dense.components_) * X.std(axis=0)
        assert np.abs(difference).max() < 1e-6 * size
    np.testing.assert_allclose(dense.transform(sp.csr_array(X)), dense.transform(X), rtol=1e-10)


@pytest.mark.compiled
def test_sparse_and_wide_is_not_made_dense():
    rng = np.random.default_rng(0)
    X = sp.random_array((600, 50_000), density=4e-4, random_state=rng, format="csr")
    y = rng.integers(3, size=600)
    X = sp.csr_array(sp.hstack([X, sp.csr_array(np.eye(3)[y])]))
    model = LinearEmbedding(n_components=2, random_state=0, max_iter=2).fit(X, y)
    assert model.transform(X).shape == (600, 2)


@every_loss
@every_container
def test_float32(loss, container):
    X, y = data()
    X = X.astype(np.float32).astype(np.float64)
    model = LinearEmbedding(loss, n_components=2, random_state=0, max_iter=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        single = clone(model).fit(container(X.astype(np.float32)), y)
        double = clone(model).fit(container(X), y)
    assert single.components_.dtype == np.float32
    assert single.transform(X.astype(np.float32)).dtype == np.float32
    assert double.components_.dtype == np.float64
    Z, Z2 = single.transform(X), double.transform(X)
    assert np.abs(Z - Z2).max() < 0.1 * np.abs(Z2).max()


@pytest.mark.compiled
def test_containers():
    X, y = data()
    model = LinearEmbedding(n_components=2, random_state=0, max_iter=20)
    expected = clone(model).fit(X, y)
    frame = pd.DataFrame(X, columns=list("abcdef"))
    wide = np.full((240, 12), np.nan)
    wide[::2, ::2] = X
    for other in (np.asfortranarray(X), frame, X.tolist(), wide[::2, ::2]):
        found = clone(model).fit(other, y.tolist())
        np.testing.assert_array_equal(found.components_, expected.components_)
    assert list(clone(model).fit(frame, y).feature_names_in_) == list("abcdef")


@pytest.mark.compiled
def test_output_containers():
    X, y = data()
    model = LinearEmbedding(n_components=2, random_state=0, max_iter=20).fit(X, y)
    names = ["linearembedding0", "linearembedding1"]
    assert model.get_feature_names_out().tolist() == names
    Z = model.transform(X)
    for container, cls in (("pandas", pd.DataFrame), ("polars", pl.DataFrame)):
        found = clone(model).set_output(transform=container).fit(X, y).transform(X)
        assert isinstance(found, cls)
        assert list(found.columns) == names
        np.testing.assert_allclose(found.to_numpy(), Z)


@pytest.mark.compiled
@pytest.mark.parametrize("loss", ["info_nce", "contrastive", "triplet", "arc_face"])
def test_offsets_and_scales(loss):
    """Of features that are large and far from zero, and of constant ones."""
    X, y = data()
    X = X / X.std(axis=0)
    model = LinearEmbedding(loss, n_components=3, random_state=0, alpha=0, max_iter=150)
    for other in (X * 1e150, X * 1e-150, X + 1e3, np.column_stack([X, np.ones(120), X[:, 0] * 0])):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            Z = clone(model).fit(other, y).transform(other)
        assert np.all(np.isfinite(Z))
        assert neighbours(Z[::2], y[::2], Z[1::2], y[1::2]) > 0.7


# --- weights ----------------------------------------------------------------------------------


@pytest.mark.compiled
@every_loss
@every_container
def test_weights_are_repetitions_in_any_order(loss, container):
    X, y = data(60)
    rng = np.random.default_rng(0)
    s = rng.integers(0, 4, 60)
    order = rng.permutation(np.repeat(np.arange(60), s))
    model = LinearEmbedding(loss, n_components=2, random_state=0, max_iter=20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one = clone(model).fit(container(X), y, sample_weight=s)
        other = clone(model).fit(container(X[order]), y[order])
    # Rounding in BLAS may depend on where arrays lie in memory.
    np.testing.assert_allclose(one.components_, other.components_, rtol=1e-6, atol=1e-8)


@pytest.mark.compiled
def test_weights_of_many_rows():
    """Rows are drawn by their weights."""
    X, y = data(700)
    y = np.where(np.arange(700) % 2, y, "dog")  # noise, without weight
    s = np.where(y == "dog", 1e-9, 3.0)
    model = LinearEmbedding("triplet", n_components=3, random_state=0).fit(X, y, sample_weight=s)
    Z, kept = model.transform(X), y != "dog"
    assert neighbours(Z[kept], y[kept], Z[kept], y[kept]) > 0.85


# --- batches ----------------------------------------------------------------------------------


def test_uniform_batches_visit_every_row():
    batches = uniform_batches(np.ones(1000), 128, np.random.RandomState(0))
    assert sorted(np.concatenate(batches)) == list(range(1000))
    assert {len(b) for b in batches} == {125}
    s = np.r_[np.full(500, 3.0), np.zeros(500)]
    drawn = np.concatenate(uniform_batches(s, 128, np.random.RandomState(0)))
    assert drawn.max() < 500
    assert np.bincount(drawn).tolist() == [2] * 500


def test_balanced_batches():
    rng = np.random.default_rng(0)
    labels = np.r_[np.zeros(5000, int), rng.integers(1, 50, 1000), 50]
    counts = np.zeros(51)
    batches = list(balanced_batches(labels, np.ones(6001), 51, 64, 4, np.random.RandomState(0)))
    for batch in batches:
        found = np.bincount(labels[batch], minlength=51)
        assert len(np.unique(batch)) == len(batch)
        assert np.count_nonzero(found) == 16
        assert set(found[:50]) <= {0, 4}
        assert found[50] <= 1  # a class of one row
        counts += found
    assert sum(map(len, batches)) >= 6001
    assert counts[:50].max() < 1.3 * counts[:50].min()


def test_the_sampler_is_chosen_by_what_the_loss_needs():
    few, many = np.arange(1000) % 10, np.arange(1000) % 200
    assert choose_sampler(Circle(), few, 10, 128) == "uniform"
    assert choose_sampler(Circle(), many, 200, 128) == "balanced"
    assert choose_sampler(ArcFace(), many, 200, 128) == "uniform"


@pytest.mark.compiled
@every_loss
def test_many_small_classes(loss):
    rng = np.random.default_rng(0)
    y = rng.integers(300, size=1500)
    X = rng.normal(size=(300, 10))[y] + 0.3 * rng.normal(size=(1500, 10))
    X = np.column_stack([X, 3 * rng.normal(size=(1500, 5))])  # and noise
    model = LinearEmbedding(loss, n_components=8, random_state=0, batch_size=64).fit(X, y)
    Z = model.transform(X)
    found = KNeighborsClassifier(1).fit(Z[::2], y[::2]).score(Z[1::2], y[1::2])
    raw = KNeighborsClassifier(1).fit(X[::2], y[::2]).score(X[1::2], y[1::2])
    assert found > raw + 0.1


# --- solvers ----------------------------------------------------------------------------------


def test_which_solver():
    X, y = data()
    many, labels = data(600)
    assert LinearEmbedding("circle").fit(X, y).solver_ == "lbfgs"
    assert LinearEmbedding("triplet").fit(X, y).solver_ == "adam"
    assert LinearEmbedding("circle", max_iter=1).fit(many, labels).solver_ == "adam"
    for loss in ("triplet", Circle(detach_weights=True)):
        with pytest.raises(ValueError, match=r"solver='lbfgs' .*not differentiable.*adam"):
            LinearEmbedding(loss, solver="lbfgs").fit(X, y)
    for solver in ("newton", SGD(), None, "a"):
        with pytest.raises(ValueError, match=r"solver must be|scores are not linear"):
            LinearEmbedding(solver=solver).fit(X, y)
    with pytest.raises(ValueError, match="solver='adam' cannot be used here"):
        LinearClassifier(solver=Adam()).fit(X, y)
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="compare 20001 rows"):
        LinearEmbedding("circle", solver="lbfgs").fit(
            rng.normal(size=(20_001, 2)), rng.integers(2, size=20_001)
        )


@pytest.mark.compiled
@every_loss
def test_a_seed_determines_the_fit(loss):
    X, y = data(600)
    model = LinearEmbedding(loss, n_components=2, random_state=3, max_iter=2)
    first, second = clone(model).fit(X, y), clone(model).fit(X, y)
    np.testing.assert_array_equal(first.components_, second.components_)
    other = clone(model).set_params(random_state=4).fit(X, y)
    assert np.abs(other.components_ - first.components_).max() > 0


@pytest.mark.compiled
def test_number_of_epochs():
    X, y = data(600)
    model = LinearEmbedding("circle", random_state=0, batch_size=100)
    assert clone(model).set_params(max_iter=3).fit(X, y).n_iter_ == 3
    assert clone(model).set_params(solver=Adam(n_updates=60)).fit(X, y).n_iter_ == 10
    assert clone(model).set_params(solver=Adam(n_updates=1)).fit(X, y).n_iter_ == 5


@pytest.mark.compiled
def test_a_loss_that_rises_at_first_does_not_end_the_run():
    """Rare words: long first steps spoil a good start, and later ones more than mend it."""
    rng = np.random.default_rng(0)
    share = 1 / np.arange(1, 4001)
    y = rng.integers(20, size=1500)
    words = rng.choice(4000, (1500, 40), p=share / share.sum())
    of_topic = rng.integers(1000, size=(20, 100))
    words[:, :7] = of_topic[y[:, None], rng.integers(100, size=(1500, 7))]
    X = sp.csr_array((np.ones(words.size), (np.repeat(np.arange(1500), 40), words.ravel())))
    frequency = np.bincount(X.indices, minlength=4000)
    X.data = (1 + np.log(1500 / np.maximum(frequency, 1)))[X.indices] / 25
    model = LinearEmbedding(random_state=0).fit(X[:1000], y[:1000])
    assert model.n_iter_ == 125  # 1,000 updates
    Z = model.transform(X)
    assert neighbours(Z[:1000], y[:1000], Z[1000:], y[1000:]) > 0.65


@pytest.mark.compiled
def test_warm_start_and_repetition():
    X, y = data()
    model = LinearEmbedding("arc_face", n_components=2, warm_start=True, solver=LBFGS())
    first = model.fit(X, y).n_iter_
    assert model.fit(X, y).n_iter_ < 0.5 * first
    cold = clone(model).set_params(warm_start=False).fit(X, y)
    again = copy.deepcopy(cold).fit(X, y)
    np.testing.assert_array_equal(cold.components_, again.components_)


@pytest.mark.parametrize("given", [False, True])
def test_early_stopping(given):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 200))
    y = np.digitize(X[:, 0] + 0.5 * rng.normal(size=600), [-0.5, 0.5])
    solver = Adam(early_stopping=True, n_iter_no_change=3)
    validation = (X[500:], y[500:]) if given else (None, None)
    model = LinearEmbedding("circle", n_components=4, random_state=0, solver=solver)
    model.fit(X[:500], y[:500], X_val=validation[0], y_val=validation[1])
    full = clone(model).set_params(solver="sgd").fit(X[:500], y[:500])
    assert model.n_iter_ < full.n_iter_
    at = [Circle().value(y[500:], m.transform(X[500:])) for m in (model, full)]
    assert at[0] < at[1]


@pytest.mark.compiled
def test_early_stopping_with_prototypes():
    """A validation set of a loss with auxiliary parameters has the same ones."""
    X, y = data(600)
    solver = Adam(early_stopping=True, n_iter_no_change=3)
    for loss in ("arc_face", "ge2e"):
        model = LinearEmbedding(loss, n_components=2, random_state=0, solver=solver)
        model.fit(X[::2], y[::2], X_val=X[1::2], y_val=y[1::2])
        Z = model.transform(X)
        assert neighbours(Z[::2], y[::2], Z[1::2], y[1::2]) > 0.7


def test_validation_sets_are_checked():
    X, y = data()
    model = LinearEmbedding("circle", solver=Adam(early_stopping=True))
    with pytest.raises(ValueError, match="together"):
        model.fit(X, y, X_val=X)
    with pytest.raises(ValueError, match="early_stopping"):
        LinearEmbedding("circle").fit(X, y, X_val=X, y_val=y)
    with pytest.raises(ValueError, match="y_val"):
        clone(model).set_params(loss="arc_face").fit(X, y, X_val=X, y_val=np.full(120, "dog"))


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("loss", "container"),
    [
        *((loss, np.array) for loss in sorted(LOSSES)),
        ("contrastive", sp.csr_array),
        ("arc_face", sp.csr_array),
    ],
)
def test_partial_fit(loss, container):
    X, y = data(900)
    order = np.random.default_rng(0).permutation(900)
    X, y = X[order], y[order]
    model = LinearEmbedding(loss, n_components=3, solver="sgd", random_state=0, init="random")
    parts = [slice(k, k + 150) for k in range(0, 900, 150)]
    for _ in range(5):
        for part in parts:
            model.partial_fit(container(X[part]), y[part], classes=CLASSES)
        model = pickle.loads(pickle.dumps(model))
    Z = model.transform(X)
    assert model.classes_.tolist() == CLASSES
    assert (model.n_iter_, model.solver_) == (1, "adam")
    assert neighbours(Z[::2], y[::2], Z[1::2], y[1::2]) > 0.7
    before = model.components_.copy()
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(np.full((3, 6), np.nan), y[:3])
    np.testing.assert_array_equal(model.components_, before)


def test_partial_fit_checks_classes_and_solver():
    X, y = data()
    model = LinearEmbedding("arc_face", solver="sgd")
    with pytest.raises(ValueError, match="classes"):
        model.partial_fit(X, y)
    model.partial_fit(X, y, classes=CLASSES)
    with pytest.raises(ValueError, match="dog"):
        model.partial_fit(X, np.full(120, "dog"))
    assert not hasattr(LinearEmbedding(solver="lbfgs"), "partial_fit")


# --- parameters and errors --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameter", "values"),
    [
        ("loss", ["hinge", Hinge(), Circle, None, 1]),
        ("n_components", [0, -1, 7, 1.5, "a"]),
        ("normalize", [None, 1, "a"]),
        ("init", ["identities", None, 1]),
        ("batch_size", [1, 0, 2.5, None]),
        ("sampler", ["all", None]),
        ("alpha", [-1, None, np.nan]),
        ("tol", [-1, None]),
        ("max_iter", [0, None, 1.5]),
        ("warm_start", [None, 1]),
        ("n_jobs", [0, 1.5]),
        ("random_state", ["a", -1]),
        ("verbose", [-1, "a"]),
        ("solver", ["a", None, Adam]),
    ],
)
def test_wrong_parameters(parameter, values):
    X, y = data()
    for value in values:
        with pytest.raises((ValueError, TypeError), match=parameter):
            LinearEmbedding(**{parameter: value}).fit(X, y)


@pytest.mark.parametrize(
    "solver",
    [Adam(learning_rate=0), Adam(n_updates=0), Adam(early_stopping=1), Adam(n_iter_no_change=0),
     Adam(validation_fraction=1.0), LBFGS(memory=0)],
)  # fmt: skip
def test_wrong_parameters_of_solvers(solver):
    X, y = data()
    wrong = next(
        name for name, value in solver.get_params().items()
        if value != type(solver)().get_params()[name] or (type(value) is int and value == 1)
    )  # fmt: skip
    with pytest.raises((ValueError, TypeError), match=wrong):
        LinearEmbedding(solver=solver).fit(X, y)


def test_a_failed_fit_changes_nothing():
    X, y = data()
    model = LinearEmbedding("circle", random_state=0).fit(X, y)
    before = pickle.dumps(model.__dict__)
    calls = [
        lambda: model.fit(np.where(X > 1e3, np.nan, X), y),
        lambda: model.fit(X, np.zeros(120)),
        lambda: model.fit(X, y[:-1]),
        lambda: model.fit(X[:, :3], y, sample_weight=-np.ones(120)),
        lambda: model.fit(X, None),
        lambda: model.fit_pairs(X, X, np.full(120, 3)),
        lambda: model.fit_triplets(X, X[:3], X),
    ]
    for call in calls:
        with pytest.raises(ValueError):
            call()
        assert pickle.dumps(model.__dict__) == before


def test_no_two_rows_of_a_class():
    X, _ = data()
    with pytest.warns(UserWarning, match="no two rows have the same label"):
        model = LinearEmbedding("info_nce", n_components=2).fit(X, np.arange(120))
    assert np.all(np.isfinite(model.components_))


def test_verbose(capsys):
    X, y = data()
    LinearEmbedding("circle", verbose=1).fit(X, y)
    assert "[LinearEmbedding] iteration 1:" in capsys.readouterr().out


# --- a loss of the user's ---------------------------------------------------------------------


class Compact(EmbeddingLoss):
    """Squared distance to a learned centre per class, and a spread of 1, in plain NumPy."""

    auxiliary = ("centres",)

    def __init__(self, spread=1.0):
        self.spread = spread

    def start(self, labels, Z, n_classes, random_state):
        return (random_state.normal(size=(n_classes, Z.shape[1])),)

    def value(self, labels, Z, centres):
        away = np.sum((centres - centres.mean(axis=0)) ** 2) - self.spread
        return float(np.mean(np.sum((Z - centres[labels]) ** 2, axis=1)) + away**2)

    def gradient(self, labels, Z, centres):
        difference = 2 * (Z - centres[labels]) / len(Z)
        middle = centres - centres.mean(axis=0)
        by_centre = 4 * (np.sum(middle**2) - self.spread) * middle
        np.add.at(by_centre, labels, -difference)
        return difference, by_centre


@pytest.mark.parametrize("solver", ["lbfgs", "sgd"])
def test_custom_loss(solver):
    X, y = data()
    model = LinearEmbedding(Compact(spread=3.0), n_components=2, solver=solver, random_state=0)
    Z = model.fit(X, y).transform(X)
    assert model.auxiliary_["centres"].shape == (3, 2)
    assert neighbours(Z[::2], y[::2], Z[1::2], y[1::2]) > 0.7
    search = GridSearchCV(
        make_pipeline(model, KNeighborsClassifier()), {"linearembedding__loss__spread": [1.0, 2.0]}
    )
    assert search.fit(X, y).best_score_ > 0.7
    with pytest.raises(TypeError, match="sample_weight"):
        model.set_params(solver="lbfgs").fit(X, y, sample_weight=np.arange(120.0))
