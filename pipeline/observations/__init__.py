"""What a sequence model sees at each step: one file per kind, with a stored side (training) and a
live side (acting).

`embeddings.py` reads O_t from the feature cache or from the StepEncoder, `pixels.py` stacks grey
frames, `states.py` reads state vectors. A method's settings name the kinds that it can read
(`MethodSettings.observations`); both sides return tensors of the same names and shapes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pipeline.config import plugins
from pipeline.config.schema import FeaturesConfig, HardwareConfig
from pipeline.data.trajectories import Trajectories
from pipeline.environments import Environment
from pipeline.environments.action_space import Actions
from pipeline.errors import PipelineError

MEMORY_MB = HardwareConfig().cache_memory_mb
"""Megabytes of decoded observations that a store holds in memory, if nothing else is said."""
Observation = dict[str, Tensor]
"""Named tensors, each with leading dimensions (batch, steps)."""


class ObservationStore(Protocol):
    """The stored side: observations of recorded steps, read lazily from an artefact."""

    steps: int
    """T, of the data set."""
    shape: dict[str, tuple[int, ...]]
    """Of each tensor, without batch and steps."""
    attributes: dict[str, Any]
    """Of the artefact; a model builds itself from them."""

    def gather(self, steps: NDArray[np.int64]) -> Observation:
        """Observations of the data set's steps `steps` (B, S); negative entries give zeros."""
        ...


@dataclass(frozen=True)
class LiveStep:
    """What is observed live and decided on: episodes of one timestep, until they are stepped."""

    games: Sequence[Environment]
    """(B,)"""
    previous_actions: Actions
    """(B, …) a_{t-1}."""
    previous_rewards: NDArray[np.float32]
    """(B,) r_{t-1}, 0 at t = 0."""
    returns: NDArray[np.float64]
    """(B,) raw reward collected so far."""
    episodes: NDArray[np.int64]
    """(B,) index of each row's episode."""
    timestep: int
    noise: Callable[..., NDArray[np.float32]]
    """noise(*shape) → (B, *shape) from N(0, 1), each episode from a generator of its own."""

    @cached_property
    def frames(self) -> NDArray[np.uint8]:
        """(B, H, W, 3), drawn when they are first asked for."""
        return np.stack([game.frame() for game in self.games])

    @cached_property
    def observations(self) -> NDArray[np.float32] | None:
        """(B, D) state vectors, of environments that have them."""
        vectors = [game.observation() for game in self.games]
        known = [vector for vector in vectors if vector is not None]
        return np.stack(known) if known else None


@dataclass(frozen=True)
class ObserverInputs:
    """What a live side can be made of; each kind takes what it needs."""

    features: FeaturesConfig
    encoder: Path | None = None
    """Folder of the encoder."""
    prompts: Path | None = None
    weights: Path | None = None
    """Of the detector, where it has published ones."""
    device: str = "cpu"


class Observer(Protocol):
    """The live side: observations of a batch of episodes in lock-step."""

    def observe(self, live: LiveStep) -> Observation:
        """Tensors with leading dimensions (B, 1). The first call for an episode is its first step;
        what is not asked of the live step is not rendered.
        """
        ...


def open_store(
    kind: str, path: Path, trajectories: Trajectories, memory_mb: int
) -> ObservationStore:
    """Open the artefact at `path` for training on `trajectories`, with the plug-in `kind`.

    Raises PipelineError where it is not a whole artefact of that kind, or one of another data set.
    """
    store: ObservationStore = plugins.load("observations", kind).open_store(
        path, trajectories, memory_mb
    )
    if store.steps != len(trajectories.actions):
        raise PipelineError(
            f"{path}: {store.steps} steps, but {trajectories.source} has "
            f"{len(trajectories.actions)}; make it again from these trajectories"
        )
    return store
