"""What is exported is opened by Minari itself, and read back by our own source."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import minari
import numpy as np
import pytest
import robots

from pipeline import environments
from pipeline.config.data import CLIPPED
from pipeline.config.schema import DatasetConfig, EnvironmentConfig
from pipeline.data import export_minari, frames
from pipeline.data.sources import minari as source
from pipeline.data.sources import scripted
from pipeline.data.trajectories import Trajectories
from pipeline.errors import PipelineError
from pipeline.io.artefact import Artefact

HOPPER = robots.config()
CATCH = EnvironmentConfig(family="catch", game="Catch", random_score=-2, reference_score=6)


@pytest.fixture(scope="module")
def data() -> Trajectories:
    config = DatasetConfig(
        environment="catch", source="scripted", episodes=3, max_epsilon=0.5, max_episode_steps=40
    )
    return scripted.collect(config, CATCH, Path())


@pytest.fixture
def shown(data: Trajectories, tmp_path: Path) -> Artefact:
    frames.render(data, CATCH, tmp_path / "frames.h5")
    return Artefact(tmp_path / "frames.h5", "frames")


def test_minari_opens_it(
    data: Trajectories, shown: Artefact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    export_minari.export(data, CATCH, shown, "catch-v0", Path("catch-v0"))
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    opened = minari.load_dataset("catch-v0")
    assert opened.total_episodes == 3
    assert opened.total_steps == len(data.actions)
    assert "copy of the one before" in opened.storage.metadata["description"]
    every = shown.read("frames")[shown.read("step_frame")]
    for i, episode in enumerate(opened.iterate_episodes()):
        steps = slice(data.starts[i], data.starts[i] + data.episode_length[i])
        np.testing.assert_array_equal(episode.observations[:-1], every[steps])
        np.testing.assert_array_equal(episode.observations[-1], every[steps][-1])
        np.testing.assert_array_equal(episode.actions, data.actions[steps])
        np.testing.assert_array_equal(episode.rewards, data.rewards[steps])
        assert episode.terminations[-1] == data.terminated[i]
        assert episode.terminations[-1] != episode.truncations[-1]


def test_our_own_source_reads_it_back(data: Trajectories, shown: Artefact, tmp_path: Path) -> None:
    for name in ("a-v0", "b-v0"):
        export_minari.export(data, CATCH, shown, name, tmp_path / name)
    config = DatasetConfig(environment="catch", source="minari", file="a-v0")
    back = source.collect(config, CATCH, tmp_path)
    for name in ("actions", "rewards", "episode_length", "terminated", "score"):
        np.testing.assert_array_equal(getattr(back, name), getattr(data, name))
    stored = source.frames(config, CATCH, tmp_path)
    frames.render(back, CATCH, tmp_path / "again.h5", stored)
    again = Artefact(tmp_path / "again.h5", "frames")
    for name in ("frames", "step_frame"):
        np.testing.assert_array_equal(again.read(name), shown.read(name))
    one, other = (tmp_path / name / "data/main_data.hdf5" for name in ("a-v0", "b-v0"))
    assert one.read_bytes() == other.read_bytes()


def test_vectors_with_positions(tmp_path: Path) -> None:
    data = vectors()
    export_minari.export(data, HOPPER, None, "hopper-v0", tmp_path / "hopper-v0")
    config = DatasetConfig(
        environment="hopper", source="minari", file="hopper-v0", max_episode_steps=1000
    )
    back = source.collect(config, HOPPER, tmp_path)
    for name in ("actions", "observations", "qpos", "terminated"):
        np.testing.assert_array_equal(getattr(back, name), getattr(data, name))


def test_what_cannot_be_exported(data: Trajectories, shown: Artefact, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="no state vectors, and no frames"):
        export_minari.export(data, CATCH, None, "a-v0", tmp_path / "a-v0")
    config = DatasetConfig(environment="catch", source="scripted", episodes=1)
    other = scripted.collect(config, CATCH, Path())
    with pytest.raises(PipelineError, match=r"frames\.h5: .*run render_frames"):
        export_minari.export(other, CATCH, shown, "a-v0", tmp_path / "a-v0")
    assert not (tmp_path / "a-v0").exists()


GAMES = {
    "maximum": {},
    "last": {"screen": "last"},
    "last_jpeg": {"screen": "last_jpeg"},
    "sticky": {"sticky_actions": 0.25},
    "skip of 2": {"frame_skip": 2},
    "skip of 1": {"frame_skip": 1},
}

BEYOND = [{"screen": "last_jpeg"}, {"frame_skip": 1}]
"""Frames that gymnasium's wrappers do not make: through JPEG, and the maximum over two steps."""


def game(name: str = "Breakout", **changes: Any) -> EnvironmentConfig:
    settings = {"family": "atari", "game": name, "max_noops": 0, "serve": False, **changes}
    return EnvironmentConfig(random_score=0, reference_score=1, **settings)


def played(environment: EnvironmentConfig, folder: Path, steps: int = 12) -> Trajectories:
    """An episode of a game, with its frames as `frames.h5`."""
    console = environments.make(environment)
    console.reset(3, 0)
    actions = np.arange(steps) % console.actions.size
    rewards = np.array([console.step(int(action))[0] for action in actions], np.float32)
    data = Trajectories(
        actions=actions,
        rewards=rewards,
        episode_length=np.array([steps]),
        terminated=np.array([False]),
        score=np.array([rewards.sum()], np.float64),
        source="test",
        seed=np.array([3]),
        noops=np.array([0]),
        state_sha256=("",),
    )
    frames.render(data, environment, folder / "frames.h5")
    return data


def opened(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> minari.MinariDataset:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(folder))
    return minari.load_dataset(name)


@pytest.mark.parametrize("changes", GAMES.values(), ids=GAMES)
def test_minari_makes_the_game_again(
    changes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = game(**changes)
    data = played(environment, tmp_path)
    shown = Artefact(tmp_path / "frames.h5", "frames")
    export_minari.export(data, environment, shown, "game-v0", tmp_path / "game-v0")
    found = opened(tmp_path, "game-v0", monkeypatch)
    again: Any = found.recover_environment()
    assert again.observation_space == found.observation_space
    assert again.action_space == found.action_space
    assert again.unwrapped.ale.getFloat("repeat_action_probability") == environment.sticky_actions
    episode = next(found.iterate_episodes())
    observation, _ = again.reset(seed=0)
    for stored, action in zip(episode.observations, episode.actions, strict=False):
        if changes.keys() <= {"screen", "frame_skip"} and changes not in BEYOND:
            np.testing.assert_array_equal(observation, stored)
        observation, *_ = again.step(action)
    again.close()


def test_minari_makes_the_robot_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cheap = robots.config(options={"ctrl_cost_weight": 0.5})
    export_minari.export(vectors(), cheap, None, "hopper-v0", tmp_path / "hopper-v0")
    found = opened(tmp_path, "hopper-v0", monkeypatch)
    again: Any = found.recover_environment()
    assert again.spec.id == "Hopper-v5"
    assert again.spec.max_episode_steps == 1000
    assert again.unwrapped._ctrl_cost_weight == 0.5
    assert again.action_space == found.action_space
    assert again.observation_space.shape == found.observation_space.shape
    again.close()


def vectors() -> Trajectories:
    generator = np.random.default_rng(0)
    return Trajectories(
        actions=generator.uniform(-1, 1, (9, 3)).astype(np.float32),
        rewards=np.ones(9, np.float32),
        episode_length=np.array([4, 5]),
        terminated=np.array([True, False]),
        score=np.array([4.0, 5.0]),
        source="test",
        observations=generator.normal(size=(9, 11)).astype(np.float32),
        qpos=generator.normal(size=(9, 6)).astype(np.float32),
    )


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"name": "Pong"}, "game breakout, the environment says pong"),
        ({"name": "SpaceInvaders"}, "game breakout, the environment says spaceinvaders"),
        ({"frame_skip": 2}, "frame_skip 4, the environment says 2"),
        ({"sticky_actions": 0.25}, r"sticky_actions 0, the environment says 0\.25"),
        ({"screen": "last"}, "set the dataset's screen to maximum"),
        ({"screen": "last_jpeg"}, "set the dataset's screen to maximum"),
    ],
)
def test_read_back_as_something_else(changes: dict[str, Any], cause: str, tmp_path: Path) -> None:
    data = played(game(), tmp_path)
    shown = Artefact(tmp_path / "frames.h5", "frames")
    export_minari.export(data, game(), shown, "game-v0", tmp_path / "game-v0")
    config = DatasetConfig(environment="any", source="minari", file="game-v0")
    back = source.collect(config, game(), tmp_path)
    np.testing.assert_array_equal(back.actions, data.actions)
    with pytest.raises(PipelineError, match=cause):
        source.collect(config, game(**changes), tmp_path)


def test_a_game_that_is_not_gymnasiums(data: Trajectories, shown: Artefact, tmp_path: Path) -> None:
    """The environment's configuration tells the game where gymnasium has no name for it."""
    export_minari.export(data, CATCH, shown, "catch-v0", tmp_path / "catch-v0")
    config = DatasetConfig(environment="any", source="minari", file="catch-v0")
    with pytest.raises(PipelineError, match="family catch, the environment says atari"):
        source.collect(config, game(), tmp_path)


def test_grey_frames_and_clipped_rewards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of DQN replay: one channel is stored, and the label comes back."""
    environment = game(screen="grey_84")
    data = replace(played(environment, tmp_path), source=f"DQN replay ({CLIPPED})")
    shown = Artefact(tmp_path / "frames.h5", "frames")
    export_minari.export(data, environment, shown, "grey-v0", tmp_path / "grey-v0")
    found = opened(tmp_path, "grey-v0", monkeypatch)
    assert found.observation_space.shape == (84, 84)
    names = [wrapper.name for wrapper in found.env_spec.additional_wrappers]
    assert names == ["AtariPreprocessing", "ClipReward"]
    config = DatasetConfig(environment="any", source="minari", file="grey-v0")
    back = source.collect(config, environment, tmp_path)
    assert CLIPPED in back.source
    stored = source.frames(config, environment, tmp_path)
    frames.render(back, environment, tmp_path / "again.h5", stored)
    again = Artefact(tmp_path / "again.h5", "frames")
    np.testing.assert_array_equal(again.read("frames"), shown.read("frames"))


def test_frames_of_another_environment(tmp_path: Path) -> None:
    data = played(game(), tmp_path)
    shown = Artefact(tmp_path / "frames.h5", "frames")
    with pytest.raises(PipelineError, match=r"frames\.h5: frames with screen maximum.* says last"):
        export_minari.export(data, game(screen="last"), shown, "a-v0", tmp_path / "a-v0")
