"""Table 1: methods × games, raw and gamer-normalised scores, and the share of the data's score."""

from collections.abc import Mapping

import pandas as pd

from pipeline.config import EnvironmentConfig, TableConfig
from pipeline.figures import figure, plus_minus
from pipeline.statistics import share_of_data
from pipeline.tables import Table, printed, summarise
from pipeline.tables._across import across_games, section
from pipeline.tables._markdown import footnote, game_grid


def build(
    scores: pd.DataFrame,
    table: TableConfig,
    environments: Mapping[str, EnvironmentConfig],
    scale: str,
) -> Table:
    """Table 1 from tidy scores; `environments` by data set. PipelineError for a missing run."""
    rows = summarise("table1", scores, table, environments, scale)
    across = across_games("table1", scores, table)
    shown = rows.assign(
        g=[
            share_of_data(*cells)
            for cells in zip(rows["mean"], rows["random_score"], rows["data_mean"], strict=True)
        ],
        raw_text=_texts(rows, "mean", "std"),
        normalized_text=_texts(rows, "normalized_mean", "normalized_std"),
    )
    shown["g_text"] = [figure(value, digits=2) for value in shown["g"]]
    sections = [
        f"# Table 1 ({scale} scale)",
        "Raw score, mean ± standard deviation across seeds; the best method in bold.",
        game_grid(shown, "raw_text", "mean", lambda row: figure(row["data_mean"])),
        "Gamer-normalised score: 0 is random play and 100 a human gamer, both from the literature.",
        game_grid(shown, "normalized_text", "normalized_mean", None),
        "g = (score - random) / (data mean - random), with random play as measured here: 0 is "
        "random play, 1 the mean of the episodes that were trained on.",
        game_grid(shown, "g_text", "g", lambda row: "1.00"),
        section(across, printed),
        footnote(rows, scores, table, environments, scale),
    ]
    return Table(rows, across, "\n\n".join(sections) + "\n")


def _texts(rows: pd.DataFrame, mean: str, deviation: str) -> list[str]:
    return [plus_minus(m, d) for m, d in zip(rows[mean], rows[deviation], strict=True)]
