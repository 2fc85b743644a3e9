"""Steps that are real, means over them, and choices that are allowed."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

from pipeline.hardware import distributed

FORBIDDEN = -1e9
"""The logit of what may not be chosen."""

Counted = list[tuple[Tensor, Tensor]]
"""Means, and of how many entries each is."""
_counted: ContextVar[Counted | None] = ContextVar("_counted", default=None)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of `values` over the entries where `mask` is True; 0 if there is none. Padding has no
    weight, and need not be finite.

    Of a batch that processes share: the shares' mean of this is the whole batch's.
    """
    entries = mask.sum()
    count = distributed.mean(entries).clamp(min=1 / distributed.processes())
    mean = torch.where(mask, values, 0.0).sum() / count
    if (counted := _counted.get()) is not None:
        counted.append((mean, entries))
    return mean


@contextmanager
def counting() -> Iterator[Counted]:
    """Inside the block every `masked_mean` is kept with the number of its entries, so that means of
    several batches can be put together: a batch without an entry has a mean of 0, which says
    nothing.
    """
    counted: Counted = []
    token = _counted.set(counted)
    try:
        yield counted
    finally:
        _counted.reset(token)


def weighted_loss(
    errors: Mapping[str, tuple[Tensor, Tensor]], weights: Mapping[str, float]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Σ weight · mean over the parts of a loss, and the means: of each part's name there are its
    errors, which of them count, and its weight.
    """
    means = {name: masked_mean(*each) for name, each in errors.items()}
    return torch.stack([weights[name] * mean for name, mean in means.items()]).sum(), means


def first_real(mask: Tensor) -> Tensor:
    """(B, S) bool: True at the first of each window's steps that is real by `mask` (B, S)."""
    return mask & (mask.cumsum(dim=1) == 1)


def only_allowed(logits: Tensor, allowed: Tensor) -> Tensor:
    """Logits (B, …, choices) with no weight where `allowed` (B, choices) is False.

    They stay finite, so that padding may hold a forbidden choice.
    """
    between = [1] * (logits.dim() - 2)
    return logits.masked_fill(~allowed.view(len(allowed), *between, -1), FORBIDDEN)
