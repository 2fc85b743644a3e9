"""The Minari source, on data sets that Minari itself has written."""

import json
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import ale_py
import gymnasium
import h5py
import minari
import numpy as np
import pytest
import robots
from gymnasium import spaces
from minari.data_collector import EpisodeBuffer

from pipeline import environments
from pipeline.config.schema import DatasetConfig, EnvironmentConfig
from pipeline.data import frames
from pipeline.data.sources import minari as source
from pipeline.data.trajectories import Trajectories
from pipeline.errors import PipelineError
from pipeline.io.artefact import Artefact

HOPPER = robots.config()
OBSERVATIONS, ACTIONS = 11, 3
GAME = EnvironmentConfig(
    family="atari",
    game="Breakout",
    screen="last_jpeg",
    serve=False,
    random_score=2,
    reference_score=30,
)
LENGTHS = [30, 24]


def played(length: int, seed: int) -> EpisodeBuffer:
    """One episode of Gymnasium's Breakout, as Minari's own Atari data are made."""
    gymnasium.register_envs(ale_py)
    game = gymnasium.make("ALE/Breakout-v5", repeat_action_probability=0)
    generator = np.random.default_rng(seed)
    observations = [game.reset(seed=seed)[0]]
    actions, rewards = [], []
    for _ in range(length):
        actions.append(int(generator.integers(4)))
        observation, reward, *_ = game.step(actions[-1])
        observations.append(observation)
        rewards.append(float(reward))
    game.close()
    ends = [False] * (length - 1) + [True]
    return EpisodeBuffer(
        seed=seed,
        observations=observations,
        actions=actions,
        rewards=rewards,
        terminations=[False] * length,
        truncations=ends,
    )


def write(root: Path, name: str, buffers: list[EpisodeBuffer], **keywords: Any) -> Path:
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is no author
        patch.setenv("MINARI_DATASETS_PATH", str(root))
        minari.create_dataset_from_buffers(name, buffers, **keywords)
    return root / name


@pytest.fixture(scope="module")
def episodes() -> list[EpisodeBuffer]:
    return [played(length, seed) for seed, length in enumerate(LENGTHS)]


@pytest.fixture(scope="module")
def breakout(tmp_path_factory: pytest.TempPathFactory, episodes: list[EpisodeBuffer]) -> Path:
    specification = gymnasium.make("ALE/Breakout-v5", repeat_action_probability=0).spec
    root = tmp_path_factory.mktemp("minari")
    return write(root, "atari/breakout/expert-v0", episodes, env=specification)


def config(folder: Path, **settings: Any) -> DatasetConfig:
    return DatasetConfig.model_validate(
        {"environment": "breakout", "source": "minari", "file": str(folder), **settings}
    )


def collect(folder: Path, environment: EnvironmentConfig = GAME, **settings: Any) -> Trajectories:
    return source.collect(config(folder, **settings), environment, Path())


def test_atari(breakout: Path, episodes: list[EpisodeBuffer]) -> None:
    data = collect(breakout)
    assert data.episode_length.tolist() == LENGTHS
    assert data.actions.tolist() == [a for episode in episodes for a in episode.actions]
    assert data.rewards.tolist() == [r for episode in episodes for r in episode.rewards]
    assert not data.terminated.any()
    assert data.source == "Minari atari/breakout/expert-v0"


def test_stored_frames_are_those_of_the_live_environment(breakout: Path, tmp_path: Path) -> None:
    """The same actions in the emulator give, through JPEG, the same frames bit for bit."""
    data = collect(breakout)
    stored = source.frames(config(breakout), GAME, Path())
    frames.render(data, GAME, tmp_path / "frames.h5", stored)
    artefact = Artefact(tmp_path / "frames.h5", "frames")
    shown = artefact.read("frames")[artefact.read("step_frame")]
    game = environments.make(GAME)
    for step, action in enumerate(data.actions.tolist()):
        if data.timesteps[step] == 0:
            game.reset(0, 0)
        np.testing.assert_array_equal(game.frame(), shown[step])
        game.step(action)


def test_images_without_jpeg_and_in_grey(tmp_path: Path, episodes: list[EpisodeBuffer]) -> None:
    grey = [
        replace(episode, observations=[image[..., 0] for image in episode.observations])
        for episode in episodes
    ]
    space = spaces.Box(0, 255, (210, 160), np.uint8)
    for jpeg in (False, True):
        folder = write(
            tmp_path,
            f"grey-v{int(jpeg)}",
            grey,
            observation_space=space,
            action_space=spaces.Discrete(4),
            jpeg_encoding=jpeg,
        )
        shown = source.frames(config(folder), GAME, Path())
        assert shown is not None
        first = next(shown)
        assert first.shape == (210, 160, 3)
        difference = np.abs(first - grey[0].observations[0][..., None].astype(int)).mean()
        assert (difference > 0) == jpeg
        assert difference < 3


def test_selection(breakout: Path) -> None:
    settings = {"max_episodes": 1, "max_episode_steps": 20}
    data = collect(breakout, **settings)
    assert data.episode_length.tolist() == [20]
    shown = source.frames(config(breakout, **settings), GAME, Path())
    assert shown is not None
    assert len(list(shown)) == 20
    assert collect(breakout, fraction=0.6).episode_length.tolist() == [30]
    assert "first 0.6" in collect(breakout, fraction=0.6).source


def hopper(root: Path, **changes: Any) -> Path:
    """Two episodes of state vectors in Minari's form, the first ending, the second cut."""
    generator = np.random.default_rng(0)
    buffers = []
    for length, ended in ((7, True), (5, False)):
        last = [False] * (length - 1)
        content = {
            "observations": generator.normal(size=(length + 1, OBSERVATIONS)),
            "actions": generator.uniform(-1, 1, (length, ACTIONS)).astype(np.float32),
            "rewards": generator.normal(size=length),
            "terminations": [*last, ended],
            "truncations": [*last, not ended],
            "infos": {"qpos": generator.normal(size=(length + 1, 6))},
        }
        buffers.append(EpisodeBuffer(**{**content, **changes}))
    return write(
        root,
        "mujoco/hopper/medium-v0",
        buffers,
        observation_space=spaces.Box(-np.inf, np.inf, (OBSERVATIONS,), np.float64),
        action_space=spaces.Box(-1, 1, (ACTIONS,), np.float32),
    )


def test_vectors(tmp_path: Path) -> None:
    folder = hopper(tmp_path)
    data = collect(folder, HOPPER)
    episodes = list(minari.MinariDataset(folder / "data").iterate_episodes())
    assert data.observations is not None
    assert data.qpos is not None
    for name, values in (("observations", data.observations), ("qpos", data.qpos)):
        theirs = [e.observations if name == "observations" else e.infos["qpos"] for e in episodes]
        expected = np.concatenate([rows[:-1] for rows in theirs])
        np.testing.assert_allclose(values, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(data.actions, np.concatenate([e.actions for e in episodes]))
    assert data.terminated.tolist() == [True, False]
    assert source.frames(config(folder), HOPPER, Path()) is None


def copy(breakout: Path, tmp_path: Path) -> Path:
    return shutil.copytree(breakout, tmp_path / "copy")


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "data" / "metadata.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def truncate(folder: Path) -> None:
    path = folder / "data" / "main_data.hdf5"
    path.write_bytes(path.read_bytes()[:3000])


def inside(change: Any) -> Any:
    def damage(folder: Path) -> None:
        with h5py.File(folder / "data" / "main_data.hdf5", "a") as file:
            change(file)

    return damage


def put(place: str, row: int, value: float) -> Any:
    def change(file: Any) -> None:
        file[place][row] = value

    return inside(change)


def forget(place: str) -> Any:
    def change(file: Any) -> None:
        del file[place]

    return inside(change)


DAMAGES: dict[str, tuple[Any, str]] = {
    "cut short": (truncate, r"main_data\.hdf5: damaged, cut short"),
    "empty file": (
        lambda folder: (folder / "data/main_data.hdf5").write_bytes(b""),
        r"main_data\.hdf5: damaged, cut short",
    ),
    "no description": (
        lambda folder: (folder / "data/metadata.json").unlink(),
        "not a Minari data set",
    ),
    "no JSON": (
        lambda folder: (folder / "data/metadata.json").write_text("{"),
        "not a Minari data set",
    ),
    "no episodes": (lambda folder: edit(folder, total_episodes=0, total_steps=0), "zero episodes"),
    "episode missing": (forget("episode_1"), "episode 1 is missing"),
    "array missing": (
        forget("episode_1/rewards"),
        r"main_data\.hdf5: episode 1 has no rewards; .*: get the data set again, or add it",
    ),
    "counts": (lambda folder: edit(folder, total_steps=55), r"54 steps, its metadata.*says 55"),
    "format": (lambda folder: edit(folder, data_format="arrow"), "not a Minari data set|'arrow'"),
    "action": (put("episode_0/actions", 3, 4), r"action 4 at step 3; allowed: 0 to 3"),
    "reward": (put("episode_1/rewards", 2, np.nan), "reward nan at step 32"),
    "end": (put("episode_1/truncations", 2, True), "episode 1 goes on after its end"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage(breakout: Path, tmp_path: Path, name: str) -> None:
    damage, cause = DAMAGES[name]
    folder = copy(breakout, tmp_path)
    damage(folder)
    with pytest.raises(PipelineError, match=f"copy.*({cause})") as caught:
        collect(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"game": "Pong"}, "recorded with game breakout, the environment says pong"),
        ({"frame_skip": 2}, "recorded with frame_skip 4, the environment says 2"),
        ({"sticky_actions": 0.25}, "recorded with sticky_actions 0, the environment says 0.25"),
    ],
)
def test_another_environment(breakout: Path, change: dict[str, Any], cause: str) -> None:
    with pytest.raises(PipelineError, match=cause):
        collect(breakout, GAME.model_copy(update=change))


def test_frames_of_another_size(breakout: Path, tmp_path: Path) -> None:
    small = GAME.model_copy(update={"screen": "grey_84"})
    stored = source.frames(config(breakout), small, Path())
    with pytest.raises(PipelineError, match=r"\(210, 160, 3\).*environment are \(84, 84, 3\)"):
        frames.render(collect(breakout, small), small, tmp_path / "frames.h5", stored)


def test_frames_of_another_number(breakout: Path, tmp_path: Path) -> None:
    stored = source.frames(config(breakout, max_episodes=1), GAME, Path())
    with pytest.raises(PipelineError, match="30 frames for 54 steps"):
        frames.render(collect(breakout), GAME, tmp_path / "frames.h5", stored)


@pytest.mark.parametrize("episode", [0, 1])
def test_positions_of_some_episodes_only(tmp_path: Path, episode: int) -> None:
    folder = hopper(tmp_path)
    forget(f"episode_{episode}/infos/qpos")(folder)
    with pytest.raises(PipelineError, match="qpos of episode 1 and of the first differ in size"):
        collect(folder, HOPPER)


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"actions": np.full((5, ACTIONS), 2.0)}, "action 2 of 'thigh' at step 0; allowed: -1"),
        ({"actions": np.full((5, ACTIONS), np.nan)}, "action nan of 'thigh'"),
        ({"observations": np.full((6, OBSERVATIONS), np.nan)}, "observation nan at step 0"),
        ({"observations": np.zeros((6, 17))}, r"observations are \(17,\), those .* \(11,\)"),
        ({"observations": np.zeros((5, OBSERVATIONS))}, "5 rewards, 5 actions and 5 observations"),
    ],
)
def test_unsound_vectors(tmp_path: Path, changes: dict[str, Any], cause: str) -> None:
    sound = {
        "observations": np.zeros((6, OBSERVATIONS)),
        "actions": np.zeros((5, ACTIONS)),
        "rewards": np.ones(5),
        "terminations": [False] * 5,
        "truncations": [False] * 4 + [True],
    }
    folder = hopper(tmp_path, **sound | changes)
    with pytest.raises(PipelineError, match=cause):
        collect(folder, HOPPER)


def test_download_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(name: str) -> None:
        raise ConnectionError("no route\nto the host")

    monkeypatch.setenv("MINARI_DATASETS_PATH", "")  # put back after the test
    monkeypatch.setattr(minari, "download_dataset", unreachable)
    wanted = config(tmp_path, file=None, name="atari/breakout/expert-v0")
    with pytest.raises(PipelineError, match=r"could not be downloaded.*minari download") as caught:
        source.download(wanted, tmp_path / "data")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_download_of_an_unknown_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Minari says when its server answers and has no such data set."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", "")  # put back after the test
    listed = {"atari/breakout/expert-v0": {"minari_version": minari.__version__}}
    monkeypatch.setattr(
        "minari.storage.hosting.list_remote_datasets",
        lambda remote_path, prefix: {k: v for k, v in listed.items() if k.startswith(prefix)},
    )
    for name in ("atari/breakot/expert-v0", "atari/breakout/expert-v7", "no version"):
        wanted = config(tmp_path, file=None, name=name)
        with pytest.raises(PipelineError, match=f"no data set '{name}'.*minari list remote"):
            source.download(wanted, tmp_path / "data")


def test_downloaded_data_lie_below_their_name(breakout: Path) -> None:
    root = breakout.parents[2]
    wanted = config(breakout, file=None, name="atari/breakout/expert-v0")
    assert source.collect(wanted, GAME, root).episode_length.tolist() == LENGTHS
