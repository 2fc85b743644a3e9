"""CSV files, read with what they must have checked."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pipeline.errors import PipelineError
from pipeline.io.reading import reading

NAMES = ("dataset", "method", "variant")
"""Columns of names, which may look like numbers."""


def read_csv(path: Path, columns: Sequence[str], cure: str) -> pd.DataFrame:
    """A CSV file with at least `columns`; PipelineError naming the file and what it lacks."""
    try:
        with reading(path):
            table = pd.read_csv(
                path,
                keep_default_na=False,
                na_values=["nan", "NaN", ""],
                dtype=dict.fromkeys(NAMES, str),
                encoding="utf-8",
            )
    except FileNotFoundError:
        raise PipelineError(f"{path}: no such file") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise PipelineError(f"{path}: not a CSV file: {error}") from None
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise PipelineError(f"{path}: column {missing[0]!r} is missing; {cure}")
    return table
