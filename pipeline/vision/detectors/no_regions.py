"""A detector that finds nothing, for policies that see only the prompts (text without image)."""

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.config.schema import DetectorConfig
from pipeline.vision.detectors import Regions


class Blind:
    """N masked regions for every frame, whatever is on it."""

    def __init__(self, config: DetectorConfig, device: torch.device) -> None:
        self.regions, self.feature_size = config.regions, config.feature_size
        self._device = device

    def __call__(self, frames: NDArray[np.uint8]) -> Regions:
        """Nothing for each of `frames` (B, H, W, 3)."""
        shape = len(frames), self.regions
        return Regions(
            torch.zeros(*shape, self.feature_size, dtype=torch.float16, device=self._device),
            torch.zeros(*shape, 4, device=self._device),
            torch.zeros(*shape, dtype=torch.bool, device=self._device),
        )


def build(config: DetectorConfig, device: torch.device) -> Blind:
    """Build the detector; called by `pipeline.vision.detectors.make`."""
    return Blind(config, device)
