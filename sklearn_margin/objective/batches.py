"""Batches of rows for stochastic solvers of embeddings."""

import numpy as np

__all__ = ["balanced_batches", "choose_sampler", "resample", "uniform_batches"]


def resample(s, size, random_state) -> np.ndarray:
    """Rows drawn by their weights, each as often as its share of ``size`` says, up to one."""
    until = np.cumsum(s)
    at = (np.arange(size) + random_state.uniform()) * (until[-1] / size)
    return np.minimum(np.searchsorted(until, at, side="right"), len(s) - 1)


def _visits(s, random_state):
    """The rows of one pass: every row once, or as often as its weight says."""
    if s.min() == s.max():
        return random_state.permutation(len(s))
    return random_state.permutation(resample(s, len(s), random_state))


def uniform_batches(s, batch_size, random_state) -> list[np.ndarray]:
    """Batches of nearly equal sizes that together visit every row."""
    visits, n_batches = _visits(s, random_state), max(1, -(-len(s) // batch_size))
    ends = [k * len(s) // n_batches for k in range(n_batches + 1)]
    return [visits[ends[k] : ends[k + 1]] for k in range(n_batches)]


def balanced_batches(labels, s, n_classes, batch_size, mates, random_state):
    """Batches of up to ``mates`` rows of each of several classes, all classes equally often.

    Parameters
    ----------
    labels : ndarray of intp of shape (n,)
        Class indices.
    s : ndarray of shape (n,)
        Weights of rows within their class.
    n_classes, batch_size, mates : int
    random_state : RandomState

    Yields
    ------
    ndarray of intp
        Row numbers, class by class.
    """
    visits = _visits(s, random_state)
    visits = visits[np.argsort(labels[visits], kind="stable")]
    sizes = np.bincount(labels[visits], minlength=n_classes)
    first = np.cumsum(sizes) - sizes
    cursor = np.zeros(n_classes, dtype=np.intp)
    present = np.flatnonzero(sizes)
    per_batch = min(max(2, batch_size // mates), len(present))
    queue, done, offsets = present[:0], 0, np.arange(mates)
    while done < len(visits):
        if len(queue) < per_batch:
            queue = random_state.permutation(present)
        classes, queue = queue[:per_batch], queue[per_batch:]
        # The next rows of each class, from the first again after the last, none twice.
        turn = (cursor[classes][:, None] + offsets) % sizes[classes][:, None]
        rows = visits[first[classes][:, None] + turn]
        batch = rows[offsets < sizes[classes][:, None]]
        cursor[classes] += mates
        done += max(len(batch), 1)
        yield batch


def choose_sampler(loss, labels, n_classes, batch_size) -> str:
    """ "balanced" if the loss asks for it, or if uniform batches had too few rows of a class."""
    if loss.sampler == "balanced":
        return "balanced"
    if loss.rows_per_class == 1:
        return "uniform"
    share = np.bincount(labels, minlength=n_classes) / len(labels)
    return "balanced" if batch_size * float(share @ share) < loss.rows_per_class else "uniform"
