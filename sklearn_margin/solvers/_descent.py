"""What coordinate descents on the dual have in common: when to look at the gap, and the order in
which rows are visited."""

import numpy as np

from sklearn_margin._jit import kernel
from sklearn_margin.solvers.base import Result

__all__ = ["COMPACT", "RUN", "descend", "hasten", "shuffle_run"]

RUN = 64  # neighbouring rows that are visited together
COMPACT = 0.5  # share of rows below which they are copied


def descend(dual, *, tol, max_iter, callback, shrinking) -> Result:
    """Epochs over ever fewer rows, and a certificate over all of them where it may pay.

    Parameters
    ----------
    dual : object
        State of the dual problem: ``part(index)`` is some rows side by side, ``epoch`` visits
        its active ones and says how far scores were off, ``store(part)`` takes its slopes over,
        ``certify()`` is a primal point with its ``value``, a ``lower`` bound on F, the ``noise``
        in both and a ``floor`` below which F is zero to rounding error, and
        ``unsettled(point, index)`` the rows to go on with.
    tol, max_iter, callback
        As in ``Solver.solve``.
    shrinking : bool
        Whether epochs may leave rows out.

    Returns
    -------
    Result
    """
    rng = np.random.RandomState(0)
    everything = np.flatnonzero(dual.objective.s > 0)
    part = dual.part(everything)
    best, lower, work, checked, off_then = None, -np.inf, 0.0, 0.0, np.inf
    shown, stop = 0, False
    while True:
        work += len(part.active) / max(len(everything), 1)
        part, off = dual.epoch(part, rng, shrinking)
        settled = off <= 0.1 * off_then or len(part.active) == 0
        if not settled and work < min(1.25 * checked + 1, max_iter):
            continue
        checked, off_then = work, off
        n_iter = min(int(np.ceil(work)), max_iter)
        dual.store(part)
        point = dual.certify()
        lower = max(lower, point.lower)
        if best is None or point.value < best.value:
            best = point
        gap = max(best.value - lower, 0.0) + best.noise
        reached = gap / max(abs(best.value), 1e-300)
        converged = reached <= tol or best.value <= best.floor
        if callback is not None and n_iter > shown:  # once for each iteration, however many checks
            shown, stop = n_iter, bool(callback(n_iter, best.params))
        if stop or converged or n_iter >= max_iter:
            break
        part = dual.part(dual.unsettled(point, everything))
    return Result(best.params, best.value, n_iter, converged, gap, "relative gap", reached)


def hasten(dual, part, slopes, off):
    """Move intercepts in longer steps while the sums of slopes stay as far from zero as they are,
    and that is far, or farther than what is ``off`` of the scores: with a strong penalty rows are
    short, and so is the first step."""
    now, before = float(np.abs(dual.sum).sum()), dual.unbalance
    dual.unbalance = now
    share = now / max(np.abs(slopes).sum(), 1e-300)
    far = share > 0.01 or (share > 1e-9 and dual.inverse_rho * now > 100.0 * off)
    if dual.inverse_rho > 0 and now > 0.9 * before and far:
        for norm in {id(a): a for a in (dual.norm, part.norm)}.values():
            norm += dual.inverse_rho
        dual.inverse_rho *= 2.0


@kernel
def shuffle_run(run, first, size, state):
    """Write ``first`` … ``first + size - 1`` to ``run`` in random order; the next random state."""
    for k in range(size):
        run[k] = first + k
    for k in range(size - 1, 0, -1):
        state ^= state << np.uint32(13)
        state ^= state >> np.uint32(17)
        state ^= state << np.uint32(5)
        other = int(state % np.uint32(k + 1))
        run[k], run[other] = run[other], run[k]
    return state
