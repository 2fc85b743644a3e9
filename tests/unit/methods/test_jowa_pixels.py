"""JOWA on pixels: its tokens, what its losses are of, what it plays, and how it plans."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from interruption import assert_same_weights, killed
from planners import part
from policies import ACTIONS, PIXELS, SPACE, TORQUES, RandomStore, moment_of, trajectories_of
from torch import Tensor, nn

from pipeline.config.schema import MethodConfig
from pipeline.data.trajectories import Trajectories
from pipeline.environments.action_space import ActionSpace, joined
from pipeline.errors import PipelineError
from pipeline.methods import Spec, make
from pipeline.methods.jowa_pixels import JOWAOnPixels
from pipeline.observations.batch import Batch
from pipeline.observations.windows import Windows
from pipeline.training import loop
from pipeline.training.resume import Resumption

POLICY: dict[str, Any] = {
    **{"context_length": 3, "width": 16, "layers": 2, "heads": 2, "dropout": 0.0, "n_step": 2},
    **{"unknown_steps": 2, "codebook": 12, "code_width": 4, "tokenizer_channels": 4},
}
OTHER = ActionSpace(("A", "C", "D"))
LENGTHS = [7, 5, 8]
FRAME = 36
MEAN = np.full((84, 84), 100.0, np.float32)


def data_of(space: ActionSpace = SPACE) -> Trajectories:
    return trajectories_of(LENGTHS, space=space)


def learner_of(
    data: Trajectories | None = None, randomised: bool = False, several: bool = False, **policy: Any
) -> JOWAOnPixels:
    """Of one game, or of two that have other actions; `data` is that of all of them."""
    told: dict[str, Any] = {"pixel_mean": MEAN, "pixel_std": 70.0}
    if data is not None:
        told["trajectories"] = data
    spec = Spec(("Made up",), (SPACE,), PIXELS, told)
    if several:
        games, joint = (SPACE, OTHER), joined([SPACE, OTHER])
        spec = Spec(("One", "Two"), games, PIXELS, {}, (told, told), joint)
    torch.manual_seed(0)
    settings = {"method": "jowa_pixels", "policy": {**POLICY, **policy}}
    learner = make(MethodConfig.model_validate(settings), spec)
    assert isinstance(learner, JOWAOnPixels)
    if randomised:
        for each in learner.parameters():
            nn.init.normal_(each, std=0.3)
    return learner.eval()


def windows_of(learner: JOWAOnPixels, data: Trajectories) -> Windows:
    store = RandomStore("decision_transformer", len(data.actions))
    return Windows(data, store, SPACE, 1.0, learner.settings)


def batch_of(learner: JOWAOnPixels, ends: list[int]) -> Batch:
    return windows_of(learner, data_of()).batch(np.array(ends))


def whole(learner: JOWAOnPixels, ends: list[int], steps: int) -> Batch:
    """Windows of more steps than a token sees."""
    longer = learner.settings.model_copy(update={"context_length": steps})
    return replace(windows_of(learner, data_of()), settings=longer).batch(np.array(ends))


# Tokens and losses.


def test_no_token_sees_a_later_one() -> None:
    learner = learner_of(randomised=True)
    codes, actions = torch.randint(12, (2, 3, FRAME)), torch.randint(ACTIONS, (2, 3))
    told = torch.zeros(2).long(), torch.arange(3).expand(2, 3), torch.ones(2, 3, dtype=torch.bool)
    with torch.no_grad():
        before = learner.world.hidden(codes, actions, *told).flatten(1, 2)
        for step, place in ((1, 0), (1, 35), (1, 36), (2, 17)):
            other = [codes.clone(), actions.clone()]
            changed = other[0][:, step, place] if place < FRAME else other[1][:, step]
            changed += torch.where(changed > 0, -1, 1)
            after = learner.world.hidden(*other, *told).flatten(1, 2)
            at = step * (FRAME + 1) + place
            torch.testing.assert_close(after[:, :at], before[:, :at])
            assert ((after[:, at:] - before[:, at:]).abs().amax(dim=2) > 1e-6).all()


def test_a_token_is_predicted_from_the_one_before_it() -> None:
    """By hand, step by step; of the first step only the codes after the first one are."""
    learner = learner_of(data_of(), randomised=True)
    batch = batch_of(learner, [3, 12, 8])
    assert not batch.mask.all()
    codes = learner.tokenizer(batch.observation["frames"], batch.task)
    told = batch.actions, batch.task, batch.timesteps, batch.mask
    with torch.no_grad():
        hidden = learner.world.hidden(codes, *told)
        found = learner.parts(batch)[1]["token_error"]
    nats = []
    for row in range(3):
        for step in range(3):
            for place in range(FRAME):
                at = (step, place - 1) if place else (step - 1, FRAME)
                if at[0] < 0 or not batch.mask[row, at[0]]:
                    continue
                logits = learner.world.next_code(hidden[row, at[0], at[1]])
                nats.append(-logits.log_softmax(dim=0)[codes[row, step, place]])
    torch.testing.assert_close(found, torch.stack(nats).mean())


def test_losses_of_world_and_values_reach_the_trunk_if_they_are_joint() -> None:
    world = ["token_error", "reward_error", "end_error"]
    values = ["td_error", "recorded_error", "conservative_error"]
    for joint in (True, False):
        learner = learner_of(data_of(), randomised=True, joint=joint)
        _, parts = learner.parts(batch_of(learner, [6, 11, 19]))
        for name in [*world, *values, "value_error"]:
            learner.zero_grad()
            parts[name].backward(retain_graph=True)
            trunk = learner.world.transformer.blocks[0].attention.input.weight.grad
            reached = trunk is not None and bool(trunk.abs().sum() > 0)
            assert reached == (name in world or (joint and name in values)), name
            assert all(each.grad is None for each in learner.tokenizer.parameters())
            assert all(each.grad is None for each in learner.target.parameters())


def test_first_the_tokenizer_learns_and_then_everything_else() -> None:
    learner = learner_of(data_of(), tokenizer_steps=5)
    batch, codes = batch_of(learner, [6, 11]), learner.tokenizer.codebook.codes.clone()
    assert [name for name, _ in learner.losses(batch, 4)] == ["tokenizer"]
    assert not torch.equal(codes, learner.tokenizer.codebook.codes)
    codes, target = (
        learner.tokenizer.codebook.codes.clone(),
        learner.target.layers[2].weight.clone(),
    )
    with torch.no_grad():
        learner.q.layers[2].weight.add_(1.0)
    assert [name for name, _ in learner.losses(batch, 5)] == ["policy", "value"]
    assert torch.equal(codes, learner.tokenizer.codebook.codes)
    assert not torch.equal(target, learner.target.layers[2].weight)
    trained = [id(x) for module in learner.optimised().values() for x in module.parameters()]
    assert len(trained) == len(set(trained))
    everything = {id(x) for x in learner.parameters()}
    assert everything - set(trained) == {id(x) for x in learner.target.parameters()}


def test_padding_changes_nothing() -> None:
    learner = learner_of(data_of(), randomised=True)
    batch = batch_of(learner, [1, 7])
    assert not batch.mask.all()
    hidden = ~batch.mask
    frames = batch.observation["frames"].clone()
    frames[hidden] = 200
    changed = replace(
        batch,
        observation={"frames": frames},
        rewards=torch.where(hidden, batch.rewards - 1, batch.rewards),
        actions=torch.where(hidden, (batch.actions + 1) % ACTIONS, batch.actions),
    )
    with torch.no_grad():
        before, after = learner.read(batch)[1], learner.read(changed)[1]
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, msg=name)


def trained(steps: int, saved: Resumption | None = None) -> tuple[JOWAOnPixels, Any]:
    data = data_of()
    learner = learner_of(data, dropout=0.1, tokenizer_steps=4)
    training = {
        **{"steps": steps, "batch_size": 2, "warmup_steps": 1, "evaluate_every": 4},
        **{"held_out_fraction": 0.3},
    }
    config = MethodConfig.model_validate({"method": "jowa_pixels", "training": training})
    return learner, loop.train(learner, windows_of(learner, data), config.training, 0, saved=saved)


def test_a_killed_training_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the second phase, where the first one's loss is not a number, which equals nothing."""
    learner, curve = trained(8)
    saved = Resumption(tmp_path / "policy", "this one", every=2)
    with killed(monkeypatch, 5):
        trained(8, saved)
    resumed, again = trained(8, saved)
    assert str(again) == str(curve)
    assert_same_weights(learner, resumed)
    names = ("accuracy", "loss", "q", "token_error", "foreground_missed", "motion_missed")
    assert {f"held_out_{name}" for name in names} <= set(curve[0].held_out)
    assert not any("recorded" in name for name in learner.state_dict())


# Play.


def test_acting_with_the_cache_equals_a_pass_over_the_whole_episode() -> None:
    learner = learner_of(data_of(), randomised=True)
    batch = whole(learner, [6, 19], 7)
    with torch.no_grad():
        read, _ = learner.read(batch)
        state = learner.start(2)
        for t in range(7):
            logits, state = learner.act(moment_of(batch, t), state)
            torch.testing.assert_close(logits, read[:, t], atol=1e-3, rtol=1e-3)
    assert state.cache is not None
    assert state.cache.positions.step.unique().tolist() == [4, 5, 6]


@pytest.mark.parametrize("time_embedding", ["relative", "sinusoidal"])
def test_an_imagined_step_is_the_step_that_is_seen_if_its_codes_are(time_embedding: str) -> None:
    learner = learner_of(data_of(), randomised=True, time_embedding=time_embedding)
    world, tasks = learner.world, torch.zeros(2).long()
    codes = torch.randint(12, (5, 2, FRAME))
    actions, memory = torch.randint(ACTIONS, (5, 2, 1)), learner.start(2)
    with torch.no_grad():
        for t in range(4):
            when = torch.full((2, 1), t)
            before = actions[t - 1] if t else torch.zeros(2, 1).long()
            hidden, memory = world.step(codes[t], before, tasks, when, memory)
        now = world.begin(hidden, memory, tasks, when)
        then, told = world.imagine(now.select(torch.tensor([0, 1])), actions[3, :, 0])
        imagined = world_codes(learner, codes[:4], actions[:4])
        seen, _ = world.step(imagined, actions[3], tasks, when + 1, memory)
    torch.testing.assert_close(then.hidden, seen, atol=1e-4, rtol=1e-4)
    assert then.timestep.tolist() == [[4], [4]]
    assert told.reward.shape == (2, 3)


def world_codes(learner: JOWAOnPixels, codes: Tensor, actions: Tensor) -> Tensor:
    """The most probable codes of the next frame, each by a pass over everything before it."""
    steps, rows, _ = codes.shape
    known = torch.cat((codes, torch.zeros(1, rows, FRAME).long()))
    done = torch.cat((actions, torch.zeros(1, rows, 1).long()))[..., 0]
    when = torch.arange(steps + 1).expand(rows, -1)
    for place in range(FRAME):
        hidden = learner.world.hidden(
            known.transpose(0, 1),
            done.T,
            torch.zeros(rows).long(),
            when,
            torch.ones(rows, steps + 1) > 0,
        )
        before = hidden[:, -1, place - 1] if place else hidden[:, -2, FRAME]
        known[-1, :, place] = learner.world.following(before).argmax(dim=-1)
    return known[-1]


def test_an_action_that_a_game_does_not_have_is_never_played() -> None:
    learner = learner_of(randomised=True, several=True)
    batch = replace(batch_of(learner, [6, 19]), task=torch.tensor([0, 1]))
    with torch.no_grad():
        logits, _ = learner.act(moment_of(batch, 2), learner.start(2))
        assert torch.equal(logits.isfinite(), learner.allowed)
        planning = learner_of(randomised=True, several=True, planner={"horizon": 2, "beams": 4})
        for t in range(3):
            action, _ = planning.act(moment_of(batch, t), planning.start(2))
            assert planning.allowed[batch.task, action].all()


def test_each_game_s_frames_are_less_its_own_mean() -> None:
    learner = learner_of(several=True, randomised=True)
    frames = torch.full((2, 1, 4, 84, 84), 130, dtype=torch.uint8)
    learner.tokenizer.mean[1] += 30
    levels = learner.tokenizer._levels(frames[:, :, -1:], torch.tensor([0, 1]))
    torch.testing.assert_close(levels[:, 0, 5, 5], torch.tensor([30 / 70, 0.0]))


@pytest.mark.parametrize("imagined", ["expectation", "mode"])
def test_a_batch_of_episodes_plans_as_single_ones(imagined: str) -> None:
    planner = {"horizon": 2, "beams": 2, "imagined": imagined}
    learner = learner_of(data_of(), randomised=True, planner=planner)
    batch = batch_of(learner, [6, 11, 19])
    with torch.no_grad():
        state, together = learner.start(3), []
        for t in range(3):
            action, state = learner.act(moment_of(batch, t), state)
            together.append(action)
        for row in range(3):
            state = learner.start(1)
            for t in range(3):
                action, state = learner.act(part(moment_of(batch, t), [row]), state)
                assert action == together[t][row]


def test_continuous_actions_are_refused() -> None:
    config = MethodConfig.model_validate({"method": "jowa_pixels", "policy": POLICY})
    with pytest.raises(PipelineError, match="Hopper: its actions are continuous"):
        make(config, Spec(("Hopper",), (TORQUES,), PIXELS, {}))
