"""Values of states, or of states and actions, by several critics at once, and target networks that
follow.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pipeline.nn.mlp import BatchedMLP


class Critics(nn.Module):
    """E critics Q_i(s, a), or V_i(s): inputs (…, size), one or several to be joined → (E, …)."""

    def __init__(
        self, size: int, hidden: Sequence[int], count: int = 2, layer_norm: bool = False
    ) -> None:
        """`size` is that of all inputs together."""
        super().__init__()
        self.body = BatchedMLP(count, [size, *hidden, 1], layer_norm)

    def forward(self, *parts: Tensor) -> Tensor:
        """The values; see the class."""
        joined = torch.cat(parts, dim=-1) if len(parts) > 1 else parts[0]
        values: Tensor = self.body(joined.flatten(0, -2)).float()
        return values.view(self.body.count, *joined.shape[:-1])


@torch.no_grad()
def follow(target: nn.Module, online: nn.Module, rate: float) -> None:
    """θ⁻ ← (1 − rate) θ⁻ + rate θ, for every parameter."""
    torch._foreach_lerp_([*target.parameters()], [*online.parameters()], rate)


def expectile_loss(errors: Tensor, expectile: float) -> Tensor:
    """|τ − 1{u < 0}| u² of each error u: smallest where it is V that u's quantity has V as its
    τ-expectile.
    """
    return torch.where(errors < 0, 1 - expectile, expectile) * errors.square()
