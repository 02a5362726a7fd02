"""The family of losses of score differences over the ordered pairs of a group."""

from __future__ import annotations

from typing import Any

from sklearn_margin._typing import Array
from sklearn_margin._validation import check_choice
from sklearn_margin.losses.base import Loss
from sklearn_margin.losses.pairs.any_pairs import AnyPairs
from sklearn_margin.losses.pairs.index import PairIndex
from sklearn_margin.losses.pointwise import BinaryLoss
from sklearn_margin.losses.ranking import RankingLoss, Sides

__all__ = ["EnvelopeGain", "GivenPairs", "PairwiseLoss"]


class PairwiseLoss(RankingLoss):
    """A loss of score differences d = z_i − z_j over pairs with y_i > y_j in one group.

    The author writes ``pair_value(d)`` and ``pair_gradient(d)``, and ``pair_hessian(d)``
    if the loss is smooth. A parameter ``weighting`` chooses the weight of a pair:
    ``"uniform"`` (1) or ``"difference"`` (y_i − y_j); the sample weights of both rows
    multiply it.

    value = Σ u_ij φ(z_i − z_j) / Σ u_ij, and 0 if there is no pair.

    Examples
    --------
    >>> import math
    >>> from sklearn_margin.losses import PairwiseLoss
    >>> class Exponential(PairwiseLoss):  # of RankBoost (Freund et al., JMLR 4, 2003)
    ...     def pair_value(self, d):
    ...         return math.exp(-d)
    ...     def pair_gradient(self, d):
    ...         return -math.exp(-d)
    >>> Exponential().value([0, 1], [0.5, 0.5])
    1.0
    """

    kernel_methods: tuple[str, ...] = (
        "pair_value",
        "pair_gradient",
        "pair_hessian",
        "sample_value",
        "sample_gradient",
    )
    formula: tuple[str, ...] = kernel_methods[:2]
    claims: tuple[str, ...] = (*Loss.claims, "pair_hessian", "hinge_shape", "summation", "binary")
    smooth: bool | None = None

    def pair_value(self, d: float) -> float:
        """Loss of one pair."""
        raise NotImplementedError(f"{type(self).__name__} has no pair_value(d)")

    def pair_gradient(self, d: float) -> float:
        """Derivative of ``pair_value``."""
        raise NotImplementedError(f"{type(self).__name__} has no pair_gradient(d)")

    def pair_hessian(self, d: float) -> float:
        """Second derivative of ``pair_value`` (or an element of the generalised one)."""
        raise NotImplementedError(f"{type(self).__name__} has no pair_hessian(d)")

    #: How the loss is summed over pairs: an object with ``value_gradient``, ``hessian_product``
    #: and ``work``, that ``PairIndex`` runs.
    summation = AnyPairs()
    #: What a piecewise linear loss is of its margins: "sum", of their positive parts.
    hinge_shape: str | None = None

    @property
    def binary(self) -> BinaryLoss:
        """The loss of one given pair, of a label t = ±1 and a score difference: φ(t·d)."""
        return GivenPairs(self)

    def check_params(self) -> None:
        """Raise ``ValueError`` or ``TypeError`` naming the parameter that is wrong."""
        check_choice(self.pair_weighting, "weighting", ("uniform", "difference"))

    @property
    def pair_weighting(self) -> str:
        """The parameter ``weighting``, or "uniform" for a loss without it."""
        return getattr(self, "weighting", "uniform")

    def index(
        self,
        y: Array,
        groups: Array | None,
        s: Array,
        alone: bool = True,
        sides: Sides = (None, None),
    ) -> PairIndex:
        return PairIndex(y, groups, s, self.pair_weighting, alone, sides)

    @property
    def index_key(self) -> str:
        return self.pair_weighting

    # A pair is a sample whose row is x_i − x_j: what stochastic solvers see.

    def sample_value(self, y: float, z: float) -> float:
        """Loss of one pair, the label being unused."""
        return self.pair_value(z)

    def sample_gradient(self, y: float, z: float) -> float:
        """Derivative of ``sample_value``."""
        return self.pair_gradient(z)

    @property
    def has_hessian(self) -> bool:
        """Whether the author wrote ``pair_hessian``."""
        return type(self).pair_hessian is not PairwiseLoss.pair_hessian

    @property
    def is_smooth(self) -> bool:
        """Whether the loss is differentiable everywhere."""
        return self.has_hessian if self.smooth is None else self.smooth


class GivenPairs(BinaryLoss):
    """Any pairwise loss as a loss of a label t and a score difference: φ(t·d).

    Parameters
    ----------
    loss : PairwiseLoss
    """

    def __init__(self, loss: Any) -> None:
        self.loss = loss

    def sample_value(self, y: float, z: float) -> float:
        return self.loss.pair_value(y * z)

    def sample_gradient(self, y: float, z: float) -> float:
        return y * self.loss.pair_gradient(y * z)

    def sample_hessian(self, y: float, z: float) -> float:
        return self.loss.pair_hessian(y * z)

    has_hessian = property(lambda self: self.loss.has_hessian)
    is_smooth = property(lambda self: self.loss.is_smooth)
    convex = property(lambda self: self.loss.convex)

    @property
    def nonnegative(self) -> bool:
        return self.loss.nonnegative


class EnvelopeGain(PairwiseLoss):
    """What the conjugate of an envelope exceeds that of its loss by, w·t²/2 for a slope t.

    It is a function of d for its value only.

    Parameters
    ----------
    envelope : PairwiseLoss
    width : float
    """

    def __init__(self, envelope: Any, width: float) -> None:
        self.envelope, self.width = envelope, width

    def pair_value(self, d: float) -> float:
        return 0.5 * self.width * self.envelope.pair_gradient(d) ** 2

    def pair_gradient(self, d: float) -> float:
        return 0.0
