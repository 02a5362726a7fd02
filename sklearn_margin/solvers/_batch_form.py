"""Losses as stochastic solvers see them: slopes of a mini-batch, whatever the family."""

import numpy as np

from sklearn_margin.losses.base import Loss
from sklearn_margin.losses.batch import Unweighted

__all__ = ["batch_form", "implicit_form"]

_ENOUGH = 0.01  # of the first residual, at which an implicit equation counts as solved
_NARROW = 1e-4  # of it, to which a kink is enclosed
_TRIALS = 40


def batch_form(loss, n_outputs) -> "BatchForm":
    """A loss with compiled methods ``mean(y, z, s)`` and ``slopes(y, z, s, out)``.

    The mean of s·loss over a batch, and its derivatives with respect to the scores z, of shape
    (n, n_outputs), written to ``out``. A batch loss takes the place of that mean.
    """
    if loss.splits:
        return MeanOfScores(loss) if n_outputs == 1 else MeanOfRows(loss)
    if not loss.knows_weights:
        loss = Unweighted(loss)
    return BatchOfScores(loss) if n_outputs == 1 else BatchOfRows(loss)


class BatchForm(Loss):
    """A loss in this form."""

    kernel_methods = ("slopes", "mean")

    def __init__(self, inner):
        self.inner = inner


class MeanOfScores(BatchForm):
    """A loss of one score per sample."""

    def mean(self, y, z, s):
        total = 0.0
        for i in range(z.shape[0]):
            if s[i] != 0.0:
                total += s[i] * self.inner.sample_value(y[i], z[i, 0])
        return total / z.shape[0]

    def slopes(self, y, z, s, out):
        for i in range(z.shape[0]):
            out[i, 0] = s[i] * self.inner.sample_gradient(y[i], z[i, 0]) / z.shape[0]


class MeanOfRows(BatchForm):
    """A loss of a row of scores per sample."""

    def mean(self, y, z, s):
        total = 0.0
        for i in range(z.shape[0]):
            if s[i] != 0.0:
                total += s[i] * self.inner.sample_value(np.int64(y[i]), z[i])
        return total / z.shape[0]

    def slopes(self, y, z, s, out):
        for i in range(z.shape[0]):
            self.inner.sample_gradient(np.int64(y[i]), z[i], out[i])
            factor = s[i] / z.shape[0]
            for j in range(z.shape[1]):
                out[i, j] *= factor


class BatchOfScores(BatchForm):
    """A batch loss of one score per sample."""

    def mean(self, y, z, s):
        return self.inner.batch_value(y, z[:, 0], s)

    def slopes(self, y, z, s, out):
        self.inner.batch_gradient(y, z[:, 0], s, out[:, 0])


class BatchOfRows(BatchForm):
    """A batch loss of a row of scores per sample."""

    def mean(self, y, z, s):
        return self.inner.batch_value(y.astype(np.int64), z, s)

    def slopes(self, y, z, s, out):
        self.inner.batch_gradient(y.astype(np.int64), z, s, out)


# --- one row, implicitly -----------------------------------------------------------------------


def implicit_form(loss) -> "ImplicitForm":
    """A loss of one score with compiled methods ``implicit_slope`` and ``dual_point``."""
    return ImplicitCurved(loss) if loss.has_hessian else ImplicitForm(loss)


class ImplicitForm(Loss):
    """A loss of one score per row, whose weighted slope is found at the end of a step."""

    kernel_methods = ("implicit_slope", "dual_point")

    def __init__(self, inner):
        self.inner = inner

    def implicit_slope(self, y, s, z, g, q):
        """The slope sℓ' at the root t of t + q sℓ'(t) = z + q g.

        The left side grows at least as fast as t if the loss is convex, so that the root lies no
        farther from z than the residual there. Next in this bracket is where the tangents at its
        ends meet: at a kink, if there is but one, where the slope is what solves the equation.
        """
        near_slope = self.inner.sample_gradient(y, z)
        first = q * (s * near_slope - g)
        if first == 0.0 or not np.isfinite(first):
            return s * near_slope if q == 0.0 else g
        target, enough, narrow = z + q * g, _ENOUGH * abs(first), _NARROW * abs(first)
        near, far, t = z, z - first, z - first
        near_value = self.inner.sample_value(y, z)
        far_slope, far_value = near_slope, near_value
        for _ in range(_TRIALS):
            slope = self.inner.sample_gradient(y, t)
            residual = t - target + q * s * slope
            if abs(residual) <= enough:
                return s * slope
            if (residual > 0.0) == (first > 0.0):
                near, near_slope, near_value = t, slope, self.inner.sample_value(y, t)
            else:
                far, far_slope, far_value = t, slope, self.inner.sample_value(y, t)
            t = far_value - near_value + near_slope * near - far_slope * far
            t /= near_slope - far_slope
            if min(abs(t - near), abs(t - far), abs(far - near)) <= narrow:
                return (target - min(max(t, min(near, far)), max(near, far))) / q
            if not min(near, far) < t < max(near, far):
                t = 0.5 * (near + far)
        return s * slope

    def dual_point(self, y, s, z, g, q):
        """About that slope, and the conjugate there: a mean of the slopes on both sides of the
        root, whose conjugates are known by Fenchel's equality."""
        slope = self.implicit_slope(y, s, z, g, q)
        t = z + q * (g - slope)
        around = 2.0 * _ENOUGH * abs(t - z) + 1e-9 * (abs(t) + abs(z))
        low, high = t - around, t + around
        below, above = (
            s * self.inner.sample_gradient(y, low),
            s * self.inner.sample_gradient(y, high),
        )
        share = 0.0
        if above > below:
            share = min(max((slope - below) / (above - below), 0.0), 1.0)
        conjugate = (1.0 - share) * (below * low - s * self.inner.sample_value(y, low))
        conjugate += share * (above * high - s * self.inner.sample_value(y, high))
        return (1.0 - share) * below + share * above, conjugate


class ImplicitCurved(ImplicitForm):
    """One with a second derivative."""

    def implicit_slope(self, y, s, z, g, q):
        """By Newton steps; those that leave the bracket are replaced by bisection."""
        slope = s * self.inner.sample_gradient(y, z)
        first = q * (slope - g)
        if first == 0.0 or not np.isfinite(first):
            return slope if q == 0.0 else g
        target, enough = z + q * g, _ENOUGH * abs(first)
        near, far = z, z - first
        t = z - first / (1.0 + q * s * self.inner.sample_hessian(y, z))
        for _ in range(_TRIALS):
            slope = s * self.inner.sample_gradient(y, t)
            residual = t - target + q * slope
            if abs(residual) <= enough or abs(far - near) <= _NARROW * abs(first):
                break
            if (residual > 0.0) == (first > 0.0):
                near = t
            else:
                far = t
            t -= residual / (1.0 + q * s * self.inner.sample_hessian(y, t))
            if not min(near, far) < t < max(near, far):
                t = 0.5 * (near + far)
        return slope
