"""Pictures of results: an overview, each kind of work, and how errors fall with time.

They follow the style of the documentation's, which is read on white and on dark pages alike.
"""

from itertools import islice
from pathlib import Path
from statistics import median

from benchmarks.harness import OURS
from benchmarks.summary import FAMILIES, by_task, family_of, number, ratio

STYLE = Path(__file__).parents[1] / "docs" / "pictures.mplstyle"
WIDTH = 5.6  # inches, which the documentation shows 560 px wide
TIMED = ("hinge", "logistic", "l1", "regression", "paths", "ranking", "embeddings")  # families
# Cases whose errors are drawn over time: one of each kind, and all of ``sgd``.
PROFILES = ("hinge-dense", "logistic-sparse-C1", "l1-logistic-sparse-C1", "cross-entropy-dense")
EPOCHS = ("sgd-hinge-dense", "sgd-logistic-dense", "sgd-hinge-sparse", "sgd-logistic-sparse")
# Colour, marker and name of each package, the same in all pictures.
PACKAGES = {
    OURS: ("C0", "D", "sklearn_margin"),
    "scikit-learn": ("C1", "o", "scikit-learn"),
    "statsmodels": ("C2", "s", "statsmodels"),
    "snapml": ("C3", "^", "Snap ML"),
    "rehline": ("C6", "v", "ReHLine"),
    "cyanure": ("C5", "P", "cyanure"),
    "skglm": ("C4", "X", "skglm"),
    "glum": ("C2", "p", "glum"),
    "celer": ("C7", "h", "celer"),
    "liblinear-multicore": ("C7", "d", "liblinear-multicore"),
    "pinball-qr": ("C3", "s", "pinball-qr"),
    "pyqreg2": ("C5", "<", "pyqreg2"),
    "vowpalwabbit": ("C6", "s", "Vowpal Wabbit"),
    "scikit-survival": ("C7", "<", "scikit-survival"),
    "pytorch-metric-learning": ("C3", ">", "pytorch-metric-learning"),
}


def draw_all(results: dict, folder: Path, kind: str) -> dict:
    """Draw all pictures for which there are results.

    Parameters
    ----------
    results : dict
        Results by name of the case.
    folder : Path
        Where the pictures go, as ``{kind}_{name}.png``.
    kind : str

    Returns
    -------
    dict
        What each picture shows, by its path.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    drawn = {}
    with plt.style.context(STYLE if STYLE.exists() else "default"):
        for name, title, draw in _pictures(results):
            figure = draw(plt)
            if figure is not None:
                path = folder / f"{kind}_{name}.png"
                figure.savefig(path, dpi=200)
                plt.close(figure)
                drawn[path] = title
    return drawn


def _pictures(results):
    """Name, title and a function that draws, or returns None."""
    yield "overview", "Best peer ÷ ours, by task", lambda plt: _overview(plt, by_task(results))
    for family in TIMED:
        title = FAMILIES[family][0]
        lines = [
            line
            for name, result in results.items()
            if family_of(name) == family
            for line in lines_of(result)
        ]
        yield family, title, lambda plt, t=title, lines=lines: _times(plt, t, lines)
    for name, title, cases in (
        ("profiles", "Error of the objective over time", PROFILES),
        ("epochs", "Error after 1, 5 and 20 epochs", EPOCHS),
    ):
        panels = {c: results[c] for c in cases if c in results}
        yield name, title, lambda plt, panels=panels: _profiles(plt, panels)


# --- overview ---


def _overview(plt, tasks):
    """A row for each task, a dot for each comparison, a line where both are as fast."""
    if not tasks:
        return None
    figure, ax = plt.subplots(figsize=(WIDTH, 1.5 + 0.32 * len(tasks)), layout="constrained")
    ax.axvline(1, color="0.5", lw=1.5)
    for y, lines in enumerate(tasks.values()):
        for line in lines:
            value = ratio(line)
            if value:
                ax.scatter(value, y, s=55, color="C0" if value >= 1 else "C1", alpha=0.8, lw=0)
            else:
                ax.scatter(line["bound"], y, s=55, marker=">", facecolor="none", edgecolor="C0")
    ax.set(
        xscale="log", ylim=(len(tasks) - 0.4, -0.6), xlabel="best peer ÷ ours: right of 1 we lead",
        yticks=range(len(tasks)), yticklabels=list(tasks),
    )  # fmt: skip
    _plain_ticks(plt, ax.xaxis)
    ax.grid(axis="x")
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    entries = [
        ("C0", "o", "we are faster"),
        ("C1", "o", "slower"),
        ("C0", ">", "at least: no peer gets there"),
    ]
    handles = [
        plt.Line2D([], [], ls="", ms=7, color=c, marker=m, mfc="none" if m == ">" else c)
        for c, m, _ in entries
    ]
    names = [name for *_, name in entries]
    figure.legend(handles, names, loc="outside upper center", ncols=3, columnspacing=1)
    return figure


def _plain_ticks(plt, axis):
    axis.set_major_formatter(plt.FuncFormatter(lambda value, _: f"{value:,g}"))
    axis.set_minor_formatter(plt.NullFormatter())


# --- seconds, by family ---


def lines_of(result: dict) -> list[dict]:
    """What a picture shows of a case: (seconds, reached) of the best setting of each package."""
    if "rows" not in result:  # pairs of ours and a peer, whose package its name begins with
        return [
            {"title": line["case"], "gain": ratio(line), "times": _pair(line)}
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
    ours = times.pop(OURS, None)
    if ours is None:
        return []
    first = min((s for s, reached in times.values() if reached), default=None)
    gain = first / ours[0] if first and ours[1] else None
    return [{"title": result["title"], "gain": gain, "times": {OURS: ours} | times}]


def _pair(line):
    return {OURS: (line["ours"], True), line["peer"].split()[0]: (line["theirs"], True)}


def _times(plt, title, lines):
    """A line for each case, and at its right how many times longer the best peer takes."""
    if not lines:
        return None
    figure, ax = plt.subplots(figsize=(WIDTH, 1.7 + 0.5 * len(lines)), layout="constrained")
    left, right = {"x": 0, "size": 10.5, "in_layout": False}, {"x": 1.02}
    style = {"transform": ax.get_yaxis_transform(), "va": "center"}
    for y, line in enumerate(lines):
        ax.text(y=y - 0.34, s=line["title"], **left, **style)
        ax.text(y=y, **_gain(line["gain"]), **right, **style)
        _draw_times(ax, y, line["times"])
    ax.set(
        xscale="log",
        ylim=(len(lines) - 0.5, -0.7),
        xlabel="seconds; at the right: best peer ÷ ours",
    )
    _plain_ticks(plt, ax.xaxis)
    ax.grid(axis="x")
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    _legend(plt, figure, title, lines)
    return figure


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
    """What is written of a ratio: in our colour if we are faster, in the other's if we lose."""
    if not value:
        return {"s": "–"}
    text = f"{number(value, 2 if value < 100 else 3)} ×"
    return {"s": text, "color": "C0" if value >= 1 else "C1", "weight": "bold"}


def _legend(plt, figure, title, lines):
    """What markers stand for, above the picture."""
    shown = dict.fromkeys(package for line in lines for package in line["times"])
    order = list(PACKAGES)
    shown = sorted(shown, key=lambda name: order.index(name) if name in order else len(order))
    entries = [_entry(package) for package in shown]
    handles = [plt.Line2D([], [], ls="", ms=8, color=c, marker=m) for c, m, _ in entries]
    names = [name for *_, name in entries]
    if not all(there for line in lines for _, there in line["times"].values()):
        handles.append(plt.Line2D([], [], ls="", ms=8, color="0.5", mfc="none", marker="o"))
        names.append("not reached")
    figure.legend(handles, names, title=title, loc="outside upper center", ncols=3, columnspacing=1)


# --- errors over time ---


def curves(result: dict) -> list[tuple]:
    """(name, package, seconds, errors) of each contestant."""
    found = []
    for row in result.get("rows_by_epoch", result.get("rows", [])):
        if row.get("problem") or not row.get("comparable", True):
            continue
        if "seconds" in row:
            points = list(zip(row["seconds"], row["errors"], strict=True))
        else:
            points = _on_the_way_down(row["rungs"])
        if points:
            seconds, errors = zip(*points, strict=True)
            found.append((row["name"], row["package"], seconds, errors))
    return found


def _on_the_way_down(rungs):
    """Points of rungs by time, those left out that are no better than a quicker one."""
    best, kept = float("inf"), []
    for seconds, error in sorted((median(rung["seconds"]), rung["excess"]) for rung in rungs):
        if error < best:
            best = error
            kept.append((seconds, max(error, 1e-10)))
    return kept


def _profiles(plt, results):
    """A panel for each case: who is low and left is near the minimum early."""
    if not results:
        return None
    figure, axes = plt.subplots(
        len(results), figsize=(WIDTH, 4.6 * len(results)), layout="constrained", squeeze=False
    )
    for ax, result in zip(axes[:, 0], results.values(), strict=True):
        used = {}
        for name, package, seconds, errors in curves(result):
            color, marker, _ = _entry(package)
            style = next(islice(("-", "--", ":", "-."), used.get(package, 0), None), ":")
            used[package] = used.get(package, 0) + 1
            over = 3 if package == OURS else 2
            ax.plot(
                seconds, errors, style, color=color, marker=marker, ms=6, label=name, zorder=over
            )
        ax.set_title(result["title"].removeprefix("stochastic methods: "), loc="left", size=11.5)
        ax.set(xscale="log", yscale="log", ylabel="relative error", xlabel="seconds")
        _plain_ticks(plt, ax.xaxis)
        ax.grid()
        ax.legend(loc="upper center", bbox_to_anchor=(0.45, -0.18), ncols=2, fontsize=10)
    return figure
