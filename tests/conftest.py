"""How the suite runs, and fixtures that several test files share."""

import gc
import os

# A worker has one core; this counts only if numpy was not imported yet.
if "PYTEST_XDIST_WORKER" in os.environ:
    for name in ("MKL_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
# Scikit-learn's array API checks run only if scipy was told so before its first import.
os.environ["SCIPY_ARRAY_API"] = "1"

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import compress

import pytest

# Nothing heavy is imported here: what starts the workers imports this file, too, and they wait.

# Nor does the garbage collector look, again and again, at the many objects that imports and the
# collection of tests make, and that live to the end. Later it looks less often than usual: most of
# what compilation leaves behind lives to the end as well.
gc.disable()


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    """Use all cores for the whole suite, and no workers, which take seconds to start, for a part
    of it that is named: a file, a test, ``-k``. ``-n`` overrules both."""
    if not config.pluginmanager.hasplugin("xdist") or hasattr(config, "workerinput"):
        return
    option = config.option
    part = option.keyword or any("::" in n or os.path.isfile(n) for n in option.file_or_dir)
    measured = getattr(option, "cov_source", None)  # pytest-cov wants to be told before: -n auto
    if option.numprocesses is None and not part and not measured:
        option.numprocesses = "auto"
    if option.numprocesses and option.dist == "no":
        option.dist = "worksteal"  # each worker begins elsewhere: hardly a kernel is compiled twice


def pytest_collection_modifyitems(config, items):
    """Leave out tests that need a newer scikit-learn. Those that start processes are long and share
    much: they are first, so that one worker has all of them and none is waited for at the end."""
    from sklearn_releases import is_for_newer

    newer = [is_for_newer(item) for item in items]
    config.hook.pytest_deselected(items=[*compress(items, newer)])
    items[:] = [item for item, left_out in zip(items, newer, strict=True) if not left_out]
    items.sort(key=lambda item: item.path.stem not in ("test_jit", "test_dask"))


def pytest_collection_finish():
    """The garbage collector begins to work, and leaves alone what there is by now."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish():
    """Nor, when a process ends, at machine code and all else that is left."""
    gc.freeze()


@pytest.fixture(scope="session")
def reference():
    """The class ``Reference``."""
    from references import Reference

    return Reference


@pytest.fixture
def threads(monkeypatch):
    """Hand work of any size to threads, the last block first, and fail unless some was handed.

    A sum that is not taken in the order of blocks then differs from that of one thread. What is
    yielded is a list of how many pieces of work each call had.
    """
    from sklearn_margin.objective import rows

    calls = []

    class Pool(ThreadPoolExecutor):
        def map(self, function, items):
            caller, items = threading.get_ident(), list(items)
            calls.append(len(items))

            def work(item):
                assert threading.get_ident() != caller
                return function(item)

            futures = [self.submit(work, item) for item in reversed(items)]
            return [future.result() for future in reversed(futures)]

    monkeypatch.setattr(rows, "_FEW_ENTRIES", 0)
    monkeypatch.setattr(rows, "_BLOCK_BYTES", 1 << 16)
    monkeypatch.setattr(rows, "ThreadPoolExecutor", Pool)
    yield calls
    assert calls, "no thread was used"
    assert max(calls) >= 3, "a sum of two has no order"
