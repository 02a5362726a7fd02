"""What differs between releases of scikit-learn, of which 1.7 and later do.

Everything else imports from here what an older release lacks.
"""

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


__all__ = ["CallbackSupportMixin", "with_callbacks"]
