"""Files of published weights → named tensors, with nothing in them run; and whether they fit.

safetensors; torch files, opened with `weights_only=True`; pickled numpy arrays, of which only the
arrays are read (`array_pickle`).
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from pickle import UnpicklingError  # the error that torch raises, nothing is unpickled
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from pipeline.errors import PipelineError
from pipeline.io.reading import reading
from pipeline.pretrained import array_pickle

SHOWN = 5
"""So many names or shapes that are wrong are listed."""
WRAPPERS = ("model", "state_dict")
"""Entries under which some files keep their tensors, beside remarks on the training."""


def find(folder: Path) -> Path:
    """The file of weights in a folder of published files: safetensors before any other.

    Raises PipelineError if there is none.
    """
    for suffix in _READERS:
        for path in sorted(folder.glob(f"*{suffix}")):
            return path
    raise PipelineError(f"{folder}: no file of weights ({', '.join(_READERS)}); run retrieve")


def read(path: Path) -> dict[str, Tensor]:
    """All tensors of a file by name, on the CPU.

    Raises PipelineError naming the file if it is missing, damaged, of another format, or holds
    something else than tensors.
    """
    if not path.is_file():
        raise PipelineError(f"{path}: no such file; run retrieve")
    if path.suffix not in _READERS:
        raise PipelineError(f"{path}: weights are read from {', '.join(_READERS)}; convert it")
    content = _READERS[path.suffix](path)
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping):
        raise PipelineError(f"{path}: holds {type(content).__name__}, expected named tensors")
    tensors = {}
    for name, value in content.items():
        if not isinstance(value, Tensor | np.ndarray):
            raise PipelineError(f"{path}: {name} is {type(value).__name__}, expected a tensor")
        tensors[str(name)] = value if isinstance(value, Tensor) else _tensor(value)
    return tensors


def fitting(
    tensors: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    path: Path,
    unused: Callable[[str], bool],
) -> dict[str, Tensor]:
    """The `tensors` of a model whose state is `expected`; names that are `unused` stay out.

    Raises PipelineError listing the first SHOWN names that are missing, unknown, or of another
    shape.
    """
    kept = {name: tensor for name, tensor in tensors.items() if not unused(name)}
    faults = [f"{name} is missing" for name in expected if name not in kept]
    for name, tensor in kept.items():
        if name not in expected:
            faults.append(f"{name} is unknown")
        elif tensor.shape != expected[name].shape:
            shapes = tuple(tensor.shape), tuple(expected[name].shape)
            faults.append(f"{name} is {shapes[0]}, expected {shapes[1]}")
        elif tensor.is_floating_point() != expected[name].is_floating_point():
            faults.append(f"{name} is {tensor.dtype}, expected {expected[name].dtype}")
    if faults:
        more = f" (and {len(faults) - SHOWN} more)" if len(faults) > SHOWN else ""
        raise PipelineError(
            f"{path}: not the weights of this model: {'; '.join(faults[:SHOWN])}{more}; "
            "name the right file, or get it again"
        )
    return {name: tensor.to(expected[name].dtype) for name, tensor in kept.items()}


def _tensor(array: np.ndarray[Any, Any]) -> Tensor:
    """A copy that can be written to, in the machine's byte order."""
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), order="C", copy=True))


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with reading(path, opened=True):
            return load_file(path)  # type: ignore[no-any-return]
    except (SafetensorError, OSError) as error:
        raise _damaged(path, error) from None


def _torch(path: Path) -> Any:
    try:
        with reading(path, opened=True):
            return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise PipelineError(
            f"{path}: holds more than tensors, or is damaged ({_first_line(error)}); "
            "nothing but tensors is read: get it again, or get it as safetensors"
        ) from None
    except PipelineError:
        raise
    except Exception as error:  # of its old format whatever a wrong byte leads to
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> PipelineError:
    return PipelineError(f"{path}: damaged file of weights ({_first_line(error)}); get it again")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


_READERS: dict[str, Callable[[Path], Any]] = {
    ".safetensors": _safetensors,
    ".bin": _torch,
    ".pth": _torch,
    ".pt": _torch,
    ".pkl": array_pickle.read,
}
