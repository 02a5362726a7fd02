"""Cases of classification: rows 1 to 6 and 11 of the targets, and late flights."""

from dataclasses import replace
from functools import partial

from benchmarks import data, flights, peers
from benchmarks.data import Problem
from benchmarks.race import Spec, fit_ours, race, shape
from sklearn_margin.losses import CrammerSinger, CrossEntropy, Hinge, Logistic, SquaredHinge

D = 50
N, QUICK = 200_000, 3_000
TEXT = {"size": 200_000, "quick": 600}
FEW_TEXTS = {"size": 5_000, "quick": 600}
SMALL, MILLION = {"size": 20_000, "quick": QUICK}, {"size": 1_000_000, "quick": QUICK}


def hinge_dense(n, C, d=D):
    X, y = data.labels(n, d)
    p = Problem(X, y, Hinge(), 1 / (C * n))
    others = [peers.linear_svc(p, True), peers.rehline(p), peers.snapml(p)]
    return race(p, f"hinge, dense {shape(X)}, C = {C:g}", others)


def hinge_sparse(n, C, fit_intercept=False):
    X, y = data.text(n)
    p = Problem(X, y, Hinge(), 1 / (C * n), fit_intercept=fit_intercept)
    title = f"hinge, sparse {shape(X)}, C = {C:g}" + ", intercept" * fit_intercept
    others = [peers.linear_svc(p, True), peers.snapml(p), peers.liblinear(p, "dual")]
    return race(p, title, others)


def squared_hinge_sparse(n, C):
    X, y = data.text(n)
    p = Problem(X, y, SquaredHinge(), 1 / (C * n), fit_intercept=False)
    others = [peers.linear_svc(p, True)]
    others += [peers.liblinear(p, method) for method in ("dual", "primal")]
    return race(p, f"squared hinge, sparse {shape(X)}, C = {C:g}", others)


def logistic_dense(n, C=1, d=D):
    X, y = data.labels(n, d)
    p = Problem(X, y, Logistic(), 1 / (C * n))
    return race(p, f"logistic, dense {shape(X)}, C = {C:g}", _dense_peers(p))


def _dense_peers(p):
    """Those that are quick on dense rows; liblinear and Snap ML take 6 and 37 times as long."""
    sklearn = [peers.logistic_regression(p, solver) for solver in ("lbfgs", "newton-cholesky")]
    return [*sklearn, peers.glum(p), peers.cyanure(p)]


def _sparse_peers(p):
    others = [peers.logistic_regression(p, solver) for solver in ("lbfgs", "liblinear")]
    return [*others, peers.liblinear(p, "primal"), peers.cyanure(p), peers.snapml(p)]


def logistic_sparse(n, C):
    X, y = data.text(n)
    p = Problem(X, y, Logistic(), 1 / (C * n))
    return race(p, f"logistic, sparse {shape(X)}, C = {C:g}", _sparse_peers(p))


def flights_logistic(n):
    X, y = flights.late(n)
    p = Problem(X, y, Logistic(), 1 / n)
    title = f"flights late or not, logistic, dense {shape(X)}, C = 1"
    return race(p, title, _dense_peers(p))


def flights_hinge(n):
    X, y = flights.late(n)
    p = Problem(X, y, Hinge(), 1 / n)
    others = [peers.linear_svc(p, True), peers.rehline(p), peers.snapml(p)]
    return race(p, f"flights late or not, hinge, dense {shape(X)}, C = 1", others)


def flights_hashed_logistic(n):
    X, y = flights.hashed_crosses(n)
    p = Problem(X, y, Logistic(), 1 / n)
    title = f"flights late or not, logistic, hashed crosses {shape(X)}, C = 1"
    return race(p, title, _sparse_peers(p))


def flights_hashed_hinge(n):
    X, y = flights.hashed_crosses(n)
    p = Problem(X, y, Hinge(), 1 / n)
    title = f"flights late or not, hinge, hashed crosses {shape(X)}, C = 1"
    return race(p, title, [peers.linear_svc(p, True), peers.snapml(p), peers.liblinear(p, "dual")])


def cross_entropy_dense(n, C=0.1, d=100, k=10, fit_intercept=False):
    X, y = data.classes(n, d, k)
    p = Problem(X, y, CrossEntropy(), 1 / (C * n), fit_intercept=fit_intercept)
    # Its Hessian is that of all coefficients: of 50 classes, 2,550 by 2,550.
    solvers = ("lbfgs",) if k > 10 else ("lbfgs", "newton-cholesky")
    others = [peers.logistic_regression(p, solver) for solver in solvers]
    title = f"cross entropy, {k} classes, dense {shape(X)}, C = {C:g}"
    return race(p, title + ", intercept" * fit_intercept, others)


def crammer_singer_dense(n):
    X, y = data.classes(n, 100, 10)
    p = Problem(X, y, CrammerSinger(), 10 / n, fit_intercept=False)
    title = f"Crammer-Singer, 10 classes, dense {shape(X)}, C = 0.1"
    # As fine as smoothing goes. Finer, the dual method would take over, and take minutes.
    reference = partial(fit_ours, p, 2e-6)
    case = race(p, title, [peers.crammer_singer(p)], levels=(1e-4, 1e-5))
    return replace(case, reference=reference)


def _hinges():
    reach = "we do, in the time of C = 1"
    dense = {"size": N, "quick": QUICK}
    first = {"ratio": 30, "target": "≤ 15 passes", "patience": 100}
    specs = {
        "hinge-dense": Spec(1, partial(hinge_dense, C=1), **dense | first),
        "hinge-dense-small": Spec(1, partial(hinge_dense, C=1, d=20), **SMALL),
        "hinge-dense-million": Spec(1, partial(hinge_dense, C=1, d=20), **MILLION),
        "hinge-dense-C0.01": Spec(2, partial(hinge_dense, C=0.01), **dense, ratio=3),
        "hinge-dense-C100": Spec(3, partial(hinge_dense, C=100), **dense, target=reach),
    }
    for C, ratio, target in ((0.1, 1.5, ""), (1, 3, ""), (10, None, "≤ 3 s")):
        build = partial(hinge_sparse, C=C)
        specs[f"hinge-sparse-C{C:g}"] = Spec(4, build, **TEXT, ratio=ratio, target=target)
    intercept = partial(hinge_sparse, C=1, fit_intercept=True)
    specs["hinge-sparse-intercept"] = Spec(4, intercept, **TEXT)
    specs["hinge-sparse-small"] = Spec(4, partial(hinge_sparse, C=1), **FEW_TEXTS)
    specs["squared-hinge-sparse-small"] = Spec(5, partial(squared_hinge_sparse, C=1), **FEW_TEXTS)
    for C in (0.1, 1, 10):
        squared = partial(squared_hinge_sparse, C=C)
        specs[f"squared-hinge-sparse-C{C:g}"] = Spec(5, squared, **TEXT, ratio=4)
    return specs


def _smooth():
    specs = {}
    for C in (1, 0.01):
        name = "logistic-dense" + f"-C{C:g}" * (C != 1)
        specs[name] = Spec(6, partial(logistic_dense, C=C), N, QUICK, 4)
    specs["logistic-dense-small"] = Spec(6, partial(logistic_dense, d=20), **SMALL)
    specs["logistic-dense-million"] = Spec(6, partial(logistic_dense, d=20), **MILLION)
    for C in (0.1, 1, 10):
        build = partial(logistic_sparse, C=C)
        specs[f"logistic-sparse-C{C:g}"] = Spec(6, build, **TEXT, ratio=8)
    specs["logistic-sparse-small"] = Spec(6, partial(logistic_sparse, C=1), **FEW_TEXTS)
    ten = {"size": 100_000, "quick": QUICK, "ratio": 2}
    specs["cross-entropy-dense"] = Spec(11, cross_entropy_dense, **ten)
    kinds = {
        "intercept": {},
        "intercept-C10": {"C": 10},
        "3-classes": {"k": 3, "d": D, "C": 1},
        "50-classes": {"k": 50, "d": D, "C": 1},
    }
    for name, kind in kinds.items():
        build = partial(cross_entropy_dense, fit_intercept=True, **kind)
        size = {3: N, 50: 50_000}.get(kind.get("k"), 100_000)
        specs[f"cross-entropy-dense-{name}"] = Spec(11, build, **ten | {"size": size})
    return specs


def _specs():
    all_flights = {"size": flights.N_FLIGHTS, "quick": QUICK}
    hashed = {"size": flights.N_FLIGHTS, "quick": 1_000}
    return (
        _hinges()
        | _smooth()
        | {
            "crammer-singer-dense": Spec(11, crammer_singer_dense, 100_000, QUICK, 10),
            "flights-logistic": Spec(None, flights_logistic, **all_flights),
            "flights-hinge": Spec(None, flights_hinge, **all_flights),
            "flights-hashed-logistic": Spec(None, flights_hashed_logistic, **hashed),
            "flights-hashed-hinge": Spec(None, flights_hashed_hinge, **hashed),
        }
    )


SPECS = _specs()
