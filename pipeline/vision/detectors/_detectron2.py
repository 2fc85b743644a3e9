"""What the detectors on detectron2 (Wu et al. 2019) share: frames → the input of its
GeneralizedRCNN, published weights → its state, its output → `Regions`.

Imports nothing of detectron2 itself, which has an environment of its own; the modules that do are
`_region_heads` and `_visual_genome`, loaded by a detector's `build`.
"""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from pipeline.config.schema import DetectorConfig
from pipeline.errors import PipelineError
from pipeline.pretrained import weights as files
from pipeline.vision.detectors import Regions, check_feature_size, check_frames

FRAMES_AT_ONCE = 8
"""So many frames go through the backbone together."""
RANDOM_RESIDUAL = 0.2
"""Scale of what a residual block adds, where weights are random: they are made for training with
batch normalisation, and without it a hundred layers would leave the range of half precision.
"""


@dataclass(frozen=True)
class Size:
    """How large a frame is shown to the network, in pixels."""

    short: int
    """The shorter side becomes this long …"""
    long: int
    """… unless the longer one would be longer than this."""

    def of(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of a resized frame."""
        scale = min(self.short / min(height, width), self.long / max(height, width))
        return int(height * scale + 0.5), int(width * scale + 0.5)


class RegionDetector:
    """A GeneralizedRCNN whose heads give `pred_boxes` and `features` for up to N regions."""

    environment: ClassVar[str] = "detectron2"
    takes_weights: ClassVar[bool] = True

    def __init__(
        self,
        config: DetectorConfig,
        model: nn.Module,
        size: Size,
        propose: Callable[[NDArray[np.uint8], int], tuple[NDArray[Any], NDArray[Any]]] | None,
    ) -> None:
        self.name = config.name
        self.regions, self.feature_size = config.regions, config.feature_size
        self.model = model.eval().requires_grad_(False)
        self.size = size
        self._propose = propose

    @torch.no_grad()
    def __call__(self, frames: NDArray[np.uint8]) -> Regions:
        """Regions of `frames` (B, H, W, 3) uint8 RGB, on the CPU.

        Raises PipelineError for frames of another kind, and for features that half precision cannot
        hold.
        """
        check_frames(frames, self.name)
        shape = len(frames), self.regions
        features = torch.zeros(*shape, self.feature_size)
        boxes, mask = torch.zeros(*shape, 4), torch.zeros(*shape, dtype=torch.bool)
        for start in range(0, len(frames), FRAMES_AT_ONCE):
            for row, found in enumerate(
                self._detect(frames[start : start + FRAMES_AT_ONCE]), start
            ):
                count = len(found)
                height, width = found.image_size
                scale = torch.tensor([width, height, width, height])
                features[row, :count] = found.features.cpu()
                boxes[row, :count] = (found.pred_boxes.tensor.cpu() / scale).clamp(0, 1)
                mask[row, :count] = True
        if not torch.isfinite(half := features.half()).all():
            raise PipelineError(
                f"detector {self.name}: features beyond half precision; are these its weights?"
            )
        return Regions(half, boxes, mask)

    def _detect(self, frames: NDArray[np.uint8]) -> list[Any]:
        """detectron2's `Instances` of each frame, in pixels of the resized frame."""
        images = to_input(frames, self.size)
        batch: list[dict[str, Any]] = [{"image": image} for image in images]
        if self._propose:
            from pipeline.vision.detectors._region_heads import proposals

            shape = (int(images.shape[2]), int(images.shape[3]))
            given = proposals(*self._propose(frames, self.regions), shape)
            batch = [{**one, "proposals": own} for one, own in zip(batch, given, strict=True)]
        found: list[Any] = self.model.inference(batch, do_postprocess=False)  # type: ignore[operator]
        return found


def to_input(frames: NDArray[np.uint8], size: Size) -> Tensor:
    """Frames (B, H, W, 3) RGB → (B, 3, h, w) float32 BGR, 0 to 255, as in the network's training.

    The order of the channels matters: shown RGB, the network's features still look like features.
    """
    images = torch.from_numpy(np.ascontiguousarray(frames[..., ::-1])).permute(0, 3, 1, 2).float()
    target = size.of(*frames.shape[1:3])
    return functional.interpolate(images, target, mode="bilinear", align_corners=False)


def require(detector: str) -> None:
    """Raise a PipelineError that says how to get detectron2, unless it is there."""
    if importlib.util.find_spec("detectron2") is None:
        raise PipelineError(
            f"detector {detector}: detectron2 is not installed; it has an environment of its own: "
            "run Snakemake with --sdm conda, or `conda env create -f envs/detectron2.yaml`"
        )


def make(config: DetectorConfig, settings: Any, device: torch.device) -> nn.Module:
    """Build the model of detectron2's `settings`, with weights drawn from `config.seed`."""
    from detectron2.modeling import build_model

    settings.MODEL.DEVICE = str(device)
    settings.MODEL.WEIGHTS = ""
    settings.TEST.DETECTIONS_PER_IMAGE = config.regions
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model: nn.Module = build_model(settings)
    for name, buffer in model.named_buffers():
        if name.endswith("conv3.norm.weight"):
            buffer.fill_(RANDOM_RESIDUAL)
    return model


def of_zoo(
    config: DetectorConfig,
    file: str,
    heads: str,
    features: int,
    device: torch.device,
    weights: Path | None,
    proposals: int | None = None,
) -> nn.Module:
    """The model that the zoo's `file` describes, with our `heads`, which give `features` numbers.

    `proposals` of its own enter the heads, if it has any.
    """
    check_feature_size(config, features)
    require(config.name)
    from detectron2 import model_zoo

    from pipeline.vision.detectors import _region_heads

    settings = model_zoo.get_config(file)
    settings.MODEL.ROI_HEADS.NAME = getattr(_region_heads, heads).__name__
    if proposals:
        settings.MODEL.RPN.POST_NMS_TOPK_TEST = proposals
    model = make(config, settings, device)
    load(model, weights, config)
    return model


def load(model: nn.Module, path: Path | None, config: DetectorConfig, *unused: str) -> None:
    """Give `model` the weights in the folder or file `path`, if the configuration asks for any.

    Names that begin with one of `unused` stay out. Raises PipelineError listing the first names or
    shapes that do not fit.
    """
    if (path is None) != (config.published is None):
        given = "no --detector-weights are given" if path is None else f"{path} is given"
        raise PipelineError(
            f"detector {config.name}: published is {config.published}, but {given}; make them agree"
        )
    if path is None:
        return
    file = files.find(path) if path.is_dir() else path

    def remark(name: str) -> bool:
        """Counters and constants that published files have, and detectron2 does not store."""
        ends = ("num_batches_tracked", "pixel_mean", "pixel_std")
        return name.endswith(ends) or "cell_anchors" in name or name.startswith(unused)

    tensors = files.fitting(files.read(file), model.state_dict(), file, remark)
    model.load_state_dict(tensors)
