"""Cases of regression: rows 7 to 9 of the targets, and the delays of flights."""

from functools import partial

import numpy as np

from benchmarks import data, flights, peers
from benchmarks.data import Problem
from benchmarks.harness import THREADS, Case, Contestant
from benchmarks.race import (
    EXACT,
    OUR_TOLERANCES,
    TIGHT,
    TIGHTEST,
    Spec,
    race,
    shape,
    yardstick,
)
from sklearn_margin import HuberRegressor, QuantileRegressor
from sklearn_margin.losses import Absolute, Huber, Quantile

D = 50
N, FEW, QUICK = 200_000, 20_000, 3_000
FIVE = [0.05, 0.25, 0.5, 0.75, 0.95]
EPSILON = 1.35  # threshold of Huber's loss


# Exact peers; where rows are few those, too, that many rows make slow.
EXACT_PEERS = [peers.pinball, peers.pyqreg]
SLOW_PEERS = [
    peers.quantile_regressor,
    peers.quantreg,
    partial(peers.pinball, method="fn"),
    partial(peers.pinball, method="br"),
]


def quantile_dense(n, loss, C=None, d=D, others=EXACT_PEERS):
    X, y = data.targets(n, d)
    p = Problem(X, y, loss, 1 / (C * n) if C else 0.0)
    penalty = f"C = {C:g}" if C else "alpha = 0"
    title = f"{_name(loss)}, dense {shape(X)}, {penalty}"
    if C:
        return race(p, title, _ridge_peers(p))
    return race(p, title, [other(p) for other in others], levels=EXACT)


def _ridge_peers(p):
    """With a penalty as small as this one, solutions without one are good enough."""
    others = [peers.pinball(p), peers.rehline(p)]
    return [*others, peers.linear_svr(p)] if isinstance(p.loss, Absolute) else others


def _name(loss):
    return f"quantile {loss.quantile:g}" if isinstance(loss, Quantile) else "absolute"


def five_quantiles(n, d=D, joint=False):
    """Several quantiles of the same rows: ours in one fit, the peer's in five."""
    X, y = data.targets(n, d)

    def objective(solution):
        scores = X @ np.transpose(solution[0]) + solution[1]
        each = [Quantile(q).value(y, z) for q, z in zip(FIVE, scores.T, strict=True)]
        return float(np.mean(each))

    def ours(tol):
        model = QuantileRegressor(
            quantile=FIVE, non_crossing=True, alpha=0.0, tol=tol, n_jobs=THREADS
        ).fit(X, y)
        return model.coef_, model.intercept_

    others = [peers.five_pinball(X, y, FIVE)] + ([peers.pdlp(X, y, FIVE)] if joint else [])
    contestants = [Contestant("sklearn_margin", ours, OUR_TOLERANCES), *others]
    title = f"five quantiles, dense {shape(X)}, alpha = 0"
    reference = partial(ours, TIGHTEST)
    notes = [f"The quantiles {', '.join(map(str, FIVE))}; the mean of their losses is compared."]
    metric = ("mean pinball loss", objective) if joint else None
    return Case(title, objective, contestants, reference, yardstick(X), metric, notes, EXACT)


def flights_quantile(n):
    X, y = flights.delays(n)
    p = Problem(X, y, Quantile(0.9), 0.0)
    title = f"delays of flights, quantile 0.9, dense {shape(X)}, alpha = 0"
    return race(p, title, [peers.pinball(p), peers.quantreg(p)])


def flights_absolute(n):
    X, y = flights.delays(n)
    p = Problem(X, y, Absolute(), 1 / n)
    title = f"delays of flights, absolute, dense {shape(X)}, C = 1"
    return race(p, title, [peers.rehline(p), peers.linear_svr(p)])


def huber_dense(n, d=D):
    X, y = data.targets(n, d)
    return _huber_joint(X, y, f"Huber with joint scale, dense {shape(X)}")


def flights_huber(n):
    X, y = flights.delays(n)
    return _huber_joint(X, y, f"delays of flights, Huber with joint scale, dense {shape(X)}")


def _huber_joint(X, y, title, alpha=1e-4):
    """Huber regression whose scale is estimated: a solution is (coef, intercept, scale)."""

    def objective(solution):
        coef, intercept, scale = solution
        r = np.abs(y - X @ coef - intercept) / scale
        rho = np.where(r <= EPSILON, 0.5 * r**2, EPSILON * (r - 0.5 * EPSILON))
        return float(scale * (0.5 + rho.mean()) + 0.5 * alpha * coef @ coef)

    def ours(tol):
        model = HuberRegressor(epsilon=EPSILON, alpha=alpha, tol=tol, n_jobs=THREADS).fit(X, y)
        return model.coef_, model.intercept_, model.scale_

    contestants = [
        Contestant("sklearn_margin", ours, OUR_TOLERANCES),
        peers.huber_regressor(X, y, EPSILON, alpha),
    ]
    return Case(title, objective, contestants, lambda: ours(TIGHT), yardstick(X))


def huber_fixed_dense(n):
    X, y = data.targets(n, D)
    p = Problem(X, y, Huber(delta=EPSILON), 1e-4)
    return race(p, f"Huber with fixed scale, dense {shape(X)}", [peers.rehline(p)])


def _specs():
    specs = {}
    losses = {"quantile": Quantile(0.9), "absolute": Absolute()}
    exact = {"ratio": 5, "finest": 3}
    for name, loss in losses.items():
        few = partial(quantile_dense, loss=loss, d=20)
        many = partial(quantile_dense, loss=loss, others=[*EXACT_PEERS, peers.quantreg])
        specs[f"{name}-dense-alpha0"] = Spec(7, many, N, QUICK, **exact)
        specs[f"{name}-dense-million"] = Spec(7, few, 1_000_000, QUICK, **exact)
        # HiGHS takes half a minute.
        slow = SLOW_PEERS if name == "quantile" else SLOW_PEERS[1:]
        few = partial(few, others=[*EXACT_PEERS, *slow])
        specs[f"{name}-dense-small"] = Spec(8, few, FEW, 2_000, ratio=3, finest=3)
    for name, C in (("quantile", 1), ("absolute", 100)):
        build = partial(quantile_dense, loss=losses[name], C=C)
        specs[f"{name}-dense-C{C}"] = Spec(7, build, N, QUICK)
    five = {"ratio": 3, "finest": 3}
    return specs | {
        "quantile-five": Spec(7, five_quantiles, N, QUICK, **five),
        "quantile-five-small": Spec(7, partial(five_quantiles, d=20), FEW, 2_000, **five),
        "quantile-five-joint": Spec(
            7, partial(five_quantiles, d=10, joint=True), 2_000, 500,
            versus={"quantile-regression-pdlp": 20},
        ),
        "huber-dense": Spec(9, huber_dense, N, QUICK, 8),
        "huber-dense-small": Spec(9, partial(huber_dense, d=20), FEW, 2_000, 8),
        "huber-dense-million": Spec(9, partial(huber_dense, d=20), 1_000_000, QUICK, 8),
        "huber-fixed-dense": Spec(9, huber_fixed_dense, N, QUICK, 8),
        "flights-quantile": Spec(None, flights_quantile, flights.N_FLIGHTS, QUICK),
        "flights-absolute": Spec(None, flights_absolute, flights.N_FLIGHTS, QUICK),
        "flights-huber": Spec(None, flights_huber, flights.N_FLIGHTS, QUICK),
    }  # fmt: skip


SPECS = _specs()
