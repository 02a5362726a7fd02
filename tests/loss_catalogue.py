"""Every public loss with its formula, and data for it; what the tests of losses share.

A new loss joins the tests by being listed in ``sklearn_margin.losses.__all__``; it only has to
bring its formula, and, if it has any, settings, kinks and bounds of parameters. A loss has up to
three forms: one score per row (``columns=0``), or rows of as many scores as there are classes.
"""

import math

import numpy as np
from scipy.special import expit, log_softmax, logsumexp, softmax

from sklearn_margin import losses
from sklearn_margin.losses import (
    BatchLoss,
    BinaryLoss,
    MulticlassLoss,
    PairwiseLoss,
    PointwiseLoss,
    ProbabilityLoss,
)

# --- formulas ---------------------------------------------------------------------------------


def moreau(u, width):
    """Envelope of [u]₊: the minimum over v of [v]₊ + (u − v)² / (2 width)."""
    v = u - width * np.clip(u / width, 0, 1)
    return np.maximum(0, v) + (u - v) ** 2 / (2 * width)


#: Value for one label and one score (one score difference, for pairwise losses), by losses.md.
SCORE_FORMULA = {
    "Absolute": lambda p, y, z: np.abs(y - z),
    "EpsilonInsensitive": lambda p, y, z: np.maximum(0, np.abs(y - z) - p.epsilon),
    "Hinge": lambda p, y, z: np.maximum(0, p.margin - y * z),
    "Huber": lambda p, y, z: np.where(
        np.abs(y - z) <= p.delta,
        (y - z) ** 2 / 2,
        p.delta * (np.abs(y - z) - p.delta / 2),
    ),
    "Logistic": lambda p, y, z: np.logaddexp(0, -y * z),
    "ModifiedHuber": lambda p, y, z: np.where(
        y * z >= -1, np.maximum(0, 1 - y * z) ** 2, -4 * y * z
    ),
    "PairwiseHinge": lambda p, d: np.maximum(0, p.margin - d),
    "PairwiseLogistic": lambda p, d: np.logaddexp(0, -d),
    "PairwiseSquaredHinge": lambda p, d: np.maximum(0, p.margin - d) ** 2,
    "Quantile": lambda p, y, z: np.maximum(p.quantile * (y - z), (p.quantile - 1) * (y - z)),
    "SmoothedHinge": lambda p, y, z: moreau(p.margin - y * z, p.smoothing),
    "Squared": lambda p, y, z: (y - z) ** 2,
    "SquaredEpsilonInsensitive": lambda p, y, z: np.maximum(0, np.abs(y - z) - p.epsilon) ** 2,
    "SquaredHinge": lambda p, y, z: np.maximum(0, p.margin - y * z) ** 2,
}


def focal(p, k, z):
    log_p = log_softmax(z)[k]
    alpha = (1 - p.alpha, p.alpha) if isinstance(p.alpha, float) else p.alpha
    return -(1 if alpha is None else alpha[k]) * (-np.expm1(log_p)) ** p.gamma * log_p


def poly(p, k, z):
    log_p = log_softmax(z)[k]
    missed = -np.expm1(log_p)
    return -log_p + sum(e * missed**j for j, e in enumerate(np.atleast_1d(p.epsilon), 1))


#: Value for one class index k and one row of scores. One score z stands for the row (−z/2, z/2).
ROW_FORMULA = {
    "CrammerSinger": lambda p, k, z: max(0, max(p.margin + np.delete(z, k)) - z[k]),
    "CrossEntropy": lambda p, k, z: (
        logsumexp(z) - (1 - p.label_smoothing) * z[k] - p.label_smoothing * z.mean()
    ),
    "Focal": focal,
    "Poly": poly,
    "WestonWatkins": lambda p, k, z: np.maximum(0, p.margin + np.delete(z, k) - z[k]).sum(),
}


def dice(p, y, z, s):
    if z.ndim == 2:
        return np.mean([one_dice(p, q, y == c, s) for c, q in enumerate(softmax(z, axis=1).T)])
    return one_dice(p, expit(z), y == 1, s)


def one_dice(p, q, t, s):
    power = 2 if p.squared else 1
    size = np.sum(s * q**power) + np.sum(s * t) + p.smooth
    return 1 - (2 * np.sum(s * q * t) + p.smooth) / size


def listwise(p, y, z):
    gains = y if p.gain == "linear" else 2.0**y - 1
    return gains / gains.sum() @ (logsumexp(z) - z) if gains.any() else None


#: Value of one list of labels and scores; None if it is left out.
LIST_FORMULA = {"ListwiseSoftmax": listwise}

#: Value for all labels, scores and weights.
BATCH_FORMULA = {"Dice": dice}

FORMULAS = [SCORE_FORMULA, ROW_FORMULA, LIST_FORMULA, BATCH_FORMULA]

# --- parameters and kinks ---------------------------------------------------------------------

#: Parameters to test besides the defaults.
SETTINGS = {
    "CrammerSinger": [{"margin": 0.0}, {"margin": 2}],
    "CrossEntropy": [{"label_smoothing": 0.2}],
    "Dice": [{"smooth": 0.0}, {"squared": True}, {"smooth": 5, "squared": True}],
    "EpsilonInsensitive": [{"epsilon": 0.0}, {"epsilon": 1.5}],
    "Focal": [
        {"gamma": 0.0},
        {"gamma": 1},
        {"gamma": 0.5, "alpha": 0.25},
        {"gamma": 5.0, "alpha": (0.5, 2.0, 1.0, 0.0)},
    ],
    "Hinge": [{"margin": 0.0}, {"margin": 0.3}, {"margin": 2}],
    "Huber": [{"delta": 0.1}, {"delta": 3}],
    "ListwiseSoftmax": [{"gain": "exponential"}],
    "PairwiseHinge": [
        {"margin": 0.0},
        {"margin": 0.3, "weighting": "uniform"},
        {"margin": 2, "weighting": "difference"},
    ],
    "PairwiseLogistic": [{"weighting": "uniform"}],
    "PairwiseSquaredHinge": [
        {"margin": 0.0},
        {"margin": 0.3, "weighting": "uniform"},
        {"margin": 2, "weighting": "difference"},
    ],
    "Poly": [
        {"epsilon": 0.0},
        {"epsilon": -1.0},  # a whole number would be compiled again
        {"epsilon": 3.0},
        {"epsilon": (0.5, -2.0, 1)},
    ],
    "Quantile": [{"quantile": 0.05}, {"quantile": 0.9}],
    "SmoothedHinge": [{"margin": 0.0}, {"margin": 2, "smoothing": 0.1}, {"smoothing": 3.0}],
    "SquaredEpsilonInsensitive": [{"epsilon": 0.0}, {"epsilon": 1.5}],
    "SquaredHinge": [{"margin": 0.0}, {"margin": 0.3}, {"margin": 2}],
    "WestonWatkins": [{"margin": 0.0}, {"margin": 2}],
}

#: Scores (differences) at which the value or the gradient has a kink, for label y.
KINKS = {
    "EpsilonInsensitive": lambda p, y: [y - p.epsilon, y + p.epsilon],
    "Hinge": lambda p, y: [y * p.margin],
    "Huber": lambda p, y: [y - p.delta, y + p.delta],
    "ModifiedHuber": lambda p, y: [y, -y],
    "SmoothedHinge": lambda p, y: [y * p.margin, y * (p.margin - p.smoothing)],
    "SquaredEpsilonInsensitive": lambda p, y: [y - p.epsilon, y + p.epsilon],
    "SquaredHinge": lambda p, y: [y * p.margin],
}

#: Values a number must refuse although it is one; -1 for all other parameters.
OUT_OF_RANGE = {
    ("CrossEntropy", "label_smoothing"): [1, 1.0, 1.5, -1e-9],
    ("Huber", "delta"): [0, 0.0, -1.0],
    ("Quantile", "quantile"): [0, 1, 0.0, 1.0, -0.1, 1.1],
    ("SmoothedHinge", "smoothing"): [0, 0.0, -1.0],
}

#: Values refused by parameters that are more than a number or a choice.
REFUSED = {
    ("Dice", "squared"): [1, 0.0, "yes", None, [True]],
    ("Focal", "alpha"): [
        -0.1, 1.5, math.nan, True, "balanced", {0: 1.0}, (), (1.0,), (0.0, 0.0), (1.0, -1.0),
        (1.0, math.inf), ("a", 1.0), (1.0, None),
    ],
    ("Poly", "epsilon"): [
        math.nan, math.inf, True, "1", None, {}, (), (math.nan,), (1.0, "a"), ((1.0,), (2.0,)),
    ],
}  # fmt: skip

# --- the losses and their forms ---------------------------------------------------------------

FAMILIES = {
    "BatchLoss", "BinaryLoss", "Loss", "MulticlassLoss", "PairwiseLoss", "PointwiseLoss",
    "ProbabilityLoss", "RegressionLoss",
}  # fmt: skip

PUBLIC = [getattr(losses, name) for name in losses.__all__ if name not in FAMILIES]
# These have tests of their own: the last takes two scores.
PUBLIC = [c for c in PUBLIC if not issubclass(c, (losses.EmbeddingLoss, losses.MarginRanking))]
CASES = [cls(**params) for cls in PUBLIC for params in [{}, *SETTINGS.get(cls.__name__, [])]]


def forms(loss):
    """Numbers of columns of scores to test; 0 is one score per row."""
    if not isinstance(loss, (MulticlassLoss, ProbabilityLoss, BatchLoss)):
        return [0]
    return [columns for columns in (0, 2, 4) if _fits(loss, columns or 2)]


def _fits(loss, n_classes):
    try:
        loss.check_classes(n_classes)
    except ValueError:
        return False
    return True


FORMS = [(loss, columns) for loss in CASES for columns in forms(loss)]
DEFAULT_FORMS = [(cls(), columns) for cls in PUBLIC for columns in forms(cls())]


def entry(loss, columns):
    """The functions that check the arrays a user gives, and kind of scores: what forms share."""
    cls = type(loss)
    checks = getattr(cls, "check_labels", None)
    return cls.value, cls.gradient, checks, bool(columns), isinstance(loss, losses.ListwiseSoftmax)


#: A form for each way in; what is true of checks of arrays is tested of these.
ENTRIES = list({entry(*form): form for form in reversed(DEFAULT_FORMS)}.values())[::-1]


def form_id(loss, columns):
    """Name of a form, for pytest."""
    return f"{loss!r}-{columns}" if columns else repr(loss)


def is_pairwise(loss):
    return isinstance(loss, PairwiseLoss)


def is_listwise(loss):
    return isinstance(loss, losses.ListwiseSoftmax)


def takes_signs(loss):
    """Whether labels of one score are −1 and +1."""
    return not (is_pairwise(loss) or is_listwise(loss)) and (
        isinstance(loss, BinaryLoss) or not isinstance(loss, PointwiseLoss)
    )


def formula(loss, *args):
    """Value of one sample or one pair."""
    name = type(loss).__name__
    if name in SCORE_FORMULA:
        return SCORE_FORMULA[name](loss, *args)
    y, z = args
    if np.ndim(z) == 0:
        y, z = y > 0, np.array([-0.5 * z, 0.5 * z])
    return ROW_FORMULA[name](loss, int(y), z)


# --- data -------------------------------------------------------------------------------------


def draw(loss, columns=0, n=40, seed=0, spread=2.0):
    """Labels, scores and keyword arguments for a loss of any family."""
    rng = np.random.default_rng(seed)
    z = rng.normal(scale=spread, size=(n, columns) if columns else n)
    if columns:
        return rng.integers(columns, size=n).astype(float), z, {}
    if takes_signs(loss):
        return rng.choice([-1.0, 1.0], size=n), z, {}
    if isinstance(loss, PointwiseLoss):
        return rng.normal(scale=spread, size=n), z, {}
    return rng.integers(0, 4, n).astype(float), z, {"groups": rng.integers(0, 3, n)}


def weights_for(n, seed=1):
    return np.random.default_rng(seed).uniform(0.1, 3.0, n)


def mean_by_loop(loss, y, z, s=None, groups=None):
    """Weighted mean of the formula, one sample or one pair at a time; or that of the batch."""
    n = len(z)
    s = np.ones(n) if s is None else np.asarray(s, dtype=float)
    if isinstance(loss, BatchLoss):
        return BATCH_FORMULA[type(loss).__name__](loss, y, z, s)
    terms, masses = [], []
    if is_pairwise(loss):
        groups = np.zeros(n) if groups is None else groups
        for i in range(n):
            for j in range(n):
                if groups[i] == groups[j] and y[i] > y[j]:
                    u = s[i] * s[j] * (1 if loss.weighting == "uniform" else y[i] - y[j])
                    terms.append(u * float(formula(loss, z[i] - z[j])))
                    masses.append(u)
    elif is_listwise(loss):
        groups = np.zeros(n) if groups is None else groups
        for group in np.unique(groups[s > 0]):
            here = (groups == group) & (s > 0)
            value = LIST_FORMULA[type(loss).__name__](loss, y[here], z[here])
            if value is not None:
                terms.append(s[here].mean() * value)
                masses.append(s[here].mean())
    else:
        for i in range(n):
            terms.append(s[i] * float(formula(loss, y[i], z[i])))
            masses.append(s[i])
    return math.fsum(terms) / math.fsum(masses) if terms else 0.0


def mean_of_methods(loss, y, z, s, groups=None):
    """As ``mean_by_loop``, of the author's own methods run by Python."""
    if not is_pairwise(loss):
        values = [loss.sample_value(a, b) for a, b in zip(y, z, strict=True)]
        return np.average(values, weights=s)
    difference = getattr(loss, "weighting", "uniform") == "difference"
    total = mass = 0.0
    for i in range(len(z)):
        for j in range(len(z)):
            if groups[i] == groups[j] and y[i] > y[j]:
                u = s[i] * s[j] * (y[i] - y[j] if difference else 1)
                total += u * loss.pair_value(z[i] - z[j])
                mass += u
    return total / mass


# --- derivatives ------------------------------------------------------------------------------


def one_sided_slopes(function, z, h=1e-6):
    """Slopes of ``function`` to the left and to the right, by coordinate of ``z``."""
    here = function(z)
    steps = h * np.eye(z.size).reshape(z.size, *z.shape)
    left = [(here - function(z - step)) / h for step in steps]
    right = [(function(z + step) - here) / h for step in steps]
    return np.array(left).reshape(z.shape), np.array(right).reshape(z.shape)


def assert_subgradient(gradient, left, right, tolerance):
    """A derivative where the slopes agree, and anything between them where they do not."""
    assert np.all(gradient >= np.minimum(left, right) - tolerance)
    assert np.all(gradient <= np.maximum(left, right) + tolerance)
