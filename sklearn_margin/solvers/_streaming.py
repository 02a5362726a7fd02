"""Streams: what is kept between batches of rows, and steps that are learned as they come."""

from typing import NamedTuple

import numpy as np

from sklearn_margin._jit import kernel
from sklearn_margin.objective.row_kernels import row_add, row_dot, row_feature, row_size

__all__ = [
    "DAMAGED",
    "DistanceState",
    "Plan",
    "StreamState",
    "check_state",
    "distance_epoch",
    "is_kept_array",
    "layout_of",
    "score_batch",
]

DAMAGED = (
    "partial_fit cannot go on: what it kept of earlier calls is damaged, or of another version. "
    "Begin anew with a clone"
)
_SHARE = 0.3  # of the way to where the loss vanishes: the first step of all coordinates together


class Plan(NamedTuple):
    """What kernels of stochastic passes are given besides rows, samples and steps."""

    batch: int  # samples per update
    every: int  # updates per step of the penalty
    n_outputs: int
    fit_intercept: bool


class StreamState:
    """Where a run is; kept by estimators between calls of ``partial_fit``.

    Attributes
    ----------
    params, average : ndarray of shape (n_params,)
        Iterate and average.
    layout : tuple
        Outputs, features and whether there is an intercept: what the parameters are of.
    """

    def __init__(self, params, layout):
        self.params = params
        self.average = params.copy()
        self.layout = layout

    #: Further arrays that kernels are given, and their shapes before the axis of parameters.
    further: dict[str, int] = {}
    #: Numbers that kernels are given.
    numbers: tuple[str, ...] = ()

    @property
    def finite(self):
        """Whether the run has not diverged."""
        return bool(np.isfinite(self.params).all())


class DistanceState(StreamState):
    """A stream whose steps are learned from it.

    The step of coordinate j at update t is distance over gradients [1]_, each coordinate being a
    layer of its own:

        max(r_j, ε_j) / √(Σ_{k ≤ t} g_kj²),

    g_k being the gradient of the loss at update k and r_j the farthest that the coordinate has
    been from its origin. Both follow the units of X and y, and a batch that says little leaves
    little behind: its gradients are small, and so is the way it leads. Until a coordinate has
    gone anywhere, r_j is too short. Then ε_j takes its place, a share of the Polyak length
    M = mean(loss / \\|slope\\|), which brings a score to where its loss vanishes, divided among
    the m entries of a row, each in its unit:

        ε_j = 0.3 · M / m · √(Σ a_k² / Σ g_kj²),

    where a_k is the slope of the loss by the score, so that the root is 1 over the size of
    feature j. The first gradient of a coordinate only tells its size, and moves nothing. The
    result is the average of the iterates with weights 1, 2, 3, … [2]_.

    Attributes
    ----------
    memory : ndarray of shape (4, n_params)
        Origin, Σ g², Σ a² and r by coordinate.
    counts : ndarray of shape (3,)
        M, updates with a slope, and updates of the average.

    References
    ----------
    .. [1] Ivgi, Hinder & Carmon, "DoG is SGD's best friend: a parameter-free dynamic step size
       schedule", ICML 2023.
    .. [2] Lacoste-Julien, Schmidt & Bach, "A simpler approach to obtaining an O(1/t) convergence
       rate for the projected stochastic subgradient method", arXiv:1212.2002, 2012.
    """

    further = {"memory": 4}

    def __init__(self, params, layout):
        super().__init__(params, layout)
        self.memory = np.zeros((4, len(params)))
        self.memory[0] = params
        self.counts = np.zeros(3)

    @property
    def finite(self):
        return super().finite and bool(np.isfinite(self.memory).all())


def layout_of(objective) -> tuple:
    """What the parameters of ``objective`` are of: see ``StreamState``."""
    return objective.n_outputs, objective.rows.shape[1], bool(objective.fit_intercept)


def is_kept_array(array, shape) -> bool:
    """Whether a kernel can go on from ``array``: finite float64 in C order, of this shape."""
    return (
        isinstance(array, np.ndarray)
        and array.dtype == np.float64
        and array.shape == shape
        and array.flags.c_contiguous
        and bool(np.isfinite(array).all())
    )


def check_state(state, objective) -> None:
    """Raise unless kernels can go on from a state that was kept, or loaded.

    Raises
    ------
    ValueError
        If it is of other parameters than those of ``objective`` (names ``fit_intercept`` or
        ``loss``), or is none that a stream of this version leaves behind.
    """
    n_params = objective.n_params
    layout = getattr(state, "layout", None)
    if not (isinstance(state, StreamState) and isinstance(layout, tuple) and len(layout) == 3):
        raise ValueError(DAMAGED)
    n_outputs, _, fit_intercept = layout
    if fit_intercept != bool(objective.fit_intercept):
        raise ValueError(
            f"partial_fit cannot change fit_intercept, which was {fit_intercept} in earlier "
            f"calls: got fit_intercept={objective.fit_intercept}"
        )
    if n_outputs != objective.n_outputs:
        raise ValueError(
            f"partial_fit cannot change to a loss of {objective.n_outputs} scores per row from "
            f"one of {n_outputs}: got loss={objective.loss!r}"
        )
    shapes = {"params": (n_params,), "average": (n_params,)}
    shapes |= {name: (size, n_params) for name, size in state.further.items()}
    if isinstance(state, DistanceState):
        shapes["counts"] = (3,)
    for name, shape in shapes.items():
        if not is_kept_array(getattr(state, name, None), shape):
            raise ValueError(DAMAGED)
    for name in state.numbers:
        number = getattr(state, name, None)
        if not (isinstance(number, (int, float)) and np.isfinite(number) and number >= 0):
            raise ValueError(DAMAGED)


def distance_epoch(run, state, random_state) -> None:
    """One pass of the stochastic ``run`` with learned steps; ``state`` goes on."""
    objective = run.objective
    share = _SHARE / max(objective.rows.entries_per_row + objective.fit_intercept, 1.0)
    objective.loss._run(
        _epoch, run.loss, run.rows, objective.draw(random_state), state.params, state.average,
        state.memory, state.counts, run.l2, run.l1, share, run.plan,
    )  # fmt: skip


@kernel
def score_batch(rows, samples, start, stop, u, b, scores):
    """Scores of the samples from ``start`` to ``stop``, for coordinates ``u`` of shape
    (n_outputs, d) and intercepts ``b``, of which there may be none."""
    first, second, _, _, offsets = samples
    for k in range(stop - start):
        i, other = first[start + k], second[start + k]
        for c in range(u.shape[0]):
            z = row_dot(rows, i, u[c])
            if other >= 0:
                z -= row_dot(rows, other, u[c])
            scores[k, c] = z + b[c] if b.shape[0] > 0 else z
        for c in range(offsets.shape[1]):
            scores[k, c] += offsets[start + k, c]


@kernel
def _epoch(
    _, loss, rows, samples, params, average, memory, counts, l2, l1, share, plan
):  # fmt: skip
    """One pass over the samples."""
    first, second, labels, weights, _ = samples
    batch, every, n_outputs, fit_intercept = plan
    d = l2.shape[0]
    u = params[: n_outputs * d].reshape((n_outputs, d))
    b = params[n_outputs * d :]
    scores, slopes = np.empty((batch, n_outputs)), np.empty((batch, n_outputs))
    gradient, size = np.zeros(d), np.empty(n_outputs)
    n, since = first.shape[0], 0
    for start in range(0, n, batch):
        stop = min(start + batch, n)
        score_batch(rows, samples, start, stop, u, b, scores)
        y, z, s = labels[start:stop], scores[: stop - start], weights[start:stop]
        loss.slopes(y, z, s, slopes[: stop - start])
        length = 0.0
        for c in range(n_outputs):
            size[c] = 0.0
            for k in range(stop - start):
                size[c] += abs(slopes[k, c])
            length += size[c] ** 2
        if length > 0.0:
            polyak = max(loss.mean(y, z, s), 0.0) / np.sqrt(length)
            counts[1] += 1.0
            counts[0] += (polyak - counts[0]) / counts[1]
        floor = share * counts[0]
        for c in range(n_outputs):
            if size[c] == 0.0:
                continue
            total = 0.0
            for k in range(stop - start):
                total += slopes[k, c]
                row_add(rows, first[start + k], slopes[k, c], gradient)
                if second[start + k] >= 0:
                    row_add(rows, second[start + k], -slopes[k, c], gradient)
            for k in range(stop - start):
                a = size[c]
                _step_row(rows, first[start + k], gradient, a, floor, params, memory, c * d)
                if second[start + k] >= 0:
                    _step_row(rows, second[start + k], gradient, a, floor, params, memory, c * d)
            if fit_intercept:
                _step(total, size[c], floor, params, memory, n_outputs * d + c)
        since += 1
        if since == every or stop == n:
            for c in range(n_outputs):
                _shrink(params, memory, c * d, since, floor, l2, l1)
            counts[2] += 1.0
            for p in range(params.shape[0]):
                average[p] += (params[p] - average[p]) * 2.0 / (counts[2] + 1.0)
            since = 0


@kernel
def _length(squares, sizes, reach, floor):
    """Step of a coordinate; 0 if it has had no gradient yet."""
    if squares <= 0.0:
        return 0.0
    return max(reach, floor * np.sqrt(sizes / squares)) / np.sqrt(squares)


@kernel
def _step(g, a, floor, params, memory, p):
    """Move parameter ``p`` against its gradient ``g``, ``a`` being the size of the slopes."""
    if g == 0.0:
        return
    is_known = memory[1, p] > 0.0
    memory[1, p] += g * g
    memory[2, p] += a * a
    if is_known:
        params[p] -= _length(memory[1, p], memory[2, p], memory[3, p], floor) * g
        memory[3, p] = max(memory[3, p], abs(params[p] - memory[0, p]))


@kernel
def _step_row(rows, i, gradient, a, floor, params, memory, offset):
    """Move the parameters of the features of row ``i``; clear their entries of ``gradient``."""
    for k in range(row_size(rows, i)):
        j = row_feature(rows, i, k)
        _step(gradient[j], a, floor, params, memory, offset + j)
        gradient[j] = 0.0


@kernel
def _shrink(params, memory, offset, updates, floor, l2, l1):
    """The proximal operator of the penalty, for some updates at once."""
    for j in range(l2.shape[0]):
        p = offset + j
        step = updates * _length(memory[1, p], memory[2, p], memory[3, p], floor)
        if step > 0.0:
            size = abs(params[p]) - step * l1[j]
            sign = 1.0 if params[p] > 0 else -1.0
            params[p] = 0.0 if size <= 0.0 else sign * size / (1.0 + step * l2[j])
