"""MORE-3S with a model of what follows: the policy stays as it is, and plans are those of the
model.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from planners import part
from policies import (
    ACTIONS,
    CONDITIONINGS,
    EMBED,
    POLICY,
    SPACE,
    TEXT,
    TOKENS,
    TORQUES,
    VECTOR,
    RandomStore,
    moment_of,
    trajectories_of,
)
from torch import Tensor, nn

from pipeline.config.schema import MethodConfig, OpenLoopConfig
from pipeline.errors import PipelineError
from pipeline.evaluation import imagined_loop
from pipeline.methods import Spec, make
from pipeline.methods._world_beside import WorldBeside
from pipeline.methods.more3s import More3S
from pipeline.nn.embedding_world import EmbeddingWorld, ImaginedPlay, decode
from pipeline.nn.step_world import Imagination, normalised
from pipeline.observations.batch import Batch
from pipeline.observations.windows import Windows
from pipeline.training import loop

LENGTHS = [14, 10, 16]
DATA = trajectories_of(LENGTHS)


def learner_of(trained: bool = True, randomised: bool = False, **policy: Any) -> More3S:
    told = {"text_tokens": TEXT, "action_embeddings": np.eye(ACTIONS, EMBED), "trajectories": DATA}
    model = {"trained": trained, "unknown_steps": 2}
    settings = {**POLICY, "memory_length": 0, "world_model": model, **policy}
    config = MethodConfig.model_validate({"method": "more3s", "policy": settings})
    torch.manual_seed(0)
    learner = make(config, Spec(("Made up",), (SPACE,), TOKENS, told))
    assert isinstance(learner, More3S)
    if randomised:
        for each in learner.parameters():
            nn.init.normal_(each, std=0.3)
    return learner.eval()


def windows_of(learner: More3S, steps: int | None = None) -> Windows:
    settings = learner.settings
    if steps:
        settings = settings.model_copy(update={"context_length": steps})
    return Windows(DATA, RandomStore("more3s", sum(LENGTHS)), SPACE, 10.0, settings)


def batch_of(learner: More3S, ends: list[int], steps: int | None = None) -> Batch:
    return windows_of(learner, steps).batch(np.array(ends))


def world_of(learner: More3S) -> WorldBeside:
    assert learner.world is not None
    return learner.world


# Training.


@pytest.mark.parametrize("memory", [0, 2])
def test_the_policy_is_trained_as_without_a_model(memory: int) -> None:
    """To the byte, and the model learns meanwhile."""
    told = {"steps": 6, "batch_size": 4, "evaluate_every": 3, "held_out_fraction": 0.4}
    config = MethodConfig.model_validate(
        {"method": "more3s", "training": {**told, "weight_average": 0.9}}
    )
    weights, before = [], {}
    for trained in (False, True):
        dropped = {"dropout": 0.1, "history_dropout": 0.5, "region_dropout": 0.5}
        learner = learner_of(trained, memory_length=memory, **dropped)
        if trained:
            before = {name: x.clone() for name, x in world_of(learner).named_parameters()}
        curve = loop.train(learner, windows_of(learner), config.training, 0)
        weights.append(learner.state_dict())
    assert set(weights[1]) - set(weights[0])
    for name, value in weights[0].items():
        assert torch.equal(weights[1][name], value), name
    assert not any("recorded" in name for name in weights[1])
    for name, value in world_of(learner).named_parameters():
        assert not torch.equal(before[name], value), name
    assert "held_out_value_error" in curve[0].held_out
    assert curve[0].train_loss.keys() == {"policy", "world"}


@pytest.mark.parametrize("kind", CONDITIONINGS)
def test_no_error_reaches_the_policy(kind: str) -> None:
    learner = learner_of(randomised=True, return_conditioning=kind).train()
    world_of(learner).loss(learner, batch_of(learner, [9, 20])).backward()
    for name, each in learner.named_parameters():
        assert (each.grad is not None) == name.startswith("world."), name


def test_values_are_not_told_the_return_that_they_predict() -> None:
    """With another return in a window of its own, what its values are read from stays."""
    learner = learner_of(randomised=True)
    batch = batch_of(learner, [9, 20])
    assert batch.mask.all()
    more = batch.returns_to_go + torch.tensor([[3.0], [0.0]])
    hidden = world_of(learner).unled(learner, batch)[1]
    other = world_of(learner).unled(learner, replace(batch, returns_to_go=more))[1]
    torch.testing.assert_close(other[0], hidden[0], atol=1e-4, rtol=1e-4)
    assert not torch.allclose(other[1], hidden[1], atol=1e-2)  # which is told it


def test_the_model_learns_one_batch_by_heart() -> None:
    learner = learner_of(history_dropout=0.0)
    batch, world = batch_of(learner, [9, 20, 37], steps=6), world_of(learner)
    optimiser = torch.optim.Adam(world.parameters(), 3e-3)
    most = {"latent_error": 0.3, "reward_error": 0.1, "end_error": 0.05, "value_error": 0.02}
    for _ in range(300):
        errors = world.errors(learner, batch)
        if all(errors[name] < bound for name, bound in most.items()):
            return
        optimiser.zero_grad()
        torch.stack([*errors.values()]).sum().backward()
        optimiser.step()
    raise AssertionError(errors)


# What is imagined.


class Knows(EmbeddingWorld):
    """Says what pool(O) of the next step was, by looking it up."""

    def __init__(self, of: EmbeddingWorld, pooled: Tensor) -> None:
        nn.Module.__init__(self)
        self.of, self.pooled, self.scale = of, pooled, of.scale
        self.at = 0

    def follow(self, hidden: Tensor, x: Tensor, actions: Tensor) -> Imagination:
        self.at += 1
        told = self.of.follow(hidden, x, actions)
        return told._replace(x=normalised(self.pooled[:, self.at]))


@pytest.mark.parametrize("kind", CONDITIONINGS)
def test_where_the_next_step_is_known_imagination_is_what_is_seen(kind: str) -> None:
    learner = learner_of(randomised=True, return_conditioning=kind)
    batch = batch_of(learner, [9, 20, 37], steps=6)
    batch = replace(batch, returns_to_go=torch.full_like(batch.returns_to_go, 0.7))
    mask = batch.observation["mask"]
    pooled, state = learner.pool(batch.observation["tokens"], mask), learner.start(3)
    told = batch.returns_to_go[:, :1], batch.timesteps[:, :1]
    with torch.no_grad():
        logits, state = learner.act(moment_of(batch, 0), state)
        x = learner.tokens(pooled[:, :1], {}, *told)
        hidden, memory = decode(learner.transformer, x, told[0], learner.start(3))
        node = world_of(learner).seen(pooled[:, :1], hidden, memory, *told)
        play = ImaginedPlay(learner, Knows(world_of(learner), pooled))
        torch.testing.assert_close(play.log_prior(node), logits.log_softmax(dim=-1))
        for t in range(1, 6):
            logits, state = learner.act(moment_of(batch, t), state)
            node, _, _ = play.imagine(node, batch.actions[:, t - 1])
            torch.testing.assert_close(
                play.log_prior(node), logits.log_softmax(dim=-1), atol=1e-3, rtol=1e-3
            )


def test_imagination_depends_on_the_action_and_no_other_window() -> None:
    learner = learner_of(randomised=True)
    batch = batch_of(learner, [9, 20, 1])  # the last is padded
    actions = torch.randint(0, ACTIONS, (3, 4))
    with torch.no_grad():
        whole = learner.imagined(batch, actions)
        other = learner.imagined(batch, (actions + 1) % ACTIONS)
        alone = learner.imagined(batch_of(learner, [1]), actions[2:])
    assert set(whole) == {"own", "head"}
    for name, each in whole.items():
        assert each.shape == (3, 4, 2, EMBED)
        torch.testing.assert_close(alone[name], each[2:], atol=1e-4, rtol=1e-4)
    assert not torch.allclose(whole["own"][:, 0], other["own"][:, 0], atol=1e-2)
    # the head is not told a_t
    torch.testing.assert_close(whole["head"][:, 0], other["head"][:, 0])
    assert not torch.allclose(whole["head"][:, 1], other["head"][:, 1], atol=1e-2)


# Plans.


def played(learner: More3S, batch: Batch, rows: list[int] | None = None) -> Tensor:
    """What is done at each of the first four steps, (episodes, steps)."""
    rows = rows if rows is not None else list(range(len(batch.mask)))
    state, done = learner.start(len(rows)), []
    generator = torch.Generator().manual_seed(5)
    noise = torch.randn(4, len(batch.mask), ACTIONS, generator=generator)
    with torch.no_grad():
        for t in range(4):
            drawn = noise[t]
            moment = part(replace(moment_of(batch, t), noise=lambda n, z=drawn: z), rows)
            action, state = learner.act(moment, state)
            done.append(action)
    return torch.stack(done, dim=1)


@pytest.mark.parametrize("kind", ["condition", "token"])
def test_a_batch_of_episodes_plans_as_single_ones(kind: str) -> None:
    planner = {"horizon": 3, "beams": 2, "temperature": 0.5}
    learner = learner_of(randomised=True, planner=planner, return_conditioning=kind)
    batch = batch_of(learner, [9, 20, 29, 37], steps=4)
    together = played(learner, batch)
    assert together.dtype == torch.int64
    for row in range(4):
        assert torch.equal(played(learner, batch, [row])[0], together[row])


def test_a_plan_is_the_best_of_all_that_are_imagined() -> None:
    planner = {"horizon": 2, "beams": ACTIONS, "temperature": 0.0, "prior_weight": 0.1}
    learner = learner_of(randomised=True, planner=planner)
    world, gamma, signs = world_of(learner), 0.97, torch.arange(-1.0, 2)
    world.scale.fill_(1.7)
    batch = batch_of(learner, [9, 20, 29, 37])
    seen = moment_of(batch, 0)
    told = seen.return_to_go, seen.timestep
    with torch.no_grad():
        action, _ = learner.act(seen, learner.start(4))
        pooled = learner.pool(seen.observation["tokens"], seen.observation["mask"])
        x = learner.tokens(pooled, {}, *told)
        worth = {}
        for plan in np.ndindex(ACTIONS, ACTIONS):
            hidden = learner.transformer.window(x, torch.ones(4, 1).bool(), 1, 0, told[0])[:, -1]
            now, inputs = normalised(pooled)[:, 0], [x]
            total, going_on = torch.zeros(4), torch.ones(4)
            for d, a in enumerate(plan):
                total += 0.1 * learner.logits(hidden).log_softmax(dim=-1)[:, a]
                after = world.dynamics(hidden, now, torch.full((4,), a))
                total += gamma**d * going_on * (after.reward.softmax(-1) @ signs) / 1.7
                going_on = going_on * (1 - after.end.sigmoid())
                now = after.x
                inputs.append(learner.tokens(now[:, None], {}, told[0], told[1] + d + 1))
                steps = len(inputs)  # the whole imagined window at once, without a cache
                real, returns = torch.ones(4, steps).bool(), told[0].expand(-1, steps)
                whole = torch.cat(inputs, dim=1)
                hidden = learner.transformer.window(whole, real, 1, 0, returns)[:, -1]
            worth[plan] = total + gamma**2 * going_on * world.value(hidden)[:, 0]
    for row in range(4):
        best = max(worth, key=lambda each: float(worth[each][row]))
        assert action[row] == best[0]


def test_without_differences_in_worth_plans_are_draws_of_the_policy() -> None:
    """At the same temperature as the noise."""
    planner = {"horizon": 1, "beams": ACTIONS, "temperature": 0.5, "prior_weight": 1.0}
    learner = learner_of(randomised=True, planner=planner)
    for each in world_of(learner).parameters():
        nn.init.zeros_(each)
    batch = batch_of(learner, [9])
    count = 4000
    many = part(moment_of(batch, 0), [0] * count)
    torch.manual_seed(1)
    moment = replace(many, noise=lambda n: torch.randn(count, n))
    with torch.no_grad():
        action, _ = learner.act(moment, learner.start(count))
        plain = learner_of(randomised=True)
        plain.load_state_dict(learner.state_dict())
        logits, _ = plain.act(moment_of(batch, 0), plain.start(1))
    share = torch.bincount(action, minlength=ACTIONS) / count
    torch.testing.assert_close(share, (logits[0] / 0.5).softmax(dim=-1), atol=0.03, rtol=0)


def test_without_a_model_there_are_no_plans() -> None:
    learner = learner_of(trained=False, planner={"horizon": 2})
    assert learner.settings.planned_steps == 0
    assert learner.settings.planning(3) is None
    logits, _ = learner.act(moment_of(batch_of(learner, [9]), 0), learner.start(1))
    assert logits.is_floating_point()
    planning = learner_of(planner={"horizon": 2}).settings
    assert planning.planned_steps == 2
    assert (other := planning.planning(3)) is not None
    assert other.planned_steps == 3


@pytest.mark.parametrize(("space", "shape"), [(TORQUES, TOKENS), (SPACE, TOKENS | VECTOR)])
def test_what_cannot_be_imagined_is_refused(space: Any, shape: Any) -> None:
    policy = {**POLICY, "world_model": {"trained": True}}
    config = MethodConfig.model_validate({"method": "more3s", "policy": policy})
    with pytest.raises(PipelineError, match=r"policy.world_model: Hopper has .*trained to false"):
        make(config, Spec(("Hopper",), (space,), shape, {"text_tokens": TEXT}))


# How far ahead it is right.


class Recorded:
    """Tells what was recorded, or that shifted by a deviation."""

    def __init__(self, windows: Windows, starts: Tensor) -> None:
        self.windows, self.starts = windows, starts

    def imagined(self, batch: Batch, actions: Tensor) -> dict[str, Tensor]:
        assert torch.equal(batch.index, self.starts)
        ahead = self.starts[:, None] + torch.arange(1, actions.shape[1] + 1)
        taken = torch.from_numpy(self.windows.trajectories.actions)[ahead - 1]
        assert torch.equal(actions, taken)
        z = self.windows.store.gather(ahead.numpy())["pooled"]
        return {"own": z, "head": z + 1}


def test_errors_by_steps_are_of_the_picture_and_whole_courses() -> None:
    learner = learner_of()
    windows, held_out = windows_of(learner), np.array([False, True, False])
    told = OpenLoopConfig(steps=6, starts=100)
    starts = imagined_loop.starts_of(windows, held_out, told)
    assert starts.tolist() == [14, 15, 16, 17]  # ten steps, and six follow each
    knows: Any = Recorded(windows, starts)
    rows = imagined_loop.measure(knows, 12, windows, held_out, told)
    errors = rows.pivot(index="step", columns="model", values="mean")
    assert errors.index.tolist() == [1, 2, 3, 4, 5, 6]
    assert (errors["own"] == 0).all()
    np.testing.assert_allclose(errors["head"], 1, rtol=1e-5)
    z = windows.store.gather(np.arange(14, 24)[None])["pooled"][0, :, 1]
    for step in (1, 6):
        still = [(z[i + step] - z[i]).square().mean().sqrt() for i in range(4)]
        assert errors["last"][step] == pytest.approx(float(torch.stack(still).mean()), rel=1e-4)
        zero = [z[i + step].square().mean().sqrt() for i in range(4)]
        assert errors["mean"][step] == pytest.approx(float(torch.stack(zero).mean()), rel=1e-4)
    with pytest.raises(PipelineError, match=r"made up: no held-out episode of more than 20 steps"):
        imagined_loop.starts_of(windows, held_out, OpenLoopConfig(steps=20))
    other: Any = object()
    with pytest.raises(PipelineError, match="object has no model of embeddings"):
        imagined_loop.measure(other, 1, windows, held_out, told)
