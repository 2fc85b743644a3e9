"""What a run's training adds to its scores: its cost, and whether it had levelled off."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import PipelineError
from pipeline.io.csv import read_csv
from pipeline.reporting.scores import Run

MEASURED = {
    "held_out_accuracy": "held-out accuracy",
    "held_out_mse": "held-out mean square error",
}
"""What the curve of a method that reads actions has one of, and what it is called."""
CPU_SECONDS, LATE_GAIN, ACCURACY = "cpu_seconds", "late_gain", "held_out_accuracy"
"""Columns that `join` adds to scores."""
VALUES = {
    "held_out_q": "Q recorded",
    "held_out_q_of_policy": "Q policy",
    "held_out_value": "V",
    "monte_carlo_return": "return",
    "held_out_td_error": "TD error",
    "held_out_multiplier": "multiplier",
    "held_out_entropy_weight": "entropy weight",
    "held_out_divergence": "divergence",
    "held_out_gap": "conservative gap",
}
"""Columns of curves that methods have which learn values, and how tables head them; `join` adds
their last figures.
"""
LEVEL = 0.05
"""A run has levelled off if its `late_gain` is below this."""


def losses(curve: pd.DataFrame) -> list[str]:
    """The columns of training losses, one per optimiser."""
    return [name for name in map(str, curve) if name.startswith("train_loss")]


def measured(curves: Sequence[pd.DataFrame]) -> str | None:
    """The first of MEASURED that any of the curves has; its column is empty where nothing was held
    out.
    """
    return next((n for n in MEASURED if any(n in c and c[n].notna().any() for c in curves)), None)


def read_curve(path: Path) -> pd.DataFrame:
    """A training curve; raises PipelineError naming the file and the column it lacks."""
    curve = read_csv(path, ["step"], "train the policy again")
    if not measured([curve]) and not losses(curve):
        names = " or ".join(map(repr, [*MEASURED, "train_loss"]))
        raise PipelineError(f"{path}: no column {names}; train the policy again")
    return curve


def read_curves(runs: Sequence[Run], paths: Sequence[Path]) -> list[pd.DataFrame]:
    """The training curve of each run, as of the game that it was played in: where a training was on
    several games, a column of all of them is replaced by that of this game.
    """
    return [
        read_curve(path).pipe(_of_game, run.dataset) for run, path in zip(runs, paths, strict=True)
    ]


def _of_game(curve: pd.DataFrame, game: str) -> pd.DataFrame:
    own = {name: curve[f"{name}_{game}"] for name in map(str, curve) if f"{name}_{game}" in curve}
    return curve.assign(**own)


def read_cpu_seconds(path: Path) -> float:
    """CPU seconds of a job from its benchmark file; NaN of one too short to be sampled."""
    return float(read_benchmark(path)["cpu_time"].sum(min_count=1))


def read_benchmark(path: Path) -> pd.DataFrame:
    """Snakemake's measurements of a job: `s`, `max_rss` in MB, `cpu_time` in seconds; PipelineError
    naming the file.
    """
    needed = ["s", "max_rss", "cpu_time"]
    try:
        table = pd.read_csv(path, sep="\t", na_values=["-", "NA"], encoding="utf-8")
        return table[needed].astype(float)
    except FileNotFoundError:
        raise PipelineError(f"{path}: no such file; run its job again") from None
    except (KeyError, TypeError, ValueError, pd.errors.ParserError) as error:
        raise PipelineError(f"{path}: not a benchmark file ({error}); run its job again") from None


def late_gain(curve: pd.DataFrame) -> float:
    """By what share the held-out error fell from the last fifth but one of updates to the last.

    The error is 1 - accuracy, or the mean square; NaN where a curve has neither, or too few rows.
    """
    name = measured([curve])
    if name is None:
        return float("nan")
    error = 1 - curve[name] if name == "held_out_accuracy" else curve[name]
    done = curve["step"] / curve["step"].max()
    before, last = error[(done > 0.6) & (done <= 0.8)].mean(), error[done > 0.8].mean()
    return float(1 - last / before) if before else 0.0


def _last(curve: pd.DataFrame, column: str) -> float:
    """What stood there when training ended; NaN where the curve has no such column."""
    return float(curve[column].iloc[-1]) if column in curve else float("nan")


def join(
    scores: pd.DataFrame,
    runs: Sequence[Run],
    curves: Sequence[pd.DataFrame],
    seconds: Sequence[float],
) -> pd.DataFrame:
    """`scores` with CPU_SECONDS, LATE_GAIN and the last of MEASURED and VALUES of the run of each
    row; NaN of random play.
    """
    keys = ["dataset", "method", "variant", "seed"]
    last = [*MEASURED, *VALUES]
    rows = [
        (
            *(run.dataset, run.method, run.variant, run.seed, spent, late_gain(curve)),
            *(_last(curve, name) for name in last),
        )
        for run, curve, spent in zip(runs, curves, seconds, strict=True)
    ]
    added = [CPU_SECONDS, LATE_GAIN, *last]
    known = pd.DataFrame(rows, columns=[*keys, *added])
    if not len(known):
        return scores.assign(**dict.fromkeys(added, np.nan))
    return scores.merge(known, how="left", on=keys, validate="many_to_one")
