"""How JOWA plans in what it imagines."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from jowa_learners import (
    batch_of,
    data_of,
    learner_of,
)
from planners import part
from policies import (
    ACTIONS,
    moment_of,
)
from torch import Tensor

from pipeline.methods.jowa import JOWA
from pipeline.observations.batch import Batch


def played(learner: JOWA, batch: Batch, steps: int = 4) -> Tensor:
    """What is done at each step, (episodes, steps)."""
    state, done = learner.start(len(batch.mask)), []
    with torch.no_grad():
        for t in range(steps):
            action, state = learner.act(moment_of(batch, t), state)
            done.append(action)
    return torch.stack(done, dim=1)


@pytest.mark.parametrize("leaf", ["value", "max_q"])
@pytest.mark.parametrize("imagined", ["expectation", "mode"])
def test_a_batch_of_episodes_plans_as_single_ones(leaf: str, imagined: str) -> None:
    planner = {"horizon": 3, "beams": 2, "leaf": leaf, "imagined": imagined}
    learner = learner_of(data_of(), randomised=True, planner=planner)
    batch = batch_of(learner, [11, 20, 30, 34])
    together = played(learner, batch)
    assert together.dtype == torch.int64
    for row in range(4):
        with torch.no_grad():
            state = learner.start(1)
            for t in range(4):
                action, state = learner.act(part(moment_of(batch, t), [row]), state)
                assert action == together[row, t]


def test_one_imagined_step_with_all_weight_on_the_prior_is_what_q_prefers() -> None:
    learner = learner_of(data_of(), randomised=True)
    batch = batch_of(learner, [11, 20, 30, 34])
    best = played(learner, batch).argmax(dim=-1)
    for planner in ({"beams": 1, "prior_weight": 0.0}, {"beams": 3, "prior_weight": 1e4}):
        planning = learner_of(data_of(), True, planner={"horizon": 1, **planner})
        planning.load_state_dict(learner.state_dict())
        assert torch.equal(played(planning, batch), best)


def test_with_all_weight_on_the_prior_first_actions_are_drawn_at_the_temperature() -> None:
    planner = {"horizon": 1, "beams": ACTIONS, "prior_weight": 1e4, "temperature": 0.5}
    learner = learner_of(data_of(), randomised=True, planner=planner)
    batch, count = batch_of(learner, [11]), 4000
    many = part(moment_of(batch, 0), [0] * count)
    torch.manual_seed(1)
    moment = replace(many, noise=lambda n: torch.randn(count, n))
    with torch.no_grad():
        action, _ = learner.act(moment, learner.start(count))
        plain = learner_of(data_of())
        plain.load_state_dict(learner.state_dict())
        logits, _ = plain.act(moment_of(batch, 0), plain.start(1))
    share = torch.bincount(action, minlength=ACTIONS) / count
    torch.testing.assert_close(share, (logits[0] / 0.5).softmax(dim=-1), atol=0.03, rtol=0)


@pytest.mark.parametrize("imagined", ["expectation", "mode"])
@pytest.mark.parametrize("leaf", ["value", "max_q"])
def test_a_plan_is_the_best_of_all_that_the_world_model_imagines(leaf: str, imagined: str) -> None:
    planner = {"horizon": 2, "beams": ACTIONS, "prior_weight": 0.1}
    planner |= {"leaf": leaf, "imagined": imagined}
    learner = learner_of(data_of(), randomised=True, planner=planner)
    batch = batch_of(learner, [11, 20, 30, 34])
    scale, gamma, signs = learner.scales[0], learner.settings.discount, torch.arange(-1.0, 2)
    with torch.no_grad():
        seen = moment_of(batch, 0)
        action, _ = learner.act(seen, learner.start(4))
        x = learner.world.encode(seen.observation, seen.task)[:, 0]
        now = learner.world.step(x, seen.task, seen.timestep, learner.start(4))
        worth = {}
        for plan in np.ndindex(ACTIONS, ACTIONS):
            node, total, going_on = now, torch.zeros(4), torch.ones(4)
            for d, a in enumerate(plan):
                taken = torch.full((4,), a)
                total += 0.1 * learner.log_prior(node)[:, a]
                node, told = learner.world.imagine(node, taken)
                paid = told.reward.softmax(dim=-1) @ signs
                if imagined == "mode":
                    paid = told.reward.argmax(dim=-1) - 1.0
                total += gamma**d * going_on * paid / scale
                if imagined == "expectation":
                    going_on = going_on * (1 - told.end.sigmoid())
            left = learner.support.mean(learner.value(node.hidden))[:, 0]
            if leaf == "max_q":
                left = learner.support.mean(learner.q(node.hidden)).amax(dim=-1)
            worth[plan] = total + gamma**2 * going_on * left
    for row in range(4):
        best = max(worth, key=lambda each: float(worth[each][row]))
        assert action[row] == best[0]
