"""Dual coordinate descent for piecewise-linear losses on sparse or wide data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sklearn_margin.solvers._descent import descend
from sklearn_margin.solvers._hinge_dual import HingeDual, RoundHingeDual
from sklearn_margin.solvers._hinges import is_sum_of_hinges, is_sum_of_round_hinges
from sklearn_margin.solvers._proximal import polished
from sklearn_margin.solvers.base import Result, Solver, is_small, is_tiny, is_wide, suits_smoothing
from sklearn_margin.solvers.multiclass_dual import ClassDual

__all__ = ["DualCD"]


class DualCD(Solver):
    """Coordinate descent on the dual, for losses that are sums of hinges, with an L2 penalty.

    The squared hinge is one with a round kink: slopes have no upper bound, and what is charged for
    them, Σ t_i²/(4 s_i) with weights s, adds to the diagonal of the dual problem.

    With a slope t_i ∈ [l_i, r_i] for each hinge (see ``PointwiseLoss.piecewise_linear``) the
    dual problem is

        min over t of  ‖Σ t_i x_i‖² / (2 alpha) + Σ t_i kink_i,   and w = −Σ t_i x_i / alpha,

    with Σ t_i = 0 if there is an intercept; kinks are less the offset of their row, if it has one.
    One coordinate at a time is minimised exactly [1]_; rows whose slope is at a bound and whose
    score is well beyond the kink are left out until the next check (shrinking). The constraint is
    handled by the method of multipliers, whose multiplier is the intercept: ½ (Σ t_i)²/ρ is added,
    as if the intercept were one more coefficient with penalty ρ/2·(b − b_k)², and b_k follows b.

    For the multiclass hinges, "crammer_singer" and "weston_watkins", all slopes of a row are
    minimised over at a time, which is a small projection [2]_.

    After each pass over rows of one score, if it reads far more entries than there are features,
    the slopes go to the minimum in the plane of the move that the pass made and the move before:
    conjugate gradients, which have the pass for a preconditioner [3]_.

    Rows are visited in random order of short runs of neighbours, and in random order within a
    run: as random as convergence needs, and several times faster than random access.

    ``tol`` is compared with the duality gap relative to F. An iteration is a pass over all
    rows or the work of one.

    Parameters
    ----------
    shrinking : bool, default=True
        Whether to leave out rows that seem settled.

    References
    ----------
    .. [1] Hsieh, Chang, Lin, Keerthi & Sundararajan, "A dual coordinate descent method for
       large-scale linear SVM", ICML 2008.
    .. [2] Keerthi, Sundararajan, Chang, Hsieh & Lin, "A sequential dual method for large scale
       multi-class linear SVMs", KDD 2008.
    .. [3] Notay, "Flexible conjugate gradients", SIAM Journal on Scientific Computing, 2000.

    Examples
    --------
    >>> from sklearn_margin import LinearClassifier
    >>> from sklearn_margin.solvers import DualCD
    >>> X, y = [[-2.0], [-1.0], [1.0], [2.0]], [0, 0, 1, 1]
    >>> solver = DualCD(shrinking=False)
    >>> LinearClassifier("hinge", solver=solver, alpha=0.1).fit(X, y).score(X, y)
    1.0
    """

    name = "dual_cd"

    def __init__(self, shrinking: bool = True) -> None:
        self.shrinking = shrinking

    def check_params(self) -> None:
        if not isinstance(self.shrinking, (bool, np.bool_)):
            raise TypeError(f"shrinking must be True or False, got {self.shrinking!r}")

    def obstacle(self, objective: Any) -> str | None:
        if objective.why_no_rows is not None:
            return objective.why_no_rows
        loss = objective.loss
        if not (is_sum_of_hinges(loss) or is_sum_of_round_hinges(loss) or _has_dual(objective)):
            return f"the loss {type(loss).__name__} is no sum of hinges"
        if objective.penalty.has_l1:
            return "the L1 penalty (l1_ratio > 0) has no such dual"
        if objective.penalty.ridge is None:
            return "without an L2 penalty (alpha > 0) there is no such dual"
        return None

    def rank(self, objective: Any, tol: float) -> float | None:
        if objective.is_smooth:
            return 0.5 if _has_few_entries(objective) else None
        if objective.n_outputs > 1:
            return 2 if suits_smoothing(objective, tol) else 1
        if is_tiny(objective):
            return 2
        return 1 if is_wide(objective) else 3

    def solve(
        self,
        objective: Any,
        start: np.ndarray,
        *,
        tol: float,
        max_iter: int,
        callback: Callable[..., Any] | None = None,
        random_state: np.random.RandomState | None = None,
        validation: Any = None,
    ) -> Result:
        several = objective.n_outputs > 1
        round_ = is_sum_of_round_hinges(objective.loss)
        kind = ClassDual if several else RoundHingeDual if round_ else HingeDual
        dual = kind(objective, start)
        result = descend(
            dual, tol=tol, max_iter=max_iter, callback=callback, shrinking=self.shrinking
        )
        if several and result.converged and is_small(objective):
            return polished(objective, result, tol, max_iter, callback, g=dual.slopes)
        return result


_FEW_ENTRIES = 2_000_000


def _has_few_entries(objective):
    """Whether passes over single rows take less time than the steps of Newton's method. In single
    precision the errors that a gap must include can be more than is wanted."""
    rows = objective.rows
    few = rows.shape[0] * rows.entries_per_row <= _FEW_ENTRIES and rows.dtype == np.float64
    return few and is_wide(objective) and not is_small(objective)


def _has_dual(objective):
    """Whether the loss of several scores says, of its own formula, what its dual needs."""
    return objective.n_outputs > 1 and getattr(objective.loss, "has_dual", False)
