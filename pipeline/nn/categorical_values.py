"""Values as distributions over fixed returns (C51; Bellemare et al. 2017, arXiv 1707.06887): the
atoms z_1 … z_N of a support, and logits of their probabilities. The mean is the value.
"""

import torch
from torch import Tensor, nn

SPREAD = 0.075
"""Deviation of the distributions that training begins with, as a share of the support's width."""


class Support(nn.Module):
    """N atoms at equal distances from `low` to `high`."""

    atoms: Tensor

    def __init__(self, low: float, high: float, count: int) -> None:
        super().__init__()
        self.low, self.high, self.count = low, high, count
        self.register_buffer("atoms", torch.linspace(low, high, count), persistent=False)

    def mean(self, logits: Tensor) -> Tensor:
        """Σ_i p_i z_i: (…, N) → (…), within the support."""
        # a sum and no product of matrices, which mixed precision would round
        return (logits.float().softmax(dim=-1) * self.atoms).sum(dim=-1)

    def begin_at_zero(self, bias: Tensor) -> None:
        """Set the bias (outputs · N,) of a layer of logits to those of N(0, σ²) for every output.

        Equal logits would be worth the middle of the support, and targets that bootstrap from
        themselves leave that but slowly.
        """
        deviation = SPREAD * (self.high - self.low)
        with torch.no_grad():
            bias.view(-1, self.count).copy_(-self.atoms.square() / (2 * deviation**2))

    def projected(self, values: Tensor, probabilities: Tensor) -> Tensor:
        """A distribution over any returns `values` (…, M) with `probabilities` (…, M), as one over
        the atoms: (…, N).

        Each return is shared between its two neighbours, so that mass and mean are kept; returns
        outside of the support count as its end.
        """
        distance = (self.high - self.low) / (self.count - 1)
        place = (values.clamp(self.low, self.high) - self.low) / distance  # 0 … N − 1
        below = place.floor().clamp(max=self.count - 2)
        above = probabilities * (place - below)
        projected = torch.zeros(*values.shape[:-1], self.count, device=values.device)
        projected.scatter_add_(-1, below.long(), probabilities - above)
        return projected.scatter_add_(-1, below.long() + 1, above)

    def at(self, values: Tensor) -> Tensor:
        """The distributions (…, N) of returns `values` (…) that are certain."""
        return self.projected(values[..., None], torch.ones_like(values)[..., None])


def cross_entropy(logits: Tensor, goals: Tensor) -> Tensor:
    """−Σ_i goal_i log p_i of logits and goals (…, N): (…)."""
    return -(goals * logits.float().log_softmax(dim=-1)).sum(dim=-1)


class CategoricalHead(nn.Module):
    """A hidden layer and logits over the support of several values: (…, width) → (…, values, N)
    float32; all values begin near zero.
    """

    def __init__(self, width: int, values: int, support: Support) -> None:
        super().__init__()
        self.shape = values, support.count
        output = nn.Linear(width, values * support.count)
        support.begin_at_zero(output.bias)
        self.layers = nn.Sequential(nn.Linear(width, width), nn.GELU(), output)

    def forward(self, hidden: Tensor) -> Tensor:
        """The logits; see the class."""
        logits: Tensor = self.layers(hidden).float()
        return logits.view(*logits.shape[:-1], *self.shape)
