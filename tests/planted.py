"""Models with coefficients that no fit found, for tests of what becomes of fitted models."""

import numpy as np
from sklearn.base import is_classifier

from sklearn_margin import (
    LinearEmbedding,
    LinearRanker,
    OrdinalClassifier,
    QuantileRegressor,
    RankSVM,
)

D = 4  # features


def planted(model, labels=None, seed=0):
    """The model with all that a fit to these labels would set, and random coefficients.

    What is done with a model asks what is there, not why; and nothing is compiled.
    """
    rng = np.random.default_rng(seed)
    model.n_features_in_ = D
    if isinstance(model, LinearEmbedding):
        model.components_, model.auxiliary_ = rng.normal(size=(2, D)), {}
        return model
    if is_classifier(model):
        n_classes = len(labels)
        model.classes_ = labels
        model._loss_of_fit = model._loss().for_classes(n_classes)
        shape = (1 if n_classes == 2 else n_classes,)
    else:
        shape = (len(model.quantile),) if getattr(model, "_has_several", False) else ()
        if isinstance(model, QuantileRegressor):
            model._quantiles = np.array(model._quantile_list())
    if isinstance(model, OrdinalClassifier):
        model.coef_ = rng.normal(size=(1, D))
        model.thresholds_ = np.sort(rng.normal(size=len(labels) - 1))
        return model
    model.coef_ = rng.normal(size=(*shape, D))
    if not isinstance(model, (LinearRanker, RankSVM)):
        model.intercept_ = rng.normal(size=shape)
    return model
