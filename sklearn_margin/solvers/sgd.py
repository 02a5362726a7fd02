"""Averaged stochastic gradient descent."""

import copy
from collections import deque

import numpy as np

from sklearn_margin._jit import kernel
from sklearn_margin.losses._batches import batch_form
from sklearn_margin.losses.base import check_choice, check_number
from sklearn_margin.objective.rows import row_add, row_dot, single_rows, squared_norms
from sklearn_margin.penalties import ElasticNet
from sklearn_margin.solvers._averaged_slopes import (
    gap_by_passes,
    gap_by_steps,
    own_gap,
    without_small,
)
from sklearn_margin.solvers._streaming import (
    DistanceState,
    StreamState,
    check_state,
    distance_epoch,
    layout_of,
)
from sklearn_margin.solvers.base import Result, Solver, is_small

__all__ = ["SGD", "stream"]

_TRIAL_ROWS = 1000  # rows used to choose the first step length
_BATCH = 256  # rows per update of a batch loss
_CUTS = 5  # of the step in vain, after which a run is at its end
_STEPS = 800  # full subgradients for a certificate, if the problem is small,
_STEPS_WORK = 1_000_000_000  # and entries of X they may read, if it is not
_ROUGH = 0.03  # relative gap that is good enough for a stochastic method


class SGD(Solver):
    """Stochastic gradient descent with averaging, for any loss and penalty.

    Rows (pairs, for a ranking loss) are visited in random order, ``batch_size`` at a time.
    The step at update t is ``eta0`` under the schedule

    ========== ==================================================
    constant   eta0
    invscaling eta0 / (1 + t / m)^power, m updates per epoch
    pegasos    1 / (alpha · (t + 1)), Shalev-Shwartz et al. 2011
    ========== ==================================================

    The penalty acts through its proximal operator, which cannot overshoot, after every
    batch on dense rows and as often as it is cheap on sparse ones. With ``average`` the
    result is the mean of the iterates of at least the last half of the run (Rakhlin, Shamir
    & Sridharan 2012), if that is the better point. Dense columns are standardised as they
    are read; sparse columns are divided by their largest entry.

    ``tol`` is compared with the relative improvement of F (of the validation loss, with
    early stopping) over ``n_iter_no_change`` epochs. When F no longer improves, the step is cut
    to a third and the run goes on from the best point; after five cuts in vain (the first, with
    early stopping) it ends. It is not a certificate.

    Parameters
    ----------
    schedule : {"invscaling", "constant", "pegasos"}, default="invscaling"
        Step lengths.
    eta0 : float or "auto", default="auto"
        First step. "auto" tries a geometric grid on part of the data.
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
        Share of rows held out.
    n_iter_no_change : int, default=5
        Epochs without improvement after which to stop.

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
        schedule="invscaling",
        eta0="auto",
        power=0.6,
        batch_size="auto",
        average=True,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=5,
    ):
        self.schedule = schedule
        self.eta0 = eta0
        self.power = power
        self.batch_size = batch_size
        self.average = average
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change

    def check_params(self):
        check_choice(self.schedule, "schedule", ("invscaling", "constant", "pegasos"))
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

    def obstacle(self, objective):
        if not objective.draws_samples:
            return f"{type(objective).__name__} does not split over samples"
        if self.schedule == "pegasos" and objective.alpha == 0:
            return 'the schedule "pegasos" needs alpha > 0'
        return None

    def solve(self, objective, start, *, tol, max_iter, callback=None, random_state=None):
        random_state = np.random.RandomState(0) if random_state is None else random_state
        train, validation = objective, objective.validation
        if self.early_stopping and validation is None:
            train, validation = _split(objective, self.validation_fraction, random_state)
        run = _Run(self, train)
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
            if search.cuts < _CUTS and validation is None:
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
            measure, reached = "duality gap", gap / max(abs(value), 1e-300)
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
        candidates = [state.average, state.params] if run.solver.average else [state.params]
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
        self.state = self.run.initial(self.best, eta0=self.state.eta0 / 3)
        self.stale, self.cuts = 0, self.cuts + 1

    def begin_again(self):
        """Go on from the best point with the first step, and twice the patience."""
        self.state = self.run.initial(self.best, eta0=self.eta0)
        self.patience *= 2
        self.stale, self.cuts = 0, 0

    @property
    def is_at_rest(self):
        """Whether no epoch of late has improved F by ``tol``."""
        return len(self.recent) == self.recent.maxlen and max(self.recent) <= self.tol

    def found(self, validation):
        """The best point, with zeros where F does not mind, and its value."""
        if validation is not None:
            return self.best, self.value
        return without_small(self.run.objective, self.best, self.value)


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
    if hasattr(objective, "pairs"):
        if objective.pairs.n_pairs and not (train.pairs.n_pairs and validation.pairs.n_pairs):
            raise ValueError(f"{left}: one of the two parts holds no pair")
        return train, validation
    labels = np.unique(objective.y[objective.s > 0])
    is_classifier = objective.n_outputs > 1 or np.isin(labels, [-1, 1]).all()
    if is_classifier and len(np.unique(train.y[train.s > 0])) < len(labels):
        raise ValueError(f"{left}, which lack one of {len(labels)} classes")
    return train, validation


class SGDState(StreamState):
    """A run whose steps follow a schedule."""

    numbers = ("eta0", "period", "updates", "averaged", "next_restart")

    def __init__(self, params, layout, eta0, period):
        super().__init__(params, layout)
        self.eta0 = eta0
        self.period = period  # updates over which the step decays: those of the first pass
        self.updates = 0.0
        self.averaged = 0.0
        self.next_restart = 0.0  # of the average, each time the run has doubled


class _Run:
    """Stochastic passes over one objective."""

    def __init__(self, solver, objective, standardize=True):
        self.solver = solver
        self.objective = objective
        self.loss = batch_form(objective.loss, objective.n_outputs)
        self.batch = solver.batch_size
        if self.batch == "auto":
            self.batch = 1 if objective.loss.splits else _BATCH
        rows = objective.rows
        d = rows.shape[1]
        # Sparse rows, and a stream, are met in raw coordinates.
        shift, scale = np.zeros(d), np.ones(d)
        if standardize and rows.is_sparse:
            scale = _largest_entries(rows.X)
        elif standardize:
            shift, scale = rows.shift, rows.scale
        self.shift, self.scale = shift, scale
        self.rows = single_rows(rows.X, shift, scale)
        penalty = ElasticNet(objective.alpha, objective.l1_ratio, scale)
        self.l2, self.l1 = penalty.l2, penalty.l1
        density = rows.X.nnz / max(1, rows.shape[0]) if rows.is_sparse else d
        self.every = int(np.clip(d / max(1.0, density), 1, max(1, rows.shape[0] // 4)))

    def encode(self, params):
        """Coordinates of the run for those of the objective."""
        w, b = self.objective.to_coef(params)
        return self.objective.join(w * self.scale, b + w @ self.shift)

    def decode(self, params):
        """Coordinates of the objective for those of the run."""
        return self.objective.from_coef(*self.to_coef(params))

    def to_coef(self, params):
        """Raw coefficients and intercept."""
        u, b = self.objective.split(params)
        w = self.objective.by_output(u) / self.scale
        return w, b - w @ self.shift

    def value(self, objective, params):
        """F, or the loss alone on a validation objective, at a point of the run."""
        with np.errstate(all="ignore"):
            return objective.value(self.decode(params))

    def gap(self, params, eta, wanted):
        """Duality gap at a point of the objective; None where no gap is known.

        From the slopes there; if that is above ``wanted``, from those of stochastic passes, where
        samples are rows and not pairs, and then of full steps.
        """
        objective = self.objective
        gap = own_gap(objective, params)
        if gap is None or gap <= wanted or not objective.loss.splits:
            return gap
        with np.errstate(all="ignore"):
            if objective.draw(np.random.RandomState(0), 1)[1].max(initial=-1) < 0:
                gap = min(gap, gap_by_passes(self, params, eta, wanted))
            if gap > wanted:
                work = objective.rows.shape[0] * objective.n_params
                most = int(np.clip(_STEPS_WORK // work, _STEPS // 20, _STEPS))
                gap = min(gap, gap_by_steps(objective, params, wanted, most))
        return gap

    def initial(self, start, eta0=None):
        """State at ``start``, with a step that was chosen by trial if none is given."""
        params = self.encode(start)
        if eta0 is None:
            eta0 = self._choose_step(params) if self.solver.eta0 == "auto" else self.solver.eta0
        return SGDState(params, layout_of(self.objective), float(eta0), self.updates)

    @property
    def updates(self):
        """Updates per pass."""
        return max(1, -(-self.objective.rows.shape[0] // self.batch))

    def epoch(self, state, random_state, limit=None):
        """One pass, or a shorter one. The average begins anew whenever the run has doubled."""
        objective, solver = self.objective, self.solver
        first, second, labels, weights = objective.draw(random_state, limit)
        if solver.schedule == "constant":
            eta0, decay, power = state.eta0, 0.0, 1.0
        elif solver.schedule == "pegasos":
            eta0, decay, power = 1.0 / objective.alpha, 1.0, 1.0
        else:
            eta0, decay, power = state.eta0, 1.0 / state.period, solver.power
        if state.updates >= state.next_restart:
            state.averaged, state.next_restart = 0.0, 2.0 * state.updates + state.period
        state.updates, state.averaged = objective.loss._run(
            _epoch, self.loss, self.rows, first, second, labels, weights, state.params,
            state.average, self.l2, self.l1, eta0, decay, power, state.updates, state.averaged,
            self.batch, max(1, self.every // self.batch), objective.n_outputs,
            objective.fit_intercept,
        )  # fmt: skip

    def _choose_step(self, params):
        """The step of a geometric grid that is best after a short pass (Bottou 2012)."""
        rows = self.objective.draw(np.random.RandomState(0), 100)[0]
        sizes = squared_norms(self.rows, rows, np.zeros(len(self.l2)))
        unit = 1.0 / max(np.mean(sizes) + self.objective.fit_intercept, 1e-300)
        best, best_value = unit, np.inf
        for exponent in range(-4, 11):
            step = unit * 4.0**exponent
            state = SGDState(params.copy(), layout_of(self.objective), step, self.updates)
            self.epoch(state, np.random.RandomState(0), limit=_TRIAL_ROWS)
            value = self.value(self.objective, state.params)
            if np.isfinite(value) and value < best_value:
                best, best_value = state.eta0, value
        return best


def _largest_entries(X):
    """Largest absolute value of each column of a CSR matrix; 1 for empty columns."""
    largest = np.zeros(X.shape[1])
    np.maximum.at(largest, X.indices, np.abs(X.data))
    return np.where(largest > 0, largest, 1.0)


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
    run = _Run(solver, objective, standardize=False)
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
    (distance_epoch if learned else _Run.epoch)(run, state, random_state)
    return state


@kernel
def _epoch(
    _, loss, rows, first, second, labels, weights, params, average, l2, l1, eta0, decay, power,
    updates, averaged, batch, every, n_outputs, fit_intercept,
):  # fmt: skip
    """One pass over the drawn samples. A sample is row ``first`` less row ``second`` ≥ 0."""
    d = l2.shape[0]
    u = params[: n_outputs * d].reshape((n_outputs, d))
    b = params[n_outputs * d :]
    scores, slopes = np.empty((batch, n_outputs)), np.empty((batch, n_outputs))
    pending = 0.0
    since = 0
    n = first.shape[0]
    for start in range(0, n, batch):
        stop = min(start + batch, n)
        size = stop - start
        eta = eta0 / (1.0 + decay * updates) ** power
        for k in range(size):
            for c in range(n_outputs):
                z = row_dot(rows, first[start + k], u[c])
                if second[start + k] >= 0:
                    z -= row_dot(rows, second[start + k], u[c])
                scores[k, c] = z + b[c] if fit_intercept else z
        loss.slopes(labels[start:stop], scores[:size], weights[start:stop], slopes[:size])
        for k in range(size):
            for c in range(n_outputs):
                step = -eta * slopes[k, c]
                if step != 0.0:
                    row_add(rows, first[start + k], step, u[c])
                    if second[start + k] >= 0:
                        row_add(rows, second[start + k], -step, u[c])
                    if fit_intercept:
                        b[c] += step
        pending += eta
        updates += 1.0
        since += 1
        if since == every or stop == n:
            for c in range(n_outputs):
                _shrink(u[c], pending, l2, l1)
            averaged += 1.0
            for j in range(params.shape[0]):
                average[j] += (params[j] - average[j]) / averaged
            pending = 0.0
            since = 0
    return updates, averaged


@kernel
def _shrink(u, step, l2, l1):
    """The proximal operator of the penalty."""
    for j in range(u.shape[0]):
        size = abs(u[j]) - step * l1[j]
        if size <= 0.0:
            u[j] = 0.0
        else:
            u[j] = (size if u[j] > 0 else -size) / (1.0 + step * l2[j])
