"""The squared loss by condensed rows: small problems against scikit-learn's solvers."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.linear_model import ElasticNet, Ridge

from sklearn_margin import LinearRegressor, regularization_path
from sklearn_margin._base.watch import recorded
from sklearn_margin.solvers import _condensed, coordinate_descent, newton

ALPHA = 0.1


@pytest.fixture
def found(monkeypatch):
    """What rows of a small problem, which are condensed as if they were many, led to."""
    results = []

    def solve(*args):
        results.append(_condensed.solve_condensed(*args))
        return results[-1]

    monkeypatch.setattr(_condensed, "is_small", lambda objective: False)
    for module in (coordinate_descent, newton):
        monkeypatch.setattr(module, "solve_condensed", solve)
    return results


def problem(seed=0, noise=1.0):
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((300, 6)) @ (np.eye(6) + 0.3 * rng.standard_normal((6, 6)))
    y = X @ [2.0, -1.0, 0.5, 0.0, 0.0, 0.1] + noise * rng.standard_normal(300) + 3.0
    return X, y, rng.exponential(size=300) ** 2


def values(model, X, y, s, factors=1.0):
    """F of a fitted model, from rows."""
    w, r = model.coef_.astype(float), getattr(model, "l1_ratio", 0.0)
    s = s / s.sum()
    b = s @ (y - X @ w) if model.fit_intercept else 0.0
    penalty = factors * (r * np.abs(w) + 0.5 * (1 - r) * w * w)
    return s @ (y - X @ w - b) ** 2 + ALPHA * penalty.sum()


def trusted(X, y, s, l1_ratio, **options):
    """Scikit-learn's model; its loss is ½r², ours r²."""
    if l1_ratio == 0:
        return Ridge(alpha=ALPHA / 2, **options).fit(X, y, s / s.sum())
    model = ElasticNet(alpha=ALPHA / 2, l1_ratio=l1_ratio, tol=1e-13, max_iter=100_000, **options)
    return model.fit(X, y, s)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("kind", ["plain", "weights", "no intercept", "offset", "float32", "CSR"])
def test_gap_is_at_least_the_error(found, l1_ratio, kind):
    X, y, s = problem()
    s = s if kind == "weights" else np.ones(300)
    intercept = kind != "no intercept"
    given = X + 1e6 if kind == "offset" else X.astype(np.float32) if kind == "float32" else X
    shift = 1e6 if kind == "offset" else 0.0
    given, X = sp.csr_array(given) if kind == "CSR" else given, given.astype(float) - shift
    model = LinearRegressor("squared", alpha=ALPHA, l1_ratio=l1_ratio, fit_intercept=intercept).fit(
        given, y.astype(given.dtype), s
    )
    assert found[0] is not None
    y = y.astype(given.dtype).astype(float)
    least = values(trusted(X, y, s, l1_ratio, fit_intercept=intercept), X, y, s)
    rounding = 1e-12 if kind != "float32" else 1e-6  # of the coefficients
    value = values(model, X, y, s)
    assert value - least <= model.dual_gap_ + rounding * value
    assert model.dual_gap_ <= model.tol * value


@pytest.mark.parametrize("l1_ratio", [0.5, 1.0])
def test_bounds_and_free_coefficients(found, l1_ratio):
    X, y, s = problem()
    options = {"alpha": ALPHA, "l1_ratio": l1_ratio}
    model = LinearRegressor("squared", coef_bounds=(0, None), **options).fit(X, y, s)
    least = values(trusted(X, y, s, l1_ratio, positive=True), X, y, s)
    value = values(model, X, y, s)
    assert value - least <= model.dual_gap_ + 1e-12 * value
    assert (model.coef_ >= 0).all()
    assert model.dual_gap_ <= model.tol * value
    # What no penalty holds is projected out of the other columns and of y.
    s, factors = np.ones(300), np.array([0.0, 0.0, 1.0, 1.0, 1.0, 1.0])
    model = LinearRegressor("squared", penalty_factors=factors, **options).fit(X, y)
    free = np.column_stack([X[:, :2], np.ones(300)])
    rest, y_rest = (v - free @ np.linalg.lstsq(free, v, rcond=None)[0] for v in (X[:, 2:], y))
    least = values(trusted(rest, y_rest, s, l1_ratio), rest, y_rest, s)
    value = values(model, X, y, s, factors)
    assert value - least <= model.dual_gap_ + 1e-12 * value
    assert model.dual_gap_ <= model.tol * value
    assert all(result is not None for result in found)


@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
def test_what_condensed_rows_do_not_know_is_left_to_rows(found, l1_ratio):
    X, y, _ = problem(noise=1e-7)
    model = LinearRegressor("squared", alpha=1e-14, l1_ratio=l1_ratio).fit(X, y)
    assert found[0] is None
    residual = y - model.predict(X)
    assert np.sqrt(np.mean(residual**2)) < 2e-7


def test_a_path_reads_rows_once():
    rng = np.random.RandomState(0)
    X = rng.standard_normal((60_000, 20))
    y = X[:, 0] + rng.standard_normal(60_000)
    model = LinearRegressor("squared", l1_ratio=1)
    with recorded() as traces:
        path = regularization_path(model, X, y, alphas=[1.0, 0.1, 0.01])
    assert [trace[-1].reads for trace in traces] == [1.0, 1.0, 1.0]
    for k, alpha in enumerate(path.alphas):
        gap = path.dual_gaps[k]
        once = model.set_params(alpha=alpha, tol=1e-10).fit(X, y)
        np.testing.assert_allclose(path.coefs[k], once.coef_, atol=1e-5)
        assert gap <= 1e-4 * np.var(y)
