"""LXMERT in the published layout → our encoder: the library's own hidden states. The checkpoints
are random and small, written by the library itself, with a vocabulary of word pieces.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from encoding import DETECTOR, ENCODER, PROMPTS, some_regions
from torch import Tensor
from transformers import BertTokenizer, LxmertConfig, LxmertForPreTraining, LxmertModel

from pipeline.config.schema import EncoderConfig
from pipeline.errors import PipelineError
from pipeline.features import encoders
from pipeline.features.encoders._factorised import Lxmert

CONFIG = ENCODER.model_copy(
    update={"published": "tiny", "box_frequencies": 0, "pretraining_steps": 0, "cross_layers": 2}
)
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = [*SPECIAL, "where", "you", "are", "move", "to", "the", "right", "left", "wa", "##it"]
"""`wait` is two word pieces, as rare words are in BERT's vocabulary."""


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A folder as of the hub, of the pretraining model with all its heads."""
    torch.manual_seed(0)
    config = LxmertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_attention_heads=2,
        intermediate_size=64,
        l_layers=1,
        r_layers=1,
        x_layers=2,
        visual_feat_dim=DETECTOR.feature_size,
        num_qa_labels=5,
        num_object_labels=6,
        num_attr_labels=7,
    )
    folder = tmp_path / "published"
    LxmertForPreTraining(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    return folder


def as_torch_file(folder: Path) -> None:
    """`pytorch_model.bin` instead of safetensors, as of 2020."""
    model = LxmertForPreTraining.from_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def make(published: Path, folder: Path, config: EncoderConfig = CONFIG) -> Lxmert:
    encoders.create(config, DETECTOR.feature_size, PROMPTS.sentences, folder, published)
    found = encoders.load(config, folder)
    assert isinstance(found, Lxmert)
    return found


def hidden_states(found: Lxmert, prompt: Tensor, frame: Tensor) -> Tensor:
    regions = some_regions()
    states = found.encode_frames(regions)
    prompts = found.encode_prompts(PROMPTS.sentences)
    return found.encode_pairs(prompts, prompt, states[frame], regions.mask[frame])


@pytest.mark.parametrize("layout", ["safetensors", "torch file"])
def test_the_librarys_hidden_states(published: Path, tmp_path: Path, layout: str) -> None:
    reference = LxmertModel.from_pretrained(published).eval()
    if layout == "torch file":
        as_torch_file(published)
    found = make(published, tmp_path / "encoder")
    prompt, frame = torch.cartesian_prod(torch.arange(3), torch.arange(4)).T
    tokenizer = BertTokenizer.from_pretrained(published)
    encoded = tokenizer(PROMPTS.sentences, padding="longest", return_tensors="pt")
    regions = some_regions()
    with torch.no_grad():
        output = reference(
            input_ids=encoded["input_ids"][prompt],
            attention_mask=encoded["attention_mask"][prompt],
            token_type_ids=encoded["token_type_ids"][prompt],
            visual_feats=regions.features[frame].float(),
            visual_pos=regions.boxes[frame],
            visual_attention_mask=regions.mask[frame],
        )
    expected = torch.cat([output.language_output, output.vision_output], dim=1)
    assert expected.std() > 0.1
    ours = hidden_states(found, prompt, frame)
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-5)


def test_the_vocabulary_is_the_published_one(published: Path, tmp_path: Path) -> None:
    found = make(published, tmp_path / "encoder")
    ids, mask = found.tokenize(["Wait", "move left"])
    pieces = [found.tokenizer.convert_ids_to_tokens(row[real]) for row, real in zip(ids, mask)]  # noqa: B905
    assert pieces == [["[CLS]", "wa", "##it", "[SEP]"], ["[CLS]", "move", "left", "[SEP]"]]


def test_what_is_written_is_a_whole_encoder(published: Path, tmp_path: Path) -> None:
    make(published, tmp_path / "one")
    make(published, tmp_path / "two")
    names = {"config.json", "model.safetensors", "vocab.txt"}
    assert {path.name for path in (tmp_path / "one").iterdir()} == names
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    shutil.rmtree(published)
    encoders.load(CONFIG, tmp_path / "one")


def test_weights_are_named_for_the_tables() -> None:
    assert CONFIG.weights == "lxmert published (tiny)"
    trained = CONFIG.model_copy(update={"pretraining_steps": 3})
    assert trained.weights == "lxmert published (tiny), then pretrained here"
    assert ENCODER.weights == "lxmert pretrained here"
    random = ENCODER.model_copy(update={"pretraining_steps": 0})
    assert random.weights == "lxmert random"


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_precision(published: Path, tmp_path: Path, kind: torch.dtype) -> None:
    LxmertForPreTraining.from_pretrained(published).to(kind).save_pretrained(published)
    found = make(published, tmp_path / "encoder")
    assert found.encode_frames(some_regions()).dtype == torch.float32


def configured(**changes: object) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return damage


def forget(folder: Path) -> None:
    as_torch_file(folder)
    weights = torch.load(folder / "pytorch_model.bin", weights_only=True)
    del weights["lxmert.pooler.dense.weight"]
    weights["lxmert.pooler.dense.bias"] = torch.zeros(3)
    weights["lxmert.extra"] = torch.zeros(3)
    torch.save(weights, folder / "pytorch_model.bin")


@pytest.mark.parametrize(
    ("damage", "cause"),
    [
        (lambda folder: (folder / "vocab.txt").unlink(), "vocab.txt: missing; run retrieve again"),
        (lambda folder: (folder / "config.json").unlink(), "config.json: missing"),
        (lambda folder: (folder / "config.json").write_text("{"), "not LXMERT's configuration"),
        (configured(vocab_size=-1), "not LXMERT's configuration"),
        (configured(vocab_size="x"), "not LXMERT's configuration"),
        (configured(hidden_act="x"), "not LXMERT's configuration"),
        (configured(dtype="x"), "not LXMERT's configuration"),
        (configured(hidden_dropout_prob=-1), "not LXMERT's configuration"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no file of weights"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"x" * 99), "damaged file"),
        (
            forget,
            r"pooler\.dense\.weight is missing; pooler\.dense\.bias is \(3,\), expected \(16,\); "
            "extra is unknown",
        ),
    ],
)
def test_a_broken_folder_is_one_line(
    published: Path, tmp_path: Path, damage: Callable[[Path], None], cause: str
) -> None:
    damage(published)
    with pytest.raises(PipelineError, match=cause) as caught:
        make(published, tmp_path / "encoder")
    assert str(published) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"width": 32}, "hidden_size is 16, the configuration asks for 32"),
        ({"box_frequencies": 6}, "visual_pos_dim is 4, the configuration asks for 48"),
        ({"published": None}, "published is None, but .* is given"),
    ],
)
def test_another_configuration_is_refused(
    published: Path, tmp_path: Path, change: dict[str, object], cause: str
) -> None:
    with pytest.raises(PipelineError, match=cause):
        make(published, tmp_path / "encoder", CONFIG.model_copy(update=change))


def test_regions_of_another_length_are_refused(published: Path, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="features of 8 numbers, the detector gives 9"):
        encoders.create(CONFIG, 9, PROMPTS.sentences, tmp_path / "encoder", published)
    with pytest.raises(PipelineError, match="but no --published is given"):
        encoders.create(CONFIG, DETECTOR.feature_size, PROMPTS.sentences, tmp_path / "encoder")
    assert json.loads((published / "config.json").read_text())["visual_feat_dim"] == 8
