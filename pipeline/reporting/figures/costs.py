"""Snakemake's benchmark files → what each stage costs in seconds and memory, and a figure."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from pipeline.reporting.figures import style
from pipeline.reporting.formatting import figure as figure_of
from pipeline.reporting.trainings import read_benchmark

COLUMNS = ("stage", "jobs", "total_seconds", "max_rss_mb")


def summarise(stages: Sequence[str], files: Sequence[Path]) -> pd.DataFrame:
    """A row per stage as they appear, columns COLUMNS; `files` in the order of `stages`."""
    read = [read_benchmark(file) for file in files]
    jobs = [
        (stage, job["s"].sum(), job["max_rss"].max())
        for stage, job in zip(stages, read, strict=True)
    ]
    by_stage = pd.DataFrame(jobs, columns=["stage", "seconds", "rss"]).groupby("stage", sort=False)
    costs = by_stage.agg(
        jobs=("seconds", "size"), total_seconds=("seconds", "sum"), max_rss_mb=("rss", "max")
    )
    return costs.reset_index().round({"total_seconds": 1, "max_rss_mb": 1})


def plot(costs: pd.DataFrame, path: Path) -> None:
    """Draw time to the left and memory to the right, a bar per stage from the top down."""
    figure = Figure(figsize=(9, 0.42 * len(costs) + 1.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    places = range(len(costs))
    names = [f"{stage} ({jobs})" for stage, jobs in zip(costs["stage"], costs["jobs"], strict=True)]
    for axes, column, label, color in (
        (left, "total_seconds", "seconds, all jobs together", "#4477aa"),
        (right, "max_rss_mb", "peak memory of one job, MB", "#ee7733"),
    ):
        bars = axes.barh(places, costs[column].fillna(0), color=color)
        texts = [figure_of(value) for value in costs[column]]
        axes.bar_label(bars, texts, padding=3, fontsize=8)
        axes.set_xlabel(label, fontsize=9)
        axes.margins(x=0.15)
        axes.spines[["top", "right"]].set_visible(False)
    left.set_yticks(places, names, fontsize=9)
    left.invert_yaxis()
    figure.suptitle("Cost per stage (number of jobs)", fontsize=10)
    style.save(figure, path)
