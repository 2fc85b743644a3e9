"""Is there room? What arrays take on disk, measured, and one clear error before the work."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from pipeline.errors import PipelineError
from pipeline.io.artefact import ArtefactWriter

GB = 1e9


def stored_bytes(folder: Path, arrays: Mapping[str, NDArray[Any]]) -> int:
    """What an artefact of these arrays takes on disk; it is written into `folder` and removed."""
    path = folder / ".sample.h5"
    try:
        with ArtefactWriter(path, "sample", {}) as writer:
            for name, rows in arrays.items():
                writer.write(name, rows)
        return path.stat().st_size
    finally:
        path.unlink(missing_ok=True)


def free_bytes(path: Path) -> int:
    """Free on the disk that `path` is or will be on."""
    there = path.absolute()
    while not there.exists():
        there = there.parent
    return shutil.disk_usage(there).free


def require_space(path: Path, needed: float) -> None:
    """Raise PipelineError unless `needed` bytes are free where `path` will lie."""
    if (free := free_bytes(path)) < needed:
        raise PipelineError(
            f"{path}: needs about {needed / GB:.3g} GB, {free / GB:.3g} GB are free on its disk; "
            "make room, or choose less (`storage: pooled`, fewer steps)"
        )
