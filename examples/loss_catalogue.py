"""
Every loss at work on real data
===============================

One model per loss of the catalogue, fitted to real data next to the obvious baseline on the same
split. The column *error* is the largest difference between the gradient of the loss and central
finite differences of its value, at random scores, relative to the largest derivative.

Classifiers are judged by their accuracy on a held-out third, regressors by the mean absolute error,
rankers by the share of pairs in the right order, embeddings of 8 numbers by the accuracy of five
nearest neighbours.

Run it with ``python examples/loss_catalogue.py``, which takes a minute or two; the data come with
scikit-learn. It prints:

.. literalinclude:: ../../examples/loss_catalogue.txt
   :language: none
"""

# sphinx_gallery_thumbnail_path = '_static/cards/loss.svg'

from functools import partial

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.linear_model import HuberRegressor, LogisticRegression, QuantileRegressor, Ridge
from sklearn.metrics import accuracy_score, mean_absolute_error
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from sklearn_margin import LinearClassifier, LinearEmbedding, LinearRanker, LinearRegressor
from sklearn_margin.losses import (
    GE2E,
    NCA,
    Absolute,
    ArcFace,
    Circle,
    Contrastive,
    CrammerSinger,
    CrossEntropy,
    Dice,
    EpsilonInsensitive,
    Focal,
    Hinge,
    Huber,
    InfoNCE,
    ListwiseSoftmax,
    Logistic,
    ModifiedHuber,
    MultipleNegativesRanking,
    PairwiseHinge,
    PairwiseLogistic,
    PairwiseSquaredHinge,
    PointwiseLoss,
    Poly,
    Quantile,
    SmoothedHinge,
    Squared,
    SquaredEpsilonInsensitive,
    SquaredHinge,
    Triplet,
    WestonWatkins,
)  # fmt: skip
from sklearn_margin.metrics import pairwise_accuracy_score

# %%
# Losses, their sources, and the baseline each is compared with.

CLASSIFICATION = [
    (Hinge(), "Cortes & Vapnik 1995", LinearSVC()),
    (SquaredHinge(), "Chang, Hsieh & Lin 2008", LinearSVC()),
    (SmoothedHinge(), "Shalev-Shwartz & Zhang 2013", LinearSVC()),
    (ModifiedHuber(), "Zhang 2004", LinearSVC()),
    (Logistic(), "Cox 1958", LogisticRegression(max_iter=10_000)),
    (CrossEntropy(label_smoothing=0.1), "Szegedy et al. 2016", LogisticRegression(max_iter=10_000)),
    (CrammerSinger(), "Crammer & Singer 2001", LinearSVC(multi_class="crammer_singer")),
    (WestonWatkins(), "Weston & Watkins 1999", LinearSVC(multi_class="crammer_singer")),
    (Focal(), "Lin et al. 2017", LogisticRegression(max_iter=10_000)),
    (Poly(), "Leng et al. 2022", LogisticRegression(max_iter=10_000)),
    (Dice(), "Milletari et al. 2016", LogisticRegression(max_iter=10_000)),
]
REGRESSION = [
    (Squared(), "Legendre 1805", Ridge()),
    (Absolute(), "Laplace 1774", QuantileRegressor(alpha=0)),
    (Huber(delta=20.0), "Huber 1964", HuberRegressor(max_iter=10_000)),
    (Quantile(0.5), "Koenker & Bassett 1978", QuantileRegressor(alpha=0)),
    (EpsilonInsensitive(5.0), "Vapnik 1995", Ridge()),
    (SquaredEpsilonInsensitive(5.0), "Vapnik 1995", Ridge()),
]
RANKING = [
    (PairwiseHinge(), "Joachims 2002", Ridge()),
    (PairwiseSquaredHinge(), "Lee & Lin 2014", Ridge()),
    (PairwiseLogistic(), "Burges et al. 2005", Ridge()),
    (ListwiseSoftmax(), "Cao et al. 2007", Ridge()),
]
EMBEDDING = [
    (Contrastive(), "Hadsell et al. 2006", PCA(8)),
    (Triplet(), "Schroff et al. 2015", PCA(8)),
    (InfoNCE(), "van den Oord et al. 2018", PCA(8)),
    (MultipleNegativesRanking(), "Henderson et al. 2017", PCA(8)),
    (Circle(), "Sun et al. 2020", PCA(8)),
    (GE2E(), "Wan et al. 2018", PCA(8)),
    (ArcFace(), "Deng et al. 2018", PCA(8)),
    (NCA(), "Goldberger et al. 2004", PCA(8)),
]


def gradient_error(loss, y, z, *auxiliary):
    """Largest error of the gradient by z, relative to its largest entry."""
    gradient, step = loss.gradient(y, z, *auxiliary), 1e-5
    gradient = gradient[0] if auxiliary else gradient
    numeric = np.empty_like(z)
    for where in np.ndindex(z.shape):
        up, down = z.copy(), z.copy()
        up[where] += step
        down[where] -= step
        difference = loss.value(y, up, *auxiliary) - loss.value(y, down, *auxiliary)
        numeric[where] = difference / (2 * step)
    return np.abs(gradient - numeric).max() / np.abs(gradient).max()


def classification_error(loss, rng):
    """The error for two classes, or for four if that is larger."""
    error = gradient_error(loss, rng.choice([-1, 1], 30), rng.randn(30))
    several = loss.for_classes(4)
    if isinstance(several, PointwiseLoss):  # one against the rest
        return error
    return max(error, gradient_error(several, rng.randint(0, 4, 30), rng.randn(30, 4)))


def embedding_error(loss, rng):
    """The error for a batch of four classes."""
    labels, Z = rng.randint(0, 4, 30), rng.randn(30, 3)
    return gradient_error(loss, labels, Z, *loss.start(labels, Z, 4, rng))


def compare(title, entries, data, metric, error, make):
    """Print a line for each loss: its error, and its model beside the baseline."""
    print(f"\n{title + ' (baseline)':<42}{'source':<29}{'error':<7}", *map("{:>15}".format, data))
    rng = np.random.RandomState(0)
    for loss, source, baseline in entries:
        cells = []
        for X, y in data.values():
            split = train_test_split(X, y, test_size=1 / 3, random_state=0)
            model = make(loss, alpha=1 / len(split[0]))  # C = 1, the default of the baselines
            ours, theirs = (held_out(m, *split, metric) for m in (model, baseline))
            cells.append(f"{ours:.3f} ({theirs:.3f})")
        cells = map("{:>15}".format, cells)
        print(f"{loss!r:<42}{source:<29}{error(loss, rng):<7.0e}", *cells)


def held_out(model, X_train, X_test, y_train, y_test, metric):
    """The metric of a model of standardised features on rows it has not seen."""
    steps = [StandardScaler(), clone(model)]
    if hasattr(model, "transform"):  # the neighbours of an embedding predict
        steps.append(KNeighborsClassifier())
    model = make_pipeline(*steps).fit(X_train, y_train)
    return metric(y_test, model.predict(X_test))


# %%
# Accuracy of classifiers.

compare(
    "accuracy",
    CLASSIFICATION,
    {
        "breast cancer": load_breast_cancer(return_X_y=True),
        "wine": load_wine(return_X_y=True),
        "digits": load_digits(return_X_y=True),
    },
    accuracy_score,
    classification_error,
    LinearClassifier,
)

# %%
# Mean absolute error of regressors, in units of the target (its mean is 152).

diabetes = {"diabetes": load_diabetes(return_X_y=True)}
compare(
    "mean absolute error",
    REGRESSION,
    diabetes,
    mean_absolute_error,
    lambda loss, rng: gradient_error(loss, 30 * rng.randn(30), 30 * rng.randn(30)),
    LinearRegressor,
)

# %%
# Share of pairs that rankers put in the right order.

compare(
    "pairwise accuracy",
    RANKING,
    diabetes,
    pairwise_accuracy_score,
    lambda loss, rng: gradient_error(loss, rng.randint(0, 4, 30), rng.randn(30)),
    LinearRanker,
)

# %%
# Accuracy of nearest neighbours in embeddings, and among principal axes.

compare(
    "neighbours",
    EMBEDDING,
    {"digits": load_digits(return_X_y=True), "wine": load_wine(return_X_y=True)},
    accuracy_score,
    embedding_error,
    partial(LinearEmbedding, n_components=8, solver="sgd", random_state=0),
)
