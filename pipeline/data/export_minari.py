"""Trajectories, with frames → a Minari data set, for programs that read those.

Observations are state vectors where the trajectories have them; frames and joint positions are
then under `infos`. Otherwise observations are the frames, stored without loss. Minari wants one
observation more than there are actions, and this pipeline does not keep the one after the last
action. So the last one is repeated, and the description of the data set says so.

The environment is described twice: by gymnasium's specification, from which Minari makes it again
(`recover_environment`), and by its configuration here, which also says what gymnasium cannot.
Where a game is not gymnasium's, or was served, there is only the latter.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from gymnasium.wrappers import ClipReward
from minari import __version__ as version
from minari.data_collector import EpisodeBuffer
from minari.dataset.minari_storage import MinariStorage
from numpy.typing import NDArray

from pipeline import environments
from pipeline.config import plugins
from pipeline.config.data import CLIPPED
from pipeline.config.schema import EnvironmentConfig
from pipeline.data.sources._minari_metadata import OURS
from pipeline.data.sources._same_environment import IDENTITY
from pipeline.data.trajectories import Trajectories
from pipeline.environments.action_space import ActionSpace
from pipeline.errors import PipelineError
from pipeline.io.artefact import Artefact
from pipeline.io.atomic import replacing_folder


def export(
    trajectories: Trajectories,
    environment: EnvironmentConfig,
    frames: Artefact | None,
    name: str,
    folder: Path,
) -> None:
    """Write the data set `name` (`breakout-v0`) as `folder`, whole or not at all, an episode at a
    time. `minari.load_dataset(name)` opens it if MINARI_DATASETS_PATH is the folder around it.

    Raises PipelineError if there is neither a state vector nor a frame, or if the frames are of
    other trajectories or of another environment.
    """
    steps = len(trajectories.actions)
    step_frame = None if frames is None else frames.read("step_frame")
    if step_frame is not None and len(step_frame) != steps:
        raise PipelineError(
            f"{frames.path if frames else ''}: {len(step_frame)} steps, the trajectories have "
            f"{steps}; run render_frames on these trajectories"
        )
    if frames is not None:
        _check_environment(frames, environment)
    grey = environment.screen == "grey_84"
    served = trajectories.served is not None and bool(trajectories.served.any())
    clipped = CLIPPED in trajectories.source
    with replacing_folder(folder) as temporary:
        storage = MinariStorage.new(
            (temporary / "data").absolute(),  # Minari measures a relative folder at a wrong place
            observation_space=_observation_space(trajectories, frames, grey),
            action_space=_action_space(environments.action_space(environment)),
            env_spec=None if served else _specification(environment, clipped),
            jpeg_encoding=False,
        )
        about = (
            f"{trajectories.source}. The last observation of every episode is a copy of the one "
            "before it."
        )
        storage.update_metadata(
            {
                "dataset_id": name,
                "minari_version": version,
                "description": about,
                OURS: environment.model_dump(mode="json") | {"serve": served},
            }
        )
        storage.update_episodes(_episodes(trajectories, frames, step_frame, grey))


def _specification(environment: EnvironmentConfig, clipped: bool) -> EnvSpec | None:
    """gymnasium's specification of the environment; None if it is not gymnasium's."""
    family = plugins.load("environments", environment.family)
    specify = getattr(family, "specification", None)
    found: EnvSpec | None = specify and specify(environment)
    if found is not None and clipped:
        wrapper = ClipReward.wrapper_spec(min_reward=-1.0, max_reward=1.0)
        found.additional_wrappers += (wrapper,)
    return found


def _check_environment(frames: Artefact, environment: EnvironmentConfig) -> None:
    drawn, wanted = frames.attributes["environment"], environment.model_dump(mode="json")
    for key in IDENTITY:
        if drawn.get(key) != wanted[key]:
            raise PipelineError(
                f"{frames.path}: frames with {key} {drawn.get(key)}, the environment says "
                f"{wanted[key]}; run render_frames on these trajectories"
            )


def _observation_space(
    trajectories: Trajectories, frames: Artefact | None, grey: bool
) -> spaces.Box:
    if trajectories.observations is not None:
        return spaces.Box(-np.inf, np.inf, trajectories.observations.shape[1:], np.float32)
    if frames is None:
        raise PipelineError(
            f"{trajectories.source}: no state vectors, and no frames were given; give those that "
            "render_frames wrote"
        )
    shape = frames.shape("frames")[1:]  # (H, W, 3), of which grey screens have one channel
    return spaces.Box(0, 255, shape[:2] if grey else shape, np.uint8)


def _action_space(actions: ActionSpace) -> spaces.Discrete | spaces.Box:
    if actions.continuous:
        return spaces.Box(np.array(actions.low, np.float32), np.array(actions.high, np.float32))
    return spaces.Discrete(actions.size)


def _episodes(
    trajectories: Trajectories,
    frames: Artefact | None,
    step_frame: NDArray[np.int64] | None,
    grey: bool,
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
            images = images[..., 0] if grey else images
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
