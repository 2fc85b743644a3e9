"""Fast R-CNN (Girshick 2015) as detectron2 ships it, trained on COCO, with precomputed proposals.

ResNet-50 with a feature pyramid; 1024 numbers per region from its box head. The proposals are
colour segments of the frame (`_segments`) and stay where they are.
"""

from pathlib import Path

import torch

from pipeline.config.schema import DetectorConfig
from pipeline.vision.detectors import _detectron2
from pipeline.vision.detectors._detectron2 import RegionDetector, Size
from pipeline.vision.detectors._segments import propose

SIZE = Size(short=800, long=1333)
SETTINGS = "COCO-Detection/fast_rcnn_R_50_FPN_1x.yaml"


def build(
    config: DetectorConfig, device: torch.device, weights: Path | None = None, size: Size = SIZE
) -> RegionDetector:
    """Build the detector; called by `pipeline.vision.detectors.make`."""
    model = _detectron2.of_zoo(config, SETTINGS, "GivenBoxHeads", 1024, device, weights)
    return RegionDetector(config, model, size, propose)
