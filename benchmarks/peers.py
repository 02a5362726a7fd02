"""Adapters: a problem in, a contestant out, with the peer's parameters for *our* objective.

A peer is imported when it runs, so that one that is not installed is no error. Dual coordinate
descent and other methods that may not reach any tolerance climb a ladder of epochs, which is
their tolerance ladder cut finer: a peer that would stop at a tolerance reaches the same point.

LIBLINEAR, ReHLine and Snap ML make the intercept the coefficient of a constant feature of size 1
and penalise it like the others. Here its penalty is less than the levels that count: alpha is
tiny, and the error of the objective is of the order of its square. A larger constant would make
the error smaller yet, and these peers slower.
"""

import numpy as np
import scipy.sparse as sp

from benchmarks.data import Problem
from benchmarks.harness import THREADS, Contestant
from sklearn_margin.losses import Absolute, Hinge, Huber, PairwiseHinge, Quantile

TOLERANCES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8)
EPOCHS = tuple(2**k for k in range(17))
PENALISED = "penalises its intercept"


def solution(model):
    """Coefficients and intercept of a fitted estimator."""
    return model.coef_, model.intercept_


def _intercept_note(p):
    return PENALISED if p.fit_intercept else ""


# --- scikit-learn ---


def linear_svc(p: Problem, dual: bool) -> Contestant:
    """LIBLINEAR: coordinate descent on the dual, or a trust-region Newton on the primal."""
    from sklearn.svm import LinearSVC

    loss = "hinge" if isinstance(p.loss, Hinge) else "squared_hinge"
    penalty = "l1" if p.l1_ratio else "l2"

    def fit(rung):
        stop = {"tol": 1e-10, "max_iter": rung} if dual else {"tol": rung, "max_iter": 10_000}
        model = LinearSVC(
            penalty=penalty, loss=loss, C=p.C, dual=dual, fit_intercept=p.fit_intercept,
            random_state=0, **stop,
        )  # fmt: skip
        return solution(model.fit(p.X, p.y))

    name = "LinearSVC"
    if loss != "hinge" and penalty != "l1":
        name += " dual" if dual else " primal"
    rungs = EPOCHS if dual else TOLERANCES
    return Contestant(name, fit, rungs, "scikit-learn", _intercept_note(p))


def crammer_singer(p: Problem) -> Contestant:
    """LIBLINEAR's sequential dual method for the loss of Crammer and Singer."""
    from sklearn.svm import LinearSVC

    def fit(epochs):
        model = LinearSVC(
            multi_class="crammer_singer", C=p.C, tol=1e-10, max_iter=epochs,
            fit_intercept=p.fit_intercept, random_state=0,
        )  # fmt: skip
        return solution(model.fit(p.X, p.y))

    return Contestant("LinearSVC", fit, EPOCHS, "scikit-learn", _intercept_note(p))


def linear_svr(p: Problem) -> Contestant:
    """LIBLINEAR's support vector regression with no insensitive zone: absolute error."""
    from sklearn.svm import LinearSVR

    def fit(epochs):
        model = LinearSVR(
            epsilon=0.0, C=p.C, tol=1e-10, max_iter=epochs, random_state=0,
            fit_intercept=p.fit_intercept,
        )  # fmt: skip
        return solution(model.fit(p.X, p.y))

    return Contestant("LinearSVR", fit, EPOCHS, "scikit-learn", _intercept_note(p))


def logistic_regression(p: Problem, solver: str) -> Contestant:
    """Scikit-learn's LogisticRegression."""
    from sklearn.linear_model import LogisticRegression

    def fit(tol):
        model = LogisticRegression(
            C=p.C, l1_ratio=p.l1_ratio, solver=solver, tol=tol, max_iter=10_000,
            fit_intercept=p.fit_intercept, random_state=0,
        )  # fmt: skip
        return solution(model.fit(p.X, p.y))

    note = _intercept_note(p) if solver == "liblinear" else ""
    name = f"LogisticRegression {solver}"
    return Contestant(name, fit, TOLERANCES, "scikit-learn", note)


def sgd_classifier(p: Problem, average: bool = False) -> Contestant:
    """Scikit-learn's stochastic gradient descent; its ladder is the number of epochs."""
    from sklearn.linear_model import SGDClassifier

    loss = "hinge" if isinstance(p.loss, Hinge) else "log_loss"

    def fit(epochs):
        model = SGDClassifier(
            loss=loss, alpha=p.alpha, max_iter=epochs, tol=None, average=average,
            fit_intercept=p.fit_intercept, random_state=0,
        )  # fmt: skip
        return solution(model.fit(p.X, p.y))

    name = "SGDClassifier averaged" if average else "SGDClassifier"
    return Contestant(name, fit, (1, 3, 10, 30, 100), "scikit-learn")


def huber_regressor(X, y, epsilon, alpha) -> Contestant:
    """Scikit-learn's HuberRegressor: it minimises our function times 2n."""
    from sklearn.linear_model import HuberRegressor

    def fit(tol):
        model = HuberRegressor(epsilon=epsilon, alpha=alpha * len(y), tol=tol, max_iter=10_000)
        model.fit(X, y)
        return model.coef_, model.intercept_, model.scale_

    # Its tolerance is on the gradient of a sum over the rows.
    return Contestant("HuberRegressor", fit, (1e4, 1e3, 1e2, 1e1, 1e0, *TOLERANCES), "scikit-learn")


def quantile_regressor(p: Problem) -> Contestant:
    """Scikit-learn's QuantileRegressor, without a penalty: a linear program, solved exactly."""
    from sklearn.linear_model import QuantileRegressor

    level = p.loss.quantile if isinstance(p.loss, Quantile) else 0.5

    def fit(_):
        model = QuantileRegressor(quantile=level, alpha=0.0, solver="highs")
        return solution(model.fit(p.X, p.y))

    note = "no penalty: its own would be L1"
    return Contestant("QuantileRegressor HiGHS", fit, ("exact",), "scikit-learn", note)


# --- others ---


def quantreg(p: Problem) -> Contestant:
    """Iteratively reweighted least squares of statsmodels."""
    level = p.loss.quantile if isinstance(p.loss, Quantile) else 0.5

    def fit(tol):
        from statsmodels.regression.quantile_regression import QuantReg

        X = np.column_stack([np.ones(len(p.y)), p.X])
        params = QuantReg(p.y, X).fit(q=level, p_tol=tol).params
        return params[1:], params[0]

    note = "no penalty" if p.alpha else ""
    return Contestant("statsmodels QuantReg", fit, TOLERANCES, "statsmodels", note)


def rehline(p: Problem) -> Contestant:
    """ReHLine: coordinate descent on the dual of any piecewise linear or quadratic loss."""
    if isinstance(p.loss, Hinge):
        loss = {"name": "svm"}
    elif isinstance(p.loss, Quantile):
        loss = {"name": "QR", "qt": p.loss.quantile}
    elif isinstance(p.loss, Absolute):
        loss = {"name": "MAE"}
    elif isinstance(p.loss, Huber):
        loss = {"name": "huber", "tau": p.loss.delta}
    else:
        raise TypeError(f"no such loss in ReHLine: {p.loss!r}")

    def fit(epochs):
        from rehline import plq_Ridge_Classifier, plq_Ridge_Regressor

        kind = plq_Ridge_Classifier if isinstance(p.loss, Hinge) else plq_Ridge_Regressor
        model = kind(loss=loss, C=p.C, tol=1e-10, max_iter=epochs, fit_intercept=p.fit_intercept)
        return solution(model.fit(p.X, p.y))

    return Contestant("ReHLine", fit, EPOCHS, "rehline", _intercept_note(p))


def snapml(p: Problem) -> Contestant:
    """Snap ML: parallel coordinate descent on the dual; works in float32."""

    def fit(epochs):
        from snapml import LogisticRegression, SupportVectorMachine

        options = {
            "regularizer": p.alpha * len(p.y), "max_iter": epochs, "tol": 1e-10,
            "n_jobs": THREADS, "fit_intercept": p.fit_intercept, "random_state": 0,
        }  # fmt: skip
        if isinstance(p.loss, Hinge):
            model = SupportVectorMachine(loss="hinge", **options)
        else:
            model = LogisticRegression(**options)
        # It knows matrices but not sparse arrays.
        X = sp.csr_matrix(p.X) if sp.issparse(p.X) else p.X
        return solution(model.fit(X, p.y))

    return Contestant("Snap ML", fit, EPOCHS, "snapml", _intercept_note(p))


def cyanure(p: Problem) -> Contestant:
    """Cyanure: accelerated incremental methods with a quasi-Newton outer loop, by a gap."""

    def fit(tol):
        from cyanure.estimators import LogisticRegression

        model = LogisticRegression(
            penalty="l2", lambda_1=p.alpha, tol=tol, max_iter=10_000, n_threads=THREADS,
            fit_intercept=p.fit_intercept,
        )  # fmt: skip
        return solution(model.fit(p.X, p.y))

    return Contestant("cyanure", fit, TOLERANCES, "cyanure")


def skglm(p: Problem) -> Contestant:
    """skglm: working sets and proximal Newton for L1; compilation not counted."""

    def fit(tol):
        from skglm import SparseLogisticRegression

        model = SparseLogisticRegression(
            alpha=p.alpha, l1_ratio=p.l1_ratio, tol=tol, max_iter=100,
            fit_intercept=p.fit_intercept,
        )  # fmt: skip
        return solution(model.fit(p.X, p.y))

    return Contestant("skglm", fit, TOLERANCES, "skglm")


# --- ranking ---


def survival_svm(p: Problem, tree: str) -> Contestant:
    """scikit-survival's RankSVM, for one query. It minimises ½‖w‖² + A/2·Σ over all pairs.

    Rows of equal label are pairs, too, in an order at random: another objective than ours unless
    all labels differ.
    """
    n = len(p.y)
    factor = 2 / (p.alpha * n * (n - 1) / 2)

    def fit(tol):
        from sksurv.svm import FastSurvivalSVM
        from sksurv.util import Surv

        model = FastSurvivalSVM(
            alpha=factor, rank_ratio=1.0, optimizer=tree, tol=tol, max_iter=1000, random_state=0
        )
        time = p.y - p.y.min() + 1  # survival times are positive; only their order counts
        model.fit(p.X, Surv.from_arrays(np.ones(n, bool), time))
        return model.coef_, 0.0

    name, package = f"FastSurvivalSVM {tree}", "scikit-survival"
    if len(np.unique(p.y)) == n:
        return Contestant(name, fit, TOLERANCES, package)
    return Contestant(name, fit, (1e-4,), package, "breaks ties at random", comparable=False)


def explicit_pairs(p: Problem, dual: bool) -> Contestant:
    """LinearSVC on the differences of all pairs, which are built on the way."""
    from sklearn.svm import LinearSVC

    loss = "hinge" if isinstance(p.loss, PairwiseHinge) else "squared_hinge"

    def fit(rung):
        D = _pair_differences(p.X, p.y, p.groups)
        sign = np.where(np.arange(len(D)) % 2, 1.0, -1.0)  # LinearSVC wants two classes
        D *= sign[:, None]
        stop = {"tol": 1e-10, "max_iter": rung} if dual else {"tol": rung, "max_iter": 10_000}
        model = LinearSVC(
            loss=loss, C=1 / (p.alpha * len(D)), dual=dual, fit_intercept=False, random_state=0,
            **stop,
        )  # fmt: skip
        return model.fit(D, sign).coef_, 0.0

    name = f"pairs + LinearSVC {'dual' if dual else 'primal'}"
    return Contestant(name, fit, EPOCHS if dual else TOLERANCES, "scikit-learn")


def _pair_differences(X, y, groups):
    """Rows better − worse of all pairs of a group; groups are sorted and of equal size."""
    size = np.searchsorted(groups, groups[0], side="right")
    i, j = np.triu_indices(size, 1)
    start = np.arange(0, len(y), size)[:, None]
    i, j = (start + i).ravel(), (start + j).ravel()
    order = np.sign(y[i] - y[j])
    i, j, order = i[order != 0], j[order != 0], order[order != 0]
    D = X[i]
    D -= X[j]
    D *= order[:, None]
    return D


def xgb_ranker(p: Problem) -> Contestant:
    """XGBoost's linear booster with a pairwise logistic loss: another objective."""

    def fit(rounds):
        from xgboost import XGBRanker

        model = XGBRanker(
            booster="gblinear", objective="rank:pairwise", n_estimators=rounds, n_jobs=THREADS
        )
        groups = np.zeros(len(p.y), int) if p.groups is None else p.groups
        return model.fit(p.X, p.y, qid=groups).coef_, 0.0

    note = "pairwise logistic loss of sampled pairs"
    return Contestant("XGBRanker gblinear", fit, (10, 100), "xgboost", note, comparable=False)
