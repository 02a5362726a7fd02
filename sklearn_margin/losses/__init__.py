"""Losses: what is minimised."""

from sklearn_margin.losses.base import (
    BinaryLoss,
    Loss,
    PairwiseLoss,
    PointwiseLoss,
    RegressionLoss,
)
from sklearn_margin.losses.binary import (
    Hinge,
    Logistic,
    ModifiedHuber,
    SmoothedHinge,
    SquaredHinge,
)
from sklearn_margin.losses.embedding import EmbeddingLoss
from sklearn_margin.losses.embedding_class import GE2E, ArcFace
from sklearn_margin.losses.embedding_cosine import Circle, InfoNCE, MultipleNegativesRanking
from sklearn_margin.losses.embedding_distance import Contrastive, Triplet
from sklearn_margin.losses.pairwise import PairwiseHinge, PairwiseSquaredHinge
from sklearn_margin.losses.regression import (
    Absolute,
    EpsilonInsensitive,
    Huber,
    Quantile,
    Squared,
    SquaredEpsilonInsensitive,
)

__all__ = [
    "GE2E",
    "Absolute",
    "ArcFace",
    "BinaryLoss",
    "Circle",
    "Contrastive",
    "EmbeddingLoss",
    "EpsilonInsensitive",
    "Hinge",
    "Huber",
    "InfoNCE",
    "Logistic",
    "Loss",
    "ModifiedHuber",
    "MultipleNegativesRanking",
    "PairwiseHinge",
    "PairwiseLoss",
    "PairwiseSquaredHinge",
    "PointwiseLoss",
    "Quantile",
    "RegressionLoss",
    "SmoothedHinge",
    "Squared",
    "SquaredEpsilonInsensitive",
    "SquaredHinge",
    "Triplet",
]
