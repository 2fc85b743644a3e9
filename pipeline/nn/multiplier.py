"""A multiplier that is trained: the weight of a bound, or of an entropy."""

import torch
from torch import Tensor, nn


class Multiplier(nn.Module):
    """λ = e^x."""

    def __init__(self, initial: float) -> None:
        """`initial` is x."""
        super().__init__()
        self.log = nn.Parameter(torch.tensor([initial]))

    def forward(self) -> Tensor:
        """(1,)."""
        return self.log.exp()
