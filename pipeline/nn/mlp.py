"""Multi-layer perceptrons, one or several at once, and how state vectors are standardised."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

SPREAD = 1e-3
"""Added to a state's deviations, some of which are nearly zero."""


class Standardise(nn.Module):
    """States (…, D) less the data's mean, divided by its deviation + SPREAD."""

    mean: Tensor
    std: Tensor

    def __init__(self, size: int, statistics: Mapping[str, Any]) -> None:
        """`statistics` has `state_mean` and `state_std` (D,) in training; in play they come from
        the checkpoint.
        """
        super().__init__()
        mean = statistics.get("state_mean", torch.zeros(size))
        std = statistics.get("state_std", torch.ones(size))
        # a copy: where two networks held the data's own array, no checkpoint could be written
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float32).clone())
        self.register_buffer("std", torch.as_tensor(std, dtype=torch.float32) + SPREAD)

    def forward(self, states: Tensor) -> Tensor:
        """Standardise; see the class."""
        return (states - self.mean) / self.std

    def restored(self, standardised: Tensor) -> Tensor:
        """The way back."""
        return self.mean + self.std * standardised


def mlp(sizes: Sequence[int]) -> nn.Sequential:
    """Linear layers from `sizes[0]` inputs to `sizes[-1]` outputs, with ReLU between them."""
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class BatchedMLP(nn.Module):
    """E perceptrons of equal sizes, each layer of which is one batched product: that costs a small
    network little more than one of them.
    """

    def __init__(self, count: int, sizes: Sequence[int], layer_norm: bool = False) -> None:
        """Drawn as `nn.Linear` is; with `layer_norm`, hidden layers are normalised, without gain,
        before their ReLU.
        """
        super().__init__()
        self.count, self.layer_norm = count, layer_norm
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for before, after in pairwise(sizes):
            bound = before**-0.5
            weight = torch.empty(count, before, after).uniform_(-bound, bound)
            # flat: an optimiser knows a vector, which it does not decay, by its single dimension
            bias = torch.empty(count * after).uniform_(-bound, bound)
            self.weights.append(nn.Parameter(weight))
            self.biases.append(nn.Parameter(bias))

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs) that all of them see, or (E, B, inputs), each its own → (E, B, outputs)."""
        x = x.expand(self.count, *x.shape[-2:])
        last = len(self.weights) - 1
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias.view(self.count, 1, -1), x, weight)
            if layer < last:
                x = functional.layer_norm(x, x.shape[-1:]) if self.layer_norm else x
                x = x.relu()
        return x
