"""Policies of robots, critics, and target networks that follow."""

import math
from collections.abc import Callable
from typing import TypeVar

import pytest
import torch
from torch import nn
from torch.distributions import Normal, TanhTransform, TransformedDistribution

from pipeline.environments.action_space import ActionSpace
from pipeline.nn.critics import Critics, follow
from pipeline.nn.gaussian_policy import (
    GaussianPolicy,
    StatePolicy,
    TanhGaussianPolicy,
    tanh_log_prob,
)
from pipeline.nn.mlp import SPREAD, mlp

SIZE = 3
TORQUES = ActionSpace(("HIP", "KNEE"), continuous=True, low=(-1.0, -2.0), high=(1.0, 6.0))
STATISTICS = {"state_mean": [1.0, 2.0, 3.0], "state_std": [0.5, 1.0, 0.0]}
Kind = TypeVar("Kind", bound=StatePolicy)
KINDS: list[Callable[..., StatePolicy]] = [StatePolicy, GaussianPolicy, TanhGaussianPolicy]


def built(kind: Callable[..., Kind]) -> Kind:
    torch.manual_seed(0)
    return kind(SIZE, STATISTICS, TORQUES, [16])


def test_log_probability_is_that_of_the_transformed_distribution() -> None:
    torch.manual_seed(0)
    u, mean, log_std = torch.randn(3, 50, 2, dtype=torch.float64)
    normal = Normal(mean, log_std.exp())
    expected = TransformedDistribution(normal, TanhTransform()).log_prob(u.tanh()).sum(dim=-1)
    torch.testing.assert_close(tanh_log_prob(u, mean, log_std), expected)


@pytest.mark.parametrize("sign", [-1, 1])
def test_log_probability_and_its_gradient_are_finite_far_out(sign: int) -> None:
    u = torch.full((1, 2), sign * 12.0, requires_grad=True)
    log_prob = tanh_log_prob(u, torch.zeros(1, 2), torch.zeros(1, 2))
    assert float(u.tanh().abs().min().detach()) == 1  # where log(1 − a²) is infinite
    log_prob.sum().backward()
    # N(12; 0, 1) and a slope of 4 e^{-24} for each of two components
    expected = 2 * (-72 - math.log(2 * math.pi) / 2 - math.log(4) + 24)
    assert log_prob.item() == pytest.approx(expected, rel=1e-5)
    assert u.grad is not None
    assert u.grad.isfinite().all()


def test_a_policy_of_saturated_actions_has_its_mode_there_and_a_finite_likelihood() -> None:
    policy = built(TanhGaussianPolicy)
    states = torch.randn(64, SIZE)
    actions = torch.where(states[:, :2] > 0, 1.0, -1.0)  # of ±1 only
    optimizer = torch.optim.Adam(policy.parameters(), 0.01)
    for _ in range(200):
        loss = -policy.log_prob(states, actions).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.isfinite()
    clear = states[:, :2].abs() > 0.2
    assert (policy.mode(states) - actions).abs()[clear].median() < 0.05


def test_a_clone_s_mode_reaches_saturated_actions_and_its_deviation_is_the_errors() -> None:
    policy = built(TanhGaussianPolicy)
    states = torch.randn(512, SIZE)
    spread = 0.3 * torch.randn(512)
    actions = torch.stack(((states[:, 0] > 0) * 2.0 - 1, (0.2 + spread).tanh()), dim=-1)
    optimizer = torch.optim.Adam(policy.parameters(), 0.01)
    for _ in range(400):
        loss = policy.cloning_loss(states, actions).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    clear = states[:, 0].abs() > 0.3
    mode = policy.mode(states)
    # a likelihood's would be .97, which is what it sees of 1
    assert (mode[clear, 0].abs() > 0.98).float().mean() > 0.95
    assert policy(states)[1][:, 1].exp().mean().item() == pytest.approx(0.3, abs=0.06)


def test_samples_come_with_the_log_probability_of_their_density() -> None:
    policy = built(TanhGaussianPolicy)
    states = torch.randn(4, SIZE)
    torch.manual_seed(1)
    actions, log_prob = policy.sample(states, 5)
    assert (actions.shape, log_prob.shape) == ((5, 4, 2), (5, 4))
    torch.manual_seed(1)
    u, _ = policy.sample_u(states, 5)
    torch.testing.assert_close(actions, u.tanh())
    torch.testing.assert_close(policy.log_prob_u(states, u), log_prob)
    inside = actions.detach().abs().amax(dim=-1) < 0.9  # recorded actions are clamped beyond
    torch.testing.assert_close(policy.log_prob(states, actions)[inside], log_prob[inside])


def test_a_gaussian_has_its_deviation_learned_or_fixed() -> None:
    learned = built(GaussianPolicy)
    states, actions = torch.randn(7, SIZE), torch.rand(7, 2)
    expected = Normal(learned.mode(states), 1.0).log_prob(actions).sum(dim=-1)
    torch.testing.assert_close(learned.log_prob(states, actions), expected)
    assert "log_std" in dict(learned.named_parameters())
    fixed = GaussianPolicy(SIZE, STATISTICS, TORQUES, [16], std=0.4)
    expected = Normal(fixed.mode(states), 0.4).log_prob(actions).sum(dim=-1)
    torch.testing.assert_close(fixed.log_prob(states, actions), expected)
    assert "log_std" not in dict(fixed.named_parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_play_takes_raw_states_and_keeps_to_the_robot_s_bounds(
    kind: Callable[..., StatePolicy],
) -> None:
    policy = built(kind)
    observed = 100 * torch.randn(50, 1, SIZE)
    mean, std = torch.tensor(STATISTICS["state_mean"]), torch.tensor(STATISTICS["state_std"])
    played = policy.play(observed)
    scaled = policy.mode((observed - mean) / (std + SPREAD))
    torch.testing.assert_close(played, torch.tensor([0.0, 2.0]) + torch.tensor([1.0, 4.0]) * scaled)
    low, high = torch.tensor(TORQUES.low), torch.tensor(TORQUES.high)
    assert ((played >= low) & (played <= high)).all()
    assert played.std() > 0.1
    torch.testing.assert_close(policy.bounds.scaled(played), scaled, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("layer_norm", [False, True])
def test_batched_critics_are_single_ones(layer_norm: bool) -> None:
    torch.manual_seed(0)
    critics = Critics(5, [8, 4], count=3, layer_norm=layer_norm)
    states, actions = torch.randn(6, 2, 3), torch.randn(6, 2, 2)
    found = critics(states, actions)
    assert found.shape == (3, 6, 2)
    for index in range(3):
        one = mlp([5, 8, 4, 1])
        linear = [each for each in one if isinstance(each, nn.Linear)]
        pairs = zip(critics.body.weights, critics.body.biases, strict=True)
        for layer, (weight, bias) in zip(linear, pairs, strict=True):
            layer.weight.data = weight.data[index].T
            layer.bias.data = bias.data.view(3, -1)[index]
        if layer_norm:
            sizes = [each.out_features for each in linear[:-1]]
            norms = [nn.LayerNorm(size) for size in sizes]
            one = nn.Sequential(
                *(linear[0], norms[0], nn.ReLU(), linear[1], norms[1], nn.ReLU(), linear[2])
            )
        torch.testing.assert_close(found[index], one(torch.cat((states, actions), -1))[..., 0])


def test_a_target_network_is_the_exact_average_of_what_it_followed() -> None:
    rate, weights = 0.1, [0.0, 1.0, -2.0, 5.0]
    online, target = (nn.Linear(1, 1, bias=False, dtype=torch.float64) for _ in range(2))
    target.requires_grad_(False)
    nn.init.constant_(target.weight, 3.0)
    for weight in weights:
        nn.init.constant_(online.weight, weight)
        follow(target, online, rate)
    past = [rate * (1 - rate) ** k * weight for k, weight in enumerate(reversed(weights))]
    assert target.weight.item() == pytest.approx(sum(past) + 3 * (1 - rate) ** 4, rel=1e-12)
    assert target.weight.grad is None
    follow(target, online, 1.0)
    assert torch.equal(target.weight, online.weight)
