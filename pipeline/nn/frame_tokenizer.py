"""Frames as few tokens: convolutions read the newest frame of a stack as 6 by 6 vectors, each of
which becomes the nearest of K codes, and from the codes the frame is drawn again (VQ-VAE, van den
Oord et al. 2017, arXiv 1711.00937).

What counts in a game covers a few pixels, such as a ball, and the mean error of all pixels is as
small without it. So two means more are taken: over the foreground, which differs from the game's
mean frame, and over what has moved since the frame before.
"""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from pipeline.nn.codebook import Codebook
from pipeline.nn.masking import masked_mean
from pipeline.nn.state_encoders import StandardisedFrames

SIDE = 6
"""Tokens of a row, and rows."""
COARSE, FINE = 2, 7
"""What a token's square is divided into on its side, and that again into pixels."""
DIFFERENT = 12.0
"""Of 255: pixels that differ more are foreground, or have moved. Where something is often, the mean
frame has a shadow of it, which should not count.
"""


class TokenizerShape(Protocol):
    """What settings say of it."""

    @property
    def codebook(self) -> int:
        """K."""

    @property
    def code_width(self) -> int:
        """Of a code."""

    @property
    def code_decay(self) -> float:
        """Of the average that codes follow."""

    @property
    def tokenizer_channels(self) -> int:
        """Of its convolutions."""


class Drawing(NamedTuple):
    """Frames (B, K, 84, 84), and how they are drawn from their tokens."""

    error: Tensor
    """The distance of each pixel, in deviations."""
    shown: Tensor
    """The same where the mean frame is drawn."""
    foreground: Tensor
    """bool: it differs from the mean frame."""
    moved: Tensor
    """bool: it differs from the frame before."""
    vectors: Tensor
    """(B, K, 36, d), before they became codes."""
    distance: Tensor
    """(B, K, 36): mean square between vectors and codes."""

    def mean(self, real: Tensor) -> Tensor:
        """Of all pixels of `real` frames (B, K)."""
        return masked_mean(self.error.mean(dim=(2, 3)), real)

    def missed(self, which: Tensor, real: Tensor) -> Tensor:
        """The share of pixels `which`, foreground or moved, that is not drawn: 0 if all of it is,
        1 where the mean frame is drawn in its place.
        """
        counts = which & real[..., None, None]
        return masked_mean(self.error, counts) / masked_mean(self.shown, counts).clamp(min=1e-6)


class FrameTokenizer(StandardisedFrames):
    """84 by 84 pixels as 36 tokens, row by row. Always in float32: rounded vectors would be other
    tokens in training than in play.
    """

    def __init__(self, shape: TokenizerShape, frames: tuple[int, ...], tasks: int) -> None:
        """`frames` is the shape of a stack, (4, 84, 84)."""
        super().__init__(frames[1:], tasks)
        channels, wide, code = (
            shape.tokenizer_channels,
            2 * shape.tokenizer_channels,
            shape.code_width,
        )
        self.codebook = Codebook(shape.codebook, code, shape.code_decay)
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(FINE),  # (…, 49, 12, 12)
            nn.Conv2d(FINE**2, channels, 1),
            nn.GELU(),
            nn.Conv2d(channels, wide, 3, stride=COARSE, padding=1),  # (…, 6, 6)
            nn.GELU(),
            nn.Conv2d(wide, wide, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(wide, code, 1),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(code, wide, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(wide, wide, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(wide, wide * COARSE**2, 1),
            nn.PixelShuffle(COARSE),  # (…, 12, 12)
            nn.GELU(),
            nn.Conv2d(wide, FINE**2, 1),
            nn.PixelShuffle(FINE),  # (…, 84, 84)
        )

    @property
    def count(self) -> int:
        """Tokens of a frame."""
        return SIDE**2

    def forward(self, frames: Tensor, task: Tensor) -> Tensor:
        """The tokens (B, K, 36) int64 of stacks (B, K, 4, 84, 84) of the games `task` (B,)."""
        with torch.autocast(frames.device.type, enabled=False), torch.no_grad():
            return self.codebook.nearest(self._vectors(self._levels(frames[:, :, -1:], task)))

    def drawing(self, frames: Tensor, task: Tensor) -> Drawing:
        """How well the same are drawn."""
        with torch.autocast(frames.device.type, enabled=False):
            pixels = self._levels(frames[:, :, -1:], task)
            vectors = self._vectors(pixels)
            found = self.codebook(vectors)
            error = (self._drawn(found.codes) - pixels).abs()
            newest, before = frames[:, :, -1].float(), frames[:, :, -2].float()
            foreground = (newest - self.mean[task][:, None]).abs() > DIFFERENT
            moved = (newest - before).abs() > DIFFERENT
        return Drawing(error, pixels.abs(), foreground, moved, vectors, found.distance)

    def _levels(self, frames: Tensor, task: Tensor) -> Tensor:
        """(B, K, 1, 84, 84) uint8 → (B, K, 84, 84) float32: less the game's mean frame, in its
        deviations.
        """
        levels = self.levels(frames, task)
        return levels.view(*frames.shape[:2], *levels.shape[-2:])

    def _vectors(self, pixels: Tensor) -> Tensor:
        """(B, K, 84, 84) → (B, K, 36, d)."""
        read: Tensor = self.encoder(pixels.flatten(0, 1)[:, None])
        return read.flatten(2).transpose(1, 2).reshape(*pixels.shape[:2], self.count, -1)

    def _drawn(self, codes: Tensor) -> Tensor:
        """(B, K, 36, d) → (B, K, 84, 84)."""
        squares = codes.flatten(0, 1).transpose(1, 2)  # (B · K, d, 36)
        drawn: Tensor = self.decoder(squares.reshape(*squares.shape[:2], SIDE, SIDE))
        return drawn.view(*codes.shape[:2], *drawn.shape[-2:])
