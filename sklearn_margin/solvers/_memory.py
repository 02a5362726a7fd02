r"""Stochastic passes that remember the slope of each row: they need no schedule.

A plain stochastic step is made of one row's slope, which differs from the mean slope even at the
optimum, so that steps must vanish for the run to arrive. Here the slope g_i that row i had when it
was last visited is kept, and a visit replaces it. With h a separable part that is added to F around
a center c,

    F(w) + ½ Σ_j κ_j (w_j − c_j)²,   P_j = l2_j + κ_j,

the minimiser over w is v = (κc − Σ_i g_i x_i / n) / P at any slopes g, after the proximal operator
of an L1 penalty. The visit solves for the slope of one row, the others being as they are: with
q_i = Σ_j x_ij² / (n P_j) its score z moves to the root of

    z + q_i ℓ'(z) = z_i + q_i g_i.

That is stochastic dual coordinate ascent [1]_, with the loss given by its slope alone. After a pass
the center moves to where the pass arrived, as in the proximal point method [2]_: F itself is
minimised, and κ decides no more than how long steps are. So the intercept, whose l2 is zero, is a
feature like others, and alpha may be zero. The same visits with κ, but without the part ½ l2 w² in
P, are Point-SAGA [3]_.

How long steps are by feature is as in AdaGrad [4]_: P_j is proportional to the root mean square of
feature j, times its largest entry, which makes the unit right; so rare features take longer steps.
How long they are on the whole, q, is a share of the Polyak length, at which the loss of a row would
vanish: 4 √(d/n), at most 4. The more rows there are by feature, the less one of them should say.

A row whose slope did not change rests: it is skipped once, if that goes on twice, then three times
(the shrinking of [1]_, for good at no time). An epoch is as many visits as there are rows.

References
----------
.. [1] Shalev-Shwartz & Zhang, "Stochastic dual coordinate ascent methods for regularized loss
   minimization", JMLR 14, 2013.
.. [2] Frostig, Ge, Kakade & Sidford, "Un-regularizing: approximate proximal point and faster
   stochastic algorithms for empirical risk minimization", ICML 2015.
.. [3] Defazio, "A simple practical accelerated method for finite sums", NeurIPS 2016.
.. [4] Duchi, Hazan & Singer, "Adaptive subgradient methods for online learning and stochastic
   optimization", JMLR 12, 2011.
"""

import numpy as np

from sklearn_margin._jit import kernel
from sklearn_margin.objective.mean_slopes import MeanSlopes, own_gap
from sklearn_margin.objective.row_kernels import RawRows, add_rows
from sklearn_margin.objective.row_steps import row_score, row_step, scaled_norms, shrunk
from sklearn_margin.solvers._batch_form import implicit_form
from sklearn_margin.solvers._stochastic import Run, value_of

__all__ = ["MemoryRun", "remembers"]

_RUN = 8  # neighbouring rows that are visited together, for the memory of the machine
_MOST = 4.0  # share of the Polyak length that a step may be
_REST = 3  # most passes that a row rests
_WILD = 1e50  # scales of features beyond which their squares may leave the floating-point range


def remembers(solver, objective) -> bool:
    """Whether a run can keep the slope of each row: the loss is of one score per row, and no
    parameter of ``solver`` asks for other steps."""
    if solver.eta0 != "auto" or solver.schedule != "auto" or solver.batch_size not in ("auto", 1):
        return False
    if objective.n_outputs > 1 or objective.pairs is not None or not objective.loss.splits:
        return False
    if not (objective.loss.nonnegative or objective.loss.has_hessian):
        return False  # nothing says how long steps should be
    scale = np.abs(np.append(objective.rows.scale, 1.0))
    return bool(scale.max() < _WILD and scale.min() > 1 / _WILD)


class MemoryState:
    """Where a run is.

    Attributes
    ----------
    v : ndarray of shape (n_params,)
        Coefficients before the proximal operator of the penalty, and the intercept.
    center : ndarray of shape (n_params,)
    params, average : ndarray of shape (n_params,)
        Where the last pass arrived, and the mean over it.
    g : ndarray of shape (n,)
        Slopes, with the weights of rows.
    rest : ndarray of int8 of shape (n,)
        16 · (passes a row will be skipped) + visits in a row that did not change its slope.
    eta0 : float
        Length of steps: the share of the Polyak length times that length.
    excess, epochs : int
        Visits that the last epoch had too many, and epochs so far.
    """

    def __init__(self, params, n):
        self.v, self.center, self.params, self.average = (params.copy() for _ in range(4))
        self.g, self.rest = np.zeros(n), np.zeros(n, np.int8)
        self.eta0, self.excess, self.epochs = 0.0, 0, 0

    @property
    def finite(self):
        """Whether the run has not diverged."""
        return bool(np.isfinite(self.v).all())


class MemoryRun:
    """Stochastic passes over one objective with a memory of slopes; as ``Run`` to its caller."""

    def __init__(self, solver, objective):
        self.solver, self.objective = solver, objective
        self.loss = implicit_form(objective.loss)
        self.rows, self.shift = objective.rows.centred()
        n, d = objective.rows.shape
        self.y, self.s = objective.y.astype(np.float64), objective.s.astype(np.float64) * n
        self.offset = objective.offsets_for_kernels().ravel()
        penalty = objective.penalty.in_coordinates(np.ones(d))
        self.l2, self.l1 = objective.join(penalty.l2, 0.0), objective.join(penalty.l1, 0.0)
        squares, size = self._sizes()
        self.squares, self.size = objective.join(squares, 1.0), objective.join(size, 1.0)
        most = max(1, n // 4)
        self.every = int(np.clip(4 * d / max(1.0, objective.rows.entries_per_row), 1, most))

    def _sizes(self):
        """Mean squares of the features, and what P is proportional to."""
        (n, d), rows = self.objective.rows.shape, self.rows
        if not isinstance(rows, RawRows):  # standardised ones have size one
            return self.objective.rows.scale**2, self.objective.rows.scale**2
        squares, largest = np.zeros((2, d))
        _add_sizes(rows.data, rows.indices, squares, largest)
        squares /= n
        return squares, np.sqrt(squares) * largest

    # --- coordinates: raw coefficients, and the intercept of centred rows ---

    def encode(self, params):
        """Coordinates of the run for those of the objective."""
        w, b = self.objective.to_coef(params)
        return self.objective.join(w, b + w @ self.shift)

    def decode(self, params):
        """Coordinates of the objective for those of the run."""
        return self.objective.from_coef(*self._to_coef(params))

    def _to_coef(self, params):
        w, b = self.objective.split(params)
        return w, b - w @ self.shift

    def value(self, objective, params):
        """F, or the loss alone on a validation objective, at a point of the run."""
        return value_of(objective, *self._to_coef(params))

    def candidates(self, state):
        """Where the last pass may have found the best point. The mean over an epoch is as good as
        its end or far better, but over the first one it remembers the start."""
        if not self.solver.average:
            return [state.params]
        return [state.average, state.params][: 2 if state.epochs == 1 else 1]

    # --- the run ---

    def initial(self, start, eta0=None):
        """State at ``start``; its slopes are of use unless it is a mere intercept."""
        objective, (n, d) = self.objective, self.objective.rows.shape
        point = objective.at(start)
        if eta0 is None:
            share = min(4 * np.sqrt(np.count_nonzero(self.size) / n), _MOST)
            eta0 = share * self._length(point)
        self.state = MemoryState(self.encode(start), n)
        self._set_step(eta0)
        pull = np.zeros(objective.n_params)
        if objective.split(start)[0].any():
            g = np.empty(n, objective.rows.dtype)
            objective.score_gradient(point.scores, g)
            self.state.g[:] = g
            self.state.g *= n
            projected = np.zeros(d)
            add_rows(self.rows, self.state.g / n, projected)
            pull = objective.join(projected, self.state.g.mean())
        self._center(self.state.center, pull)
        return self.state

    def _length(self, point):
        """The Polyak length; of a loss that may be negative, 1 over the mean curvature."""
        objective = self.objective
        if objective.loss.nonnegative:
            return point.polyak_length
        curvature = objective.curvature(point.scores).h
        return 1.0 / max(float(curvature.sum(dtype=np.float64)), 1e-300)

    def again(self, state, start, eta0):
        """Go on around ``start``, a point of the objective, with steps of another length."""
        pull = self._pull()
        self._set_step(eta0)
        self._center(self.encode(start), pull)
        return state

    def _set_step(self, eta0):
        """Make steps ``eta0`` long: P, and what belongs to it."""
        n, used = self.objective.rows.shape[0], self.size > 0
        inverse = np.divide(1.0, self.size, out=np.zeros_like(self.size), where=used)
        density = float(self.squares @ inverse) / (n * max(eta0, 1e-300))
        density = min(max(density, 1e-300), 1e300)
        self.P = np.maximum(self.l2, np.where(used, density * self.size, 1.0))
        self.rates = np.where(used, 1.0 / (n * self.P), 0.0)
        rates, rate = self.objective.split(self.rates)
        self.q = scaled_norms(self.rows, rates, n) + rate
        self.thresholds = self.l1 / self.P if self.objective.penalty.has_l1 else np.empty(0)
        self.state.eta0 = eta0

    def _pull(self):
        """Σ g x / n, from where the run is."""
        return (self.P - self.l2) * self.state.center - self.P * self.state.v

    def _center(self, center, pull):
        """Move the center, and with it what minimises the sum around it."""
        self.state.center = center
        self.state.v = ((self.P - self.l2) * center - pull) / self.P

    def epoch(self, state, random_state):
        """As many visits as there are rows; then the center moves to where they led."""
        n, d = self.objective.rows.shape
        total, count, visits = np.zeros(len(state.v)), 0, state.excess
        rates, rate = self.objective.split(self.rates)
        for _ in range(_REST + 1):
            if visits >= n:
                break
            order = random_state.permutation(-(-n // _RUN))
            visited, counted = self.objective.loss._run(
                _visits, self.loss, self.rows, order, self.y, self.s, self.offset, state.g, self.q,
                state.rest, state.v[:d], state.v[d:], rates, rate, self.thresholds, total,
                self.every,
            )  # fmt: skip
            visits, count = visits + visited, count + counted
        state.excess, state.epochs = max(visits - n, 0), state.epochs + 1
        state.params = state.v.copy()
        if len(self.thresholds):
            state.params = np.sign(state.v) * np.maximum(np.abs(state.v) - self.thresholds, 0.0)
        state.average = total / count if count else state.params
        self._center(state.params, self._pull())

    def settled(self, params, wanted):
        """Whether a gap of ``wanted`` at a point of the objective is certain already."""
        gap = self._own_gap(params, wanted)
        return gap is not None and gap <= wanted

    def gap(self, params, eta, wanted):
        """Duality gap at a point of the objective; None where no gap is known. If that of the
        slopes in memory is above ``wanted``, it is looked for as of a run without one."""
        gap = self._own_gap(params, wanted)
        if gap is not None and gap > wanted:
            gap = min(gap, Run(self.solver, self.objective).gap(params, eta, wanted))
        return gap

    def _own_gap(self, params, wanted):
        """From the slopes at ``params``; if that is above ``wanted``, from those that a visit of
        each row would find."""
        objective, state, (n, d) = self.objective, self.state, self.objective.rows.shape
        gap = own_gap(objective, params)
        if gap is None or gap <= wanted:
            return gap
        slopes = np.empty(n)
        with np.errstate(all="ignore"):
            conjugate = objective.loss._run(
                _dual_point, self.loss, self.rows, self.y, self.s, self.offset, state.g, self.q,
                state.params[:d], state.params[d:], slopes,
            )  # fmt: skip
            mean = MeanSlopes(objective, slopes / n, conjugate / n, 1)
            return min(gap, mean.gap(objective.at(params))[0]) if mean.are_finite else gap


@kernel
def _add_sizes(data, indices, squares, largest):
    """Sums of squares by column, and largest entries."""
    for k in range(data.shape[0]):
        size, j = abs(float(data[k])), indices[k]
        squares[j] += size * size
        largest[j] = max(largest[j], size)


@kernel
def _visits(
    _, loss, rows, order, y, s, offset, g, q, rest, w, b, rates, rate, thresholds, total, every
):  # fmt: skip
    """One pass over the rows that do not rest, in runs of neighbours. Returns the number of visits,
    and of the points that were added to ``total``."""
    n, d = g.shape[0], w.shape[0]
    visits, counted = 0, 0
    for run in range(order.shape[0]):
        first = order[run] * _RUN
        for i in range(first, min(first + _RUN, n)):
            if rest[i] >= 16:
                rest[i] -= 16
                continue
            z = row_score(rows, i, w, thresholds)
            if b.shape[0] > 0:
                z += b[0]
            if offset.shape[0] > 0:
                z += offset[i]
            change = loss.implicit_slope(y[i], s[i], z, g[i], q[i]) - g[i]
            if change != 0.0:
                rest[i] = 0
                g[i] += change
                row_step(rows, i, -change, rates, w)
                if b.shape[0] > 0:
                    b[0] -= change * rate
            else:
                rest[i] = 17 * min(rest[i] + 1, _REST)
            visits += 1
            if visits % every == 0:
                counted += 1
                for j in range(d):
                    total[j] += shrunk(w[j], thresholds[j]) if thresholds.shape[0] > 0 else w[j]
                if b.shape[0] > 0:
                    total[d] += b[0]
    return visits, counted


@kernel
def _dual_point(_, loss, rows, y, s, offset, g, q, w, b, slopes):
    """Slopes that visits of all rows would find, to ``slopes``; returns the sum of conjugates."""
    conjugate = 0.0
    for i in range(g.shape[0]):
        z = row_score(rows, i, w, w[:0])
        if b.shape[0] > 0:
            z += b[0]
        if offset.shape[0] > 0:
            z += offset[i]
        slopes[i], part = loss.dual_point(y[i], s[i], z, g[i], q[i])
        conjugate += part
    return conjugate
