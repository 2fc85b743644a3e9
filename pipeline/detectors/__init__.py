"""Detectors: frames → regions. One file per detector with `build(config, device) -> Detector`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline import plugins
from pipeline.config import DetectorConfig
from pipeline.devices import mixed_precision
from pipeline.errors import PipelineError
from pipeline.storage import Artefact

ARRAYS = ("features", "boxes", "mask")
"""Arrays of an artefact of kind "regions", as the fields of `Regions`; row i is frame i."""


@dataclass(frozen=True)
class Regions:
    """Up to N regions of each of B frames; rows beyond the real ones are zero and masked."""

    features: Tensor
    """(B, N, F) float16: RoI feature of each region. Half precision already here, so that the cache
    and acting agree.
    """
    boxes: Tensor
    """(B, N, 4) float32: x0, y0, x1, y1 in [0, 1]."""
    mask: Tensor
    """(B, N) bool: True where the region is real."""

    def first(self, regions: int) -> "Regions":
        """The first `regions` columns; real regions come before padding."""
        return Regions(self.features[:, :regions], self.boxes[:, :regions], self.mask[:, :regions])

    def to(self, device: torch.device) -> "Regions":
        """The same on another device."""
        return Regions(self.features.to(device), self.boxes.to(device), self.mask.to(device))

    @classmethod
    def gather(cls, artefact: Artefact, frames: NDArray[np.int64]) -> "Regions":
        """The stored regions of `frames` (B,), from an artefact of kind "regions"."""
        return cls(*(torch.from_numpy(artefact.gather(name, frames)) for name in ARRAYS))


class Detector(Protocol):
    """Finds regions in a batch of frames; deterministic, no gradient."""

    regions: int
    """N, the number of regions per frame after padding."""
    feature_size: int
    """F, the length of one region's feature vector."""

    def __call__(self, frames: NDArray[np.uint8]) -> Regions:
        """Detect regions in `frames` (B, H, W, 3) uint8 RGB; PipelineError for any other kind."""
        ...


def make(config: DetectorConfig, device: torch.device | str = "cpu") -> Detector:
    """Build the detector that `config.name` names; raises PipelineError for an unknown name."""
    detector: Detector = plugins.load("detectors", config.name).build(config, torch.device(device))
    return detector if config.precision == "float32" else _MixedPrecision(detector, config)


class _MixedPrecision:
    """A detector whose matrix products and convolutions are in the configured precision."""

    def __init__(self, detector: Detector, config: DetectorConfig) -> None:
        self.regions, self.feature_size = detector.regions, detector.feature_size
        self._detector, self._precision = detector, config.precision

    def __call__(self, frames: NDArray[np.uint8]) -> Regions:
        with mixed_precision(self._precision):
            return self._detector(frames)


def open_regions(path: Path, frames: Artefact, memory_mb: int = 2048) -> Artefact:
    """Open the regions of `frames`; raises PipelineError where they belong to other frames."""
    regions = Artefact(path, "regions", memory_mb=memory_mb)
    found, expected = regions.shape("mask")[0], frames.shape("frames")[0]
    if found != expected:
        raise PipelineError(
            f"{path}: regions of {found} frames, but {frames.path} has {expected}; "
            "run detect_regions again"
        )
    return regions
