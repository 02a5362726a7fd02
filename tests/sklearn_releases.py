"""What tests need of newer releases of scikit-learn than the oldest that is supported.

A test that needs one is marked, ``@pytest.mark.sklearn("1.9")``, and not collected with an older
one (``conftest.py``); ``test_sklearn_releases.py`` asserts which tests these are.
"""

from importlib.metadata import version

SKLEARN = tuple(map(int, version("scikit-learn").split(".")[:2]))
HAS_CALLBACKS = SKLEARN >= (1, 9)
# What LogisticRegression wants besides l1_ratio; from 1.8 on that alone is enough.
ELASTIC_NET = {} if SKLEARN >= (1, 8) else {"penalty": "elasticnet"}

if HAS_CALLBACKS:
    from sklearn.callback import ProgressBar, ScoringMonitor
else:
    ProgressBar = ScoringMonitor = None

__all__ = [
    "ELASTIC_NET",
    "HAS_CALLBACKS",
    "SKLEARN",
    "Callback",
    "ProgressBar",
    "ScoringMonitor",
    "is_for_newer",
]


class Callback:
    """A callback of scikit-learn that does nothing."""

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        pass


def is_for_newer(item) -> bool:
    """Whether a test that pytest found is marked for a newer release than this one."""
    mark = item.get_closest_marker("sklearn")
    return mark is not None and tuple(map(int, mark.args[0].split("."))) > SKLEARN
