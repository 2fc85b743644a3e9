"""What pretrained LXMERT and a pretrained transformer are worth, as learning curves (Figure 3).

`reporting/figures/learning_curves.py` draws the curves; their figures are here: the score of every
checkpoint that was played, by {LXMERT pretrained | random} × {GPT pretrained | random}.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from pipeline.config.schema import EnvironmentConfig
from pipeline.config.table import TableConfig
from pipeline.reporting import statistics
from pipeline.reporting.formatting import figure, interval, markdown_grid
from pipeline.reporting.scores import EARLIER, LAST
from pipeline.reporting.tables import Table, ablation, select
from pipeline.reporting.tables._markdown import resampled

POINT = ("step", "seeds", "episodes", "mean", "std", "ci_low", "ci_high")


def build(
    name: str,
    scores: pd.DataFrame,
    table: TableConfig,
    environments: Mapping[str, EnvironmentConfig],
    scale: str,
) -> Table:
    """The last checkpoints as a table of ablations, and every point of the curves as rows.

    PipelineError for a missing run.
    """
    last = ablation.build(name, scores, table, environments, scale, what_is_pretrained)
    rows = pd.DataFrame(_points(scores, table))
    label = ablation.labels(scores, table, what_is_pretrained)
    rows["setting"] = [label(*key) for key in zip(rows["method"], rows["variant"], strict=True)]
    rows.insert(0, "table", name)
    rows["scale"] = scale
    curves = (
        f"Mean score by updates, in brackets its 95 % interval ({resampled(len(table.seeds))})."
    )
    markdown = "\n\n".join([last.markdown.rstrip(), curves, _grid(rows)]) + "\n"
    return Table(rows, last.across, markdown)


def what_is_pretrained(settings: dict[str, Any]) -> str:
    """A row's name, of its run's settings."""
    encoder = settings["features"]["encoder"]
    lxmert = "pretrained" if encoder["pretraining_steps"] or encoder["published"] else "random"
    gpt = settings["policy"]["initial_weights"]
    return f"LXMERT {lxmert}, GPT {'pretrained' if gpt == 'language_model' else 'random'}"


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
