"""What each row of a table was trained with, and whether its training had levelled off."""

from collections.abc import Mapping

import pandas as pd

from pipeline.reporting.formatting import figure, method_grid
from pipeline.reporting.tables._markdown import Label
from pipeline.reporting.trainings import CPU_SECONDS


def section(rows: pd.DataFrame, scores: pd.DataFrame, label: Label) -> str:
    """Games × rows: windows and environment steps that a run was trained on, and its CPU time."""
    learned = rows[rows["method"] != "random"]
    seconds = _seconds(scores)
    keys = list(dict.fromkeys(zip(learned["method"], learned["variant"], strict=True)))
    lines = []
    for dataset, game in learned.groupby("dataset", sort=False):
        cells = []
        for _, row in game.iterrows():
            spent = seconds.get((str(dataset), row["method"], row["variant"]))
            cost = f"; {figure(spent, 0)} s" if spent is not None else ""
            cells.append(f"{row['windows']:,.0f}; {row['environment_steps']:,.0f}{cost}")
        lines.append([str(dataset), *cells])
    return "\n\n".join(
        [
            "Budget of a run: windows; environment steps in them that carried loss; CPU seconds of "
            "its training, where they were measured; of one that was killed and went on, those "
            "since then.",
            method_grid(["game", *(label(*key) for key in keys)], lines),
        ]
    )


def _seconds(scores: pd.DataFrame) -> Mapping[tuple[str, str, str], float]:
    """(data set, method, variant) → mean CPU seconds of its trainings."""
    if CPU_SECONDS not in scores:
        return {}
    means = scores.groupby(["dataset", "method", "variant"])[CPU_SECONDS].mean()
    return {key: float(value) for key, value in means.dropna().items()}  # type: ignore[misc]
