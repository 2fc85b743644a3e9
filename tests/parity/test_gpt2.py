"""Our transformer with conditioning and band off gives Hugging Face GPT-2's hidden states on the
same weights.
"""

import pytest
import torch
from transformers import GPT2Config, GPT2Model

from pipeline.models._memory import Positions
from pipeline.models._transformer import Transformer, TransformerConfig

LAYERS = {
    "ln_1": "attention_norm",
    "attn.c_attn": "attention.input",
    "attn.c_proj": "attention.output",
    "ln_2": "feedforward_norm",
    "mlp.c_fc": "feedforward.0",
    "mlp.c_proj": "feedforward.2",
}


def copy_weights(source: GPT2Model, target: Transformer) -> None:
    weights = {}
    for name, tensor in source.state_dict().items():
        if name.startswith("ln_f"):
            weights[name.replace("ln_f", "norm")] = tensor
        elif name.startswith("h."):
            _, index, rest = name.split(".", 2)
            layer, kind = rest.rsplit(".", 1)
            # GPT-2 stores its projections as (in, out)
            turned = tensor.T if tensor.dim() == 2 else tensor
            weights[f"blocks.{index}.{LAYERS[layer]}.{kind}"] = turned
    target.load_state_dict(weights)


@pytest.mark.parametrize("conditioned", [False, True])
def test_same_hidden_states_on_the_same_weights(conditioned: bool) -> None:
    torch.manual_seed(0)
    reference = GPT2Model(
        GPT2Config(n_embd=48, n_layer=3, n_head=4, n_positions=32, vocab_size=50)
    ).eval()
    for parameter in reference.parameters():  # biases are zero at first: make every one count
        torch.nn.init.normal_(parameter, std=0.2)
    plain = TransformerConfig(48, 3, 4, activation="gelu_tanh")
    ours = Transformer(plain, reach=None).eval()
    copy_weights(reference, ours)
    returns = None
    if conditioned:  # u starts at zero, so pretrained attention is unchanged
        weights = ours.state_dict()
        ours = Transformer(
            TransformerConfig(48, 3, 4, activation="gelu_tanh", conditioned=True), None
        ).eval()
        ours.load_state_dict(weights, strict=False)
        returns = torch.randn(3, 21)
    tokens = torch.randint(0, 50, (3, 21))
    x = reference.wte(tokens) + reference.wpe(torch.arange(21))
    real = torch.ones(3, 21, dtype=torch.bool)
    real[1, 15:] = False  # padding on the right, as GPT-2 knows it
    with torch.no_grad():
        hidden, _ = ours(x, Positions.of_steps(0, 21, 1), real, returns)
        expected = reference(tokens, attention_mask=real.long()).last_hidden_state
    torch.testing.assert_close(hidden[real], expected[real], atol=1e-5, rtol=1e-5)
