"""Objectives: where a loss meets data. The only code that touches both."""

from sklearn_margin.objective.concomitant import ConcomitantHuberObjective
from sklearn_margin.objective.embedding import EmbeddingObjective
from sklearn_margin.objective.embedding_tuples import TupleObjective
from sklearn_margin.objective.multiclass import MulticlassObjective
from sklearn_margin.objective.pairwise import PairwiseObjective
from sklearn_margin.objective.pointwise import PointwiseObjective
from sklearn_margin.objective.rows import Rows

__all__ = [
    "ConcomitantHuberObjective",
    "EmbeddingObjective",
    "MulticlassObjective",
    "PairwiseObjective",
    "PointwiseObjective",
    "Rows",
    "TupleObjective",
]
