"""Linear embeddings: metric learning by a loss of your choice."""

import copy
import warnings

import numpy as np
import scipy.sparse as sp
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.callback import with_callbacks
from sklearn.utils import check_random_state
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from sklearn_margin._base import Fitted, resolve_loss
from sklearn_margin.losses import (
    GE2E,
    ArcFace,
    Circle,
    Contrastive,
    EmbeddingLoss,
    InfoNCE,
    MultipleNegativesRanking,
    Triplet,
)
from sklearn_margin.losses.base import check_choice, check_number, check_weights
from sklearn_margin.losses.embedding import unit_rows
from sklearn_margin.objective.batches import choose_sampler
from sklearn_margin.objective.embedding import (
    EmbeddingObjective,
    TupleObjective,
    merge_rows,
    scaled_rows,
    stack,
)
from sklearn_margin.objective.embedding_start import first_components
from sklearn_margin.solvers import LBFGS, Adam
from sklearn_margin.solvers.adam import AdamState, stream_batches

__all__ = ["LinearEmbedding"]

_LOSSES = {
    "arc_face": ArcFace,
    "circle": Circle,
    "contrastive": Contrastive,
    "ge2e": GE2E,
    "info_nce": InfoNCE,
    "multiple_negatives_ranking": MultipleNegativesRanking,
    "triplet": Triplet,
}
_SOLVERS = {"adam": Adam, "lbfgs": LBFGS, "sgd": Adam}
_COMPONENTS = 16  # where n_components is not given
_FEW_ROWS = 500  # up to which "auto" compares all rows with each other at every step
_MOST_ROWS = 20_000  # beyond which n × n matrices are refused


def _has_prototypes(estimator):
    if "prototypes" in estimator._loss().auxiliary:
        return True
    raise AttributeError(
        f"predict needs a loss with prototypes, such as 'arc_face', got loss={estimator.loss!r}"
    )


def _is_stochastic(estimator):
    if isinstance(estimator.solver, Adam) or estimator.solver in ("sgd", "adam"):
        return True
    raise AttributeError(
        f"partial_fit needs solver='sgd' or a configured Adam, got solver={estimator.solver!r}"
    )


class LinearEmbedding(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Fitted):
    """Linear map into a space where rows of a class are near each other, by a loss of your choice.

    Minimises L(labels, X Wᵀ) + alpha/2 · ‖W‖² over W = ``components_``, the mean of L over batches
    or over all rows. Euclidean distance after ``transform`` is a learned Mahalanobis distance.

    Parameters
    ----------
    loss : str or EmbeddingLoss, default="triplet"
        "contrastive", "triplet", "info_nce", "multiple_negatives_ranking", "circle", "ge2e",
        "arc_face", or a loss object.
    n_components : int, default=None
        Dimension of the embedding; None is 16, or the number of features if that is smaller.
    normalize : bool, default=False
        Whether rows are scaled to length 1, for the loss and by ``transform``. Losses of cosines
        do not notice; for those of distances it makes another metric.
    init : {"auto", "pca", "lda", "random"}, default="auto"
        Where to start. "lda": linear discriminants, then principal axes of what is left; "auto"
        is the same for labels, and "pca" for pairs and triplets.
    batch_size : int, default=128
        Rows (pairs, triplets) per batch.
    sampler : {"auto", "uniform", "balanced"}, default="auto"
        "uniform" batches visit every row. "balanced" ones hold a few rows of each of several
        classes, all classes equally often. "auto" is "balanced" where uniform batches would
        have too few rows of a class for the loss.
    alpha : float, default=1e-4
        Strength of the L2 penalty. For losses that do not depend on the length of W, it is
        ‖W‖² / Σ_cj W_cj² mean(x_j²) that is penalised: as if the mean squared length of the
        embeddings were 1.
    solver : str or Solver, default="auto"
        "sgd" (``Adam``), "lbfgs", which compares all rows with each other at each step, a
        configured ``Adam(...)`` or ``LBFGS(...)``, or "auto": "lbfgs" up to 500 rows, for
        losses without kinks that need no balanced batches.
    tol : float, default=1e-4
        Relative accuracy; see the solvers.
    max_iter : int, default=1000
        Most epochs (sgd) or iterations (lbfgs). The former takes as many epochs as make 2,000
        updates, if that is less; see ``Adam``.
    warm_start : bool, default=False
        Whether to start from the previous components.
    n_jobs : int, default=None
        Threads; None is one.
    random_state : int, RandomState or None, default=None
        Seed of batches and of a random start.
    verbose : int, default=0
        Whether to print the objective after each epoch or iteration.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        W.
    classes_ : ndarray of shape (n_classes,)
        Labels, after ``fit``.
    prototypes_ : ndarray of shape (n_classes, n_components)
        Learned directions of the classes, for a loss that has them.
    auxiliary_ : dict
        Learned auxiliary parameters of the loss, by name.
    n_iter_ : int
        Epochs or iterations.
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
    >>> model = make_pipeline(LinearEmbedding(n_components=2), KNeighborsClassifier())
    >>> bool(cross_val_score(model, X, y).mean() > 0.95)  # 0.69 on X itself
    True
    """

    def __init__(
        self,
        loss="triplet",
        *,
        n_components=None,
        normalize=False,
        init="auto",
        batch_size=128,
        sampler="auto",
        alpha=1e-4,
        solver="auto",
        tol=1e-4,
        max_iter=1000,
        warm_start=False,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
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

    # --- fitting ---

    @with_callbacks
    def fit(self, X, y, sample_weight=None, X_val=None, y_val=None):
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
        context = self._init_callback_context(max_subtasks=self.max_iter)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        with self._unchanged_if_failed():
            loss = self._checked_loss()
            X, y = self._validate(X, y)
            check_classification_targets(y)
            s = check_weights(sample_weight, len(y))
            objective, classes = self._labelled(loss, X, y, s)
            objective.validation = self._validation(objective, classes, X_val, y_val)
            self._fit(objective, classes, context, X, y, sample_weight=sample_weight)
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    @with_callbacks
    def fit_pairs(self, X1, X2, similar, sample_weight=None):
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
        return self._fit_tuples((X1, X2), ("X1", "X2"), similar, sample_weight)

    @with_callbacks
    def fit_triplets(self, anchor, positive, negative, sample_weight=None):
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
        return self._fit_tuples((anchor, positive, negative), names, None, sample_weight)

    @available_if(_is_stochastic)
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Learn from a part of the rows: one pass over them, at a constant step.

        The first part decides about scales and the start, and should be typical.

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
        """
        with self._unchanged_if_failed():
            loss = self._checked_loss()
            first = not hasattr(self, "components_")
            X, y = self._validate(X, y, reset=first)
            check_classification_targets(y)
            s = check_weights(sample_weight, len(y))
            known = self._known_classes(loss, y, classes, first)
            stream = copy.deepcopy(getattr(self, "_stream_state", None))
            objective = self._objective(loss, X[s > 0], np.searchsorted(known, y)[s > 0], s[s > 0],
                                        len(known), stream)  # fmt: skip
            random_state = check_random_state(self.random_state)
            with objective.rows.session():
                if stream is None:
                    state = AdamState(self._first(objective, known, random_state))
                else:
                    _, shapes, state = stream
                    objective.auxiliary_shapes, objective.n_params = shapes, len(state.params)
                stream_batches(self._stochastic(), objective, state, random_state)
            self._stream_state = (self._coordinates(objective), objective.auxiliary_shapes, state)
            self._store(objective, known, state.params, X.dtype)
            self.n_iter_, self.solver_ = 1, self._stochastic().name
        return self

    def _fit_tuples(self, parts, names, similar, sample_weight):
        context = self._init_callback_context(max_subtasks=self.max_iter)
        context.call_on_fit_task_begin(estimator=self, X=parts[0], y=similar)
        with self._unchanged_if_failed():
            loss = self._checked_loss()
            if loss.rows_per_class == 1:
                raise ValueError(
                    f"loss={self.loss!r} learns something for each class: it needs labels, by fit"
                )
            parts = self._validate_parts(parts, names)
            n = parts[0].shape[0]
            similar = np.ones(n, dtype=bool) if similar is None else _as_similar(similar, n)
            s = check_weights(sample_weight, n)
            kept = np.flatnonzero(s > 0)
            X = stack([part[kept] for part in parts])
            rows = scaled_rows(X, np.tile(s[kept], len(parts)), self.n_jobs)
            objective = TupleObjective(
                loss, rows, similar[kept], s[kept], n_classes=0, arity=len(parts),
                **self._settings(X, "uniform"),
            )  # fmt: skip
            self._fit(objective, None, context, X, similar, sample_weight=sample_weight)
        context.call_on_fit_task_end(estimator=self, X=parts[0], y=similar)
        return self

    def _fit(self, objective, classes, context, X, y, **metadata):
        random_state = check_random_state(self.random_state)
        with objective.rows.session():  # threads of BLAS cost more than such a start itself
            self._first(objective, classes, random_state)
        previous = None
        if self._warm_components(objective):
            values = [np.ravel(a) for a in self.auxiliary_.values()]
            previous = [(self.components_, np.concatenate([np.empty(0), *values]))]
        ((coef, auxiliary),) = self._minimize(
            [objective], previous, context, X, y,
            lambda k, W, a: self._fitted(objective, classes, W, a), **metadata,
        )  # fmt: skip
        for name in ("classes_", "prototypes_", "_stream_state"):
            self.__dict__.pop(name, None)
        parts = (part.astype(X.dtype, copy=False) for part in (coef, auxiliary))
        self.__dict__.update(self._fitted(objective, classes, *parts))

    # --- building ---

    def _loss(self):
        return resolve_loss(self.loss, EmbeddingLoss, _LOSSES)

    def _checked_loss(self):
        """The loss, after a check of all parameters."""
        self._check_common_params()
        if self.n_components is not None:
            check_number(self.n_components, "n_components", minimum=1, integer=True)
        check_number(self.batch_size, "batch_size", minimum=2, integer=True)
        check_choice(self.init, "init", ("auto", "pca", "lda", "random"))
        check_choice(self.sampler, "sampler", ("auto", "uniform", "balanced"))
        if not isinstance(self.normalize, (bool, np.bool_)):
            raise TypeError(f"normalize must be True or False, got {self.normalize!r}")
        return self._loss()

    def _check_solver(self):
        if isinstance(self.solver, (Adam, LBFGS)):
            self.solver.check_params()
        elif not (isinstance(self.solver, str) and self.solver in ("auto", *_SOLVERS)):
            raise ValueError(
                f"solver must be one of {sorted(['auto', *_SOLVERS])}, an Adam or an LBFGS, got "
                f"{self.solver!r}"
            )

    def _choose_solver(self, objective):
        n, loss = len(objective.s), objective.loss
        solver = self.solver
        if isinstance(solver, str):
            if solver == "auto":
                few = n <= _FEW_ROWS and loss.is_smooth and objective.sampler == "uniform"
                solver = "lbfgs" if few else "sgd"
            solver = _SOLVERS[solver]()
        reason = solver.obstacle(objective)
        if isinstance(solver, LBFGS) and n > _MOST_ROWS and loss.rows_per_class > 1:
            reason = f"it would compare {n} rows with each other"
        if reason is not None:
            raise ValueError(
                f"solver={self.solver!r} cannot be used here: {reason}. Solvers that can: ['sgd']"
            )
        return solver

    def _stochastic(self):
        return Adam() if isinstance(self.solver, str) else self.solver

    def _settings(self, X, sampler):
        n_features = X.shape[1]
        k = min(_COMPONENTS, n_features) if self.n_components is None else self.n_components
        if k > n_features:
            raise ValueError(f"n_components={k} is more than X has features: {n_features}")
        return {
            "n_components": k, "alpha": self.alpha, "normalize": self.normalize,
            "batch_size": self.batch_size, "sampler": sampler,
        }  # fmt: skip

    def _labelled(self, loss, X, y, s):
        """Objective of labelled rows, and the classes."""
        kept = np.flatnonzero(s > 0)
        classes, labels = np.unique(y[kept], return_inverse=True)
        if len(classes) < 2:
            raise ValueError(
                f"{type(self).__name__} needs at least 2 classes with a positive weight, got "
                f"{len(classes)} class: {classes}"
            )
        if loss.rows_per_class > 1 and len(classes) == len(kept) and np.all(s[kept] <= 1):
            warnings.warn(
                "no two rows have the same label: components stay where they start",
                UserWarning,
                stacklevel=5,
            )
        X, s = (X[kept], s[kept]) if len(kept) < len(s) else (X, s)
        if len(s) <= _FEW_ROWS:
            X, labels, s = merge_rows(X, labels, s)
        return self._objective(loss, X, labels, s, len(classes)), classes

    def _objective(self, loss, X, labels, s, n_classes, stream=None):
        sampler = self.sampler
        if sampler == "auto":
            sampler = choose_sampler(loss, labels, n_classes, self.batch_size)
        rows = scaled_rows(X, s, self.n_jobs)
        if stream is not None:  # in the coordinates of the first part
            rows.shift, rows.scale = stream[0]
        labels = labels.astype(np.intp, copy=False)
        return EmbeddingObjective(
            loss, rows, labels, s, n_classes=n_classes, **self._settings(X, sampler)
        )

    def _first(self, objective, classes, random_state):
        """Parameter vector to start from, which ``objective`` keeps."""
        if self.init == "lda" and classes is None:
            raise ValueError("init='lda' needs labels, by fit; for pairs and triplets take 'pca'")
        B = first_components(objective, self.init, random_state)
        start = objective.begin(B, []) if not objective.loss.auxiliary else B.ravel()
        if objective.loss.auxiliary:
            some = objective.some_rows(5000, random_state) if classes is not None else None
            Z = objective.embed(start, some)
            labels = np.zeros(len(Z), np.intp) if some is None else objective.labels[some]
            n_classes = objective.n_classes
            auxiliary = objective.loss.start(labels, np.asarray(Z, float), n_classes, random_state)
            start = objective.begin(B, auxiliary)
        return start

    def _validation(self, objective, classes, X_val, y_val):
        if X_val is None and y_val is None:
            return None
        if X_val is None or y_val is None:
            raise ValueError("X_val and y_val must be given together")
        if not (isinstance(self.solver, Adam) and self.solver.early_stopping):
            raise ValueError(
                "X_val and y_val are used by solver=Adam(early_stopping=True) only, got "
                f"solver={self.solver!r}"
            )
        rows = objective.rows
        X_val, y_val = self._validate(X_val, y_val, reset=False)
        if sp.issparse(X_val) != rows.is_sparse:
            X_val = sp.csr_array(X_val) if rows.is_sparse else X_val.toarray()
        unknown = np.setdiff1d(y_val, classes)
        if len(unknown) and objective.loss.auxiliary:
            raise ValueError(f"y_val holds labels that are not in y: {unknown}")
        new = copy.copy(objective)
        new.rows = rows.like(X_val.astype(rows.dtype, copy=False))
        known = classes if objective.loss.auxiliary else np.unique(y_val)
        new.labels, new.s = np.searchsorted(known, y_val).astype(np.intp), np.ones(len(y_val))
        new.n_classes = len(known)
        return new

    def _validate_parts(self, parts, names):
        checked = []
        for k, (part, name) in enumerate(zip(parts, names, strict=True)):
            if part is None:
                raise ValueError(f"{name} is None")
            checked.append(self._validate(part, "no_validation", reset=k == 0))
        sizes = [part.shape[0] for part in checked]
        if len(set(sizes)) > 1:
            raise ValueError(f"{', '.join(names)} must have as many rows, got {sizes}")
        if len({sp.issparse(part) for part in checked}) > 1:
            checked = [sp.csr_array(part) for part in checked]
        dtype = np.result_type(*(part.dtype for part in checked))
        return [part.astype(dtype, copy=False) for part in checked]

    def _known_classes(self, loss, y, classes, first):
        if not loss.auxiliary:
            return np.unique(y)
        if first and classes is None:
            raise ValueError("classes must be given at the first call of partial_fit")
        known = np.unique(column_or_1d(classes)) if first else self.classes_
        unknown = np.setdiff1d(y, known)
        if len(unknown):
            raise ValueError(f"y holds labels that are not in classes: {unknown}")
        return known

    def _coordinates(self, objective):
        return objective.rows.shift, objective.rows.scale

    def _warm_components(self, objective):
        shape = getattr(getattr(self, "components_", None), "shape", None)
        found = {name: np.shape(a) for name, a in getattr(self, "auxiliary_", {}).items()}
        wanted = dict(zip(objective.loss.auxiliary, objective.auxiliary_shapes, strict=True))
        return bool(self.warm_start and shape == objective.shape and found == wanted)

    # --- results ---

    def _fitted(self, objective, classes, W, auxiliary):
        """Fitted attributes of components and a vector of auxiliary parameters."""
        values, first = {}, 0
        for name, shape in zip(objective.loss.auxiliary, objective.auxiliary_shapes, strict=True):
            last = first + int(np.prod(shape, dtype=int))
            part = np.asarray(auxiliary[first:last]).reshape(shape)
            values[name] = part if shape else float(part)
            first = last
        found = {"components_": W, "auxiliary_": values}
        if classes is not None:
            found["classes_"] = classes
        if "prototypes" in values:
            found["prototypes_"] = values["prototypes"]
        return found

    def _store(self, objective, classes, params, dtype):
        W, auxiliary = objective.to_coef(params)
        if not (np.isfinite(W).all() and np.isfinite(auxiliary).all()):
            raise ValueError(
                f"{type(self).__name__}.partial_fit diverged: scale the features, or set a smaller "
                "learning_rate in Adam(learning_rate=...)"
            )
        seen = getattr(self, "classes_", classes)
        classes = np.union1d(seen, classes)
        self.__dict__.update(
            self._fitted(objective, classes, W.astype(dtype), auxiliary.astype(dtype))
        )

    @property
    def _n_features_out(self):
        return self.components_.shape[0]

    def transform(self, X):
        """Embed rows: X Wᵀ, divided by their lengths if ``normalize``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.

        Returns
        -------
        ndarray of shape (n_samples, n_components)
        """
        check_is_fitted(self)
        X = self._validate(X, "no_validation", reset=False)
        Z = safe_sparse_dot(X, self.components_.T, dense_output=True)
        return unit_rows(np.ascontiguousarray(Z))[0] if self.normalize else Z

    def pair_distance(self, X1, X2):
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
        X1, X2 = self._validate_parts_again((X1, X2), ("X1", "X2"))
        if self.normalize:
            difference = self.transform(X1) - self.transform(X2)
        else:
            difference = safe_sparse_dot(X1 - X2, self.components_.T, dense_output=True)
        return np.sqrt(np.einsum("ij,ij->i", difference, difference))

    def _validate_parts_again(self, parts, names):
        checked = [self._validate(part, "no_validation", reset=False) for part in parts]
        if checked[0].shape[0] != checked[1].shape[0]:
            sizes = [part.shape[0] for part in checked]
            raise ValueError(f"{' and '.join(names)} must have as many rows, got {sizes}")
        if sp.issparse(checked[0]) != sp.issparse(checked[1]):
            checked = [sp.csr_array(part) for part in checked]
        return checked

    @available_if(_has_prototypes)
    def predict(self, X):
        """Predict the label of the prototype with the largest cosine.

        Available if the loss has prototypes ("arc_face").

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Features.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        check_is_fitted(self)
        X = self._validate(X, "no_validation", reset=False)
        Z = safe_sparse_dot(X, self.components_.T, dense_output=True)
        P, _ = unit_rows(np.ascontiguousarray(self.prototypes_))
        return self.classes_[(Z @ P.T).argmax(axis=1)]


def _as_similar(similar, n):
    """Booleans for True/False, 1/0 or 1/−1."""
    similar = column_or_1d(similar, input_name="similar")
    if len(similar) != n:
        raise ValueError(f"similar has {len(similar)} entries, one per pair is {n}")
    known = np.unique(similar)
    if not np.all(np.isin(known, [0, 1, -1])) or {0, -1} <= set(known.tolist()):
        raise ValueError(f"similar must hold True and False, 0 and 1, or -1 and 1, got {known}")
    return similar == 1
