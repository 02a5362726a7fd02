"""What differs between the releases of scikit-learn that are supported, 1.7 and later.

Everything else imports from here what an older release lacks.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import sklearn
from sklearn.utils import check_array, validation

_Method = TypeVar("_Method", bound=Callable[..., Any])

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ModuleNotFoundError:  # before 1.9: there is no set_callbacks, and fits tell no one

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands for scikit-learn's mixin; its context has nobody to call."""

        def _init_callback_context(self, **description: Any) -> _NoContext:
            return _NoContext()

    class _NoContext:
        def call_on_fit_task_begin(self, **data: Any) -> None:
            """Tell nobody that a task begins."""

        def call_on_fit_task_end(self, **data: Any) -> bool:
            """Tell nobody that a task ends, and hear from nobody that the fit should."""
            return False

    def with_callbacks(method: _Method) -> _Method:
        """Stands for scikit-learn's decorator."""
        return method


if "input_name" in signature(validation.column_or_1d).parameters:
    from sklearn.utils.validation import column_or_1d
else:  # before 1.8

    def column_or_1d(
        y: npt.ArrayLike, *, input_name: str = "y", **options: Any
    ) -> np.ndarray[Any, Any]:
        """Scikit-learn's function, whose messages call everything y, after a check by its name."""
        check_array(
            y, input_name=input_name, dtype=None,
            ensure_2d=False, ensure_all_finite=False, ensure_min_samples=0,
        )  # fmt: skip
        column: np.ndarray[Any, Any] = validation.column_or_1d(y, **options)
        return column


# Before 1.8 a search whose ``scoring`` is None routes nothing to the score of a pipeline.
ROUTES_TO_SCORE = tuple(map(int, sklearn.__version__.split(".")[:2])) >= (1, 8)

__all__ = ["ROUTES_TO_SCORE", "CallbackSupportMixin", "column_or_1d", "with_callbacks"]
