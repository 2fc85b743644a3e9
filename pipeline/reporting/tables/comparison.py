"""Methods × games: raw and normalised scores, the share of the data's score, and, where earlier
checkpoints were played, what the best of each seed would give.
"""

from collections.abc import Mapping

import pandas as pd

from pipeline.config.schema import EnvironmentConfig
from pipeline.config.table import TableConfig
from pipeline.reporting.formatting import figure, plus_minus
from pipeline.reporting.statistics import share_of_data
from pipeline.reporting.tables import Table, _budget, _values, printed, summarise
from pipeline.reporting.tables._across import across_games, section
from pipeline.reporting.tables._markdown import explained, footnote, game_grid, with_intervals


def build(
    name: str,
    scores: pd.DataFrame,
    table: TableConfig,
    environments: Mapping[str, EnvironmentConfig],
    scale: str,
) -> Table:
    """The table from tidy scores; `environments` by data set. PipelineError for a missing
    run.
    """
    rows = summarise(name, scores, table, environments, scale)
    across = across_games(name, scores, table)
    shown = rows.assign(
        g=[
            share_of_data(*cells)
            for cells in zip(rows["mean"], rows["random_score"], rows["data_mean"], strict=True)
        ],
        raw_text=with_intervals(rows),
        normalized_text=[
            plus_minus(*cells)
            for cells in zip(rows["normalized_mean"], rows["normalized_std"], strict=True)
        ],
    )
    shown["g_text"] = [figure(value, digits=2) for value in shown["g"]]
    sections = [
        f"# {table.title or name} ({scale} scale)",
        explained(len(table.seeds)),
        game_grid(shown, "raw_text", lambda row: figure(row["data_mean"])),
        table.normalised,
        game_grid(shown, "normalized_text", None),
        "g = (score - random) / (data mean - random), with random play as measured here: 0 is "
        "random play, 1 the mean of the episodes that were trained on.",
        game_grid(shown, "g_text", lambda row: row["g_text"] if pd.isna(row["g"]) else "1.00"),
        *_best(shown),
        section(across, printed),
        *_values.section(rows, scores),
        _budget.section(rows, scores, printed),
        footnote(rows, scores, table, environments, scale),
    ]
    return Table(rows, across, "\n\n".join(sections) + "\n")


def _best(rows: pd.DataFrame) -> list[str]:
    """What the best checkpoints give, where there are any but the last."""
    if rows["best_mean"].isna().all():
        return []
    texts = ["" if pd.isna(value) else figure(value) for value in rows["best_mean"]]
    return [
        "Everything above is of the last checkpoint. Raw score of each seed's best checkpoint "
        "instead, chosen by the score that is shown, which flatters it:",
        game_grid(rows.assign(text=texts), "text", None, bold=False),
    ]
