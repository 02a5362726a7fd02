"""Cases of regression: rows 7 to 9 of the targets, and the delays of flights."""

from functools import partial

import numpy as np

from benchmarks import data, flights, peers
from benchmarks.data import Problem
from benchmarks.harness import THREADS, Case, Contestant
from benchmarks.race import OUR_TOLERANCES, TIGHT, Spec, race, shape, yardstick
from sklearn_margin import HuberRegressor
from sklearn_margin.losses import Absolute, Huber, Quantile

D = 50
N, QUICK = 200_000, 3_000
EPSILON = 1.35  # threshold of Huber's loss


def quantile_dense(n, loss, C):
    X, y = data.targets(n, D)
    p = Problem(X, y, loss, 1 / (C * n) if C else 0.0)
    penalty = f"C = {C:g}" if C else "alpha = 0"
    return race(p, f"{_name(loss)}, dense {shape(X)}, {penalty}", _quantile_peers(p))


def _quantile_peers(p):
    others = [peers.quantreg(p)]
    if p.alpha > 0:
        others.append(peers.rehline(p))
        if isinstance(p.loss, Absolute):
            others.append(peers.linear_svr(p))
    return others


def _name(loss):
    return f"quantile {loss.quantile:g}" if isinstance(loss, Quantile) else "absolute"


def quantile_highs(n, loss):
    X, y = data.targets(n, 20)
    p = Problem(X, y, loss, 0.0)
    others = [peers.quantile_regressor(p), peers.quantreg(p)]
    note = "The penalty of scikit-learn's QuantileRegressor is L1; here nobody has one."
    return race(p, f"{_name(loss)}, dense {shape(X)}, alpha = 0", others, notes=[note])


def flights_quantile(n):
    X, y = flights.delays(n)
    p = Problem(X, y, Quantile(0.9), 0.0)
    title = f"delays of flights, quantile 0.9, dense {shape(X)}, alpha = 0"
    return race(p, title, [peers.quantreg(p)])


def flights_absolute(n):
    X, y = flights.delays(n)
    p = Problem(X, y, Absolute(), 1 / n)
    title = f"delays of flights, absolute, dense {shape(X)}, C = 1"
    return race(p, title, [peers.rehline(p), peers.linear_svr(p)])


def huber_dense(n):
    X, y = data.targets(n, D)
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
    for name, loss in (("quantile", Quantile(0.9)), ("absolute", Absolute())):
        for C in (1, 100, None):
            build = partial(quantile_dense, loss=loss, C=C)
            specs[f"{name}-dense-{f'C{C}' if C else 'alpha0'}"] = Spec(7, build, N, QUICK, 50)
    for name, loss in (("quantile", Quantile(0.9)), ("absolute", Absolute())):
        build = partial(quantile_highs, loss=loss)
        specs[f"{name}-highs"] = Spec(8, build, 20_000, 2_000, 1_000)
    return specs | {
        "huber-dense": Spec(9, huber_dense, N, QUICK, 8),
        "huber-fixed-dense": Spec(9, huber_fixed_dense, N, QUICK, 8),
        "flights-quantile": Spec(None, flights_quantile, flights.N_FLIGHTS, QUICK),
        "flights-absolute": Spec(None, flights_absolute, flights.N_FLIGHTS, QUICK),
        "flights-huber": Spec(None, flights_huber, flights.N_FLIGHTS, QUICK),
    }


SPECS = _specs()
