"""Token by token through a `Transformer`, for many continuations of one beginning.

The beginning is computed once per episode; its keys and values are copied to every row that goes
on from it. Rows have buffers of the steps that can still be seen, into which tokens are written.
The hidden states are those of a pass over the whole sequence.

An update of a few rows is a matter of overhead: weights are taken out of their modules once, views
of buffers once per selection. Attention of one query to few keys is two batched products, which
take half the time that `scaled_dot_product_attention` does.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from pipeline.nn.kv_cache import KVCache, Positions
from pipeline.nn.transformer import Block, Transformer

AHEAD = 1
"""Steps that a buffer has room for beyond what has been written."""


class Affine(NamedTuple):
    """b + h W, in the order of `addmm`."""

    bias: Tensor
    weight: Tensor
    """(in, out)."""


class Weights(NamedTuple):
    """What a block computes with."""

    attention_norm: tuple[Tensor, Tensor]
    """Gain and bias."""
    input: Affine
    output: Affine
    feedforward_norm: tuple[Tensor, Tensor]
    wide: Affine
    narrow: Affine
    activation: Callable[[Tensor], Tensor]


class Buffers(NamedTuple):
    """A layer's queries, keys and values: four views of the same memory."""

    slots: Tensor
    """(rows, 3, heads, room, size): where a token is written."""
    query: Tensor
    """(rows · heads, room, size)."""
    key: Tensor
    """(rows · heads, size, room)."""
    value: Tensor
    """(rows · heads, room, size)."""

    @classmethod
    def of(cls, memory: Tensor) -> Self:
        """Of `memory` (rows, heads, 3, room, size), where a batch of rows and heads is one view."""
        query, key, value = memory.flatten(0, 1).unbind(1)
        return cls(memory.transpose(1, 2), query, key.transpose(1, 2), value)


@dataclass(frozen=True)
class Decoding:
    """Rows of equally many tokens, each with keys and values of its own."""

    net: Transformer
    """Without conditioning."""
    tokens_per_step: int
    span: int
    """Steps that a token sees before its own."""
    weights: tuple[Weights, ...]
    by_distance: Tensor
    """(layers, heads, (span + 1) · tokens per step): what is added to scores, from the first step
    that is seen on.
    """
    memory: Tensor
    """(layers, rows, heads, 3, room, width / heads): queries, keys and values. Earlier queries are
    of no use, but to write all three at once is one copy less.
    """
    buffers: tuple[Buffers, ...]
    biases: tuple[Tensor, ...]
    """Of each layer `by_distance` for every row, (rows · heads, 1, …)."""
    length: int
    """Tokens so far."""
    first: int
    """That which the buffers begin with; those before it are out of sight."""

    @classmethod
    @torch.no_grad()
    def begin(cls, net: Transformer, x: Tensor, tokens_per_step: int) -> tuple[Tensor, Self]:
        """The hidden state of the last token, (rows, width), of sequences `x` (rows, tokens, width)
        that begin with a step. Without gradients.
        """
        order = torch.arange(x.shape[1])
        hidden, cache = net(x, Positions(order, order // tokens_per_step))
        return hidden[:, -1], cls.after(net, cache, tokens_per_step)

    @classmethod
    @torch.no_grad()
    def after(cls, net: Transformer, cache: KVCache, tokens_per_step: int) -> Self:
        """What goes on from a cache of real tokens, of which the first begins a step."""
        assert net.attention_span is not None
        first, length = (int(cache.positions.order[i]) for i in (0, -1))
        by_distance = torch.stack(
            [_by_distance(each, net.attention_span) for each in net.blocks]  # type: ignore[arg-type]
        )
        weights = tuple(_weights(each) for each in net.blocks)  # type: ignore[arg-type]
        fixed = net, tokens_per_step, net.attention_span, weights
        biases = by_distance.repeat_interleave(tokens_per_step, dim=2)
        return cls(*fixed, biases, _memory(cache), (), (), length + 1, first)

    def select(self, rows: Tensor) -> Self:
        """The rows `rows`, each with buffers of its own."""
        begun, count = self._seen_from, len(rows)
        kept = self.length - begun
        layers, _, heads, _, _, size = self.memory.shape
        room = kept + AHEAD * self.tokens_per_step
        memory = self.memory.new_empty(layers, count, heads, 3, room, size)
        seen = self.memory[:, :, :, 1:, begun - self.first : self.length - self.first]
        rows = rows.to(seen.device)
        torch.index_select(seen, 1, rows, out=memory[:, :, :, 1:, :kept])
        biases = self.by_distance.repeat(1, count, 1)[:, :, None].unbind()
        return self._with(memory, tuple(map(Buffers.of, memory)), biases, self.length, begun)

    def feed(self, x: Tensor) -> tuple[Tensor, Self]:
        """One more token of each row, (rows, width): its hidden state, and the rows with it.

        Writes into the buffers, so that what is fed twice must be selected twice.
        """
        place, shape = self.length - self.first, x.shape
        if not self.buffers or place == self.memory.shape[4]:
            return self.select(torch.arange(len(x), device=x.device)).feed(x)
        begun = self._seen_from
        from_, count = begun - self.first, self.length + 1 - begun
        # of the biases those of the tokens that this one sees, itself among them
        step = self.length // self.tokens_per_step
        nearest = begun - (step - self.span) * self.tokens_per_step
        _, _, heads, _, _, size = self.memory.shape
        scale, addmm, norm, width = size**-0.5, torch.addmm, torch.layer_norm, shape[-1:]
        for of, (slots, query, key, value), bias in zip(
            self.weights, self.buffers, self.biases, strict=True
        ):
            h = addmm(*of.input[:1], norm(x, width, *of.attention_norm), of.input.weight)
            slots.select(3, place).copy_(h.view(-1, 3, heads, size))
            scores = torch.baddbmm(
                bias.narrow(2, nearest, count),
                query.narrow(1, place, 1),
                key.narrow(2, from_, count),
                alpha=scale,
            )
            mixed = torch.bmm(scores.softmax(-1), value.narrow(1, from_, count))
            x = x + addmm(of.output.bias, mixed.view(shape), of.output.weight)
            h = addmm(of.wide.bias, norm(x, width, *of.feedforward_norm), of.wide.weight)
            x = x + addmm(of.narrow.bias, of.activation(h), of.narrow.weight)
        grown = self._with(self.memory, self.buffers, self.biases, self.length + 1, self.first)
        return self.net.norm(x), grown

    @property
    def _seen_from(self) -> int:
        """The first token that the next one sees."""
        return max(0, self.length // self.tokens_per_step - self.span) * self.tokens_per_step

    def _with(
        self,
        memory: Tensor,
        buffers: tuple[Buffers, ...],
        biases: tuple[Tensor, ...],
        length: int,
        first: int,
    ) -> Self:
        fixed = self.net, self.tokens_per_step, self.span, self.weights, self.by_distance
        return type(self)(*fixed, memory, buffers, biases, length, first)


def _memory(cache: KVCache) -> Tensor:
    """As `Decoding` keeps it, without further room."""
    keys, values = (torch.stack(each) for each in zip(*cache.layers, strict=True))
    return torch.stack((keys, keys, values), dim=3)  # queries are never read again


def _by_distance(block: Block, span: int) -> Tensor:
    """(heads, span + 1), the farthest first; zeros where attention has no biases."""
    bias, attention = block.attention.distance_bias, block.attention
    if bias is None:
        return attention.input.weight.new_zeros(attention.heads, span + 1)
    return bias.flip(1)


def _weights(block: Block) -> Weights:
    """Of its feed-forward network dropout is left out."""
    attention, (wide, activation, narrow, _) = block.attention, block.feedforward
    return Weights(
        _gain_and_bias(block.attention_norm),
        _affine(attention.input),
        _affine(attention.output),
        _gain_and_bias(block.feedforward_norm),
        _affine(wide),
        _affine(narrow),
        activation.forward,  # its hooks would cost as much as it does
    )


def _affine(layer: nn.Module) -> Affine:
    assert isinstance(layer, nn.Linear)
    return Affine(layer.bias, layer.weight.t())


def _gain_and_bias(layer: nn.LayerNorm) -> tuple[Tensor, Tensor]:
    return layer.weight, layer.bias
