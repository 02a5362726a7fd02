"""Paths whose fits are improved together, by steps that share a read of X."""

import threading

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from sklearn_margin import AlphaSearchCV, LinearClassifier, LinearRegressor, regularization_path
from sklearn_margin.losses import Logistic
from sklearn_margin.objective import PointwiseObjective, Rows, many_points, rows
from sklearn_margin.objective.many_points import read_many
from sklearn_margin.penalties import ElasticNet
from sklearn_margin.solvers import LBFGS, _samples, _whole_path

pytestmark = pytest.mark.compiled
N, D = 3_000, 6
ALPHAS = np.geomspace(1.0, 1e-3, 9)
MODELS = {
    "logistic": LinearClassifier("logistic"),
    "squared_hinge": LinearClassifier("squared_hinge", fit_intercept=False),
    "smoothed_hinge": LinearClassifier("smoothed_hinge", class_weight="balanced"),
    "modified_huber": LinearClassifier("modified_huber", penalty_factors=[1, 2, 0.5, 1, 1, 1]),
    "huber": LinearRegressor("huber"),
    "lasso": LinearClassifier("logistic", l1_ratio=1.0),
    "elastic net": LinearClassifier("squared_hinge", l1_ratio=0.5),
}


class Data:
    """Rows with features of several sizes and offsets, labels of unequal numbers, and weights."""

    def __init__(self, name, container=np.asarray, dtype=np.float64, seed=0):
        rng = np.random.default_rng(seed)
        self.X = rng.normal(size=(N, D)) * [1, 1, 3, 0.3, 1, 1] + [0, 2, 0, 0, -1, 0]
        self.X = container(self.X.astype(dtype))
        z = self.X @ [1.0, -0.5, 0.2, 0.0, 0.3, 0.0] + rng.logistic(size=N)
        self.y = z if name == "huber" else np.where(z > 1.0, "yes", "no")
        self.options = {"sample_weight": rng.random(N) * (rng.random(N) < 0.9)}
        self.options["offset"] = 0.5 * rng.normal(size=N).astype(dtype)


@pytest.fixture(autouse=True)
def _all_are_large(monkeypatch):
    """So few rows would be solved one by one."""
    monkeypatch.setattr(_samples, "SMALL", 1_000)


@pytest.fixture
def together(monkeypatch):
    """Results of paths that were solved together."""
    found = []
    inner = _whole_path.solve_path

    def noted(*args, **options):
        found.append(inner(*args, **options))
        return found[-1]

    monkeypatch.setattr("sklearn_margin._paths.solve_path", noted)
    return found


def values(model, data, path):
    """The objective at each point of a path."""
    found = []
    for alpha, w, b in zip(path.alphas, path.coefs, path.intercepts, strict=True):
        (objective,) = clone(model).set_params(alpha=alpha)._prepare(
            data.X, data.y, **data.options
        ).objectives  # fmt: skip
        found.append(objective.value(objective.from_coef(w.ravel(), float(np.ravel(b)[0]))))
    return np.array(found)


CASES = [
    *((name, np.asarray, np.float64) for name in MODELS),
    ("logistic", sp.csr_array, np.float64),
    ("logistic", np.asarray, np.float32),
]


@pytest.mark.parametrize(("name", "container", "dtype"), CASES)
def test_gaps_are_no_less_than_errors(name, container, dtype, together):
    data, model = Data(name, container, dtype), MODELS[name]
    alphas = [*ALPHAS, 0.0]
    path = regularization_path(clone(model).set_params(tol=1e-4), data.X, data.y, alphas=alphas,
                               **data.options)  # fmt: skip
    ((*results,),) = together
    assert len(results) == len(ALPHAS)  # that without a penalty is fitted for itself
    solver = "coordinate_descent" if model.l1_ratio else "newton"
    assert all(result.solver == solver and result.n_iter <= 25 for result in results)
    precise = Data(name, container)
    tight = [
        clone(model).set_params(alpha=alpha, tol=1e-11).fit(precise.X, precise.y, **precise.options)
        for alpha in ALPHAS
    ]
    exact = type(path)(
        alphas=ALPHAS, coefs=[m.coef_ for m in tight], intercepts=[m.intercept_ for m in tight]
    )
    path.update(alphas=ALPHAS, coefs=path.coefs[:-1], intercepts=path.intercepts[:-1])
    least, reached, gaps = (
        values(model, precise, exact),
        values(model, precise, path),
        path.dual_gaps,
    )
    rounding = 1e-6 if dtype == np.float32 else 1e-12
    assert (reached - least <= gaps[:-1] + rounding).all()
    assert (gaps[:-1] <= 1e-4 * reached * (1 + rounding)).all()
    assert np.isnan(gaps[-1])


@pytest.mark.parametrize(("tol", "l1_ratio"), [(1e-10, 0.0), (0.0, 0.0), (1e-9, 1.0)])
def test_to_the_last_digits(tol, l1_ratio, together):
    """Steps lead as far as they do, single fits further."""
    data, model = Data("logistic"), LinearClassifier("logistic", tol=tol, l1_ratio=l1_ratio)
    path = regularization_path(model, data.X, data.y, alphas=ALPHAS, **data.options)
    assert len(together) == 1
    for k, alpha in enumerate(ALPHAS):
        one = clone(model).set_params(alpha=alpha, tol=1e-11)
        one.fit(data.X, data.y, **data.options)
        np.testing.assert_allclose(path.coefs[k], one.coef_, rtol=1e-4, atol=1e-6)


def test_the_number_of_threads_changes_no_bit(monkeypatch):
    monkeypatch.setattr(rows, "_FEW_ENTRIES", 0)
    monkeypatch.setattr(rows, "_BLOCK_BYTES", 1 << 14)
    threads, inner = set(), many_points.sum_of_sizes

    def noted(g):
        threads.add(threading.get_ident())
        return inner(g)

    monkeypatch.setattr(many_points, "sum_of_sizes", noted)
    data, paths, used = Data("logistic"), [], []
    for n_jobs in (1, 2):
        threads.clear()
        model = LinearClassifier("logistic", n_jobs=n_jobs)
        paths.append(regularization_path(model, data.X, data.y, alphas=ALPHAS))
        used.append(len(threads))
    assert used[0] == 1 < used[1]
    np.testing.assert_array_equal(paths[0].coefs, paths[1].coefs)
    np.testing.assert_array_equal(paths[0].dual_gaps, paths[1].dual_gaps)


@pytest.mark.parametrize("most", [0, 1])
def test_what_steps_do_not_reach_is_left_to_single_fits(most, monkeypatch):
    data, model = Data("logistic"), LinearClassifier("logistic", tol=1e-6)
    together = regularization_path(model, data.X, data.y, alphas=ALPHAS)
    monkeypatch.setattr(_whole_path, "_MOST", most)
    singly = regularization_path(model, data.X, data.y, alphas=ALPHAS)
    np.testing.assert_allclose(singly.coefs, together.coefs, rtol=1e-2, atol=1e-4)
    assert (singly.dual_gaps < 1e-6).all()
    assert (singly.n_iters > most).all()
    monkeypatch.setattr(_whole_path, "_SLOWEST", -1.0)  # no step is good enough
    slow = regularization_path(model, data.X, data.y, alphas=ALPHAS)
    assert (slow.dual_gaps < 1e-6).all()


@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
def test_alphas_that_are_equal(l1_ratio, together):
    data, model = Data("logistic"), LinearClassifier("logistic", l1_ratio=l1_ratio)
    path = regularization_path(model, data.X, data.y, alphas=[1e-2, 1e-2, 1e-2, 1e-2])
    assert len(together[0]) == 4
    assert np.ptp(path.coefs, axis=0).max() < 1e-3
    some = regularization_path(model, data.X, data.y, alphas=[1.0, 1.0, 1e-2, 1e-2])
    np.testing.assert_allclose(some.coefs[3], path.coefs[0], rtol=0.05, atol=1e-3)


def test_too_few_iterations():
    data, model = Data("logistic"), LinearClassifier("logistic", tol=1e-9, max_iter=1)
    with pytest.warns(ConvergenceWarning, match="max_iter") as record:
        path = regularization_path(model, data.X, data.y, alphas=ALPHAS)
    assert len(record) == len(ALPHAS)
    np.testing.assert_array_equal(path.n_iters, 1)
    assert (path.dual_gaps > 0).all()


@pytest.mark.parametrize(
    "params",
    [{"solver": LBFGS()}, {"penalty_factors": [0, 1, 1, 1, 1, 1]},
     {"coef_bounds": (0, None)}, {"verbose": 1}],
    ids=lambda params: next(iter(params)),
)  # fmt: skip
def test_other_paths_are_of_single_fits(params, together, capsys):
    data, model = Data("logistic"), LinearClassifier("logistic", **params)
    path = regularization_path(model, data.X, data.y, alphas=ALPHAS[:3])
    assert together in ([], [None])
    assert (path.dual_gaps <= 1e-4).all()


def test_classes_against_the_rest(together):
    data = Data("huber")
    y = np.digitize(data.y, np.quantile(data.y, [0.3, 0.8]))
    model = LinearClassifier("squared_hinge")
    path = regularization_path(model, data.X, y, alphas=ALPHAS)
    assert len(together) == 3
    assert path.coefs.shape == (len(ALPHAS), 3, D)
    assert path.dual_gaps.shape == (len(ALPHAS), 3)
    one = clone(model).set_params(alpha=ALPHAS[4], tol=1e-10).fit(data.X, y)
    np.testing.assert_allclose(path.coefs[4], one.coef_, rtol=0.05, atol=0.01)


def test_a_search_is_a_grid_search(together):
    data, model = Data("logistic"), LinearClassifier("logistic", tol=1e-10)
    search = AlphaSearchCV(model, alphas=ALPHAS, scoring="neg_log_loss").fit(data.X, data.y)
    assert len(together) == 5
    theirs = GridSearchCV(model, {"alpha": ALPHAS}, scoring="neg_log_loss").fit(data.X, data.y)
    assert search.best_params_ == theirs.best_params_
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"], rtol=1e-7
    )


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_many_points_are_as_single_ones(container, fit_intercept):
    data, rng = Data("logistic", container), np.random.default_rng(1)
    s = data.options["sample_weight"]
    objective = PointwiseObjective(
        Logistic(), Rows(data.X, center=fit_intercept), np.where(data.y == "yes", 1.0, -1.0),
        s / s.sum(), penalty=ElasticNet(), fit_intercept=fit_intercept,
    ).with_offset(data.options["offset"])  # fmt: skip
    params = rng.normal(size=(4, D + fit_intercept))
    readings = read_many(objective, params)
    for k, point in enumerate(map(objective.at, params)):
        np.testing.assert_allclose(readings.loss[k], point.loss, rtol=1e-12)
        np.testing.assert_allclose(readings.gradient[k], point.gradient, rtol=1e-9, atol=1e-14)
        slopes = readings.slopes(k)
        np.testing.assert_allclose(slopes.size, point.slopes.size, rtol=1e-12)
        np.testing.assert_allclose(slopes.norm, point.slopes.norm, rtol=1e-12)
