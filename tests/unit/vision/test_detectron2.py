"""The detectors on detectron2. What needs the library is skipped where it is not installed; the
checkpoint is random, of the public one's names and shapes (frcnn_vg_keys.txt).
"""

import importlib.util
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from encoding import frames
from numpy.typing import NDArray
from torch import Tensor

from pipeline.config.schema import DetectorConfig
from pipeline.errors import PipelineError
from pipeline.vision import detectors
from pipeline.vision.detectors import _detectron2, fast_rcnn_vg, faster_rcnn_coco, faster_rcnn_vg
from pipeline.vision.detectors import fast_rcnn_detectron2 as fast_rcnn_coco
from pipeline.vision.detectors._detectron2 import RegionDetector, Size, to_input

INSTALLED = importlib.util.find_spec("detectron2") is not None
needs_detectron2 = pytest.mark.skipif(not INSTALLED, reason="detectron2 is not installed")
KEYS = Path(__file__).with_name("frcnn_vg_keys.txt")
CPU = torch.device("cpu")
SMALL = Size(short=64, long=96)
N = 3
FASTER = DetectorConfig(name="faster_rcnn_vg", regions=N, feature_size=2048)
FAST = DetectorConfig(name="fast_rcnn_vg", regions=N, feature_size=2048)
COCO = DetectorConfig(name="faster_rcnn_coco", regions=N, feature_size=2048)
GIVEN = DetectorConfig(name="fast_rcnn_detectron2", regions=N, feature_size=1024)
MODULES = {
    "faster_rcnn_vg": faster_rcnn_vg,
    "fast_rcnn_vg": fast_rcnn_vg,
    "faster_rcnn_coco": faster_rcnn_coco,
    "fast_rcnn_detectron2": fast_rcnn_coco,
}
PROPOSALS = 5
"""Enough for N regions, and little to compute."""


def test_frames_are_shown_bgr() -> None:
    """A red frame is red in the last channel; nothing else is done to the colours."""
    red = np.zeros((2, 64, 64, 3), np.uint8)
    red[..., 0], red[..., 1] = 250, 20
    shown = to_input(red, SMALL)
    assert shown.shape == (2, 3, 64, 64)
    assert shown.dtype == torch.float32
    assert shown.amin(dim=(0, 2, 3)).tolist() == shown.amax(dim=(0, 2, 3)).tolist() == [0, 20, 250]


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [(210, 160, (788, 600)), (160, 210, (600, 788)), (84, 84, (600, 600)), (100, 400, (250, 1000))],
)
def test_the_shorter_side_is_600_and_the_longer_at_most_1000(
    height: int, width: int, expected: tuple[int, int]
) -> None:
    assert faster_rcnn_vg.SIZE.of(height, width) == expected


@pytest.mark.skipif(INSTALLED, reason="detectron2 is installed")
@pytest.mark.parametrize("config", [FASTER, FAST, COCO, GIVEN], ids=lambda config: config.name)
def test_without_detectron2_the_error_says_how_to_get_it(config: DetectorConfig) -> None:
    with pytest.raises(PipelineError, match=r"--sdm conda.*envs/detectron2\.yaml") as caught:
        detectors.make(config)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("config", [FASTER, FAST, COCO, GIVEN], ids=lambda config: config.name)
def test_another_feature_size_is_refused(config: DetectorConfig) -> None:
    with pytest.raises(PipelineError, match=f"set it to {config.feature_size}"):
        detectors.make(config.model_copy(update={"feature_size": 64}))


def test_weights_are_named_for_the_tables() -> None:
    assert FASTER.weights == "faster_rcnn_vg random"
    given = FASTER.model_copy(update={"published": "frcnn_vg"})
    assert given.weights == "faster_rcnn_vg published (frcnn_vg)"


def test_a_detector_without_weights_refuses_them(tmp_path: Path) -> None:
    config = DetectorConfig(regions=N, feature_size=8, published="frcnn_vg")
    with pytest.raises(PipelineError, match="fast_rcnn takes no published weights"):
        detectors.make(config, weights=tmp_path)


def random_checkpoint() -> dict[str, Tensor]:
    """Tensors of every name and shape of the public checkpoint, at a scale that stays finite."""
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for line in KEYS.read_text().splitlines():
        name, _, text = line.partition(" ")
        shape = [int(number) for number in re.findall(r"\d+", text)]
        if name.endswith("num_batches_tracked"):
            tensors[name] = torch.tensor(1)
        elif name.endswith("running_var"):
            tensors[name] = 0.5 + torch.rand(shape, generator=generator)
        else:
            fan_in = max(1, int(np.prod(shape[1:])))
            scale = (2 / fan_in) ** 0.5 if len(shape) > 1 else 0.1
            tensors[name] = torch.randn(shape, generator=generator) * scale
        if "anchor_deltas" in name or "bbox_pred" in name:
            tensors[name] *= 1e-3  # else every box would be pushed out of the frame
        if name.endswith("norm.weight"):
            tensors[name] += 0.2 if "conv3" in name else 1.0
    return tensors


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("public")
    torch.save(random_checkpoint(), folder / "pytorch_model.bin")
    yield folder
    (folder / "pytorch_model.bin").unlink()


def make(config: DetectorConfig, weights: Path | None = None) -> RegionDetector:
    """The detector on small frames, with few proposals."""
    config = config.model_copy(update={"published": "random" if weights else None})
    detector = MODULES[config.name].build(config, CPU, weights, SMALL)
    if detector.model.proposal_generator is not None:
        detector.model.proposal_generator.post_nms_topk = {True: PROPOSALS, False: PROPOSALS}
    return detector


@pytest.fixture(scope="module")
def detector(checkpoint: Path) -> RegionDetector:
    return make(FASTER, checkpoint)


@needs_detectron2
def test_every_weight_of_the_public_format_is_loaded(detector: RegionDetector) -> None:
    public = random_checkpoint()
    own = detector.model.state_dict()
    dropped = public.keys() - own.keys()
    assert len(public) == 640
    assert {name.rpartition(".")[2] for name in dropped} == {"num_batches_tracked", "0"}
    assert own.keys() <= public.keys()
    for name, tensor in own.items():
        assert torch.equal(tensor, public[name]), name


@needs_detectron2
def test_pickled_arrays_give_the_same_detector(detector: RegionDetector, tmp_path: Path) -> None:
    arrays = {name: tensor.numpy() for name, tensor in random_checkpoint().items()}
    path = tmp_path / "faster_rcnn.pkl"
    path.write_bytes(pickle.dumps({"model": arrays, "__author__": "somebody"}))
    own = make(FASTER, path).model.state_dict()
    for name, tensor in detector.model.state_dict().items():
        assert torch.equal(own[name], tensor), name


@needs_detectron2
def test_a_wrong_checkpoint_names_the_first_five(tmp_path: Path) -> None:
    tensors = random_checkpoint()
    moved = [name for name in tensors if "box_predictor.cls_score" in name or "fc_attr" in name]
    for name in moved:
        tensors[f"module.{name}"] = tensors.pop(name)
    tensors["backbone.stem.conv1.weight"] = torch.zeros(64, 4, 7, 7)
    torch.save(tensors, tmp_path / "pytorch_model.bin")
    with pytest.raises(PipelineError) as caught:
        make(FASTER, tmp_path)
    message = str(caught.value)
    assert "roi_heads.box_predictor.cls_score.weight is missing" in message
    assert "backbone.stem.conv1.weight is (64, 4, 7, 7), expected (64, 3, 7, 7)" in message
    assert "(and 4 more)" in message
    assert "\n" not in message


@needs_detectron2
def test_published_weights_and_their_file_go_together(checkpoint: Path) -> None:
    named = FASTER.model_copy(update={"published": "frcnn_vg"})
    with pytest.raises(PipelineError, match="published is frcnn_vg, but no --detector-weights"):
        faster_rcnn_vg.build(named, CPU, None, SMALL)
    with pytest.raises(PipelineError, match=r"published is None, but .* is given"):
        faster_rcnn_vg.build(FASTER, CPU, checkpoint, SMALL)


def shapes_inside(detector: RegionDetector, shown: NDArray[np.uint8]) -> dict[str, list[Any]]:
    """Shapes of what leaves each part of the network."""
    parts = detector.model
    found: dict[str, list[Any]] = {}
    heads = parts.roi_heads
    hooks = [
        parts.backbone.stem.register_forward_hook(
            lambda *given: found.update(stem=list(given[2].shape))
        ),
        parts.backbone.register_forward_hook(
            lambda *given: found.update(res4=list(given[2]["res4"].shape))
        ),
        heads.pooler.register_forward_hook(
            lambda *given: found.update(pooled=list(given[2].shape))
        ),
        heads.res5.register_forward_hook(lambda *given: found.update(res5=list(given[2].shape))),
        heads.box_predictor.register_forward_hook(
            lambda *given: found.update(logits=[list(part.shape) for part in given[2]])
        ),
    ]
    detector(shown)
    for hook in hooks:
        hook.remove()
    return found


@needs_detectron2
def test_golden_shapes(detector: RegionDetector) -> None:
    """As in the original: the stem's ceiling, a fifth stage that does not shrink, 1601 classes."""
    shown = np.random.default_rng(0).integers(256, size=(1, 66, 64, 3), dtype=np.uint8)
    assert shapes_inside(detector, shown) == {
        "stem": [1, 64, 16, 16],
        "res4": [1, 1024, 4, 4],
        "pooled": [PROPOSALS, 1024, 14, 14],
        "res5": [PROPOSALS, 2048, 14, 14],
        "logits": [[PROPOSALS, 1601], [PROPOSALS, 6400]],
    }
    conv = [block.conv2 for block in detector.model.roi_heads.res5]
    assert [(one.stride, one.dilation, one.padding) for one in conv] == [
        ((1, 1), (2, 2), (2, 2))
    ] * 3


@needs_detectron2
def test_the_network_sees_bgr_minus_its_mean(detector: RegionDetector) -> None:
    shown = np.random.default_rng(0).integers(256, size=(1, 64, 64, 3), dtype=np.uint8)
    seen: list[Tensor] = []
    hook = detector.model.backbone.register_forward_pre_hook(
        lambda _, arguments: seen.append(arguments[0])
    )
    detector(shown)
    hook.remove()
    mean = np.float32([102.9801, 115.9465, 122.7717])
    expected = torch.from_numpy(shown[..., ::-1] - mean).permute(0, 3, 1, 2)
    torch.testing.assert_close(seen[0], expected, atol=1e-4, rtol=0)


@needs_detectron2
def test_attributes_are_those_of_the_class_that_was_found(detector: RegionDetector) -> None:
    shown = np.random.default_rng(0).integers(256, size=(1, 64, 64, 3), dtype=np.uint8)
    with torch.no_grad():
        (found,) = detector._detect(shown)
        assert found.attribute_logits.shape == (len(found), 401)
        public = {
            name.rpartition("box_predictor.")[2]: it for name, it in random_checkpoint().items()
        }
        for row in range(len(found)):
            word = public["cls_embedding.weight"][found.logits[row].argmax()]
            joined = torch.cat([found.features[row], word])
            hidden = (public["fc_attr.weight"] @ joined + public["fc_attr.bias"]).clamp(min=0)
            expected = public["attr_score.weight"] @ hidden + public["attr_score.bias"]
            torch.testing.assert_close(found.attribute_logits[row], expected, atol=1e-3, rtol=1e-3)


@needs_detectron2
@pytest.mark.parametrize("config", [FASTER, FAST, COCO, GIVEN], ids=lambda config: config.name)
def test_a_batch_of_four_is_four_batches_of_one(checkpoint: Path, config: DetectorConfig) -> None:
    weights = checkpoint if config.name.endswith("vg") else None
    found = make(config, weights)
    together = found(frames(4))
    assert together.features.shape == (4, N, config.feature_size)
    assert (together.boxes.shape, together.mask.shape) == ((4, N, 4), (4, N))
    assert together.features.dtype == torch.float16
    assert together.mask.sum() >= 4
    assert 0 <= together.boxes.min() <= together.boxes.max() <= 1
    assert not together.features[~together.mask].any()
    assert len(together.features[together.mask].float().unique(dim=0)) > 1
    for row in range(4):
        alone = found(frames(4)[row : row + 1])
        assert torch.equal(alone.mask[0], together.mask[row])
        torch.testing.assert_close(alone.boxes[0], together.boxes[row], atol=1e-4, rtol=0)
        torch.testing.assert_close(alone.features[0], together.features[row], atol=4e-3, rtol=4e-3)
    assert found(frames(1)[:0]).mask.shape == (0, N)


@needs_detectron2
def test_given_proposals_stay_where_they_are(checkpoint: Path) -> None:
    from pipeline.vision.detectors._segments import propose

    expected, real = propose(frames(4), N)
    for config, weights in ((FAST, checkpoint), (GIVEN, None)):
        found = make(config, weights)(frames(4))
        np.testing.assert_allclose(found.boxes.numpy(), expected, atol=1e-5)
        np.testing.assert_array_equal(found.mask.numpy(), real)


@needs_detectron2
def test_a_blank_frame_is_padded_and_masked(checkpoint: Path) -> None:
    """All proposals grow over the whole frame, so that one region is left; of given ones none."""
    tensors = random_checkpoint()
    tensors["roi_heads.box_predictor.bbox_pred.weight"].zero_()
    tensors["roi_heads.box_predictor.bbox_pred.bias"].fill_(50.0)
    detector = make(FASTER, checkpoint)
    detector.model.load_state_dict({name: tensors[name] for name in detector.model.state_dict()})
    blank = np.full((1, 64, 64, 3), 7, np.uint8)
    found = detector(blank)
    assert found.mask.tolist() == [[True] + [False] * (N - 1)]
    assert found.features[0, 0].any()
    assert not found.features[0, 1:].any()
    assert not found.boxes[0, 1:].any()
    tensors["proposal_generator.rpn_head.anchor_deltas.bias"].fill_(1e6)  # outside of the frame
    detector.model.load_state_dict({name: tensors[name] for name in detector.model.state_dict()})
    others = [make(FAST, checkpoint), make(GIVEN)]
    for nothing in [one(blank) for one in (detector, *others)]:
        assert not nothing.mask.any()
        assert not nothing.features.any()


@needs_detectron2
@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((1, 64, 64), np.uint8),
        np.zeros((1, 64, 64, 1), np.uint8),
        np.zeros((1, 64, 64, 4), np.uint8),
        np.full((1, 64, 64, 3), 300.0, np.float32),
        np.zeros((64, 64, 3), np.uint8),
    ],
    ids=["grey", "grey with channel", "RGBA", "float out of range", "one frame"],
)
def test_frames_of_another_kind_are_refused(
    detector: RegionDetector, wrong: NDArray[np.uint8]
) -> None:
    with pytest.raises(PipelineError, match=r"faster_rcnn_vg: .* expected .* uint8 RGB") as caught:
        detector(wrong)
    assert "\n" not in str(caught.value)


@needs_detectron2
def test_weights_beyond_half_precision_are_told(detector: RegionDetector) -> None:
    norm = detector.model.roi_heads.res5[2].conv3.norm.bias
    norm += 1e6
    try:
        with pytest.raises(PipelineError, match="beyond half precision"):
            detector(frames(1))
    finally:
        norm -= 1e6


@needs_detectron2
def test_the_seed_decides_random_weights() -> None:
    one, same, other = (
        make(GIVEN.model_copy(update={"seed": seed})).model.state_dict() for seed in (0, 0, 1)
    )
    name = "roi_heads.box_head.fc1.weight"
    assert torch.equal(one[name], same[name])
    assert not torch.equal(one[name], other[name])


def test_what_is_imported_without_the_library() -> None:
    """The plug-ins can be listed and refused where detectron2 is not installed."""
    assert _detectron2.RegionDetector.takes_weights
    assert set(MODULES) <= set(detectors.plugins.names("vision.detectors"))
