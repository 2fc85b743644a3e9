"""Cross-entropy of bins that have an order, so that a near miss costs less than a far one.

HL-Gauss (Imani and White 2018, arXiv 1806.04613): the target is not one bin but a normal density
around it. With few data one-hot targets teach every bin on its own; what is known of its neighbours
is not used.
"""

import torch
from torch import Tensor
from torch.nn import functional


def histogram_loss(logits: Tensor, bins: Tensor, width: float, ordered: int) -> Tensor:
    """−Σ_j p_j log softmax(logits)_j with p_j ∝ exp(−½ ((j − bin) / width)²): (…) from logits (…,
    N) and int64 `bins` (…).

    Only the first `ordered` bins have neighbours; each of the others is a target of its own. A
    `width` of 0 is the plain cross-entropy.
    """
    if width == 0:
        flat = functional.cross_entropy(logits.flatten(0, -2), bins.flatten(), reduction="none")
        return flat.view(bins.shape)
    targets = _targets(logits.shape[-1], width, ordered).to(logits.device)
    return -(targets[bins] * logits.log_softmax(dim=-1)).sum(dim=-1)


def _targets(count: int, width: float, ordered: int) -> Tensor:
    """(count, count): of each bin the p that it is taught by."""
    place = torch.arange(ordered, dtype=torch.float32)
    distance = (place[:, None] - place) / width
    targets = torch.eye(count)
    targets[:ordered, :ordered] = (-0.5 * distance**2).softmax(dim=-1)
    return targets
