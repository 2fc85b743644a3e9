"""What a transformer remembers of earlier steps: positions, keys and values, and which of them a
token may attend to.

The same memory serves training, where it is the M steps before a window, and acting, where it is
the rolling cache (after MeMViT, Wu et al. 2022). Steps are banded: a token of step t attends to the
tokens of the last `attention_span` steps and its own that do not come after it. A training window
of M + K steps and step-by-step acting therefore see the same span, however long an episode lasts.
"""

from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from torch import Tensor


class Positions(NamedTuple):
    """Where tokens stand: order in the episode, and the step each belongs to; the same for a whole
    batch. On the processor, wherever the tokens are.
    """

    order: Tensor
    """(tokens,) int64, not decreasing. Tokens of one order attend to each other, as the pieces of a
    picture do.
    """
    step: Tensor
    """(tokens,) int64, not decreasing."""

    @classmethod
    def of_steps(cls, first: int, steps: int, tokens_per_step: int) -> Self:
        """Positions of all tokens of `steps` consecutive steps that begin with step `first`."""
        order = torch.arange(first * tokens_per_step, (first + steps) * tokens_per_step)
        return cls(order, order // tokens_per_step)

    def slice(self, start: int, stop: int | None) -> "Positions":
        """The tokens `start` … `stop`."""
        return Positions(self.order[start:stop], self.step[start:stop])


class KeyValue(NamedTuple):
    """Keys and values of one layer, each (batch, heads, tokens, width / heads)."""

    key: Tensor
    value: Tensor


@dataclass(frozen=True)
class KVCache:
    """Keys and values of all layers for earlier tokens of the same episodes: training's memory and
    acting's cache.
    """

    layers: tuple[KeyValue, ...]
    positions: Positions
    padding_mask: Tensor
    """(batch, tokens) bool: True where the token is real."""

    def select(self, rows: Tensor) -> "KVCache":
        """Keep only the episodes `rows`."""
        rows = rows.to(self.padding_mask.device)  # index_select: half the time of indexing
        layers = tuple(
            KeyValue(key.index_select(0, rows), value.index_select(0, rows))
            for key, value in self.layers
        )
        return KVCache(layers, self.positions, self.padding_mask.index_select(0, rows))

    def since(self, step: int) -> "KVCache":
        """Forget tokens of steps before `step`."""
        start = int((self.positions.step < step).sum())
        if start == 0:
            return self
        # Copied, so that the forgotten part's storage is freed.
        layers = tuple(
            KeyValue(key[:, :, start:].clone(), value[:, :, start:].clone())
            for key, value in self.layers
        )
        return KVCache(layers, self.positions.slice(start, None), self.padding_mask[:, start:])


def distances(queries: Positions, keys: Positions, attention_span: int | None) -> Tensor:
    """How many steps each key lies before each query, at most the span: (queries, keys) int64."""
    return (queries.step[:, None] - keys.step[None, :]).clamp(0, attention_span)


def band_mask(
    queries: Positions, keys: Positions, padding_mask: Tensor, attention_span: int | None
) -> Tensor:
    """What each query may attend to: real tokens of the last `attention_span` steps and its own,
    none that comes later; all earlier ones where the span is None.

    `padding_mask` (batch, keys) bool, True: real; returns (batch, 1, queries, keys) bool. A token
    always sees itself and those of its order, so that padding gives finite (unused) numbers instead
    of an empty softmax.
    """
    order = queries.order[:, None] - keys.order[None, :]  # (queries, keys)
    allowed = order >= 0
    if attention_span is not None:
        allowed &= queries.step[:, None] - keys.step[None, :] <= attention_span
    device = padding_mask.device
    allowed, own = allowed.to(device), (order == 0).to(device)
    return ((allowed & padding_mask[:, None, :]) | own)[:, None]  # (batch, 1, queries, keys)


def join(earlier: KVCache, later: KVCache) -> KVCache:
    """The memory of `earlier` tokens followed by `later` ones."""
    layers = tuple(
        KeyValue(torch.cat((old.key, new.key), dim=2), torch.cat((old.value, new.value), dim=2))
        for old, new in zip(earlier.layers, later.layers, strict=True)
    )
    positions = Positions(
        torch.cat((earlier.positions.order, later.positions.order)),
        torch.cat((earlier.positions.step, later.positions.step)),
    )
    return KVCache(layers, positions, torch.cat((earlier.padding_mask, later.padding_mask), dim=1))


@dataclass(frozen=True)
class TransformerState:
    """What a transformer carries while acting, for episodes that have all seen `step` steps."""

    step: int = 0
    cache: KVCache | None = None

    def select(self, rows: Tensor) -> "TransformerState":
        """Keep only the episodes `rows` (int64 indices)."""
        return TransformerState(self.step, None if self.cache is None else self.cache.select(rows))
