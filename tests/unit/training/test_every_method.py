"""What every method has to do in training, on every kind of observation that it reads."""

import numpy as np
import pytest
import torch

from benchmarks import _random_data, card
from pipeline.config.schema import TrainingConfig
from pipeline.training import loop
from pipeline.training.held_out_metrics import HeldOut, constant_action

READERS = list(_random_data.readers())
SOON = {
    **{"autoencoder_steps": 1, "tokenizer_steps": 1, "behaviour_steps": 1, "critic_steps": 0},
    **{"policy_every": 1, "return_horizon": 4, "horizon": 4, "codebook": 16},
}
"""Every phase of a training is reached within three updates."""
TRAINING = {"steps": 3, "batch_size": 8, "evaluate_every": 3, "checkpoint_every": None}


@pytest.mark.parametrize(("method", "kind"), READERS)
def test_it_trains_in_bfloat16(method: str, kind: str) -> None:
    """A card, or a processor with instructions for it, is given no other by default."""
    config = _random_data.settings(method, kind, **card.SMALL, **SOON)
    learner, windows = _random_data.built(config, _random_data.Sizes())
    settings = TrainingConfig.model_validate({**TRAINING, "precision": "bfloat16"})
    (row,) = loop.train(learner, windows, settings, seed=0)
    assert set(learner.optimised()) <= set(config.policy.optimisers)
    assert row.train_loss.keys() == learner.optimised().keys()
    assert np.isfinite([*row.train_loss.values()]).all(), row.train_loss
    for name, tensor in learner.state_dict().items():
        assert not tensor.is_floating_point() or tensor.isfinite().all(), name


@pytest.mark.parametrize("method", sorted({method for method, _ in READERS}))
def test_an_optimiser_that_is_declared_is_one(method: str) -> None:
    """Some only with other settings than the default's."""
    policy = {"tune_entropy": True, "world_model": {"trained": method == "more3s"}}
    kind = dict(reversed(READERS))[method]  # the first
    config = _random_data.settings(method, kind, **card.SMALL, **policy)
    learner, _ = _random_data.built(config, _random_data.Sizes(episodes=2))
    assert set(learner.optimised()) == set(config.policy.optimisers)


@pytest.mark.parametrize(
    ("method", "columns"),
    [
        ("diffuser", ["value_error"]),
        ("tap", ["state_error", "value_error", "prior_nats"]),
        ("trajectory_transformer", ["state_nats", "action_nats"]),
        ("mbop", ["returns_error", "state_error"]),
        ("jowa", ["q", "return", "td_error", "latent_error"]),
        ("cql", ["q", "td_error", "loss"]),
    ],
)
def test_a_mean_does_not_depend_on_how_windows_are_batched(method: str, columns: list[str]) -> None:
    """What is known of few steps, as of those before a cut, counts for as many."""
    kind = dict(reversed(READERS))[method]
    config = _random_data.settings(method, kind, **card.SMALL, **SOON)
    learner, windows = _random_data.built(config, _random_data.Sizes())
    learner.eval()
    ends = np.arange(40, 75)  # of an episode that ended and of one that was cut
    ends = windows.drawn_from(ends)
    constant = constant_action(windows.actions, windows.trajectories.actions)
    found = [
        HeldOut([windows.batch(ends[i : i + size]) for i in range(0, len(ends), size)], constant)
        for size in (len(ends), 4)
    ]
    whole, parts = (each.measure(learner, "float32") for each in found)
    for name in columns:
        assert parts[f"held_out_{name}"] == pytest.approx(whole[f"held_out_{name}"], rel=1e-4), name


def test_a_mean_of_nothing_is_no_number() -> None:
    config = _random_data.settings("diffuser", "states", **card.SMALL, **SOON)
    learner, windows = _random_data.built(config, _random_data.Sizes())
    cut = windows.trajectories.starts[1] + _random_data.EPISODE - 1
    held_out = HeldOut([windows.batch(np.array([cut - 1]))], torch.zeros(3))
    assert np.isnan(held_out.measure(learner, "float32")["held_out_value_error"])
