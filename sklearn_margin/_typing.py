"""Types of what users pass and get.

Data may be of pandas, polars, pyarrow, Dask or PyTorch, whose types are not imported here: of a
column NumPy has to know how to make an array, and a matrix has a shape or is a list of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar, overload

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from sklearn_margin.batches import Batches

__all__ = [
    "Array",
    "ArrayLike",
    "Bounds",
    "ByBatch",
    "ByBatchWithOffset",
    "Factors",
    "MatrixLike",
    "Method",
    "RandomState",
    "keeps_signature",
    "of_any_arguments",
]


class HasShape(Protocol):
    """A matrix, dense or sparse, or a data frame."""

    @property
    def shape(self) -> Any: ...


#: A feature matrix that users pass.
MatrixLike: TypeAlias = npt.ArrayLike | HasShape | sp.spmatrix
#: What they get.
Array: TypeAlias = npt.NDArray[Any]
RandomState: TypeAlias = int | np.random.RandomState | None
#: Lower and upper bounds of coefficients, or those by the name of the feature.
Bounds: TypeAlias = (
    tuple[npt.ArrayLike | None, npt.ArrayLike | None]
    | dict[str, tuple[float | None, float | None]]
    | None
)
#: Factors of the penalty, by feature or by the name of the feature.
Factors: TypeAlias = npt.ArrayLike | dict[str, float] | None

Method = TypeVar("Method", bound=Callable[..., Any])
Result = TypeVar("Result")


class Lazy(Protocol):
    """A Dask collection."""

    def __dask_graph__(self) -> Any: ...


class ByBatch(Protocol):
    """A method of rows X: an array, or one for each of ``Batches``, or a lazy one of Dask."""

    @overload
    def __call__(self, X: Batches) -> Iterator[Array]: ...

    @overload
    def __call__(self, X: Lazy) -> Any: ...

    @overload
    def __call__(self, X: MatrixLike) -> Array: ...


class ByBatchWithOffset(Protocol):
    """The same of rows X and, but for ``Batches``, which hold it, an offset of their scores."""

    @overload
    def __call__(self, X: Batches) -> Iterator[Array]: ...

    @overload
    def __call__(self, X: Lazy, offset: Any = None) -> Any: ...

    @overload
    def __call__(self, X: MatrixLike, offset: npt.ArrayLike | None = None) -> Array: ...


def of_any_arguments(method: Callable[..., Result]) -> Callable[..., Result]:
    """A method to which subclasses may give other arguments."""
    return method


def keeps_signature(decorator: Callable[..., Any]) -> Callable[[Method], Method]:
    """The decorator, of a library without types, as one that leaves types as they are."""
    return decorator
