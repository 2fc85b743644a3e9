"""Ablations: variants of one method, each against the first."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from pipeline.config.schema import EnvironmentConfig
from pipeline.config.table import TableConfig
from pipeline.reporting.formatting import figure
from pipeline.reporting.tables import Table, _budget, printed, settings_of, summarise
from pipeline.reporting.tables._across import across_games, section
from pipeline.reporting.tables._markdown import (
    Label,
    explained,
    footnote,
    game_grid,
    with_intervals,
)

Naming = Callable[[dict[str, Any]], str | None]
"""A run's settings → what its row is called; None: as its variant."""


def build(
    name: str,
    scores: pd.DataFrame,
    table: TableConfig,
    environments: Mapping[str, EnvironmentConfig],
    scale: str,
    naming: Naming | None = None,
) -> Table:
    """The table from tidy scores; `environments` by data set. PipelineError for a missing run.

    Rows are named by `naming`, or else by the table's own `setting`.
    """
    label = labels(scores, table, naming)
    rows = summarise(name, scores, table, environments, scale)
    across = across_games(name, scores, table)
    for frame in (rows, across):
        keys = zip(frame["method"], frame["variant"], strict=True)
        frame["setting"] = [label(*key) for key in keys]
    sections = [
        f"# {table.title or name} ({scale} scale)",
        explained(len(table.seeds)),
        game_grid(rows.assign(text=with_intervals(rows)), "text", _data_mean, label),
        section(across, label),
        _budget.section(rows, scores, label),
        *([f"The paper's claim: {table.claim}"] if table.claim else []),
        footnote(rows, scores, table, environments, scale),
    ]
    return Table(rows, across, "\n\n".join(sections) + "\n")


def labels(scores: pd.DataFrame, table: TableConfig, naming: Naming | None = None) -> Label:
    """What each row is called; rows of other methods, which stand beside, keep their names."""

    def label(method: str, variant: str) -> str:
        if method not in table.methods:
            return printed(method, variant)
        every = (settings_of(scores, dataset, method, variant) for dataset in table.datasets)
        names = [name for name in map(naming or table.row_name, every) if name is not None]
        return " or ".join(dict.fromkeys(names)) or printed(method, variant)  # set per game

    return label


def _data_mean(row: "pd.Series[float]") -> str:
    return figure(row["data_mean"])
