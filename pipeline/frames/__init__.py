"""Trajectories → frames: replay every episode in the emulator, or take the images that a source
holds; keep each distinct frame once.

The replay must give the recorded score, and the recorded hash of the machine's memory at the end,
for every episode; otherwise the actions belong to other pictures than the recording's and nothing
after this would mean anything (docs/method.md §1.1).
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from pipeline import environments
from pipeline.config import EnvironmentConfig
from pipeline.environments import Environment, Frame
from pipeline.errors import PipelineError
from pipeline.storage import ArtefactWriter
from pipeline.trajectories import Trajectories

KIND = "frames"


def render(
    trajectories: Trajectories,
    config: EnvironmentConfig,
    path: Path,
    stored: Iterator[Frame] | None = None,
) -> None:
    """Write the frames artefact `path`: replay all episodes, or take the frames that a source has
    `stored`; memory does not grow with them.

    Arrays: `frames` (N, H, W, 3) uint8 in order of first appearance; `step_frame` (T,) int64, the
    frame of s_t, which is the one before a_t; `step_state` (T, bytes) uint8, the memory at s_t, if
    replayed. Raises PipelineError naming game, episode and emulator version when a replay differs,
    and when stored frames are not as many as the steps, or not as large as the environment's.
    """
    game = environments.make(config)
    attributes = {"environment": config.model_dump(mode="json"), "versions": game.versions}
    if fault := game.actions.fault(trajectories.actions):
        raise PipelineError(
            f"{config.game}: {trajectories.source}: {fault}; "
            "check that the data set names the right environment"
        )
    game.reset(0, 0)
    steps = (
        _replay_all(trajectories, game, config.game)
        if stored is None
        else _stored(trajectories, game, stored)
    )
    seen: dict[bytes, int] = {}
    with ArtefactWriter(path, KIND, {**attributes, "source": trajectories.source}) as writer:
        writer.create("frames", game.frame().shape, np.uint8)
        writer.create("step_frame", (), np.int64)
        if stored is None:
            writer.create("step_state", game.state().shape, game.state().dtype)
        total = len(trajectories.actions)
        for frame, state in tqdm(steps, desc=f"{config.game}: frames", total=total, unit="step"):
            digest = hashlib.blake2b(frame.data, digest_size=16).digest()
            if digest not in seen:
                seen[digest] = len(seen)
                writer.append("frames", frame[None])  # (1, H, W, 3)
            writer.append("step_frame", np.array([seen[digest]], np.int64))
            if state is not None:
                writer.append("step_state", state[None])  # (1, bytes)


def _stored(
    trajectories: Trajectories, game: Environment, stored: Iterator[Frame]
) -> Iterator[tuple[Frame, None]]:
    """Yield the frames of a source's own files, one for each step."""
    expected, count = game.frame().shape, 0
    for frame in stored:
        if frame.shape != expected:
            raise PipelineError(
                f"{trajectories.source}: frames are {frame.shape}, those of the environment are "
                f"{expected}, so that a policy could not act on them; set the environment's screen"
            )
        count += 1
        yield frame, None
    if count != len(trajectories.actions):
        raise PipelineError(
            f"{trajectories.source}: {count} frames for {len(trajectories.actions)} steps; "
            "the source's files have changed since they were collected: run collect_trajectories"
        )


def _replay_all(
    trajectories: Trajectories, game: Environment, name: str
) -> Iterator[tuple[Frame, np.ndarray]]:
    for episode in range(len(trajectories.episode_length)):
        yield from _replay(trajectories, episode, game, name)


@dataclass
class _Outcome:
    """What must agree between a recorded episode and its replay."""

    score: float
    length: int
    terminated: bool
    state_sha256: str

    def difference(self, replayed: "_Outcome") -> str | None:
        """The first difference in words; an empty hash of the recording is not compared."""
        for name in ("length", "score", "terminated", "state_sha256"):
            recorded, found = getattr(self, name), getattr(replayed, name)
            if recorded != found and recorded != "":
                return f"{name} is {found}, recorded {recorded}"
        return None


def _replay(
    trajectories: Trajectories, episode: int, game: Environment, name: str
) -> Iterator[tuple[Frame, np.ndarray]]:
    """Yield frame and machine memory before each action; check the outcome after the last."""
    seed, noops, hashes = trajectories.seed, trajectories.noops, trajectories.state_sha256
    if seed is None or noops is None or hashes is None:
        raise PipelineError(f"{trajectories.source}: no seeds to replay; give frames of its own")
    start, length = int(trajectories.starts[episode]), int(trajectories.episode_length[episode])
    game.reset(int(seed[episode]), int(noops[episode]))
    score, steps, terminated = 0.0, 0, False
    for action in trajectories.actions[start : start + length]:
        if terminated:
            break
        yield game.frame(), game.state()
        reward, terminated = game.step(action)
        score += reward
        steps += 1
    recorded = _Outcome(
        float(trajectories.score[episode]),
        length,
        bool(trajectories.terminated[episode]),
        hashes[episode],
    )
    digest = hashlib.sha256(game.state().tobytes()).hexdigest()
    difference = recorded.difference(_Outcome(score, steps, terminated, digest))
    if difference:
        versions = ", ".join(f"{key} {value}" for key, value in game.versions.items())
        raise PipelineError(
            f"{name}, episode {episode} of {trajectories.source}: the replay differs: "
            f"{difference} ({versions}); "
            "install the pinned emulator version or repair the recording"
        )
