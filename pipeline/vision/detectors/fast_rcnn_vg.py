"""Fast R-CNN (Girshick 2015) with the network of Visual Genome: its features, in given boxes.

The boxes are colour segments of the frame (`_segments`), which on synthetic frames are the objects
themselves; they stay where they are, and as many pass the fifth stage as there are segments instead
of 300 proposals.
"""

from pathlib import Path

import torch

from pipeline.config.schema import DetectorConfig
from pipeline.vision.detectors._detectron2 import RegionDetector, Size
from pipeline.vision.detectors._segments import propose
from pipeline.vision.detectors.faster_rcnn_vg import SIZE, network


def build(
    config: DetectorConfig, device: torch.device, weights: Path | None = None, size: Size = SIZE
) -> RegionDetector:
    """Build the detector; called by `pipeline.vision.detectors.make`."""
    model = network(config, device, weights, given_proposals=True)
    return RegionDetector(config, model, size, propose)
