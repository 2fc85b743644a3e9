"""Noise that is added to data level by level, and taken away again (Ho et al. 2020, arXiv
2006.11239), by the cosine schedule (Nichol and Dhariwal 2021, arXiv 2102.09672).

Level 0 has the least noise, level T − 1 is hardly more than noise.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

LARGEST = 0.999
"""Of the noise that one level adds."""


class CosineSchedule(nn.Module):
    """ᾱ_t, and the means and variances that follow from it."""

    kept: Tensor
    added: Tensor

    def __init__(self, levels: int, offset: float = 0.008) -> None:
        super().__init__()
        self.levels = levels
        share = torch.linspace(0, 1, levels + 1, dtype=torch.float64)
        curve = ((share + offset) / (1 + offset) * torch.pi / 2).cos().square()
        added = (1 - curve[1:] / curve[:-1]).clamp(0, LARGEST)
        self.register_buffer("added", added.float(), persistent=False)  # β_t, (T,)
        kept = (1 - added).cumprod(dim=0)
        self.register_buffer("kept", kept.float(), persistent=False)  # ᾱ_t, (T,)

    def noised(self, clean: Tensor, level: Tensor, noise: Tensor) -> Tensor:
        """√ᾱ x_0 + √(1 − ᾱ) ε: (B, …), levels (B,) or (1,), (B, …)."""
        kept = self.kept[level].view(-1, *[1] * (clean.dim() - 1))
        return kept.sqrt() * clean + (1 - kept).sqrt() * noise

    def posterior(self, clean: Tensor, noisy: Tensor, level: int) -> tuple[Tensor, float]:
        """Mean and deviation of q(x_{t−1} | x_t, x_0); of level 0 it is x_0 itself, and 0."""
        added, kept = float(self.added[level]), float(self.kept[level])
        before = float(self.kept[level - 1]) if level else 1.0  # ᾱ_{t−1}
        of_clean = added * before**0.5 / (1 - kept)
        of_noisy = (1 - before) * (1 - added) ** 0.5 / (1 - kept)
        return of_clean * clean + of_noisy * noisy, (added * (1 - before) / (1 - kept)) ** 0.5


def ascended(
    x: Tensor, value: Callable[[Tensor], Tensor], rate: float, steps: int, fixed: Tensor
) -> Tensor:
    """x + rate · ∇ value(x), so many times: (B, …), where `fixed` (…) bool is False only.

    `value` reads (B,); nothing else gets a gradient.
    """
    for _ in range(steps):
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(value(x).sum(), x)
        x = x.detach() + rate * gradient.masked_fill(fixed, 0)
    return x
