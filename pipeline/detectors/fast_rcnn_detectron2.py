"""Fast R-CNN (Girshick 2015) as detectron2 ships it, trained on COCO, with precomputed proposals.

ResNet-50 with a feature pyramid; 1024 numbers per region from its box head. The proposals are
colour segments of the frame (`_segments`) and stay where they are.
"""

from pathlib import Path

import torch

from pipeline.config import DetectorConfig
from pipeline.detectors import _detectron2, check_feature_size
from pipeline.detectors._detectron2 import RegionDetector, Size
from pipeline.detectors._segments import propose

SIZE = Size(short=800, long=1333)
FEATURES = 1024
SETTINGS = "COCO-Detection/fast_rcnn_R_50_FPN_1x.yaml"


def build(
    config: DetectorConfig, device: torch.device, weights: Path | None = None, size: Size = SIZE
) -> RegionDetector:
    """Build the detector; called by `pipeline.detectors.make`."""
    check_feature_size(config, FEATURES)
    _detectron2.require(config.name)
    from detectron2 import model_zoo

    from pipeline.detectors import _region_heads

    settings = model_zoo.get_config(SETTINGS)
    settings.MODEL.ROI_HEADS.NAME = _region_heads.GivenBoxHeads.__name__
    model = _detectron2.make(config, settings, device)
    _detectron2.load(model, weights, config)
    return RegionDetector(config, model, size, propose)
