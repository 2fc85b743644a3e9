"""s_t on its way into a sequence model: stacked frames through convolutions, or a state vector
through one linear layer, both standardised by the data.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.nn.transformer import compute_dtype


class StandardisedFrames(nn.Module):
    """Pixels less the data's mean frame, to be divided by its deviation: what moves covers a few
    pixels, and beside the still picture it is hardly seen.
    """

    of_data: ClassVar[tuple[str, ...]] = ("mean", "std")

    mean: Tensor
    std: Tensor

    def __init__(self, size: tuple[int, ...], tasks: int = 0) -> None:
        """`size` is that of a frame, (height, width); each of several `tasks` has its own mean and
        deviation.
        """
        super().__init__()
        each = (tasks,) if tasks else ()
        self.register_buffer("mean", torch.zeros(*each, *size))
        self.register_buffer("std", torch.full(each, 255.0))

    def fit(
        self, attributes: Mapping[str, Any], per_task: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        """Take `pixel_mean` (height, width) and `pixel_std` from a store's attributes; with several
        tasks from each one's.
        """
        several = self.std.dim() > 0
        for place, own in enumerate(per_task) if several else [(..., attributes)]:
            if (mean := own.get("pixel_mean")) is not None:
                self.mean[place].copy_(torch.as_tensor(mean))
                self.std[place] = own["pixel_std"]

    def levels(self, frames: Tensor, task: Tensor | None = None) -> Tensor:
        """(batch, steps, 4, height, width) uint8 → (batch · steps, 4, height, width), less the
        mean. 0 … 255 is exact in bfloat16, and the division is done on the weights of what reads
        them: no pass over the frames in float32. With several tasks, of which `task` (batch,) says
        each row's, nothing is left to divide by: see `divisor`.
        """
        dtype = compute_dtype(frames.device)
        levels = frames.flatten(0, 1).to(dtype)
        if task is None:
            levels -= self.mean.to(dtype)
        else:
            of_row = levels.view(len(task), -1, *levels.shape[-2:])  # (batch, steps · 4, …)
            of_row -= self.mean.to(dtype)[task][:, None]
            of_row /= self.std.to(dtype)[task][:, None, None, None]
        return levels

    @property
    def divisor(self) -> Tensor:
        """(): what `levels` are still to be divided by."""
        return torch.ones_like(self.std[0]) if self.std.dim() else self.std


class StandardisedStates(nn.Module):
    """State vectors less the data's mean, divided by its deviation."""

    of_data: ClassVar[tuple[str, ...]] = ("mean", "std")

    mean: Tensor
    std: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("std", torch.ones(shape))

    def fit(self, attributes: Mapping[str, Any]) -> None:
        """Take `state_mean` and `state_std` (D,) from a store's attributes."""
        if (mean := attributes.get("state_mean")) is not None:
            self.mean.copy_(torch.as_tensor(mean))
            self.std.copy_(torch.as_tensor(attributes["state_std"]))

    def standardised(self, states: Tensor) -> Tensor:
        """(batch, steps, D)."""
        return (states - self.mean) / self.std


def dqn_convolutions(stack: int, last_stride: int = 1) -> tuple[nn.Conv2d, nn.Sequential]:
    """The first convolution, of `stack` frames, and what follows it (Mnih et al. 2015)."""
    first = nn.Conv2d(stack, 32, 8, stride=4)
    rest = nn.Sequential(
        nn.ReLU(inplace=True),
        nn.Conv2d(32, 64, 4, stride=2),
        nn.ReLU(inplace=True),
        nn.Conv2d(64, 64, 3, stride=last_stride),
        nn.ReLU(inplace=True),
    )
    return first, rest


def he_initialised(*layers: nn.Module) -> None:
    """Draw the weights of the convolutions among them for ReLU (He et al. 2015)."""
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]


class FrameEncoder(StandardisedFrames):
    """DQN's convolutions (Mnih et al. 2015) and one linear layer: (batch, steps, 4, 84, 84) uint8 →
    (batch, steps, width), in [-1, 1] by a tanh, or as `activation` has it.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        width: int,
        tasks: int = 0,
        activation: type[nn.Module] = nn.Tanh,
    ) -> None:
        super().__init__(shape[1:], tasks)
        self.activation = activation()
        self.first, rest = dqn_convolutions(shape[0])
        self.convolutions = nn.Sequential(*rest, nn.Flatten())
        with torch.no_grad():
            size = self.convolutions(self.first(torch.zeros(1, *shape))).shape[1]
        self.output = nn.Linear(size, width)
        he_initialised(self.first, *rest)
        nn.init.normal_(self.output.weight, std=size**-0.5)

    def forward(self, frames: Tensor, task: Tensor | None = None) -> Tensor:
        """Encode; with several tasks `task` (batch,) says of which each row is."""
        batch, steps = frames.shape[:2]
        levels = self.levels(frames, task).contiguous(
            memory_format=torch.channels_last
        )  # faster convolutions on a CPU
        x = functional.conv2d(levels, self.first.weight / self.divisor, self.first.bias, stride=4)
        encoded: Tensor = self.activation(self.output(self.convolutions(x)).float())
        return encoded.view(batch, steps, -1)


class StateEncoder(StandardisedStates):
    """One linear layer on standardised state vectors: (batch, steps, D) float32 → (batch, steps,
    width).
    """

    def __init__(self, shape: tuple[int, ...], width: int) -> None:
        super().__init__(shape)
        self.output = nn.Linear(shape[0], width)

    def forward(self, states: Tensor) -> Tensor:
        """Encode; see the class."""
        encoded: Tensor = self.output(self.standardised(states))
        return encoded.float()
