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
        """Of a state's number, bent into [-1, 1]."""

    @property
    def action_bins(self) -> int:
        """Of a continuous action's component, scaled to [-1, 1]."""

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
    which is another one at each place of the step, and that place.
    """

    def __init__(self, shape: TokenShape, states: int, actions: ActionSpace) -> None:
        super().__init__()
        self.shape, self.states = shape, states
        self.bounds = ActionBounds(actions) if actions.continuous else None
        self.components = actions.size if actions.continuous else 1
        """A."""
        self.choices = shape.action_bins if actions.continuous else actions.size
        """Of each action token."""
        self.count = states + 1 + self.components
        """J."""
        self.numbers = nn.Embedding(shape.bins, shape.width)
        self.chosen = nn.Embedding(self.choices, shape.width)
        self.slopes = nn.Parameter(0.02 * torch.randn(self.count, shape.width))
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
        return binned(self.bounds.scaled(actions), self.shape.action_bins)

    def actions(self, tokens: Tensor) -> Tensor:
        """(…, A) tokens of continuous actions → (…, A) within their bounds."""
        assert self.bounds is not None
        return self.bounds.restored(middles(tokens, self.shape.action_bins))

    def embed(self, tokens: Tensor, first: int = 0) -> Tensor:
        """(B, S, C) tokens of the places from `first` on in each step → (B, S · C, width). Of the
        separator there is only the place.
        """
        stop = first + tokens.shape[-1]
        parts = []
        if first < self.states:
            own = tokens[..., : self.states - first]
            level = middles(own, self.shape.bins)
            parts.append(self._on_a_line(self.numbers(own), level, first))
        if first <= self.states < stop:
            parts.append(self.places[self.states].expand(*tokens.shape[:-1], 1, -1))
        if stop > self.states + 1:
            begun = max(first, self.states + 1)
            own = tokens[..., begun - first :]
            known = self.bounds is not None
            level = middles(own, self.choices) if known else torch.zeros_like(own).float()
            parts.append(self._on_a_line(self.chosen(own), level, begun))
        return torch.cat(parts, dim=2).flatten(1, 2)

    def _on_a_line(self, own: Tensor, level: Tensor, first: int) -> Tensor:
        """Embeddings (B, S, C, width) of tokens that stand for `level` (B, S, C), in place."""
        here = slice(first, first + level.shape[-1])
        return own + level[..., None] * self.slopes[here] + self.places[here]
