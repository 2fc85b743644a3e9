"""Means over steps that are real, and choices that are allowed."""

from torch import Tensor

from pipeline.hardware import distributed

FORBIDDEN = -1e9
"""The logit of what may not be chosen."""


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of `values` over the entries where `mask` is True; 0 if there is none. Padding has no
    weight.

    Of a batch that processes share: the shares' mean of this is the whole batch's.
    """
    count = distributed.mean(mask.sum()).clamp(min=1 / distributed.processes())
    return (values * mask).sum() / count


def only_allowed(logits: Tensor, allowed: Tensor) -> Tensor:
    """Logits (…, choices) with no weight where `allowed`, which broadcasts to them, is False; they
    stay finite, so that padding may hold a forbidden choice.
    """
    return logits.masked_fill(~allowed, FORBIDDEN)
