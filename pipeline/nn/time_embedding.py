"""When a step happens: timesteps become vectors added to a model's tokens (docs/method.md §2)."""

import torch
from torch import Tensor, nn


class TimeEmbedding(nn.Module):
    """The timestep as a vector: `sinusoidal` (Vaswani et al. 2017), a `learned` table, or zeros.

    `none` gives zeros, and so does `relative`, where attention has biases by distance instead
    (`Transformer`'s `relative`).
    """

    frequencies: Tensor

    def __init__(self, kind: str, width: int, max_timesteps: int) -> None:
        super().__init__()
        self.kind, self.width = kind, width
        self.table = nn.Embedding(max_timesteps, width) if kind == "learned" else None
        if self.table is not None:
            nn.init.normal_(self.table.weight, std=0.02)
        half = torch.arange(-(-width // 2)) / max(1, width // 2)
        self.register_buffer("frequencies", 10_000.0**-half, persistent=False)

    def forward(self, timesteps: Tensor) -> Tensor:
        """Embed `timesteps` (…) int64; returns (…, width)."""
        if self.table is not None:
            embedded: Tensor = self.table(timesteps.clamp(max=self.table.num_embeddings - 1))
            return embedded
        if self.kind != "sinusoidal":
            return torch.zeros(*timesteps.shape, self.width, device=timesteps.device)
        angles = timesteps[..., None] * self.frequencies  # (…, width / 2)
        return torch.cat((angles.sin(), angles.cos()), dim=-1)[..., : self.width]  # (…, width)
