"""Figure: held-out accuracy (of continuous actions: error) over training, per game, with the
methods' scores beside it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib

matplotlib.use("Agg")  # before pyplot: no display is needed to write a file

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from pipeline.errors import PipelineError
from pipeline.io.csv import read_csv
from pipeline.reporting import statistics
from pipeline.reporting.scores import EARLIER, LAST, Run
from pipeline.reporting.tables import printed, select

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MEASURED = {
    "held_out_accuracy": "held-out accuracy",
    "held_out_mse": "held-out mean square error",
}
"""What a curve has one of, and what it is called."""
BASELINES = {
    "majority_accuracy": ("majority action", ":"),
    "mean_action_mse": ("mean action", ":"),
    "repeat_accuracy": ("repeat action", "--"),
    "repeat_mse": ("repeat action", "--"),
}


def read_curve(path: Path) -> pd.DataFrame:
    """A training curve; raises PipelineError naming the file and the column it lacks."""
    curve = read_csv(path, ["step"], "train the policy again")
    if not set(MEASURED) & set(curve.columns):
        names = " or ".join(map(repr, MEASURED))
        raise PipelineError(f"{path}: no column {names}; train the policy again")
    return curve


def plot(
    runs: Sequence[Run], curves: Sequence[pd.DataFrame], scores: pd.DataFrame, output: Path
) -> None:
    """Draw a row per data set, accuracy to the left and scores to the right, as PNG."""
    datasets = list(dict.fromkeys(run.dataset for run in runs))
    figure, axes = plt.subplots(
        len(datasets), 2, figsize=(9, 2.8 * len(datasets)), squeeze=False, layout="constrained"
    )
    for (left, right), dataset in zip(axes, datasets, strict=True):
        chosen = [(r, c) for r, c in zip(runs, curves, strict=True) if r.dataset == dataset]
        keys = list(dict.fromkeys((run.method, run.variant) for run, _ in chosen))
        for color, key in enumerate(keys):
            of_key = [curve for run, curve in chosen if (run.method, run.variant) == key]
            measured = _learning(left, of_key, printed(*key), f"C{color}")
        _baselines(left, [curve for _, curve in chosen])
        if (scores["checkpoint"] == EARLIER).any():
            _score_curves(right, scores, dataset, keys)
        else:
            _scores(right, scores, dataset, [("random", "default"), *keys])
        left.set(title=dataset, ylabel=measured)
        left.legend(fontsize=7)
        right.legend(fontsize=7)
    axes[-1][0].set_xlabel("training step")
    figure.savefig(output, dpi=120, format="png", metadata={"Software": None})
    plt.close(figure)


def _learning(axes: "Axes", curves: Sequence[pd.DataFrame], label: str, color: str) -> str:
    """Mean over seeds; with several, a band for its 95 % interval, a bootstrap over seeds. Returns
    what is drawn.
    """
    (measured,) = (name for name in MEASURED if name in curves[0])
    by_step = pd.concat(curves).groupby("step")[measured]
    mean = by_step.mean()
    ends = [statistics.confidence_interval([values.to_numpy()]) for _, values in by_step]
    low, high = np.array(ends).T
    axes.plot(mean.index, mean, color=color, label=label)
    axes.fill_between(mean.index, low, high, color=color, alpha=0.2)
    return MEASURED[measured]


def _baselines(axes: "Axes", curves: Sequence[pd.DataFrame]) -> None:
    """What a constant action and a repeated action reach: a policy has to beat both."""
    together = pd.concat(curves)
    for column, (label, style) in BASELINES.items():
        if column not in together:
            continue
        axes.axhline(together[column].mean(), color="grey", linestyle=style, label=label)


def _score_curves(
    axes: "Axes", scores: pd.DataFrame, dataset: str, keys: Sequence[tuple[str, str]]
) -> None:
    """Mean score of every checkpoint that was played, with its 95 % interval as a band."""
    for color, key in enumerate(keys):
        played = pd.concat([select(scores, dataset, *key, kind) for kind in (EARLIER, LAST)])
        points = []
        for step, episodes in played.groupby("step"):
            returns = [seed["return"].to_numpy(dtype=float) for _, seed in episodes.groupby("seed")]
            ends = statistics.confidence_interval(returns)
            points.append((step, statistics.mean(returns), *ends))
        steps, means, low, high = zip(*points, strict=True)
        axes.plot(steps, means, ".-", color=f"C{color}", label=printed(*key))
        axes.fill_between(steps, low, high, color=f"C{color}", alpha=0.15)
    _data_line(axes, scores, dataset)
    axes.set(title=dataset, ylabel="score")


def _scores(
    axes: "Axes", scores: pd.DataFrame, dataset: str, keys: Sequence[tuple[str, str]]
) -> None:
    """Each seed's mean score as a dot, their mean as a bar with its 95 % interval, a bootstrap over
    each seed's episodes, and the data's mean as a line.
    """
    for position, (method, variant) in enumerate(keys):
        episodes = select(scores, dataset, method, variant)
        per_seed = [
            returns.to_numpy(dtype=float) for _, returns in episodes.groupby("seed")["return"]
        ]
        means = statistics.seed_means(per_seed)
        axes.bar(position, means.mean(), color="lightgrey" if method == "random" else "lightblue")
        ends = np.abs(np.array(statistics.confidence_interval(per_seed)) - means.mean())
        axes.errorbar(position, means.mean(), yerr=ends[:, None], color="grey", capsize=4)
        axes.plot([position] * len(means), means, "k.", markersize=4)
    _data_line(axes, scores, dataset)
    axes.set_xticks(range(len(keys)), [printed(*key) for key in keys], fontsize=7)
    axes.set(title=dataset, ylabel="score")


def _data_line(axes: "Axes", scores: pd.DataFrame, dataset: str) -> None:
    data_mean = scores.loc[scores["dataset"] == dataset, "data_mean"].iloc[0]
    axes.axhline(data_mean, color="grey", linestyle="--", label="data mean")
