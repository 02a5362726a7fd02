"""The quadratic model of F by its matrix, for any separable penalty."""

import numpy as np

from sklearn_margin.objective.reached_gap import reached_gap
from sklearn_margin.objective.sample_gap import sample_gap
from sklearn_margin.solvers._column_model import straight_search
from sklearn_margin.solvers._quadratic import minimize_quadratic
from sklearn_margin.solvers.base import MOST_EXCESS, expected_excess, is_small

__all__ = ["GramModel"]

_SWEPT = 1e-3  # of the goal: a decrease by a sweep that is too small for another
_FEW = 100  # parameters of which a Hessian costs no more than a few gradients


class GramModel:
    """Quadratic models of the loss plus the exact penalty, around one point after the other.

    A Hessian serves for further points while steps by it keep cutting the decrease that they
    promise: that of a sample, or of the point before, is often good enough, and a gradient is much
    cheaper. Of few parameters the Hessian is that of the point where the step may be the last, so
    that the slopes of the model are a certificate: see ``Line.foreseen_gap``.

    Parameters
    ----------
    objective : LinearObjective
    sampled : GramModel, default=None
        That of a sample of the rows, whose Hessian this one begins with; None is that of a similar
        objective, if it is known.

    Attributes
    ----------
    hessian : ndarray of shape (n_params, n_params)
        That of the loss and the smooth part of the penalty.
    gap : float
        A duality gap at the point, which the step to the minimum of the model proves.
    formed_at : Point or None
        Where ``look_again`` found the Hessian.
    """

    formed_at = None

    def __init__(self, objective, sampled=None):
        self._similar = sampled is None
        self.objective = objective
        self.hessian = objective.known_hessian() if sampled is None else sampled.hessian
        self._part = None if sampled is None else sampled.formed_at
        self.penalty = objective.penalty.padded(objective.n_params)
        self._reuse, self._expected = self.hessian is not None, np.inf
        self._foresees, self._foreseen = objective.foresees, np.inf
        self._is_cheap = objective.n_params <= _FEW

    def linearize(self, point, cautious, goal):
        """Duality gap at ``point``, whose model is minimised next; ``goal`` is what it may be."""
        self.point, self.goal, self.cautious, self.gap = point, goal, cautious, np.inf
        self.stale = self._reuse and not cautious
        if not self.stale:
            self._form()
        # Where rows are elsewhere a Hessian comes with the gradient; of a small problem it costs
        # less than the steps that it saves.
        small = self._is_cheap and is_small(self.objective)
        self._reuse = not (self.objective.is_remote or small)
        return self._foreseen if self._foreseen <= goal else point.gap()

    def look_again(self, objective, params):
        """Find the Hessian at a point to start from."""
        self.point, self.cautious = objective.at(params), False
        self._form()
        self.formed_at = self.point

    def _form(self):
        self.point.find_curvature(self.cautious)
        self.hessian, self.stale = self.point.hessian(), False
        self.formed_at, self._part = None, None
        # Damped by coordinate: those of strong penalties must not hold the others. Where there is
        # no curvature a slope leads far, and what may be rounding error of one nowhere.
        slope = np.abs(self.point.gradient)
        slope[slope <= self.point.noise] = 0.0
        _hold_rounding(self.hessian, slope)
        diagonal = self.hessian.diagonal()
        damping = np.where(diagonal > 0, 1e-15 * diagonal, 1e-12 * slope)
        self.hessian[np.diag_indices(len(diagonal))] += damping

    def minimize(self):
        """Slope of F, penalty included, times the step to the minimum of the model."""
        slope = self._minimize()
        poor = abs(slope) > (0.1 if self._is_cheap else 0.5) * self._expected
        near = self._is_cheap and self._foresees and self._is_near(slope)
        # One that is nearly exact, as from a similar penalty, soon makes a certificate itself.
        first = self._expected == np.inf
        slow = not self._similar if first else abs(slope) > 0.01 * self._expected
        if self.stale and (poor or (near and slow)):
            self._form()
            slope = self._minimize()
        self._expected = abs(slope)
        self.gap = self._proved_gap(abs(slope)) if self._part is not None else np.inf
        return slope

    def _proved_gap(self, decrement):
        """Duality gap at the point, if the rows of the sample that the Hessian is of prove one."""
        share = self._part.objective.share
        if share is None or 0.5 * decrement / share > self.goal:
            return np.inf
        if self.objective.moves_slopes:
            rounds = iter([self.change])  # and no more: the next is another problem
            return reached_gap(
                self.point, self._part, lambda v: -next(rounds, np.zeros_like(self.change))
            )
        return sample_gap(self.point, self._part, self.change) if self._foresees else np.inf

    def _is_near(self, slope):
        """Whether the slopes of the model may be a certificate after this step."""
        return expected_excess(slope, self.point.value) <= MOST_EXCESS * self.goal

    def _minimize(self):
        params = self.point.params
        smooth = self.penalty.without_l1(params, self.point.gradient)
        new = minimize_quadratic(self.hessian, self.penalty, params, smooth, _SWEPT * self.goal)
        self.change, self.smooth = self.objective.anchored(new - params), smooth
        return float(smooth @ self.change) + self.penalty.l1_change(params, new)

    def search(self):
        """The point where F is about lowest on the way to the minimum of the model; None if that is
        where it was."""
        point, self.point = self.point, None  # which may hold nothing while scores move
        exact = self._foresees and not (self.stale or self.cautious)
        foresee = exact and self._is_near_after(point)
        line = point.along(self.change)
        new = straight_search(line, self.smooth)
        self._foreseen = line.foreseen_gap(new) if foresee and new is not None else np.inf
        self._foresees = self._foresees and not (foresee and self._foreseen == np.inf)
        return new

    def _is_near_after(self, point):
        return expected_excess(self._expected, point.value) <= self.goal


def _hold_rounding(hessian, slope):
    """Make the Hessian zero for variables that are known by rounding errors alone and without a
    slope, so that they stay where they are: no positive semi-definite matrix has an entry larger
    than the geometric mean of those on the diagonal beside and above it."""
    size = np.sqrt(np.maximum(hessian.diagonal(), 0.0))
    small = np.flatnonzero(size <= 1e-4 * size.max(initial=0.0))
    too_large = np.abs(hessian[small]) > (1.0 + 1e-6) * size[small, None] * size
    lost = small[too_large.any(axis=1) & (slope[small] == 0)]
    hessian[lost] = hessian[:, lost] = 0.0
