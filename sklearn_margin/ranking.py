"""Linear rankers."""

from __future__ import annotations

from typing import Literal

from sklearn_margin._base.estimator import resolve_loss
from sklearn_margin._base.ranking import BaseRanker
from sklearn_margin._typing import Bounds, Factors, RandomState
from sklearn_margin._validation import check_choice
from sklearn_margin.losses import (
    ListwiseSoftmax,
    Loss,
    MarginRanking,
    PairwiseHinge,
    PairwiseLogistic,
    PairwiseLoss,
    PairwiseSquaredHinge,
)
from sklearn_margin.solvers import Solver

__all__ = ["LinearRanker", "RankSVM"]

_LOSSES = {
    "listwise_softmax": ListwiseSoftmax,
    "margin_ranking": MarginRanking,
    "pairwise_hinge": PairwiseHinge,
    "pairwise_logistic": PairwiseLogistic,
    "pairwise_squared_hinge": PairwiseSquaredHinge,
}
# Each estimator takes the words of the other, too.
_LOSSES |= {name.removeprefix("pairwise_"): cls for name, cls in _LOSSES.items()}
_HINGES = ("squared_hinge", "hinge", "pairwise_squared_hinge", "pairwise_hinge")


class LinearRanker(BaseRanker):
    """Linear ranking with a loss of your choice, of pairs or of lists.

    Over the pairs (i, j) in one group with y_i > y_j, minimises
    Σ u_ij φ((x_i − x_j)·w) / Σ u_ij + alpha·((1 − l1_ratio)/2·‖w‖² + l1_ratio·‖w‖₁), with the
    pair weights u_ij of the loss. For hinge losses the cost of a pass is O(n log n). The loss
    "listwise_softmax" is a mean over groups in place of pairs.

    Parameters
    ----------
    loss : str, PairwiseLoss or ListwiseSoftmax, default="pairwise_squared_hinge"
        "pairwise_squared_hinge", "pairwise_hinge", "pairwise_logistic" or, the same in short,
        "squared_hinge", "hinge", "logistic"; "margin_ranking"; "listwise_softmax"; or a loss
        object.
    alpha : float, default=1e-4
        Strength of the penalty, at least 0. The loss is a mean over P pairs: in place of a factor C
        of their sum take alpha = 1/(C·P). After a fit ``n_pairs_`` is P.
    l1_ratio : float, default=0.0
        Share of the L1 penalty, from 0 to 1: 0 is ridge, 1 is lasso, by which many coefficients are
        exactly 0, and what is between is the elastic net.
    coef_bounds : tuple of (low, high), dict or None, default=None
        Bounds that coefficients keep exactly, in each row of ``coef_``: low and high are numbers,
        arrays of shape (n_features,) or None, so that ``(0, None)`` is for none that is negative;
        or such pairs by the name of the feature, as in ``{"price": (None, 0)}``.
    penalty_factors : array-like of shape (n_features,), dict or None, default=None
        Factors of alpha by feature, or by the name of the feature: 0 is without a penalty, infinity
        leaves the feature out. None is 1 for all.
    solver : str or Solver, default="auto"
        "newton", "lbfgs", "coordinate_descent", "smoothing", "subgradient", "sgd", a configured
        solver such as ``SGD(batch_size=32)``, or "auto", which chooses by loss, penalty and shape;
        ``solver_`` says which it was. ``fit_pairs`` has "interior_point" and "dual_cd", too.
    tol : float, default=1e-4
        Relative accuracy: a solver that has a duality gap stops where that is at most tol times the
        objective; others say what they compare with tol. Small problems are solved more accurately.
    max_iter : int, default=1000
        Most iterations of the solver (epochs of "sgd"). A ``ConvergenceWarning`` says so if they
        were too few.
    warm_start : bool, default=False
        Whether ``fit`` starts from the solution of the fit before, if that has the right shape.
    n_jobs : int, default=None
        Threads; None is one, −1 all cores. The result is the same, bit for bit, for any number.
    random_state : int, RandomState or None, default=None
        Seed of "sgd". Other solvers give the same result each time.
    verbose : int, default=0
        Whether to print a line after each iteration: objective, relative gap, reads of X, seconds.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
        Coefficients w, per unit of each feature.
    n_pairs_ : int
        Number of pairs in the training data, the P of ``alpha``.
    n_iter_ : int
        Iterations of the solver.
    solver_ : str
        Name of the solver.
    dual_gap_ : float
        Duality gap: the objective is above its minimum by at most this, in units of the objective.
        Absent where the solver knows none.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, if X had string column names.

    Examples
    --------
    >>> from sklearn_margin import LinearRanker
    >>> X = [[1.0, 0.0], [2.0, 1.0], [0.0, 5.0], [1.0, 7.0]]
    >>> model = LinearRanker().fit(X, [0, 1, 0, 1], groups=["a", "a", "b", "b"])
    >>> model.score(X, [0, 1, 0, 1], groups=["a", "a", "b", "b"])
    1.0
    """

    def __init__(
        self,
        loss: str | Loss = "pairwise_squared_hinge",
        *,
        alpha: float = 1e-4,
        l1_ratio: float = 0.0,
        coef_bounds: Bounds = None,
        penalty_factors: Factors = None,
        solver: str | Solver = "auto",
        tol: float = 1e-4,
        max_iter: int = 1000,
        warm_start: bool = False,
        n_jobs: int | None = None,
        random_state: RandomState = None,
        verbose: int = 0,
    ) -> None:
        self.loss = loss
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.coef_bounds = coef_bounds
        self.penalty_factors = penalty_factors
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    _losses = _LOSSES

    def _loss(self):
        return resolve_loss(self.loss, (PairwiseLoss, ListwiseSoftmax), _LOSSES)


class RankSVM(BaseRanker):
    """Ranking support vector machine [1]_ over query groups.

    Over the pairs (i, j) in one group with y_i > y_j, minimises
    Σ u_ij [margin − (x_i − x_j)·w]₊^p / Σ u_ij + penalty, p = 2 for "squared_hinge" and 1 for
    "hinge", u_ij = 1 for weighting "uniform" and y_i − y_j for "difference".

    Parameters
    ----------
    margin : float, default=1.0
        Score difference from which a pair costs nothing: by how much the better row should win.
    loss : {"squared_hinge", "hinge"}, default="squared_hinge"
        The squared hinge is smooth and fits faster. The names that ``LinearRanker`` has for them,
        "pairwise_squared_hinge" and "pairwise_hinge", are understood, too.
    weighting : {"uniform", "difference"}, default="uniform"
        Weight u_ij of a pair, besides the product of the sample weights: 1 for "uniform", and
        y_i − y_j for "difference", by which a mix-up of far-off grades costs more. With two grades
        they are the same.
    alpha : float, default=1e-4
        Strength of the penalty, at least 0. The loss is a mean over P pairs: in place of a factor C
        of their sum take alpha = 1/(C·P). After a fit ``n_pairs_`` is P.
    l1_ratio : float, default=0.0
        Share of the L1 penalty, from 0 to 1: 0 is ridge, 1 is lasso, by which many coefficients are
        exactly 0, and what is between is the elastic net.
    coef_bounds : tuple of (low, high), dict or None, default=None
        Bounds that coefficients keep exactly, in each row of ``coef_``: low and high are numbers,
        arrays of shape (n_features,) or None, so that ``(0, None)`` is for none that is negative;
        or such pairs by the name of the feature, as in ``{"price": (None, 0)}``.
    penalty_factors : array-like of shape (n_features,), dict or None, default=None
        Factors of alpha by feature, or by the name of the feature: 0 is without a penalty, infinity
        leaves the feature out. None is 1 for all.
    solver : str or Solver, default="auto"
        "newton", "lbfgs", "coordinate_descent", "smoothing", "subgradient", "sgd", a configured
        solver such as ``SGD(batch_size=32)``, or "auto", which chooses by loss, penalty and shape;
        ``solver_`` says which it was. ``fit_pairs`` has "interior_point" and "dual_cd", too.
    tol : float, default=1e-4
        Relative accuracy: a solver that has a duality gap stops where that is at most tol times the
        objective; others say what they compare with tol. Small problems are solved more accurately.
    max_iter : int, default=1000
        Most iterations of the solver (epochs of "sgd"). A ``ConvergenceWarning`` says so if they
        were too few.
    warm_start : bool, default=False
        Whether ``fit`` starts from the solution of the fit before, if that has the right shape.
    n_jobs : int, default=None
        Threads; None is one, −1 all cores. The result is the same, bit for bit, for any number.
    random_state : int, RandomState or None, default=None
        Seed of "sgd". Other solvers give the same result each time.
    verbose : int, default=0
        Whether to print a line after each iteration: objective, relative gap, reads of X, seconds.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
        Coefficients w, per unit of each feature.
    n_pairs_ : int
        Number of pairs in the training data, the P of ``alpha``.
    n_iter_ : int
        Iterations of the solver.
    solver_ : str
        Name of the solver.
    dual_gap_ : float
        Duality gap: the objective is above its minimum by at most this, in units of the objective.
        Absent where the solver knows none.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, if X had string column names.

    References
    ----------
    .. [1] Joachims, "Optimizing search engines using clickthrough data", KDD 2002.

    Examples
    --------
    >>> from sklearn_margin import RankSVM
    >>> X, y = [[1.0], [2.0], [3.0], [1.0]], [0, 1, 2, 0]
    >>> RankSVM().fit(X, y, groups=[7, 7, 8, 8]).n_pairs_
    2
    """

    def __init__(
        self,
        *,
        margin: float = 1.0,
        loss: str = "squared_hinge",
        weighting: Literal["uniform", "difference"] = "uniform",
        alpha: float = 1e-4,
        l1_ratio: float = 0.0,
        coef_bounds: Bounds = None,
        penalty_factors: Factors = None,
        solver: str | Solver = "auto",
        tol: float = 1e-4,
        max_iter: int = 1000,
        warm_start: bool = False,
        n_jobs: int | None = None,
        random_state: RandomState = None,
        verbose: int = 0,
    ) -> None:
        self.margin = margin
        self.loss = loss
        self.weighting = weighting
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.coef_bounds = coef_bounds
        self.penalty_factors = penalty_factors
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def _loss(self):
        check_choice(self.loss, "loss", _HINGES)
        loss = _LOSSES[self.loss](margin=self.margin, weighting=self.weighting)
        loss.check_params()
        return loss
