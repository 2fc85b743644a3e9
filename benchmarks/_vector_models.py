"""Two Decision Transformers for vector states, one around our transformer, one Hugging Face's."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import DecisionTransformerConfig, DecisionTransformerModel

from pipeline.config.methods import TransformerSettings
from pipeline.nn.time_embedding import TimeEmbedding
from pipeline.nn.transformer import Transformer

STATE, ACTION, LONGEST = 17, 6, 1000
"""Lengths of a state and of an action, and of the longest episode."""


@dataclass(frozen=True)
class Size:
    """What both transformers have in common."""

    width: int
    layers: int
    heads: int
    context: int
    batch: int


class Core(nn.Module):
    """A Decision Transformer for vector states around this pipeline's transformer."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.returns, self.states, self.actions = (
            nn.Linear(width, size.width) for width in (1, STATE, ACTION)
        )
        self.time = TimeEmbedding("learned", size.width, LONGEST)
        self.norm = nn.LayerNorm(size.width)
        shape = TransformerSettings(
            width=size.width, layers=size.layers, heads=size.heads, activation="relu"
        )
        self.transformer = Transformer(shape, attention_span=size.context - 1)
        self.head = nn.Linear(size.width, ACTION)

    def forward(self, states: Tensor, actions: Tensor, returns: Tensor, time: Tensor) -> Tensor:
        """Predicted actions (batch, context, ACTION)."""
        parts = (self.returns(returns), self.states(states), self.actions(actions))
        embedded = self.time(time)
        tokens = torch.stack([part + embedded for part in parts], dim=2)
        x = self.norm(tokens.flatten(1, 2))  # (batch, 3 · context, width)
        hidden = self.transformer.window(x, torch.ones(x.shape[:2], dtype=torch.bool), 3, 0)
        predicted: Tensor = self.head(hidden[:, 1::3]).tanh()
        return predicted


class Peer(nn.Module):
    """Hugging Face's Decision Transformer of the same size."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.model = DecisionTransformerModel(
            DecisionTransformerConfig(
                state_dim=STATE,
                act_dim=ACTION,
                hidden_size=size.width,
                n_layer=size.layers,
                n_head=size.heads,
                max_ep_len=LONGEST,
                attn_pdrop=0.0,  # ours has none there
                bos_token_id=None,
                eos_token_id=None,
            )
        )

    def forward(self, states: Tensor, actions: Tensor, returns: Tensor, time: Tensor) -> Tensor:
        """Predicted actions (batch, context, ACTION)."""
        predicted: Tensor = self.model(
            states=states,
            actions=actions,
            rewards=returns,
            returns_to_go=returns,
            timesteps=time,
            attention_mask=torch.ones(time.shape, dtype=torch.long),
        ).action_preds
        return predicted
