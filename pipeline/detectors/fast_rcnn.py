"""Fast R-CNN with given proposals (Girshick 2015), compact: segments of the image, a seeded
backbone, RoIAlign.

Frames enter, `Regions` leave (method §1.2). The backbone is a small convolutional network with
seeded random weights, never trained: on synthetic frames its responses already tell colours and
shapes apart. What the weights are is printed wherever the features are used ("random backbone").
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from pipeline.config import DetectorConfig
from pipeline.detectors import Regions
from pipeline.detectors._segments import propose
from pipeline.errors import PipelineError

STEM_CHANNELS = 8
SAMPLES = 3
"""RoIAlign averages SAMPLES × SAMPLES bilinear samples per region."""


class FastRCNN:
    """Segments as proposals, RoIAlign over a seeded two-layer backbone."""

    def __init__(self, config: DetectorConfig, device: torch.device) -> None:
        self.regions = config.regions
        self.feature_size = config.feature_size
        self._device = device
        self._backbone = _backbone(config.feature_size, config.seed).to(device)

    @torch.no_grad()
    def __call__(self, frames: NDArray[np.uint8]) -> Regions:
        """Regions of `frames` (B, H, W, 3) uint8 RGB; PipelineError for frames of another kind."""
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
            raise PipelineError(
                f"detector fast_rcnn: frames are {frames.shape} {frames.dtype}, "
                "expected (frames, height, width, 3) uint8 RGB; convert them first"
            )
        proposals, real = propose(frames, self.regions)
        boxes = torch.from_numpy(proposals).to(self._device)
        mask = torch.from_numpy(real).to(self._device)
        image = torch.from_numpy(frames).to(self._device).permute(0, 3, 1, 2)  # (B, 3, H, W)
        feature_map = self._backbone(image.float().div_(127.5).sub_(1))  # (B, F, H/4, W/4)
        features = roi_align(feature_map, boxes) * mask[..., None]
        return Regions(features.half(), boxes, mask)


def build(config: DetectorConfig, device: torch.device) -> FastRCNN:
    """Build the detector; called by `pipeline.detectors.make`."""
    return FastRCNN(config, device)


def _backbone(feature_size: int, seed: int) -> nn.Module:
    """Two strided convolutions, He-normal weights; (B, 3, H, W) → (B, F, ⌈H/4⌉, ⌈W/4⌉)."""
    generator = torch.Generator().manual_seed(seed)
    network = nn.Sequential(
        nn.Conv2d(3, STEM_CHANNELS, 5, stride=2, padding=2),
        nn.ReLU(inplace=True),
        nn.Conv2d(STEM_CHANNELS, feature_size, 3, stride=2, padding=1),
        nn.ReLU(inplace=True),
    )
    for layer in network:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
            nn.init.normal_(layer.bias, std=0.1, generator=generator)  # type: ignore[arg-type]
            # as the frames lie in memory: all channels of a pixel together
            layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last)
    return network.eval()


def roi_align(feature_map: Tensor, boxes: Tensor) -> Tensor:
    """Average of SAMPLES × SAMPLES bilinear samples inside each box (RoIAlign, He et al. 2017).

    Args:
        feature_map: (B, F, h, w).
        boxes: (B, N, 4) x0, y0, x1, y1 in [0, 1] of the image.

    Returns:
        (B, N, F).
    """
    offsets = (torch.arange(SAMPLES, device=boxes.device) + 0.5) / SAMPLES
    low, high = boxes[..., :2], boxes[..., 2:]  # (B, N, 2)
    points = low[..., None, :] + (high - low)[..., None, :] * offsets[:, None]  # (B, N, samples, 2)
    x = points[..., 0][..., None, :].expand(*boxes.shape[:2], SAMPLES, SAMPLES)
    y = points[..., 1][..., :, None].expand(*boxes.shape[:2], SAMPLES, SAMPLES)
    grid = torch.stack([x, y], dim=-1).flatten(2, 3) * 2 - 1  # (B, N, samples², 2) in [-1, 1]
    sampled = functional.grid_sample(
        feature_map, grid, mode="bilinear", padding_mode="border", align_corners=False
    )  # (B, F, N, samples²)
    return sampled.mean(dim=-1).transpose(1, 2)  # (B, N, F)
