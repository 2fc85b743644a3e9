"""What a sequence model sees at each step: one file per kind, with a stored side (training) and a
live side (acting).

`embeddings.py` reads O_t from the feature cache or from the StepEncoder; `pixels.py` stacks grey
frames. A model names the kind it wants in `SequencePolicy.observation`; both sides return tensors
of the same names and shapes.
"""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pipeline import plugins
from pipeline.actions import Actions
from pipeline.errors import PipelineError
from pipeline.trajectories import Trajectories

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


class Observer(Protocol):
    """The live side: observations of frames just rendered, for a batch of episodes in lock-step."""

    def observe(
        self,
        frames: NDArray[np.uint8],
        previous_actions: Actions,
        episodes: NDArray[np.int64],
    ) -> Observation:
        """Observe `frames` (B, H, W, 3) after `previous_actions` (B, …) in `episodes` (B,).

        Returns tensors with leading dimensions (B, 1). The first call for an episode is its first
        step.
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
