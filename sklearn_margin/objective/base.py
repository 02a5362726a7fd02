"""What a solver sees: a function of one parameter vector, and nothing of the estimator."""

import copy

import numpy as np
from scipy.optimize import brentq

from sklearn_margin.objective.point import Point
from sklearn_margin.objective.row_access import Samples
from sklearn_margin.objective.rows import Rows
from sklearn_margin.objective.slopes import Slopes
from sklearn_margin.penalties import ElasticNet

__all__ = ["LinearObjective", "Objective"]


_NO_PENALTY = ElasticNet()
_MOST_LOOSE = 200  # parameters whose slopes are made to vanish for a certificate
_MOST_STEPS = 30


class Objective:
    """What solvers may ask of any objective: its abilities are declared here, with what holds for
    most. It is not changed once it is made: a variation is a new object (``with_loss``, ``take``).
    """

    #: Scores per row.
    n_outputs = 1
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
    #: Whether a minimum deserves more digits than were asked for, where they are cheap.
    polish = True
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


class LinearObjective(Objective):
    """Loss of linear scores plus a penalty.

    F(u, b) = L(X̃u + b) + penalty(u), where X̃ are standardised rows (see ``rows``) and L is
    a function of the score vector that a subclass provides. The parameter vector is
    [u_1 … u_d, b], without b if there is no intercept.

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
    """

    def __init__(self, loss, rows: Rows, *, penalty=_NO_PENALTY, fit_intercept=False):
        self.loss = loss
        self.rows = rows
        self.fit_intercept = fit_intercept
        self.penalty = penalty.in_coordinates(np.tile(rows.scale, self.n_outputs))
        self.n_params = self.n_outputs * (rows.shape[1] + fit_intercept)

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

    def envelope_excess(self, smooth, z) -> tuple[float, float, np.ndarray]:
        """L, how far it exceeds an envelope L_w beyond what its dual value does, and L_w's slopes.

        Parameters
        ----------
        smooth : LinearObjective
            This objective with the envelope for its loss.
        z : ndarray of shape (n,)
            Scores.

        Returns
        -------
        loss : float
            L(z).
        excess : float
            [L(z) − L_w(z)] − [L_w*(g) − L*(g)], not negative.
        g : ndarray of shape (n,)
            Gradient of L_w.
        """
        raise NotImplementedError

    def foreseen(self, z, dz, there) -> float:
        """The slopes g + ∇²L·dz of the quadratic model of L as a dual point for the scores
        ``there``.

        Parameters
        ----------
        z, dz, there : ndarray of shape (n,)
            Scores where the model is that of L, a step along them, and scores near z + dz. The
            slopes go to ``dz``.

        Returns
        -------
        float
            At least L(there) + L*(slopes) − slopes·there; infinity if the slopes are not known to
            be a dual point.
        """
        return np.inf

    def balanced_slopes(self, g) -> float:
        """Make slopes that are a dual point, κg for them by row, sum to zero, if there is an
        intercept; the largest 1 − κ, which times L is the price."""
        total = float(g.sum(dtype=np.float64)) if self.fit_intercept else 0.0
        if total == 0.0:
            return 0.0
        side = g > 0 if total > 0 else g < 0
        share = min(total / float(g.sum(where=side, dtype=np.float64)), 1.0)
        np.multiply(g, 1.0 - share, out=g, where=side, casting="same_kind")
        return share

    is_linear = True

    @property
    def why_no_rows(self):
        return self.rows.why_elsewhere

    #: Whether a dual point may be multiplied by κ although it is feasible.
    shrinks = True

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

    @property
    def has_gap(self) -> bool:
        """Whether there is a duality gap: the loss is convex, and something is penalised."""
        return self.loss.convex and not self.penalty.is_zero

    #: What objectives that differ in their penalties share: the Hessian of L that was formed last,
    #: and the point where the last solver ended.
    shared: dict | None = None

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

    def at(self, params) -> Point:
        """The point ``params``: what solvers look at."""
        kept = (self.shared or {}).get("point")
        if kept is not None:
            rounding = 10 * float(np.finfo(self.rows.dtype).eps) * np.abs(kept.params).max()
            if np.abs(kept.params - params).max() <= rounding:
                return kept.of(self)
        return Point(self, params)

    def ended_at(self, point) -> None:
        """Remember where a solver ended, for the next penalty."""
        if self.shared is not None:
            self.shared["point"] = point

    def loss_at(self, score) -> float:
        """L where all scores are one number."""
        n, k = self.rows.shape[0], self.n_outputs
        shape = (n, k) if k > 1 else n
        return self.score_value(np.full(shape, score, dtype=self.rows.dtype))

    def start(self) -> np.ndarray:
        """A point to start from: no coefficients, and a sensible intercept."""
        return self.feasible(np.zeros(self.n_params))

    def feasible(self, params):
        u, b = self.split(params)
        return self.join(self.penalty.clip(u), b) if self.penalty.has_bounds else params

    def scores(self, params, out=None) -> np.ndarray:
        """Scores by row, of shape (n,) or, if there are several, (n, n_outputs)."""
        u, b = self.split(params)
        return self.rows.scores(self.by_output(u), b, out=out)

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

    def gap(self, params, gradient, slopes, loss) -> float | None:
        r"""Duality gap at a point: a bound on F − min F, from the gradient of F alone.

        For convex L the score gradient g is a dual point, by Fenchel's equality
        L*(g) = g·z − L(z). With v = X̃ᵀg and penalties P_j the gap is
        Σ [P_j(u_j) + P_j*(−v_j) + u_j v_j]: with an L2 penalty alone, ½ Σ (∂F/∂u_j)² / λ_j.

        Losses that are not negative have ℓ*(0) ≤ 0, and by convexity ℓ*(κ g) ≤ κ ℓ*(g) for
        κ in [0, 1]. That gives two ways to mend a g that is not feasible, at a price of
        (1 − κ) L each. With an intercept Σg must vanish: where it is more than rounding error,
        the entries of the sign that prevails are multiplied by κ. Since columns of X̃ have
        root mean square 1, it changes no v_j by more than (1 − κ) √(n Σ g_i²). And all of g may
        be multiplied by κ: so that \|v_j\| does not exceed the strength of an L1 penalty, or as
        is best for an L2 penalty. With κ = 0 the gap is F itself; it is never larger.

        Parameters
        ----------
        params, gradient : ndarray of shape (n_params,)
            A point and the gradient of F there.
        slopes : Slopes
            Gradient of L with respect to the scores.
        loss : float
            L at the scores.

        Returns
        -------
        float or None
            Infinity where g cannot be mended. None where there is no such bound: a loss that is
            not convex, no penalty.
        """
        if not self.has_gap:
            return None
        u, _ = self.split(params)
        slope, b_slope = self.split(gradient)
        most = loss + self.penalty.value(u) if self.may_scale else np.inf
        slack, share, loose = 0.0, 0.0, self.penalty.loose
        if loose is not None:
            slope = slope.copy()
            slope[loose[np.abs(slope[loose]) <= self._zero_slope(slopes)]] = 0.0
        if np.abs(b_slope).max() > self.imbalance * slopes.size:
            share, slack = self.balance(slopes, b_slope) if self.may_scale else (1.0, 0.0)
            if share >= 1 or loose is not None:
                return most
            moved = slopes.moved(share, float(np.max(b_slope)))
            if moved is not None:
                slope, slack = slope + self.split(moved)[0], 0.0
        residual = self.penalty.without_l1(u, slope)
        gap, _ = self.penalty.gap(u, residual, slack, self.scale_price(loss))
        return min(gap + share * loss, most)

    @property
    def imbalance(self):
        r"""What Σg may be of Σ \|g\| and count as zero."""
        rounding = 5 * float(np.finfo(self.rows.dtype).eps) * self.n_outputs
        return rounding if self.may_scale else max(rounding, 1e-12)

    def _zero_slope(self, slopes):
        """What entries of X̃ᵀg may be and count as zero: columns have root mean square 1."""
        return self.imbalance * np.sqrt(slopes.n) * slopes.norm

    def _loose(self, params, gradient, slopes):
        """Numbers of the parameters that no penalty holds and no bound, at a point where one of
        them has a slope; None where none has."""
        penalty, (u, _) = self.penalty, self.split(params)
        loose = penalty.loose
        low, high, slope = u <= penalty.lower, u >= penalty.upper, self.split(gradient)[0]
        held = (low & (slope >= 0)) | (high & (slope <= 0))
        loose = loose[~held[loose]]
        within = np.abs(slope[loose]) <= self._zero_slope(slopes)
        intercepts = np.arange(len(u), self.n_params)
        balanced = np.abs(gradient[intercepts]) <= self.imbalance * slopes.size
        return None if within.all() and balanced.all() else np.r_[loose, intercepts]

    def settled(self, point) -> Point:
        """The point from which no step of the parameters that no penalty holds lowers F: there
        X̃ᵀg vanishes for these, as that of a dual point must. By Newton's method; X is not read."""
        index = self._loose(point.params, point.gradient, point.slopes)
        if index is None or not self.has_hessian or len(index) > _MOST_LOOSE:
            return point
        directions, z, step = self._directions(index), point.scores, np.zeros(len(index))
        for _ in range(_MOST_STEPS):
            curvature = self.curvature(z)
            slope = np.array([np.vdot(curvature.gradient, v) for v in directions], np.float64)
            size = self.imbalance * self.slopes(curvature.gradient).size
            if np.abs(slope).max() <= 0.1 * size:
                break
            products = [curvature.product(v) for v in directions]
            hessian = np.array([[np.vdot(v, p) for v in directions] for p in products], np.float64)
            move = -np.linalg.lstsq(hessian, slope, rcond=None)[0]
            with np.errstate(over="ignore"):
                dz = sum(t * v for t, v in zip(move, directions, strict=True)).astype(z.dtype)
            if not np.isfinite(dz).all():  # hardly any curvature is left
                break
            length = 1.0
            most = curvature.value + 4 * float(np.finfo(z.dtype).eps) * abs(curvature.value)
            while self.score_value(z + length * dz) > most and length > 1e-3:
                length *= 0.5
            if length <= 1e-3:
                break
            z, step = z + length * dz, step + length * move
        params = point.params.copy()
        params[index] += step
        u, _ = self.split(params)
        return Point(self, params) if np.array_equal(self.penalty.clip(u), u) else point

    def _directions(self, index):
        """Scores of unit parameters."""
        (n, d), k = self.rows.shape, self.n_outputs
        which = index[index < k * d] % d
        columns = self.rows.columns(which)
        found = [columns[:, j] for j in range(len(which))]
        found += [np.ones(n, self.rows.dtype)] * (len(index) - len(which))
        if k == 1:
            return found
        outputs = [i // d if i < k * d else i - k * d for i in index]
        by_output = np.zeros((len(index), n, k), self.rows.dtype)
        for whole, column, c in zip(by_output, found, outputs, strict=True):
            whole[:, c] = column
        return list(by_output)

    def balanced(self, params) -> np.ndarray:
        """Parameters with the intercept that is best for the coefficients: the slopes of the loss
        then sum to zero, as those of a dual point must. Reads X once, for the scores."""
        z = self.scores(params)
        g = np.empty_like(z)

        def slope(shift):
            self.score_gradient((z + shift).astype(z.dtype), g)
            return float(g.sum(dtype=np.float64))

        return self._balanced(params, slope)

    @staticmethod
    def _balanced(params, slope):
        """As ``balanced``, where ``slope(shift)`` is the sum of slopes if scores are shifted."""
        far = 1.0 if slope(0.0) < 0 else -1.0
        while slope(far) * far < 0:
            far *= 4.0
            if abs(far) > 1e12:
                return params
        best = params.copy()
        best[-1] += brentq(slope, 0.0, far, xtol=1e-300, rtol=1e-15, maxiter=200, disp=False)
        return best

    def refined_gap(self, params) -> float:
        """As ``gap``, from a dual point that is better and takes longer to find; infinity where
        none is known."""
        return np.inf

    @property
    def may_scale(self):
        """Whether κg is a dual point, for κ in [0, 1], if g is."""
        return self.loss.nonnegative

    def scale_price(self, loss):
        """What multiplying g by κ costs, by 1 − κ; infinity if it must not be."""
        wanted = self.shrinks or self.penalty.has_l1
        return loss if wanted and self.may_scale else np.inf

    def balance(self, slopes, total):
        """The smallest share 1 − κ to remove from the entries of the prevailing sign so that g sums
        to zero, and a bound on the change of entries of X̃ᵀg."""
        share = abs(total) / (0.5 * (slopes.size + abs(total)))
        return share, share * np.sqrt(slopes.n) * slopes.norm

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
        return self.loss_gradient(curvature.product(self.scores(direction)))

    def penalty_product(self, direction) -> np.ndarray:
        """Product of the Hessian of the penalty with ``direction``."""
        return self.join(self.penalty.hessian_product(self.split(direction)[0]), 0.0)
