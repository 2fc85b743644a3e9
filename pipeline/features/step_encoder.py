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

from pipeline.config.schema import Precision
from pipeline.errors import PipelineError
from pipeline.features.encoders import Encoder, PromptStates
from pipeline.hardware.devices import mixed_precision
from pipeline.vision.detectors import Detector, Regions


@dataclass(frozen=True)
class Embeddings:
    """O_t of B (frame, prompt) pairs."""

    tokens: Tensor
    """(B, L + N, d) float16: E(A) then E(S); zero where masked."""
    mask: Tensor
    """(B, L + N) bool: True where the token is real."""
    pooled: Tensor
    """(B, 2, d) float16: mean over the real tokens of E(A), and of E(S)."""


REMEMBERED = 4096
"""New sentences, met while acting, whose language layers' output is kept; the oldest go first."""


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
        self._place = {sentence: index for index, sentence in enumerate(sentences)}
        self._met: dict[str, PromptStates] = {}
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
        return self._encode(regions, frame, self._prompts, prompt)

    def encode_sentences(self, regions: Regions, sentences: list[str]) -> Embeddings:
        """Encode B frames' regions, each with its sentence (B,), which may be a new one."""
        states = [self._state(sentence) for sentence in sentences]
        together = PromptStates(
            torch.cat([state.hidden for state in states]),
            torch.cat([state.mask for state in states]),
        )
        each = torch.arange(len(sentences))
        return self._encode(regions, each, together, each)

    def _state(self, sentence: str) -> PromptStates:
        """What the language layers make of one sentence, (1, L, …), as long as the others are."""
        place = self._place.get(sentence)
        if place is not None:
            row = slice(place, place + 1)
            return PromptStates(self._prompts.hidden[row], self._prompts.mask[row])
        if sentence not in self._met:
            with mixed_precision(self._precision):
                new = self._encoder.encode_prompts([sentence])
            missing = self.text_tokens - new.mask.shape[1]
            if missing < 0:
                raise PipelineError(
                    f"prompt {sentence!r} is longer than all that were cached; "
                    "run write_prompts again"
                )
            if len(self._met) >= REMEMBERED:
                del self._met[next(iter(self._met))]
            self._met[sentence] = PromptStates(
                functional.pad(new.hidden, (0, 0, 0, missing)),
                functional.pad(new.mask, (0, missing)),
            )
        return self._met[sentence]

    def _encode(
        self, regions: Regions, frame: Tensor, prompts: PromptStates, prompt: Tensor
    ) -> Embeddings:
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
            tokens = self._encoder.encode_pairs(prompts, prompt, states[frame], mask)
        mask = torch.cat([prompts.mask[prompt], mask], dim=1)  # (B, L + real)
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
