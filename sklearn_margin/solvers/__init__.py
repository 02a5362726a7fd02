"""Solvers: how an objective is minimised, and which solver can minimise which."""

from sklearn_margin.solvers.adam import Adam
from sklearn_margin.solvers.base import InTurn, Result, Solver, is_small
from sklearn_margin.solvers.coordinate_descent import CoordinateDescent
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
    "Adam",
    "CoordinateDescent",
    "DualCD",
    "InTurn",
    "InteriorPoint",
    "Newton",
    "Result",
    "Smoothing",
    "Solver",
    "Subgradient",
    "candidates",
    "choose",
    "resolve",
]

SOLVERS = {
    cls.name: cls
    for cls in (
        Newton, CoordinateDescent, LBFGS, InteriorPoint, DualCD, Smoothing, Subgradient, SGD,
    )
}  # fmt: skip

# Sizes at which one solver becomes faster than another, by measurement: see the user guide.
_FEW_ENTRIES = 200_000  # rows × parameters that an interior point solves in no time
_MANY_ROWS = 20  # rows per parameter from which a smoothed loss has enough rows near its kinks
_MANY_FEATURES = 1_000  # of sparse rows, from which coordinate descent beats Gram matrices
_SMOOTHING_TOL = 1e-6  # the finest tolerance smoothing is practical for
_SUBGRADIENT_MAX = 1_000_000  # entries of X beyond which full subgradients cost too much


def _preference(objective, tol) -> list[type[Solver]]:
    """Solvers in the order ``solver="auto"`` tries them."""
    n, d = objective.rows.shape
    size = n * objective.n_params
    rough = [SGD, Subgradient] if n * d > _SUBGRADIENT_MAX else [Subgradient, SGD]
    if objective.is_smooth:
        second_order = CoordinateDescent if objective.penalty.has_l1 else Newton
        return [second_order, LBFGS, *rough]
    wide = d >= n or (objective.rows.is_sparse and d > _MANY_FEATURES)
    if objective.n_outputs > 1:
        # Smoothing ends with exact slopes if the problem is fairly small, and minds no scales.
        smooth = is_small(objective) or not (wide or tol < _SMOOTHING_TOL)
        exact = [Smoothing, DualCD] if smooth else [DualCD, Smoothing]
        few = size <= _FEW_ENTRIES or n < _MANY_ROWS * objective.n_params
        exact.insert(0 if few else 1, InteriorPoint)
    elif size <= _FEW_ENTRIES or hasattr(objective, "pairs"):
        exact = [InteriorPoint, DualCD, Smoothing]
    elif wide:
        exact = [DualCD, InteriorPoint, Smoothing]
    elif n >= _MANY_ROWS * objective.n_params and tol >= _SMOOTHING_TOL:
        exact = [Smoothing, InteriorPoint, DualCD]
    else:
        exact = [InteriorPoint, Smoothing, DualCD]
    return [*exact, *rough]


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


def candidates(solver, objective, tol=1e-4) -> list[Solver]:
    """The solvers to use for ``objective``, the next where one fails.

    Parameters
    ----------
    solver : str or Solver
        A name, "auto", or a configured solver.
    objective : LinearObjective
    tol : float, default=1e-4
        Accuracy that is wanted.

    Returns
    -------
    list of Solver
        One, if it was named. For "auto" the exact ones that can minimise the objective, or else
        the best of the rough ones, which would do no better where another failed.

    Raises
    ------
    ValueError
        If the solver cannot minimise the objective; names the reason and those that can.
    """
    chosen = resolve(solver)
    if chosen is not None:
        reason = chosen.obstacle(objective)
        if reason is None:
            return [chosen]
        able = [name for name, cls in SOLVERS.items() if cls().obstacle(objective) is None]
        raise ValueError(
            f"solver={chosen.name!r} cannot be used here: {reason}. Solvers that can: {able}"
        )
    able = [cls() for cls in _preference(objective, tol) if cls().obstacle(objective) is None]
    if not able:
        name = type(objective.loss).__name__
        raise ValueError(f"no solver can minimise {name} with this penalty")
    return [solver for solver in able if solver.exact] or able[:1]


def choose(solver, objective, tol=1e-4) -> Solver:
    """The first of ``candidates``."""
    return candidates(solver, objective, tol)[0]
