"""Pictures of losses, fits, coefficients, paths and embeddings show what was computed."""

import math
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import same_color
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes, load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler, scale
from sklearn.utils import Bunch

from sklearn_margin import (
    HingeClassifier,
    HuberRegressor,
    LinearEmbedding,
    LinearRegressor,
    QuantileRegressor,
    RankSVM,
    regularization_path,
)
from sklearn_margin._base.watch import Watch, recorded
from sklearn_margin.losses import (
    CrammerSinger,
    Dice,
    Hinge,
    Huber,
    InfoNCE,
    PairwiseLoss,
    PointwiseLoss,
    Quantile,
)
from sklearn_margin.plotting import (
    CoefficientDisplay,
    ConvergenceDisplay,
    EmbeddingDisplay,
    HardnessDisplay,
    LossDisplay,
    PathDisplay,
    RankingDisplay,
)
from sklearn_margin.plotting.path import _spread

matplotlib.use("Agg")
import matplotlib.pyplot as plt


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def diabetes():
    data = load_diabetes()
    return scale(data.data), data.target


@pytest.fixture(scope="module")
def table():
    pytest.importorskip("pandas")
    return load_diabetes(return_X_y=True, as_frame=True)


@pytest.fixture(scope="module")
def path(diabetes):
    return regularization_path(HuberRegressor(l1_ratio=1), *diabetes, n_alphas=10)


class Cauchy(PointwiseLoss):
    convex = False

    def sample_value(self, y, z):
        return math.log1p((y - z) ** 2)

    def sample_gradient(self, y, z):
        return 2 * (z - y) / (1 + (z - y) ** 2)


class Exponential(PairwiseLoss):
    def pair_value(self, d):
        return math.exp(-d)

    def pair_gradient(self, d):
        return -math.exp(-d)


# --- losses ---

Z = np.array([-2.0, -0.5, 0.5, 1.5])


@pytest.mark.parametrize(
    ("loss", "y", "position", "value", "gradient", "xlabel"),
    [
        (Hinge(), None, Z, [3, 1.5, 0.5, 0], [-1, -1, -1, 0], "margin y·z"),
        (Hinge(), -1, -Z, [0, 0.5, 1.5, 2.5], [0, 1, 1, 1], "margin y·z"),
        (
            Huber(delta=1),
            None,
            Z,
            [1.5, 0.125, 0.125, 1],
            [-1, -0.5, 0.5, 1],
            "prediction − target",
        ),
        (Quantile(0.9), 0.5, Z - 0.5, [2.25, 0.9, 0, 0.1], [-0.9, -0.9, None, 0.1], "prediction"),
        (
            Cauchy(),
            1,
            Z,
            np.log1p((Z - 1) ** 2),
            2 * (Z - 1) / (1 + (Z - 1) ** 2),
            "score z, y = 1",
        ),
        (Exponential(), None, Z, np.exp(-Z), -np.exp(-Z), "difference of scores, zᵢ − zⱼ"),
        (CrammerSinger(), None, Z, [3, 1.5, 0.5, 0], [-1, -1, -1, 0], "score of the true class"),
    ],
)
def test_curve_is_the_loss(loss, y, position, value, gradient, xlabel):
    display = LossDisplay.from_loss(loss, y=y, z=Z)
    np.testing.assert_allclose(display.line_.get_xdata(), position)
    np.testing.assert_allclose(display.line_.get_ydata(), value, atol=1e-15)
    assert display.ax_.get_xlabel().startswith(xlabel)
    assert display.ax_.get_ylabel() == "loss"
    display.plot(kind="gradient")
    drawn = display.line_.get_ydata()
    known = [k for k, slope in enumerate(gradient) if slope is not None]  # any slope at a kink
    np.testing.assert_allclose(drawn[known], np.array(gradient)[known].astype(float))
    pair = isinstance(loss, PairwiseLoss)
    assert display.ax_.get_ylabel() == f"derivative by {'zᵢ − zⱼ' if pair else 'z'}"


def test_names_of_losses_and_several_on_one_axes():
    first = LossDisplay.from_loss("hinge")
    assert first.position[[0, -1]].tolist() == [-3, 3]
    second = LossDisplay.from_loss("pairwise_hinge", ax=first.ax_, name="pairs", ls=":")
    assert second.ax_ is first.ax_
    assert second.figure_ is first.figure_
    names = [text.get_text() for text in first.ax_.get_legend().get_texts()]
    assert names == ["Hinge()", "pairs"]
    assert second.line_.get_linestyle() == ":"
    np.testing.assert_allclose(first.value, np.maximum(1 - first.position, 0))
    assert LossDisplay.from_loss("huber", y=5.0).position[[0, -1]].tolist() == [-3, 3]


def test_a_derivative_is_broken_where_it_jumps_only():
    jump = LossDisplay.from_loss("absolute", kind="gradient").line_.get_data()
    (at,) = np.flatnonzero(np.isnan(jump[1]))
    assert abs(jump[0][at]) < 0.01
    assert jump[1][at - 1] == -1 and jump[1][at + 1] == 1
    for smooth in ("logistic", "squared_hinge", "huber", "squared"):
        line = LossDisplay.from_loss(smooth, kind="gradient").line_
        assert not np.isnan(line.get_ydata()).any()


def test_wrong_losses():
    with pytest.raises(ValueError, match=r"loss must be one of \['absolute', .* got 'hing'"):
        LossDisplay.from_loss("hing")
    for loss in (Dice(), InfoNCE(), Hinge, 3):
        with pytest.raises(TypeError, match="loss must be a loss of one score, of a pair or"):
            LossDisplay.from_loss(loss)
    with pytest.raises(ValueError, match="kind must be 'value' or 'gradient', got 'slope'"):
        LossDisplay.from_loss("hinge", kind="slope")
    with pytest.raises(ValueError, match="z must hold finite numbers in one dimension"):
        LossDisplay.from_loss("hinge", z=[0, np.nan])
    with pytest.raises(ValueError, match="y_true must hold only -1 and"):
        LossDisplay.from_loss("hinge", y=0)
    with pytest.raises(ValueError, match="delta"):
        LossDisplay.from_loss(Huber(delta=-1))
    assert plt.get_fignums() == []
    for y in (np.nan, np.inf):
        with pytest.raises(ValueError, match="y must be"):
            LossDisplay.from_loss("huber", y=y)


# --- convergence ---


@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
def test_trace_is_the_course_of_the_fit(diabetes, solver):
    model = HuberRegressor(solver=solver, alpha=0.01)
    fitted = clone(model).fit(*diabetes)
    display = ConvergenceDisplay.from_estimator(model, *diabetes)
    (trace,) = display.traces
    assert not hasattr(model, "coef_")
    assert trace.iterations[-1] == fitted.n_iter_
    assert trace.gap[-1] == pytest.approx(fitted.dual_gap_, rel=1e-6, abs=1e-12)
    reached = trace.gap / trace.objective
    assert reached[-1] <= model.tol < np.nanmax(reached)
    for name in ("iterations", "reads", "seconds"):
        assert (np.diff(trace[name]) >= 0).all()
        assert trace[name][0] > 0
    known = trace.gap[~np.isnan(trace.gap)]
    bound = trace.objective[-len(known) :] - known
    assert (np.diff(bound) >= -1e-12 * trace.objective[-1]).all()  # the best so far
    (line,) = display.gap_lines_
    np.testing.assert_array_equal(line.get_xdata(), trace.reads)
    np.testing.assert_allclose(
        line.get_ydata(), np.where(trace.gap > 0, trace.gap, np.nan) / display.lowest
    )
    (bound,) = display.lines_
    hindsight = trace.objective - (trace.objective[-1] - trace.gap[-1])
    assert hindsight[-1] == pytest.approx(trace.gap[-1])
    np.testing.assert_allclose(bound.get_ydata() * display.lowest, hindsight, rtol=1e-6)
    np.testing.assert_allclose(display.bound, trace.objective[-1] - trace.gap[-1])
    assert display.ax_.get_yscale() == "log"
    assert display.ax_.get_xlabel() == "reads of X"
    assert line.get_label() == f"{solver}: gap"


def test_recording_does_not_change_the_fit(diabetes, capsys, monkeypatch):
    model = HuberRegressor(solver="lbfgs", alpha=0.01, verbose=1)
    with recorded() as traces:
        model.fit(*diabetes)
    (trace,) = traces
    assert trace.estimator is model
    assert f"{trace[-1].reads:.4g} reads of X" in capsys.readouterr().out.splitlines()[-1]
    n_steps = len(trace)

    def fails(*_):
        raise AssertionError("an ordinary fit is not looked at")

    monkeypatch.setattr(Watch, "__call__", fails)
    plain = HuberRegressor(solver="lbfgs", alpha=0.01).fit(*diabetes)
    assert plain.n_iter_ == model.n_iter_
    np.testing.assert_allclose(plain.coef_, model.coef_, rtol=1e-12)
    assert len(trace) == n_steps  # nothing is recorded later


def test_error_is_below_the_gap(diabetes):
    best = ConvergenceDisplay.from_estimator(HuberRegressor(tol=1e-12), *diabetes).lowest
    display = ConvergenceDisplay.from_estimator(
        HuberRegressor(solver="lbfgs"), *diabetes, best=best, x="seconds", line_kw={"lw": 3}
    )
    (trace,), (line,), (gap_line,) = display.traces, display.lines_, display.gap_lines_
    error, gap = line.get_ydata(), gap_line.get_ydata()
    expected = (trace.objective - best) / display.lowest
    np.testing.assert_allclose(error, np.where(expected > 0, expected, np.nan))
    both = ~np.isnan(error) & ~np.isnan(gap)
    assert both.sum() > 3
    assert (error[both] <= gap[both] * (1 + 1e-9) + 1e-14).all()
    assert line.get_color() == gap_line.get_color()
    assert (line.get_linestyle(), gap_line.get_linestyle()) == ("-", "--")
    assert line.get_linewidth() == 3
    np.testing.assert_array_equal(line.get_xdata(), trace.seconds)
    names = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert names == ["lbfgs", "lbfgs: gap"]
    display.plot(kind="objective", x="iterations", name="F")
    np.testing.assert_array_equal(display.lines_[0].get_ydata(), trace.objective)
    np.testing.assert_array_equal(display.lines_[0].get_xdata(), trace.iterations)
    assert display.ax_.get_yscale() == "linear"
    assert display.gap_lines_ == []


def test_problems_of_several_quantiles_and_pipelines(diabetes):
    model = make_pipeline(StandardScaler(), QuantileRegressor(quantile=[0.1, 0.9], alpha=0.1))
    weight = np.linspace(0, 1, len(diabetes[1]))
    display = ConvergenceDisplay.from_estimator(
        model, *diabetes, quantileregressor__sample_weight=weight, name="q"
    )
    fitted = clone(model).fit(*diabetes, quantileregressor__sample_weight=weight)
    first, second = display.gap_lines_
    assert first.get_color() == second.get_color()
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["q", "q: gap"]
    gaps = [trace.gap[-1] for trace in display.traces]
    np.testing.assert_allclose(gaps, fitted[-1].dual_gap_, rtol=1e-3, atol=1e-9)
    other = ConvergenceDisplay.from_estimator(model, *diabetes, ax=display.ax_)
    assert other.ax_ is display.ax_
    assert other.gap_lines_[0].get_color() != first.get_color()


def test_a_loss_without_gap_has_an_objective(diabetes):
    X, y = diabetes
    model = LinearRegressor(Cauchy(), alpha=1.0, tol=0, max_iter=5)
    with pytest.raises(ValueError, match="best is needed: subgradient has no duality gap"):
        ConvergenceDisplay.from_estimator(model, X, y / 50, kind="error")
    display = ConvergenceDisplay.from_estimator(model, X, y / 50, best=0.0)
    assert display.gap_lines_ == []
    display.plot(kind="objective")
    assert np.isnan(display.traces[0].gap).all()
    assert display.lines_[0].get_ydata()[-1] == display.traces[0].objective[-1]


def test_embeddings_count_no_reads():
    X, y = load_iris(return_X_y=True)
    model = LinearEmbedding(n_components=2, max_iter=2, tol=0, random_state=0)
    with pytest.raises(ValueError, match="x must be 'seconds' or 'iterations': embeddings count"):
        ConvergenceDisplay.from_estimator(model, X, y, kind="objective")
    assert plt.get_fignums() == []
    display = ConvergenceDisplay.from_estimator(model, X, y, kind="objective", x="iterations")
    assert display.lines_[0].get_xdata()[-1] == model.fit(X, y).n_iter_


def test_wrong_convergence(diabetes):
    X, y = diabetes
    for estimator in (Ridge(), make_pipeline(StandardScaler(), Ridge()), "newton"):
        with pytest.raises(TypeError, match="estimator must be an estimator of sklearn_margin"):
            ConvergenceDisplay.from_estimator(estimator, X, y)
    with pytest.raises(ValueError, match="x must be 'reads' or 'seconds' or 'iterations', got 's'"):
        ConvergenceDisplay.from_estimator(HuberRegressor(), X, y, x="s")
    with pytest.raises(ValueError, match="kind must be 'error' or 'objective', got 'gap'"):
        ConvergenceDisplay.from_estimator(HuberRegressor(), X, y, kind="gap")
    for best in ([1.0, 2.0], np.nan):
        with pytest.raises(ValueError, match="best must be a finite number, or one for each of 1"):
            ConvergenceDisplay.from_estimator(HuberRegressor(), X, y, best=best)
    assert plt.get_fignums() == []


# --- coefficients ---


def test_bars_are_the_largest_coefficients(table):
    X, y = table
    model = HuberRegressor(alpha=1e-4).fit(scale(X), y)
    display = CoefficientDisplay.from_estimator(model, top=4, feature_names=X.columns, hatch="/")
    order = np.argsort(-abs(model.coef_))[:4]
    widths = [bar.get_width() for bar in display.bars_]
    assert widths == model.coef_[order].tolist()
    assert min(widths) < 0 < max(widths)
    for bar in display.bars_:
        assert same_color(bar.get_facecolor(), "C0" if bar.get_width() > 0 else "C1")
        assert bar.get_hatch() == "/"
    labels = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert labels == X.columns[order].tolist()
    top, bottom = (display.bars_[k].get_y() for k in (0, -1))
    assert top < bottom and display.ax_.yaxis_inverted()  # the largest is at the top
    assert display.ax_.get_title() == ""


def test_names_of_features(table):
    X, y = table
    named = CoefficientDisplay.from_estimator(HuberRegressor().fit(X, y), top=2)
    assert set(named.feature_names) <= set(X.columns)
    model = make_pipeline(
        make_column_transformer((OneHotEncoder(), ["sex"]), (StandardScaler(), ["bmi", "bp"])),
        HuberRegressor(),
    ).fit(X, y)
    piped = CoefficientDisplay.from_estimator(model)
    assert set(piped.feature_names) == set(model[:-1].get_feature_names_out())
    assert piped.feature_names[0] == "standardscaler__bmi"
    model = make_pipeline(HuberRegressor()).fit(X, y)
    assert set(CoefficientDisplay.from_estimator(model, top=2).feature_names) <= set(X.columns)
    plain = Ridge().fit(X.to_numpy(), y)  # of another package, without names
    display = CoefficientDisplay.from_estimator(plain, top=1)
    assert display.feature_names.tolist() == [f"x{np.argmax(abs(plain.coef_))}"]


def test_names_of_features_after_steps_that_know_none(table):
    """Those that the model saw, or numbers."""
    X, y = table
    absolute = make_pipeline(FunctionTransformer(np.abs), HuberRegressor())
    passed = make_pipeline("passthrough", HuberRegressor())
    for model in (absolute, passed):
        names = CoefficientDisplay.from_estimator(model.fit(X, y), top=2).feature_names
        assert set(names) <= set(X.columns)
    unknown = absolute.fit(X.to_numpy(), y)
    assert CoefficientDisplay.from_estimator(unknown, top=1).feature_names[0].startswith("x")


DOLLARS = ["$\\alph$", "cost_$ in $", "$", "plain"]


def test_dollars_in_names_are_no_formulas():
    model = HuberRegressor()
    model.coef_ = np.array([4.0, 3.0, 2.0, 1.0])
    bars = CoefficientDisplay.from_estimator(model, feature_names=DOLLARS)
    path = Bunch(alphas=np.array([1.0, 0.1]), coefs=np.array([0 * model.coef_, model.coef_]))
    ends = PathDisplay.from_path(path, feature_names=DOLLARS)
    points = EmbeddingDisplay.from_embedding(np.eye(4)[:, :2], DOLLARS, name="$\\alph$")
    for display in (bars, ends, points):
        display.figure_.canvas.draw()
    assert [text.get_text() for text in bars.ax_.get_yticklabels()] == DOLLARS
    texts = points.ax_.get_legend().get_texts()
    for text in (*bars.ax_.get_yticklabels(), *ends.labels_, *texts, points.ax_.title):
        assert not text.get_parse_math()


def test_names_that_begin_with_an_underscore_are_in_the_legend(diabetes):
    displays = {
        "_other": EmbeddingDisplay.from_embedding(np.eye(3)[:, :2], ["_other", "a", "b"]),
        "_loss": LossDisplay.from_loss("hinge", name="_loss"),
        "_fit": ConvergenceDisplay.from_estimator(HuberRegressor(), *diabetes, name="_fit"),
        "_ndcg": RankingDisplay.from_predictions([1, 0], [0.1, 0.2], name="_ndcg"),
    }
    for name, display in displays.items():
        texts = [text.get_text().strip() for text in display.ax_.get_legend().get_texts()]
        assert name in texts
    groups = RankingDisplay.from_predictions([1, 0], [0.1, 0.2], name="_m", kind="per_group")
    assert groups.ax_.get_legend().get_texts()[0].get_text().startswith(" _m (mean")


def test_bars_do_not_take_the_names_of_others(diabetes):
    X, y = diabetes
    first = CoefficientDisplay.from_estimator(HuberRegressor().fit(X, y))
    with pytest.raises(ValueError, match="ax has bars"):
        CoefficientDisplay.from_estimator(Ridge().fit(X, y), ax=first.ax_)


def test_axes_of_losses_of_several_families_say_both():
    display = LossDisplay.from_loss("hinge")
    for loss in ("huber", "squared_hinge"):
        LossDisplay.from_loss(loss, ax=display.ax_)
    assert display.ax_.get_xlabel() == "margin y·z | prediction − target, z − y"
    assert display.ax_.get_ylabel() == "loss"


def test_target_chooses_the_row(diabetes):
    X, y = load_iris(return_X_y=True)
    names = np.array(["a", "b", "c"])
    model = HingeClassifier(l1_ratio=1, alpha=0.05).fit(X, names[y])
    display = CoefficientDisplay.from_estimator(model, target="b")
    used = np.flatnonzero(model.coef_[1])
    assert len(used) < 4  # zeros are left out
    assert sorted(display.coef) == sorted(model.coef_[1, used])
    assert display.ax_.get_title() == "b"
    model.sparsify()
    np.testing.assert_array_equal(
        CoefficientDisplay.from_estimator(model, target="b").coef, display.coef
    )
    for target in (None, 1):
        with pytest.raises(ValueError, match=r"target must be one of \['a', 'b', 'c'\], got"):
            CoefficientDisplay.from_estimator(model, target=target)
    quantiles = QuantileRegressor(quantile=[0.1, 0.9], alpha=0.1).fit(*diabetes)
    display = CoefficientDisplay.from_estimator(quantiles, target=0.9, top=1)
    assert display.coef[0] == quantiles.coef_[1, np.argmax(abs(quantiles.coef_[1]))]


def test_error_bars(diabetes):
    model = HuberRegressor().fit(*diabetes)
    errors = np.linspace(1, 2, 10)
    display = CoefficientDisplay.from_estimator(model, errors=errors, top=3)
    order = np.argsort(-abs(model.coef_))[:3]
    bars = display.bars_.errorbar.lines[2][0].get_segments()
    half = [(right[0] - left[0]) / 2 for left, right in bars]
    np.testing.assert_allclose(half, errors[order])


def test_wrong_coefficients(diabetes):
    X, y = diabetes
    with pytest.raises(NotFittedError):
        CoefficientDisplay.from_estimator(HuberRegressor())
    model = HuberRegressor().fit(X, y)
    with pytest.raises(TypeError, match="estimator must have coefficients coef_"):
        CoefficientDisplay.from_estimator(PCA().fit(X))
    with pytest.raises(ValueError, match="target must be None for one row of coefficients, got 1"):
        CoefficientDisplay.from_estimator(model, target=1)
    with pytest.raises(ValueError, match=r"feature_names has shape \(1,\), expected \(10,\)"):
        CoefficientDisplay.from_estimator(model, feature_names=["a"])
    with pytest.raises(ValueError, match=r"errors has shape \(2,\), expected \(10,\)"):
        CoefficientDisplay.from_estimator(model, errors=[1, 2])
    with pytest.raises(ValueError, match="errors must not be negative"):
        CoefficientDisplay.from_estimator(model, errors=-np.ones(X.shape[1]))
    with pytest.raises(ValueError, match="top must be"):
        CoefficientDisplay.from_estimator(model, top=0)
    assert plt.get_fignums() == []


# --- paths ---


def test_path_lines_and_labels(path):
    names = load_diabetes().feature_names
    display = PathDisplay.from_path(path, feature_names=names, n_labels=4, lw=3)
    for j, line in enumerate(display.lines_):
        np.testing.assert_array_equal(line.get_xdata(), path.alphas)
        np.testing.assert_array_equal(line.get_ydata(), path.coefs[:, j])
        assert line.get_linewidth() == 3
    ax, end = display.ax_, path.coefs[-1]
    assert (ax.get_xscale(), ax.xaxis_inverted(), ax.get_xlabel()) == ("log", True, "alpha")
    labelled = [names.index(label.get_text()) for label in display.labels_]
    assert set(labelled) == set(np.argsort(-abs(end))[:4])
    assert labelled == sorted(labelled, key=lambda j: -end[j])  # from the top
    for label, j in zip(display.labels_, labelled, strict=True):
        assert label.get_color() == display.lines_[j].get_color() != "0.6"
        assert label.xy[0] == path.alphas[-1]
    grey = [line for j, line in enumerate(display.lines_) if j not in labelled]
    assert {line.get_color() for line in grey} == {"0.6"}
    heights = [label.xy[1] for label in display.labels_]
    low, high = ax.get_ylim()
    assert (np.diff(heights) <= -0.0599 * (high - low)).all()
    assert display.nonzero_ax_ is None


def test_numbers_of_nonzero_coefficients(path):
    display = PathDisplay.from_path(path, show_nonzero=True)
    display.figure_.canvas.draw()
    top = display.nonzero_ax_
    counts = np.count_nonzero(path.coefs, axis=1)
    shown = [int(text.get_text()) for text in top.get_xticklabels()]
    at = [np.flatnonzero(path.alphas == alpha)[0] for alpha in top.get_xticks()]
    assert shown == counts[at].tolist()
    assert (shown[0], shown[-1]) == (0, counts[-1])
    assert display.labels_[0].get_text().startswith("x")


def test_path_of_an_estimator_and_of_several_rows(table):
    X, y = table
    model = QuantileRegressor(quantile=[0.2, 0.8], l1_ratio=1)
    display = PathDisplay.from_estimator(
        model, X, y, alphas=[1.0, 0.1, 0.0], target=1, n_labels=1, line_kw={"ls": ":"}
    )
    path = regularization_path(model, X, y, alphas=[1.0, 0.1, 0.0])
    np.testing.assert_allclose(display.coefs, path.coefs[:, 1])
    assert display.lines_[0].get_linestyle() == ":"
    assert display.lines_[0].get_xdata().tolist() == [1.0, 0.1]  # a log axis has no zero
    assert display.labels_[0].get_text() in X.columns
    for target in (None, 2):
        with pytest.raises(ValueError, match=r"target must be one of \[0, 1\], got"):
            PathDisplay.from_path(path, target=target)


def test_two_paths_on_one_axes(path):
    first = PathDisplay.from_path(path)
    second = PathDisplay.from_path(path, ax=first.ax_)
    assert second.ax_ is first.ax_
    assert first.ax_.xaxis_inverted()  # once
    assert len(first.ax_.lines) == 20


def test_wrong_paths(path):
    with pytest.raises(ValueError, match=r"feature_names has shape \(1,\), expected \(10,\)"):
        PathDisplay.from_path(path, feature_names=["a"])
    with pytest.raises(ValueError, match="target must be None for one row of coefficients, got 0"):
        PathDisplay.from_path(path, target=0)
    with pytest.raises(ValueError, match="n_labels must be"):
        PathDisplay.from_path(path, n_labels=-1)
    zero = Bunch(alphas=np.zeros(1), coefs=np.ones((1, 2)))
    with pytest.raises(ValueError, match="alphas must hold one above 0"):
        PathDisplay.from_path(zero)
    assert plt.get_fignums() == []


def test_spread_moves_as_little_as_needed():
    assert _spread(np.array([]), 1.0).tolist() == []
    assert _spread(np.array([5.0, 2.0]), 1.0).tolist() == [5, 2]
    np.testing.assert_allclose(_spread(np.array([5.0, 5.0, 0.0]), 1.0), [5.5, 4.5, 0])
    np.testing.assert_allclose(_spread(np.array([1.0, 1.0, 1.0]), 1.0), [2, 1, 0])


# --- embeddings ---


def test_embedding_in_two_dimensions():
    X, y = load_iris(return_X_y=True)
    model = LinearEmbedding(n_components=2, max_iter=2, random_state=0).fit(X, y)
    display = EmbeddingDisplay.from_estimator(model, X, y, s=20)
    Z = model.transform(X)
    for k, points in enumerate(display.points_):
        np.testing.assert_array_equal(points.get_offsets(), Z[y == k])
        assert same_color(points.get_facecolor()[0][:3], f"C{k}")
        assert points.get_sizes()[0] == 20
    ax = display.ax_
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("linearembedding0", "linearembedding1")
    assert ax.get_title() == "LinearEmbedding"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["0", "1", "2"]
    display.figure_.canvas.draw()
    assert ax.get_legend().get_window_extent().x0 >= ax.get_window_extent().x1 - 1  # outside


def test_embedding_in_more_or_less_dimensions():
    X, y = load_iris(return_X_y=True)
    display = EmbeddingDisplay.from_embedding(X, y, name="iris")
    pca = PCA(2).fit(X)
    drawn = np.concatenate([points.get_offsets() for points in display.points_])
    np.testing.assert_allclose(drawn, pca.transform(X), atol=1e-12)
    assert display.ax_.get_xlabel() == "PC 1 (92 %)"
    assert display.ax_.get_title() == "iris"
    one = EmbeddingDisplay.from_embedding(X[:, :1], y, names=["length"])
    assert (one.ax_.get_xlabel(), one.ax_.get_ylabel()) == ("length", "")
    assert EmbeddingDisplay.from_embedding(X, y, most=20).points.shape == (20, 2)


def test_classes_beyond_the_colours_have_another_marker():
    y = np.arange(12)
    display = EmbeddingDisplay.from_embedding(np.eye(12)[:, :2], y)
    assert display.ax_.get_legend() is None
    outlines = [len(points.get_paths()[0].vertices) for points in display.points_]
    assert len(set(outlines[:10])) == 1
    assert outlines[10] != outlines[0]


def test_wrong_embeddings():
    X, y = load_iris(return_X_y=True)
    with pytest.raises(NotFittedError):
        EmbeddingDisplay.from_estimator(LinearEmbedding(), X, y)
    with pytest.raises(ValueError, match="names has 1 entries, expected 2"):
        EmbeddingDisplay.from_embedding(X[:, :2], y, names=["a"])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        EmbeddingDisplay.from_embedding(X[:, :2], y[1:])
    with pytest.raises(TypeError, match="loss must be an InfoNCE or a Circle"):
        HardnessDisplay.from_loss(Hinge(), [0.1], [0.1])
    assert plt.get_fignums() == []
    with pytest.raises(ValueError, match="Z has one row"):
        EmbeddingDisplay.from_embedding(np.eye(3)[:1], ["a"])


# --- all ---


def test_without_matplotlib(path, monkeypatch):
    displays = [
        LossDisplay.from_loss("hinge"),
        PathDisplay.from_path(path),
        EmbeddingDisplay.from_embedding(np.eye(3), [0, 1, 2]),
        HardnessDisplay.from_loss(InfoNCE(), [0.1, 0.5], [0.1, 1.0]),
        CoefficientDisplay(np.ones(1), ["a"]),
        ConvergenceDisplay.from_estimator(HuberRegressor(), np.eye(3), [0, 1, 3]),
    ]
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # import of it fails
    for display in displays:
        with pytest.raises(ImportError, match="plotting needs matplotlib: pip install matplotlib"):
            display.plot()


def test_rankers_converge_too():
    rng = np.random.default_rng(0)
    X, groups = rng.normal(size=(120, 3)), np.repeat(np.arange(12), 10)
    y = np.clip(np.round(X[:, 0] + rng.normal(size=120)), 0, 3)
    display = ConvergenceDisplay.from_estimator(RankSVM(), X, y, groups=groups)
    fitted = RankSVM().fit(X, y, groups=groups)
    assert display.traces[0].iterations[-1] == fitted.n_iter_
