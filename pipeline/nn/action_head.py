"""a_t on its way into a sequence model and out of it, for discrete and for continuous actions.

In: an embedding of each action, or a linear map of its components. Out: logits and cross-entropy,
or a vector within its bounds (tanh) and its squared error (method D3).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.environments.action_space import ActionSpace


class ActionEmbedding(nn.Module):
    """a_t as a vector: (…) int64 or (…, components) float32 → (…, width)."""

    def __init__(self, actions: ActionSpace, width: int) -> None:
        super().__init__()
        self.embed = (
            nn.Linear(actions.size, width)
            if actions.continuous
            else nn.Embedding(actions.size, width)
        )

    def forward(self, actions: Tensor) -> Tensor:
        """Embed; see the class."""
        embedded: Tensor = self.embed(actions)
        return embedded


class ActionBounds(nn.Module):
    """The bounds of a continuous action's components, between which it is scaled to [-1, 1]."""

    middle: Tensor
    half_range: Tensor

    def __init__(self, actions: ActionSpace) -> None:
        super().__init__()
        low, high = torch.tensor(actions.low), torch.tensor(actions.high)
        self.register_buffer("middle", (low + high) / 2, persistent=False)
        self.register_buffer("half_range", (high - low) / 2, persistent=False)

    def scaled(self, actions: Tensor) -> Tensor:
        """(…, components) within their bounds → within [-1, 1]."""
        return (actions - self.middle) / self.half_range

    def restored(self, scaled: Tensor) -> Tensor:
        """(…, components) within [-1, 1] → within their bounds."""
        return self.middle + self.half_range * scaled


class ActionHead(nn.Module):
    """What hidden states (…, width) say about a_t: logits (…, actions), or the action itself
    (…, components), float32.
    """

    def __init__(self, width: int, actions: ActionSpace) -> None:
        super().__init__()
        self.output = nn.Linear(width, actions.size)
        self.continuous = actions.continuous
        self.bounds = ActionBounds(actions)

    def forward(self, hidden: Tensor) -> Tensor:
        """Read; see the class."""
        read: Tensor = self.output(hidden).float()
        return self.bounds.restored(read.tanh()) if self.continuous else read

    def error(self, read: Tensor, actions: Tensor) -> Tensor:
        """Of what was read at each step (batch, steps, …): cross-entropy, or the mean square over
        components: (batch, steps).
        """
        if self.continuous:
            return (read - actions).square().mean(dim=-1)
        return functional.cross_entropy(read.transpose(1, 2), actions, reduction="none")
