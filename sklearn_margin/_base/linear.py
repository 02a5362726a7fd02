"""What classifiers, regressors and rankers share: coefficients."""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_random_state
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_margin._arrays import kind_of, on_host
from sklearn_margin._base.by_feature import coefficient_bounds, penalty_factors
from sklearn_margin._base.estimator import LossEstimator
from sklearn_margin._hints import check_rows, levels_to_caller
from sklearn_margin._validation import check_offset, writable
from sklearn_margin.objective import Rows
from sklearn_margin.penalties import ElasticNet
from sklearn_margin.solvers import choose, obstacle
from sklearn_margin.solvers.sgd import stream

__all__ = ["LinearModel", "check_offset_given", "given_offset"]


def given_offset(offset) -> dict[str, Any]:
    """The offset as an argument by keyword; nothing if there is none."""
    return {} if offset is None else {"offset": offset}


def check_offset_given(estimator, has_offset) -> None:
    """Raise ``ValueError`` if a model was fitted with an offset and is judged without one."""
    if getattr(estimator, "_has_offset", False) and not has_offset:
        raise ValueError(
            f"this {type(estimator).__name__} was fitted with an offset and needs one to score: "
            "pass offset=..., or offset=0 to score it without"
        )


class LinearModel(LossEstimator):
    """Base of the estimators with one coefficient per feature, or a row of them per problem."""

    # Under metadata routing an offset reaches all methods that take it, without any set_*_request:
    # predictions of a model that was fitted with one, but without it, would be silently wrong.
    __metadata_request__fit = {"offset": True}
    __metadata_request__partial_fit = {"offset": True}
    __metadata_request__predict = {"offset": True}
    __metadata_request__score = {"offset": True}

    coef_bounds: Any
    penalty_factors: Any
    coef_: Any  # an array, or a CSR matrix after ``sparsify``

    #: Whether an offset of one column may be for all scores of a row.
    _shares_offset = False

    def _rows(self, X, center):
        """Rows of validated features, for objectives."""
        return Rows(X, center=center, n_jobs=self.n_jobs)

    def _penalty(self, n_features):
        bounds = coefficient_bounds(self.coef_bounds, n_features, self._names)
        factors = penalty_factors(self.penalty_factors, n_features, self._names, bounds)
        return ElasticNet(self.alpha, self.l1_ratio, factors, bounds)

    @property
    def _names(self):
        """Names of the features, if there are any: of the table that is being fitted, if it is one,
        since ``feature_names_in_`` may be of an earlier fit."""
        return vars(self).get("_column_names", getattr(self, "feature_names_in_", None))

    def _prepare_fit(self, X, y, **given):
        """As ``_prepare``, of a fit."""
        return self._prepare(X, y, **given)

    def _with_offset(self, problem, offset, batch=False):
        """A problem in memory with an offset of its scores; None is none."""
        objectives = problem.objectives
        has_offset = offset is not None or (batch and getattr(self, "_has_offset", False))
        if offset is not None:
            rows, widths = objectives[0].rows, [objective.n_outputs for objective in objectives]
            offset = check_offset(
                offset, rows.shape[0], rows.dtype, n_scores=sum(widths), shared=self._shares_offset
            )
            columns = [offset] if len(widths) == 1 else np.ascontiguousarray(offset.T)
            pairs = zip(objectives, columns, strict=True)
            objectives = [objective.with_offset(writable(column)) for objective, column in pairs]
        known = {**problem.known, "_has_offset": has_offset}
        return problem._replace(objectives=objectives, known=known)

    def _expect_offset(self, offset):
        """Warn of a prediction without an offset by a model that was fitted with one."""
        if offset is None and getattr(self, "_has_offset", False):
            warnings.warn(
                f"this {type(self).__name__} was fitted with an offset and predicts without one, "
                "as if it were 0: pass offset=..., or offset=0 if that is meant",
                UserWarning,
                stacklevel=levels_to_caller(),
            )

    def _start(self, objective, random_state):
        """Where to start; for a loss that is not convex, the optimum of a convex one."""
        convex = objective.convex_start()
        if convex is None:
            return objective.start()
        solver = choose("auto", convex, self.tol)
        found = solver.solve(
            convex, convex.start(), tol=self.tol, max_iter=self.max_iter, random_state=random_state
        )
        return found.params

    def _previous(self, problem):
        return self._solutions(problem) if self._is_of(problem) else None

    def _is_of(self, problem):
        """Whether the fitted model is one of the same features, and classes or quantiles."""
        return self._dense_coef().shape[-1] == problem.X.shape[1]

    def _solutions(self, problem):
        """Coefficients to go on from, as a fit left them or somebody set them, by objective.

        Raises
        ------
        ValueError
            If a shape is wrong, or a number is not finite; names the attribute.
        """
        objectives = problem.objectives
        n_scores = sum(objective.n_outputs for objective in objectives)
        coef = np.atleast_2d(self._dense_coef())
        intercept = np.atleast_1d(getattr(self, "intercept_", np.zeros(n_scores)))
        wanted = {
            "coef_": (coef, (n_scores, problem.X.shape[1])),
            "intercept_": (intercept, (n_scores,)),
        }
        for name, (array, shape) in wanted.items():
            if array.shape != shape or not np.isfinite(array).all():
                raise ValueError(
                    f"{type(self).__name__} cannot go on from {name}, which is of shape "
                    f"{array.shape}: expected finite numbers of shape {shape}"
                )
        if objectives[0].n_outputs > 1:
            return [(coef, intercept)]
        return list(zip(coef, intercept, strict=True))

    def _fitted(self, problem, solutions):
        """Fitted attributes, with a row of ``coef_`` and an entry of ``intercept_`` by score."""
        coefs = [np.atleast_2d(coef) for coef, _ in solutions]
        pairs = zip(coefs, solutions, strict=True)
        intercept = np.concatenate([np.broadcast_to(b, len(coef)) for coef, (_, b) in pairs])
        dtype = problem.objectives[0].rows.dtype
        return {
            **problem.known,
            "coef_": self._within_bounds(np.concatenate(coefs).astype(dtype, copy=False)),
            "intercept_": intercept.astype(dtype, copy=False),
        }

    def _within_bounds(self, coef):
        """Coefficients without what rounding errors have them beyond their bounds."""
        bounds = coefficient_bounds(self.coef_bounds, coef.shape[-1], self._names)
        if bounds is None:
            return coef
        low, high = (bound.astype(coef.dtype) for bound in bounds)
        # In single precision the next number may be beyond.
        low = np.where(low < bounds[0], np.nextafter(low, np.inf, dtype=coef.dtype), low)
        high = np.where(high > bounds[1], np.nextafter(high, -np.inf, dtype=coef.dtype), high)
        return np.clip(coef, low, high)

    # --- batches ---

    def _streams(self, solver, problem, states):
        objectives = problem.objectives
        previous = [None] * len(objectives)
        if hasattr(self, "coef_"):
            previous = self._solutions(problem)
        problems = zip(objectives, states, previous, strict=True)
        return [self._stream(solver, *each) for each in problems]

    def _stream(self, solver, objective, state, previous):
        """One pass over a batch: the state, and coefficients and intercept."""
        reason = obstacle(solver, objective)
        if reason is not None:
            raise ValueError(f"partial_fit cannot be used here: {reason}")
        start = objective.start() if previous is None else objective.from_coef(*previous)
        random_state = check_random_state(self.random_state)
        with objective.rows.session():
            state = stream(solver, objective, state, start, random_state)
        if not state.finite:
            eta0 = getattr(state, "eta0", None)
            smaller = (
                "" if eta0 is None else f", or set a smaller eta0 than {eta0:g} in SGD(eta0=...)"
            )
            raise ValueError(f"{type(self).__name__}.partial_fit diverged: scale X or y{smaller}")
        coef, intercept = objective.split(state.average if solver.average else state.params)
        return state, (objective.by_output(coef), intercept)

    # --- prediction ---

    def _scores(self, X, offset=None):
        """X w + b and the offset, of shape (n,) or (n, n_problems)."""
        check_is_fitted(self)
        if offset is not None:
            return self._plus_offset(self._scores(X), offset)
        kind = kind_of(X)
        if kind is not None:
            return kind.scores(self, X, *self._squeezed())
        check_rows(X)
        X = validate_data(self, X, reset=False, accept_sparse="csr", dtype=(np.float64, np.float32))
        coef = self.coef_.T
        if sp.issparse(coef) and not sp.issparse(X):
            scores = (self.coef_ @ X.T).T
        else:
            scores = safe_sparse_dot(X, coef, dense_output=True)
        scores = scores + getattr(self, "intercept_", 0.0)
        return scores.ravel() if scores.ndim == 2 and scores.shape[1] == 1 else scores

    def _plus_offset(self, scores, offset):
        """Scores with an offset."""
        n, *several = scores.shape
        kind, n_scores = kind_of(scores), several[0] if several else 1
        dtype = scores.dtype if kind is None else np.float64
        offset = check_offset(
            on_host(offset), n, dtype, n_scores=n_scores, shared=self._shares_offset
        ).reshape(scores.shape)
        return scores + (offset if kind is None else kind.array(offset, scores.dtype))

    def _squeezed(self):
        """Coefficients and intercept, without the dimension of problems if there is one."""
        coef, intercept = self._dense_coef(), getattr(self, "intercept_", None)
        if np.shape(coef)[:-1] != (1,):
            return coef, intercept
        return coef[0], None if intercept is None else np.reshape(intercept, ())

    def sparsify(self) -> Self:
        """Store ``coef_`` as a CSR matrix, which saves memory after an L1 fit.

        Returns
        -------
        self : object
        """
        check_is_fitted(self)
        self.coef_ = sp.csr_array(np.atleast_2d(self._dense_coef()))
        return self

    def densify(self) -> Self:
        """Undo ``sparsify``.

        Returns
        -------
        self : object
        """
        check_is_fitted(self)
        self.coef_ = self._dense_coef()
        return self

    def _dense_coef(self):
        if not sp.issparse(self.coef_):
            return self.coef_
        coef = self.coef_.toarray()
        return coef if self._coef_is_2d else coef.ravel()

    _coef_is_2d = True
