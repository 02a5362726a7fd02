"""Where the components of an embedding start: principal axes, discriminants, or at random."""

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from sklearn.utils.extmath import randomized_svd

__all__ = ["first_components"]

_MOST_ROWS = 20_000  # a sample is enough for a start
_MOST_FEATURES = 1_000  # beyond which covariances are formed in a subspace
_LEAST_VARIANCE = 1e-6  # of a direction, in units of the mean variance of a feature
_LEAST_RATIO = 1e-6  # of variances between and within classes, of a discriminant
_SHRINKAGE = 0.1  # of the covariance within classes towards a multiple of the identity


def first_components(objective, init, random_state) -> np.ndarray:
    """Coordinates B of an ``EmbeddingObjective`` to start from, of mean squared length 1.

    Parameters
    ----------
    objective : EmbeddingObjective
    init : {"auto", "pca", "lda", "random"}
        "lda": discriminants, as many as there are, then principal axes of what is left.
        "auto": the same where there are classes, principal axes for pairs and triplets.
    random_state : RandomState

    Returns
    -------
    ndarray of shape (n_components, n_features)
    """
    k, d = objective.shape
    X, labels, s = _sample(objective, random_state)
    if init == "random":
        B = random_state.standard_normal((k, d))
        return _finish(objective, B, X, s)
    basis = _basis(X, k, random_state)
    Y = X if basis is None else X @ basis
    mean = s @ Y / s.sum()
    total = _covariance(Y, s, mean)
    if init == "pca" or (init == "auto" and labels is None):
        B = _principal_axes(total, k)
    else:
        B = _discriminants(Y, labels, s, mean, total, k)
    return _finish(objective, B if basis is None else B @ basis.T, X, s)


def _sample(objective, random_state):
    """Scaled rows, centred if they are dense, class indices and weights."""
    rows = objective.rows
    index = np.arange(rows.shape[0])
    if len(index) > _MOST_ROWS:
        index = np.sort(random_state.choice(len(index), _MOST_ROWS, replace=False))
    n = len(objective.s)
    s = objective.s[index % n]
    labels = None if objective.arity is not None else objective.labels[index]
    X = rows.X[index]
    if rows.is_sparse:
        return X.multiply(1.0 / rows.scale).tocsr(), labels, s
    return (X - rows.shift) / rows.scale, labels, s


def _basis(X, k, random_state):
    """Orthonormal axes of a subspace of many features; None for all of few features."""
    if X.shape[1] <= _MOST_FEATURES:
        return None
    size = min(max(50, 2 * k), *X.shape)
    return randomized_svd(X, size, n_iter=2, random_state=random_state)[2].T


def _covariance(Y, s, mean):
    weighted = (Y.T * s) @ Y if not hasattr(Y, "multiply") else Y.T @ Y.multiply(s[:, None])
    weighted = weighted.toarray() if hasattr(weighted, "toarray") else np.asarray(weighted)
    return weighted / s.sum() - np.outer(mean, mean)


def _principal_axes(covariance, k):
    _, vectors = np.linalg.eigh(covariance)
    return _sign(vectors[:, ::-1][:, :k].T)


def _discriminants(Y, labels, s, mean, total, k):
    """Fisher's discriminants by falling ratio, then principal axes of the whitened rest."""
    n_classes = labels.max() + 1
    mass = np.bincount(labels, weights=s, minlength=n_classes)
    sums = sp.csr_array((s, (labels, np.arange(len(s)))), (n_classes, len(s))) @ Y
    sums = sums.toarray() if sp.issparse(sums) else sums
    there = mass > 0
    means = sums[there] / mass[there][:, None] - mean
    between = (means.T * (mass[there] / mass.sum())) @ means
    d = len(total)
    # A little of the variance everywhere: a direction in which no row differs from another, or
    # no row from its class, is then no reason to divide by what rounding has left of a zero.
    typical = np.trace(total) / d or 1.0
    total = total + _LEAST_VARIANCE * typical * np.eye(d)
    within = total - between
    size = np.trace(within) / d
    within = (1 - _SHRINKAGE) * within + _SHRINKAGE * size * np.eye(d)
    ratios, vectors = scipy.linalg.eigh(between, within)
    found = min(k, int(np.count_nonzero(ratios > _LEAST_RATIO)))
    B = _sign(vectors[:, ::-1][:, :found].T)
    return B if found == k else np.vstack([B, _rest(B, total, k - found)])


def _rest(B, total, k):
    """Axes of most variance among those that do not correlate with the discriminants B."""
    projector = np.eye(len(total)) - B.T @ np.linalg.pinv(B @ total @ B.T) @ (B @ total)
    rest = _principal_axes(projector.T @ total @ projector, k) @ projector.T
    factor = _spread(B, total).min(initial=1.0) / _spread(rest, total).max()
    if len(B):  # where rows hardly differ, coordinates longer than the others would only cost
        longest = np.linalg.norm(B, axis=1).max()
        factor = min(factor, longest / np.linalg.norm(rest, axis=1).max())
    return rest * factor


def _spread(axes, covariance):
    """Standard deviation along each axis."""
    return np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", axes, covariance, axes), 1e-300))


def _sign(axes):
    """Axes whose largest entry is positive, so that a start does not depend on rounding."""
    largest = np.abs(np.round(axes, 8)).argmax(axis=1)
    return axes * np.where(axes[np.arange(len(axes)), largest] < 0, -1.0, 1.0)[:, None]


def _finish(objective, B, X, s):
    """Off the mean, on which cosines would all depend alike, and scaled."""
    if objective.axis.any() and B.shape[1] > B.shape[0]:
        B = B - np.outer(B @ objective.axis, objective.axis)
    Z = X @ B.T
    Z = Z - s @ Z / s.sum()
    size = float(s @ np.einsum("ij,ij->i", Z, Z)) / s.sum()
    if not objective.centred and objective.axis.any():
        size += float(np.sum((objective.turn(B) @ objective.mean) ** 2))
    length = np.sum(B**2)
    if size <= _LEAST_VARIANCE**2 * length:  # no row differs from another but by rounding
        size = length or 1.0
    return B / np.sqrt(size)
