"""Single rows of each kind: what kernels compute from them is what dense algebra does.

The functions are called as they are written, since compiled ones are tested with their solvers.
"""

import numpy as np
import pytest
import scipy.sparse as sp

from sklearn_margin.objective.row_kernels import (
    RawRows,
    centred_rows,
    coefficient_layout,
    row_add,
    row_dot,
    row_feature,
    row_scores,
    row_size,
    row_update,
    single_rows,
    take_rows,
)
from sklearn_margin.objective.row_steps import row_norm, row_score, row_step

N, D = 7, 6


def matrix():
    rng = np.random.default_rng(0)
    X = np.where(rng.random((N, D)) < 0.6, rng.normal(size=(N, D)), 0.0)
    X[3] = 0.0
    return X, rng.normal(size=D), rng.uniform(0.5, 2.0, D)


def rows_of(kind):
    """Rows of a kind, and the same as a matrix."""
    X, shift, scale = matrix()
    if kind == "dense":
        return single_rows(X, shift, scale), (X - shift) / scale
    if kind == "sparse":
        return single_rows(sp.csr_array(X), None, scale), X / scale
    rows, own = centred_rows(sp.csr_array(X) if kind == "raw" else X, shift)
    return rows, X - own


@pytest.mark.parametrize("kind", ["dense", "sparse", "raw", "centred"])
def test_a_row_and_a_vector(kind):
    rows, X = rows_of(kind)
    u = np.random.default_rng(1).normal(size=D)
    for i in range(N):
        assert row_dot(rows, i, u) == pytest.approx(X[i] @ u, rel=1e-12, abs=1e-15)
        out = u.copy()
        row_add(rows, i, -0.7, out)
        np.testing.assert_allclose(out, u - 0.7 * X[i], atol=1e-15)


@pytest.mark.parametrize("kind", ["centred", "raw"])
def test_a_row_and_rates_by_feature(kind):
    rows, X = rows_of(kind)
    rng = np.random.default_rng(1)
    v, rates, thresholds = rng.normal(size=D), rng.random(D), rng.random(D)
    shrunk = np.sign(v) * np.maximum(np.abs(v) - thresholds, 0)
    for i in range(N):
        assert row_norm(rows, i, rates) == pytest.approx(X[i] ** 2 @ rates, abs=1e-15)
        assert row_score(rows, i, v, thresholds[:0]) == pytest.approx(X[i] @ v, abs=1e-15)
        assert row_score(rows, i, v, thresholds) == pytest.approx(X[i] @ shrunk, abs=1e-15)
        out = v.copy()
        row_step(rows, i, -0.7, rates, out)
        np.testing.assert_allclose(out, v - 0.7 * X[i] * rates, atol=1e-15)


@pytest.mark.parametrize("kind", ["dense", "sparse", "raw"])
def test_the_entries_of_a_row(kind):
    rows, X = rows_of(kind)
    for i in range(N):
        features = [row_feature(rows, i, k) for k in range(row_size(rows, i))]
        assert features == (list(range(D)) if kind == "dense" else list(np.flatnonzero(X[i])))


@pytest.mark.parametrize("n_outputs", [1, 3, 5])
@pytest.mark.parametrize("kind", ["centred", "raw"])
def test_a_row_and_a_matrix(kind, n_outputs):
    rows, X = rows_of(kind)
    rng = np.random.default_rng(2)
    W, change = rng.normal(size=(n_outputs, D)), rng.normal(size=n_outputs)
    change[0] = 0.0
    laid = np.ascontiguousarray(coefficient_layout(rows, W))
    assert laid.shape == ((D, n_outputs) if isinstance(rows, RawRows) else (n_outputs, D))
    z, x = np.empty(n_outputs), np.empty(D)
    for i in range(N):
        row_scores(rows, i, laid, x, z)
        np.testing.assert_allclose(z, W @ X[i], atol=1e-14)
        new = laid.copy()
        row_update(rows, i, x, change, new)
        new = coefficient_layout(rows, new)
        np.testing.assert_allclose(new, W + np.outer(change, X[i]), atol=1e-14)


@pytest.mark.parametrize("kind", ["centred", "raw"])
def test_some_rows_side_by_side(kind):
    rows, X = rows_of(kind)
    where, u = np.array([5, 3, 0]), np.random.default_rng(3).normal(size=D)
    part = take_rows(rows, where)
    found = [row_dot(part, k, u) for k in range(3)]
    np.testing.assert_allclose(found, X[where] @ u, atol=1e-14)
    assert not part[0].flags.writeable
