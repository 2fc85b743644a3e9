"""Check every block of an artefact of any kind; names the damaged ones and exits with status 1."""

import sys
from pathlib import Path
from typing import Annotated

from pipeline.io.artefact import Artefact
from pipeline.stages import Positional, execute


def verify_cache(*, file: Annotated[Path, Positional(), "a cache, or any other artefact"]) -> None:
    """Check, report."""
    artefact = Artefact(file, None)
    damaged = artefact.damaged_blocks()
    for block in damaged:
        print(f"{file}: damaged block: {block}")
    if damaged:
        print(f"{file}: {len(damaged)} damaged blocks; delete the file and rebuild it")
        sys.exit(1)
    arrays = ", ".join(f"{name} {artefact.shape(name)}" for name in artefact.names)
    print(f"{file}: whole; {artefact.kind}: {arrays}")


if __name__ == "__main__":
    execute(verify_cache)
