"""What the tables of ablations have in common: variants of one method, each against the first."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.config.schema import EnvironmentConfig, TableConfig
from pipeline.reporting.formatting import count, figure, interval, plus_minus
from pipeline.reporting.tables import Table, printed, settings_of, summarise
from pipeline.reporting.tables._across import across_games, section
from pipeline.reporting.tables._markdown import Label, footnote, game_grid


@dataclass(frozen=True)
class Ablation:
    """The `build` of a table of ablations."""

    name: str
    title: str
    claim: str
    """What the paper says of it."""
    setting: Callable[[dict[str, Any]], str] | None = None
    """Makes a row's name of its run's settings; else a row is called by its variant. Rows of other
    methods, which stand beside, keep their names.
    """

    def __call__(
        self,
        scores: pd.DataFrame,
        table: TableConfig,
        environments: Mapping[str, EnvironmentConfig],
        scale: str,
    ) -> Table:
        """The table from tidy scores; `environments` by data set. PipelineError for a missing
        run.
        """
        label = self.labels(scores, table)
        rows = summarise(self.name, scores, table, environments, scale)
        across = across_games(self.name, scores, table)
        for frame in (rows, across):
            keys = zip(frame["method"], frame["variant"], strict=True)
            frame["setting"] = [label(*key) for key in keys]
        seeds = count(len(table.seeds), "seed")
        sections = [
            f"# {self.title} ({scale} scale)",
            f"Raw score, mean ± standard deviation across {seeds}, in brackets "
            "the 95 % interval of the mean of these runs (episodes resampled within each seed); "
            "the best in bold.",
            game_grid(rows.assign(text=_texts(rows)), "text", "mean", _data_mean, label),
            section(across, label),
            f"The paper's claim: {self.claim}",
            footnote(rows, scores, table, environments, scale),
        ]
        return Table(rows, across, "\n\n".join(sections) + "\n")

    def labels(self, scores: pd.DataFrame, table: TableConfig) -> Label:
        """What each row is called."""

        def label(method: str, variant: str) -> str:
            if self.setting is None or method not in table.methods:
                return printed(method, variant)
            every = (settings_of(scores, dataset, method, variant) for dataset in table.datasets)
            return " or ".join(dict.fromkeys(map(self.setting, every)))  # set per game, perhaps

        return label


def _texts(rows: pd.DataFrame) -> list[str]:
    return [
        f"{plus_minus(row['mean'], row['std'])} {interval(row['ci_low'], row['ci_high'])}".strip()
        for _, row in rows.iterrows()
    ]


def _data_mean(row: "pd.Series[float]") -> str:
    return figure(row["data_mean"])
