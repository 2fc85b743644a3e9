"""Faster R-CNN of Visual Genome (bottom-up attention): the detector LXMERT was pretrained with.

Frames enter, shown BGR with a shorter side of 600 pixels; `Regions` leave (method §1.2): features
of the proposals, 2048 numbers each, and their boxes after regression.
"""

from pathlib import Path

import torch
from torch import nn

from pipeline.config.schema import DetectorConfig
from pipeline.vision.detectors import _detectron2, check_feature_size
from pipeline.vision.detectors._detectron2 import RegionDetector, Size

SIZE = Size(short=600, long=1000)
FEATURES = 2048


def build(
    config: DetectorConfig, device: torch.device, weights: Path | None = None, size: Size = SIZE
) -> RegionDetector:
    """Build the detector; called by `pipeline.vision.detectors.make`."""
    return RegionDetector(config, network(config, device, weights), size, propose=None)


def network(
    config: DetectorConfig,
    device: torch.device,
    weights: Path | None,
    given_proposals: bool = False,
) -> nn.Module:
    """The network of Visual Genome; with given proposals it is without what proposes."""
    check_feature_size(config, FEATURES)
    _detectron2.require(config.name)
    from pipeline.vision.detectors import _visual_genome

    model = _detectron2.make(config, _visual_genome.settings(given_proposals), device)
    unused = ["proposal_generator."] if given_proposals else []
    _detectron2.load(model, weights, config, *unused)
    return model
