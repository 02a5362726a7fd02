"""Charts of results."""

from pathlib import Path

from benchmarks.harness import OURS
from benchmarks.report import ratio

MET, MISSED, FREE = "#2166ac", "#e08214", "0.6"


def _pyplot():
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def chart_ratios(results: dict, path: Path) -> None:
    """How many times longer the best peer takes, by case, beside what is aimed at."""
    lines = [line for result in results.values() for line in result["summary"] if ratio(line)]
    if not lines:
        return
    plt = _pyplot()
    figure, ax = plt.subplots(figsize=(11, 1.2 + 0.3 * len(lines)), layout="constrained")
    for i, line in enumerate(reversed(lines)):
        value, bar = ratio(line), line["bar"]
        color = FREE if bar is None else MET if value >= bar else MISSED
        ax.plot([1, value], [i, i], color=color, lw=6, solid_capstyle="butt")
        ax.text(value, i, f" {value:.3g} × ({line['peer']}) ", va="center", size=8,
                ha="left" if value >= 1 else "right")  # fmt: skip
        if bar:
            ax.plot([bar, bar], [i - 0.35, i + 0.35], color="k", lw=1.5)
    ax.axvline(1, color="0.3", lw=0.8)
    values = [ratio(line) for line in lines]
    ax.set(
        xscale="log", xlim=(min(0.1, 0.02 * min(values)), 100 * max(values)), ylim=(-1, len(lines)),
        xlabel="time of the best peer that reaches 1e-4 ÷ ours (black line: target)",
    )  # fmt: skip
    ax.set_yticks(range(len(lines)), [line["case"] for line in reversed(lines)], size=8)
    ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def chart_times(races: list[dict], path: Path) -> None:
    """Bars of the time to 1e-4 by contestant, one panel a case, in two columns."""
    if not races:
        return
    plt = _pyplot()
    n_rows = (len(races) + 1) // 2
    heights = [
        max(len(result["rows"]) for result in races[2 * i : 2 * i + 2]) + 1.8 for i in range(n_rows)
    ]
    figure, axes = plt.subplots(
        n_rows, 2, figsize=(18, 0.5 + 0.36 * sum(heights)), squeeze=False, layout="constrained",
        height_ratios=heights,
    )  # fmt: skip
    for ax in axes.ravel()[len(races) :]:
        ax.axis("off")
    for ax, result in zip(axes.ravel(), races, strict=False):
        _panel(ax, result)
    figure.savefig(path, dpi=80)
    plt.close(figure)


def _panel(ax, result):
    rows = [row for row in reversed(result["rows"]) if row["longest"]]
    shown = [row["time"][0] or row["longest"] for row in rows]
    colors = [MET if row["package"] == OURS else "0.7" for row in rows]
    bars = ax.barh([row["name"] for row in rows], shown, color=colors)
    for bar, row in zip(bars, rows, strict=True):
        text = f" {row['time'][0]:.3g} s" if row["time"][0] else ""
        if not text:
            bar.set(facecolor="none", edgecolor="0.6", hatch="///")
            text = " another objective"
            if row["comparable"]:
                text = f" not reached ({row['closest']:.0e} off)"
        ax.text(bar.get_width(), bar.get_y() + bar.get_height() / 2, text, va="center")
    ax.set(xscale="log", xlim=(0.3 * min(shown), 30 * max(shown)))
    ax.set_title(result["title"], size=10)
    ax.set_xlabel("seconds to within 1e-4", size=8)
    ax.spines[["top", "right"]].set_visible(False)
