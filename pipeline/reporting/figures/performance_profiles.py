"""Figure: performance profiles, the share of runs that score more than τ, for every τ (Agarwal et
al. 2021).
"""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pipeline.config.schema import TableConfig
from pipeline.reporting.aggregate_metrics import performance_profile
from pipeline.reporting.figures import style
from pipeline.reporting.formatting import count
from pipeline.reporting.tables import printed, runs_of

POINTS = 101


def plot(scores: pd.DataFrame, table: TableConfig, output: Path) -> None:
    """Draw the profile of every row of `table` over g, with its 95 % band, as PNG."""
    runs = {row: runs_of(scores, table, *row) for row in table.rows}
    highest = max((float(np.max(game)) for games in runs.values() for game in games), default=1.0)
    thresholds = np.linspace(0, max(1.0, highest), POINTS)
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes, color_of = figure.subplots(), style.colors(runs)
    for row, games in runs.items():
        profile = pd.DataFrame(performance_profile(games, thresholds))
        axes.step(thresholds, profile["value"], color=color_of[row], label=printed(*row))
        axes.fill_between(
            thresholds, profile["low"], profile["high"], step="pre", color=color_of[row], alpha=0.12
        )
    counts = f"{count(len(runs[table.rows[0]]), 'game')} × {count(len(table.seeds), 'seed')}"
    axes.set(
        xlabel="τ, as a share g of the data's score",
        ylabel="share of runs with g > τ",
        title=f"Performance profiles, {counts}",
    )
    style.legend(figure)
    style.save(figure, output)
