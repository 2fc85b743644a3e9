"""A GPT-2-style causal transformer over step tokens (method §2), the trunk of every sequence model.

What enters: embedded tokens (batch, tokens, width), each of which belongs to an environment step,
and optionally one scaled return-to-go per token. What leaves: their final hidden states and the
keys and values of every layer, which are both the long-term memory of training and the rolling
cache of acting.

Sources: GPT-2 (Radford et al. 2019), whose outputs it reproduces on the same weights with
conditioning and band off; MeMViT (Wu et al. 2022) for the stop-gradient memory of keys and values;
T5 (Raffel et al. 2020) for learned biases of attention by distance, and ALiBi (Press et al. 2022)
for their initial values.

What a token may attend to, and what is remembered, is in `kv_cache.py`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.hardware import distributed
from pipeline.nn.dropout import Dropout
from pipeline.nn.kv_cache import KeyValue, Memory, Positions, band_mask, distances, join

ACTIVATIONS = {
    "gelu": nn.GELU(),
    "gelu_tanh": nn.GELU(approximate="tanh"),  # what GPT-2's released weights were trained with
    "relu": nn.ReLU(),
}


@dataclass(frozen=True)
class TransformerConfig:
    """Shape and switches of the transformer."""

    width: int
    """d, a multiple of `heads`."""
    layers: int
    heads: int
    dropout: float = 0.0
    """After the attention's and the feed-forward's output projection and on the input; not on
    attention weights.
    """
    activation: str = "gelu"
    """A key of ACTIVATIONS."""
    conditioned: bool = False
    """Add u_k R̂ to the keys and u_v R̂ to the values of every layer (Table 3, `condition`)."""
    relative: bool = False
    """Add a learned bias per head and distance in steps to the attention scores of every layer."""


class Sight(NamedTuple):
    """What the tokens of one pass may attend to and are conditioned on: the same in every layer."""

    mask: Tensor
    """(batch, 1, tokens, past + tokens) bool."""
    distance: Tensor
    """(tokens, past + tokens) int64, in steps."""
    returns: Tensor | None
    """(batch, tokens), scaled; None without conditioning."""


class Attention(nn.Module):
    """Multi-head attention of queries to the memory and to each other; R̂ enters keys and values if
    conditioned.
    """

    def __init__(self, config: TransformerConfig, reach: int | None) -> None:
        super().__init__()
        self.heads = config.heads
        self.distance_bias = None
        if config.relative:
            assert reach is not None  # a table of biases needs a longest distance
            slopes = 2.0 ** (-8 * (torch.arange(config.heads) + 1) / config.heads)  # (heads,)
            self.distance_bias = nn.Parameter(-slopes[:, None] * torch.arange(reach + 1))
        self.input = nn.Linear(config.width, 3 * config.width)
        self.output = nn.Linear(config.width, config.width)
        self.drop = Dropout(config.dropout)
        # Zero, so that the attention of pretrained weights is unchanged at the start (method §2).
        self.conditioning = (
            nn.Parameter(torch.zeros(2 * config.width)) if config.conditioned else None
        )

    def forward(self, x: Tensor, sight: Sight, past: KeyValue | None) -> tuple[Tensor, KeyValue]:
        """Attend; returns the output and the keys and values of `x` alone."""
        query, key, value, mask, own = self._projected(x, sight, past)
        # Attention itself stays in float32: on short windows bfloat16 is slower there.
        with torch.autocast(x.device.type, enabled=False):
            mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        mixed = mixed.transpose(1, 2).reshape(x.shape)  # (batch, tokens, width)
        return self.drop(self.output(mixed)), own

    def weights(self, x: Tensor, sight: Sight, past: KeyValue | None) -> Tensor:
        """Of every value in what `forward` mixes for the same arguments: (batch, heads, tokens,
        past + tokens), to look at; `forward` itself never holds them.
        """
        query, key, _, mask, _ = self._projected(x, sight, past)
        scores: Tensor = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5
        masked = mask.dtype == torch.bool
        scores = scores.masked_fill(~mask, -torch.inf) if masked else scores + mask
        return scores.softmax(dim=-1)

    def _projected(
        self, x: Tensor, sight: Sight, past: KeyValue | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, KeyValue]:
        """Query, key, value, the mask with biases, and the keys and values of `x` alone."""
        width = x.shape[-1]
        projected = self.input(x).to(x.dtype)  # (batch, tokens, 3 width)
        query = self._split(projected[..., :width])  # (batch, heads, tokens, width / heads)
        key, value = own = self._key_value(projected[..., width:], sight.returns)
        if past is not None:
            key = torch.cat((past.key, key), dim=2)  # (batch, heads, past + tokens, width / heads)
            value = torch.cat((past.value, value), dim=2)
        mask = sight.mask
        if self.distance_bias is not None:
            bias = self.distance_bias[:, sight.distance]  # (heads, tokens, past + tokens)
            mask = bias.masked_fill(~mask, -torch.inf)  # (batch, heads, tokens, past + tokens)
        return query, key, value, mask, own

    def remember(self, x: Tensor, returns: Tensor | None) -> KeyValue:
        """Only the keys and values of `x`, for a layer whose output nobody needs."""
        width = x.shape[-1]
        projected = functional.linear(x, self.input.weight[width:], self.input.bias[width:])
        return self._key_value(
            projected.to(x.dtype), returns
        )  # (batch, tokens, 2 width) before the split

    def _key_value(self, projected: Tensor, returns: Tensor | None) -> KeyValue:
        if self.conditioning is not None and returns is not None:
            projected = projected + returns[..., None] * self.conditioning
        key, value = projected.chunk(2, dim=-1)
        return KeyValue(self._split(key), self._split(value))

    def _split(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        return x.view(batch, tokens, self.heads, width // self.heads).transpose(1, 2)


class Block(nn.Module):
    """Attention and a feed-forward network, each behind a LayerNorm and added to the stream."""

    def __init__(self, config: TransformerConfig, reach: int | None) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.width)
        self.attention = Attention(config, reach)
        self.feedforward_norm = nn.LayerNorm(config.width)
        self.feedforward = nn.Sequential(
            nn.Linear(config.width, 4 * config.width),
            ACTIVATIONS[config.activation],
            nn.Linear(4 * config.width, config.width),
            Dropout(config.dropout),
        )

    def forward(self, x: Tensor, sight: Sight, past: KeyValue | None) -> tuple[Tensor, KeyValue]:
        """One layer; returns the stream and this layer's keys and values of `x`."""
        attended, own = self.attention(self.attention_norm(x), sight, past)
        x = x + attended
        return x + self.feedforward(self.feedforward_norm(x)), own


class Transformer(nn.Module):
    """The stack of blocks with the final LayerNorm."""

    def __init__(self, config: TransformerConfig, reach: int | None) -> None:
        super().__init__()
        self.config = config
        self.reach = reach
        self.drop = Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config, reach) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.apply(initialise)
        for name, weight in self.named_parameters():
            # GPT-2: the variance of the residual stream stays that of its input
            if name.endswith(("attention.output.weight", "feedforward.2.weight")):
                nn.init.normal_(weight, std=0.02 / (2 * config.layers) ** 0.5)

    def forward(
        self,
        x: Tensor,
        positions: Positions,
        real: Tensor | None = None,
        returns: Tensor | None = None,
        past: Memory | None = None,
        memory_only: bool = False,
    ) -> tuple[Tensor, Memory]:
        """Hidden states of `x` (batch, tokens, width), and the memory of these tokens (without
        `past`).

        `real` (batch, tokens) bool, default all; `returns` (batch, tokens) only if conditioned.
        With `memory_only` the last layer stops at its keys and values, and the hidden states are of
        no use.
        """
        real = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device) if real is None else real
        keys, key_real = positions, real
        if past is not None:
            keys = Positions(
                *(torch.cat(pair) for pair in zip(past.positions, positions, strict=True))
            )
            key_real = torch.cat((past.real, real), dim=1)  # (batch, past + tokens)
        mask = band_mask(positions, keys, key_real, self.reach)
        sight = Sight(mask, distances(positions, keys, self.reach), returns)
        x = self.drop(x)
        layers = []
        for index, block in enumerate(self.blocks):
            assert isinstance(block, Block)
            if memory_only and index == len(self.blocks) - 1:
                layers.append(block.attention.remember(block.attention_norm(x), returns))
                break
            layer_past = past.layers[index] if past else None
            x, own = block(x, sight, layer_past)
            layers.append(own)
        return self.norm(x), Memory(tuple(layers), positions, real)

    def window(
        self,
        x: Tensor,
        real: Tensor,
        per_step: int,
        memory_length: int,
        returns: Tensor | None = None,
    ) -> Tensor:
        """Hidden states (batch, K · per_step, width) of a training window whose first M steps are
        memory.

        `x` (batch, (M + K) · per_step, width). The memory's keys and values carry no gradient; the
        caller saves time by computing its part of `x` without gradient too.
        """
        start = memory_length * per_step
        positions = Positions.of_steps(0, -(-x.shape[1] // per_step), per_step).slice(0, x.shape[1])

        def run(part: slice, past: Memory | None, memory_only: bool) -> tuple[Tensor, Memory]:
            where = positions.slice(part.start, part.stop)
            part_returns = None if returns is None else returns[:, part]
            return self.forward(x[:, part], where, real[:, part], part_returns, past, memory_only)

        memory = None
        if start:
            with torch.no_grad():
                _, memory = run(slice(0, start), None, memory_only=True)
        hidden, _ = run(slice(start, None), memory, memory_only=False)
        return hidden

    def extend(
        self, x: Tensor, positions: Positions, memory: Memory | None, returns: Tensor | None = None
    ) -> tuple[Tensor, Memory]:
        """Hidden states of new tokens while acting, and the memory that the next step needs."""
        hidden, own = self(x, positions, None, returns, memory)
        joined = own if memory is None else join(memory, own)
        # A token of the newest step may still follow, so the steps that one reaches are kept.
        newest = int(positions.step[-1])
        return hidden, joined if self.reach is None else joined.since(newest - self.reach)


def initialise(module: nn.Module) -> None:
    """GPT-2's initialisation: weights N(0, 0.02²), biases 0."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of `values` over the entries where `mask` is True; 0 if there is none. Padding has no
    weight.

    Of a batch that processes share: the shares' mean of this is the whole batch's.
    """
    count = distributed.mean(mask.sum()).clamp(min=1 / distributed.processes())
    return (values * mask).sum() / count


def compute_dtype(device: torch.device) -> torch.dtype:
    """The type matrix products run in on `device`: autocast's, or float32."""
    kind = device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.float32
