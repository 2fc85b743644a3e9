"""Fast R-CNN with given proposals (Girshick 2015), compact: segments of the image, a seeded
backbone, RoIAlign.

Frames enter, `Regions` leave (method §1.2). The backbone is a small convolutional network with
seeded random weights, never trained: on synthetic frames its responses already tell colours and
shapes apart. What the weights are is printed wherever the features are used ("random backbone").
"""

from collections.abc import Callable
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from pipeline.config.schema import DetectorConfig
from pipeline.vision.detectors import Regions, check_frames
from pipeline.vision.detectors._segments import propose

STEM_CHANNELS = 8
SAMPLES = 3
"""RoIAlign averages SAMPLES × SAMPLES bilinear samples per region."""


class FastRCNN:
    """Segments as proposals, RoIAlign over a seeded two-layer backbone."""

    def __init__(self, config: DetectorConfig, device: torch.device) -> None:
        self.regions = config.regions
        self.feature_size = config.feature_size
        self._device = device
        backbone = _backbone(config.feature_size, config.seed).to(device)
        self._stem, self._last = backbone[:2], cast(nn.Conv2d, backbone[2])

    @torch.no_grad()
    def __call__(self, frames: NDArray[np.uint8]) -> Regions:
        """Regions of `frames` (B, H, W, 3) uint8 RGB; PipelineError for frames of another kind."""
        check_frames(frames, "fast_rcnn")
        proposals, real = propose(frames, self.regions)
        boxes = torch.from_numpy(proposals).to(self._device)
        mask = torch.from_numpy(real).to(self._device)
        image = torch.from_numpy(frames).to(self._device).permute(0, 3, 1, 2)  # (B, 3, H, W)
        stem = self._stem(image.float().div_(127.5).sub_(1)).float()  # (B, C, H/2, W/2)
        features = torch.zeros(*mask.shape, self.feature_size, device=self._device)
        features[mask] = roi_align(
            lambda *place: self._features_at(stem, *place),
            (-(-stem.shape[2] // 2), -(-stem.shape[3] // 2)),
            mask.nonzero()[:, 0],
            boxes[mask],
        )
        return Regions(features.half(), boxes, mask)

    def _features_at(self, stem: Tensor, image: Tensor, y: Tensor, x: Tensor) -> Tensor:
        """The last convolution and its rectification, at some places alone: (P,) each → (P, F).

        On a frame of an Atari game the regions need a tenth of the places, or less.
        """
        channels = functional.pad(stem, (1, 1, 1, 1)).permute(0, 2, 3, 1)  # (B, H/2+2, W/2+2, C)
        offset = torch.arange(3, device=stem.device)
        rows = (2 * y[:, None] + offset)[:, :, None]  # (P, 3, 1)
        columns = (2 * x[:, None] + offset)[:, None, :]  # (P, 1, 3)
        patches = channels[image[:, None, None], rows, columns]  # (P, 3, 3, C)
        weight = self._last.weight.permute(0, 2, 3, 1).flatten(1)  # (F, 9·C)
        return functional.linear(patches.flatten(1), weight, self._last.bias).relu_()  # (P, F)


def build(config: DetectorConfig, device: torch.device) -> FastRCNN:
    """Build the detector; called by `pipeline.vision.detectors.make`."""
    return FastRCNN(config, device)


def _backbone(feature_size: int, seed: int) -> nn.Sequential:
    """Two strided convolutions, He-normal weights; (B, 3, H, W) → (B, F, ⌈H/4⌉, ⌈W/4⌉)."""
    generator = torch.Generator().manual_seed(seed)
    network = nn.Sequential(
        nn.Conv2d(3, STEM_CHANNELS, 5, stride=2, padding=2),
        nn.ReLU(inplace=True),
        nn.Conv2d(STEM_CHANNELS, feature_size, 3, stride=2, padding=1),
        nn.ReLU(),
    )
    for layer in network:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
            nn.init.normal_(layer.bias, std=0.1, generator=generator)  # type: ignore[arg-type]
            # as the frames lie in memory: all channels of a pixel together
            layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last)
    return network.eval()


def roi_align(
    values: Callable[[Tensor, Tensor, Tensor], Tensor],
    size: tuple[int, int],
    image: Tensor,
    boxes: Tensor,
) -> Tensor:
    """Average of SAMPLES × SAMPLES bilinear samples inside each box (RoIAlign, He et al. 2017).

    Args:
        values: the feature map at places: image, y and x (P,) each → (P, F); each asked for once.
        size: h, w of the feature map.
        image: (K,) of each box.
        boxes: (K, 4) x0, y0, x1, y1 in [0, 1] of the image.

    Returns:
        (K, F) float32.
    """
    height, width = size
    fraction = (torch.arange(SAMPLES, device=boxes.device) + 0.5) / SAMPLES
    low, extent = boxes[:, None, :2], (boxes[:, 2:] - boxes[:, :2])[:, None]  # (K, 1, 2)
    points = low + extent * fraction[:, None]  # (K, samples, xy)
    x, x_weight = _neighbours(points[..., 0], width)  # (K, samples, 2)
    y, y_weight = _neighbours(points[..., 1], height)  # (K, samples, 2)
    row = image[:, None, None] * height + y  # (K, samples, 2)
    place = row[:, :, None, :, None] * width + x[:, None, :, None, :]  # (K, s, s, 2, 2)
    weight = y_weight[:, :, None, :, None] * x_weight[:, None, :, None, :] / SAMPLES**2
    needed, index = torch.unique(place.flatten(1), return_inverse=True)  # (P,), (K, 4·samples²)
    row, column = needed // width, needed % width
    found = values(row // height, row % height, column).float()  # (P, F)
    return functional.embedding_bag(
        index, found, per_sample_weights=weight.flatten(1), mode="sum"
    )  # (K, F)


def _neighbours(points: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """The two pixels around each point in [0, 1] of an axis, and their weights: (…, 2) each."""
    position = (points * length - 0.5).clamp(0, length - 1)
    first = position.floor()
    share = position - first
    pixels = torch.stack([first, (first + 1).clamp(max=length - 1)], dim=-1).long()
    return pixels, torch.stack([1 - share, share], dim=-1)
