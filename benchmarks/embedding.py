"""Rows 14 and 15 of the targets: epochs of embeddings beside pytorch-metric-learning, and accuracy
of nearest neighbours beside scikit-learn's NCA.
"""

import time
import warnings
from statistics import median

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier, NeighborhoodComponentsAnalysis

from benchmarks.harness import THREADS
from sklearn_margin import LinearEmbedding
from sklearn_margin.losses import ArcFace, Circle, Contrastive, InfoNCE, Triplet

K, BATCH, EPOCHS = 16, 128, 20
# Ours, the name of theirs and its arguments, the ratio that is aimed at. Temperatures are theirs.
LOSSES = [
    (Contrastive(), "ContrastiveLoss", (), 10),
    (Triplet(mining="all"), "TripletMarginLoss", (), 100),
    (InfoNCE(temperature=0.07), "NTXentLoss", (), 100),
    (Circle(), "CircleLoss", (), 10),
    (ArcFace(), "ArcFaceLoss", (10, K), 10),
]


def _split(seed=0):
    X, y = load_digits(return_X_y=True)
    return train_test_split(X, y, test_size=0.3, stratify=y, random_state=seed)


def _accuracy(Z, y, Z_test, y_test):
    return KNeighborsClassifier().fit(Z, y).score(Z_test, y_test)


def _theirs(name, arguments, X, y, epochs):
    """Train a linear layer by hand, as their users do; returns its weights."""
    import torch
    from pytorch_metric_learning import losses

    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    X, y = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
    loss, layer = getattr(losses, name)(*arguments), torch.nn.Linear(X.shape[1], K, bias=False)
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
    splits = [_split(seed) for seed in range(1 if quick else 5)]
    common = {"n_components": K, "random_state": 0}
    models = {
        "triplet": LinearEmbedding("triplet", **common),
        "triplet, alpha=3, pca": LinearEmbedding("triplet", alpha=3, init="pca", **common),
        "circle": LinearEmbedding("circle", **common),
        "arc_face": LinearEmbedding("arc_face", **common),
        "NCA": NeighborhoodComponentsAnalysis(K, random_state=0),
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
        rows.append([name, taken, f"{np.mean(found):.4f}"])
    summary = {
        "case": "digits, triplet, alpha=3", "ours": times["triplet, alpha=3, pca"], "passes": None,
        "peer": "scikit-learn NCA", "theirs": times["NCA"], "bar": 10, "target": "≥ 10",
    }  # fmt: skip
    return {
        "title": f"embeddings, digits 64 → {K}, accuracy of 5 neighbours", "row": 15,
        "summary": [summary], "table": {"columns": ["", "s", "accuracy"], "rows": rows},
    }  # fmt: skip
