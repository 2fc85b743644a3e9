"""Which steps are still, in games that are stuck and in games that go on."""

from pathlib import Path

import numpy as np
import pytest
import robots

from pipeline import environments
from pipeline.config.schema import EnvironmentConfig
from pipeline.environments.atari import AtariEnvironment
from pipeline.environments.mujoco import MujocoEnvironment
from pipeline.evaluation.rollout import Choice, RandomPlayer, play
from pipeline.evaluation.stillness import SHARE, Stillness, limit
from pipeline.evaluation.video import LINE, Picture, VideoRecorder

RECORDINGS = Path(__file__).parents[3] / "resources/demonstrations/decisive"


class FakeGame:
    """Shows what it is told."""

    step_seconds = 1.0

    def __init__(self) -> None:
        self.screen = 0

    def glance(self) -> int:
        return self.screen


def follow(game: FakeGame, screens: list[int]) -> Stillness:
    game.screen = -1
    stillness = Stillness(game)
    for game.screen in screens:
        stillness.step()
    return stillness


def test_a_screen_that_was_shown_before_is_still_for_five_seconds() -> None:
    game = FakeGame()
    assert limit(game) == 5
    new = follow(game, list(range(20)))
    assert (new.still, new.longest, new.share) == (0, 0, 0)
    same = follow(game, [7] * 9)
    assert (same.still, same.longest) == (8, 8)
    to_and_fro = follow(game, [1, 2, 3, 2, 1, 2, 3, 2])
    assert (to_and_fro.still, to_and_fro.longest) == (5, 5)
    interrupted = follow(game, [1, 1, 1, 2, 1, 1])
    assert (interrupted.still, interrupted.longest, interrupted.run) == (4, 2, 2)
    assert follow(game, [1, 2, 3, 4, 5, 1]).still == 1  # five seconds ago
    assert follow(game, [1, 2, 3, 4, 5, 6, 1]).still == 0  # six


@pytest.mark.parametrize("actions", [[0], [0, 2, 3]], ids=["idle", "to and fro"])
def test_breakout_without_a_ball_stands_still(actions: list[int]) -> None:
    game = AtariEnvironment("Breakout", 4, 0.0)
    game.reset(0, 4)
    stillness = Stillness(game)
    for action in np.random.default_rng(0).choice(actions, 400).tolist():
        game.step(action)
        stillness.step()
    assert stillness.share > SHARE
    assert actions != [0] or stillness.longest == 400 > (limit(game) or 0)


@pytest.mark.parametrize("name", ["breakout", "qbert", "seaquest"])
def test_recorded_play_does_not_stand_still(name: str) -> None:
    with np.load(RECORDINGS / f"{name}.npz", allow_pickle=False) as recording:
        actions = recording["actions"][:400].tolist()
        seed, noops = int(recording["seed"][0]), int(recording["noops"][0])
    game = AtariEnvironment(name, 4, 0.0)
    game.reset(seed, noops)
    stillness = Stillness(game)
    for action in actions:
        game.step(action)
        stillness.step()
    assert stillness.share < SHARE
    assert stillness.longest < (limit(game) or 0)


def test_a_robot_stands_still_where_it_stays_or_lies_on_its_back() -> None:
    cheetah = environments.make(robots.config("halfcheetah"))
    assert limit(cheetah) == 100
    shares = []
    for push in (0.0, 1.0):
        cheetah.reset(0, 0)
        stillness, generator = Stillness(cheetah), np.random.default_rng(0)
        for _ in range(200):
            cheetah.step((push * generator.uniform(-1, 1, 6)).astype(np.float32))
            stillness.step()
        shares.append(stillness.share)
    assert shares[0] > 0.8
    assert shares[1] < 0.1
    assert isinstance(cheetah, MujocoEnvironment)
    cheetah._data.xmat[1, 8] = -1
    assert stillness.step()


def test_play_tells_it_of_every_episode_and_catch_never_stands_still() -> None:
    breakout = EnvironmentConfig(
        family="atari", game="Breakout", serve=False, random_score=0, reference_score=1
    )
    catch = EnvironmentConfig(family="catch", game="Catch", random_score=0, reference_score=1)
    for config, most in ((breakout, 30), (catch, 0)):
        game = environments.make(config)

        class Idle(RandomPlayer):
            def decide(self, live):  # type: ignore[no-untyped-def]
                return np.zeros(1, np.int64)

        (episode,) = play(Idle(game.actions, [0]), [game], [0], 0, 30, 1.0)
        assert episode.still_steps_longest == most
        assert episode.still_share == most / 30


def test_a_video_says_so() -> None:
    game = AtariEnvironment("Breakout", 4, 0.0)
    game.reset(0, 4)
    pictures: list[Picture] = []
    recorder = VideoRecorder(90, object(), game.actions, pictures.append)
    for _ in range(90):
        recorder.record(game, Choice(0, 0, 0.0))
        game.step(0)
    assert recorder.summary == (
        "90 steps; nothing changes in 89 of them, in 89 in a row: it stands still"
    )
    top = [picture[-2 * LINE : -LINE, 200:] for picture in pictures]  # beside step and score
    changed = [not np.array_equal(each, top[0]) for each in top]
    assert changed.index(True) == 75  # after five seconds
    assert all(changed[75:])
