"""Ranking metrics over query groups, the loss of several quantiles, and scorers made of them.

Every ranking metric takes ``(y_true, y_score, *, groups=None, …, sample_weight=None)`` and shares
these rules, stated once:

* ``y_true`` is the relevance of each row, or *packed* as an (n_samples, 2) array
  ``[relevance, group]``; then `groups` is not needed.
* `groups` has any dtype and need not be sorted or contiguous. None means one group.
* A row of weight 0 counts for nothing, as if it were not there. A metric that averages over the
  groups weighs each by the **mean** weight of its rows: a weight that is constant within groups is
  the weight of the group, and long groups count no more than short ones. `sample_weight` may be a
  number, too, which changes nothing.
* A group without any relevant row scores 0 in the metrics that average over groups.
* `propensity` is of the metrics that are sums over the relevant rows, or over pairs: clicks say
  nothing of average precision and reciprocal rank without a model of what was not seen.
* Invalid input raises ``ValueError`` (or ``TypeError`` for a `k` that is no integer) naming the
  parameter: NaN or infinity, lengths that differ, nothing at all, negative or all-zero weights.
"""

from sklearn_margin.metrics._lists import (
    average_precision_score,
    ndcg_score,
    precision_at_k_score,
    reciprocal_rank_score,
)
from sklearn_margin.metrics._pairs import concordance_index_score, pairwise_accuracy_score
from sklearn_margin.metrics._pinball import pinball_loss
from sklearn_margin.metrics._scorers import make_pinball_scorer, make_ranking_scorer

__all__ = [
    "average_precision_score",
    "concordance_index_score",
    "make_pinball_scorer",
    "make_ranking_scorer",
    "ndcg_score",
    "pairwise_accuracy_score",
    "pinball_loss",
    "precision_at_k_score",
    "reciprocal_rank_score",
]
