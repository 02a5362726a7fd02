"""Sifting: of many rows most are surely on one side of their kink, where the loss is linear.

The minimum of a sample is moved by steps p = −H⁻¹∇F over all rows, where H is the Hessian that the
loss has in the mean: its hinges bend where their kinks lie dense, so that

    H = X̃ᵀ diag(width/(2h), where |e| ≤ h) X̃ + λ₂

for some h (Powell, "Estimation of monotonic regression models under quantile restrictions", 1991).
Each step is a read of X, and leaves an error several times smaller, down to about (d/n)^¾, where
the slopes of single rows matter (Bickel, "One-step Huber estimates in the linear model", JASA 70,
1975). By how much scores moved in the last step says how far they may still be off.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import LinAlgError
from sklearn.utils import gen_batches

from sklearn_margin._linalg import factorized
from sklearn_margin.objective.pointwise import DiagonalCurvature
from sklearn_margin.solvers._central_path import approach_minimum, follow_path
from sklearn_margin.solvers._hinges import BandModel, Rest, best_intercept, hinge_terms
from sklearn_margin.solvers._quadratic import minimize_quadratic

__all__ = ["ROWS_PER_PARAMETER", "Sifted", "sift"]

_SAMPLE = 40  # rows per parameter that are solved first
_WINDOW = 100  # kinks per parameter that tell the Hessian, among ten times as many
_MOST_STEPS = 8
_FASTER = 0.7
_LOOKED_AT = 2_000  # rows that tell what is typical
_ENOUGH = 60  # rows per parameter in a band that is narrow
_MOST_BANDS, _MOST_ITER = 4, 40  # and iterations for a band
_WIDE = 8  # the share of all rows, inverted, that makes a band wide
ROWS_PER_PARAMETER = _ENOUGH * _WIDE  # fewer rows, and a narrow band is a wide one
_FEW = 4.0  # rows that do not tell the Hessian of a feature
_ARMIJO, _NOISE = 0.1, 1e-6  # share of the slope by which F falls; what is no rise of it
_COVER = 40  # rows for a feature that has less
_AT_KINKS = 0.5  # share of rows at their kinks that are most
_RANGE = 50_000  # rows that are gone through at a time, or a sixteenth of all


def _effective(X):
    """How many of the rows know each column of X, which has mean square 1 in all rows."""
    square = np.square(X)
    total = square.sum(axis=0)
    few = total**2 / np.maximum(np.square(square).sum(axis=0), 1e-300)
    return few * np.minimum(total / max(len(X), 1), 1.0)


class Sifted(NamedTuple):
    """A point, and what all rows prove of it."""

    params: np.ndarray
    value: float
    gap: float
    noise: float  # rounding errors of F
    n_iter: int
    t: np.ndarray  # multipliers of the hinges of coefficients


def sift(objective, start, tol, max_iter, callback, band) -> tuple[Sifted | None, int, np.ndarray]:
    """Solve the rows whose side is uncertain, the others taken as linear.

    Returns
    -------
    found : Sifted or None
        None where that does not lead to a certificate: the loss is not what steps take it for, the
        band is wide, or rows keep changing sides.
    n_iter : int
        Iterations so far.
    params : ndarray of shape (n_params,)
        Where another solver may go on.
    """
    sides, n_iter, live, best = _Sides(objective), 0, objective.s > 0, start
    if not objective.split(start)[0].any():
        start, n_iter = _of_sample(objective, start, max_iter, np.flatnonzero(live))
    sides.look(objective.feasible(np.array(start, dtype=np.float64)))
    if n_iter > 0 and not sides.is_better_than_constant():
        return None, n_iter, best
    error = sides.approach(band)
    best = objective.feasible(sides.x) if sides.n_steps else best
    if error is None:
        return None, n_iter, best
    uncertain = sides.near(band * error) & live
    for _ in range(_MOST_BANDS):
        if not 0 < np.count_nonzero(uncertain) < len(live) // _WIDE:
            break
        sides.cover(uncertain, live)
        index = np.flatnonzero(uncertain)
        model = BandModel(objective, index, sides.rest(index))
        most = min(max_iter, n_iter + _MOST_ITER)
        run = follow_path(model, sides.x, 0.5 * tol, most, callback, first=n_iter)
        n_iter = run.n_iter
        band *= 2
        if run.lower <= 0.0 and n_iter < max_iter:  # too few rows to hold all coefficients
            uncertain |= sides.near(band * error) & live
            continue
        x = objective.feasible(run.point.x)
        value, excess, noise, wrong = sides.verify(x, uncertain)
        gap = max(run.bound.value - run.lower, 0.0) + excess + noise
        if gap <= tol * abs(value) or n_iter >= max_iter:
            t = run.point.t[model.n * model.copies :]
            return Sifted(x, value, gap, noise, n_iter, t), n_iter, x
        if not (wrong.any() and excess < value):  # nothing held what a band said of its own
            break
        sides.move(x)
        uncertain |= (wrong | sides.near(band * error)) & live
    return None, n_iter, best


def _of_sample(objective, start, max_iter, rows):
    """About the minimum of a sample of ``rows``, and the iterations it took."""
    drawn = np.random.RandomState(0).randint(len(rows), size=_SAMPLE * objective.n_params)
    part = objective.take(rows[np.unique(drawn)])
    return approach_minimum(BandModel(part), start, 1e-3, max_iter)


class _Sides:
    """All rows beside their kinks, at a point.

    Attributes
    ----------
    x : ndarray of shape (n_params,)
    e : ndarray of shape (n_hinges, n)
        Scores less kinks.
    gradient : ndarray of shape (n_params,)
        X̃ᵀ times the slopes of the loss on those sides.
    """

    def __init__(self, objective):
        self.objective, self.rows = objective, objective.rows
        self.kink, self.low, self.high = map(np.array, zip(*hinge_terms(objective), strict=True))
        self.e, n = np.empty_like(self.kink), self.kink.shape[1]
        self.n_steps, self.loss = 0, None
        self.ranges = list(gen_batches(n, max(_RANGE, n // 16)))
        self.typical = slice(None, None, max(1, self.e.shape[1] // _LOOKED_AT))

    def look(self, x):
        """Go to the point ``x``: one read."""

        def slopes(where, z):
            e = np.subtract(z, self.kink[:, where], out=self.e[:, where])
            slope = self._slope(e, where)
            return 0.0, slope.sum(axis=0).astype(z.dtype, copy=False)

        _, projected, total = self.rows.through_scores(*self.objective.split(x), slopes)
        self.loss = None
        self.x, self.gradient = x, self.objective.join(projected, total)

    def _slope(self, e, where):
        return np.where(e > 0, self.high[:, where], self.low[:, where])

    def move(self, x):
        """Go to the point ``x``: one read, besides rows that change sides."""
        self.loss = None
        self._go(x, self.objective.scores_along(x - self.x), 1.0)

    def step_to(self, x):
        """Step towards ``x`` so far that F falls, which takes one read. Returns by how much scores
        change; None if F does not fall as it should."""
        penalty, split = self.objective.penalty, self.objective.split
        p = x - self.x
        dz = self.objective.scores_along(p)
        before = self._loss(self._there) if self.loss is None else self.loss
        held = penalty.value(split(self.x)[0])
        for length in (1.0, 0.5):
            change = penalty.value(split(self.x + length * p)[0]) - held
            slope = length * float(self.gradient @ p) + change
            self.loss = self._loss(lambda where, t=length: self.e[:, where] + t * dz[where])
            change += self.loss - before
            if change <= _ARMIJO * slope + _NOISE * before:
                return self._go(self.x + length * p, dz, length)
        return None

    def is_better_than_constant(self):
        """Whether the loss is less than that of scores that are all the same and at the kinks of
        most rows, as with a rare class of a hinge loss. If a sample does not achieve that, the
        minimum of F is next to such a constant, and most rows are next to their kinks."""
        some, b = (..., self.typical), 0.0
        if self.objective.fit_intercept:
            b = best_intercept(self.kink[some], self.low[some], self.high[some])
        if np.mean(self.kink[some] == b) < _AT_KINKS:
            return True
        return self._loss(self._there) < self._loss(lambda where: b - self.kink[:, where])

    def _there(self, where):
        return self.e[:, where]

    def _loss(self, at):
        """The loss where rows are ``at(where)`` beside their kinks; by ranges, for temporary arrays
        as long as all rows are what memory there must be."""
        total = 0.0
        for where in self.ranges:
            e = at(where)
            total += float(np.vdot(self._slope(e, where), e))
        return total

    def _go(self, x, dz, length):
        changed, slopes = [], []
        for where in self.ranges:
            old = self.e[:, where]
            new = old + length * dz[where]
            index = np.flatnonzero(((new > 0) != (old > 0)).any(axis=0))
            rows = index + where.start
            changed.append(rows)
            slopes.append(self._slope(new[:, index], rows) - self._slope(old[:, index], rows))
            old[:] = new
        self.gradient += self._project(np.hstack(slopes), np.concatenate(changed))
        self.x, self.n_steps = x, self.n_steps + 1
        dz = dz.astype(np.float64, copy=False)
        dz *= length
        return np.abs(dz, out=dz)

    def _project(self, slopes, index):
        """X̃ᵀ times slopes of the rows ``index``."""
        if len(index) == 0:
            return 0.0
        slope = slopes.sum(axis=0).astype(self.rows.dtype, copy=False)
        return self.objective.join(*self.rows.take(index).backproject(slope))

    def approach(self, band):
        """Step towards the minimum while that gets nearer, and the band is not narrow yet. Returns
        standard errors of scores; None where the loss is not what it has been taken for."""
        size, error, slow = np.inf, None, 0
        for _ in range(_MOST_STEPS):
            before, hessian = size, self._hessian()
            if hessian is None:
                break
            try:
                x = self._minimum_of_model(hessian)
            except LinAlgError:  # a Hessian that is not finite
                break
            moved = self.step_to(x)
            if moved is None:
                return None
            error, size = moved, float(np.median(moved[self.typical]))
            narrow = band * size * self.density <= _ENOUGH * self.objective.n_params
            slow = slow + 1 if size >= _FASTER * before else 0
            if narrow or size == 0.0 or slow == 2:
                break
        return None if error is None else np.maximum(error, 1.4826 * size, out=error)

    def _minimum_of_model(self, hessian):
        objective = self.objective
        gradient = self.gradient + objective.penalty_gradient(self.x)
        if not objective.penalty.is_smooth:
            penalty = objective.penalty.padded(objective.n_params)
            slope = penalty.without_l1(self.x, gradient)
            return minimize_quadratic(hessian, penalty, self.x, slope, 0.0)
        return self.x - factorized(hessian)(gradient)

    def _hessian(self):
        """Hessian of F in the mean; None if most kinks are met exactly."""
        objective = self.objective
        wanted = _WINDOW * objective.n_params
        some = slice(None, None, max(1, self.e.shape[1] // (10 * wanted)))
        far, width = np.abs(self.e[:, some]), (self.high - self.low)[:, some]
        far = np.where(width > 0, far, np.inf)
        wanted = min(wanted, far.size - 1)
        h = float(np.partition(far, wanted, axis=None)[wanted])
        weight = np.where(far <= h, width, 0.0).sum(axis=0)
        index = np.flatnonzero(weight)
        if not 0 < h < np.inf:
            return None
        self.density = np.count_nonzero(far <= h) * (some.step or 1) / h
        weight = weight[index] / (2 * h * objective.s[some].sum(dtype=np.float64))
        weight = weight.astype(self.rows.dtype)
        part = objective.placed(rows=self.rows.take(np.arange(self.e.shape[1])[some][index]))
        curvature = DiagonalCurvature(0.0, np.zeros_like(weight), weight)
        hessian = part.loss_gradient_hessian(curvature)[1]
        # Columns have mean square 1. Of one that few rows of the window know that says as much.
        known = _effective(part.rows.dense(slice(None)))
        known = np.append(known, len(index)) if objective.fit_intercept else known
        trust = np.sqrt(np.minimum(known / _FEW, 1.0))
        hessian *= np.outer(trust, trust)
        np.einsum("ii->i", hessian)[:] += (1.0 - trust**2) * float(weight.sum())
        return objective.with_penalty(hessian)

    def near(self, error):
        """The rows that may be on the other side of a kink, with ``error`` in their scores."""
        return (np.abs(self.e) <= error).any(axis=0)

    def cover(self, uncertain, live):
        """Add rows to those that are ``uncertain``, for features that those hardly have: otherwise
        nothing holds their coefficients."""
        index = np.flatnonzero(uncertain)
        weak = np.flatnonzero(_effective(self.rows.dense(index)) < _COVER)
        if len(weak) == 0:
            return
        far = np.where(live, np.abs(self.e).min(axis=0), np.inf)
        shift, scale = self.rows.shift[weak], self.rows.scale[weak]

        def nearest(where):
            size = np.abs((self.rows.raw(where)[:, weak] - shift) / scale)
            with np.errstate(divide="ignore", invalid="ignore"):
                way = np.where(size >= 1, far[where, None] / size, np.inf)
            most = min(_COVER, len(way) - 1)
            first = np.argpartition(way, most, axis=0)[:_COVER]
            return np.take_along_axis(way, first, axis=0), first + where.start

        way, index = zip(*self.rows.run(nearest, self.rows.ranges), strict=True)
        way, index = np.concatenate(way), np.concatenate(index)
        first = np.argpartition(way, min(_COVER, len(way) - 1), axis=0)[:_COVER]
        some = np.isfinite(np.take_along_axis(way, first, axis=0))
        uncertain[np.take_along_axis(index, first, axis=0)[some]] = True

    def rest(self, index):
        """What all rows but ``index`` contribute on their sides."""
        slope = self._slope(self.e, slice(None))
        slope[:, index] = 0.0
        band = self._slope(self.e[:, index], index)
        constant = -float(np.vdot(slope, self.kink))
        self.up = self.e > 0
        norm = float(np.linalg.norm(slope.sum(axis=0)))
        return Rest(self.gradient - self._project(band, index), constant, norm)

    def verify(self, x, uncertain):
        """All rows at the point ``x``: one read.

        Returns
        -------
        value : float
            F.
        excess : float
            Of the loss of rows that are not ``uncertain`` over what it is on the sides they had.
        noise : float
            Rounding errors of F.
        wrong : ndarray of bool of shape (n,)
            Rows that are on another side.
        """
        objective = self.objective
        z = objective.scores_along(x)  # the kinks have the offset
        u, _ = objective.split(x)
        unit = float(np.finfo(self.rows.dtype).eps)
        blowup = np.abs(self.rows.shift) / self.rows.scale
        common = unit * float(objective.join(blowup, 1.0) @ np.abs(x))
        length = float(np.abs(u).sum())
        wrong = np.zeros(len(z), dtype=bool)

        def work(where):
            e = z[where] - self.kink[:, where]
            low, high = self.low[:, where], self.high[:, where]
            own = unit * (np.abs(self.kink[:, where]) + np.abs(e) + length)
            slope = np.where(e > 0, high, low)
            off = ((e > 0) != self.up[:, where]) & ~uncertain[where]
            wrong[where] = off.any(axis=0)
            near = np.abs(e) <= own + common
            steep = np.where(near, np.maximum(-low, high), np.abs(slope))
            return np.array([
                np.vdot(slope, e),
                np.sum((high - low) * np.abs(e), where=off),
                np.vdot(steep * own, steep * own),
                np.sum(slope, where=~near),
                np.sum(steep, where=near),
            ])  # fmt: skip

        loss, excess, squares, tilt, near = sum(self.rows.run(work, self.rows.ranges))
        noise = 2.0 * np.sqrt(squares) + common * (abs(tilt) + near)
        value = float(loss) + objective.penalty.value(u)
        return value, float(excess), float(noise), wrong
