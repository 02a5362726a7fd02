"""What coordinate descents on the dual have in common: the state, when to look at the gap, and the
order in which rows are visited."""

from typing import NamedTuple

import numpy as np

from sklearn_margin.objective.row_kernels import (
    coefficient_layout,
    squared_norms,
    take_rows,
)
from sklearn_margin.solvers._dual_kernels import RUN
from sklearn_margin.solvers.base import Result

__all__ = ["Certificate", "Dual", "descend"]

_COMPACT, _FEW_ENTRIES = 0.5, 1_000_000  # share of rows, of more entries, that are then copied
_PATIENCE = 5  # passes more between looks at the gap, where passes tell about how large it is


def descend(dual, *, tol, max_iter, callback, shrinking) -> Result:
    """Epochs over ever fewer rows, and a certificate over all of them where it may pay.

    Parameters
    ----------
    dual : Dual
    tol, max_iter, callback
        As in ``Solver.solve``.
    shrinking : bool
        Whether epochs may leave rows out.

    Returns
    -------
    Result
    """
    rng = np.random.RandomState(0)
    everything = np.flatnonzero(dual.objective.s > 0)
    part = dual.part(everything)
    best, lower, work, checked, violation_then = None, -np.inf, 0.0, 0.0, np.inf
    shown, stop, short = 0, False, 1.0
    while True:
        work += len(part.active) / max(len(everything), 1)
        part, violation = dual.epoch(part, rng, shrinking)
        n_iter = min(int(np.ceil(work)), max_iter)
        if dual.expected is None:
            promising, next_look = violation <= 0.1 * violation_then, 1.25 * checked + 1
        else:
            value = dual.foreseen_value(part) if best is None else best.value
            promising, next_look = short * dual.expected <= 0.9 * tol * value, 1.5 * checked + 1
        next_look += _PATIENCE * dual.foresees
        settled = promising or len(part.active) == 0
        if not settled and work < min(next_look, max_iter):
            if callback is not None and dual.foresees and n_iter > 1.5 * shown:
                shown, stop = n_iter, bool(callback(n_iter, dual.shown(part)))
            if not stop:
                continue
        checked, violation_then = work, violation
        dual.store(part)
        goal = max_iter if callback is None else 0
        point, gap = _certificate(dual, tol, np.inf if best is None else best.value, n_iter >= goal)
        # Epochs see no gap of the rows that they leave out.
        short = max(1.0, gap / max(dual.expected or 0.0, 1e-300))
        lower = max(lower, point.lower)
        if best is None or point.value < best.value:
            best = point
        gap = max(best.value - lower, 0.0) + best.noise
        reached = gap / max(abs(best.value), 1e-300)
        converged = reached <= tol or best.value <= best.floor
        if callback is not None and n_iter > shown:  # once for each iteration, however many checks
            shown, stop = n_iter, bool(callback(n_iter, best.params))
        if stop or converged or n_iter >= max_iter:
            break
        part = dual.part(dual.unsettled(point, everything))
    return Result(best.params, best.value, n_iter, converged, gap, "relative gap", reached)


def _certificate(dual, tol, best, needed):
    """A certificate, and about its gap. Only one that is ``needed``, or good enough for ``tol`` if
    the value ``best`` is known, is worth coefficients without the rounding errors of many updates,
    which are a read of X. Others give no bound."""
    if dual.objective.fit_intercept:  # it computes them for balanced slopes in any case
        point = dual.certify()
        return point, point.value - point.lower
    point = dual.look()
    gap = point.value - point.lower
    if gap <= tol * min(point.value, best) or point.value <= point.floor:
        dual.refresh()
        return dual.certify(), gap
    # Not for the passes that follow: a callback changes no fit.
    return dual.certify(anew=True) if needed else point._replace(lower=-np.inf), gap


class Certificate(NamedTuple):
    """A primal point and what is known of it."""

    params: np.ndarray
    value: float  # F
    lower: float  # bound on min F
    by_row: np.ndarray  # distances to kinks, or by how much rows miss their optimum
    noise: float = 0.0  # rounding errors of value and bound
    floor: float = 0.0  # F less than this is zero to rounding error
    gap: float = np.inf  # bound on F − min F, if it is known better than by ``lower``


class State(NamedTuple):
    """What kernels are given of a dual problem besides rows; as in ``Dual``."""

    coef: np.ndarray
    multiplier: float | np.ndarray
    total: float | np.ndarray
    inverse_alpha: float
    inverse_rho: float


class Part:
    """Some of the rows, side by side in memory, and which of them are active."""

    def __init__(self, rows, index, slopes, arrays):
        self.rows, self.slopes, self.arrays = rows, slopes, arrays
        self.index = index  # in the whole
        self.active = np.arange(len(index))
        self.last = self.momentum = None  # what ``accelerate`` remembers
        self.error = 1.0  # of the coefficients of ``momentum``


class Dual:
    """State of a dual problem, in raw coordinates (centred, if X is dense).

    The slopes g_i of the loss by score make the coefficients w = −Σ g_i x_i / alpha. If there is an
    intercept Σ g_i = 0, by the method of multipliers: the multiplier is the intercept, and
    ½ (Σ g_i)²/ρ is added. A subclass sets ``arrays``, ``slopes`` and ``total``, then ``coef``: see
    ``refresh``.

    Attributes
    ----------
    slopes : ndarray
        By row, where ``at`` says.
    arrays : NamedTuple of ndarray
        What else there is by row, ``norm`` among it.
    coef : ndarray
        w, for several scores in the layout of ``coefficient_layout``.
    total, multiplier : float, or ndarray of shape (n_outputs,)
        Σ g_i, and the intercept where that is zero.
    inverse_rho : float
        1/ρ, the step of the multiplier.
    norm : ndarray of shape (n,)
        ‖x_i‖²/alpha + 1/ρ: the curvature along a slope.
    """

    #: About the duality gap, by the last visit of each active row; None if it is not known.
    expected: float | None = None
    #: Whether F is about known with it, without a look at the gap.
    foresees = False

    def __init__(self, objective, start):
        self.objective = objective
        rows = objective.rows
        self.n = rows.shape[0]
        self.rows, self.shift = rows.centred()
        self.norm = np.concatenate(rows.run(self._squared_norms, rows.ranges))
        self.norm /= objective.penalty.ridge
        # As if the intercept were a coefficient of a feature a tenth the size of a typical row:
        # the multiplier then follows fast, and the rows are hardly coupled.
        size = float(np.mean(self.norm))
        self.inverse_rho = (0.01 * size or 1.0) if objective.fit_intercept else 0.0
        self.norm += self.inverse_rho
        if self.least_norm > 0:
            np.maximum(self.norm, self.least_norm * (size or 1.0), out=self.norm)
        w, b = objective.to_coef(start)
        self.multiplier = b + w @ self.shift
        self.unbalance = np.inf  # Σ |Σ g_i| an epoch ago

    def _squared_norms(self, where):
        index = np.arange(where.start, where.stop)
        return squared_norms(self.rows, index, np.zeros(self.objective.rows.shape[1]))

    # --- what a subclass provides ---

    #: Least ``norm``, in terms of that of a typical row.
    least_norm = 0.0

    def at(self, index):
        """Where the rows ``index`` are in arrays by row."""

    def by_score(self, slopes):
        """Slopes of the scores, of shape (n,) or (n, n_outputs)."""

    def sum(self, slopes):
        """Their sum over rows."""

    def visit(self, part, order, keep, shrinking, seed) -> float:
        """Minimise over the slopes of the active rows of a part, ``RUN`` of them after the other,
        and set ``keep`` to which stay active; the largest violation, in units of scores."""

    def accelerate(self, part):
        """What may follow an epoch."""

    def balanced(self):
        """Slopes nearby that sum to zero, and whether they were found."""

    def certificate(self, slopes, coef, feasible) -> "Certificate":
        """A primal point from slopes, and what these prove of it."""

    def look(self) -> "Certificate":
        """About the ``certificate`` of what slopes and coefficients are, without an intercept."""
        return self.certify()

    def foreseen_value(self, part) -> float:
        """About F after a visit, if that is known with ``expected``; less than it otherwise."""
        return -np.inf

    def unsettled(self, point, index):
        """Of the rows ``index`` those to go on with from the certificate ``point``."""

    # --- what follows ---

    def refresh(self):
        """Compute coefficients and sum anew, without the rounding errors of many updates."""
        self.coef, self.total = self.coefficients(self.slopes), self.sum(self.slopes)

    def coefficients(self, slopes):
        """Raw coefficients w = −Xᵀg/alpha, as kernels take them."""
        rows = self.objective.rows
        g = self.by_score(slopes).astype(rows.dtype, copy=False)
        if not g.any():  # as at the start, most often
            return np.ascontiguousarray(
                coefficient_layout(self.rows, np.zeros((*g.shape[1:], rows.shape[1])))
            )
        projected, total = rows.backproject(g)
        raw = projected * rows.scale + np.multiply.outer(total, rows.shift - self.shift)
        coef = coefficient_layout(self.rows, raw) / -self.objective.penalty.ridge
        return np.ascontiguousarray(coef)

    @property
    def state(self) -> State:
        """What kernels are given."""
        inverse = 1.0 / self.objective.penalty.ridge
        return State(self.coef, self.multiplier, self.total, inverse, self.inverse_rho)

    @property
    def intercept(self):
        """The intercept (of centred rows) that slopes are now minimised at."""
        return self.multiplier - self.inverse_rho * self.total

    def part(self, index) -> Part:
        """The rows to work on, side by side."""
        whole = Part(self.rows, np.arange(self.n), self.slopes, self.arrays)
        if self._is_worth_copying(len(index), self.n):
            return self._taken(whole, index)
        whole.active = index
        return whole

    def _is_worth_copying(self, n_active, n):
        """Whether the active rows of ``n`` are few beside them, and those too many for a cache."""
        return n_active < _COMPACT * n and n * self.objective.rows.entries_per_row > _FEW_ENTRIES

    def _taken(self, part, where):
        """Some rows of a part."""
        at = self.at(where)
        arrays = type(part.arrays)(*(array[at] for array in part.arrays))
        return Part(take_rows(part.rows, where), part.index[where], part.slopes[at], arrays)

    def store(self, part) -> None:
        """Take over the slopes of a part."""
        self.slopes[self.at(part.index)] = part.slopes
        if self.objective.fit_intercept:
            self.refresh()
            part.last = part.momentum = None  # whose coefficients have other rounding errors

    def shown(self, part) -> np.ndarray:
        """The primal point of a part's slopes, which changes nothing for the passes that follow."""
        self.slopes[self.at(part.index)] = part.slopes
        return self.certify(anew=True).params

    def epoch(self, part, rng, shrinking) -> tuple[Part, float]:
        """One pass over the active rows of a part; the part to go on with, and ``visit``'s."""
        if self._is_worth_copying(len(part.active), len(part.index)):
            self.slopes[self.at(part.index)] = part.slopes
            part = self._taken(part, part.active)
        order = rng.permutation(-(-len(part.active) // RUN))
        keep = np.empty(len(part.active), np.bool_)
        violation = self.visit(part, order, keep, shrinking, np.uint32(rng.randint(1, 2**31)))
        self.multiplier = self.multiplier - self.inverse_rho * self.total
        self._grow_multiplier_step(part, violation)
        part.active = part.active[keep]
        self.accelerate(part)
        return part, violation

    def _grow_multiplier_step(self, part, violation):
        """Double the multiplier step 1/ρ when |Σg| fell by less than 10 % and is still more than
        1 % of Σ|g|, or moves the intercept by more than 100 times the worst violation: with a
        strong penalty rows are short, and so is the first step."""
        now, before = float(np.abs(self.total).sum()), self.unbalance
        self.unbalance = now
        share = now / max(np.abs(part.slopes).sum(), 1e-300)
        far = share > 0.01 or (share > 1e-9 and self.inverse_rho * now > 100.0 * violation)
        if self.inverse_rho > 0 and now > 0.9 * before and far:
            for norm in {id(a): a for a in (self.norm, part.arrays.norm)}.values():
                norm += self.inverse_rho
            self.inverse_rho *= 2.0

    def certify(self, anew=False):
        """A primal point from slopes made feasible, and its duality gap: see ``certificate``;
        from coefficients computed ``anew``, or, without an intercept, as they are."""
        slopes, feasible = self.feasible()
        anew = anew or self.objective.fit_intercept
        coef = self.coefficients(slopes) if anew else self.coef
        return self.certificate(slopes, coef, feasible)

    def feasible(self):
        """Slopes that sum to zero if there is an intercept, and whether they were found."""
        return self.balanced() if self.objective.fit_intercept else (self.slopes, True)
