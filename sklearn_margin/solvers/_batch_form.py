"""Losses as stochastic solvers see them: slopes of a mini-batch, whatever the family."""

import numpy as np

from sklearn_margin.losses.base import Loss
from sklearn_margin.losses.batch import Unweighted

__all__ = ["batch_form"]


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
