"""What is measured."""

from functools import partial

import numpy as np
from sklearn.linear_model import HuberRegressor as SklearnHuber
from sklearn.linear_model import LogisticRegression, SGDClassifier

from benchmarks.harness import Case, Contestant, mean_loss
from sklearn_margin import HuberRegressor, LinearClassifier
from sklearn_margin.losses import Hinge, Logistic
from sklearn_margin.solvers import SGD

TOLERANCES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8)


def dense(n, d, seed=0):
    """Gaussian features with scores of unit variance."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    return X, X @ rng.standard_normal(d) / np.sqrt(d), rng


def _solution(model):
    return model.coef_, model.intercept_


def _yardstick(X):
    w, r = np.ones(X.shape[1]), np.ones(X.shape[0])
    return lambda: (X @ w, X.T @ r)


def classification(loss, n, d, C=1.0):
    """Binary classification: scikit-learn's SGD and best exact solver against ours."""
    X, z, rng = dense(n, d)
    y = np.where(z + 0.5 * rng.logistic(size=n) > 0, 1.0, -1.0)
    alpha = 1 / (C * n)
    value = {"hinge": Hinge(), "logistic": Logistic()}[loss]
    epochs = (1, 3, 10, 30, 100)

    def ours(solver, **ladder):
        return lambda rung: _solution(
            LinearClassifier(
                loss=loss, alpha=alpha, solver=solver, random_state=0, n_jobs=2,
                **{name: scale(rung) for name, scale in ladder.items()},
            ).fit(X, y)
        )  # fmt: skip

    def sgd(epochs, average):
        model = SGDClassifier(
            loss="log_loss" if loss == "logistic" else loss, alpha=alpha, average=average,
            max_iter=epochs, tol=None, random_state=0,
        )  # fmt: skip
        return _solution(model.fit(X, y))

    contestants = [
        Contestant("sklearn_margin auto", ours("auto", tol=float), TOLERANCES),
        Contestant(
            "sklearn_margin sgd",
            ours(SGD(n_iter_no_change=1000), max_iter=int, tol=lambda _: 0.0),
            epochs,
        ),
        Contestant("SGDClassifier", partial(sgd, average=False), epochs, "scikit-learn"),
        Contestant("SGDClassifier averaged", partial(sgd, average=True), epochs, "scikit-learn"),
    ]
    if loss == "logistic":
        contestants += [
            Contestant(
                f"LogisticRegression {solver}",
                lambda tol, solver=solver: _solution(
                    LogisticRegression(C=C, tol=tol, solver=solver, max_iter=1000).fit(X, y)
                ),
                TOLERANCES,
                "scikit-learn",
            )
            for solver in ("lbfgs", "newton-cholesky")
        ]
    objective = mean_loss(lambda w, b: value.value(y, X @ w + b), alpha)
    title = f"{loss}, dense {n:,} × {d}, C = {C:g}"
    return Case(f"{loss}-dense", title, objective, contestants, _yardstick(X))


def huber(n, d):
    """Huber regression with joint scale: scikit-learn's against ours."""
    X, z, rng = dense(n, d)
    y = z + 0.5 * rng.standard_t(2, size=n)
    alpha = 1e-4

    def theirs(tol):
        model = SklearnHuber(alpha=alpha * n, tol=tol, max_iter=1000).fit(X, y)
        return model.coef_, model.intercept_, model.scale_

    def ours(tol):
        model = HuberRegressor(alpha=alpha, tol=tol, n_jobs=2).fit(X, y)
        return model.coef_, model.intercept_, model.scale_

    def objective(solution):
        coef, intercept, scale = solution
        r = np.abs(y - X @ coef - intercept) / scale
        rho = np.where(r <= 1.35, 0.5 * r**2, 1.35 * (r - 0.5 * 1.35))
        return scale * (0.5 + rho.mean()) + 0.5 * alpha * coef @ coef

    contestants = [
        Contestant("sklearn_margin", ours, TOLERANCES),
        Contestant("HuberRegressor", theirs, (1e-1, 1e-2, *TOLERANCES), "scikit-learn"),
    ]
    title = f"Huber with joint scale, dense {n:,} × {d}"
    return Case("huber-dense", title, objective, contestants, _yardstick(X))


def cases(quick: bool) -> dict:
    """Constructors by name."""
    n = 20_000 if quick else 200_000
    return {
        "hinge-dense": lambda: classification("hinge", n, 50),
        "logistic-dense": lambda: classification("logistic", n, 50),
        "huber-dense": lambda: huber(n, 50),
    }
