"""Offline data → Trajectories.

One file per source in `sources/` (`recorded.py`, `recorded_states.py`, `scripted.py`, `minari.py`,
`dqn_replay.py`, `hdf5.py`), each with `collect(config, environment, resources) -> Trajectories`.
A source that holds images offers `frames(config, environment, resources) -> Iterator[Frame] |
None`, those of the steps that it collects, in their order; one that can be had by name offers
`download(config, folder)`.
"""

from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.config import plugins
from pipeline.config.data import MOST_NOOPS
from pipeline.config.schema import DatasetConfig, EnvironmentConfig
from pipeline.config.section import LARGEST_SEED
from pipeline.environments.action_space import Actions, ActionSpace
from pipeline.errors import PipelineError
from pipeline.io.artefact import Artefact, ArtefactWriter

KIND = "trajectories"
PER_EPISODE = ("terminated", "score", "seed", "noops", "epsilon", "served")
LARGEST = {"reward": 1e12, "observation": 1e9, "qpos": 1e6}
"""What no game pays and no robot reaches: beyond it lies damage, and sums without an end."""


@dataclass(frozen=True)
class Trajectories:
    """E whole episodes of T steps in all, concatenated.

    Frames come from one of three origins: `qpos` (rendered), `seed`, `noops` and `state_sha256`
    (replayed in the emulator), or the source's own files. What a source does not know is None.

    Invariants, checked by `__post_init__` (PipelineError): at least one episode, no empty episode,
    lengths add up to T, everything finite and of a size that is possible, indices not negative,
    every episode's rewards add up to its score.
    """

    actions: Actions
    """(T,) int64 a_t, or (T, A) float32."""
    rewards: NDArray[np.float32]
    """(T,) r_t, raw if `source` does not say otherwise."""
    episode_length: NDArray[np.int64]
    """(E,)"""
    terminated: NDArray[np.bool_]
    """(E,) False: the episode was cut."""
    score: NDArray[np.float64]
    """(E,) undiscounted return."""
    source: str
    """One line for tables: what recorded this, e.g. `recorded decisive/pong (epsilon ≤ 0.2)`."""
    seed: NDArray[np.int64] | None = None
    """(E,) reset seed."""
    noops: NDArray[np.int64] | None = None
    """(E,) emulator frames of NOOP after the reset."""
    epsilon: NDArray[np.float64] | None = None
    """(E,) share of random actions when recorded."""
    served: NDArray[np.bool_] | None = None
    """(E,) FIRE was pressed for the player where the game waited for it; None: it was not."""
    state_sha256: tuple[str, ...] | None = None
    """(E,) SHA-256 of the machine's memory after the last action; "" where unknown (cut here)."""
    observations: NDArray[np.float32] | None = None
    """(T, D) the state vector at s_t."""
    qpos: NDArray[np.float32] | None = None
    """(T, positions) of a simulator's joints at s_t, which a frame is drawn from."""

    def __post_init__(self) -> None:
        for cause in self._faults():
            raise PipelineError(f"{self.source}: {cause}; repair or replace the recording")

    def __deepcopy__(self, memo: dict[int, object]) -> "Trajectories":
        """The same: nothing changes a recording, and a copied learner must not double it."""
        return self

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """(E,) index of each episode's first step."""
        starts: NDArray[np.int64] = np.cumsum(self.episode_length) - self.episode_length
        return starts

    @cached_property
    def episode(self) -> NDArray[np.int64]:
        """(T,) index of each step's episode."""
        return np.repeat(np.arange(len(self.episode_length)), self.episode_length)

    @cached_property
    def timesteps(self) -> NDArray[np.int64]:
        """(T,) t within the episode."""
        return np.arange(len(self.actions)) - self.starts[self.episode]

    @cached_property
    def returns_to_go(self) -> NDArray[np.float32]:
        """(T,) R̂_t = Σ_{j≥t} r_j within the episode, undiscounted."""
        out = np.empty(len(self.rewards), np.float32)
        for start, length in zip(self.starts, self.episode_length, strict=True):
            steps = slice(start, start + length)
            # an episode at a time in float64: no rounding is carried from one to the next
            out[steps] = self.rewards[steps][::-1].cumsum(dtype=np.float64)[::-1]
        return out

    @cached_property
    def previous_rewards(self) -> NDArray[np.float32]:
        """(T,) r_{t-1}, and 0 at t = 0."""
        previous = np.roll(self.rewards, 1)
        previous[self.starts] = 0
        return previous

    def previous_actions(self, space: ActionSpace) -> Actions:
        """(T, …) a_{t-1}, and the action that does nothing at t = 0."""
        previous = np.roll(self.actions, 1, axis=0)
        previous[self.starts] = space.start()
        return previous

    def _faults(self) -> list[str]:
        """What is wrong, the most basic first; empty if all invariants hold."""
        for name in ("episode_length", "rewards", *PER_EPISODE):
            values = getattr(self, name)
            if values is not None and values.ndim != 1:
                return [f"{name} is {values.shape}, expected a list"]
        episodes, lengths = len(self.episode_length), self.episode_length
        if not episodes:
            return ["zero episodes"]
        if lengths.min() < 1:
            return [f"episode {int(lengths.argmin())} is empty"]
        if lengths.max() > len(self.actions):  # so that their sum is one
            return [
                f"episode {int(lengths.argmax())} is of {lengths.max()} steps, all together of "
                f"{len(self.actions)}"
            ]
        if not lengths.sum() == len(self.actions) == len(self.rewards):
            return [
                f"episode lengths add up to {lengths.sum()}, but there are {len(self.actions)} "
                f"actions and {len(self.rewards)} rewards"
            ]
        for name in (*PER_EPISODE, "state_sha256"):
            values = getattr(self, name)
            if values is not None and len(values) != episodes:
                return [f"{name} has {len(values)} entries for {episodes} episodes"]
        for name, most in (("seed", LARGEST_SEED), ("noops", MOST_NOOPS)):
            values = getattr(self, name)
            if values is not None and values.min() < 0:
                return [f"negative {name} of episode {int(values.argmin())}"]
            if values is not None and values.max() > most:
                episode = int(values.argmax())
                return [f"{name} {values[episode]} of episode {episode} is more than {most}"]
        if (shares := self.epsilon) is not None and not (sound := abs(shares - 0.5) <= 0.5).all():
            episode = int(sound.argmin())
            return [f"epsilon {shares[episode]} of episode {episode} is no share of its actions"]
        for name in ("observations", "qpos"):
            values = getattr(self, name)
            if values is not None and (values.ndim != 2 or len(values) != len(self.actions)):
                return [f"{name} are {values.shape} for {len(self.actions)} steps"]
        return self._step_faults()

    def _step_faults(self) -> list[str]:
        for name in ("reward", "action", "observation", "qpos"):
            values = getattr(self, name if name == "qpos" else f"{name}s")
            if values is not None and not (finite := np.isfinite(values)).all():
                place = tuple(np.argwhere(~finite)[0].tolist())
                return [f"{name} {values[place]} at step {place[0]}"]
            limit = LARGEST.get(name, np.inf)
            if values is not None and values.size and np.abs(values).max() > limit:
                place = tuple(np.argwhere(np.abs(values) > limit)[0].tolist())
                return [
                    f"{name} {values[place]:g} at step {place[0]} cannot be real (more than "
                    f"{limit:g})"
                ]
        if self.actions.ndim == 1 and self.actions.min() < 0:
            return [f"negative action at step {int(self.actions.argmin())}"]
        sums = np.add.reduceat(self.rewards.astype(np.float64), self.starts)
        differing = ~np.isclose(sums, self.score, rtol=1e-5, atol=1e-3)
        if differing.any():
            episode = int(differing.argmax())
            return [
                f"the rewards of episode {episode} add up to {sums[episode]:g}, "
                f"its score is {self.score[episode]:g}"
            ]
        return []


def collect(config: DatasetConfig, environment: EnvironmentConfig, resources: Path) -> Trajectories:
    """Collect the trajectories that `config.source` names; what it reads lies below `resources`."""
    source = plugins.load("data.sources", config.source)
    trajectories: Trajectories = source.collect(config, environment, resources)
    return trajectories


def download(config: DatasetConfig, folder: Path) -> None:
    """Download the data set that `config` names into `folder`, whole or not at all."""
    source = plugins.load("data.sources", config.source)
    if not hasattr(source, "download"):
        raise PipelineError(
            f"dataset: source {config.source!r} cannot be downloaded; name its file with 'file'"
        )
    source.download(config, folder)


ARRAYS = tuple(
    field.name for field in fields(Trajectories) if field.name not in {"state_sha256", "source"}
)


def save(
    path: Path, trajectories: Trajectories, environment: EnvironmentConfig, dataset: DatasetConfig
) -> None:
    """Write the trajectories artefact, with the configuration it was collected under."""
    attributes = {
        "state_sha256": trajectories.state_sha256,
        "source": trajectories.source,
        "environment": environment.model_dump(mode="json"),
        "dataset": dataset.model_dump(mode="json"),
    }
    with ArtefactWriter(path, KIND, attributes) as writer:
        for name in ARRAYS:
            if (array := getattr(trajectories, name)) is not None:
                writer.write(name, array)


def load(path: Path) -> Trajectories:
    """Read a trajectories artefact; raises PipelineError as `Artefact` and `Trajectories` do."""
    artefact = Artefact(path, KIND)
    arrays = {name: artefact.read(name) for name in ARRAYS if name in artefact.names}
    source, hashes = str(artefact.attributes["source"]), artefact.attributes["state_sha256"]
    artefact.close()
    hashes = None if hashes is None else tuple(hashes)
    return Trajectories(**arrays, state_sha256=hashes, source=source)
