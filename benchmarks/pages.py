"""Results as reStructuredText, for the page of the documentation that includes them."""

from pathlib import Path

from benchmarks.summary import by_task, number, ratio, ratio_text, verdict, with_unit

FOLDER = "../benchmarks/results"  # from the page
# One case of each kind, for those who look no further.
HEADLINES = (
    "hinge-dense", "quantile-dense-alpha0", "quantile-dense-small", "quantile-five", "huber-dense",
    "logistic-dense", "cross-entropy-dense-intercept", "l1-logistic-dense", "hinge-sparse-C1",
    "squared-hinge-sparse-C1", "logistic-sparse-C1", "l1-logistic-sparse-C1",
    "rank-one-query-distinct-256k", "rank-queries", "rank-queries-hinge", "path-l1-logistic-dense",
)  # fmt: skip


def page(results: dict, pictures: dict, measured: str) -> str:
    """Machine, headlines, and the overview by task with its picture; then the other pictures."""
    overview, *others = [_picture(*picture) for picture in pictures.items()] or [""]
    return "\n".join(
        [f"Measured on {measured}\n", _headlines(results), overview, _tasks(results), *others]
    )


def _picture(path: Path, title: str):
    return f".. image:: {FOLDER}/{path.name}\n   :alt: {title}\n   :width: 560px\n"


def _table(rows, widths):
    lines = [
        ".. list-table::",
        "   :class: cases",
        "   :header-rows: 1",
        f"   :widths: {widths}",
        "",
    ]
    for row in rows:
        lines += [f"   {'-' if k else '* -'} {cell}".replace("   - ", "     - ").rstrip()
                  for k, cell in enumerate(row)]  # fmt: skip
    return "\n".join(lines) + "\n"


def _headlines(results):
    rows = [["problem", "sklearn_margin", "best peer that gets there", "ratio"]]
    for name in HEADLINES:
        if name not in results:
            continue
        line = results[name]["summary"][0]
        ours, theirs = with_unit(line["ours"], "s"), line["peer"]
        if line["theirs"]:
            theirs += " " + with_unit(line["theirs"], "s")
        if verdict(line) != "lost":
            ours = f"**{ours}**"
        elif line["theirs"]:
            theirs = f"**{theirs}**"
        rows.append([line["case"], ours, theirs, ratio_text(line)])
    return _table(rows, "46 16 28 10")


def _tasks(results):
    rows = [["task", "comparisons", "lost", "ratio: least", "median", "most"]]
    for task, lines in by_task(results).items():
        known = sorted(lines, key=_at_least)
        slower = sum((ratio(line) or 1) < 1 for line in lines)
        chosen = known[0], known[(len(known) - 1) // 2], known[-1]
        rows.append([task, number(len(lines)), number(slower), *map(ratio_text, chosen)])
    return _table(rows, "34 16 10 14 13 13")


def _at_least(line):
    """The ratio; where no peer gets there, the bound stands for it."""
    return ratio(line) or line["bound"]
