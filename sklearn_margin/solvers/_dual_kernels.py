"""Kernels of coordinate descents on the dual: they import nothing that changes often, since an edit
of what they import compiles them anew."""

import numpy as np

from sklearn_margin._jit import REASSOCIATE, kernel
from sklearn_margin.objective.row_kernels import (
    row_add,
    row_dot,
    row_prefetch,
    row_scores,
    row_update,
)

__all__ = [
    "RUN",
    "add_flows",
    "certify_classes",
    "follow_flow",
    "visit_classes",
    "visit_hinges",
]

RUN = 64  # neighbouring rows that are visited together
AHEAD = 4  # visits between the fetching of a row from memory and its own


@kernel
def _shuffle_run(run, first, size, state):
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


@kernel
def visit_hinges(rows, active, order, keep, hinges, t, state, thresholds, seed):
    """Exact minimisation along each coordinate of the active rows; ``keep`` marks the rows that
    stay active. Returns the sum of slopes, the extremes of the projected gradient, and the duality
    gap of the rows, each as it was visited."""
    kink, low, high, curve, norm = hinges
    w, multiplier, total, inverse_alpha, inverse_rho = state
    below, above = thresholds
    highest, lowest, gap = 0.0, 0.0, 0.0
    m = active.shape[0]
    run = np.empty(RUN, np.int64)
    random = np.uint32(seed)
    for block in range(order.shape[0]):
        first = order[block] * RUN
        size = min(RUN, m - first)
        random = _shuffle_run(run, first, size, random)
        for k in range(size):
            position = run[k]
            i = active[position]
            if k + AHEAD < size:
                row_prefetch(rows, active[run[k + AHEAD]])
            z = row_dot(rows, i, w) + multiplier - inverse_rho * total
            change = 0.0
            settled = True
            for c in range(kink.shape[0]):
                e = z - kink[c, i] - change * norm[i]
                old, bend = t[c, i], curve[c, i]
                if bend > 0.0:
                    best = min(high[c, i], max(low[c, i], e / bend))
                    gap += (best - old) * (e - 0.5 * bend * (best + old))
                    e -= bend * old
                else:
                    gap += ((high[c, i] if e > 0.0 else low[c, i]) - old) * e
                violation = e
                if old <= low[c, i]:
                    settled = settled and e < below
                    violation = max(e, 0.0)
                elif old >= high[c, i]:
                    settled = settled and e > above
                    violation = min(e, 0.0)
                else:
                    settled = False
                if violation == 0.0:
                    continue
                highest = max(highest, violation)
                lowest = min(lowest, violation)
                if norm[i] + bend > 0.0:
                    new = min(high[c, i], max(low[c, i], old + e / (norm[i] + bend)))
                else:
                    new = high[c, i] if e > 0.0 else low[c, i]
                t[c, i] = new
                change += new - old
            keep[position] = not settled
            if change != 0.0:
                row_add(rows, i, -change * inverse_alpha, w)
                total += change
    return total, highest, lowest, gap


@kernel(fastmath=REASSOCIATE)
def visit_classes(loss, rows, active, order, keep, labels, g, state, threshold, seed):
    """Exact minimisation over the slopes of each active row; ``keep`` marks the rows that stay
    active. Returns by how much the worst row missed its optimum."""
    k, s, norm, offset = labels
    W, multiplier, total, inverse_alpha, inverse_rho = state
    worst = 0.0
    m, n_outputs = active.shape[0], g.shape[1]
    run, random = np.empty(RUN, np.int64), np.uint32(seed)
    z, new, x = np.empty(n_outputs), np.empty(n_outputs), np.empty(max(W.shape[0], W.shape[1]))
    x = x[: W.shape[1]]
    for block in range(order.shape[0]):
        first = order[block] * RUN
        size = min(RUN, m - first)
        random = _shuffle_run(run, first, size, random)
        for visit in range(size):
            i = active[run[visit]]
            row_scores(rows, i, W, x, z)
            if inverse_rho > 0.0:
                for c in range(n_outputs):
                    z[c] += multiplier[c] - inverse_rho * total[c]
            for c in range(offset.shape[1]):
                z[c] += offset[i, c]
            excess = loss.dual_step(k[i], z, g[i], s[i], norm[i], new)
            keep[run[visit]] = excess >= -threshold
            if excess > 0.0:
                worst = max(worst, excess)
                for c in range(n_outputs):
                    z[c] = new[c] - g[i, c]
                    g[i, c] = new[c]
                    total[c] += z[c]
                    z[c] *= -inverse_alpha
                row_update(rows, i, x, z, W)
    return worst


@kernel
def certify_classes(loss, k, z, g, s, norm, excess):
    """Weighted sum of losses, gap, and ``excess`` of each row."""
    value, gap = 0.0, 0.0
    scratch = np.empty(z.shape[1])
    for i in range(z.shape[0]):
        excess[i] = -np.inf
        if s[i] > 0.0:
            value += s[i] * loss.sample_value(k[i], z[i])
            gap += loss.dual_gap(k[i], z[i], g[i], s[i])
            excess[i] = loss.dual_step(k[i], z[i], g[i], s[i], norm[i], scratch)
    return value, gap


@kernel
def add_flows(loss, k, g, s, flow):
    n_outputs = g.shape[1]
    probe, out = np.zeros(n_outputs), np.empty(n_outputs)
    for i in range(g.shape[0]):
        if s[i] > 0.0:
            for c in range(n_outputs):
                probe[c] = 1.0
                loss.dual_flow(k[i], g[i], s[i], probe, out)
                probe[c] = 0.0
                for a in range(n_outputs):
                    flow[c, a] += out[a]


@kernel
def follow_flow(loss, k, g, s, v, out):
    for i in range(g.shape[0]):
        out[i] = g[i]
        if s[i] > 0.0:
            loss.dual_flow(k[i], g[i], s[i], v, out[i])
            for c in range(g.shape[1]):
                out[i, c] = g[i, c] - out[i, c]
