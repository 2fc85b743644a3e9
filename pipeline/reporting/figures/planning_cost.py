"""Figure: score against the time of a decision, and that time against the steps of a plan."""

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from pipeline.reporting.figures import style
from pipeline.reporting.tables import printed

MARKERS = "osD^vP*X<>hpd"
"""Of the variants of a method, which have one colour."""
ALONE = "milliseconds_alone"


def plot(rows: pd.DataFrame, published: pd.DataFrame, path: Path) -> None:
    """Draw each data set's scores, over times on a logarithmic axis, since these range over
    decades; and how time grows with the steps of a plan.
    """
    datasets = list(dict.fromkeys(rows["dataset"]))
    figure = Figure(figsize=(12, 4.2 * len(datasets)), layout="constrained")
    panels = figure.subplots(len(datasets), 2, squeeze=False)
    for dataset, (left, right) in zip(datasets, panels, strict=True):
        own = rows[rows["dataset"] == dataset]
        _scores(left, own[own["played"].astype(bool)], published)
        left.set_title(f"{dataset}: score and time", fontsize=9)
        _growth(right, own[own["horizon"] > 0])
        right.set_title(f"{dataset}: time by steps of a plan", fontsize=9)
    style.legend(figure)
    host = "; ".join(dict.fromkeys(rows["host"]))
    title = f"What a decision costs, in one thread of {host}"
    figure.suptitle(title, fontsize=10, x=0.01, horizontalalignment="left")
    style.save(figure, path)


def _scores(axes: Axes, rows: pd.DataFrame, published: pd.DataFrame) -> None:
    variants = list(dict.fromkeys(rows["variant"]))
    for _, row in rows.iterrows():
        axes.plot(
            row[ALONE],
            row["share_of_data"],
            MARKERS[variants.index(row["variant"]) % len(MARKERS)],
            color=style.colors([(row["method"], "default")])[row["method"], "default"],
            label=printed(row["method"], row["variant"]),
            markersize=6,
        )
    for _, row in published.dropna(subset="milliseconds").iterrows():
        color = style.METHODS.get(row["method"], style.GREY)
        label = f"{printed(row['method'])}: {row['quoted']}, {row['hardware']} (published)"
        axes.axvline(row["milliseconds"], color=color, linestyle=":", linewidth=1.2, label=label)
    axes.axhline(1, color=style.GREY, linestyle="--", linewidth=0.8, label="the data's mean score")
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("milliseconds per decision of one episode (logarithmic)", fontsize=9)
    axes.set_ylabel("mean return, as share of the data's", fontsize=9)
    axes.grid(alpha=0.3)


def _growth(axes: Axes, rows: pd.DataFrame) -> None:
    """Of each method's default the time, as a multiple of that for its shortest plan."""
    longest = 1.0
    for method, own in rows[rows["variant"] == "default"].groupby("method", sort=False):
        line = own.sort_values("horizon")
        times, shortest = line[ALONE] / line[ALONE].iloc[0], line["horizon"].iloc[0]
        longest = max(longest, line["horizon"].max() / shortest)
        color = style.colors([(str(method), "default")])[str(method), "default"]
        axes.plot(line["horizon"] / shortest, times, "o-", color=color, markersize=4, linewidth=1.2)
    ends = [1, longest]
    axes.plot(ends, ends, color="black", linestyle=":", linewidth=0.8, label="right: proportional")
    axes.set_xlabel("steps of a plan, as multiple of the fewest", fontsize=9)
    axes.set_ylabel("time of a decision, likewise", fontsize=9)
    axes.grid(alpha=0.3)
