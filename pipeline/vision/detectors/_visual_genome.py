"""The network of bottom-up attention (Anderson et al. 2018) in detectron2: ResNet-101, 1,600
classes and 400 attributes of Visual Genome; what LXMERT was pretrained with.

Converted from Caffe, it differs from detectron2's own in the stem's pooling, the fifth stage
(dilated instead of strided) and the attribute head; names of all weights are the same.
"""

from typing import Any, ClassVar

import torch
from detectron2 import model_zoo
from detectron2.config import get_cfg
from detectron2.layers import ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY, ROI_HEADS_REGISTRY
from detectron2.modeling.backbone.resnet import (
    BasicStem,
    BottleneckBlock,
    ResNet,
    build_resnet_backbone,
)
from detectron2.modeling.roi_heads.fast_rcnn import FastRCNNOutputLayers
from torch import Tensor, nn
from torch.nn import functional

from pipeline.vision.detectors._region_heads import RegionHeads

CLASSES, ATTRIBUTES = 1600, 400
CLASS_WIDTH, ATTRIBUTE_WIDTH = 256, 512
DILATION = 2


def settings(given_proposals: bool) -> Any:
    """detectron2's configuration of the network; with proposals of its own or given ones."""
    cfg = get_cfg()
    cfg.merge_from_file(model_zoo.get_config_file("Base-RCNN-C4.yaml"))
    cfg.merge_from_list(
        [
            *("MODEL.BACKBONE.NAME", "build_caffe_resnet"),
            *(
                "MODEL.ROI_HEADS.NAME",
                "GivenVisualGenomeHeads" if given_proposals else "VisualGenomeHeads",
            ),
            *("MODEL.MASK_ON", False),
            *("MODEL.RESNETS.DEPTH", 101),
            *("MODEL.PIXEL_MEAN", [102.9801, 115.9465, 122.7717]),
            *("MODEL.PIXEL_STD", [1.0, 1.0, 1.0]),
            *("MODEL.ANCHOR_GENERATOR.SIZES", [[64, 128, 256, 512]]),
            *("MODEL.RPN.CONV_DIMS", [512]),
            *("MODEL.RPN.POST_NMS_TOPK_TEST", 300),
            *("MODEL.RPN.NMS_THRESH", 0.7),
            *("MODEL.ROI_HEADS.NUM_CLASSES", CLASSES),
            *("MODEL.ROI_BOX_HEAD.POOLER_TYPE", "ROIPool"),
            *("MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION", 14),
            *("INPUT.FORMAT", "BGR"),
        ]
    )
    if given_proposals:
        cfg.MODEL.PROPOSAL_GENERATOR.NAME = "PrecomputedProposals"
    return cfg


class CaffeStem(BasicStem):
    """A stem whose pooling pads only at the end, as Caffe's does."""

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, 3, H, W) → (B, 64, h, w), about a quarter as high and wide."""
        return functional.max_pool2d(self.conv1(x).relu_(), 3, stride=2, padding=0, ceil_mode=True)


@BACKBONE_REGISTRY.register()  # type: ignore[untyped-decorator]
def build_caffe_resnet(cfg: Any, input_shape: ShapeSpec) -> Any:
    """detectron2's ResNet with the other stem."""
    backbone = build_resnet_backbone(cfg, input_shape)
    resnet = cfg.MODEL.RESNETS
    backbone.stem = CaffeStem(input_shape.channels, resnet.STEM_OUT_CHANNELS, resnet.NORM)
    return backbone


class AttributePredictor(FastRCNNOutputLayers):
    """Classes and boxes; beside them, attributes of the class that was found."""

    def __init__(self, cfg: Any, input_shape: ShapeSpec) -> None:
        super().__init__(cfg, input_shape)
        width = input_shape.channels + CLASS_WIDTH
        self.cls_embedding = nn.Embedding(CLASSES + 1, CLASS_WIDTH)
        self.fc_attr = nn.Linear(width, ATTRIBUTE_WIDTH)
        self.attr_score = nn.Linear(ATTRIBUTE_WIDTH, ATTRIBUTES + 1)

    def attributes(self, features: Tensor, logits: Tensor) -> Tensor:
        """Logits (R, 401) of attributes from features (R, 2048) and class logits (R, 1601)."""
        joined = torch.cat([features, self.cls_embedding(logits.argmax(dim=1))], dim=1)
        scores: Tensor = self.attr_score(self.fc_attr(joined).relu())
        return scores


@ROI_HEADS_REGISTRY.register()
class VisualGenomeHeads(RegionHeads):
    """The dilated fifth stage, classes, attributes."""

    @classmethod
    def from_config(cls, cfg: Any, input_shape: Any) -> dict[str, Any]:
        """detectron2's own parts, with the other predictor."""
        parts: dict[str, Any] = super().from_config(cfg, input_shape)
        channels = parts["res5"][-1].out_channels
        shape = ShapeSpec(channels=channels, height=1, width=1)
        return {**parts, "box_predictor": AttributePredictor(cfg, shape)}

    @classmethod
    def _build_res5_block(cls, cfg: Any) -> tuple[nn.Sequential, int]:
        """Three blocks without stride, their 3 × 3 convolutions dilated."""
        width = cfg.MODEL.RESNETS.RES2_OUT_CHANNELS * 8
        blocks = ResNet.make_stage(
            BottleneckBlock,
            3,
            in_channels=width // 2,
            bottleneck_channels=cfg.MODEL.RESNETS.WIDTH_PER_GROUP * 8,
            out_channels=width,
            stride_per_block=[1, 1, 1],
            dilation=DILATION,
            stride_in_1x1=cfg.MODEL.RESNETS.STRIDE_IN_1X1,
            norm=cfg.MODEL.RESNETS.NORM,
        )
        return nn.Sequential(*blocks), width

    def _regions(self, proposals: Any, means: Tensor) -> Any:
        found = super()._regions(proposals, means)
        found.attribute_logits = self.box_predictor.attributes(found.features, found.logits)
        return found


@ROI_HEADS_REGISTRY.register()
class GivenVisualGenomeHeads(VisualGenomeHeads):
    """The same on given proposals."""

    keeps_proposals: ClassVar[bool] = True
