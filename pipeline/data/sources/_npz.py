"""What the recordings below `resources/` share: NumPy archives, nothing pickled."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.config.schema import DatasetConfig
from pipeline.data.sources._checks import check_counts, check_hashes
from pipeline.data.trajectories import Trajectories
from pipeline.errors import PipelineError
from pipeline.io.npy import UNREADABLE, read_archive
from pipeline.io.reading import reading

Content = dict[str, NDArray[Any]]


def read(path: Path, keys: Iterable[str], optional: Iterable[str] = ()) -> Content:
    """The arrays `keys` of the archive, and those of `optional` that it has; raises PipelineError:
    no or damaged file, or one of `keys` is not there.
    """
    if not path.is_file():
        raise PipelineError(f"{path}: no such recording; correct the dataset's 'file'")
    try:
        with reading(path, opened=True):
            content = read_archive(path, (*keys, *optional))
    except UNREADABLE as error:
        raise PipelineError(f"{path}: damaged recording ({error}); restore the file") from None
    missing = [name for name in keys if name not in content]
    if missing:
        raise PipelineError(f"{path}: recording without {', '.join(missing)}; restore the file")
    return content


def typed(path: Path, name: str, array: NDArray[Any], kind: type) -> NDArray[Any]:
    """One number per step or episode as `kind`, none of which changes by that.

    Raises PipelineError for anything else.
    """
    numbers = array.ndim == 1 and array.dtype.kind in "biuf"
    if numbers and not np.issubdtype(kind, np.floating):
        with np.errstate(invalid="ignore"):  # of NaN and infinity, which are refused
            numbers = bool(((array % 1 == 0) & (abs(array.astype(float)) < 2**53)).all())
            numbers &= bool((array.astype(kind) == array).all())
    if not numbers:
        raise PipelineError(
            f"{path}: {name} is {array.shape} {array.dtype}, expected a list of "
            f"{np.dtype(kind).name}; restore the file"
        )
    with np.errstate(over="ignore"):  # what becomes infinite is refused where it is used
        return array.astype(kind)


def vectors(path: Path, name: str, array: NDArray[Any]) -> NDArray[np.float32]:
    """Numbers of each step, (T, numbers); PipelineError for anything else."""
    if array.ndim != 2 or array.dtype.kind not in "biuf":
        raise PipelineError(
            f"{path}: {name} is {array.shape} {array.dtype}, expected a row of numbers per step; "
            "restore the file"
        )
    with np.errstate(over="ignore"):  # what becomes infinite is refused where it is used
        return array.astype(np.float32)


def collect(
    config: DatasetConfig, resources: Path, read_one: Callable[[Path, str], Trajectories]
) -> tuple[Trajectories, str]:
    """All recordings of `config.files`, one after the other, and their name for tables.

    `read_one(path, label)` reads one of them. Raises PipelineError if the data set names none, or
    expects other files, or more or less in them.
    """
    if not config.files:
        raise PipelineError(f"dataset: source {config.source!r} needs the key 'file'")
    labels = [
        Path(file).with_suffix("").as_posix().removeprefix("demonstrations/")
        for file in config.files
    ]
    paths = [resources / file for file in config.files]
    check_hashes(config, paths)
    parts = [read_one(path, label) for path, label in zip(paths, labels, strict=True)]
    name = f"recorded {' + '.join(labels)}"
    recording = parts[0] if len(parts) == 1 else _join(parts, name)
    check_counts(config, paths[0], len(recording.score), len(recording.actions))
    return recording, name


def _join(parts: list[Trajectories], source: str) -> Trajectories:
    """Several recordings as one; all have the same arrays."""

    def together() -> Iterator[tuple[str, Any]]:
        for field in fields(Trajectories):
            values = [getattr(part, field.name) for part in parts]
            if isinstance(values[0], np.ndarray):
                yield field.name, np.concatenate(values)
            elif isinstance(values[0], tuple):
                yield field.name, tuple(item for value in values for item in value)

    return Trajectories(**{**dict(together()), "source": source})
