"""Returns over several steps, from windows that look ahead: the start of every value target."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.observations.batch import Batch


@dataclass(frozen=True)
class NStep:
    """What a context's steps (B, K) are worth by their next rewards and what follows these:
    rewards + discounts · V(s_next).
    """

    rewards: Tensor
    """(B, K) float32: Σ_{k<h} γ^k r_{t+k}."""
    discounts: Tensor
    """(B, K) float32: γ^h, and 0 where the episode ended by itself within the h steps."""
    next: Tensor
    """(B, K) int64: where s_{t+h} is among the window's S steps; any step where the discount is
    0.
    """
    mask: Tensor
    """(B, K) bool: the step is real, and something real follows it or it is an end."""

    def after(self, observed: Tensor) -> Tensor:
        """s_{t+h} of what was observed (B, S, …): (B, K, …)."""
        return observed[torch.arange(len(observed), device=observed.device)[:, None], self.next]


def n_step(batch: Batch, n: int, discount: float, rewards: Tensor | None = None) -> NStep:
    """The next `n` rewards of each step of the context, or as many as its episode still has.

    Where the episode ends by itself nothing follows. Where it is cut its last observation is what
    follows, so the horizon h is shorter and the cut episode's last step carries no loss. `rewards`
    (B, S) take the place of the batch's, which are as they were paid. The batch looks at least `n`
    steps ahead; ValueError if not.
    """
    if not 1 <= n <= batch.ahead:
        raise ValueError(f"{n} steps of a batch that looks {batch.ahead} ahead")
    paid = batch.rewards if rewards is None else rewards
    first, count = batch.context.start, batch.mask.shape[1] - batch.ahead - batch.memory
    counts = batch.mask[:, first : first + count]  # r_{t+k} belongs to the sum, (B, K)
    ended = torch.zeros_like(counts)
    total, length = torch.zeros_like(paid[:, batch.context]), torch.zeros_like(counts).long()
    for k in range(n):
        now, then = (slice(first + k + after, first + k + after + count) for after in (0, 1))
        ends = batch.terminal[:, now]
        counts = counts & ~ended & batch.mask[:, now] & (ends | batch.mask[:, then])
        total = total + discount**k * paid[:, now] * counts
        length = length + counts
        ended = ended | (counts & ends)
    steps = first + torch.arange(count, device=length.device)
    discounts = (discount ** length.to(total.dtype)) * ~ended
    last = batch.mask.shape[1] - 1
    return NStep(total, discounts, (steps + length).clamp(max=last), length > 0)


def n_step_inside(batch: Batch, n: int, discount: float, rewards: Tensor) -> NStep:
    """The same of windows that do not look ahead: the horizon is at most as long as the rest of the
    window, whose last step has a target only where the episode ends with it.
    """
    mask, terminal, paid = (
        functional.pad(x, (0, n)) for x in (batch.mask, batch.terminal, rewards)
    )
    wider = replace(batch, mask=mask, terminal=terminal, rewards=paid, ahead=n)
    told = n_step(wider, n, discount)
    return replace(told, next=told.next.clamp(max=batch.mask.shape[1] - 1))


def sums_ahead(batch: Batch, paid: Tensor, n: int, discount: float) -> tuple[Tensor, Tensor]:
    """Σ_{k<n} γ^k of what is `paid` (B, S) from each step on that the window has n of: (B, S − n +
    1), and (B, S − n + 1) bool, whether it is known.

    It is not known where the episode was cut within the n steps; after an end nothing is paid.
    """
    weights = discount ** torch.arange(n, dtype=paid.dtype, device=paid.device)
    real = batch.mask.unfold(1, n, 1)  # (B, S − n + 1, n)
    ended = batch.terminal.unfold(1, n, 1).any(dim=-1)
    with torch.autocast(paid.device.type, enabled=False):  # a target is as exact as the rewards
        sums = (paid * batch.mask).unfold(1, n, 1) @ weights
    return sums, real[..., 0] & (real[..., -1] | ended)
