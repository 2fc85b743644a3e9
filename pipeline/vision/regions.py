"""Detect the regions of every distinct frame, once, and draw them for people to look at.

An artefact of kind "frames" enters, one of kind "regions" leaves: features (N, R, F) float16, boxes
(N, R, 4) float32, mask (N, R) bool, row by row the frames of the input.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.io.artefact import Artefact
from pipeline.io.resumable import PartsWriter, Rows
from pipeline.vision.detectors import Detector, Regions

BATCH = 32
"""Frames per call of the detector."""


def batches(frames: Artefact) -> int:
    """How many calls of the detector a data set takes."""
    return -(-frames.shape("frames")[0] // BATCH)


def detect(detector: Detector, frames: Artefact, writer: PartsWriter) -> None:
    """Run `detector` over all frames, or the writer's shard of them: features, boxes and mask."""

    def read(batch: int) -> NDArray[np.uint8]:
        return frames.read("frames", batch * BATCH, (batch + 1) * BATCH)

    def rows(found: Regions) -> Rows:
        return Rows(
            {
                "features": found.features.cpu().numpy(),
                "boxes": found.boxes.cpu().numpy(),
                "mask": found.mask.cpu().numpy(),
            }
        )

    columns = {
        "features": ((detector.regions, detector.feature_size), np.float16),
        "boxes": ((detector.regions, 4), np.float32),
        "mask": ((detector.regions,), np.bool_),
    }
    writer.run(columns, batches(frames), read, detector, rows, "detect regions")


def merge(frames: Artefact, shards: Sequence[Path], writer: PartsWriter) -> None:
    """Put the shards of `detect` together."""
    writer.merge(batches(frames), shards)


def draw(frames: Artefact, regions: Artefact, title: str, path: Path, examples: int = 6) -> None:
    """Save a picture of `examples` frames, evenly spaced over the data, with their boxes."""
    # Here, since detection draws nothing, and these take a second of each of its processes.
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    rows = np.linspace(0, frames.shape("frames")[0] - 1, examples).astype(np.int64)
    figure = Figure(figsize=(3 * examples, 4.5))  # not pyplot: that needs a backend and a close
    axes = figure.subplots(1, examples, squeeze=False)
    for axis, row in zip(axes[0], rows, strict=True):
        image = frames.read("frames", int(row), int(row) + 1)[0]
        mask = regions.read("mask", int(row), int(row) + 1)[0]
        boxes = regions.read("boxes", int(row), int(row) + 1)[0][mask]
        axis.imshow(image)
        for x0, y0, x1, y1 in to_pixels(boxes, image):
            corner = (x0 - 0.5, y0 - 0.5)  # pixel centres have whole coordinates
            axis.add_patch(Rectangle(corner, x1 - x0, y1 - y0, fill=False, edgecolor="white"))
        axis.set_title(f"frame {row}: {mask.sum()} regions", fontsize=9)
        axis.axis("off")
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(path, dpi=80, metadata={"Software": None})


def to_pixels(boxes: NDArray[np.float32], image: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Boxes (n, 4) in [0, 1] as whole pixels of `image` (H, W, 3): x0, y0, x1, y1."""
    height, width = image.shape[:2]
    pixels: NDArray[np.int64] = np.rint(boxes * [width, height, width, height]).astype(np.int64)
    return pixels
