"""The runs' episode files → tidy scores, a row per episode: what every table starts from."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.errors import PipelineError

EPISODE_COLUMNS = ("episode", "reset_seed", "noops", "return", "length", "terminated")
RUN_KEYS = (
    *("weights", "data_source", "sampling", "versions"),
    *("data_mean", "data_max", "target_return", "max_episode_steps"),
)
COLUMNS = ("dataset", "method", "variant", "seed", *EPISODE_COLUMNS, *RUN_KEYS)


@dataclass(frozen=True)
class Run:
    """Where one run stands in the grid."""

    dataset: str
    method: str
    variant: str
    seed: int


def read_grid(text: str) -> list[Run]:
    """The runs of a JSON list of mappings; raises PipelineError for anything else."""
    try:
        return [Run(**run) for run in json.loads(text)]
    except (ValueError, TypeError) as error:
        keys = ", ".join(field.name for field in fields(Run))
        raise PipelineError(f"--runs: {error}; give a JSON list of {keys}") from None


def gather(
    runs: Sequence[Run], episode_files: Sequence[Path], run_files: Sequence[Path]
) -> pd.DataFrame:
    """Tidy scores with the columns COLUMNS; `episode_files` and `run_files` in the order of `runs`.

    Raises PipelineError naming the file for a missing file or column, no episodes, a NaN return.
    """
    if not len(runs) == len(episode_files) == len(run_files):
        counts = f"{len(runs)} runs, {len(episode_files)} episode files, {len(run_files)} run files"
        raise PipelineError(f"cannot gather scores: {counts}")
    parts = []
    for run, episode_file, run_file in zip(runs, episode_files, run_files, strict=True):
        episodes = read_episodes(episode_file)
        described = read_run(run_file)
        place = {"dataset": run.dataset, "method": run.method}
        place |= {"variant": run.variant, "seed": str(run.seed)}
        parts.append(episodes.assign(**place, **described)[list(COLUMNS)])
    scores = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))
    return scores.astype({"seed": int})


def read_episodes(path: Path) -> pd.DataFrame:
    """One run's `episodes.csv`, checked."""
    episodes = _read_csv(path)
    missing = [name for name in EPISODE_COLUMNS if name not in episodes.columns]
    if missing:
        raise PipelineError(f"{path}: column {missing[0]!r} is missing; evaluate the run again")
    if episodes.empty:
        raise PipelineError(f"{path}: no episodes; evaluate the run again")
    if episodes["return"].isna().any():
        raise PipelineError(f"{path}: a return is not a number; evaluate the run again")
    return episodes


def read_run(path: Path) -> dict[str, Any]:
    """One run's `run.json`, checked; `versions` as one line of text."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        described = {key: content[key] for key in RUN_KEYS}
    except FileNotFoundError:
        raise PipelineError(f"{path}: no such file; evaluate the run again") from None
    except json.JSONDecodeError as error:
        raise PipelineError(f"{path}: not valid JSON ({error}); evaluate the run again") from None
    except KeyError as error:
        raise PipelineError(f"{path}: key {error} is missing; evaluate the run again") from None
    if isinstance(described["versions"], dict):
        pairs = sorted(described["versions"].items())
        described["versions"] = ", ".join(f"{name} {version}" for name, version in pairs)
    return described


def read_scores(path: Path) -> pd.DataFrame:
    """The tidy scores that `gather` wrote."""
    scores = _read_csv(path)
    missing = [name for name in COLUMNS if name not in scores.columns]
    if missing:
        raise PipelineError(f"{path}: column {missing[0]!r} is missing; gather the scores again")
    return scores


def _read_csv(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, keep_default_na=False, na_values=["nan", "NaN", ""])
    except FileNotFoundError:
        raise PipelineError(f"{path}: no such file") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise PipelineError(f"{path}: not a CSV file: {error}") from None
