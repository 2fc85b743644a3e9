"""Steps as tokens that know nothing of the data (Gato; Reed et al. 2022, arXiv 2205.06175): (s_1 …
s_D, separator, a_1 … a_A), J of them, and their embeddings.

Numbers of states are bent by the μ-law, continuous actions scaled by their bounds, and both cut
into bins of [-1, 1]. A discrete action is one token, as it is.
"""

from typing import Protocol

import torch
from torch import Tensor, nn

from pipeline.environments.action_space import ActionSpace
from pipeline.nn.action_head import ActionBounds
from pipeline.nn.mu_law import bent, binned, middles
from pipeline.nn.transformer import initialise


class TokenShape(Protocol):
    """What settings say of tokens."""

    @property
    def bins(self) -> int:
        """Of a number in [-1, 1]."""

    @property
    def mu(self) -> float:
        """μ."""

    @property
    def largest(self) -> float:
        """M: the number that is bent to 1."""

    @property
    def width(self) -> int:
        """Of embeddings."""


class StepTokens(nn.Module):
    """Numbers ↔ tokens → embeddings, each of a token's own, a line in the value that it stands for,
    and its place in the step.
    """

    def __init__(self, shape: TokenShape, states: int, actions: ActionSpace) -> None:
        super().__init__()
        self.shape, self.states = shape, states
        self.bounds = ActionBounds(actions) if actions.continuous else None
        self.components = actions.size if actions.continuous else 1
        """A."""
        self.choices = shape.bins if actions.continuous else actions.size
        """Of each action token."""
        self.count = states + 1 + self.components
        """J."""
        self.numbers = nn.Embedding(shape.bins, shape.width)
        self.slope = nn.Parameter(0.02 * torch.randn(shape.width))
        self.discrete = None if actions.continuous else nn.Embedding(self.choices, shape.width)
        self.separator = nn.Parameter(0.02 * torch.randn(shape.width))
        self.places = nn.Parameter(0.02 * torch.randn(self.count, shape.width))
        self.apply(initialise)

    def forward(self, states: Tensor, actions: Tensor) -> Tensor:
        """(…, D) and (…) or (…, A) → (…, J) int64; the separator is a 0."""
        separator = torch.zeros_like(states[..., :1]).long()
        return torch.cat((self.of_states(states), separator, self.of_actions(actions)), dim=-1)

    def of_states(self, states: Tensor) -> Tensor:
        """(…, D) → (…, D) int64."""
        return binned(bent(states, self.shape.mu, self.shape.largest), self.shape.bins)

    def of_actions(self, actions: Tensor) -> Tensor:
        """(…) or (…, A) → (…, A) int64."""
        if self.bounds is None:
            return actions[..., None]
        return binned(self.bounds.scaled(actions), self.shape.bins)

    def actions(self, tokens: Tensor) -> Tensor:
        """(…, A) tokens of continuous actions → (…, A) within their bounds."""
        assert self.bounds is not None
        return self.bounds.restored(middles(tokens, self.shape.bins))

    def embed(self, tokens: Tensor, first: int = 0) -> Tensor:
        """(B, S, C) tokens of the places from `first` on in each step → (B, S · C, width)."""
        bins = self.shape.bins
        place = torch.arange(first, first + tokens.shape[-1], device=tokens.device)
        numbers = tokens.clamp(max=bins - 1)
        x = self.numbers(numbers) + middles(numbers, bins)[..., None] * self.slope
        if self.discrete is not None:
            chosen = self.discrete(tokens.clamp(max=self.choices - 1))
            x = torch.where((place > self.states)[:, None], chosen, x)
        x = torch.where((place == self.states)[:, None], self.separator, x)
        return (x + self.places[place]).flatten(1, 2)
