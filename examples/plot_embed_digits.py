"""
An embedding of digits: two numbers per image
=============================================

1,797 images of handwritten digits, 64 pixels each, become points of the plane.
:class:`~sklearn_margin.LinearEmbedding` looks for the plane in which digits of a kind are near each
other; principal axes only look for the one in which images are far apart. All points in the
pictures are images that were not learned from.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from sklearn_margin import LinearEmbedding
from sklearn_margin.plotting import EmbeddingDisplay

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, test_size=0.5, stratify=y, random_state=0)

# %%
# Two dimensions
# --------------

figure, axes = plt.subplots(2, figsize=(5.6, 8), layout="constrained")
models = {
    "principal axes": PCA(2),
    "learned: nearest neighbours": LinearEmbedding("nca", n_components=2, random_state=0),
}
for ax, (title, model) in zip(axes, models.items(), strict=True):
    display = EmbeddingDisplay.from_estimator(model.fit(X, y), X_test, y_test, ax=ax, alpha=0.8)
    for digit in range(10):
        middle = np.median(display.points[y_test == digit], axis=0)
        ax.text(*middle, digit, weight="bold", size="x-large", ha="center", va="center")
    ax.get_legend().remove()
    ax.set_axis_off()
    ax.set_title(title)

# %%
# How many numbers per image do neighbours need?
# ----------------------------------------------
# The share of unseen images whose five nearest neighbours say the right digit:


def accuracy(*steps):
    """Share of the images that were held out whose neighbours are right."""
    return make_pipeline(*steps, KNeighborsClassifier()).fit(X, y).score(X_test, y_test)


print(f"{'':12}{'PCA':>8}{'triplet':>9}{'nca':>8}")
for n in (2, 4, 8, 16):
    triplet, nca = (
        accuracy(LinearEmbedding(loss, n_components=n, random_state=0))
        for loss in ("triplet", "nca")
    )
    print(f"{n:2} numbers  {accuracy(PCA(n)):8.3f}{triplet:9.3f}{nca:8.3f}")
print(f"all 64      {accuracy():8.3f}")

# %%
# **To conclude**: what is learned pays off where few numbers are kept. With 16, principal axes are
# as good, and nothing beats the raw pixels, which are all of use. Next:
# :doc:`/user_guide/embeddings`, with data where an embedding doubles the accuracy.
