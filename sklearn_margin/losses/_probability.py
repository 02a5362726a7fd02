"""Probabilities and their logarithms from scores, without overflow.

Those of one score and of a row are plain functions, which methods of losses may call.
"""

import math

from sklearn_margin._jit import kernel
from sklearn_margin.losses._exp import exp_negative, log1p_unit

__all__ = [
    "fast_softplus",
    "sigmoid",
    "sigmoid_gradient",
    "sigmoid_terms",
    "softmax",
    "softmax_terms",
    "softplus",
]


def softplus(x):
    """log(1 + eˣ), which is −log σ(−x)."""
    if x > 0:
        return x + math.log1p(math.exp(-x))
    return math.log1p(math.exp(x))


def sigmoid(x):
    """σ(x) = 1 / (1 + e⁻ˣ), the derivative of ``softplus``."""
    e = math.exp(-abs(x))
    return (1.0 if x >= 0 else e) / (1.0 + e)


def sigmoid_terms(x):
    """log σ(x) and 1 − σ(x), which is σ(−x)."""
    e = math.exp(-abs(x))
    if x > 0:
        return -math.log1p(e), e / (1.0 + e)
    return x - math.log1p(e), 1.0 / (1.0 + e)


def sigmoid_gradient(x):
    """σ(x) σ(−x), the second derivative of ``softplus``."""
    e = math.exp(-abs(x))
    return e / ((1.0 + e) * (1.0 + e))


@kernel
def fast_softplus(x):
    """``softplus`` and ``sigmoid``, in vector code where a loop calls it."""
    e = exp_negative(-abs(x))
    return max(x, 0.0) + log1p_unit(e), (1.0 if x >= 0.0 else e) / (1.0 + e)


def softmax(z, out):
    """Probabilities of a row of scores, to ``out``."""
    top, total = z[0], 0.0
    for j in range(z.shape[0]):
        top = max(top, z[j])
    for j in range(z.shape[0]):
        out[j] = math.exp(z[j] - top)
        total += out[j]
    inverse = 1.0 / total
    for j in range(z.shape[0]):
        out[j] *= inverse


def softmax_terms(k, z):
    """log p and 1 − p of entry k of a row of scores, to all digits where p is nearly 1; the highest
    score, and the sum of exp(z − it)."""
    top = 0
    for j in range(z.shape[0]):
        top = j if z[j] > z[top] else top
    rest, others = 0.0, 0.0  # besides the highest score, of which e⁰ = 1, and besides k
    for j in range(z.shape[0]):
        e = math.exp(z[j] - z[top])
        rest += e if j != top else 0.0
        others += e if j != k else 0.0
    total = 1.0 + rest
    return z[k] - z[top] - math.log1p(rest), others / total, z[top], total
