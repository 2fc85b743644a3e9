"""Scores that others published, to stand under a table of ours: never in it, and each with its
source.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from pipeline.errors import PipelineError
from pipeline.io.csv import read_csv
from pipeline.reporting.formatting import method_grid, plus_minus

COLUMNS = ("table", "dataset", "method", "mean", "std", "unit", "source")


def read(path: Path) -> pd.DataFrame:
    """Published scores with the columns COLUMNS; PipelineError naming the file and what is wrong
    in it.
    """
    published = read_csv(path, COLUMNS, "restore the file of the repository")
    for column in (name for name in COLUMNS if name != "std"):
        if published[column].isna().any():
            row = int(published[column].isna().argmax()) + 2
            raise PipelineError(f"{path}, line {row}: no {column}; every score needs one")
    return published


def section(published: pd.DataFrame, table: str, datasets: Sequence[str]) -> str:
    """Markdown of the published scores of `table` on its data sets; "" if none.

    `hopper-medium` is published for `hopper_medium`, and for `hopper_medium_d4rl` where nothing
    longer is. What is of several games, such as `15 games`, is no data set's name and always there.
    """
    rows = published[published["table"] == table]
    names = rows["dataset"].str.replace("-", "_")
    theirs = names.isin({_published_name(dataset, names) for dataset in datasets})
    chosen = rows[theirs | names.str.contains(" ")]
    if chosen.empty:
        return ""
    parts = [
        "",
        "## Published baselines",
        "By their authors or as quoted below, on their data, which are not the data of the table "
        "above: no figure here is of this pipeline.",
    ]
    for unit, scores in chosen.groupby("unit", sort=False):
        title = str(unit)[:1].upper() + str(unit)[1:]
        parts += [f"{title}:", _grid(scores), _sources(scores)]
    return "\n".join([parts[0], "\n\n".join(parts[1:])]) + "\n"


def _published_name(dataset: str, names: Iterable[str]) -> str | None:
    """The longest of `names` with which the name of a data set begins."""
    return max((n for n in names if f"{dataset}_".startswith(f"{n}_")), key=len, default=None)


def _grid(scores: pd.DataFrame) -> str:
    methods = list(scores["method"].unique())
    lines = []
    for dataset, rows in scores.groupby("dataset", sort=False):
        cells = {row["method"]: _text(row) for _, row in rows.iterrows()}
        lines.append([str(dataset), *(cells.get(method, "") for method in methods)])
    return method_grid(["data set", *methods], lines)


def _text(row: "pd.Series[float]") -> str:
    return plus_minus(float(row["mean"]), float(row["std"]))


def _sources(scores: pd.DataFrame) -> str:
    """Per source the methods, and where it is not of all of a method's data sets, which ones."""
    return "\n".join(f"- {line}." for line in _source_lines(scores))


def _source_lines(scores: pd.DataFrame) -> Iterator[str]:
    for source, rows in scores.groupby("source", sort=False):
        whole = [
            method
            for method, own in rows.groupby("method", sort=False)
            if len(own) == (scores["method"] == method).sum()
        ]
        single = rows[~rows["method"].isin(whole)]
        places = [f"{row['method']} on {row['dataset']}" for _, row in single.iterrows()]
        yield f"{', '.join([*map(str, whole), *places])}: {source}"
