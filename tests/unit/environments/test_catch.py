"""The toy game: deterministic by seed, won by its scripted agent, lost by standing still."""

import numpy as np
import pytest

from pipeline import environments
from pipeline.config.schema import EnvironmentConfig
from pipeline.environments import catch
from pipeline.errors import PipelineError


def play(seed: int, noops: int, expert: bool) -> tuple[float, list[np.ndarray]]:
    game = catch.CatchEnvironment(frame_skip=4)
    game.reset(seed, noops)
    frames = [game.frame()]
    score, over = 0.0, False
    while not over:
        reward, over = game.step(catch.expert_action(game) if expert else catch.NOOP)
        frames.append(game.frame())
        score += reward
    return score, frames


def test_same_seed_same_episode() -> None:
    for one, other in zip(play(3, 2, True)[1], play(3, 2, True)[1], strict=True):
        np.testing.assert_array_equal(one, other)


def test_expert_catches_every_ball_and_noop_does_not() -> None:
    assert [play(seed, seed % 9, True)[0] for seed in range(20)] == [catch.BALLS] * 20
    assert np.mean([play(seed, 0, False)[0] for seed in range(20)]) < 0


def test_frame_and_state_agree() -> None:
    game = catch.CatchEnvironment(frame_skip=4)
    game.reset(seed=1, noops=5)
    frame = game.frame()
    assert frame.shape == (40, 32, 3)
    column, row, paddle, _ = game.state().tolist()
    ball = np.argwhere((frame == catch.BALL_COLOUR).all(-1))
    assert ball.min(axis=0).tolist() == [row, column]
    assert np.argwhere((frame == catch.PADDLE_COLOUR).all(-1))[:, 1].min() == paddle


@pytest.mark.parametrize(
    ("key", "value"),
    [("game", "Pong"), ("sticky_actions", 0.25), ("screen", "last"), ("options", {"speed": 2})],
)
def test_what_catch_cannot_do(key: str, value: object) -> None:
    settings = {"family": "catch", "game": "Catch", "random_score": 0, "reference_score": 6}
    with pytest.raises(PipelineError, match="catch"):
        environments.make(EnvironmentConfig.model_validate({**settings, key: value}))


def test_unknown_family() -> None:
    config = EnvironmentConfig(family="chess", game="x", random_score=0, reference_score=1)
    with pytest.raises(PipelineError, match=r"unknown environment 'chess'.*atari, catch"):
        environments.make(config)
