r"""A certificate for methods that never hold a dual point: the average of their slopes.

At scores z_t with slopes g_t = ∇L(z_t) Fenchel's equality is L*(g_t) = g_t·z_t − L(z_t). L* is
convex, so that of an average ḡ of them is at most the average c of these numbers. The gap is what
``LinearObjective.gap`` makes of ḡ at a point, plus the excess L(z) + c − ḡ·z over Fenchel's
equality there.

Where a method does not come to rest, the slopes of its last point say nothing, but those of the
way cancel: X̃ᵀḡ plus the mean gradient of the penalty is how far the method went, over the sum of
its steps (Nesterov, "Primal-dual subgradient methods for convex problems", Mathematical Programming
120, 2009).
"""

import numpy as np

__all__ = ["MeanSlopes", "own_gap"]

_SHIFTS = 30  # of the intercept, each four times the one before, to find slopes of another sign


class MeanSlopes:
    """Average of the slopes of L by score over several points.

    Parameters
    ----------
    objective : LinearObjective
    total : ndarray of float64 of the shape of the scores, default=0.0
        Sum of slopes.
    conjugate : float, default=0.0
        Sum of g·z − L(z).
    n : int, default=0
        Of how many points.
    """

    def __init__(self, objective, total=0.0, conjugate=0.0, n=0):
        self.objective = objective
        self.total, self.conjugate, self.n = total, conjugate, n

    def add(self, point) -> None:
        """Add the slopes at a point."""
        loss, g = point._slopes()
        g = g.astype(np.float64)
        self.conjugate += float(np.vdot(g, point._z)) - loss
        self.total = self.total + g
        self.n += 1

    @property
    def are_finite(self) -> bool:
        """Whether no slope overflowed."""
        return bool(np.isfinite(self.total).all())

    def gap(self, point) -> tuple[float | None, float]:
        """Duality gap at ``point`` with the average of slopes for the dual point.

        Returns
        -------
        gap, excess : float
            The whole, and the excess in it. The gap is None where none is known.
        """
        objective, z, loss = self.objective, point._z, point.loss
        g, conjugate = self.total / self.n, self.conjugate / self.n
        if objective.fit_intercept and objective.n_outputs == 1:
            g, conjugate = _with_zero_sum(objective, z, loss, g, conjugate)
        excess = max(loss + conjugate - float(np.vdot(g, z)), 0.0)
        g = g.astype(z.dtype)
        gradient, slopes = objective.gradient_from(point.params, g), objective.slopes(g)
        gap = objective.gap(point.params, gradient, slopes, loss)
        rounding = 4 * float(np.finfo(z.dtype).eps) * (abs(loss) + abs(conjugate))
        return (None if gap is None else gap + excess + rounding), excess


def own_gap(objective, params) -> float | None:
    """Duality gap at ``params`` from the slopes there; None where no gap is known."""
    point = objective.at(params)
    if objective.penalty.loose is not None:
        return point.gap()
    slopes = MeanSlopes(objective)
    slopes.add(point)
    return slopes.gap(point)[0]


def _with_zero_sum(objective, z, loss, g, conjugate):
    """A dual point whose sum vanishes, as a free intercept wants it, and its conjugate.

    Where g sums to a positive number, slopes at lower scores do not: the sum is the derivative of
    a convex function of the intercept. A mean of both, with the weights that make it vanish, is a
    dual point like any mean of slopes.
    """
    total, size = float(g.sum()), float(np.abs(g).sum())
    shift = 1e-3 * max(abs(loss), 1e-300) / max(size, 1e-300)
    other = np.empty_like(z)
    for _ in range(_SHIFTS if abs(total) > 1e-14 * size else 0):
        there = (z - np.copysign(shift, total)).astype(z.dtype)
        value = objective.score_gradient(there, other)
        opposite = float(other.sum(dtype=np.float64))
        if not np.isfinite(opposite):
            break
        if opposite * total <= 0:
            share = total / (total - opposite)
            conjugate_there = float(other.astype(np.float64) @ there) - value
            mean = (1 - share) * g + share * other.astype(np.float64)
            return mean, (1 - share) * conjugate + share * conjugate_there
        shift *= 4
    return g, conjugate
