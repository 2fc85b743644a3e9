"""Fast R-CNN with given proposals: RoIAlign against a loop, determinism, frames it refuses."""

import math

import numpy as np
import pytest
import torch
from encoding import DETECTOR, frames
from numpy.typing import NDArray
from torch import Tensor

from pipeline.errors import PipelineError
from pipeline.vision import detectors
from pipeline.vision.detectors.fast_rcnn import SAMPLES, _backbone, roi_align


def bilinear(plane: NDArray[np.float32], x: float, y: float) -> float:
    """Value at pixel coordinates (x, y), pixel centres at whole numbers, clamped at the border."""
    height, width = plane.shape
    x, y = min(max(x, 0), width - 1), min(max(y, 0), height - 1)
    left, top = math.floor(x), math.floor(y)
    right, below = min(left + 1, width - 1), min(top + 1, height - 1)
    a, b = x - left, y - top
    upper = plane[top, left] * (1 - a) + plane[top, right] * a
    lower = plane[below, left] * (1 - a) + plane[below, right] * a
    return float(upper * (1 - b) + lower * b)


def by_loop(feature_map: Tensor, boxes: Tensor) -> NDArray[np.float64]:
    batch, channels, height, width = feature_map.shape
    out = np.zeros((batch, boxes.shape[1], channels))
    for image, region, channel in np.ndindex(out.shape):
        x0, y0, x1, y1 = boxes[image, region].tolist()
        plane = feature_map[image, channel].numpy()
        values = [
            bilinear(
                plane,
                (x0 + (x1 - x0) * (i + 0.5) / SAMPLES) * width - 0.5,
                (y0 + (y1 - y0) * (j + 0.5) / SAMPLES) * height - 0.5,
            )
            for i in range(SAMPLES)
            for j in range(SAMPLES)
        ]
        out[image, region, channel] = np.mean(values)
    return out


def test_roi_align_equals_a_bilinear_loop() -> None:
    generator = torch.Generator().manual_seed(0)
    feature_map = torch.randn(2, 3, 6, 9, generator=generator)
    corners = torch.rand(2, 5, 2, 2, generator=generator).sort(dim=2).values  # (B, N, corner, xy)
    boxes = corners.flatten(2)
    boxes[0, 0] = torch.tensor([0.0, 0.0, 1.0, 1.0])
    boxes[0, 1] = torch.tensor([0.99, 0.99, 1.0, 1.0])
    found = roi_align(
        lambda image, y, x: feature_map[image, :, y, x],
        (6, 9),
        torch.arange(2).repeat_interleave(5),
        boxes.flatten(0, 1),
    )
    np.testing.assert_allclose(found.view(2, 5, 3), by_loop(feature_map, boxes), atol=1e-5)


def test_features_at_the_places_needed_are_those_of_the_whole_map() -> None:
    """The same layers, run over the whole frame by the library."""
    batch = frames(5)
    found = detectors.make(DETECTOR)(batch)
    image = torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 127.5 - 1
    feature_map = _backbone(DETECTOR.feature_size, DETECTOR.seed)(image).detach()
    expected = by_loop(feature_map, found.boxes) * found.mask[..., None].numpy()
    np.testing.assert_allclose(found.features.float(), expected, atol=2e-3, rtol=1e-3)


def test_regions_have_the_promised_shapes_and_types() -> None:
    found = detectors.make(DETECTOR)(frames(5))
    assert found.features.shape == (5, DETECTOR.regions, DETECTOR.feature_size)
    assert found.boxes.shape == (5, DETECTOR.regions, 4)
    assert found.mask.shape == (5, DETECTOR.regions)
    assert found.features.dtype == torch.float16
    assert (found.boxes.dtype, found.mask.dtype) == (torch.float32, torch.bool)
    assert found.mask.any()
    assert not found.features[~found.mask].any()
    assert 0 <= found.boxes.min() <= found.boxes.max() <= 1


def test_a_blank_frame_gives_zeros() -> None:
    found = detectors.make(DETECTOR)(np.full((1, 40, 32, 3), 7, np.uint8))
    assert not found.mask.any()
    assert not found.features.any()


def test_the_seed_decides_the_features() -> None:
    first, again = (detectors.make(DETECTOR)(frames(4)).features for _ in range(2))
    assert torch.equal(first, again)
    other = detectors.make(DETECTOR.model_copy(update={"seed": 1}))(frames(4)).features
    assert not torch.equal(first, other)


def test_a_frame_alone_gives_what_it_gives_in_a_batch() -> None:
    detector = detectors.make(DETECTOR)
    batch = detector(frames(6))
    for row in range(6):
        alone = detector(frames(6)[row : row + 1])
        assert torch.equal(alone.boxes[0], batch.boxes[row])
        torch.testing.assert_close(alone.features[0], batch.features[row], atol=4e-3, rtol=2e-3)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((2, 40, 32), np.uint8),
        np.zeros((2, 40, 32, 1), np.uint8),
        np.zeros((2, 40, 32, 4), np.uint8),
        np.zeros((2, 40, 32, 3), np.float32),
        np.zeros((40, 32, 3), np.uint8),
    ],
    ids=["grey", "grey with channel", "RGBA", "float", "one frame"],
)
def test_frames_of_another_kind_are_refused(wrong: NDArray[np.uint8]) -> None:
    with pytest.raises(PipelineError, match=r"expected .* uint8 RGB") as caught:
        detectors.make(DETECTOR)(wrong)
    assert "\n" not in str(caught.value)
