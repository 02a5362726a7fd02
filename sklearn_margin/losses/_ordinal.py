"""Losses of ordered classes: of K − 1 scores by row, one for each threshold.

Row i has the scores f_k = z_i − θ_k, k = 0 … K − 2, and class c lies above the thresholds k < c.
Objectives call these losses with validated arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from sklearn_margin._jit import kernel
from sklearn_margin._typing import Array
from sklearn_margin.losses.base import Loss

__all__ = ["CumulativeLogistic", "OrdinalLoss", "ThresholdLoss", "log_shares"]


class OrdinalLoss(Loss):
    """A loss of the scores of a row by threshold."""

    #: Whether it is a sum of losses of one score each.
    is_separable = False
    #: Whether only the thresholds next to the class of a row count.
    is_immediate = False

    @property
    def binary(self) -> Loss:
        """The loss of the one score that two classes have."""
        raise NotImplementedError

    def scores_value_gradient(self, k: Array, f: Array, s: Array, out: Array) -> float:
        """Sum of ``s * loss``; its derivatives go to ``out``.

        Parameters
        ----------
        k : ndarray of int64 of shape (n,)
            Index of the class.
        f : ndarray of shape (n, n_thresholds)
            Scores.
        s : ndarray of shape (n,)
            Weights.
        out : ndarray of shape (n, n_thresholds)
        """
        raise NotImplementedError

    def scores_value(self, k: Array, f: Array, s: Array) -> float:
        """Sum of ``s * loss``."""
        return self.scores_value_gradient(k, f, s, np.empty_like(f))

    def scores_curvature(self, k: Array, f: Array, s: Array, g: Array, h: Array, r: Array) -> float:
        """As ``scores_value_gradient``, of derivatives to ``g``; the Hessian of a row is the
        diagonal written to ``h``, and −r between the two thresholds next to its class."""
        raise NotImplementedError


class ThresholdLoss(OrdinalLoss):
    """Σ ℓ(±f_k) over all thresholds, or over those next to the class (Rennie & Srebro 2005).

    Parameters
    ----------
    inner : BinaryLoss
        ℓ, a loss of labels −1 (below the threshold) and +1.
    immediate : bool, default=False
        Whether only the thresholds next to the class count.
    """

    is_separable = True

    def __init__(self, inner: Any, immediate: bool = False) -> None:
        self.inner = inner
        self.immediate = immediate

    @property
    def is_immediate(self) -> bool:
        return self.immediate

    @property
    def binary(self) -> Loss:
        return self.inner

    @property
    def convex(self) -> bool:
        return self.inner.convex

    @property
    def nonnegative(self) -> bool:
        return self.inner.nonnegative

    @property
    def is_smooth(self) -> bool:
        return self.inner.is_smooth

    @property
    def has_hessian(self) -> bool:
        return self.inner.has_hessian

    @property
    def convex_start(self) -> Loss | None:
        inner = self.inner.convex_start
        return None if inner is None else ThresholdLoss(inner, self.immediate)

    @property
    def envelope_width(self) -> float:
        return self.inner.envelope_width

    def smoothed(self, width: float) -> Loss | None:
        inner = self.inner.smoothed(width)
        return None if inner is None else ThresholdLoss(inner, self.immediate)

    def _terms(self, k, f, s):
        """Labels and weights of the scores, one after the other."""
        thresholds = np.arange(f.shape[1])
        y = np.where(thresholds < k[:, None], f.dtype.type(1), f.dtype.type(-1))
        weight = np.broadcast_to(s[:, None], f.shape)
        if self.immediate:
            weight = np.where(
                (thresholds == k[:, None]) | (thresholds == k[:, None] - 1), weight, 0
            )
        return y.ravel(), f.ravel(), np.ascontiguousarray(weight, f.dtype).ravel()

    def scores_value(self, k: Array, f: Array, s: Array) -> float:
        return self.inner.scores_value(*self._terms(k, f, s))

    def scores_value_gradient(self, k: Array, f: Array, s: Array, out: Array) -> float:
        return self.inner.scores_value_gradient(*self._terms(k, f, s), out.reshape(-1))

    def scores_gradient_hessian(self, k: Array, f: Array, s: Array, g: Array, h: Array) -> float:
        """As ``scores_value_gradient``, with second derivatives to ``h``."""
        terms = self._terms(k, f, s)
        return self.inner.scores_gradient_hessian(*terms, g.reshape(-1), h.reshape(-1))

    def scores_curvature(self, k: Array, f: Array, s: Array, g: Array, h: Array, r: Array) -> float:
        r[:] = 0
        return self.scores_gradient_hessian(k, f, s, g, h)


class CumulativeLogistic(OrdinalLoss):
    """Negative log-likelihood of proportional odds (McCullagh 1980): P(y > k) = σ(f_k).

    With a = f_{c−1} ≥ b = f_c, the scores next to class c, it is that of σ(a) − σ(b),
    log(1 + e^{−a}) + log(1 + e^b) − log(1 − e^{b−a}): convex, and infinite where thresholds are not
    in order.
    """

    convex = nonnegative = is_smooth = has_hessian = True

    @property
    def binary(self) -> Loss:
        from sklearn_margin.losses.cross_entropy import Logistic

        return Logistic()

    def scores_value(self, k: Array, f: Array, s: Array) -> float:
        none = np.empty((0, 0), f.dtype)
        return float(_likelihood(k, f, s, none, none, s, 0))

    def scores_value_gradient(self, k: Array, f: Array, s: Array, out: Array) -> float:
        return float(_likelihood(k, f, s, out, out, s, 1))

    def scores_curvature(self, k: Array, f: Array, s: Array, g: Array, h: Array, r: Array) -> float:
        return float(_likelihood(k, f, s, g, h, r, 2))


@kernel
def _likelihood(k, f, s, g, h, r, order):
    """Σ s × loss; from ``order`` 1 on the gradient goes to g, from 2 on the Hessian to h and r."""
    last, total = f.shape[1], 0.0
    for i in range(len(k)):
        c, weight, loss, q = k[i], np.float64(s[i]), 0.0, 0.0
        if 0 < c < last:
            delta = np.float64(f[i, c - 1]) - np.float64(f[i, c])
            if delta <= 0:
                if order >= 1:  # a slope would lead a line search on
                    g[:] = np.nan
                return np.inf
            share = -np.expm1(-delta)
            loss = -np.log(share)
            q = (1.0 - share) / share
        coupling = weight * q * (1.0 + q)
        if order >= 1:
            g[i] = 0
        if order >= 2:
            h[i] = 0
            r[i] = coupling
        for threshold in range(max(c - 1, 0), min(c + 1, last)):
            sign = 1.0 if threshold == c else -1.0
            x = sign * np.float64(f[i, threshold])  # the loss is log(1 + e^x)
            e = np.exp(-abs(x))
            p = 1.0 / (1.0 + e)
            loss += max(x, 0.0) + np.log1p(e)
            if order >= 1:
                g[i, threshold] = weight * sign * ((p if x > 0 else e * p) + q)
            if order >= 2:
                h[i, threshold] = weight * e * p * p + coupling
        if weight > 0:
            total += weight * loss
    return total


def log_shares(f, thresholds) -> np.ndarray:
    """Logarithms of P(y = c) where P(y > k) = σ(f_k), of shape (n, n_classes).

    log(σ(a) − σ(b)) = log σ(a) + log σ(−b) + log(1 − e^{b−a}), of which the last is of the
    thresholds alone.
    """
    between = np.log(-np.expm1(-np.diff(thresholds.astype(np.float64))))
    out = np.zeros((len(f), f.shape[1] + 1), f.dtype)
    out[:, 1:] += special.log_expit(f)
    out[:, :-1] += special.log_expit(-f)
    out[:, 1:-1] += between.astype(f.dtype)
    return out
