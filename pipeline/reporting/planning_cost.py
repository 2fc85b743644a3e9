"""What the decisions of planners cost, beside what they score: rows of runs that were timed and
played, and what others published of theirs.

Times are of the machine that each row names; run again, they are others.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import PipelineError
from pipeline.evaluation.decision_columns import COLUMNS as TIMED
from pipeline.io.csv import read_csv
from pipeline.reporting import statistics
from pipeline.reporting.formatting import figure, markdown_grid, plus_minus
from pipeline.reporting.scores import Run
from pipeline.reporting.tables import printed

KEYS = ["dataset", "method", "variant"]
COLUMNS = (
    *(*KEYS, "played", "horizon", "trained", "milliseconds_alone", "milliseconds_in_lockstep"),
    *("lockstep", "forward_passes", "parameters", "score", "score_std", "share_of_data", "seeds"),
    *("planner", "host"),
)
"""Milliseconds are of one episode's decision. `score` and what follows it are of rows that were
`played`; `share_of_data` is the score divided by the data's mean, where that is above 0.
"""
PUBLISHED = ("method", "setting", "milliseconds", "quoted", "hardware", "source")


def read_decisions(path: Path) -> pd.DataFrame:
    """What `time_decisions` wrote of a run."""
    return read_csv(path, [*TIMED, "host"], "time the decisions again")


def read_published(path: Path) -> pd.DataFrame:
    """What others published; PipelineError where a row has no source."""
    known = read_csv(path, PUBLISHED, "restore the file of the repository")
    if known["source"].isna().any():
        row = int(known["source"].isna().argmax()) + 2
        raise PipelineError(f"{path}, line {row}: no source; every cost needs one")
    return known


def table(decisions: Mapping[Run, pd.DataFrame], scores: pd.DataFrame) -> pd.DataFrame:
    """Columns COLUMNS: of each timed run its own settings and the other horizons, with the scores
    of all seeds (`pipeline.reporting.scores`) of its method and variant.
    """
    if not decisions:
        raise PipelineError(
            "planning_cost: no table of the configuration is timed; say `timed: true` in one"
        )
    rows = []
    for run, measured in decisions.items():
        place = (run.dataset, run.method, run.variant)
        played = scores[(scores[KEYS] == list(place)).all(axis=1)]
        kept = ["played", "horizon", "trained", "forward_passes", "parameters", "host"]
        for _, both in measured.groupby(["played", "horizon"], sort=False):
            one, several = both.iloc[0], both.iloc[-1]
            row = dict(zip(KEYS, place, strict=True)) | {key: one[key] for key in kept}
            row |= {"milliseconds_alone": one["milliseconds"], "lockstep": several["episodes"]}
            row |= {"milliseconds_in_lockstep": several["milliseconds"]}
            rows.append(row | (_scored(played) if one["played"] else {}))
    return pd.DataFrame(rows).reindex(columns=list(COLUMNS))


def _scored(episodes: pd.DataFrame) -> dict[str, object]:
    """The score of all seeds of a row, and how it planned."""
    per_seed = [each["return"].to_numpy(float) for _, each in episodes.groupby("seed")]
    mean, settings = statistics.mean(per_seed), json.loads(episodes["settings"].iloc[0])
    data_mean = float(episodes["data_mean"].iloc[0])
    return {
        "score": mean,
        "score_std": statistics.deviation(per_seed),
        "share_of_data": mean / data_mean if data_mean > 0 else float("nan"),
        "seeds": len(per_seed),
        "planner": json.dumps(settings.get("policy", {}).get("planner", {}), sort_keys=True),
    }


def markdown(rows: pd.DataFrame, published: pd.DataFrame) -> str:
    """The same for people, with what was published beside it."""
    hosts = "; ".join(dict.fromkeys(rows["host"]))
    lockstep = int(rows["lockstep"].iloc[0])
    played = rows["played"].astype(bool)
    sections = [
        "# What a decision costs",
        f"Measured on {hosts}, in one thread: the median CPU time of a decision, from the game to "
        "the action. Other machines give other times. A forward pass is one call of a network, "
        "with all beams of an episode at once.",
        _grid(rows[played], lockstep),
    ]
    if (~played).any():
        sections += [
            "The same planners with other horizons, which were not played. Where a horizon would "
            "need another training, weights are as they begin: time does not depend on them.",
            _grid(rows[~played], lockstep),
        ]
    lines = [
        [printed(str(row["method"])), *(str(row[name]) for name in PUBLISHED if name in _SHOWN)]
        for _, row in published.iterrows()
    ]
    sections += ["## Published", markdown_grid(["method", *_SHOWN], lines)]
    return "\n\n".join(sections) + "\n"


_SHOWN = ("setting", "quoted", "hardware", "source")
"""Of what was published, beside the method."""


def _grid(rows: pd.DataFrame, lockstep: int) -> str:
    header = [
        *("method", "data set", "steps planned", "ms alone", f"ms of {lockstep} in lock-step"),
        *("forward passes", "parameters", "score", "of the data's mean"),
    ]
    lines = []
    for _, row in rows.iterrows():
        scored = not np.isnan(row["score"])
        lines.append(
            [
                *(printed(row["method"], row["variant"]), row["dataset"], str(int(row["horizon"]))),
                figure(row["milliseconds_alone"], digits=2),
                figure(row["milliseconds_in_lockstep"], digits=2),
                *(figure(row["forward_passes"], digits=0), f"{int(row['parameters']):,}"),
                plus_minus(row["score"], row["score_std"]) if scored else "",
                figure(row["share_of_data"], digits=2) if scored else "",
            ]
        )
    return markdown_grid(header, lines)


def by_run(runs: Sequence[Run], paths: Sequence[Path]) -> dict[Run, pd.DataFrame]:
    """The decisions of each run; `paths` in the order of `runs`."""
    return {run: read_decisions(path) for run, path in zip(runs, paths, strict=True)}
