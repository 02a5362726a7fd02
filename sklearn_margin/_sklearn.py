"""What differs between releases of scikit-learn, of which 1.7 and later do.

Everything else imports from here what an older release lacks.
"""

from inspect import signature

import sklearn
from sklearn.utils import check_array, validation

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ModuleNotFoundError:  # before 1.9: there is no set_callbacks, and fits tell no one

    class CallbackSupportMixin:
        """Stands for scikit-learn's mixin; its context has nobody to call."""

        def _init_callback_context(self, **description):
            return _NoContext()

    class _NoContext:
        def call_on_fit_task_begin(self, **data):
            """Tell nobody that a task begins."""

        def call_on_fit_task_end(self, **data):
            """Tell nobody that a task ends, and hear from nobody that the fit should."""
            return False

    def with_callbacks(method):
        """Stands for scikit-learn's decorator."""
        return method


if "input_name" in signature(validation.column_or_1d).parameters:
    from sklearn.utils.validation import column_or_1d
else:  # before 1.8

    def column_or_1d(y, *, input_name="y", **options):
        """Scikit-learn's function, whose messages call everything y, after a check by its name."""
        check_array(
            y, input_name=input_name, dtype=None,
            ensure_2d=False, ensure_all_finite=False, ensure_min_samples=0,
        )  # fmt: skip
        return validation.column_or_1d(y, **options)


# Before 1.8 a search whose ``scoring`` is None routes nothing to the score of a pipeline.
ROUTES_TO_SCORE = tuple(map(int, sklearn.__version__.split(".")[:2])) >= (1, 8)

__all__ = ["ROUTES_TO_SCORE", "CallbackSupportMixin", "column_or_1d", "with_callbacks"]
