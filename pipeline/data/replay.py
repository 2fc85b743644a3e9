"""Frames of games: every episode is replayed in the emulator and checked.

For every episode the replay must give the recorded score, and the recorded hash of the console's
memory at the end. Otherwise the actions belong to other pictures than those of the recording, and
no later result would mean anything (docs/method.md §1.1).
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from pipeline.data.trajectories import Trajectories
from pipeline.environments import Environment, Frame
from pipeline.errors import PipelineError


@dataclass(frozen=True)
class Step:
    """What is kept of a step: s_t."""

    frame: Frame
    state: NDArray[Any] | None = None
    """Of the machine, for the probe; None where the source does not know it."""


def steps(
    trajectories: Trajectories, game: Callable[[bool], Environment], name: str
) -> Iterator[Step]:
    """Frame and machine memory before every action; `game(served)` is the environment that presses
    FIRE for the player, or not, as each episode was recorded.

    Raises PipelineError naming game, episode and emulator version when a replay differs.
    """
    served = trajectories.served
    for episode in range(len(trajectories.episode_length)):
        played = game(served is not None and bool(served[episode]))
        yield from _replay(trajectories, episode, played, name)


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
) -> Iterator[Step]:
    """Yield frame and machine memory before each action; check the outcome after the last."""
    seed, noops, hashes = trajectories.seed, trajectories.noops, trajectories.state_sha256
    if seed is None or noops is None or hashes is None:
        raise PipelineError(
            f"{trajectories.source}: neither seeds to replay nor positions to draw; its source "
            "has to offer `frames`"
        )
    start, length = int(trajectories.starts[episode]), int(trajectories.episode_length[episode])
    game.reset(int(seed[episode]), int(noops[episode]))
    score, steps, terminated = 0.0, 0, False
    for action in trajectories.actions[start : start + length]:
        if terminated:
            break
        yield Step(game.frame(), game.state())
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
