"""All cases by name. A case takes its size and the number of repeats, and returns a result.

A result is JSON-serialisable. Races have the fields of ``harness.run_case``; the others come with
a table that is ready to print. Both have lines for the summary.
"""

from functools import partial

from benchmarks import (
    classification,
    embedding,
    fresh,
    growth,
    l1,
    paths,
    predict,
    ranking,
    ranking_quality,
    reads,
    regression,
    searches,
    stochastic,
)  # fmt: skip
from benchmarks.harness import LIMIT, run_case
from benchmarks.race import Spec
from benchmarks.summary import race_lines

QUICK_LIMIT = 0.3  # seconds, instead of the limit of a full run
WARM = 600  # rows of the tiny problem that everyone is warmed up on


def run_race(spec: Spec, limit: float, quick: bool, repeats: int) -> dict:
    """Build a case at its size, and measure it."""
    limit = QUICK_LIMIT if quick else limit
    case = spec.build(spec.quick if quick else spec.size)
    result = run_case(case, spec.build(WARM), repeats, limit, spec.patience)
    kept = ("row", "ratio", "target", "finest", "versus", "companion")
    result |= {name: getattr(spec, name) for name in kept} | {"limit": limit}
    return result | {"summary": race_lines(result)}


def cases(limit: float = LIMIT) -> dict:
    """``run(quick, repeats) -> result`` by name, in the order of the targets.

    ``limit`` is how many seconds a contestant may climb.
    """
    races = classification.SPECS | l1.SPECS | regression.SPECS | ranking.SPECS
    races |= paths.SPECS | searches.SPECS
    in_order = sorted(races.items(), key=lambda item: item[1].row or 100)
    found = {name: partial(run_race, spec, limit) for name, spec in in_order}
    found |= {
        "embedding-epochs": embedding.run_epochs,
        "embedding-digits": embedding.run_digits,
        "embedding-tables": embedding.run_tables,
        "embedding-values": embedding.run_values,
    }
    quality = {
        "ranking-quality-letor": ranking_quality.run_letor,
        "ranking-quality-flights": ranking_quality.run_flights,
    }
    others = {"fresh": fresh.run, "growth": growth.run, "predict": predict.run, "reads": reads.run}
    return found | quality | stochastic.CASES | others
