"""What a person looks at first: a line for each comparison, sorted by kind, and who is ahead.

A line is a dict: ``case``; ``ours`` and ``theirs`` (None: no peer gets there) in ``unit`` (seconds,
if it has none); ``peer``; ``passes``; ``bar``, the least ratio theirs ÷ ours that is aimed at; or
``most``, the largest value of ours; ``target``, the same in words; ``bound``, what a ratio is more
than if no peer got there.
"""

from fnmatch import fnmatch
from statistics import median

from benchmarks.harness import LEVELS, OURS

# Kinds of work, by what the names of cases begin with.
FAMILIES = {
    "hinge": ("Hinge losses", ("hinge-", "squared-hinge-", "crammer-")),
    "logistic": ("Logistic and cross entropy", ("logistic-", "cross-")),
    "l1": ("L1 penalties", ("l1-",)),
    "regression": ("Quantiles and Huber", ("quantile-", "absolute-", "huber-")),
    "ranking": ("Ranking", ("rank-",)),
    "embeddings": ("Embeddings", ("embedding-",)),
    "stochastic": ("Stochastic methods, by epoch", ("sgd-",)),
    "paths": ("Paths of penalties", ("path-", "search-")),
    "process": ("Starting, growing, predicting", ("fresh", "growth", "predict", "reads")),
}

# Lines of the overview, by patterns of the names of cases; the first that fits counts.
TASKS = {
    "hinge, dense": ["hinge-dense*"],
    "hinge, text": ["hinge-sparse*"],
    "squared hinge, text": ["squared-hinge-*"],
    "Crammer-Singer": ["crammer-*"],
    "logistic, dense": ["logistic-dense*"],
    "logistic, text": ["logistic-sparse*"],
    "cross entropy": ["cross-*"],
    "L1, dense": ["l1-*-dense*", "l1-*-wide"],
    "L1, text": ["l1-*"],
    "five quantiles": ["quantile-five*"],
    "quantile, absolute": ["quantile-*", "absolute-*"],
    "Huber": ["huber-*"],
    "ranking, hinge": ["rank-*-hinge"],
    "ranking, squared hinge": ["rank-*"],
    "flights": ["flights-*"],
    "embeddings": ["embedding-*"],
    "sgd, dense": ["sgd-*-dense"],
    "sgd, text": ["sgd-*"],
    "paths": ["path-*"],
    "choice of alpha": ["search-*"],
    "fresh process": ["fresh"],
    "prediction": ["predict"],
}


def family_of(case: str) -> str | None:
    """Family of a case by its name; None for cases without a comparison."""
    case = case.removeprefix("flights-").removeprefix("hashed-") + "-"
    for family, (_, beginnings) in FAMILIES.items():
        if case.startswith(beginnings):
            return family
    return None


# --- lines of a race ---


def race_lines(result: dict) -> list[dict]:
    """Ours with default settings beside the best peer, and beside those that are named."""
    levels = result.get("levels", LEVELS)
    wanted = [f"≥ {result['ratio']:g}"] if result["ratio"] else []
    wanted += [result["target"]] if result["target"] else []
    first = _best(result, 0) | {"bar": result["ratio"], "target": ", ".join(wanted)}
    lines = [first]
    if result.get("finest"):
        bar = result["finest"]
        line = _best(result, -1) | {"bar": bar, "target": f"≥ {bar:g}"}
        lines.append(line | {"case": f"{line['case']}, to {power(levels[-1])}"})
    for name, bar in result.get("versus", {}).items():
        lines += [
            first | {"peer": row["name"], "theirs": _seconds(row), "bar": bar,
                     "target": f"≥ {bar:g}", "bound": _bound([row], first["ours"])}
            for row in result["rows"]
            if row["name"].startswith(name) and row["longest"]
        ]  # fmt: skip
    if result.get("versus"):
        lines = lines[1:] or lines  # the best peer is one of those that are named
    if result.get("companion"):
        lines.append(_beside_companion(result))
    return lines


def _best(result, level):
    ours = result["rows"][0]
    peers = [row for row in result["rows"] if row["package"] != OURS and row["comparable"]]
    reached = [row for row in peers if row["time"][level]]
    best = min(reached, key=lambda row: row["time"][level], default=None)
    line = {"case": result["title"], "ours": ours["time"][level], "passes": ours["passes"]}
    if best is not None:
        return line | {"peer": best["name"], "theirs": best["time"][level]}
    ran = [row for row in peers if row["longest"]]
    name = "none reaches it" if ran else "no peer"
    return line | {"peer": name, "theirs": None, "bound": _bound(ran, line["ours"])}


def _seconds(row):
    """To the first level; of a peer with another objective, of its quickest run."""
    if row["comparable"]:
        return row["time"][0]
    return min(median(rung["seconds"]) for rung in row["rungs"])


def _bound(rows, ours):
    """Who did not get there in this time would need longer."""
    return min((row["longest"] for row in rows), default=0) / ours if rows and ours else None


def _beside_companion(result):
    """The related fit of ours as the unit of time: its quickest run that is good enough."""
    ours, most = result["rows"][0]["time"][0], result["companion"]
    row = next(r for r in result["rows"] if r["package"] == OURS and not r["comparable"])
    rungs = [rung for rung in row["rungs"] if rung["excess"] <= LEVELS[0]] or row["rungs"]
    unit = min(median(rung["seconds"]) for rung in rungs)
    name = row["name"].removeprefix("sklearn_margin, ")
    return {
        "case": f"{result['title']} ÷ {name}", "ours": ours and ours / unit, "unit": "×",
        "passes": None, "peer": "", "theirs": None, "bar": None, "most": most,
        "target": f"≤ {most:g} ×",
    }  # fmt: skip


# --- who is ahead ---


def ratio(line: dict) -> float | None:
    """Time (or error) of the peer ÷ ours."""
    return line["theirs"] / line["ours"] if line["theirs"] and line["ours"] else None


def verdict(line: dict) -> str:
    """ "met" (the target), "ahead" (of the peer), "lost", or nothing to say."""
    if not line["ours"] and line["ours"] != 0:
        return "lost"
    if line.get("most") is not None:
        return "met" if line["ours"] <= line["most"] else "lost"
    value = ratio(line)
    if value is None:
        if line["peer"] in ("", "no peer"):
            return "–"
        return "met" if line["bar"] and (line.get("bound") or 0) >= line["bar"] else "ahead"
    if line["bar"] and value >= line["bar"]:
        return "met"
    # A bar below 1 is an allowance: what is more than it allows is lost.
    return "ahead" if value >= 1 else "lost"


def by_family(results: dict) -> dict:
    """Lines of all results, by family, those without lines left out."""
    found = {family: [] for family in FAMILIES}
    for name, result in results.items():
        family = family_of(name)
        if family:
            found[family] += [line | {"row": result["row"]} for line in result["summary"]]
    return {family: lines for family, lines in found.items() if lines}


def by_task(results: dict) -> dict:
    """Lines that have a ratio or a bound of one, by the task of the overview."""
    found = {task: [] for task in TASKS}
    for name, result in results.items():
        task = next((t for t, ways in TASKS.items() if any(fnmatch(name, w) for w in ways)), None)
        if task:
            found[task] += [x for x in result["summary"] if ratio(x) or (x.get("bound") or 0) > 1]
    return {task: lines for task, lines in found.items() if lines}


# --- tables ---


def number(value, digits=3) -> str:
    """A number as people write it, or a dash."""
    if value is None:
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def power(level: float) -> str:
    """A level such as 1e-4."""
    return f"{level:.0e}".replace("e-0", "e-")


def ratio_text(line: dict) -> str:
    """The ratio, a bound of it, or a dash."""
    if ratio(line) is not None:
        return number(ratio(line), 2 if ratio(line) < 100 else 3)
    bound = line.get("bound")
    return f"> {number(bound, 2)}" if bound and bound > 1 else "–"


def summary_table(results: dict) -> str:
    """All lines as Markdown, a table for each family."""
    parts = [_count(results)]
    for family, lines in by_family(results).items():
        parts.append(f"### {FAMILIES[family][0]}\n\n{_family_table(lines)}")
    return "\n".join(parts)


def _count(results):
    lines = [line for lines in by_family(results).values() for line in lines]
    found = [verdict(line) for line in lines]
    aimed = sum(bool(line["bar"] or line.get("most") is not None) for line in lines)
    return (
        f"{len(lines)} comparisons: {found.count('met')} of {aimed} with a target meet it, in "
        f"{found.count('ahead')} more we are ahead of the best peer, {found.count('lost')} are "
        "**lost**.\n"
    )


def _family_table(lines):
    head = ["row", "case", "ours", "best peer that gets there", "theirs", "ratio", "target", ""]
    table = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for line in lines:
        unit = line.get("unit", "s")
        ours = with_unit(line["ours"], unit) if line["ours"] is not None else "not reached"
        found = verdict(line)
        cells = [
            str(line["row"] or "–"), line["case"], ours, line["peer"] or "–",
            with_unit(line["theirs"], unit), ratio_text(line), line["target"] or "–",
            f"**{found}**" if found == "lost" else found,
        ]  # fmt: skip
        table.append("| " + " | ".join(cells) + " |")
    return "\n".join(table) + "\n"


def with_unit(value: float | None, unit: str) -> str:
    """A time, an error or a count; a dash for None."""
    if value is None:
        return "–"
    if unit == "error":
        return f"{value:.1e}"
    if unit == "s":
        return number(value) + " s" if value >= 1e-3 else f"{value * 1e6:.3g} µs"
    return f"{number(value)} {unit}".rstrip()
