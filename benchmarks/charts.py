"""Charts of results: a picture for each family of tasks, a line for each case."""

from pathlib import Path

from benchmarks.harness import OURS
from benchmarks.report import ratio

STYLE = Path(__file__).parents[1] / "docs" / "pictures.mplstyle"

# How cases are sorted, by what their names begin with or hold; the first family that fits counts.
FAMILIES = {
    "text": ("Classification of text", ("sparse",)),
    "dense": ("Classification of dense tables", ("hinge", "logistic", "cross", "crammer")),
    "regression": ("Regression and quantiles", ("quantile", "absolute", "huber")),
    "ranking": ("Ranking", ("rank-",)),
    "embeddings": ("Embeddings", ("embedding-epochs", "embedding-digits")),
}
# Colour, marker and name of each package, the same in all pictures.
PACKAGES = {
    OURS: ("C0", "D", "sklearn_margin"),
    "scikit-learn": ("C1", "o", "scikit-learn"),
    "statsmodels": ("C2", "s", "statsmodels"),
    "snapml": ("C3", "^", "Snap ML"),
    "rehline": ("C6", "v", "ReHLine"),
    "cyanure": ("C5", "P", "cyanure"),
    "skglm": ("C4", "X", "skglm"),
    "scikit-survival": ("C7", "<", "scikit-survival"),
    "pytorch-metric-learning": ("C3", ">", "pytorch-metric-learning"),
}


def chart_families(results: dict, folder: Path, kind: str) -> list[Path]:
    """Draw a picture for each family that has results.

    Parameters
    ----------
    results : dict
        Results by name of the case.
    folder : Path
        Where the pictures go, as ``{kind}_{family}.png``.
    kind : str

    Returns
    -------
    list of Path
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    paths = []
    for family, (title, _) in FAMILIES.items():
        lines = [
            line
            for name, result in results.items()
            if family_of(name) == family
            for line in lines_of(result)
        ]
        if lines:
            paths.append(folder / f"{kind}_{family}.png")
            with plt.style.context(STYLE if STYLE.exists() else "default"):
                _draw(plt, title, lines, paths[-1])
    return paths


def family_of(case: str) -> str | None:
    """Family of a case by its name; None for cases that are no races."""
    case = case.removeprefix("flights-")
    for family, (_, beginnings) in FAMILIES.items():
        if any(case.startswith(b) or (b == "sparse" and b in case) for b in beginnings):
            return family
    return None


def lines_of(result: dict) -> list[dict]:
    """What a picture shows of a case: (seconds, reached) of the best setting of each package."""
    if "rows" not in result:  # pairs of ours and a peer, whose package its name begins with
        return [
            {"title": line["case"], "ratio": ratio(line), "times": _pair(line)}
            for line in result["summary"]
            if line["theirs"]
        ]
    times = {}
    for k, row in enumerate(result["rows"]):
        if not (row["comparable"] and row["longest"]) or (row["package"] == OURS and k):
            continue
        seconds, reached = row["time"][0] or row["longest"], bool(row["time"][0])
        best = times.get(row["package"])
        if best is None or (not reached, seconds) < (not best[1], best[0]):
            times[row["package"]] = (seconds, reached)
    (summary,) = result["summary"]
    return [{"title": result["title"], "ratio": ratio(summary), "times": times}]


def _pair(line):
    return {OURS: (line["ours"], True), line["peer"].split()[0]: (line["theirs"], True)}


def _draw(plt, title, lines, path):
    """A line for each case, and at its right how many times longer the best peer takes."""
    figure, ax = plt.subplots(figsize=(5.6, 1.6 + 0.5 * len(lines)), layout="constrained")
    left, right = {"x": 0, "size": 11, "in_layout": False}, {"x": 1.02}
    style = {"transform": ax.get_yaxis_transform(), "va": "center"}
    for y, line in enumerate(lines):
        ax.text(y=y - 0.32, s=line["title"], **left, **style)
        ax.text(y=y, **_gain(line["ratio"]), **right, **style)
        _draw_times(ax, y, line["times"])
    ax.set(
        xscale="log",
        ylim=(len(lines) - 0.5, -0.7),
        xlabel="seconds; at the right: best peer ÷ ours",
    )
    ax.grid(axis="x")
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    handles, names = _legend(plt, lines)
    figure.legend(handles, names, title=title, loc="outside upper center", ncols=3, columnspacing=1)
    figure.savefig(path, dpi=200)
    plt.close(figure)


def _draw_times(ax, y, times):
    """A marker for each package, hollow if it did not get there, and a line to the slowest."""
    reached = [seconds for seconds, there in times.values() if there]
    if reached:
        ax.plot([min(reached), max(reached)], [y, y], color="0.5", lw=1, zorder=1)
    for package, (seconds, there) in times.items():
        color, marker, _ = _entry(package)
        face = color if there else "none"
        over = 3 if package == OURS else 2
        ax.scatter(
            seconds, y, s=70, color=color, facecolor=face, marker=marker, lw=1.5, zorder=over
        )


def _entry(package):
    """Colour, marker and name of a package, of one that is not in ``PACKAGES`` too."""
    return PACKAGES.get(package, ("0.5", "*", package))


def _gain(value):
    """What is written of a ratio: in our colour if we are faster; a dash if no peer got there."""
    if not value:
        return {"s": "–"}
    text = f"{value:.2g} ×" if value < 100 else f"{value:,.0f} ×"
    return {"s": text, "color": "C0", "weight": "bold"} if value >= 1 else {"s": text}


def _legend(plt, lines):
    """Handles and names of the packages that are shown."""
    shown = dict.fromkeys(package for line in lines for package in line["times"])
    order = list(PACKAGES)
    shown = sorted(shown, key=lambda name: order.index(name) if name in order else len(order))
    entries = [_entry(package) for package in shown]
    handles = [plt.Line2D([], [], ls="", ms=8, color=c, marker=m) for c, m, _ in entries]
    names = [name for *_, name in entries]
    if not all(there for line in lines for _, there in line["times"].values()):
        handles.append(plt.Line2D([], [], ls="", ms=8, color="0.5", mfc="none", marker="o"))
        names.append("not reached")
    return handles, names
