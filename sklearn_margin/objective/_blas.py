"""BLAS in one thread while fits run."""

import os
import threading
from collections import Counter

import threadpoolctl

from sklearn_margin._jit import hold_while_forking

__all__ = ["single_threaded"]


class _SingleThreaded:
    """Keeps BLAS to one thread while any fit runs: blocks are the unit of parallel work,
    and the order of a sum must not depend on how many threads BLAS has.

    Counts its users, because fits may overlap in several threads of a program. threadpoolctl obeys
    only the thread that holds control, and the last fit to end need not be the first: whoever sets
    or lifts the limit lets go of control or, where that cannot be, does it in a thread that ends.
    Where BLAS has one thread anyway, as in worker processes, there is nothing to set.

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
                self._change(self._set)
            self._users[threading.get_ident()] += 1

    def __exit__(self, *exception):
        with self._lock:
            self._users[threading.get_ident()] -= 1
            self._users = +self._users
            if not self._users and self._limit is not None:
                self._change(self._lift)

    def _has_several(self):
        if self._controller is None:
            self._controller = threadpoolctl.ThreadpoolController().select(user_api="blas")
        return not all(map(_is_single, self._controller.lib_controllers))

    def _change(self, function):
        # To start a thread can take longer than a small fit, where others keep the processors busy.
        openblas = getattr(threadpoolctl, "OpenBLASController", None)
        release = getattr(openblas, "clear_controlling_thread", None)
        if release is None or not all(map(_is_shared, self._controller.lib_controllers)):
            _in_new_thread(function)
        else:
            function()
            release()

    def _set(self):
        self._limit = self._controller.limit(limits=1)
        self._limit.__enter__()

    def _lift(self):
        self._limit.__exit__(None, None, None)
        self._limit = None

    def _forget_others(self):
        own = threading.get_ident()
        self._users = Counter({own: self._users[own]}) if self._users[own] else Counter()


def _is_shared(library):
    """Whether all who call a library share its threads: others than OpenBLAS with threads of its
    own count them by caller, and a session may have several."""
    return library.internal_api == "openblas" and library.threading_layer != "openmp"


def _is_single(library):
    """Whether a library has one thread for all who call it."""
    return _is_shared(library) and library.num_threads == 1


def _in_new_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


single_threaded = _SingleThreaded()
