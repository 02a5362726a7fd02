"""What ``LinearEmbedding`` learns from, where it starts, and what becomes of it."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_array, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length

from sklearn_margin._base.estimator import LossEstimator, Problem, resolve_loss
from sklearn_margin._hints import levels_to_caller
from sklearn_margin._sklearn import column_or_1d
from sklearn_margin._typing import Array
from sklearn_margin._validation import check_choice, check_number, check_weights
from sklearn_margin.losses import EmbeddingLoss
from sklearn_margin.objective import EmbeddingObjective, TupleObjective
from sklearn_margin.objective.batches import choose_sampler
from sklearn_margin.objective.embedding_rows import merge_rows, scaled_rows, stack_rows
from sklearn_margin.objective.embedding_start import first_components
from sklearn_margin.solvers import SOLVERS, Adam
from sklearn_margin.solvers._streaming import DAMAGED, is_kept_array
from sklearn_margin.solvers.adam import AdamState, stream_batches

__all__ = ["BaseEmbedding"]

_STARTS = ("auto", "identity", "lda", "pca", "random")
_COMPONENTS = 16  # where n_components is not given
_FEW_ROWS = 500  # up to which "auto" compares all rows with each other at every step


class BaseEmbedding(LossEstimator):
    """Fit of ``LinearEmbedding``: problems of labels, pairs and triplets, starts, and batches."""

    components_: Array
    classes_: Array
    prototypes_: Array
    auxiliary_: dict[str, Any]

    #: "sgd" is the stochastic solver, whatever an estimator minimises.
    _solvers, _stochastic = {**SOLVERS, "sgd": Adam}, Adam
    _learned = "components_"
    _leftovers = (*LossEstimator._leftovers, "classes_", "prototypes_")

    # --- problems ---

    def _prepare(self, X, y, sample_weight=None, classes=None, *, batch=False):
        loss, continues = self._loss(), self._continues(batch)
        X, y = self._validate(X, y, reset=not continues)
        check_classification_targets(y)
        s = check_weights(sample_weight, len(y))
        if batch:
            return self._prepare_batch(loss, X, y, s, classes)
        objective, classes = self._labelled(loss, X, y, s)
        return Problem([objective], X, y, {"classes_": classes})

    def _prepare_batch(self, loss, X, y, s, classes):
        # Only a loss that learns something for each class needs to know them all.
        known = self._known_classes(y, classes) if loss.auxiliary else np.unique(y)
        labels, kept = np.searchsorted(known, y), s > 0
        if not kept.all():
            X, labels, s = X[kept], labels[kept], s[kept]
        stream = self._kept_stream(X.shape[1])
        objective = self._objective(loss, X, labels, s, len(known), stream)
        seen = np.union1d(getattr(self, "classes_", known), known)
        return Problem([objective], X, y, {"classes_": seen})

    def _prepare_tuples(self, first, similar, *, others, names, sample_weight):
        loss = self._loss()
        if loss.rows_per_class == 1:
            raise ValueError(
                f"loss={self.loss!r} learns something for each class: it needs labels, by fit"
            )
        parts = self._validate_parts((first, *others), names)
        n = parts[0].shape[0]
        similar = np.ones(n, dtype=bool) if similar is None else _as_similar(similar, n)
        s = check_weights(sample_weight, n)
        kept = np.flatnonzero(s > 0)
        X = stack_rows([part[kept] for part in parts])
        rows = scaled_rows(X, np.tile(s[kept], len(parts)), self.n_jobs)
        settings = self._settings(X, "uniform")
        objective = TupleObjective(
            loss, rows, similar[kept], s[kept], n_classes=0, arity=len(parts), **settings
        )
        if objective.formula is None and not similar[kept].any():
            _warn_of_no_positives("no pair is similar")
        return Problem([objective], X, similar, {})

    # --- parameters ---

    def _loss(self):
        return resolve_loss(self.loss, EmbeddingLoss, self._losses)

    def _check_params(self):
        super()._check_params()
        if self.n_components is not None:
            check_number(self.n_components, "n_components", minimum=1, integer=True)
        check_number(self.batch_size, "batch_size", minimum=2, integer=True)
        if isinstance(self.init, str):
            check_choice(self.init, "init", _STARTS)
        else:
            self._given_start()
        check_choice(self.sampler, "sampler", ("auto", "uniform", "balanced"))
        if not isinstance(self.normalize, (bool, np.bool_)):
            raise TypeError(f"normalize must be True or False, got {self.normalize!r}")

    def _given_start(self):
        """The components that ``init`` holds; None if it is the name of a way to find some."""
        if isinstance(self.init, str):
            return None
        if self.init is None or np.isscalar(self.init):
            raise ValueError(
                f"init must be one of {list(_STARTS)} or an array of shape (n_components, "
                f"n_features), got {self.init!r}"
            )
        W = check_array(self.init, dtype=np.float64, input_name="init")
        if self.n_components not in (None, len(W)):
            raise ValueError(
                f"init has {len(W)} rows, one per component, but n_components={self.n_components}"
            )
        return W

    def _settings(self, X, sampler):
        n_features, W = X.shape[1], self._given_start()
        k = min(_COMPONENTS, n_features) if self.n_components is None else self.n_components
        if W is not None:
            k = len(W)
            if W.shape[1] != n_features:
                raise ValueError(f"init has {W.shape[1]} columns, but X has {n_features} features")
        if k > n_features:
            given = "init has more rows" if W is not None else f"n_components={k} is more"
            raise ValueError(f"{given} than X has features: {k} > {n_features}")
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
            _warn_of_no_positives("no two rows have the same label")
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
            rows = rows.in_coordinates(*stream[0])
        labels = labels.astype(np.intp, copy=False)
        return EmbeddingObjective(
            loss, rows, labels, s, n_classes=n_classes, **self._settings(X, sampler)
        )

    def _validation(self, problem, rows, y_val):
        (objective,), classes = problem.objectives, problem.known["classes_"]
        y_val = column_or_1d(y_val, input_name="y_val")
        check_consistent_length(rows.X, y_val)
        check_classification_targets(y_val)
        unknown = np.setdiff1d(y_val, classes)
        if len(unknown) and objective.loss.auxiliary:
            raise ValueError(f"y_val holds labels that are not in y: {unknown}")
        known = classes if objective.loss.auxiliary else np.unique(y_val)
        labels = np.searchsorted(known, y_val).astype(np.intp)
        return [objective.with_rows(rows, labels, np.ones(len(labels)), len(known))]

    def _validate_parts(self, parts, names, reset=True):
        checked = []
        for k, (part, name) in enumerate(zip(parts, names, strict=True)):
            if part is None:
                raise ValueError(f"{name} is None")
            checked.append(self._validate(part, "no_validation", reset=reset and k == 0))
        sizes = [part.shape[0] for part in checked]
        if len(set(sizes)) > 1:
            raise ValueError(f"{', '.join(names)} must have as many rows, got {sizes}")
        if len({sp.issparse(part) for part in checked}) > 1:
            checked = [sp.csr_array(part) for part in checked]
        dtype = np.result_type(*(part.dtype for part in checked))
        return [part.astype(dtype, copy=False) for part in checked]

    # --- starts and results ---

    def _start(self, objective, random_state):
        """Parameter vector to start from."""
        labelled = not isinstance(objective, TupleObjective)
        if _is(self.init, "lda") and not labelled:
            raise ValueError("init='lda' needs labels, by fit; for pairs and triplets take 'pca'")
        W = np.eye(*objective.shape) if _is(self.init, "identity") else self._given_start()
        if W is None:
            B = first_components(objective, self.init, random_state)
        else:
            B = objective.turn_back(W * objective.rows.scale)
        auxiliary = ()
        if objective.loss.auxiliary:
            some = objective.some_rows(5000, random_state) if labelled else None
            Z = objective.embed(B.ravel(), some)
            labels = objective.labels[some] if labelled else np.zeros(len(Z), np.intp)
            auxiliary = objective.loss.start(labels, Z, objective.n_classes, random_state)
        return objective.begin(B, auxiliary)

    def _previous(self, problem):
        (objective,) = problem.objectives
        # A start says what shapes the auxiliary parameters have.
        self._start(objective, check_random_state(self.random_state))
        known = self._known(objective)
        return None if known is None else [known]

    def _known(self, objective):
        """Components and auxiliary parameters that are there, if they have the right shapes."""
        if not hasattr(self, "components_"):
            return None
        known = [np.shape(a) for a in self.auxiliary_.values()]
        if (self.components_.shape, known) != (objective.shape, objective.auxiliary_shapes):
            return None
        values = [np.ravel(a) for a in self.auxiliary_.values()]
        return self.components_, np.concatenate([np.empty(0), *values])

    def _fitted(self, problem, solutions):
        ((objective,), ((W, auxiliary),)) = problem.objectives, solutions
        W, auxiliary = (part.astype(objective.rows.dtype, copy=False) for part in (W, auxiliary))
        parts = [
            part if part.ndim else float(part) for part in objective.split_auxiliary(auxiliary)
        ]
        values = dict(zip(objective.loss.auxiliary, parts, strict=True))
        found = {"components_": W, "auxiliary_": values, "_normalized": bool(self.normalize)}
        if "prototypes" in values:
            found["prototypes_"] = values["prototypes"]
        return {**problem.known, **found}

    # --- batches ---

    def _streams(self, solver, problem, states):
        (objective,), (stream,) = problem.objectives, states
        random_state = check_random_state(self.random_state)
        with objective.rows.session():
            if stream is None:
                start, known = self._start(objective, random_state), self._known(objective)
                state = AdamState(start if known is None else objective.from_coef(*known))
            else:
                state = self._continued(stream, objective)
            stream_batches(solver, objective, state, random_state)
        solution = objective.to_coef(state.params)
        if not all(np.isfinite(part).all() for part in solution):
            raise ValueError(
                f"{type(self).__name__}.partial_fit diverged: scale the features, or set a smaller "
                "learning_rate in Adam(learning_rate=...)"
            )
        coordinates = objective.rows.shift, objective.rows.scale
        kept = coordinates, _meaning(objective), objective.auxiliary_shapes, state
        return [(kept, solution)]

    def _kept_stream(self, n_features):
        """What ``partial_fit`` kept: (shift, scale), what parameters mean, shapes of auxiliary
        ones and an ``AdamState``; None at the first call.

        Raises
        ------
        ValueError
            If it is none of that, as after loading a file of another version.
        """
        states = getattr(self, "_stream_states", None)
        if states is None:
            return None
        try:
            (((shift, scale), before, shapes, state),) = states
            shapes = [tuple(int(size) for size in shape) for shape in shapes]
            known = all(is_kept_array(part, (n_features,)) for part in (shift, scale)) and np.all(
                scale > 0
            )
            known = known and isinstance(state, AdamState) and state.updates >= 0
            known = known and isinstance(before, dict)
        except (TypeError, ValueError, AttributeError):
            known = False
        if not known:
            raise ValueError(DAMAGED)
        return (shift, scale), before, shapes, state

    def _continued(self, stream, objective):
        """A copy of the state of ``partial_fit`` so far, if it is one of this objective."""
        _, before, shapes, state = stream
        now = _meaning(objective)
        for name, value in now.items():
            if value != before.get(name):
                raise ValueError(
                    f"partial_fit cannot change {name} from one call to the next, from "
                    f"{before.get(name)!r} to {value!r}: use fit, or a clone"
                )
        objective.set_auxiliary_shapes(shapes)
        parts = (getattr(state, name, None) for name in ("params", "first", "second"))
        if not all(is_kept_array(part, (objective.n_params,)) for part in parts):
            raise ValueError(DAMAGED)
        return copy.deepcopy(state)


def _meaning(objective):
    """What the numbers in a parameter vector stand for, besides scales."""
    return {
        "n_components": objective.shape[0],
        "normalize, or a loss of distances for one of cosines": objective.angular,
        "the loss to one with other auxiliary parameters": objective.loss.auxiliary,
    }


def _warn_of_no_positives(reason):
    warnings.warn(
        f"{reason}: the loss draws no rows together, and the penalty moves the components. With "
        "alpha=0, a loss of positives and negatives leaves them where they start",
        UserWarning,
        stacklevel=levels_to_caller(),
    )


def _is(value, name):
    """Whether a parameter, which may be an array, is this string."""
    return isinstance(value, str) and value == name


def _as_similar(similar, n):
    """Booleans for True/False, 1/0 or 1/−1."""
    similar = column_or_1d(similar, input_name="similar")
    if len(similar) != n:
        raise ValueError(f"similar has {len(similar)} entries, one per pair is {n}")
    known = np.unique(similar)
    if not np.all(np.isin(known, [0, 1, -1])) or {0, -1} <= set(known.tolist()):
        raise ValueError(f"similar must hold True and False, 0 and 1, or -1 and 1, got {known}")
    return similar == 1
