"""JOWA on the feature cache: what its losses are of, what it plays, and how it plans."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from interruption import assert_resumes
from jowa_learners import (
    POLICY,
    batch_of,
    data_of,
    learner_of,
    losses_of,
    windows_of,
)
from policies import (
    ACTIONS,
    TEXT,
    TOKENS,
    TORQUES,
    VECTOR,
    moment_of,
)

from pipeline.config.schema import MethodConfig
from pipeline.errors import PipelineError
from pipeline.methods import Spec, make
from pipeline.methods.jowa import JOWA
from pipeline.training import loop
from pipeline.training.resume import Resumption

# Losses.


def test_values_begin_at_zero_and_imagination_copies() -> None:
    learner = learner_of(data_of())
    q, parts = learner.parts(batch_of(learner, [8, 20]))
    assert q.abs().max() < 0.15
    assert parts["latent_error"].item() == pytest.approx(1, abs=0.02)


def test_losses_of_world_and_values_reach_the_trunk_if_they_are_joint() -> None:
    names = ["latent_error", "reward_error", "end_error", "imagined_error", "decoder_error"]
    values = ["td_error", "recorded_error", "conservative_error"]
    for joint in (True, False):
        learner = learner_of(data_of(), randomised=True, joint=joint)
        batch = batch_of(learner, [8, 20, 34])
        for name in [*names, *values, "value_error"]:
            learner.zero_grad()
            losses_of(learner, batch)[name].backward()
            adapter = learner.world.adapters[0].pool.queries.grad
            trunk = learner.world.transformer.blocks[0].attention.input.weight.grad
            own = trunk is not None and bool(trunk.abs().sum() > 0)
            # what x tells of itself does not pass through the trunk
            expected = name in names[:-1] or (joint and name in values)
            assert own == expected, name
            reached = adapter is not None and bool(adapter.abs().sum() > 0)
            assert reached == (expected or name == "decoder_error"), name
            assert all(each.grad is None for each in learner.target.parameters())


def test_nothing_is_trained_twice_and_the_target_by_nothing() -> None:
    learner = learner_of(data_of())
    trained = [id(x) for module in learner.optimised().values() for x in module.parameters()]
    assert len(trained) == len(set(trained))
    everything = {id(x) for x in learner.parameters()}
    assert everything - set(trained) == {id(x) for x in learner.target.parameters()}


def test_the_target_head_follows_after_the_update() -> None:
    learner = learner_of(data_of(), target_decay=0.75)
    batch, before = batch_of(learner, [8, 20]), learner.target.layers[0].weight.clone()
    for step, (name, loss) in enumerate(learner.losses(batch, 0)):
        assert name == ("policy", "value")[step]
        loss.backward()
        with torch.no_grad():
            for each in learner.q.parameters():
                each += 1.0
        changed = learner.q.layers[0].weight.detach().clone()
        assert torch.equal(learner.target.layers[0].weight, before)
    torch.testing.assert_close(learner.target.layers[0].weight, 0.75 * before + 0.25 * changed)
    exact = learner_of(data_of(), target_decay=0.0)
    list(exact.losses(batch, 0))
    for theirs, ours in zip(exact.target.parameters(), exact.q.parameters(), strict=True):
        assert torch.equal(theirs, ours)


def test_an_end_has_its_reward_as_target_and_a_cut_has_none() -> None:
    """Windows of one real step: the last ones of an episode that ends, and of one that is cut."""
    data = data_of(cut=(1,))
    learner = learner_of(data, randomised=True, recorded_share=0.0)
    batch = batch_of(learner, [11, 20], data)
    q, _ = learner.parts(batch)
    for row, ends in ((0, True), (1, False)):
        mask = torch.zeros_like(batch.mask)
        mask[row, -1] = True
        alone = replace(batch, mask=mask)
        found = losses_of(learner, alone)["td_error"]
        if not ends:
            assert found == 0
            continue
        hidden = learner.world.hidden(
            learner.world.encode(batch.observation, batch.task),
            batch.task,
            batch.timesteps,
            alone.mask,
        )
        logits = learner.q(hidden)[row, -1, batch.actions[row, -1]]
        paid = batch.rewards[row, -1].sign() / learner.scales[0]
        expected = -(learner.support.at(paid) * logits.log_softmax(dim=-1)).sum()
        torch.testing.assert_close(found, expected)
    assert q.shape == (2, 6, ACTIONS)


def test_a_target_is_read_from_the_target_head() -> None:
    learner = learner_of(data_of(), randomised=True)
    batch = batch_of(learner, [8])
    before = losses_of(learner, batch)
    with torch.no_grad():
        for each in learner.target.parameters():
            each *= -1
    after = losses_of(learner, batch)
    assert not torch.equal(before["td_error"], after["td_error"])
    for name in before.keys() - {"td_error"}:
        assert torch.equal(before[name], after[name]), name


def test_recorded_returns_near_a_cut_teach_nothing() -> None:
    data = data_of(cut=(1,))
    learner = learner_of(data, randomised=True, unknown_steps=6)
    batch = batch_of(learner, [20], data)  # all six of its steps are the last before the cut
    found = losses_of(learner, batch)
    assert found["recorded_error"] == 0
    assert found["value_error"] == 0
    assert found["td_error"] > 0
    assert losses_of(learner, batch_of(learner, [11], data))["recorded_error"] > 0


def test_cql_looks_at_allowed_actions_only() -> None:
    data = data_of()
    learner = learner_of(data, randomised=True, several=True)
    batch = batch_of(learner, [8, 20], data)
    batch.actions[:] = torch.tensor([[0], [2]])  # A and C, which both games have
    batch = replace(batch, task=torch.tensor([0, 1]))
    q, parts = learner.parts(batch)
    assert q.isfinite().all(dim=1).tolist() == [
        [True, True, True, False],
        [True, False, True, True],
    ]
    tau = learner.settings.value_temperature
    by_hand = []
    for row, allowed in ((0, [0, 1, 2]), (1, [0, 2, 3])):
        softer = q[row][:, allowed] / tau
        taken = q[row].gather(1, batch.actions[row][:, None])[:, 0] / tau
        by_hand.append(softer.logsumexp(dim=1) - taken)
    expected = torch.cat(by_hand)[batch.mask.flatten()].mean()
    torch.testing.assert_close(parts["conservative_error"], expected)
    learner.total(parts).backward()
    grad = learner.q.layers[-1].bias.grad.view(4, -1)
    assert grad.isfinite().all()
    alone = replace(batch, task=torch.zeros(2, dtype=torch.int64))
    learner.zero_grad()
    losses_of(learner, alone)["conservative_error"].backward()
    assert learner.q.layers[-1].bias.grad.view(4, -1)[3].abs().sum() == 0  # D is not its game's


@pytest.mark.parametrize(("game", "forbidden"), [(0, 3), (1, 1)])
def test_a_target_is_of_the_best_action_that_the_game_has(game: int, forbidden: int) -> None:
    data = data_of()
    learner = learner_of(data, randomised=True, several=True)
    with torch.no_grad():  # what would be the largest value
        learner.target.layers[-1].bias.view(4, -1)[forbidden, -1] = 50
    batch = batch_of(learner, [8, 18], data)  # no episode ends in them
    batch.actions[:] = torch.tensor([[0], [2]])  # A and C, which both games have
    batch = replace(batch, task=torch.full((2,), game))
    x = learner.world.encode(batch.observation, batch.task)
    hidden = learner.world.hidden(x, batch.task, batch.timesteps, batch.mask)
    logits, after = learner.q(hidden), learner.target(hidden)
    gamma, atoms, steps = learner.settings.discount, learner.support.atoms, batch.mask.shape[1]
    errors = []
    for row, t in np.ndindex(2, steps - 1):
        ahead = min(2, steps - 1 - t)
        paid = [gamma**i * batch.rewards[row, t + i].sign() for i in range(ahead)]
        then = after[row, t + ahead]
        means = learner.support.mean(then).masked_fill(~learner.allowed[game], -torch.inf)
        returns = sum(paid) / learner.scales[game] + gamma**ahead * atoms
        goal = learner.support.projected(returns, then[means.argmax()].softmax(dim=-1))
        told = logits[row, t, batch.actions[row, t]].log_softmax(dim=-1)
        errors.append(-(goal * told).sum())
    torch.testing.assert_close(losses_of(learner, batch)["td_error"], torch.stack(errors).mean())


@pytest.mark.parametrize(("game", "forbidden"), [(0, 3), (1, 1)])
def test_a_plan_ends_in_an_action_that_the_game_has(game: int, forbidden: int) -> None:
    learner = learner_of(randomised=True, several=True, planner={"leaf": "max_q"})
    batch = replace(batch_of(learner, [8, 20]), task=torch.full((2,), game))
    x = learner.world.encode(batch.observation, batch.task)[:, 0]
    now = learner.world.step(x, batch.task, batch.timesteps[:, :1], learner.start(2))
    before = learner.leaf(now)
    for action, counts in ((forbidden, False), (0, True)):
        with torch.no_grad():  # it would be the largest value
            learner.q.layers[-1].bias.view(4, -1)[action, -1] = 50
        assert torch.equal(learner.leaf(now), before) is not counts


def test_padding_may_hold_an_action_that_the_game_does_not_have() -> None:
    data = data_of()
    learner = learner_of(data, randomised=True, several=True)
    learner.allowed[1, 0] = False  # padding is action 0
    batch = batch_of(learner, [2, 14], data)
    batch.actions[batch.mask] = 2
    assert not batch.mask.all()
    loss = learner.total(losses_of(learner, replace(batch, task=torch.tensor([1, 1]))))
    assert loss.isfinite()
    loss.backward()
    assert all(each.grad.isfinite().all() for each in learner.q.parameters())


def test_padding_changes_nothing() -> None:
    data = data_of()
    learner = learner_of(data, randomised=True)
    batch = batch_of(learner, [2, 14], data)
    assert not batch.mask.all()
    other = {
        name: torch.where(batch.mask.view(*batch.mask.shape, *[1] * (x.dim() - 2)), x, x + 1)
        for name, x in batch.observation.items()
        if x.is_floating_point()
    }
    changed = replace(
        batch,
        observation={**batch.observation, **other},
        rewards=torch.where(batch.mask, batch.rewards, batch.rewards - 1),
        actions=torch.where(batch.mask, batch.actions, (batch.actions + 1) % ACTIONS),
    )
    before, after = losses_of(learner, batch), losses_of(learner, changed)
    for name, value in before.items():
        torch.testing.assert_close(after[name], value), name


@pytest.mark.parametrize("value_loss", ["categorical", "squared"])
def test_one_batch_can_be_learned_by_heart(value_loss: str) -> None:
    data = data_of()
    learner = learner_of(data, value_loss=value_loss, world_loss_weight=1.0).train()
    batch = batch_of(learner, [11, 18, 30], data)
    optimizer = torch.optim.Adam(learner.parameters(), 3e-3)
    first = losses_of(learner, batch)
    at_most = {"latent_error": 0.3, "reward_error": 0.1, "end_error": 0.05}
    at_most["recorded_error"] = float(first["recorded_error"])
    for step in range(250):
        for _, loss in learner.losses(batch, step):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            q, means = learner.read(batch)
        right = (q.argmax(dim=-1) == batch.actions)[batch.mask].float().mean()
        if right > 0.95 and all(means[name] < most for name, most in at_most.items()):
            return
    raise AssertionError((right, means))


def trained(steps: int, saved: Resumption | None = None) -> tuple[JOWA, Any]:
    data = data_of()
    learner = learner_of(data, dropout=0.1, history_dropout=0.5)
    training = {
        **{"steps": steps, "batch_size": 6, "warmup_steps": 1, "evaluate_every": 4},
        **{"held_out_fraction": 0.3, "learning_rates": {"value": 0.001}},
    }
    config = MethodConfig.model_validate({"method": "jowa", "training": training})
    return learner, loop.train(learner, windows_of(learner, data), config.training, 0, saved=saved)


def test_a_killed_training_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner, curve = assert_resumes(trained, tmp_path, monkeypatch)
    names = ("accuracy", "loss", "q", "return", "latent_error", "value_error")
    assert {f"held_out_{name}" for name in names} <= set(curve[0].held_out)
    assert not any("recorded" in name for name in learner.state_dict())


# Play.


def test_a_checkpoint_plays_without_the_data() -> None:
    learner = learner_of(data_of(), randomised=True)
    alone = learner_of()
    alone.load_state_dict(learner.state_dict())
    assert torch.equal(alone.scales, learner.scales)
    batch = batch_of(learner, [8, 20])
    with torch.no_grad():
        expected = learner.act(moment_of(batch, 3), learner.start(2))[0]
        assert torch.equal(alone.act(moment_of(batch, 3), alone.start(2))[0], expected)


def test_acting_with_the_cache_equals_a_pass_over_the_whole_episode() -> None:
    learner = learner_of(data_of(), randomised=True)
    longer = learner.settings.model_copy(update={"context_length": 12})
    windows = replace(windows_of(learner, data_of()), settings=longer)
    batch = windows.batch(np.array([11, 34]))  # of more steps than a token sees
    with torch.no_grad():
        read, _ = learner.read(batch)
        state = learner.start(2)
        for t in range(12):
            seen = moment_of(batch, t)
            seen.observation.pop("pooled")  # which play does not have
            logits, state = learner.act(seen, state)
            torch.testing.assert_close(logits, read[:, t], atol=1e-3, rtol=1e-3)


def test_an_action_that_a_game_does_not_have_is_never_played() -> None:
    learner = learner_of(randomised=True, several=True)
    batch = replace(batch_of(learner, [8, 20]), task=torch.tensor([0, 1]))
    logits, _ = learner.act(moment_of(batch, 3), learner.start(2))
    assert logits.isfinite().tolist() == [[True, True, True, False], [True, False, True, True]]
    assert torch.equal(logits.isfinite(), learner.allowed)
    planning = learner_of(randomised=True, several=True, planner={"horizon": 2, "beams": 4})
    for t in range(6):
        action, _ = planning.act(moment_of(batch, t), planning.start(2))
        assert planning.allowed[batch.task, action].all()


def test_continuous_actions_are_refused() -> None:
    config = MethodConfig.model_validate({"method": "jowa", "policy": POLICY})
    spec = Spec(("Hopper",), (TORQUES,), TOKENS | VECTOR, {"text_tokens": TEXT})
    with pytest.raises(PipelineError, match="Hopper: its actions are continuous"):
        make(config, spec)
