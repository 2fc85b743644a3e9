"""Steps that are real, means over them, and choices that are allowed."""

from collections.abc import Mapping

import torch
from torch import Tensor

from pipeline.hardware import distributed

FORBIDDEN = -1e9
"""The logit of what may not be chosen."""


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of `values` over the entries where `mask` is True; 0 if there is none. Padding has no
    weight, and need not be finite.

    Of a batch that processes share: the shares' mean of this is the whole batch's.
    """
    count = distributed.mean(mask.sum()).clamp(min=1 / distributed.processes())
    return torch.where(mask, values, 0.0).sum() / count


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
