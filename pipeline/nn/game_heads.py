"""Distributions of values of several games: one encoder for all, and a head for each."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.nn.categorical_values import Support
from pipeline.nn.value_heads import StepFeatures


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
        self.features = StepFeatures(shape, told[0], width, per_task=told)
        self.outputs = nn.ModuleList(nn.Linear(width, actions * support.count) for _ in told)
        for output in self.outputs:
            assert isinstance(output, nn.Linear)
            support.begin_at_zero(output.bias)

    def forward(self, observation: Mapping[str, Tensor], task: Tensor) -> Tensor:
        """The logits; see the class."""
        features = self.features(observation, task)
        features = functional.normalize(features.float(), dim=-1)
        logits = torch.zeros(*features.shape[:2], *self.shape, device=features.device)
        for game, output in enumerate(self.outputs):
            rows = (task == game).nonzero()[:, 0]
            if len(rows):
                logits[rows] = output(features[rows]).float().unflatten(-1, self.shape)
        return logits
