"""Table 1: methods × games, raw and gamer-normalised scores, and the share of the data's score."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from pipeline.config import EnvironmentConfig, TableConfig
from pipeline.statistics import share_of_data
from pipeline.tables import (
    Table,
    figure,
    listing,
    markdown_grid,
    plus_minus,
    printed,
    repeated_episodes,
    summarise,
)


def build(
    scores: pd.DataFrame,
    table: TableConfig,
    environments: Mapping[str, EnvironmentConfig],
    scale: str,
) -> Table:
    """Table 1 from tidy scores; `environments` by data set. PipelineError for a missing run."""
    rows = summarise("table1", scores, table, environments, scale)
    rows["g"] = [
        share_of_data(*cells)
        for cells in zip(rows["mean"], rows["random_score"], rows["data_mean"], strict=True)
    ]
    rows["raw_text"] = _texts(rows, "mean", "std")
    rows["normalized_text"] = _texts(rows, "normalized_mean", "normalized_std")
    rows["g_text"] = [figure(value, digits=2) for value in rows["g"]]
    sections = [
        f"# Table 1 ({scale} scale)",
        "Raw score, mean ± standard deviation across seeds; the best method in bold.",
        _grid(rows, "raw_text", "mean", lambda row: figure(row["data_mean"])),
        "Gamer-normalised score: 0 is random play and 100 a human gamer, both from the literature.",
        _grid(rows, "normalized_text", "normalized_mean", None),
        "g = (score - random) / (data mean - random), with random play as measured here: 0 is "
        "random play, 1 the mean of the episodes that were trained on.",
        _grid(rows, "g_text", "g", lambda row: "1.00"),
        _footnote(rows, scores, table, environments, scale),
    ]
    texts = ["g", "raw_text", "normalized_text", "g_text"]
    return Table(rows.drop(columns=texts), "\n\n".join(sections) + "\n")


def _texts(rows: pd.DataFrame, mean: str, deviation: str) -> list[str]:
    return [plus_minus(m, d) for m, d in zip(rows[mean], rows[deviation], strict=True)]


def _grid(
    rows: pd.DataFrame, text: str, value: str, data: Callable[["pd.Series[float]"], str] | None
) -> str:
    """Games × methods, the best learned method in bold, and the data's column if it has one."""
    keys = list(dict.fromkeys(zip(rows["method"], rows["variant"], strict=True)))
    header = ["game", *(printed(*key) for key in keys), *(["data mean"] if data else [])]
    lines = []
    for dataset, game in rows.groupby("dataset", sort=False):
        best = game.loc[game["method"] != "random", value].max()
        cells = [
            f"**{cell}**" if method != "random" and np.isclose(number, best) else cell
            for cell, number, method in zip(game[text], game[value], game["method"], strict=True)
        ]
        lines.append([str(dataset), *cells, *([data(game.iloc[0])] if data else [])])
    return markdown_grid(header, lines)


def _footnote(
    rows: pd.DataFrame,
    scores: pd.DataFrame,
    table: TableConfig,
    environments: Mapping[str, EnvironmentConfig],
    scale: str,
) -> str:
    """What a reader must know to judge the figures, and what weakens them."""
    learned = rows[rows["method"] != "random"]
    runs = scores[scores["dataset"].isin(table.datasets)]
    sticky = [environments[dataset].sticky_actions for dataset in table.datasets]
    episodes = rows["episodes"] / rows["seeds"]
    notes = [
        f"Scale: {scale}.",
        f"Data: {listing(learned['data_source'])}.",
        f"Weights: {_by_method(learned, 'weights')}.",
        f"Sampling: {_by_method(learned, 'sampling')}.",
        f"Evaluation: {len(table.seeds)} seeds ({listing(table.seeds)}) × "
        f"{listing(f'{count:g}' for count in episodes)} episodes, cut at "
        f"{listing(runs['max_episode_steps'])} actions; sticky actions {listing(sticky)}.",
        f"Random: uniform actions, measured under the same protocol; normalised scores use "
        f"{_normalizers(table, environments)} (random/gamer).",
        f"Versions: {listing(rows['versions'])}.",
        *(f"Warning: {text}." for text in repeated_episodes(scores, table)),
    ]
    return "\n".join(f"- {note}" for note in notes)


def _by_method(rows: pd.DataFrame, column: str) -> str:
    """What each method says in `column`; once if all say the same."""
    if rows[column].nunique() == 1:
        return listing(rows[column])
    per_method = rows.groupby(["method", "variant"], sort=False)[column]
    return "; ".join(f"{printed(*map(str, key))}: {listing(texts)}" for key, texts in per_method)


def _normalizers(table: TableConfig, environments: Mapping[str, EnvironmentConfig]) -> str:
    return ", ".join(
        f"{dataset} {environment.random_score:g}/{environment.reference_score:g}"
        for dataset, environment in environments.items()
        if dataset in table.datasets
    )
