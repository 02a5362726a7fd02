"""Adapters: a problem in, a contestant out, with the peer's parameters for *our* objective.

A peer is imported when it runs, so that one that is not installed is no error. Dual coordinate
descent and other methods that may not reach any tolerance climb a ladder of epochs, which is
their tolerance ladder cut finer: a peer that would stop at a tolerance reaches the same point.
What a peer needs to bring the data into its own form is part of its time, as it is of ours.

LIBLINEAR, ReHLine and Snap ML make the intercept the coefficient of a constant feature of size 1
and penalise it like the others. Here its penalty is less than the levels that count: alpha is
tiny, and the error of the objective is of the order of its square. A larger constant would make
the error smaller yet, and these peers slower.
"""

from benchmarks.peers.liblinear import liblinear
from benchmarks.peers.linear import (
    celer,
    celer_lasso,
    cyanure,
    glum,
    rehline,
    skglm,
    skglm_huber,
    skglm_lasso,
    snapml,
)
from benchmarks.peers.quantile import (
    five_pinball,
    pdlp,
    pinball,
    pyqreg,
    quantile_regressor,
    quantreg,
)
from benchmarks.peers.ranking import explicit_pairs, survival_svm, xgb_ranker
from benchmarks.peers.scikit_learn import (
    crammer_singer,
    elastic_net,
    huber_regressor,
    linear_svc,
    linear_svr,
    logistic_regression,
    sgd_classifier,
)
from benchmarks.peers.vowpal_wabbit import vowpal_wabbit

__all__ = [
    "celer",
    "celer_lasso",
    "crammer_singer",
    "cyanure",
    "elastic_net",
    "explicit_pairs",
    "five_pinball",
    "glum",
    "huber_regressor",
    "liblinear",
    "linear_svc",
    "linear_svr",
    "logistic_regression",
    "pdlp",
    "pinball",
    "pyqreg",
    "quantile_regressor",
    "quantreg",
    "rehline",
    "sgd_classifier",
    "skglm",
    "skglm_huber",
    "skglm_lasso",
    "snapml",
    "survival_svm",
    "vowpal_wabbit",
    "xgb_ranker",
]
