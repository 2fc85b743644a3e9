"""Figure: performance profiles, the share of runs that score more than τ, for every τ (Agarwal et
al. 2021).
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # before pyplot: no display is needed to write a file

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from pipeline.config.schema import TableConfig
from pipeline.reporting.aggregate_metrics import performance_profile
from pipeline.reporting.tables import printed, runs_of

POINTS = 101


def plot(scores: pd.DataFrame, table: TableConfig, output: Path) -> None:
    """Draw the profile of every row of `table` over g, with its 95 % band, as PNG."""
    runs = {row: runs_of(scores, table, *row) for row in table.rows}
    highest = max(float(np.max(game)) for games in runs.values() for game in games)
    thresholds = np.linspace(0, max(1.0, highest), POINTS)
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for color, (row, games) in enumerate(runs.items()):
        profile = pd.DataFrame(performance_profile(games, thresholds))
        axes.step(thresholds, profile["value"], color=f"C{color}", label=printed(*row))
        axes.fill_between(
            thresholds, profile["low"], profile["high"], step="pre", color=f"C{color}", alpha=0.12
        )
    counts = f"{len(table.datasets)} games × {len(table.seeds)} seeds"
    axes.set(
        xlabel="τ, as a share g of the data's score",
        ylabel="share of runs with g > τ",
        title=f"Performance profiles, {counts}",
    )
    axes.legend(fontsize=7)
    figure.savefig(output, dpi=120, format="png", metadata={"Software": None})
    plt.close(figure)
