"""What users write: it has no errors under ``mypy --strict`` and under pyright, and runs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import assert_type

import numpy as np
import numpy.typing as npt
from scipy import sparse

from sklearn_margin import (
    AlphaSearchCV,
    Batches,
    HingeClassifier,
    HuberRegressor,
    LinearClassifier,
    LinearEmbedding,
    LinearRanker,
    LinearRegressor,
    OrdinalClassifier,
    QuantileRegressor,
    RankSVM,
    check_loss,
    regularization_path,
)
from sklearn_margin.losses import (
    BatchLoss,
    CrossEntropy,
    EmbeddingLoss,
    Focal,
    Hinge,
    Huber,
    InfoNCE,
    Loss,
    MulticlassLoss,
    PairwiseHinge,
    PairwiseLoss,
    PointwiseLoss,
    ProbabilityLoss,
    Triplet,
)
from sklearn_margin.metrics import (
    make_pinball_scorer,
    make_ranking_scorer,
    ndcg_score,
    pinball_loss,
)
from sklearn_margin.solvers import LBFGS, SGD, Adam, Newton, Result, Solver

Array = npt.NDArray[np.float64]
rng = np.random.default_rng(0)
X: Array = rng.normal(size=(60, 3))
z = X[:, 0] + rng.normal(size=60)
labels = np.where(z > 0, "yes", "no")
groups = np.repeat(np.arange(6), 10)
grades = np.digitize(z, [-1.0, 1.0])


class Cauchy(PointwiseLoss):
    """A loss of one's own, typed."""

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale

    convex = False
    smooth = True

    def sample_value(self, y: float, z: float) -> float:
        return math.log1p(((y - z) / self.scale) ** 2)

    def sample_gradient(self, y: float, z: float) -> float:
        r = (z - y) / self.scale
        return 2 * r / (1 + r * r) / self.scale


class Perceptron(MulticlassLoss):
    """Of several classes."""

    def sample_value(self, k: int, z: Array) -> float:
        return float(max(z) - z[k])

    def sample_gradient(self, k: int, z: Array, out: Array) -> None:
        out[:] = 0.0
        out[np.argmax(z)] += 1.0
        out[k] -= 1.0


class Missed(ProbabilityLoss):
    """Of the probability of an error."""

    convex = False

    def phi(self, log_p: float, q: float) -> float:
        return q

    def phi_prime(self, log_p: float, q: float) -> float:
        return q - 1.0


class Spread(BatchLoss):
    """Of a batch; without weights."""

    def batch_value(self, y: Array, z: Array) -> float:
        return float((np.mean(y * z) - 1.0) ** 2)

    def batch_gradient(self, y: Array, z: Array, out: Array) -> None:
        out[:] = 2.0 * (np.mean(y * z) - 1.0) * y / len(y)


class Exponential(PairwiseLoss):
    """Of pairs."""

    def pair_value(self, d: float) -> float:
        return math.exp(-d)

    def pair_gradient(self, d: float) -> float:
        return -math.exp(-d)


class Compact(EmbeddingLoss):
    """Of embeddings; without weights."""

    def value(self, labels: npt.NDArray[np.intp], Z: Array) -> float:
        return float((Z**2).mean())

    def gradient(self, labels: npt.NDArray[np.intp], Z: Array) -> Array:
        return 2.0 * Z / Z.size


class Descent(Solver):
    """A solver of one's own."""

    name = "descent"


def classify(loss: str | Loss, solver: str | Solver = "auto") -> float:
    """Names and objects are taken alike."""
    model = LinearClassifier(loss, solver=solver, alpha=1e-3, class_weight="balanced")
    assert_type(model.fit(X, labels), LinearClassifier)
    assert_type(model.fit(X, labels).score(X, labels), float)
    return model.fit(X, labels, sample_weight=np.ones(60)).score(X, labels)


def fit_each_kind() -> None:
    """One fit of every estimator."""
    classify("hinge")
    classify("logistic", Newton(gram_max=10))
    classify(Hinge(margin=1.0))
    classify(Focal(gamma=1.0, alpha=(0.25,) * 2), LBFGS(memory=5))
    classify(CrossEntropy(), SGD(batch_size=32, eta0="auto"))
    calibrated = HingeClassifier(probability="sigmoid", n_jobs=2, class_weight={"yes": 2.0})
    proba: Array = calibrated.fit(X.tolist(), labels.tolist()).predict_proba(X)
    coefficients: Array = calibrated.coef_
    regressor = LinearRegressor(loss=Cauchy(2.0), random_state=0).fit(sparse.csr_matrix(X), z)
    LinearRegressor(Huber(delta=1.0), solver="newton").fit(sparse.csr_array(X), z)
    LinearRegressor(coef_bounds=(0, None), penalty_factors=[1.0, 0.0, 2.0]).fit(X, z)
    RankSVM(coef_bounds={"price": (None, 0.0)}, penalty_factors={"age": math.inf})
    scale: float = HuberRegressor(scale=None).fit(X, z).scale_
    quantiles = QuantileRegressor(quantile=[0.1, 0.9], non_crossing=True).fit(X, z)
    width = quantiles.predict(X)[:, 1] - quantiles.predict(X)[:, 0]
    ordinal = OrdinalClassifier("hinge", threshold="immediate", classes=[0, 1, 2]).fit(X, grades)
    print(ordinal.thresholds_, ordinal.linear_predictor(X), make_pinball_scorer([0.1, 0.9]))
    print(pinball_loss(z, quantiles.predict(X), quantile=[0.1, 0.9]))
    print(
        proba.shape, coefficients.shape, regressor.solver_, scale, width.mean(), quantiles.n_iter_
    )


def rank() -> None:
    """Groups, given pairs, metrics."""
    ranker = RankSVM(weighting="difference", random_state=np.random.RandomState(0))
    ranker.fit(X, grades, groups=groups)
    LinearRanker(PairwiseHinge(margin=2.0)).fit_pairs(X[1:], X[:-1], np.sign(np.diff(z)))
    quality: float = ndcg_score(grades, ranker.predict(X), groups=groups, k=5)
    scorer = make_ranking_scorer(ndcg_score, k=5)
    print(quality, ranker.n_pairs_, scorer)


def embed() -> None:
    """Embeddings from labels."""
    model = LinearEmbedding(Triplet(mining="hard"), n_components=2, solver=Adam(n_updates=50))
    print(model.fit(X, labels).transform(X).shape, model.components_.shape)
    print(LinearEmbedding(InfoNCE(temperature=0.2), init=np.eye(2, 3)).fit(X, labels).n_iter_)


def in_parts() -> Iterator[tuple[Array, Array]]:
    """A source of batches."""
    yield X[:30], z[:30]
    yield X[30:], z[30:]


def from_batches() -> None:
    """Predictions of batches are an iterator, those of arrays are arrays."""
    model = LinearRegressor("huber").fit(Batches(in_parts))
    for part in model.predict(Batches(in_parts)):
        print(part.shape)
    print(model.predict(X).shape, model.score(Batches(in_parts)))


def with_offsets() -> None:
    """An offset of the scores is an array, or a number."""
    model = LinearClassifier("logistic").fit(X, labels, offset=z)
    proba: Array = model.predict_proba(X, offset=z.tolist())
    print(proba.shape, model.predict(X, 0.0).shape, model.score(X, labels, offset=z))
    ranked: Array = RankSVM().fit(X, grades, groups=groups, offset=z).predict(X, offset=z)
    print(ranked.shape, LinearRegressor("huber").fit(X, z, offset=1.0).score(X, z, offset=1.0))


def check_own_losses() -> None:
    """Values and derivatives of one's own."""
    own: list[Loss] = [Cauchy(), Perceptron(), Missed(), Spread(), Exponential(), Compact()]
    for loss in own:
        print(type(loss).__name__, loss.get_params())
    check_loss(Cauchy(scale=2.0), random_state=1)
    value: float = Cauchy().value([0.0, 1.0], [0.0, 0.0])
    print(value, Cauchy().gradient([0.0, 1.0], [0.0, 0.0]).shape)
    path = regularization_path(LinearRegressor(l1_ratio=1.0), X, z, n_alphas=3)
    print(path.coefs.shape)
    search = AlphaSearchCV(LinearRegressor(), alphas=3, l1_ratio=[0.0, 1.0]).fit(X, z)
    best: float = search.score(X, z)
    print(best, search.predict(X).shape, search.alpha_)


def describe(result: Result) -> str:
    """What a solver found."""
    gap = "none" if result.gap is None else f"{result.gap:.2g}"
    return f"{result.value:.3g} after {result.n_iter}, gap {gap}"


if __name__ == "__main__":
    fit_each_kind()
    rank()
    embed()
    from_batches()
    with_offsets()
    check_own_losses()
