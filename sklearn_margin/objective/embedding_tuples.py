"""Objectives of linear embeddings over given pairs or triplets."""

import numpy as np

from sklearn_margin.objective.batches import uniform_batches
from sklearn_margin.objective.embedding import EmbeddingObjective

__all__ = ["TupleObjective"]


class TupleObjective(EmbeddingObjective):
    """F over given pairs or triplets: tuple i is made of the rows i, n + i, 2n + i, …

    A loss that has no formula for given tuples sees the rows of a batch with labels that say
    what is known: rows of a similar pair, or anchor and positive, share a label that no other
    row has.

    Parameters
    ----------
    labels : ndarray of bool of shape (n,)
        Whether the pair is similar; True for triplets.
    arity : int
        2 or 3.
    """

    def __init__(self, *args, arity, **settings):
        super().__init__(*args, **settings)
        self.arity = arity
        loss = self.loss
        self.formula = loss.pair_value_gradient
        if arity == 3:
            self.formula = loss.triplet_value_gradient or (self.formula and self._triplets_as_pairs)

    def _triplets_as_pairs(self, A, P, N, s):
        near = np.repeat([True, False], len(A))
        both = np.vstack([A, A]), np.vstack([P, N])
        value, first, second = self.loss.pair_value_gradient(*both, near, np.tile(s, 2))
        return value, first[near] + first[~near], second[near], second[~near]

    def _row_numbers(self, index):
        return np.concatenate([index + k * len(self.s) for k in range(self.arity)])

    def gather(self, index=None):
        return super().gather(None if index is None else self._row_numbers(index))

    def _rows_loss(self, Z, index, auxiliary):
        similar = self.labels if index is None else self.labels[index]
        s = self.s if index is None else np.ones(len(index))
        if self.formula is not None:
            known = (similar, s) if self.arity == 2 else (s,)
            value, *parts = self.formula(*np.split(Z, self.arity), *known)
            return value, np.concatenate(parts)
        return self.function(
            tuple_labels(similar, self.arity), Z, np.tile(s, self.arity), *auxiliary
        )

    def batches(self, random_state):
        return uniform_batches(self.s, self.batch_size, random_state)


def tuple_labels(similar, arity) -> np.ndarray:
    """Labels of the rows of pairs or triplets: the last row of each is alone if not similar."""
    n = len(similar)
    anchor = np.arange(n)
    if arity == 3:
        return np.concatenate([anchor, anchor, n + anchor])
    return np.concatenate([anchor, np.where(similar, anchor, n + anchor)])
