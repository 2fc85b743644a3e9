"""Environments for people who know gymnasium: its own checks, and the pipeline's rules."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from robots import needs_opengl

import more3s
from more3s.environment import PipelineEnv
from pipeline import environments
from pipeline.config.schema import EnvironmentConfig
from pipeline.errors import PipelineError
from pipeline.evaluation.rollout import RandomPlayer, play


@pytest.mark.filterwarnings("ignore:.*Box observation space")  # a state vector has no bounds
@pytest.mark.parametrize("name", ["catch", "breakout", "hopper_medium"])
def test_gymnasium_finds_nothing_wrong(name: str) -> None:
    env = more3s.make(name, render_mode=None if "hopper" in name else "rgb_array")
    check_env(env, skip_render_check=True)
    info = env.reset()[1]
    assert info["action_names"] == env.action_names
    assert env.step(env.action_space.sample())[-1]["action"]


@needs_opengl
def test_a_robot_can_be_seen_as_well() -> None:
    env = more3s.make("hopper", observe="both")
    shown, _ = env.reset(seed=0)
    assert isinstance(shown, dict)
    assert env.observation_space.contains(shown)
    assert shown["frame"].shape == (160, 160, 3)


def test_it_plays_as_the_pipeline_plays() -> None:
    """The same starts, rewards and cut."""
    env = more3s.make("breakout", max_episode_steps=40)
    seeds = [5, 6]
    game = environments.make(env.config)
    player = RandomPlayer(game.actions, seeds)
    played = play(player, [game, environments.make(env.config)], seeds, 30, 40, temperature=0)
    for seed, episode in zip(seeds, played, strict=True):
        _, info = env.reset(seed=seed)
        assert info["noops"] == episode.noops
        total, length, over = 0.0, 0, False
        while not over:
            _, reward, ended, cut, _ = env.step(0)  # the arg-max of equal logits
            total, length, over = total + reward, length + 1, ended or cut
        assert (total, length, ended) == (episode.score, episode.length, episode.terminated)


def test_a_data_sets_screen_and_cut_are_its_own() -> None:
    env = more3s.make("breakout_dqn_replay")
    assert env.observation_space.shape == (84, 84, 3)
    assert more3s.make("hopper").max_episode_steps == 1000


@pytest.mark.parametrize("action", [9, -1, 1.5, "left", [1], None])
def test_an_action_that_there_is_none_of(action: object) -> None:
    env = more3s.make("catch")
    env.reset()
    with pytest.raises(PipelineError, match=r"^step: action"):
        env.step(action)  # type: ignore[arg-type]


def test_what_is_asked_for_in_vain() -> None:
    with pytest.raises(PipelineError, match=r"unknown environment 'brekout' \(did you mean 'break"):
        more3s.make("brekout")
    with pytest.raises(PipelineError, match="Catch has no state vector"):
        more3s.make("catch", observe="both")
    env = more3s.make("catch", max_episode_steps=1)
    with pytest.raises(PipelineError, match="call reset first"):
        env.step(0)
    env.reset()
    assert env.step(0)[3]
    with pytest.raises(PipelineError, match="call reset first"):
        env.step(0)
    with pytest.raises(PipelineError, match="reset: noops -1; allowed: 0 to "):
        env.reset(options={"noops": -1})
    with pytest.raises(PipelineError, match=r"unknown option 'noop' \(did you mean 'noops'"):
        env.reset(options={"noop": 3})
    assert env.reset(options={"noops": np.int64(3)})[1]["noops"] == 3


def test_an_environment_needs_neither_torch_nor_the_projects_folder() -> None:
    code = "import sys, more3s; more3s.make('catch').reset(); print('torch' in sys.modules)"
    root = str(Path(more3s.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd="/",
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"


def test_the_frame_is_not_the_environments_own() -> None:
    """What was shown stays as it was when the game goes on."""
    config = EnvironmentConfig(family="atari", game="Pong", random_score=0, reference_score=1)
    env = PipelineEnv(config, 10)
    first, _ = env.reset(seed=0)
    kept = np.array(first)
    for _ in range(5):
        env.step(2)
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize(
    ("settings", "cause"),
    [
        ({"max_episode_steps": 0}, "max_episode_steps 0; allowed: 1 or more"),
        ({"max_episode_steps": -3}, "max_episode_steps -3; allowed: 1 or more"),
        ({"observe": "frames"}, "observe 'frames'; allowed: None, 'frame', 'state', 'both'"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], cause: str) -> None:
    with pytest.raises(PipelineError, match=cause):
        more3s.make("catch", **settings)
