"""The elastic-net penalty alpha·((1 − l1_ratio)/2·‖w‖² + l1_ratio·‖w‖₁)."""

import numpy as np

__all__ = ["ElasticNet"]


class ElasticNet:
    """Elastic net in the coordinates of a solver, u = w · scale.

    Parameters
    ----------
    alpha : float
        Strength, not negative.
    l1_ratio : float
        Share of the L1 part, from 0 (ridge) to 1 (lasso).
    scale : ndarray of shape (d,)
        Scale of the coordinates.

    Attributes
    ----------
    l2, l1 : ndarray of shape (d,)
        Coefficients of ½u² and \\|u\\| by coordinate.
    """

    def __init__(self, alpha, l1_ratio, scale):
        with np.errstate(over="ignore", under="ignore"):
            self.l2 = alpha * (1.0 - l1_ratio) / scale**2
            self.l1 = alpha * l1_ratio / scale
        self.has_l1 = bool(alpha * l1_ratio > 0)
        limit = np.finfo(np.float64).max
        self.l2, self.l1 = np.minimum(self.l2, limit), np.minimum(self.l1, limit)

    def value(self, u) -> float:
        """Penalty at ``u``."""
        return 0.5 * float(self.l2 @ (u * u)) + float(self.l1 @ np.abs(u))

    def gradient(self, u) -> np.ndarray:
        """Derivative at ``u``; of the L1 part, the sign (0 at 0)."""
        gradient = self.l2 * u
        if self.has_l1:
            gradient += self.l1 * np.sign(u)
        return gradient

    def prox(self, u, step: float) -> np.ndarray:
        """Minimiser over v of ½‖v − u‖² + step · penalty(v)."""
        shrunk = np.sign(u) * np.maximum(np.abs(u) - step * self.l1, 0.0)
        return shrunk / (1.0 + step * self.l2)
