"""Figures across games (Agarwal et al. 2021): of every row, with intervals, and against one row.

A run's score is g = (score - random) / (data mean - random), the mean of its episodes: 0 is random
play, 1 the episodes that were trained on, so that games can be put together.
"""

from collections.abc import Iterator

import pandas as pd

from pipeline.config.table import TableConfig
from pipeline.reporting.aggregate_metrics import (
    Estimate,
    estimate,
    paired_difference,
    probability_of_improvement,
)
from pipeline.reporting.formatting import count, figure, interval, markdown_grid
from pipeline.reporting.statistics import pooled_interquartile_mean
from pipeline.reporting.tables import has_shares, runs_of
from pipeline.reporting.tables._markdown import Label

FIGURES = ("iqm", "difference", "improvement")


def across_games(name: str, scores: pd.DataFrame, table: TableConfig) -> pd.DataFrame:
    """One row per (method, variant): IQM, difference from the first row and P(better than it).

    Each with the ends of its 95 % interval; the difference is paired by seed.
    """
    first, rows = runs_of(scores, table, *table.rows[0]), []
    games = sum(has_shares(scores, table, dataset) for dataset in table.datasets)
    for method, variant in table.rows:
        runs = runs_of(scores, table, method, variant)
        figures = [
            estimate(runs, pooled_interquartile_mean),
            paired_difference(runs, first),
            probability_of_improvement(runs, first),
        ]
        place = {"table": name, "method": method, "variant": variant}
        counts = {"games": games, "seeds": len(table.seeds)}
        rows.append({**place, **counts, **dict(_columns(figures))})
    return pd.DataFrame(rows)


def section(across: pd.DataFrame, label: Label) -> str:
    """The figures across games as Markdown."""
    keys = list(zip(across["method"], across["variant"], strict=True))
    n = " × ".join(count(int(across[f"{each}s"].iloc[0]), each) for each in ("game", "seed"))
    header = ["", "IQM of g", "difference from the first row", "P(better than the first row)"]
    lines = [
        [label(*key), *(_text(row, name) for name in FIGURES)]
        for key, (_, row) in zip(keys, across.iterrows(), strict=True)
    ]
    lines[0][2:] = ["", ""]
    return "\n\n".join(
        [
            f"Across games, n = {n}: interquartile mean of g, mean difference of g from the first "
            "row paired by seed, and probability that a run is better than one of the first row; "
            "in brackets 95 % intervals, runs resampled within each game, widened for their small "
            "number.",
            markdown_grid(header, lines),
        ]
    )


def _columns(figures: list[Estimate]) -> Iterator[tuple[str, float]]:
    for name, (value, low, high) in zip(FIGURES, figures, strict=True):
        yield name, value
        yield f"{name}_ci_low", low
        yield f"{name}_ci_high", high


def _text(row: "pd.Series[float]", name: str) -> str:
    value, low, high = row[name], row[f"{name}_ci_low"], row[f"{name}_ci_high"]
    return f"{figure(value, 2)} {interval(low, high, 2)}".strip()
