"""Linear embeddings: metric learning by a loss of your choice."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.validation import check_is_fitted

from sklearn_margin._arrays import kind_of, scores_on_host
from sklearn_margin._base.embedding import BaseEmbedding
from sklearn_margin._base.estimator import learns_in_batches
from sklearn_margin._hints import available_if
from sklearn_margin._sklearn import with_callbacks
from sklearn_margin._typing import Array, ArrayLike, MatrixLike, RandomState, keeps_signature
from sklearn_margin.batches import Batches, by_batch
from sklearn_margin.losses import (
    GE2E,
    NCA,
    ArcFace,
    Circle,
    Contrastive,
    InfoNCE,
    Loss,
    MultipleNegativesRanking,
    Triplet,
)
from sklearn_margin.losses.embedding.geometry import unit_rows
from sklearn_margin.solvers import Solver

__all__ = ["LinearEmbedding"]

_LOSSES = {
    "arc_face": ArcFace,
    "circle": Circle,
    "contrastive": Contrastive,
    "ge2e": GE2E,
    "info_nce": InfoNCE,
    "multiple_negatives_ranking": MultipleNegativesRanking,
    "nca": NCA,
    "triplet": Triplet,
}


def _has_prototypes(estimator):
    fitted = hasattr(estimator, "components_")
    if hasattr(estimator, "prototypes_") or (
        not fitted and "prototypes" in estimator._loss().auxiliary
    ):
        return True
    raise AttributeError(
        "predict needs a loss with prototypes, such as 'arc_face', got "
        + ("components of another loss" if fitted else f"loss={estimator.loss!r}")
    )


class LinearEmbedding(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEmbedding):
    """Linear map into a space where rows of a class are near each other, by a loss of your choice.

    Minimises L(labels, X Wᵀ) + alpha/2 · ‖W‖² over W = ``components_``, the mean of L over batches
    or over all rows. Euclidean distance after ``transform`` is a learned Mahalanobis distance.

    Parameters
    ----------
    loss : str or EmbeddingLoss, default="triplet"
        "contrastive", "triplet", "info_nce", "multiple_negatives_ranking", "circle", "ge2e",
        "arc_face", "nca", or a loss object.
    n_components : int, default=None
        Dimension of the embedding; None is 16, or the number of features if that is smaller, or
        the number of rows of an array given as ``init``.
    normalize : bool, default=False
        Whether rows are scaled to length 1, for the loss and, once fitted so, by ``transform``.
        Losses of cosines do not notice; for those of distances it makes another metric.
    init : {"auto", "identity", "lda", "pca", "random"} or array-like of shape \
(n_components, n_features), default="auto"
        Where to start. "lda": linear discriminants, then principal axes of what is left; "auto"
        is the same for labels, and "pca" for pairs and triplets. "identity": the first
        n_components features as they are. An array is W itself. With ``warm_start`` and previous
        components of the right shape, those are taken, whatever ``init`` says.
    batch_size : int, default=128
        Rows (pairs, triplets) per batch.
    sampler : {"auto", "uniform", "balanced"}, default="auto"
        "uniform" batches visit every row. "balanced" ones hold a few rows of each of several
        classes, all classes equally often. "auto" is "balanced" where uniform batches would
        have too few rows of a class for the loss.
    alpha : float, default=1e-4
        Strength of the L2 penalty, at least 0. The loss is a mean, so that the same alpha suits any
        number of rows. For losses that do not depend on the length of W, it is
        ‖W‖² / Σ_cj W_cj² mean(x_j²) that is penalised: as if the mean squared length of the
        embeddings were 1.
    solver : str or Solver, default="auto"
        "sgd" (``Adam``), "lbfgs", which compares all rows with each other at each step, a
        configured ``Adam(...)`` or ``LBFGS(...)``, or "auto": "lbfgs" up to 500 rows, for
        losses without kinks that need no balanced batches.
    tol : float, default=1e-4
        Relative accuracy: what a solver compares with it is said by ``Adam`` and ``LBFGS``.
    max_iter : int, default=1000
        Most epochs ("sgd") or iterations ("lbfgs"). The former takes as many epochs as make 1,000
        updates, if that is less; see ``Adam``.
    warm_start : bool, default=False
        Whether to start from the previous components, if there are any of the right shape.
    n_jobs : int, default=None
        Threads that means and scales of the features are found by; None is one. A step rests on
        few rows and takes one thread. The result is the same, bit for bit, for any number.
    random_state : int, RandomState or None, default=None
        Seed of batches and of a random start; also of the rows that a start looks at, if they are
        many.
    verbose : int, default=0
        Whether to print a line after each epoch or iteration: objective, reads of X, seconds.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        Map W, by which ``transform`` multiplies rows.
    classes_ : ndarray of shape (n_classes,)
        Labels of the classes, sorted; after ``fit`` and ``partial_fit``.
    prototypes_ : ndarray of shape (n_classes, n_components)
        Learned directions of the classes, for a loss that has them.
    auxiliary_ : dict
        Learned auxiliary parameters of the loss, by name.
    n_iter_ : int
        Epochs or iterations of the solver.
    solver_ : str
        Name of the solver.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, if X had string column names.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_margin import LinearEmbedding
    >>> X, y = load_wine(return_X_y=True)
    >>> embedding = LinearEmbedding(n_components=2, random_state=0)
    >>> model = make_pipeline(embedding, KNeighborsClassifier())
    >>> cross_val_score(model, X, y).mean().round(2)  # 0.69 on X itself
    np.float64(0.98)
    """

    def __init__(
        self,
        loss: str | Loss = "triplet",
        *,
        n_components: int | None = None,
        normalize: bool = False,
        init: str | ArrayLike = "auto",
        batch_size: int = 128,
        sampler: Literal["auto", "uniform", "balanced"] = "auto",
        alpha: float = 1e-4,
        solver: str | Solver = "auto",
        tol: float = 1e-4,
        max_iter: int = 1000,
        warm_start: bool = False,
        n_jobs: int | None = None,
        random_state: RandomState = None,
        verbose: int = 0,
    ) -> None:
        self.loss = loss
        self.n_components = n_components
        self.normalize = normalize
        self.init = init
        self.batch_size = batch_size
        self.sampler = sampler
        self.alpha = alpha
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    _losses = _LOSSES

    # --- fitting ---

    @keeps_signature(with_callbacks)
    def fit(
        self,
        X: MatrixLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        X_val: MatrixLike | None = None,
        y_val: ArrayLike | None = None,
    ) -> Self:
        """Learn from labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,)
            Labels of any type.
        sample_weight : float or array-like of shape (n_samples,), default=None
            How often each row is meant to be there: 2 counts as two equal rows, 0 as none.
        X_val, y_val : array-like, default=None
            Validation set for ``solver=Adam(early_stopping=True)``, in place of a part of the
            training rows.

        Returns
        -------
        self : object
            Fitted estimator.

        Raises
        ------
        ValueError, TypeError
            For a wrong parameter or wrong data; the estimator stays as it was.
        """
        return self._fit(self._prepare, X, y, sample_weight=sample_weight, X_val=X_val, y_val=y_val)

    @keeps_signature(with_callbacks)
    def fit_pairs(
        self,
        X1: MatrixLike,
        X2: MatrixLike,
        similar: ArrayLike,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Learn from pairs of rows that are similar or not.

        "contrastive" is the loss of the given pairs. Other losses learn from batches in which
        the two rows of a similar pair have a label of their own, and all other rows count as
        different.

        Parameters
        ----------
        X1, X2 : {array-like, sparse matrix} of shape (n_pairs, n_features)
            Rows of the pairs.
        similar : array-like of shape (n_pairs,)
            Whether a pair is similar: booleans, 0 and 1, or −1 and 1.
        sample_weight : float or array-like of shape (n_pairs,), default=None
            Non-negative weights of pairs.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        prepare = partial(self._prepare_tuples, others=(X2,), names=("X1", "X2"))
        return self._fit(prepare, X1, similar, sample_weight=sample_weight)

    @keeps_signature(with_callbacks)
    def fit_triplets(
        self,
        anchor: MatrixLike,
        positive: MatrixLike,
        negative: MatrixLike,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Learn from triplets: a row, one that should be nearer, one that should be farther.

        "triplet" is the loss of the given triplets, and "contrastive" that of the pairs in them.
        Other losses learn from batches in which
        anchor and positive have a label of their own, and all other rows count as different.

        Parameters
        ----------
        anchor, positive, negative : {array-like, sparse matrix} of shape (n_triplets, n_features)
            Rows of the triplets.
        sample_weight : float or array-like of shape (n_triplets,), default=None
            Non-negative weights of triplets.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        names = ("anchor", "positive", "negative")
        prepare = partial(self._prepare_tuples, others=(positive, negative), names=names)
        return self._fit(prepare, anchor, None, sample_weight=sample_weight)

    @available_if(learns_in_batches)
    def partial_fit(
        self,
        X: MatrixLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Learn from a part of the rows: one pass over them, at a constant step.

        The first part decides about scales and the start, and should be typical. After ``fit``,
        learning goes on from its components, if they have the right shape.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,)
            Labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever come; needed at the first call by a loss that learns
            something for each of them.
        sample_weight : float or array-like of shape (n_samples,), default=None
            How often each row is meant to be there.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError
            For wrong data; if n_components, normalize or the kind of the loss are not those of
            the calls before.
        """
        return self._partial_fit(X, y, classes=classes, sample_weight=sample_weight)

    def _has_unit_rows(self):
        """Whether the fitted model scales embeddings to length 1."""
        return getattr(self, "_normalized", self.normalize)

    @property
    def _n_features_out(self):
        return self.components_.shape[0]

    def transform(self, X: MatrixLike | Batches) -> Any:
        """Embed rows: X Wᵀ, divided by their lengths if ``normalize``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), Batches or Dask collection
            Features.

        Returns
        -------
        ndarray of shape (n_samples, n_components); one for each batch, or a lazy Dask array
        """
        check_is_fitted(self)
        Z = self._products(X)
        if not self._has_unit_rows():
            return Z
        Z, give = scores_on_host(Z)
        return give(unit_rows(np.ascontiguousarray(Z))[0])

    def _products(self, X):
        """X Wᵀ, of X's kind."""
        kind = kind_of(X)
        if kind is not None:
            return kind.scores(self, X, self.components_)
        X = self._validate(X, "no_validation", reset=False)
        return safe_sparse_dot(X, self.components_.T, dense_output=True)

    def pair_distance(self, X1: MatrixLike, X2: MatrixLike) -> Array:
        """Distance between the embeddings of the rows of two matrices, row by row.

        Parameters
        ----------
        X1, X2 : {array-like, sparse matrix} of shape (n_pairs, n_features)
            Rows of the pairs.

        Returns
        -------
        ndarray of shape (n_pairs,)
        """
        check_is_fitted(self)
        kind = kind_of(X1)
        first, second = self._validate_parts((X1, X2), ("X1", "X2"), reset=False)
        if self._has_unit_rows():
            difference = self.transform(first) - self.transform(second)
        else:
            difference = safe_sparse_dot(first - second, self.components_.T, dense_output=True)
        distance = np.sqrt(np.einsum("ij,ij->i", difference, difference))
        return distance if kind is None else kind.array(distance.astype(first.dtype))

    @available_if(_has_prototypes)
    @by_batch
    def predict(self, X: MatrixLike) -> Array:
        """Predict the label of the prototype with the largest cosine.

        Available if the loss has prototypes ("arc_face").

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), Batches or Dask collection
            Features.

        Returns
        -------
        ndarray of shape (n_samples,); one for each batch, or a lazy Dask array
        """
        check_is_fitted(self)
        Z, give = scores_on_host(self._products(X))
        P, _ = unit_rows(np.ascontiguousarray(self.prototypes_))
        return give(self.classes_[(Z @ P.T).argmax(axis=1)])


# Around what ``set_output`` makes of the method: each batch becomes a frame.
LinearEmbedding.transform = by_batch(LinearEmbedding.transform)  # type: ignore[method-assign,assignment]
