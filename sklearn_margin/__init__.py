"""Scikit-learn-compatible linear estimators whose loss is the thing you choose."""

from sklearn_margin._skops import SKOPS_TRUSTED
from sklearn_margin.batches import Batches
from sklearn_margin.classification import HingeClassifier, LinearClassifier
from sklearn_margin.embedding import LinearEmbedding
from sklearn_margin.inspection import check_loss
from sklearn_margin.ordinal import OrdinalClassifier
from sklearn_margin.path import regularization_path
from sklearn_margin.quantile import QuantileRegressor
from sklearn_margin.ranking import LinearRanker, RankSVM
from sklearn_margin.regression import HuberRegressor, LinearRegressor
from sklearn_margin.search import AlphaSearchCV

__version__ = "0.1.0.dev0"

__all__ = [
    "SKOPS_TRUSTED",
    "AlphaSearchCV",
    "Batches",
    "HingeClassifier",
    "HuberRegressor",
    "LinearClassifier",
    "LinearEmbedding",
    "LinearRanker",
    "LinearRegressor",
    "OrdinalClassifier",
    "QuantileRegressor",
    "RankSVM",
    "check_loss",
    "regularization_path",
]


def __dir__():
    """What there is to use: modules that only serve the estimators are left out."""
    modules = {"inference", "losses", "metrics", "plotting", "solvers"} & set(globals())
    return sorted([*__all__, *modules, *(name for name in globals() if name.startswith("__"))])
