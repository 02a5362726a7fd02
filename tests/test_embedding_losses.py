"""Losses of embeddings against naive loops and finite differences."""

import copy
import math
import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone

from sklearn_margin import losses
from sklearn_margin.losses import (
    GE2E,
    NCA,
    ArcFace,
    Circle,
    Contrastive,
    EmbeddingLoss,
    InfoNCE,
    MultipleNegativesRanking,
    Triplet,
)

# --- formulas, one row, pair or triplet at a time ---------------------------------------------


def name_of(value):
    """Name of a parameter of a test; the address of a function would not be the same elsewhere."""
    return getattr(value, "__name__", repr(value))


def cos(a, b):
    length = np.linalg.norm(a) * np.linalg.norm(b)
    return 0.0 if length == 0 else float(a @ b) / length


def distance(a, b):
    return float(np.sqrt(np.sum((a - b) ** 2)))


def mean(terms):
    return math.fsum(terms) / len(terms) if terms else 0.0


def positives(y, i):
    return [j for j in range(len(y)) if j != i and y[j] == y[i]]


def negatives(y, i):
    return [j for j in range(len(y)) if y[j] != y[i]]


def contrastive(loss, y, Z):
    terms = []
    for i in range(len(y)):
        for j in range(i):
            d = distance(Z[i], Z[j])
            terms.append(d**2 if y[i] == y[j] else max(0.0, loss.margin - d) ** 2)
    return mean(terms)


def triplets(mining, y, Z):
    for a in range(len(y)):
        P, N = positives(y, a), negatives(y, a)
        far = {j: distance(Z[a], Z[j]) ** 2 for j in P + N}
        if mining == "all":
            yield from ((a, p, n) for p in P for n in N)
        elif mining == "semihard":
            for p in P:
                farther = [n for n in N if far[n] > far[p]]
                if farther:
                    yield a, p, min(farther, key=far.get)
        elif P and N:
            yield a, max(P, key=far.get), min(N, key=far.get)


def triplet(loss, y, Z):
    return mean([
        max(0.0, distance(Z[a], Z[p]) ** 2 - distance(Z[a], Z[n]) ** 2 + loss.margin)
        for a, p, n in triplets(loss.mining, y, Z)
    ])  # fmt: skip


def info_nce(loss, y, Z):
    terms = []
    for a in range(len(y)):
        others = sum(math.exp(cos(Z[a], Z[n]) / loss.temperature) for n in negatives(y, a))
        for p in positives(y, a):
            own = math.exp(cos(Z[a], Z[p]) / loss.temperature)
            terms.append(-math.log(own / (own + others)))
    return mean(terms)


def nca(loss, y, Z):
    terms = []
    for i in range(len(y)):
        near = {j: math.exp(-(distance(Z[i], Z[j]) ** 2)) for j in range(len(y)) if j != i}
        if positives(y, i):
            terms.append(1 - sum(near[j] for j in positives(y, i)) / sum(near.values()))
    return mean(terms)


def multiple_negatives(loss, y, Z):
    rows = [[j for j in range(len(y)) if y[j] == label] for label in np.unique(y)]
    pairs = [where[:2] for where in rows if len(where) >= 2]
    terms = []
    for a, p in pairs:
        scores = [loss.scale * cos(Z[a], Z[q]) for _, q in pairs]
        terms.append(math.log(sum(map(math.exp, scores))) - loss.scale * cos(Z[a], Z[p]))
    return mean(terms)


def circle(loss, y, Z):
    m, g = loss.margin, loss.scale
    terms = []
    for a in range(len(y)):
        P, N = positives(y, a), negatives(y, a)
        if P and N:
            sn = [cos(Z[a], Z[n]) for n in N]
            sp = [cos(Z[a], Z[p]) for p in P]
            left = sum(math.exp(g * max(0, s + m) * (s - m)) for s in sn)
            right = sum(math.exp(-g * max(0, 1 + m - s) * (s - 1 + m)) for s in sp)
            terms.append(math.log1p(left * right))
    return mean(terms)


def ge2e(loss, y, Z, w, b):
    unit = [z / np.linalg.norm(z) if z.any() else z for z in Z]
    if len(np.unique(y)) == 1:
        return 0.0
    terms = []
    for i in range(len(y)):
        if not positives(y, i):
            continue
        score = {}
        for label in np.unique(y):
            members = [j for j in range(len(y)) if y[j] == label and j != i]
            centroid = np.mean([unit[j] for j in members], axis=0)
            score[label] = w * cos(unit[i], centroid) + b
        own = score.pop(y[i])
        if loss.variant == "softmax":
            terms.append(math.log(sum(map(math.exp, [own, *score.values()]))) - own)
        else:
            terms.append(1 - 1 / (1 + math.exp(-own)) + 1 / (1 + math.exp(-max(score.values()))))
    return mean(terms)


def arc_face(loss, y, Z, prototypes):
    terms = []
    for z, k in zip(Z, y, strict=True):
        angles = [math.acos(np.clip(cos(z, p), -1, 1)) for p in prototypes]
        total = angles[k] + loss.margin
        own = loss.scale * (math.cos(total) if total <= math.pi else -2 - math.cos(total))
        others = [loss.scale * math.cos(t) for j, t in enumerate(angles) if j != k]
        terms.append(math.log(sum(map(math.exp, [own, *others]))) - own)
    return mean(terms)


CASES = [
    (Contrastive(), contrastive),
    (Contrastive(margin=3), contrastive),
    *((Triplet(0.2, mining), triplet) for mining in ("all", "semihard", "hard")),
    *((Triplet(5, mining), triplet) for mining in ("all", "semihard", "hard")),
    (InfoNCE(), info_nce),
    (InfoNCE(temperature=1), info_nce),
    (NCA(), nca),
    (MultipleNegativesRanking(), multiple_negatives),
    (MultipleNegativesRanking(scale=2), multiple_negatives),
    (Circle(), circle),
    (Circle(margin=0.4, scale=5), circle),
    (GE2E(), ge2e),
    (GE2E(variant="contrast"), ge2e),
    (ArcFace(), arc_face),
    (ArcFace(margin=1.5, scale=4), arc_face),
]  # fmt: skip
LOSSES = [loss for loss, _ in CASES]
EXACT = [loss for loss in LOSSES if not getattr(loss, "detach_weights", False)]
every_case = pytest.mark.parametrize(("loss", "formula"), CASES, ids=name_of)
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=name_of)


def draw(loss, n=23, k=3, seed=0, n_classes=5):
    """Labels with singletons, rows, and auxiliary parameters."""
    rng = np.random.default_rng(seed)
    y = rng.integers(n_classes - 1, size=n)
    y[n // 2] = n_classes - 1
    Z = rng.normal(size=(n, k))
    return y, Z, auxiliary_for(loss, rng, n_classes, k)


def auxiliary_for(loss, rng, n_classes, k):
    if isinstance(loss, ArcFace):
        return (rng.normal(size=(n_classes, k)),)
    return (3.0, -1.5) if isinstance(loss, GE2E) else ()


def parts_of(loss, *batch, **options):
    """Gradients by Z and by the auxiliary parameters."""
    gradient = loss.gradient(*batch, **options)
    return gradient if isinstance(gradient, tuple) else (gradient,)


def numerical(function, at, h=1e-6):
    """Central differences of a function of one array or number."""
    at = np.array(at, dtype=float)
    slope = np.empty_like(at)
    for index in np.ndindex(at.shape):
        ends = []
        for step in (-h, h):
            moved = at.copy()
            moved[index] += step
            ends.append(function(moved))
        slope[index] = (ends[1] - ends[0]) / (2 * h)
    return slope


def test_every_loss_of_the_family_is_here():
    exported = {getattr(losses, name) for name in losses.__all__}
    family = {c for c in exported if issubclass(c, EmbeddingLoss)} - {EmbeddingLoss}
    assert family == {type(loss) for loss in LOSSES}


# --- value and gradient -----------------------------------------------------------------------


@every_case
def test_value_is_the_formula(loss, formula):
    for seed in range(3):
        y, Z, more = draw(loss, seed=seed)
        value = loss.value(y, Z, *more)
        assert isinstance(value, float)
        np.testing.assert_allclose(value, formula(loss, y, Z, *more), rtol=1e-12)


@every_loss
@pytest.mark.parametrize("weighted", [False, True])
def test_gradient_is_the_slope_of_the_value(loss, weighted):
    y, Z, more = draw(loss)
    s = np.random.default_rng(1).uniform(0, 3, len(y)) if weighted else None
    batch = [Z, *more]
    found = parts_of(loss, y, *batch, sample_weight=s)
    assert len(found) == 1 + len(loss.auxiliary)
    for i, part in enumerate(found):

        def value(at, i=i):
            return loss.value(y, *batch[:i], at, *batch[i + 1 :], sample_weight=s)

        np.testing.assert_allclose(part, numerical(value, batch[i]), rtol=2e-6, atol=1e-8)


@pytest.mark.parametrize("scale", [5.0, 80.0])
def test_circle_with_detached_weights(scale):
    """The gradient of the value in which the factors [·]₊ are constants."""
    loss = Circle(scale=scale, detach_weights=True)
    y, Z, _ = draw(loss, n=12)
    m = loss.margin
    frozen = {(i, j): cos(Z[i], Z[j]) for i in range(12) for j in range(12)}

    def value(Z):
        terms = []
        for a in range(len(y)):
            P, N = positives(y, a), negatives(y, a)
            if P and N:
                left = [scale * max(0, frozen[a, n] + m) * (cos(Z[a], Z[n]) - m) for n in N]
                right = [
                    -scale * max(0, 1 + m - frozen[a, p]) * (cos(Z[a], Z[p]) - 1 + m) for p in P
                ]
                terms.append(
                    np.logaddexp(0, np.logaddexp.reduce(left) + np.logaddexp.reduce(right))
                )
        return mean(terms)

    assert loss.value(y, Z) == pytest.approx(Circle(scale=scale).value(y, Z))
    np.testing.assert_allclose(loss.gradient(y, Z), numerical(value, Z), rtol=1e-5, atol=1e-7)


def test_arc_face_is_monotone_and_smooth_in_the_angle():
    loss = ArcFace(margin=0.8, scale=2.0)
    angles = np.linspace(0, np.pi, 2001)
    prototypes = [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    values = [loss.value([0], [[math.cos(t), math.sin(t), 0.0]], prototypes) for t in angles]
    steps = np.diff(values)
    assert np.all(steps > -1e-12)
    assert np.abs(np.diff(steps)).max() < 1e-4  # no jump, no kink


def test_low_temperatures_weigh_hard_negatives():
    """Wang & Liu 2021: the share of the gradient that the nearest get grows as τ falls."""
    rng = np.random.default_rng(0)
    y = np.r_[0, 0, np.arange(1, 41)]
    Z = rng.normal(size=(len(y), 8))
    Z /= np.linalg.norm(Z, axis=1, keepdims=True)
    Z[1] = Z[0]
    similarity = Z[2:] @ Z[0]
    shares = []
    for temperature in (1.0, 0.3, 0.1, 0.03):
        loss = InfoNCE(temperature)
        # Anchors 0 and 1 are equal; the gradient by a negative is its weight times a direction.
        size = np.linalg.norm(loss.gradient(y, Z)[2:], axis=1)
        weight = size / np.sqrt(1 - similarity**2)
        expected = np.exp(similarity / temperature)
        np.testing.assert_allclose(weight / weight.sum(), expected / expected.sum(), rtol=1e-9)
        shares.append(np.sort(weight)[-4:].sum() / weight.sum())
    assert np.all(np.diff(shares) > 0.05)
    assert shares[-1] > 0.9


# --- weights ----------------------------------------------------------------------------------

COUNTING = [loss for loss in LOSSES if not isinstance(loss, MultipleNegativesRanking)]


@pytest.mark.parametrize("loss", COUNTING, ids=name_of)
def test_whole_weights_are_repetitions(loss):
    y, Z, more = draw(loss)
    s = np.random.default_rng(2).integers(0, 4, len(y))
    repeated = np.repeat(np.arange(len(y)), s)
    value = loss.value(y[repeated], Z[repeated], *more)
    np.testing.assert_allclose(loss.value(y, Z, *more, sample_weight=s), value, rtol=1e-12)
    weighted = parts_of(loss, y, Z, *more, sample_weight=s)
    expected = list(parts_of(loss, y[repeated], Z[repeated], *more))
    total = np.zeros_like(Z)
    np.add.at(total, repeated, expected[0])
    expected[0] = total
    for one, other in zip(weighted, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


@every_loss
def test_weight_zero_drops_a_row(loss):
    y, Z, more = draw(loss)
    s = np.ones(len(y))
    s[[3, 7]] = 0
    kept = s > 0
    found = parts_of(loss, y, Z, *more, sample_weight=s)
    np.testing.assert_allclose(
        loss.value(y, Z, *more, sample_weight=s), loss.value(y[kept], Z[kept], *more), rtol=1e-12
    )
    expected = parts_of(loss, y[kept], Z[kept], *more)[0]
    np.testing.assert_allclose(found[0][kept], expected, rtol=1e-9, atol=1e-12)
    assert not found[0][~kept].any()


# --- degenerate batches -----------------------------------------------------------------------


def degenerate():
    rng = np.random.default_rng(3)
    Z = rng.normal(size=(8, 3))
    two = np.repeat([0, 1], 4)
    mixed = Z.copy()
    mixed[2] = 0
    mixed[3], mixed[5], mixed[6] = mixed[0], -mixed[1], mixed[0]
    return {
        "identical": (two, np.tile(Z[:1], (8, 1))),
        "zero": (two, np.zeros((8, 3))),
        "opposite": (two, np.where(np.arange(8)[:, None] % 2, 1.0, -1.0) * Z[:1]),
        "axes": (two, np.tile(np.eye(3), (3, 1))[:8]),
        "mixed": (two, mixed),
        "nearly identical": (two, Z[:1] + 1e-9 * Z),
        "huge": (two, 1e150 * Z),
        "tiny": (two, 1e-200 * Z),
        "one row": (two[:1], Z[:1]),
        "two rows": (two[3:5], Z[:2]),
        "equal pairs": (np.repeat([0, 1], 2).repeat(2), np.repeat(Z[:4], 2, axis=0)),
    }


@pytest.mark.compiled
@every_loss
def test_degenerate_rows_are_finite(loss):
    for name, (y, Z) in degenerate().items():
        more = auxiliary_for(loss, np.random.default_rng(0), 2, 3)
        if isinstance(loss, ArcFace):
            more = (np.vstack([Z[0], -Z[0]]),)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            value, parts = loss.value(y, Z, *more), parts_of(loss, y, Z, *more)
        assert np.isfinite(value), name
        assert value >= 0, name
        assert all(np.all(np.isfinite(part)) for part in parts), name


@pytest.mark.compiled
@every_loss
@pytest.mark.parametrize("name", ["identical", "zero", "mixed", "huge"])
@pytest.mark.parametrize("labels", [np.zeros(8, int), np.arange(8)], ids=["alike", "all different"])
def test_degenerate_labels_and_rows_are_finite(loss, name, labels):
    _, Z = degenerate()[name]
    more = auxiliary_for(loss, np.random.default_rng(0), 8, 3)
    s = np.r_[np.ones(5), 0, 3, 0.5]
    for weights in (None, s):
        value = loss.value(labels, Z, *more, sample_weight=weights)
        assert value >= 0
        assert np.isfinite(value)
        for part in parts_of(loss, labels, Z, *more, sample_weight=weights):
            assert np.all(np.isfinite(part))


EUCLIDEAN = [loss for loss in LOSSES if isinstance(loss, (Contrastive, Triplet))]


@pytest.mark.parametrize("loss", EUCLIDEAN, ids=name_of)
def test_distances_do_not_notice_an_offset(loss):
    y, Z, _ = draw(loss)
    Z = np.round(Z, 3)
    far = Z + 1e6
    value, gradient = loss.value(y, Z), loss.gradient(y, Z)
    assert loss.value(y, far) == pytest.approx(value, rel=1e-7)
    np.testing.assert_allclose(loss.gradient(y, far), gradient, atol=1e-7)


def test_all_triplets_of_many_positives():
    # Many positives of an anchor are sorted, few are not.
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [90, 30])
    Z, s = rng.normal(size=(120, 2)), rng.integers(1, 3, size=120).astype(float)
    D = ((Z[:, None] - Z) ** 2).sum(axis=2)
    pairs = np.where(labels[:, None] == labels, s[:, None] * (s - np.eye(120)), 0.0)
    weights = pairs[:, :, None] * np.where(labels[:, None] == labels, 0.0, s)[:, None, :]
    excess = D[:, :, None] - D[:, None, :] + 0.2
    active = weights * (excess > 0) / weights.sum()
    slope = active.sum(axis=2) - active.sum(axis=1)
    slope += slope.T
    loss = Triplet(margin=0.2, mining="all")
    value = loss.value(labels, Z, sample_weight=s)
    assert value == pytest.approx((active * excess).sum(), rel=1e-12)
    expected = 2 * (slope.sum(axis=1)[:, None] * Z - slope @ Z)
    found = loss.gradient(labels, Z, sample_weight=s)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-13)


def test_kinks_of_triplets_have_no_derivative():
    """Distances that differ by the margin exactly."""
    for mining in ("all", "semihard", "hard"):
        loss = Triplet(3.0, mining)  # 1 − 4 + 3
        assert not loss.gradient([0, 0, 1], [[0.0], [1.0], [-2.0]])[0].any()
        assert loss.value([0, 0, 1], [[0.0], [1.0], [-2.0]]) == 0


@every_loss
@pytest.mark.parametrize("labels", [np.zeros(6, int), np.arange(6)], ids=["alike", "all different"])
def test_no_negative_or_no_positive(loss, labels):
    Z = np.random.default_rng(0).normal(size=(6, 3))
    if isinstance(loss, (ArcFace, Contrastive)):
        pytest.skip("needs only one of both")
    more = auxiliary_for(loss, np.random.default_rng(0), 6, 3)
    assert loss.value(labels, Z, *more) == 0
    assert not any(np.any(part) for part in parts_of(loss, labels, Z, *more))


@pytest.mark.parametrize(
    "loss", [InfoNCE(1e-4), Circle(scale=1e5), ArcFace(scale=1e5)], ids=name_of
)
def test_extreme_scales_do_not_overflow(loss):
    y, Z, more = draw(loss)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(loss.value(y, Z, *more))
        assert all(np.all(np.isfinite(part)) for part in parts_of(loss, y, Z, *more))


def test_distances_of_close_rows_are_accurate():
    Z = np.array([[1e3, 1e3], [1e3 + 1e-6, 1e3], [-1e3, 0.0]])
    found = Contrastive(margin=1.0).value([0, 0, 1], Z)
    assert found == pytest.approx(contrastive(Contrastive(), [0, 0, 1], Z), rel=1e-9)


# --- what is given ----------------------------------------------------------------------------


@every_loss
def test_labels_of_any_type_and_order(loss):
    y, Z, more = draw(loss)
    names = np.array(["e", "b", "a", "d", "c"])[y]
    if isinstance(loss, ArcFace):
        names = y.astype(float)
    np.testing.assert_allclose(loss.value(names.tolist(), Z.tolist(), *more),
                               loss.value(y, Z, *more), rtol=1e-14)  # fmt: skip
    single = parts_of(loss, y, Z.astype(np.float32), *more)[0]
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, parts_of(loss, y, Z, *more)[0], rtol=1e-3, atol=1e-4)


@every_loss
def test_arguments_are_checked_and_not_modified(loss):
    y, Z, more = draw(loss)
    before = Z.copy(), [np.copy(m) for m in more]
    loss.gradient(y, Z, *more)
    np.testing.assert_array_equal(Z, before[0])
    for one, other in zip(more, before[1], strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match="labels"):
        loss.value(y[:-1], Z, *more)
    with pytest.raises(ValueError, match="Z"):
        loss.value(y, np.where(Z > 1, np.nan, Z), *more)
    with pytest.raises(ValueError, match="sample_weight"):
        loss.value(y, Z, *more, sample_weight=-np.ones(len(y)))
    with pytest.raises(TypeError):
        loss.value(y, Z, *more, 1.0, 2.0)


def test_auxiliary_arguments_are_checked():
    y, Z, _ = draw(GE2E())
    for w in (0.0, -1.0, np.nan):
        with pytest.raises(ValueError, match="w must"):
            GE2E().value(y, Z, w, 0.0)
    assert GE2E().value(y, Z) == GE2E().value(y, Z, w=10, b=[-5.0])
    with pytest.raises(ValueError, match="labels"):
        ArcFace().value(y, Z, np.ones((2, 3)))
    with pytest.raises(ValueError, match="labels"):
        ArcFace().value(y + 0.5, Z, np.ones((9, 3)))
    with pytest.raises(ValueError, match="prototypes"):
        ArcFace().value(y, Z, np.ones((5, 2)))


@pytest.mark.parametrize(
    ("cls", "parameter", "values"),
    [
        (Contrastive, "margin", [-1, None, "a", np.nan]),
        (Triplet, "margin", [-1, None, np.inf]),
        (Triplet, "mining", ["easy", None, 1]),
        (InfoNCE, "temperature", [0, -1, None]),
        (MultipleNegativesRanking, "scale", [0, -1, "a"]),
        (Circle, "margin", [-0.1, 1.1, None]),
        (Circle, "scale", [0, None]),
        (Circle, "detach_weights", [None, 1, "a"]),
        (GE2E, "variant", ["hard", None]),
        (ArcFace, "margin", [-0.1, 4, None]),
        (ArcFace, "scale", [0, None]),
    ],
)
def test_wrong_parameters(cls, parameter, values):
    for value in values:
        with pytest.raises((ValueError, TypeError), match=parameter):
            more = [np.eye(3)] if cls is ArcFace else []
            cls(**{parameter: value}).value([0, 0, 1], np.eye(3), *more)


@every_loss
def test_clone_pickle_copy_equality(loss):
    y, Z, more = draw(loss)
    expected = loss.value(y, Z, *more)
    for other in (clone(loss), pickle.loads(pickle.dumps(loss)), copy.deepcopy(loss)):
        assert other == loss
        assert other.value(y, Z, *more) == expected
        assert repr(other) == repr(loss)
    for name in loss.get_params():
        assert clone(loss).set_params(**{name: 0.123}) != loss


# --- pairs and triplets that are given --------------------------------------------------------


def test_given_pairs():
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(2, 9, 3))
    B[0] = A[0]
    similar, s = rng.integers(2, size=9).astype(bool), rng.random(9)
    similar[0] = False
    loss = Contrastive(margin=3.0)

    def value(A, B):
        d = np.linalg.norm(A - B, axis=1)
        return np.average(np.where(similar, d**2, np.maximum(0, 3 - d) ** 2), weights=s)

    found, dA, dB = loss.pair_value_gradient(A, B, similar, s)
    assert found == pytest.approx(value(A, B), rel=1e-14)
    assert not dA[0].any()
    np.testing.assert_allclose(dA[1:], numerical(lambda a: value(a, B), A)[1:], atol=1e-8)
    np.testing.assert_allclose(dB[1:], numerical(lambda b: value(A, b), B)[1:], atol=1e-8)


def test_given_triplets():
    rng = np.random.default_rng(0)
    parts, s = list(rng.normal(size=(3, 9, 2))), rng.random(9)

    def value(A, P, N):
        near, far = ((A - P) ** 2).sum(axis=1), ((A - N) ** 2).sum(axis=1)
        return np.average(np.maximum(0, near - far + 0.5), weights=s)

    found, *slopes = Triplet(margin=0.5).triplet_value_gradient(*parts, s)
    assert found == pytest.approx(value(*parts), rel=1e-14)
    for i, slope in enumerate(slopes):
        expected = numerical(lambda at, i=i: value(*parts[:i], at, *parts[i + 1 :]), parts[i])
        np.testing.assert_allclose(slope, expected, atol=1e-8)


# --- a loss of the user's ---------------------------------------------------------------------


class Centre(EmbeddingLoss):
    """Squared distance to a learned centre per class, in plain NumPy."""

    auxiliary = ("centres",)

    def start(self, labels, Z, n_classes, random_state):
        return (np.zeros((n_classes, Z.shape[1])),)

    def value(self, labels, Z, centres):
        return float(np.mean(np.sum((Z - centres[labels]) ** 2, axis=1)))

    def gradient(self, labels, Z, centres):
        difference = 2 * (Z - centres[labels]) / len(Z)
        by_centre = np.zeros_like(centres)
        np.add.at(by_centre, labels, -difference)
        return difference, by_centre


def test_value_and_gradient_are_enough():
    y, Z, _ = draw(Centre())
    centres = np.random.default_rng(0).normal(size=(5, 3))
    value, *parts = Centre().batch_function()(y, Z, np.ones(len(y)), centres)
    assert value == Centre().value(y, Z, centres)
    for one, other in zip(parts, Centre().gradient(y, Z, centres), strict=True):
        np.testing.assert_array_equal(one, other)


def test_overriding_value_and_gradient_overrides_the_loss():
    class Doubled(Contrastive):
        def value(self, labels, Z, sample_weight=None):
            return 2 * Contrastive(self.margin).value(labels, Z)

        def gradient(self, labels, Z, sample_weight=None):
            return 2 * Contrastive(self.margin).gradient(labels, Z)

    y, Z, _ = draw(Doubled())
    value, gradient = Doubled().batch_function()(y, Z, np.ones(len(y)))
    assert value == 2 * Contrastive().value(y, Z)
    np.testing.assert_array_equal(gradient, 2 * Contrastive().gradient(y, Z))


def test_a_loss_without_methods_says_so():
    class Empty(EmbeddingLoss):
        pass

    for call in (Empty().value, Empty().gradient):
        with pytest.raises(NotImplementedError, match="Empty has no value"):
            call([0, 1], np.eye(2))
    with pytest.raises(NotImplementedError, match="Empty has no value"):
        Empty().batch_function()(np.array([0, 1]), np.eye(2), np.ones(2))


def test_a_gradient_of_the_wrong_shape_is_an_error():
    class Wrong(Centre):
        def gradient(self, labels, Z, centres):
            return super().gradient(labels, Z, centres)[0]

    with pytest.raises(ValueError, match="gradient returned shapes"):
        Wrong().batch_function()(np.array([0, 1]), np.eye(2), np.ones(2), np.eye(2))
