"""Files and folders are written whole or not at all: in a private folder beside their place, out of
which they are then renamed.

What keeps a disk from taking them is one line, whichever library found out. Processes that write
the same file do not disturb each other: each has a private folder, and the last to end is heard.
Work that a later attempt goes on with has a place of its own, which one process has at a time.
"""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.io.private_folder import PrivateFolder, clear_left
from pipeline.io.reading import TAKEN

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
        if isinstance(named, str | os.PathLike) and not _is_within(Path(named), path.parent):
            raise  # something else, inside the block
        for refusal, cure in REFUSED.items():
            if number == refusal or os.strerror(refusal) in str(error):
                cause = os.strerror(refusal)
                raise PipelineError(f"{path}: cannot be written: {cause}; {cure}") from None
        raise


@contextmanager
def private(path: Path) -> Iterator[PrivateFolder]:
    """A private folder for what will be renamed to `path`; gone with all in it after the block."""
    path.parent.mkdir(parents=True, exist_ok=True)
    own = PrivateFolder(path)
    try:
        clear_left(path)  # now that the folder around has a change of its own to tell the time by
        yield own
    finally:
        own.remove()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path of the same name; it becomes `path` when the block ends without an
    error, with the mode that the umask gives, whatever mode the writer chose.
    """
    with writing(path), private(path) as own:
        temporary = own.folder / path.name
        yield temporary
        own.permit(temporary)
        temporary.replace(path)


@contextmanager
def replacing_folder(path: Path, resumed: bool | None = None) -> Iterator[Path]:
    """Yield a new, empty folder; it takes the place of `path`, and of what was there, when the
    block ends without an error, with the modes that the umask gives.

    With `resumed`, what is in the new folder outlasts an error, for the next attempt; if it is
    True, this is that attempt, and goes on with what is there. One process at a time: to another
    one it is a PipelineError.
    """
    with writing(path):
        if resumed is None:
            with private(path) as own:
                temporary = own.folder / path.name
                temporary.mkdir()
                yield temporary
                _settle(temporary, path, own)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with alone(path):
            temporary = path.with_name(f".partial.{path.name}")
            if not resumed or temporary.is_symlink():
                remove(temporary)  # of a run that was killed
            temporary.mkdir(mode=0o700, exist_ok=True)
            yield temporary
            with private(path) as own:
                _settle(temporary, path, own)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Inside the block no other process makes `path`; PipelineError if one does already.

    Held by a lock, which the system lets go of however a process ends. A file system that has none
    is taken as it is.
    """
    place = path.with_name(f".{path.name}.lock")
    descriptor = _locked(place, path)
    try:
        yield
    finally:
        place.unlink(missing_ok=True)
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a folder with all in it, or whatever else has its name; a link, not where it leads."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _is_within(path: Path, folder: Path) -> bool:
    return path.absolute().is_relative_to(folder.absolute())


def _locked(place: Path, path: Path) -> int:
    """A descriptor of the lock file `place`, locked."""
    while True:
        if place.is_symlink():
            place.unlink(missing_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(place, flags, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in TAKEN:
                os.close(descriptor)
                raise PipelineError(
                    f"{path}: another process is making it at the moment; let that one end"
                ) from None
            return descriptor  # no locks here
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.lstat(place)):
                return descriptor
        os.close(descriptor)  # of a process that has just ended, which took the name away


def _settle(new: Path, path: Path, own: PrivateFolder) -> None:
    """`new` takes the place of the folder `path`, and of what other processes put there."""
    own.permit(new)
    for number in count():
        with suppress(FileNotFoundError):
            path.rename(own.folder / f"old-{number}")
        try:
            new.rename(path)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise


def sync_folder(folder: Path) -> None:
    """Flush a folder to disk, with the names in it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
