"""Trajectories → frames: replay every episode in the emulator, keep each distinct frame once.

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


def render(trajectories: Trajectories, config: EnvironmentConfig, path: Path) -> None:
    """Replay all episodes and write the frames artefact `path`; memory does not grow with them.

    Arrays: `frames` (N, H, W, 3) uint8 in order of first appearance; `step_frame` (T,) int64, the
    frame of s_t, which is the one before a_t; `step_state` (T, bytes) uint8, the memory at s_t.
    Raises PipelineError naming game, episode and emulator version when a replay differs.
    """
    game = environments.make(config)
    attributes = {"environment": config.model_dump(mode="json"), "versions": game.versions}
    if fault := game.actions.fault(trajectories.actions):
        raise PipelineError(
            f"{config.game}: {trajectories.source}: {fault}; "
            "check that the data set names the right environment"
        )
    game.reset(0, 0)
    seen: dict[bytes, int] = {}
    with (
        ArtefactWriter(path, KIND, {**attributes, "source": trajectories.source}) as writer,
        tqdm(total=len(trajectories.actions), desc=f"{config.game}: replay", unit="step") as bar,
    ):
        writer.create("frames", game.frame().shape, np.uint8)
        writer.create("step_frame", (), np.int64)
        writer.create("step_state", game.state().shape, game.state().dtype)
        for episode in range(len(trajectories.episode_length)):
            indices = []
            for frame, state in _replay(trajectories, episode, game, config.game):
                digest = hashlib.blake2b(frame.data, digest_size=16).digest()
                if digest not in seen:
                    seen[digest] = len(seen)
                    writer.append("frames", frame[None])  # (1, H, W, 3)
                indices.append(seen[digest])
                writer.append("step_state", state[None])  # (1, bytes)
            writer.append("step_frame", np.array(indices, np.int64))
            bar.update(len(indices))


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
