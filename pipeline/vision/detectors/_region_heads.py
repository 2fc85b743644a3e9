"""Heads for detectron2's GeneralizedRCNN that give features with boxes, which its own do not.

Imports detectron2: for `build` functions that have called `_detectron2.require`.
"""

from typing import Any, ClassVar

import numpy as np
import torch
from detectron2.layers import nms
from detectron2.modeling.roi_heads import ROI_HEADS_REGISTRY, Res5ROIHeads, StandardROIHeads
from detectron2.structures import Boxes, Instances
from numpy.typing import NDArray
from torch import Tensor

from pipeline.vision.detectors._selection import select

Found = tuple[list[Any], dict[str, Tensor]]
"""An `Instances` per image, and no losses."""


@ROI_HEADS_REGISTRY.register()
class RegionHeads(Res5ROIHeads):
    """The fifth stage of a ResNet on every proposal; the mean over its map is the feature."""

    keeps_proposals: ClassVar[bool] = False
    """Whether every proposal is a region where it lies, or regression and selection decide."""

    def forward(self, images: Any, features: dict[str, Tensor], proposals: Any, _: Any) -> Found:
        """Regions of each image; one image at a time, for 300 pooled proposals are 240 MB."""
        found = []
        for row, own in enumerate(proposals):
            maps = [features[name][row : row + 1] for name in self.in_features]
            pooled = self.pooler(maps, [own.proposal_boxes])  # (R, 1024, 14, 14)
            means = self.res5(pooled).mean(dim=(2, 3))  # (R, 2048)
            found.append(given(own, means) if self.keeps_proposals else self._regions(own, means))
        return found, {}

    def _regions(self, proposals: Any, means: Tensor) -> Any:
        predictor, size = self.box_predictor, proposals.image_size
        predictions = predictor(means)
        scores = predictor.predict_probs(predictions, [proposals])[0][:, :-1]  # (R, C)
        boxes = Boxes(predictor.predict_boxes(predictions, [proposals])[0].reshape(-1, 4))
        boxes.clip(size)
        by_class = boxes.tensor.view(*scores.shape, 4)  # (R, C, 4)
        kept, places, classes = select(by_class, scores, predictor.test_topk_per_image, nms)
        found = Instances(size, pred_boxes=Boxes(places), features=means[kept])
        found.pred_classes, found.logits = classes, predictions[0][kept]
        return found


@ROI_HEADS_REGISTRY.register()
class GivenBoxHeads(StandardROIHeads):
    """The box head of a feature pyramid on given proposals."""

    def forward(self, images: Any, features: dict[str, Tensor], proposals: Any, _: Any) -> Found:
        """Every proposal is a region, where it lies."""
        maps = [features[name] for name in self.box_in_features]
        pooled = self.box_pooler(maps, [own.proposal_boxes for own in proposals])
        vectors = self.box_head(pooled).split([len(own) for own in proposals])
        return [given(*pair) for pair in zip(proposals, vectors, strict=True)], {}


def given(proposals: Any, features: Tensor) -> Any:
    """Regions that lie where their proposals do."""
    return Instances(proposals.image_size, pred_boxes=proposals.proposal_boxes, features=features)


def proposals(
    boxes: NDArray[np.float32], mask: NDArray[np.bool_], size: tuple[int, int]
) -> list[Any]:
    """Boxes (B, N, 4) in [0, 1] as precomputed proposals of images of `size` (height, width)."""
    height, width = size
    pixels = torch.from_numpy(boxes) * torch.tensor([width, height, width, height])
    real = torch.from_numpy(mask)
    return [
        Instances(
            size, proposal_boxes=Boxes(own[keep]), objectness_logits=torch.zeros(len(own[keep]))
        )
        for own, keep in zip(pixels, real, strict=True)
    ]
