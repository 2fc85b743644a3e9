"""Vectors as the nearest of K codes (van den Oord et al. 2017, arXiv 1711.00937), which follow the
vectors that choose them as a moving average, and begin anew where hardly any does.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from pipeline.hardware import distributed

UNUSED = 0.05
"""A code that fewer vectors of a batch choose, on the mean of late, begins anew."""


class Quantised(NamedTuple):
    """What vectors (…, d) have become."""

    codes: Tensor
    """(…, d): the nearest codes; their gradient is that of the vectors, straight through."""
    chosen: Tensor
    """(…) int64: which these are."""
    distance: Tensor
    """(…): mean square between vector and code; its gradient draws the vector to the code."""


class Codebook(nn.Module):
    """K codes. They get no gradient: `follow` moves them."""

    codes: Tensor
    count: Tensor

    def __init__(self, size: int, width: int, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("codes", torch.randn(size, width))  # (K, d)
        self.register_buffer("count", torch.zeros(size))  # vectors of a batch, on the mean

    def forward(self, vectors: Tensor) -> Quantised:
        """(…, d); see `Quantised`."""
        chosen = self.nearest(vectors)
        codes = self.codes[chosen]
        through = vectors + (codes - vectors).detach()
        return Quantised(through, chosen, (vectors - codes).square().mean(dim=-1))

    @torch.no_grad()
    def nearest(self, vectors: Tensor) -> Tensor:
        """(…, d) → (…) int64, in float32 whatever surrounds it."""
        with torch.autocast(vectors.device.type, enabled=False):
            # |v − c|² = |v|² − 2 v·c + |c|², of which |v|² is the same for all codes
            apart = self.codes.square().sum(dim=-1) - 2 * vectors.float() @ self.codes.T
        return apart.argmin(dim=-1)

    @torch.no_grad()
    def follow(self, vectors: Tensor, real: Tensor) -> None:
        """Towards the means of the `vectors` (N, d) that chose each code, of those that are `real`
        (N,) bool; in all processes alike.
        """
        drawn = distributed.gathered(vectors.detach().float()).flatten(0, 1)
        vectors = drawn[distributed.gathered(real.to(torch.uint8)).flatten().bool()]
        if not len(vectors):
            return
        chosen = nn.functional.one_hot(self.nearest(vectors), len(self.codes)).float()  # (N, K)
        total = self.codes * self.count[:, None]
        with torch.autocast(vectors.device.type, enabled=False):
            total.lerp_(chosen.T @ vectors, 1 - self.decay)
        self.count.lerp_(chosen.sum(dim=0), 1 - self.decay)
        used = self.count >= UNUSED
        self.codes.copy_(torch.where(used[:, None], total / self.count[:, None], self.codes))
        dead = (~used).nonzero()[:, 0]
        if len(dead):  # windows are drawn, so any of their vectors will do
            rows = torch.linspace(0, len(vectors) - 1, len(dead), device=dead.device).long()
            self.codes[dead], self.count[dead] = vectors[rows], 1.0
