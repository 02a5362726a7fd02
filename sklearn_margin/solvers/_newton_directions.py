"""Newton directions: by Cholesky factorisation of the Hessian, or by conjugate gradients."""

from contextlib import suppress
from functools import partial

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from sklearn_margin._linalg import factorized
from sklearn_margin.objective.reached_gap import reached_gap
from sklearn_margin.objective.sample_gap import sample_gap
from sklearn_margin.solvers.base import (
    FEW_COLUMNS,
    MOST_EXCESS,
    conjugate_gradients,
    expected_excess,
    forming_is_cheap,
)

__all__ = ["Cholesky", "ConjugateGradients"]

_SOME_COLUMNS = 1000  # that are no more work than a direction of many products
_MOST_READS = 100  # for a direction
_MANY_COLUMNS = 2000  # of one that is formed of the rows that are here
_MOST_PRODUCTS = 30  # with the Hessian, that conjugate gradients typically need


class Cholesky:
    """Newton directions by Cholesky factorisation of the Hessian.

    A factor serves for further steps while they keep cutting the decrement: the Hessian of a
    sample, or of the step before, is often good enough, and a gradient is much cheaper. Not so of
    a tiny problem. The rows of a sample whose Hessian it is make the certificate, too
    (``reached_gap``), as soon as the decrement is a small enough share of F.

    Attributes
    ----------
    is_exact : bool
        Whether the last direction leads to the minimum of the quadratic model of F at its point.
    gap : float
        Duality gap at the last point, if the sample proves one.
    """

    rough = False  # whether directions need not be exact
    part = None  # a sample of the rows
    proving = None  # its point whose Hessian is in the factor

    def __init__(self):
        self.factor = None  # solves with a Hessian
        self.stale = False  # whether the last direction came from an older Hessian
        self.reuse = self.fresh = False
        self.begin()

    def begin(self):
        """A new problem, to which the last Hessian may be close."""
        self.decrement = np.inf

    def begin_with(self, hessian, dtype):
        """Begin with a Hessian from elsewhere, of rows of this ``dtype``, if there is one."""
        if hessian is not None:
            with suppress(LinAlgError):
                self.factor = factorized(hessian, len(hessian) * np.finfo(dtype).eps)
                self.reuse = True

    def prepare(self, sample, params):
        """Begin with the Hessian of a sample, at the point to start from."""
        point = sample.at(params)
        point.find_curvature()
        if point.hessian_products <= _MOST_PRODUCTS or forming_is_cheap(sample):
            self.begin_with(point.hessian(), sample.rows.dtype)
            self.proving = point if sample.moves_slopes and _may_prove(point) else None

    def __call__(self, point, cautious, goal):
        """A function for the Newton direction at a point, which then knows its gradient."""
        self.is_exact, self.gap = False, np.inf
        self.stale = self.reuse and self.factor is not None and not cautious
        if self.stale:
            return lambda: self._by_old(point, goal)
        self.proving = None
        # Of a narrow envelope few rows are curved: its Hessian comes with a read, and changes.
        narrow = point.objective.loss.envelope_width is not None
        self.fresh = point.objective.is_remote and narrow
        # Of a tiny problem it is less work than the steps that it saves.
        self.fresh = self.fresh or forming_is_cheap(point.objective)
        point.find_curvature(cautious)
        if point.hessian_products > _MOST_PRODUCTS and not forming_is_cheap(point.objective):
            self.factor = None
            return lambda: ConjugateGradients()._direction(point, point, None)
        hessian, gradient = point.hessian(), point.gradient
        eps = np.finfo(point.objective.rows.dtype).eps

        def solve():
            self.factor = factorized(hessian, len(hessian) * eps)
            p = -self.factor(gradient)
            if not np.isfinite(p).all():
                return -gradient
            self.is_exact = not cautious
            return p

        return solve

    def _by_old(self, point, goal):
        """The direction by a Hessian of other rows or another point."""
        p = -self.factor(point.gradient)
        if self.proving is not None and goal is not None:
            decrement = -float(point.gradient @ p)
            if _price(decrement, self.proving.objective.share) <= goal:
                self.gap = reached_gap(point, self.proving, self.factor, goal)
        return p

    def note(self, decrement, step):
        """Take notice of a step: whether its Hessian is worth using once more."""
        improved = not self.stale or decrement <= 0.1 * self.decrement
        self.reuse = improved and step > 0.3 and not self.fresh
        self.decrement = decrement


class ConjugateGradients:
    """Newton directions by preconditioned conjugate gradients.

    The preconditioner is diagonal until a direction has taken ``patience`` products. Then, if
    the objective can make one, it is the Gram matrix of a sample of the rows plus the penalty:
    overlapping features, such as splines beside one-hot columns, are what makes a direction
    long, and the sample shows them as well as all rows do.

    The Hessian of a loss of several scores has an approximation that is known by far fewer numbers
    (``KroneckerHessian``). That is the preconditioner from the first direction on.

    With a sample of the rows, ``part``, products are with its Hessian, which are cheaper by far,
    as long as the directions they give keep cutting the decrement: each takes one read of X for
    the gradient and one for the scores. The rows of the sample then make the certificate, too
    (``sample_gap``), as soon as the decrement is a small enough share of F. After that, if rows are
    elsewhere, a product is a read: few parameters are worth forming the Hessian in one, and for
    more the Hessian of the sample is the preconditioner.
    """

    def __init__(self, patience=30, most=500):
        self.patience = patience
        self.most = most
        self.gram = self.approximate = None
        self.part = None
        self.stale = False
        self.gap = np.inf  # duality gap at the last point, if the sample proves one
        self.is_long = False  # whether a direction took many reads
        self.rough = False  # whether directions need not be exact
        self.begin()

    def begin(self):
        """A new problem."""
        self.decrement, self.factor, self.secants = np.inf, None, Secants()
        self.tries = 2  # certificates of the sample that may fail before none is asked for

    def begin_with(self, hessian, dtype):
        """Hessians are not formed."""

    def prepare(self, sample, params):
        """Begin with the Hessian of a sample, which is used where it is."""

    def __call__(self, point, cautious, goal):
        """A function for the Newton direction at a point."""
        self.is_exact, self.gap = False, np.inf

        def solve():
            self.stale = self.part is not None and not cautious
            curved = self.part.at(point.params) if self.stale else point
            curved.find_curvature(cautious)
            few = _SOME_COLUMNS if self.is_long else FEW_COLUMNS
            if curved.objective.is_remote and len(point.params) <= few:
                return self._formed(point)
            foresees = point.objective.foresees and not cautious
            p = self._direction(point, curved, goal if foresees else None)
            return self.secants.improved(point, p) if self.stale else p

        return solve

    def _formed(self, point):
        """Newton direction by a Hessian that is formed, and serves again while it is good."""
        if self.factor is None:
            hessian = point.hessian()
            eps = np.finfo(point.objective.rows.dtype).eps
            self.factor = factorized(hessian, len(hessian) * eps)
        return -self.factor(point.gradient)

    def note(self, decrement, step):
        """Take notice of a step: whether the sample is good for another."""
        if not (decrement <= 0.3 * self.decrement and step > 0.3):
            self.part = self.factor = None
        self.decrement = decrement

    def _direction(self, point, curved, goal):
        """Newton direction at ``point``, with the Hessian at ``curved``: of all rows or some.

        If there is a ``goal`` and the step is likely to be the last, it is found so accurately with
        the Hessian of the point that the slopes of the model are a certificate of that.
        """
        objective, gradient = point.objective, point.gradient
        if not gradient.any():
            return np.zeros_like(gradient)
        precondition, exact = self._preconditioner(curved, gradient), not self.stale
        enough = partial(_is_accurate, point, goal) if exact and goal is not None else None
        wanted, start = -objective.anchored(gradient), np.zeros_like(gradient)
        proves = self.stale and goal is not None and self.tries and _may_prove(curved)
        if proves:
            enough = partial(_proves, point, goal, curved.objective.share)
        p = self._solve(point, curved, precondition, wanted, enough)
        decrement = float(wanted @ p)
        if proves:
            if _price(decrement, curved.objective.share) <= goal:
                self.gap = sample_gap(point, curved, p)
                self.tries -= self.gap == np.inf  # after a shorter step one may succeed
            if self.tries:
                return p
        in_sight = expected_excess(decrement, point.value) <= MOST_EXCESS * (goal or 0.0)
        if self.stale and in_sight:
            point.find_curvature()
            exact, self.stale, start = True, False, p
            wanted = wanted - objective.anchored(point.hessian_product(start))
            enough = partial(_is_accurate, point, goal, start=start, before=decrement)
            p = self._solve(point, point, precondition, wanted, enough)
        self.is_exact = exact and goal is not None
        return start + p

    def _solve(self, point, curved, precondition, wanted, enough):
        """Solution p of H p = ``wanted``."""
        objective = point.objective
        p, n_products = conjugate_gradients(
            lambda v: objective.anchored(curved.hessian_product(v)),
            precondition,
            wanted,
            point.loss,
            least=0.1 if self.stale or self.rough else 1e-8,  # no more than a sample is worth
            most=_MOST_READS if curved.objective.is_remote else self.most,
            noise=point.noise,
            until=enough,
        )
        self.is_long = self.is_long or n_products > _MOST_PRODUCTS
        if n_products > self.patience and self.gram is None:
            self.gram = curved.objective.sample_gram()
        return p

    @staticmethod
    def _of_sample(curved):
        """Function that solves with the Hessian of the rows that are here."""
        point = curved.objective.at_hand().at(curved.params)
        point.find_curvature()
        hessian = point.hessian()
        return factorized(hessian, len(hessian) * np.finfo(np.float64).eps)

    def _preconditioner(self, curved, gradient):
        """Function that solves with an approximation of the Hessian, scaled along the gradient."""
        objective = curved.objective
        if objective.is_remote and len(gradient) <= _MANY_COLUMNS:
            return self._of_sample(curved)
        if self.approximate is None and not objective.is_remote:
            self.approximate = curved.approximate_hessian()
        if self.approximate is not None:
            return curved.solves_with(self.approximate)
        l2 = objective.penalty.padded(objective.n_params).l2
        if self.gram is None and np.ptp(l2) <= 0.2 * l2.max():
            return lambda v: v  # any other number would make the same directions
        curvature = float(gradient @ (curved.hessian_product(gradient) - l2 * gradient))
        if self.gram is not None:
            level = curvature / max(float(gradient @ self.gram @ gradient), 1e-300)
            matrix = max(level, 1e-12) * self.gram
            matrix[np.diag_indices(len(l2))] += l2 + 1e-10 * matrix.diagonal().max()
            with suppress(LinAlgError):
                factor = cho_factor(matrix, lower=True, check_finite=False)
                return lambda v: cho_solve(factor, v, check_finite=False)
        # Columns have unit spread, so the loss's part of the diagonal is about constant.
        inverse = 1.0 / (max(curvature / float(gradient @ gradient), 1e-12) + l2)
        return lambda v: inverse * v


class Secants:
    """Directions −B⁻¹g by the Hessian B of a sample, improved by what steps told of that of all.

    The inverse is that of L-BFGS (Nocedal, "Updating quasi-Newton matrices with limited storage",
    Mathematics of Computation 35, 1980), which begins with B⁻¹: its product with a difference of
    gradients is a difference of directions, which are known.
    """

    def __init__(self):
        self.last, self.pairs = None, []

    def improved(self, point, p):
        """The improved direction at ``point`` for the direction p."""
        g = point.gradient
        if self.last is not None:
            params, before, other = self.last
            s, y = point.params - params, g - before
            if float(s @ y) > 0:
                self.pairs = [*self.pairs[-2:], (s, y, float(s @ y), other - p)]
        self.last = point.params, g, p
        q, r, found = g, -p, []
        for s, y, product, moved in reversed(self.pairs):
            found.append(float(s @ q) / product)
            q, r = q - found[-1] * y, r - found[-1] * moved
        for (s, y, product, _), alpha in zip(self.pairs, reversed(found), strict=True):
            r = r + (alpha - float(y @ r) / product) * s
        return -r if float(g @ r) > 0 else p


def _may_prove(part):
    """Whether the rows of a sample may make a certificate of all."""
    sample = part.objective
    return sample.share is not None and sample.loss.envelope_width is None


def _price(decrement, share):
    """About what slopes cost that a sample of this ``share`` of the rows corrects."""
    return 0.5 * decrement / share


def _proves(point, goal, share, p, r, decrement):
    """Whether a direction p by the Hessian of a sample, which leaves the residual r, makes a
    certificate, or is too long for one."""
    price = _price(decrement, share)
    if price > goal:
        return True
    penalty = point.objective.penalty
    missing = -point.objective.split(r)[0] - penalty.hessian_product(point.objective.split(p)[0])
    return price + penalty.gap(point.u, missing)[0] <= 0.9 * goal


def _is_accurate(point, goal, p, r, decrement, start=0.0, before=0.0):
    """Whether a step start + p that leaves the residual r makes a certificate, or is too long for
    one; ``before`` is the decrement of ``start``."""
    excess = expected_excess(before + decrement, point.value)
    if excess > MOST_EXCESS * goal:
        return True
    objective = point.objective
    missing, unbalanced = objective.split(r)
    gap, _ = objective.penalty.gap(objective.split(point.params + start + p)[0], -missing)
    # What slopes that do not sum to zero will cost: see ``cancel_sum``.
    k, most = objective.n_outputs, float(np.max(np.abs(unbalanced)))
    share = (4 * k if k > 1 else 2) * most / max(point.slopes.size, 1e-300)
    return gap + share * point.loss + excess <= 0.9 * goal
