"""Observations of MORE-3S where the environment has a state vector: O_t and the vector beside it.

The tensors of `embeddings` and of `states`.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.data.trajectories import Trajectories
from pipeline.observations import MEMORY_MB, LiveStep, Observation, ObserverInputs
from pipeline.observations.embeddings import EmbeddingObserver, EmbeddingStore
from pipeline.observations.states import StateObserver, StateStore


class EmbeddingAndStateStore(EmbeddingStore):
    """The stored side: rows of the feature cache, and the trajectories' state vectors."""

    def __init__(self, path: Path, trajectories: Trajectories, memory_mb: int) -> None:
        super().__init__(path, memory_mb)
        self._vectors = StateStore(trajectories)
        self.shape |= self._vectors.shape
        self.attributes |= self._vectors.attributes

    def gather(self, steps: NDArray[np.int64]) -> Observation:
        """Both of `steps` (B, S); negative steps give zeros."""
        return super().gather(steps) | self._vectors.gather(steps)


class EmbeddingAndStateObserver(EmbeddingObserver):
    """The live side."""

    def observe(self, live: LiveStep) -> Observation:
        """Both of the live step's episodes, tensors (B, 1, …)."""
        return super().observe(live) | StateObserver().observe(live)


def open_store(
    path: Path, trajectories: Trajectories, memory_mb: int = MEMORY_MB
) -> EmbeddingAndStateStore:
    """Open the feature cache beside the trajectories' state vectors."""
    return EmbeddingAndStateStore(path, trajectories, memory_mb)


def open_observer(inputs: ObserverInputs) -> EmbeddingAndStateObserver:
    """See `EmbeddingObserver.open`."""
    return EmbeddingAndStateObserver.open(inputs)
