"""Figure: held-out accuracy (of continuous actions: error; of methods that only play can judge: the
training loss) over training, per game, with the methods' scores beside it.
"""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.reporting import statistics, trainings
from pipeline.reporting.figures import style
from pipeline.reporting.scores import EARLIER, LAST, Run
from pipeline.reporting.tables import printed, select, trained_on
from pipeline.reporting.trainings import CPU_SECONDS

BESIDE = 0.25
"""Of a row's height: how far below a mean its seeds are drawn."""
TRAINING_LOSS = "training loss"
"""What is drawn where no method of a game reads actions."""
BASELINES = {
    "majority_accuracy": ("majority action", ":"),
    "mean_action_mse": ("mean action", ":"),
    "repeat_accuracy": ("repeat action", "--"),
    "repeat_mse": ("repeat action", "--"),
}


def plot(
    runs: Sequence[Run], curves: Sequence[pd.DataFrame], scores: pd.DataFrame, output: Path
) -> None:
    """Draw a row per data set as PNG: accuracy against updates, environment steps and, where
    `trainings.join` knows them, CPU seconds; then scores.
    """
    datasets = list(dict.fromkeys(run.dataset for run in runs))
    against = ["updates", "environment steps", "CPU seconds"][: 3 if CPU_SECONDS in scores else 2]
    size = 4.5 * (len(against) + 1) + 2, 2.8 * len(datasets)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(datasets), len(against) + 1, squeeze=False)
    color_of = style.colors((run.method, run.variant) for run in runs)
    for (*left, right), dataset in zip(axes, datasets, strict=True):
        chosen = [(r, c) for r, c in zip(runs, curves, strict=True) if r.dataset == dataset]
        keys = list(dict.fromkeys((run.method, run.variant) for run, _ in chosen))
        measured = trainings.measured([curve for _, curve in chosen])
        for panel, unit in zip(left, against, strict=True):
            for key in keys:
                of_key = [curve for run, curve in chosen if (run.method, run.variant) == key]
                scale = _per_update(unit, scores, dataset, *key)
                _learning(panel, of_key, measured, scale, printed(*key), color_of[key])
            _baselines(panel, [curve for _, curve in chosen])
            panel.set(title=dataset, xlabel=unit, ylim=style.range_of_lines(panel))
        if (scores["checkpoint"] == EARLIER).any():
            _score_curves(right, scores, dataset, {key: color_of[key] for key in keys})
        else:
            played = {("random", "default"): style.GREY, **{key: color_of[key] for key in keys}}
            _scores(right, scores, dataset, played)
        left[0].set(ylabel=trainings.MEASURED.get(measured or "", TRAINING_LOSS))
    style.legend(figure)
    style.save(figure, output)


def _per_update(unit: str, scores: pd.DataFrame, dataset: str, method: str, variant: str) -> float:
    """How much of `unit` an update takes, on the mean over a row's seeds; CPU time is spread evenly
    over the updates. 1 where there was none.
    """
    amounts = trained_on(scores, dataset, method, variant)
    if unit == "updates" or not amounts["updates"]:
        return 1.0
    if unit == "CPU seconds":
        spent = select(scores, dataset, method, variant)[CPU_SECONDS].mean()
        return float(spent) / amounts["updates"]
    return amounts["environment_steps"] / amounts["updates"]


def _learning(
    axes: Axes,
    curves: Sequence[pd.DataFrame],
    measured: str | None,
    scale: float,
    label: str,
    color: str,
) -> None:
    """Mean over seeds; with several, a band for its 95 % interval. An update is `scale` wide. Of a
    method that does not have what is `measured`, the legend alone says so.
    """
    columns = [measured] if measured else trainings.losses(curves[0])
    for column, dashes in zip(columns, cycle(["-", "--", ":", "-."])):
        if column not in curves[0]:
            axes.plot([], [], color=color, label=f"{label} (only its score tells)")
            continue
        by_step = pd.concat(curves).groupby("step")[column]
        mean, x = by_step.mean(), np.array([step for step, _ in by_step]) * scale
        ends = [
            statistics.confidence_interval([*values.to_numpy()[:, None]]) for _, values in by_step
        ]
        low, high = np.array(ends).T
        named = label if len(columns) == 1 else f"{label}, {column.removeprefix('train_loss_')}"
        axes.plot(x, mean, dashes, color=color, label=named)
        axes.fill_between(x, low, high, color=color, alpha=0.1, linewidth=0)


def _baselines(axes: Axes, curves: Sequence[pd.DataFrame]) -> None:
    """What a constant action and a repeated action reach: a policy has to beat both."""
    together = pd.concat(curves)
    for column, (label, dashes) in BASELINES.items():
        if column not in together:
            continue
        axes.axhline(together[column].mean(), color="grey", linestyle=dashes, label=label)


def _score_curves(
    axes: Axes, scores: pd.DataFrame, dataset: str, rows: Mapping[tuple[str, str], str]
) -> None:
    """Mean score of every checkpoint that was played, with its 95 % interval as a band; of each of
    the `rows` in its colour.
    """
    for key, color in rows.items():
        played = pd.concat([select(scores, dataset, *key, kind) for kind in (EARLIER, LAST)])
        points = []
        for step, episodes in played.groupby("step"):
            returns = [seed["return"].to_numpy(dtype=float) for _, seed in episodes.groupby("seed")]
            ends = statistics.confidence_interval(returns)
            points.append((step, statistics.mean(returns), *ends))
        steps, means, low, high = zip(*points, strict=True)
        axes.plot(steps, means, ".-", color=color, label=printed(*key))
        axes.fill_between(steps, low, high, color=color, alpha=0.1, linewidth=0)
    _data_line(axes, scores, dataset)
    axes.set(title=dataset, xlabel="updates", ylabel="score")


def _scores(
    axes: Axes, scores: pd.DataFrame, dataset: str, rows: Mapping[tuple[str, str], str]
) -> None:
    """Each seed's mean score as a dot, beside it their mean with its 95 % interval, and the data's
    mean as a line; the first of the `rows` at the top.
    """
    for position, ((method, variant), color) in enumerate(rows.items()):
        episodes = select(scores, dataset, method, variant)
        per_seed = [
            returns.to_numpy(dtype=float) for _, returns in episodes.groupby("seed")["return"]
        ]
        means = statistics.seed_means(per_seed)
        ends = np.abs(np.array(statistics.confidence_interval(per_seed)) - means.mean())
        axes.errorbar(
            means.mean(),
            position,
            xerr=ends[:, None],
            fmt="o",
            color=color,
            markersize=6,
            capsize=4,
        )
        axes.plot(means, [position + BESIDE] * len(means), ".", color=color, markersize=4)
    _data_line(axes, scores, dataset, vertical=True)
    names = [printed(*key) for key in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=style.FONT_SIZE)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set(title=dataset, xlabel="score: mean, 95 % interval, and each seed")


def _data_line(axes: Axes, scores: pd.DataFrame, dataset: str, vertical: bool = False) -> None:
    data_mean = scores.loc[scores["dataset"] == dataset, "data_mean"].iloc[0]
    line = axes.axvline if vertical else axes.axhline
    line(data_mean, color="grey", linestyle="-.", label="data mean")
