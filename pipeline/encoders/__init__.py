"""Vision-and-language encoders: regions + sentence → O_t. One file per encoder, with `load`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from pipeline import plugins
from pipeline.config import EncoderConfig
from pipeline.detectors import Regions


@dataclass(frozen=True)
class PromptStates:
    """What the language layers make of P prompts: computed once, shared by every frame."""

    hidden: Tensor
    """(P, L, d) float32."""
    mask: Tensor
    """(P, L) bool: True where the word piece is real."""


class Encoder(Protocol):
    """A frozen two-stream encoder: one part per prompt, one per frame, one per pair of both."""

    width: int
    """d, the size of one token of O_t."""
    text_tokens: int
    """The longest prompt it takes, in word pieces."""
    feature_size: int
    """F, the length of the region features it was made for."""

    def encode_prompts(self, sentences: list[str]) -> PromptStates:
        """Run the language layers on P sentences; PipelineError for one it cannot read."""
        ...

    def encode_frames(self, regions: Regions) -> Tensor:
        """Run the object-relationship layers on the regions of B frames: (B, N, d) float32."""
        ...

    def encode_pairs(
        self, prompts: PromptStates, prompt: Tensor, frames: Tensor, regions_mask: Tensor
    ) -> Tensor:
        """Run the cross-modality layers on B pairs: (B, L + N, d) float32, text tokens first.

        Args:
            prompts: states of all prompts.
            prompt: (B,) int64, the prompt of each pair.
            frames: (B, N, d), the frame's states of each pair.
            regions_mask: (B, N) bool.
        """
        ...


def load(config: EncoderConfig, folder: Path, device: torch.device | str = "cpu") -> Encoder:
    """Load the encoder that `config.name` names from `folder`.

    Raises PipelineError naming the file that is missing or damaged, or the setting that differs.
    """
    encoder: Encoder = plugins.load("encoders", config.name).load(
        config, folder, torch.device(device)
    )
    return encoder
