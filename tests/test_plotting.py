"""Pictures of rankings show what the metrics say."""

import sys

import matplotlib
import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_margin import RankSVM
from sklearn_margin.metrics import ndcg_score
from sklearn_margin.plotting import RankingDisplay

matplotlib.use("Agg")
import matplotlib.pyplot as plt


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def make_rows(seed=0, n=300, n_groups=12):
    """Features, relevance, scores with many ties and groups of many lengths, one of a single row.

    One group has no relevant row.
    """
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.r_[99, rng.integers(n_groups, size=n) ** 2 // n_groups])
    X = rng.normal(size=(groups.size, 3))
    y = np.clip(np.round(X @ [2.0, 1.0, 0.0] + rng.normal(size=groups.size)), 0, 4)
    y[groups == 1] = 0
    return X, y, np.round(X[:, 0] * 2), np.array([f"query {g}" for g in groups])


@pytest.mark.parametrize("gain", ["linear", "exponential"])
@pytest.mark.parametrize("weighted", [False, True])
def test_curve_is_ndcg_score(gain, weighted):
    _, y, score, groups = make_rows()
    weight = None
    if weighted:
        weight = np.random.default_rng(1).exponential(size=y.size)
        weight[groups == "query 3"] = 0
    options = {"groups": groups, "gain": gain, "sample_weight": weight}
    longest = np.unique(groups, return_counts=True)[1].max()
    ks = np.arange(1, longest + 10)
    display = RankingDisplay.from_predictions(y, score, ks=ks, **options)
    expected = [ndcg_score(y, score, k=int(k), **options) for k in ks]
    assert display.ndcg.tolist() == expected
    assert display.ndcg[-1] == ndcg_score(y, score, **options)
    assert np.ptp(expected) > 0.05
    np.testing.assert_array_equal(display.line_.get_xdata(), ks)
    np.testing.assert_array_equal(display.line_.get_ydata(), expected)


def test_per_group_is_ndcg_score_of_the_group():
    _, y, score, groups = make_rows()
    weight = np.random.default_rng(1).exponential(size=y.size)
    weight[groups == groups[0]] = 0  # a whole group
    display = RankingDisplay.from_predictions(
        y, score, groups=groups, sample_weight=weight, ks=[1, 5], kind="per_group"
    )
    in_order = [name for name in dict.fromkeys(groups) if name != groups[0]]
    expected = [
        ndcg_score(y[groups == name], score[groups == name], k=5) for name in in_order
    ]  # fmt: skip
    np.testing.assert_allclose(display.per_group, expected, rtol=1e-14)
    by_group = np.array([weight[groups == name].mean() for name in in_order])
    np.testing.assert_allclose(
        display.group_weight / display.group_weight.sum(), by_group / by_group.sum(), rtol=1e-14
    )
    # The steps of the curve: at each value, the weight of the groups that are no better.
    x, share = display.line_.get_data()
    for value in expected:
        no_better = by_group[np.array(expected) <= value + 1e-12].sum() / by_group.sum()
        assert share[x <= value + 1e-12][-1] == pytest.approx(no_better)
    assert display.mean_line_.get_xdata()[0] == display.ndcg[-1]
    assert display.ax_.get_xlabel() == "NDCG@5 of a group"
    assert display.ax_.get_title() == f"{len(in_order)} groups"
    assert display.ndcg[-1] == pytest.approx(np.average(expected, weights=by_group))


@pytest.mark.parametrize("weighted", [False, True])
def test_band_is_the_standard_error_over_groups(weighted):
    _, y, score, groups = make_rows()
    codes, weight = np.unique(groups, return_inverse=True)[1], None
    n = codes.max() + 1
    if weighted:
        weight = np.random.default_rng(1).exponential(size=n)[codes]
    display = RankingDisplay.from_predictions(
        y, score, groups=groups, sample_weight=weight, ks=[1, 5], color="C3"
    )
    by_group = np.ones(n) if weight is None else display.group_weight
    spread = by_group * (display.per_group - display.ndcg[1])
    expected = np.sqrt(n / (n - 1) * np.sum(spread**2)) / by_group.sum()
    assert display.standard_error[1] == pytest.approx(expected, rel=1e-12)
    if not weighted:
        assert expected == pytest.approx(np.std(display.per_group, ddof=1) / np.sqrt(n))
    corners = display.band_.get_paths()[0].vertices
    at_5 = corners[corners[:, 0] == 5, 1]
    assert at_5.min() == pytest.approx(display.ndcg[1] - expected)
    assert at_5.max() == pytest.approx(display.ndcg[1] + expected)
    assert matplotlib.colors.same_color(display.band_.get_facecolor()[0][:3], "C3")
    assert display.ax_.get_title() == f"{n} groups, ± 1 standard error"


def test_band_of_one_k_and_of_one_group():
    _, y, score, groups = make_rows()
    one = RankingDisplay.from_predictions(y, score, groups=groups, ks=[3])
    ((_, low), (_, high)) = one.band_.get_segments()[0]
    assert high - low == pytest.approx(2 * one.standard_error[0])
    group = RankingDisplay.from_predictions(y[:7], score[:7])
    assert group.band_ is None
    assert group.ax_.get_title() == ""


def test_a_title_of_ones_own_stays():
    _, y, score, groups = make_rows()
    ax = plt.subplots()[1]
    ax.set_title("mine")
    RankingDisplay.from_predictions(y, score, groups=groups, ax=ax)
    assert ax.get_title() == "mine"


def test_default_ks():
    _, y, score, groups = make_rows()
    longest = np.unique(groups, return_counts=True)[1].max()
    assert longest > 50
    by_default = RankingDisplay.from_predictions(y, score, groups=groups)
    assert by_default.ks.tolist() == list(range(1, 51))
    short = RankingDisplay.from_predictions(y[:7], score[:7])  # one group
    assert short.ks.tolist() == list(range(1, 8))
    assert short.per_group.shape == (1,)
    unordered = RankingDisplay.from_predictions(y, score, groups=groups, ks=[10, 1, 10])
    assert unordered.ks.tolist() == [1, 10]
    one = RankingDisplay.from_predictions(y, score, groups=groups, ks=10)
    assert one.ndcg.tolist() == [ndcg_score(y, score, groups=groups, k=10)]
    assert one.line_.get_marker() == "o"  # a line of one point would not be seen


def test_packed_target():
    _, y, score, groups = make_rows()
    plain = RankingDisplay.from_predictions(y, score, groups=groups)
    packed = np.column_stack([y.astype(object), groups])
    np.testing.assert_array_equal(RankingDisplay.from_predictions(packed, score).ndcg, plain.ndcg)


def test_several_models_on_the_same_axes():
    X, y, score, groups = make_rows()
    figure, ax = plt.subplots()
    model = make_pipeline(StandardScaler(), RankSVM()).fit(X, y, ranksvm__groups=groups)
    first = RankingDisplay.from_estimator(model, X, y, groups=groups, ax=ax, ks=[1, 5])
    second = RankingDisplay.from_estimator(
        model[-1], X, y, groups=groups, ax=ax, name="unscaled", color="r", ls=":"
    )
    third = RankingDisplay.from_predictions(y, score, groups=groups, ax=first.ax_, name="x")
    assert first.ax_ is second.ax_ is third.ax_ is ax
    assert first.figure_ is figure
    assert len(ax.lines) == 3
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["Pipeline", "unscaled", "x"]
    assert second.line_.get_color() == "r"
    assert first.ndcg[1] == ndcg_score(y, model.predict(X), groups=groups, k=5)
    third.plot(kind="per_group", name="again")
    assert third.ax_ is not ax
    (text,) = third.ax_.get_legend().get_texts()
    mean = np.mean(third.per_group)
    assert text.get_text() == f"again (mean {mean:.3f})"
    assert third.ax_.get_xlabel() == "NDCG of a group"  # of all its ranks, as no k was given
    assert third.mean_line_.get_color() == third.line_.get_color()


def test_no_name_is_no_legend():
    _, y, score, groups = make_rows()
    for kind in ("ndcg_at_k", "per_group"):
        display = RankingDisplay.from_predictions(y, score, groups=groups, kind=kind)
        assert display.ax_.get_legend() is None


def test_axes_with_a_logarithmic_scale_keep_it():
    _, y, score, groups = make_rows()
    ax = plt.subplots()[1]
    ax.set_xscale("log")
    RankingDisplay.from_predictions(y, score, groups=groups, ax=ax).figure_.canvas.draw()
    assert ax.get_xscale() == "log"


@pytest.mark.parametrize("ks", [[], [0, 1], [-3], [1.5], ["one"], [True]])
def test_wrong_ks(ks):
    with pytest.raises(ValueError, match="ks must be whole numbers of 1 or more"):
        RankingDisplay.from_predictions([1, 0], [1, 2], ks=ks)


def test_wrong_arguments():
    X, y, score, groups = make_rows()
    with pytest.raises(ValueError, match="kind must be 'ndcg_at_k' or 'per_group', got 'pie'"):
        RankingDisplay.from_predictions(y, score, groups=groups, kind="pie")
    with pytest.raises(ValueError, match="gain must be 'linear' or 'exponential'"):
        RankingDisplay.from_predictions(y, score, groups=groups, gain="log")
    with pytest.raises(ValueError, match="y_true must not be negative"):
        RankingDisplay.from_predictions(-y, score, groups=groups)
    with pytest.raises(ValueError, match="groups has length 300, expected 301"):
        RankingDisplay.from_predictions(y, score, groups=groups[1:])
    with pytest.raises(NotFittedError):
        RankingDisplay.from_estimator(RankSVM(), X, y, groups=groups)
    assert plt.get_fignums() == []  # no empty figure is left behind


def test_without_matplotlib(monkeypatch):
    _, y, score, groups = make_rows()
    display = RankingDisplay.from_predictions(y, score, groups=groups)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # import of it fails
    with pytest.raises(ImportError, match="plotting needs matplotlib: pip install matplotlib"):
        display.plot()
