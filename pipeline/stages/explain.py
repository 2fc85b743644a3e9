"""Explain a cell of a table: its episodes, and what they were made from, down to the first data.

Follows the records beside the artefacts, from the folder of the project. Exits with status 1 if
something behind the cell has changed or is missing.
"""

import sys
from pathlib import Path
from typing import Annotated

from pipeline.provenance import explain as explanation
from pipeline.stages import Positional, execute


def explain(
    *,
    table: Annotated[Path, Positional(), "CSV file of tabulate, such as results/table1.csv"],
    row: Annotated[
        str, Positional(), "number from 0, or dataset/method/variant (default: `default`)"
    ],
    column: Annotated[str, Positional(), "a column of the table, such as mean"],
) -> None:
    """Explain, print."""
    text, sound = explanation.explain(table, row, column)
    print(text)
    if not sound:
        sys.exit(1)


def command() -> None:
    """The command `explain`."""
    execute(explain)


if __name__ == "__main__":
    command()
