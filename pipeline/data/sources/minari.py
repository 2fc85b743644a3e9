"""The `minari` source: a data set of Minari (Farama Foundation), such as `atari/breakout/expert-v0`
or `mujoco/hopper/medium-v0`, in its HDF5 format.

`file` is the data set's folder, the one that holds `data/`; without it, `name` is downloaded. An
episode of T steps has T + 1 observations: state vectors, or images, which then are the frames.
Minari's library brings data sets and is not asked to read them: it would run what a description
names (`_minari_metadata.py`). Steps are read from the HDF5 file directly, so that memory holds
neither all images of an episode nor any that are not asked for.
"""

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline import environments
from pipeline.config.data import CLIPPED
from pipeline.config.schema import DatasetConfig, EnvironmentConfig
from pipeline.data.sources._checks import (
    by_meaning,
    check_counts,
    clipped,
    find,
    fit,
    flags,
    share,
)
from pipeline.data.sources._hdf5 import array, opened
from pipeline.data.sources._hdf5 import find as find_inside
from pipeline.data.sources._minari_metadata import Box, Metadata, read
from pipeline.data.sources._quota import EpisodeQuota
from pipeline.data.sources._same_environment import check, differing_frames
from pipeline.data.sources._selection import select
from pipeline.data.trajectories import Trajectories
from pipeline.environments import Frame
from pipeline.errors import PipelineError
from pipeline.io.atomic import replacing_folder

READS = ("file", "name", "clip_actions")
ONE_FILE = True
MAIN_FILE = "main_data.hdf5"
PIECE = 64
"""Images read at a time."""
ARRAYS = ("rewards", "actions", "terminations", "truncations", "observations")
JPEG, TERMINATED = "jpeg", "terminated"
"""What is known of an episode beside its steps."""


def download(config: DatasetConfig, folder: Path) -> None:
    """Download the data set `config.name` into `folder`, whole or not at all.

    Raises PipelineError: no such data set, or no way to reach the server, and what to do then.
    """
    from minari import download_dataset

    name = str(config.name)
    with replacing_folder(folder) as temporary:
        os.environ["MINARI_DATASETS_PATH"] = str(temporary.absolute())
        try:
            download_dataset(name)
        except ValueError as error:
            raise PipelineError(
                f"Minari has no data set {name!r} that this version can read ({_line(error)}); "
                "`minari list remote` shows what there is; correct the dataset's 'name'"
            ) from None
        except Exception as error:  # of whichever library, as many kinds as there are networks
            raise PipelineError(
                f"Minari's data set {name!r} could not be downloaded ({_line(error)}); where there "
                f"is a network, run `minari download {name}`, copy the folder "
                f"~/.minari/datasets/{name} below resources/ here, and give its place there as the "
                f"dataset's 'file'"
            ) from None
        read(temporary / name)


def collect(config: DatasetConfig, environment: EnvironmentConfig, resources: Path) -> Trajectories:
    """Read everything but images, and keep the episodes that `config` asks for.

    Raises PipelineError: missing, empty or damaged data set, other counts than it says of itself,
    another game, other actions or observations than the environment's, and whatever `Trajectories`
    refuses.
    """
    path = find(config, resources)
    source = read(path)
    understood = check(source, config, environment)
    with opened(source.folder / MAIN_FILE) as file:
        episodes = [_episode(file, source, i) for i in range(source.episodes)]
    _check_images(source, environment, understood.screen, episodes)
    lengths = np.array([len(episode["rewards"]) for episode in episodes], np.int64)
    if len(lengths) and lengths.sum() != source.steps:
        raise PipelineError(
            f"{source.folder}: {lengths.sum()} steps, its metadata.json says {source.steps}; "
            "get the data set again"
        )
    check_counts(config, path, len(lengths), int(lengths.sum()))
    _check_alike(source, episodes)
    arrays: dict[str, Any] = {
        name: np.concatenate([episode[name] for episode in episodes])
        for name in episodes[0]
        if name != TERMINATED
    }
    actions, note = arrays["actions"], ""
    if understood.actions is not None:
        space = environments.action_space(environment)
        actions = by_meaning(path, actions, understood.actions, space)
    actions, note = clipped(config, environment, actions)
    arrays["actions"] = actions
    qpos = fit(path, environment, actions, arrays.get("observations"), arrays.pop("qpos", None))
    rewards = arrays["rewards"].astype(np.float64)
    served = source.ours is not None and bool(source.ours.get("serve"))
    recording = Trajectories(
        **arrays,
        qpos=qpos,
        episode_length=lengths,
        terminated=np.array([episode[TERMINATED] for episode in episodes]),
        served=np.full(len(lengths), True) if served else None,
        score=np.add.reduceat(rewards, np.cumsum(lengths) - lengths),
        source=str(path),
    )
    label = f", {CLIPPED}" if understood.clipped else ""
    return select(recording, config, f"Minari {source.name}{share(config)}{label}{note}")


def frames(
    config: DatasetConfig, environment: EnvironmentConfig, resources: Path
) -> Iterator[Frame] | None:
    """The image at every step that `collect` keeps, in order, RGB; None if there are no images."""
    path = find(config.model_copy(update={"sha256": {}}), resources)
    source = read(path)
    return _images(source, config) if source.observations.is_image else None


def _episode(file: Any, source: Metadata, index: int) -> dict[str, Any]:
    """One episode without images."""
    path = source.folder / MAIN_FILE
    where = f"{path}: episode {index}"
    if (group := find_inside(file, path, f"episode_{index}")) is None:
        raise PipelineError(
            f"{where} is missing, metadata.json counts {source.episodes}; get the data set again"
        )
    for name in ARRAYS:
        if find_inside(group, path, name) is None:
            raise PipelineError(
                f"{where} has no {name}; Minari's data have {', '.join(ARRAYS)}: get the data set "
                "again, or add it"
            )
    stored = {name: array(group, path, name) for name in ARRAYS}
    rewards = _numbers(path, "rewards", stored["rewards"])
    episode: dict[str, Any] = {
        "rewards": rewards,
        "actions": _actions(source, path, stored["actions"]),
    }
    terminations, truncations = (
        flags(path, name, stored[name][:]) for name in ("terminations", "truncations")
    )
    ends, rows = terminations | truncations, len(stored["observations"])
    if not len(rewards) == len(episode["actions"]) == len(ends) == rows - 1:
        raise PipelineError(
            f"{where}: {len(rewards)} rewards, {len(episode['actions'])} actions and {rows} "
            "observations (one more is right); get the data set again"
        )
    if not len(rewards):
        raise PipelineError(f"{where} is empty; get the data set again")
    if ends[:-1].any():
        raise PipelineError(f"{where} goes on after its end; get the data set again")
    if source.observations.is_image:
        episode[JPEG] = _is_jpeg(source, path, stored["observations"])
    else:
        episode["observations"] = _numbers(path, "observations", stored["observations"])[:-1]
    if (qpos := find_inside(group, path, "infos/qpos")) is not None:
        episode["qpos"] = _numbers(path, "infos/qpos", qpos)[: len(rewards)]
    return {**episode, TERMINATED: bool(terminations[-1])}


def _check_images(
    source: Metadata,
    environment: EnvironmentConfig,
    screen: str | None,
    episodes: list[dict[str, Any]],
) -> None:
    """Images must be what play shows; how they are stored is no array of the steps."""
    jpeg = {bool(episode.pop(JPEG)) for episode in episodes if JPEG in episode}
    for each in jpeg:
        for difference in differing_frames(source, environment, screen, each):
            raise PipelineError(f"{source.folder}: {difference}")


def _check_alike(source: Metadata, episodes: list[dict[str, Any]]) -> None:
    """Every episode must have what the first has, of the same size at each step."""
    sizes = [{name: np.shape(array)[1:] for name, array in one.items()} for one in episodes]
    for index, size in enumerate(sizes):
        if differing := sorted(name for name, _ in size.items() ^ sizes[0].items()):
            raise PipelineError(
                f"{source.folder / MAIN_FILE}: {differing[0]} of episode {index} and of the first "
                "differ in size, or one has none; get the data set again"
            )


def _numbers(path: Path, name: str, stored: Any) -> NDArray[np.float32]:
    """An array of real numbers, whole; PipelineError for any other."""
    found = stored[:]
    if found.dtype.kind not in "biuf":
        raise PipelineError(f"{path}: {name} are {found.dtype}; get the data set again")
    numbers: NDArray[np.float32] = found.astype(np.float32)
    return numbers


def _actions(source: Metadata, path: Path, stored: Any) -> NDArray[np.int64] | NDArray[np.float32]:
    if isinstance(source.actions, Box):
        return _numbers(path, "actions", stored)
    numbers = stored[:]
    if numbers.dtype.kind not in "iu" or numbers.ndim != 1:
        raise PipelineError(
            f"{path}: actions are {numbers.dtype} {numbers.shape[1:]}, its metadata.json says "
            "Discrete; get the data set again"
        )
    indices: NDArray[np.int64] = numbers.astype(np.int64) - source.actions.start
    return indices


def _is_jpeg(source: Metadata, path: Path, stored: Any) -> bool:
    """Whether images are stored as the bytes of JPEG files; PipelineError if as neither these nor
    as the pixels that the description promises.
    """
    if stored.dtype == np.uint8 and stored.shape[1:] == source.observations.shape:
        return False
    variable = h5py.check_vlen_dtype(stored.dtype) == np.uint8 and stored.ndim == 1
    if variable or (stored.dtype == np.uint8 and stored.ndim == 2):
        return True
    raise PipelineError(
        f"{path}: images are {stored.dtype} {stored.shape[1:]}, its metadata.json says "
        f"{source.observations.shape}; get the data set again"
    )


def _images(source: Metadata, config: DatasetConfig) -> Iterator[Frame]:
    quota, path = EpisodeQuota(config), source.folder / MAIN_FILE
    with opened(path) as file:
        names = [f"episode_{i}" for i in range(source.episodes)]
        lengths = np.array([len(array(file, path, f"{name}/rewards")) for name in names], np.int64)
        kept = quota.take(lengths)
        for name, length in zip(names[:kept], quota.cut(lengths[:kept]), strict=True):
            stored = array(file, path, f"{name}/observations")
            jpeg = _is_jpeg(source, path, stored)
            for first in range(0, int(length), PIECE):
                for image in stored[first : min(first + PIECE, int(length))]:
                    yield _rgb(_decoded(image, source) if jpeg else image)


def _decoded(content: NDArray[np.uint8], source: Metadata) -> NDArray[np.uint8]:
    """The pixels of a JPEG file, which must be as large as the description says: its size is looked
    at before anything is decoded.
    """
    height, width, *colours = source.observations.shape
    mode = "RGB" if colours == [3] else "L"
    try:
        with Image.open(io.BytesIO(content.tobytes()), formats=["JPEG"]) as picture:
            if (picture.size, picture.mode) == ((width, height), mode):
                pixels: NDArray[np.uint8] = np.asarray(picture, np.uint8)
                return pixels
            found = f"{picture.mode} {picture.size}"
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        found = _line(error)
    raise PipelineError(
        f"{source.folder / MAIN_FILE}: an image is no JPEG of {mode} {(width, height)} ({found}); "
        "get the data set again"
    )


def _rgb(image: NDArray[np.uint8]) -> Frame:
    """Grey images (height, width) or (height, width, 1) get three equal channels."""
    if image.ndim == 2:
        image = image[..., None]
    return np.broadcast_to(image, (*image.shape[:2], 3)).copy()


def _line(error: Exception) -> str:
    """An exception of a library in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())
