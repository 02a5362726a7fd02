"""Blocks of a table on Dask, where they are: with the workers of a cluster, or in this process."""

from __future__ import annotations

import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from sklearn_margin._tables import InThreads
from sklearn_margin.objective._blas import single_threaded
from sklearn_margin.objective.parts import merged

__all__ = ["Cluster", "InProcess", "computed"]


def computed(tasks) -> Cluster | InProcess:
    """Blocks as they are computed, by the current client if there is one."""
    client = _client()
    if client is not None:
        return Cluster(client, client.compute(tasks))
    import dask

    return InProcess(list(dask.compute(*tasks)))


def _client():
    """The current client of ``distributed``; None if there is none, or another scheduler is set."""
    if "distributed" not in sys.modules:
        return None
    import dask
    from distributed import Client, get_client

    scheduler = dask.config.get("scheduler", None)
    if isinstance(scheduler, Client):
        return scheduler
    if scheduler not in (None, "dask.distributed", "distributed"):
        return None

    try:
        return get_client()
    except ValueError:
        return None


class Cluster:
    """Blocks that are held by the workers of a ``Client``."""

    def __init__(self, client, held):
        self.client, self.held = client, held

    def each(self, function, *arguments, index=False) -> Cluster:
        """New blocks, each from one where it is."""
        n = len(self.held)
        numbers = [range(n)] if index else []
        constants = ([value] * n for value in arguments)
        return self.of(self.client.map(function, self.held, *numbers, *constants, pure=False))

    def of(self, held) -> Cluster:
        """Other blocks in the same place."""
        return Cluster(self.client, held)

    def submit(self, function, *arguments):
        """A block made of others."""
        return self.client.submit(function, *arguments, pure=False)

    def get(self, held):
        """Blocks that are small, here."""
        with _nothing_is_lost():
            return self.client.gather(held)

    def map(self, function, *arguments, reads=True):
        """``function(block, *arguments)`` of each: one task for each worker.

        Arguments are packed once for all; arrays are aligned when they are unpacked from that.
        """
        import cloudpickle

        shares, packed = self._shares(), cloudpickle.dumps(arguments)
        tasks = [
            self.client.submit(
                _on_parts, function, packed, [self.held[k] for k in share],
                workers=worker, allow_other_workers=worker is not None, pure=False, retries=2,
            )
            for worker, share in shares
        ]  # fmt: skip
        found = [None] * len(self.held)
        for (_, share), results in zip(shares, self.get(tasks), strict=True):
            for k, result in zip(share, results, strict=True):
                found[k] = result
        return found

    def _shares(self):
        """Which worker works at which blocks: one that holds them, so that no block moves."""
        with _nothing_is_lost():
            for one in self.held:  # what is being computed is nowhere yet
                error = None if one.status == "finished" else one.exception()
                if error is not None:
                    raise error
            where = self.client.who_has(self.held)
        shares: dict[str, list[int]] = {}
        nowhere = []
        for k, one in enumerate(self.held):
            workers = where.get(one.key, ())
            if workers:
                least = min(workers, key=lambda worker: (len(shares.get(worker, ())), worker))
                shares.setdefault(least, []).append(k)
            else:  # lost since
                nowhere.append((None, [k]))
        return [*shares.items(), *nowhere]

    def session(self):
        """One thread of BLAS in this process, too, where the sample is solved."""
        return single_threaded


@contextmanager
def _nothing_is_lost():
    """Say what to do if blocks are gone for good."""
    from distributed import CancelledError

    try:
        yield
    except CancelledError as error:
        raise RuntimeError(
            "a part of the data was lost with its worker and cannot be computed again: data "
            "that was sent there by scatter has no other source. Build the collection from "
            "files or delayed functions, and persist it"
        ) from error


class InProcess(InThreads):
    """Blocks that are held by this process, where there is no cluster."""

    def __init__(self, held, n_jobs=None):
        super().__init__(n_jobs)
        self.held = held

    def each(self, function, *arguments, index=False):
        """As ``Cluster.each``."""
        return InProcess([
            function(one, *((k,) if index else ()), *arguments) for k, one in enumerate(self.held)
        ])  # fmt: skip

    def of(self, held) -> InProcess:
        """As ``Cluster.of``."""
        return InProcess(held)

    def submit(self, function, *arguments):
        """A block made of others."""
        return function(*arguments)

    def get(self, held):
        """Blocks, here."""
        return held

    def map(self, function, *arguments, reads=True):
        """``function(block, *arguments)`` of each."""
        run = map if self._pool is None else self._pool.map
        return list(run(lambda one: function(one, *arguments), self.held))


# --- what a worker does ---


def _on_parts(function, packed, parts):
    """What a worker does in an evaluation: its parts by its threads, in their order."""
    arguments = pickle.loads(packed)
    with single_threaded, ThreadPoolExecutor(_threads()) as pool:
        found = list(pool.map(lambda part: function(part, *arguments), parts))
    return merged(found, arguments)


def _threads():
    from distributed import get_worker

    return get_worker().state.nthreads
