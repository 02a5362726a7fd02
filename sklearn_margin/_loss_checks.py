"""Checks of one form of a loss: derivatives, and what the loss says of itself."""

from typing import NamedTuple

import numpy as np

from sklearn_margin._loss_forms import EmbeddingForm, PairForm, RowForm, ScoreForm
from sklearn_margin.losses.multiclass import MulticlassLoss

__all__ = ["CHEAP", "STRICT", "check_claims", "check_derivatives", "check_envelopes",
           "check_finite", "check_hinges", "check_lines"]  # fmt: skip

_EPS = np.finfo(np.float64).eps
_SMALLEST = np.finfo(np.float64).tiny / _EPS  # below it digits are lost
_WIDTHS = (0.1, 1.0)  # of envelopes


class _Strictness(NamedTuple):
    tolerance: float  # relative, of a derivative
    directions: int  # coordinates to try at a point, at most


STRICT = _Strictness(1e-4, 8)
CHEAP = _Strictness(1e-2, 3)


# --- values and derivatives -----------------------------------------------------------------------


def check_finite(form, case, x):
    """Value and gradient at a point, which must be finite."""
    value, gradient = form.value_gradient(case, x)
    bad = value if not np.isfinite(value) else gradient[~np.isfinite(gradient)]
    if np.size(bad):
        name = form.names[0] if np.ndim(bad) == 0 else form.names[1]
        if not np.isfinite(value) or len(bad):
            raise ValueError(f"{form.author}.{name} is {np.ravel(bad)[0]} at {form.where(case, x)}")
    return value, gradient


def check_derivatives(form, cases, rng, strictness):
    """Finite values and derivatives; gradients and Hessians that are slopes."""
    found = [check_finite(form, case, x) for case, x in cases]
    values = [abs(value) for value, _ in found]
    slopes = [np.abs(gradient).max() for _, gradient in found]
    unit = min(1.0, max(form.size(case, x) for case, x in cases)) or 1.0
    sizes = _Sizes(unit, min(1.0, max(values)), min(1.0, max(slopes)), strictness.tolerance)
    for (case, x), (_, gradient) in zip(cases, found, strict=True):
        _check_gradient(form, case, x, gradient, sizes, rng.permutation(len(x)), strictness)
    if not form.has_hessian:
        return
    # Where all scores of a row are equal there are kinks in several directions.
    cases = [(case, x) for case, x in cases if len(x) == 1 or x.any()]
    products = [np.abs(form.product(case, x, np.ones(len(x)))).max() for case, x in cases]
    found = [size for size in products if np.isfinite(size)]
    sizes = _Sizes(unit, sizes.slope, min(1.0, max(found, default=0.0)), strictness.tolerance)
    for case, x in cases:
        _check_hessian(form, case, x, sizes, rng)


class _Sizes(NamedTuple):
    """What labels and scores, a function and its slope are elsewhere, up to 1."""

    unit: float
    value: float
    slope: float
    tolerance: float


def _check_gradient(form, case, x, gradient, sizes, order, strictness):
    if gradient.shape != x.shape:
        raise ValueError(
            f"{form.author}.{form.names[1]} gave {len(gradient)} numbers for {len(x)} scores"
        )
    for j in order[: strictness.directions]:
        unit = np.arange(len(x)) == j
        quotient = _quotient(
            lambda t, unit=unit: form.value_gradient(case, x + t * unit)[0],
            gradient[j], form.size(case, x), sizes,
        )  # fmt: skip
        if quotient is not None:
            raise ValueError(
                f"{form.author}.{form.names[1]}({form.where(case, x)}) {form.gave(j, x)} "
                f"{gradient[j]:.6g}; the difference quotient of {form.names[0]} there is "
                f"{quotient:.6g}{_guess(gradient[j], quotient)}"
            )


def _check_hessian(form, case, x, sizes, rng):
    name = f"{form.author}.{form.names[2]}({form.where(case, x)})"
    v, w = rng.normal(size=(2, len(x)))
    v /= np.linalg.norm(v)
    Hv = form.product(case, x, v)
    curvature = float(v @ Hv)
    if not np.isfinite(Hv).all():
        raise ValueError(f"{name} is not finite: {Hv}")
    if form.loss.convex and curvature < -1e-9 * max(sizes.slope, np.abs(Hv).max()):
        raise ValueError(f"{name} is negative, {curvature:.6g}, but the loss says convex = True")
    if not form.exact_hessian:
        return
    Hw = form.product(case, x, w)
    if abs(w @ Hv - v @ Hw) > 1e-7 * max(np.abs(Hv).max(), np.abs(Hw).max()):
        raise ValueError(f"{name} is not symmetric: {w @ Hv:.6g} and {v @ Hw:.6g}")
    quotient = _quotient(
        lambda t: float(form.value_gradient(case, x + t * v)[1] @ v),
        curvature, form.size(case, x), sizes,
    )  # fmt: skip
    if quotient is not None:
        raise ValueError(
            f"{name} returned {curvature:.6g}{'' if len(x) == 1 else ' along a direction'}; the "
            f"difference quotient of {form.names[1]} there is {quotient:.6g}"
            f"{_guess(curvature, quotient)}"
        )


def _quotient(function, slope, size, sizes):
    """The difference quotient of a function at 0 that ``slope`` contradicts; None if none does.

    A slope agrees with a step h if it lies between the quotients to both sides, which is what a
    subgradient of a convex function does at a kink, and a derivative up to O(h²). Rounding of the
    values makes an error of about eps·|f|/h, and that of the arguments one of eps·|x|/h relative:
    a step for which these are not small says nothing. One step that agrees is enough: others may
    step over what the function does nearby. Some steps suit labels and scores of order one, some
    suit small or large ones; those that are large beside the data can agree, but not contradict.
    """
    here, found = function(0.0), None
    units = {1.0, sizes.unit, max(sizes.unit, size)}
    for h in np.unique([t * unit for t in (1e-6, 1e-5, 1e-4, 1e-3) for unit in units]):
        before, after = function(-h), function(h)
        left, right = (here - before) / h, (after - here) / h
        largest = max(abs(left), abs(right), abs(slope), sizes.slope)
        noise = 16 * _EPS * max(abs(here), abs(before), abs(after), sizes.value, _SMALLEST) / h
        noise += 4 * _EPS * size / h * largest
        if not noise <= sizes.tolerance * largest or not np.isfinite(largest):
            continue
        slack = noise + sizes.tolerance * largest
        if min(left, right) - slack <= slope <= max(left, right) + slack:
            return None
        if found is None and h <= 1e-2 * max(units - {1.0}, default=1.0):
            found = 0.5 * (left + right)
    return found


def _guess(claimed, found):
    """What may have gone wrong, from two numbers that should be equal."""
    if not claimed or not found:
        return ""
    ratio = claimed / found
    if abs(ratio + 1) < 1e-2:
        return ": wrong sign?"
    for factor in (ratio, 1 / ratio):
        if 1.5 < abs(factor) < 1e4 and abs(factor - round(factor)) < 1e-3 * abs(factor):
            return f": a factor of {ratio:.4g}?"
    return ""


# --- claims ---------------------------------------------------------------------------------------


def check_claims(form, cases, rng):
    """What a loss says of its values: never negative, the same for shifted or scaled scores."""
    loss = form.loss
    shifts = getattr(loss, "shift_invariant", False) and getattr(form, "n_classes", 0) > 0
    for case, x in cases:
        value = form.value_gradient(case, x)[0]
        name = f"{form.names[0]}({form.where(case, x)}) returned {value:.6g}"
        if loss.nonnegative and value < -1e-9:
            raise ValueError(f"{form.author} says nonnegative = True, but {name}")
        if not (shifts or getattr(loss, "angular", False)):
            continue
        claim = "shift_invariant" if shifts else "angular"
        other = form.value_gradient(case, form.moved(x, rng))[0]
        if abs(other - value) > 1e-7 * max(1.0, abs(value)):
            moved = "scores plus a constant" if shifts else "rows of other lengths"
            raise ValueError(
                f"{form.author} says {claim} = True, but {name}, and {other:.6g} for {moved}"
            )


def check_lines(form, cases, rng):
    """Along lines the derivative of a convex loss does not fall, and that of a smooth one does not
    jump."""
    smooth = form.loss.is_smooth and not isinstance(form, EmbeddingForm)  # almost everywhere: these
    distinct = {repr(case): case for case, _ in cases}.values()
    for case in list(distinct)[:6] if form.loss.convex or smooth else []:
        for _ in range(1 if isinstance(form, (ScoreForm, PairForm)) else 3):
            x, direction, steps = form.line(rng, case)

            def slope(t, case=case, x=x, direction=direction):
                return float(form.value_gradient(case, x + t * direction)[1] @ direction)

            slopes = np.array([slope(t) for t in steps])
            if form.loss.convex:
                _check_convex(form, case, x, direction, steps, slopes)
            if smooth:
                _check_smooth(form, case, x, direction, steps, slopes, slope)


def _check_convex(form, case, x, direction, steps, slopes):
    falls = np.diff(slopes)
    worst = int(np.argmin(falls))
    if falls[worst] < -1e-7 * np.abs(slopes).max():
        ends = [form.where(case, x + t * direction) for t in steps[worst : worst + 2]]
        raise ValueError(
            f"{form.author} says convex = True, but its derivative falls from "
            f"{slopes[worst]:.6g} at {ends[0]} to {slopes[worst + 1]:.6g} at {ends[1]}: set "
            "convex = False"
        )


def _check_smooth(form, case, x, direction, steps, slopes, slope):
    """Where the slope changes most, halve the interval until only a jump can be left."""
    k = int(np.argmax(np.abs(np.diff(slopes))))
    (a, b), (left, right) = steps[k : k + 2], slopes[k : k + 2]
    while b - a > 1e-12:
        middle = 0.5 * (a + b)
        between = slope(middle)
        if abs(between - left) > abs(right - between):
            b, right = middle, between
        else:
            a, left = middle, between
    if abs(right - left) > 1e-4 * np.abs(slopes).max():
        raise ValueError(
            f"{form.author} says that it is differentiable everywhere (smooth, or a Hessian), but "
            f"its derivative jumps from {left:.6g} to {right:.6g} at "
            f"{form.where(case, x + a * direction)}"
        )


def check_hinges(form, cases, strictness=STRICT):
    """The hinges of ``piecewise_linear`` add up to the loss, but for rounding errors of sums."""
    loss = form.loss
    name = f"{form.author}.piecewise_linear"
    y = np.array([case for case, _ in cases])
    hinges = loss.piecewise_linear(y)
    if hinges is None:
        return
    total, size = np.zeros(len(y)), np.zeros(len(y))
    z = np.array([x[0] for _, x in cases])
    for kink, left, right in hinges:
        if not np.shape(kink) == np.shape(left) == np.shape(right) == y.shape:
            raise ValueError(f"{name}(y) must return arrays of the shape of y, {y.shape}")
        if np.any(left > right):
            i = int(np.argmax(left > right))
            raise ValueError(
                f"{name} at y={y[i]:.6g} has a hinge with left={left[i]:.6g} > right="
                f"{right[i]:.6g}: it is not convex"
            )
        total += np.where(z < kink, left, right) * (z - kink)
        size += np.maximum(np.abs(left), np.abs(right)) * (np.abs(z) + np.abs(kink))
    for found, largest, (case, x) in zip(total, size, cases, strict=True):
        value = form.value_gradient(case, x)[0]
        rounding = 1e-9 * max(1.0, abs(value))
        if strictness is CHEAP:  # at rows and scores of any size
            rounding = 1e-2 * abs(value) + 1e-6 * largest
        if abs(found - value) > rounding:
            raise ValueError(
                f"{name} adds up to {found:.6g} at {form.where(case, x)}, where {form.names[0]} "
                f"is {value:.6g}"
            )


def check_envelopes(form, cases, rng):
    """``smoothed`` gives the Moreau envelope; see ``check_loss``.

    With g the slope of the envelope at z, the minimum is attained at z − width·g, which is a test
    for equality. Losses with a dual of their own (``envelope_gain``) only bound it.
    """
    loss = form.loss
    smoothable = isinstance(form, (ScoreForm, PairForm, RowForm)) and loss.convex
    if not smoothable or loss.smoothed(1.0) is None:
        return
    for width in _WIDTHS:
        envelope = loss.smoothed(width)
        about = f"{form.author}.smoothed({width:g})"
        if envelope.envelope_width != width:
            raise ValueError(f"{about} must have an attribute envelope_width, {width:g}")
        same = {RowForm: lambda e: RowForm(e, form.n_classes)}.get(type(form), type(form))
        smooth = same(envelope)
        smooth.author = f"{about}: {smooth.author}"
        check_derivatives(smooth, cases, rng, STRICT)
        base = MulticlassLoss.envelope_gain
        exact = getattr(type(envelope), "envelope_gain", base) is base
        for case, x in cases:
            _check_envelope(form, smooth, width, exact, case, x, about)


def _check_envelope(form, smooth, width, exact, case, x, about):
    value, g = form.value_gradient(case, x)
    found, slope = smooth.value_gradient(case, x)
    nearest = x - width * slope
    minimum = form.value_gradient(case, nearest)[0] + 0.5 * width * float(slope @ slope)
    slack = 1e-9 * max(1.0, abs(value))
    lowest = value - 0.5 * width * float(g @ g)
    where = f"{about} at {form.where(case, x)} is {found:.6g}"
    if found > value + slack:
        raise ValueError(f"{where}, above the loss, which is {value:.6g}")
    if found < lowest - slack:
        raise ValueError(
            f"{where}: the loss is {value:.6g}, and an envelope is at least {lowest:.6g} "
            f"(less width·g²/2)"
        )
    if exact and abs(found - minimum) > slack:
        raise ValueError(f"{where}; the Moreau envelope of this width is {minimum:.6g}")
