"""Detectors: frames → regions. One file per detector with `build(config, device) -> Detector`. A
detector that takes published weights gets them as a third argument, and declares `takes_weights`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.config import plugins, source_code
from pipeline.config.schema import DetectorConfig
from pipeline.errors import PipelineError
from pipeline.hardware.devices import mixed_precision
from pipeline.io.artefact import Artefact

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


def make(
    config: DetectorConfig, device: torch.device | str = "cpu", weights: Path | None = None
) -> Detector:
    """Build the detector that `config.name` names, with its published `weights` if it has any.

    Raises PipelineError for an unknown name, for weights that are missing, not asked for or of
    another detector, and where a library of the detector is not installed.
    """
    build = plugins.load("vision.detectors", config.name).build
    if source_code.class_constant(f"pipeline.vision.detectors.{config.name}", "takes_weights"):
        detector: Detector = build(config, torch.device(device), weights)
    elif weights is not None or config.published is not None:
        raise PipelineError(f"detector {config.name} takes no published weights; remove the key")
    else:
        detector = build(config, torch.device(device))
    return _Checked(detector, config)


def check_frames(frames: NDArray[np.uint8], detector: str) -> None:
    """Raise a PipelineError unless `frames` are (B, H, W, 3) uint8."""
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
        raise PipelineError(
            f"detector {detector}: frames are {frames.shape} {frames.dtype}, "
            "expected (frames, height, width, 3) uint8 RGB; convert them first"
        )


def check_feature_size(config: DetectorConfig, own: int) -> None:
    """Raise a PipelineError unless the configuration asks for the detector's own feature size."""
    if config.feature_size != own:
        raise PipelineError(
            f"detector.feature_size is {config.feature_size}, {config.name} gives {own} numbers "
            f"per region; set it to {own}"
        )


class _Checked:
    """A detector in the configured precision, which refuses regions behind padding: the encoder
    reads no further than the most regions that a frame has.
    """

    def __init__(self, detector: Detector, config: DetectorConfig) -> None:
        self.regions, self.feature_size = detector.regions, detector.feature_size
        self._detector, self._config = detector, config

    def __call__(self, frames: NDArray[np.uint8]) -> Regions:
        with mixed_precision(self._config.precision):
            found = self._detector(frames)
        if (found.mask[:, 1:] & ~found.mask[:, :-1]).any():
            raise PipelineError(
                f"detector {self._config.name}: a frame has a real region behind a masked one; "
                "put the real ones into its first columns"
            )
        return found


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
