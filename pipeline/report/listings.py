"""Lists for people: each action's sentence per prompt set, and what the runs were made from."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pipeline.errors import PipelineError
from pipeline.prompts import Prompts
from pipeline.scores import Run, read_run

PROVENANCE = ("weights", "data_source", "sampling", "versions")
"""Keys of run.json that tell where a run comes from."""


def prompts(
    action_meanings: Sequence[str], sets: Sequence[str], files: Sequence[Path]
) -> pd.DataFrame:
    """A row per action, a column per prompt set with the sentence that stands for the action."""
    columns = {"action": list(action_meanings)}
    for name, file in zip(sets, files, strict=True):
        read = Prompts.read(file)
        if len(read.action_prompt) != len(action_meanings):
            count = f"{len(read.action_prompt)} sentences for {len(action_meanings)} actions"
            raise PipelineError(f"{file}: {count}; run write_prompts again")
        columns[name] = [read.sentences[index] for index in read.action_prompt]
    return pd.DataFrame(columns)


def runs(runs: Sequence[Run], run_files: Sequence[Path]) -> pd.DataFrame:
    """A row per run; seeds of which all else is equal share one."""
    rows = [
        {"data set": run.dataset, "method": run.method, "variant": run.variant, "seed": run.seed}
        | {key.replace("_", " "): described[key] for key in PROVENANCE}
        for run, described in ((r, read_run(f)) for r, f in zip(runs, run_files, strict=True))
    ]
    frame = pd.DataFrame(rows)
    alike = [name for name in frame.columns if name != "seed"]
    grouped = frame.groupby(alike, sort=False, dropna=False)["seed"]
    merged = grouped.agg(lambda seeds: ", ".join(map(str, seeds))).reset_index()
    return merged.rename(columns={"seed": "seeds"})[[*alike[:3], "seeds", *alike[3:]]]
