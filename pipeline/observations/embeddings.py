"""Observations of MORE-3S: O_t from the feature cache (training) or from the StepEncoder (acting).

Tensors: `tokens` (B, S, T, d) float16 with T = L + N tokens (or the 2 modality means, where only
those are cached), `mask` (B, S, T) bool, and on the stored side `pooled` (B, S, 2, d) float32: z,
the whitened mean per modality. N is as long as the data needed when stored, `regions` when live.
"""

from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.data.trajectories import Trajectories
from pipeline.environments.action_space import Action
from pipeline.errors import PipelineError
from pipeline.features import encoders
from pipeline.features.prompts import Prompts
from pipeline.features.step_encoder import StepEncoder
from pipeline.io.artefact import Artefact
from pipeline.observations import MEMORY_MB, LiveStep, Observation, ObserverInputs
from pipeline.vision import detectors
from pipeline.vision.detectors import Regions


class EmbeddingStore:
    """The stored side: rows of the feature cache by step."""

    def __init__(self, path: Path, memory_mb: int) -> None:
        self._cache = Artefact(path, "cache", memory_mb=memory_mb)
        self._tokens = "tokens" if self._cache.attributes["storage"] == "tokens" else "pooled"
        self._step_pair = self._cache.read("step_pair")  # (T,)
        self.steps = len(self._step_pair)
        self._mean, self._std = self._cache.read("pooled_mean"), self._cache.read("pooled_std")
        tokens = self._cache.shape(self._tokens)[1:]
        self.shape: dict[str, tuple[int, ...]] = {
            "tokens": tokens,
            "mask": tokens[:1],
            "pooled": self._cache.shape("pooled")[1:],
        }
        self.attributes: dict[str, Any] = {
            **self._cache.attributes,
            "text_tokens": self._cache.attributes["text_tokens"] if self._tokens == "tokens" else 1,
            **self._action_embeddings(),
            "token_mean": self._cache.read(f"{self._tokens.removesuffix('s')}_mean"),
            "token_std": self._cache.read(f"{self._tokens.removesuffix('s')}_std"),
        }

    def gather(self, steps: NDArray[np.int64]) -> Observation:
        """Observations of `steps` (B, S); negative steps give zeros."""
        padding = steps < 0
        pairs = self._step_pair[np.where(padding, 0, steps)]
        observation = {
            "tokens": torch.from_numpy(self._cache.gather(self._tokens, pairs)),
            "mask": self._mask(pairs),
            "pooled": self._whitened(pairs),
        }
        if padding.any():
            for tensor in observation.values():
                tensor[torch.from_numpy(padding)] = 0
        return observation

    def _mask(self, pairs: NDArray[np.int64]) -> Tensor:
        if self._tokens == "pooled":
            return torch.ones(*pairs.shape, 2, dtype=torch.bool)
        return torch.from_numpy(self._cache.gather("mask", pairs))

    def _whitened(self, pairs: NDArray[np.int64]) -> Tensor:
        pooled = self._cache.gather("pooled", pairs).astype(np.float32)
        return torch.from_numpy((pooled - self._mean) / self._std)

    def _action_embeddings(self) -> dict[str, NDArray[np.float32]]:
        """(actions, d): whitened mean E(A) of each discrete action's prompt in the data."""
        if "action_prompt" not in self._cache.names:
            return {}
        whitened = (self._cache.read("prompt_mean") - self._mean[0]) / self._std[0]
        return {"action_embeddings": np.asarray(whitened[self._cache.read("action_prompt")])}


class EmbeddingObserver:
    """The live side: frames through the StepEncoder, with the prompts of the actions just taken."""

    def __init__(self, encoder: StepEncoder, prompts: Prompts, storage: str) -> None:
        self._encoder = encoder
        self._prompts = prompts
        self._storage = storage
        self._regions: Regions | None = None

    @classmethod
    def open(cls, inputs: ObserverInputs) -> Self:
        """Build the live observer; raises PipelineError if the encoder or the prompts are not given
        or not whole.
        """
        if inputs.encoder is None or inputs.prompts is None:
            raise PipelineError("this method observes embeddings; give --encoder and --prompts")
        prompts, config, device = Prompts.read(inputs.prompts), inputs.features, inputs.device
        encoder = StepEncoder(
            detectors.make(config.detector, device, inputs.weights),
            encoders.load(config.encoder, inputs.encoder, device),
            prompts.sentences,
            config.precision,
        )
        return cls(encoder, prompts, config.storage)

    def observe(self, live: LiveStep) -> Observation:
        """O_t of the live step's frames and previous actions; tensors (B, 1, …)."""
        self._regions = self._encoder.detect(live.frames)
        embeddings = self._encoder.encode_sentences(
            self._regions, self._prompts.say(live.previous_actions)
        )
        if self._storage == "pooled":
            mask = torch.ones(len(live.episodes), 1, 2, dtype=torch.bool)
            return {"tokens": embeddings.pooled[:, None], "mask": mask}
        return {"tokens": embeddings.tokens[:, None], "mask": embeddings.mask[:, None]}

    def boxes(self, row: int) -> NDArray[np.float32]:
        """Boxes (n, 4) in [0, 1] of the real regions of frame `row` of the last call."""
        assert self._regions is not None
        boxes = self._regions.boxes[row][self._regions.mask[row]]
        return np.asarray(boxes.cpu())

    def sentence(self, action: Action) -> str:
        """The prompt of `action`, for captions."""
        return self._prompts.say(np.asarray(action)[None])[0]


def open_store(
    path: Path, trajectories: Trajectories | None = None, memory_mb: int = MEMORY_MB
) -> EmbeddingStore:
    """Open the feature cache, which knows each step's pair without the trajectories."""
    return EmbeddingStore(path, memory_mb)


def open_observer(inputs: ObserverInputs) -> EmbeddingObserver:
    """See `EmbeddingObserver.open`."""
    return EmbeddingObserver.open(inputs)
