"""Figure and table: how far ahead the models of planners are right."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.errors import PipelineError
from pipeline.evaluation.open_loop_columns import COLUMNS
from pipeline.io.csv import read_csv
from pipeline.reporting.figures import style
from pipeline.reporting.scores import Run
from pipeline.reporting.tables import printed

BESIDE = {
    "head": ("-.", "the policy's head for the next embedding"),
    "last": ((0, (1, 3)), "the last embedding that was seen"),
}
"""What is drawn beside a model of embeddings: line and name."""


def read(path: Path) -> pd.DataFrame:
    """A run's errors; raises PipelineError naming the file and the column it lacks."""
    return read_csv(path, COLUMNS, "predict the states again")


def joined(runs: Sequence[Run], errors: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """One table, with the run of each row; PipelineError without any run."""
    if not runs:
        raise PipelineError(
            "horizon_accuracy: no method in the configuration's tables predicts states; name one, "
            "such as tap, diffuser, trajectory_transformer or mbop"
        )
    parts = [
        each.assign(dataset=run.dataset, method=run.method, variant=run.variant, seed=run.seed)
        for run, each in zip(runs, errors, strict=True)
    ]
    whole = pd.concat(parts, ignore_index=True)
    return whole[["dataset", "method", "variant", "seed", *COLUMNS]]


def plot(rows: pd.DataFrame, path: Path) -> None:
    """Draw a panel per data set: the mean error of each model with its quartiles, and of the
    one-step model with as many parameters.
    """
    datasets = list(dict.fromkeys(rows["dataset"]))
    figure = Figure(figsize=(10, 4.4 * len(datasets)), layout="constrained")
    panels = figure.subplots(len(datasets), 1, squeeze=False)[:, 0]
    for dataset, axes in zip(datasets, panels, strict=True):
        _draw(axes, rows[rows["dataset"] == dataset])
        axes.set_title(f"{dataset}: prediction in open loop, with recorded actions", fontsize=10)
    style.legend(figure)
    style.save(figure, path)


def _draw(axes: Axes, rows: pd.DataFrame) -> None:
    colors = style.colors(zip(rows["method"], rows["variant"], strict=True))
    for keys, own in rows.groupby(["method", "variant", "seed"], sort=False):
        method, variant, seed = map(str, keys)
        color, label = colors[method, variant], printed(method, variant)
        for model, line in own.groupby("model", sort=False):
            if model == "own":
                axes.plot(line["step"], line["mean"], color=color, label=f"{label}, seed {seed}")
                ends = line["quartile_1"], line["quartile_3"]
                axes.fill_between(line["step"], *ends, color=color, alpha=0.15, linewidth=0)
            elif model == "markov":
                count = f"one step, {int(line['parameters'].iloc[0]):,} parameters"
                beside = f"{count}, as {label}"
                axes.plot(line["step"], line["mean"], color=color, linestyle=":", label=beside)
            elif model in BESIDE:
                dashes, told = BESIDE[str(model)]
                beside = f"{told}, as {label}"
                axes.plot(line["step"], line["mean"], color=color, linestyle=dashes, label=beside)
    still = rows[rows["model"] == "mean"].groupby("step")["mean"].mean()
    axes.plot(still.index, still, color=style.GREY, linestyle="--", label="the mean of the data")
    axes.set_ylim(0, 2 * float(still.max()))
    axes.set_xlabel("steps ahead", fontsize=9)
    axes.set_ylabel("error, in deviations of the data", fontsize=9)
    axes.grid(alpha=0.3)
