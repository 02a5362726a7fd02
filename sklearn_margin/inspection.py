"""Checks of losses: does a loss do what it says?"""

from __future__ import annotations

import inspect
import pickle
import sys

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_array, check_random_state

from sklearn_margin._loss_checks import (
    CHEAP,
    STRICT,
    check_claims,
    check_derivatives,
    check_envelopes,
    check_finite,
    check_hinges,
    check_lines,
)
from sklearn_margin._loss_forms import (
    BatchForm,
    EmbeddingForm,
    PairForm,
    RowForm,
    ScoreForm,
    forms_of,
    has_formulas_of_others,
    show,
)
from sklearn_margin._typing import ArrayLike, RandomState
from sklearn_margin.losses.base import Loss
from sklearn_margin.losses.embedding.base import EmbeddingLoss
from sklearn_margin.losses.multiclass import MulticlassLoss, TwoClasses
from sklearn_margin.losses.pairs.any_pairs import AnyPairs
from sklearn_margin.losses.pairs.base import PairwiseLoss
from sklearn_margin.losses.pairs.given import MarginRanking

__all__ = ["check_loss", "check_on_rows"]


def check_loss(loss: Loss, *, y: ArrayLike | None = None, random_state: RandomState = 0) -> None:
    """Check that a loss does what it says; raise for the first thing that is wrong.

    Labels and scores are made up. What is checked, where the loss claims it:

    * values and derivatives are finite at ordinary scores,
    * the gradient is the slope of the value: its difference quotient away from kinks, and anything
      between the slopes to both sides at a kink,
    * the Hessian is the slope of the gradient, and positive semi-definite if the loss is convex,
    * ``convex``, ``nonnegative`` and ``smooth`` (differentiable everywhere),
    * ``piecewise_linear`` adds up to the value,
    * ``smoothed`` gives the Moreau envelope, min over v of ℓ(v) + ‖z − v‖² / (2 width): not above
      the loss, below it by no more than width·‖g‖²/2, with the right derivatives,
    * weights: 2 counts as two equal rows, 0 as none,
    * parameters survive ``clone`` and ``pickle``.

    Estimators make the first three of these checks at a few of their rows, for losses that are not
    part of this package.

    Parameters
    ----------
    loss : Loss
        A loss of any family.
    y : array-like of shape (n,), default=None
        Labels the loss is for, where those made up will not do: say positive ones. Class indices
        have a loss of several classes checked with that many.
    random_state : int, RandomState instance or None, default=0
        Seed of the scores.

    Raises
    ------
    TypeError
        If ``loss`` is no loss, or cannot be compiled.
    ValueError
        If it is wrong: the message names the class, the method, and labels and scores that show it.

    Examples
    --------
    >>> from sklearn_margin import check_loss
    >>> from sklearn_margin.losses import Hinge, PointwiseLoss
    >>> check_loss(Hinge())
    >>> class Cubic(PointwiseLoss):
    ...     def sample_value(self, y, z):
    ...         return abs(z - y) ** 3
    ...     def sample_gradient(self, y, z):
    ...         return 3 * (z - y) ** 2
    >>> check_loss(Cubic())
    Traceback (most recent call last):
        ...
    ValueError: Cubic.sample_gradient(y=-1, z=-20) returned 1083; the difference quotient of
    sample_value there is -1083: wrong sign?
    """
    if not isinstance(loss, Loss):
        raise TypeError(f"loss must be a Loss, got {loss!r}{hint_for(loss)}")
    loss.check_params()
    if y is not None:
        y = check_array(y, ensure_2d=False, dtype=None, input_name="y")
    rng = np.random.default_rng(check_random_state(random_state).randint(2**31))
    _check_parameters(loss)
    with np.errstate(all="ignore"):
        _check_forms(loss, y, rng)


def _check_forms(loss, y, rng):
    for form in forms_of(loss, y):
        cases = list(form.points(rng))
        check_derivatives(form, cases, rng, STRICT)
        check_claims(form, cases, rng)
        check_lines(form, cases, rng)
        if isinstance(form, ScoreForm) and hasattr(form.loss, "piecewise_linear"):
            check_hinges(form, cases)
        check_envelopes(form, cases, rng)
        if not isinstance(loss, MarginRanking):
            _check_weights(form, rng)
    if isinstance(loss, PairwiseLoss):
        _check_pair_terms(loss, rng)
    if isinstance(loss, MulticlassLoss):
        _check_two_classes(loss, rng)


def hint_for(loss) -> str:
    """What somebody may have meant who gave something else than a loss; for messages."""
    if isinstance(loss, type) and issubclass(loss, Loss):
        return f": did you mean {loss.__name__}()?"
    if callable(loss):
        return ": a loss is an object with a value and a gradient, not a function"
    return ""


def check_on_rows(objective) -> None:
    """Check a loss that is not part of this package at a few rows of the data it is fitted to.

    Values and derivatives must be finite where a fit starts, and derivatives be slopes.

    Parameters
    ----------
    objective : LinearObjective or EmbeddingObjective
        What is about to be minimised.

    Raises
    ------
    ValueError
        As ``check_loss``.
    """
    if not has_formulas_of_others(objective.loss):
        return
    with np.errstate(all="ignore"):
        rng = np.random.default_rng(0)
        form, cases = _form_on_rows(objective, rng)
        if objective.loss.splits and isinstance(form, (ScoreForm, RowForm)):
            _check_start(form, objective)
        if form is not None:
            check_derivatives(form, cases, rng, CHEAP)
        if isinstance(form, ScoreForm) and hasattr(form.loss, "piecewise_linear"):
            check_hinges(form, cases, CHEAP)


# --- a few rows of a fit ------------------------------------------------------------------------


def _form_on_rows(objective, rng):
    """The form of an objective's loss, with a few of its labels and scores near its start."""
    loss = objective.loss
    if isinstance(loss, EmbeddingLoss):
        if getattr(objective, "formula", None) is not None:  # of pairs or triplets that are given
            return None, []
        labels = np.arange(12) % min(3, objective.n_classes)
        form = EmbeddingForm(loss, labels, objective.n_components, objective.n_classes)
        return form, list(form.points(rng))[1:2]
    if isinstance(loss, PairwiseLoss):
        return PairForm(loss), [(None, np.array([d])) for d in (0.0, 0.7, -0.7, 1.9, -1.9)]
    y = objective.y[_some_rows(objective)]
    if not loss.splits:
        n_classes = objective.n_outputs if objective.n_outputs > 1 else 0
        form = BatchForm(loss, y, n_classes)
        x = rng.normal(size=int(np.prod(form.shape)))
        return form, [((form.labels, np.ones(len(y))), x) for x in (0 * x, x)]
    if objective.n_outputs > 1:
        form = RowForm(loss, objective.n_outputs)
        spreads = (0.0, 0.7, 1.9)
        return form, [
            (k, t * rng.normal(size=form.n_classes)) for k in np.unique(y) for t in spreads
        ]
    form = ScoreForm(loss, y)
    begin = _begin(objective)
    spread = float(np.abs(form.labels - begin).max()) or max(1.0, abs(begin))
    spread = spread if np.abs(form.labels).max() != 1 else 1.0
    cases = [(label, begin + spread * t) for label in form.labels for t in (0.0, 0.7, -1.9)]
    return form, [(label, np.array([z])) for label, z in cases]


def _some_rows(objective):
    """Rows with a positive weight, those of the smallest and the largest label among them."""
    used = np.flatnonzero(objective.s > 0)
    y = objective.y[used]
    places = [np.argmin(y), np.argmax(y), len(y) // 2]
    return used[np.unique(places)]


def _begin(objective):
    """The score of all rows where a fit starts that knows nothing better."""
    known = objective.fit_intercept and objective.n_outputs == 1
    return float(objective.start()[-1]) if known else 0.0


def _check_start(form, objective):
    """Values and derivatives of all rows are finite at the start."""
    y, s, loss = objective.y, objective.s, objective.loss
    z = np.full((len(y), objective.n_outputs), _begin(objective), s.dtype)
    z = objective.shifted(z if objective.n_outputs > 1 else z[:, 0])
    out = np.empty_like(z)
    value = loss.scores_value_gradient(y, z, s, out)
    bad = ~np.isfinite(out.reshape(len(y), -1)).all(axis=1)
    if np.isfinite(value) and not bad.any():
        return
    first, last = (np.argmax(bad), np.argmax(bad) + 1) if bad.any() else (0, len(y))
    while last - first > 1:  # the value of one of these rows is not finite
        middle = (first + last) // 2
        half = slice(first, middle)
        if np.isfinite(loss.scores_value(y[half], z[half], s[half])):
            first = middle
        else:
            last = middle
    check_finite(form, y[first].item(), np.atleast_1d(z[first]).astype(np.float64))
    raise ValueError(
        f"{form.author}.{form.names[0]} is {value} as {s.dtype} where a fit starts: scale the "
        "data, or give them as float64"
    )


# --- what else there is ---------------------------------------------------------------------------


def _check_weights(form, rng):
    """Whole weights are repetitions, and rows of weight 0 are not there."""
    loss = form.loss
    takes = inspect.signature(type(loss).value).parameters
    if "sample_weight" not in takes or not getattr(loss, "knows_weights", True):
        return
    y, z, more = form.sample(rng)
    in_pairs = getattr(loss, "rows_per_class", 0) == 2  # the first two rows of a label: no copies
    times = np.resize([1, 0, 1] if in_pairs else [2, 1, 0, 3], len(y))
    rows = np.repeat(np.arange(len(y)), times)
    found = loss.value(y, z, *more, sample_weight=times)
    expected = loss.value(y[rows], z[rows], *more)
    about = f"with sample_weight {show(times)} {form.author}."
    if not np.isclose(found, expected, rtol=1e-6, atol=1e-9):
        raise ValueError(
            f"{about}{form.names[0]} is {found:.6g}, and {expected:.6g} for as many equal rows"
        )
    found = _first(loss.gradient(y, z, *more, sample_weight=times))
    total = np.zeros_like(found)
    np.add.at(total, rows, _first(loss.gradient(y[rows], z[rows], *more)))
    if not np.allclose(found, total, rtol=1e-5, atol=1e-8):
        i = np.unravel_index(np.argmax(np.abs(found - total)), found.shape)
        raise ValueError(
            f"{about}{form.names[1]} is {found[i]:.6g} for row {i[0]}, and adds up to "
            f"{total[i]:.6g} over as many equal rows"
        )


def _first(parts):
    return parts[0] if isinstance(parts, tuple) else parts


def _check_parameters(loss):
    """Parameters are stored as they are given, and survive ``clone`` and ``pickle``."""
    cls = type(loss)
    given = inspect.signature(cls.__init__).parameters.values()
    defaults = {p.name: p.default for p in given if p.default is not p.empty}
    params = loss.get_params(deep=False)
    for tried in (params, {**params, **defaults}):
        again = cls(**tried)
        for name, value in tried.items():
            if getattr(again, name) is not value:
                raise ValueError(
                    f"{cls.__name__}.__init__ must store {name} as it is given, but made "
                    f"{getattr(again, name)!r} of {value!r}"
                )
    copies = [clone(loss)]
    if getattr(sys.modules.get(cls.__module__), cls.__qualname__, None) is cls:  # can be imported
        copies.append(pickle.loads(pickle.dumps(loss)))
    if any(copy != loss for copy in copies):
        raise ValueError(f"{cls.__name__} is not equal to its clone or to what pickle makes of it")


def _check_pair_terms(loss, rng):
    """The sums that a loss says it is made of, which are taken faster, are the loss."""
    if type(loss.summation) is AnyPairs:
        return
    form = PairForm(loss)
    for d in rng.normal(scale=2.0, size=20):
        value, (slope,) = form.value_gradient(None, np.array([d]))
        for name, found, expected in (
            ("pair_value", loss.pair_value(d), value),
            ("pair_gradient", loss.pair_gradient(d), slope),
        ):
            if abs(found - expected) > 1e-7 * max(1.0, abs(expected)):
                raise ValueError(
                    f"{form.author}.{name}(d={d:.6g}) returned {found:.6g}; by summation it is "
                    f"{expected:.6g}"
                )


def _check_two_classes(loss, rng):
    """``binary`` is the loss of the row (−f/2, f/2)."""
    if isinstance(loss.binary, TwoClasses):
        return
    rows, scores = RowForm(loss, 2), ScoreForm(loss.binary)
    for k, f in zip((0, 1) * 5, rng.normal(scale=2.0, size=10), strict=True):
        value = rows.value_gradient(k, np.array([-0.5 * f, 0.5 * f]))[0]
        found = scores.value_gradient(2.0 * k - 1.0, np.array([f]))[0]
        if abs(found - value) > 1e-7 * max(1.0, abs(value)):
            raise ValueError(
                f"{rows.author}.binary at y={2 * k - 1}, z={f:.6g} is {found:.6g}, but that of the "
                f"row (−z/2, z/2) is {value:.6g}"
            )
