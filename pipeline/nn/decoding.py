"""Token by token through a `Transformer`, for many continuations of one beginning.

The beginning is computed once per episode; its keys and values are copied to every row that goes
on from it. Rows have buffers with room for all tokens to come, so a token is written and not
appended. The hidden states are those of a pass over the whole sequence.
"""

from dataclasses import dataclass, field, replace
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.nn.kv_cache import KeyValue, Positions
from pipeline.nn.transformer import Attention, Block, Transformer


@dataclass(frozen=True)
class Decoding:
    """Rows of equally many tokens, each with keys and values of its own."""

    net: Transformer
    """With biases by distance, and without conditioning."""
    tokens_per_step: int
    layers: tuple[KeyValue, ...]
    """Each (rows, heads, room, width / heads), of which `length` tokens are written."""
    length: int
    biases: dict[int, list[Tensor]] = field(default_factory=dict)
    """Of each step that tokens were fed of, what is added to the scores of its tokens: of each
    layer (1, heads, 1, room). Shared by all that goes on from one beginning.
    """

    @classmethod
    def begin(
        cls, net: Transformer, x: Tensor, tokens_per_step: int, room: int
    ) -> tuple[Tensor, Self]:
        """The hidden state of the last token, (rows, width), of sequences `x` (rows, tokens, width)
        that begin with a step; `room` tokens may follow.
        """
        rows, length, _ = x.shape
        order = torch.arange(length)
        hidden, cache = net(x, Positions(order, order // tokens_per_step))
        state = cls(net, tokens_per_step, cache.layers, length)
        return hidden[:, -1], state._with_room(torch.arange(rows, device=x.device), length + room)

    def select(self, rows: Tensor) -> Self:
        """The rows `rows`, each with buffers of its own."""
        return self._with_room(rows, self.layers[0].key.shape[2])

    def feed(self, x: Tensor) -> tuple[Tensor, Self]:
        """One more token of each row, (rows, width): its hidden state, and the rows with it.

        Writes into the buffers, so that what is fed twice must be selected twice.
        """
        end, biases = self.length + 1, self._biases()
        for block, memory, bias in zip(self.net.blocks, self.layers, biases, strict=True):
            assert isinstance(block, Block)
            attention = block.attention
            query, key, value = attention.input(block.attention_norm(x)).chunk(3, dim=-1)
            by_heads = len(x), attention.heads, -1
            memory.key[:, :, self.length] = key.view(by_heads)
            memory.value[:, :, self.length] = value.view(by_heads)
            mixed = functional.scaled_dot_product_attention(  # (rows, heads, 1, width / heads)
                query.view(by_heads)[:, :, None],
                memory.key[:, :, :end],
                memory.value[:, :, :end],
                attn_mask=bias[..., :end].expand(len(x), -1, -1, -1),
            )
            x = x + attention.output(mixed.reshape(x.shape))
            x = x + block.feedforward(block.feedforward_norm(x))
        return self.net.norm(x), replace(self, length=end)

    def _biases(self) -> list[Tensor]:
        """For the next token, by distance in steps, and −∞ beyond the span."""
        step = self.length // self.tokens_per_step
        if step not in self.biases:
            span, room = self.net.attention_span, self.layers[0].key.shape[2]
            device = self.layers[0].key.device
            steps = torch.arange(room, device=device) // self.tokens_per_step
            distance = (step - steps).clamp(min=0)  # what comes later has not been written yet
            self.biases[step] = [
                _bias(block.attention, distance, span)  # type: ignore[arg-type]
                for block in self.net.blocks
            ]
        return self.biases[step]

    def _with_room(self, rows: Tensor, room: int) -> Self:
        layers = []
        for memory in self.layers:
            copies = []
            for x in memory:
                buffer = x.new_empty(len(rows), x.shape[1], room, x.shape[3])
                buffer[:, :, : self.length] = x[rows, :, : self.length]
                copies.append(buffer)
            layers.append(KeyValue(*copies))
        return replace(self, layers=tuple(layers))


def _bias(attention: Attention, distance: Tensor, span: int | None) -> Tensor:
    """(1, heads, 1, tokens) of tokens at distances (tokens,)."""
    assert attention.distance_bias is not None
    assert span is not None
    bias = attention.distance_bias[:, distance.clamp(max=span)]
    return bias.masked_fill(distance > span, -torch.inf)[None, :, None]
