from dataclasses import replace
from typing import Any

import pytest
import torch
from policies import (
    CONDITIONINGS,
    METHODS,
    acted,
    batch_of,
    logits_of,
    moment_of,
    others,
    overfit,
    padded,
    policy_of,
    space_of,
)
from torch import Tensor

from pipeline.observations.batch import Batch

SWITCHES = [("more3s", kind) for kind in CONDITIONINGS] + [(m, "none") for m in METHODS[1:]]
EXACT = {"atol": 1e-5, "rtol": 1e-5}


def changed_from(method: str, batch: Batch, step: int) -> Batch:
    """Everything from `step` on replaced, and a_t of the step before, which is not yet known."""
    other = batch_of(method, *batch.actions.shape[:2], seed=9)

    def mixed(old: Tensor, new: Tensor, first: int = step) -> Tensor:
        return torch.cat((old[:, :first], new[:, first:]), dim=1)

    return replace(
        batch,
        observation={n: mixed(x, other.observation[n]) for n, x in batch.observation.items()},
        actions=mixed(batch.actions, others(batch.actions), step - 1),
        previous_actions=mixed(batch.previous_actions, others(batch.previous_actions)),
        returns_to_go=mixed(batch.returns_to_go, other.returns_to_go),
    )


@pytest.mark.parametrize(("method", "conditioning"), SWITCHES)
def test_the_future_and_the_action_itself_change_nothing(method: str, conditioning: str) -> None:
    policy = policy_of(method, return_conditioning=conditioning)
    memory = policy.settings.memory
    batch = batch_of(method, 2, memory + 3, memory)
    changed = changed_from(method, batch, memory + 2)
    before, after = logits_of(policy, batch), logits_of(policy, changed)
    torch.testing.assert_close(before[:, :2], after[:, :2], **EXACT)
    assert (before[:, 2] - after[:, 2]).abs().max() > 1e-3  # what is seen at a step does matter


def test_returns_and_memory_reach_the_output() -> None:
    policy = policy_of("more3s")
    batch = batch_of("more3s", 2, 6, 3)
    before = logits_of(policy, batch)
    earlier = batch.returns_to_go.clone()
    earlier[:, 1] += 1
    assert (logits_of(policy, replace(batch, returns_to_go=earlier)) - before).abs().max() > 1e-4


@pytest.mark.parametrize("memory_length", [0, 3, 6])
@pytest.mark.parametrize(("method", "conditioning"), SWITCHES)
def test_acting_with_the_cache_equals_a_pass_over_the_whole_episode(
    method: str, conditioning: str, memory_length: int
) -> None:
    policy = policy_of(method, return_conditioning=conditioning, memory_length=memory_length)
    episode = batch_of(method, 2, 15)
    expected = logits_of(policy, episode)
    for t, logits in enumerate(acted(policy, episode)):
        torch.testing.assert_close(logits, expected[:, t], **EXACT)


@pytest.mark.parametrize("method", METHODS)
def test_acting_sees_exactly_what_a_window_sees(method: str) -> None:
    """One layer: keys do not depend on earlier context, so the last step of a window is acting."""
    policy = policy_of(method, layers=1)
    length = policy.settings.memory + policy.settings.context_length
    episode = batch_of(method, 2, length + 4)
    window = replace(
        episode,
        **{
            name: getattr(episode, name)[:, -length:]
            for name in (
                "actions",
                "previous_actions",
                "returns_to_go",
                "timesteps",
                "rewards",
                "terminal",
                "mask",
            )
        },
        observation={name: x[:, -length:] for name, x in episode.observation.items()},
        memory=policy.settings.memory,
    )
    *_, logits = acted(policy, episode)
    torch.testing.assert_close(logits, logits_of(policy, window)[:, -1], **EXACT)


@pytest.mark.parametrize("method", METHODS)
def test_relative_time_tells_the_order_and_not_the_hour(method: str) -> None:
    policy = policy_of(method, time_embedding="relative", layers=1)
    batch = batch_of(method, 2, 3 + policy.settings.memory, policy.settings.memory)
    later = replace(batch, timesteps=batch.timesteps + 1000)
    torch.testing.assert_close(logits_of(policy, later), logits_of(policy, batch), **EXACT)
    last = batch.actions.shape[1] - 1
    order = torch.tensor([*range(last - 2), last - 1, last - 2, last])
    swapped = replace(
        batch,
        observation={name: x[:, order] for name, x in batch.observation.items()},
        actions=batch.actions[:, order],
        returns_to_go=batch.returns_to_go[:, order],
    )
    assert (logits_of(policy, swapped) - logits_of(policy, batch))[:, -1].abs().max() > 1e-4


@pytest.mark.parametrize("method", METHODS)
def test_a_selected_state_goes_on_as_if_alone(method: str) -> None:
    policy = policy_of(method)
    batch = batch_of(method, 3, 6)
    expected = list(acted(policy, batch))
    state = policy.start(3)
    rows = torch.arange(3)
    for t in range(6):
        if t == 3:
            rows = torch.tensor([2])
            state = state.select(rows)
        moment = moment_of(batch, t)
        seen = {name: x[rows] for name, x in moment.observation.items()}
        names = ("previous_action", "previous_reward", "return_to_go", "timestep", "task")
        kept = {name: getattr(moment, name)[rows] for name in names}
        logits, state = policy.act(replace(moment, observation=seen, **kept), state)
        torch.testing.assert_close(logits, expected[t][rows], **EXACT)


@pytest.mark.parametrize(("method", "conditioning"), SWITCHES)
def test_padding_changes_nothing(method: str, conditioning: str) -> None:
    policy = policy_of(method, return_conditioning=conditioning)
    batch = batch_of(method, 2, 3)
    zeros, sevens = padded(batch, 2), padded(batch, 2, value=1)
    for other in (zeros, sevens):
        torch.testing.assert_close(
            logits_of(policy, batch), logits_of(policy, other)[:, 2:], **EXACT
        )
        torch.testing.assert_close(policy.loss(batch)[0], policy.loss(other)[0], **EXACT)
    # padding that fills the memory and reaches into the context
    with_memory = replace(padded(batch, 3, value=1), memory=4 if method.startswith("more3s") else 0)
    if method.startswith("more3s"):
        inside = replace(batch, memory=1)
        torch.testing.assert_close(policy.loss(inside)[0], policy.loss(with_memory)[0], **EXACT)


@pytest.mark.parametrize("method", METHODS)
def test_losses_average_over_real_steps_only(method: str) -> None:
    policy = policy_of(method)
    long, short = batch_of(method, 1, 5, seed=1), batch_of(method, 1, 2, seed=2)
    padded_short = padded(short, 3)
    both = replace(
        long,
        observation={
            name: torch.cat((x, padded_short.observation[name]))
            for name, x in long.observation.items()
        },
        **{
            name: torch.cat((getattr(long, name), getattr(padded_short, name)))
            for name in (
                "actions",
                "previous_actions",
                "returns_to_go",
                "timesteps",
                "rewards",
                "terminal",
                "mask",
            )
        },
    )
    parts = {
        name: policy.loss(batch)[1] for name, batch in (("5", long), ("2", short), ("7", both))
    }
    mean = (5 * parts["5"]["action_loss"] + 2 * parts["2"]["action_loss"]) / 7
    torch.testing.assert_close(parts["7"]["action_loss"], mean, **EXACT)
    if method.startswith("more3s"):  # one step fewer has a successor in the window
        mean = (4 * parts["5"]["embedding_loss"] + 1 * parts["2"]["embedding_loss"]) / 5
        torch.testing.assert_close(parts["7"]["embedding_loss"], mean, **EXACT)


def test_memory_carries_no_gradient() -> None:
    policy = policy_of("more3s")
    batch = batch_of("more3s", 2, 6, 3)
    batch.observation["tokens"] = batch.observation["tokens"].float().requires_grad_()
    batch.returns_to_go.requires_grad_()
    policy.loss(batch)[0].backward()
    gradients = batch.observation["tokens"].grad, batch.returns_to_go.grad
    for gradient in gradients:
        assert gradient is not None
        assert not gradient[:, :3].any()
        assert gradient[:, 3:].any()


def test_the_target_is_not_trained() -> None:
    """Nothing in the model can lower the target's variance: the target takes no gradient at all."""
    policy = policy_of("more3s", action_loss_weight=0.0)
    batch = batch_of("more3s", 2, 4)
    target = batch.observation["pooled"].requires_grad_()
    variance = float(target.detach().var())
    optimizer = torch.optim.SGD(policy.parameters(), 0.01)
    for _ in range(3):
        loss, _ = policy.loss(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert target.grad is None
    assert float(target.detach().var()) == variance
    # a constant prediction is no solution: its error is the target's variance
    with torch.no_grad():
        policy.embedding_head.weight.zero_()
        policy.embedding_head.bias.zero_()
        error = policy.loss(batch)[1]["embedding_loss"]
    torch.testing.assert_close(error, target.detach()[:, 1:].square().mean())


@pytest.mark.parametrize(
    ("method", "policy"),
    [
        ("more3s", {}),
        ("more3s", {"token_pooling": "mlp", "return_conditioning": "token"}),
        ("decision_transformer", {}),
        ("behaviour_cloning", {"time_embedding": "learned"}),
        ("more3s on images", {}),
        ("more3s on images and states", {}),
        ("decision_transformer on states", {"time_embedding": "learned"}),
        ("decision_transformer_glu on states", {}),
        ("behaviour_cloning on states", {}),
        ("starformer", {"reward_token": "return"}),
        ("starformer on states", {}),
    ],
)
def test_one_batch_can_be_overfitted(method: str, policy: dict[str, Any]) -> None:
    model = policy_of(method, randomised=False, dropout=0.0, **policy)
    batch = batch_of(method, 4, 3 + model.settings.memory, model.settings.memory)
    actions = batch.actions[:, model.settings.memory :]

    def learned(parts: dict[str, Tensor]) -> bool:
        read = parts["read"]
        if actions.is_floating_point():
            return bool((read - actions).abs().max() < 0.1)
        return bool((read.argmax(-1) == actions).all())

    assert overfit(model, batch, 200, learned)


def test_continuous_actions_stay_within_their_bounds() -> None:
    for method in METHODS:
        policy = policy_of(method)
        if not space_of(method).continuous:
            continue
        for parameter in policy.action_head.parameters():
            torch.nn.init.constant_(parameter, 100.0)
        (action,) = acted(policy, batch_of(method, 2, 1))
        assert (action.abs() <= torch.tensor(space_of(method).high)).all()
        assert (action.abs() > 0.9 * torch.tensor(space_of(method).high)).all()
