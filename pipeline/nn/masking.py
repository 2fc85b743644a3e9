"""Steps that are real, means over them, and actions that a game has."""

import torch
from torch import Tensor

from pipeline.hardware import distributed


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of `values` over the entries where `mask` is True; 0 if there is none. Padding has no
    weight.

    Of a batch that processes share: the shares' mean of this is the whole batch's.
    """
    count = distributed.mean(mask.sum()).clamp(min=1 / distributed.processes())
    return (values * mask).sum() / count


def first_real(mask: Tensor) -> Tensor:
    """(B, S) bool: True at the first of each window's steps that is real by `mask` (B, S)."""
    return mask & (mask.cumsum(dim=1) == 1)


def only(logits: Tensor, allowed: Tensor) -> Tensor:
    """Logits (B, …, actions) without what is not `allowed` (B, actions), which becomes −∞."""
    between = [1] * (logits.dim() - 2)
    return logits.masked_fill(~allowed.view(len(allowed), *between, -1), -torch.inf)
