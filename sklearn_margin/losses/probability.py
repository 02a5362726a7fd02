"""Losses of the probability of the true class: focal, Poly, and your own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special

from sklearn_margin._typing import Array, ArrayLike
from sklearn_margin._validation import check_number
from sklearn_margin.losses._probability import sigmoid_terms, softmax_terms
from sklearn_margin.losses.base import Loss
from sklearn_margin.losses.cross_entropy import CrossEntropy, Logistic
from sklearn_margin.losses.multiclass import MulticlassLoss
from sklearn_margin.losses.pointwise import BinaryLoss

__all__ = ["Focal", "Poly", "ProbabilityLoss"]


class ProbabilityLoss(BinaryLoss):
    """A loss φ of the probability p that the model gives to the true class.

    p = σ(y·z) for labels −1 and +1 and one score; p = softmax(z)_k for class k and a row of
    scores. The author writes φ and its derivatives with respect to log p, as functions of log p and
    q = 1 − p: ``phi``, ``phi_prime`` and, for Newton's method, ``phi_second``. Since
    ∂ log p/∂z_j = [j=k] − p_j, the gradient is φ'·(e_k − p) and the Hessian
    φ''·(e_k − p)(e_k − p)ᵀ − φ'·(diag(p) − p pᵀ).

    ``value`` and ``gradient`` take scores of shape (n,) with labels −1 and +1, or of shape
    (n, n_classes) with class indices.

    Examples
    --------
    >>> from sklearn_margin.losses import ProbabilityLoss
    >>> class Missed(ProbabilityLoss):  # the probability of an error: 1 − p
    ...     convex = False
    ...     def phi(self, log_p, q):
    ...         return q
    ...     def phi_prime(self, log_p, q):
    ...         return q - 1.0
    ...     def phi_second(self, log_p, q):
    ...         return q - 1.0
    >>> Missed().value([1, -1], [0.0, 0.0]), Missed().value([2], [[0.0, 0.0, 0.0, 0.0]])
    (0.5, 0.75)
    """

    kernel_methods: tuple[str, ...] = (
        "sample_value", "sample_gradient", "sample_hessian", "phi", "phi_prime",
        "phi_second", "weight_of",
    )  # fmt: skip
    formula: tuple[str, ...] = ("phi", "phi_prime")
    claims: tuple[str, ...] = (*BinaryLoss.claims, "phi_second")
    smooth = True

    def phi(self, log_p: float, q: float) -> float:
        """φ as a function of log p, given q = 1 − p, too."""
        raise NotImplementedError(f"{type(self).__name__} has no phi(log_p, q)")

    def phi_prime(self, log_p: float, q: float) -> float:
        """Derivative of φ with respect to log p."""
        raise NotImplementedError(f"{type(self).__name__} has no phi_prime(log_p, q)")

    def phi_second(self, log_p: float, q: float) -> float:
        """Second derivative of φ with respect to log p."""
        raise NotImplementedError(f"{type(self).__name__} has no phi_second(log_p, q)")

    def weight_of(self, k: int) -> float:
        """Factor of the loss of class k."""
        return 1.0

    @property
    def has_hessian(self) -> bool:
        return super().has_hessian and type(self).phi_second is not ProbabilityLoss.phi_second

    @property
    def convex_start(self) -> Loss | None:
        return None if self.convex else Logistic()

    @property
    def multiclass(self) -> Loss | None:
        return Softmax(self)

    def sample_value(self, y: float, z: float) -> float:
        log_p, q = sigmoid_terms(y * z)
        return self.weight_of(1 if y > 0 else 0) * self.phi(log_p, q)

    def sample_gradient(self, y: float, z: float) -> float:
        log_p, q = sigmoid_terms(y * z)
        return self.weight_of(1 if y > 0 else 0) * y * q * self.phi_prime(log_p, q)

    def sample_hessian(self, y: float, z: float) -> float:
        log_p, q = sigmoid_terms(y * z)
        inner = q * self.phi_second(log_p, q) - (1.0 - q) * self.phi_prime(log_p, q)
        return self.weight_of(1 if y > 0 else 0) * q * inner

    def probability(self, z: Array) -> Array:
        """Probability of the positive class, σ(z).

        Parameters
        ----------
        z : ndarray
            Scores.

        Returns
        -------
        ndarray of the shape of ``z``
        """
        return special.expit(z)

    def value(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        if np.ndim(y_pred) > 1 and self.multiclass is not None:
            return self.multiclass.value(y_true, y_pred, sample_weight)
        self.check_classes(2)
        return super().value(y_true, y_pred, sample_weight)

    def gradient(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Array:
        if np.ndim(y_pred) > 1 and self.multiclass is not None:
            return self.multiclass.gradient(y_true, y_pred, sample_weight)
        self.check_classes(2)
        return super().gradient(y_true, y_pred, sample_weight)


class Softmax(MulticlassLoss):
    """A loss of the probability of the true class, for a row of scores.

    Parameters
    ----------
    inner : ProbabilityLoss
    """

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    @property
    def author(self) -> Loss:
        return self.inner

    def check_params(self) -> None:
        self.inner.check_params()

    def check_classes(self, n_classes: int) -> None:
        self.inner.check_classes(n_classes)

    @property
    def convex(self) -> bool:
        return self.inner.convex

    @property
    def nonnegative(self) -> bool:
        return self.inner.nonnegative

    @property
    def convex_start(self) -> Loss | None:
        return None if self.convex else CrossEntropy()

    @property
    def has_hessian(self) -> bool:
        return self.inner.has_hessian

    smooth = True
    shift_invariant = True

    def sample_value(self, k: int, z: Array) -> float:
        log_p, q, _, _ = softmax_terms(k, z)
        return self.inner.weight_of(k) * self.inner.phi(log_p, q)

    def sample_gradient(self, k: int, z: Array, out: Array) -> None:
        log_p, q, top, total = softmax_terms(k, z)
        first = self.inner.weight_of(k) * self.inner.phi_prime(log_p, q)
        for j in range(z.shape[0]):
            out[j] = q * first if j == k else -first * math.exp(z[j] - top) / total

    def sample_curvature(self, k: int, z: Array, out: Array) -> None:
        # The probabilities; 1 − p in place of that of the true class, which is more accurate.
        _, q, top, total = softmax_terms(k, z)
        for j in range(z.shape[0]):
            out[j] = q if j == k else math.exp(z[j] - top) / total

    def curvature_product(self, k: int, a: Array, v: Array, out: Array) -> None:
        q = a[k]
        p = 1.0 - q
        log_p = math.log(max(p, 1e-300)) if q > 0.5 else math.log1p(-q)
        first = min(self.inner.phi_prime(log_p, q), 0.0)
        # A Hessian that is not positive semi-definite is replaced by the nearest one of its kind.
        second = max(self.inner.phi_second(log_p, q), first * p / max(q, 1e-30))
        others = 0.0
        for j in range(a.shape[0]):
            if j != k:
                others += a[j] * v[j]
        along = q * v[k] - others  # (e_k − p)·v
        mean = p * v[k] + others
        weight = self.inner.weight_of(k)
        for j in range(a.shape[0]):
            if j == k:
                out[j] = weight * (second * q * along - first * p * (v[j] - mean))
            else:
                out[j] = -weight * a[j] * (second * along + first * (v[j] - mean))

    def probability(self, z: Array) -> Array:
        """Probabilities of the classes, of the shape of ``z``."""
        return special.softmax(z, axis=1)


class Focal(ProbabilityLoss):
    r"""Focal loss, −α (1 − p)^γ log p with p the probability of the true class [1]_.

    γ = 0 is the logistic loss or cross entropy. With γ > 0 it is not convex, and a fit starts
    from the optimum for γ = 0.

    Parameters
    ----------
    gamma : float, default=2.0
        γ: how much samples that are classified well count less.
    alpha : float or tuple of float, default=None
        α of the positive class, 1 − α being that of the other; or α of each class. None is 1.

    Notes
    -----
    .. math:: \ell = -\alpha (1 - p)^\gamma \log p

    with :math:`p = \sigma(y z)`, or :math:`p = \mathrm{softmax}(z)_k` for several classes.

    References
    ----------
    .. [1] Lin, Goyal, Girshick, He & Dollár, "Focal loss for dense object detection",
       ICCV 2017.

    Examples
    --------
    >>> from sklearn_margin.losses import Focal
    >>> round(Focal(gamma=2.0).value([1, -1], [0.0, 0.0]), 6)
    0.173287
    >>> round(Focal(gamma=0.0).value([0, 2], [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]), 6)
    1.098612
    """

    nonnegative = True

    def __init__(self, gamma: float = 2.0, alpha: float | tuple[float, ...] | None = None) -> None:
        self.gamma = gamma
        self.alpha: Any = alpha

    @property
    def convex(self) -> bool:
        return self.gamma == 0

    def check_params(self) -> None:
        check_number(self.gamma, "gamma", minimum=0)
        if isinstance(self.alpha, (tuple, list, np.ndarray)):
            for k, value in enumerate(self.alpha):
                check_number(value, f"alpha[{k}]", minimum=0)
            if not any(value > 0 for value in self.alpha):
                raise ValueError(f"alpha must be positive for some class, got {self.alpha!r}")
        elif self.alpha is not None:
            check_number(self.alpha, "alpha", minimum=0, maximum=1)

    def check_classes(self, n_classes: int) -> None:
        if self.alpha is None or (n_classes == 2 and np.ndim(self.alpha) == 0):
            return
        if np.ndim(self.alpha) == 0 or len(self.alpha) != n_classes:
            raise ValueError(
                f"alpha must have one entry for each of {n_classes} classes, got {self.alpha!r}"
            )

    @property
    def class_weights(self) -> Any:
        """α by class, as kernels read it."""
        if self.alpha is None:
            return np.ones(1)
        if np.ndim(self.alpha) == 0:
            return np.array([1.0 - self.alpha, self.alpha])
        return np.array(self.alpha, dtype=np.float64)

    def weight_of(self, k: int) -> float:
        return self.class_weights[min(k, len(self.class_weights) - 1)]

    def phi(self, log_p: float, q: float) -> float:
        return -(q**self.gamma) * log_p

    def phi_prime(self, log_p: float, q: float) -> float:
        ratio = log_p / q if q > 1e-12 else -1.0
        return q**self.gamma * (self.gamma * (1.0 - q) * ratio - 1.0)

    def phi_second(self, log_p: float, q: float) -> float:
        q = max(q, 1e-30)
        p = 1.0 - q
        ratio = log_p / q if q > 1e-12 else -1.0
        inner = log_p + 2.0 - (self.gamma - 1.0) * p * ratio
        return self.gamma * p * q ** (self.gamma - 1.0) * inner


class Poly(ProbabilityLoss):
    r"""PolyLoss, −log p + Σ_j ε_j (1 − p)^j with p the probability of the true class [1]_.

    Since −log p = Σ_j (1 − p)^j / j, it changes the first coefficients of that series. ε = 0
    is the logistic loss or cross entropy. The loss is convex in the scores if only the first
    coefficient changes, and that by −1 to 1; if not, a fit starts from the optimum for ε = 0.

    Parameters
    ----------
    epsilon : tuple of float or float, default=(1.0,)
        ε_1, ε_2, …; a number is ε_1.

    Notes
    -----
    .. math:: \ell = -\log p + \sum_j \epsilon_j (1 - p)^j

    with :math:`p = \sigma(y z)`, or :math:`p = \mathrm{softmax}(z)_k` for several classes.

    References
    ----------
    .. [1] Leng, Tan, Liu, Cubuk, Shi, Cheng & Anguelov, "PolyLoss: A polynomial expansion
       perspective of classification loss functions", ICLR 2022.

    Examples
    --------
    >>> from sklearn_margin.losses import Poly
    >>> round(Poly().value([1, -1], [0.0, 0.0]), 6)
    1.193147
    """

    def __init__(self, epsilon: tuple[float, ...] | float = (1.0,)) -> None:
        self.epsilon = epsilon

    def check_params(self) -> None:
        if np.ndim(self.epsilon) == 0:
            check_number(self.epsilon, "epsilon")
            return
        if not isinstance(self.epsilon, (tuple, list, np.ndarray)) or len(self.epsilon) == 0:
            raise ValueError(f"epsilon must be a number or a tuple of them, got {self.epsilon!r}")
        for j, value in enumerate(self.epsilon):
            check_number(value, f"epsilon[{j}]")

    @property
    def coefficients(self) -> Any:
        """ε_1, ε_2, …, as kernels read them."""
        return np.atleast_1d(np.array(self.epsilon, dtype=np.float64))

    @property
    def convex(self) -> bool:
        # φ'' ≥ φ'·p/q, which is when the Hessian is positive semi-definite, reads ε(q − p) ≤ 1;
        # and φ' ≤ 0 for ε ≥ −1.
        return bool(not self.coefficients[1:].any() and abs(self.coefficients[0]) <= 1)

    @property
    def nonnegative(self) -> bool:
        # −log p ≥ 1 − p.
        return bool(self.coefficients[0] >= -1 and (self.coefficients[1:] >= 0).all())

    def phi(self, log_p: float, q: float) -> float:
        total, power = -log_p, 1.0
        for epsilon in self.coefficients:
            power *= q
            total += epsilon * power
        return total

    def phi_prime(self, log_p: float, q: float) -> float:
        total, power, j = -1.0, 1.0, 1.0
        for epsilon in self.coefficients:
            total -= j * epsilon * power * (1.0 - q)
            power *= q
            j += 1.0
        return total

    def phi_second(self, log_p: float, q: float) -> float:
        p = 1.0 - q
        total, power, lower, j = 0.0, 1.0, 0.0, 1.0
        for epsilon in self.coefficients:
            total -= j * epsilon * p * (power - (j - 1.0) * lower * p)
            lower = power
            power *= q
            j += 1.0
        return total
