"""Data that are measured on, and what is minimised over them.

All generators are seeded: the same arguments give the same arrays.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.sparse as sp

from sklearn_margin.losses.base import Loss

N_TERMS = 50_000
WORDS = 75  # tokens per row of the text-like data, about 60 of them distinct


@dataclass
class Problem:
    """Mean loss over the rows (or pairs) plus an elastic net, the intercept unpenalised."""

    X: np.ndarray | sp.csr_matrix
    y: np.ndarray
    loss: Loss
    alpha: float
    l1_ratio: float = 0.0
    fit_intercept: bool = True
    groups: np.ndarray | None = None

    @property
    def C(self) -> float:
        """Factor of a *sum* of losses that gives the same minimiser."""
        return 1 / (self.alpha * self.X.shape[0])

    def value(self, solution) -> float:
        """The objective at ``(coef, intercept)``."""
        coef = np.asarray(solution[0], dtype=np.float64)
        intercept = np.ravel(solution[1])
        if coef.ndim == 1 or len(coef) == 1:  # one score per row
            coef, intercept = coef.ravel(), float(intercept[0])
        extra = {} if self.groups is None else {"groups": self.groups}
        loss = self.loss.value(self.y, self.X @ coef.T + intercept, **extra)
        l2, l1 = 0.5 * float(np.vdot(coef, coef)), float(np.abs(coef).sum())
        return loss + self.alpha * ((1 - self.l1_ratio) * l2 + self.l1_ratio * l1)


def dense(n, d, seed=0):
    """Gaussian features, scores of unit variance that are linear in them, and the generator."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    return X, X @ rng.standard_normal(d) / np.sqrt(d), rng


def labels(n, d):
    """Dense features, and labels −1 and +1 with logistic noise."""
    X, z, rng = dense(n, d)
    return X, np.where(z + 0.5 * rng.logistic(size=n) > 0, 1.0, -1.0)


def classes(n, d, k):
    """Dense features, and indices of ``k`` classes whose scores have logistic noise."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d))
    scores = X @ rng.standard_normal((d, k)) / np.sqrt(d)
    return X, np.argmax(scores + 0.5 * rng.gumbel(size=(n, k)), axis=1)


def targets(n, d):
    """Dense features, and targets with heavy-tailed noise (Student's t, 2 degrees of freedom)."""
    X, z, rng = dense(n, d)
    return X, z + 0.5 * rng.standard_t(2, size=n)


def wide(n):
    """Ten times as many columns as rows, one of 200 of which is of use, and noisy targets."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 10 * n))
    coef = np.where(rng.random(10 * n) < 5e-3, rng.standard_normal(10 * n), 0.0)
    return X, X @ coef + rng.standard_normal(n)


@lru_cache(maxsize=3)  # to make it takes longer than most fits
def text(n, seed=0, chunk=20_000):
    """Rows like tf-idf vectors of short texts, of unit length, and labels −1 and +1.

    The words of a row follow Zipf's law over 50,000 terms. The label is the side of the median
    on which a score lies that is linear in a tenth of the terms; 3 % are flipped.

    Returns
    -------
    X : csr_matrix of shape (n, 50_000)
    y : ndarray of shape (n,)
    """
    rng = np.random.default_rng(seed)
    share = 1 / np.arange(1, N_TERMS + 1)
    share = np.cumsum(share) / share.sum()
    blocks = []
    for start in range(0, n, chunk):  # in chunks, for the memory of the sorted tokens
        m = min(chunk, n - start)
        terms = np.searchsorted(share, rng.random(m * WORDS)).astype(np.int32)
        counts = np.ones(m * WORDS)
        block = sp.csr_matrix((counts, terms, np.arange(0, m * WORDS + 1, WORDS)), (m, N_TERMS))
        block.sum_duplicates()
        blocks.append(block)
    X = sp.vstack(blocks, format="csr")
    frequency = np.bincount(X.indices, minlength=N_TERMS)
    X.data *= (1 + np.log((1 + n) / (1 + frequency)))[X.indices]
    length = np.sqrt(np.add.reduceat(X.data**2, X.indptr[:-1]))
    X.data /= np.repeat(length, np.diff(X.indptr))
    coef = rng.standard_normal(N_TERMS) * (rng.random(N_TERMS) < 0.1)
    score = X @ coef
    y = np.where(score > np.median(score), 1.0, -1.0)
    y[rng.random(n) < 0.03] *= -1
    return X, y


def relevance(n, d, *, levels=None, group_size=None):
    """Dense features, relevances and groups (None: all rows are one group).

    Parameters
    ----------
    n, d : int
        Rows and features.
    levels : int, default=None
        Number of equally frequent grades; None leaves real numbers, all different.
    group_size : int, default=None
        Rows of a group.
    """
    X, z, rng = dense(n, d)
    y = z + rng.standard_normal(n)
    if levels is not None:
        y = np.searchsorted(np.quantile(y, np.arange(1, levels) / levels), y).astype(float)
    groups = None if group_size is None else np.arange(n) // group_size
    return X, y, groups
