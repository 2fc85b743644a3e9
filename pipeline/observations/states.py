"""Observations of methods that read state vectors: as recorded, and live from the environment.

Tensor: `state` (B, S, D) float32, raw; models standardise it by the data's mean and deviation.
Nothing is rendered, so no OpenGL is needed.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.data.trajectories import Trajectories
from pipeline.errors import PipelineError
from pipeline.io.running_stats import Moments
from pipeline.observations import MEMORY_MB, LiveStep, Observation, ObserverInputs


class StateStore:
    """The stored side: the trajectories' own state vectors."""

    def __init__(self, trajectories: Trajectories) -> None:
        if trajectories.observations is None:
            raise PipelineError(
                f"{trajectories.source}: no state vectors; choose another policy.observation for "
                "this data set, or data that hold them"
            )
        self._states = trajectories.observations  # (T, D)
        self.steps = len(self._states)
        moments = Moments()
        moments.add(self._states)
        self.shape: dict[str, tuple[int, ...]] = {"state": self._states.shape[1:]}
        self.attributes: dict[str, Any] = {"state_mean": moments.mean, "state_std": moments.std}

    def gather(self, steps: NDArray[np.int64]) -> Observation:
        """State vectors of `steps` (B, S): (B, S, D); negative steps give zeros."""
        padding = (steps < 0)[..., None]
        return {"state": torch.from_numpy(np.where(padding, 0, self._states[steps]))}


class StateObserver:
    """The live side."""

    def observe(self, live: LiveStep) -> Observation:
        """State vectors (B, 1, D) of the live step's episodes."""
        if live.observations is None:
            raise PipelineError("the environment has no state vectors, which this policy reads")
        return {"state": torch.from_numpy(live.observations[:, None])}


def open_store(path: Path, trajectories: Trajectories, memory_mb: int = MEMORY_MB) -> StateStore:
    """Open the trajectories' state vectors; raises PipelineError where they have none."""
    return StateStore(trajectories)


def open_observer(inputs: ObserverInputs) -> StateObserver:
    """The live side, which needs nothing of stage one and computes on the processor."""
    return StateObserver()
