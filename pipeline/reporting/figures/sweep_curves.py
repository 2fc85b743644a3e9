"""Figure: achieved against asked-for return on one data set, a line per method."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pipeline.errors import PipelineError
from pipeline.io.csv import read_csv
from pipeline.reporting import statistics
from pipeline.reporting.figures import style
from pipeline.reporting.scores import Run
from pipeline.reporting.tables import printed

NEEDED = ("factor", "target_return", "return")
APART = 0.008
"""Share of the asked-for range by which methods are drawn beside each other."""


def read(path: Path) -> pd.DataFrame:
    """A run's sweep; raises PipelineError naming the file and the column it lacks."""
    return read_csv(path, NEEDED, "sweep the run again")


def summarise(sweep: pd.DataFrame) -> pd.DataFrame:
    """Per target, ascending: `factor`, `target_return`, mean return and its 95 % interval.

    The interval is a bootstrap over the target's episodes; NaN with a single one.
    """
    rows = []
    for (factor, target), episodes in sweep.groupby(["factor", "target_return"]):
        returns = [episodes["return"].to_numpy(dtype=np.float64)]
        low, high = statistics.confidence_interval(returns)
        rows.append((factor, target, statistics.mean(returns), low, high))
    summary = pd.DataFrame(rows, columns=["factor", "target_return", "mean", "low", "high"])
    return summary.sort_values("target_return", ignore_index=True)


def plot(runs: Sequence[Run], sweeps: Sequence[pd.DataFrame], title: str, path: Path) -> None:
    """Draw the runs of one data set, with the diagonal on which a policy does as it is told;
    PipelineError without any run.
    """
    if not runs:
        raise PipelineError(
            f"target_sweeps: no method that is told a return has a run on {title} in the "
            "configuration's tables; name one, such as more3s"
        )
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    color_of = style.colors((run.method, run.variant) for run in runs)
    summaries = [summarise(sweep) for sweep in sweeps]
    asked = summaries[0]["target_return"]
    step = APART * float(asked.max() - asked.min())
    for index, (run, summary) in enumerate(zip(runs, summaries, strict=True)):
        mean = summary["mean"]
        ends = [mean - summary["low"], summary["high"] - mean]
        axes.errorbar(
            summary["target_return"] + step * (index - (len(runs) - 1) / 2),
            mean,
            yerr=np.nan_to_num(np.clip(ends, 0, None)),
            label=f"{printed(run.method, run.variant)}, seed {run.seed}",
            fmt="o-",
            color=color_of[run.method, run.variant],
            markersize=4,
            linewidth=1.2,
            capsize=3,
        )
    axes.plot(asked, asked, color="grey", linestyle="--", linewidth=1, label="as asked for")
    labels = [f"{factor:g}×\n{target:,g}" for factor, target in _ticks(summaries[0])]
    axes.set_xticks(asked, labels, fontsize=8)
    axes.set(title=title, ylabel="achieved return")
    axes.set_xlabel("asked-for return: multiple of the data's best, and the return itself")
    axes.grid(alpha=0.3)
    style.legend(figure)
    style.save(figure, path)


def _ticks(summary: pd.DataFrame) -> list[tuple[float, float]]:
    return list(zip(summary["factor"], summary["target_return"], strict=True))
