"""Faster R-CNN of detectron2's model zoo, trained on COCO: in place of the Visual Genome detector
where its weights cannot be had.

ResNet-101 with the fifth stage on every proposal: features have the same length, 2048, and another
meaning, so a LXMERT that was pretrained on the other ones has never seen their like.
"""

from pathlib import Path

import torch

from pipeline.config.schema import DetectorConfig
from pipeline.vision.detectors import _detectron2
from pipeline.vision.detectors._detectron2 import RegionDetector, Size

SIZE = Size(short=800, long=1333)
SETTINGS = "COCO-Detection/faster_rcnn_R_101_C4_3x.yaml"


def build(
    config: DetectorConfig, device: torch.device, weights: Path | None = None, size: Size = SIZE
) -> RegionDetector:
    """Build the detector; called by `pipeline.vision.detectors.make`."""
    model = _detectron2.of_zoo(
        config, SETTINGS, "RegionHeads", 2048, device, weights, proposals=300
    )
    return RegionDetector(config, model, size, propose=None)
