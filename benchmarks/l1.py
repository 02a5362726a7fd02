"""Cases with an L1 penalty: row 10 of the targets."""

from dataclasses import replace
from functools import partial

from benchmarks import data, peers
from benchmarks.data import Problem
from benchmarks.race import Spec, companion, fit_ours, race, shape
from sklearn_margin.losses import CrossEntropy, Huber, Logistic, Squared, SquaredHinge

D = 50
N, QUICK = 200_000, 3_000
TEXT = {"size": 200_000, "quick": 600}
NAMES = {Logistic: "logistic", SquaredHinge: "squared hinge", Huber: "Huber", Squared: "squared"}
ONE, TWO = "liblinear-multicore, 1", "liblinear-multicore, 2"


def sparse(n, loss, C):
    X, y = data.text(n)
    p = Problem(X, y, loss, 1 / (C * n), l1_ratio=1.0, fit_intercept=False)
    others = [peers.liblinear(p, "l1", threads) for threads in (1, 2)]
    if isinstance(loss, Logistic) and C <= 1:  # these take long for a weak penalty
        others += [peers.celer(p), peers.skglm(p)]
    return race(p, f"L1 {NAMES[type(loss)]}, sparse {shape(X)}, C = {C:g}", others)


def dense(n, loss, alpha, l1_ratio=1.0, d=D):
    regression = isinstance(loss, (Huber, Squared))
    X, y = data.targets(n, d) if regression else data.labels(n, d)
    # LIBLINEAR, the only peer of the squared hinge, would penalise an intercept.
    free = not isinstance(loss, SquaredHinge)
    p = Problem(X, y, loss, alpha, l1_ratio=l1_ratio, fit_intercept=free)
    penalty = "L1" if l1_ratio == 1 else f"elastic net {l1_ratio:g},"
    title = f"{penalty} {NAMES[type(loss)]}, dense {shape(X)}, alpha = {alpha:g}"
    return race(p, title, [*_dense_peers(p), _without_l1(p)])


def _dense_peers(p):
    if isinstance(p.loss, Squared):
        return [peers.elastic_net(p), peers.celer_lasso(p), peers.skglm_lasso(p), peers.glum(p)]
    if isinstance(p.loss, Huber):
        return [peers.skglm_huber(p)]
    if isinstance(p.loss, SquaredHinge):
        return [peers.liblinear(p, "l1", threads) for threads in (1, 2)]
    return [peers.glum(p), peers.skglm(p)]


def _without_l1(p):
    """Ours with the same alpha and only the square: L1 should cost little more."""
    return companion("L2", partial(fit_ours, replace(p, l1_ratio=0.0)))


def wide(n, alpha=0.05):
    X, y = data.wide(n)
    p = Problem(X, y, Squared(), alpha, l1_ratio=1.0)
    others = [peers.elastic_net(p), peers.celer_lasso(p), peers.skglm_lasso(p)]
    return race(p, f"L1 squared, dense {shape(X)}, alpha = {alpha:g}", others)


def cross_entropy(n, alpha=1e-3):
    X, y = data.classes(n, D, 5)
    p = Problem(X, y, CrossEntropy(), alpha, l1_ratio=1.0)
    title = f"L1 cross entropy, 5 classes, dense {shape(X)}, alpha = {alpha:g}"
    return race(p, title, [peers.logistic_regression(p, "saga"), _without_l1(p)])


def _specs():
    specs = {}
    for name, loss in (("logistic", Logistic()), ("squared-hinge", SquaredHinge())):
        for C in (0.1, 1, 10):
            build, versus = partial(sparse, loss=loss, C=C), {ONE: 1.5, TWO: 1.0}
            specs[f"l1-{name}-sparse-C{C:g}"] = Spec(10, build, **TEXT, versus=versus)
    few = partial(sparse, loss=Logistic(), C=1)
    specs["l1-logistic-sparse-small"] = Spec(10, few, 5_000, 600, versus=versus)
    size = {"size": N, "quick": QUICK, "ratio": 3, "companion": 1.5}
    for name, kind in {
        "": {"alpha": 1e-3},
        "-alpha1e-4": {"alpha": 1e-4},
        "-elastic-net": {"alpha": 1e-3, "l1_ratio": 0.5},
        "-million": {"alpha": 1e-3, "d": 20},
    }.items():
        build = partial(dense, loss=Logistic(), **kind)
        rows = size | ({"size": 1_000_000} if "d" in kind else {})
        specs[f"l1-logistic-dense{name}"] = Spec(10, build, **rows)
    others = {"squared-hinge": SquaredHinge(), "huber": Huber(1.35), "squared": Squared()}
    for name, loss in others.items():
        specs[f"l1-{name}-dense"] = Spec(10, partial(dense, loss=loss, alpha=1e-2), **size)
    return specs | {
        "l1-squared-wide": Spec(10, wide, 1_000, 200),
        "l1-cross-entropy-dense": Spec(10, cross_entropy, **size | {"size": 50_000}),
    }


SPECS = _specs()
