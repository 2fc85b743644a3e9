"""StARformer: no step sees a later one in any layer, whatever its tokens tell it."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from policies import acted, batch_of, logits_of, moment_of, others, policy_of
from torch import Tensor

from pipeline.errors import PipelineError
from pipeline.methods import starformer
from pipeline.methods.starformer import Layer
from pipeline.observations.batch import Batch

FORMS = ["none", "reward", "return"]
EXACT = {"atol": 1e-5, "rtol": 1e-5}


def rewarded(method: str, steps: int) -> Batch:
    rewards = torch.randn(2, steps)
    previous = torch.nn.functional.pad(rewards, (1, -1))
    return replace(batch_of(method, 2, steps), rewards=rewards, previous_rewards=previous)


def at_every_layer(policy: Any, batch: Batch) -> list[Tensor]:
    """Local tokens and z after each layer, (batch, K, …)."""
    seen: list[Tensor] = []
    hooks = []
    for layer in policy.layers:
        hooks.append(layer.register_forward_hook(lambda *call: seen.append(call[-1][0])))
        hooks.append(layer.local.register_forward_hook(lambda *call: seen.append(call[-1][0])))
    with torch.no_grad():
        seen.append(policy.loss(batch)[1]["read"])
    for hook in hooks:
        hook.remove()
    return [x.unflatten(0, (2, -1)) if x.shape[0] != 2 else x for x in seen]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("method", ["starformer", "starformer on states"])
def test_no_layer_sees_a_later_step(method: str, form: str) -> None:
    policy = policy_of(method, reward_token=form, layers=3, context_length=4)
    batch, cut = rewarded(method, 4), 2

    def later(x: Tensor, y: Tensor, first: int = cut) -> Tensor:
        return torch.cat((x[:, :first], y[:, first:]), dim=1)

    other = batch_of(method, 2, 4, seed=9)
    changed = replace(
        batch,
        observation={n: later(x, other.observation[n]) for n, x in batch.observation.items()},
        actions=later(batch.actions, others(batch.actions), cut - 1),
        previous_actions=later(batch.previous_actions, others(batch.previous_actions)),
        rewards=later(batch.rewards, batch.rewards + 1, cut - 1),
        previous_rewards=later(batch.previous_rewards, batch.previous_rewards + 1),
        returns_to_go=later(batch.returns_to_go, other.returns_to_go),
    )
    pairs = zip(at_every_layer(policy, batch), at_every_layer(policy, changed), strict=True)
    for before, after in pairs:
        torch.testing.assert_close(before[:, :2], after[:, :2], **EXACT)
        assert (before[:, 2] - after[:, 2]).abs().max() > 1e-3


def test_a_mask_that_lets_the_future_in_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above can fail."""

    def everything(*arguments: Any) -> Tensor:
        return torch.ones_like(masks(*arguments))

    masks = starformer.band_mask
    monkeypatch.setattr(starformer, "band_mask", everything)
    with pytest.raises(AssertionError):
        test_no_layer_sees_a_later_step("starformer on states", "none")


def test_local_attention_stays_within_its_step() -> None:
    layer = Layer(policy_of("starformer on states").settings, tokens=3, span=2).eval()
    local = torch.randn(2, 4, 3, 32)
    changed = local.clone()
    changed[:, 1] = torch.randn(2, 3, 32)
    before, after = layer.within(local), layer.within(changed)
    for x, y in zip(before, after, strict=True):
        torch.testing.assert_close(x[:, [0, 2, 3]], y[:, [0, 2, 3]], **EXACT)
        assert (x[:, 1] - y[:, 1]).abs().max() > 1e-3


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("method", ["starformer", "starformer on states"])
def test_acting_with_the_cache_equals_a_pass_over_the_whole_episode(method: str, form: str) -> None:
    policy = policy_of(method, reward_token=form, context_length=3)
    episode = rewarded(method, 7)
    expected = logits_of(policy, episode)
    for t, logits in enumerate(acted(policy, episode)):
        torch.testing.assert_close(logits, expected[:, t], **EXACT)


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_told_what_it_says(form: str) -> None:
    policy = policy_of("starformer on states", reward_token=form)
    batch = rewarded("starformer on states", 3)
    plain = logits_of(policy, batch)
    for name, of_form in (("previous_rewards", "reward"), ("returns_to_go", "return")):
        told = of_form == form
        changed = logits_of(policy, replace(batch, **{name: getattr(batch, name) - 1}))
        assert ((changed - plain).abs().max() > 1e-3) == told
    assert policy.settings.uses_returns == (form == "return")


def test_the_rewards_of_games_are_clipped() -> None:
    policy = policy_of("starformer", reward_token="reward")
    batch = batch_of("starformer", 2, 2)
    moment = moment_of(batch, 0)
    ones, many = (
        policy.act(replace(moment, previous_reward=torch.full((2, 1), paid)), policy.start(2))[0]
        for paid in (1.0, 400.0)
    )
    torch.testing.assert_close(ones, many)


def test_squares_have_to_fill_the_frame() -> None:
    with pytest.raises(PipelineError, match=r"^policy.patch_size: 13 does not divide 84 by 84"):
        policy_of("starformer", patch_size=13)
