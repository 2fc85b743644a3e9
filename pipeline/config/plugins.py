"""A name in the configuration is a file name: find plug-ins by module and list them, and read
without importing what the process that runs Snakemake must know of them.

`load("vision.detectors", "fast_rcnn")` imports `pipeline/vision/detectors/fast_rcnn.py`; nothing
is registered anywhere, so a new detector, encoder, source, method or table is one new file.
"""

import importlib
import pkgutil
from functools import cache
from pathlib import Path
from types import ModuleType

from pipeline.config import source_code
from pipeline.errors import unknown_name

ENTRY_POINTS = {
    "data.sources": "collect",
    "environments": "build",
    "features.encoders": "create",
    "language.texts": "read",
    "observations": "open_store",
    "reporting.tables": "build",
    "vision.detectors": "build",
}
"""What a plug-in of a room has to define. Modules without it are what the room's plug-ins share; in
a room that is not listed, every module is a plug-in.
"""


def names(room: str) -> list[str]:
    """Names of the plug-ins in `pipeline/<room>/`, sorted; modules named `_…` are private."""
    folder = source_code.ROOT.joinpath("pipeline", *room.split("."))
    public = [name for name in _modules(folder) if not name.startswith("_")]
    if (entry := ENTRY_POINTS.get(room)) is None:
        return public
    return [name for name in public if source_code.defines(f"pipeline.{room}.{name}", entry)]


@cache  # a configuration asks this hundreds of times
def _modules(folder: Path) -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules([str(folder)]))


def check(room: str, name: str) -> None:
    """Raise a PipelineError with the allowed names unless `pipeline/<room>/<name>.py` exists."""
    if name not in names(room):
        raise unknown_name(room.rpartition(".")[2].removesuffix("s"), name, names(room))


def load(room: str, name: str) -> ModuleType:
    """Import the plug-in `name` of `room`; PipelineError with the allowed names if it is none."""
    check(room, name)
    return importlib.import_module(f"pipeline.{room}.{name}")


def continuous(family: str) -> bool:
    """Whether the environments of a family take vectors, read from source: it says CONTINUOUS."""
    return source_code.constant(f"pipeline.environments.{family}", "CONTINUOUS") is True


def states(family: str) -> bool:
    """Whether those of a family have state vectors, read likewise: it says STATES."""
    return source_code.constant(f"pipeline.environments.{family}", "STATES") is True


def sticky(family: str) -> bool:
    """Whether those of a family can repeat actions by chance, read likewise: it says STICKY."""
    return source_code.constant(f"pipeline.environments.{family}", "STICKY") is True


def downloads(source: str) -> bool:
    """Whether a source can download a data set by its name, read likewise."""
    return source_code.defines(f"pipeline.data.sources.{source}", "download")


def one_file(source: str) -> bool:
    """Whether a source reads one file or folder and no list of them, likewise: it says ONE_FILE."""
    return source_code.constant(f"pipeline.data.sources.{source}", "ONE_FILE") is True


def read_by(source: str) -> tuple[str, ...] | None:
    """The keys of a data set that a source reads, beside those that all have, read likewise: it
    says READS. None where it does not.
    """
    found = source_code.constant(f"pipeline.data.sources.{source}", "READS")
    return found if isinstance(found, tuple) else None


def detector_constant(detector: str, name: str) -> str | bool | tuple[str, ...] | None:
    """What the class of a detector says of itself, read from source: a driver imports no torch."""
    return source_code.class_constant(f"pipeline.vision.detectors.{detector}", name)
