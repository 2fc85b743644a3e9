"""Tables as people read them: numbers, grids of games × rows, and what a reader must know."""

from collections.abc import Callable, Hashable, Mapping

import pandas as pd

from pipeline.config.schema import EnvironmentConfig
from pipeline.config.table import TableConfig
from pipeline.reporting.formatting import UNKNOWN, count, interval, method_grid, plus_minus
from pipeline.reporting.tables import listing, printed, settings_of
from pipeline.reporting.tables._warnings import cut_episodes, warnings

Label = Callable[[str, str], str]
"""(method, variant) → what a row is called."""


def game_grid(
    rows: pd.DataFrame,
    text: str,
    data: Callable[["pd.Series[float]"], str] | None,
    label: Label = printed,
    bold: bool = True,
) -> str:
    """Games × rows of column `text` and the data's; in bold the one that is `ahead`, if any is."""
    keys = list(dict.fromkeys(zip(rows["method"], rows["variant"], strict=True)))
    header = ["game", *(label(*key) for key in keys), *(["data mean"] if data else [])]
    lines = []
    for dataset, game in rows.groupby("dataset", sort=False):
        best = ahead(game) if bold else None
        told = game[text].items()
        cells = [f"**{cell}**" if row == best and cell != UNKNOWN else cell for row, cell in told]
        lines.append([str(dataset), *cells, *([data(game.iloc[0])] if data else [])])
    return method_grid(header, lines)


def ahead(game: pd.DataFrame) -> Hashable | None:
    """Of a game's rows that learned, the index of that whose interval lies above all others'; None
    where intervals overlap, say nothing of other seeds, or nothing else learned.
    """
    learned = game[game["method"] != "random"].sort_values("mean")
    if len(learned) < 2 or learned["seeds"].min() < 2:
        return None
    return learned.index[-1] if learned["ci_low"].iloc[-1] > learned["ci_high"][:-1].max() else None


def explained(seeds: int) -> str:
    """What the cells of `with_intervals` are."""
    return (
        f"Raw score, mean ± standard deviation across {count(seeds, 'seed')}, in brackets the 95 % "
        f"interval of the mean ({resampled(seeds)}); in bold what lies above all others by its "
        "interval."
    )


def resampled(seeds: int) -> str:
    """What `statistics.confidence_interval` does with so many seeds."""
    if seeds > 1:
        return "seeds resampled, widened for their small number"
    return "its episodes resampled, which says nothing of other seeds"


def with_intervals(rows: pd.DataFrame) -> list[str]:
    """Of each row `mean ± deviation [low, high]`."""
    return [
        f"{plus_minus(row['mean'], row['std'])} {interval(row['ci_low'], row['ci_high'])}".strip()
        for _, row in rows.iterrows()
    ]


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
    episodes = rows["episodes"] / rows["seeds"]
    notes = [
        f"Scale: {scale}.",
        f"Observed: {_by_method(learned, 'observation')}.",
        *(f"Trained together: {text}." for text in _together(scores, table)),
        f"Data: {listing(learned['data_source'])}.",
        f"Weights: {_by_method(learned, 'weights')}.",
        f"Sampling: {_by_method(learned, 'sampling')}.",
        f"Evaluation: {count(len(table.seeds), 'seed')} ({listing(table.seeds)}) × "
        f"{listing(f'{count:g}' for count in episodes)} episodes, cut at "
        f"{listing(runs['max_episode_steps'])} actions.",
        f"Episodes cut there: {'; '.join(cut_episodes(scores, table)) or 'none'}.",
        f"Random: uniform actions, measured under the same protocol; normalised scores use "
        f"{_normalizers(table, environments)} (the 0/the 100).",
        f"Versions: {listing(rows['versions'])}.",
        *(f"Warning: {text}." for text in warnings(scores, table)),
    ]
    return "\n".join(f"- {note}" for note in notes)


def _together(scores: pd.DataFrame, table: TableConfig) -> list[str]:
    """The games that one policy was trained on, of every such row once."""
    settings = [settings_of(scores, game, *row) for game in table.datasets for row in table.rows]
    games = dict.fromkeys(", ".join(each.get("trained_together", ())) for each in settings)
    said = "; one policy plays each of them, and its budget is for all"
    return [f"{names}{said}" for names in games if names]


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
