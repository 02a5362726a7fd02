"""A certificate for methods that never hold a dual point: the average of their slopes."""

import numpy as np

from sklearn_margin._jit import kernel
from sklearn_margin.objective.rows import row_add, row_dot

__all__ = ["averaged_gap", "gap_by_passes", "gap_by_steps", "own_gap", "without_small"]

_WORK = 20_000_000  # entries of X that passes for a certificate may read, if the problem is small
_SHIFTS = 30  # of the intercept, each four times the one before, to find slopes of another sign
_TOGETHER = 100_000  # rows, of one pass or of many, that a kernel is given at a time
_LEAST = 32  # entries that a row stands for, since a step costs something in any case
_PASSES = 24  # and how many they may be, if it is not


def own_gap(objective, params):
    """Duality gap at ``params`` from the slopes there; None where no gap is known."""
    z = objective.scores(params)
    g = np.empty_like(z)
    loss = objective.score_gradient(z, g)
    g = g.astype(np.float64)
    return _gap(objective, params, z, loss, g, float(g @ z) - loss)[0]


def averaged_gap(objective, params, g, conjugate):
    r"""Duality gap at ``params`` with an average of slopes for the dual point.

    At scores z_t with slopes g_t = ∇L(z_t) Fenchel's equality is L*(g_t) = g_t·z_t − L(z_t). L* is
    convex, so that of an average ḡ of them is at most the average c of these numbers. The gap is
    what ``LinearObjective.gap`` makes of ḡ at ``params``, plus the excess L(z) + c − ḡ·z over
    Fenchel's equality there.

    Where a method does not come to rest, the slopes of its last point say nothing, but those of
    the way cancel: X̃ᵀḡ plus the mean gradient of the penalty is how far the method went, over
    the sum of its steps (Nesterov, "Primal-dual subgradient methods for convex problems",
    Mathematical Programming 120, 2009).

    Parameters
    ----------
    objective : LinearObjective
    params : ndarray of shape (n_params,)
    g : ndarray of the shape of the scores
        The average ḡ.
    conjugate : float
        The average c.

    Returns
    -------
    gap, excess : float
        The whole, and the excess in it. The gap is None where none is known.
    """
    z = objective.scores(params)
    return _gap(objective, params, z, objective.score_value(z), g, conjugate)


def _gap(objective, params, z, loss, g, conjugate):
    if objective.fit_intercept and objective.n_outputs == 1:
        g, conjugate = _balanced(objective, z, loss, g, conjugate)
    excess = max(loss + conjugate - float(g @ z), 0.0)
    g = g.astype(z.dtype)
    gap = objective.gap(params, objective.gradient_from(params, g), g, loss)
    rounding = 4 * float(np.finfo(z.dtype).eps) * (abs(loss) + abs(conjugate))
    return (None if gap is None else gap + excess + rounding), excess


def _balanced(objective, z, loss, g, conjugate):
    """A dual point whose sum vanishes, as a free intercept wants it, and its conjugate.

    Where g sums to a positive number, slopes at lower scores do not: the sum is the derivative of
    a convex function of the intercept. A mean of both, with the weights that make it vanish, is a
    dual point like any mean of slopes.
    """
    total, size = float(g.sum()), float(np.abs(g).sum())
    shift = 1e-3 * max(abs(loss), 1e-300) / max(size, 1e-300)
    other = np.empty_like(z)
    for _ in range(_SHIFTS if abs(total) > 1e-14 * size else 0):
        there = (z - np.copysign(shift, total)).astype(z.dtype)
        value = objective.score_gradient(there, other)
        opposite = float(other.sum(dtype=np.float64))
        if not np.isfinite(opposite):
            break
        if opposite * total <= 0:
            share = total / (total - opposite)
            conjugate_there = float(other.astype(np.float64) @ there) - value
            mean = (1 - share) * g + share * other.astype(np.float64)
            return mean, (1 - share) * conjugate + share * conjugate_there
        shift *= 4
    return g, conjugate


def gap_by_passes(run, params, eta, wanted):
    """Duality gap at ``params`` from stochastic passes with a constant step that begin there.

    In a pass every row is visited once, so that means of a row's slopes are a dual point.

    Parameters
    ----------
    run : stochastic run
        With attributes ``objective``, ``rows``, ``loss``, ``l2``, ``l1``, ``every``, a method
        ``encode`` and an objective whose samples are rows.
    params : ndarray of shape (n_params,)
        In the coordinates of the objective.
    eta : float
        Step to begin with.
    wanted : float
        Gap that is small enough.

    Returns
    -------
    float or None
        The smallest gap that was found. None where there is none.
    """
    objective = run.objective
    work = objective.rows.shape[0] * max(objective.n_params, _LEAST)
    most = max(_WORK // work, _PASSES)
    return _search(
        objective, params, eta, wanted, most, lambda eta, n: _passes(run, params, eta, n)
    )


def gap_by_steps(objective, params, wanted, most):
    """Duality gap at ``params`` from proximal subgradient steps of one length that begin there.

    Parameters
    ----------
    objective : LinearObjective
    params : ndarray of shape (n_params,)
    wanted : float
        Gap that is small enough.
    most : int
        Most steps.

    Returns
    -------
    float or None
        The smallest gap that was found. None where there is none.
    """
    # Scores move by loss / slope until a loss vanishes. Over the slope, that is a length.
    z = objective.scores(params)
    g = np.empty_like(z)
    loss = objective.score_gradient(z, g)
    squares = float(np.square(g, dtype=np.float64).sum()) * len(g)
    eta = max(loss, 1e-300) / max(squares, 1e-300)
    return _search(
        objective, params, eta, wanted, most, lambda eta, n: _steps(objective, params, eta, n)
    )


def _search(objective, params, eta, wanted, most, average):
    """The smallest gap over lengths and numbers of steps.

    Steps are made shorter where the excess prevails, which is proportional to them; longer, and
    more, where the rest does, which comes from the distance covered over the sum of the steps.
    """
    some, least = max(1, most // 32), np.inf
    while most > 0:
        some = min(some, most)
        most -= some
        g, conjugate = average(eta, some)
        if not np.isfinite(g).all():
            eta /= 16
            continue
        gap, excess = averaged_gap(objective, params, g, conjugate)
        if gap is None:
            return None
        least = min(least, gap)
        if least <= wanted:
            break
        if 2 * excess > gap:
            eta /= 4
        else:
            some, eta = 2 * some, (4 if gap > 20 * excess else 2) * eta
    return least


def _steps(objective, params, eta, n):
    """Mean slopes and their mean conjugate over ``n`` full steps."""
    total, conjugate, point = 0.0, 0.0, params
    for _ in range(n):
        z = objective.scores(point)
        g = np.empty_like(z)
        loss = objective.score_gradient(z, g)
        conjugate += float(g.astype(np.float64) @ z) - loss
        total = total + g.astype(np.float64)
        u, b = objective.split(point)
        slope, b_slope = objective.split(objective.gradient_from(point, g))
        slope = slope - objective.penalty.gradient(u)
        point = objective.join(objective.penalty.prox(u - eta * slope, eta), b - eta * b_slope)
    return total / n, conjugate / n


def _passes(run, params, eta, passes):
    """Mean slopes of all rows over some passes, and the mean of their conjugates."""
    objective, random_state = run.objective, np.random.RandomState(0)
    n, n_outputs = objective.rows.shape[0], objective.n_outputs
    rows, _, labels, weights = objective.draw(random_state)
    point, sums, conjugate, done = run.encode(params), np.zeros((n, n_outputs)), 0.0, 0
    while done < passes:
        some = min(passes - done, max(1, _TOGETHER // n))
        order = np.argsort(random_state.random_sample((some, n)), axis=1).ravel()
        conjugate += objective.loss._run(
            _averaging_pass, run.loss, run.rows, rows[order], labels[order], weights[order],
            point, sums, run.l2, run.l1, eta, run.every, n_outputs, objective.fit_intercept,
        )  # fmt: skip
        done += some
    return sums.ravel() / (n * passes), conjugate / (n * passes)


@kernel
def _averaging_pass(
    _, loss, rows, order, labels, weights, params, sums, l2, l1, eta, every, n_outputs,
    fit_intercept,
):  # fmt: skip
    """One pass at a constant step; slopes are added to ``sums``. Returns the sum of conjugates."""
    d = l2.shape[0]
    u = params[: n_outputs * d].reshape((n_outputs, d))
    b = params[n_outputs * d :]
    scores, slopes = np.empty((1, n_outputs)), np.empty((1, n_outputs))
    conjugate, since = 0.0, 0
    for k in range(order.shape[0]):
        i = order[k]
        for c in range(n_outputs):
            z = row_dot(rows, i, u[c])
            scores[0, c] = z + b[c] if fit_intercept else z
        y, s = labels[k : k + 1], weights[k : k + 1]
        if s[0] != 0.0:
            loss.slopes(y, scores, s, slopes)
            conjugate -= loss.mean(y, scores, s)
            for c in range(n_outputs):
                slope = slopes[0, c]
                if slope != 0.0:
                    conjugate += slope * scores[0, c]
                    sums[i, c] += slope
                    row_add(rows, i, -eta * slope, u[c])
                    if fit_intercept:
                        b[c] -= eta * slope
        since += 1
        if since == every or k + 1 == order.shape[0]:
            for c in range(n_outputs):
                for j in range(d):
                    size = abs(u[c, j]) - since * eta * l1[j]
                    sign = 1.0 if u[c, j] > 0 else -1.0
                    u[c, j] = 0.0 if size <= 0.0 else sign * size / (1.0 + since * eta * l2[j])
            since = 0
    return conjugate


def without_small(objective, params, value, slack):
    """``params`` with the smallest coordinates set to zero, and F there.

    What an averaged or a full subgradient method finds near a zero of an L1 problem is small, and
    not zero. As many coordinates are set to zero, in the order of their size, as F does not rise
    by more than ``slack`` for, by bisection.
    """
    if not objective.penalty.has_l1:
        return params, value
    u, b = objective.split(params)
    order = np.argsort(np.abs(u))
    low, high, most = int(np.count_nonzero(u == 0)), len(u) + 1, value + slack
    while high - low > 1:
        middle = (low + high) // 2
        zeroed = np.array(u)
        zeroed[order[:middle]] = 0.0
        point = objective.join(zeroed, b)
        found = objective.value(point)
        if found <= most:
            low, params, value = middle, point, found
        else:
            high = middle
    return params, value
