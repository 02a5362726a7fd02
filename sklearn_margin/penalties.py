"""Penalties of coefficients: parameter objects, and what they are in the coordinates of a solver.

A penalty is a parameter object with ``is_zero`` and ``in_coordinates(scale)``. The latter says what
it is in the coordinates u = w · scale of a solver: a ``SeparablePenalty``, Σ_j ½ l2_j u_j² +
l1_j \\|u_j\\| with u_j from lower_j to upper_j. So a new penalty is one class that names four
numbers per feature; what solvers and duality gaps make of them stands here.

A coefficient without a penalty, among others that have one, is like an intercept: its entry of
X̃ᵀg must vanish for slopes g to be a dual point.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from sklearn_margin._typing import Array

__all__ = ["ElasticNet", "SeparablePenalty"]


@dataclass(frozen=True, eq=False)
class ElasticNet:
    r"""alpha·Σ_j f_j·((1 − l1_ratio)/2·w_j² + l1_ratio·\|w_j\|), with w_j from low_j to high_j.

    Parameters
    ----------
    alpha : float, default=0.0
        Strength, not negative.
    l1_ratio : float, default=0.0
        Share of the L1 part, from 0 (ridge) to 1 (lasso).
    factors : ndarray of shape (n_features,), default=None
        f, not negative; where it is infinite w_j is 0. None is ones.
    bounds : tuple of two ndarray of shape (n_features,), default=None
        low and high; None where there are none.
    """

    alpha: float = 0.0
    l1_ratio: float = 0.0
    factors: Array | None = None
    bounds: tuple[Array, Array] | None = None

    @property
    def is_zero(self) -> bool:
        """Whether nothing is penalised."""
        if self.factors is None:
            return not self.alpha > 0
        return not (self.alpha > 0 and (self.factors[np.isfinite(self.factors)] > 0).any())

    @property
    def ridge(self) -> float | None:
        """λ where the penalty is λ/2·‖w‖² with λ > 0, and w any; None where it is not."""
        plain = self.factors is None and self.bounds is None
        return self.alpha if plain and self.alpha > 0 and self.l1_ratio == 0 else None

    def in_coordinates(self, scale: Array) -> SeparablePenalty:
        """The penalty of u = w · scale, for ``scale`` of shape (d,), or of as many copies of the
        features as there are scores."""
        limit = np.finfo(np.float64).max
        strength, lower, upper = self._by_feature(scale)
        with np.errstate(over="ignore", under="ignore"):
            l2 = strength * (1.0 - self.l1_ratio) / scale / scale  # a square may vanish
            l1 = strength * self.l1_ratio / scale
        has_l1 = self.alpha * self.l1_ratio > 0
        return SeparablePenalty(
            np.minimum(l2, limit), np.minimum(l1, limit) if has_l1 else None, lower, upper,
            penalty=self, loose=None if np.ndim(strength) == 0 else strength == 0,
        )  # fmt: skip

    def _by_feature(self, scale):
        """Strength, and lower and upper bounds of u; None where there are none."""
        if self.factors is None and self.bounds is None:
            return self.alpha, None, None
        n_outputs = len(scale) // len(self.bounds[0] if self.factors is None else self.factors)
        strength, lower, upper, left_out = self.alpha, None, None, None
        if self.factors is not None:
            factors = np.tile(self.factors, n_outputs)
            left_out = np.isinf(factors)
            strength = self.alpha * np.where(left_out, 1.0, factors)
        if self.bounds is not None:
            lower, upper = (np.tile(bound, n_outputs) * scale for bound in self.bounds)
        if left_out is not None and left_out.any():
            lower, upper = (np.full(len(scale), v) if b is None else b
                            for v, b in ((-np.inf, lower), (np.inf, upper)))  # fmt: skip
            lower, upper = np.where(left_out, 0.0, lower), np.where(left_out, 0.0, upper)
        return strength, lower, upper


class SeparablePenalty:
    r"""Σ_j P_j(u_j) with P_j(u) = ½ l2_j u² + l1_j \|u\| for u from lower_j to upper_j.

    Parameters
    ----------
    l2 : ndarray of shape (d,)
        Coefficients of ½u².
    l1 : ndarray of shape (d,), default=None
        Coefficients of \|u\|; None where there are none.
    lower, upper : ndarray of shape (d,), default=None
        Bounds; None where there are none.
    penalty : ElasticNet or its like, default=None
        What this is the form of.
    loose : ndarray of bool of shape (d,), default=None
        Coefficients that are not penalised although others are; None is none.

    Attributes
    ----------
    has_l1, has_bounds, is_smooth : bool
        Whether there is an L1 part, or a bound; whether there is neither.
    loose : ndarray of int or None
        Numbers of coefficients that are not penalised; None where all are, or none is.
    """

    def __init__(
        self,
        l2: Array,
        l1: Array | None = None,
        lower: Array | None = None,
        upper: Array | None = None,
        penalty: Any = None,
        loose: Array | None = None,
    ) -> None:
        self.has_l1 = l1 is not None
        self.has_bounds = lower is not None or upper is not None
        self.is_smooth = not (self.has_l1 or self.has_bounds)
        self.l2, self.l1 = l2, np.zeros(len(l2)) if l1 is None else l1
        self.lower = np.full(len(l2), -np.inf) if lower is None else lower
        self.upper = np.full(len(l2), np.inf) if upper is None else upper
        self.penalty = penalty
        self.loose: Array | None = None
        if loose is not None and loose.any() and not loose.all():
            self.loose = np.flatnonzero(loose)

    # --- what it is ---

    @property
    def is_zero(self) -> bool:
        """Whether nothing is penalised."""
        return self.penalty.is_zero

    @property
    def strength(self) -> float:
        """alpha, the strength by feature, about."""
        return self.penalty.alpha

    @property
    def ridge(self) -> float | None:
        """λ where the penalty is λ/2·‖w‖² of raw coefficients, λ > 0; None where it is not."""
        return self.penalty.ridge

    @property
    def why_not_smooth(self) -> str | None:
        """Why the penalty is not differentiable; None if it is."""
        if self.has_l1:
            return "the L1 penalty (l1_ratio > 0) is not differentiable"
        return self.why_not_free

    @property
    def why_not_free(self) -> str | None:
        """Why coefficients may not be any number; None if they may."""
        if not self.has_bounds:
            return None
        if not isinstance(self.penalty, ElasticNet):
            return f"{type(self.penalty).__name__} has bounds"
        name = "penalty_factors, where infinite," if self.penalty.bounds is None else "coef_bounds"
        return f"{name} must be kept exactly"

    def in_coordinates(self, scale: Array) -> SeparablePenalty:
        """The same penalty in other coordinates u = w · scale."""
        return self.penalty.in_coordinates(scale)

    def padded(self, size: int) -> SeparablePenalty:
        """The same penalty of ``size`` parameters, of which those behind u, the intercepts, are not
        penalised."""
        more = np.zeros(size - len(self.l2))
        l1 = np.r_[self.l1, more] if self.has_l1 else None
        lower, upper = np.r_[self.lower, more - np.inf], np.r_[self.upper, more + np.inf]
        lower, upper = (lower, upper) if self.has_bounds else (None, None)
        return SeparablePenalty(np.r_[self.l2, more], l1, lower, upper, self.penalty)

    def take(self, index: Array) -> SeparablePenalty:
        """The penalty of some of the entries of u."""
        l1 = self.l1[index] if self.has_l1 else None
        lower = self.lower[index] if self.has_bounds else None
        upper = self.upper[index] if self.has_bounds else None
        part = SeparablePenalty(self.l2[index], l1, lower, upper, self.penalty)
        if self.loose is not None:
            part.loose = np.flatnonzero(np.isin(index, self.loose))
        return part

    # --- value and derivatives ---

    def value(self, u: Array) -> float:
        """Penalty at ``u`` within its bounds."""
        return 0.5 * float((self.l2 * u) @ u) + float(self.l1 @ np.abs(u))

    def gradient(self, u: Array) -> np.ndarray:
        """Derivative at ``u``; of the L1 part, the sign (0 at 0)."""
        gradient = self.l2 * u
        if self.has_l1:
            gradient += self.l1 * np.sign(u)
        return gradient

    def without_l1(self, u: Array, gradient: Array) -> np.ndarray:
        """``gradient`` less that of the L1 part at ``u``, as ``gradient`` above has it."""
        return gradient - self.l1 * np.sign(u) if self.has_l1 else gradient

    def hessian_product(self, u: Array) -> np.ndarray:
        """Hessian of the quadratic part times ``u``."""
        return self.l2 * u

    def add_hessian(self, matrix: Array) -> None:
        """Add the Hessian of the quadratic part to that of u, a leading block of ``matrix``."""
        index = np.arange(len(self.l2))
        matrix[index, index] += self.l2

    def prox(self, u: Array, step: float) -> np.ndarray:
        """Minimiser over v of ½‖v − u‖² + step · penalty(v)."""
        shrunk = np.sign(u) * np.maximum(np.abs(u) - step * self.l1, 0.0)
        return self.clip(shrunk / (1.0 + step * self.l2))

    def clip(self, u: Array) -> np.ndarray:
        """``u``, with entries beyond a bound at it."""
        return np.clip(u, self.lower, self.upper) if self.has_bounds else u

    def hinges(self, steepest: Array | float) -> Iterator[tuple[Array, Array, Array]]:
        """The L1 part, then lower and upper bounds as hinges: kinks, and slopes left and right.

        A bound is a hinge of a slope that no slope of the rest of F there can overcome (an exact
        penalty: Nocedal & Wright, "Numerical Optimization", 2006, section 17.2).

        Parameters
        ----------
        steepest : float or ndarray of shape (d,)
            The largest slope of the loss by coordinate, whatever the scores.
        """
        zero = np.zeros(len(self.l1))
        if self.has_l1:
            yield zero, -self.l1, self.l1
        if not self.has_bounds:
            return
        for bound, side in ((self.lower, -1.0), (self.upper, 1.0)):
            held = np.isfinite(bound)
            kink = np.where(held, bound, 0.0)
            slope = np.where(held, steepest + self.l1 + self.l2 * np.abs(kink), 0.0)
            yield kink, np.minimum(side * slope, 0.0), np.maximum(side * slope, 0.0)

    # --- along a line ---

    def along(self, u: Array, du: Array) -> PenaltyLine:
        """The penalty on the line u + t·du."""
        return PenaltyLine(self, u, du)

    def l1_slope(self, u: Array, du: Array) -> float:
        """Derivative of the L1 part at ``u`` in direction ``du``: where u_j is zero it grows either
        way."""
        return float(np.where(u != 0, np.sign(u) * du, np.abs(du)) @ self.l1)

    def l1_change(self, u: Array, new: Array) -> float:
        """The L1 part at ``new`` less that at ``u``."""
        return float((self.l1 * (np.abs(new) - np.abs(u))).sum())

    # --- where it is smooth ---

    def steepest(self, u: Array, gradient: Array) -> np.ndarray:
        """Of all subgradients of F at ``u`` the shortest, of which ``gradient`` is one."""
        around = np.sign(gradient) * np.maximum(np.abs(gradient) - self.l1, 0.0)
        shortest = np.where(u != 0, gradient, around)
        if self.has_bounds:
            shortest = np.where(u <= self.lower, np.minimum(shortest, 0.0), shortest)
            shortest = np.where(u >= self.upper, np.maximum(shortest, 0.0), shortest)
        return shortest

    def face(self, u: Array, steepest: Array) -> tuple[Array, Array, Array]:
        """The entries that may move, and the cell of points around ``u`` on which P is smooth.

        Parameters
        ----------
        u, steepest : ndarray of shape (d,)
            A point, and the shortest subgradient there.

        Returns
        -------
        free : ndarray of bool of shape (d,)
            Entries neither held at a bound nor at a kink.
        low, high : ndarray of shape (d,)
            Corners of the cell. An entry at a kink lies on the border of that cell into which
            −steepest leads.
        """
        side = np.where(u != 0, np.sign(u), -np.sign(steepest))
        inside = (u > self.lower) & (u < self.upper)
        free = ((u != 0) & inside) | (steepest != 0)
        low = np.where((self.l1 > 0) & (side >= 0), np.maximum(self.lower, 0.0), self.lower)
        high = np.where((self.l1 > 0) & (side <= 0), np.minimum(self.upper, 0.0), self.upper)
        return free, low, high

    def without_rounding(self, u: Array, error: Array | float) -> np.ndarray:
        """``u``, with zeros for entries within ``error`` of zero that the L1 part holds there, and
        bounds for entries as close to these."""
        u = np.where((self.l1 > 0) & (np.abs(u) <= error), 0.0, u)
        for bound in (self.lower, self.upper) if self.has_bounds else ():
            u = np.where(np.abs(u - bound) <= error, bound, u)
        return self.clip(u)

    # --- duality gaps ---

    def gap(
        self, u: Array, residual: Array, slack: Array | float = 0.0, price=np.inf
    ) -> tuple[float, float]:
        r"""The penalty's part of a duality gap, for the best of a few multiples κv of v.

        The least over κ of (1 − κ)·price + Σ_j [P_j(u_j) + P_j*(−κv_j) + κ u_j v_j], where
        P_j*(−v) = ([\|v\| − l1]₊)² / (2 l2) without bounds, and v_j is known up to ``slack``. With
        an L2 penalty alone the sum is ½ Σ (κv_j + l2_j u_j)² / l2_j, and the best κ known.

        Parameters
        ----------
        u : ndarray of shape (d,)
            Coordinates.
        residual : ndarray of shape (d,)
            v + l2·u, which is small where v itself need not be: see ``residual``.
        slack : float or ndarray of shape (d,), default=0.0
            By how much entries of v may be off.
        price : float, default=inf
            What (1 − κ) costs; infinity allows κ = 1 only.

        Returns
        -------
        gap : float
            Infinity where there is no bound.
        kappa : float
        """
        pull = self.l2 * u
        longest = np.abs(residual - pull) + slack
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            if self.has_l1:
                far = self._unbounded(residual - pull, longest)
                off = far > self.l1
                shrunk = float(np.min(self.l1[off] / far[off], initial=1.0))
            else:
                grows = float(np.sum((residual - pull) * u + np.abs(u) * slack))
                square = np.float64(self._over_l2(longest))
                shrunk = float(np.minimum(max(price - grows, 0.0) / square, 1))
            kappas = [1.0] if np.isinf(price) or shrunk == 1 else [1.0, shrunk]
            gaps = [(1 - k) * price if k < 1 else 0.0 for k in kappas]
            terms = [self._terms(u, residual, slack, k) for k in kappas]
        gaps = [gap + part for gap, part in zip(gaps, terms, strict=True)]
        pairs = [pair for pair in zip(gaps, kappas, strict=True) if not np.isnan(pair[0])]
        return min(pairs, default=(np.inf, 1.0))

    def _terms(self, u, residual, slack, kappa):
        """Σ_j [P_j(u_j) + P_j*(−κv_j) + κ u_j v_j]."""
        near = kappa * residual + (1 - kappa) * self.l2 * u  # κv + l2 u
        off = kappa * slack
        if self.has_bounds:
            return float(
                np.sum(np.maximum(self._within(u, near - off), self._within(u, near + off)))
            )
        if not self.has_l1:
            return 0.5 * self._over_l2(np.abs(near) + off)
        v = near - self.l2 * u
        over = np.abs(v) + off - self.l1
        # The others, most of them, have no term.
        some = np.flatnonzero((u != 0) | (over > 1e-15 * self.l1))
        u, v, over, l1, l2 = u[some], v[some], over[some], self.l1[some], self.l2[some]
        off = off[some] if np.ndim(off) else off
        conjugate = np.where(over > 1e-15 * l1, over**2 / (2 * l2), 0.0)
        terms = u * v + np.abs(u) * off + l1 * np.abs(u) + 0.5 * l2 * u * u
        return float(np.sum(np.maximum(terms + conjugate, 0.0)))

    def _unbounded(self, v, longest):
        """``longest`` entries of v, where they lead the sum to infinity: to no bound."""
        if not self.has_bounds:
            return longest
        leads = np.where(v > 0, np.isinf(self.lower), np.isinf(self.upper))
        return np.where(leads, longest, 0.0)

    def _over_l2(self, v):
        """Σ v_j² / l2_j; nothing for what is zero."""
        return float(np.sum(np.divide(v**2, self.l2, out=np.zeros_like(v), where=v != 0)))

    def _within(self, u, near):
        r"""The terms with bounds, by entry, for κv + l2 u in ``near``.

        max over x of P(u) − P(x) − v(x − u), by the sign σ of x: for d = x − u that is
        −(near + σ l1) d − ½ l2 d² + l1 (\|u\| − σu), at d = −(near + σ l1)/l2 or the bound next
        to it.
        """
        best = np.zeros(len(u))
        for sign in (1.0, -1.0):
            low, high = self.lower, self.upper
            if self.has_l1:
                low = np.maximum(low, 0.0) if sign > 0 else low
                high = high if sign > 0 else np.minimum(high, 0.0)
            slope = near + sign * self.l1
            slope = np.where(np.abs(slope) <= 1e-15 * self.l1, 0.0, slope)
            far = np.where(slope == 0, 0.0, -slope / self.l2)
            d = np.clip(far, low - u, high - u)
            gain = np.where(d == 0, 0.0, -slope * d - 0.5 * self.l2 * d * d)
            gain = np.where(np.isinf(d), np.inf, gain)
            gain += self.l1 * (np.abs(u) - sign * u)
            best = np.where(low <= high, np.maximum(best, gain), best)
        return best

    def missing(self, u: Array, v: Array) -> tuple[Array, Array]:
        """What entries of v lack to be a subgradient of the penalty at −u.

        Parameters
        ----------
        u, v : ndarray of shape (d,)

        Returns
        -------
        residual : ndarray of shape (d,)
        active : ndarray of bool of shape (d,)
            Entries that can be helped by a change of v.
        """
        residual, active = self._missing_inside(u, v)
        if self.has_bounds:  # there any v that leads beyond a bound will do
            residual = np.where(u <= self.lower, np.minimum(residual, 0.0), residual)
            residual = np.where(u >= self.upper, np.maximum(residual, 0.0), residual)
            active &= ((u > self.lower) & (u < self.upper)) | (residual != 0)
        return residual, active

    def _missing_inside(self, u, v):
        """As ``missing``, without bounds."""
        if not self.has_l1:
            return v + self.l2 * u, np.ones(len(u), dtype=bool)
        # A coefficient that is rounding error may have the wrong sign, which costs next to nothing.
        zero = self.l1 * np.abs(u) <= 1e-15 * self.value(u)
        inside = np.clip(v, -self.l1, self.l1)
        residual = np.where(zero, v - inside, v + self.l2 * u + self.l1 * np.sign(u))
        return residual, ~zero | (residual != 0)

    def rounding(self, unit: float, gap: float, loss: float) -> float:
        """By how much errors of norm ``unit`` in v may lower a duality gap, without bounds.

        Since the penalty's part of the gap is least where its slope in v is zero, an error of v
        counts by the distance from there, √(2 gap/l2). Where there is no l2, all of the dual point
        is shortened, at a price of ``loss``.
        """
        held = np.ones(len(self.l2), dtype=bool)
        if self.loose is not None:
            held[self.loose] = False
        l2, l1 = self.l2[held], self.l1[held]
        if not (l2 > 0).all():
            return loss * unit / float(l1[l2 == 0].min())
        stiff = float(np.sum(1.0 / l2))
        return unit * np.sqrt(2.0 * gap * stiff) + 0.5 * unit**2 * stiff


class PenaltyLine:
    """A penalty on the line u + t·du: numbers only.

    Attributes
    ----------
    longest : float
        t where the line leaves the bounds; infinity without any.
    """

    def __init__(self, penalty: Any, u: Array, du: Array) -> None:
        self.penalty, self.u, self.du = penalty, u, du
        self._slope = float((penalty.l2 * u) @ du)
        self._curvature = float((penalty.l2 * du) @ du)
        self.longest = np.inf
        if penalty.has_bounds:
            room = np.where(du > 0, penalty.upper - u, penalty.lower - u)
            steps = np.divide(room, du, out=np.full(len(u), np.inf), where=du != 0)
            self.longest = float(max(steps.min(initial=np.inf), 0.0))

    def value(self, t: float) -> float:
        """Penalty at ``t``."""
        return self.penalty.value(self.u + t * self.du)

    def slope(self, t: float) -> float:
        """Derivative by t; of the L1 part, as ``SeparablePenalty.gradient`` has it."""
        slope = self._slope + t * self._curvature
        if self.penalty.has_l1:
            sign = np.sign(self.u + t * self.du)
            slope += float((self.penalty.l1 * sign) @ self.du)
        return slope
