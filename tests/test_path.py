"""Regularisation paths, and the alpha they start from."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from references import can_be_exact, crammer_singer, reference_of_rows, weston_watkins
from sklearn.base import clone, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet, enet_path
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import l1_min_c

import sklearn_margin._largest_alpha
from sklearn_margin import (
    HingeClassifier,
    HuberRegressor,
    LinearClassifier,
    LinearRanker,
    LinearRegressor,
    QuantileRegressor,
    RankSVM,
    regularization_path,
)
from sklearn_margin.losses import CrammerSinger, PointwiseLoss
from sklearn_margin.solvers import SGD

N, D = 121, 5
MODELS = {
    "hinge": HingeClassifier(),
    "logistic": LinearClassifier("logistic"),
    "squared_hinge": LinearClassifier("squared_hinge"),
    "three classes": LinearClassifier("logistic"),
    "three classes, hinge": LinearClassifier("hinge", class_weight={1: 2.5}),
    "three classes, crammer_singer": LinearClassifier("crammer_singer"),
    "three classes, focal": LinearClassifier("focal"),
    "squared": LinearRegressor(),
    "absolute": LinearRegressor("absolute"),
    "tube": LinearRegressor("epsilon_insensitive"),
    "scale": HuberRegressor(),
    "fixed scale": HuberRegressor(scale=0.7),
    "quantile": QuantileRegressor(quantile=0.3),
    "quantiles": QuantileRegressor(quantile=[0.2, 0.7]),
    "ranker": LinearRanker(),
    "difference": RankSVM(weighting="difference"),
}
every_model = pytest.mark.parametrize("name", MODELS)


def accurate(l1_ratios):
    """Models and penalties for which some solver is not rough."""
    exact = {r for r in l1_ratios if can_be_exact(CrammerSinger(), r)}
    return [(name, r) for name in MODELS for r in l1_ratios
            if r in exact or "crammer_singer" not in name]  # fmt: skip


class Data:
    """Features of several sizes and offsets, targets, and what else a fit is given."""

    def __init__(self, name="squared", seed=0):
        rng = np.random.default_rng(seed)
        self.X = rng.normal(size=(N, D)) * [1.0, 3.0, 0.5, 1.0, 2.0] + [0.0, 5.0, 0.0, -2.0, 0.0]
        score = self.X @ [1.0, -0.5, 0.0, 0.3, 0.0] + 0.5 * rng.normal(size=N)
        self.y = score
        if "three" in name:
            self.y = np.digitize(score, np.quantile(score, [0.3, 0.5]))
        elif is_classifier(MODELS[name]):
            self.y = np.where(score > np.quantile(score, 0.3), "yes", "no")
        self.weight = rng.random(N) + 0.1
        self.options = {}
        if isinstance(MODELS[name], (LinearRanker, RankSVM)):
            self.y = np.digitize(score, np.quantile(score, [0.3, 0.5, 0.8]))
            self.options = {"groups": rng.integers(12, size=N)}


def objectives(model, data, **options):
    """The objective of each problem at the coefficients of a fitted model."""
    coefs = np.atleast_2d(model.coef_)
    intercepts = np.resize(getattr(model, "intercept_", 0.0), len(coefs))
    problems = clone(model)._prepare(data.X, data.y, **options).objectives
    if len(problems) < len(coefs):  # one problem of all classes
        coefs, intercepts = [coefs], [intercepts]
    return np.array(
        [
            o.value(o.from_coef(*point))
            for o, *point in zip(problems, coefs, intercepts, strict=True)
        ]
    )


def path_model(model, path, k, data, options):
    """A model with a solution of the path."""
    model = clone(model).set_params(alpha=path.alphas[k])
    model.coef_, model.intercept_ = path.coefs[k], path.intercepts[k]
    return objectives(model, data, **options)


# --- the fits --------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "l1_ratio"), accurate([0.0, 0.5]))
def test_fits_are_those_of_single_alphas(name, l1_ratio):
    data = Data(name)
    options = {**data.options, "sample_weight": data.weight}
    model = clone(MODELS[name]).set_params(l1_ratio=l1_ratio, tol=1e-8)
    path = regularization_path(model, data.X, data.y, n_alphas=4, **options)
    assert path.alphas.shape == path.n_iters.shape == (4,)
    assert path.n_iters.dtype.kind == "i"
    for k, alpha in enumerate(path.alphas):
        cold = clone(model).set_params(alpha=alpha).fit(data.X, data.y, **options)
        assert path.coefs[k].shape == cold.coef_.shape
        assert path.intercepts[k].shape == np.shape(getattr(cold, "intercept_", 0.0))
        expected = objectives(cold, data, **options)
        np.testing.assert_allclose(path_model(model, path, k, data, options), expected, rtol=1e-6)
        gap = getattr(cold, "dual_gap_", np.nan)
        assert path.dual_gaps[k].shape == np.shape(gap)
        np.testing.assert_array_equal(np.isnan(path.dual_gaps[k]), np.isnan(gap))
        # What smoothing is practical down to, or all there is.
        accuracy = 1e-5 if "crammer_singer" in name else 1e-7
        assert not np.any(path.dual_gaps[k] > accuracy * expected)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.3])
def test_scikit_learns_path(l1_ratio):
    data = Data()
    X, y = data.X - data.X.mean(axis=0), data.y - data.y.mean()
    model = LinearRegressor(l1_ratio=l1_ratio, tol=1e-10)
    path = regularization_path(model, data.X, data.y, n_alphas=7, alpha_ratio=0.01)
    largest = np.abs(X.T @ y).max() / (len(y) * l1_ratio)  # as of r²/2, which theirs is
    np.testing.assert_allclose(path.alphas / 2, np.geomspace(largest, largest / 100, 7), rtol=1e-7)
    alphas, coefs, _ = enet_path(X, y, l1_ratio=l1_ratio, alphas=path.alphas / 2, tol=1e-12)
    np.testing.assert_allclose(path.coefs, coefs.T, rtol=1e-5, atol=1e-6)
    theirs = ElasticNet(alpha=alphas[3], l1_ratio=l1_ratio, tol=1e-12).fit(data.X, data.y)
    np.testing.assert_allclose(path.intercepts[3], theirs.intercept_, rtol=1e-5)


def test_each_fit_starts_from_the_one_before():
    """After a few epochs SGD is where it started from, nearly."""
    data = Data("logistic")
    X = StandardScaler().fit_transform(data.X)
    model = LinearClassifier("logistic", solver=SGD(eta0=1e-4), max_iter=3, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        path = regularization_path(model, X, data.y, alphas=[1e-3] * 20)
    sizes = np.linalg.norm(path.coefs[:, 0], axis=1)
    assert (np.diff(sizes) > 0).all()
    assert sizes[-1] > 5 * sizes[0]


def test_warm_starts_save_iterations():
    data = Data("logistic")
    model = LinearClassifier("logistic", solver="lbfgs", tol=1e-6)
    path = regularization_path(model, data.X, data.y, alphas=np.geomspace(1e-1, 1e-2, 20))
    cold = [clone(model).set_params(alpha=a).fit(data.X, data.y).n_iter_ for a in path.alphas]
    assert path.n_iters[1:].sum() < sum(cold[1:])


@pytest.mark.parametrize("solver", ["sgd", "lbfgs", "newton"])
def test_solvers(solver):
    data = Data("logistic")
    X = StandardScaler().fit_transform(data.X)
    model = LinearClassifier("logistic", solver=solver, random_state=0)
    path = regularization_path(model, X, data.y, n_alphas=5)
    best = regularization_path(LinearClassifier("logistic"), X, data.y, alphas=path.alphas)
    np.testing.assert_allclose(path.coefs, best.coefs, atol=0.05 * np.abs(best.coefs).max())
    assert np.isfinite(path.dual_gaps).all()


def test_a_solver_that_cannot():
    data = Data("logistic")
    with pytest.raises(ValueError, match=r"solver='newton' .*l1_ratio"):
        regularization_path(
            LinearClassifier("logistic", solver="newton", l1_ratio=0.5), data.X, data.y
        )


def test_convergence_warnings_pass_through():
    data = Data("logistic")
    model = LinearClassifier("logistic", solver="lbfgs", max_iter=1)
    with pytest.warns(ConvergenceWarning, match="max_iter") as record:
        path = regularization_path(model, data.X, data.y, alphas=[1e-2, 1e-3])
    assert len(record) == 2
    np.testing.assert_array_equal(path.n_iters, 1)


@every_model
def test_the_estimator_is_not_changed(name):
    data = Data(name)
    for fitted in (False, True):
        model = clone(MODELS[name])
        if fitted:
            model.fit(data.X, data.y, **data.options)
        before = dict(vars(model))
        regularization_path(model, data.X, data.y, n_alphas=2, **data.options)
        assert vars(model).keys() == before.keys()
        assert all(vars(model)[key] is value for key, value in before.items())


CONTAINERS = {
    "csr": sp.csr_array,
    "csc": sp.csc_array,
    "frame": lambda X: pd.DataFrame(X, columns=list("abcde")),
    "list": np.ndarray.tolist,
    "float32": np.float32,
}


@pytest.mark.parametrize(
    ("name", "container"),
    [
        *(("hinge", container) for container in CONTAINERS),
        *(
            (name, c)
            for name in ("three classes", "quantiles", "ranker")
            for c in ("csr", "float32")
        ),
    ],
)
def test_containers(name, container):
    data, container = Data(name), CONTAINERS[container]
    model = clone(MODELS[name]).set_params(l1_ratio=0.5)
    path = regularization_path(model, data.X, data.y, n_alphas=3, **data.options)
    other = regularization_path(model, container(data.X), data.y, n_alphas=3, **data.options)
    single = container is np.float32
    assert other.coefs.dtype == (np.float32 if single else np.float64)
    np.testing.assert_allclose(other.alphas, path.alphas, rtol=1e-3 if single else 1e-7)
    np.testing.assert_allclose(other.coefs, path.coefs, rtol=1e-3, atol=2e-3 if single else 1e-5)


def test_weights_are_repetitions():
    for name in ("three classes, hinge", "quantile", "scale", "ranker"):
        data = Data(name)
        weight = np.random.default_rng(1).integers(0, 4, N)
        repeat = np.repeat(np.arange(N), weight)
        repeated = {key: value[repeat] for key, value in data.options.items()}
        for l1_ratio in (0.0, 0.5):
            model = clone(MODELS[name]).set_params(l1_ratio=l1_ratio)
            one = regularization_path(
                model, data.X, data.y, n_alphas=2, sample_weight=weight, **data.options
            )
            other = regularization_path(
                model, data.X[repeat], data.y[repeat], n_alphas=2, **repeated
            )
            np.testing.assert_allclose(one.alphas, other.alphas, rtol=1e-7)
            np.testing.assert_allclose(one.coefs, other.coefs, rtol=1e-4, atol=1e-5)


def test_groups_matter():
    data = Data("ranker")
    model = LinearRanker(l1_ratio=0.5)
    grouped = regularization_path(model, data.X, data.y, n_alphas=2, **data.options)
    packed = np.column_stack([data.y, data.options["groups"]])
    again = regularization_path(model, data.X, packed, n_alphas=2)
    np.testing.assert_array_equal(again.alphas, grouped.alphas)
    np.testing.assert_array_equal(again.coefs, grouped.coefs)
    pooled = regularization_path(model, data.X, data.y, n_alphas=2)
    assert not np.allclose(pooled.alphas, grouped.alphas, rtol=1e-3)
    np.testing.assert_array_equal(grouped.intercepts, np.zeros(2))


# --- the largest alpha -----------------------------------------------------------------------


@pytest.mark.parametrize(("name", "l1_ratio"), accurate([1.0, 0.3]))
@pytest.mark.parametrize("weighted", [False, True])
def test_smallest_alpha_without_coefficients(name, l1_ratio, weighted):
    data = Data(name)
    fit_intercept = weighted == (l1_ratio < 1.0)  # each pair of settings once
    options = {**data.options, **({"sample_weight": data.weight} if weighted else {})}
    model = clone(MODELS[name]).set_params(l1_ratio=l1_ratio, tol=1e-10)
    if "fit_intercept" in model.get_params():
        model.set_params(fit_intercept=fit_intercept)
    with warnings.catch_warnings():  # the last digits are beyond an L-BFGS
        warnings.simplefilter("ignore", ConvergenceWarning)
        largest = regularization_path(model, data.X, data.y, n_alphas=1, **options).alphas[0]
        near = [largest * (1 + 1e-6), largest * 0.99]
        path = regularization_path(model, data.X, data.y, alphas=near, **options)
    assert np.abs(path.coefs[0]).max() < 2e-5
    assert np.abs(path.coefs[1]).max() > 2e-4


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("loss", ["crammer_singer", "weston_watkins"])
def test_smallest_alpha_of_hinges_of_several_scores(loss, fit_intercept):
    """By CVXPY: no coefficients there, and some at a fraction of it."""
    data = Data("three classes, crammer_singer")
    X = data.X - data.X.mean(axis=0)
    model = LinearClassifier(loss, l1_ratio=1.0, fit_intercept=fit_intercept)
    model.set_params(tol=0.5)  # the fit does not matter
    largest = regularization_path(model, X, data.y, n_alphas=1).alphas[0]

    by_row = {"crammer_singer": crammer_singer, "weston_watkins": weston_watkins}[loss]

    def coefficients(alpha):
        best = reference_of_rows(by_row, X, data.y, alpha, 1.0, fit_intercept)
        return np.abs(best.coef).max()

    assert coefficients(largest * (1 + 1e-4)) < 1e-5
    assert coefficients(0.3 * largest) > 1e-3


def test_scikit_learns_smallest_c():
    data = Data("squared_hinge")
    for loss in ("squared_hinge", "logistic"):
        model = LinearClassifier(loss, l1_ratio=1.0, fit_intercept=False)
        largest = regularization_path(model, data.X, data.y, n_alphas=1).alphas[0]
        theirs = l1_min_c(data.X, data.y, loss=loss.replace("logistic", "log"), fit_intercept=False)
        assert largest == pytest.approx(1 / (N * theirs), rel=1e-7)


def test_ties_at_the_kink():
    """Many rows share the median: their slopes are free, and any choice counts."""
    X, score = Data().X, Data().y
    model = LinearRegressor("absolute", l1_ratio=1.0)
    for decimals in (0, 1):
        y = np.round(score, decimals)
        assert np.sum(y == np.median(y)) > 1
        largest = regularization_path(model, X, y, n_alphas=1).alphas[0]
        path = regularization_path(model, X, y, alphas=[largest * (1 + 1e-6), largest * 0.99])
        assert np.abs(path.coefs[0]).max() < 2e-5
        assert np.abs(path.coefs[1]).max() > 1e-3
    # Enough rows at the median that no slope is worth a coefficient, whatever alpha is.
    y = np.random.default_rng(0).integers(3, size=N)
    path = regularization_path(model, X, y, n_alphas=3)
    assert path.alphas[0] == 1.0
    np.testing.assert_allclose(path.coefs, 0.0, atol=1e-6)


def test_without_the_linear_programme(monkeypatch):
    """A bound that is larger, but not by much."""
    data = Data("hinge")
    model = HingeClassifier(l1_ratio=1.0)
    exact = regularization_path(model, data.X, data.y, n_alphas=1).alphas[0]
    monkeypatch.setattr(sklearn_margin._largest_alpha, "_LARGEST", 0)
    bound = regularization_path(model, data.X, data.y, n_alphas=1)
    assert exact < bound.alphas[0] < 3 * exact
    assert np.abs(bound.coefs[0]).max() < 1e-5


def test_the_largest_of_several_problems():
    data = Data("quantiles")
    model = QuantileRegressor(l1_ratio=1.0)
    singles = [
        regularization_path(clone(model).set_params(quantile=q), data.X, data.y, n_alphas=1).alphas[
            0
        ]
        for q in (0.1, 0.4, 0.8)
    ]
    several = regularization_path(
        clone(model).set_params(quantile=[0.1, 0.4, 0.8]), data.X, data.y, n_alphas=1
    )
    assert several.alphas[0] == max(singles)


@every_model
def test_without_l1(name):
    """At the first alpha coefficients save at most a hundredth of the loss, and not nothing."""
    data = Data(name)
    model = clone(MODELS[name]).set_params(tol=1e-8)
    path = regularization_path(model, data.X, data.y, n_alphas=1, **data.options)
    for factor, save in [(1.0, 0.01), (1e-3, 1.0)]:
        model.set_params(alpha=path.alphas[0] * factor).fit(data.X, data.y, **data.options)
        none = clone(model).set_params(alpha=1e12).fit(data.X, data.y, **data.options)
        none.set_params(alpha=model.alpha)
        none.coef_ = np.zeros_like(none.coef_)
        value, value_of_none = (objectives(m, data, **data.options) for m in (model, none))
        saved = 1 - value / value_of_none
        assert 0 < saved.max() <= save * (1 + 1e-9)
        assert saved.max() > 0.1 * save


def test_units_do_not_matter():
    data = Data()
    for l1_ratio in (0.0, 1.0):
        model = LinearRegressor(l1_ratio=l1_ratio)
        plain = regularization_path(model, data.X, data.y, n_alphas=3)
        factor, offset = 1e3, 1e4
        moved = regularization_path(model, factor * data.X + offset, data.y, n_alphas=3)
        power = 1 if l1_ratio else 2
        np.testing.assert_allclose(moved.alphas, factor**power * plain.alphas, rtol=1e-6)
        np.testing.assert_allclose(factor * moved.coefs, plain.coefs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
def test_nothing_to_learn(l1_ratio):
    X = Data().X
    constant = np.full(N, 3.3)
    for model in (LinearRegressor(), LinearRegressor("absolute"), QuantileRegressor()):
        path = regularization_path(
            model.set_params(l1_ratio=l1_ratio), X, constant, n_alphas=3, alpha_ratio=0.1
        )
        np.testing.assert_allclose(path.alphas, [1.0, np.sqrt(0.1), 0.1])
        np.testing.assert_allclose(path.coefs, 0.0, atol=1e-7)
        np.testing.assert_allclose(path.intercepts, 3.3, rtol=1e-7)
    tube = LinearRegressor("epsilon_insensitive", l1_ratio=l1_ratio)
    path = regularization_path(tube, X, 1e-3 * np.arange(N) / N, n_alphas=1)
    assert path.alphas[0] == 1.0
    with pytest.warns(UserWarning, match="no group holds two rows"):
        path = regularization_path(LinearRanker(l1_ratio=l1_ratio), X, constant, n_alphas=1)
    assert path.alphas[0] == 1.0


class Jump(PointwiseLoss):
    """The absolute loss, by an author who does not tell of its kink."""

    def sample_value(self, y, z):
        return abs(y - z)

    def sample_gradient(self, y, z):
        return 1.0 if z > y else -1.0


class Welsch(PointwiseLoss):
    """A loss that is not convex."""

    convex, smooth = False, True

    def sample_value(self, y, z):
        return 1 - np.exp(-((y - z) ** 2))

    def sample_gradient(self, y, z):
        return 2 * (z - y) * np.exp(-((y - z) ** 2))


def test_losses_of_ones_own():
    data = Data()
    known = regularization_path(
        LinearRegressor("absolute", l1_ratio=1.0), data.X, data.y, n_alphas=4
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        own = regularization_path(LinearRegressor(Jump(), l1_ratio=1.0), data.X, data.y, n_alphas=4)
    np.testing.assert_allclose(own.alphas, known.alphas, rtol=0.05)
    welsch = regularization_path(LinearRegressor(Welsch(), l1_ratio=1.0), data.X, data.y)
    assert np.abs(welsch.coefs[0]).max() < 1e-6 < np.abs(welsch.coefs[-1]).max()


# --- arguments -------------------------------------------------------------------------------


def test_alphas_are_sorted():
    data = Data()
    given = [1e-3, 1.0, 0.0, 0.1]
    path = regularization_path(LinearRegressor(), data.X, data.y, alphas=given)
    np.testing.assert_array_equal(path.alphas, [1.0, 0.1, 1e-3, 0.0])
    assert given == [1e-3, 1.0, 0.0, 0.1]
    least_squares = np.linalg.lstsq(data.X - data.X.mean(0), data.y - data.y.mean())[0]
    np.testing.assert_allclose(path.coefs[-1], least_squares, rtol=1e-8)
    assert np.isfinite(path.dual_gaps[:3]).all()
    assert np.isnan(path.dual_gaps[3])  # no gap without a penalty


def test_gaps_of_several_problems_with_and_without_a_penalty():
    data = Data("three classes")
    for loss, shape in [("squared_hinge", (2, 3)), ("logistic", (2,))]:
        path = regularization_path(LinearClassifier(loss), data.X, data.y, alphas=[0.1, 0.0])
        assert path.dual_gaps.shape == shape
        assert np.isfinite(path.dual_gaps[0]).all()
        assert np.isnan(path.dual_gaps[1]).all()


def test_grid():
    data = Data()
    path = regularization_path(LinearRegressor(), data.X, data.y)
    assert len(path.alphas) == 20
    np.testing.assert_allclose(path.alphas[1:] / path.alphas[:-1], 1e-3 ** (1 / 19))
    one = regularization_path(LinearRegressor(), data.X, data.y, n_alphas=1)
    np.testing.assert_array_equal(one.alphas, path.alphas[:1])


@pytest.mark.parametrize(
    "alphas",
    [[], 1.0, [[1.0]], [1.0, -0.1], [np.nan], [np.inf], ["a"], [None], [1j], "abc", object()],
)
def test_wrong_alphas(alphas):
    data = Data()
    with pytest.raises(ValueError, match=r"^alphas must"):
        regularization_path(LinearRegressor(), data.X, data.y, alphas=alphas)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("n_alphas", 0, ValueError),
        ("n_alphas", 2.5, TypeError),
        ("n_alphas", "3", TypeError),
        ("alpha_ratio", 0.0, ValueError),
        ("alpha_ratio", 1.0, ValueError),
        ("alpha_ratio", -0.1, ValueError),
        ("alpha_ratio", np.nan, ValueError),
        ("alpha_ratio", None, TypeError),
    ],
)
def test_wrong_grids(name, value, error):
    data = Data()
    with pytest.raises(error, match=name):
        regularization_path(LinearRegressor(), data.X, data.y, **{name: value})


@pytest.mark.parametrize(
    "estimator",
    [ElasticNet(), make_pipeline(StandardScaler(), LinearRegressor()), LinearRegressor, None],
)
def test_foreign_estimators(estimator):
    data = Data()
    with pytest.raises(TypeError, match="estimator must be"):
        regularization_path(estimator, data.X, data.y)


def test_errors_of_fit():
    data = Data()
    with pytest.raises(ValueError, match="NaN"):
        regularization_path(LinearRegressor(), data.X * np.nan, data.y)
    with pytest.raises(ValueError, match="sample_weight"):
        regularization_path(LinearRegressor(), data.X, data.y, sample_weight=-data.weight)
    with pytest.raises(ValueError, match="l1_ratio"):
        regularization_path(LinearRegressor(l1_ratio=2.0), data.X, data.y)
    with pytest.raises(ValueError, match="at least 2 classes"):
        regularization_path(LinearClassifier(), data.X, np.ones(N))
    for options in ({"groups": np.zeros(N)}, {"weights": data.weight}):
        with pytest.raises(TypeError, match=next(iter(options))):
            regularization_path(LinearRegressor(), data.X, data.y, **options)
    # The estimator's own alpha is not used, whatever it is.
    regularization_path(LinearRegressor(alpha=-1), data.X, data.y, n_alphas=1)


@pytest.mark.compiled
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("l1_ratio", [0.0, 1.0])
@pytest.mark.parametrize("loss", ["logistic", "squared_hinge", "hinge"])
def test_what_fits_share_weakens_no_certificate(loss, l1_ratio, dtype):
    """Hessians and last points go from one penalty to the next; gaps are of the penalty at hand."""
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(300, 5)) * [1, 10, 0.1, 1, 1]).astype(dtype)
    y = X @ [1.0, -0.1, 3.0, 0.0, 0.5] + rng.normal(size=300) > 0.3
    s = rng.random(300)
    model = LinearClassifier(loss, l1_ratio=l1_ratio, tol=1e-3)
    read = []
    prepare = LinearClassifier._prepare

    def noted(self, X, y, **given):
        read.append(len(X))
        return prepare(self, X, y, **given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LinearClassifier, "_prepare", noted)
        path = regularization_path(model, X, y, alphas=[1.0, 0.3, 1e-2, 1e-3, 0.0], sample_weight=s)
    assert read == [300]
    for alpha, coef, b, gap in zip(
        path.alphas[:-1], path.coefs, path.intercepts, path.dual_gaps, strict=False
    ):
        model.set_params(alpha=alpha, tol=1e-9).fit(X.astype(float), y, sample_weight=s)
        values = []
        for w, c in ((coef, b), (model.coef_, model.intercept_)):
            z = X @ w[0].astype(float) + float(c[0])
            size = (1 - l1_ratio) / 2 * (w[0] ** 2).sum() + l1_ratio * np.abs(w[0]).sum()
            values.append(model._loss().value(np.where(y, 1.0, -1.0), z, s) + alpha * size)
        assert values[0] - values[1] <= gap + 1e-5 * (dtype == np.float32) + 1e-12
        assert gap <= 1e-3 * values[0]
