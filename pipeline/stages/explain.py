"""Explain a cell of a table: its episodes, and what they were made from, down to the first data.

Follows the records beside the artefacts, from the folder of the project. Exits with status 1 if
something behind the cell has changed or is missing.
"""

import sys
from argparse import Namespace
from pathlib import Path

from pipeline.provenance.explain import explain
from pipeline.stages import StageParser, execute

parser = StageParser(__doc__)
parser.add_argument("table", type=Path, help="CSV file of tabulate, such as results/table1.csv")
parser.add_argument("row", help="number from 0, or dataset/method/variant (default: `default`)")
parser.add_argument("column", help="such as mean")


def main(arguments: Namespace) -> None:
    """Explain, print."""
    text, sound = explain(arguments.table, arguments.row, arguments.column)
    print(text)
    if not sound:
        sys.exit(1)


def command() -> None:
    """The command `explain`."""
    execute(main, parser)


if __name__ == "__main__":
    command()
