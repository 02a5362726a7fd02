"""The contract of a solver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator

from sklearn_margin._html import DrawnByScikitLearn

__all__ = ["InTurn", "Result", "Solver"]

# Work of a pass, in entries of X, up to which a fit is polished to high accuracy whatever ``tol``
# says: the last steps of a second-order method cost next to nothing there.
SMALL = 1_000_000

# Columns of a Hessian that is formed product by product, in one read of rows that are elsewhere.
FEW_COLUMNS = 128


class Result(NamedTuple):
    """What a solver returns.

    Parameters
    ----------
    params : ndarray of shape (n_params,)
        The best point found, in the coordinates of the objective.
    value : float
        Objective F there.
    n_iter : int
        Iterations.
    converged : bool
        Whether ``reached`` is good enough for ``tol``.
    gap : float or None, default=None
        Bound on F − min F, where one is known.
    measure : str, default="relative gradient norm"
        What ``tol`` was compared with.
    reached : float, default=nan
        Value of that measure.
    solver : str or None, default=None
        Name of the solver that found ``params``, if another one than asked.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_margin.losses import Squared
    >>> from sklearn_margin.objective import PointwiseObjective, Rows
    >>> from sklearn_margin.solvers import Newton, Result
    >>> rows, y = Rows(np.eye(4), center=True), np.arange(4.0)
    >>> objective = PointwiseObjective(Squared(), rows, y, np.full(4, 0.25))
    >>> result = Newton().solve(objective, objective.start(), tol=1e-4, max_iter=100)
    >>> isinstance(result, Result), result.converged
    (True, True)
    """

    params: np.ndarray
    value: float
    n_iter: int
    converged: bool
    gap: float | None = None
    measure: str = "relative gradient norm"
    reached: float = np.nan
    solver: str | None = None


class Iterate(NamedTuple):
    """A point and what is known of it."""

    params: np.ndarray
    value: float
    gap: float | None
    bound: float  # of F − min F: the gap, or an estimate
    converged: bool = False

    def result(self, n_iter, converged, estimate) -> Result:
        """The result of a solver that ends here; ``estimate`` names what stands in for a gap."""
        return Result(
            self.params,
            self.value,
            n_iter,
            bool(converged),
            gap=self.gap,
            measure=estimate if self.gap is None else "relative gap",
            reached=self.bound / max(self.value, 1e-300),
        )


class Solver(DrawnByScikitLearn, BaseEstimator):
    """A way to minimise an objective; its parameters can be searched like an estimator's.

    The author writes ``solve``, and ``obstacle``, which says why an objective is beyond it; and
    ``rank`` if ``solver="auto"`` is to take it.

    Examples
    --------
    >>> from sklearn_margin import LinearRegressor
    >>> from sklearn_margin.solvers import Result, Solver
    >>> class Descent(Solver):  # steps of one length against the gradient
    ...     name, exact = "descent", False
    ...     def obstacle(self, objective):
    ...         return None if objective.is_smooth else "the objective has kinks"
    ...     def solve(self, objective, start, *, tol, max_iter, callback=None, random_state=None,
    ...               validation=None):
    ...         x = start
    ...         for n_iter in range(1, max_iter + 1):
    ...             value, gradient = objective.value_gradient(x)
    ...             if abs(gradient).max() <= tol:
    ...                 break
    ...             x = x - 0.1 * gradient
    ...         return Result(x, value, n_iter, converged=n_iter < max_iter)
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [1.0, 3.0, 5.0, 7.0]
    >>> LinearRegressor(solver=Descent(), alpha=0).fit(X, y).coef_.round(3)
    array([2.])
    """

    #: What the parameter ``solver`` of an estimator, and ``solver_`` after a fit, call it.
    name = ""
    #: Whether a result can be wrong by little only if it says so: not so for first-order methods.
    exact = True
    #: Whether it needs scores that are linear in the parameters, as those of embeddings are not.
    linear = True
    #: Whether it keeps coefficients within the bounds of a penalty.
    keeps_bounds = False

    def obstacle(self, objective: Any) -> str | None:
        """Why this solver cannot minimise ``objective``, or None if it can."""
        raise NotImplementedError

    def rank(self, objective: Any, tol: float) -> float | None:
        """Place among those that can minimise ``objective`` to ``tol``, for ``solver="auto"``.

        The lowest is tried first, then the next if it fails; None is never tried. The exact solvers
        of the package rank themselves 0 to 3 by how fast they are in comparison, by measurement
        (see the user guide), rough ones, and those of embeddings, 9 to 12.
        """
        return None

    def check_params(self) -> None:
        """Raise ``ValueError`` or ``TypeError`` naming the parameter that is wrong."""

    def solve(
        self,
        objective: Any,
        start: np.ndarray,
        *,
        tol: float,
        max_iter: int,
        callback: Callable | None = None,
        random_state: np.random.RandomState | None = None,
        validation: Any = None,
    ) -> Result:
        """Minimise ``objective``.

        Parameters
        ----------
        objective : LinearObjective
        start : ndarray of shape (n_params,)
            Where to start.
        tol : float
            Accuracy; see each solver for the quantity it is compared with.
        max_iter : int
            Most iterations (epochs for stochastic solvers).
        callback : callable, default=None
            ``callback(n_iter, params)`` after each iteration; True stops.
        random_state : RandomState, default=None
            Randomness of stochastic solvers.
        validation : Objective, default=None
            Of a validation set, for early stopping; solvers without it do not look at it.

        Returns
        -------
        Result
        """
        raise NotImplementedError


class InTurn(Solver):
    """What ``solver="auto"`` stands for: several solvers, the next one where one fails.

    A solver fails if it ends without convergence although it had iterations left and no callback
    stopped it. The next starts from the best point so far, which may be the one that the first
    started from. Each lower bound of the minimum holds for all of them: the gap is that of the best
    point to the best bound.

    Parameters
    ----------
    solvers : list of Solver
        At least one; each can minimise the objective.

    Examples
    --------
    >>> from sklearn_margin import LinearClassifier
    >>> from sklearn_margin.solvers import LBFGS, InTurn, Newton
    >>> X, y = [[-2.0], [-1.0], [1.0], [2.0]], [0, 0, 1, 1]
    >>> solver = InTurn([Newton(), LBFGS()])
    >>> LinearClassifier("logistic", solver=solver, alpha=0.1).fit(X, y).solver_
    'newton'
    """

    def __init__(self, solvers: list[Solver]) -> None:
        self.solvers = solvers

    @property
    def name(self):
        """Name of the solver that is tried first."""
        return self.solvers[0].name

    def obstacle(self, objective: Any) -> str | None:
        return self.solvers[0].obstacle(objective)

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
        best: Any = None
        first, at_first = start, None  # where the first starts, and F there
        lower, n_iter, stopped = -np.inf, 0, False

        def after(inner, params):
            nonlocal stopped
            stopped = bool(callback(before + inner, params))
            return stopped

        for solver in self.solvers:
            before = n_iter
            result = solver.solve(
                objective, start, tol=tol, max_iter=max_iter - n_iter,
                callback=None if callback is None else after, random_state=random_state,
                validation=validation,
            )  # fmt: skip
            result = result._replace(solver=result.solver or solver.name)
            n_iter += result.n_iter
            if result.gap is not None:
                lower = max(lower, result.value - result.gap)
            if best is None or result.converged or result.value < _or_inf(best.value):
                best = result
            if result.converged or stopped or n_iter >= max_iter or solver is self.solvers[-1]:
                break
            if at_first is None:
                at_first = _or_inf(objective.value(objective.feasible(first)))
            if min(_or_inf(best.value), at_first) == np.inf:
                break  # numbers are beyond the arithmetic, whatever the solver
            # A gap larger than F is rounding errors: such a point is nowhere to go on from.
            sound = best.gap is None or best.gap == np.inf or best.gap <= 1.01 * abs(best.value)
            start = best.params if sound and best.value <= at_first else first
        if best.gap is not None:
            gap = min(best.gap, max(best.value - lower, 0.0))
            reached = gap / max(abs(best.value), 1e-300)
            best = best._replace(
                gap=gap, reached=reached, converged=best.converged or reached <= tol
            )
        return best._replace(n_iter=n_iter)


def _or_inf(value):
    """A value, or infinity for one that is not a number."""
    return np.inf if np.isnan(value) else value


# Sizes at which one solver becomes faster than another, by measurement: see the user guide.
_FEW_ENTRIES = 200_000  # rows × parameters that an interior point solves in no time
_MANY_ROWS = 20  # rows per parameter from which a smoothed loss has enough rows near its kinks
_MANY_FEATURES = 1_000  # of sparse rows, from which coordinate descent beats Gram matrices
_SMOOTHING_TOL = 1e-6  # the finest tolerance smoothing is practical for


def is_tiny(objective) -> bool:
    """Whether an interior point solves the objective in no time; one that takes pairs does, since
    it takes few."""
    small = objective.rows.shape[0] * objective.n_params <= _FEW_ENTRIES
    return small or objective.pairs is not None


def is_wide(objective) -> bool:
    """Whether Gram matrices cost more than passes over single rows."""
    n, d = objective.rows.shape
    return d >= n or (objective.rows.is_sparse and d > _MANY_FEATURES)


def has_many_rows(objective) -> bool:
    """Whether a smoothed loss has enough rows near its kinks."""
    return objective.rows.shape[0] >= _MANY_ROWS * objective.n_params


def suits_smoothing(objective, tol) -> bool:
    """Whether smoothing is the fastest exact method for a loss with kinks."""
    if objective.n_outputs > 1:
        # It ends with exact slopes if the problem is fairly small, and minds no scales.
        return is_small(objective) or not (is_wide(objective) or tol < _SMOOTHING_TOL)
    large = not (is_tiny(objective) or is_wide(objective))
    return large and has_many_rows(objective) and tol >= _SMOOTHING_TOL


def is_small(objective) -> bool:
    """Whether extra accuracy is almost free."""
    return objective.pass_work <= SMALL


def forms_gram(objective, gram_max) -> bool:
    """Whether to form the Hessian of F."""
    few = objective.n_params <= gram_max
    return few and (objective.forms_hessian or forming_is_cheap(objective))


def forming_is_cheap(objective) -> bool:
    """Whether the Hessian, formed column by column, costs next to nothing."""
    return objective.pass_work * objective.n_params <= SMALL


def enough(tol, value, floor) -> float:
    """The gap, or estimate of it, at which a fit of value F is good enough.

    ``tol`` of F; but a minimum of zero has no relative accuracy. Where F is no more than the
    rounding error of the loss at zero, ``floor``, a thousandth of that, will do.
    """
    relative = tol * value if value < np.inf else 0.0
    return max(relative, floor if value <= 1e3 * floor else 0.0, 1e-300)


# Share of a goal that the excess of slopes may take, before what else they miss.
MOST_EXCESS = 0.6


def expected_excess(decrement, value) -> float:
    """About what the slopes of the quadratic model lack as a certificate after a Newton step, where
    F has this ``value``: terms of the fourth order, of which the factor was found by experiment."""
    return 3.0 * decrement * (decrement / max(value, 1e-300))


def rounding_floor(objective) -> float:
    """``floor`` of ``enough``: a thousandth of the rounding error of the loss at zero scores or, if
    that is less, at the intercept to start from, since targets may be far from zero.

    Targets that are all the same leave no loss there, but residuals of the size of their rounding
    errors, whose squares are eps times as large as the rounding error of the loss at zero.
    """
    eps = float(np.finfo(objective.rows.dtype).eps)
    least = objective.loss_at(0.0)
    if objective.fit_intercept and objective.n_outputs == 1:
        _, middle = objective.split(objective.start())
        if middle != 0:
            least = min(least, max(objective.loss_at(middle), 30 * eps * least))
    return 1e-3 * eps * least


def is_zero(objective, value, gap) -> bool:
    """Whether F and its gap are no more than a rounding error of the loss at scores of zero: such a
    minimum has no relative accuracy."""
    eps = float(np.finfo(objective.rows.dtype).eps)
    return max(value, gap) <= eps * objective.loss_at(0.0)


def certified(objective, best, goal) -> Iterate:
    """``best``, converged or not, with a more careful certificate if that at hand is no use."""
    if best.gap == np.inf and objective.fit_intercept and objective.n_outputs == 1:
        params = objective.with_best_intercept(best.params)
        value, gap = value_gap(objective, params)
        rounding = 30 * float(np.finfo(objective.rows.dtype).eps) * abs(best.value)
        if value <= best.value + rounding and gap < np.inf:
            best = Iterate(params, value, gap, gap)
    if best.gap is not None and best.gap > goal and is_small(objective):
        gap = float(min(best.gap, objective.refined_gap(best.params)))
        best = best._replace(gap=gap, bound=gap)
    return best._replace(converged=bool(best.bound <= goal))


def value_gap(objective, params):
    """F at a point, and the duality gap; None where there is none."""
    if not objective.loss.convex:
        return float(objective.value(params)), None
    point = objective.at(params)
    return point.value, point.gap()


def conjugate_gradients(
    product, precondition, residual, value, *, least, most, noise=0.0, until=None
):
    """Solve H p = ``residual``, inexactly far from the optimum.

    The residual is reduced by the square root of its relative norm (Dembo, Eisenstat &
    Steihaug 1982), by at least a tenth and at most ``least``.

    Parameters
    ----------
    product, precondition : callable
        Product with H, and with an approximation of its inverse.
    residual : ndarray of shape (n_params,)
        The right-hand side.
    value : float
        What its norm is relative to.
    least : float
        The smallest factor.
    most : int
        The most products.
    noise : float, default=0.0
        Norm of what may be rounding error of the residual: no smaller one is aimed for, since along
        directions of no curvature that would make steps as long as one likes.
    until : callable, default=None
        ``until(p, r, decrement)`` says whether p, which leaves the residual r and would lower F by
        half of ``decrement``, will do once the residual is reduced enough.

    Returns
    -------
    p : ndarray of shape (n_params,)
    n_products : int
    """
    p, r = np.zeros_like(residual), residual.copy()
    d = precondition(r)
    rho = first = float(r @ d)
    forcing = max(min(0.1, np.sqrt(rho / max(value, 1e-300))), least)
    n_products, eps, largest, decrement = 0, np.finfo(np.float64).eps, 0.0, 0.0
    while n_products < most:
        n_products += 1
        image = product(d)
        curvature, square = float(d @ image), float(d @ d)
        largest = max(largest, curvature / square)
        # Where curvature is rounding error of that elsewhere, a step would drown all before it.
        if curvature <= eps * max(largest * square, 1e-14 * rho):
            return (p if p.any() else d), n_products
        step = rho / curvature
        p += step * d
        decrement += step * rho
        r = r - step * image  # not in place: without a preconditioner d may be r itself
        y = precondition(r)
        previous, rho = rho, float(r @ y)
        if float(r @ r) <= noise**2:
            break
        if rho <= forcing**2 * first and (until is None or until(p, r, decrement)):
            break
        d = y + (rho / previous) * d
    return p, n_products


def preconditioner(objective) -> np.ndarray:
    """Diagonal scaling of parameters for first-order methods: columns have unit spread, so
    what is left to even out is the penalty."""
    return 1.0 / np.sqrt(1.0 + objective.penalty.padded(objective.n_params).l2)
