"""Values of discrete actions: quantile regression, heads, and what is read of a step."""

import numpy as np
import pytest
import torch
from policies import observation_of, spec_of

from pipeline.nn.value_heads import StepFeatures, ValueNetwork, of_action, quantile_huber


@pytest.mark.parametrize("kappa", [1.0, 0.3])
def test_quantile_huber_is_a_triple_loop(kappa: float) -> None:
    torch.manual_seed(0)
    theta, goals = torch.randn(3, 4), 2 * torch.randn(3, 5)
    for row, found in enumerate(quantile_huber(theta, goals, kappa)):
        total = 0.0
        for i in range(4):
            level = (i + 0.5) / 4
            for j in range(5):
                error = float(goals[row, j] - theta[row, i])
                huber = error**2 / 2 if abs(error) <= kappa else kappa * (abs(error) - kappa / 2)
                total += abs(level - (error < 0)) * huber / kappa / 5
        assert found.item() == pytest.approx(total, rel=1e-5)


def test_with_a_narrow_huber_the_minimum_is_at_the_sample_s_quantiles() -> None:
    sample = torch.from_numpy(np.random.default_rng(0).exponential(size=2001).astype("f4"))
    theta = torch.zeros(5, requires_grad=True)
    for step in range(300):
        (slope,) = torch.autograd.grad(quantile_huber(theta, sample, 1e-3), theta)
        theta.data -= (1 - step / 300) * slope
    expected = sample.quantile(torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9]))
    torch.testing.assert_close(theta.detach(), expected, atol=0.01, rtol=0)


def test_the_values_of_an_action_are_its_own() -> None:
    values = torch.arange(2 * 3 * 4).view(2, 3, 4)
    actions = torch.tensor([2, 0])
    assert of_action(values, actions).tolist() == [[8, 9, 10, 11], [12, 13, 14, 15]]


@pytest.mark.parametrize(
    "method", ["more3s", "decision_transformer", "behaviour_cloning on states"]
)
def test_every_kind_of_observation_gives_values(method: str) -> None:
    spec = spec_of(method, {"text_tokens": 4})
    network = ValueNetwork(StepFeatures(spec.shape, spec.statistics, 16), 16, 3, 5)
    observation = observation_of(method, 2, 2)
    values = network(observation)
    assert values.shape == (2, 2, 3, 5)
    other = {name: x.flip(0) for name, x in observation.items()}
    torch.testing.assert_close(network(other), values.flip(0))
    assert (values[0] - values[1]).abs().max() > 1e-4  # what is seen matters


def test_features_of_frames_do_not_saturate() -> None:
    """Values need rates at which a tanh would be ±1 for every state."""
    spec = spec_of("decision_transformer")
    features = StepFeatures(spec.shape, spec.statistics, 16)
    observation = observation_of("decision_transformer", 2, 1)
    with torch.no_grad():
        features.encoder.output.weight *= 1000
        apart = features(observation).diff(dim=0).abs()
    assert apart.max() > 1
