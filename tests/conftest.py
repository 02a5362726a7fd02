"""Settings and reference solutions that several test files share."""

import os

# Scikit-learn's array API checks run only if scipy was told so before its first import.
os.environ["SCIPY_ARRAY_API"] = "1"

import cvxpy as cp
import numpy as np
import pytest


class Reference:
    """A convex problem over (w, b), solved by CVXPY and Clarabel; ``at`` evaluates it anywhere.

    Parameters
    ----------
    loss : callable
        ``loss(w, b)``: a CVXPY expression.
    d : int or tuple of int
        Number of features; (n_classes, n_features) for several scores per row.
    """

    def __init__(self, loss, d, alpha, l1_ratio=0.0, fit_intercept=True):
        self.w = cp.Variable(d)
        shape = self.w.shape[:-1]
        self.b = cp.Variable(shape) if fit_intercept else cp.Constant(np.zeros(shape))
        penalty = (1 - l1_ratio) / 2 * cp.sum_squares(self.w) + l1_ratio * cp.norm1(
            cp.vec(self.w, "C")
        )
        self.problem = cp.Problem(cp.Minimize(loss(self.w, self.b) + alpha * penalty))
        self.minimum = float(self.problem.solve(solver=cp.CLARABEL, tol_gap_rel=1e-9))
        assert self.problem.status == "optimal"
        self.coef = self.w.value.copy()
        self.intercept = np.array(self.b.value)

    def at(self, coef, intercept=0.0):
        """Objective at a point."""
        self.w.value = np.asarray(coef, dtype=np.float64)
        if isinstance(self.b, cp.Variable):
            self.b.value = np.asarray(intercept, dtype=np.float64)
        else:
            assert not np.any(intercept)
        return float(self.problem.objective.value)


@pytest.fixture(scope="session")
def reference():
    """The class ``Reference``."""
    return Reference
