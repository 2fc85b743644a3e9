"""Our transformer with conditioning and band off gives Hugging Face GPT-2's hidden states on the
layers that are taken of its checkpoint.
"""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import GPT2Config, GPT2LMHeadModel

from pipeline.config.methods import TransformerSettings
from pipeline.config.schema import LanguageModelConfig
from pipeline.language import gpt2
from pipeline.nn.kv_cache import Positions
from pipeline.nn.transformer import Transformer

LAYERS = 3


@pytest.mark.parametrize("layers", [2, LAYERS])
@pytest.mark.parametrize("conditioned", [False, True])
def test_same_hidden_states_on_the_same_weights(
    layers: int, conditioned: bool, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    shape = GPT2Config(n_embd=48, n_layer=LAYERS, n_head=4, n_positions=32, vocab_size=50)
    published = GPT2LMHeadModel(shape).eval()
    for parameter in published.parameters():  # biases are zero at first: make every one count
        torch.nn.init.normal_(parameter, std=0.2)
    published.save_pretrained(tmp_path)
    width = {"width": 48, "heads": 4, "layers": layers, "activation": "gelu_tanh"}
    gpt2.take_layers(
        LanguageModelConfig(published="tiny", **width), tmp_path, tmp_path / "layers.safetensors"
    )
    tensors = load_file(tmp_path / "layers.safetensors")
    ours = Transformer(TransformerSettings(**width), None, conditioned).eval()
    # u starts at zero, so pretrained attention is unchanged
    missing, unknown = ours.load_state_dict(
        {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()},
        strict=not conditioned,
    )
    assert not unknown
    assert all(name.endswith("conditioning") for name in missing)
    if layers < LAYERS:
        ours.norm = torch.nn.Identity()  # hidden states between layers are not normalised
    reference = published.transformer
    tokens = torch.randint(0, 50, (3, 21))
    x = reference.wte(tokens) + reference.wpe(torch.arange(21))
    real = torch.ones(3, 21, dtype=torch.bool)
    real[1, 15:] = False  # padding on the right, as GPT-2 knows it
    returns = torch.randn(3, 21) if conditioned else None
    with torch.no_grad():
        hidden, _ = ours(x, Positions.of_steps(0, 21, 1), real, returns)
        expected = reference(tokens, attention_mask=real.long(), output_hidden_states=True)
    states = expected.hidden_states[layers]  # the last are normalised
    assert states.std() > 0.1
    torch.testing.assert_close(hidden[real], states[real], atol=1e-5, rtol=1e-5)
