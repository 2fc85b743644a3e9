"""Tables as people read them: numbers, grids of games × rows, and what a reader must know."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from pipeline.config.schema import EnvironmentConfig
from pipeline.config.table import TableConfig
from pipeline.reporting.formatting import markdown_grid
from pipeline.reporting.tables import listing, printed, select
from pipeline.reporting.tables._warnings import cut_episodes, warnings

Label = Callable[[str, str], str]
"""(method, variant) → what a row is called."""


def game_grid(
    rows: pd.DataFrame,
    text: str,
    value: str,
    data: Callable[["pd.Series[float]"], str] | None,
    label: Label = printed,
) -> str:
    """Games × rows of column `text`, the best learned one by `value` in bold, and the data's."""
    keys = list(dict.fromkeys(zip(rows["method"], rows["variant"], strict=True)))
    header = ["game", *(label(*key) for key in keys), *(["data mean"] if data else [])]
    lines = []
    for dataset, game in rows.groupby("dataset", sort=False):
        best = game.loc[game["method"] != "random", value].max()
        cells = [
            f"**{cell}**" if method != "random" and np.isclose(number, best) else cell
            for cell, number, method in zip(game[text], game[value], game["method"], strict=True)
        ]
        lines.append([str(dataset), *cells, *([data(game.iloc[0])] if data else [])])
    return markdown_grid(header, lines)


def footnote(
    rows: pd.DataFrame,
    scores: pd.DataFrame,
    table: TableConfig,
    environments: Mapping[str, EnvironmentConfig],
    scale: str,
) -> str:
    """What a reader must know to judge the figures, and what weakens them."""
    learned = rows[rows["method"] != "random"]
    runs = scores[scores["dataset"].isin(table.datasets)]
    played = [select(runs, dataset, *row) for dataset in table.datasets for row in table.rows]
    sticky = [environments[dataset].sticky_actions for dataset in table.datasets]
    episodes = rows["episodes"] / rows["seeds"]
    notes = [
        f"Scale: {scale}.",
        f"Observed: {_by_method(learned, 'observation')}.",
        f"Data: {listing(learned['data_source'])}.",
        f"Weights: {_by_method(learned, 'weights')}.",
        f"Updates: {_by_method(pd.concat(played), 'step')}.",
        f"Sampling: {_by_method(learned, 'sampling')}.",
        f"Evaluation: {len(table.seeds)} seeds ({listing(table.seeds)}) × "
        f"{listing(f'{count:g}' for count in episodes)} episodes, cut at "
        f"{listing(runs['max_episode_steps'])} actions; sticky actions {listing(sticky)}.",
        f"Episodes cut there: {'; '.join(cut_episodes(scores, table)) or 'none'}.",
        f"Random: uniform actions, measured under the same protocol; normalised scores use "
        f"{_normalizers(table, environments)} (the 0/the 100).",
        f"Versions: {listing(rows['versions'])}.",
        *(f"Warning: {text}." for text in warnings(scores, table)),
    ]
    return "\n".join(f"- {note}" for note in notes)


def _by_method(rows: pd.DataFrame, column: str) -> str:
    """What each method says in `column`; once if all say the same."""
    per_method = rows.groupby(["method", "variant"], sort=False)[column]
    said = {printed(*map(str, key)): listing(texts) for key, texts in per_method}
    if len(set(said.values())) == 1:
        return listing(said.values())
    return "; ".join(f"{method}: {texts}" for method, texts in said.items())


def _normalizers(table: TableConfig, environments: Mapping[str, EnvironmentConfig]) -> str:
    return ", ".join(
        f"{dataset} {environment.random_score:g}/{environment.reference_score:g}"
        for dataset, environment in environments.items()
        if dataset in table.datasets
    )
