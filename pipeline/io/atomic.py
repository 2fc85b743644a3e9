"""Small files and folders are written whole or not at all: under a temporary name first, which is
then replaced.

What keeps a disk from taking them is one line, whichever library found out.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import PipelineError

REFUSED = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "make room"),
    errno.EFBIG: "raise the limit on the size of files",
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), "let it be written, or go elsewhere"),
    errno.EIO: "look after the disk",
}
"""What a system says where it does not take a file, and what helps."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Inside the block, a disk that is full, read-only or broken is a PipelineError naming `path`.

    Libraries raise types of their own, which quote the system.
    """
    try:
        yield
    except PipelineError:
        raise
    except Exception as error:
        number, named = getattr(error, "errno", None), getattr(error, "filename", None)
        if named and not Path(named).is_relative_to(path.parent):
            raise  # something else, inside the block
        for refusal, cure in REFUSED.items():
            if number == refusal or os.strerror(refusal) in str(error):
                cause = os.strerror(refusal)
                raise PipelineError(f"{path}: cannot be written: {cause}; {cure}") from None
        raise


@contextmanager
def replacing(path: Path, tag: str = "partial") -> Iterator[Path]:
    """Yield a temporary path beside `path`; it takes the name `path` when the block ends without an
    error.

    The temporary name keeps the suffix, by which some writers choose the format. Processes that may
    write the same file at the same time need different tags.
    """
    temporary = path.with_name(f".{tag}.{path.name}")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
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
    with writing(path):
        try:
            temporary.mkdir(parents=True, exist_ok=True)
            yield temporary
            shutil.rmtree(path, ignore_errors=True)
            temporary.replace(path)
        finally:
            if resumed is None:
                shutil.rmtree(temporary, ignore_errors=True)
