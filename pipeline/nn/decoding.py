"""Token by token through a `Transformer`, for many continuations of one beginning.

The beginning is computed once per episode; its keys and values are copied to every row that goes
on from it. Rows have buffers of the steps that can still be seen, into which tokens are written.
The hidden states are those of a pass over the whole sequence.

An update of a few rows is a matter of overhead, so weights are taken out of their modules once, and
attention of one query to few keys is two batched products, which takes half the time that
`scaled_dot_product_attention` does.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.nn.kv_cache import Positions
from pipeline.nn.transformer import Block, Transformer

AHEAD = 2
"""Steps that a buffer has room for beyond what has been written."""


class Layer(NamedTuple):
    """What a block computes with: weight and bias of each part, and keys and values."""

    attention_norm: tuple[Tensor, Tensor]
    input: tuple[Tensor, Tensor]
    output: tuple[Tensor, Tensor]
    feedforward_norm: tuple[Tensor, Tensor]
    wide: tuple[Tensor, Tensor]
    narrow: tuple[Tensor, Tensor]
    activation: nn.Module
    by_distance: Tensor
    """(heads, (span + 1) · tokens per step): what is added to scores, from the first step that is
    seen on.
    """
    bias: Tensor
    """(rows · heads, 1, …): the same of every row."""
    memory: Tensor
    """(2, rows, heads, room, width / heads): keys and values."""


@dataclass(frozen=True)
class Decoding:
    """Rows of equally many tokens, each with keys and values of its own."""

    net: Transformer
    """With biases by distance, and without conditioning."""
    tokens_per_step: int
    layers: tuple[Layer, ...]
    length: int
    """Tokens so far."""
    first: int = 0
    """That which the buffers begin with; those before it are out of sight."""

    @classmethod
    def begin(cls, net: Transformer, x: Tensor, tokens_per_step: int) -> tuple[Tensor, Self]:
        """The hidden state of the last token, (rows, width), of sequences `x` (rows, tokens, width)
        that begin with a step.
        """
        rows, length, _ = x.shape
        order = torch.arange(length)
        hidden, cache = net(x, Positions(order, order // tokens_per_step))
        layers = tuple(
            _layer(block, tokens_per_step, torch.stack(memory))  # type: ignore[arg-type]
            for block, memory in zip(net.blocks, cache.layers, strict=True)
        )
        state = cls(net, tokens_per_step, layers, length)
        return hidden[:, -1], state.select(torch.arange(rows, device=x.device))

    def select(self, rows: Tensor) -> Self:
        """The rows `rows`, each with buffers of its own."""
        begun = self._seen_from
        seen = slice(begun - self.first, self.length - self.first)
        room, layers = self.length - begun + AHEAD * self.tokens_per_step, []
        for each in self.layers:
            two, _, heads, _, size = each.memory.shape
            memory = each.memory.new_empty(two, len(rows), heads, room, size)
            memory[:, :, :, : seen.stop - seen.start] = each.memory[:, rows, :, seen]
            bias = each.by_distance.repeat(len(rows), 1)[:, None]
            layers.append(each._replace(memory=memory, bias=bias))
        return replace(self, layers=tuple(layers), first=begun)

    def feed(self, x: Tensor) -> tuple[Tensor, Self]:
        """One more token of each row, (rows, width): its hidden state, and the rows with it.

        Writes into the buffers, so that what is fed twice must be selected twice.
        """
        place, count = self.length - self.first, len(x)
        if place == self.layers[0].memory.shape[3]:
            return self.select(torch.arange(count, device=x.device)).feed(x)
        seen = slice(self._seen_from - self.first, place + 1)
        for of in self.layers:
            h = torch.layer_norm(x, x.shape[-1:], *of.attention_norm)
            _, _, heads, _, size = of.memory.shape
            projected = functional.linear(h, *of.input).view(count, 3, heads, size)
            of.memory[:, :, :, place] = projected[:, 1:].transpose(0, 1)
            key, value = of.memory.flatten(1, 2)[:, :, seen]  # (rows · heads, tokens, size)
            bias = of.bias[..., self._nearest(seen.stop - seen.start)]
            query = projected[:, 0].reshape(-1, 1, size)
            scores = torch.baddbmm(bias, query, key.transpose(1, 2), alpha=size**-0.5)
            mixed = torch.bmm(scores.softmax(dim=-1), value)  # (rows · heads, 1, size)
            x = x + functional.linear(mixed.view(x.shape), *of.output)
            h = torch.layer_norm(x, x.shape[-1:], *of.feedforward_norm)
            h = of.activation(functional.linear(h, *of.wide))
            x = x + functional.linear(h, *of.narrow)
        return self.net.norm(x), replace(self, length=self.length + 1)

    @property
    def _seen_from(self) -> int:
        """The first token that the next one sees."""
        assert self.net.attention_span is not None
        step = self.length // self.tokens_per_step
        return max(0, step - self.net.attention_span) * self.tokens_per_step

    def _nearest(self, count: int) -> slice:
        """Which of the biases by distance are those of the `count` tokens that the next one sees,
        itself among them.
        """
        assert self.net.attention_span is not None
        whole = self.net.attention_span * self.tokens_per_step
        begun = whole + self._seen_from - self.length // self.tokens_per_step * self.tokens_per_step
        return slice(begun, begun + count)


def _layer(block: Block, tokens_per_step: int, memory: Tensor) -> Layer:
    """Of a block with biases by distance; of its feed-forward network dropout is left out."""
    attention, (wide, activation, narrow, _) = block.attention, block.feedforward
    assert attention.distance_bias is not None
    by_distance = attention.distance_bias.flip(1).repeat_interleave(tokens_per_step, dim=1)
    return Layer(
        _affine(block.attention_norm),
        _affine(attention.input),
        _affine(attention.output),
        _affine(block.feedforward_norm),
        _affine(wide),
        _affine(narrow),
        activation,
        by_distance,
        by_distance,
        memory,
    )


def _affine(module: nn.Module) -> tuple[Tensor, Tensor]:
    """Weight and bias."""
    weight, bias = module.weight, module.bias
    assert isinstance(weight, Tensor)
    assert isinstance(bias, Tensor)
    return weight, bias
