"""Solvers: how an objective is minimised, and which solver can minimise which."""

from sklearn_margin.solvers.base import Result, Solver
from sklearn_margin.solvers.dual_cd import DualCD
from sklearn_margin.solvers.interior_point import InteriorPoint
from sklearn_margin.solvers.lbfgs import LBFGS
from sklearn_margin.solvers.newton import Newton
from sklearn_margin.solvers.sgd import SGD
from sklearn_margin.solvers.smoothing import Smoothing
from sklearn_margin.solvers.subgradient import Subgradient

__all__ = [
    "LBFGS",
    "SGD",
    "DualCD",
    "InteriorPoint",
    "Newton",
    "Result",
    "Smoothing",
    "Solver",
    "Subgradient",
    "choose",
    "resolve",
]

# In the order ``solver="auto"`` tries them.
SOLVERS = {
    cls.name: cls for cls in (Newton, LBFGS, InteriorPoint, DualCD, Smoothing, Subgradient, SGD)
}

_SUBGRADIENT_MAX = 1_000_000  # entries of X beyond which full subgradients cost too much


def resolve(solver) -> Solver | None:
    """Solver object for a name or a configured solver; None for "auto".

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    if isinstance(solver, Solver):
        solver.check_params()
        return solver
    if isinstance(solver, str) and solver in SOLVERS:
        return SOLVERS[solver]()
    if isinstance(solver, str) and solver == "auto":
        return None
    names = sorted([*SOLVERS, "auto"])
    raise ValueError(f"solver must be one of {names} or a configured solver, got {solver!r}")


def choose(solver, objective) -> Solver:
    """The solver to use for ``objective``.

    Parameters
    ----------
    solver : str or Solver
        A name, "auto", or a configured solver.
    objective : LinearObjective

    Returns
    -------
    Solver

    Raises
    ------
    ValueError
        If the solver cannot minimise the objective; names the reason and those that can.
    """
    chosen = resolve(solver)
    if chosen is not None:
        reason = chosen.obstacle(objective)
        if reason is None:
            return chosen
        able = [name for name, cls in SOLVERS.items() if cls().obstacle(objective) is None]
        raise ValueError(
            f"solver={chosen.name!r} cannot be used here: {reason}. Solvers that can: {able}"
        )
    large = objective.rows.shape[0] * objective.rows.shape[1] > _SUBGRADIENT_MAX
    for cls in SOLVERS.values():
        if cls is Subgradient and large and SGD().obstacle(objective) is None:
            continue
        if cls().obstacle(objective) is None:
            return cls()
    raise ValueError(f"no solver can minimise {type(objective.loss).__name__} with this penalty")
