"""The description of a Minari data set: its `metadata.json`, read as data only.

Minari's own reader makes an environment where a space is missing, from any entry point that the
file names, and so runs code. Here spaces are numbers, and no environment is ever made from what a
file says.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import PipelineError
from pipeline.io.json import parse

FILE = "metadata.json"
OURS = "more3s_environment"
"""Key of the environment's configuration in data sets that this pipeline has written."""
LARGEST_FILE = 64 << 20
LARGEST_SIDE = 4096
"""Of an image, and numbers of a vector."""


@dataclass(frozen=True)
class Box:
    """Arrays of numbers."""

    shape: tuple[int, ...]
    dtype: str
    low: NDArray[np.float64]
    """Of that shape, as `high`."""
    high: NDArray[np.float64]

    @property
    def is_image(self) -> bool:
        """Whether these are pictures: bytes, with height and width."""
        return self.dtype == "uint8" and len(self.shape) > 1


@dataclass(frozen=True)
class Discrete:
    """One of n, counted from `start`."""

    n: int
    start: int


@dataclass(frozen=True)
class Metadata:
    """A data set's description of itself."""

    folder: Path
    """That holds `metadata.json` and the episodes."""
    name: str
    episodes: int
    steps: int
    observations: Box
    actions: Box | Discrete
    specification: dict[str, Any] | None
    """Gymnasium's, of the environment that was recorded; None if the data set has none."""
    ours: dict[str, Any] | None
    """The configuration of the environment, in data sets that this pipeline has written."""


class _Unsound(Exception):
    """What is wrong with a part of the description, in words."""


def read(path: Path) -> Metadata:
    """The description of the data set at `path`, the folder that holds `data/`.

    Raises PipelineError: no description, unreadable, too large, another format than HDF5, a space
    missing or of another kind than Box and Discrete, or anything of another type than it has to be.
    """
    folder = path / "data" if (path / "data").is_dir() else path
    try:
        return _metadata(folder, _content(folder / FILE))
    except (OSError, ValueError, _Unsound) as error:
        cause = " ".join(str(error).split()) or type(error).__name__
        raise PipelineError(
            f"{folder}: not a Minari data set ({cause}); the dataset's 'file' is the folder that "
            f"holds data/{FILE}"
        ) from None


def _content(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise _Unsound(f"no {FILE}")
    if (size := file.stat().st_size) > LARGEST_FILE:
        raise _Unsound(f"{FILE} has {size:,} bytes")
    return _mapping(parse(file.read_text(encoding="utf-8")), FILE)


def _metadata(folder: Path, content: dict[str, Any]) -> Metadata:
    if (form := content.get("data_format")) != "hdf5":
        raise PipelineError(
            f"{folder}: in Minari's format {form!r}, only hdf5 is read; convert it with Minari"
        )
    observations, actions = (_space(folder, content, kind) for kind in ("observation", "action"))
    if not isinstance(observations, Box):
        raise PipelineError(f"{folder}: observations are {observations}; only Box is read")
    specification = content.get("env_spec")
    return Metadata(
        folder,
        _text(content.get("dataset_id"), "dataset_id"),
        _count(content.get("total_episodes"), "total_episodes"),
        _count(content.get("total_steps"), "total_steps"),
        observations,
        actions,
        None if specification is None else _mapping(specification, "env_spec"),
        _mapping(content[OURS], OURS) if OURS in content else None,
    )


def _space(folder: Path, content: dict[str, Any], kind: str) -> Box | Discrete:
    key = f"{kind}_space"
    if content.get(key) is None:
        raise PipelineError(
            f"{folder}: its {FILE} has no {key}, and no environment is made from what a file says; "
            "write the data set again with Minari 0.5, which stores its spaces"
        )
    space = _mapping(content[key], key)
    if space.get("type") == "Discrete":
        return Discrete(_count(space.get("n"), f"{key}: n"), _integer(space.get("start", 0), key))
    if space.get("type") == "Box":
        return _box(space, key)
    raise PipelineError(
        f"{folder}: {kind}s are {_short(space.get('type'))}; only Discrete and Box are read"
    )


def _box(space: dict[str, Any], key: str) -> Box:
    shape = space.get("shape")
    if not isinstance(shape, list) or not 1 <= len(shape) <= 3:
        raise _Unsound(f"{key}: shape {_short(shape)}")
    sides = tuple(_count(side, f"{key}: shape") for side in shape)
    if not all(1 <= side <= LARGEST_SIDE for side in sides) or math.prod(sides) > LARGEST_FILE:
        raise _Unsound(f"{key}: shape {_short(shape)}; allowed: sides of 1 to {LARGEST_SIDE}")
    dtype = _text(space.get("dtype"), f"{key}: dtype")
    if dtype not in {"uint8", "float32", "float64"}:
        raise _Unsound(f"{key}: dtype {_short(dtype)}; only uint8, float32 and float64 are read")
    bounds = []
    for name in ("low", "high"):
        try:
            bound = np.asarray(space.get(name), np.float64)
        except (TypeError, ValueError, OverflowError):
            raise _Unsound(f"{key}: {name} is not made of numbers") from None
        if bound.shape not in {sides, ()}:
            raise _Unsound(f"{key}: {name} is {bound.shape}, its shape is {sides}")
        bounds.append(np.broadcast_to(bound, sides))
    return Box(sides, dtype, *bounds)


def _mapping(value: Any, what: str) -> dict[str, Any]:
    """A JSON object, or one that is written as text inside of another."""
    if isinstance(value, str):
        value = parse(value)
    if not isinstance(value, dict):
        raise _Unsound(f"{what} is {_short(value)}, expected a JSON object")
    return value


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or not value:
        raise _Unsound(f"{what} is {_short(value)}, expected text")
    return value


def _integer(value: Any, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > 1 << 31:
        raise _Unsound(f"{what} is {_short(value)}, expected a whole number")
    return value


def _count(value: Any, what: str) -> int:
    if _integer(value, what) < 0:
        raise _Unsound(f"{what} is {value}, expected 0 or more")
    return int(value)


def _short(value: object) -> str:
    """What a file holds, quoted, in a few characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
