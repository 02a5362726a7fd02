"""BLAS in one thread while fits run."""

import os
import threading
from collections import Counter

from threadpoolctl import ThreadpoolController

from sklearn_margin._jit import hold_while_forking

__all__ = ["single_threaded"]


class _SingleThreaded:
    """Keeps BLAS to one thread while any fit runs: blocks are the unit of parallel work,
    and the order of a sum must not depend on how many threads BLAS has.

    Counts its users, because fits may overlap in several threads of a program. The limit is
    set and lifted by threads of their own: threadpoolctl obeys only the thread that holds
    control as long as that is alive, and the last fit to end need not be the first. Where BLAS
    has one thread anyway, as in worker processes, there is nothing to set.

    A forked child has one thread, and of its parent's users those of that thread. If that is
    none, the limit that it inherits is lifted with its first fit.
    """

    def __init__(self):
        self._lock = threading.RLock()
        self._users = Counter()  # by thread
        self._controller = None
        self._limit = None
        hold_while_forking(self._lock)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget_others)

    def __enter__(self):
        with self._lock:
            if self._limit is None and self._has_several():
                _in_new_thread(self._set)
            self._users[threading.get_ident()] += 1

    def __exit__(self, *exception):
        with self._lock:
            self._users[threading.get_ident()] -= 1
            self._users = +self._users
            if not self._users and self._limit is not None:
                _in_new_thread(self._lift)

    def _has_several(self):
        if self._controller is None:
            self._controller = ThreadpoolController().select(user_api="blas")
        return not all(map(_is_single, self._controller.lib_controllers))

    def _set(self):
        self._limit = self._controller.limit(limits=1)
        self._limit.__enter__()

    def _lift(self):
        self._limit.__exit__(None, None, None)
        self._limit = None

    def _forget_others(self):
        own = threading.get_ident()
        self._users = Counter({own: self._users[own]}) if self._users[own] else Counter()


def _is_single(library):
    """Whether a library has one thread for all who call it: others than OpenBLAS with threads of
    its own count them by caller, and a session may have several."""
    own = library.internal_api == "openblas" and library.threading_layer != "openmp"
    return own and library.num_threads == 1


def _in_new_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


single_threaded = _SingleThreaded()
