"""A language model learns, survives being killed, and hands its layers to a policy."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from policies import method_config, policy_of
from safetensors import safe_open

from pipeline.config.schema import LanguageModelConfig
from pipeline.errors import PipelineError
from pipeline.language import pretraining
from pipeline.language.pretraining import Corpus, LanguageModel, begin_with, pretrain
from pipeline.training.resume import Resumption

VOCABULARY = 20
SMALL = {
    **{"width": 32, "layers": 2, "heads": 2, "context_length": 8, "tokens_per_batch": 64},
    **{"steps": 12, "warmup_steps": 2, "evaluate_every": 4, "learning_rate": 3e-3},
}


def config(**changes: Any) -> LanguageModelConfig:
    return LanguageModelConfig(**{**SMALL, **changes})


def tokens(length: int = 600) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Counting with a stumble now and then: what follows is nearly always known."""
    stumbles = np.random.default_rng(0).random(length) < 0.05
    return (np.cumsum(1 + stumbles) % VOCABULARY).astype(np.int64)


def test_perplexity_falls_to_what_the_text_allows(tmp_path: Path) -> None:
    rows = pretrain(config(steps=150), tokens(), VOCABULARY, "count", tmp_path / "model")
    assert rows[0].held_out_perplexity > 2 * rows[-1].held_out_perplexity
    assert 1 < rows[-1].held_out_perplexity < 3
    assert rows[-1].step == 150


def test_no_token_sees_the_next() -> None:
    torch.manual_seed(0)
    model = LanguageModel(config(dropout=0.0), VOCABULARY).eval()
    text = torch.randint(0, VOCABULARY, (1, 9))
    changed = text.clone()
    changed[0, 5:] = (changed[0, 5:] + 1) % VOCABULARY
    positions = pretraining.Positions.of_steps(0, 9, 1)
    states = [model.transformer(model.embedding(t), positions)[0] for t in (text, changed)]
    assert torch.equal(states[0][:, :5], states[1][:, :5])
    assert not torch.equal(states[0][:, 5:], states[1][:, 5:])


@pytest.mark.parametrize("killed_after", [1, 4, 7, 11])
def test_a_killed_run_ends_with_the_same_bytes(
    killed_after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, resumed = tmp_path / "whole.safetensors", tmp_path / "resumed.safetensors"
    curve = pretrain(config(), tokens(), VOCABULARY, "count", whole)

    def killed(corpus: Corpus, settings: LanguageModelConfig, step: int) -> Any:
        if step == killed_after:
            raise KeyboardInterrupt
        return batch(corpus, settings, step)

    batch = Corpus.batch
    saved = Resumption(resumed, "this one")
    with monkeypatch.context() as patched:
        patched.setattr(Corpus, "batch", killed)
        with pytest.raises(KeyboardInterrupt):
            pretrain(config(), tokens(), VOCABULARY, "count", resumed, saved)
    assert not resumed.exists()
    assert saved.waiting == (killed_after >= 4)
    again = pretrain(config(), tokens(), VOCABULARY, "count", resumed, saved)
    assert resumed.read_bytes() == whole.read_bytes()
    assert again == curve


def test_a_policy_begins_with_the_layers(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    pretrain(config(), tokens(), VOCABULARY, "primer", path)
    policy = policy_of("more3s", time_embedding="relative")
    before = {name: tensor.clone() for name, tensor in policy.state_dict().items()}
    assert begin_with(path, policy.transformer) == "language model of the primer"
    with safe_open(path, "pt") as file:
        theirs = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    changed = set()
    for name, tensor in policy.state_dict().items():
        if not torch.equal(tensor, before[name]):
            changed.add(name)
            expected = theirs[name]
            if name.endswith("distance_bias"):
                expected = expected[:, : tensor.shape[1]]
            assert torch.equal(tensor, expected), name
    assert changed == {
        name
        for name in before
        if name.startswith("transformer.blocks.") and not name.endswith("conditioning")
    }


def test_layers_that_do_not_fit_are_named(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    pretrain(config(width=16), tokens(), VOCABULARY, "primer", path)
    with pytest.raises(PipelineError, match=r"model\.safetensors: blocks\.0\..* the policy has"):
        begin_with(path, policy_of("more3s").transformer)
    pretrain(config(context_length=2), tokens(), VOCABULARY, "primer", path)
    with pytest.raises(PipelineError, match=r"distance_bias is .* context_length long enough"):
        begin_with(path, policy_of("more3s").transformer)
    with pytest.raises(PipelineError, match="give --language-model"):
        begin_with(None, policy_of("more3s").transformer)
    with pytest.raises(PipelineError, match="run pretrain_language_model"):
        begin_with(tmp_path / "none", policy_of("more3s").transformer)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(PipelineError, match="not a language model"):
        begin_with(path, policy_of("more3s").transformer)


def test_bad_texts_and_rates(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="too few for sequences of 8"):
        pretrain(config(), tokens(30), VOCABULARY, "short", tmp_path / "model")
    with pytest.raises(PipelineError, match=r"at step .*lower its learning_rate"):
        pretrain(config(learning_rate=1e30), tokens(), VOCABULARY, "count", tmp_path / "model")
    with pytest.raises(PipelineError, match=r"at step .*lower its learning_rate"):
        pretrain(config(learning_rate=100), tokens(), VOCABULARY, "count", tmp_path / "model")
    assert not list(tmp_path.glob("model*"))


def test_a_policy_of_the_configuration_asks_for_its_language_model() -> None:
    chosen = method_config("more3s", initial_weights="language_model")
    assert chosen.policy.initial_weights == "language_model"
