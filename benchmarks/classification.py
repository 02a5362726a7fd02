"""Cases of classification: rows 1 to 6, 10 and 11 of the targets, and late flights."""

from dataclasses import replace
from functools import partial

from benchmarks import data, flights, peers
from benchmarks.data import Problem
from benchmarks.race import Spec, fit_ours, race, sgd, shape
from sklearn_margin.losses import CrammerSinger, CrossEntropy, Hinge, Logistic, SquaredHinge

D = 50
N, QUICK = 200_000, 3_000
TEXT = {"size": 200_000, "quick": 600}
DENSE_SOLVERS = ("lbfgs", "newton-cholesky", "liblinear")


def hinge_dense(n, C):
    X, y = data.labels(n, D)
    p = Problem(X, y, Hinge(), 1 / (C * n))
    others = [peers.linear_svc(p, True), peers.rehline(p), peers.snapml(p), peers.sgd_classifier(p)]
    if C == 1:
        others = [sgd(p), *others, peers.sgd_classifier(p, average=True)]
    return race(p, f"hinge, dense {shape(X)}, C = {C:g}", others)


def hinge_sparse(n, C, fit_intercept=False):
    X, y = data.text(n)
    p = Problem(X, y, Hinge(), 1 / (C * n), fit_intercept=fit_intercept)
    title = f"hinge, sparse {shape(X)}, C = {C:g}" + ", intercept" * fit_intercept
    return race(p, title, [peers.linear_svc(p, True), peers.snapml(p)])


def squared_hinge_sparse(n, C):
    X, y = data.text(n)
    p = Problem(X, y, SquaredHinge(), 1 / (C * n), fit_intercept=False)
    others = [peers.linear_svc(p, True), peers.linear_svc(p, False)]
    return race(p, f"squared hinge, sparse {shape(X)}, C = {C:g}", others)


def logistic_dense(n):
    X, y = data.labels(n, D)
    p = Problem(X, y, Logistic(), 1 / n)
    others = [sgd(p), *_logistic_peers(p, DENSE_SOLVERS)]
    others += [peers.sgd_classifier(p), peers.sgd_classifier(p, average=True)]
    return race(p, f"logistic, dense {shape(X)}, C = 1", others)


def _logistic_peers(p, solvers):
    sklearn = [peers.logistic_regression(p, solver) for solver in solvers]
    return [*sklearn, peers.cyanure(p), peers.snapml(p)]


def logistic_sparse(n):
    X, y = data.text(n)
    p = Problem(X, y, Logistic(), 1 / n)
    others = _logistic_peers(p, ("lbfgs", "liblinear"))
    return race(p, f"logistic, sparse {shape(X)}, C = 1", others)


def l1_logistic_sparse(n):
    X, y = data.text(n)
    p = Problem(X, y, Logistic(), 1 / n, l1_ratio=1.0, fit_intercept=False)
    others = [peers.logistic_regression(p, "liblinear"), peers.skglm(p)]
    return race(p, f"L1 logistic, sparse {shape(X)}, C = 1", others)


def l1_squared_hinge_sparse(n):
    X, y = data.text(n)
    p = Problem(X, y, SquaredHinge(), 1 / n, l1_ratio=1.0, fit_intercept=False)
    return race(p, f"L1 squared hinge, sparse {shape(X)}, C = 1", [peers.linear_svc(p, False)])


def flights_logistic(n):
    X, y = flights.late(n)
    p = Problem(X, y, Logistic(), 1 / n)
    title = f"flights late or not, logistic, dense {shape(X)}, C = 1"
    return race(p, title, _logistic_peers(p, DENSE_SOLVERS))


def flights_hinge(n):
    X, y = flights.late(n)
    p = Problem(X, y, Hinge(), 1 / n)
    others = [peers.linear_svc(p, True), peers.rehline(p), peers.snapml(p)]
    return race(p, f"flights late or not, hinge, dense {shape(X)}, C = 1", others)


def flights_hashed_logistic(n):
    X, y = flights.hashed_crosses(n)
    p = Problem(X, y, Logistic(), 1 / n)
    title = f"flights late or not, logistic, hashed crosses {shape(X)}, C = 1"
    return race(p, title, _logistic_peers(p, ("lbfgs", "liblinear")))


def flights_hashed_hinge(n):
    X, y = flights.hashed_crosses(n)
    p = Problem(X, y, Hinge(), 1 / n)
    title = f"flights late or not, hinge, hashed crosses {shape(X)}, C = 1"
    return race(p, title, [peers.linear_svc(p, True), peers.snapml(p)])


def cross_entropy_dense(n, fit_intercept=False):
    X, y = data.classes(n, 100, 10)
    p = Problem(X, y, CrossEntropy(), 10 / n, fit_intercept=fit_intercept)
    others = [peers.logistic_regression(p, solver) for solver in ("lbfgs", "newton-cholesky")]
    title = f"cross entropy, 10 classes, dense {shape(X)}, C = 0.1" + ", intercept" * fit_intercept
    return race(p, title, others)


def crammer_singer_dense(n):
    X, y = data.classes(n, 100, 10)
    p = Problem(X, y, CrammerSinger(), 10 / n, fit_intercept=False)
    title = f"Crammer-Singer, 10 classes, dense {shape(X)}, C = 0.1"
    # As fine as smoothing goes. Finer, the dual method would take over, and take minutes.
    reference = partial(fit_ours, p, 2e-6)
    return replace(race(p, title, [peers.crammer_singer(p)]), reference=reference)


def _specs():
    reach = "we do, in the time of C = 1"
    specs = {
        "hinge-dense": Spec(1, partial(hinge_dense, C=1), N, QUICK, 30, "≤ 60 passes"),
        "hinge-dense-C0.01": Spec(2, partial(hinge_dense, C=0.01), N, QUICK, 2),
        "hinge-dense-C100": Spec(3, partial(hinge_dense, C=100), N, QUICK, target=reach),
    }
    for C, ratio in ((0.1, 1.5), (1, 4), (10, 8)):
        specs[f"hinge-sparse-C{C:g}"] = Spec(4, partial(hinge_sparse, C=C), **TEXT, ratio=ratio)
    intercept = partial(hinge_sparse, C=1, fit_intercept=True)
    specs["hinge-sparse-intercept"] = Spec(4, intercept, **TEXT)
    for C in (0.1, 1, 10):
        squared = partial(squared_hinge_sparse, C=C)
        specs[f"squared-hinge-sparse-C{C:g}"] = Spec(5, squared, **TEXT, ratio=4)
    all_flights = {"size": flights.N_FLIGHTS, "quick": QUICK}
    hashed = {"size": flights.N_FLIGHTS, "quick": 1_000}
    return specs | {
        "logistic-dense": Spec(6, logistic_dense, N, QUICK, 2),
        "logistic-sparse": Spec(6, logistic_sparse, **TEXT, ratio=2),
        "l1-logistic-sparse": Spec(10, l1_logistic_sparse, **TEXT, ratio=3),
        "l1-squared-hinge-sparse": Spec(10, l1_squared_hinge_sparse, **TEXT, ratio=3),
        "cross-entropy-dense": Spec(11, cross_entropy_dense, 100_000, QUICK, 2),
        "cross-entropy-dense-intercept": Spec(
            11, partial(cross_entropy_dense, fit_intercept=True), 100_000, QUICK
        ),
        "crammer-singer-dense": Spec(11, crammer_singer_dense, 100_000, QUICK, 10),
        "flights-logistic": Spec(None, flights_logistic, **all_flights),
        "flights-hinge": Spec(None, flights_hinge, **all_flights),
        "flights-hashed-logistic": Spec(None, flights_hashed_logistic, **hashed),
        "flights-hashed-hinge": Spec(None, flights_hashed_hinge, **hashed),
    }


SPECS = _specs()
