"""LXMERT factorised equals LxmertModel.forward; what the initial scale is for; broken folders."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from encoding import DETECTOR, ENCODER, PROMPTS, encoder, some_regions
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import LxmertConfig, LxmertForPreTraining, LxmertModel

from pipeline.config.schema import EncoderConfig
from pipeline.errors import PipelineError
from pipeline.features import encoders
from pipeline.features.encoders import lxmert
from pipeline.features.encoders._factorised import Lxmert
from pipeline.vision.detectors import Regions

DEEP = ENCODER.model_copy(
    update={"language_layers": 2, "relationship_layers": 2, "cross_layers": 3}
)
COORDINATES = ENCODER.model_copy(update={"box_frequencies": 0})


def composed(found: Lxmert, prompt: Tensor, frame: Tensor) -> Tensor:
    """O of pairs by the three factors."""
    regions = some_regions()
    states = found.encode_frames(regions)
    prompts = found.encode_prompts(PROMPTS.sentences)
    return found.encode_pairs(prompts, prompt, states[frame], regions.mask[frame])


def whole(found: Lxmert, model: LxmertModel, prompt: Tensor, frame: Tensor) -> Tensor:
    """O of pairs by the library's own forward, each pair on its own."""
    regions = some_regions()
    ids, mask = found.tokenize(PROMPTS.sentences)
    with torch.no_grad():
        output = model(
            input_ids=ids[prompt],
            visual_feats=regions.features[frame].float(),
            visual_pos=found.encode_boxes(regions.boxes[frame]),
            attention_mask=mask[prompt],
            visual_attention_mask=regions.mask[frame],
        )
    return torch.cat([output.language_output, output.vision_output], dim=1)


@pytest.mark.parametrize(
    "config", [ENCODER, DEEP, COORDINATES], ids=["compact", "deep", "coordinates"]
)
def test_factorised_equals_the_librarys_forward(tmp_path: Path, config: EncoderConfig) -> None:
    found = encoder(tmp_path, config)
    assert isinstance(found, Lxmert)
    lengths = found.tokenize(PROMPTS.sentences)[1].sum(1)
    assert len(set(lengths.tolist())) > 1  # padding among words, as among regions
    prompt, frame = torch.cartesian_prod(torch.arange(3), torch.arange(4)).T
    ours, theirs = composed(found, prompt, frame), whole(found, found.model, prompt, frame)
    assert ours.std() > 0.1
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_padding_changes_no_real_token(tmp_path: Path) -> None:
    found = encoder(tmp_path)
    regions = some_regions()
    one, prompt = torch.tensor([2]), torch.tensor([1])
    padded = composed(found, prompt, one)[0]
    ids, _ = found.tokenize(PROMPTS.sentences)
    alone = found.encode_prompts([PROMPTS.sentences[1]])
    short = regions.first(2)
    states = found.encode_frames(short)[one]
    bare = found.encode_pairs(alone, torch.tensor([0]), states, short.mask[one])[0]
    words = alone.mask.shape[1]
    real = torch.cat([padded[:words], padded[ids.shape[1] : ids.shape[1] + 2]])
    torch.testing.assert_close(real, bare, atol=1e-5, rtol=1e-5)


def test_weights_in_the_published_layout(tmp_path: Path) -> None:
    """The published checkpoint holds the pretraining model, with heads for everything."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 64}
    layers = {"l_layers": 1, "r_layers": 1, "x_layers": 1}
    lxmert.create(COORDINATES, DETECTOR.feature_size, PROMPTS.sentences, tmp_path)
    words = len((tmp_path / "vocab.txt").read_text().split())
    model = LxmertForPreTraining(
        LxmertConfig(vocab_size=words, visual_feat_dim=DETECTOR.feature_size, **sizes, **layers)
    ).eval()
    model.save_pretrained(tmp_path)
    found = encoders.load(COORDINATES, tmp_path)
    assert isinstance(found, Lxmert)
    prompt, frame = torch.tensor([0, 1, 2]), torch.tensor([3, 0, 1])
    torch.testing.assert_close(
        composed(found, prompt, frame),
        whole(found, model.lxmert, prompt, frame),
        atol=1e-5,
        rtol=1e-5,
    )


def change_when_a_ball_moves(found: Lxmert, start: float) -> float:
    """How much E(S) of a ball changes, relative to its size, when the ball moves from `start` by 3
    of 160 pixels away from the origin, while its features stay.
    """
    before = torch.tensor([start, start, start + 0.02, start + 0.02])
    boxes = torch.stack([before, before + 3 / 160])[:, None]  # (2, 1, 4)
    features = torch.linspace(-1, 1, DETECTOR.feature_size).half().expand(2, 1, -1)
    regions = Regions(features, boxes, torch.ones(2, 1, dtype=torch.bool))
    prompts = found.encode_prompts(PROMPTS.sentences[:1])
    tokens = found.encode_pairs(
        prompts, torch.zeros(2, dtype=torch.int64), found.encode_frames(regions), regions.mask
    )[:, -1]
    return float((tokens[0] - tokens[1]).norm() / tokens[0].norm())


@pytest.mark.parametrize("start", [0.3, 0.6])
def test_a_moved_box_changes_its_token(tmp_path: Path, start: float) -> None:
    """The reason for `_boxes`: by the library's default (no bias) LayerNorm keeps a box's direction
    alone, so that boxes on one ray from the origin are alike; waves tell near places best.
    """
    waves = encoder(tmp_path / "waves")
    coordinates = encoder(tmp_path / "coordinates", COORDINATES)
    assert isinstance(waves, Lxmert)
    assert isinstance(coordinates, Lxmert)
    torch.manual_seed(0)
    config = coordinates.model.config
    default = Lxmert(LxmertModel(config), waves.tokenizer, waves.text_tokens)
    changes = [change_when_a_ball_moves(it, start) for it in (default, coordinates, waves)]
    assert changes[0] < 0.002
    assert changes[1] > 0.01
    assert changes[2] > 2 * changes[1]


def test_same_seed_same_weights(tmp_path: Path) -> None:
    for name in ("one", "two"):
        encoder(tmp_path / name)
    encoder(tmp_path / "other", ENCODER.model_copy(update={"seed": 1}))
    one, two, other = (
        (tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two", "other")
    )
    assert one == two
    assert one != other


@pytest.mark.parametrize(
    ("sentence", "cause"),
    [("move to the moon", "vocabulary lacks"), ("move " * 11, "13 word pieces, the encoder takes")],
)
def test_sentences_it_cannot_read(tmp_path: Path, sentence: str, cause: str) -> None:
    with pytest.raises(PipelineError, match=cause):
        encoder(tmp_path).encode_prompts([PROMPTS.sentences[0], sentence])


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def rewrite_weights(folder: Path, change: Callable[[dict[str, Tensor]], None]) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def forget_a_weight(folder: Path) -> None:
    def change(weights: dict[str, Tensor]) -> None:
        del weights["pooler.dense.weight"]

    rewrite_weights(folder, change)


def reshape_a_weight(folder: Path) -> None:
    def change(weights: dict[str, Tensor]) -> None:
        weights["pooler.dense.weight"] = torch.zeros(3, 3)

    rewrite_weights(folder, change)


def add_words(folder: Path) -> None:
    with (folder / "vocab.txt").open("a") as file:
        file.write("one\nmore\n")


@pytest.mark.parametrize(
    ("damage", "cause"),
    [
        *[
            (lambda folder, name=name: (folder / name).unlink(), f"{name}: missing")
            for name in ("config.json", "model.safetensors", "vocab.txt")
        ],
        (lambda folder: truncate(folder / "model.safetensors"), "damaged encoder"),
        (lambda folder: truncate(folder / "config.json"), "damaged encoder"),
        (forget_a_weight, "no weight pooler.dense.weight"),
        (reshape_a_weight, "damaged encoder"),
        (add_words, "vocab.txt: .* word pieces, but"),
    ],
)
def test_a_broken_folder_is_one_line(
    tmp_path: Path, damage: Callable[[Path], None], cause: str
) -> None:
    encoder(tmp_path)
    damage(tmp_path)
    with pytest.raises(PipelineError, match=cause) as caught:
        encoders.load(ENCODER, tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"width": 32}, "hidden_size is 16, the configuration asks for 32"),
        ({"cross_layers": 2}, "x_layers is 1"),
        ({"box_frequencies": 0}, "visual_pos_dim is 48, the configuration asks for 4"),
        ({"text_tokens": 40}, "40 word pieces are asked for, 32 fit"),
    ],
)
def test_another_configuration_is_refused(
    tmp_path: Path, change: dict[str, int], cause: str
) -> None:
    encoder(tmp_path)
    with pytest.raises(PipelineError, match=cause):
        encoders.load(ENCODER.model_copy(update=change), tmp_path)


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    encoder(tmp_path)
    assert capfd.readouterr() == ("", "")
    assert json.loads((tmp_path / "config.json").read_text())["hidden_size"] == 16
