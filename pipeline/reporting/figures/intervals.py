"""Figure: what a table says across games, as points with intervals (Agarwal et al. 2021)."""

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.reporting.figures import style
from pipeline.reporting.formatting import count
from pipeline.reporting.tables import printed

PANELS = {
    "iqm": ("interquartile mean of g", 1.0, "the data's mean"),
    "difference": ("g, less that of {first}", 0.0, "no difference"),
    "improvement": ("P(better than {first})", 0.5, "as good"),
}
"""Column → what it is, the value that it is compared with, and what that one means."""
ENDS = ("_ci_low", "_ci_high")
COLUMNS = (
    *("method", "variant", "games", "seeds"),
    *(name + end for name in PANELS for end in ("", *ENDS)),
)


def plot(across: pd.DataFrame, path: Path) -> None:
    """Draw the rows of `tables/_across.py` with their 95 % intervals, as PNG."""
    rows = list(zip(across["method"], across["variant"], strict=True))
    figure = Figure(figsize=(11, 1.3 + 0.36 * len(rows)), layout="constrained")
    panels, color_of = figure.subplots(1, len(PANELS), sharey=True), style.colors(rows)
    for axes, (name, (label, neutral, meaning)) in zip(panels, PANELS.items(), strict=True):
        axes.axvline(neutral, color=style.GREY, linestyle="--", linewidth=0.8)
        axes.set_title(f"dashed: {meaning}", fontsize=style.FONT_SIZE, color=style.GREY)
        axes.set_xlabel(label.format(first=printed(*rows[0])), fontsize=9)
        axes.grid(axis="x", alpha=0.3)
        axes.tick_params(labelsize=style.FONT_SIZE)
        for place, row in enumerate(rows):
            if name == "iqm" or place:  # the first row is not compared with itself
                _point(axes, across.iloc[place], name, place, color_of[row])
    panels[0].set_yticks(range(len(rows)), [printed(*row) for row in rows])
    panels[0].set_ylim(len(rows) - 0.5, -0.5)
    n = " × ".join(count(int(across[f"{each}s"].iloc[0]), each) for each in ("game", "seed"))
    none = across["iqm_ci_low"].isna().all()
    title = f"Across games, {n}, {'without intervals' if none else '95 % intervals'}"
    figure.suptitle(title, fontsize=10, x=0.01, horizontalalignment="left")
    style.save(figure, path)


def _point(axes: Axes, row: "pd.Series[float]", name: str, place: int, color: str) -> None:
    """A value; its interval is missing where a single run cannot have one."""
    ends = [row[name + end] for end in ENDS]
    axes.plot(ends, [place, place], color=color, linewidth=4, alpha=0.35, solid_capstyle="butt")
    axes.plot([row[name]], [place], "o", color=color, markersize=6)
