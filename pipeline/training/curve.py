"""The training curve: a row now and then, and the CSV file that they become."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.io.atomic import replacing


@dataclass(frozen=True)
class CurveRow:
    """One row of the training curve."""

    step: int
    """Updates done."""
    train_loss: dict[str, float]
    """Of each optimiser, the mean since the last row; NaN if it took no step."""
    learning_rate: dict[str, float]
    """Of each optimiser."""
    held_out: dict[str, float]
    """By column: see `HeldOut.measure`."""

    def columns(self) -> dict[str, float]:
        """The row's numbers by column, which names the optimiser where there are several."""
        several = len(self.train_loss) > 1
        found: dict[str, float] = {}
        for column in ("train_loss", "learning_rate"):
            for name, value in getattr(self, column).items():
                found[f"{column}_{name}" if several else column] = value
        return found | self.held_out


def mean_losses(losses: Sequence[Mapping[str, float]], names: Sequence[str]) -> dict[str, float]:
    """The mean of each optimiser's losses over the updates in which it took a step."""
    taken = {name: [each[name] for each in losses if name in each] for name in names}
    return {name: float(np.mean(each)) if each else np.nan for name, each in taken.items()}


def write_curve(path: Path, rows: Sequence[CurveRow]) -> None:
    """Write the curve as CSV, whole or not at all."""
    lines: list[dict[str, object]] = [
        {"step": row.step, **{name: f"{value:.6g}" for name, value in row.columns().items()}}
        for row in rows
    ]
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
