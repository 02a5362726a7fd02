"""Pairs that do not count alike from both sides: clicks by propensity, and censored times."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from sklearn_margin import Batches, LinearRanker, RankSVM
from sklearn_margin.losses import (
    ListwiseSoftmax,
    PairwiseHinge,
    PairwiseLogistic,
    PairwiseLoss,
    PairwiseSquaredHinge,
)
from sklearn_margin.metrics import (
    concordance_index_score,
    make_ranking_scorer,
    ndcg_score,
    pairwise_accuracy_score,
    precision_at_k_score,
)
from sklearn_margin.objective import PairwiseObjective, Rows

RNG = np.random.default_rng(0)
N = 120
X = RNG.normal(size=(N, 3))
GROUPS = RNG.integers(0, 4, N)
WEIGHTS = RNG.random(N) * (RNG.random(N) < 0.9)
PROPENSITY = RNG.uniform(0.2, 1.0, N)
GRADES = np.clip(np.round(X[:, 0] + RNG.normal(size=N)), 0, 3)
EVENT = RNG.random(N) < 0.5
TIME = np.ceil(10 * np.exp(0.5 * X[:, 0] + 0.3 * RNG.normal(size=N)))  # with ties
SURVIVAL = np.rec.fromarrays([EVENT, TIME], names="event,time")


class Square(PairwiseLoss):
    """A user's loss, whose pairs are gone through one by one."""

    def pair_value(self, d):
        return (1.0 - d) ** 2

    def pair_gradient(self, d):
        return -2.0 * (1.0 - d)

    def pair_hessian(self, d):
        return 2.0


def by_pair(i, j, y):
    """Whether i is known to be better than j, of grades or of censored times."""
    if y.dtype.names is None:
        return y[i] > y[j]
    later = y["time"][i] > y["time"][j]
    as_late = y["time"][i] == y["time"][j] and not y["event"][i]
    return y["event"][j] and (later or as_late)


def weights_of_pairs(y, groups=GROUPS, s=WEIGHTS, factor=1.0):
    """A matrix; ``factor`` is of better rows."""
    u = np.outer(s * factor, s) * (groups[:, None] == groups)
    known = [[by_pair(i, j, y) for j in range(len(s))] for i in range(len(s))]
    return u * np.array(known)


@pytest.mark.parametrize("grades", [4, 60])
@pytest.mark.parametrize("loss", [
    PairwiseSquaredHinge(), PairwiseHinge(), PairwiseLogistic("uniform"), Square(),
], ids=lambda loss: type(loss).__name__)  # fmt: skip
def test_sums_with_a_weight_for_either_side(loss, grades):
    y = RNG.integers(0, grades, N).astype(float)
    better, worse, z, v = RNG.uniform(1, 5, N), RNG.random(N) < 0.6, *RNG.normal(size=(2, N))
    index = loss.index(y, GROUPS, WEIGHTS, sides=(better, worse))
    u = np.outer(WEIGHTS * better, WEIGHTS * worse) * (y[:, None] > y)
    u *= GROUPS[:, None] == GROUPS
    assert index.n_pairs == np.count_nonzero(u)
    u *= y[:, None] - y if loss.pair_weighting == "difference" else 1.0
    i, j, weight = index.listed()
    assert len(weight) == index.n_pairs
    assert weight == pytest.approx(u[i, j], rel=1e-13)
    d, out = z[:, None] - z, np.empty(N)
    for _ in range(2):  # rows are left sorted
        value = index.value_gradient(loss, z, out)
        assert value == pytest.approx(np.sum(u * np.vectorize(loss.pair_value)(d)) / u.sum())
        slopes = u * np.vectorize(loss.pair_gradient)(d) / u.sum()
        np.testing.assert_allclose(out, slopes.sum(1) - slopes.sum(0), atol=1e-14)
    if loss.has_hessian:
        index.hessian_product(loss, z, v, out)
        change = u * np.vectorize(loss.pair_hessian)(d) * (v[:, None] - v) / u.sum()
        np.testing.assert_allclose(out, change.sum(1) - change.sum(0), atol=1e-13)


def test_pairs_are_drawn_by_both_weights():
    sides = 1 / PROPENSITY, EVENT
    loss = PairwiseSquaredHinge()
    objective = PairwiseObjective(loss, Rows(X, center=True), GRADES, WEIGHTS, GROUPS, sides)
    state, z = np.random.RandomState(0), X[:, 0]
    drawn = [objective.draw(state) for _ in range(300)]
    means = [np.mean(d.weights * np.maximum(0, 1 - z[d.first] + z[d.second]) ** 2) for d in drawn]
    assert np.mean(means) == pytest.approx(objective.score_value(z), rel=0.03)
    taken = objective.take(np.arange(60))
    again = PairwiseObjective(
        loss, Rows(X[:60], center=True), GRADES[:60], WEIGHTS[:60], GROUPS[:60],
        tuple(side[:60] for side in sides),
    )  # fmt: skip
    assert taken.score_value(z[:60]) == again.score_value(z[:60])


# --- clicks -----------------------------------------------------------------------------------


def test_a_fit_by_propensity():
    model = RankSVM(alpha=1e-2, tol=1e-10).fit(X, GRADES, WEIGHTS, GROUPS, propensity=PROPENSITY)
    i, j = np.nonzero(weights_of_pairs(GRADES))
    u = weights_of_pairs(GRADES, factor=1 / PROPENSITY)[i, j]
    given = RankSVM(alpha=1e-2, tol=1e-10).fit_pairs(X[i], X[j], np.ones(len(i)), u)
    np.testing.assert_allclose(model.coef_, given.coef_, rtol=1e-6)


def test_lists_by_propensity():
    """A list counts by its gains: one click by row is then a list of its own."""
    loss, z = ListwiseSoftmax("exponential"), X[:, 1]
    index = loss.index(GRADES, GROUPS, np.ones(N), sides=(1 / PROPENSITY, None))
    gains = (2**GRADES - 1) / PROPENSITY
    losses = [np.log(np.sum(np.exp(z[g == GROUPS]))) - x for g, x in zip(GROUPS, z, strict=True)]
    found = index.value_gradient(loss, z, np.empty(N))
    assert found == pytest.approx(np.average(losses, weights=gains), rel=1e-13)
    plain = loss.index(GRADES, GROUPS, np.ones(N))
    expected = loss.value(GRADES, z, groups=GROUPS)
    assert plain.value_gradient(loss, z, np.empty(N)) == pytest.approx(expected, rel=1e-14)


def test_metrics_by_propensity():
    z = np.round(X[:, 0], 1)
    u = weights_of_pairs(GRADES, factor=1 / PROPENSITY)
    right = (z[:, None] > z) + 0.5 * (z[:, None] == z)
    options = {"groups": GROUPS, "sample_weight": WEIGHTS, "propensity": PROPENSITY}
    found = pairwise_accuracy_score(GRADES, z, **options)
    assert found == pytest.approx(np.sum(u * right) / u.sum(), rel=1e-13)
    z, total, mass = X[:, 0], 0.0, 0.0  # without ties
    for g in range(4):
        here = np.flatnonzero((g == GROUPS) & (WEIGHTS > 0))
        gains = GRADES[here] / PROPENSITY[here]
        discount = 1 / np.log2(np.arange(5) + 2)
        best = np.sort(gains)[::-1][:5] @ discount
        weight = WEIGHTS[here].mean() * gains.sum()
        total += weight * (gains[np.argsort(-z[here])][:5] @ discount) / best
        mass += weight
    assert ndcg_score(GRADES, z, k=5, **options) == pytest.approx(total / mass, rel=1e-13)
    large = ndcg_score(1e308 * (GRADES > 0), z, k=5, **options)
    assert large == pytest.approx(ndcg_score(GRADES > 0, z, k=5, **options), rel=1e-12)
    options["propensity"] = np.ones(N)
    same = pairwise_accuracy_score(GRADES, z, groups=GROUPS, sample_weight=WEIGHTS)
    assert pairwise_accuracy_score(GRADES, z, **options) == pytest.approx(same, rel=1e-14)


def test_precision_by_propensity_is_unbiased():
    """The mean over all sets of clicks that can be seen is the precision by relevance."""
    relevant, score, propensity = np.array([1, 0, 1, 1]), [4.0, 3.0, 2.0, 1.0], [0.9, 0.5, 0.6, 0.2]
    total = 0.0
    for seen in product([0, 1], repeat=4):
        chance = np.prod(np.where(seen, propensity, 1 - np.array(propensity)))
        clicks = relevant * seen
        total += chance * precision_at_k_score(clicks, score, k=3, propensity=propensity)
    assert total == pytest.approx(precision_at_k_score(relevant, score, k=3), rel=1e-14)


def test_scores_by_propensity():
    given = {"sample_weight": WEIGHTS, "groups": GROUPS, "propensity": PROPENSITY}
    model = RankSVM(alpha=1e-2).fit(X, GRADES, **given)
    found = model.score(X, GRADES, **given)
    assert found == pairwise_accuracy_score(GRADES, model.predict(X), **given)
    assert found != model.score(X, GRADES, WEIGHTS, GROUPS)
    with pytest.raises(ValueError, match="propensity is for rows in memory"):
        model.score(Batches(lambda: iter([(X, GRADES, WEIGHTS, GROUPS)])), propensity=PROPENSITY)


@pytest.mark.parametrize("wrong", [0.0, 1e-310, 1.5, -0.1, np.nan])
def test_wrong_propensities(wrong):
    propensity = PROPENSITY.copy()
    propensity[7] = wrong
    with pytest.raises(ValueError, match="propensity"):
        RankSVM().fit(X, GRADES, groups=GROUPS, propensity=propensity)
    with pytest.raises(ValueError, match="propensity"):
        ndcg_score(GRADES, X[:, 0], groups=GROUPS, propensity=propensity)


# --- censored times ---------------------------------------------------------------------------


def test_a_frame_of_events_and_times():
    frame = pd.DataFrame({"event": EVENT, "time": TIME})
    model = RankSVM(alpha=1e-2).fit(X, frame, groups=GROUPS)
    np.testing.assert_array_equal(
        model.coef_, RankSVM(alpha=1e-2).fit(X, SURVIVAL, groups=GROUPS).coef_
    )
    score = model.score(X, frame, groups=GROUPS)
    assert score == concordance_index_score(frame, model.predict(X), groups=GROUPS)
    with pytest.raises(ValueError, match="whether there was an event"):
        RankSVM().fit(X, frame[["time", "event"]], groups=GROUPS)


def test_a_fit_to_censored_times():
    """All pairs whose order is known, and no other; ties as scikit-survival counts them."""
    everyone = np.zeros(N)
    u = weights_of_pairs(SURVIVAL, everyone)
    i, j = np.nonzero(u)
    model = RankSVM(alpha=1e-2, tol=1e-10).fit(X, SURVIVAL, WEIGHTS)
    given = RankSVM(alpha=1e-2, tol=1e-10).fit_pairs(X[i], X[j], np.ones(len(i)), u[i, j])
    assert model.n_pairs_ == len(i)
    np.testing.assert_allclose(model.coef_, given.coef_, rtol=1e-6)
    z = model.predict(X)
    right = np.sum(u * ((z[:, None] > z) + 0.5 * (z[:, None] == z))) / u.sum()
    assert model.score(X, SURVIVAL, WEIGHTS) == pytest.approx(right, rel=1e-13)
    z = np.round(z, 1)
    right = np.sum(u * ((z[:, None] > z) + 0.5 * (z[:, None] == z))) / u.sum()
    found = concordance_index_score(SURVIVAL, z, sample_weight=WEIGHTS)
    assert found == pytest.approx(right, rel=1e-13)


def test_hinges_of_censored_times():
    """A small problem, whose pairs are listed, and an intercept-free one that is smoothed."""
    models = [RankSVM(loss="hinge", alpha=1e-2, solver=s) for s in ("interior_point", "smoothing")]
    coefs = [model.set_params(tol=1e-6).fit(X, SURVIVAL).coef_ for model in models]
    np.testing.assert_allclose(*coefs, rtol=2e-2)


def test_strata_and_scorers():
    model = LinearRanker("pairwise_logistic").fit(X, SURVIVAL, groups=GROUPS)
    assert model.n_pairs_ == np.count_nonzero(weights_of_pairs(SURVIVAL, s=np.ones(N)))
    scorer = make_ranking_scorer(concordance_index_score)
    score = concordance_index_score(SURVIVAL, model.predict(X), groups=GROUPS)
    assert score == model.score(X, SURVIVAL, groups=GROUPS)
    assert scorer._score_func(SURVIVAL, model.predict(X), groups=GROUPS) == score
    one = RankSVM(alpha=1e-2).fit(X, SURVIVAL)
    assert scorer(one, X, SURVIVAL) == one.score(X, SURVIVAL)


def test_what_censored_times_are_refused():
    with pytest.raises(ValueError, match="choose a pairwise loss"):
        LinearRanker("listwise_softmax").fit(X, SURVIVAL)
    with pytest.raises(ValueError, match="two, whether there was an event"):
        RankSVM().fit(X, np.rec.fromarrays([TIME, EVENT], names="time,event"))
    with pytest.raises(ValueError, match="named fields, which are for rows in memory"):
        RankSVM().fit(Batches([(X, SURVIVAL, None, GROUPS)]))
    with pytest.raises(ValueError, match="concordance_index_score"):
        ndcg_score(SURVIVAL, X[:, 0])
    with pytest.raises(ValueError, match="fields event and time"):
        concordance_index_score(TIME, X[:, 0])
