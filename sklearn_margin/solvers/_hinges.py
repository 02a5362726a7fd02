"""Problems whose loss is a sum of hinges of linear functions, as an interior point sees them.

A term is l·e + (r − l)·[e]₊ with e = a·x − kink. With a multiplier t ∈ [0, 1] for each term
the slope is l + (r − l)·t, and the optimum is where

    t = 0 for e < 0,   t = 1 for e > 0,   λ₂ u + linear + Aᵀ(l + (r − l) t) = 0.
"""

from typing import NamedTuple

import numpy as np

from sklearn_margin.solvers._hinge_gap import HingeGap

__all__ = [
    "BandModel",
    "HingeModel",
    "Rest",
    "best_intercept",
    "coefficient_hinges",
    "hinge_terms",
    "is_sum_of_hinges",
    "is_sum_of_round_hinges",
    "lies_in_span",
    "round_hinge_terms",
]


class Rest(NamedTuple):
    """What rows contribute that are not modelled, since they are known to be linear."""

    gradient: np.ndarray  # (n_params,)
    constant: float  # at x = 0
    norm: float  # of their slopes


class HingeModel:
    """Terms of A x − kink, where A is X̃ (once or twice), then, for an L1 penalty, the identity, and
    for bounds, too: see ``coefficient_hinges``.

    Parameters
    ----------
    objective : LinearObjective
        Its loss is piecewise linear.
    index : ndarray of int, default=None
        Rows that are modelled; None is all of them.
    rest : Rest, default=None
        What the other rows contribute, if they are known to be linear.
    """

    def __init__(self, objective, index=None, rest=None):
        self.objective = objective
        self.rows = objective.rows if index is None else objective.rows.take(index)
        self.linear = np.zeros(objective.n_params) if rest is None else rest.gradient
        self.n, self.d = self.rows.shape
        self.l2 = objective.penalty.l2
        kinks, lefts, rights = zip(*hinge_terms(objective, index), strict=True)
        self.copies = len(kinks)
        own = coefficient_hinges(objective)
        self.certificate = HingeGap(
            objective, self.rows, np.array(kinks), np.array(lefts), np.array(rights), rest,
            eps=self.eps, bounds=own[objective.penalty.has_l1 :],
        )  # fmt: skip
        self.repeats = len(own)
        for kink, left, right in own:
            kinks, lefts, rights = (*kinks, kink), (*lefts, left), (*rights, right)
        self.kink, self.left = np.concatenate(kinks), np.concatenate(lefts)
        self.width = np.concatenate(rights) - self.left
        self.dead = np.flatnonzero(self.width == 0)  # terms that are linear, or of no weight
        self.distance = _distances(self.width)

    eps = None  # rounding error of products with rows; None is that of X
    damping = None  # of the normal matrix
    exact = False  # whether products cost so little that nothing is left to updates

    def apply(self, x):
        """A x."""
        u, b = self.objective.split(x)
        z = self.rows.scores(u, b).astype(np.float64, copy=False)
        return np.concatenate([*[z] * self.copies, *[u] * self.repeats])

    def transpose(self, v):
        """Aᵀ v."""
        rows, rest = self._fold(v)
        projected, total = self.rows.backproject(rows)
        return self.objective.join(projected + rest, total)

    def normal_matrix(self, h):
        """Hessian of the penalty plus Aᵀ diag(h) A."""
        rows, rest = self._fold(h)
        gram, cross, total, _, _ = self.rows.gram(rows, rows)
        d = self.d
        matrix = np.empty((self.objective.n_params,) * 2)
        matrix[:d, :d] = gram
        if self.objective.fit_intercept:
            matrix[:d, d] = matrix[d, :d] = cross
            matrix[d, d] = total
        # What an offset that cancels leaves of a constant column is rounding error.
        size = self.objective.rows.shift / self.objective.rows.scale
        noise = 8 * np.finfo(self.rows.dtype).eps * total * size**2
        lost = np.flatnonzero(gram.diagonal() < noise)
        matrix[lost] = matrix[:, lost] = 0.0
        matrix[np.diag_indices(d)] += self.l2 + rest
        return matrix

    def penalty_gradient(self, x):
        """Gradient of ½ Σ λ₂ u² and of the linear part."""
        return self.objective.join(self.l2 * self.objective.split(x)[0], 0.0) + self.linear

    def encode(self, params):
        """x for a parameter vector of the objective."""
        return np.array(params, dtype=np.float64)

    def decode(self, x):
        """Parameter vector of the objective for x."""
        return x

    def bound(self, x, e, t, projected, thorough=np.inf):
        """Value, and a bound on how far it is from the minimum.

        Parameters
        ----------
        x, e, t : ndarray
            A point, the distances A x − kink, and the multipliers of the terms.
        projected : ndarray
            Aᵀ slopes there.
        thorough : float, default=inf
            As in ``HingeGap.at``.
        """
        projected = self.of_rows(projected, t)
        return self.certificate.at(x, self.by_hinge(e), *self.rooms(t), projected, thorough)

    def of_rows(self, projected, t):
        """Aᵀ slopes without the terms of an L1 penalty, but with the linear part."""
        if self.repeats:
            own = self._by_feature(self.left + self.width * t)
            projected = projected - self.objective.join(own, 0.0)
        return projected + self.linear

    def rooms(self, t):
        """How far slopes of rows are from their bounds, below and above."""
        width = self.by_hinge(self.width)
        return width * self.by_hinge(t), width * (1.0 - self.by_hinge(t))

    def by_hinge(self, v):
        """The terms of rows, of shape (n_hinges, n)."""
        return v[: self.n * self.copies].reshape(self.copies, self.n)

    def _fold(self, v):
        """Sum over copies of the rows, in the dtype of X; and the rest."""
        rows = self.by_hinge(v).sum(axis=0).astype(self.rows.dtype, copy=False)
        return rows, self._by_feature(v) if self.repeats else 0.0

    def _by_feature(self, v):
        """Sums of the terms of coefficients."""
        return v[self.n * self.copies :].reshape(self.repeats, self.d).sum(axis=0)


def _distances(width):
    """Targets of complementarity by term, in units of the path's.

    They are the same for all rows of ordinary weight. Rows that weigh next to nothing are kept
    farther from their kinks: otherwise they, whom nobody minds, would cut all steps short.
    """
    live = width > 0
    least = 1e-3 * width[live].mean() if live.any() else 0.0
    return np.maximum(1.0, least / np.where(live, width, np.inf))


class BandModel(HingeModel):
    """The same problem of a few rows, of which a standardised copy is made."""

    exact = True
    damping = 1e-12  # what a dual residual that is rounding error may move features that depend

    def __init__(self, objective, index=None, rest=None):
        super().__init__(objective, index, rest)
        A = self.rows.dense(np.arange(self.n)).astype(np.float64, copy=False)
        # What an offset leaves of a constant column is rounding error.
        noise = 8 * np.finfo(self.rows.dtype).eps * np.abs(self.rows.shift / self.rows.scale)
        A[:, np.abs(A).max(axis=0, initial=0.0) <= noise] = 0.0
        self.A = np.column_stack([A, np.ones(self.n)]) if objective.fit_intercept else A

    def apply(self, x):
        parts = [self.A @ x] * self.copies
        u, _ = self.objective.split(x)
        return np.concatenate([*parts, *[u] * self.repeats])

    def transpose(self, v):
        projected = self.A.T @ self.by_hinge(v).sum(axis=0)
        projected[: self.d] += self._by_feature(v) if self.repeats else 0.0
        return projected

    def normal_matrix(self, h):
        scaled = np.sqrt(self.by_hinge(h).sum(axis=0))[:, None] * self.A
        matrix = scaled.T @ scaled
        rest = self._by_feature(h) if self.repeats else 0.0
        matrix[np.diag_indices(self.d)] += self.l2 + rest
        return matrix


def is_sum_of_hinges(loss) -> bool:
    """Whether the loss says, of its own formula, that it is piecewise linear."""
    known = hasattr(loss, "piecewise_linear")
    return known and loss.piecewise_linear(np.ones(1)) is not None


def is_sum_of_round_hinges(loss) -> bool:
    """Whether the loss says, of its own formula, that it is a sum of hinges with round kinks."""
    known = hasattr(loss, "piecewise_quadratic")
    return known and loss.piecewise_quadratic(np.ones(1)) is not None


def best_intercept(kink, low, high):
    """The minimiser of hinges with these kinks and slopes: where the sum of slopes turns."""
    order = np.argsort(kink, axis=None)
    slope = float(low.sum()) + np.cumsum((high - low).ravel()[order])
    return float(kink.ravel()[order[min(np.searchsorted(slope, 0.0), len(order) - 1)]])


def hinge_terms(objective, index=None):
    """Kinks and weighted slopes of the hinges of the loss over rows; all rows by default.

    Kinks are where they are for X̃u + b: an offset is taken off.
    """
    index = slice(None) if index is None else index
    y, weight = (v[index].astype(np.float64) for v in (objective.y, objective.s))
    for kink, left, right in objective.loss.piecewise_linear(y):
        kink = kink if objective.offset is None else kink - objective.offset[index]
        yield kink, weight * left, weight * right


def round_hinge_terms(objective):
    """As ``hinge_terms``, with the curvature by slope of what is charged for a slope: none if kinks
    are sharp. A row of no weight has no slope."""
    if not is_sum_of_round_hinges(objective.loss):
        for kink, low, high in hinge_terms(objective):
            yield kink, low, high, np.zeros_like(kink)
        return
    y, weight = objective.y.astype(np.float64), objective.s.astype(np.float64)
    live, offset = weight > 0, 0.0 if objective.offset is None else objective.offset
    for kink, left, right, curve in objective.loss.piecewise_quadratic(y):
        bounds = (weight * np.where(live, bound, 0.0) for bound in (left, right))
        yield kink - offset, *bounds, curve / np.where(live, weight, 1.0)


def coefficient_hinges(objective):
    """Hinges of the coefficients, for the largest slopes that the loss can have: none of X̃ᵀg
    exceeds √n ‖g‖ with the steepest slopes g by row."""
    if objective.penalty.is_smooth:
        return []
    _, lefts, rights = zip(*hinge_terms(objective), strict=True)
    steepest = sum(np.maximum(-left, right) for left, right in zip(lefts, rights, strict=True))
    largest = np.sqrt(len(steepest)) * float(np.linalg.norm(steepest))
    return list(objective.penalty.hinges(largest))


def lies_in_span(objective):
    """Whether the optimum lies in the span of the rows."""
    return objective.penalty.is_smooth and bool(np.all(objective.penalty.l2 > 0))
