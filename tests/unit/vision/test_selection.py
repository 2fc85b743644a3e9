"""Which boxes stay: against a loop, and where there are too few."""

import itertools

import pytest
import torch
from torch import Tensor

from pipeline.vision.detectors._selection import THRESHOLDS, select


def overlap(a: Tensor, b: Tensor) -> float:
    low, high = torch.maximum(a[:2], b[:2]), torch.minimum(a[2:], b[2:])
    shared = (high - low).clamp(min=0).prod()
    return float(shared / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - shared))


def suppress(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """Non-maximum suppression as its definition says it."""
    kept: list[int] = []
    for row in scores.argsort(descending=True).tolist():
        if all(overlap(boxes[row], boxes[other]) <= threshold for other in kept):
            kept.append(row)
    return torch.tensor(kept, dtype=torch.int64)


def drawn(rows: int = 30, classes: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    corner = torch.rand(rows, classes, 2, generator=generator) * 60
    size = 20 + torch.rand(rows, classes, 2, generator=generator) * 20
    return torch.cat([corner, corner + size], dim=-1), torch.rand(
        rows, classes, generator=generator
    )


@pytest.mark.parametrize("count", [1, 4, 8, 12, 16])
def test_the_lowest_threshold_that_leaves_enough(count: int) -> None:
    boxes, scores = drawn()
    kept, places, classes = select(boxes, scores, count, suppress)
    assert len(kept) == len(places) == len(classes) == count
    best = scores.argmax(dim=1)
    own = torch.stack([boxes[row, best[row]] for row in range(len(boxes))])
    sizes = [len(suppress(own, scores.amax(dim=1), threshold)) for threshold in THRESHOLDS]
    lowest = next(t for t, size in zip(THRESHOLDS, sizes, strict=True) if size >= count)
    assert torch.equal(kept, suppress(own, scores.amax(dim=1), lowest)[:count])
    assert torch.equal(places, own[kept])
    assert torch.equal(classes, best[kept])
    certain = scores.amax(dim=1)[kept]
    assert (certain[:-1] >= certain[1:]).all()
    for one, other in itertools.combinations(places, 2):
        assert overlap(one, other) <= lowest


def test_more_regions_need_a_higher_threshold() -> None:
    boxes, scores = drawn()
    asked: list[float] = []

    def counting(*arguments: object) -> Tensor:
        asked.append(arguments[2])  # type: ignore[arg-type]
        return suppress(*arguments)  # type: ignore[arg-type]

    select(boxes, scores, 12, counting)
    assert asked == list(THRESHOLDS[: len(asked)])
    assert len(asked) > 1


def test_a_blank_frame_leaves_one() -> None:
    """Everything that is proposed ends in the same place."""
    boxes = torch.tensor([0.0, 0.0, 50.0, 40.0]).expand(30, 5, 4)
    kept, places, _ = select(boxes, drawn()[1], 36, suppress)
    assert len(kept) == 1
    assert torch.equal(places, boxes[0, :1])


def test_no_proposal_at_all() -> None:
    kept, places, classes = select(torch.zeros(0, 5, 4), torch.zeros(0, 5), 36, suppress)
    assert (len(kept), places.shape, len(classes)) == (0, (0, 4), 0)
