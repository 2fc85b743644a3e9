"""A table's cell in words: its value, the episodes behind it, and all that they were made from."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.config.schema import TableConfig
from pipeline.errors import PipelineError, unknown_name
from pipeline.evaluation.episodes import read_episodes
from pipeline.provenance import lineage
from pipeline.provenance.lineage import Link, Node
from pipeline.provenance.record import Input, Record
from pipeline.reporting import scores, statistics, tables

PLACE = ("dataset", "method", "variant")
"""Columns that name a row, and say which runs are behind it."""
RELATIVE = ("difference", "improvement")
"""Columns that begin so compare a row with another one: all runs are behind them."""
ALIGNED = {"episodes": "runs", "run": "runs", "checkpoints": "checkpoint_runs"}
"""Inputs of the gathering stage → the setting that says whose they are, in the same order."""
OTHER_RUNS = {"random_score": {"method": "random", "variant": "default"}}
"""Columns that show other runs than those of their row."""
NOT_PLAYED = frozenset(
    {
        *("table", *PLACE, "setting", "games", "data_mean", "scale"),
        *("weights", "data_source", "sampling", "versions"),
    }
)
"""Columns that do not depend on the episodes played."""
SETTINGS = frozenset({"name", "table", "environments", "scale"})
"""What `tables.make` has to be told."""
BESIDE = frozenset({"curves", "trainings"})
"""Inputs that a table for people says more by; no cell depends on them, and times have no record.
"""


@dataclass(frozen=True)
class Cell:
    """One value of a tidy table, as text."""

    table: Path
    row: int
    column: str
    value: str
    place: dict[str, str]
    """Of the runs behind it, as far as the table has PLACE."""

    @property
    def name(self) -> str:
        """The cell for people."""
        return f"{self.table}, row {self.row} ({'/'.join(self.place.values())}), {self.column}"


def explain(path: Path, row: str, column: str) -> tuple[str, bool]:
    """The explanation of a cell as text, and whether everything behind it is as it was.

    `row` is a number from 0, or `dataset/method/variant`. Raises PipelineError for an unknown row
    or column, and for a table that is not there or has no record.
    """
    cell = find(path, row, column)
    root = lineage.trace(path, lambda record: behind(record, cell.place))
    if root.record is None:
        raise PipelineError(f"{path}: {root.faults[0]}")
    told, same = _recomputed(cell, root.record, _gathering(root))
    tree = list(lineage.tree(Link("table", root, ())))
    faults = sum(line.lstrip().startswith(lineage.FAULT) for line in tree)
    lines = [f"{cell.name}: {cell.value or 'empty'}", told, ""]
    if cell.column not in NOT_PLAYED:
        lines += ["episodes", *_episodes(root), ""]
    lines += ["made from", *tree, "", *lineage.surroundings(root)]
    if faults:
        lines += ["", f"not as it was: {faults} of the lines above begin with !!"]
    return "\n".join(lines), same and not faults


def find(path: Path, row: str, column: str) -> Cell:
    """The cell that a row and a column name; PipelineError with what is allowed for any other."""
    table = _texts(path)
    if column not in table.columns:
        raise PipelineError(f"{path}: {unknown_name('column', column, list(table.columns))}")
    keys = [key for key in PLACE if key in table.columns]
    names = ["/".join(map(str, cells)) for cells in table[keys].to_numpy()]
    wanted = {row, f"{row}/default"}
    numbers = [index for index, name in enumerate(names) if {str(index), name} & wanted]
    if len(numbers) > 1:
        raise PipelineError(
            f"{path}: rows {', '.join(map(str, numbers))} are called {row!r}; give one's number"
        )
    if not numbers:
        allowed = f"0 to {len(names) - 1}, or {', '.join(names)}"
        raise PipelineError(f"{path}: unknown row {row!r}; allowed: {allowed}")
    found = table.iloc[numbers[0]]
    place = {key: str(found[key]) for key in keys} | OTHER_RUNS.get(column, {})
    of_g = "dataset" not in keys and column.startswith("iqm")  # which counts from random play
    if of_g or column.startswith(RELATIVE):
        place = {}
    return Cell(path, numbers[0], column, str(found[column]), place)


def behind(record: Record, place: dict[str, str]) -> list[Input]:
    """The inputs of a record that belong to the runs at `place`.

    Options of ALIGNED are narrowed to the wanted runs, those of BESIDE left out, others kept.
    """
    chosen = []
    for option in dict.fromkeys(read.option for read in record.inputs):
        if option in BESIDE:
            continue
        inputs = _inputs(record, option)
        runs = record.settings.get(ALIGNED.get(option, ""), [])
        if len(runs) == len(inputs):
            pairs = zip(inputs, runs, strict=True)
            inputs = [read for read, run in pairs if place.items() <= run.items()]
        chosen += inputs
    return chosen


def _episodes(root: Node) -> Iterator[str]:
    """A line for each file of episodes: the mean of its returns, as tables compute it."""
    for node in root.walk():
        for link in node.inputs:
            if link.option == "episodes":
                yield f"  {_summary(link.node)}"


def _summary(node: Node) -> str:
    try:
        returns = read_episodes(node.path)["return"].to_numpy(dtype=float)
    except PipelineError as error:
        return str(error)
    seed = node.record.seeds.get("seed", "?") if node.record else "?"
    mean = statistics.mean([returns])
    return f"seed {seed}: mean {mean:.4f} of {len(returns)} episodes, {node.path}"


def _recomputed(cell: Cell, made: Record, gathered: Record) -> tuple[str, bool]:
    """Whether the episodes give the cell now: a line, and whether it is so."""
    if not made.settings.keys() >= SETTINGS:
        return f"not recomputed: {made.stage} does not tabulate scores", True
    try:
        table = _now(made.settings, gathered, cell)
        now = str(table.at[cell.row, cell.column])
    except PipelineError as error:
        return f"!! cannot be recomputed: {error}", False
    if now == cell.value:
        return "recomputed from the episodes as they are now: the same", True
    return f"!! recomputed from the episodes as they are now: {now or 'empty'}", False


def _now(settings: dict[str, Any], gathered: Record, cell: Cell) -> pd.DataFrame:
    """The table of a cell, made again from the files of episodes that it began with."""
    runs, before = (
        scores.read_grid(json.dumps(gathered.settings.get(name, [])))
        for name in ("runs", "checkpoint_runs")
    )
    episodes, described, earlier = (
        [Path(read.path) for read in _inputs(gathered, option)] for option in ALIGNED
    )
    table = tables.make(
        settings["name"],
        scores.gather(runs, episodes, described, dict(zip(before, earlier, strict=True))),
        TableConfig.from_json(json.dumps(settings["table"])),
        tables.environments(settings["environments"]),
        settings["scale"],
    )
    versions = [_texts(io.StringIO(tables.as_csv(rows))) for rows in (table.rows, table.across)]
    same = [rows for rows in versions if list(rows.columns) == list(_texts(cell.table).columns)]
    if not same:
        raise PipelineError(f"{cell.table}: its columns are not those of a table made now")
    return same[0]


def _gathering(root: Node) -> Record:
    """The record of the stage that read the files of episodes."""
    for node in root.walk():
        if node.record is not None and _inputs(node.record, "episodes"):
            return node.record
    raise PipelineError(
        f"{root.path}: no record behind it names episodes; give a table of scores, such as "
        "results/table1.csv, and make it again if its records are missing"
    )


def _inputs(record: Record, option: str) -> list[Input]:
    return [read for read in record.inputs if read.option == option]


def _texts(file: Path | io.StringIO) -> pd.DataFrame:
    """A CSV file, every cell as its text."""
    try:
        return pd.read_csv(file, dtype=str, keep_default_na=False, encoding="utf-8")
    except OSError as error:
        raise PipelineError(f"{file}: cannot be read ({error.strerror}); make the table") from None
    except ValueError as error:  # pandas' own and of UTF-8
        raise PipelineError(f"{file}: not a table ({error}); make it again") from None
