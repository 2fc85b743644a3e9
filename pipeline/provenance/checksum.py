"""What files and folders hold: size, time of change, SHA-256."""

import hashlib
from pathlib import Path

from pipeline.config.schema import Section
from pipeline.errors import PipelineError
from pipeline.io.reading import Refused, reading

HDF5 = b"\x89HDF\r\n\x1a\n"
"""What such a file begins with."""


class Content(Section):
    """What a file, or a folder with its files, held at one time."""

    path: str
    """As the stage was given it."""
    sha256: str
    bytes: int
    mtime_ns: int
    """Of a folder: the latest of its own, its folders' and its files'."""
    digest: str | None = None
    """Of one of our HDF5 files, `Artefact.digest`: what tells it from others unread."""


def measure(path: Path) -> Content:
    """Read all of a file or folder; a folder's digest is that of the lines sha256sum prints of it.

    Raises PipelineError if there is nothing.
    """
    size, time = size_and_time(path)
    digest = _sha256(path) if path.is_file() else _sha256_of_folder(path)
    own = own_digest(path) if is_hdf5(path) else None
    return Content(path=str(path), sha256=digest, bytes=size, mtime_ns=time, digest=own)


def is_hdf5(path: Path) -> bool:
    """Whether a path is an HDF5 file, ours or another's."""
    if not path.is_file():
        return False
    with reading(path), path.open("rb") as file:
        return file.read(len(HDF5)) == HDF5


def checked_digest(path: Path) -> str:
    """What one of our HDF5 files says that it holds; PipelineError if it is none, or damaged."""
    from pipeline.io.artefact import Artefact  # here: most stages read and write no HDF5

    artefact = Artefact(path, None)
    try:
        return artefact.digest
    finally:
        artefact.close()


def own_digest(path: Path) -> str | None:
    """`checked_digest`, or None; PipelineError where the system does not let it be read."""
    try:
        return checked_digest(path)
    except Refused:
        raise
    except PipelineError:
        return None


def size_and_time(path: Path) -> tuple[int, int]:
    """Bytes and time of the last change in ns, what can be told without reading the content."""
    try:
        with reading(path):
            states = [file.stat() for file in _files(path)]
            folders = [folder.stat() for folder in (path, *path.rglob("*/"))]  # tell of other names
    except FileNotFoundError as error:
        raise PipelineError(f"{path}: cannot be read ({error.strerror}); put it back") from None
    time = max(state.st_mtime_ns for state in (*states, *folders))
    return sum(state.st_size for state in states), time


def _sha256(file: Path) -> str:
    with reading(file), file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _sha256_of_folder(folder: Path) -> str:
    lines = (f"{_sha256(file)}  {file.relative_to(folder).as_posix()}\n" for file in _files(folder))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _files(path: Path) -> list[Path]:
    """The files of a folder in order, or the file itself.

    Hidden ones do not count: Snakemake puts a time stamp into the folders that it makes.
    """
    if not path.is_dir():
        return [path]
    found = [(file.relative_to(path).as_posix(), file) for file in path.rglob("*")]
    return [file for name, file in sorted(found) if file.is_file() and "/." not in f"/{name}"]
