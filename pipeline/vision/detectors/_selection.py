"""Which boxes stay (LXMERT's way of using its detector): each proposal's best class, then
non-maximum suppression over all classes, as strict as leaves enough.
"""

from collections.abc import Callable

import torch
from torch import Tensor

THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Overlaps (intersection over union) above which the less certain of two boxes goes."""


def select(
    boxes: Tensor, scores: Tensor, count: int, suppress: Callable[[Tensor, Tensor, float], Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """The regions of one image: rows of the proposals, their boxes, their classes; at most `count`.

    The lowest threshold that leaves `count` is taken; where none does, as on a blank frame, whose
    proposals all end in the same place, what the highest leaves.

    Args:
        boxes: (R, C, 4), for each class the proposal's box after regression.
        scores: (R, C), without background.
        count: N.
        suppress: non-maximum suppression of boxes (R, 4) with scores (R,) at a threshold: the rows
            that stay, best first.
    """
    best, classes = scores.max(dim=1)
    own = boxes[torch.arange(len(boxes), device=boxes.device), classes]  # (R, 4)
    kept = torch.empty(0, dtype=torch.int64, device=boxes.device)
    for threshold in THRESHOLDS:
        kept = suppress(own, best, threshold)[:count]
        if len(kept) == count:
            break
    return kept, own[kept], classes[kept]
