"""Arrays that may not be written to, as memory-mapped ones, compile nothing of their own."""

import numba.core.event as numba_event
import numpy as np
import pytest
import scipy.sparse as sp

from sklearn_margin import (
    HuberRegressor,
    LinearClassifier,
    LinearRanker,
    LinearRegressor,
    QuantileRegressor,
)
from sklearn_margin.losses import CrossEntropy, Hinge, PairwiseHinge

pytestmark = pytest.mark.compiled


def frozen(array):
    for part in (array.data, array.indices, array.indptr) if sp.issparse(array) else (array,):
        part.flags.writeable = False
    return array


class Compilations(numba_event.Listener):
    def __init__(self):
        self.names = []

    def on_start(self, event):
        self.names.append(str(event.data["dispatcher"]))

    def on_end(self, event):
        pass


def compiled_by(function, *arrays):
    fit = function.__name__ == "fit" and len(arrays) == 3

    def run(*arrays):
        return function(*arrays[:2], sample_weight=arrays[2]) if fit else function(*arrays)

    run(*(array.copy() for array in arrays))
    with numba_event.install_listener("numba:compile", Compilations()) as found:
        run(*(frozen(array.copy()) for array in arrays))
    return found.names


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("solver", ["sgd", "dual_cd"])
def test_of_a_fit(solver, container):
    rng = np.random.default_rng(0)
    X, y = container(rng.normal(size=(30, 3))), rng.choice([-1.0, 1.0], 30)
    model = LinearClassifier("hinge", solver=solver, alpha=0.1, tol=0.1, random_state=0)
    assert compiled_by(model.fit, X, y) == []


@pytest.mark.parametrize(
    "model",
    [
        LinearClassifier("logistic"),
        LinearClassifier("crammer_singer", alpha=0.1, fit_intercept=False, solver="dual_cd"),
        LinearRegressor("squared"),
        QuantileRegressor(quantile=[0.2, 0.8]),
        HuberRegressor(),
        LinearRanker("pairwise_hinge"),
        LinearRanker("pairwise_logistic"),
    ],
    ids=str,
)
def test_of_targets_and_weights(model):
    """Columns of pandas are read-only since its version 3."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 3)), rng.integers(0, 3, 60).astype(float)
    assert compiled_by(model.set_params(tol=0.1).fit, X, y, rng.uniform(1, 2, 60)) == []


def test_of_a_loss():
    y, z, k = np.array([1.0, -1.0, 1.0]), np.array([0.5, 0.2, 2.0]), np.array([0, 1, 0])
    assert compiled_by(Hinge().gradient, y, z) == []
    assert compiled_by(PairwiseHinge().gradient, y, z) == []
    assert compiled_by(CrossEntropy().gradient, k, np.outer(z, y)) == []
