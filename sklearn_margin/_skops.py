"""Names of the types that files of skops hold of models."""

from sklearn_margin import losses
from sklearn_margin._calibration import Sigmoid
from sklearn_margin.classification import HingeClassifier, LinearClassifier
from sklearn_margin.embedding import LinearEmbedding
from sklearn_margin.losses._ordinal import CumulativeLogistic, ThresholdLoss
from sklearn_margin.losses.cross_entropy import SmoothedLabels
from sklearn_margin.losses.dice import DiceOfClasses
from sklearn_margin.losses.multiclass import TwoClasses
from sklearn_margin.losses.probability import Softmax
from sklearn_margin.ordinal import OrdinalClassifier
from sklearn_margin.quantile import QuantileRegressor
from sklearn_margin.ranking import LinearRanker, RankSVM
from sklearn_margin.regression import HuberRegressor, LinearRegressor
from sklearn_margin.solvers import SOLVERS
from sklearn_margin.solvers._stochastic import SGDState
from sklearn_margin.solvers._streaming import DistanceState
from sklearn_margin.solvers.adam import AdamState

__all__ = ["SKOPS_TRUSTED"]

_ESTIMATORS = [
    HingeClassifier, HuberRegressor, LinearClassifier, LinearEmbedding, LinearRanker,
    LinearRegressor, OrdinalClassifier, QuantileRegressor, RankSVM,
]  # fmt: skip
_INNER = [
    AdamState, CumulativeLogistic, DiceOfClasses, DistanceState, SGDState, Sigmoid, SmoothedLabels,
    Softmax, ThresholdLoss, TwoClasses,
]  # fmt: skip
_LOSSES = [getattr(losses, name) for name in losses.__all__]

#: What to pass to ``skops.io.load(file, trusted=SKOPS_TRUSTED)``: the classes of this library that
#: models hold, and two that hold nothing but data: ``numpy.dtype``, which imputers and encoders of
#: scikit-learn keep, and the sparse matrix that ``sparsify`` makes of coefficients. Loading them
#: runs no code of the file.
SKOPS_TRUSTED: list[str] = sorted(
    [
        "numpy.dtype",
        "scipy.sparse._csr.csr_array",
        *(
            f"{cls.__module__}.{cls.__qualname__}"
            for cls in [*_ESTIMATORS, *_INNER, *_LOSSES, *SOLVERS.values()]
        ),
    ]
)
