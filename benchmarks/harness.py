"""Time to reach the same objective, measured the same way for everyone.

A *case* has an objective F that scores any solution, and contestants. The reference is F at a very
tight solution of ours. A contestant climbs its ladder of tolerances (or of numbers of iterations)
from loose to tight, and every solution is scored by F. It stops once it is within the last of the
case's levels (1e-4 and 1e-6, for most) of the reference, relatively, when another rung as long as
the last would be more than it is given, or when the last rungs gave the same value. A peer is given
30 times what we need to the first level, but at least 2 s and at most the limit.

Then the quickest rungs that came within a level of the best value known, the reference or a better
one, are repeated, the contestants taking turns: often if they are short, not at all if they are
long. The time of a contestant is the smallest median among its rungs that reach the level. "Not
reached" is a result, and so is "not installed".
"""

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from statistics import median

LEVELS = (1e-4, 1e-6)
THREADS = 2
LIMIT = 15.0  # seconds that a contestant may climb, if our own time does not say less
PATIENCE, LEAST = 30, 2.0  # of our own time, and at least so many seconds
SPENT = 3.0  # seconds of repeats of a rung: one that takes longer is run once
NEAR = 1.5  # rungs that take up to so much longer than the quickest are repeated, too
OURS = "sklearn-margin"


@dataclass
class Contestant:
    """A way to solve a case."""

    name: str
    fit: Callable  # fit(rung) -> whatever the objective of the case takes
    rungs: tuple  # from loose to tight
    package: str = OURS
    note: str = ""
    comparable: bool = True  # False: minimises something else; time and metric are shown
    prepare: Callable | None = None  # what is not its time, such as to write a file that it reads


@dataclass
class Case:
    """A problem and those who try to solve it."""

    title: str
    objective: Callable  # objective(solution) -> float
    contestants: list[Contestant]  # the first is ours, with default settings
    reference: Callable  # a solution that is accurate beyond the last level
    yardstick: Callable  # one X @ w and one X.T @ r
    metric: tuple[str, Callable] | None = None  # name, metric(solution) -> float
    notes: list[str] = field(default_factory=list)
    levels: tuple = LEVELS  # of the relative error of the objective


def run_case(
    case: Case, tiny: Case, repeats: int, limit: float = LIMIT, patience: float = PATIENCE
) -> dict:
    """Measure a case.

    Parameters
    ----------
    case, tiny : Case
        The case, and the same on a few rows, on which everyone is warmed up.
    repeats : int
        Most runs of a rung that reaches a level.
    limit : float, default=15
        Seconds that a contestant may climb.
    patience : float, default=30
        The same, in times of ours.

    Returns
    -------
    dict
        JSON-serialisable: for each contestant seconds by level, distance from the reference,
        passes over the data.
    """
    start = [_clock(case.yardstick)[0] for _ in range(5)]
    reference = float(case.objective(case.reference()))
    racers = [_Racer(c, case.levels) for c in case.contestants]
    given = limit
    for racer, warm in zip(racers, tiny.contestants, strict=True):
        racer.warm_up(warm)
        racer.climb(case, reference, given)
        if racer is racers[0]:
            ours = racer.quickest(reference)
            given = min(limit, max(patience * ours, LEAST)) if ours else limit
    comparable = [racer.values.values() for racer in racers if racer.contestant.comparable]
    best = min(reference, *chain.from_iterable(comparable))
    for _ in range(repeats - 1):
        for racer in racers:
            racer.repeat(best)
    yardstick = median(start + [_clock(case.yardstick)[0] for _ in range(5)])
    return {
        "title": case.title,
        "levels": case.levels,
        "best": best,
        "yardstick": yardstick,
        "metric": case.metric[0] if case.metric else None,
        "notes": case.notes,
        "rows": [racer.summary(best, yardstick) for racer in racers],
    }


class _Racer:
    """A contestant and what it has done."""

    def __init__(self, contestant, levels):
        self.contestant, self.levels = contestant, levels
        self.problem = None if installed(contestant.package) else "not installed"
        self.seconds, self.values, self.metric = {}, {}, None

    def warm_up(self, tiny):
        """Import, compile and load libraries outside the measured time."""
        before = self.problem
        if not before and self.contestant.prepare:
            self.contestant.prepare()
        for rung in (tiny.rungs[0], tiny.rungs[len(tiny.rungs) // 2]):
            self._timed(tiny, rung)
        self.problem = before  # who fails on the tiny problem may still solve the real one

    def climb(self, case, reference, limit):
        """Run each rung once, until one is as good as the reference.

        A value *below* the reference by more than the last level does not end the climb: then
        the reference was not accurate, and this contestant may still improve.
        """
        for rung in self.contestant.rungs:
            elapsed, solution = self._timed(self.contestant, rung)
            if self.problem:
                return
            value = float(case.objective(solution))
            value = value if math.isfinite(value) else math.inf
            self.seconds[rung], self.values[rung] = [elapsed], value
            if case.metric:
                self.metric = float(case.metric[1](solution))
            arrived = abs(value - reference) <= self.levels[-1] * abs(reference)
            spent = sum(seconds for (seconds,) in self.seconds.values())
            if arrived or spent + elapsed > limit or self._is_stuck():
                return

    def quickest(self, best, level=0):
        """Seconds of the quickest rung, run once, that reaches a level; None if none does."""
        reached = [
            self.seconds[rung][0]
            for rung, excess in self._excess(best).items()
            if excess <= self.levels[level]
        ]
        return min(reached, default=None)

    def _is_stuck(self):
        """Whether the last rungs changed nothing, after some progress."""
        values = list(self.values.values())
        return len(set(values[-3:])) == 1 and values[-1] < values[0]

    def repeat(self, best):
        """Run the rungs that may count once more, unless they have had their time."""
        if not self.contestant.comparable and self.contestant.package != OURS:
            return
        counting = set() if self.contestant.comparable else set(self.values)
        for k, level in enumerate(self.levels):
            quickest = self.quickest(best, k)
            counting |= {
                rung
                for rung, excess in self._excess(best).items()
                if excess <= level and self.seconds[rung][0] <= NEAR * quickest
            }
        for rung in (r for r in self.values if r in counting):
            seconds = self.seconds[rung]
            if sum(seconds) + seconds[0] <= SPENT:
                seconds.append(self._timed(self.contestant, rung)[0])

    def _timed(self, contestant, rung):
        """Seconds and solution of a rung; a failure is noted, and ends the race for this one."""
        if self.problem:
            return None, None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return _clock(lambda: contestant.fit(rung))
        except Exception as error:  # whatever a peer raises must not lose the results of others
            self.problem = f"{type(error).__name__}: {str(error).splitlines()[0][:100]}"
            return None, None

    def _excess(self, best):
        return {rung: (value - best) / abs(best) for rung, value in self.values.items()}

    def summary(self, best, yardstick):
        c, excess = self.contestant, self._excess(best)
        times = {rung: median(seconds) for rung, seconds in self.seconds.items()}
        row = {
            "name": c.name, "package": c.package, "note": c.note, "comparable": c.comparable,
            "problem": self.problem, "metric": self.metric,
            "rungs": [
                {"rung": rung, "seconds": self.seconds[rung], "excess": excess[rung]}
                for rung in times
            ],
        }  # fmt: skip
        reached = [
            [t for rung, t in times.items() if excess[rung] <= level] for level in self.levels
        ]
        row["time"] = [min(t) if t and c.comparable else None for t in reached]
        row["passes"] = row["time"][0] / yardstick if row["time"][0] else None
        row["closest"] = min(excess.values()) if excess else None
        row["longest"] = max(times.values()) if times else None
        return row


def _clock(function):
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def installed(package: str) -> bool:
    """Whether a distribution is installed; ours need not be, it can be run from a checkout."""
    if package == OURS:
        return True
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True
