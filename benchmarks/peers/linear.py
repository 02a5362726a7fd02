"""Other packages for classification and for penalised regression."""

import scipy.sparse as sp

from benchmarks.data import Problem
from benchmarks.harness import THREADS, Contestant
from benchmarks.peers.common import EPOCHS, TOLERANCES, intercept_note, solution
from sklearn_margin.losses import Absolute, Hinge, Huber, Logistic, Quantile


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

    return Contestant("ReHLine", fit, EPOCHS, "rehline", intercept_note(p))


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

    return Contestant("Snap ML", fit, EPOCHS, "snapml", intercept_note(p))


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


def skglm_lasso(p: Problem) -> Contestant:
    """skglm's Lasso and ElasticNet; their loss is ½r², ours r²: half of our alpha."""

    def fit(tol):
        from skglm import ElasticNet

        model = ElasticNet(
            alpha=p.alpha / 2, l1_ratio=p.l1_ratio, tol=tol, max_iter=200,
            fit_intercept=p.fit_intercept,
        )  # fmt: skip
        return solution(model.fit(p.X, p.y))

    return Contestant("skglm", fit, TOLERANCES, "skglm")


def skglm_huber(p: Problem) -> Contestant:
    """skglm's coordinate descent for Huber's loss, of which it takes the mean as we do."""

    def fit(tol):
        from skglm import GeneralizedLinearEstimator
        from skglm.datafits import Huber
        from skglm.penalties import L1
        from skglm.solvers import AndersonCD

        solver = AndersonCD(tol=tol, fit_intercept=p.fit_intercept)
        model = GeneralizedLinearEstimator(Huber(p.loss.delta), L1(p.alpha), solver)
        return solution(model.fit(p.X, p.y))

    return Contestant("skglm", fit, TOLERANCES, "skglm")


def celer(p: Problem) -> Contestant:
    """celer's logistic regression: working sets and dual extrapolation; Σ loss + ‖w‖₁/C."""

    def fit(tol):
        from celer import LogisticRegression

        model = LogisticRegression(C=p.C, tol=tol, max_iter=200)
        model.fit(sp.csc_matrix(p.X) if sp.issparse(p.X) else p.X, p.y)
        return solution(model)

    return Contestant("celer", fit, TOLERANCES, "celer")


def celer_lasso(p: Problem) -> Contestant:
    """celer's Lasso and elastic net; their loss is ½r², ours r²: half of our alpha."""

    def fit(tol):
        from celer import ElasticNet, Lasso

        options = {"alpha": p.alpha / 2, "tol": tol, "max_iter": 200}
        if p.l1_ratio == 1:
            model = Lasso(fit_intercept=p.fit_intercept, **options)
        else:
            model = ElasticNet(l1_ratio=p.l1_ratio, fit_intercept=p.fit_intercept, **options)
        return solution(model.fit(p.X, p.y))

    return Contestant("celer", fit, TOLERANCES, "celer")


def glum(p: Problem) -> Contestant:
    """glum: Newton's method, by coordinate descent on the Gram matrix if there is L1.

    It minimises half the mean deviance plus our penalty: for ±1 that is our logistic loss, and for
    numbers ½r², where ours is r²: half of our alpha.
    """
    logistic = isinstance(p.loss, Logistic)

    def fit(tol):
        from glum import GeneralizedLinearRegressor

        model = GeneralizedLinearRegressor(
            family="binomial" if logistic else "normal", l1_ratio=p.l1_ratio,
            alpha=p.alpha if logistic else p.alpha / 2, gradient_tol=tol, max_iter=1000,
            fit_intercept=p.fit_intercept,
        )  # fmt: skip
        return solution(model.fit(p.X, (p.y > 0).astype(float) if logistic else p.y))

    return Contestant("glum", fit, TOLERANCES, "glum")
