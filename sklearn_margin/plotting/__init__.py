"""Pictures of losses, fits, coefficients, rankings and embeddings; they need matplotlib."""

from sklearn_margin.plotting.coefficients import CoefficientDisplay
from sklearn_margin.plotting.convergence import ConvergenceDisplay
from sklearn_margin.plotting.embedding import EmbeddingDisplay, HardnessDisplay
from sklearn_margin.plotting.loss import LossDisplay
from sklearn_margin.plotting.path import PathDisplay
from sklearn_margin.plotting.ranking import RankingDisplay
from sklearn_margin.plotting.search import AlphaSearchDisplay

__all__ = [
    "AlphaSearchDisplay",
    "CoefficientDisplay",
    "ConvergenceDisplay",
    "EmbeddingDisplay",
    "HardnessDisplay",
    "LossDisplay",
    "PathDisplay",
    "RankingDisplay",
]
