"""Points, objectives and certificates at the numbers themselves; see ``test_mutants``."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import approx_fprime, minimize_scalar
from scipy.special import entr

from sklearn_margin.losses import (
    CrammerSinger,
    CrossEntropy,
    Dice,
    Hinge,
    Huber,
    Logistic,
    PairwiseHinge,
    PairwiseLogistic,
)
from sklearn_margin.objective import (
    ConcomitantHuberObjective,
    MulticlassObjective,
    PairwiseObjective,
    PointwiseObjective,
    Rows,
    rows,
)
from sklearn_margin.objective.envelope import envelope_certificate
from sklearn_margin.objective.mean_slopes import MeanSlopes, _with_zero_sum, own_gap
from sklearn_margin.objective.multiclass import stationary
from sklearn_margin.objective.pointwise import cast_targets
from sklearn_margin.objective.refined_gap import _gap
from sklearn_margin.penalties import ElasticNet
from sklearn_margin.solvers import Newton, Smoothing

# --- points and lines -------------------------------------------------------------------------


def logistic_problem(alpha=0.1, l1_ratio=0.0, n=40, fit_intercept=True):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 3)) * [1.0, 3.0, 0.2] + [0.5, 0.0, -1.0]
    y = np.sign(X @ [1.0, -0.3, 2.0] + rng.normal(size=n))
    s = rng.uniform(0.5, 2.0, n)
    return PointwiseObjective(
        Logistic(), Rows(X, center=fit_intercept), y, s / s.sum(),
        penalty=ElasticNet(alpha, l1_ratio), fit_intercept=fit_intercept,
    )  # fmt: skip


def test_numbers_of_a_point():
    objective = logistic_problem()
    params = np.array([0.5, -1.0, 0.2, 0.3])
    point, z = objective.at(params), objective.scores(params)
    g = np.empty_like(z)
    loss = objective.score_gradient(z, g)
    eps = np.finfo(float).eps
    assert point.largest_score == np.abs(z).max()
    assert point.noise == pytest.approx(eps * np.linalg.norm(g) * np.sqrt(40 * 4), rel=1e-12)
    assert point.polyak_length == pytest.approx(loss / (40 * (g @ g)), rel=1e-12)
    assert point.loss == loss
    assert point.gap() is not None
    assert logistic_problem(alpha=0.0).at(params).gap() is None
    assert objective.pass_work == 40 * 4
    assert objective.loss_at(0.0) == pytest.approx(np.log(2), rel=1e-14)


def test_a_line_is_shortened_only_where_scores_would_move_too_far():
    objective = logistic_problem()
    point = objective.at(np.array([0.5, -1.0, 0.2, 0.3]))
    p = np.array([1.0, 2.0, -1.0, 0.5])
    most = np.abs(objective.scores(p)).max()
    allowed = 1e3 * (1 + point.largest_score)
    for length in (1.0, 0.999 * allowed / most):
        line = point.along(length * p)
        assert line.shortened == 1.0
        np.testing.assert_array_equal(line.p, length * p)
    for over in (1.5, 1e6):
        line = point.along(over * allowed / most * p)
        assert line.shortened == pytest.approx(1 / over, rel=1e-12)
        np.testing.assert_allclose(line.p, allowed / most * p, rtol=1e-12)
        moved = line.move(1.0)
        assert moved.value == pytest.approx(objective.value(point.params + line.p), rel=1e-10)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.7])
def test_what_a_line_says_of_descent(l1_ratio):
    objective = logistic_problem(0.05, l1_ratio)
    start = np.array([0.5, -1.0, 0.2, 0.3])
    p = -objective.value_gradient(start)[1]
    line, value = objective.at(start).along(p), objective.value(start)
    for t in (0.1, 1.0, 3.0, 30.0):
        there = objective.value(start + t * p)
        line.slope(t)
        assert line.is_lower == (there <= value)
        won = value - there
        assert line.falls(t, 99.0 * won) if won > 0 else not line.falls(t, 1e-9)
        assert not line.falls(t, 101.0 * abs(won))
    assert not line.is_lower  # the last was too far


@pytest.mark.parametrize("length", [1e-3, 0.05, 1.0, 50.0])
def test_a_search_finds_the_zero_of_the_slope_on_either_side(length):
    objective = logistic_problem()
    start = np.array([1.5, -1.0, 0.2, 0.3])
    gradient = objective.value_gradient(start)[1]
    p = -length * gradient
    decrement = float(-gradient @ p)
    line = objective.at(start).along(p)
    found = line.search(decrement)
    np.testing.assert_allclose(found.params, start + line.step * p, rtol=1e-12)
    assert abs(float(found.gradient @ p)) <= 0.1 * decrement * (1 + 1e-9)
    assert found.value < line.value
    # Nowhere to go: uphill there is no point.
    assert objective.at(start).along(-p).search(1e-300) is None


# --- objectives -------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "fraction", "held"), [(40, 0.25, 10), (40, 0.0, 1), (40, 1.0, 39)])
def test_parts_of_the_rows(n, fraction, held):
    objective = logistic_problem(n=n)
    for part, size in zip(
        objective.split_rows(fraction, np.random.RandomState(0)), (n - held, held), strict=True
    ):
        assert part.rows.shape == (size, 3)
        assert part.s.sum() == pytest.approx(1.0)
        assert (part.penalty.strength, part.fit_intercept) == (0.1, True)
    part = objective.sample(7, np.random.RandomState(0))
    order = [int(np.flatnonzero((row == objective.rows.X).all(axis=1))[0]) for row in part.rows.X]
    assert len(order) == 7
    assert order == sorted(order)
    np.testing.assert_allclose(part.s, objective.s[order] / objective.s[order].sum())


def test_draws_of_rows():
    objective = logistic_problem()
    first, second, labels, weights, _ = objective.draw(np.random.RandomState(0))
    assert sorted(first) == list(range(40))
    assert (second == -1).all()
    np.testing.assert_array_equal(labels, objective.y[first])
    np.testing.assert_allclose(weights, 40 * objective.s[first])
    assert len(objective.draw(np.random.RandomState(0), 5)[0]) == 5


def test_rows_without_weight_are_taken_alike():
    objective = logistic_problem()
    objective.s = np.where(np.arange(40) < 30, objective.s, 0.0)
    np.testing.assert_allclose(objective.take(np.arange(35, 40)).s, 0.2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_targets_at_the_ends_of_the_range(dtype):
    limits = np.finfo(dtype)
    for fine in (float(limits.max), float(limits.tiny), 0.0):
        assert cast_targets(np.array([fine, 0.0]), dtype).dtype == dtype
    with pytest.raises(ValueError, match="y is too small"):
        cast_targets(np.array([-0.5 * float(limits.tiny)]), dtype)
    if dtype == np.float32:
        with pytest.raises(ValueError, match="y is too large"):
            cast_targets(np.array([-1.01 * float(limits.max)]), dtype)


def concomitant(epsilon=1.35):
    rng = np.random.default_rng(4)
    X = rng.normal(size=(30, 2))
    y = X @ [1.0, -2.0] + rng.standard_t(2, size=30)
    s = rng.uniform(0.2, 1.0, 30) * (rng.random(30) < 0.8)
    return ConcomitantHuberObjective(
        Huber(epsilon),
        Rows(X, center=True),
        y,
        s / s.sum(),
        penalty=ElasticNet(0.1),
        fit_intercept=True,
    )


@pytest.mark.parametrize("epsilon", [1.1, 1.35, 3.0])
def test_the_scale_of_residuals_is_the_best_whatever_it_was_before(epsilon):
    """Against a search over σ in the definition."""
    objective = concomitant(epsilon)

    def value(sigma, z):
        r = np.abs(objective.y - z) / sigma
        rho = np.where(r <= epsilon, 0.5 * r * r, epsilon * (r - 0.5 * epsilon))
        return float(objective.s @ (sigma * (0.5 + rho)))

    rng = np.random.default_rng(0)
    for size in (1e-3, 1.0, 1e3, 1e-3):  # each time from the scale at other scores
        z = objective.y + size * rng.normal(size=30)
        best = minimize_scalar(value, args=(z,), bounds=(1e-3 * size, 1e2 * size), method="bounded",
                               options={"xatol": 1e-10 * size})  # fmt: skip
        assert objective.score_value(z) == pytest.approx(best.fun, rel=1e-8)
        sigma = objective.scale(z)
        assert value(sigma, z) <= best.fun * (1 + 1e-12)
        inner = (np.abs(objective.y - z) <= epsilon * sigma) & (objective.s > 0)
        r2 = np.where(inner, (objective.y - z) ** 2, (epsilon * sigma) ** 2)
        assert float(objective.s @ r2) == pytest.approx(sigma**2, rel=1e-9)


def test_a_correction_of_the_concomitant_slopes_is_feasible():
    objective = concomitant()
    z = objective.scores(np.array([0.5, -1.0, 0.1]))
    curvature = objective.curvature(z)
    g, s = curvature.gradient, objective.s
    for size in (0.0, 1e-6, 1.0):
        wanted = size * np.random.default_rng(1).normal(size=30) * s
        delta, price = objective.corrected(z, curvature, wanted)
        used, moved = s > 0, g + delta
        assert (np.abs(moved) <= 1.35 * s * (1 + 1e-12)).all()
        assert 0.5 * (moved[used] ** 2 / s[used]).sum() <= 0.5 * (1 + 1e-12)
        # L* = g·y there: Fenchel's inequality, and its equality at the slopes themselves.
        exact = objective.score_value(z) + float(moved @ (objective.y - z))
        exact += objective.smallest * 0.5 * float((moved[used] ** 2 / s[used]).sum() - 1)
        assert exact - 1e-15 <= price <= exact + 1e-12


MULTI = 3


def multiclass_problem(loss, alpha=0.1, fit_intercept=True, n=45):
    rng = np.random.default_rng(2)
    X = rng.normal(size=(n, 2)) * [1.0, 4.0] + [2.0, -1.0]
    k = ((X - X.mean(axis=0)) @ rng.normal(size=(2, MULTI)) + rng.gumbel(size=(n, MULTI))).argmax(
        axis=1
    )
    s = rng.uniform(0.5, 2.0, n)
    return MulticlassObjective(
        loss, Rows(X, center=fit_intercept), k, s / s.sum(), n_outputs=MULTI,
        penalty=ElasticNet(alpha),
        fit_intercept=fit_intercept,
    )  # fmt: skip


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_coefficients_of_classes_there_and_back(fit_intercept):
    objective = multiclass_problem(CrossEntropy(), fit_intercept=fit_intercept)
    params = np.random.default_rng(0).normal(size=objective.n_params)
    coef, intercept = objective.to_coef(params)
    scores = objective.scores(params)
    raw = objective.rows.X @ coef.T + intercept
    shift = (raw - scores).mean(axis=0)
    np.testing.assert_allclose(raw - scores, np.broadcast_to(shift, raw.shape), atol=1e-12)
    if fit_intercept:
        assert np.ptp(shift) < 1e-12  # what changes nothing
        assert np.mean(intercept) == pytest.approx(0, abs=1e-14)
        back = objective.from_coef(coef, intercept)
        np.testing.assert_allclose(back - params, [0] * 6 + [shift[0]] * 3, atol=1e-12)
    else:
        np.testing.assert_allclose(objective.from_coef(coef), params, rtol=1e-13)


def test_slopes_of_classes_are_balanced_by_factors():
    """Rows of class c are multiplied by κ_c: then sums vanish, at the least share."""
    objective = multiclass_problem(CrammerSinger(0.8).smoothed(0.5))
    z = objective.scores(0.1 * np.random.default_rng(5).normal(size=objective.n_params))
    g = np.empty_like(z)
    objective.score_gradient(z, g)
    rows, k = g, objective.y
    share, slack = objective.share_to_cancel(objective.slopes(g), rows.sum(axis=0))
    sums = np.array([rows[k == c].sum(axis=0) for c in range(MULTI)])
    values, vectors = np.linalg.eig(sums.T)
    kappa = np.abs(np.real(vectors[:, np.abs(values).argmin()]))
    np.testing.assert_allclose(kappa @ sums, 0, atol=1e-15)
    assert share == pytest.approx(1 - kappa.min() / kappa.max(), rel=1e-10)
    norms = np.sqrt(len(rows) * (rows**2).sum(axis=0))
    np.testing.assert_allclose(slack, np.repeat(share * norms, 2), rtol=1e-10)
    # A class that slopes lead into and not out of.
    odd = np.zeros_like(rows)
    odd[k == 0] = [-1.0, 1.0, 0.0]
    assert objective.share_to_cancel(objective.slopes(odd), odd.sum(axis=0)) == (1.0, 0.0)
    # And one without slopes of its own, beside two that could be balanced.
    rows[k == 1] = 0.0
    assert objective.share_to_cancel(objective.slopes(g), rows.sum(axis=0)) == (1.0, 0.0)


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("alpha", [0.0, 0.1])
def test_the_hessian_of_classes_bends_where_nothing_changes(alpha, fit_intercept):
    """Formed and by product it is the same, but for a curvature along common shifts."""
    objective = multiclass_problem(CrammerSinger(0.8).smoothed(2.0), alpha, fit_intercept)
    curvature = objective.curvature(np.zeros((45, MULTI)))
    hessian = objective.gradient_hessian(np.zeros(objective.n_params), curvature)[1]
    np.testing.assert_allclose(hessian, hessian.T, rtol=1e-12)
    eye = np.eye(objective.n_params)
    plain = np.array([objective.hessian_product(curvature, unit) for unit in eye])
    diagonal, expected = plain.diagonal(), plain.copy()
    groups = [[j, 2 + j, 4 + j] for j in range(2)] if alpha == 0 else []
    for index in [*groups, *([[6, 7, 8]] if fit_intercept else [])]:
        expected[np.ix_(index, index)] += diagonal[index].mean() / MULTI
    np.testing.assert_allclose(hessian, expected, atol=1e-13)
    classes = np.count_nonzero(curvature.a, axis=1)
    products = (classes * (classes + 1)).sum() * 2 / (4 * 45 * MULTI)
    assert objective.hessian_products(curvature) == pytest.approx(products)


def ranking_problem(loss, groups=6, n=48, d=3):
    rng = np.random.default_rng(7)
    X = rng.normal(size=(n, d)) * [1.0, 2.0, 0.5] + 3.0
    y = np.digitize(X @ [1.0, -1.0, 0.3] + rng.normal(size=n), [-4.0, -3.0, -1.0]).astype(float)
    group = np.sort(rng.integers(0, groups, n)) if groups else None
    s = rng.uniform(0.5, 2.0, n)
    return PairwiseObjective(loss, Rows(X, center=True), y, s, group, penalty=ElasticNet(0.1))


def pairs_of(objective):
    y, s = objective.y, objective.s
    group = np.zeros(len(y)) if objective.groups is None else objective.groups
    i, j = np.nonzero((group[:, None] == group) & (y[:, None] > y))
    u = s[i] * s[j] * (y[i] - y[j])
    return i, j, u / u.sum()


@pytest.mark.parametrize("groups", [0, 6])
def test_excess_of_a_pairwise_hinge_over_its_envelope(groups):
    """Against a sum over pairs; what is added for rounding is rounding."""
    objective = ranking_problem(PairwiseHinge(0.9), groups)
    i, j, u = pairs_of(objective)
    for width in (1e-2, 0.5, 3.0):
        smooth = objective.with_loss(objective.loss.smoothed(width))
        z = np.random.default_rng(1).normal(size=48)
        hinge = np.maximum(0.9 - (z[i] - z[j]), 0)
        t = -np.minimum(hinge / width, 1.0)
        envelope = np.where(hinge < width, hinge**2 / (2 * width), hinge - width / 2)
        gain = u @ (0.5 * width * t * t)
        loss, excess, g = objective.envelope_excess(smooth, z)
        assert loss == pytest.approx(u @ hinge, rel=1e-13)
        exact = u @ (hinge - envelope) - gain
        assert -1e-15 <= excess - exact <= 1e-12 + 1e-13 / width
        expected = np.bincount(i, u * t, 48) - np.bincount(j, u * t, 48)
        np.testing.assert_allclose(g, expected, atol=1e-14)


@pytest.mark.parametrize("groups", [0, 2])
def test_every_pair_is_drawn_as_often_as_it_weighs(groups):
    objective = ranking_problem(PairwiseHinge(), groups, 12)
    i, j, u = pairs_of(objective)
    expected = np.zeros((12, 12))
    expected[i, j] = objective.s[i] * objective.s[j]
    expected /= expected.sum()
    wanted = np.zeros((12, 12))
    wanted[i, j] = u
    counts, random_state = np.zeros((12, 12)), np.random.RandomState(0)
    for _ in range(2_000):
        better, worse, _, weights, _ = objective.draw(random_state)
        np.add.at(counts, (better, worse), 1)
        np.testing.assert_allclose(weights * expected[better, worse], wanted[better, worse])
    counts /= counts.sum()
    far = np.abs(counts - expected) / np.sqrt(np.maximum(expected, 1e-9) / 24_000)
    assert (counts[expected == 0] == 0).all()
    assert far.max() < 5


@pytest.mark.parametrize("groups", [0, 6])
def test_parts_of_groups(groups):
    objective = ranking_problem(PairwiseHinge(), groups)
    for fraction in (0.0, 0.5, 1.0):
        learn, held = objective.split_rows(fraction, np.random.RandomState(0))
        assert len(learn.y) + len(held.y) == 48
        assert min(len(learn.y), len(held.y)) >= 1
        if groups:
            assert not set(learn.groups) & set(held.groups)
            wanted = min(max(round(fraction * groups), 1), groups - 1)
            assert len(set(held.groups)) == wanted
        else:
            assert len(held.y) == min(max(round(48 * fraction), 1), 47)
    part = objective.sample(24, np.random.RandomState(0))
    assert len(set(part.groups)) == 3 if groups else len(part.y) == 24
    assert part.penalty.strength == 0.1


def test_gram_matrix_of_a_sample_is_centred_within_groups():
    objective = ranking_problem(PairwiseLogistic())
    X = objective.rows.dense(np.arange(48))
    for group in range(6):
        X[objective.groups == group] -= X[objective.groups == group].mean(axis=0)
    assert len(objective.pairs.layout.order) == 48
    np.testing.assert_allclose(objective.sample_gram(), X.T @ X / 48, rtol=1e-12)
    large = ranking_problem(PairwiseLogistic(), 0, 300)  # one group: 60 rows of it
    dense, seen = large.rows.dense, []
    truth = np.cov(dense(np.arange(300)).T)
    large.rows.dense = lambda index: seen.append(len(index)) or dense(index)
    assert np.linalg.norm(large.sample_gram() - truth) < 0.5 * np.linalg.norm(truth)
    assert seen == [60]
    assert large.extra_work == pytest.approx(5.0 * len(pairs_of(large)[0]) / 300)


def test_which_objectives_form_their_hessian():
    assert logistic_problem().forms_hessian
    assert not multiclass_problem(CrossEntropy()).forms_hessian
    assert multiclass_problem(CrammerSinger().smoothed(0.1)).forms_hessian


def test_a_loss_of_all_scores_is_one_of_all_blocks(monkeypatch):
    monkeypatch.setattr(rows, "_BLOCK_BYTES", 1 << 11)
    plain = logistic_problem(n=400)
    assert len(plain.rows.blocks) > 3
    objective = PointwiseObjective(
        Dice(), plain.rows, plain.y, plain.s, penalty=ElasticNet(0.1), fit_intercept=True
    )
    params = np.array([0.5, -1.0, 0.2, 0.3])
    value, gradient = objective.value_gradient(params)
    assert value == pytest.approx(objective.value(params), rel=1e-14)
    np.testing.assert_allclose(
        gradient, approx_fprime(params, objective.value, 1e-7), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("size", [1e-170, 1e170])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_columns_at_the_ends_of_the_range_have_a_hessian(container, size):
    plain = logistic_problem(alpha=0.0)
    X = plain.rows.X * [1.0, size, 1.0]
    objective = PointwiseObjective(
        Logistic(), Rows(container(X), center=True), plain.y, plain.s, fit_intercept=True
    )
    assert not objective.penalty.l2.any()
    params = np.array([0.5, -0.1, 0.2, 0.3])
    curvature = objective.curvature(objective.scores(params))
    gradient, hessian = objective.gradient_hessian(params, curvature)
    value, again = objective.value_gradient(params)
    assert np.isfinite(value)
    np.testing.assert_allclose(gradient, again, rtol=1e-10, atol=1e-13)
    for k, unit in enumerate(np.eye(4)):
        there, back = (objective.value_gradient(params + h * unit)[1] for h in (1e-5, -1e-5))
        np.testing.assert_allclose(hessian[k], (there - back) / 2e-5, atol=1e-6)
        product = objective.hessian_product(curvature, unit)
        np.testing.assert_allclose(product, hessian[k], rtol=1e-9, atol=1e-12)


# --- certificates -----------------------------------------------------------------------------


def test_a_mean_of_slopes_is_a_dual_point():
    """Its sum vanishes, and its conjugate is at least the true one, by SciPy's entropy."""
    objective = logistic_problem()
    best = Newton().solve(objective, objective.start(), tol=1e-12, max_iter=50)
    slopes, rng = MeanSlopes(objective), np.random.default_rng(0)
    for _ in range(3):
        slopes.add(objective.at(best.params + 0.3 * rng.normal(size=4)))
    assert slopes.n == 3
    point = objective.at(best.params + 0.1)
    gap, excess = slopes.gap(point)
    assert gap >= point.value - best.value
    assert 0 <= excess <= gap
    g, conjugate = _with_zero_sum(
        objective, point._z, point.loss, slopes.total / 3, slopes.conjugate / 3
    )
    assert abs(g.sum()) <= 1e-14
    p = -g * objective.y / objective.s  # the conjugate of the logistic loss is an entropy
    true = float(objective.s @ -(entr(p) + entr(1 - p)))
    assert true - 1e-12 <= conjugate <= true + 0.2
    # The slopes of the optimum itself prove it, with an intercept or without.
    assert own_gap(objective, best.params) <= 1e-9
    free = logistic_problem(fit_intercept=False)
    best = Newton().solve(free, free.start(), tol=1e-12, max_iter=50)
    assert 0 <= own_gap(free, best.params) <= 1e-9


@pytest.mark.parametrize("width", [1e-3, 0.3])
def test_an_envelope_proves_what_it_says(width):
    """With a gap of the envelope's objective that is as good as can be."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))
    y, s = np.sign(X[:, 0] + rng.normal(size=40)), np.full(40, 1 / 40)
    objective = PointwiseObjective(Hinge(), Rows(X, center=True), y, s, penalty=ElasticNet(0.1),
                                   fit_intercept=True)  # fmt: skip
    smooth = objective.with_loss(objective.loss.smoothed(width))
    run = Newton().solve(smooth, smooth.start(), tol=1e-12, max_iter=100)
    lowest = Smoothing().solve(objective, objective.start(), tol=1e-7, max_iter=1000)
    lowest = lowest.value - lowest.gap
    point, penalty = objective.at(run.params), objective.penalty.value(run.params[:3])
    for given in (0.0, 1e-2):
        read = objective.rows.n_read[0]
        value, above, gap = envelope_certificate(
            point, smooth, run._replace(gap=given), exact=False
        )
        assert objective.rows.n_read[0] == read  # without a product with X
        assert value == pytest.approx(objective.value(run.params), rel=1e-14)
        assert gap >= value - lowest
        # (1 − κ) L where the envelope's gap has (1 − κ) L_w.
        least = above + given * (value - penalty) / (run.value - penalty)
        assert gap >= least
        if width < 0.1:
            assert gap <= least + 1e-10
    exact = envelope_certificate(point, smooth, run._replace(gap=1e-2), exact=True)[2]
    assert value - lowest <= exact <= above + 1e-8


@pytest.mark.parametrize("direction", [[0, 0, 0, 1], [1, 0, 0, 0], [1, 1, -1, 2]])
@pytest.mark.parametrize("distance", [0.1, 1e-5])
def test_a_refined_gap_is_the_distance_to_the_minimum_nearly(distance, direction):
    objective = logistic_problem()
    best = Newton().solve(objective, objective.start(), tol=1e-13, max_iter=50)
    params = best.params + distance * np.array(direction, float)
    excess = objective.value(params) - best.value
    assert excess <= objective.refined_gap(params) <= 5 * excess
    # Before a correction it is the plain gap.
    point, z = objective.at(params), objective.scores(params)
    g = np.empty_like(z)
    loss = objective.score_gradient(z, g)
    moved = objective.join(*objective.rows.backproject(g))
    plain = _gap(objective, params[:3], moved, g, loss, 0.0)
    assert plain == pytest.approx(point.gap(), rel=1e-9)


def test_markov_chains_of_wild_scales():
    rates = np.array([[0.0, 1e-12, 2.0], [3e8, 0.0, 1.0], [1e-3, 5e-9, 0.0]])
    pi = stationary(rates)
    flow = pi[:, None] * rates
    np.testing.assert_allclose(flow.sum(axis=0), flow.sum(axis=1), rtol=1e-12)
    assert pi.max() == 1
    assert not stationary(np.array([[0.0, 1.0], [0.0, 0.0]])).any()
