"""Convolutions over the steps of a trajectory (Diffuser; Janner et al. 2022, arXiv 2205.09991): a
U-Net that reads the trajectory out of its noise, and its first half, that reads one number.

What enters: trajectories (B, H, J) and how noisy they are, a level. After `diffuser/models/
temporal.py`; SiLU stands for Mish, which has nearly its shape and costs a processor five times as
much. As there, what the first resolution holds reaches the output through the others only.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.nn.time_embedding import TimeEmbedding

KERNEL = 5
GROUPS = 8
"""Of channels, that are normalised together with all steps."""


class StepConvolution(nn.Linear):
    """A convolution over steps, padded with zeros, as one product of each step and its neighbours:
    for trajectories as short as plans that takes half the time of `nn.Conv1d`.
    """

    def __init__(self, before: int, after: int, kernel: int, stride: int = 1) -> None:
        super().__init__(kernel * before, after)
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, before) → (B, ⌈H / stride⌉, after)."""
        steps, side = x.shape[1], self.kernel // 2
        x = functional.pad(x, (0, 0, side, side))
        beside = [x[:, i : i + steps : self.stride] for i in range(self.kernel)]
        return super().forward(torch.cat(beside, dim=-1))


class ConvBlock(nn.Module):
    """A convolution, normalised: (B, H, before) → (B, H, after)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.convolution = StepConvolution(before, after, KERNEL)
        self.norm = nn.GroupNorm(GROUPS, after)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve; see the class."""
        normal: Tensor = self.norm(self.convolution(x).transpose(1, 2))
        return functional.silu(normal.transpose(1, 2))


class ResidualBlock(nn.Module):
    """Two convolutions, between which the level is told."""

    def __init__(self, before: int, after: int, told: int) -> None:
        super().__init__()
        self.first, self.second = ConvBlock(before, after), ConvBlock(after, after)
        self.level = nn.Linear(told, after)
        self.skip = nn.Identity() if before == after else nn.Linear(before, after)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        """(B, H, before) and the embedded level, (B or 1, told) → (B, H, after)."""
        h = self.second(self.first(x) + self.level(level)[:, None])
        out: Tensor = h + self.skip(x)
        return out


class LevelEmbedding(nn.Module):
    """A level as a vector: sines and cosines, and a perceptron: (…) int64 → (…, width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.waves = TimeEmbedding("sinusoidal", width, 1)
        wide, narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.mlp = nn.Sequential(wide, nn.SiLU(), narrow, nn.SiLU())

    def forward(self, level: Tensor) -> Tensor:
        """Embed; see the class."""
        embedded: Tensor = self.mlp(self.waves(level))
        return embedded


class Resolution(nn.Module):
    """Residual blocks at one resolution, the first of which changes the channels."""

    def __init__(self, before: int, after: int, told: int, count: int) -> None:
        super().__init__()
        pairs = pairwise((before, *[after] * count))
        self.blocks = nn.ModuleList(ResidualBlock(*pair, told) for pair in pairs)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        """(B, H, before) and the embedded level → (B, H, after)."""
        for block in self.blocks:
            x = block(x, level)
        return x


def halved(channels: int) -> StepConvolution:
    """Every second step: (B, H, channels) → (B, ⌈H / 2⌉, channels)."""
    return StepConvolution(channels, channels, 3, stride=2)


class Doubled(nn.Module):
    """Two steps of each: (B, H, channels) → (B, 2 H, channels)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution = StepConvolution(channels, 2 * channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Double; see the class."""
        batch, steps, channels = x.shape
        doubled: Tensor = self.convolution(x)
        return doubled.view(batch, 2 * steps, channels)


class TemporalUNet(nn.Module):
    """Trajectories without their noise."""

    def __init__(self, size: int, channels: Sequence[int], blocks: int) -> None:
        """`size` J; `channels` of each resolution, multiples of GROUPS, with so many `blocks`; all
        but the last halve the steps.
        """
        super().__init__()
        first, deepest = channels[0], channels[-1]
        self.level = LevelEmbedding(first)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for pair in pairwise((size, *channels)):
            self.down.append(Resolution(*pair, first, blocks))
        self.middle = Resolution(deepest, deepest, first, blocks)
        for after, before in reversed(list(pairwise(channels))):
            self.up.append(Resolution(2 * before, after, first, blocks))
        self.smaller = nn.ModuleList(halved(each) for each in channels[:-1])
        self.larger = nn.ModuleList(Doubled(each) for each in reversed(channels[:-1]))
        self.output = nn.Sequential(ConvBlock(first, first), nn.Linear(first, size))

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        """(B, H, J) and levels, (B,) or (1,) int64 → (B, H, J)."""
        told, kept = self.level(level), []
        for resolution, smaller in zip(self.down, (*self.smaller, nn.Identity()), strict=True):
            x = resolution(x, told)
            kept.append(x)
            x = smaller(x)
        x = self.middle(x, told)
        for resolution, larger in zip(self.up, self.larger, strict=True):
            x = larger(resolution(torch.cat((x, kept.pop()), dim=-1), told))
            x = x[:, : kept[-1].shape[1]]  # an odd number of steps had been rounded up
        out: Tensor = self.output(x)
        return out.float()


class TemporalReader(nn.Module):
    """A number of each trajectory, such as what it will pay."""

    def __init__(self, size: int, steps: int, channels: Sequence[int], blocks: int) -> None:
        """`size` J and `steps` H; every resolution halves the steps."""
        super().__init__()
        first = channels[0]
        self.level = LevelEmbedding(first)
        pairs = pairwise((size, *channels))
        self.down = nn.ModuleList(Resolution(*pair, first, blocks) for pair in pairs)
        self.smaller = nn.ModuleList(halved(each) for each in channels)
        for _ in channels:
            steps = -(-steps // 2)
        read = channels[-1] * steps
        self.output = nn.Sequential(
            nn.Linear(read + first, read // 2), nn.SiLU(), nn.Linear(read // 2, 1)
        )

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        """(B, H, J) and levels, (B,) or (1,) int64 → (B,)."""
        told = self.level(level)
        for resolution, smaller in zip(self.down, self.smaller, strict=True):
            x = smaller(resolution(x, told))
        read: Tensor = self.output(torch.cat((x.flatten(1), told.expand(len(x), -1)), dim=-1))
        return read[:, 0].float()
