"""The runs' episode files → tidy scores, a row per episode: what every table starts from."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.errors import PipelineError
from pipeline.evaluation.episodes import EPISODE_COLUMNS, read_episodes
from pipeline.io.csv import read_csv
from pipeline.io.json import parse

RUN_KEYS = (
    *("weights", "data_source", "sampling", "serving", "versions"),
    *("data_mean", "data_max", "target_return", "max_episode_steps", "still_limit"),
    *("known_starts", "ended_as_recorded", "settings"),
)
COLUMNS = ("dataset", "method", "variant", "seed", "checkpoint", *EPISODE_COLUMNS, *RUN_KEYS)
LAST, EARLIER = "last", "earlier"
"""`checkpoint`: whether an episode was played by the policy as training left it."""


@dataclass(frozen=True)
class Run:
    """Where one run stands in the grid."""

    dataset: str
    """Whose game it was played in."""
    method: str
    variant: str
    seed: int
    together: str = ""
    """The data set of several games that it was trained on, if it was."""


def read_grid(text: str) -> list[Run]:
    """The runs of a JSON list of mappings; raises PipelineError for anything else."""
    try:
        return [Run(**run) for run in json.loads(text)]
    except (ValueError, TypeError) as error:
        keys = ", ".join(field.name for field in fields(Run) if field.default is MISSING)
        raise PipelineError(f"--runs: {error}; give a JSON list of {keys}") from None


def gather(
    runs: Sequence[Run],
    episode_files: Sequence[Path],
    run_files: Sequence[Path],
    earlier: Mapping[Run, Path] | None = None,
) -> pd.DataFrame:
    """Tidy scores with the columns COLUMNS; `episode_files` and `run_files` in the order of `runs`.

    `earlier`: of some of the runs, the episodes that checkpoints before the last played. Raises
    PipelineError naming the file for a missing file or column, no episodes, a NaN return.
    """
    if not len(runs) == len(episode_files) == len(run_files):
        counts = f"{len(runs)} runs, {len(episode_files)} episode files, {len(run_files)} run files"
        raise PipelineError(f"cannot gather scores: {counts}")
    parts = []
    for run, episode_file, run_file in zip(runs, episode_files, run_files, strict=True):
        described = read_run(run_file)
        place = {"dataset": run.dataset, "method": run.method}
        place |= {"variant": run.variant, "seed": str(run.seed)}
        played = [read_episodes(episode_file).assign(checkpoint=LAST)]
        if earlier and run in earlier:
            before = read_episodes(earlier[run], empty=True).assign(checkpoint=EARLIER)
            played = [before, *played] if len(before) else played
        parts += [part.assign(**place, **described)[list(COLUMNS)] for part in played]
    scores = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))
    return scores.astype({"seed": int})


def read_run(path: Path) -> dict[str, Any]:
    """One run's `run.json`, checked; `versions` as one line of text, and as JSON `serving`,
    `known_starts`, `ended_as_recorded` and `settings`.
    """
    try:
        content = parse(path.read_text(encoding="utf-8"))
        described = {key: content[key] for key in RUN_KEYS}
    except FileNotFoundError:
        raise PipelineError(f"{path}: no such file; evaluate the run again") from None
    except (ValueError, TypeError) as error:
        raise PipelineError(
            f"{path}: not valid JSON of a run ({error}); evaluate the run again"
        ) from None
    except KeyError as error:
        raise PipelineError(f"{path}: key {error} is missing; evaluate the run again") from None
    if isinstance(described["versions"], dict):
        pairs = sorted(described["versions"].items())
        described["versions"] = ", ".join(f"{name} {version}" for name, version in pairs)
    for key in ("serving", "known_starts", "ended_as_recorded", "settings"):
        described[key] = json.dumps(described[key], sort_keys=True)
    return described


def read_scores(path: Path) -> pd.DataFrame:
    """The tidy scores that `gather` wrote."""
    return read_csv(path, COLUMNS, "gather the scores again")
