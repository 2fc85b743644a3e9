"""Trajectories as a few codes (TAP; Jiang et al. 2023, arXiv 2208.10291): an autoencoder whose
codes stand for L steps each, and what is said of the next code.

A step is [state, action, the rest], D + A + R numbers, of which actions lie within ±1. The first
state is known, so codes say what happens from there on. Codes come in the order of time: a
trajectory's first steps do not depend on later codes.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from pipeline.nn.codebook import Codebook, Quantised
from pipeline.nn.kv_cache import KVCache, Positions
from pipeline.nn.transformer import Transformer, TransformerShape


class Steps(NamedTuple):
    """W steps of B windows: numbers are [state, action, reward, value, whether it has ended]."""

    x: Tensor
    """(B, W, D + A + 3), standardised; zeros after the end, but that it has ended."""
    known: Tensor
    """(B, W, D + A + 3) bool: what was recorded. After an end only that it has ended is."""

    @property
    def whole(self) -> Tensor:
        """(B, W) bool: it is known at least whether the episode has ended."""
        return self.known[..., -1]


class TrajectoryAutoencoder(nn.Module):
    """Windows of W steps to W / L codes, and back."""

    def __init__(
        self,
        shape: TransformerShape,
        numbers: tuple[int, int, int],
        steps: int,
        per_code: int,
        codebook: Codebook,
    ) -> None:
        """`numbers`: D, A and R; `steps` W, a multiple of `per_code` L."""
        super().__init__()
        self.parts, total, width = numbers, sum(numbers), shape.width
        self.per_code, self.codebook = per_code, codebook
        code = codebook.codes.shape[1]
        self.read = nn.Linear(total, width)
        self.encoder = Transformer(shape, None)
        self.to_code = nn.Linear(width, code)
        self.from_code = nn.Linear(code + numbers[0], width)
        self.decoder = Transformer(shape, None)
        self.write = nn.Linear(width, total)
        self.places = nn.Parameter(0.1 * torch.randn(2, steps, width))  # of encoder and decoder

    def encode(self, x: Tensor) -> Tensor:
        """(B, W, D + A + R) → the largest of every L hidden vectors, (B, W / L, d)."""
        steps = Positions.of_steps(0, x.shape[1], 1)
        hidden, _ = self.encoder(self.read(x) + self.places[0], steps)
        grouped = hidden.view(len(x), -1, self.per_code, hidden.shape[-1])
        vectors: Tensor = self.to_code(grouped.amax(dim=2))
        return vectors.float()

    def quantise(self, x: Tensor) -> tuple[Tensor, Quantised]:
        """What windows are encoded to, and the codes next to it."""
        vectors = self.encode(x)
        return vectors, self.codebook(vectors)

    def decode(self, codes: Tensor, first: Tensor) -> Tensor:
        """Codes (B, M, d) and the first state (B, D) → (B, M · L, D + A + R). Of states it is
        written what they differ by from the first. Actions are squashed by tanh, since many are at
        their bounds.
        """
        return self.decode_on(codes, first, None)[0]

    def decode_on(
        self, codes: Tensor, first: Tensor, past: KVCache | None
    ) -> tuple[Tensor, KVCache]:
        """What `codes` stand for after those whose keys and values are `past`, and theirs."""
        seen = first[:, None].expand(-1, codes.shape[1], -1)
        told = self.from_code(torch.cat((codes, seen), dim=-1))
        told = told.repeat_interleave(self.per_code, dim=1)
        where = _following(past, told.shape[1])
        hidden, own = self.decoder(told + self.places[1, where.order], where, past=past)
        change, actions, rest = self.write(hidden).float().split(self.parts, dim=-1)
        return torch.cat((first[:, None] + change, actions.tanh(), rest), dim=-1), own

    def imagine(self, index: Tensor, first: Tensor) -> Tensor:
        """What codes (B, M) int64 stand for; see `decode`."""
        return self.decode(self.codebook.codes[index], first)


class CodePrior(nn.Module):
    """p(z_m | z_1 … z_{m−1}, s_1)."""

    def __init__(self, shape: TransformerShape, states: int, codes: int, count: int) -> None:
        """Of `codes` K, `count` one after the other."""
        super().__init__()
        self.embed = nn.Embedding(codes, shape.width)
        self.seen = nn.Linear(states, shape.width)
        self.trunk = Transformer(shape, None)
        self.output = nn.Linear(shape.width, codes)
        self.places = nn.Parameter(0.1 * torch.randn(count, shape.width))

    def forward(self, index: Tensor, first: Tensor) -> Tensor:
        """Codes (B, m) int64 and the first state (B, D) → logits of each of them and of the next
        one, (B, m + 1, K).
        """
        before = nn.functional.pad(self.embed(index), (0, 0, 1, 0))  # nothing precedes the first
        return self._after(before, first, None)[0]

    def next(self, index: Tensor, first: Tensor, past: KVCache | None) -> tuple[Tensor, KVCache]:
        """Logits (B, K) of the code after `index` (B,), before which stand those whose keys and
        values are `past`; and its own. Where there are none `index` is not read.
        """
        before = self.embed(index)[:, None]
        logits, own = self._after(before if past else torch.zeros_like(before), first, past)
        return logits[:, 0], own

    def _after(self, before: Tensor, first: Tensor, past: KVCache | None) -> tuple[Tensor, KVCache]:
        where = _following(past, before.shape[1])
        told = before + self.seen(first)[:, None] + self.places[where.order]
        hidden, own = self.trunk(told, where, past=past)
        return self.output(hidden).float(), own


def _following(past: KVCache | None, count: int) -> Positions:
    """The places of `count` more steps."""
    return Positions.of_steps(len(past.positions.order) if past else 0, count, 1)
