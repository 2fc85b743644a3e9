"""The emulator: a recorded episode replays to score and memory, frames are maxima, bad games."""

import hashlib
from pathlib import Path

import ale_py
import gymnasium
import numpy as np
import pytest

from pipeline import environments
from pipeline.config.schema import EnvironmentConfig, EvaluationConfig
from pipeline.config.section import LARGEST_SEED
from pipeline.environments import _console
from pipeline.environments.atari import AtariEnvironment
from pipeline.errors import PipelineError

RECORDING = Path(__file__).parents[3] / "resources/demonstrations/decisive/breakout.npz"


@pytest.fixture(scope="module")
def breakout() -> AtariEnvironment:
    return AtariEnvironment("Breakout", frame_skip=4, sticky_actions=0.0)


def test_shortest_recorded_episode_replays(breakout: AtariEnvironment) -> None:
    with np.load(RECORDING, allow_pickle=False) as recording:
        lengths = recording["episode_length"]
        episode = int(lengths.argmin())
        start = int(lengths[:episode].sum())
        actions = recording["actions"][start : start + lengths[episode]].tolist()
        breakout.reset(int(recording["seed"][episode]), int(recording["noops"][episode]))
        steps = [breakout.step(action) for action in actions]
        assert [over for _, over in steps] == [False] * (len(actions) - 1) + [True]
        assert sum(reward for reward, _ in steps) == recording["score"][episode]
        digest = hashlib.sha256(breakout.state().tobytes()).hexdigest()
        assert digest == recording["ram_sha256"][episode]


def test_every_seed_that_the_configuration_takes(breakout: AtariEnvironment) -> None:
    evaluation = EvaluationConfig(episodes=3)
    largest = (2**31 - 1 - evaluation.first_seed - 2) // 1000
    for seed in evaluation.reset_seeds(largest):
        breakout.reset(seed, 0)
    breakout.reset(LARGEST_SEED, 0)
    for seed in (largest + 1, 20_240_501, -1):
        with pytest.raises(PipelineError, match=rf"^seed {seed}: .*from 0 to {largest:,} with"):
            evaluation.reset_seeds(seed)


def test_frame_is_the_maximum_of_the_last_two_screens(breakout: AtariEnvironment) -> None:
    console = ale_py.ALEInterface()
    console.setFloat("repeat_action_probability", 0.0)
    console.loadROM(breakout._rom)
    console.reset_game()
    breakout.reset(seed=0, noops=0)
    np.testing.assert_array_equal(breakout.frame(), console.getScreenRGB())
    for action in [1, 0, 2, 3, 2]:
        screens = []
        for _ in range(4):
            console.act(console.getMinimalActionSet()[action])
            screens.append(console.getScreenRGB())
        breakout.step(action)
        np.testing.assert_array_equal(breakout.frame(), np.maximum(screens[2], screens[3]))


def test_a_console_is_loaded_once_for_each_episode(monkeypatch: pytest.MonkeyPatch) -> None:
    AtariEnvironment("Breakout", 4, 0.0, serve=True).reset(seed=0, noops=0)
    loads, load = [], _console.load
    monkeypatch.setattr(_console, "load", lambda *told: loads.append(told) or load(*told))
    games = [AtariEnvironment("Breakout", 4, 0.25, serve=True) for _ in range(3)]
    for seed, game in enumerate(games):
        game.reset(seed=seed, noops=0)
    assert [told[1:] for told in loads] == [(0.25, 0), (0.25, 1), (0.25, 2)]


def test_frames_are_not_overwritten(breakout: AtariEnvironment) -> None:
    breakout.reset(seed=0, noops=3)
    first = breakout.frame()
    copy = first.copy()
    for _ in range(3):
        breakout.step(1)
    np.testing.assert_array_equal(first, copy)


def test_small_grey_screens_are_dopamines() -> None:
    """The maximum of two screens in the emulator's own grey; each pixel the mean of the area it
    covers, halves to the even number (as OpenCV's INTER_AREA gives it).
    """
    small = environments.make(config(screen="grey_84"))
    console = ale_py.ALEInterface()
    console.setFloat("repeat_action_probability", 0.0)
    console.loadROM(AtariEnvironment("Qbert", 4, 0.0)._rom)
    console.reset_game()
    small.reset(seed=0, noops=0)
    for action in [0, 1, 2, 3, 4, 5] * 5:
        screens = []
        for _ in range(4):
            console.act(console.getMinimalActionSet()[action])
            screens.append(console.getScreenGrayscale())
        small.step(action)
        fine = np.kron(np.maximum(screens[2], screens[3]), np.ones((2, 21), np.int64))
        means = fine.reshape(84, 5, 84, 40).mean((1, 3))  # 420 by 3360 pixels in 84 by 84 blocks
        expected = np.repeat(np.rint(means).astype(np.uint8)[..., None], 3, axis=-1)
        np.testing.assert_array_equal(small.frame(), expected)


def test_last_screens_are_gymnasiums() -> None:
    gymnasium.register_envs(ale_py)
    theirs = gymnasium.make("ALE/Qbert-v5", repeat_action_probability=0)
    ours = environments.make(config(screen="last"))
    shown = theirs.reset(seed=0)[0]
    ours.reset(seed=0, noops=0)
    for action in [0, 1, 2, 3, 4, 5] * 5:
        np.testing.assert_array_equal(ours.frame(), shown)
        shown = theirs.step(action)[0]
        ours.step(action)
    theirs.close()


def config(**settings: str) -> EnvironmentConfig:
    return EnvironmentConfig.model_validate(
        {"family": "atari", "game": "Qbert", "random_score": 0, "reference_score": 1, **settings}
    )


def test_actions_and_versions(breakout: AtariEnvironment) -> None:
    assert breakout.actions.names == ("NOOP", "FIRE", "RIGHT", "LEFT")
    assert breakout.actions.noop == 0
    assert breakout.versions["ale-py"] == ale_py.__version__
    assert len(breakout.versions["rom_md5"]) == 32
    assert breakout.state().shape == (128,)


@pytest.mark.parametrize(("game", "named"), [("Breakot", "breakout"), ("Zzz", "adventure")])
def test_unknown_game_lists_roms(game: str, named: str) -> None:
    config = EnvironmentConfig(family="atari", game=game, random_score=0, reference_score=1)
    with pytest.raises(PipelineError, match=f"unknown Atari game '{game}'.*{named}"):
        environments.make(config)


def test_games_have_no_options() -> None:
    config = EnvironmentConfig.model_validate(
        {"family": "atari", "game": "Pong", "options": {"mode": 4}}
        | {"random_score": 0, "reference_score": 1}
    )
    with pytest.raises(PipelineError, match="Pong: options: mode: for robots only; remove them"):
        environments.make(config)
