"""Figure 3: what pretrained LXMERT and a pretrained transformer are worth, as learning curves.

`reporting/figures/learning_curves.py` draws the curves; their figures are here: the score of every
checkpoint that was played, by {LXMERT pretrained | random} × {GPT pretrained | random}.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from pipeline.config.schema import EnvironmentConfig, TableConfig
from pipeline.reporting import statistics
from pipeline.reporting.formatting import figure, interval, markdown_grid
from pipeline.reporting.scores import EARLIER, LAST
from pipeline.reporting.tables import Table, select
from pipeline.reporting.tables._ablation import Ablation

POINT = ("step", "seeds", "episodes", "mean", "std", "ci_low", "ci_high")


def _setting(settings: dict[str, Any]) -> str:
    encoder = settings["features"]["encoder"]
    lxmert = "pretrained" if encoder["pretraining_steps"] or encoder["published"] else "random"
    gpt = settings["policy"]["initial_weights"]
    return f"LXMERT {lxmert}, GPT {'pretrained' if gpt == 'language_model' else 'random'}"


LAST_CHECKPOINT = Ablation(
    name="figure3",
    title="Figure 3: pretraining",
    claim="frozen pretrained LXMERT helps; a randomly initialised GPT nearly catches up.",
    setting=_setting,
)


def build(
    scores: pd.DataFrame,
    table: TableConfig,
    environments: Mapping[str, EnvironmentConfig],
    scale: str,
) -> Table:
    """The last checkpoints as a table of ablations, and every point of the curves as rows.

    PipelineError for a missing run.
    """
    last = LAST_CHECKPOINT(scores, table, environments, scale)
    rows = pd.DataFrame(_points(scores, table))
    label = LAST_CHECKPOINT.labels(scores, table)
    rows["setting"] = [label(*key) for key in zip(rows["method"], rows["variant"], strict=True)]
    rows.insert(0, "table", "figure3")
    rows["scale"] = scale
    curves = (
        "Mean score by updates, in brackets its 95 % interval (episodes resampled in each seed)."
    )
    markdown = "\n\n".join([last.markdown.rstrip(), curves, _grid(rows)]) + "\n"
    return Table(rows, last.across, markdown)


def _points(scores: pd.DataFrame, table: TableConfig) -> Iterator[dict[str, object]]:
    """One row per data set, method, variant and checkpoint."""
    for dataset in table.datasets:
        for method, variant in table.rows:
            place = {"dataset": dataset, "method": method, "variant": variant}
            played = pd.concat(
                [select(scores, dataset, method, variant, kind) for kind in (EARLIER, LAST)]
            )
            for step, episodes in played[played["seed"].isin(table.seeds)].groupby("step"):
                returns = [
                    seed["return"].to_numpy(dtype=np.float64)
                    for _, seed in episodes.groupby("seed")
                ]
                figures = (statistics.mean(returns), statistics.deviation(returns))
                ends = statistics.confidence_interval(returns)
                point = (step, len(returns), len(episodes), *figures, *ends)
                yield {**place, **dict(zip(POINT, point, strict=True))}


def _grid(rows: pd.DataFrame) -> str:
    """Games and settings × updates."""
    steps = sorted(rows["step"].unique())
    lines = []
    for (dataset, setting), points in rows.groupby(["dataset", "setting"], sort=False):
        cells = {
            row["step"]: f"{figure(row['mean'])} {interval(row['ci_low'], row['ci_high'])}".strip()
            for _, row in points.iterrows()
        }
        lines.append([str(dataset), str(setting), *(cells.get(step, "") for step in steps)])
    return markdown_grid(["game", "", *(str(step) for step in steps)], lines)
