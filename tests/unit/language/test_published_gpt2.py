"""The first layers of a published GPT-2, and a policy that begins with them; that they give its
hidden states is in `tests/parity`. The checkpoints are random, in the published layout, written by
the library itself.
"""

import json
from pathlib import Path

import pytest
import torch
from command_line import words
from policies import policy_of
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel

from pipeline.config.schema import LanguageModelConfig
from pipeline.errors import PipelineError
from pipeline.language import gpt2, pretraining
from pipeline.stages import execute
from pipeline.stages.take_layers import take_layers

CONFIG = LanguageModelConfig(published="tiny", width=16, layers=2, heads=2, activation="gelu_tanh")


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A folder as of the hub: a GPT-2 of three layers with its output layer."""
    torch.manual_seed(0)
    shape = GPT2Config(n_embd=16, n_layer=3, n_head=2, n_positions=12, vocab_size=11)
    model = GPT2LMHeadModel(shape)
    for parameter in model.parameters():  # biases are zero at first: make every one count
        torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(tmp_path / "published")
    return tmp_path / "published"


def test_names_as_the_hub_has_them(published: Path) -> None:
    """There they are without the prefix, and with the masks that older versions stored."""
    file = published / "model.safetensors"
    tensors = {
        name.removeprefix("transformer."): tensor for name, tensor in load_file(file).items()
    }
    before = gpt2.renamed(load_file(file), layers=3)
    tensors |= {f"h.{index}.attn.bias": torch.ones(1, 1, 12, 12).tril() for index in range(3)}
    after = gpt2.renamed(tensors, layers=3)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_policy_begins_with_them(published: Path, tmp_path: Path) -> None:
    output = tmp_path / "layers.safetensors"
    execute(take_layers, words(language_model=CONFIG.as_json(), published=published, model=output))
    policy = policy_of("more3s", width=16, layers=2, heads=2, activation="gelu_tanh")
    biases = {n: p.clone() for n, p in policy.transformer.named_parameters() if "distance" in n}
    assert biases
    assert (
        pretraining.begin_with(output, policy.transformer) == "published (tiny), layers 1 to 2 of 3"
    )
    own, tensors = policy.transformer.state_dict(), load_file(output)
    for name in own:
        if name in biases:  # GPT-2 has none: it knows time by its position embeddings
            assert torch.equal(own[name], biases[name])
        elif name.startswith("blocks.") and not name.endswith("conditioning"):
            assert torch.equal(own[name], tensors[f"transformer.{name}"]), name
    with safe_open(output, "pt") as file:
        assert json.loads(file.metadata()["language_model"])["config"] == CONFIG.model_dump()
    wide = policy_of("more3s", width=32, layers=2, heads=2, activation="gelu_tanh")
    with pytest.raises(PipelineError, match="make width, layers, heads equal"):
        pretraining.begin_with(output, wide.transformer)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"width": 32}, "width is 16, the language model asks for 32"),
        ({"heads": 4}, "heads is 2, the language model asks for 4"),
        ({"activation": "gelu"}, "activation is gelu_tanh, the language model asks for gelu"),
        ({"layers": 4}, "3 layers, 4 are asked for"),
    ],
)
def test_another_shape_is_refused(
    published: Path, tmp_path: Path, change: dict[str, object], cause: str
) -> None:
    config = CONFIG.model_copy(update=change)
    with pytest.raises(PipelineError, match=cause) as caught:
        gpt2.take_layers(config, published, tmp_path / "out")
    assert "config.json" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_broken_files_are_one_line(published: Path, tmp_path: Path) -> None:
    tensors = load_file(published / "model.safetensors")
    del tensors["transformer.h.1.mlp.c_fc.bias"]
    tensors |= {"h.weight": torch.zeros(1), "transformer.h.x.ln_1.weight": torch.zeros(1)}
    save_file(tensors, published / "model.safetensors")
    with pytest.raises(PipelineError, match=r"blocks\.1\.feedforward\.0\.bias is missing"):
        gpt2.take_layers(CONFIG, published, tmp_path / "out")
    (published / "config.json").write_text("{}")
    with pytest.raises(PipelineError, match=r"not GPT-2's configuration \(KeyError"):
        gpt2.take_layers(CONFIG, published, tmp_path / "out")
    (published / "config.json").unlink()
    with pytest.raises(PipelineError, match="run retrieve"):
        gpt2.take_layers(CONFIG, published, tmp_path / "out")
