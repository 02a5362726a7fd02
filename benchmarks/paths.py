"""Row 23 of the targets: 20 alphas in a row, beside one fit at the smallest of them.

A contestant reaches a level when all of its models do. Alphas are those of the first grid of ours,
from where all coefficients are zero (with L1) or matter little, down to a thousandth of that, on
sparse data a hundredth.
"""

from dataclasses import replace
from functools import partial

import numpy as np

from benchmarks import data
from benchmarks.data import Problem
from benchmarks.harness import THREADS, Case, Contestant
from benchmarks.peers.common import TOLERANCES
from benchmarks.race import OUR_TOLERANCES, TIGHT, Spec, companion, fit_ours, shape, yardstick
from sklearn_margin import LinearClassifier, LinearRegressor, regularization_path
from sklearn_margin.losses import Hinge, Logistic, Squared
from sklearn_margin.losses.pointwise import RegressionLoss

N_ALPHAS = 20
FITS = 6  # single fits that a path may cost
SINGLE = "one fit at the smallest alpha"


def _path(p, tol, alphas=None, span=1e-3):
    kind = LinearRegressor if isinstance(p.loss, RegressionLoss) else LinearClassifier
    model = kind(
        loss=p.loss, l1_ratio=p.l1_ratio, fit_intercept=p.fit_intercept, tol=tol, n_jobs=THREADS
    )
    return regularization_path(model, p.X, p.y, alphas=alphas, n_alphas=N_ALPHAS, alpha_ratio=span)


def path(n, make, loss, l1_ratio, others, title, fit_intercept=True, span=1e-3):
    """The largest relative error over the path, plus one, is what is minimised."""
    X, y = make(n)
    p = Problem(X, y, loss, 1.0, l1_ratio=l1_ratio, fit_intercept=fit_intercept)
    first = _path(p, TIGHT, span=span)
    problems = [replace(p, alpha=float(alpha)) for alpha in first.alphas]
    tight = list(zip(first.coefs, first.intercepts, strict=True))
    least = [q.value(solution) for q, solution in zip(problems, tight, strict=True)]

    def objective(solutions):
        if len(solutions) == 1:  # of the one fit
            return problems[-1].value(solutions[0]) / least[-1]
        values = [q.value(s) for q, s in zip(problems, solutions, strict=True)]
        return float(max(value / best for value, best in zip(values, least, strict=True)))

    def ours(tol):
        found = _path(p, tol, first.alphas)
        return list(zip(found.coefs, found.intercepts, strict=True))

    contestants = [Contestant("sklearn_margin", ours, OUR_TOLERANCES[:6])]
    single = partial(fit_ours, problems[-1])
    contestants.append(companion(SINGLE, lambda tol: [single(tol)], OUR_TOLERANCES[:6]))
    contestants += [other(problems) for other in others]
    title = f"path of {N_ALPHAS} alphas, {title} {shape(X)}"
    return Case(title, objective, contestants, lambda: tight, yardstick(X))


# --- peers: each gets the problems of a path, and returns a solution for each ---


def warm_logistic(problems, solver):
    """LogisticRegression, each fit started from the one before."""

    def fit(tol):
        from sklearn.linear_model import LogisticRegression

        p = problems[0]
        model = LogisticRegression(
            l1_ratio=p.l1_ratio, solver=solver, tol=tol, max_iter=10_000, warm_start=True,
            fit_intercept=p.fit_intercept, random_state=0,
        )  # fmt: skip
        found = []
        for q in problems:
            model.set_params(C=q.C).fit(q.X, q.y)
            found.append((model.coef_.copy(), np.copy(model.intercept_)))
        return found

    return Contestant(f"LogisticRegression {solver}", fit, TOLERANCES, "scikit-learn")


def glum_path(problems):
    """glum's own search of alphas; half of ours for r², of which it has the half."""
    p = problems[0]
    logistic = isinstance(p.loss, Logistic)
    factor = 1.0 if logistic else 0.5

    def fit(tol):
        from glum import GeneralizedLinearRegressor

        model = GeneralizedLinearRegressor(
            family="binomial" if logistic else "normal", l1_ratio=p.l1_ratio, gradient_tol=tol,
            alphas=np.array([factor * q.alpha for q in problems]), alpha_search=True, max_iter=1000,
            fit_intercept=p.fit_intercept,
        )  # fmt: skip
        model.fit(p.X, (p.y > 0).astype(float) if logistic else p.y)
        return list(zip(model.coef_path_, model.intercept_path_, strict=True))

    return Contestant("glum", fit, TOLERANCES, "glum")


def lasso_path(problems):
    """Scikit-learn's path of the Lasso; its loss is ½r², ours r²: half of our alphas."""
    alphas = [q.alpha / 2 for q in problems]

    def fit(tol):
        from sklearn.linear_model import lasso_path

        _, coefs, _ = lasso_path(problems[0].X, problems[0].y, alphas=alphas, tol=tol)
        return [(w, 0.0) for w in coefs.T]

    return Contestant("lasso_path", fit, TOLERANCES, "scikit-learn")


def _specs():
    lbfgs, saga = (partial(warm_logistic, solver=name) for name in ("lbfgs", "saga"))
    dense, targets = partial(data.labels, d=50), partial(data.targets, d=50)
    l1 = [glum_path, saga]
    kinds = {
        "l1-logistic-dense": (dense, Logistic(), 1.0, l1, "L1 logistic, dense", 50_000),
        "logistic-dense": (dense, Logistic(), 0.0, [lbfgs, glum_path], "logistic, dense", 50_000),
        "hinge-dense": (dense, Hinge(), 0.0, [], "hinge, dense", 50_000),
        "lasso-dense": (targets, Squared(), 1.0, [lasso_path, glum_path],
                        "Lasso, dense", 50_000),
        "l1-logistic-sparse": (data.text, Logistic(), 1.0, [], "L1 logistic, sparse", 10_000),
    }  # fmt: skip
    specs = {}
    for name, (make, loss, l1_ratio, others, title, size) in kinds.items():
        build = partial(
            path, make=make, loss=loss, l1_ratio=l1_ratio, others=others, title=title,
            fit_intercept="lasso" not in name,
            span=1e-2 if "sparse" in name else 1e-3,
        )  # fmt: skip
        specs[f"path-{name}"] = Spec(23, build, size, 1_000, companion=FITS)
    return specs


SPECS = _specs()
