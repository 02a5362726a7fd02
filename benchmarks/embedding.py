"""Rows 14 and 15 of the targets: epochs of embeddings beside pytorch-metric-learning, and accuracy
of nearest neighbours beside scikit-learn's NCA; and a table of both, time and accuracy, for several
data sets and methods.
"""

import time
import warnings
from importlib.util import find_spec
from statistics import median

import numpy as np
import scipy.sparse as sp
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier, NeighborhoodComponentsAnalysis
from sklearn.preprocessing import StandardScaler

from benchmarks.harness import THREADS
from sklearn_margin import LinearEmbedding
from sklearn_margin.losses import ArcFace, Circle, Contrastive, InfoNCE, Triplet
from sklearn_margin.solvers import Adam

K, BATCH, EPOCHS = 16, 128, 20
# Ours, the name of theirs and its arguments, the ratio that is aimed at. Temperatures are theirs.
LOSSES = [
    (Contrastive(), "ContrastiveLoss", (), 15),
    (Triplet(mining="all"), "TripletMarginLoss", (), 50),
    (InfoNCE(temperature=0.07), "NTXentLoss", (), 15),
    (Circle(), "CircleLoss", (), 15),
    (ArcFace(), "ArcFaceLoss", (10, K), 15),
]


def _split(seed=0):
    X, y = load_digits(return_X_y=True)
    return train_test_split(X, y, test_size=0.3, stratify=y, random_state=seed)


def _accuracy(Z, y, Z_test, y_test):
    return KNeighborsClassifier().fit(Z, y).score(Z_test, y_test)


def _theirs(name, arguments, X, y, epochs, n_components=K):
    """Train a linear layer by hand, as their users do; returns its weights."""
    import torch
    from pytorch_metric_learning import losses

    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    X, y = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
    loss = getattr(losses, name)(*arguments)
    layer = torch.nn.Linear(X.shape[1], n_components, bias=False)
    adam = torch.optim.Adam([*layer.parameters(), *loss.parameters()], lr=0.01)
    for _ in range(epochs):
        for index in torch.randperm(len(X)).split(BATCH):
            adam.zero_grad()
            loss(layer(X[index]), y[index]).backward()
            adam.step()
    return layer.weight.detach().numpy()


def _ours(loss, X, y):
    model = LinearEmbedding(
        loss, n_components=K, batch_size=BATCH, solver="sgd", max_iter=EPOCHS, random_state=0
    )
    return model.fit(X, y).components_


def _clock(function, repeats):
    """Median seconds of a call, and the last result."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = function()
        seconds.append(time.perf_counter() - start)
    return median(seconds), result


def run_epochs(quick: bool, repeats: int) -> dict:
    """20 epochs of batches of 128 in 64 → 16 dimensions; slow peers run fewer, and are scaled."""
    import torch  # noqa: F401  # the case is left out without it

    X, X_test, y, y_test = _split()
    X, X_test = X / 16, X_test / 16  # for their sake: a layer that starts at random
    rows, summary = [], []
    for loss, name, arguments, bar in LOSSES:
        slow = name in ("TripletMarginLoss", "NTXentLoss")
        epochs = 1 if quick or slow else EPOCHS
        _ours(loss, X, y)  # compile
        a, W = _clock(lambda loss=loss: _ours(loss, X, y), repeats)
        b, V = _clock(lambda n=name, c=arguments, e=epochs: _theirs(n, c, X, y, e),
                      1 if slow else repeats)  # fmt: skip
        b *= EPOCHS / epochs
        found = [_accuracy(X @ M.T, y, X_test @ M.T, y_test) for M in (W, V)]
        label = type(loss).__name__
        theirs = f"{name}, {epochs} of {EPOCHS} epochs" if epochs < EPOCHS else name
        rows.append([label, f"{a:.3g}", f"{found[0]:.3f}", theirs, f"{b:.3g}", f"{found[1]:.3f}",
                     f"{b / a:.0f}"])  # fmt: skip
        summary.append({
            "case": f"{label}, {EPOCHS} epochs", "ours": a, "passes": None,
            "peer": f"pytorch-metric-learning {name}", "theirs": b, "bar": bar,
            "target": f"≥ {bar}",
        })  # fmt: skip
    columns = ["ours", "s", "accuracy", "theirs", "s", "accuracy", "ratio"]
    return {
        "title": f"embeddings, digits 64 → {K}, batches of {BATCH}", "row": 14,
        "summary": summary, "table": {"columns": columns, "rows": rows},
    }  # fmt: skip


def run_digits(quick: bool, repeats: int) -> dict:
    """Nearest neighbours in 16 dimensions, means over splits into 70 and 30 %."""
    # Not the splits on which the number of updates was chosen.
    repeats = min(repeats, 3)
    splits = [_split(seed) for seed in range(20, 21 if quick else 30)]
    common = {"n_components": K, "random_state": 0}
    best = LinearEmbedding("nca", init="pca", solver=Adam(n_updates=100), **common)
    models = {
        "nca, pca, 100 updates": best,
        "nca": LinearEmbedding("nca", **common),
        "triplet": LinearEmbedding("triplet", **common),
        "circle": LinearEmbedding("circle", **common),
        "arc_face": LinearEmbedding("arc_face", **common),
        "scikit-learn NCA": NeighborhoodComponentsAnalysis(K, random_state=0),
        "raw features": None,
    }
    rows, times = [], {}
    for name, model in models.items():
        seconds, found = [], []
        for X, X_test, y, y_test in splits:
            if model is not None:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    model.fit(X, y)  # compile
                    seconds.append(_clock(lambda m=model, X=X, y=y: m.fit(X, y), repeats)[0])
                X, X_test = model.transform(X), model.transform(X_test)
            found.append(_accuracy(X, y, X_test, y_test))
        times[name] = median(seconds) if seconds else None
        taken = f"{times[name]:.3g}" if seconds else "–"
        error = np.std(found) / np.sqrt(max(len(found) - 1, 1))
        rows.append([name, taken, f"{np.mean(found):.4f} ± {error:.4f}"])
    peer = "scikit-learn NCA"
    summary = {
        "case": "digits, nca", "ours": times["nca, pca, 100 updates"], "passes": None,
        "peer": peer, "theirs": times[peer], "bar": 20, "target": "≥ 20",
    }  # fmt: skip
    return {
        "title": f"embeddings, digits 64 → {K}, accuracy of 5 neighbours", "row": 15,
        "summary": [summary], "table": {"columns": ["", "s", "accuracy"], "rows": rows},
    }  # fmt: skip


# --- several data sets and methods ---


def _topics(n=3000, n_classes=20, n_terms=8000, words=60, seed=0):
    """Rows like tf-idf vectors of short texts, of unit length, and their topics.

    Words follow Zipf's law. A word in six is of the topic: one of 200 terms, which topics share
    with each other as chance has it, and of which the frequent ones are in all texts.
    """
    rng = np.random.default_rng(seed)
    share = 1 / np.arange(1, n_terms + 1)
    y = rng.integers(n_classes, size=n)
    terms = rng.choice(n_terms, (n, words), p=share / share.sum())
    own = np.array([rng.choice(n_terms // 4, 200, replace=False) for _ in range(n_classes)])
    rows, places = np.nonzero(rng.random((n, words)) < 1 / 6)
    terms[rows, places] = own[y[rows], rng.integers(200, size=len(rows))]
    X = sp.csr_array((np.ones(n * words), terms.ravel(), np.arange(0, n * words + 1, words)),
                     (n, n_terms))  # fmt: skip
    X.sum_duplicates()
    frequency = np.bincount(X.indices, minlength=n_terms)
    X.data *= (1 + np.log((1 + n) / (1 + frequency)))[X.indices]
    X.data /= np.repeat(np.sqrt(X.multiply(X).sum(axis=1)), np.diff(X.indptr))
    return X, y


# Data, dimensions of the embedding, and whether units differ: then all methods but the first are
# given standardised features.
TABLES = {
    "digits": (lambda: load_digits(return_X_y=True), 16, False),
    "wine": (lambda: load_wine(return_X_y=True), 4, True),
    "breast cancer": (lambda: load_breast_cancer(return_X_y=True), 4, True),
    "text, 8,000 terms": (_topics, 16, False),
}


class _Layer:
    """A linear layer of torch as a transformer, 20 epochs of a loss of pytorch-metric-learning."""

    def __init__(self, name, n_components, arguments=()):
        self.name, self.n_components, self.arguments = name, n_components, arguments

    def fit(self, X, y):
        X = X.toarray() if sp.issparse(X) else X
        self.weights = _theirs(self.name, self.arguments, X, y, EPOCHS, self.n_components)
        return self

    def transform(self, X):
        return X @ self.weights.T


def _contestants(sparse, n_components, n_classes):
    """Transformers by name; None is for the features themselves, a text says why there is none."""
    k, seed = n_components, {"random_state": 0}
    dense_only = "dense data only"
    found = {
        "raw features": None,
        "standardised features": StandardScaler(with_mean=not sparse),
        "PCA": TruncatedSVD(k, **seed) if sparse else PCA(k, **seed),
        "LDA": dense_only if sparse else LinearDiscriminantAnalysis(),
        "NCA": dense_only if sparse else NeighborhoodComponentsAnalysis(k, **seed),
    }
    if find_spec("torch") and find_spec("pytorch_metric_learning"):
        found["torch, ContrastiveLoss"] = _Layer("ContrastiveLoss", k)
        found["torch, ArcFaceLoss"] = _Layer("ArcFaceLoss", k, (n_classes, k))
    for loss in ("nca", "triplet", "contrastive", "info_nce", "circle", "arc_face"):
        found[f"LinearEmbedding, {loss}"] = LinearEmbedding(loss, n_components=k, **seed)
    return found


def run_tables(quick: bool, repeats: int) -> dict:
    """Accuracy of 5 neighbours on held-out rows, and seconds of fit, means over splits."""
    found: dict[str, list[str]] = {}
    for load, k, mixed in TABLES.values():
        X, y = load()
        splits = [
            train_test_split(X, y, test_size=0.3, stratify=y, random_state=seed)
            for seed in range(1 if quick else 5)
        ]
        for name, model in _contestants(sp.issparse(X), k, len(np.unique(y))).items():
            cells = found.setdefault(name, [name])
            cells += [model, "–"] if isinstance(model, str) else _measure(model, splits, mixed)
    columns = ["", *(cell for name in TABLES for cell in (name, "s"))]
    return {
        "title": "embeddings, accuracy of 5 neighbours and seconds of fit", "row": None,
        "summary": [], "table": {"columns": columns, "rows": list(found.values())},
    }  # fmt: skip


def _measure(model, splits, mixed):
    """Mean accuracy with its standard error, and mean seconds of fit; as text."""
    seconds, accuracies = [], []
    for X, X_test, y, y_test in splits:
        if mixed and model is not None:
            scaler = StandardScaler().fit(X)
            X, X_test = scaler.transform(X), scaler.transform(X_test)
        if model is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if not seconds:
                    model.fit(X, y)  # compile
                seconds.append(_clock(lambda X=X, y=y: model.fit(X, y), 1)[0])
            X, X_test = model.transform(X), model.transform(X_test)
        accuracies.append(_accuracy(X, y, X_test, y_test))
    error = np.std(accuracies, ddof=1) / np.sqrt(len(splits)) if len(splits) > 1 else np.nan
    taken = f"{np.mean(seconds):.2g}" if seconds else "–"
    return [f"{np.mean(accuracies):.3f} ± {error:.3f}", taken]


# --- agreement with the formulas of others ----------------------------------------------------


def run_values(quick: bool, repeats: int) -> dict:
    """Values of losses on a batch beside pytorch-metric-learning, where conventions agree."""
    import torch
    from pytorch_metric_learning import distances, losses, reducers

    rng = np.random.default_rng(0)
    y, prototypes = rng.integers(5, size=40), rng.normal(size=(5, 6))
    Z = prototypes[y] + rng.normal(size=(40, 6))  # no angle near π, where ArcFace is continued
    mean = reducers.MeanReducer()
    squared = distances.LpDistance(normalize_embeddings=False, power=2)
    arc_face = losses.ArcFaceLoss(5, 6, margin=np.rad2deg(0.5), scale=64)
    arc_face.W.data = torch.tensor(prototypes.T)
    pairs = [
        (InfoNCE(temperature=0.1), losses.NTXentLoss(temperature=0.1), ()),
        (Circle(margin=0.25, scale=80), losses.CircleLoss(m=0.25, gamma=80, reducer=mean), ()),
        (Triplet(margin=0.5, mining="all"),
         losses.TripletMarginLoss(margin=0.5, distance=squared, reducer=mean), ()),
        (ArcFace(margin=0.5, scale=64), arc_face, (prototypes,)),
    ]  # fmt: skip
    rows = []
    for ours, theirs, more in pairs:
        value = ours.value(y, Z, *more)
        other = theirs(torch.tensor(Z), torch.tensor(y)).item()
        error = f"{abs(value / other - 1):.0e}"
        rows.append([repr(ours), type(theirs).__name__, f"{value:.10g}", f"{other:.10g}", error])
    columns = ["ours", "theirs", "value", "their value", "relative difference"]
    return {
        "title": "embeddings, values of losses on one batch", "row": None, "summary": [],
        "table": {"columns": columns, "rows": rows},
        "notes": [
            "Their contrastive loss has distances where Hadsell et al. square them, and their NCA "
            "a logarithm."
        ],
    }  # fmt: skip
