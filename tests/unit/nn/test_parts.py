"""The parts that models are made of: what they standardise, pool, hide and read."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from policies import (
    ACTIONS,
    EMBED,
    METHODS,
    POLICY,
    STATE,
    TEXT,
    acted,
    batch_of,
    logits_of,
    others,
    overfit,
    policy_of,
    without_memory,
)

from pipeline.errors import PipelineError

EXACT = {"atol": 1e-5, "rtol": 1e-5}


def test_states_are_standardised_by_the_data() -> None:
    attributes = {"state_mean": np.full(STATE, 5.0), "state_std": np.full(STATE, 3.0)}
    for method in ("decision_transformer on states", "more3s on images and states"):
        plain, shifted = (policy_of(method, attributes=known) for known in ({}, attributes))
        batch = batch_of(method, 2, 3)
        moved = {**batch.observation, "state": batch.observation["state"] * 3 + 5}
        torch.testing.assert_close(
            logits_of(shifted, replace(batch, observation=moved)), logits_of(plain, batch), **EXACT
        )


def test_the_state_reaches_what_more3s_reads_and_the_image_too() -> None:
    method = "more3s on images and states"
    policy, batch = policy_of(method), batch_of("more3s on images and states", 2, 3)
    for name in ("state", "tokens"):
        changed = {**batch.observation, name: batch.observation[name] + 1}
        difference = logits_of(policy, replace(batch, observation=changed)) - logits_of(
            policy, batch
        )
        assert difference.abs().max() > 1e-3


def test_the_gate_is_what_glu_adds() -> None:
    """With σ(g) = 1 and h unchanged, the gated model is the plain one."""
    gated = policy_of("decision_transformer_glu on states")
    plain = policy_of("decision_transformer on states")
    plain.load_state_dict(
        {name: x for name, x in gated.state_dict().items() if not name.startswith("gate")}
    )
    width = POLICY["width"]
    with torch.no_grad():
        gated.gate.weight.zero_()
        gated.gate.weight[:width] = torch.eye(width)
        gated.gate.bias[:width], gated.gate.bias[width:] = 0, 30
    batch = batch_of("decision_transformer on states", 2, 3)
    torch.testing.assert_close(logits_of(gated, batch), logits_of(plain, batch), **EXACT)


def test_nearest_prompt_is_refused_for_continuous_actions() -> None:
    with pytest.raises(PipelineError, match=r"action_readout: nearest_prompt.*use action_head"):
        policy_of("more3s on images", action_readout="nearest_prompt")


def test_pixels_are_standardised_by_the_data() -> None:
    """An offset of all pixels and a scale that the statistics know of change nothing."""
    plain, shifted = (
        policy_of("behaviour_cloning", randomised=False, attributes=known).encoder
        for known in (
            {"pixel_mean": np.full((84, 84), 20.0), "pixel_std": 10.0},
            {"pixel_mean": np.full((84, 84), 47.0), "pixel_std": 20.0},
        )
    )
    frames = torch.randint(0, 100, (2, 3, 4, 84, 84), dtype=torch.uint8)
    torch.testing.assert_close(shifted(2 * frames + 7), plain(frames), **EXACT)
    assert plain(frames).std() > 0.1


@pytest.mark.parametrize("pooling", ["attention", "mean", "mlp"])
def test_masked_tokens_are_not_pooled(pooling: str) -> None:
    policy = policy_of("more3s", token_pooling=pooling)
    batch = batch_of("more3s", 2, 3)
    tokens = batch.observation["tokens"]
    other = torch.where(batch.observation["mask"][..., None], tokens, tokens + 3)
    changed = replace(batch, observation={**batch.observation, "tokens": other})
    torch.testing.assert_close(logits_of(policy, batch), logits_of(policy, changed), **EXACT)


@pytest.mark.parametrize("pooling", ["attention", "mean", "mlp"])
def test_a_live_step_may_have_other_region_columns_than_the_cache(pooling: str) -> None:
    """The cache is as wide as its richest frame, a live observation as wide as the detector."""
    policy = policy_of("more3s", token_pooling=pooling)
    batch = batch_of("more3s", 2, 3)
    tokens, mask = batch.observation["tokens"], batch.observation["mask"].clone()
    mask[..., -1] = False
    pad = torch.nn.functional.pad
    observations = [
        {"tokens": tokens, "mask": mask},
        {"tokens": pad(tokens, (0, 0, 0, 2), value=5.0), "mask": pad(mask, (0, 2))},
        {"tokens": tokens[:, :, :-1], "mask": mask[..., :-1]},
    ]
    expected, wider, narrower = (
        list(acted(policy, replace(batch, observation=observation))) for observation in observations
    )
    torch.testing.assert_close(wider, expected, **EXACT)
    torch.testing.assert_close(narrower, expected, **EXACT)


@pytest.mark.parametrize("method", METHODS)
def test_hidden_history_hides_the_previous_action(method: str) -> None:
    policy = policy_of(method, history_dropout=1.0)
    batch = batch_of(method, 2, 4)
    if method.startswith("more3s"):
        tokens = batch.observation["tokens"].clone()
        tokens[:, :, :TEXT] += 1
        changed = replace(batch, observation={**batch.observation, "tokens": tokens})
    else:
        changed = replace(batch, actions=others(batch.actions))
    logits = logits_of(policy, batch)
    assert torch.isfinite(logits).all()
    torch.testing.assert_close(logits, logits_of(policy, changed), **EXACT)


def test_hidden_regions_are_hidden_in_training_only() -> None:
    policy = policy_of("more3s", region_dropout=0.999, dropout=0.0)
    batch = batch_of("more3s", 2, 4)

    def moves(part: slice) -> bool:
        """Whether logits change with these tokens."""
        tokens = batch.observation["tokens"].clone()
        tokens[:, :, part] += 1
        changed = replace(batch, observation={**batch.observation, "tokens": tokens})
        return not torch.equal(logits_of(policy, batch), logits_of(policy, changed))

    text, regions = slice(0, TEXT), slice(TEXT, None)
    assert moves(regions)
    policy.train()
    assert moves(text)
    assert not moves(regions)


def test_nearest_prompt_reads_the_action_from_the_predicted_embedding() -> None:
    policy = policy_of("more3s", action_readout="nearest_prompt")
    batch = without_memory(batch_of("more3s", 1, 4))
    prompts = torch.randn(ACTIONS, EMBED)
    with torch.no_grad():
        policy.action_embeddings.copy_(prompts)
        policy.embedding_head.weight.zero_()
        policy.embedding_head.bias[:EMBED] = prompts[2] + 0.1
    loss, parts = policy.loss(batch)
    assert (parts["read"].argmax(-1) == 2).all()
    torch.testing.assert_close(loss, 0.1 * parts["embedding_loss"])  # λ_a = 0


def test_actions_are_learned_through_the_embedding_alone() -> None:
    """nearest_prompt: predicting O_{t+1}, whose text half tells a_t, is enough to choose a_t."""
    policy = policy_of("more3s", randomised=False, dropout=0.0, action_readout="nearest_prompt")
    batch = batch_of("more3s", 8, 6, 3)
    prompts = torch.randn(ACTIONS, EMBED) * 2
    policy.action_embeddings.copy_(prompts)
    batch.observation["pooled"][:, 1:, 0] = prompts[batch.actions[:, :-1]]

    def learned(parts: dict[str, torch.Tensor]) -> bool:
        right = parts["read"].argmax(-1)[:, :-1] == batch.actions[:, 3:-1]
        return bool(right.float().mean() > 0.9)

    assert overfit(policy, batch, 150, learned)


def test_what_is_hidden_stays_in_the_batch() -> None:
    """Its mask is read again, for what follows a step."""
    policy = policy_of("more3s", region_dropout=0.9, history_dropout=0.0)
    mask = torch.ones(2, 3, TEXT + 4, dtype=torch.bool)
    seen = policy.train().visible(mask)
    assert not seen.all()
    assert mask.all()
