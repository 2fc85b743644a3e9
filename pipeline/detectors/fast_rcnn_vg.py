"""Fast R-CNN (Girshick 2015) with the network of Visual Genome: its features, in given boxes.

The boxes are colour segments of the frame (`_segments`), which on synthetic frames are the objects
themselves; they stay where they are, and as many pass the fifth stage as there are segments instead
of 300 proposals.
"""

from pathlib import Path

import torch

from pipeline.config import DetectorConfig
from pipeline.detectors import _detectron2, check_feature_size
from pipeline.detectors._detectron2 import RegionDetector, Size
from pipeline.detectors._segments import propose
from pipeline.detectors.faster_rcnn_vg import FEATURES, SIZE


def build(
    config: DetectorConfig, device: torch.device, weights: Path | None = None, size: Size = SIZE
) -> RegionDetector:
    """Build the detector; called by `pipeline.detectors.make`."""
    check_feature_size(config, FEATURES)
    _detectron2.require(config.name)
    from pipeline.detectors import _visual_genome

    model = _detectron2.make(config, _visual_genome.settings(given_proposals=True), device)
    _detectron2.load(model, weights, config, "proposal_generator.")
    return RegionDetector(config, model, size, propose)
