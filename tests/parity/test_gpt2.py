"""Our transformer with conditioning and band off gives Hugging Face GPT-2's hidden states on the
same weights.
"""

import pytest
import torch
from transformers import GPT2Config, GPT2Model

from pipeline.config.methods import TransformerSettings
from pipeline.language import gpt2
from pipeline.nn.kv_cache import Positions
from pipeline.nn.transformer import Transformer


@pytest.mark.parametrize("conditioned", [False, True])
def test_same_hidden_states_on_the_same_weights(conditioned: bool) -> None:
    torch.manual_seed(0)
    reference = GPT2Model(
        GPT2Config(n_embd=48, n_layer=3, n_head=4, n_positions=32, vocab_size=50)
    ).eval()
    for parameter in reference.parameters():  # biases are zero at first: make every one count
        torch.nn.init.normal_(parameter, std=0.2)
    plain = TransformerSettings(width=48, layers=3, heads=4, activation="gelu_tanh")
    ours = Transformer(plain, attention_span=None).eval()
    ours.load_state_dict(gpt2.renamed(reference.state_dict(), layers=3))
    returns = None
    if conditioned:  # u starts at zero, so pretrained attention is unchanged
        weights = ours.state_dict()
        ours = Transformer(plain, None, conditioned=True).eval()
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
