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

from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.nn.dropout import Dropout
from pipeline.nn.kv_cache import (
    KeyValue,
    KVCache,
    Positions,
    TransformerState,
    band_mask,
    distances,
    join,
)

ACTIVATIONS = {
    "gelu": nn.GELU(),
    "gelu_tanh": nn.GELU(approximate="tanh"),  # what GPT-2's released weights were trained with
    "relu": nn.ReLU(),
}


class TransformerShape(Protocol):
    """What settings say of a transformer: those of a method, or of a language model."""

    @property
    def width(self) -> int:
        """d, a multiple of `heads`."""

    @property
    def layers(self) -> int:
        """Blocks."""

    @property
    def heads(self) -> int:
        """Of attention, in every block."""

    @property
    def dropout(self) -> float:
        """On the input, and after the output projections of attention and feed-forward network;
        not on attention weights.
        """

    @property
    def activation(self) -> str:
        """A key of ACTIVATIONS."""


class AttentionContext(NamedTuple):
    """What the tokens of one pass may attend to and are conditioned on: the same in every layer."""

    mask: Tensor
    """(batch, 1, tokens, past + tokens): bool, or added to scores, which spares each layer to make
    the one of the other.
    """
    distance: Tensor
    """(tokens, past + tokens) int64, in steps."""
    returns: Tensor | None
    """(batch, tokens), scaled; None without conditioning."""


class Attention(nn.Module):
    """Multi-head attention of tokens to the past and to each other."""

    def __init__(
        self, shape: TransformerShape, attention_span: int | None, conditioned: bool, relative: bool
    ) -> None:
        super().__init__()
        self.heads = shape.heads
        self.distance_bias = None
        if relative:
            assert attention_span is not None  # a table of biases needs a longest distance
            slopes = 2.0 ** (-8 * (torch.arange(shape.heads) + 1) / shape.heads)  # (heads,)
            bias = -slopes[:, None] * torch.arange(attention_span + 1)
            self.distance_bias = nn.Parameter(bias)
        self.input = nn.Linear(shape.width, 3 * shape.width)
        self.output = nn.Linear(shape.width, shape.width)
        self.drop = Dropout(shape.dropout)
        # u_k and u_v. Zero, so that attention of pretrained weights is unchanged at the start.
        self.conditioning = nn.Parameter(torch.zeros(2 * shape.width)) if conditioned else None

    def forward(
        self, h: Tensor, context: AttentionContext, past: KeyValue | None
    ) -> tuple[Tensor, KeyValue]:
        """Attend: the output (batch, tokens, width), and the keys and values of `h` alone."""
        query, own = self.queries_keys_and_values(h, context.returns)
        key, value, mask = self.attended(own, context, past)
        # Attention itself stays in float32: on short windows bfloat16 is slower there.
        with torch.autocast(h.device.type, enabled=False):
            # softmax(q kᵀ / √d_head + mask) v                  (batch, heads, tokens, d_head)
            mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        mixed = mixed.transpose(1, 2).reshape(h.shape)  # (batch, tokens, width)
        return self.drop(self.output(mixed)), own

    def queries_keys_and_values(self, h: Tensor, returns: Tensor | None) -> tuple[Tensor, KeyValue]:
        """q_t = W_q h_t, k_t = W_k h_t + u_k R̂_t, v_t = W_v h_t + u_v R̂_t, by heads."""
        projected = self.input(h).to(h.dtype)  # (batch, tokens, 3 width)
        query, key_value = projected.split((h.shape[-1], 2 * h.shape[-1]), dim=-1)
        return self._by_heads(query), self._conditioned(key_value, returns)

    def keys_and_values(self, h: Tensor, returns: Tensor | None) -> KeyValue:
        """Only those, for a layer whose output nobody needs."""
        width = h.shape[-1]
        projected = functional.linear(h, self.input.weight[width:], self.input.bias[width:])
        return self._conditioned(projected.to(h.dtype), returns)  # from (batch, tokens, 2 width)

    def attended(
        self, own: KeyValue, context: AttentionContext, past: KeyValue | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Keys and values (batch, heads, past + tokens, d_head), and the mask of the scores."""
        key, value = own
        if past is not None:
            key = torch.cat((past.key, key), dim=2)
            value = torch.cat((past.value, value), dim=2)
        if self.distance_bias is None:
            return key, value, context.mask
        bias = self.distance_bias[:, context.distance]  # (heads, tokens, past + tokens)
        mask = bias.masked_fill(~context.mask, -torch.inf)  # (batch, heads, tokens, past + tokens)
        return key, value, mask

    def weights(self, h: Tensor, context: AttentionContext, past: KeyValue | None) -> Tensor:
        """Of every value in what `forward` mixes for the same arguments: (batch, heads, tokens,
        past + tokens), to look at; `forward` itself never holds them.
        """
        query, own = self.queries_keys_and_values(h, context.returns)
        key, _, mask = self.attended(own, context, past)
        scores: Tensor = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5
        masked = mask.dtype == torch.bool
        scores = scores.masked_fill(~mask, -torch.inf) if masked else scores + mask
        return scores.softmax(dim=-1)

    def _conditioned(self, key_value: Tensor, returns: Tensor | None) -> KeyValue:
        if self.conditioning is not None and returns is not None:
            key_value = key_value + returns[..., None] * self.conditioning
        key, value = key_value.chunk(2, dim=-1)
        return KeyValue(self._by_heads(key), self._by_heads(value))

    def _by_heads(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        return x.view(batch, tokens, self.heads, width // self.heads).transpose(1, 2)


class Block(nn.Module):
    """Attention and a feed-forward network, each behind a LayerNorm and added to the stream."""

    def __init__(
        self, shape: TransformerShape, attention_span: int | None, conditioned: bool, relative: bool
    ) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(shape.width)
        self.attention = Attention(shape, attention_span, conditioned, relative)
        self.feedforward_norm = nn.LayerNorm(shape.width)
        self.feedforward = nn.Sequential(
            nn.Linear(shape.width, 4 * shape.width),
            ACTIVATIONS[shape.activation],
            nn.Linear(4 * shape.width, shape.width),
            Dropout(shape.dropout),
        )

    def forward(
        self, x: Tensor, context: AttentionContext, past: KeyValue | None
    ) -> tuple[Tensor, KeyValue]:
        """One layer; returns the stream and this layer's keys and values of `x`."""
        mixed, own = self.attention(self.attention_norm(x), context, past)
        x = x + mixed
        return x + self.feedforward(self.feedforward_norm(x)), own


class Transformer(nn.Module):
    """The stack of blocks with the final LayerNorm."""

    def __init__(
        self,
        shape: TransformerShape,
        attention_span: int | None,
        conditioned: bool = False,
        relative: bool = False,
    ) -> None:
        """`attention_span`: steps that a token sees before its own; None: all of them.

        `conditioned` adds u_k R̂ to the keys and u_v R̂ to the values of every layer (Table 3,
        `condition`); `relative` a learned bias per head and distance in steps to their scores.
        """
        super().__init__()
        self.shape, self.attention_span, self.relative = shape, attention_span, relative
        self.drop = Dropout(shape.dropout)
        self.blocks = nn.ModuleList(
            Block(shape, attention_span, conditioned, relative) for _ in range(shape.layers)
        )
        self.norm = nn.LayerNorm(shape.width)
        self.apply(initialise)
        for name, weight in self.named_parameters():
            # GPT-2: the variance of the residual stream stays that of its input
            if name.endswith(("attention.output.weight", "feedforward.2.weight")):
                nn.init.normal_(weight, std=0.02 / (2 * shape.layers) ** 0.5)

    def forward(
        self,
        x: Tensor,
        positions: Positions,
        padding_mask: Tensor | None = None,
        returns: Tensor | None = None,
        past: KVCache | None = None,
        cache_only: bool = False,
    ) -> tuple[Tensor, KVCache]:
        """Hidden states of `x` (batch, tokens, width), and the cache of these tokens (without
        `past`).

        `padding_mask` (batch, tokens) bool, True: real; default: all. `returns` (batch, tokens)
        only if conditioned. With `cache_only` the last layer stops at its keys and values, and the
        hidden states are of no use.
        """
        if padding_mask is None:
            padding_mask = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
        keys, key_mask = positions, padding_mask
        if past is not None:
            keys = Positions(
                *(torch.cat(pair) for pair in zip(past.positions, positions, strict=True))
            )
            key_mask = torch.cat((past.padding_mask, padding_mask), dim=1)  # (batch, past + tokens)
        mask = band_mask(positions, keys, key_mask, self.attention_span)
        if not self.relative:
            mask = torch.zeros(mask.shape, device=x.device).masked_fill_(~mask, -torch.inf)
        distance = distances(positions, keys, self.attention_span)
        context = AttentionContext(mask, distance, returns)
        x = self.drop(x)
        layers = []
        for index, block in enumerate(self.blocks):
            assert isinstance(block, Block)
            if cache_only and index == len(self.blocks) - 1:
                h = block.attention_norm(x)
                layers.append(block.attention.keys_and_values(h, returns))
                break
            x, own = block(x, context, past.layers[index] if past else None)
            layers.append(own)
        return self.norm(x), KVCache(tuple(layers), positions, padding_mask)

    def window(
        self,
        x: Tensor,
        padding_mask: Tensor,
        tokens_per_step: int,
        memory_length: int,
        returns: Tensor | None = None,
    ) -> Tensor:
        """Hidden states (batch, K · tokens_per_step, width) of a training window whose first M
        steps are memory.

        `x` (batch, (M + K) · tokens_per_step, width). The memory's keys and values carry no
        gradient; the caller saves time by computing its part of `x` without gradient too.
        """
        start = memory_length * tokens_per_step
        steps = -(-x.shape[1] // tokens_per_step)
        positions = Positions.of_steps(0, steps, tokens_per_step).slice(0, x.shape[1])

        def run(part: slice, past: KVCache | None, cache_only: bool) -> tuple[Tensor, KVCache]:
            where = positions.slice(part.start, part.stop)
            told = None if returns is None else returns[:, part]
            return self.forward(x[:, part], where, padding_mask[:, part], told, past, cache_only)

        memory = None
        if start:
            with torch.no_grad():
                _, memory = run(slice(0, start), None, cache_only=True)
        hidden, _ = run(slice(start, None), memory, cache_only=False)
        return hidden

    def decode_step(
        self,
        x: Tensor,
        positions: Positions,
        state: TransformerState,
        returns: Tensor | None = None,
    ) -> tuple[Tensor, TransformerState]:
        """Hidden states (batch, width) of the last of the tokens that one step adds while acting,
        and the next state.
        """
        hidden, own = self(x, positions, None, returns, state.cache)
        cache = own if state.cache is None else join(state.cache, own)
        if self.attention_span is not None:
            # A token of the newest step may still follow, so the steps that one sees are kept.
            cache = cache.since(int(positions.step[-1]) - self.attention_span)
        return hidden[:, -1], TransformerState(state.step + 1, cache)


def initialise(module: nn.Module) -> None:
    """GPT-2's initialisation: weights N(0, 0.02²), biases 0."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)


def compute_dtype(device: torch.device) -> torch.dtype:
    """The type matrix products run in on `device`: autocast's, or float32."""
    kind = device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.float32
