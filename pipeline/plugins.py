"""A name in the configuration is a file name: look plug-ins up by module, list them without
importing.

`load("detectors", "fast_rcnn")` imports `pipeline/detectors/fast_rcnn.py`; nothing is registered
anywhere, so a new detector, encoder, environment family, source, model or table is one new file.
"""

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

from pipeline.errors import unknown_name

ROOT = Path(__file__).parent


def names(room: str) -> list[str]:
    """Names of the plug-ins in `pipeline/<room>/`, sorted; modules named `_…` are private."""
    modules = pkgutil.iter_modules([str(ROOT / room)])
    return sorted(module.name for module in modules if not module.name.startswith("_"))


def check(room: str, name: str) -> None:
    """Raise a PipelineError with the allowed names unless `pipeline/<room>/<name>.py` exists."""
    if name not in names(room):
        raise unknown_name(room.removesuffix("s"), name, names(room))


def load(room: str, name: str) -> ModuleType:
    """Import the plug-in `name` of `room`; PipelineError with the allowed names if it is none."""
    check(room, name)
    return importlib.import_module(f"pipeline.{room}.{name}")
