"""Standard errors for losses with a Hessian: classical, sandwich, and Huber's."""

import numpy as np

from sklearn_margin.inference._equations import (
    Equations,
    check_enough_rows,
    check_groups,
    check_regular,
    correction,
    covariance,
    gram,
    meat,
)
from sklearn_margin.losses import CrossEntropy, Huber, Logistic, Squared
from sklearn_margin.losses.pointwise import BinaryLoss
from sklearn_margin.objective import PairwiseObjective
from sklearn_margin.objective.concomitant import ConcomitantHuberObjective

__all__ = [
    "HUBER",
    "SANDWICHES",
    "check_classes",
    "equations_of",
    "is_squared",
    "smooth_covariance",
]

SANDWICHES = ("HC0", "HC1", "HC2", "HC3", "cluster")
HUBER = ("H1", "H2", "H3")
#: Curvature, relative to the largest, of directions that may separate classes.
_CURVED = 1e-2


def is_squared(fit):
    """Whether the fit is least squares."""
    return type(fit.objectives[0].loss) is Squared


def smooth_covariance(fit, method):
    """Covariance matrix by a method for smooth losses.

    Raises
    ------
    ValueError
        If the method is not one for the loss, or the estimate has no such errors.
    """
    check_enough_rows(fit, _n_free(fit))
    equations = [
        equations_of(fit, objective, params)
        for objective, params in zip(fit.objectives, fit.params, strict=True)
    ]
    if method in SANDWICHES:
        _check_sandwich(fit, method)
        middle = meat(fit, equations, method)
        return covariance(fit, equations, middle) * correction(fit, method, _n_free(fit))
    if len(fit.objectives) > 1:
        raise ValueError(
            f"method={method!r} is for one problem, and each class against the rest is one: take "
            "'HC0' or 'HC1', or the loss 'cross_entropy'"
        )
    (objective,), (params,), (each,) = fit.objectives, fit.params, equations
    if isinstance(objective.loss, Huber):
        middle = _huber_middle(
            fit, objective, params, each, "H1" if method == "classical" else method
        )
    else:
        middle = _classical_middle(fit, objective, each, method)
    return covariance(fit, equations, middle)


def equations_of(fit, objective, params):
    """Equations of a problem with a smooth loss."""
    with objective.rows.session():
        z = objective.scores(params)
        curvature = objective.curvature(z)
        gradient, hessian = objective.loss_gradient_hessian(curvature)
    check_classes(fit, objective, params)
    if isinstance(objective.loss, BinaryLoss):
        _check_overlap(fit, objective, z, hessian)
    shrinkage = objective.penalty_gradient(params)
    nuisance = None
    if isinstance(objective, ConcomitantHuberObjective) and curvature.q is not None:
        # χ is the derivative of a row's loss by σ; c = H_wσ / H_σσ eliminates σ.
        sigma, epsilon = objective.scale(z), float(objective.loss.delta)
        size = np.minimum(np.abs(objective.y - z) / sigma, epsilon)
        cross = objective.join(*objective.rows.backproject(curvature.q))
        nuisance = 0.5 * objective.s * (1.0 - size**2), cross / curvature.pivot
    hessian = objective.with_penalty(hessian)
    check_regular(fit, hessian)
    return Equations(
        hessian, curvature.gradient, gradient + shrinkage, shrinkage,
        getattr(curvature, "h", None), nuisance,
    )  # fmt: skip


def _n_free(fit):
    """Parameters that are estimated, of several scores without those that change nothing."""
    objective = fit.objectives[0]
    k = objective.n_outputs
    return (k - 1 if k > 1 else 1) * fit.n_params


def _check_sandwich(fit, method):
    objective = fit.objectives[0]
    if isinstance(objective, PairwiseObjective) and method != "cluster":
        raise ValueError(
            f"rows that are compared with each other are not independent, as method={method!r} "
            "has it: take 'cluster', with groups, or 'bootstrap'"
        )
    if method in ("HC2", "HC3") and objective.n_outputs > 1:
        raise ValueError(f"method={method!r} is for one score per row: take 'HC0' or 'HC1'")
    if method == "cluster":
        check_groups(fit, method)


def _classical_middle(fit, objective, each, method):
    loss, s = objective.loss, objective.s
    if method != "classical":
        raise ValueError(f"method={method!r} is for the Huber loss, not {type(loss).__name__}")
    likelihood = isinstance(loss, (Squared, Logistic, CrossEntropy))
    if not likelihood or getattr(loss, "label_smoothing", 0.0):
        raise ValueError(
            f"the loss {type(loss).__name__} is no likelihood, which classical errors rest on: "
            "take 'HC0' to 'HC3', 'cluster' or 'bootstrap'"
        )
    if getattr(fit.model, "class_weight", None) is not None:
        raise ValueError("class_weight makes a likelihood no likelihood: take 'HC0' to 'HC3'")
    curvature = objective.curvature(objective.scores(fit.params[0]))
    hessian = objective.loss_gradient_hessian(curvature)[1]
    if not isinstance(loss, Squared):
        return hessian / fit.total_weight
    # Of a loss c·r²/2 with weights of sum 1, the Hessian is c·XᵀSX and Σ g²/s is c²·Σ s r².
    squares = float(np.sum(each.slopes[fit.used] ** 2 / s[fit.used]))
    return hessian * squares / float(each.curvature.sum()) / (fit.n - fit.n_params)


def _huber_middle(fit, objective, params, each, method):
    """What gives Huber's three estimates of the covariance [1]_, of fits without weights.

    References
    ----------
    .. [1] Huber, "Robust regression: asymptotics, conjectures and Monte Carlo", Annals of
       Statistics 1, 1973, equations 8.9 to 8.13.
    """
    if method not in HUBER:
        raise ValueError(f"method={method!r} is not for the Huber loss")
    if np.ptp(objective.s) > 1e-9 * objective.s.max():
        raise ValueError(f"method={method!r} is for equal weights: take 'HC0' to 'HC3'")
    r = objective.y - objective.scores(params)
    sigma = objective.scale(objective.y - r) if hasattr(objective, "scale") else 1.0
    threshold = float(objective.loss.delta) * sigma
    inside = (np.abs(r) <= threshold).astype(np.float64)
    share, n, p = inside.mean(), fit.n, fit.n_params
    k = 1 + p / n * (1 - share) / share  # var(ψ') is share·(1 − share)
    spread = float(np.sum(np.clip(r, -threshold, threshold) ** 2)) / (n - p)
    X, W = gram(objective, np.ones(n)), gram(objective, inside)
    if method == "H1":
        found = k**2 * spread / share**2 * np.linalg.inv(X)
    elif method == "H2":
        found = k * spread / share * np.linalg.inv(W)
    else:
        found = spread / k * np.linalg.solve(W, np.linalg.solve(W, X).T)
    return each.hessian @ found @ each.hessian


def check_classes(fit, objective, params):
    """Raise ``ValueError`` if a direction, that of ``params``, puts each row into its class."""
    z = objective.scores_along(params)
    if objective.n_outputs > 1:
        right = z.argmax(axis=1) == objective.y
    elif isinstance(objective.loss, BinaryLoss):
        right = objective.y * z > 0
    else:
        return
    if right[fit.used].all():
        raise ValueError(
            "the classes are separable: without a penalty coefficients would grow without end, so "
            "that they have no errors. Take more rows or fewer features"
        )


def _check_overlap(fit, objective, z, hessian):
    """Raise ``ValueError`` if some rows are separated, and a coefficient is as large as the solver
    let it grow.

    Three standard errors from a minimum the loss of all rows is higher, by some 4.5, on both sides.
    Along a direction that separates rows it goes on falling on one.
    """
    values, vectors = np.linalg.eigh(hessian)
    loss = objective.score_value(z)
    for value, direction in zip(values, vectors.T, strict=True):
        if value > _CURVED * values[-1]:
            return
        t = objective.scores_along(direction)
        if np.abs(t).max() < 1e-6:  # a combination of others
            continue
        step = 3.0 / np.sqrt(fit.n * max(value, 1e-16 * values[-1])) * t
        rise = min(objective.score_value(z + step), objective.score_value(z - step)) - loss
        if fit.n * rise < 0.5:
            name = fit.name_of(int(np.abs(direction).argmax()), len(values))
            raise ValueError(
                f"{name} separates the classes, or some rows of them: its coefficient has no "
                "finite estimate, and no error. Leave it out, or join categories"
            )
