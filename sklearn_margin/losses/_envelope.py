"""The Moreau envelope of the hinge [u]₊ with parameter w, and its derivatives by u.

It is 0 for u ≤ 0, u²/(2w) up to u = w, and u − w/2 beyond.
"""

__all__ = ["envelope", "envelope_gradient", "envelope_hessian"]


def envelope(u, width):
    """The envelope."""
    if u <= 0:
        return 0.0
    return 0.5 * u * u / width if u < width else u - 0.5 * width


def envelope_gradient(u, width):
    """Its derivative."""
    return min(1.0, max(0.0, u / width))


def envelope_hessian(u, width):
    """Its second derivative, at the kinks that of the middle part or of an outer one."""
    return 1.0 / width if 0.0 < u < width else 0.0
