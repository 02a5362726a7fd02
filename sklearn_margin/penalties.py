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
            self.l2 = alpha * (1.0 - l1_ratio) / scale / scale  # a square may vanish
            self.l1 = alpha * l1_ratio / scale
        self.has_l1 = bool(alpha * l1_ratio > 0)
        limit = np.finfo(np.float64).max
        self.l2, self.l1 = np.minimum(self.l2, limit), np.minimum(self.l1, limit)

    def value(self, u) -> float:
        """Penalty at ``u``."""
        return 0.5 * float((self.l2 * u) @ u) + float(self.l1 @ np.abs(u))

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

    def gap(self, u, residual, slack=0.0, price=np.inf) -> tuple[float, float]:
        r"""The penalty's part of a duality gap, for the best of a few multiples κv of v.

        The least over κ of (1 − κ)·price + Σ_j [P_j(u_j) + P_j*(−κv_j) + κ u_j v_j], where
        P_j*(−v) = ([\|v\| − l1]₊)² / (2 l2), and v_j is known up to ``slack``. With an L2 penalty
        alone the sum is ½ Σ (κv_j + l2_j u_j)² / l2_j, and the best κ known.

        Parameters
        ----------
        u : ndarray of shape (d,)
            Coordinates.
        residual : ndarray of shape (d,)
            v + l2·u, which is small where v itself need not be.
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
                shrunk = float(np.min(self.l1 / longest, initial=1.0))
            else:
                grows = float(np.sum((residual - pull) * u + np.abs(u) * slack))
                shrunk = float(
                    np.minimum(max(price - grows, 0.0) / np.sum(longest**2 / self.l2), 1)
                )
            kappas = [1.0] if np.isinf(price) else [1.0, shrunk]
            gaps = [(1 - k) * price if k < 1 else 0.0 for k in kappas]
            terms = [self._terms(u, residual, slack, k) for k in kappas]
        gaps = [gap + part for gap, part in zip(gaps, terms, strict=True)]
        pairs = [pair for pair in zip(gaps, kappas, strict=True) if not np.isnan(pair[0])]
        return min(pairs, default=(np.inf, 1.0))

    def _terms(self, u, residual, slack, kappa):
        """Σ_j [P_j(u_j) + P_j*(−κv_j) + κ u_j v_j]."""
        left = kappa * residual + (1 - kappa) * self.l2 * u  # κv + l2 u
        off = kappa * slack
        if not self.has_l1:
            return 0.5 * float(np.sum((np.abs(left) + off) ** 2 / self.l2))
        v = left - self.l2 * u
        over = np.maximum(np.abs(v) + off - self.l1, 0.0)
        conjugate = np.where(over > 1e-15 * self.l1, over**2 / (2 * self.l2), 0.0)
        terms = u * v + np.abs(u) * off + self.l1 * np.abs(u) + 0.5 * self.l2 * u * u
        return float(np.sum(np.maximum(terms + conjugate, 0.0)))
