"""Recorded play of robots: positions for every step, unions, and every way a file can be wrong."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from robots import RESOURCES, config, dataset, recording

from pipeline import environments
from pipeline.config.schema import DatasetConfig, EnvironmentConfig
from pipeline.data import trajectories
from pipeline.data.sources import recorded_states
from pipeline.data.trajectories import Trajectories
from pipeline.errors import PipelineError

LENGTH = 30


def collect(folder: Path, content: dict[str, Any], **settings: Any) -> Trajectories:
    np.savez(folder / "hopper.npz", **content)
    return trajectories.collect(dataset(**settings), config(), folder)


def test_everything(tmp_path: Path) -> None:
    content = recording()
    data = collect(tmp_path, content)
    assert data.episode_length.tolist() == [LENGTH] * 2
    assert (data.actions.shape, data.actions.dtype) == ((60, 3), np.float32)
    assert data.observations is not None
    assert data.qpos is not None
    np.testing.assert_array_equal(data.qpos[:, 0], content["root_x"])
    np.testing.assert_array_equal(data.qpos[:, 1:], data.observations[:, :5])
    assert (data.noops, data.epsilon, data.state_sha256) == (None, None, None)
    assert data.source == "recorded hopper"
    trajectories.save(tmp_path / "t.h5", data, config(), dataset())
    again = trajectories.load(tmp_path / "t.h5")
    np.testing.assert_array_equal(again.qpos, data.qpos)
    assert again.state_sha256 is None


def test_several_recordings_are_one_data_set(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", **recording(1, 20))
    data = collect(tmp_path, recording(), file=["hopper.npz", "other.npz"], max_episode_steps=25)
    assert data.episode_length.tolist() == [25, 25, 20]
    assert data.source == "recorded hopper + other"
    assert data.observations is not None
    np.testing.assert_array_equal(data.observations[:20], data.observations[50:])


def test_episodes_are_played_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    collect(tmp_path, recording())
    assert "hopper.npz: 2 of 2 episodes play again to the last bit" in capsys.readouterr().out


def unsound(name: str) -> dict[str, Any]:
    content = recording()
    actions, observations = content["actions"].copy(), content["observations"].copy()
    rewards = content["rewards"].copy()
    if name == "nan":
        observations[31, 4] = np.nan
    if name == "out of bounds":
        actions[33, 1] = -1.5
    if name == "another way":
        observations[33, 2] += 0.01
    if name == "reward":
        rewards[3] += 1
    if name == "paid otherwise":
        rewards[31] += 1
        content["score"] = rewards.reshape(2, LENGTH).sum(1)
    content |= {"actions": actions, "observations": observations, "rewards": rewards}
    meta = {"env": "Walker2d-v5", "gymnasium": "1.4.0"}
    changes: dict[str, dict[str, Any]] = {
        "width": {"observations": observations[:, :10]},
        "torques": {"actions": actions[:, :2]},
        "short": {"observations": observations[:-1]},
        "no end": {"episode_length": np.array([LENGTH, LENGTH - 1])},
        "end": {"terminated": np.array([0, 2])},
        "robot": {"meta": json.dumps(meta)},
        "meta": {"meta": "{"},
        "key": {"root_x": None},
        "pickle": {"policy": np.array([object()])},
    }
    content |= changes.get(name, {})
    return {key: value for key, value in content.items() if value is not None}


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("nan", "observation nan at step 31"),
        ("out of bounds", "action -1.5 of 'leg' at step 33; allowed: -1 to 1"),
        ("another way", r"episode 1 differs by 0\.01 at step 3 .*mujoco .*requirements\.lock"),
        ("reward", "rewards of episode 0 add up to"),
        ("paid otherwise", r"episode 1 is paid 0\.85\d* at step 1 when .* again, recorded 1\.85"),
        ("end", "terminated is .*, expected a list of bool"),
        ("width", r"state vectors \(10,\).*Hopper-v5 .*has \(11,\).*recorded with gymnasium 1.4.0"),
        ("torques", r"float32 \(2,\), expected vectors of 3"),
        ("short", "recorded with gymnasium"),
        ("no end", "episode lengths add up to 59"),
        ("robot", "recorded in Walker2d-v5, the environment says Hopper-v5"),
        ("meta", "unreadable 'meta'"),
        ("key", "without root_x"),
        ("pickle", "damaged recording"),
    ],
)
def test_bad_recordings(tmp_path: Path, name: str, cause: str) -> None:
    with pytest.raises(PipelineError, match=rf"hopper\.npz.*{cause}"):
        collect(tmp_path, unsound(name))


def test_options_that_pay_otherwise(tmp_path: Path) -> None:
    np.savez(tmp_path / "hopper.npz", **recording())
    paid = config(options={"forward_reward_weight": 7.0})
    with pytest.raises(PipelineError, match=r"hopper\.npz: .*paid.*correct the environment's opti"):
        trajectories.collect(dataset(), paid, tmp_path)


def test_what_the_data_set_asks_for(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="has no epsilon; remove max_epsilon"):
        collect(tmp_path, recording(), max_epsilon=0.2)
    with pytest.raises(PipelineError, match="needs the key 'file'"):
        trajectories.collect(dataset([]), config(), tmp_path)
    with pytest.raises(PipelineError, match=r"none\.npz: no such recording"):
        trajectories.collect(dataset("none.npz"), config(), tmp_path)
    catch = EnvironmentConfig(family="catch", game="Catch", random_score=0, reference_score=1)
    with pytest.raises(PipelineError, match="is for robots, Catch is not one"):
        trajectories.collect(dataset(), catch, tmp_path)


@pytest.mark.parametrize(("robot", "steps"), [("hopper", 28737), ("walker2d", 31888)])
def test_shipped_recordings_are_sound(robot: str, steps: int) -> None:
    """All but playing them again, which `collect_trajectories` does."""
    game = environments.make(config(robot))
    assert isinstance(game, environments.Simulator)
    total = 0
    for kind in ("medium", "expert", "replay"):
        path = RESOURCES / f"demonstrations/mujoco/{robot}_{kind}.npz"
        total += len(recorded_states._read(path, kind, game).actions)
    assert total == steps


def test_a_data_set_may_name_one_file_or_several() -> None:
    given = {"environment": "hopper", "source": "recorded_states"}
    assert DatasetConfig.model_validate(given).files == []
    assert dataset("a").files == ["a"]
    assert dataset(["a", "b"]).files == ["a", "b"]
