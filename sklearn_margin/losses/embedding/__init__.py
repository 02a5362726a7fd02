"""Losses of embeddings: rows of a batch, compared by their labels."""

from sklearn_margin.losses.embedding.base import EmbeddingLoss
from sklearn_margin.losses.embedding.cosine import Circle, InfoNCE, MultipleNegativesRanking
from sklearn_margin.losses.embedding.distance import Contrastive, Triplet
from sklearn_margin.losses.embedding.neighbours import NCA
from sklearn_margin.losses.embedding.prototypes import GE2E, ArcFace

__all__ = [
    "GE2E",
    "NCA",
    "ArcFace",
    "Circle",
    "Contrastive",
    "EmbeddingLoss",
    "InfoNCE",
    "MultipleNegativesRanking",
    "Triplet",
]
