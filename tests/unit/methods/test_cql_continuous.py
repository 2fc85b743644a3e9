"""CQL of continuous actions: its conservative term against an integral and a loop, what entropy's
weight does, and what Q learns of actions that nobody took.
"""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.config.schema import MethodConfig
from pipeline.environments.action_space import ActionSpace
from pipeline.errors import PipelineError
from pipeline.methods import Spec, make
from pipeline.methods._robots import Transitions
from pipeline.methods.cql_continuous import ContinuousCQL

ARM, SIZE, BATCH = ActionSpace(("ARM",), continuous=True, low=(-2.0,), high=(2.0,)), 2, 5


def learner_of(**policy: Any) -> ContinuousCQL:
    torch.manual_seed(0)
    settings = {"method": "cql_continuous", "policy": {"width": 16, **policy}}
    learner = make(
        MethodConfig.model_validate(settings), Spec(("Arm",), (ARM,), {"state": (SIZE,)}, {})
    )
    assert isinstance(learner, ContinuousCQL)
    return learner


def transitions() -> Transitions:
    torch.manual_seed(1)
    states, following = torch.randn(2, BATCH, SIZE)
    actions = 2 * torch.rand(BATCH, 1) - 1
    rewards, discounts = torch.ones(BATCH), torch.tensor([0.9, 0.9, 0.0, 0.9, 0.5])
    return Transitions(states, actions, rewards, discounts, following)


def steep(critic: Any) -> None:
    """Values that differ between actions."""
    for weight in critic.body.weights:
        weight.data *= 3


def test_with_importance_weights_the_term_is_that_of_the_integral() -> None:
    learner, of = learner_of(samples=20_000), transitions()
    steep(learner.critic)
    grid = torch.linspace(-1, 1, 2001)[:, None, None].expand(-1, BATCH, -1)
    with torch.no_grad():
        values = learner.critic(of.states.expand(2001, -1, -1), grid)  # (2, grid, B)
        integral = torch.trapezoid(values.exp(), dx=0.001, dim=1).log()
        expected = integral - learner.critic(of.states, of.actions)
        torch.testing.assert_close(learner.gap(of), expected, atol=0.03, rtol=0)
        learner.settings = learner.settings.model_copy(update={"importance_weights": False})
        assert (learner.gap(of) - expected).abs().max() > 0.1


def test_without_them_it_is_a_mean_over_three_kinds_of_actions() -> None:
    learner, of = learner_of(samples=3, importance_weights=False), transitions()
    steep(learner.critic)
    torch.manual_seed(7)
    with torch.no_grad():
        found = learner.gap(of)
        torch.manual_seed(7)
        kinds: list[Tensor] = [2 * torch.rand(3, BATCH, 1) - 1]
        kinds += [learner.policy.sample(of.states, 3)[0]]
        kinds += [learner.policy.sample(of.next_states, 3)[0]]
        for row in range(BATCH):
            state = of.states[row : row + 1]
            for critic in range(2):
                values = [
                    learner.critic(state, kind[i, row : row + 1])[critic].item()
                    for kind in kinds
                    for i in range(3)
                ]
                recorded = learner.critic(state, of.actions[row : row + 1])[critic].item()
                mean = math.log(sum(math.exp(value) for value in values) / 9)
                assert found[critic, row].item() == pytest.approx(mean - recorded, abs=1e-4)


def test_targets_end_with_an_episode_and_have_no_entropy() -> None:
    learner, of = learner_of(), transitions()
    torch.manual_seed(3)
    with torch.no_grad():
        errors = learner._errors(of)
        torch.manual_seed(3)
        following = learner.policy.sample(of.next_states, 1)[0][0]
        best = learner.target(of.next_states, following).min(dim=0).values
        expected = learner.critic(of.states, of.actions) - (of.rewards + of.discounts * best)
    torch.testing.assert_close(errors, expected)
    torch.testing.assert_close(errors[:, 2], learner.critic(of.states, of.actions)[:, 2] - 1)


@pytest.mark.parametrize(("log_std", "falls"), [(-4.0, False), (0.0, True)])
def test_entropy_weighs_more_where_there_is_too_little(log_std: float, falls: bool) -> None:
    learner = learner_of(samples=1, conservative_weight=0)
    torch.nn.init.zeros_(learner.policy.body[-1].weight)
    learner.policy.body[-1].bias.data = torch.tensor([0.0, log_std])
    vars(learner)["transitions"] = lambda batch: transitions()
    losses = dict(learner.losses(None, 0))  # type: ignore[arg-type]
    (slope,) = torch.autograd.grad(losses["entropy"], [learner.entropy.log])
    assert (slope > 0) == falls  # of N(0, σ²) before a tanh against the goal of -1
    plain = learner_of(tune_entropy=False)
    assert "entropy" not in plain.optimised()


def test_a_large_weight_makes_q_lowest_where_nobody_acted() -> None:
    """Rewards grow with the action, but only the lower half was ever tried."""
    generator = np.random.default_rng(0)
    actions = torch.from_numpy(generator.uniform(-1, 0, (256, 1)).astype("f4"))
    states, nothing = torch.randn(256, SIZE), torch.zeros(256)
    of = Transitions(states, actions, actions[:, 0], nothing, states)
    found = {}
    for weight in (0.0, 5.0):
        learner = learner_of(
            conservative_weight=weight, samples=4, importance_weights=False, tune_entropy=False
        )
        optimizer = torch.optim.Adam(learner.critic.parameters(), 0.01)
        for _ in range(150):
            errors = learner._errors(of).square() + weight * learner.gap(of)
            optimizer.zero_grad()
            errors.mean().backward()
            optimizer.step()
        with torch.no_grad():
            tried, untried = (
                learner.critic(states, torch.full((256, 1), action)).mean()
                for action in (-0.5, 0.8)
            )
        found[weight] = float(untried - tried)
    assert found[0.0] > 0.3  # what it extrapolates to
    assert found[5.0] < -0.5


def test_bad_input_is_one_line() -> None:
    with pytest.raises(PipelineError, match=r"policy.samples: .*greater than or equal to 1"):
        MethodConfig.from_json('{"method": "cql_continuous", "policy": {"samples": 0}}')
