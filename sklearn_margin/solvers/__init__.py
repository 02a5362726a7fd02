"""Solvers: how an objective is minimised, and which solver can minimise which."""

from __future__ import annotations

from typing import Any

from sklearn_margin.solvers.adam import Adam
from sklearn_margin.solvers.base import InTurn, Result, Solver
from sklearn_margin.solvers.coordinate_descent import CoordinateDescent
from sklearn_margin.solvers.dual_cd import DualCD
from sklearn_margin.solvers.interior_point import InteriorPoint, Sifting
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

# What solvers there are: a name, or "auto", means one of these.
SOLVERS: dict[str, type[Solver]] = {
    cls.name: cls
    for cls in (
        Newton, CoordinateDescent, LBFGS, InteriorPoint, DualCD, Smoothing, Subgradient, SGD, Adam,
    )
}  # fmt: skip


def resolve(solver: str | Solver, classes: dict[str, type[Solver]] | None = None) -> Solver | None:
    """Solver object for a configured solver or a name; None for "auto".

    Parameters
    ----------
    solver : str or Solver
        A name, "auto", or a configured solver.
    classes : dict of str to type, default=None
        What names mean; None is all solvers of this module by their names.

    Returns
    -------
    Solver or None

    Raises
    ------
    ValueError
        If the name is unknown, or a parameter of the solver is wrong.

    Examples
    --------
    >>> from sklearn_margin.solvers import resolve
    >>> resolve("lbfgs"), resolve("auto")
    (LBFGS(), None)
    """
    classes = SOLVERS if classes is None else classes
    if isinstance(solver, Solver):
        solver.check_params()
        return solver
    if isinstance(solver, str) and solver in classes:
        return classes[solver]()
    if isinstance(solver, str) and solver == "auto":
        return None
    names = sorted([*classes, "auto"])
    raise ValueError(f"solver must be one of {names} or a configured solver, got {solver!r}")


def candidates(
    solver: str | Solver,
    objective: Any,
    tol: float = 1e-4,
    classes: dict[str, type[Solver]] | None = None,
) -> list[Solver]:
    """The solvers to use for ``objective``, the next where one fails.

    Parameters
    ----------
    solver : str or Solver
        A name, "auto", or a configured solver.
    objective : LinearObjective
        What is to be minimised.
    tol : float, default=1e-4
        Accuracy that is wanted.
    classes : dict of str to type, default=None
        What names mean; None is all solvers of this module by their names.

    Returns
    -------
    list of Solver
        One, if it was named. For "auto" the exact ones that can minimise the objective, or else
        the best of the rough ones, which would do no better where another failed.

    Raises
    ------
    ValueError
        If the solver cannot minimise the objective; names the reason and those that can.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_margin.losses import Hinge
    >>> from sklearn_margin.objective import PointwiseObjective, Rows
    >>> from sklearn_margin.penalties import ElasticNet
    >>> from sklearn_margin.solvers import candidates
    >>> rows, y = Rows(np.eye(4), center=True), np.array([1.0, 1.0, -1.0, -1.0])
    >>> penalty = ElasticNet(alpha=0.1)
    >>> hinge = PointwiseObjective(Hinge(), rows, y, np.full(4, 0.25), penalty=penalty)
    >>> candidates("auto", hinge)
    [InteriorPoint(), DualCD(), Smoothing()]
    """
    chosen = resolve(solver, classes)
    if chosen is not None:
        reason = obstacle(chosen, objective)
        if reason is None:
            return [chosen]
        names = [name for name, cls in SOLVERS.items() if obstacle(cls(), objective) is None]
        raise ValueError(
            f"solver={chosen.name!r} cannot be used here: {reason}. Solvers that can: {names}"
        )
    kinds: list[type[Solver]] = [Sifting, *SOLVERS.values()]
    able = [cls() for cls in kinds if obstacle(cls(), objective) is None]
    ranked = [(rank, s) for s in able if (rank := s.rank(objective, tol)) is not None]
    able = [solver for _, solver in sorted(ranked, key=lambda pair: pair[0])]
    if not able:
        name = type(objective.loss).__name__
        where = f": {objective.why_no_rows}. Take alpha > 0" if objective.is_remote else ""
        if objective.is_linear and objective.penalty.is_zero and objective.penalty.has_bounds:
            where = (
                ": coef_bounds, and penalty_factors that are infinite, need a penalty of some "
                "coefficient here. Take alpha > 0, and a factor that is neither zero nor infinite"
            )
        raise ValueError(f"no solver can minimise {name} with this penalty{where}")
    exact = [solver for solver in able if solver.exact] if objective.is_linear else []
    return exact or able[:1]


def obstacle(solver, objective):
    """Why ``solver`` cannot minimise ``objective``, or None if it can."""
    if solver.linear and not objective.is_linear:
        return "scores are not linear in the parameters"
    if objective.penalty.has_bounds and not solver.keeps_bounds:
        return objective.penalty.why_not_free
    return solver.obstacle(objective)


def choose(solver: str | Solver, objective: Any, tol: float = 1e-4) -> Solver:
    """The first of ``candidates``: the solver that a fit tries first.

    Parameters
    ----------
    solver : str or Solver
        A name, "auto", or a configured solver.
    objective : LinearObjective
        What is to be minimised.
    tol : float, default=1e-4
        Accuracy that is wanted.

    Returns
    -------
    Solver

    Raises
    ------
    ValueError
        If the solver cannot minimise the objective; names the reason and those that can.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_margin.losses import Huber
    >>> from sklearn_margin.objective import PointwiseObjective, Rows
    >>> from sklearn_margin.solvers import choose
    >>> rows, y = Rows(np.eye(4), center=True), np.arange(4.0)
    >>> choose("auto", PointwiseObjective(Huber(), rows, y, np.full(4, 0.25)))
    Newton()
    """
    return candidates(solver, objective, tol)[0]
