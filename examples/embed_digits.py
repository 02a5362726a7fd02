"""
Which digits are alike? Metrics for nearest neighbours
======================================================

1,797 images of digits, 64 pixels each, embedded in 16 dimensions (2 for the picture) by
:class:`~sklearn_margin.LinearEmbedding` with different losses, and judged by what its neighbours
say about an image that was not learned from.

The table compares raw pixels, PCA, linear discriminants and scikit-learn's
``NeighborhoodComponentsAnalysis``. Two things are worth knowing before one learns a metric. Raw
pixels are hard to beat on these data, where they share a unit and neighbours are near: what an
embedding brings is 4 to 32 times fewer numbers per image. And a linear map that separates all the
training images goes on to pull each class into a point, which costs what is local; a stronger
penalty (``alpha``) or fewer epochs (``max_iter``) leave more of it.

The second picture shows what a temperature does: how much of the gradient of InfoNCE and of the
circle loss falls to the most similar tenth of the negatives.

Run it with ``pip install ".[examples]"`` and ``python examples/embed_digits.py``.
"""

import argparse
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier, NeighborhoodComponentsAnalysis

from sklearn_margin import LinearEmbedding
from sklearn_margin.losses import Circle, InfoNCE
from sklearn_margin.plotting import EmbeddingDisplay, HardnessDisplay

# %%
# The contestants
# ---------------


def contestants():
    """Transformers by name, to 16 dimensions where they have a choice."""
    common = {"n_components": 16, "max_iter": 20, "solver": "sgd", "random_state": 0}
    losses = "contrastive", "triplet", "info_nce", "circle", "ge2e", "arc_face"
    return {
        "raw pixels": None,
        "PCA": PCA(16),
        "discriminants (9)": LinearDiscriminantAnalysis(),
        "scikit-learn NCA": NeighborhoodComponentsAnalysis(16, random_state=0),
        **{name: LinearEmbedding(name, **common) for name in losses},
        "nca": LinearEmbedding("nca", init="pca", **common),
    }


def measure(model, X, X_test, y, y_test):
    """Seconds to fit, and the share of test images whose neighbours are right."""
    start = time.perf_counter()
    if model is not None:
        X, X_test = model.fit(X, y).transform(X), model.transform(X_test)
    seconds = time.perf_counter() - start
    return seconds, KNeighborsClassifier().fit(X, y).score(X_test, y_test)


def table(X, y, seeds=(0, 1, 2)):
    """Print means over several splits."""
    splits = [train_test_split(X, y, test_size=0.3, stratify=y, random_state=s) for s in seeds]
    LinearEmbedding(max_iter=1).fit(X, y)  # compile, or read what was compiled
    print(f"{'':20s}{'fit, s':>8s}{'accuracy':>10s}")
    for name, model in contestants().items():
        seconds, accuracy = np.mean([measure(model, *split) for split in splits], axis=0)
        print(f"{name:20s}{seconds:8.3f}{accuracy:10.3f}")


# %%
# The pictures
# ------------


def picture(X, y, path):
    """Two dimensions by principal axes and by two losses; hardness over the temperature."""
    figure, axes = plt.subplots(2, 2, figsize=(10, 10), layout="constrained")
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.5, stratify=y, random_state=0)
    models = {
        "principal axes, unseen images": PCA(2),
        "triplet loss, unseen images": LinearEmbedding("triplet", n_components=2, random_state=0),
        "circle loss, unseen images": LinearEmbedding("circle", n_components=2, random_state=0),
    }
    for ax, (title, model) in zip(axes.flat, models.items(), strict=False):
        EmbeddingDisplay.from_estimator(model.fit(X, y), X_test, y_test, ax=ax)
        ax.set_title(title)
    Z = PCA(16).fit_transform(X)
    Z /= np.linalg.norm(Z, axis=1, keepdims=True)
    similarity = (Z @ Z[0])[y != y[0]]
    settings = np.geomspace(0.01, 1, 50)
    for loss in (InfoNCE(), Circle()):
        HardnessDisplay.from_loss(loss, similarity, settings, ax=axes[1, 1])
    axes[1, 1].set_xlabel("temperature; 1 / scale of the circle loss")
    axes[1, 1].set_title("who is pushed: the hardest tenth of the negatives")
    axes[1, 1].legend(frameon=False)
    figure.savefig(path, dpi=120)
    print(f"picture: {path}")


def main():
    """Table and pictures."""
    parser = argparse.ArgumentParser(description="Embed images of digits.")
    default = Path(tempfile.gettempdir()) / "embed_digits.png"
    parser.add_argument("--output", type=Path, default=default, help="file of the picture")
    options = parser.parse_args()
    X, y = load_digits(return_X_y=True)
    table(X, y)
    picture(X, y, options.output)


if __name__ == "__main__":
    main()
