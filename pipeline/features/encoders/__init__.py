"""Vision-and-language encoders: regions + sentence → O_t. One file per encoder, with `create`,
`pretrain` and `load`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.config import plugins
from pipeline.config.schema import EncoderConfig
from pipeline.errors import PipelineError
from pipeline.io.artefact import Artefact
from pipeline.vision.detectors import Regions

FramePrompts = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Frame and prompt of each distinct pair of a data set, (P,) each."""


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


def create(
    config: EncoderConfig,
    feature_size: int,
    sentences: list[str],
    folder: Path,
    published: Path | None = None,
) -> None:
    """Write an encoder with initial weights for regions of `feature_size` into `folder`.

    The weights are drawn, or those in the folder `published`. Raises PipelineError for an unknown
    encoder, and for published files that are missing, damaged or of another size.
    """
    if (published is None) != (config.published is None):
        given = "no --published is given" if published is None else f"{published} is given"
        raise PipelineError(
            f"encoder: published is {config.published}, but {given}; make them agree"
        )
    create = plugins.load("features.encoders", config.name).create
    create(config, feature_size, sentences, folder, published)


def pretrain(
    config: EncoderConfig,
    folder: Path,
    regions: Artefact,
    sentences: list[str],
    pairs: FramePrompts,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """Train the encoder in `folder` in place on a data set's pairs; returns the curve.

    Raises PipelineError where a loss is not finite.
    """
    curve: pd.DataFrame = plugins.load("features.encoders", config.name).pretrain(
        config, folder, regions, sentences, pairs, torch.device(device)
    )
    return curve


def load(config: EncoderConfig, folder: Path, device: torch.device | str = "cpu") -> Encoder:
    """Load the encoder that `config.name` names from `folder`.

    Raises PipelineError naming the file that is missing or damaged, or the setting that differs.
    """
    encoder: Encoder = plugins.load("features.encoders", config.name).load(
        config, folder, torch.device(device)
    )
    return encoder
