"""The played source: the scripted agent of the toy game, seeded, with the epsilon schedule."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.config.schema import DatasetConfig, EnvironmentConfig
from pipeline.data.sources import scripted
from pipeline.data.trajectories import Trajectories
from pipeline.errors import PipelineError

GAME = EnvironmentConfig(
    family="catch", game="Catch", max_noops=8, random_score=-2, reference_score=6
)


def collect(**settings: Any) -> Trajectories:
    config = {"environment": "catch", "source": "scripted", "episodes": 16, **settings}
    return scripted.collect(DatasetConfig.model_validate(config), GAME, Path())


def test_same_seed_same_episodes_and_another_seed_others() -> None:
    one, same, other = collect(), collect(), collect(seed=1)
    np.testing.assert_array_equal(one.actions, same.actions)
    assert one.state_sha256 == same.state_sha256
    assert not np.array_equal(one.rewards, other.rewards)
    assert not set(one.seed.tolist()) & set(other.seed.tolist())


def test_epsilon_decides_the_score() -> None:
    data = collect(episodes=64)
    assert data.epsilon[:8].tolist() == list(scripted.EPSILONS)
    assert data.score[data.epsilon == 0].tolist() == [6] * 8
    assert data.score[data.epsilon == 1].mean() < 2
    assert data.terminated.all()
    assert collect(max_epsilon=0.1).epsilon.max() == 0.1


def test_long_episodes_are_cut() -> None:
    data = collect(max_episode_steps=10)
    assert data.episode_length.tolist() == [10] * 16
    assert not data.terminated.any()


@pytest.mark.parametrize("episodes", [0, 1001])
def test_number_of_episodes(episodes: int) -> None:
    with pytest.raises(PipelineError, match="episodes"):
        collect(episodes=episodes)


def test_family_without_a_scripted_agent() -> None:
    game = EnvironmentConfig(family="atari", game="Pong", random_score=0, reference_score=1)
    config = DatasetConfig(environment="pong", source="scripted", episodes=1)
    with pytest.raises(PipelineError, match="'atari' has no scripted agent"):
        scripted.collect(config, game, Path())
