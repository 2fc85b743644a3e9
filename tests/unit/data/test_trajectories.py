"""Trajectories: derived arrays against plain loops, invariants, save and load."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.config.schema import DatasetConfig, EnvironmentConfig
from pipeline.data import trajectories
from pipeline.data.trajectories import Trajectories
from pipeline.environments.action_space import ActionSpace
from pipeline.errors import PipelineError

LENGTHS = [5, 1, 7]


def make() -> Trajectories:
    generator = np.random.default_rng(0)
    rewards = generator.normal(size=sum(LENGTHS)).astype(np.float32)
    parts = np.split(rewards.astype(np.float64), np.cumsum(LENGTHS)[:-1])
    return Trajectories(
        actions=generator.integers(0, 4, sum(LENGTHS)),
        rewards=rewards,
        episode_length=np.array(LENGTHS, np.int64),
        terminated=np.array([True, False, True]),
        score=np.array([part.sum() for part in parts]),
        seed=np.arange(3),
        noops=np.array([0, 4, 2]),
        epsilon=np.array([0.0, 0.1, 1.0]),
        state_sha256=("a", "", "c"),
        source="test",
    )


def test_derived_arrays_equal_a_plain_loop() -> None:
    data = make()
    step = 0
    for episode, length in enumerate(LENGTHS):
        assert data.starts[episode] == step
        for t in range(length):
            expected = sum(float(r) for r in data.rewards[step : data.starts[episode] + length])
            assert data.returns_to_go[step] == np.float32(expected)
            assert data.episode[step] == episode
            assert data.timesteps[step] == t
            previous = data.previous_actions(ActionSpace(("",) * 10, noop=9))[step]
            assert previous == (9 if t == 0 else data.actions[step - 1])
            step += 1
    assert data.returns_to_go.dtype == np.float32
    assert data.returns_to_go.shape == data.actions.shape


def test_first_return_to_go_is_the_score() -> None:
    data = make()
    np.testing.assert_allclose(data.returns_to_go[data.starts], data.score, rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"episode_length": np.array([], np.int64)}, "zero episodes"),
        ({"episode_length": np.array([6, 0, 7])}, "episode 1 is empty"),
        ({"episode_length": np.array([5, 1, 8])}, "add up to 14.*13 actions"),
        ({"rewards": np.full(13, np.nan, np.float32)}, "reward nan at step 0"),
        ({"actions": np.full(13, -1)}, "negative action"),
        ({"score": np.array([1.0, 2.0, 3.0])}, "rewards of episode 0 add up to"),
        ({"seed": np.arange(2)}, "seed has 2 entries for 3 episodes"),
        ({"noops": np.array([0, -1, 2])}, "negative noops of episode 1"),
        ({"noops": np.array([0, 10**15, 2])}, "noops 1000000000000000 of episode 1 is more than"),
        ({"seed": np.array([0, 1, 2**31])}, "seed 2147483648 of episode 2 is more than 2147483647"),
        ({"episode_length": np.array([2**62] * 4 + [13])}, "episode 0 is of 4611686018427387904"),
        ({"rewards": np.zeros((13, 2), np.float32)}, r"rewards is \(13, 2\), expected a list"),
    ],
)
def test_broken_invariants(change: dict[str, np.ndarray], cause: str) -> None:
    with pytest.raises(PipelineError, match=f"test: .*{cause}"):
        replace(make(), **change)  # type: ignore[arg-type]


def test_save_and_load(tmp_path: Path) -> None:
    environment = EnvironmentConfig(family="catch", game="Catch", random_score=0, reference_score=1)
    dataset = DatasetConfig(environment="catch", source="scripted")
    data = make()
    trajectories.save(tmp_path / "t.h5", data, environment, dataset)
    loaded = trajectories.load(tmp_path / "t.h5")
    for field in fields(Trajectories):
        one, other = getattr(data, field.name), getattr(loaded, field.name)
        np.testing.assert_array_equal(one, other)
        assert type(one) is type(other)
        assert getattr(one, "dtype", None) == getattr(other, "dtype", None)


def test_unknown_source() -> None:
    environment = EnvironmentConfig(family="catch", game="Catch", random_score=0, reference_score=1)
    dataset = DatasetConfig(environment="catch", source="dreamt")
    with pytest.raises(PipelineError, match=r"'dreamt'.*recorded, .*scripted"):
        trajectories.collect(dataset, environment, Path())
