"""Losses of ordered classes: of K − 1 scores by row, one for each threshold.

Row i has the scores f_k = z_i − θ_k, k = 0 … K − 2, and class c lies above the thresholds k < c.
Objectives call these losses with validated arrays; they are made of vectors, and compile nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

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
        a, b, delta, inner = _next_scores(k, f)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            gaps = np.where(inner, -np.log(-np.expm1(-delta)), 0.0)
            rows = np.logaddexp(0.0, -a) + np.logaddexp(0.0, b) + gaps
        if (delta <= 0).any():
            return np.inf
        used = s > 0
        return float(rows[used] @ s[used].astype(np.float64))

    def scores_value_gradient(self, k: Array, f: Array, s: Array, out: Array) -> float:
        a, b, delta, inner = _next_scores(k, f)
        if (delta <= 0).any():  # a slope would lead a line search on
            out[:] = np.nan
            return np.inf
        with np.errstate(divide="ignore", over="ignore"):
            q = np.where(inner, 1.0 / np.expm1(delta), 0.0)
        _write(out, k, -s * (special.expit(-a) + q), s * (special.expit(b) + q))
        return self.scores_value(k, f, s)

    def scores_curvature(self, k: Array, f: Array, s: Array, g: Array, h: Array, r: Array) -> float:
        a, b, delta, inner = _next_scores(k, f)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            q = np.where(inner, 1.0 / np.expm1(delta), 0.0)
            coupling = s * (q * (1.0 + q))
        curved = [s * (special.expit(x) * special.expit(-x)) + coupling for x in (a, b)]
        _write(h, k, *curved)
        r[:] = coupling
        return self.scores_value_gradient(k, f, s, g)


def _next_scores(k, f):
    """Scores of the thresholds below and above the class, ±infinity where there is none; how far
    they are apart; and whether there are both; in float64."""
    n, last = f.shape
    rows = np.arange(n)
    a = np.where(k > 0, f[rows, np.maximum(k - 1, 0)], np.inf).astype(np.float64)
    b = np.where(k < last, f[rows, np.minimum(k, last - 1)], -np.inf).astype(np.float64)
    return a, b, a - b, (k > 0) & (k < last)


def _write(out, k, below, above):
    """Numbers for the thresholds next to the class, zeros for the others."""
    rows, last = np.arange(len(k)), out.shape[1]
    out[:] = 0
    some = k > 0
    out[rows[some], k[some] - 1] = below[some]
    some = k < last
    out[rows[some], k[some]] = above[some]


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
