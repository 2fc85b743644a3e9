"""Trajectories → frames: what is seen before each action, each distinct frame once.

Where frames come from depends on what the trajectories hold: a game is replayed from its seeds
(`replay.py`), a simulator draws the positions of its joints, and a source that brings pictures of
its own offers `frames(config, environment, resources) -> Iterator[Frame]`, one for every step.
"""

import hashlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
from tqdm import tqdm

from pipeline import environments
from pipeline.config import plugins
from pipeline.config.schema import DatasetConfig, EnvironmentConfig
from pipeline.data import replay
from pipeline.data.replay import Step
from pipeline.data.trajectories import Trajectories
from pipeline.environments import Environment, Frame, Simulator
from pipeline.errors import PipelineError
from pipeline.io.artefact import ArtefactWriter

KIND = "frames"


def render(
    trajectories: Trajectories,
    config: EnvironmentConfig,
    path: Path,
    own: Iterator[Frame] | None = None,
) -> None:
    """Write the frames artefact `path`; memory does not grow with the number of steps.

    `own` are frames of the source's own, from `of_source`.
    Arrays: `frames` (N, H, W, 3) uint8 in order of first appearance; `step_frame` (T,) int64, the
    frame of s_t, which is the one before a_t; `step_state` (T, …), the machine's state at s_t,
    where it is known. Raises PipelineError where a replay differs, an action is unknown, or there
    is not one frame for each step.
    """
    game = environments.make(config)
    if fault := game.actions.fault(trajectories.actions):
        raise PipelineError(
            f"{config.game}: {trajectories.source}: {fault}; "
            "check that the data set names the right environment"
        )
    attributes = {"environment": config.model_dump(mode="json"), "versions": game.versions}
    total = len(trajectories.actions)
    seen: dict[bytes, int] = {}
    indices: list[int] = []
    with ArtefactWriter(path, KIND, {**attributes, "source": trajectories.source}) as writer:
        steps = _steps(trajectories, game, config, own)
        for step in tqdm(steps, f"{config.game}: frames", total, unit="step"):
            if not seen:
                _create(writer, step)
            digest = hashlib.blake2b(step.frame.data, digest_size=16).digest()
            if digest not in seen:
                seen[digest] = len(seen)
                writer.append("frames", step.frame[None])  # (1, H, W, 3)
            if step.state is not None:
                writer.append("step_state", step.state[None])
            indices.append(seen[digest])
        if len(indices) != total:
            raise PipelineError(
                f"{trajectories.source}: {len(indices)} frames for {total} steps; "
                "restore the source's files"
            )
        writer.write("step_frame", np.array(indices, np.int64))


def of_source(
    dataset: DatasetConfig, environment: EnvironmentConfig, resources: Path
) -> Iterator[Frame] | None:
    """The pictures that a data set's source brings, one for every step; None if it brings none."""
    source = plugins.load("data.sources", dataset.source)
    frames = getattr(source, "frames", None)
    found: Iterator[Frame] | None = frames and frames(dataset, environment, resources)
    return found


def files_of(dataset: DatasetConfig) -> list[str]:
    """The files below the resources that `of_source` reads."""
    source = plugins.load("data.sources", dataset.source)
    return dataset.files if hasattr(source, "frames") else []


def _create(writer: ArtefactWriter, first: Step) -> None:
    """Begin the growing arrays, shaped like the first step."""
    writer.create("frames", first.frame.shape, np.uint8)
    if first.state is not None:
        writer.create("step_state", first.state.shape, first.state.dtype)


def _steps(
    trajectories: Trajectories,
    game: Environment,
    config: EnvironmentConfig,
    own: Iterator[Frame] | None,
) -> Iterator[Step]:
    """Every step, from wherever its frame comes."""
    if own is not None:
        yield from _own(own, trajectories, game)
    elif trajectories.qpos is None:
        yield from replay.steps(trajectories, _replayed_in(config), config.game)
    elif isinstance(game, Simulator):
        yield from (Step(game.show(qpos), qpos) for qpos in trajectories.qpos)
    else:
        raise PipelineError(
            f"{trajectories.source}: positions of joints, which {config.game} cannot draw; "
            "check that the data set names the right environment"
        )


def _replayed_in(config: EnvironmentConfig) -> Callable[[bool], Environment]:
    """An environment for episodes that were served, and one for those that were not; how the
    environment serves in play says nothing of them.
    """
    return cache(lambda served: environments.make(config.model_copy(update={"serve": served})))


def _own(own: Iterator[Frame], trajectories: Trajectories, game: Environment) -> Iterator[Step]:
    """The source's own frames; PipelineError if they are not as large as the environment's."""
    game.reset(0, 0)
    expected = game.frame().shape
    for frame in own:
        if frame.shape != expected:
            raise PipelineError(
                f"{trajectories.source}: frames are {frame.shape}, those of the environment are "
                f"{expected}, and a policy could not act on them; correct the dataset's screen"
            )
        yield Step(frame)
