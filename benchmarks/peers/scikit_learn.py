"""Scikit-learn, LIBLINEAR within it included."""

from benchmarks.data import Problem
from benchmarks.harness import Contestant
from benchmarks.peers.common import EPOCHS, TOLERANCES, intercept_note, solution
from sklearn_margin.losses import Hinge


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
    return Contestant(name, fit, rungs, "scikit-learn", intercept_note(p))


def crammer_singer(p: Problem) -> Contestant:
    """LIBLINEAR's sequential dual method for the loss of Crammer and Singer.

    It knows a tolerance but no number of epochs.
    """
    from sklearn.svm import LinearSVC

    def fit(tol):
        model = LinearSVC(
            multi_class="crammer_singer", C=p.C, tol=tol, fit_intercept=p.fit_intercept,
            random_state=0,
        )  # fmt: skip
        return solution(model.fit(p.X, p.y))

    return Contestant("LinearSVC", fit, (10.0, 1.0, *TOLERANCES), "scikit-learn", intercept_note(p))


def linear_svr(p: Problem) -> Contestant:
    """LIBLINEAR's support vector regression with no insensitive zone: absolute error."""
    from sklearn.svm import LinearSVR

    def fit(epochs):
        model = LinearSVR(
            epsilon=0.0, C=p.C, tol=1e-10, max_iter=epochs, random_state=0,
            fit_intercept=p.fit_intercept,
        )  # fmt: skip
        return solution(model.fit(p.X, p.y))

    return Contestant("LinearSVR", fit, EPOCHS, "scikit-learn", intercept_note(p))


def logistic_regression(p: Problem, solver: str) -> Contestant:
    """Scikit-learn's LogisticRegression."""
    from sklearn.linear_model import LogisticRegression

    def fit(tol):
        model = LogisticRegression(
            C=p.C, l1_ratio=p.l1_ratio, solver=solver, tol=tol, max_iter=10_000,
            fit_intercept=p.fit_intercept, random_state=0,
        )  # fmt: skip
        return solution(model.fit(p.X, p.y))

    note = intercept_note(p) if solver == "liblinear" else ""
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


def elastic_net(p: Problem) -> Contestant:
    """Scikit-learn's Lasso and ElasticNet; their loss is ½r², ours r²: half of our alpha."""
    from sklearn.linear_model import ElasticNet

    def fit(tol):
        model = ElasticNet(
            alpha=p.alpha / 2, l1_ratio=p.l1_ratio, tol=tol, max_iter=100_000,
            fit_intercept=p.fit_intercept,
        )  # fmt: skip
        return solution(model.fit(p.X, p.y))

    name = "Lasso" if p.l1_ratio == 1 else "ElasticNet"
    return Contestant(name, fit, TOLERANCES, "scikit-learn")
