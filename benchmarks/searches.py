"""Row 23 of the targets: the choice of alpha by cross-validation, beside one fit.

All search the same 50 alphas, those of our grid, on the same five folds. What is compared is the
table of scores of the rows that were left out, accuracies or mean squares: by how much an entry is
off, at most.
"""

from functools import partial

import numpy as np
from sklearn.model_selection import KFold

from benchmarks import data
from benchmarks.data import Problem
from benchmarks.harness import THREADS, Case, Contestant
from benchmarks.peers.common import TOLERANCES
from benchmarks.race import OUR_TOLERANCES, Spec, companion, fit_ours, shape, yardstick
from sklearn_margin import AlphaSearchCV, LinearClassifier, LinearRegressor, regularization_path
from sklearn_margin.losses import Logistic, Squared

N_ALPHAS, N_FOLDS = 50, 5
FITS = 8  # single fits that a search may cost
LEVELS = (2e-3, 5e-4)  # relative, of a score of rows that were left out
RUNGS = OUR_TOLERANCES[:6]


class Search:
    """What everyone is to do: rows, alphas, and folds."""

    def __init__(self, X, y, loss, l1_ratio):
        self.problem = Problem(X, y, loss, 1.0, l1_ratio=l1_ratio)
        self.folds = list(KFold(N_FOLDS).split(X))
        self.scoring = None if self.is_logistic else "neg_mean_squared_error"
        first = regularization_path(self.model(1e-2), X, y, n_alphas=1).alphas[0]
        self.alphas = np.geomspace(first, 1e-3 * first, N_ALPHAS)

    @property
    def is_logistic(self):
        return isinstance(self.problem.loss, Logistic)

    def model(self, tol, **params):
        """Our estimator."""
        kind = LinearClassifier if self.is_logistic else LinearRegressor
        return kind(self.problem.loss, l1_ratio=self.problem.l1_ratio, tol=tol, **params)

    def ours(self, tol):
        """Our scores of the rows that were left out, of shape (n_folds, n_alphas)."""
        found = AlphaSearchCV(
            self.model(tol), alphas=self.alphas, cv=self.folds, scoring=self.scoring,
            n_jobs=THREADS,
        ).fit(self.problem.X, self.problem.y)  # fmt: skip
        return np.array([found.cv_results_[f"split{k}_test_score"] for k in range(N_FOLDS)])


def search(n, make, loss, l1_ratio, others, title):
    """The largest relative error of a score, plus one, is what is minimised."""
    X, y = make(n)
    task = Search(X, y, loss, l1_ratio)
    exact = task.ours(1e-10)
    last = Problem(X, y, loss, task.alphas[-1], l1_ratio=l1_ratio)
    least = last.value(fit_ours(last, 1e-10))

    def objective(found):
        if isinstance(found, tuple):  # the one fit
            return last.value(found) / least
        return 1 + float(np.max(np.abs(found / exact - 1)))

    contestants = [
        Contestant("sklearn_margin", task.ours, RUNGS),
        companion("one fit at the smallest alpha", partial(fit_ours, last), RUNGS),
        *(other(task) for other in others),
    ]
    title = f"{N_FOLDS} folds of {N_ALPHAS} alphas, {title} {shape(X)}"
    return Case(title, objective, contestants, lambda: exact, yardstick(X), levels=LEVELS)


# --- peers ---


def logistic_cv(task):
    """LogisticRegressionCV; C is 1/(alpha·n), with the rows of a fold."""

    def fit(tol):
        from sklearn.linear_model import LogisticRegressionCV

        n = len(task.folds[0][0])
        model = LogisticRegressionCV(
            Cs=1 / (task.alphas * n), cv=task.folds, tol=tol, max_iter=10_000, n_jobs=THREADS
        )  # fmt: skip
        scores = model.fit(task.problem.X, task.problem.y).scores_
        scores = next(iter(scores.values())) if isinstance(scores, dict) else scores
        return np.reshape(scores, (N_FOLDS, N_ALPHAS))

    return Contestant("LogisticRegressionCV", fit, TOLERANCES, "scikit-learn")


def glum_cv(task):
    """glum's search; its squared loss is half of ours, and its coefficients tell accuracies."""

    def fit(tol):
        from glum import GeneralizedLinearRegressorCV

        factor = 1.0 if task.is_logistic else 0.5
        model = GeneralizedLinearRegressorCV(
            family="binomial" if task.is_logistic else "normal", l1_ratio=task.problem.l1_ratio,
            alphas=factor * task.alphas, cv=task.folds, gradient_tol=tol, max_iter=1000,
            n_jobs=THREADS,
        )  # fmt: skip
        y = task.problem.y
        model.fit(task.problem.X, (y > 0).astype(float) if task.is_logistic else y)
        if not task.is_logistic:
            return -np.reshape(model.deviance_path_, (N_FOLDS, N_ALPHAS))
        scores = []
        for (_, test), w, b in zip(
            task.folds, model.coef_path_[:, 0], model.intercept_path_[:, 0], strict=True
        ):
            z = task.problem.X[test] @ w.T + np.ravel(b)
            scores.append(np.mean((z > 0) == (y[test] > 0)[:, None], axis=0))
        return np.array(scores)

    return Contestant("glum CV", fit, TOLERANCES, "glum")


def lasso_cv(task):
    """LassoCV; its loss is ½r², ours r²: half of our alphas."""

    def fit(tol):
        from sklearn.linear_model import LassoCV

        model = LassoCV(alphas=task.alphas / 2, cv=task.folds, tol=tol, n_jobs=THREADS)
        return -model.fit(task.problem.X, task.problem.y).mse_path_.T

    return Contestant("LassoCV", fit, TOLERANCES, "scikit-learn")


def ridge_cv(task):
    """GridSearchCV of Ridge, which is what RidgeCV does with folds; its loss is the sum of r²."""

    def fit(_):
        from sklearn.linear_model import Ridge
        from sklearn.model_selection import GridSearchCV

        alphas = 0.5 * task.alphas * len(task.folds[0][0])
        model = GridSearchCV(
            Ridge(), {"alpha": alphas}, cv=task.folds, scoring=task.scoring, n_jobs=THREADS
        )
        table = model.fit(task.problem.X, task.problem.y).cv_results_
        return np.array([table[f"split{k}_test_score"] for k in range(N_FOLDS)])

    return Contestant("RidgeCV", fit, (0,), "scikit-learn")


def _specs():
    dense, targets = partial(data.labels, d=50), partial(data.targets, d=50)
    kinds = {
        "logistic": (dense, Logistic(), 0.0, [logistic_cv, glum_cv], "logistic"),
        "l1-logistic": (dense, Logistic(), 1.0, [glum_cv], "L1 logistic"),
        "squared": (targets, Squared(), 0.0, [ridge_cv, glum_cv], "ridge"),
        "lasso": (targets, Squared(), 1.0, [lasso_cv, glum_cv], "Lasso"),
    }
    specs = {}
    for name, (make, loss, l1_ratio, others, title) in kinds.items():
        build = partial(
            search, make=make, loss=loss, l1_ratio=l1_ratio, others=others, title=f"{title}, dense"
        )
        specs[f"search-{name}"] = Spec(23, build, 50_000, 1_000, companion=FITS)
    return specs


SPECS = _specs()
