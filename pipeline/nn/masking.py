"""Means over steps that are real."""

from torch import Tensor

from pipeline.hardware import distributed


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of `values` over the entries where `mask` is True; 0 if there is none. Padding has no
    weight.

    Of a batch that processes share: the shares' mean of this is the whole batch's.
    """
    count = distributed.mean(mask.sum()).clamp(min=1 / distributed.processes())
    return (values * mask).sum() / count
