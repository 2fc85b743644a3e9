"""The DQN replay source, on files as Dopamine's logged replay memory writes them."""

import gzip
import hashlib
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import replay_memory
from replay_memory import Memory, Played

from pipeline.config.schema import DatasetConfig, EnvironmentConfig
from pipeline.data import frames
from pipeline.data.sources import dqn_replay
from pipeline.data.sources._gzip_array import GzipArray
from pipeline.data.sources._quota import EpisodeQuota
from pipeline.data.trajectories import Trajectories
from pipeline.errors import PipelineError
from pipeline.io.artefact import Artefact

GAME = EnvironmentConfig(
    family="atari", game="Breakout", screen="grey_84", random_score=2, reference_score=30
)
CAPACITY = 40
LENGTHS = [10, 7, 9, 8, 11, 6, 7, 12, 9, 8]


@pytest.fixture(scope="module")
def played() -> list[Played]:
    return replay_memory.episodes(LENGTHS)


@pytest.fixture
def folder(tmp_path: Path, played: list[Played]) -> Path:
    """Three checkpoints; the second begins in the middle of an episode, the third among zeros, and
    has rows of the second left over at its end.
    """
    memory = Memory(tmp_path / "logs", CAPACITY)
    for episode in played:
        memory.play(episode)
    memory.close()
    return tmp_path / "logs"


def config(folder: Path, **settings: Any) -> DatasetConfig:
    return DatasetConfig.model_validate(
        {"environment": "breakout", "source": "dqn_replay", "file": str(folder), **settings}
    )


def collect(folder: Path, **settings: Any) -> Trajectories:
    return dqn_replay.collect(config(folder, **settings), GAME, Path())


def whole(played: list[Played]) -> list[int]:
    """Which episodes lie in one checkpoint from their zeros to their end, by counting rows."""
    ends = list(itertools.accumulate(3 + len(episode.actions) for episode in played))
    # the last row of a checkpoint is logged before it is written
    return [
        i
        for i, end in enumerate(ends)
        if (end - 1) // CAPACITY == (end - 3 - LENGTHS[i]) // CAPACITY and end % CAPACITY
    ]


def test_whole_episodes_and_their_frames(folder: Path, played: list[Played]) -> None:
    data = collect(folder)
    kept = whole(played)
    assert 3 <= len(kept) < len(played)
    assert data.episode_length.tolist() == [LENGTHS[i] for i in kept]
    assert data.actions.tolist() == [a for i in kept for a in played[i].actions]
    assert data.rewards.tolist() == [r for i in kept for r in played[i].rewards]
    assert data.terminated.all()
    assert data.seed is None
    assert data.source == "DQN replay Breakout (1 of it, rewards clipped)"
    shown = list(dqn_replay.frames(config(folder), GAME, Path()))
    expected = np.concatenate([played[i].frames for i in kept])
    np.testing.assert_array_equal(np.stack(shown), np.repeat(expected[..., None], 3, axis=-1))


def test_without_the_count_of_rows_the_last_row_is_not_believed(folder: Path) -> None:
    expected = collect(folder, checkpoints=[0, 1])
    for file in folder.glob("add_count*"):
        file.unlink()
    data = collect(folder, checkpoints=[0, 1])
    np.testing.assert_array_equal(data.actions, expected.actions)


def test_each_checkpoint_gives_its_share(folder: Path, played: list[Played]) -> None:
    half = collect(folder, fraction=0.6)
    assert len(half.actions) <= 0.6 * len(collect(folder).actions)
    shown = list(dqn_replay.frames(config(folder, fraction=0.6), GAME, Path()))
    assert len(shown) == len(half.actions)
    first, second = (collect(folder, checkpoints=[n, n], max_episodes=1) for n in (0, 1))
    episodes = {tuple(part) for part in np.split(half.actions, half.starts[1:])}
    assert {tuple(first.actions), tuple(second.actions)} <= episodes


@pytest.mark.parametrize("kept", [9, 10, 26, 27, 39])
def test_the_first_whole_episodes(folder: Path, kept: int) -> None:
    """Shorter ones of later checkpoints do not take the place of one that is too long."""
    lengths = collect(folder).episode_length
    fitting = lengths[np.cumsum(lengths) <= kept].tolist()
    if not fitting:
        with pytest.raises(PipelineError, match="no episode left"):
            collect(folder, max_steps=kept)
        return
    assert collect(folder, max_steps=kept).episode_length.tolist() == fitting


@pytest.mark.parametrize("hundredths", range(1, 101))
def test_a_share_is_no_step_short(hundredths: int) -> None:
    quota = EpisodeQuota(config(Path(), fraction=hundredths / 100))
    assert quota.take(np.ones(100, np.int64)) == hundredths


def test_checkpoints_begin_where_the_files_do(folder: Path) -> None:
    for file in folder.glob("*_ckpt.0.gz"):
        file.unlink()
    expected = collect(folder, checkpoints=[1, 2])
    np.testing.assert_array_equal(collect(folder).actions, expected.actions)


def test_refused_files_are_closed(folder: Path) -> None:
    rewrite(folder, "action", lambda array: array.astype(object))
    path = folder / "$store$_action_ckpt.1.gz"
    before = len([*Path("/proc/self/fd").iterdir()])
    with pytest.raises(PipelineError) as caught:
        GzipArray(path)
    assert len([*Path("/proc/self/fd").iterdir()]) == before, caught.value


def test_long_episodes_are_cut(folder: Path) -> None:
    data = collect(folder, max_episode_steps=8)
    uncut = collect(folder).episode_length
    np.testing.assert_array_equal(data.episode_length, np.minimum(uncut, 8))
    np.testing.assert_array_equal(data.terminated, uncut <= 8)
    shown = list(dqn_replay.frames(config(folder, max_episode_steps=8), GAME, Path()))
    assert len(shown) == len(data.actions)


def test_frames_artefact(folder: Path, tmp_path: Path) -> None:
    data = collect(folder)
    stored = dqn_replay.frames(config(folder), GAME, Path())
    frames.render(data, GAME, tmp_path / "frames.h5", stored)
    artefact = Artefact(tmp_path / "frames.h5", "frames")
    assert artefact.shape("frames") == (len(data.actions), 84, 84, 3)
    assert artefact.names == ["frames", "step_frame"]


def rewrite(folder: Path, name: str, change: Any, number: int = 1) -> None:
    path = folder / f"$store$_{name}_ckpt.{number}.gz"
    with gzip.open(path) as file:
        array = np.load(file)
    with gzip.open(path, "wb") as file:
        np.save(file, change(array))


def cut(name: str) -> Any:
    def damage(folder: Path) -> None:
        path = folder / f"$store$_{name}_ckpt.1.gz"
        path.write_bytes(path.read_bytes()[:-20])

    return damage


def flip(folder: Path) -> None:
    """A wrong checksum at the end of a file whose content is whole."""
    path = folder / "$store$_reward_ckpt.1.gz"
    content = bytearray(path.read_bytes())
    content[-8] ^= 1
    path.write_bytes(bytes(content))


def put(row: int, value: float) -> Any:
    def change(array: np.ndarray) -> np.ndarray:
        array[row] = value
        return array

    return change


DAMAGES: dict[str, tuple[Any, str]] = {
    "cut observations": (cut("observation"), r"observation_ckpt\.1\.gz: cut short"),
    "cut actions": (cut("action"), r"action_ckpt\.1\.gz: cut short"),
    "checksum": (flip, r"reward_ckpt\.1\.gz: damaged.*CRC"),
    "empty file": (
        lambda folder: (folder / "$store$_reward_ckpt.1.gz").write_bytes(b""),
        r"reward_ckpt\.1\.gz: damaged, cut short",
    ),
    "rows": (
        lambda folder: rewrite(folder, "terminal", lambda array: array[:-1]),
        r"terminal_ckpt\.1\.gz: 39 rows, but 40 observations",
    ),
    "type": (
        lambda folder: rewrite(folder, "action", lambda array: array.astype(np.float64)),
        r"action_ckpt\.1\.gz: float64 \(40,\), expected int32",
    ),
    "objects": (
        lambda folder: rewrite(folder, "action", lambda array: array.astype(object)),
        r"action_ckpt\.1\.gz: damaged.*objects",
    ),
    "not an array": (
        lambda folder: (folder / "$store$_action_ckpt.1.gz").write_bytes(gzip.compress(b"text")),
        r"action_ckpt\.1\.gz: damaged",
    ),
    "action": (
        lambda folder: rewrite(folder, "action", put(15, 4)),
        r"checkpoint 1: action 4 at step \d+; allowed: 0 to 3",
    ),
    "reward": (
        lambda folder: rewrite(folder, "reward", put(15, np.nan)),
        "checkpoint 1: a reward that is not a number",
    ),
    "rewards that are not clipped": (
        lambda folder: rewrite(folder, "reward", put(15, 50)),
        r"checkpoint 1: a reward that is not clipped to \[-1, 1\]",
    ),
    "an end that is none": (
        lambda folder: rewrite(folder, "terminal", put(15, 7)),
        r"terminal_ckpt\.1\.gz: terminal holds 7, only 0 and 1",
    ),
    "no zeros": (
        lambda folder: rewrite(folder, "action", lambda array: np.ones_like(array)),
        "checkpoint 1: episodes are not preceded by 3 rows of zeros",
    ),
    "a checkpoint between": (
        lambda folder: [file.unlink() for file in folder.glob("*_ckpt.1.gz")],
        r"observation_ckpt\.1\.gz: missing",
    ),
    "nothing": (
        lambda folder: [file.unlink() for file in folder.glob("*")],
        "no file .*observation_ckpt",
    ),
    "no end": (
        lambda folder: [
            rewrite(folder, "terminal", lambda array: np.zeros_like(array), n) for n in (0, 1, 2)
        ],
        "zero episodes",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage(folder: Path, name: str) -> None:
    damage, cause = DAMAGES[name]
    damage(folder)
    with pytest.raises(PipelineError, match=cause) as caught:
        collect(folder)
    assert "\n" not in str(caught.value)


def test_frames_that_break_off(folder: Path) -> None:
    """Whole by its last bytes, but damaged inside: noticed where it is read."""
    path = folder / "$store$_observation_ckpt.0.gz"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + content[-8:])
    collect(folder)
    with pytest.raises(PipelineError, match=r"observation_ckpt\.0\.gz: damaged"):
        list(dqn_replay.frames(config(folder), GAME, Path()))


def test_frames_without_zeros_between(folder: Path) -> None:
    rewrite(folder, "observation", lambda array: array | np.uint8(1), number=1)
    with pytest.raises(PipelineError, match="not preceded by 3 frames of zeros"):
        list(dqn_replay.frames(config(folder), GAME, Path()))


def test_expectations(folder: Path) -> None:
    data = collect(folder)
    counts = {"expected_episodes": len(data.score), "expected_steps": len(data.actions)}
    name = "$store$_action_ckpt.0.gz"
    digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    collect(folder, **counts, sha256={name: digest}, max_episodes=1)
    for key, cause in (("expected_episodes", "episodes, the dataset"), ("expected_steps", "steps")):
        with pytest.raises(PipelineError, match=f"logs: .*{cause}"):
            collect(folder, **{**counts, key: 999})
    with pytest.raises(PipelineError, match=rf"ckpt\.0\.gz: SHA-256 is {digest}, .*{'0' * 64}"):
        collect(folder, sha256={name: "0" * 64})
    with pytest.raises(PipelineError, match="no file 'other'"):
        collect(folder, sha256={"other": digest})


def test_settings_that_cannot_be(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"gone: missing; put the data there.*docs/data\.md"):
        collect(tmp_path / "gone")
    with pytest.raises(PipelineError, match="no episode left; raise fraction"):
        collect(folder, fraction=0.01)
    with pytest.raises(PipelineError, match=r"screen: maximum.*dataset's screen: grey_84"):
        dqn_replay.collect(config(folder), GAME.model_copy(update={"screen": "maximum"}), Path())
    with pytest.raises(PipelineError, match="needs the key 'file'"):
        collect(folder, file=None)
