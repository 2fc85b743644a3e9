"""Plans of codes, one code after another: what has been decoded and what is remembered of it, so
that a further code costs one step of the prior and L of the decoder, however long a plan is.
"""

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from pipeline.nn.kv_cache import KVCache, join
from pipeline.nn.trajectory_codes import CodePrior, TrajectoryAutoencoder


@dataclass(frozen=True)
class CodePlans:
    """R partial plans of m codes. What they hold equals a pass over whole plans."""

    prior: CodePrior
    model: TrajectoryAutoencoder
    first: Tensor
    """(R, D): the state that a plan begins with."""
    last: Tensor
    """(R,) int64: the newest code; before the first one of no meaning."""
    decoded: Tensor
    """(R, m · L, D + A + R): what the codes stand for."""
    proposed: KVCache | None = None
    """The prior's, of all codes but the newest."""
    imagined: KVCache | None = None
    """The decoder's, of all steps."""

    @classmethod
    def begin(cls, prior: CodePrior, model: TrajectoryAutoencoder, first: Tensor) -> Self:
        """Empty plans from `first` (R, D)."""
        none = first.new_zeros(len(first), dtype=torch.int64)
        return cls(prior, model, first, none, first.new_zeros(len(first), 0, sum(model.parts)))

    def select(self, rows: Tensor) -> Self:
        """The rows `rows`."""
        names = "first", "last", "decoded"
        own = {name: getattr(self, name).index_select(0, rows) for name in names}
        return replace(
            self,
            proposed=self.proposed and self.proposed.select(rows),
            imagined=self.imagined and self.imagined.select(rows),
            **own,
        )

    def propose(self) -> tuple[Tensor, Self]:
        """Logits (R, K) of the next code, and the plans with what the prior read for it."""
        logits, own = self.prior.next(self.last, self.first, self.proposed)
        return logits, replace(self, proposed=_joined(self.proposed, own))

    def append(self, codes: Tensor) -> Self:
        """The plans with a code (R,) more, which was proposed."""
        vectors = self.model.codebook.codes[codes][:, None]
        steps, own = self.model.decode_on(vectors, self.first, self.imagined)
        decoded = torch.cat((self.decoded, steps), dim=1)
        return replace(self, last=codes, decoded=decoded, imagined=_joined(self.imagined, own))


def _joined(past: KVCache | None, own: KVCache) -> KVCache:
    return own if past is None else join(past, own)


CANDIDATES = 64
"""Codes that are tried for given actions."""


def follow_actions(
    prior: CodePrior, model: TrajectoryAutoencoder, first: Tensor, actions: Tensor
) -> Tensor:
    """A window (B, W, D + A + R) from `first` (B, D) on. Its codes are found one after another: of
    the CANDIDATES that are most probable that whose actions are nearest to `actions` (B, W or
    fewer, A), and beyond these the most probable one.
    """
    plans, batch = CodePlans.begin(prior, model, first), len(first)
    states, count, _ = model.parts
    for begin in range(0, model.places.shape[1], model.per_code):
        logits, plans = plans.propose()
        tried = logits.topk(min(CANDIDATES, logits.shape[-1]), dim=-1).indices  # (B, n)
        rows = torch.arange(batch, device=first.device)
        tries = plans.select(rows.repeat_interleave(tried.shape[1])).append(tried.flatten())
        goal = actions[:, None, begin : begin + model.per_code]
        taken = tries.decoded[:, begin : begin + goal.shape[2], states : states + count]
        error = (taken.reshape(*tried.shape, -1) - goal.flatten(2)).square().sum(dim=-1)  # (B, n)
        plans = tries.select(rows * tried.shape[1] + error.argmin(dim=1))
    return plans.decoded
