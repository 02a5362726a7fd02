"""What all linear estimators share: validation, solving, prediction."""

import sys
import time
import warnings
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_margin._hints import (
    FIT_HINTS,
    INIT_HINTS,
    check_in_memory,
    explain_nested,
    explains_keywords,
    parameter_of,
)
from sklearn_margin.inspection import check_on_rows, hint_for
from sklearn_margin.losses.base import Loss, check_number
from sklearn_margin.objective import Rows
from sklearn_margin.penalties import ElasticNet
from sklearn_margin.solvers import SGD, SOLVERS, InTurn, candidates, choose, resolve
from sklearn_margin.solvers.base import value_gap
from sklearn_margin.solvers.sgd import stream

__all__ = [
    "Fitted",
    "LinearModel",
    "check_rows",
    "levels_to_caller",
    "resolve_loss",
    "stack",
    "uses_sgd",
]


def resolve_loss(loss, family, names: dict[str, type[Loss]]) -> Loss:
    """The loss object for a name or an object.

    Parameters
    ----------
    loss : str or Loss
        What the user gave.
    family : type or tuple of types
        Base classes one of which a loss object must have.
    names : dict of str to type
        Classes by name.

    Raises
    ------
    ValueError
        If the name is unknown, or a parameter of the loss is wrong.
    TypeError
        If the object is not a loss of the family.
    """
    if isinstance(loss, str):
        if loss not in names:
            raise ValueError(f"loss must be one of {sorted(names)} or a Loss, got {loss!r}")
        loss = names[loss]()
    if isinstance(loss, type) or not isinstance(loss, family):
        families = family if isinstance(family, tuple) else (family,)
        known = " or ".join(cls.__name__ for cls in families)
        raise TypeError(
            f"loss must be one of {sorted(names)} or an instance of {known}, got {loss!r}"
            f"{hint_for(loss)}"
        )
    loss.check_params()
    return loss


def uses_sgd(estimator) -> bool:
    """Whether the estimator can learn incrementally."""
    if estimator.solver == "sgd" or isinstance(estimator.solver, SGD):
        return True
    raise AttributeError(
        f"partial_fit needs solver='sgd' or a configured SGD, got solver={estimator.solver!r}"
    )


def levels_to_caller() -> int:
    """The ``stacklevel`` with which a warning points at who called ``fit``."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals["__name__"].startswith(
        ("sklearn_margin.", "sklearn.callback.")
    ):
        frame, level = frame.f_back, level + 1
    return level


def check_rows(X) -> None:
    """Raise for an X that holds no rows, or whose indices point outside of it.

    Neither scipy nor scikit-learn looks at the indices of a sparse matrix that is there already,
    and compiled code would follow them anywhere.

    Raises
    ------
    TypeError
        For a path, a lazy frame or a generator.
    ValueError
        For a CSR or CSC matrix that is none.
    """
    check_in_memory(X, "X")
    if not (sp.issparse(X) and X.format in ("csr", "csc") and X.ndim == 2):
        return
    n_major, n_minor = X.shape if X.format == "csr" else X.shape[::-1]
    ends, indices = np.asarray(X.indptr), np.asarray(X.indices)
    valid = len(ends) == n_major + 1 and ends[0] == 0 and np.all(ends[1:] >= ends[:-1])
    valid = valid and ends[-1] <= min(len(indices), len(X.data))
    used = indices[: ends[-1]] if valid else indices
    if not valid or (len(used) and not 0 <= used.min() <= used.max() < n_minor):
        raise ValueError(
            f"X is not a valid {X.format.upper()} matrix of shape {X.shape}: its indptr or indices "
            "point outside"
        )


def stack(solutions, dtype) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of shape (n_scores, d) and intercepts of several (coef, intercept)."""
    coefs = [np.atleast_2d(coef) for coef, _ in solutions]
    pairs = zip(coefs, solutions, strict=True)
    intercept = np.concatenate([np.broadcast_to(b, len(coef)) for coef, (_, b) in pairs])
    return np.concatenate(coefs).astype(dtype, copy=False), intercept.astype(dtype, copy=False)


class _Watch:
    """Callback of a solver that prints, and calls scikit-learn's callbacks.

    Parameters
    ----------
    estimator : Fitted
    objective : LinearObjective
    context : CallbackContext
        Task of the fit.
    data : dict
        What callbacks are given.
    fitted : callable
        ``fitted(coef, intercept)``: the fitted attributes that a solution would give.
    """

    def __init__(self, estimator, objective, context, data, fitted):
        self.estimator, self.objective, self.data = estimator, objective, data
        self.context, self.fitted = context, fitted
        self.has_callbacks = bool(getattr(estimator, "_skl_callbacks", None))
        self.gap = None  # of the iterate, told by the solver
        self.began, self.n_read = time.perf_counter(), objective.rows.n_read[0]

    @contextmanager
    def problem(self, solver, several):
        """One of ``several`` problems, a task of its own, or the only one."""
        self._say(f"{type(self.objective.loss).__name__}, solver {solver.name}")
        if not (several and self.has_callbacks):
            yield
            return
        most = self.estimator.max_iter
        self.context = self.context.subcontext(task_name="problem", max_subtasks=most)
        self.context.call_on_fit_task_begin(**self.data)
        yield
        self.context.call_on_fit_task_end(**self.data)

    def __call__(self, n_iter, params):
        if self.estimator.verbose:
            before = self.objective.rows.n_read[0]
            value, gap = value_gap(self.objective, params)
            self.objective.rows.n_read[0] = before
            gap = min((g for g in (gap, self.gap) if g is not None), default=None)
            # A gap as large as F says nothing: slopes at a kink are often of no use.
            gap = gap if gap is not None and gap < value else None
            self._say(f"iteration {n_iter}: {value:.10g}", self._reached(value, gap))
        if not self.has_callbacks:
            return False
        step = self.context.subcontext(task_name="iteration")
        step.call_on_fit_task_begin(**self.data)
        return step.call_on_fit_task_end(
            **self.data,
            reconstruction_attributes=lambda: self.fitted(*self.objective.to_coef(params)),
        )

    def end(self, result):
        """Print how it ended."""
        tol, ended = self.estimator.tol, "converged" if result.converged else "stopped"
        reached = self._reached(result.value, result.gap)
        self._say(
            f"{ended} after {result.n_iter} iterations: {result.value:.10g}",
            f"{reached}, tol {tol:g}" if reached else f"tol {tol:g}",
        )

    def _reached(self, value, gap):
        if gap is None or not np.isfinite(gap):
            return ""
        return f"relative gap {gap / max(abs(value), 1e-300):.2g}"

    def _say(self, what, reached=None):
        if not self.estimator.verbose:
            return
        parts = [what]
        if reached is not None:
            rows, seconds = self.objective.rows, time.perf_counter() - self.began
            n_reads = (rows.n_read[0] - self.n_read) / rows.shape[0]
            parts += [reached, f"{n_reads:.4g} reads of X", f"{seconds:.2g} s"]
        print(f"[{type(self.estimator).__name__}] {', '.join(part for part in parts if part)}")


class Fitted(CallbackSupportMixin, BaseEstimator):
    """Base of all estimators: checks parameters, runs solvers, reports.

    A subclass validates its target and builds one objective per problem in ``_prepare``, and
    stores what ``_minimize`` returns.
    """

    #: Classes of losses and solvers, by the names that the parameters can have.
    _losses: dict[str, type[Loss]] = {}
    _solvers: dict[str, type] = SOLVERS
    #: What stands for parameters of other libraries.
    _init_hints = INIT_HINTS

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            cls.__init__ = explains_keywords(cls.__init__, cls._init_hint)
        for name in {"fit", "score"} & set(vars(cls)):
            hint = explains_keywords(getattr(cls, name), lambda self, name: FIT_HINTS.get(name))
            setattr(cls, name, hint)

    def _init_hint(self, name):
        """What to do instead of passing an unknown parameter to the constructor."""
        own = type(self)._get_param_names()
        for family, classes in (("loss", self._losses), ("solver", self._solvers)):
            call = parameter_of(classes.values(), name) if family in own else None
            if call is not None and name not in self._init_hints:
                return f"it belongs to an object, {family}={call}"
        return self._init_hints.get(name)

    def set_params(self, **params):
        """Set parameters of the estimator, or of its loss and solver: ``loss__delta=2.0``.

        Parameters
        ----------
        **params
            Values by name.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        explain_nested(self, params, {"loss": self._losses, "solver": self._solvers})
        return super().set_params(**params)

    def _prepare(self, X, y, sample_weight=None):
        """Objectives of a fit, in a list; then validated X and y, and what else fit needs."""
        raise NotImplementedError

    def _penalty(self):
        return ElasticNet(self.alpha, self.l1_ratio)

    def _check_common_params(self):
        """Raise for a wrong value of a parameter that all estimators have."""
        check_number(self.alpha, "alpha", minimum=0)
        check_number(getattr(self, "l1_ratio", 0.0), "l1_ratio", minimum=0, maximum=1)
        check_number(self.tol, "tol", minimum=0)
        check_number(self.max_iter, "max_iter", minimum=1, integer=True)
        if self.n_jobs is not None:
            check_number(self.n_jobs, "n_jobs", integer=True)
            if self.n_jobs == 0:
                raise ValueError("n_jobs must not be 0")
        if not isinstance(self.verbose, (bool, np.bool_)):
            check_number(self.verbose, "verbose", minimum=0, integer=True)
        for name in ("fit_intercept", "warm_start"):
            value = getattr(self, name, False)
            if not isinstance(value, (bool, np.bool_)):
                raise TypeError(f"{name} must be True or False, got {value!r}")
        self._check_solver()
        try:
            check_random_state(self.random_state)
        except ValueError as error:
            raise ValueError(f"random_state: {error}") from error

    def _check_solver(self):
        resolve(self.solver)

    def _choose_solver(self, objective):
        able = candidates(self.solver, objective, self.tol)
        return able[0] if len(able) == 1 else InTurn(able)

    def _validate(self, X, y, reset=True, **options):
        check_rows(X)
        if not isinstance(y, str):  # "no_validation"
            check_in_memory(y, "y")
        return validate_data(
            self,
            X,
            y,
            reset=reset,
            accept_sparse="csr",
            dtype=(np.float64, np.float32),
            order="C",
            **options,
        )

    @contextmanager
    def _fit_task(self, X, y, max_subtasks=None):
        """What every fit stands in: scikit-learn's callbacks are told that it begins and ends, and
        an error leaves the estimator as it was.

        Yields
        ------
        SimpleNamespace
            ``context``; ``X`` and ``y``, which callbacks are given, to be replaced by what the
            model is fitted to; ``validation``: None, or an objective for each problem.
        """
        context = self._init_callback_context(max_subtasks=max_subtasks)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        task = SimpleNamespace(context=context, X=X, y=y, validation=None)
        with self._unchanged_if_failed():
            yield task
        context.call_on_fit_task_end(estimator=self, X=task.X, y=task.y)

    @contextmanager
    def _unchanged_if_failed(self):
        """Leave the estimator as it was if fitting raises."""
        before = dict(self.__dict__)
        try:
            yield
        except BaseException:
            ours = {k: v for k, v in self.__dict__.items() if k.startswith(("_skl", "_callback"))}
            self.__dict__.clear()
            self.__dict__.update({**before, **ours})
            raise

    def _warm(self, n_features) -> bool:
        """Whether to start from the previous coefficients."""
        return bool(
            self.warm_start
            and hasattr(self, "coef_")
            and self._dense_coef().shape[-1] == n_features
        )

    def _rows(self, X, center):
        return Rows(X, center=center, n_jobs=self.n_jobs)

    def _validation_rows(self, X_val, y_val, rows):
        """Validated X of a validation set in the coordinates of ``rows``; None without one.

        Raises
        ------
        ValueError
            If only one of X_val and y_val is given, or the solver has no use for them.
        """
        if X_val is None and y_val is None:
            return None
        if X_val is None or y_val is None:
            raise ValueError("X_val and y_val must be given together")
        solver = resolve(self.solver)
        if not (isinstance(solver, SGD) and solver.early_stopping):
            raise ValueError(
                "X_val and y_val are used by solver=SGD(early_stopping=True) only, got "
                f"solver={self.solver!r}"
            )
        X_val = self._validate(X_val, "no_validation", reset=False)
        if sp.issparse(X_val) != rows.is_sparse:
            X_val = sp.csr_array(X_val) if rows.is_sparse else X_val.toarray()
        return rows.like(X_val.astype(rows.dtype, copy=False))

    def _minimize(self, objectives, previous, task, fitted, **metadata):
        """Solve one objective per problem.

        Parameters
        ----------
        objectives : list of LinearObjective
            Over the same rows.
        previous : list of (coef, intercept) or None
            Where to start, by problem.
        task : SimpleNamespace
            See ``_fit_task``.
        fitted : callable
            ``fitted(k, coef, intercept)``: the fitted attributes if problem k had this solution.
        **metadata
            For callbacks; what is None was not given.

        Returns
        -------
        list of (coef, intercept)
            By problem.
        """
        check_on_rows(objectives[0])
        random_state = check_random_state(self.random_state)
        solvers = [self._choose_solver(objective) for objective in objectives]
        metadata = {name: value for name, value in metadata.items() if value is not None}
        data = {"estimator": self, "X": task.X, "y": task.y, "metadata": metadata}
        held_out = [None] * len(objectives) if task.validation is None else task.validation
        results = []
        with objectives[0].rows.session():
            for k, (objective, solver) in enumerate(zip(objectives, solvers, strict=True)):
                if previous is None:
                    start = self._start(objective, random_state)
                else:
                    start = objective.from_coef(*previous[k])
                watch = _Watch(self, objective, task.context, data, partial(fitted, k))
                with watch.problem(solver, len(objectives) > 1):
                    result = solver.solve(
                        objective,
                        start,
                        tol=self.tol,
                        max_iter=self.max_iter,
                        callback=watch if watch.has_callbacks or self.verbose else None,
                        random_state=random_state,
                        validation=held_out[k],
                    )
                    watch.end(result)
                results.append(result)
        self._report(results, solvers)
        solutions = [o.to_coef(r.params) for o, r in zip(objectives, results, strict=True)]
        largest = np.finfo(objectives[0].rows.dtype).max  # coefficients become that dtype
        if not all((np.abs(part) <= largest).all() for parts in solutions for part in parts):
            raise ValueError(
                f"{type(self).__name__} found no finite coefficients: the values in X or y are too "
                "large or too small for floating-point arithmetic. Scale them."
            )
        return solutions

    def _start(self, objective, random_state):
        """Where to start."""
        return objective.start()

    def _report(self, results, solvers):
        """Store how the fit ended; warn if it ended too early."""
        self.n_iter_ = max(result.n_iter for result in results)
        self.solver_ = results[0].solver or solvers[0].name
        gaps = [result.gap for result in results]
        if any(gap is None for gap in gaps):
            self.__dict__.pop("dual_gap_", None)
        else:
            self.dual_gap_ = gaps[0] if len(gaps) == 1 else np.array(gaps)
        failed = [k for k, result in enumerate(results) if not result.converged]
        if failed and self.tol > 0:
            worst = max(failed, key=lambda k: np.nan_to_num(results[k].reached, nan=np.inf))
            warnings.warn(
                self._complaint(results[worst], solvers[worst].name),
                ConvergenceWarning,
                stacklevel=levels_to_caller(),
            )

    def _complaint(self, result, solver):
        """What is wrong with a result, and what may help."""
        found = f"{result.measure} {result.reached:.2g}, wanted tol={self.tol:g}"
        if not np.isfinite(result.reached):
            found = f"no bound on the error was found, wanted tol={self.tol:g}"
        advice = "More iterations will not help: scale the features, increase alpha or tol"
        if result.n_iter >= self.max_iter:
            advice = "Increase max_iter or tol, or scale the features"
        elif result.params.dtype == np.float32:
            advice += ", or fit in float64"
        return (
            f"{type(self).__name__} stopped after {result.n_iter} iterations of "
            f"solver={result.solver or solver!r} without converging: {found}. {advice}."
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.required = True
        return tags


class LinearModel(Fitted):
    """Base of the estimators with one coefficient per feature, or a row of them per problem."""

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

    def _check_stored(self, coef, intercept, n_problems, n_features):
        """Raise unless coefficients to go on from, as a fit left them or somebody set them, fit.

        Parameters
        ----------
        coef : ndarray of shape (n_problems, n_features)
        intercept : ndarray of shape (n_problems,)

        Raises
        ------
        ValueError
            If a shape is another, or a number is not finite; names the attribute.
        """
        wanted = {
            "coef_": (coef, (n_problems, n_features)),
            "intercept_": (intercept, (n_problems,)),
        }
        for name, (array, shape) in wanted.items():
            if np.shape(array) != shape or not np.isfinite(array).all():
                raise ValueError(
                    f"{type(self).__name__} cannot go on from {name}, which is of shape "
                    f"{np.shape(array)}: expected finite numbers of shape {shape}"
                )

    def _stream(self, objective, state, previous):
        """One incremental pass over ``objective``: its state, coefficients and intercept."""
        solver = resolve(self.solver)
        reason = solver.obstacle(objective)
        if reason is not None:
            raise ValueError(f"partial_fit cannot be used here: {reason}")
        if state is None:
            check_on_rows(objective)
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
        self.__dict__.pop("dual_gap_", None)  # of the coefficients before
        coef, intercept = objective.split(state.average if solver.average else state.params)
        return state, objective.by_output(coef), intercept

    # --- prediction ---

    def _scores(self, X):
        """X w + b, of shape (n,) or (n, n_problems)."""
        check_is_fitted(self)
        check_rows(X)
        X = validate_data(self, X, reset=False, accept_sparse="csr", dtype=(np.float64, np.float32))
        coef = self.coef_.T
        if sp.issparse(coef) and not sp.issparse(X):
            scores = (self.coef_ @ X.T).T
        else:
            scores = safe_sparse_dot(X, coef, dense_output=True)
        scores = scores + getattr(self, "intercept_", 0.0)
        return scores.ravel() if scores.ndim == 2 and scores.shape[1] == 1 else scores

    def sparsify(self):
        """Store ``coef_`` as a CSR matrix, which saves memory after an L1 fit.

        Returns
        -------
        self : object
        """
        check_is_fitted(self)
        self.coef_ = sp.csr_array(np.atleast_2d(self._dense_coef()))
        return self

    def densify(self):
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
