"""HDF5 files that others wrote; our own artefacts are read by `pipeline.io.artefact`.

Such a file can say that its numbers are elsewhere: behind a link, in a raw file beside it, or in
other HDF5 files. None of these is followed, so that the numbers are those that were checked and
hashed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from pipeline.errors import PipelineError
from pipeline.io.artefact import HDF5_ERRORS
from pipeline.io.reading import reading

LEAST_CHECKED = 1 << 20
"""Bytes up to which an array is allocated whatever the file holds of it."""
LARGEST_RATIO = 1100
"""Of an array's bytes to those in the file: a little above what gzip can reach (1032)."""
CURE = "get the file again, or copy the numbers themselves into it"


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """An HDF5 file that others wrote; raises PipelineError if it cannot be read."""
    try:
        with reading(path, opened=True), h5py.File(path, "r") as file:
            yield file
    except (*HDF5_ERRORS, MemoryError) as error:
        cause = " ".join(str(error).split())
        raise PipelineError(
            f"{path}: damaged, cut short, or not such an HDF5 file ({cause}); get it again"
        ) from None


def find(place: Any, path: Path, name: str) -> Any:
    """The group or array `name` (`infos/qpos`) below `place` of the open file `path`; None if there
    is none.

    Raises PipelineError for a link, whatever it points to, and for an array whose numbers are not
    in the file, or are fewer than it says.
    """
    for part in name.split("/"):
        if not isinstance(place, h5py.Group) or not place.id.links.exists(part.encode()):
            return None
        if place.id.links.get_info(part.encode()).type != h5py.h5l.TYPE_HARD:
            raise PipelineError(f"{path}: {name} is a link, which is not followed; {CURE}")
        place = place[part]
    if isinstance(place, h5py.Dataset):
        _check_stored(place, path, name)
    return place


def array(place: Any, path: Path, name: str) -> Any:
    """The array `name`, as `find` does; KeyError where there is none."""
    found = find(place, path, name)
    if not isinstance(found, h5py.Dataset):
        raise KeyError(f"no array {name}")
    return found


def _check_stored(found: Any, path: Path, name: str) -> None:
    if found.is_virtual or found.external:
        raise PipelineError(
            f"{path}: the numbers of {name} are in other files, which are not read; {CURE}"
        )
    stored = found.id.get_storage_size()
    if found.nbytes > LEAST_CHECKED and found.nbytes > LARGEST_RATIO * stored:
        raise PipelineError(
            f"{path}: {name} says that it has {found.nbytes:,} bytes, the file holds {stored:,} of "
            f"them; {CURE}"
        )
