"""Trajectories, with frames → a Minari data set, for programs that read those.

Observations are state vectors where the trajectories have them, and then frames and joint positions
are under `infos`; otherwise observations are the frames, stored without loss. Minari wants one
observation more than there are actions, and what follows the last action is not kept here: the last
one is repeated, and the description of the data set says so.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from minari import __version__ as version
from minari.data_collector import EpisodeBuffer
from minari.dataset.minari_storage import MinariStorage
from numpy.typing import NDArray

from pipeline.data.trajectories import Trajectories
from pipeline.environments.action_space import ActionSpace
from pipeline.errors import PipelineError
from pipeline.io.artefact import Artefact
from pipeline.io.atomic import replacing_folder


def export(
    trajectories: Trajectories,
    actions: ActionSpace,
    frames: Artefact | None,
    name: str,
    folder: Path,
) -> None:
    """Write the data set `name` (`breakout-v0`) as `folder`, whole or not at all, an episode at a
    time. `minari.load_dataset(name)` opens it if MINARI_DATASETS_PATH is the folder around it.

    Raises PipelineError if there is neither a state vector nor a frame, or if the frames are of
    other trajectories.
    """
    steps = len(trajectories.actions)
    step_frame = None if frames is None else frames.read("step_frame")
    if step_frame is not None and len(step_frame) != steps:
        raise PipelineError(
            f"{frames.path if frames else ''}: {len(step_frame)} steps, the trajectories have "
            f"{steps}; run render_frames on these trajectories"
        )
    with replacing_folder(folder) as temporary:
        storage = MinariStorage.new(
            (temporary / "data").absolute(),  # Minari measures a relative folder at a wrong place
            observation_space=_observation_space(trajectories, frames),
            action_space=_action_space(actions),
            jpeg_encoding=False,
        )
        about = (
            f"{trajectories.source}. The last observation of every episode is a copy of the one "
            "before it."
        )
        storage.update_metadata(
            {"dataset_id": name, "minari_version": version, "description": about}
        )
        storage.update_episodes(_episodes(trajectories, frames, step_frame))


def _observation_space(trajectories: Trajectories, frames: Artefact | None) -> spaces.Box:
    if trajectories.observations is not None:
        return spaces.Box(-np.inf, np.inf, trajectories.observations.shape[1:], np.float32)
    if frames is None:
        raise PipelineError(
            f"{trajectories.source}: no state vectors, and no frames were given; give those that "
            "render_frames wrote"
        )
    return spaces.Box(0, 255, frames.shape("frames")[1:], np.uint8)


def _action_space(actions: ActionSpace) -> spaces.Discrete | spaces.Box:
    if actions.continuous:
        return spaces.Box(np.array(actions.low, np.float32), np.array(actions.high, np.float32))
    return spaces.Discrete(actions.size)


def _episodes(
    trajectories: Trajectories, frames: Artefact | None, step_frame: NDArray[np.int64] | None
) -> Iterator[EpisodeBuffer]:
    lengths = trajectories.episode_length
    for episode, (start, length) in enumerate(zip(trajectories.starts, lengths, strict=True)):
        steps = np.arange(start, start + length)
        shown = np.append(steps, steps[-1])  # (length + 1,)
        ended = bool(trajectories.terminated[episode])
        known: dict[str, Any] = {
            "qpos": trajectories.qpos,
            "observations": trajectories.observations,
        }
        seen = {key: array[shown] for key, array in known.items() if array is not None}
        if frames is not None and step_frame is not None:
            images = frames.gather("frames", step_frame[shown])  # (length + 1, H, W, 3)
            seen["frame" if "observations" in seen else "observations"] = images
        last = np.arange(length) == length - 1
        yield EpisodeBuffer(
            id=episode,
            seed=None if trajectories.seed is None else int(trajectories.seed[episode]),
            observations=seen.pop("observations"),
            actions=trajectories.actions[steps],
            rewards=trajectories.rewards[steps],
            terminations=last & ended,
            truncations=last & (not ended),
            infos=seen,
        )
