"""The pieces of one observation as tokens: squares of stacked frames or what convolutions see of
them, or the numbers of a state vector, each standardised by the data and with a learned embedding
of its place.
"""

import torch
from torch import Tensor, nn

from pipeline.nn.per_task import TaskEmbedding
from pipeline.nn.state_encoders import (
    StandardisedFrames,
    StandardisedStates,
    dqn_convolutions,
    he_initialised,
)


class PlacedFrames(StandardisedFrames):
    """Frames as tokens that know their place in the picture: (batch, steps, 4, 84, 84) uint8 →
    (batch, steps, count, width).

    Of several games each has places of its own. What showed the game is mostly its mean frame,
    which has been taken away.
    """

    def __init__(self, shape: tuple[int, ...], count: int, width: int, tasks: int) -> None:
        super().__init__(shape[1:], tasks)
        self.count = count
        self.place = nn.Parameter(torch.zeros(count, width))
        self.game = TaskEmbedding(tasks, count * width) if tasks else None
        if self.game is not None:
            nn.init.normal_(self.game.weight, std=0.02)

    def placed(self, tokens: Tensor, frames: Tensor, task: Tensor | None) -> Tensor:
        """Tokens (batch · steps, count, width) of `frames`, in their places."""
        told = (tokens.float() + self.place).view(*frames.shape[:2], *tokens.shape[1:])
        if self.game is None or task is None:
            return told
        of_game: Tensor = self.game(task).view(-1, 1, *self.place.shape)
        return told + of_game


class FrameTokens(PlacedFrames):
    """Squares that do not overlap, through one linear map."""

    def __init__(self, shape: tuple[int, ...], patch_size: int, width: int, tasks: int = 0) -> None:
        stack, height, across = shape
        count = (height // patch_size) * (across // patch_size)
        super().__init__(shape, count, width, tasks)
        self.embed = nn.Conv2d(stack, width, patch_size, stride=patch_size)
        nn.init.normal_(self.embed.weight, std=0.02)

    def forward(self, frames: Tensor, task: Tensor | None = None) -> Tensor:
        """Cut and embed; see the class. With several tasks, `task` (batch,) says each row's."""
        weight, stride = self.embed.weight / self.divisor, self.embed.stride
        levels = self.levels(frames, task)
        # (batch · steps, width, rows, columns)
        squares = nn.functional.conv2d(levels, weight, self.embed.bias, stride)
        return self.placed(squares.flatten(2).transpose(1, 2), frames, task)


class ConvolvedTokens(PlacedFrames):
    """What DQN's convolutions see: the whole of it as one token, by DQN's linear layer; or 4 by 4
    places, for the last convolution goes in steps of two, each through a linear map of its own, so
    that the mean of all tokens is as good as such a layer.
    """

    def __init__(
        self, shape: tuple[int, ...], width: int, tasks: int = 0, whole: bool = False
    ) -> None:
        first, rest = dqn_convolutions(shape[0], last_stride=1 if whole else 2)
        he_initialised(first, *rest)
        with torch.no_grad():
            _, channels, *places = rest(first(torch.zeros(1, *shape))).shape
        seen = channels * places[0] * places[1]
        super().__init__(shape, 1 if whole else places[0] * places[1], width, tasks)
        self.first, self.rest = first, rest
        inputs = seen // self.count
        self.maps = nn.Parameter(torch.randn(self.count, inputs, width) * inputs**-0.5)

    def forward(self, frames: Tensor, task: Tensor | None = None) -> Tensor:
        """Convolve and embed; see the class."""
        levels = self.levels(frames, task).contiguous(memory_format=torch.channels_last)
        weight, stride = self.first.weight / self.divisor, self.first.stride
        seen = self.rest(nn.functional.conv2d(levels, weight, self.first.bias, stride))
        read = seen.flatten(2).transpose(1, 2).reshape(len(seen), self.count, -1)
        return self.placed(torch.einsum("bpi,piw->bpw", read, self.maps), frames, task)


class StateTokens(StandardisedStates):
    """One token per number: (batch, steps, D) float32 → (batch, steps, D, width)."""

    def __init__(self, shape: tuple[int, ...], width: int) -> None:
        super().__init__(shape)
        (self.count,) = shape
        self.embed = nn.Linear(1, width)
        self.place = nn.Parameter(torch.zeros(self.count, width))
        nn.init.normal_(self.place, std=0.02)

    def forward(self, states: Tensor) -> Tensor:
        """Embed; see the class."""
        embedded: Tensor = self.embed(self.standardised(states)[..., None])
        return embedded.float() + self.place
