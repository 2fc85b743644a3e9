"""Returns in bins of equal width, and how an expert's return is inferred from what is predicted of
them (Lee et al. 2022, Multi-Game Decision Transformers, arXiv 2205.15241).
"""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn


class ReturnBins(nn.Module):
    """Bins whose centres lie evenly from `low` to `high`, both included."""

    of_data: ClassVar[tuple[str, ...]] = ("low", "high")
    low: Tensor
    """() the centre of the first bin."""
    high: Tensor
    """() the centre of the last bin."""

    def __init__(self, count: int, low: float = -1.0, high: float = 1.0) -> None:
        super().__init__()
        self.count = count
        self.register_buffer("low", torch.tensor(low))
        self.register_buffer("high", torch.tensor(high))

    def fit(self, low: float, high: float) -> None:
        """Take other ends; bins of equal ends all stand for that one number."""
        self.low.fill_(low)
        self.high.fill_(high)

    @property
    def width(self) -> Tensor:
        """() of a bin; the same in both directions, so that a bin's centre is read as that bin."""
        return (self.high - self.low) / (self.count - 1)

    def encode(self, returns: Tensor) -> Tensor:
        """The nearest bin of each return (…): (…) int64; what lies beyond is in the outermost."""
        nearest = ((returns - self.low) / self.width.clamp(min=1e-12)).round()
        return nearest.clamp(0, self.count - 1).long()

    def decode(self, bins: Tensor) -> Tensor:
        """The centre of each bin (…): (…) float32."""
        return self.low + bins * self.width

    def level(self, returns: Tensor) -> Tensor:
        """The centre of the nearest bin, from −1, the lowest, to 1: (…) float32."""
        return 2 * self.encode(returns) / (self.count - 1) - 1


def of_experts(logits: Tensor, optimality: float) -> Tensor:
    """log P(R | expert) = log P(R) + κ (R − low) / (high − low) + constant, by Bayes' rule with
    P(expert | R) ∝ e^{κ (R − low) / (high − low)}: (…, bins) → (…, bins).
    """
    share = torch.linspace(0, 1, logits.shape[-1], device=logits.device)
    return logits + optimality * share


def uniform(noise: Tensor) -> Tensor:
    """Draws from N(0, 1) as draws from U(0, 1): Φ(z), float64."""
    return (1 + torch.erf(noise.double() / math.sqrt(2))) / 2


def drawn(logits: Tensor, uniforms: Tensor) -> Tensor:
    """A draw of each softmax of `logits` (…, N) by uniform numbers (…): the first whose cumulated
    probability exceeds it, (…) int64.
    """
    cumulated = logits.double().softmax(dim=-1).cumsum(dim=-1)
    uniforms = uniforms.clamp(max=1 - 1e-12)  # 1 exceeds all, and would draw what is impossible
    below = uniforms[..., None] * cumulated[..., -1:] >= cumulated
    return below.sum(dim=-1).clamp(max=logits.shape[-1] - 1)


def best_drawn(logits: Tensor, uniforms: Tensor) -> Tensor:
    """The largest of n draws by uniform numbers (…, n): (…) int64. It is at most r with probability
    P(R ≤ r)^n.
    """
    return drawn(logits, uniforms.amax(dim=-1))  # a larger number never gives a smaller draw
