"""Regions of all frames: rows are frames, in batches of any size; pictures to look at."""

from pathlib import Path

import numpy as np
import pytest
import torch
from encoding import DETECTOR, frames, write_frames, write_regions
from numpy.typing import NDArray
from PIL import Image

from pipeline.errors import PipelineError
from pipeline.io.artefact import Artefact
from pipeline.io.resumable import PartsWriter
from pipeline.vision import detectors, regions
from pipeline.vision.detectors import ARRAYS, Regions, fast_rcnn, open_regions

COUNT = 7


@pytest.fixture
def stored(tmp_path: Path) -> Artefact:
    return write_frames(tmp_path / "frames.h5", COUNT, np.arange(COUNT))


def test_rows_are_frames(tmp_path: Path, stored: Artefact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regions, "BATCH", 3)
    found = write_regions(tmp_path / "regions.h5", stored)
    expected = detectors.make(DETECTOR)(frames(COUNT))
    np.testing.assert_array_equal(found.read("boxes"), expected.boxes)
    np.testing.assert_array_equal(found.read("mask"), expected.mask)
    np.testing.assert_allclose(found.read("features"), expected.features, atol=4e-3, rtol=2e-3)


def test_gather_reads_the_frames_asked_for(tmp_path: Path, stored: Artefact) -> None:
    found = write_regions(tmp_path / "regions.h5", stored)
    gathered = Regions.gather(found, np.array([4, 1]))
    assert torch.equal(gathered.boxes, torch.from_numpy(found.read("boxes")[[4, 1]]))
    assert (gathered.features.dtype, gathered.mask.dtype) == (torch.float16, torch.bool)


def test_regions_of_other_frames_are_refused(tmp_path: Path, stored: Artefact) -> None:
    write_regions(tmp_path / "regions.h5", stored)
    other = write_frames(tmp_path / "other.h5", COUNT + 1, np.arange(COUNT + 1))
    assert open_regions(tmp_path / "regions.h5", stored).shape("mask") == (COUNT, 5)
    with pytest.raises(PipelineError, match=r"regions of 7 frames, but .*other\.h5 has 8"):
        open_regions(tmp_path / "regions.h5", other)


class Scattered:
    """The detector of the tests, whose columns a plug-in has put in another order."""

    regions, feature_size = DETECTOR.regions, DETECTOR.feature_size

    def __init__(self, order: list[int]) -> None:
        self.order = order
        self.own = fast_rcnn.FastRCNN(DETECTOR, torch.device("cpu"))

    def __call__(self, seen: NDArray[np.uint8]) -> Regions:
        found = self.own(seen)
        return Regions(*(getattr(found, name)[:, self.order] for name in ARRAYS))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_real_regions_behind_padding_are_refused(
    stored: Artefact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    """Else the encoder would not see them."""
    config = DETECTOR.model_copy(update={"precision": precision})
    for order, refused in (([0, 1, 2, 3, 4], False), ([4, 0, 1, 2, 3], True)):
        monkeypatch.setattr(fast_rcnn, "build", lambda *_, order=order: Scattered(order))
        detector = detectors.make(config)
        with PartsWriter(tmp_path / f"{refused}.h5", "regions", {}) as writer:
            if not refused:
                regions.detect(detector, stored, writer)
                continue
            with pytest.raises(PipelineError, match=r"fast_rcnn: .* behind a masked one") as caught:
                regions.detect(detector, stored, writer)
            assert "\n" not in str(caught.value)


def test_a_picture_is_drawn_and_the_same_again(tmp_path: Path, stored: Artefact) -> None:
    found = write_regions(tmp_path / "regions.h5", stored)
    for name in ("one.png", "two.png"):
        regions.draw(stored, found, "regions", tmp_path / name, examples=2)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    picture = np.asarray(Image.open(tmp_path / "one.png"))
    assert picture.shape[0] > 100
    assert picture.std() > 1


def test_boxes_in_pixels() -> None:
    boxes = np.array([[0.25, 0.5, 1, 0.75]], np.float32)
    pixels = regions.to_pixels(boxes, np.zeros((8, 4, 3), np.uint8))
    assert pixels.tolist() == [[1, 4, 4, 6]]
