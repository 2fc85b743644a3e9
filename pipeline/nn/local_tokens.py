"""The pieces of one observation as tokens: squares of stacked frames, or the numbers of a state
vector, each standardised by the data and with a learned embedding of its place.
"""

import torch
from torch import Tensor, nn

from pipeline.errors import PipelineError
from pipeline.nn.state_encoders import StandardisedFrames, StandardisedStates


class FrameTokens(StandardisedFrames):
    """Squares that do not overlap: (batch, steps, 4, 84, 84) uint8 → (batch, steps, squares,
    width).
    """

    def __init__(self, shape: tuple[int, ...], patch_size: int, width: int, tasks: int = 0) -> None:
        """Raises PipelineError where squares of that size do not fill the frame."""
        stack, height, across = shape
        super().__init__((height, across), tasks)
        if height % patch_size or across % patch_size:
            raise PipelineError(
                f"policy.patch_size: {patch_size} does not divide {height} by {across} pixels"
            )
        self.count = (height // patch_size) * (across // patch_size)
        self.embed = nn.Conv2d(stack, width, patch_size, stride=patch_size)
        nn.init.normal_(self.embed.weight, std=0.02)
        self.place = nn.Parameter(torch.zeros(self.count, width))

    def forward(self, frames: Tensor, task: Tensor | None = None) -> Tensor:
        """Cut and embed; see the class. With several tasks, `task` (batch,) says each row's."""
        weight, stride = self.embed.weight / self.divisor, self.embed.stride
        levels = self.levels(frames, task)
        # (batch · steps, width, rows, columns)
        squares = nn.functional.conv2d(levels, weight, self.embed.bias, stride)
        tokens = squares.flatten(2).transpose(1, 2).float() + self.place
        return tokens.view(*frames.shape[:2], *tokens.shape[1:])


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
