"""Kernels that may sum in any order: their results must not depend on where arrays lie in memory.

A loop that sums and writes has vector code only for arrays that lie well apart, which the machine
code finds out when it runs.
"""

import numpy as np
import pytest

from sklearn_margin.losses.embedding import cosine, distance, geometry, neighbours
from sklearn_margin.losses.pairs import hinge_runs, logistic_sums

pytestmark = pytest.mark.compiled


def cases(n):
    """Name, kernel as a function of arrays, and these."""
    rng = np.random.default_rng(n)
    weight, v, part, terms = rng.uniform(size=n), rng.normal(size=n), np.zeros(n), np.zeros(n)
    y = np.sort(rng.integers(0, 3, n)).astype(float)
    levels = np.append(np.flatnonzero(np.append(True, np.diff(y) > 0)), n)
    hinges, labels = np.array([[1.0, 1.0, 0.5]]), rng.integers(0, 3, n)
    D, Z = rng.uniform(size=(n, n)), rng.normal(size=(5, n))
    logistic = (np.exp(v), weight, part, terms)
    yield "logistic gradient", _logistic_gradient, logistic
    yield "logistic product", _logistic_product, (v, *logistic)

    def hinge_gradient(z, y, s, gradient, sums):
        hinge_runs._hinge_within(z, y, s, s, levels, hinges, True, gradient, sums)

    def hinge_product(z, y, s, v, out):
        hinge_runs._product_within(z, y, s, s, levels, hinges, True, v, out)

    yield "hinge gradient", hinge_gradient, (v, y, weight, part, np.zeros((1, 2)))
    yield "hinge product", hinge_product, (v, y, weight, np.exp(v), part)
    yield "weigh", lambda E, s: cosine._weigh(E, s, 0, n), (np.exp(v), weight)
    yield "positives", _positives, (np.tanh(v), weight, part, terms)
    yield "contrastive", lambda D, s: distance._contrastive(D, labels, s, 0.8), (D, weight)
    yield "neighbours", lambda D, s, g: neighbours._neighbours(D, labels, s, g), (D, weight, 0 * D)
    yield "centre", geometry._centre, (Z, 0 * Z, np.zeros(5))
    yield "unit rows", geometry._unit_rows, (Z, 0 * Z, np.zeros(5))
    yield "through unit rows", geometry._through_unit_rows, (Z, Z[::-1], np.ones(5))


def _logistic_gradient(rising, weight, part, terms):
    return logistic_sums._add_gradient(0.7, rising, weight, 0.3, len(part), part, terms)


def _logistic_product(v, rising, weight, part, terms):
    n = len(part)
    return logistic_sums._add_product(0.7, rising, weight, 0.3, n, 0.2, v, part, terms)


def _positives(c, s, slope, costs):
    return cosine._positives(c, s, 0, len(c), 0.3, 0.1, 0.2, slope, costs)


CASES = [(name, n, *case) for n in (5, 9, 17, 33, 100) for name, *case in cases(n)]


def placed(arrays, order, gap):
    """The arrays one after the other in one piece of memory."""
    memory, at, found = np.zeros(sum(a.size + gap for a in arrays)), 0, [None] * len(arrays)
    for k in order:
        end = at + arrays[k].size
        found[k] = memory[at:end].reshape(arrays[k].shape)
        found[k][...] = arrays[k]
        at = end + gap
    return found


@pytest.mark.parametrize(
    ("call", "arrays"),
    [case[2:] for case in CASES],
    ids=[f"{name}-{n}" for name, n, *_ in CASES],
)
def test_sums_do_not_depend_on_where_arrays_lie(call, arrays):
    rng = np.random.default_rng(0)
    seen = set()
    for gap in (0, 1, 2, 3, 4, 7, 16, 40):
        for _ in range(5):
            found = placed(arrays, rng.permutation(len(arrays)), gap)
            result = np.asarray(call(*found), dtype=float)
            seen.add(b"".join(a.tobytes() for a in (result, *found)))
    assert len(seen) == 1
