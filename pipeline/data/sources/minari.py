"""The `minari` source: a data set of Minari (Farama Foundation), such as `atari/breakout/expert-v0`
or `mujoco/hopper/medium-v0`, in its HDF5 format.

`file` is the data set's folder, the one that holds `data/`; without it, `name` is downloaded. An
episode of T steps has T + 1 observations: state vectors, or images, which then are the frames.
Minari's library reads the description; the steps are read from the HDF5 file directly, so that
memory holds neither all images of an episode nor any that are not asked for.
"""

import io
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from minari.dataset.minari_storage import MinariStorage
from numpy.typing import NDArray
from PIL import Image

from pipeline.config.schema import DatasetConfig, EnvironmentConfig
from pipeline.data.sources._checks import check_counts, find, fit, share
from pipeline.data.sources._hdf5 import opened
from pipeline.data.sources._quota import EpisodeQuota
from pipeline.data.sources._selection import select
from pipeline.data.trajectories import Trajectories
from pipeline.environments import Frame
from pipeline.errors import PipelineError
from pipeline.io.atomic import replacing_folder

MAIN_FILE = "main_data.hdf5"
PIECE = 64
"""Images read at a time."""


@dataclass(frozen=True)
class _Source:
    """A data set on disk and its description."""

    folder: Path
    """That holds MAIN_FILE."""
    episodes: int
    steps: int
    observations: spaces.Space[Any]
    actions: spaces.Space[Any]
    environment: dict[str, Any]
    """Gymnasium's specification; empty if the data set has none."""
    name: str

    @property
    def has_images(self) -> bool:
        """Whether an observation is an image: bytes, with height and width."""
        space = self.observations
        return isinstance(space, spaces.Box) and space.dtype == np.uint8 and len(space.shape) > 1


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
        _describe(temporary / name)


def collect(config: DatasetConfig, environment: EnvironmentConfig, resources: Path) -> Trajectories:
    """Read everything but images, and keep the episodes that `config` asks for.

    Raises PipelineError: missing, empty or damaged data set, other counts than it says of itself,
    another game, other actions or observations than the environment's, and whatever `Trajectories`
    refuses.
    """
    path = find(config, resources)
    source = _describe(path)
    _check_environment(source, environment)
    with opened(source.folder / MAIN_FILE) as file:
        episodes = [_episode(file, source, i) for i in range(source.episodes)]
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
        if name != "terminated"
    }
    qpos = fit(
        path, environment, arrays["actions"], arrays.get("observations"), arrays.pop("qpos", None)
    )
    rewards = arrays["rewards"].astype(np.float64)
    recording = Trajectories(
        **arrays,
        qpos=qpos,
        episode_length=lengths,
        terminated=np.array([episode["terminated"] for episode in episodes]),
        score=np.add.reduceat(rewards, np.cumsum(lengths) - lengths),
        source=str(path),
    )
    return select(recording, config, f"Minari {source.name}{share(config)}")


def frames(
    config: DatasetConfig, environment: EnvironmentConfig, resources: Path
) -> Iterator[Frame] | None:
    """The image at every step that `collect` keeps, in order, RGB; None if there are no images."""
    path = find(config.model_copy(update={"sha256": {}}), resources)
    source = _describe(path)
    return _images(source, config) if source.has_images else None


def _describe(path: Path) -> _Source:
    """Read the description of the data set at `path`; PipelineError if there is no sound one."""
    folder = path / "data" if (path / "data").is_dir() else path
    try:
        storage = MinariStorage.read(folder)
        content = storage.metadata
        if content["data_format"] != "hdf5":
            raise PipelineError(
                f"{folder}: in Minari's format {content['data_format']!r}, only hdf5 is read; "
                "convert it with Minari"
            )
        episodes, steps = int(content["total_episodes"]), int(content["total_steps"])
        specification = json.loads(content.get("env_spec") or "{}")
        name = str(content["dataset_id"])
        observations, actions = storage.observation_space, storage.action_space
    except PipelineError:
        raise
    except Exception as error:  # Minari asserts and looks up, so that any kind may come
        raise PipelineError(
            f"{folder}: not a Minari data set ({_line(error)}); the dataset's 'file' is the folder "
            "that holds data/metadata.json"
        ) from None
    return _Source(folder, episodes, steps, observations, actions, specification, name)


def _check_environment(source: _Source, environment: EnvironmentConfig) -> None:
    """The data set must be of this game, played as the environment's configuration says."""
    if "id" not in source.environment:
        return
    told = source.environment.get("kwargs", {})
    game = re.sub(r"^.*/|-v\d+$", "", source.environment["id"])
    recorded: dict[str, object] = {"game": _plain(game)}
    if environment.family == "atari":
        recorded["frame_skip"] = told.get("frameskip", environment.frame_skip)
        recorded["sticky_actions"] = told.get(
            "repeat_action_probability", environment.sticky_actions
        )
    wanted = {"game": _plain(environment.game)}
    for key, value in recorded.items():
        expected = wanted.get(key, getattr(environment, key))
        if value != expected:
            raise PipelineError(
                f"{source.folder}: recorded with {key} {value}, the environment says {expected}; "
                "correct the dataset's 'file' or 'name', or the environment"
            )


def _episode(file: Any, source: _Source, index: int) -> dict[str, Any]:
    """One episode without images."""
    where = f"{source.folder / MAIN_FILE}: episode {index}"
    if f"episode_{index}" not in file:
        raise PipelineError(
            f"{where} is missing, metadata.json counts {source.episodes}; get the data set again"
        )
    group = file[f"episode_{index}"]
    rewards = group["rewards"][:].astype(np.float32)
    episode = {"rewards": rewards, "actions": _actions(source, group["actions"])}
    ends = group["terminations"][:] | group["truncations"][:]
    rows = len(_leaf(source, group["observations"]))
    if not len(rewards) == len(episode["actions"]) == len(ends) == rows - 1:
        raise PipelineError(
            f"{where}: {len(rewards)} rewards, {len(episode['actions'])} actions and {rows} "
            "observations (one more is right); get the data set again"
        )
    if not len(rewards):
        raise PipelineError(f"{where} is empty; get the data set again")
    if ends[:-1].any():
        raise PipelineError(f"{where} goes on after its end; get the data set again")
    if not source.has_images:
        episode["observations"] = group["observations"][:-1].astype(np.float32)
    if "infos" in group and "qpos" in group["infos"]:
        episode["qpos"] = group["infos/qpos"][: len(rewards)].astype(np.float32)
    return {**episode, "terminated": bool(group["terminations"][-1])}


def _check_alike(source: _Source, episodes: list[dict[str, Any]]) -> None:
    """Every episode must have what the first has, of the same size at each step."""
    sizes = [{name: np.shape(array)[1:] for name, array in one.items()} for one in episodes]
    for index, size in enumerate(sizes):
        if differing := sorted(name for name, _ in size.items() ^ sizes[0].items()):
            raise PipelineError(
                f"{source.folder / MAIN_FILE}: {differing[0]} of episode {index} and of the first "
                "differ in size, or one has none; get the data set again"
            )


def _actions(source: _Source, dataset: Any) -> NDArray[np.int64] | NDArray[np.float32]:
    if isinstance(source.actions, spaces.Discrete):
        indices: NDArray[np.int64] = dataset[:].astype(np.int64) - int(source.actions.start)
        return indices
    if isinstance(source.actions, spaces.Box):
        vectors: NDArray[np.float32] = dataset[:].astype(np.float32)
        return vectors
    raise PipelineError(
        f"{source.folder}: actions are {source.actions}; only Discrete and Box are read"
    )


def _leaf(source: _Source, dataset: Any) -> Any:
    """The observations of an episode; PipelineError if they are not one array."""
    if not isinstance(source.observations, spaces.Box):
        raise PipelineError(
            f"{source.folder}: observations are {source.observations}; only Box is read"
        )
    return dataset


def _images(source: _Source, config: DatasetConfig) -> Iterator[Frame]:
    quota = EpisodeQuota(config)
    with opened(source.folder / MAIN_FILE) as file:
        groups = [file[f"episode_{i}"] for i in range(source.episodes)]
        lengths = np.array([len(group["rewards"]) for group in groups], np.int64)
        kept = quota.take(lengths)
        for group, length in zip(groups[:kept], quota.cut(lengths[:kept]), strict=True):
            for first in range(0, int(length), PIECE):
                stored = group["observations"][first : min(first + PIECE, int(length))]
                for image in stored:
                    yield _rgb(_decoded(image), source)


def _decoded(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """An image as Minari stores it: the bytes of a JPEG file, or the pixels."""
    if image.ndim > 1:
        return image
    return np.asarray(Image.open(io.BytesIO(image.tobytes())), np.uint8)


def _rgb(image: NDArray[np.uint8], source: _Source) -> Frame:
    """Grey images get three equal channels."""
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim == 3 and image.shape[-1] in (1, 3):
        return np.broadcast_to(image, (*image.shape[:2], 3)).copy()
    raise PipelineError(
        f"{source.folder}: images are {image.shape}; only (height, width) with 1 or 3 colours last "
        "are read"
    )


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _line(error: Exception) -> str:
    """An exception of a library in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())
