"""Beam search over codes that a prior proposes and a model turns into what can be judged.

Beams of one episode lie together, and are compared with each other only.
"""

import math
from collections.abc import Callable
from typing import Protocol, Self, TypeVar

import torch
from torch import Tensor

from pipeline.nn.beam_search import Rows


def gumbel(noise: Tensor) -> Tensor:
    """Draws from N(0, 1) as draws from a Gumbel distribution: added to log p, the n largest are n
    draws from p without replacement (Kool et al. 2019, arXiv 1903.06059).
    """
    smallest = torch.finfo(noise.dtype).tiny
    below = torch.special.ndtr(noise).clamp(smallest, 1 - torch.finfo(noise.dtype).eps / 2)
    drawn: Tensor = -(-below.log()).log()
    return drawn


class Plans(Rows, Protocol):
    """Partial plans, a row each."""

    def propose(self) -> tuple[Tensor, Self]:
        """Logits (rows, K) of the next code, and the plans that `append` is asked of."""
        ...

    def append(self, codes: Tensor) -> Self:
        """The plans with a code (rows,) more."""
        ...


Found = TypeVar("Found", bound=Plans)


def latent_search(
    start: Found,
    worth: Callable[[Found], Tensor],
    noise: Tensor,
    *,
    beams: int,
    expand: int,
    threshold: float,
    support_weight: float,
) -> Found:
    """The best plan of each episode, one row each.

    `start` has an empty plan per episode, and `worth` says what plans are worth, (rows,). `noise`
    (E, M, beams, K) is Gumbel's, times a temperature: 0 takes the most probable codes. The first
    code has `beams · expand` candidates, every later one `expand` of each beam; the best `beams` go
    on, by worth + support_weight · Σ_m min(log p_m, log threshold): no code that is improbable is
    made good by others.
    """
    episodes, steps, _, size = noise.shape
    plans, support = start, noise.new_zeros(episodes, 1)
    for step in range(steps):
        count = support.shape[1]
        logits, plans = plans.propose()
        log_p = logits.log_softmax(dim=-1).view(episodes, count, size)
        candidates = min(size, expand if step else beams * expand)
        chosen = (log_p + noise[:, step, :count]).topk(candidates, dim=-1).indices  # (E, b, n)
        likely = log_p.gather(-1, chosen).clamp(max=math.log(threshold))
        support = (support[..., None] + likely).flatten(1)  # (E, b · n)
        rows = torch.arange(episodes * count, device=noise.device)
        plans = plans.select(rows.repeat_interleave(candidates)).append(chosen.flatten())
        total = worth(plans).view_as(support) + support_weight * support
        kept = min(1 if step == steps - 1 else beams, total.shape[1])
        best = total.topk(kept, dim=1).indices
        support = support.gather(1, best)
        first = torch.arange(episodes, device=noise.device)[:, None] * total.shape[1]
        plans = plans.select((first + best).flatten())
    return plans
