"""Quantile regression, which most peers do without a penalty."""

import numpy as np

from benchmarks.data import Problem
from benchmarks.harness import THREADS, Contestant
from benchmarks.peers.common import TOLERANCES, solution
from sklearn_margin.losses import Quantile

NO_PENALTY = "no penalty"


def _level(p):
    return p.loss.quantile if isinstance(p.loss, Quantile) else 0.5


def quantile_regressor(p: Problem) -> Contestant:
    """Scikit-learn's QuantileRegressor, without a penalty: a linear program, solved exactly."""
    from sklearn.linear_model import QuantileRegressor

    level = _level(p)

    def fit(_):
        model = QuantileRegressor(quantile=level, alpha=0.0, solver="highs")
        return solution(model.fit(p.X, p.y))

    note = "no penalty: its own would be L1"
    return Contestant("QuantileRegressor HiGHS", fit, ("exact",), "scikit-learn", note)


def quantreg(p: Problem) -> Contestant:
    """Iteratively reweighted least squares of statsmodels."""
    level = _level(p)

    def fit(tol):
        from statsmodels.regression.quantile_regression import QuantReg

        X = np.column_stack([np.ones(len(p.y)), p.X])
        params = QuantReg(p.y, X).fit(q=level, p_tol=tol).params
        return params[1:], params[0]

    note = NO_PENALTY if p.alpha else ""
    return Contestant("statsmodels QuantReg", fit, TOLERANCES, "statsmodels", note)


def pinball(p: Problem, method: str = "pfn") -> Contestant:
    """pinball-qr: Frisch and Newton's interior point (fn), on few rows first (pfn); exact."""

    def fit(_):
        from pinball import QuantileRegressor

        return solution(QuantileRegressor(tau=_level(p), method=method).fit(p.X, p.y))

    note = NO_PENALTY if p.alpha else ""
    return Contestant(f"pinball-qr {method}", fit, ("exact",), "pinball-qr", note)


def five_pinball(X, y, quantiles) -> Contestant:
    """A fit of pinball-qr for each quantile, of which it takes a list."""

    def fit(_):
        from pinball import QuantileRegressor

        model = QuantileRegressor(tau=list(quantiles), method="pfn").fit(X, y)
        return np.transpose(model.coef_), model.intercept_

    return Contestant("pinball-qr pfn", fit, ("exact",), "pinball-qr")


def pyqreg(p: Problem) -> Contestant:
    """pyqreg2: the same methods as pinball-qr in Cython; its standard errors are left out."""

    def fit(_):
        from pyqreg.quantile_regression import QuantReg

        model = QuantReg(p.y, np.column_stack([np.ones(len(p.y)), p.X]))
        params = np.ravel(model.fit_preproc_ipm(_level(p), np.random.default_rng(0)))
        return params[1:], params[0]

    note = NO_PENALTY if p.alpha else ""
    return Contestant("pyqreg2", fit, ("exact",), "pyqreg2", note)


def pdlp(X, y, quantiles) -> Contestant:
    """quantile-regression-pdlp: all quantiles in one linear program, which keeps them in order.

    That they do not cross at any row is a constraint that we do not have: another objective, whose
    minimum is not below ours.
    """

    def fit(tol):
        from quantile_regression_pdlp import QuantileRegression

        model = QuantileRegression(
            tau=list(quantiles), solver_tol=tol, se_method="none", n_jobs=THREADS
        ).fit(X, y)
        coef = np.array([model.coef_[q]["y"] for q in quantiles])
        return coef, np.array([model.intercept_[q]["y"] for q in quantiles])

    note = "quantiles must not cross at a row"
    return Contestant(
        "quantile-regression-pdlp", fit, (1e-4, 1e-6), "quantile-regression-pdlp", note,
        comparable=False,
    )  # fmt: skip
