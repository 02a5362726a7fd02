r"""A proven bound on F − min F, for losses that are sums of hinges.

F(x) = Σ_k h_k(e_k) + P(u), with e = A x − kink, x = [u, b], h_k(e) = max(l_k e, r_k e) and
P(u) = ½ Σ λ_j u_j² + Σ κ_j \|u_j\|. Any slopes s_k ∈ [l_k, r_k] give the lower bound

    F(x') ≥ Σ_k s_k e_k(x') + P(u')   for all x',

and with v = Aᵀs + λu + σ, for any \|σ_j\| ≤ κ_j, that is F(x) less

    Σ_k [h_k(e_k) − s_k e_k] + Σ_j [κ_j \|u_j\| − σ_j u_j] − v·(x' − x) − ½ Σ λ_j (u'_j − u_j)².

The sums are of terms that are not negative and vanish at the optimum. What is left of v, which
the optimum has not, is paid for in one of two ways.

*By the ridge*: a coordinate costs at most v_j²/(2λ_j). That is nothing for λ of ordinary size, and
impossible for an intercept or alpha = 0.

*By moving slopes* so that v_j vanishes on a set S of coordinates. Let a slope have room
ω_k = min(s_k − l_k, r_k − s_k), and B = diag(ω) A_S. The shortest change in units of room,
δ = −ω ∘ B(BᵀB)⁻¹v, has length ρ = √(vᵀ(BᵀB)⁻¹v) = ‖R⁻ᵀv‖ for B = QR. If ρ ≤ 1 no slope leaves
its bounds (they contain the Dikin ellipsoid), and the sums above grow by \|δ·e\| ≤ ρ ‖ω ∘ e‖. On
the central path ‖ω ∘ e‖ is of the size of the gap itself. Nothing need be known of how large the
optimum is.

*By a bound*: where v_j leads u_j to a bound, \|v_j\| times the way there is the price.

Rounding errors of v are bounded and paid for like v itself. Where they are larger than what the
slopes have room for, there is no proof, and the gap is that to zero.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import qr, solve_triangular

from sklearn_margin._linalg import rank_tolerance

__all__ = ["Bound", "HingeGap"]

_ROWS = 1000  # fewest rows whose slopes may move
_ROWS_PER_COLUMN = 20
_ENTRIES = 20_000_000  # most entries of those rows


class Bound(NamedTuple):
    """What is known of a point."""

    value: float  # F
    lower: float  # bound on min F
    noise: float = 0.0  # rounding errors of F
    floor: float = 0.0  # F less than this is zero to rounding error

    @property
    def gap(self):
        """Bound on F − min F."""
        return max(self.value - self.lower, 0.0) + self.noise


class HingeGap:
    """Bounds at points of one problem.

    Parameters
    ----------
    objective : LinearObjective
    rows : Rows
        Rows that are modelled.
    kink, low, high : ndarray of shape (n_hinges, n)
        Hinges of the loss, with their slopes weighted.
    rest : Rest, default=None
        What other rows contribute, if they are known to be linear.
    eps : float, default=None
        Rounding error of ``projected``; None is that of the dtype of X.
    bounds : list of tuple, default=()
        Bounds of coefficients as ``coefficient_hinges`` has them.
    """

    def __init__(self, objective, rows, kink, low, high, rest=None, eps=None, bounds=()):
        self.objective, self.rows = objective, rows
        self.kink, self.low, self.high = kink, low, high
        self.rest, self.bounds = rest, bounds
        self.mean, self.dense = 0.0, rows.dense  # the second of rows whose means are the first
        self.penalty = penalty = objective.penalty
        self.is_ridge = penalty.is_smooth and bool((penalty.l2 > 0).all())
        self.from_zero = rest is None and bool((low <= 0).all() and (high >= 0).all())
        size = np.abs(objective.rows.shift) / objective.rows.scale
        self.blowup = objective.join(1.0 + size, 1.0)  # of rounding errors, by offsets
        self.dtype_eps = float(np.finfo(rows.dtype).eps)
        # What is not this small beside the loss at zero is not called zero, whatever its errors.
        small = max(1e-10, 8 * self.dtype_eps)
        whole = float(np.sum(np.maximum(-low, high) * np.abs(kink)))
        # Beside a linear part F may be negative, and zero is a value like any other.
        self.size = small * whole if rest is None else -np.inf
        self.eps = self.dtype_eps if eps is None else eps
        self.root_n = np.sqrt(objective.rows.shape[0])  # norm of a column of X̃
        self.sides = [
            (
                float(np.sum(slope * kink)),
                self.root_n * float(np.linalg.norm(slope.sum(axis=0))),
                max(abs(float(slope.sum())), 1e-300),
            )
            for slope in (high, low)
        ]

    def at(self, x, e, below, above, projected, thorough=np.inf, features=None) -> Bound:
        """Value and gap.

        Parameters
        ----------
        x : ndarray of shape (n_params,)
            The point, which may be beyond bounds.
        e : ndarray of shape (n_hinges, n)
            Scores less kinks there.
        below, above : ndarray of shape (n_hinges, n)
            How far slopes are from their bounds, s − low and high − s.
        projected : ndarray of shape (n_params,)
            X̃ᵀs, and the gradient of the rest.
        thorough : float, default=inf
            If the ridge is not enough, and the sums are no more than this share of F, slopes are
            moved, which is more work.
        features : ndarray of shape (n, n_features), default=None
            X̃ in absolute value, if it is at hand: rounding errors are then known by row.
        """
        u, _ = self.objective.split(x)
        value = float(np.sum(np.where(e > 0, self.high, self.low) * e)) + self.penalty.value(u)
        if self.rest is not None:
            value += float(self.rest.gradient @ x) + self.rest.constant
        own, common = self._errors(x, e, features)
        state = _State(self, x, value, e, below, above, projected, features)
        gap, cost = state.by_ridge()
        if self.from_zero and self.penalty.has_l1:
            gap = min(gap, state.by_scale())
        worth = not gap <= 2 * state.sums and state.sums <= thorough * abs(value)
        dear = state.dear(cost) if worth else cost
        if worth and self.most_rows(dear) * len(dear) <= _ENTRIES:
            gap = min(gap, state.by_slopes(dear, False))
            if not (self.objective.penalty.is_zero or gap <= 2 * state.sums):
                gap = min(gap, state.by_slopes(dear, True))
        # What errors of the scores do to Σ s·e, the lower bound.
        gap += 2.0 * float(np.linalg.norm(state.slopes * own)) + common * abs(state.total)
        lower = value - gap
        if self.from_zero and not lower >= 0.0:
            lower = 0.0
        # F with coefficients beyond a bound at it is no more than with the hinges in its place.
        value += sum(float(np.sum(np.maximum(left * (u - at), right * (u - at))))
                     for at, left, right in self.bounds)  # fmt: skip
        return Bound(value, lower, *self._noise(e, own, common))

    def most_rows(self, dear):
        """How many rows have slopes that may move."""
        return min(max(_ROWS, _ROWS_PER_COLUMN * int(dear.sum())), self.rows.shape[0])

    def farthest_intercept(self, value):
        """Bound on |b| where F is at most ``value``.

        F ≥ Σ r_k (x_k·u + b − kink_k), and the same with l_k; the penalty bounds u.
        """
        if not self.from_zero:
            return np.inf
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            longest = np.minimum(np.sqrt(2 * value / self.penalty.l2), value / self.penalty.l1)
            u = float(np.where(np.isnan(longest), np.inf, longest).sum())
            return max((value + kinks + size * u) / total for kinks, size, total in self.sides)

    def _errors(self, x, e, features):
        """Rounding errors of scores in raw coordinates: of each, with any sign, and of all alike,
        from the intercept and from coefficients of features far from zero."""
        unit = self.dtype_eps
        u = np.abs(self.objective.split(x)[0])
        own = float(u.sum()) if features is None else features @ u
        own = unit * (np.abs(self.kink) + np.abs(e) + own)
        return own, unit * float(self.blowup @ np.abs(x) - u.sum())

    def _noise(self, e, own, common):
        """Rounding errors of F, and of a value that is zero but for those.

        An error that all scores have in common meets the sum of the slopes of F, which nearly
        vanishes, and rows at kinks.
        """
        slope = np.where(e > 0, self.high, self.low)
        near = np.abs(e) <= own + common
        steep = np.where(near, np.maximum(-self.low, self.high), np.abs(slope))
        tilt = abs(float(np.sum(slope, where=~near))) + float(np.sum(steep, where=near))
        noise = 2.0 * float(np.linalg.norm(steep * own)) + common * tilt
        # Where errors are not small beside the data themselves, nothing is zero.
        worst = 2.0 * float(np.sum(steep * (own + common))) + noise
        return noise, worst if worst <= self.size else -np.inf


class _State:
    """Slopes at a point, and what is left of v."""

    def __init__(self, problem, x, value, e, below, above, projected, features):
        self.problem, self.x, self.value, self.projected = problem, x, value, projected
        join, penalty = problem.objective.join, problem.penalty
        self.l2, self.l1 = join(penalty.l2, 0.0), 0.0
        room = np.minimum(below, above)
        self.room, self.pull = room.sum(axis=0), (room * np.abs(e)).sum(axis=0)
        self.slopes = problem.low + below
        by_row = np.abs(self.slopes.sum(axis=0))
        if features is None:
            norm = float(np.linalg.norm(by_row))
            if problem.rest is not None:
                norm = float(np.hypot(norm, problem.rest.norm))
            size = problem.root_n * norm * problem.blowup
        else:
            size = join(features.T @ by_row, by_row.sum())
        pull = self.l2 * x
        self.error = 4.0 * problem.eps * (size + np.abs(pull))
        self.v = projected + pull
        self.held = self.way = self.kinks = 0.0
        if penalty.has_l1:
            self.l1 = join(penalty.l1, 0.0)
        if penalty.has_bounds:
            self._let_bounds_hold(join(penalty.lower, -np.inf), join(penalty.upper, np.inf))
        self.hinges = float(np.sum(np.where(e > 0, above, below) * np.abs(e)))
        if penalty.has_l1:
            self.kinks = self.l1 * np.abs(x) + np.clip(self.v, -self.l1, self.l1) * x
            self.kinks += np.where(self.l1 > 0, self.error * np.abs(x), 0.0)
        if penalty.has_bounds:
            self.kinks += self.held * self.way
        self.sums = self.hinges + float(np.sum(self.kinks))
        self.work = float(np.sum(self.slopes * e))
        self.total = float(self.slopes.sum())

    def _let_bounds_hold(self, lower, upper):
        """Take from v what leads to a bound, where anything else would cost more."""
        x, v, l1 = self.x, self.v, self.l1
        over = np.sign(v) * np.maximum(np.abs(v) - l1, 0.0)
        rest = np.where(x != 0, v + l1 * np.sign(x), over)
        way = np.abs(x - np.where(rest > 0, lower, upper))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            ridge = np.where(over != 0, 0.5 * over * (over / self.l2), 0.0)
            cheap = np.abs(rest) * way < l1 * np.abs(x) + np.clip(v, -l1, l1) * x + ridge
        cheap &= (rest != 0) & np.isfinite(way)
        self.held, self.way = np.where(cheap, np.abs(rest), 0.0), np.where(cheap, way, 0.0)
        self.v = np.where(cheap, v - rest, v)

    def _ridge(self, slack):
        """What each coordinate costs if v is off by another ``slack``."""
        off, has_bounds = self.error + slack, self.problem.penalty.has_bounds
        rest = np.abs(self.v) + off
        if self.problem.penalty.has_l1:
            rest = np.maximum(rest - self.l1, 0.0)
        if has_bounds:
            bound = (self.held > 0) & (self.held >= 2 * off)  # which holds the rest, too
            rest = np.where(bound, 0.0, rest)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            cost = rest * (0.5 * rest / self.l2)
        if not self.problem.is_ridge:
            cost = np.where(rest > 0, cost, 0.0)
        if has_bounds:
            cost += np.where(bound, off * self.way, 0.0)
        return cost if self.problem.is_ridge else np.where(np.isnan(cost), np.inf, cost)

    def by_ridge(self):
        """Gap if the ridge pays for everything but the intercept, whose sum of slopes all rows
        have a share in; and what each coordinate costs."""
        price, slack = self._balance()
        cost = self._ridge(slack)
        if self.problem.penalty.has_l1:
            price += slack * float(np.sum(np.where(self.l1 > 0, np.abs(self.x), 0.0)))
        if self.problem.objective.fit_intercept:
            cost[-1] = 0.0
        total = float(cost.sum())
        return self.sums + price + (np.inf if np.isnan(total) else total), cost

    def dear(self, cost):
        """The coordinates that make ``by_ridge`` dear."""
        dear = cost > 1e-3 * self.sums / len(cost)
        if self.problem.objective.fit_intercept:
            dear[-1] = True
        return dear

    def _balance(self):
        """What a sum of slopes that is not zero costs, and by how much its mending moves another
        v_j at most: all rows have a share, or the distance to the best intercept is bounded."""
        if not self.problem.objective.fit_intercept:
            return 0.0, 0.0
        total, room = abs(self.v[-1]) + self.error[-1], float(self.room.sum())
        far = abs(self.x[-1]) + self.problem.farthest_intercept(self.value)
        far = total * far if total > 0 else 0.0
        if not total < room:
            return far, 0.0
        share = total / room
        price = share * float(self.pull.sum())
        if far <= price:
            return far, 0.0
        return price, share * float(np.linalg.norm(self.room)) * self.problem.root_n

    def by_scale(self):
        """Gap if all slopes shrink until the L1 penalty alone pays, |v_j| ≤ κ_j."""
        price, slack = self._balance()
        size = np.abs(self.x)
        longest = np.abs(self.projected) + self.error + slack
        lasso = self.l1 > 0
        inside = np.delete(lasso, -1) if self.problem.objective.fit_intercept else lasso
        if not inside.all():
            return np.inf
        # Slopes that say nothing of a feature need not shrink for it.
        factor = float(np.min(self.l1[lasso] / np.maximum(longest, self.l1)[lasso], initial=1.0))
        terms = self.l1 * size + factor * self.projected * self.x + 0.5 * self.l2 * size**2
        terms += (self.error + slack) * size
        shrink = (1.0 - factor) * self.work
        return self.hinges + shrink + price + float(np.maximum(terms, 0.0)[lasso].sum())

    def by_slopes(self, dear, drop):
        """Gap if slopes move so that v vanishes in the coordinates ``dear``, or, with ``drop``, if
        the penalty of those is taken as nothing, which costs its value."""
        for _ in range(3):
            gap, more = self._moved(dear, drop)
            if gap < np.inf or not (more & ~dear).any():
                return gap
            dear = dear | more
        return np.inf

    def _moved(self, dear, drop):
        index, A = self._roomy(dear)
        columns = np.flatnonzero(dear)
        kinks = 0.0 if drop else self.l1
        lasso = np.where(dear, kinks, 0.0)[columns]
        chosen = _independent(A[:, columns], lasso > 0)
        ignored = columns[~chosen]
        if len(ignored) and not drop:
            ridge = self.l2[ignored] > 0
            ignored, chosen = ignored[~ridge], chosen.copy()
        # What a bound holds was taken from v, which then is no sum over rows any more.
        if len(ignored) and np.any(np.broadcast_to(self.held, len(self.x))[columns]):
            return np.inf, dear
        if not self._vanish(A, columns[chosen], ignored, index):
            return np.inf, dear
        moved = columns[chosen]
        v = self.projected if drop else self.v - np.clip(self.v, -self.l1, self.l1)
        free = np.zeros(len(v)) if drop else self.l1 - np.minimum(np.abs(self.v), self.l1)
        weight = self.room[index]
        B = np.concatenate([weight[:, None] * A[:, moved], np.diag(free[moved])[free[moved] > 0]])
        rho = _length(B, v[moved], self.error[moved])
        if not rho <= 1.0:
            return np.inf, dear
        pull = np.append(self.pull[index], free[moved] * np.abs(self.x[moved]))
        slack = rho * np.linalg.norm(weight[:, None] * A, axis=0)
        cost = self._ridge(slack)
        cost[moved] = cost[ignored] = 0.0
        own = np.broadcast_to(self.kinks, len(self.x))
        kinks = own + np.where(self.l1 > 0, slack * np.abs(self.x), 0.0)
        kinks[moved] = own[moved]
        if drop:
            cost[columns] = 0.0
            penalty = self.l1 * np.abs(self.x) + 0.5 * self.l2 * self.x**2
            kinks[columns] = penalty[columns]
        gap = self.hinges + float(kinks.sum() + cost.sum()) + rho * float(np.linalg.norm(pull))
        return gap, dear | ~np.isfinite(cost)

    def _roomy(self, dear):
        """The rows whose slopes have most room, by room, and their standardised features."""
        most = self.problem.most_rows(dear)
        index = np.flatnonzero(self.room > 0)
        if len(index) > most:
            largest = np.argpartition(self.room[index], len(index) - most)[-most:]
            index = np.sort(index[largest])
        index = index[np.argsort(-self.room[index], kind="stable")]
        A = self.problem.dense(index).astype(np.float64, copy=False)
        if self.problem.objective.fit_intercept:
            A = np.concatenate([A, np.ones((len(index), 1))], axis=1)
        return index, A

    def _vanish(self, A, chosen, ignored, index):
        """Whether columns that depend on the ``chosen`` ones among rows with room do so in all."""
        live = np.count_nonzero((self.problem.high > self.problem.low).any(axis=0))
        if len(ignored) == 0 or len(index) == live:
            return True
        if len(ignored) > 8:
            return False
        coefs = np.linalg.lstsq(A[:, chosen], A[:, ignored], rcond=None)[0]
        for column, coef in zip(ignored, coefs.T, strict=True):
            direction = np.zeros(len(self.x))
            direction[column], direction[chosen] = 1.0, -coef
            u, b = self.problem.objective.split(direction)
            z = self.problem.rows.scores(u, b - float(np.sum(self.problem.mean * u)))
            size = float(self.problem.blowup @ np.abs(direction))
            if np.abs(z).max() > 100 * self.problem.dtype_eps * size:
                return False
        return True


def _independent(A, bounded):
    """Which columns to keep so that the others are in their span to rounding error; those that a
    penalty bounds are kept."""
    keep = bounded.copy()
    norms = np.linalg.norm(A, axis=0)
    rest = np.flatnonzero(~bounded & (norms > 0))
    if len(rest) and len(A):
        R, order = qr(A[:, rest] / norms[rest], mode="r", pivoting=True, check_finite=False)
        diagonal = np.zeros(len(rest))
        size = min(R.shape)
        diagonal[:size] = np.abs(R.diagonal()[:size])
        keep[rest[order[diagonal > rank_tolerance(len(rest))]]] = True
    return keep


def _length(B, v, error):
    """‖R⁻ᵀv‖ for B = QR, at most, where v is known up to ``error``."""
    if B.shape[1] == 0:
        return 0.0
    norms = np.linalg.norm(B, axis=0)
    if len(B) < B.shape[1] or not (norms > 0).all():
        return np.inf
    R, order = qr(B / norms, mode="r", pivoting=True, check_finite=False)
    R = R[: len(order)]
    if not np.abs(R.diagonal()).min() > np.finfo(np.float64).eps:
        return np.inf
    with np.errstate(over="ignore"):
        inverse = solve_triangular(R, np.eye(len(R)), check_finite=False).T
        v, error = (v / norms)[order], (error / norms)[order]
        return float(np.linalg.norm(inverse @ v) + np.linalg.norm(np.abs(inverse) @ error))
