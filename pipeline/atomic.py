"""Small files and folders are written whole or not at all: under a temporary name first, which is
then replaced.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path, tag: str = "partial") -> Iterator[Path]:
    """Yield a temporary path beside `path`; it takes the name `path` when the block ends without an
    error.

    The temporary name keeps the suffix, by which some writers choose the format. Processes that may
    write the same file at the same time need different tags.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{tag}.{path.name}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path, resumed: bool | None = None) -> Iterator[Path]:
    """Yield a new, empty folder beside `path`; it takes the place of `path`, and of what was there,
    when the block ends without an error.

    With `resumed`, what is in the new folder outlasts an error, for the next attempt; if it is
    True, this is that attempt, and goes on with what is there.
    """
    temporary = path.with_name(f".partial.{path.name}")
    if not resumed:
        shutil.rmtree(temporary, ignore_errors=True)  # of a run that was killed
    temporary.mkdir(parents=True, exist_ok=True)
    try:
        yield temporary
        shutil.rmtree(path, ignore_errors=True)
        temporary.replace(path)
    finally:
        if resumed is None:
            shutil.rmtree(temporary, ignore_errors=True)
