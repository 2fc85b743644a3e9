"""What every method has to do in training, on every kind of observation that it reads."""

import numpy as np
import pytest

from benchmarks import _random_data, card
from pipeline.config.schema import TrainingConfig
from pipeline.training import loop

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
