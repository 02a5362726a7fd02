"""What a fit on a cluster costs besides its arithmetic: on paper, and by a simulation of messages.

The design: the solver runs at the client. In an evaluation each worker gets one task, over the
parts that it holds, and returns terms of sums: a few numbers and a vector of d, where the Hessian
is wanted a d × d matrix, too. Nothing that travels grows with the number of rows. Terms come back
by part, are summed by the worker, or are summed in a tree of tasks.

The simulation follows every message: the client makes and sends tasks one after the other, the
scheduler is one queue with a fixed time for each task, results cross the scheduler on their way to
the client, whose one thread unpickles and adds them. What pickling and adding cost is measured
where it runs (``speeds``), what the network and the scheduler cost is assumed (``Costs``).

``python -m benchmarks.messages`` prints the tables of the guide; with ``--measure`` the same
messages are sent by Dask between two processes, which needs ``pip install ".[bench-scale]"``.
"""

import argparse
import contextlib
import heapq
import io
import pickle
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import NamedTuple

import numpy as np

WORKERS = (2, 10, 100, 1000)
WAYS = ("by part", "by worker", "in a tree")
FAN_IN = 16  # of a tree
KEY = 120  # bytes of a part's name and the address of its worker


@dataclass(frozen=True)
class Costs:
    """Seconds and bytes per second."""

    latency: float = 1e-3  # of a message, until it is looked at
    task: float = 1 / 4000  # of the scheduler, half when a task comes and half when it is done
    submit: float = 3e-4  # of the client, for each task
    notice: float = 2e-5  # of the client, when it is told of the end of a task
    bandwidth: float = 1.25e9  # 10 Gbit/s, each way, of every machine
    memory: float = 50e9  # of a worker, whose threads share it


@dataclass(frozen=True)
class Evaluation:
    """What is asked of the cluster once."""

    workers: int
    parts: int = 16  # of each worker
    d: int = 100
    hessian: bool = False
    way: str = "by part"

    @property
    def term(self):
        """What there is to know of the terms of a part."""
        return speeds(self.d, self.hessian)

    @property
    def question(self) -> int:
        """Bytes of a task: parameters, the loss, shift and scale of the columns, names of parts."""
        return 3 * 8 * self.d + 2000 + self.parts * KEY

    @property
    def n_terms(self) -> int:
        """Terms that a worker returns."""
        return self.parts if self.way == "by part" else 1

    @property
    def answer(self) -> int:
        """Their bytes."""
        return self.term.size * self.n_terms


def make_term(d, hessian):
    """As an evaluation returns them for a part: sums, a gradient and perhaps a Hessian."""
    return [0.5] * 8, np.ones(d), np.ones((d, d)) if hessian else 0.0


class Term(NamedTuple):
    """Bytes of the terms of a part, and seconds to pickle, unpickle and add them."""

    size: int
    pickle: float
    unpickle: float
    add: float


@cache
def speeds(d, hessian, n=100) -> Term:
    """Measured with more terms than fit into a cache, if there is a Hessian."""
    terms = [make_term(d, hessian) for _ in range(n)]
    packed = [pickle.dumps(term) for term in terms]

    def add():
        return [sum(parts) for parts in list(zip(*terms, strict=True))[1:]]

    return Term(
        len(packed[0]),
        _least(lambda: [pickle.dumps(term) for term in terms]) / n,
        _least(lambda: [pickle.loads(one) for one in packed]) / n,
        _least(add) / n,
    )


def _least(function, repeats=5):
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


class _Queue:
    """One that does one thing after another, in the order in which they come."""

    def __init__(self):
        self.free = 0.0

    def serve(self, now, seconds):
        """When something is done that comes now."""
        self.free = max(self.free, now) + seconds
        return self.free


class Simulation:
    """Events of one evaluation, in the order of their times."""

    def __init__(self, evaluation: Evaluation, costs: Costs, work: Callable[[int], float]):
        self.e, self.costs, self.work = evaluation, costs, work
        self.events, self.order, self.n_messages = [], count(), 0
        self.client, self.scheduler = _Queue(), _Queue()
        self.into, self.out = _Queue(), _Queue()  # the network of the scheduler
        self.told, self.arrived, self.end = 0, 0, 0.0

    def run(self) -> float:
        """Seconds until the client has the sums."""
        self._send(0.0, self._asked_where)
        while self.events:
            now, _, what, arguments = heapq.heappop(self.events)
            what(now, *arguments)
        return self.end

    def _at(self, when, what, *arguments):
        heapq.heappush(self.events, (when, next(self.order), what, arguments))

    def _send(self, now, what, *arguments):
        self.n_messages += 1
        self._at(now + self.costs.latency, what, *arguments)

    # --- the events ---

    def _asked_where(self, now):
        """The client has asked which worker holds which part."""
        size = KEY * self.e.workers * self.e.parts
        self._send(self.out.serve(now, size / self.costs.bandwidth), self._submit)

    def _submit(self, now):
        """The client makes and sends a task for each worker, and those of the tree."""
        levels = self._levels()
        self.waiting = [[len(children) for children in level] for level in levels]
        self.levels, self.n_tasks = levels, self.e.workers + sum(map(len, levels))
        for k in range(self.e.workers):
            self._send(self.client.serve(now, self.costs.submit), self._schedule, k)
        for level in levels:
            for _ in level:
                self.client.serve(now, self.costs.submit)

    def _levels(self):
        """Of a tree: for each level lists of the tasks below that a task adds up."""
        levels, width = [], self.e.workers
        while self.e.way == "in a tree" and width > 1:
            levels.append(
                [range(k, min(k + FAN_IN, width)) for k in range(0, width, FAN_IN)]
            )  # fmt: skip
            width = len(levels[-1])
        return levels

    def _schedule(self, now, k):
        done = self.scheduler.serve(now, self.costs.task / 2)
        self._send(self.out.serve(done, self.e.question / self.costs.bandwidth), self._start, k)

    def _start(self, now, k):
        """A worker does its work; several of its terms are added up there."""
        adds = 0 if self.e.way == "by part" else self.e.parts * self.e.term.add
        done = now + self.work(k) + adds + self.e.n_terms * self.e.term.pickle
        self._send(done, self._finished, 0, k)

    def _finished(self, now, level, k):
        """The scheduler is told that a task of a level is done."""
        now = self.scheduler.serve(now, self.costs.task / 2)
        if level == len(self.levels):
            self._send(now, self._notice)
            return
        above = k // FAN_IN
        self.waiting[level][above] -= 1
        if self.waiting[level][above] == 0:
            now = self.scheduler.serve(now, self.costs.task / 2)
            self._send(now, self._add, level, above)

    def _add(self, now, level, k):
        """A worker fetches what a task of the tree adds up."""
        n, term = len(self.levels[level][k]), self.e.term
        fetched = now + 2 * self.costs.latency + (n - 1) * term.size / self.costs.bandwidth
        self.n_messages += 2 * (n - 1)
        done = fetched + n * (term.unpickle + term.add) + term.pickle
        self._send(done, self._finished, level + 1, k)

    @property
    def n_answers(self):
        """How many come to the client."""
        return 1 if self.e.way == "in a tree" else self.e.workers

    def _notice(self, now):
        """The client is told that a task is done; after the last it gathers, by the scheduler."""
        now = self.client.serve(now, self.costs.notice)
        self.told += 1
        if self.told == self.n_answers:
            self._send(now, self._gather)

    def _gather(self, now):
        for _ in range(self.n_answers):
            self.n_messages += 1
            self._send(now + self.costs.latency, self._answer)

    def _answer(self, now):
        now = self.into.serve(now, self.e.answer / self.costs.bandwidth)
        self.arrived += 1
        if self.arrived == self.n_answers:
            self._send(self.out.serve(now, self.received / self.costs.bandwidth), self._sum)

    def _sum(self, now):
        term = self.e.term
        seconds = self.n_answers * self.e.n_terms * (term.unpickle + term.add)
        self.end = self.client.serve(now, seconds)

    @property
    def received(self):
        """Bytes that reach the client."""
        return self.n_answers * self.e.answer


def overhead(evaluation: Evaluation, costs: Costs) -> float:
    """Seconds of an evaluation whose work takes no time."""
    return Simulation(evaluation, costs, lambda k: 0.0).run()


# --- measured where it runs ---


def bytes_read(d=100, n=300_000) -> float:
    """Bytes of a float32 X that one thread reads in a second, on average over a logistic fit."""
    from sklearn_margin import LinearClassifier

    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d), dtype=np.float32)
    y = X @ rng.standard_normal(d) + 5 * rng.logistic(size=n) > 0
    model = LinearClassifier("logistic", n_jobs=1).fit(X[:2000], y[:2000])  # loads kernels
    seconds = _least(lambda: model.fit(X, y), repeats=3)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        model.set_params(verbose=1).fit(X, y)
    reads = float(re.findall(r"([\d.e+]+) reads of X", printed.getvalue())[-1])
    return reads * X.nbytes / seconds


def dask_overhead(parts=8, d=100, hessian=False, repeats=20) -> float:
    """Median seconds of the same messages, sent by Dask between this and two other processes."""
    from dask.distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        held = client.map(int, range(2 * parts), pure=False)
        client.gather(held)
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            shares: dict = {}
            for one, (address, *_) in zip(held, client.who_has(held).values(), strict=True):
                shares.setdefault(address, []).append(one)
            tasks = [
                client.submit(
                    _answers, d, hessian, share, workers=[address], allow_other_workers=True,
                    pure=False,
                )
                for address, share in shares.items()
            ]  # fmt: skip
            terms = [term for answer in client.gather(tasks) for term in answer]
            sum(term[1] for term in terms), sum(term[2] for term in terms)
            times.append(time.perf_counter() - start)
    return float(np.median(times))


def _answers(d, hessian, parts):
    return [make_term(d, hessian) for _ in parts]


# --- on paper ---


def paper(n, d, workers, threads, parts, costs, reading, reads=7, hessians=3, short=6):
    """Lines about a fit of n × d in float32: bytes, seconds per read, messages."""
    size, by_row = 4 * n * d, 20 * n
    read = size / workers / min(threads * reading, costs.memory)
    lines = [
        f"{n:,} × {d} float32 on {workers} workers of {threads} threads, {parts} parts each",
        f"X: {size / 1e9:,.0f} GB, {size / workers / 1e9:.2g} GB for each worker; "
        f"by row besides: {by_row / 1e9:,.0f} GB; a read of X: {read:.2g} s",
    ]
    for way in WAYS:
        plain = _simulated(Evaluation(workers, parts, d, False, way), costs)
        curved = _simulated(Evaluation(workers, parts, d, True, way), costs)
        lost = (reads - hessians + short) * plain.end + hessians * curved.end
        total = reads * read + lost
        lines.append(
            f"{way}: {plain.n_messages:,} messages, {1e3 * plain.end:.0f} ms and "
            f"{plain.received / 1e6:.2g} MB for an evaluation, with a Hessian "
            f"{1e3 * curved.end:.0f} ms and {curved.received / 1e6:.2g} MB; a fit of {reads} "
            f"reads, {hessians} of them with a Hessian, and {short} looks along lines: "
            f"{total:.1f} s, {lost:.1f} s of it overhead"
        )
    return lines


def _simulated(evaluation, costs):
    """After its end, an evaluation whose work takes no time."""
    simulation = Simulation(evaluation, costs, lambda k: 0.0)
    simulation.run()
    return simulation


def table(costs: Costs, d=100, parts=16) -> str:
    """Milliseconds of overhead, and megabytes that reach the client, as Markdown."""
    lines = ["| evaluation | " + " | ".join(f"{w:,} workers" for w in WORKERS) + " |"]
    lines.append("|---" * (1 + len(WORKERS)) + "|")
    for hessian in (False, True):
        for way in WAYS:
            what = "with a Hessian" if hessian else "value and gradient"
            cells = [f"{what}, {way}"]
            for workers in WORKERS:
                found = _simulated(Evaluation(workers, parts, d, hessian, way), costs)
                cells.append(f"{1e3 * found.end:,.0f} ms, {found.received / 1e6:.2g} MB")
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(arguments=None) -> int:
    """Print speeds, tables and what is known of a fit of 10⁹ × 100."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.messages", description=__doc__)
    parser.add_argument("--measure", action="store_true", help="send messages by Dask, too")
    options = parser.parse_args(arguments)
    costs, reading, term = Costs(), bytes_read(), speeds(100, True)
    print(f"a thread reads {reading / 1e9:.2g} GB/s of X; a term with a Hessian, d = 100, has")
    micro = [round(1e6 * seconds) for seconds in term[1:]]
    print(f"{term.size / 1e3:.0f} kB; to pickle, unpickle and add it takes {micro} µs")
    print(f"\noverhead of an evaluation, and what reaches the client:\n\n{table(costs)}\n")
    print("\n".join(paper(10**9, 100, 100, 8, 16, costs, reading)))
    if options.measure:
        print("\n2 processes, 8 parts each, d = 100: simulated, and by Dask")
        for hessian in (False, True):
            asked = Evaluation(2, 8, 100, hessian)
            found = dask_overhead(hessian=hessian)
            what = "with a Hessian" if hessian else "value and gradient"
            print(f"{what}: {1e3 * overhead(asked, costs):.1f} ms, {1e3 * found:.1f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
