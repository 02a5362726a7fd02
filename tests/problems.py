"""Random problems of every kind, with data, weights, a loss, a penalty and a tolerance.

``draw(seed)`` gives a ``Problem``. It fits an estimator with any solver, and evaluates
F(w, b) = weighted mean loss + penalty anywhere, in extended precision and without the package.
"""

import warnings
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from naive import FORMULA, concomitant

from sklearn_margin import HuberRegressor, LinearClassifier, LinearRanker, LinearRegressor, losses

__all__ = ["KINDS", "LOSSES", "WEIGHTS", "Problem", "draw"]

LD = np.longdouble


@dataclass
class Problem:
    """Data, loss and penalty of a fit. ``loss`` None is ``HuberRegressor``."""

    family: str
    loss: object
    kind: str
    X: np.ndarray  # (n, d) dense, in the dtype of the fit
    y: np.ndarray
    weights: np.ndarray | None
    groups: np.ndarray | None
    alpha: float
    l1_ratio: float
    fit_intercept: bool
    tol: float
    container: str = "dense"
    epsilon: float = 1.35
    seed: int | None = None

    def __repr__(self):
        n, d = self.X.shape
        loss = f"HuberRegressor({self.epsilon:.3g})" if self.loss is None else repr(self.loss)
        spread = "none"
        if self.weights is not None:
            used = self.weights[self.weights > 0]
            spread = f"{used.min():.2g}…{used.max():.2g} ({np.sum(self.weights == 0)} zero)"
        return (
            f"seed {self.seed}: {loss}, {self.kind} {n}×{d} {self.X.dtype} {self.container}, "
            f"alpha={self.alpha:.3g}, l1_ratio={self.l1_ratio:.3g}, tol={self.tol:g}, "
            f"fit_intercept={self.fit_intercept}, weights {spread}"
        )

    @property
    def eps(self):
        return float(np.finfo(self.X.dtype).eps)

    @property
    def convex(self):
        return self.loss is None or type(self.loss).__name__ in FORMULA

    def contained(self):
        """X in its container."""
        if self.container == "csr":
            return sp.csr_array(self.X)
        if self.container == "fortran":
            return np.asfortranarray(self.X)
        if self.container == "strided":
            wide = np.zeros((2 * len(self.X), 3 * self.X.shape[1]), self.X.dtype)
            wide[::2, ::3] = self.X
            return wide[::2, ::3]
        return self.X

    def estimator(self, solver="auto", **params):
        """An estimator of this problem."""
        common = {
            "alpha": self.alpha, "l1_ratio": self.l1_ratio, "tol": self.tol, "solver": solver,
            "random_state": 0, **params,
        }  # fmt: skip
        if self.family == "pairwise":
            return LinearRanker(self.loss, **common)
        common["fit_intercept"] = self.fit_intercept
        if self.loss is None:
            return HuberRegressor(epsilon=self.epsilon, **common)
        estimator = LinearRegressor if self.family == "regression" else LinearClassifier
        return estimator(self.loss, **common)

    def fit(self, solver="auto", **params):
        """A fitted estimator, and the warnings of the fit."""
        model = self.estimator(solver, **params)
        options = {"groups": self.groups} if self.family == "pairwise" else {}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.fit(self.contained(), self.y, sample_weight=self.weights, **options)
        return model, caught

    def in_double(self):
        """The same data in float64, as one dense array, to be solved as well as can be."""
        X = self.X.astype(np.float64)
        return replace(self, X=X, container="dense", tol=1e-9)

    # --- the objective ---

    def shares(self):
        """Weights with sum one."""
        s = np.ones(len(self.X), LD) if self.weights is None else self.weights.astype(LD)
        return s / s.sum()

    def targets(self):
        """y as the estimator sees it, in its dtype, by problem: one, or one class against the
        rest each."""
        if self.family == "regression":
            return [self.y.astype(self.X.dtype).astype(LD)]
        if self.family == "pairwise":
            return [self.y.astype(LD)]
        classes = np.unique(self.y[self.shares() > 0])
        if len(classes) == 2:
            return [np.where(self.y == classes[1], LD(1), LD(-1))]
        if isinstance(self.loss, losses.MulticlassLoss):
            return [np.minimum(np.searchsorted(classes, self.y), len(classes) - 1)]
        return [np.where(self.y == label, LD(1), LD(-1)) for label in classes]

    def pairs(self):
        """Better row, worse row and weight of each pair."""
        groups = np.zeros(len(self.y)) if self.groups is None else self.groups
        i, j = np.nonzero((self.y[:, None] > self.y) & (groups[:, None] == groups))
        s = self.shares()
        u = s[i] * s[j]
        if getattr(self.loss, "weighting", "uniform") == "difference":
            u = u * (self.y[i].astype(LD) - self.y[j].astype(LD))
        return i, j, u / u.sum() if u.sum() > 0 else u

    def mean_loss(self, y, z):
        """Weighted mean loss of one problem at scores z."""
        if self.loss is None:
            return concomitant(y - z, self.shares(), self.epsilon)
        formula, s = FORMULA[type(self.loss).__name__], self.shares()
        if self.family == "pairwise":
            i, j, s = self.pairs()
            return (s * formula(self.loss, z[i] - z[j])).sum()
        used = s > 0
        return (s[used] * formula(self.loss, y[used], z[used])).sum()

    def penalty(self, w):
        w, share = np.ravel(w), LD(self.l1_ratio)
        return LD(self.alpha) * ((1 - share) / 2 * (w * w).sum() + share * np.abs(w).sum())

    def split(self, coef, intercept):
        """(w, b) of each problem."""
        coef, n = np.atleast_2d(np.asarray(coef, dtype=LD)), len(self.targets())
        b = np.broadcast_to(np.asarray(intercept, dtype=LD).ravel(), len(coef))
        if len(coef) == 1:
            return [(coef[0], b[0])]
        return [(coef, b)] if n == 1 else list(zip(coef, b, strict=True))

    def values(self, points):
        """F of each problem at its (w, b)."""
        X = self.X.astype(LD)
        return np.array(
            [
                self.mean_loss(y, X @ w.T + b) + self.penalty(w)
                for y, (w, b) in zip(self.targets(), points, strict=True)
            ]
        )

    def noise(self, points):
        """By how much rounding may change F: scores are wrong by some units in the last place of
        their terms."""
        rng, X = np.random.default_rng(0), self.X.astype(LD)
        worst = []
        for y, (w, b) in zip(self.targets(), points, strict=True):
            z = X @ w.T + b
            error = 8 * self.eps * (np.abs(X) @ np.abs(w.T) + np.abs(b))
            here, most = self.mean_loss(y, z), LD(0)
            for k in range(6):
                sign = rng.choice([-1, 1], z.shape) if k > 1 else np.full(z.shape, 1 - 2 * k)
                most = max(most, abs(self.mean_loss(y, z + sign * error) - here))
            worst.append(2 * most)
        return np.array(worst) + LD(np.finfo(np.float64).tiny)

    def constants(self):
        """F of each problem without coefficients: the scale of its values."""
        d, flat = self.X.shape[1], []
        for y in self.targets():
            many = isinstance(self.loss, losses.MulticlassLoss) and y.dtype != LD
            k = int(y.max()) + 1 if many else 1
            b = np.zeros(k, LD) if many else LD(0)
            if self.family == "regression" and self.fit_intercept:
                b = np.median(y[self.shares() > 0])
            flat.append((np.zeros((k, d), LD) if many else np.zeros(d, LD), b))
        return self.values(flat)


# --- drawing ------------------------------------------------------------------------------------


def _scaled(rng, base, exponent):
    return base * 10.0 ** rng.uniform(-exponent, exponent, base.shape[1])


def _with_column(rng, base, column):
    X = base.copy()
    X[:, rng.integers(X.shape[1])] = column
    return X


def _duplicate(rng, base, apart=0.0):
    X = np.column_stack([base, base])[:, : base.shape[1]]
    half = -(-X.shape[1] // 2)
    X[:, half:] = base[:, : X.shape[1] - half]
    X[:, half:] += apart * rng.normal(size=X[:, half:].shape)
    return X


def _outlier(rng, base):
    X = base.copy()
    X[rng.integers(len(X))] *= 1e4
    return X


#: What is done to rows of independent normal features.
KINDS = {
    "plain": lambda rng, base: base,
    "scaled": lambda rng, base: _scaled(rng, base, 3),
    "wide": lambda rng, base: _scaled(rng, base, 6),
    "offset": lambda rng, base: base + 10.0 ** rng.uniform(0, 8, base.shape[1]),
    "zero": lambda rng, base: _with_column(rng, base, 0.0),
    "constant": lambda rng, base: _with_column(rng, base, 10.0 ** rng.uniform(-3, 6)),
    "duplicate": lambda rng, base: _duplicate(rng, base),
    "near duplicate": lambda rng, base: _duplicate(rng, base, 10.0 ** rng.uniform(-12, -4)),
    "rank one": lambda rng, base: np.outer(base[:, 0], rng.normal(size=base.shape[1])),
    "sparse": lambda rng, base: base * (rng.random(base.shape) < 0.3),
    "integer": lambda rng, base: np.round(3 * base),
    "binary": lambda rng, base: (base > 0) * 1.0,
    "outlier": _outlier,
    "tiny": lambda rng, base: base * 10.0 ** rng.uniform(-33, -27),
    "huge": lambda rng, base: base * 10.0 ** rng.uniform(27, 33),
}

WEIGHTS = {
    "none": lambda rng, n: None,
    "uniform": lambda rng, n: rng.uniform(0.1, 3.0, n),
    "integer": lambda rng, n: rng.integers(1, 6, n) * 1.0,
    "zeros": lambda rng, n: rng.uniform(0.1, 3.0, n) * (rng.random(n) < 0.7),
    "wild": lambda rng, n: 10.0 ** rng.uniform(-8, 8, n),
}


def _any(rng, options):
    return options[rng.integers(len(options))]


def _margin(rng):
    return _any(rng, [1.0, 1.0, 1.0, 0.3, 2.0, 0.0])


LOSSES = {
    "binary": [
        lambda rng: losses.Hinge(margin=_margin(rng)),
        lambda rng: losses.SquaredHinge(margin=_margin(rng)),
        lambda rng: losses.SmoothedHinge(
            margin=_margin(rng), smoothing=_any(rng, [0.5, 0.5, 0.01, 3.0])
        ),
        lambda rng: losses.ModifiedHuber(),
        lambda rng: losses.Logistic(),
    ],
    "regression": [
        lambda rng: losses.Squared(),
        lambda rng: losses.Absolute(),
        lambda rng: losses.Huber(delta=_any(rng, [1.35, 1.35, 0.1, 3.0])),
        lambda rng: losses.Quantile(quantile=_any(rng, [0.5, 0.9, 0.2, 0.99, 0.03])),
        lambda rng: losses.EpsilonInsensitive(epsilon=_any(rng, [0.1, 0.0, 1.5])),
        lambda rng: losses.SquaredEpsilonInsensitive(epsilon=_any(rng, [0.1, 0.0, 1.5])),
        lambda rng: None,
    ],
    "multiclass": [
        lambda rng: losses.CrossEntropy(),
        lambda rng: losses.CrammerSinger(margin=_margin(rng)),
        lambda rng: losses.WestonWatkins(margin=_margin(rng)),
        lambda rng: losses.Hinge(margin=_margin(rng)),
    ],
    "pairwise": [
        lambda rng: losses.PairwiseHinge(
            margin=_any(rng, [1.0, 0.3, 2.0]), weighting=_any(rng, ["difference", "uniform"])
        ),
        lambda rng: losses.PairwiseSquaredHinge(
            margin=_any(rng, [1.0, 0.3, 2.0]), weighting=_any(rng, ["difference", "uniform"])
        ),
        lambda rng: losses.PairwiseLogistic(weighting=_any(rng, ["difference", "uniform"])),
    ],
    # Only sanity can be tested of these.
    "not convex": [
        lambda rng: losses.Focal(gamma=2.0),
        lambda rng: losses.Poly(epsilon=-0.5),
        lambda rng: losses.Dice(),
    ],
}


def draw(seed, family=None, loss=None, kind=None, dtype=None, l1_ratio=None, weights=None,
         container=None):  # fmt: skip
    """A random problem; what is given is not drawn.

    Parameters
    ----------
    seed : int
    family : {"binary", "regression", "multiclass", "pairwise", "not convex"}, default=None
    loss : int, default=None
        Index into ``LOSSES[family]``.
    kind : str, default=None
        One of ``KINDS``.
    dtype : {"float64", "float32"}, default=None
    l1_ratio : float, default=None
    weights : str, default=None
        One of ``WEIGHTS``.
    container : {"dense", "csr", "fortran", "strided"}, default=None

    Returns
    -------
    Problem
    """
    rng = np.random.default_rng(seed)
    families = ["binary", "regression", "multiclass", "pairwise", "not convex"]
    drawn = rng.choice(families, p=[0.3, 0.3, 0.2, 0.17, 0.03])
    family = str(drawn if family is None else family)
    drawn = rng.integers(len(LOSSES[family]))
    loss = LOSSES[family][drawn if loss is None else loss](rng)
    n_classes = {"multiclass": 3 + rng.integers(2), "not convex": 2}.get(family, 2)
    n = int(rng.integers(max(2, n_classes), 41))
    d = int(rng.integers(1, 8))
    drawn = str(_any(rng, list(KINDS)))
    kind = drawn if kind is None else kind
    base = rng.normal(size=(n, d))
    X = KINDS[kind](rng, base)
    drawn = "float32" if rng.random() < 0.15 else "float64"
    X = X.astype(drawn if dtype is None else dtype)
    noise = 0.0 if rng.random() < 0.2 else 10.0 ** rng.uniform(-1, 0.5)
    t = base @ rng.normal(size=(d, n_classes)) + noise * rng.normal(size=(n, n_classes))
    drawn = str(_any(rng, list(WEIGHTS)))
    s = WEIGHTS[drawn if weights is None else weights](rng, n)
    groups, y = None, t[:, 0]
    if family in ("binary", "not convex"):
        y = (t[:, 0] > np.median(t[:, 0])) * 1
        y[:2] = [0, 1]
    elif family == "multiclass":
        y = t.argmax(axis=1)
        y[:n_classes] = np.arange(n_classes)
    elif family == "regression":
        y = t[:, 0] * 10.0 ** rng.uniform(-2, 2) + rng.choice([0.0, 1.0, 1e3])
    else:
        if rng.random() < 0.8:
            y = np.digitize(y, np.quantile(y, [0.3, 0.6, 0.9])) * 1.0
        groups = None if rng.random() < 0.3 else rng.integers(0, 4, n)
    if s is not None and (s == 0).any():
        s[: max(2, n_classes)] = 1.0
    drawn = 0.0 if rng.random() < 0.07 else 10.0 ** rng.uniform(-8, 1)
    share = [0.0, 0.0, float(rng.uniform(0.05, 0.95)), 1.0][rng.integers(4)]
    box = str(_any(rng, ["dense", "dense", "csr", "fortran", "strided"]))
    return Problem(
        family=family, loss=loss, kind=kind, X=X, y=y, weights=s, groups=groups, alpha=drawn,
        l1_ratio=share if l1_ratio is None else l1_ratio,
        fit_intercept=family != "pairwise" and bool(rng.random() < 0.7),
        tol=float(_any(rng, [1e-2, 1e-4, 1e-8])), container=box if container is None else container,
        epsilon=_any(rng, [1.35, 1.35, 1.0, 3.0]), seed=seed,
    )  # fmt: skip
