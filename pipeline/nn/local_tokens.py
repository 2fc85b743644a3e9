"""The pieces of one observation as tokens: squares of stacked frames, or the numbers of a state
vector, each standardised by the data and with a learned embedding of its place.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.errors import PipelineError
from pipeline.nn.transformer import compute_dtype


class FrameTokens(nn.Module):
    """Squares that do not overlap: (batch, steps, 4, 84, 84) uint8 → (batch, steps, squares,
    width).
    """

    mean: Tensor
    std: Tensor

    def __init__(self, shape: tuple[int, ...], patch_size: int, width: int) -> None:
        """Raises PipelineError where squares of that size do not fill the frame."""
        super().__init__()
        stack, height, across = shape
        if height % patch_size or across % patch_size:
            raise PipelineError(
                f"policy.patch_size: {patch_size} does not divide {height} by {across} pixels"
            )
        self.count = (height // patch_size) * (across // patch_size)
        self.embed = nn.Conv2d(stack, width, patch_size, stride=patch_size)
        nn.init.normal_(self.embed.weight, std=0.02)
        self.place = nn.Parameter(torch.zeros(self.count, width))
        self.register_buffer("mean", torch.zeros(height, across))
        self.register_buffer("std", torch.full((), 255.0))

    def fit(self, attributes: Mapping[str, Any]) -> None:
        """Take `pixel_mean` (height, width) and `pixel_std` from a store's attributes."""
        if (mean := attributes.get("pixel_mean")) is not None:
            self.mean.copy_(torch.as_tensor(mean))
            self.std.fill_(attributes["pixel_std"])

    def forward(self, frames: Tensor) -> Tensor:
        """Cut and embed; see the class."""
        dtype = compute_dtype(frames.device)
        levels = frames.flatten(0, 1).to(dtype)  # (batch · steps, 4, height, width), exact
        levels -= self.mean.to(dtype)
        squares = nn.functional.conv2d(
            levels, self.embed.weight / self.std, self.embed.bias, self.embed.stride
        )  # (batch · steps, width, rows, columns)
        tokens = squares.flatten(2).transpose(1, 2).float() + self.place
        return tokens.view(*frames.shape[:2], *tokens.shape[1:])


class StateTokens(nn.Module):
    """One token per number: (batch, steps, D) float32 → (batch, steps, D, width)."""

    mean: Tensor
    std: Tensor

    def __init__(self, shape: tuple[int, ...], width: int) -> None:
        super().__init__()
        (self.count,) = shape
        self.embed = nn.Linear(1, width)
        self.place = nn.Parameter(torch.zeros(self.count, width))
        nn.init.normal_(self.place, std=0.02)
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("std", torch.ones(shape))

    def fit(self, attributes: Mapping[str, Any]) -> None:
        """Take `state_mean` and `state_std` (D,) from a store's attributes."""
        if (mean := attributes.get("state_mean")) is not None:
            self.mean.copy_(torch.as_tensor(mean))
            self.std.copy_(torch.as_tensor(attributes["state_std"]))

    def forward(self, states: Tensor) -> Tensor:
        """Embed; see the class."""
        embedded: Tensor = self.embed(((states - self.mean) / self.std)[..., None])
        return embedded.float() + self.place
