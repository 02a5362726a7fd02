"""Stochastic passes over the rows of an objective."""

from typing import NamedTuple

import numpy as np

from sklearn_margin._jit import kernel
from sklearn_margin.objective.mean_slopes import own_gap
from sklearn_margin.objective.row_kernels import row_add, squared_norms
from sklearn_margin.solvers._averaged_slopes import gap_by_passes, gap_by_steps
from sklearn_margin.solvers._batch_form import batch_form
from sklearn_margin.solvers._streaming import Plan, StreamState, layout_of, score_batch

__all__ = ["Run", "SGDState", "value_of"]

_TRIAL_ROWS = 1000  # rows used to choose the first step length
_MANY_ROWS = 50_000  # from which a tenth of the rows says which step is best
_BATCH = 256  # rows per update of a batch loss
_STEPS = 800  # full subgradients for a certificate, if the problem is small,
_STEPS_WORK = 1_000_000_000  # and entries of X they may read, if it is not


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


class Schedule(NamedTuple):
    """The step at update t is eta0 / (1 + decay · t)^power."""

    eta0: float
    decay: float
    power: float


def value_of(objective, coef, intercept):
    """F at raw coefficients; infinity where they cannot be stored."""
    largest = np.finfo(objective.rows.dtype).max
    with np.errstate(all="ignore"):
        # Scores that overflow may all be on the right side, but nobody can store such a point.
        if not (np.abs(coef).max() <= largest and np.abs(intercept).max() <= largest):
            return np.inf
        return objective.value(objective.from_coef(coef, intercept))


class Run:
    """Stochastic passes over one objective."""

    def __init__(self, solver, objective, standardize=True):
        self.solver = solver
        self.objective = objective
        self.loss = batch_form(objective.loss, objective.n_outputs)
        self.batch = solver.batch_size
        if self.batch == "auto":
            self.batch = 1 if objective.loss.splits else _BATCH
        rows, d = objective.rows, objective.rows.shape[1]
        # A stream is met in raw coordinates.
        shift, scale = rows.kernel_coordinates() if standardize else (np.zeros(d), np.ones(d))
        self.shift, self.scale = shift, scale
        self.rows = rows.single(shift, scale)
        penalty = objective.penalty.in_coordinates(scale)
        self.l2, self.l1 = penalty.l2, penalty.l1
        most = max(1, rows.shape[0] // 4)
        # As often as the penalty's step on all features is cheap beside those on rows.
        every = int(np.clip(d / max(1.0, rows.entries_per_row), 1, most))
        self.plan = Plan(
            self.batch, max(1, every // self.batch), objective.n_outputs, objective.fit_intercept
        )
        self.by_row = self.plan._replace(batch=1, every=every)

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
            return value_of(objective, *self.to_coef(params))

    def candidates(self, state):
        """Where the last pass may have found the best point."""
        return [state.average, state.params] if self.solver.average else [state.params]

    def again(self, state, start, eta0):
        """Go on from ``start``, a point of the objective, with steps of another length."""
        return self.initial(start, eta0=eta0)

    def settled(self, params, wanted):
        """Whether a gap of ``wanted`` is certain already: passes for it are for the end."""
        return False

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
        if solver.schedule == "constant":
            schedule = Schedule(state.eta0, 0.0, 1.0)
        elif solver.schedule == "pegasos":
            schedule = Schedule(1.0 / objective.penalty.strength, 1.0, 1.0)
        else:
            schedule = Schedule(state.eta0, 1.0 / state.period, solver.power)
        if state.updates >= state.next_restart:
            state.averaged, state.next_restart = 0.0, 2.0 * state.updates + state.period
        state.updates, state.averaged = objective.loss._run(
            _epoch, self.loss, self.rows, objective.draw(random_state, limit), state.params,
            state.average, self.l2, self.l1, schedule, state.updates, state.averaged, self.plan,
        )  # fmt: skip

    def _judge(self):
        """What steps of trial are judged by: the objective, of a tenth of the rows if many."""
        objective, n = self.objective, self.objective.rows.shape[0]
        if n < _MANY_ROWS or not (objective.takes_samples and objective.loss.splits):
            return objective
        return objective.sample(n // 10, np.random.RandomState(0))

    def _choose_step(self, params):
        """The step of a geometric grid that is best after a short pass (Bottou 2012)."""
        rows = self.objective.draw(np.random.RandomState(0), 100)[0]
        sizes = squared_norms(self.rows, rows, np.zeros(len(self.l2)))
        unit = 1.0 / max(np.mean(sizes) + self.objective.fit_intercept, 1e-300)
        best, best_value, judge = unit, np.inf, self._judge()
        for exponent in range(-4, 11):
            step = unit * 4.0**exponent
            state = SGDState(params.copy(), layout_of(self.objective), step, self.updates)
            self.epoch(state, np.random.RandomState(0), limit=_TRIAL_ROWS)
            value = self.value(judge, state.params)
            if np.isfinite(value) and value < best_value:
                best, best_value = state.eta0, value
        return best


@kernel
def _epoch(
    _, loss, rows, samples, params, average, l2, l1, schedule, updates, averaged, plan
):  # fmt: skip
    """One pass over the samples; the numbers of updates and of averaged points so far."""
    first, second, labels, weights, _ = samples
    batch, every, n_outputs, fit_intercept = plan
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
        eta = schedule.eta0 / (1.0 + schedule.decay * updates) ** schedule.power
        score_batch(rows, samples, start, stop, u, b, scores)
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
