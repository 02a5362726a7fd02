"""Stochastic gradient descent."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from sklearn_margin._validation import check_choice, check_number
from sklearn_margin.objective.mean_slopes import own_gap
from sklearn_margin.solvers._averaged_slopes import without_small
from sklearn_margin.solvers._memory import MemoryRun, remembers
from sklearn_margin.solvers._stochastic import Run
from sklearn_margin.solvers._streaming import (
    DistanceState,
    StreamState,
    check_state,
    distance_epoch,
    layout_of,
)
from sklearn_margin.solvers.base import Result, Solver, is_small

__all__ = ["SGD", "stream"]

_CUTS = 5  # of the step in vain, after which a run is at its end
_SLACK = 1e-4  # by which F may rise, relatively, where coordinates are set to zero
_ROUGH = 0.03  # relative gap that is good enough for a stochastic method


class SGD(Solver):
    """Stochastic gradient descent, for any loss and penalty.

    Rows (pairs, for a ranking loss) are visited in random order, ``batch_size`` at a time.

    **Losses of one score per row**, visited one at a time, need no schedule. The slope that each
    row had at its last visit is kept, a number per row, and a visit solves for the new one with the
    others as they are: stochastic dual coordinate ascent [1]_, around a center that follows from
    epoch to epoch, as in the proximal point method [2]_. Steps by feature are as in AdaGrad [3]_.
    So the variance vanishes as the run arrives, and the run converges linearly if the loss is
    smooth. Rows whose slope did not change are left out for up to three passes; an epoch is as many
    visits as there are rows.

    **Other losses**, mini-batches, and a ``schedule`` or ``eta0`` of your own: the step at update t
    is ``eta0`` under the schedule

    ========== ==================================================
    constant   eta0
    invscaling eta0 / (1 + t / m)^power, m updates per epoch
    pegasos    1 / (alpha · (t + 1)), Shalev-Shwartz et al. 2011
    ========== ==================================================

    The penalty acts through its proximal operator, which cannot overshoot, after every
    batch on dense rows and as often as it is cheap on sparse ones. Dense columns are standardised
    as they are read; sparse columns are divided by their largest entry.

    With ``average`` the result is the mean of the iterates, where slopes are kept of an epoch,
    otherwise of at least the last half of the run (Rakhlin, Shamir & Sridharan 2012), if that is
    the better point.

    ``tol`` is compared with the relative improvement of F (of the validation loss, with
    early stopping) over ``n_iter_no_change`` epochs. When F no longer improves, the step is cut
    to a third and the run goes on from the best point; after five cuts in vain (the first, with
    early stopping, or if slopes that are kept prove the point to be good) it ends. If the loss is
    convex, alpha > 0 and all rows are learned from, it is called converged only if the duality gap
    is then at most max(tol, 0.03) of F; a small problem where it is not, and that is still gaining,
    is given another run with twice the patience. Where no gap is known, converged means that F no
    longer improves, and proves nothing.

    The gap is that of the slopes at the best point, of the slopes that are kept or, where that is
    too coarse, of the average slopes of further passes with a constant step, or of full steps, that
    begin there [4]_; these are not counted as epochs. It bounds the error, and can be far above it.

    With an L1 penalty the smallest coordinates of the result are set to zero, as many as raise F
    by no more than max(tol, 1e-4), relatively.

    ``partial_fit`` uses features as they are, and with ``eta0="auto"`` it learns the step of each
    coordinate from the rows as they come, without a schedule (but for "pegasos"): distance over
    gradients [5]_.

    Parameters
    ----------
    schedule : {"auto", "invscaling", "constant", "pegasos"}, default="auto"
        Step lengths. "auto" keeps slopes where it can, and is "invscaling" elsewhere.
    eta0 : float or "auto", default="auto"
        First step. Where slopes are not kept, "auto" tries a geometric grid on part of the data.
    power : float, default=0.6
        Exponent of "invscaling".
    batch_size : int or "auto", default="auto"
        Rows per update. "auto" is 1; 256 for a batch loss, which needs several.
    average : bool, default=True
        Whether to average iterates.
    early_stopping : bool, default=False
        Whether to hold out part of the rows (whole groups, for a ranking loss) and stop
        when the loss on them no longer improves. The best point is returned. A validation
        set given to ``fit`` is used instead of a part of the training rows.
    validation_fraction : float, default=0.1
        Share of rows held out. It is an error if those left lack a class, or if either part lacks
        rows or pairs.
    n_iter_no_change : int, default=5
        Epochs without improvement after which to stop.

    References
    ----------
    .. [1] Shalev-Shwartz & Zhang, "Stochastic dual coordinate ascent methods for regularized loss
       minimization", JMLR 14, 2013.
    .. [2] Frostig, Ge, Kakade & Sidford, "Un-regularizing: approximate proximal point and faster
       stochastic algorithms for empirical risk minimization", ICML 2015.
    .. [3] Duchi, Hazan & Singer, "Adaptive subgradient methods for online learning and stochastic
       optimization", JMLR 12, 2011.
    .. [4] Nesterov, "Primal-dual subgradient methods for convex problems", Mathematical
       Programming 120, 2009.
    .. [5] Ivgi, Hinder & Carmon, "DoG is SGD's best friend: a parameter-free dynamic step size
       schedule", ICML 2023.

    Examples
    --------
    >>> from sklearn_margin import LinearClassifier
    >>> from sklearn_margin.solvers import SGD
    >>> LinearClassifier(solver=SGD(batch_size=32)).get_params()["solver__batch_size"]
    32
    """

    name = "sgd"
    exact = False

    def __init__(
        self,
        schedule: Literal["auto", "invscaling", "constant", "pegasos"] = "auto",
        eta0: float | Literal["auto"] = "auto",
        power: float = 0.6,
        batch_size: int | Literal["auto"] = "auto",
        average: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
    ) -> None:
        self.schedule = schedule
        self.eta0 = eta0
        self.power = power
        self.batch_size = batch_size
        self.average = average
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change

    def check_params(self) -> None:
        check_choice(self.schedule, "schedule", ("auto", "invscaling", "constant", "pegasos"))
        if self.eta0 != "auto":
            check_number(self.eta0, "eta0", minimum=0, closed=False)
        check_number(self.power, "power", minimum=0, maximum=1)
        if self.batch_size != "auto":
            check_number(self.batch_size, "batch_size", minimum=1, integer=True)
        for name in ("average", "early_stopping"):
            if not isinstance(getattr(self, name), (bool, np.bool_)):
                raise TypeError(f"{name} must be True or False, got {getattr(self, name)!r}")
        fraction = self.validation_fraction
        check_number(fraction, "validation_fraction", minimum=0, maximum=1, closed=False)
        check_number(self.n_iter_no_change, "n_iter_no_change", minimum=1, integer=True)

    def obstacle(self, objective: Any) -> str | None:
        if objective.why_no_rows is not None:
            return objective.why_no_rows
        if not objective.draws_samples:
            return f"{type(objective).__name__} does not split over samples"
        if self.schedule == "pegasos" and objective.penalty.is_zero:
            return 'the schedule "pegasos" needs alpha > 0'
        return None

    def rank(self, objective: Any, tol: float) -> float | None:
        return 11

    def solve(
        self,
        objective: Any,
        start: np.ndarray,
        *,
        tol: float,
        max_iter: int,
        callback: Callable[..., Any] | None = None,
        random_state: np.random.RandomState | None = None,
        validation: Any = None,
    ) -> Result:
        random_state = np.random.RandomState(0) if random_state is None else random_state
        train = objective
        if self.early_stopping and validation is None:
            train, validation = _split(objective, self.validation_fraction, random_state)
        run = (MemoryRun if remembers(self, train) else Run)(self, train)
        search = _Search(run, train if validation is None else validation, start, tol)
        n_iter, done, gap, limit = 0, False, None, max(tol, _ROUGH)
        before = search.value
        while n_iter < max_iter and not done:
            n_iter += 1
            search.epoch(random_state)
            if callback is not None and callback(n_iter, search.found(validation)[0]):
                break
            if search.stale < search.patience:
                continue
            settled = validation is not None or run.settled(search.best, limit * abs(search.value))
            if search.cuts < _CUTS and not settled:
                search.cut()
                continue
            done = True
            if validation is None:
                wanted = limit * abs(search.value)
                gap = run.gap(search.best, search.eta0, wanted)
                # No gap that is small enough: is more to be gained with patience?
                gained = is_small(train) and before - search.value > 0.1 * wanted
                if gap is not None and gap > wanted and gained:
                    done, before = False, search.value
                    search.begin_again()
        params, value = search.found(validation)
        if gap is not None:
            gap += max(value - search.value, 0.0)
        done = done or search.is_at_rest
        measure, reached = "relative improvement per epoch", max(search.recent)
        if validation is not None:
            value = objective.value(params)
        elif gap is None:
            gap = (
                run.gap(params, search.eta0, limit * abs(value)) if done else own_gap(train, params)
            )
        if gap == np.inf:  # nothing is known, as where there is no gap
            gap = None
        if done and gap is not None:
            measure, reached = "relative gap", gap / max(abs(value), 1e-300)
            done = reached <= limit
        return Result(params, value, n_iter, done, gap, measure, reached)


class _Search:
    """The best point of a run, and what progress there is."""

    def __init__(self, run, measured, start, tol):
        self.run, self.measured, self.tol = run, measured, tol
        self.state = run.initial(start)
        self.eta0 = self.state.eta0
        self.best, self.value = start, run.value(measured, self.state.params)
        self.mark, self.stale, self.cuts = self.value, 0, 0
        self.patience = run.solver.n_iter_no_change
        self.recent = deque(maxlen=self.patience)  # relative improvement of epochs

    def epoch(self, random_state):
        """One pass, and what came of it."""
        run, state = self.run, self.state
        run.epoch(state, random_state)
        candidates = run.candidates(state)
        values = [run.value(self.measured, point) for point in candidates]
        i = int(np.nanargmin(values)) if np.isfinite(values).any() else 0
        if not state.finite:  # diverged: back, with smaller steps
            self.eta0 = state.eta0 / 10
            self.state = run.initial(self.best, eta0=self.eta0)
            self.recent.append(1.0)
            return
        before = self.value
        if values[i] < self.value:
            self.best, self.value = run.decode(candidates[i]), values[i]
        gain = (before - self.value) / max(abs(before), 1e-300)
        self.recent.append(gain if np.isfinite(gain) else 1.0)
        improved = self.value < self.mark - self.tol * max(abs(self.mark), 1e-300)
        self.stale = 0 if improved else self.stale + 1
        self.cuts = 0 if improved else self.cuts
        self.mark = self.value if improved else self.mark

    def cut(self):
        """Go on from the best point with a third of the step."""
        self.state = self.run.again(self.state, self.best, self.state.eta0 / 3)
        self.stale, self.cuts = 0, self.cuts + 1

    def begin_again(self):
        """Go on from the best point with the first step, and twice the patience."""
        self.state = self.run.again(self.state, self.best, self.eta0)
        self.patience *= 2
        self.stale, self.cuts = 0, 0

    @property
    def is_at_rest(self):
        """Whether no epoch of late has improved F by ``tol``."""
        return len(self.recent) == self.recent.maxlen and max(self.recent) <= self.tol

    def found(self, validation):
        """The best point, with zeros where F hardly minds, and its value."""
        if validation is not None:
            return self.best, self.value
        slack = max(self.tol, _SLACK) * abs(self.value)
        return without_small(self.run.objective, self.best, self.value, slack)


def _split(objective, fraction, random_state):
    """Objectives of the rows to learn from, and of a part to validate with.

    Raises
    ------
    ValueError
        If either would hold no row, or no pair, or if a class has no row to learn from.
    """
    n = objective.rows.shape[0]
    if n < 2:
        raise ValueError(f"validation_fraction={fraction} needs 2 rows to part, got {n}")
    train, validation = objective.split_rows(fraction, random_state)
    left = f"validation_fraction={fraction} leaves {train.rows.shape[0]} of {n} rows to learn from"
    if objective.pairs is not None:
        if objective.pairs.n_pairs and not (train.pairs.n_pairs and validation.pairs.n_pairs):
            raise ValueError(f"{left}: one of the two parts holds no pair")
        return train, validation
    labels = np.unique(objective.y[objective.s > 0])
    is_classifier = objective.n_outputs > 1 or np.isin(labels, [-1, 1]).all()
    if is_classifier and len(np.unique(train.y[train.s > 0])) < len(labels):
        raise ValueError(f"{left}, which lack one of {len(labels)} classes")
    return train, validation


def stream(solver, objective, state, start, random_state) -> StreamState:
    """One pass over the rows of ``objective``, for ``partial_fit``.

    With a number for ``eta0``, or the schedule "pegasos", the schedule goes on from pass to pass.
    Otherwise steps are learned from the rows as they come (``DistanceState``): no batch is
    typical, least of all the first.

    Parameters
    ----------
    solver : SGD
    objective : LinearObjective
        Over the new rows.
    state : StreamState or None
        Where the stream is; None begins it.
    start : ndarray of shape (n_params,)
        Where to begin, in the coordinates of ``objective``.
    random_state : RandomState

    Returns
    -------
    StreamState
        In raw coordinates: features are used as they are, since their scales are not known. A
        new object, ``state`` stays as it was.

    Raises
    ------
    ValueError
        If ``state`` is not of this objective; see ``check_state``.
    """
    learned = solver.eta0 == "auto" and solver.schedule != "pegasos"
    run = Run(solver, objective, standardize=False)
    if state is not None:
        check_state(state, objective)
        if isinstance(state, DistanceState) != learned:  # the solver's parameters have changed
            state = None
    if state is not None:
        state = copy.deepcopy(state)
    elif learned:
        state = DistanceState(run.encode(start), layout_of(objective))
    else:
        state = run.initial(start, eta0=1.0 if solver.eta0 == "auto" else None)
    (distance_epoch if learned else Run.epoch)(run, state, random_state)
    return state
