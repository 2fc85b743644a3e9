"""HDF5 files that others wrote; our own artefacts are read by `pipeline.io.artefact`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from pipeline.errors import PipelineError
from pipeline.io.artefact import HDF5_ERRORS
from pipeline.io.reading import reading


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """An HDF5 file that others wrote; raises PipelineError if it cannot be read."""
    try:
        with reading(path, opened=True), h5py.File(path, "r") as file:
            yield file
    except HDF5_ERRORS as error:
        cause = " ".join(str(error).split())
        raise PipelineError(
            f"{path}: damaged, cut short, or not such an HDF5 file ({cause}); get it again"
        ) from None
