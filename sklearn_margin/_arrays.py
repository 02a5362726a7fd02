"""Arrays of other libraries, such as torch, where scikit-learn's ``array_api_dispatch`` is on.

One rule: what is learned is learned in NumPy, on the host, from copies if need be, and coefficients
are NumPy arrays. Predictions for an X of another library are of its kind: they have its namespace,
device and floating-point type. The product with X is computed there, what follows on the scores
here. Where the dispatch is off, nothing of this happens.
"""

from typing import Any, NamedTuple

import numpy as np
from sklearn import get_config
from sklearn.utils.validation import validate_data

__all__ = ["Kind", "kind_of", "on_host", "scores_on_host"]


class Kind(NamedTuple):
    """Where an array is: what results for it are made of."""

    xp: Any  # its namespace
    device: Any
    dtypes: tuple  # that X may have, the preferred one first

    def array(self, values, dtype=None):
        """Numbers as an array of this kind; strings, of which there are none, as they are."""
        values = np.asarray(values)
        if values.dtype.kind not in "biuf":
            return values
        return self.xp.asarray(values, dtype=dtype, device=self.device)

    def scores(self, estimator, X, coef, intercept=None):
        """X Wᵀ + b, of shape (n,) or (n, n_outputs), for coefficients W of one or two dimensions;
        X is validated."""
        if hasattr(X, "dtype") and self.xp.isdtype(X.dtype, "complex floating"):
            raise ValueError(f"Complex data not supported: X has the dtype {X.dtype}")
        X = validate_data(estimator, X, reset=False, dtype=self.dtypes)
        W = self.array(np.ascontiguousarray(np.transpose(coef)), X.dtype)
        z = X @ W
        return z if intercept is None else z + self.array(intercept, X.dtype)


def kind_of(X) -> Kind | None:
    """The kind of an array of another library than NumPy; None for anything else."""
    if not _is_foreign(X):
        return None
    # Private, but what scikit-learn's own estimators go by; not reached by anything else.
    from sklearn.utils._array_api import get_namespace_and_device

    xp, _, device = get_namespace_and_device(X)
    known = xp.__array_namespace_info__().dtypes(kind="real floating", device=device)
    return Kind(xp, device, tuple(known[name] for name in ("float64", "float32") if name in known))


def _is_foreign(X):
    if not get_config()["array_api_dispatch"] or isinstance(X, (np.ndarray, np.generic)):
        return False
    return hasattr(X, "__array_namespace__") or (
        type(X).__module__.partition(".")[0] == "torch" and hasattr(X, "device")
    )


def on_host(values):
    """An array of another library as one of NumPy, wherever it is; anything else as it is."""
    if not _is_foreign(values):
        return values
    from sklearn.utils._array_api import _convert_to_numpy, get_namespace

    return _convert_to_numpy(values, get_namespace(values)[0])


def scores_on_host(scores):
    """Scores in NumPy, and a function that makes results for them arrays of their kind."""
    kind = kind_of(scores)
    if kind is None:
        return scores, lambda results: results

    def give(results):
        return kind.array(results, scores.dtype if results.dtype.kind == "f" else None)

    return on_host(scores), give
