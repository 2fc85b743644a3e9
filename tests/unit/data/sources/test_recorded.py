"""The recorded source: filters, cuts, and every way a recording can be wrong."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.config.schema import DatasetConfig, EnvironmentConfig, EvaluationConfig
from pipeline.data.sources import recorded
from pipeline.data.trajectories import Trajectories
from pipeline.errors import PipelineError

RESOURCES = Path(__file__).parents[4] / "resources"
GAME = EnvironmentConfig(family="atari", game="Pong", random_score=-21, reference_score=15)
META = {
    "game": "Pong",
    "frameskip": "4 emulator frames per action",
    "repeat_action_probability": 0.0,
    "action_meanings": ["NOOP", "FIRE", "RIGHT", "LEFT", "RIGHTFIRE", "LEFTFIRE"],
}
LENGTHS = np.array([6, 4, 8], np.int32)


def recording(**changes: Any) -> dict[str, Any]:
    rewards = np.arange(18, dtype=np.float32)
    content: dict[str, Any] = {
        "actions": np.arange(18, dtype=np.uint8) % 6,
        "rewards": rewards,
        "episode_length": LENGTHS,
        "score": np.add.reduceat(rewards, [0, 6, 10]),
        "seed": np.array([0, 1, 2], np.int32),
        "noops": np.array([3, 4, 5], np.int32),
        "epsilon": np.array([0.0, 0.2, 1.0], np.float32),
        "terminated": np.array([True, False, True]),
        "ram_sha256": np.array(["a" * 64, "b" * 64, "c" * 64]),
        "meta": json.dumps(META),
    }
    return {name: value for name, value in {**content, **changes}.items() if value is not None}


def collect(folder: Path, content: dict[str, Any], **settings: Any) -> Trajectories:
    np.savez(folder / "pong.npz", **content)
    return recorded.collect(config(**settings), GAME, folder)


def config(**settings: Any) -> DatasetConfig:
    return DatasetConfig.model_validate(
        {"environment": "pong", "source": "recorded", "file": "pong.npz", **settings}
    )


def test_everything(tmp_path: Path) -> None:
    data = collect(tmp_path, recording())
    assert data.episode_length.tolist() == LENGTHS.tolist()
    assert data.state_sha256 == ("a" * 64, "b" * 64, "c" * 64)
    assert data.terminated.tolist() == [True, False, True]
    assert data.source == "recorded pong"


@pytest.mark.parametrize(
    ("settings", "seeds"),
    [
        ({"max_epsilon": 0.2}, [0, 1]),
        ({"max_episodes": 1}, [0]),
        ({"max_steps": 10}, [0, 1]),
        ({"max_steps": 13, "max_episode_steps": 5}, [0, 1]),
    ],
)
def test_filters(tmp_path: Path, settings: dict[str, Any], seeds: list[int]) -> None:
    assert collect(tmp_path, recording(), **settings).seed.tolist() == seeds


def test_cut_episodes(tmp_path: Path) -> None:
    data = collect(tmp_path, recording(), max_episode_steps=6)
    assert data.episode_length.tolist() == [6, 4, 6]
    assert data.terminated.tolist() == [True, False, False]
    assert data.state_sha256 == ("a" * 64, "b" * 64, "")
    assert data.score.tolist() == [15, 30, sum(range(10, 16))]
    assert data.rewards.tolist() == list(range(16))


def unsound(name: str) -> dict[str, Any]:
    rewards = np.arange(18, dtype=np.float32)
    rewards[7] = np.nan
    return {
        "no key": recording(noops=None),
        "nan": recording(rewards=rewards),
        "lengths": recording(episode_length=LENGTHS + 1),
        "none": recording(
            **{
                key: value[:0]
                for key, value in recording().items()
                if isinstance(value, np.ndarray)
            }
        ),
        "action": recording(actions=np.full(18, 6, np.uint8)),
        "score": recording(score=np.zeros(3, np.float32)),
        "game": recording(meta=json.dumps({**META, "game": "Breakout"})),
        "protocol": recording(meta=json.dumps({**META, "repeat_action_probability": 0.25})),
        "meta": recording(meta="{"),
        "skip": recording(meta=json.dumps({**META, "frameskip": ""})),
        "huge": recording(meta=json.dumps({**META, "repeat_action_probability": 10**400})),
        "end": recording(terminated=np.array([0, 2, 1])),
        "served": recording(served=np.array([0, 1, -1])),
        "epsilon": recording(epsilon=np.array([0.0, 7.0, 1.0])),
        "no epsilon": recording(epsilon=np.array([0.0, 1.0, np.nan])),
        "pickle": recording(policy=np.array([object()])),
    }[name]


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("no key", "without noops"),
        ("nan", "reward nan at step 7"),
        ("lengths", "lengths add up to 21"),
        ("none", "zero episodes"),
        ("action", "action 6 at step 0; allowed: 0 to 5"),
        ("score", "add up to 15, its score is 0"),
        ("game", "recorded with game Breakout, the environment says Pong"),
        ("protocol", r"recorded with sticky_actions 0\.25"),
        ("meta", "unreadable 'meta'"),
        ("skip", "unreadable 'meta'"),
        ("huge", "unreadable 'meta'"),
        ("end", "terminated is .*, expected a list of bool"),
        ("served", "served is .*, expected a list of bool"),
        ("epsilon", r"epsilon 7\.0 of episode 1 is no share"),
        ("no epsilon", "epsilon nan of episode 2 is no share"),
        ("pickle", "damaged recording"),
    ],
)
def test_bad_recordings(tmp_path: Path, name: str, cause: str) -> None:
    with pytest.raises(PipelineError, match=rf"pong\.npz.*{cause}"):
        collect(tmp_path, unsound(name))


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"pong\.npz: no such recording"):
        recorded.collect(config(), GAME, tmp_path)
    with pytest.raises(PipelineError, match="needs the key 'file'"):
        recorded.collect(config(file=None), GAME, tmp_path)


def test_expectations(tmp_path: Path) -> None:
    sound = {"expected_episodes": 3, "expected_steps": 18}
    assert len(collect(tmp_path, recording(), **sound, max_episodes=1).score) == 1
    digest = hashlib.sha256((tmp_path / "pong.npz").read_bytes()).hexdigest()
    recorded.collect(config(sha256={"pong.npz": digest}), GAME, tmp_path)
    for settings, cause in (
        ({"sha256": {"pong.npz": "0" * 64}}, f"SHA-256 is {digest}, the dataset expects 000"),
        ({"sha256": {"ping.npz": digest}}, r"no file 'ping\.npz'"),
        ({**sound, "expected_episodes": 4}, "3 episodes, the dataset expects 4"),
        ({**sound, "expected_steps": 17}, "18 steps, the dataset expects 17"),
    ):
        with pytest.raises(PipelineError, match=rf"pong\.npz: {cause}"):
            recorded.collect(config(**settings), GAME, tmp_path)


def test_files_of_one_name_have_hashes_by_their_folders(tmp_path: Path) -> None:
    hashes, files = {}, ["weak/pong.npz", "good/pong.npz"]
    for index, file in enumerate(files):
        (tmp_path / file).parent.mkdir()
        np.savez(tmp_path / file, **recording(seed=np.arange(3) + index))
        hashes[file] = hashlib.sha256((tmp_path / file).read_bytes()).hexdigest()
    both = recorded.collect(config(file=files, sha256=hashes, expected_steps=36), GAME, tmp_path)
    assert both.seed is not None
    assert both.seed.tolist() == [0, 1, 2, 1, 2, 3]
    swapped = dict(zip(files, reversed(hashes.values()), strict=True))
    with pytest.raises(PipelineError, match=r"weak/pong\.npz: SHA-256 is"):
        recorded.collect(config(file=files, sha256=swapped), GAME, tmp_path)


def test_truncated_file(tmp_path: Path) -> None:
    whole = (RESOURCES / "demonstrations/decisive/pong.npz").read_bytes()
    for keep in (0, 100, len(whole) // 2):
        (tmp_path / "pong.npz").write_bytes(whole[:keep])
        with pytest.raises(PipelineError, match=r"pong\.npz: damaged"):
            recorded.collect(config(), GAME, tmp_path)


def test_nothing_left(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="no episode left"):
        collect(tmp_path, recording(), max_steps=3)


def test_shipped_recordings_are_sound() -> None:
    for folder in ("decisive", "broad"):
        for game in ("breakout", "pong", "qbert", "seaquest"):
            environment = GAME.model_copy(update={"game": game.capitalize()})
            shipped = config(file=f"demonstrations/{folder}/{game}.npz", max_epsilon=0.2)
            data = recorded.collect(shipped, environment, RESOURCES)
            assert len(data.episode_length) == 25
            assert data.source == f"recorded {folder}/{game} (epsilon ≤ 0.2)"


def test_shipped_play_of_two_players_is_sound() -> None:
    """All episodes of the novice are there, from starts that no evaluation has."""
    for game, novices in (("breakout", 60), ("qbert", 25)):
        environment = GAME.model_copy(update={"game": game.capitalize()})
        files = [f"demonstrations/{player}/{game}.npz" for player in ("decisive", "novice")]
        data = recorded.collect(config(file=files, max_epsilon=0.2), environment, RESOURCES)
        assert len(data.episode_length) == 25 + novices
        assert data.score[25:].mean() < 0.6 * data.score[:25].mean()
        assert data.seed is not None
        assert data.seed[25:].max() < EvaluationConfig().first_seed
        assert data.served is not None
        assert data.served.tolist() == [False] * 25 + [game == "breakout"] * novices
