"""Faster R-CNN of detectron2's model zoo, trained on COCO: in place of the Visual Genome detector
where its weights cannot be had.

ResNet-101 with the fifth stage on every proposal: features have the same length, 2048, and another
meaning, so a LXMERT that was pretrained on the other ones has never seen their like.
"""

from pathlib import Path

import torch

from pipeline.config import DetectorConfig
from pipeline.detectors import _detectron2, check_feature_size
from pipeline.detectors._detectron2 import RegionDetector, Size

SIZE = Size(short=800, long=1333)
FEATURES = 2048
SETTINGS = "COCO-Detection/faster_rcnn_R_101_C4_3x.yaml"
PROPOSALS = 300


def build(
    config: DetectorConfig, device: torch.device, weights: Path | None = None, size: Size = SIZE
) -> RegionDetector:
    """Build the detector; called by `pipeline.detectors.make`."""
    check_feature_size(config, FEATURES)
    _detectron2.require(config.name)
    from detectron2 import model_zoo

    from pipeline.detectors import _region_heads

    settings = model_zoo.get_config(SETTINGS)
    settings.MODEL.ROI_HEADS.NAME = _region_heads.RegionHeads.__name__
    settings.MODEL.RPN.POST_NMS_TOPK_TEST = PROPOSALS
    model = _detectron2.make(config, settings, device)
    _detectron2.load(model, weights, config)
    return RegionDetector(config, model, size, propose=None)
