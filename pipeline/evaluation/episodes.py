"""Played episodes and the CSV files that hold them, from which tables are made."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import PipelineError
from pipeline.io.atomic import replacing
from pipeline.io.csv import read_csv

EPISODE_COLUMNS = (
    *("step", "episode", "reset_seed", "noops", "return", "length"),
    *("still_steps_longest", "still_share", "terminated"),
)
"""`step`: the updates that the policy had seen."""
ALIKE = 12
"""Steps by which the lengths of two episodes may differ that took the same course: no-ops before
the first step are up to eight of them, and the player may be late or early.
"""


@dataclass(frozen=True)
class Episode:
    """One episode as played."""

    reset_seed: int
    noops: int
    score: float
    """Undiscounted raw return."""
    length: int
    """Agent steps."""
    terminated: bool
    """False: cut at the longest length allowed."""
    still_steps_longest: int = 0
    """Most steps in a row in which nothing that matters changed (`evaluation.stillness`)."""
    still_share: float = 0.0
    """Share of such steps."""


def write_episodes(path: Path, played: Sequence[tuple[int, Episode]]) -> None:
    """Write episodes, each with the updates its policy had seen, as CSV, whole or not at all."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(EPISODE_COLUMNS)
        count: dict[int, int] = {}
        for step, episode in played:
            count[step] = count.get(step, -1) + 1
            place = (step, count[step], episode.reset_seed, episode.noops)
            still = episode.still_steps_longest, f"{episode.still_share:.4f}"
            outcome = f"{episode.score:.10g}", episode.length, *still, episode.terminated
            writer.writerow([*place, *outcome])


def ended_as_recorded(
    played: Sequence[Episode], recorded: Sequence[tuple[float, int]]
) -> list[int]:
    """Which of the episodes `played` ended as one that was recorded: with the same score, and a
    length that differs by `ALIKE` steps at most. `recorded` are score and length.
    """
    return [
        number
        for number, each in enumerate(played)
        if each.terminated
        and any(
            each.score == score and abs(each.length - length) <= ALIKE for score, length in recorded
        )
    ]


def read_episodes(path: Path, empty: bool = False) -> pd.DataFrame:
    """What `write_episodes` wrote, checked; no episode at all is an error unless `empty`."""
    episodes = read_csv(path, EPISODE_COLUMNS, "evaluate the run again")
    if episodes.empty and not empty:
        raise PipelineError(f"{path}: no episodes; evaluate the run again")
    for name in EPISODE_COLUMNS[:-1]:
        if not np.isfinite(pd.to_numeric(episodes[name], errors="coerce")).all():
            raise PipelineError(f"{path}: a {name} is not a number; evaluate the run again")
    return episodes
