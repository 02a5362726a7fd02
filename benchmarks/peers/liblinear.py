"""liblinear-multicore, LIBLINEAR with threads (Lee et al. 2015), by its own Python interface."""

import numpy as np
import scipy.sparse as sp

from benchmarks.data import Problem
from benchmarks.harness import THREADS, Contestant
from benchmarks.peers.common import TOLERANCES, intercept_note
from sklearn_margin.losses import Hinge, Logistic, SquaredHinge

# Number of its method by loss, and whether it is one for the L1 penalty, in the primal or the dual.
METHODS = {
    (Logistic, "primal"): 0,
    (SquaredHinge, "dual"): 1,
    (SquaredHinge, "primal"): 2,
    (Hinge, "dual"): 3,
    (SquaredHinge, "l1"): 5,
    (Logistic, "l1"): 6,
}
WIDE = (10.0, 1.0, *TOLERANCES)


def liblinear(p: Problem, method: str, threads: int = THREADS) -> Contestant:
    """It minimises C·Σ loss + ½‖w‖² or ‖w‖₁: C = 1/(alpha·n). Rows become lists of its own."""
    number = METHODS[type(p.loss), method]
    bias = " -B 1" * p.fit_intercept

    def fit(tol):
        from liblinear.liblinearutil import train

        X = sp.csr_matrix(p.X)  # it knows neither sparse arrays nor a fast way from dense ones
        model = train(p.y, X, f"-s {number} -c {p.C!r} -e {tol} -m {threads}{bias} -q")
        size = model.nr_feature + p.fit_intercept
        w = np.ctypeslib.as_array(model.w, (size,)) * (1 if model.label[0] > 0 else -1)
        return (w[:-1], w[-1]) if p.fit_intercept else (w, 0.0)

    count = "1 thread" if threads == 1 else f"{threads} threads"
    name = f"liblinear-multicore {method}, {count}".replace(" l1", "")
    return Contestant(name, fit, WIDE, "liblinear-multicore", intercept_note(p))
