"""What a solver sees: a function of one parameter vector, and nothing of the estimator."""

import copy

import numpy as np

from sklearn_margin.objective.certified import Certified
from sklearn_margin.objective.point import Point
from sklearn_margin.objective.row_access import Samples
from sklearn_margin.objective.rows import Rows
from sklearn_margin.objective.slopes import Slopes
from sklearn_margin.penalties import ElasticNet

__all__ = ["LinearObjective", "Objective"]


_NO_PENALTY = ElasticNet()


class Objective:
    """What solvers may ask of any objective: its abilities are declared here, with what holds for
    most. It is not changed once it is made: a variation is a new object (``with_loss``, ``take``).
    """

    #: Scores per row.
    n_outputs = 1
    #: Coefficients that are distances of thresholds, which are not penalised.
    n_distances = 0
    #: Whether rows are elsewhere, so that a product with X costs far more than one with some rows.
    is_remote = False
    #: Whether an intercept, which is not penalised, is fitted.
    fit_intercept = False
    #: Whether F is a loss of scores that are linear in the parameters.
    is_linear = False
    #: The pairs that the loss is a mean over; None if it is of rows.
    pairs = None
    #: Whether F has a (generalised) Hessian, for ``curvature``.
    has_hessian = False
    #: Whether the Hessian of L by score is diagonal: rows are then independent, given the scores.
    has_diagonal_hessian = False
    #: Whether ``gradient_hessian`` is cheap, if parameters are few.
    forms_hessian = False
    #: Whether ``sample`` makes the objective of some rows, drawn at random.
    takes_samples = False
    #: Whether the loss splits over samples that ``draw`` can choose from.
    draws_samples = False
    #: Why there is no ``RowAccess`` for solvers that work row by row; None if there is.
    why_no_rows: str | None = None
    #: Whether ``batches`` divides the rows for a pass, batch by batch.
    draws_batches = False
    #: Why F of all rows at once is out of reach; None if it is not.
    why_not_at_once: str | None = None
    #: Whether ``read`` finds scores and the gradient of L in one read of X, and that saves time.
    reads_once = False
    #: Whether slopes of a quadratic model may be a dual point: see ``Line.foreseen_gap``.
    foresees = False
    #: Whether slopes of single rows can be moved for a certificate: see ``reached_gap``.
    moves_slopes = False
    #: Whether a minimum deserves more digits than were asked for, where they are cheap.
    polish = True
    #: What objectives that differ in their penalties share: the Hessian of L that was formed last,
    #: the point where the last solver ended, and condensed rows.
    shared: dict | None = None
    #: Work by row besides products with X, in entries of X.
    extra_work = 0.0

    @property
    def pass_work(self) -> float:
        """Work of a pass over the rows, in entries of X."""
        return self.rows.shape[0] * (self.n_params + self.extra_work)

    def at_hand(self) -> "Objective":
        """The objective of rows that can be looked at: of all, or of some where the rest is
        elsewhere."""
        return self

    def feasible(self, params) -> np.ndarray:
        """``params``, with coefficients beyond a bound of the penalty at it."""
        return params

    def sample_gram(self) -> np.ndarray | None:
        """Gram matrix of some rows, the shape of the Hessian, roughly; None if there is none."""
        return None


class LinearObjective(Certified, Objective):
    """Loss of linear scores plus a penalty.

    F(u, b) = L(X̃u + b + o) + penalty(u), where X̃ are standardised rows (see ``rows``), o is an
    offset of the scores, if there is one, and L is a function of the score vector that a subclass
    provides. The parameter vector is [u_1 … u_d, b], without b if there is no intercept.

    Parameters
    ----------
    loss : Loss
    rows : Rows
    penalty : ElasticNet or its like, default=ElasticNet()
        Penalty of raw coefficients; by default there is none.
    fit_intercept : bool
        Whether b is fitted; it is never penalised.

    Attributes
    ----------
    n_params : int
        Length of the parameter vector.
    penalty : SeparablePenalty
        In solver coordinates.
    offset : ndarray of the shape of the scores, or None
        What is added to the scores of every point, in the dtype of X: see ``with_offset``.
    """

    offset: np.ndarray | None = None

    def __init__(self, loss, rows: Rows, *, penalty=_NO_PENALTY, fit_intercept=False):
        self.loss = loss
        self.rows = rows
        self.fit_intercept = fit_intercept
        self.penalty = penalty.in_coordinates(np.tile(rows.scale, self.n_outputs))
        self.n_params = self.n_outputs * (rows.shape[1] + fit_intercept)

    def with_offset(self, offset) -> "LinearObjective":
        """The same objective with another offset of its scores; None is none."""
        new = copy.copy(self)
        new.offset, new.shared = offset, None
        return new

    def _offset_of(self, index):
        """The offset of some of the rows."""
        return None if self.offset is None else self.offset[index]

    def offsets_for_kernels(self) -> np.ndarray:
        """The offset of shape (n, n_outputs), of float64; (n, 0) if there is none."""
        n = self.rows.shape[0]
        if self.offset is None:
            return np.empty((n, 0))
        return self.offset.reshape(n, -1).astype(np.float64)

    @property
    def offset_size(self) -> float:
        """Root mean square of the offset."""
        if self.offset is None:
            return 0.0
        return float(np.sqrt(np.square(self.offset, dtype=np.float64).sum() / len(self.offset)))

    def placed(self, **attributes) -> "LinearObjective":
        """The same objective with other rows, and what belongs to rows."""
        new = copy.copy(self)
        vars(new).update(attributes)
        return new

    # --- what subclasses provide: the loss as a function of the scores ---

    def score_value(self, z) -> float:
        """L at scores ``z``."""
        raise NotImplementedError

    def score_gradient(self, z, out) -> float:
        """L at scores ``z``; its derivative goes to ``out``."""
        raise NotImplementedError

    def curvature(self, z, cautious=False):
        """Value, gradient and Hessian of L at scores ``z``.

        The result has attributes ``value`` and ``gradient`` and a method ``product``. With
        ``cautious`` the Hessian may be replaced by an upper bound: slower, but safe where a
        full Newton step proved too long.
        """
        raise NotImplementedError

    is_linear = True

    @property
    def why_no_rows(self):
        return self.rows.why_elsewhere

    def draw(self, random_state, limit=None) -> Samples:
        """Samples of one stochastic pass, or the first ``limit`` of them."""
        raise NotImplementedError

    # --- properties that decide which solvers apply ---

    @property
    def is_smooth(self) -> bool:
        """Whether F is differentiable, the L1 part of the penalty aside."""
        return self.loss.is_smooth

    @property
    def has_hessian(self) -> bool:
        """Whether ``curvature`` is available."""
        return self.loss.has_hessian

    def sharing(self) -> "LinearObjective":
        """The same objective, which shares what it learns with those it is ``penalized`` to."""
        new = copy.copy(self)
        new.shared = {}
        return new

    def penalized(self, penalty) -> "LinearObjective":
        """The same objective with another penalty of raw coefficients."""
        new = copy.copy(self)
        new.penalty = penalty.in_coordinates(np.tile(self.rows.scale, self.n_outputs))
        return new

    def known_hessian(self) -> np.ndarray | None:
        """A Hessian of F with that of L from another penalty's solution; None without one."""
        known = (self.shared or {}).get("hessian")
        return None if known is None else self.with_penalty(known.copy())

    def with_loss(self, loss, shrinks=True) -> "LinearObjective":
        """The same objective with another loss of the same family.

        ``shrinks`` says whether its dual points may be multiplied by κ although they are feasible.
        """
        new = copy.copy(self)
        new.loss, new.shrinks, new.shared = loss, shrinks, None
        return new

    def convex_start(self) -> "LinearObjective | None":
        """A convex objective whose optimum is a good start for this one; None if it is convex, or
        none is known."""
        loss = self.loss.convex_start
        if loss is not None and self.n_outputs > 1:
            loss = loss.for_classes(self.n_outputs)
        return None if loss is None else self.with_loss(loss)

    def of_columns(self, columns) -> "LinearObjective":
        """The same objective where the coefficients of all but some columns of X are zero."""
        k, d = self.n_outputs, self.rows.shape[1]
        index = (d * np.arange(k)[:, None] + columns).ravel()
        return self.placed(
            rows=self.rows.columns(columns), penalty=self.penalty.take(index), shared=None,
            n_params=k * (len(columns) + self.fit_intercept),
        )  # fmt: skip

    # --- coordinates ---

    def split(self, params) -> tuple[np.ndarray, float]:
        """Coordinates u and intercept b of a parameter vector."""
        if self.fit_intercept:
            return params[:-1], float(params[-1])
        return params, 0.0

    def by_output(self, u):
        """Coordinates u, of shape (n_outputs, d) if there are several scores."""
        return u

    def join(self, u, b) -> np.ndarray:
        """Parameter vector (or its gradient) from its parts."""
        return np.append(u, b) if self.fit_intercept else np.asarray(u, dtype=np.float64)

    def to_coef(self, params) -> tuple[np.ndarray, float]:
        """Raw coefficients and intercept of a parameter vector."""
        u, b = self.split(params)
        w = u / self.rows.scale
        return w, b - float(self.rows.shift @ w)

    def from_coef(self, coef, intercept=0.0) -> np.ndarray:
        """Parameter vector of raw coefficients and intercept."""
        coef = np.asarray(coef, dtype=np.float64)
        return self.join(coef * self.rows.scale, intercept + float(self.rows.shift @ coef))

    def anchored(self, step) -> np.ndarray:
        """A step without the part that, by the form of the loss, changes nothing: rounding error
        alone would say how long it is."""
        return step

    # --- F and its derivatives ---

    def at(self, params, scores=None) -> Point:
        """The point ``params``: what solvers look at; its ``scores``, if they are known."""
        kept = (self.shared or {}).get("point")
        if kept is not None:
            rounding = 10 * float(np.finfo(self.rows.dtype).eps) * np.abs(kept.params).max()
            if np.abs(kept.params - params).max() <= rounding:
                return kept.of(self)
        return Point(self, params, scores)

    def ended_at(self, point) -> None:
        """Remember where a solver ended, for the next penalty."""
        if self.shared is not None:
            self.shared["point"] = point

    def loss_at(self, score) -> float:
        """L where all scores are one number, and the offset."""
        n, k = self.rows.shape[0], self.n_outputs
        shape = (n, k) if k > 1 else n
        return self.score_value(self.shifted(np.full(shape, score, dtype=self.rows.dtype)))

    def start(self) -> np.ndarray:
        """A point to start from: no coefficients, and a sensible intercept."""
        return self.feasible(np.zeros(self.n_params))

    def feasible(self, params):
        u, b = self.split(params)
        return self.join(self.penalty.clip(u), b) if self.penalty.has_bounds else params

    def scores(self, params, out=None) -> np.ndarray:
        """Scores by row, of shape (n,) or, if there are several, (n, n_outputs)."""
        return self.shifted(self.scores_along(params, out=out))

    def scores_along(self, direction, out=None) -> np.ndarray:
        """How scores change along a direction: those of a point without the offset."""
        u, b = self.split(direction)
        return self.rows.scores(self.by_output(u), b, out=out)

    def shifted(self, z, where=...):
        """Scores along a direction, of some rows, with the offset; ``z`` is overwritten."""
        if self.offset is not None:
            z += self.offset[where]
        return z

    def value(self, params) -> float:
        """F."""
        u, _ = self.split(params)
        return self.score_value(self.scores(params)) + self.penalty.value(u)

    def value_gradient(self, params) -> tuple[float, np.ndarray]:
        """F and its gradient (a subgradient where there is a kink)."""
        u, _ = self.split(params)
        z = self.scores(params)
        g = np.empty_like(z)
        value = self.score_gradient(z, g) + self.penalty.value(u)
        return value, self.gradient_from(params, g)

    def gradient_from(self, params, g) -> np.ndarray:
        """Gradient of F at ``params``, where that of L with respect to the scores is ``g``."""
        return self.loss_gradient(g) + self.penalty_gradient(params)

    def loss_gradient(self, g) -> np.ndarray:
        """Gradient of L with respect to the parameters, for that with respect to the scores."""
        projected, total = self.rows.backproject(g)
        return self.join(projected.ravel(), total)

    def penalty_gradient(self, params) -> np.ndarray:
        """Gradient of the penalty."""
        return self.join(self.penalty.gradient(self.split(params)[0]), 0.0)

    def slopes(self, g) -> Slopes:
        """Slopes of L by score, as certificates see them."""
        return Slopes(g)

    @property
    def weight_norm(self) -> float:
        """Norm of the weights of the rows."""
        return float(np.linalg.norm(self.s.astype(np.float64)))

    def approximate_hessian(self, curvature):
        """An approximation of Hessians of F, made of fewer numbers than those have, whose method
        ``inverse(objective, curvature)`` is a function that solves with it; None if none is
        known."""
        return None

    def hessian_products(self, curvature) -> float:
        """What forming the Hessian costs, in products with it, where that depends on the point."""
        return 0.0

    def gradient_hessian(self, params, curvature):
        """Gradient and Hessian of F, of shapes (n_params,) and (n_params, n_params)."""
        gradient, hessian = self.loss_gradient_hessian(curvature)
        if self.shared is not None:
            self.shared["hessian"] = hessian.copy()
        return gradient + self.penalty_gradient(params), self.with_penalty(hessian)

    def loss_gradient_hessian(self, curvature):
        """As ``gradient_hessian``, of L alone."""
        columns = [self.loss_product(curvature, unit) for unit in np.eye(self.n_params)]
        hessian = np.array(columns).reshape(self.n_params, self.n_params)
        return self.loss_gradient(curvature.gradient), 0.5 * (hessian + hessian.T)

    def with_penalty(self, hessian) -> np.ndarray:
        """Hessian of F from that of L, which is overwritten."""
        self.penalty.add_hessian(hessian)
        return hessian

    def hessian_product(self, curvature, direction) -> np.ndarray:
        """Product of the Hessian of F with ``direction``."""
        return self.loss_product(curvature, direction) + self.penalty_product(direction)

    def loss_product(self, curvature, direction) -> np.ndarray:
        """Product of the Hessian of L with ``direction``."""
        return self.loss_gradient(curvature.product(self.scores_along(direction)))

    def penalty_product(self, direction) -> np.ndarray:
        """Product of the Hessian of the penalty with ``direction``."""
        return self.join(self.penalty.hessian_product(self.split(direction)[0]), 0.0)
