"""Lists for people: each action's sentence per prompt set, and what the runs were made from."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.environments.action_space import ActionSpace
from pipeline.errors import PipelineError
from pipeline.features.prompts import Prompts
from pipeline.reporting.scores import Run, read_run

PROVENANCE = ("weights", "data_source", "sampling", "versions")
"""Keys of run.json that tell where a run comes from."""


def prompts(space: ActionSpace, sets: Sequence[str], files: Sequence[Path]) -> pd.DataFrame:
    """A row per action, or per level of continuous ones, and a column per prompt set with its
    sentence.
    """
    read = [Prompts.read(file) for file in files]
    if space.continuous:
        rows = [each.rule.everywhere if each.rule else [] for each in read]
        levels = max(len(each) for each in rows)
        columns: dict[str, list[str]] = {
            "torques": [f"level {i + 1} of {levels}, all joints" for i in range(levels)]
        }
        return pd.DataFrame(
            columns
            | {
                name: [*each, *[""] * (levels - len(each))]
                for name, each in zip(sets, rows, strict=True)
            }
        )
    columns = {"action": list(space.names)}
    for name, file, each in zip(sets, files, read, strict=True):
        known = 0 if each.action_prompt is None else len(each.action_prompt)
        if known != space.size:
            count = f"{known} sentences for {space.size} actions"
            raise PipelineError(f"{file}: {count}; run write_prompts again")
        columns[name] = each.say(np.arange(space.size))
    return pd.DataFrame(columns)


def runs(runs: Sequence[Run], run_files: Sequence[Path]) -> pd.DataFrame:
    """A row per run; seeds of which all else is equal share one."""
    rows = [
        {"data set": _played(run), "method": run.method, "variant": run.variant, "seed": run.seed}
        | {key.replace("_", " "): described[key] for key in PROVENANCE}
        for run, described in ((r, read_run(f)) for r, f in zip(runs, run_files, strict=True))
    ]
    frame = pd.DataFrame(rows)
    alike = [name for name in frame.columns if name != "seed"]
    grouped = frame.groupby(alike, sort=False, dropna=False)["seed"]
    merged = grouped.agg(lambda seeds: ", ".join(map(str, seeds))).reset_index()
    return merged.rename(columns={"seed": "seeds"})[[*alike[:3], "seeds", *alike[3:]]]


def _played(run: Run) -> str:
    """The data set of a run's game, and that of several games that it was trained on."""
    return f"{run.dataset} (trained on {run.together})" if run.together else run.dataset
