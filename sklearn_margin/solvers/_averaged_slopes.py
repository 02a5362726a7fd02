"""Certificates for stochastic and subgradient methods, from steps taken for no other purpose."""

import numpy as np

from sklearn_margin._jit import kernel
from sklearn_margin.objective.mean_slopes import MeanSlopes
from sklearn_margin.objective.row_access import Samples
from sklearn_margin.objective.row_kernels import row_add
from sklearn_margin.solvers._streaming import score_batch

__all__ = ["gap_by_passes", "gap_by_steps", "without_small"]

_WORK = 20_000_000  # entries of X that passes for a certificate may read, if the problem is small
_TOGETHER = 100_000  # rows, of one pass or of many, that a kernel is given at a time
_LEAST = 32  # entries that a row stands for, since a step costs something in any case
_PASSES = 24  # and how many they may be, if it is not


def gap_by_passes(run, params, eta, wanted):
    """Duality gap at ``params`` from stochastic passes with a constant step that begin there.

    In a pass every row is visited once, so that means of a row's slopes are a dual point.

    Parameters
    ----------
    run : stochastic run
        With attributes ``objective``, ``rows``, ``loss``, ``l2``, ``l1``, ``by_row``, a method
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
    eta = objective.at(params).polyak_length
    return _search(
        objective, params, eta, wanted, most, lambda eta, n: _steps(objective, params, eta, n)
    )


def _search(objective, params, eta, wanted, most, average):
    """The smallest gap over lengths and numbers of steps.

    Steps are made shorter where the excess prevails, which is proportional to them; longer, and
    more, where the rest does, which comes from the distance covered over the sum of the steps.
    """
    some, least, point = max(1, most // 32), np.inf, objective.at(params)
    while most > 0:
        some = min(some, most)
        most -= some
        slopes = average(eta, some)
        if not slopes.are_finite:
            eta /= 16
            continue
        gap, excess = slopes.gap(point)
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
    """Mean slopes over ``n`` full steps."""
    slopes, point = MeanSlopes(objective), objective.at(params)
    for k in range(n):
        slopes.add(point)
        if k + 1 < n:
            slope, b_slope = objective.split(point.gradient)
            slope = slope - objective.penalty.gradient(point.u)
            u, b = objective.split(point.params)
            u = objective.penalty.prox(u - eta * slope, eta)
            point = objective.at(objective.join(u, b - eta * b_slope))
    return slopes


def _passes(run, params, eta, passes):
    """Mean slopes of all rows over some passes."""
    objective, random_state = run.objective, np.random.RandomState(0)
    n, samples = objective.rows.shape[0], objective.draw(random_state)
    sums, conjugate, done = np.zeros((n, objective.n_outputs)), 0.0, 0
    point = run.encode(params)
    while done < passes:
        some = min(passes - done, max(1, _TOGETHER // n))
        order = np.argsort(random_state.random_sample((some, n)), axis=1).ravel()
        conjugate += objective.loss._run(
            _averaging_pass, run.loss, run.rows, Samples(*(part[order] for part in samples)),
            point, sums, run.l2, run.l1, eta, run.by_row,
        )  # fmt: skip
        done += some
    sums = sums if objective.n_outputs > 1 else sums[:, 0]
    return MeanSlopes(objective, sums / n, conjugate / n, passes)


@kernel
def _averaging_pass(_, loss, rows, samples, params, sums, l2, l1, eta, plan):
    """One pass at a constant step; slopes are added to ``sums``. Returns the sum of conjugates."""
    _, every, n_outputs, fit_intercept = plan
    order, _, labels, weights, _ = samples
    d = l2.shape[0]
    u = params[: n_outputs * d].reshape((n_outputs, d))
    b = params[n_outputs * d :]
    scores, slopes = np.empty((1, n_outputs)), np.empty((1, n_outputs))
    conjugate, since = 0.0, 0
    for k in range(order.shape[0]):
        i = order[k]
        score_batch(rows, samples, k, k + 1, u, b, scores)
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
