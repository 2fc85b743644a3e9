"""A name in the configuration is a file name: look plug-ins up by module; list them, and read what
the driver must know of them, without importing.

`load("vision.detectors", "fast_rcnn")` imports `pipeline/vision/detectors/fast_rcnn.py`; nothing is
registered anywhere, so a new detector, encoder, source, method or table is one new file.
"""

import importlib
import pkgutil
from types import ModuleType

from pipeline.config import source_code
from pipeline.config.schema import MethodConfig
from pipeline.errors import unknown_name

ENTRY_POINTS = {
    "data.sources": "collect",
    "environments": "build",
    "features.encoders": "create",
    "language.texts": "read",
    "methods": "build",
    "observations": "open_store",
    "reporting.tables": "build",
    "vision.detectors": "build",
}
"""Rooms with plug-ins, and what each of these has to define. Modules without it are what a room's
plug-ins share."""


def names(room: str) -> list[str]:
    """Names of the plug-ins in `pipeline/<room>/`, sorted; modules named `_…` are private."""
    folder = source_code.ROOT.joinpath("pipeline", *room.split("."))
    modules = sorted(module.name for module in pkgutil.iter_modules([str(folder)]))
    entry = ENTRY_POINTS[room]
    return [
        name
        for name in modules
        if not name.startswith("_") and source_code.defines(f"pipeline.{room}.{name}", entry)
    ]


def check(room: str, name: str) -> None:
    """Raise a PipelineError with the allowed names unless `pipeline/<room>/<name>.py` exists."""
    if name not in names(room):
        raise unknown_name(room.rpartition(".")[2].removesuffix("s"), name, names(room))


def load(room: str, name: str) -> ModuleType:
    """Import the plug-in `name` of `room`; PipelineError with the allowed names if it is none."""
    check(room, name)
    return importlib.import_module(f"pipeline.{room}.{name}")


def methods() -> list[str]:
    """Names of the sequence models: modules of `pipeline/methods/` that say what they observe."""
    return [name for name in names("methods") if observation_kinds(name)]


def observation_kinds(method: str) -> tuple[str, ...]:
    """`SequencePolicy.observations` of a method, read from source: the driver imports no torch."""
    kinds = source_code.class_constant(f"pipeline.methods.{method}", "observations")
    return kinds if isinstance(kinds, tuple) else ()


def observation_kind(config: MethodConfig) -> str:
    """What a run observes: a module of `pipeline/observations/`."""
    return config.policy.observation or observation_kinds(config.method)[0]


def uses_returns(method: str) -> bool:
    """`SequencePolicy.uses_returns` of a method, read from source as well."""
    return source_code.class_constant(f"pipeline.methods.{method}", "uses_returns") is True


def detector_constant(detector: str, name: str) -> str | bool | tuple[str, ...] | None:
    """What the class of a detector says of itself, read from source as well."""
    return source_code.class_constant(f"pipeline.vision.detectors.{detector}", name)
