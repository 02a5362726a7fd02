"""Pictures of rankings, of embeddings and of what their losses look at; they need matplotlib."""

from sklearn_margin.plotting.embedding import EmbeddingDisplay, HardnessDisplay
from sklearn_margin.plotting.ranking import RankingDisplay

__all__ = ["EmbeddingDisplay", "HardnessDisplay", "RankingDisplay"]
