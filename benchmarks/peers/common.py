"""What all adapters share: ladders, notes, and the solution of a fitted estimator."""

from benchmarks.data import Problem

TOLERANCES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8)
EPOCHS = tuple(2**k for k in range(17))
PENALISED = "penalises its intercept"


def solution(model):
    """Coefficients and intercept of a fitted estimator."""
    return model.coef_, model.intercept_


def intercept_note(p: Problem) -> str:
    """What is said of a peer that penalises the intercept like the coefficients."""
    return PENALISED if p.fit_intercept else ""
