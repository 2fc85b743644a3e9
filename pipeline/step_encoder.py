"""One encoder, two callers: the feature cache and closed-loop acting both compute O_t here.

Frames and prompts enter, `Embeddings` leave: detector, then encoder, from half-precision region
features to half-precision tokens, so that a frame encoded while acting equals its cached row.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pipeline.config import Precision
from pipeline.detectors import Detector, Regions
from pipeline.devices import mixed_precision
from pipeline.encoders import Encoder
from pipeline.errors import PipelineError


@dataclass(frozen=True)
class Embeddings:
    """O_t of B (frame, prompt) pairs."""

    tokens: Tensor
    """(B, L + N, d) float16: E(A) then E(S); zero where masked."""
    mask: Tensor
    """(B, L + N) bool: True where the token is real."""
    pooled: Tensor
    """(B, 2, d) float16: mean over the real tokens of E(A), and of E(S)."""


class StepEncoder:
    """Regions and sentences to O_t, with the language layers run once for all prompts."""

    def __init__(
        self,
        detector: Detector | None,
        encoder: Encoder,
        sentences: list[str],
        precision: Precision = "float32",
    ) -> None:
        self._detector = detector
        self._encoder = encoder
        self._precision = precision
        with mixed_precision(precision):
            self._prompts = encoder.encode_prompts(sentences)
        self.width = encoder.width
        """d."""
        self.text_tokens: int = self._prompts.mask.shape[1]
        """L: word pieces of the longest sentence."""
        self.modalities = (slice(None, self.text_tokens), slice(self.text_tokens, None))
        """Where E(A) and E(S) lie on the token axis."""

    def encode_regions(self, regions: Regions, frame: Tensor, prompt: Tensor) -> Embeddings:
        """Encode pairs of regions already detected, each frame's part once.

        Args:
            regions: of F distinct frames.
            frame: (B,) int64, the frame of each pair, in 0 … F-1.
            prompt: (B,) int64, the prompt of each pair.

        Raises:
            PipelineError: the encoder was made for region features of another size.
        """
        if regions.features.shape[-1] != self._encoder.feature_size:
            raise PipelineError(
                f"regions have {regions.features.shape[-1]} features each, the encoder takes "
                f"{self._encoder.feature_size}; run detect_regions and pretrain_encoder again"
            )
        columns = max(1, int(regions.mask.sum(1).max()))
        padding = regions.mask.shape[1] - columns
        device = self._prompts.hidden.device
        real = regions.first(columns).to(device)  # columns that are padding everywhere cost nothing
        frame, prompt = frame.to(device), prompt.to(device)
        mask = real.mask[frame]
        with mixed_precision(self._precision):
            states = self._encoder.encode_frames(real)
            tokens = self._encoder.encode_pairs(self._prompts, prompt, states[frame], mask)
        mask = torch.cat([self._prompts.mask[prompt], mask], dim=1)  # (B, L + real)
        tokens = tokens.half() * mask[..., None]  # (B, L + real, d)
        tokens = functional.pad(tokens, (0, 0, 0, padding))  # (B, L + N, d)
        mask = functional.pad(mask, (0, padding))  # (B, L + N)
        return Embeddings(tokens, mask, pool(tokens, mask, self.text_tokens))

    def detect(self, frames: NDArray[np.uint8]) -> Regions:
        """Regions of `frames` (B, H, W, 3)."""
        if self._detector is None:
            raise ValueError("this StepEncoder was built without a detector")
        return self._detector(frames)

    def __call__(self, frames: NDArray[np.uint8], prompt: Tensor) -> Embeddings:
        """Encode `frames` (B, H, W, 3), each with its prompt (B,)."""
        return self.encode_regions(self.detect(frames), torch.arange(len(frames)), prompt)


def pool(tokens: Tensor, mask: Tensor, text_tokens: int) -> Tensor:
    """Masked mean per modality, zero where none is real: (B, L + N, d) → (B, 2, d) float16."""
    means = []
    for part in (slice(None, text_tokens), slice(text_tokens, None)):
        weight = mask[:, part, None].float()
        means.append((tokens[:, part].float() * weight).sum(1) / weight.sum(1).clamp(min=1))
    return torch.stack(means, dim=1).half()  # (B, 2, d)
