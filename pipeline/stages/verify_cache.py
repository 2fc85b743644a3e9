"""Check every block of an artefact of any kind; names the damaged ones and exits with status 1."""

import sys
from argparse import Namespace
from pathlib import Path

from pipeline.io.artefact import Artefact
from pipeline.stages import StageParser, execute

parser = StageParser(__doc__)
parser.add_argument("file", type=Path, help="a cache, or any other artefact")


def main(arguments: Namespace) -> None:
    """Check, report."""
    path = arguments.file
    artefact = Artefact(path, None)
    damaged = artefact.damaged_blocks()
    for block in damaged:
        print(f"{path}: damaged block: {block}")
    if damaged:
        print(f"{path}: {len(damaged)} damaged blocks; delete the file and rebuild it")
        sys.exit(1)
    arrays = ", ".join(f"{name} {artefact.shape(name)}" for name in artefact.names)
    print(f"{path}: whole; {artefact.kind}: {arrays}")


if __name__ == "__main__":
    execute(main, parser)
