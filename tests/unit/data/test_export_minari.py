"""What is exported is opened by Minari itself, and read back by our own source."""

from pathlib import Path

import minari
import numpy as np
import pytest
import robots

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
    generator = np.random.default_rng(0)
    data = Trajectories(
        actions=generator.uniform(-1, 1, (9, 3)).astype(np.float32),
        rewards=np.ones(9, np.float32),
        episode_length=np.array([4, 5]),
        terminated=np.array([True, False]),
        score=np.array([4.0, 5.0]),
        source="test",
        observations=generator.normal(size=(9, 11)).astype(np.float32),
        qpos=generator.normal(size=(9, 6)).astype(np.float32),
    )
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
