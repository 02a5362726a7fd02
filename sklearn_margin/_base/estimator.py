"""What all estimators share: how a fit and a batch go, from parameters to fitted attributes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import Any, NamedTuple, Self

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from sklearn_margin._arrays import on_host
from sklearn_margin._base.solving import minimize
from sklearn_margin._base.tables import check_all_in_batches, check_has_target
from sklearn_margin._dask import DaskTable
from sklearn_margin._hints import (
    FIT_HINTS,
    INIT_HINTS,
    check_in_memory,
    check_rows,
    explain_nested,
    explains_keywords,
    parameter_of,
)
from sklearn_margin._html import DrawnByScikitLearn
from sklearn_margin._lazy import is_dask
from sklearn_margin._onnx import ConvertsToOnnx
from sklearn_margin._sklearn import CallbackSupportMixin, column_or_1d
from sklearn_margin._streams import StreamTable
from sklearn_margin._tables import Table
from sklearn_margin._typing import Array
from sklearn_margin._validation import check_number
from sklearn_margin.batches import Batches
from sklearn_margin.inspection import check_on_rows, hint_for
from sklearn_margin.losses.base import Loss
from sklearn_margin.objective._blas import single_threaded
from sklearn_margin.solvers import SGD, SOLVERS, InTurn, Solver, candidates, resolve

__all__ = [
    "LossEstimator",
    "Problem",
    "learns_in_batches",
    "resolve_loss",
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


def learns_in_batches(estimator) -> bool:
    """Whether the estimator can learn incrementally; if not, the error says which solver can."""
    cls = estimator._stochastic
    if isinstance(estimator.solver, cls) or estimator.solver in ("sgd", cls.name):
        return True
    raise AttributeError(
        f"partial_fit needs solver='sgd' or a configured {cls.__name__}, got "
        f"solver={estimator.solver!r}"
    )


class Problem(NamedTuple):
    """What a fit minimises, and what it is fitted to."""

    objectives: list  # one or, of one class against the rest and of several quantiles, several
    X: Any  # validated
    y: Any
    known: dict[str, Any]  # fitted attributes that are known beforehand, such as the classes
    results: list | None = None  # of the objectives, if they are solved already


class LossEstimator(ConvertsToOnnx, DrawnByScikitLearn, CallbackSupportMixin, BaseEstimator):
    """Base of all estimators, which have a loss that a solver minimises.

    A subclass builds the problem from data in ``_prepare``, and says in ``_fitted`` which
    attributes a solution gives. What happens in between is here, for ``fit`` and its like in
    ``_fit``, for ``partial_fit`` in ``_partial_fit``.
    """

    # What fits set, whatever is fitted.
    n_iter_: int
    solver_: str
    n_features_in_: int
    feature_names_in_: Array
    dual_gap_: Any  # a number, or an array of one for each problem

    #: Classes of losses and solvers, by the names that the parameters can have.
    _losses: dict[str, type[Loss]] = {}
    _solvers: dict[str, type[Solver]] = SOLVERS
    #: The solver that learns in batches.
    _stochastic: type[Solver] = SGD
    #: The attribute that every fit and every batch sets.
    _learned = "coef_"
    #: Attributes of other fits that do not outlive their coefficients.
    _leftovers: tuple[str, ...] = ("_stream_states",)
    #: What stands for parameters of other libraries.
    _init_hints = INIT_HINTS

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            explained = explains_keywords(cls.__init__, cls._init_hint)
            cls.__init__ = explained  # type: ignore[method-assign]
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

    def set_params(self, **params: Any) -> Self:
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

    # --- what subclasses provide ---

    def _prepare(self, X, y, sample_weight=None, *, batch=False) -> Problem:
        """Validate data and build the problem: of a fit, or of a batch for ``partial_fit``."""
        raise NotImplementedError

    def _fitted(self, problem, solutions) -> dict[str, Any]:
        """Fitted attributes from a list of (coef, intercept), one for each objective."""
        raise NotImplementedError

    def _n_tasks(self):
        """Most tasks of a fit, for callbacks: iterations, or problems if they are several."""
        return self.max_iter

    def _finish(self, problem, **given):
        """Set attributes that rest on the fitted ones; ``given`` as in ``_fit``."""

    def _validation(self, problem, rows, y_val) -> list:
        """Objectives of a validation set that has these ``rows``."""
        raise NotImplementedError

    def _previous(self, problem):
        """Solutions of an earlier fit to start from; None if they are of other problems."""
        raise NotImplementedError

    def _start(self, objective, random_state):
        """Parameters to start from without any."""
        raise NotImplementedError

    def _streams(self, solver, problem, states) -> list:
        """One pass over a batch: (state, (coef, intercept)) for each objective.

        ``states`` are those of the batch before, None at first.
        """
        raise NotImplementedError

    # --- how it goes ---

    def _fit(self, prepare, X, y, *, X_val=None, y_val=None, in_batches=False, **given):
        """Fit to a problem: what every ``fit`` does.

        Callbacks are told of its begin and end. An error leaves the estimator as it was.

        Parameters
        ----------
        prepare : callable
            ``prepare(X, y, **given)`` returns the ``Problem``.
        X, y, X_val, y_val
            What the user gave.
        in_batches : bool, default=False
            Whether X may be ``Batches``, which hold all there is by row.
        **given
            Further data of the rows, ``sample_weight`` first of all; None where there is none.
        """
        X, y, X_val, y_val = map(on_host, (X, y, X_val, y_val))
        given = {name: on_host(value) for name, value in given.items()}
        context = self._init_callback_context(max_subtasks=self._n_tasks())
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        # One limit of BLAS threads for all of it: to set and lift it takes threads of its own.
        with self._unchanged_if_failed(), single_threaded:
            self._check_params()
            table = self._table(X, y, given) if in_batches else None
            if table is not None:
                X, y, given = self._of_table(table, given)
            problem = prepare(X, y, **given)
            if table is not None:
                self._validate(table.first, "no_validation")  # for the names of features
                del self._column_names
            if X_val is not None and given.get("offset") is not None:
                raise ValueError(
                    "offset: the validation set X_val, y_val has none; without it, "
                    f"{self._stochastic.__name__}(early_stopping=True) holds out a part of the "
                    "training rows, with their offsets"
                )
            held_out = self._held_out(problem, X_val, y_val)
            self._store(problem, minimize(self, problem, held_out, context, given))
            self._finish(problem, **given)
        context.call_on_fit_task_end(estimator=self, X=problem.X, y=problem.y)
        return self

    #: Names of the features of a table, None if it has none; only while it is being fitted.
    _column_names: Any

    #: What splits a target that holds groups; None where none does.
    _unpack: Callable[..., Any] | None = None

    def _table(self, X, y, given) -> Table | None:
        """Data that are not in memory, after a first read; None for others."""
        if isinstance(X, Table):  # which has been read
            return X
        if is_dask(X):
            return DaskTable(X, {"y": y, **given}, self._unpack)
        if not isinstance(X, Batches):
            return None
        check_all_in_batches(y=y, **given)
        return StreamTable(X, self._unpack, self.n_jobs)

    def _of_table(self, table, given):
        """What a fit is given of a table: the rows themselves, if they are few."""
        check_has_target(self, table)
        self._column_names = getattr(table.first, "columns", None)
        if not table.complete:
            return table, None, dict.fromkeys(given)
        kept = table.kept
        return table.kept_X, kept.y, {name: getattr(kept, name) for name in given}

    def _partial_fit(self, X, y, **given):
        """Learn from a batch: what every ``partial_fit`` does.

        An error leaves the estimator as it was.
        """
        with self._unchanged_if_failed(), single_threaded:
            self._check_params()
            given = {name: on_host(value) for name, value in given.items()}
            problem = self._prepare(on_host(X), on_host(y), batch=True, **given)
            solver = resolve(self.solver, self._solvers)
            needed = len(problem.objectives)
            states = getattr(self, "_stream_states", None) or [None] * needed
            if len(states) != needed:
                raise ValueError(
                    f"partial_fit kept {len(states)} states of earlier calls, and needs {needed}: "
                    "begin anew with a clone"
                )
            if states[0] is None:
                check_on_rows(problem.objectives[0])
            states, solutions = zip(*self._streams(solver, problem, states), strict=True)
            self._store(problem, solutions)
            self.__dict__.pop("dual_gap_", None)  # of the coefficients before
            self._stream_states, self.n_iter_, self.solver_ = list(states), 1, solver.name
        return self

    def _store(self, problem, solutions):
        """Set fitted attributes, and forget those of other fits."""
        for name in self._leftovers:
            self.__dict__.pop(name, None)
        self.__dict__.update(self._fitted(problem, solutions))

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

    # --- parameters and data ---

    def _check_params(self):
        """Raise for a wrong value of a parameter."""
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
        resolve(self.solver, self._solvers)
        try:
            check_random_state(self.random_state)
        except ValueError as error:
            raise ValueError(f"random_state: {error}") from error

    def _choose_solver(self, objective):
        """The solver for an objective; where several can, one after the other."""
        able = candidates(self.solver, objective, self.tol, self._solvers)
        return able[0] if len(able) == 1 else InTurn(able)

    def _continues(self, batch):
        """Whether a batch is not the first data that the estimator sees."""
        return batch and hasattr(self, self._learned)

    def _validate(self, X, y, reset=True, **options):
        X = on_host(X)
        check_rows(X)
        if not isinstance(y, str):  # "no_validation"
            check_in_memory(y, "y")
        return validate_data(
            self, X, y, reset=reset, accept_sparse="csr", dtype=(np.float64, np.float32), order="C",
            **options,
        )  # fmt: skip

    def _known_classes(self, y, classes):
        """All labels that batches may hold: those of a fit, or of the first ``partial_fit``."""
        known = getattr(self, "classes_", None)
        if known is None:
            if classes is None:
                raise ValueError("classes must be given at the first call of partial_fit")
            known = np.unique(column_or_1d(np.asarray(classes)))
        elif classes is not None and not np.array_equal(np.unique(classes), known):
            raise ValueError(f"classes={classes!r} differs from earlier calls: {known}")
        unknown = np.setdiff1d(y, known)
        if len(unknown):
            raise ValueError(f"y holds labels that are not in classes: {unknown}")
        return known

    def _held_out(self, problem, X_val, y_val):
        """Objectives of a validation set, in the coordinates of the problem; None without one.

        Raises
        ------
        ValueError
            If only one of X_val and y_val is given, or the solver has no use for them.
        """
        if X_val is None and y_val is None:
            return None
        if X_val is None or y_val is None:
            raise ValueError("X_val and y_val must be given together")
        solver = resolve(self.solver, self._solvers)
        if not (isinstance(solver, self._stochastic) and solver.early_stopping):
            raise ValueError(
                f"X_val and y_val are used by solver={self._stochastic.__name__}"
                f"(early_stopping=True) only, got solver={self.solver!r}"
            )
        rows = problem.objectives[0].rows
        X_val = self._validate(X_val, "no_validation", reset=False)
        if sp.issparse(X_val) != rows.is_sparse:
            X_val = sp.csr_array(X_val) if rows.is_sparse else X_val.toarray()
        return self._validation(problem, rows.like(X_val.astype(rows.dtype, copy=False)), y_val)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.required = True
        return tags
