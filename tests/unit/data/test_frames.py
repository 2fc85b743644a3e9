"""Replay: every step's frame, each distinct frame once, and a stop at anything that differs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline import environments
from pipeline.config.schema import DatasetConfig, EnvironmentConfig
from pipeline.data import frames
from pipeline.data.sources import recorded, scripted
from pipeline.data.trajectories import Trajectories
from pipeline.errors import PipelineError
from pipeline.io.artefact import Artefact

RESOURCES = Path(__file__).parents[3] / "resources"
CATCH = EnvironmentConfig(
    family="catch", game="Catch", max_noops=8, random_score=-2, reference_score=6
)


@pytest.fixture(scope="module")
def data() -> Trajectories:
    config = DatasetConfig(environment="catch", source="scripted", episodes=8)
    return scripted.collect(config, CATCH, Path())


def test_every_step_has_the_frame_before_its_action(data: Trajectories, tmp_path: Path) -> None:
    frames.render(data, CATCH, tmp_path / "frames.h5")
    artefact = Artefact(tmp_path / "frames.h5", "frames")
    distinct, step_frame = artefact.read("frames"), artefact.read("step_frame")
    states = artefact.read("step_state")
    game = environments.make(CATCH)
    for step, action in enumerate(data.actions.tolist()):
        episode = data.episode[step]
        if data.timesteps[step] == 0:
            game.reset(int(data.seed[episode]), int(data.noops[episode]))
        np.testing.assert_array_equal(distinct[step_frame[step]], game.frame())
        np.testing.assert_array_equal(states[step], game.state())
        game.step(action)
    assert len(step_frame) == len(data.actions)


def test_frames_are_distinct_and_in_order_of_appearance(data: Trajectories, tmp_path: Path) -> None:
    frames.render(data, CATCH, tmp_path / "frames.h5")
    artefact = Artefact(tmp_path / "frames.h5", "frames")
    distinct, step_frame = artefact.read("frames"), artefact.read("step_frame")
    assert len(np.unique(distinct.reshape(len(distinct), -1), axis=0)) == len(distinct)
    seen, first = np.unique(step_frame, return_index=True)
    assert seen.tolist() == list(range(len(distinct)))
    assert (np.diff(first) > 0).all()
    assert artefact.attributes["versions"] == {"catch": "1"}


def test_same_episodes_same_bytes(data: Trajectories, tmp_path: Path) -> None:
    for name in ("a.h5", "b.h5"):
        frames.render(data, CATCH, tmp_path / name)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_recorded_atari_episode(tmp_path: Path) -> None:
    game, data = breakout()
    frames.render(data, game, tmp_path / "frames.h5")
    artefact = Artefact(tmp_path / "frames.h5", "frames")
    assert artefact.shape("frames")[1:] == (210, 160, 3)
    assert artefact.shape("step_state") == (len(data.actions), 128)


def breakout() -> tuple[EnvironmentConfig, Trajectories]:
    """The first 120 steps of one recorded episode."""
    game = EnvironmentConfig(family="atari", game="Breakout", random_score=2, reference_score=30)
    config = DatasetConfig(
        environment="breakout",
        source="recorded",
        file="demonstrations/decisive/breakout.npz",
        max_episodes=1,
        max_episode_steps=120,
    )
    return game, recorded.collect(config, game, RESOURCES)


def tampered(data: Trajectories, what: str) -> Trajectories:
    terminated, actions, rewards = data.terminated.copy(), data.actions.copy(), data.rewards.copy()
    score, hashes = data.score.copy(), list(data.state_sha256)
    last = int(data.starts[1]) - 1
    if what == "action":
        actions[: last + 1] = 0
    if what == "unknown action":
        actions[3] = 7
    if what == "score":
        rewards[last] += 1
        score[0] += 1
    if what == "hash":
        hashes[0] = "0" * 64
    if what == "end":
        terminated[0] = False
    return replace(
        data,
        actions=actions,
        rewards=rewards,
        score=score,
        terminated=terminated,
        state_sha256=tuple(hashes),
    )


@pytest.mark.parametrize(
    ("what", "cause"),
    [
        ("action", "score is"),
        ("unknown action", "action 7 at step 3; allowed: 0 to 2"),
        ("score", "score is"),
        ("hash", "state_sha256 is"),
        ("end", "terminated is True"),
    ],
)
def test_a_replay_that_differs_stops(
    data: Trajectories, tmp_path: Path, what: str, cause: str
) -> None:
    with pytest.raises(PipelineError, match=f"Catch.*{cause}"):
        frames.render(tampered(data, what), CATCH, tmp_path / "frames.h5")
    assert list(tmp_path.iterdir()) == []


def test_the_error_names_the_emulator_version(tmp_path: Path) -> None:
    game, data = breakout()
    wrong = replace(data, state_sha256=("0" * 64,))
    with pytest.raises(PipelineError, match=r"Breakout, episode 0.*ale-py \d+\.\d+"):
        frames.render(wrong, game, tmp_path / "frames.h5")


def test_an_episode_longer_than_the_game(data: Trajectories, tmp_path: Path) -> None:
    start, length = int(data.starts[7]), int(data.episode_length[7])
    longer = replace(
        data,
        actions=np.append(data.actions, 0),
        rewards=np.append(data.rewards, np.float32(0)),
        episode_length=np.append(data.episode_length[:7], length + 1),
    )
    assert start + length == len(data.actions)
    with pytest.raises(PipelineError, match=f"episode 7.*length is {length}"):
        frames.render(longer, CATCH, tmp_path / "frames.h5")
