"""Distributions of values of several games: one encoder for all, and a head for each."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.nn.categorical_values import Support
from pipeline.nn.transformer import compute_dtype
from pipeline.nn.value_heads import StepFeatures

LEVELS = 255.0
"""What an encoder that knows nothing of the data divides pixels by."""


class GameFrames(nn.Module):
    """Frames less the mean frame of their game, divided by its deviation: as levels for an encoder
    that is not told of either.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, games: int, size: tuple[int, ...]) -> None:
        """`size` is that of a frame, (height, width)."""
        super().__init__()
        self.register_buffer("mean", torch.zeros(games, *size))
        self.register_buffer("std", torch.full((games,), LEVELS))

    def fit(self, told: Sequence[Mapping[str, Any]]) -> None:
        """Take `pixel_mean` (height, width) and `pixel_std` of each game, where there are any."""
        for game, attributes in enumerate(told):
            if (mean := attributes.get("pixel_mean")) is not None:
                self.mean[game] = torch.as_tensor(mean)
                self.std[game] = float(attributes["pixel_std"])

    def forward(self, frames: Tensor, task: Tensor) -> Tensor:
        """(B, S, 4, height, width) uint8 of games (B,) → the same shape, compute's type."""
        dtype = compute_dtype(frames.device)
        centred = frames.to(dtype) - self.mean[task][:, None, None].to(dtype)
        return centred * (LEVELS / self.std[task]).view(-1, 1, 1, 1, 1).to(dtype)


class GameHeads(nn.Module):
    """Features of length 1 that all games share, and a linear layer of each game: an observation
    (B, S, …) of games (B,) → logits (B, S, actions, N) float32.
    """

    def __init__(
        self,
        shape: Mapping[str, tuple[int, ...]],
        told: Sequence[Mapping[str, Any]],
        width: int,
        actions: int,
        support: Support,
    ) -> None:
        """`shape` is that of an observation; `told` are the statistics of each game."""
        super().__init__()
        self.shape = actions, support.count
        several = len(told) > 1 and "frames" in shape
        self.frames = GameFrames(len(told), shape["frames"][1:]) if several else None
        if self.frames is not None:
            self.frames.fit(told)
        self.features = StepFeatures(shape, {} if several else told[0], width)
        self.outputs = nn.ModuleList(nn.Linear(width, actions * support.count) for _ in told)
        for output in self.outputs:
            assert isinstance(output, nn.Linear)
            support.begin_at_zero(output.bias)

    def forward(self, observation: Mapping[str, Tensor], task: Tensor) -> Tensor:
        """The logits; see the class."""
        if self.frames is not None:
            observation = {"frames": self.frames(observation["frames"], task)}
        features = functional.normalize(self.features(observation).float(), dim=-1)
        logits = torch.zeros(*features.shape[:2], *self.shape, device=features.device)
        for game, output in enumerate(self.outputs):
            rows = (task == game).nonzero()[:, 0]
            if len(rows):
                logits[rows] = output(features[rows]).float().unflatten(-1, self.shape)
        return logits
