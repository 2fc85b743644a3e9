"""Minari data sets of games that say that they are of something else."""

from pathlib import Path
from typing import Any

import pytest
from minari_sets import LENGTHS, collect, game, preprocessing, specification, wrapper, write

from pipeline.config.data import CLIPPED
from pipeline.environments import atari
from pipeline.errors import PipelineError


def test_the_right_one(tmp_path: Path) -> None:
    folder = write(tmp_path / "set", specification())
    assert collect(folder, game()).episode_length.tolist() == list(LENGTHS)


SKIPS = wrapper("MaxAndSkipObservation", skip=4)
LIVES = wrapper("EpisodicLifeEnv", "stable_baselines3.common.atari_wrappers") | {"kwargs": None}


@pytest.mark.parametrize(
    ("spec", "cause"),
    [
        (specification(id="ALE/Pong-v5", kwargs={"game": "pong"}), "game pong, the .* breakout"),
        (specification(kwargs={"game": "pong"}), "Breakout by its id and of pong by its settings"),
        (specification(id="Hopper-v5", entry_point=None, kwargs={}), "Hopper by its id"),
        (specification(entry_point="a.b:C"), "made by 'a.b:C', which is none of the family"),
        (specification(kwargs={"frameskip": 2}), "frame_skip 2, .* says 4; set frame_skip to 2"),
        (specification(kwargs={"frameskip": [2, 5]}), r"frameskip \[2, 5\], expected"),
        (
            specification(kwargs={"frameskip": 2}, additional_wrappers=[SKIPS]),
            "frame_skip 8, the environment says 4; set frame_skip to 8",
        ),
        (
            specification(kwargs={"repeat_action_probability": 0.25}),
            r"sticky_actions 0\.25, the environment says 0; set sticky_actions to 0\.25",
        ),
        (specification(kwargs={"mode": 4}), "recorded with mode 4, and play here has 0"),
        (specification(kwargs={"difficulty": 1}), "with difficulty 1, and play here has 0"),
        (specification(kwargs={"obs_type": "grayscale"}), "obs_type grayscale, and play here"),
        (specification(kwargs={"obs_type": "ram"}), "obs_type ram"),
        (specification(kwargs={"continuous": True}), "continuous True"),
        (specification(id=f"ALE/Breakout-v{'1' * 5000}"), "its env_spec"),
        (specification(kwargs={"max_num_frames_per_episode": 10**400}), "its env_spec"),
        (specification(kwargs={"frameskip": 10**400}), "frame_skip 1000"),
        (
            specification(max_episode_steps=10**400, additional_wrappers=[SKIPS]),
            "its env_spec",
        ),
        (specification(kwargs={"invert": True}), "setting 'invert', which ale-py does not know"),
        (specification(max_episode_steps=100), "at most 100 steps .* 2000; set it to 100 or"),
        (specification(kwargs={"max_num_frames_per_episode": 400}), "at most 100 steps an episode"),
        (
            specification(additional_wrappers=[wrapper("TimeLimit", max_episode_steps=9)]),
            "at most 9 steps an episode",
        ),
        (specification(additional_wrappers=[LIVES]), "end when a life is lost"),
        (
            specification(
                kwargs={"frameskip": 1},
                additional_wrappers=[preprocessing(terminal_on_life_loss=True)],
            ),
            r"end when a life is lost \(terminal_on_life_loss\), and a whole game",
        ),
        (
            specification(kwargs={"frameskip": 1}, additional_wrappers=[SKIPS]),
            "screen maximum, the environment says last; set the dataset's screen to maximum",
        ),
        (
            specification(kwargs={"frameskip": 1}, additional_wrappers=[preprocessing()]),
            "screen grey_84, the environment says last; set the dataset's screen to grey_84",
        ),
        (
            specification(
                kwargs={"frameskip": 1}, additional_wrappers=[preprocessing(screen_size=96)]
            ),
            "recorded with 96 by 96 pixels in grey of AtariPreprocessing, which no screen here",
        ),
        (
            specification(additional_wrappers=[wrapper("FrameStackObservation", stack_size=4)]),
            "wrapper FrameStackObservation, which shows several frames at once",
        ),
        (
            specification(additional_wrappers=[wrapper("RescaleAction", min_action=-1)]),
            "wrapper RescaleAction, which changes what actions mean",
        ),
        (
            specification(additional_wrappers=[wrapper("ClipReward", min_reward=0, max_reward=5)]),
            r"rewards clipped to \(0, 5\)",
        ),
        (
            specification(additional_wrappers=[wrapper("Mirror", "their.wrappers")]),
            "wrapper 'Mirror', of which it is not known what it changes",
        ),
        (
            specification(additional_wrappers=[wrapper("TimeLimit", "their.wrappers")]),
            "wrapper 'TimeLimit', of which it is not known",
        ),
        (
            specification(additional_wrappers=[{**SKIPS, "kwargs": None}]),
            "its settings are not stored",
        ),
    ],
)  # fmt: skip
def test_another_way_to_play(tmp_path: Path, spec: dict[str, Any], cause: str) -> None:
    folder = write(tmp_path / "set", spec)
    with pytest.raises(PipelineError, match=cause) as caught:
        collect(folder, game())
    assert "\n" not in str(caught.value)


def test_skips_multiply(tmp_path: Path) -> None:
    """A frame skip of 1 with a wrapper that skips 4 is one of 4, whatever the advice once was."""
    spec = specification(kwargs={"frameskip": 1}, additional_wrappers=[SKIPS])
    folder = write(tmp_path / "set", spec)
    assert len(collect(folder, game(screen="maximum")).actions) == sum(LENGTHS)
    old = {**spec, "id": "BreakoutNoFrameskip-v4", "kwargs": {}}
    folder = write(tmp_path / "old", old)
    assert len(collect(folder, game(screen="maximum")).actions) == sum(LENGTHS)


def test_harmless_wrappers(tmp_path: Path) -> None:
    common = "gymnasium.wrappers.common"
    names = ("OrderEnforcing", "PassiveEnvChecker", "RecordEpisodeStatistics")
    wrappers = [wrapper(name, common) | {"kwargs": None} for name in names]
    folder = write(tmp_path / "set", specification(additional_wrappers=wrappers))
    assert len(collect(folder, game()).actions) == sum(LENGTHS)


def test_clipped_rewards_are_labelled(tmp_path: Path) -> None:
    clip = wrapper("ClipReward", "gymnasium.wrappers.transform_reward", min_reward=-1, max_reward=1)
    folder = write(tmp_path / "set", specification(additional_wrappers=[clip]))
    assert CLIPPED in collect(folder, game()).source


@pytest.mark.parametrize("said", [True, False])
def test_actions_of_the_full_set_are_read_by_their_meaning(tmp_path: Path, said: bool) -> None:
    """Breakout has NOOP, FIRE, RIGHT and LEFT; in the full set 3 is RIGHT, 4 LEFT and 2 UP."""
    spec = specification(kwargs={"full_action_space": True}) if said else None
    for played, meant in ((0, 0), (1, 1), (3, 2), (4, 3)):
        folder = write(tmp_path / f"{played}", spec, actions=18, played=played)
        assert set(collect(folder, game()).actions.tolist()) == {meant}
    folder = write(tmp_path / "up", spec, actions=18, played=2)
    with pytest.raises(PipelineError, match="action UP at step 0, which the environment does not"):
        collect(folder, game())


def test_number_of_actions(tmp_path: Path) -> None:
    folder = write(tmp_path / "six", actions=6)
    with pytest.raises(PipelineError, match="actions are 6 in number, those of Breakout are 4"):
        collect(folder, game())
    full = specification(kwargs={"full_action_space": True})
    folder = write(tmp_path / "four", full)
    with pytest.raises(PipelineError, match="actions are 4 in number"):
        collect(folder, game())
    assert atari.FULL_ACTION_SET[2:4] == ("UP", "RIGHT")


@pytest.mark.parametrize("shape", [(210, 160), (210, 160, 1)])
def test_grey_recordings_are_not_played_in_colour(tmp_path: Path, shape: tuple[int, ...]) -> None:
    folder = write(tmp_path / "set", shape=shape)
    with pytest.raises(PipelineError, match=r"frames are grey.* are in colour"):
        collect(folder, game())


def test_the_name_tells_the_game(tmp_path: Path) -> None:
    folder = write(tmp_path / "set", dataset_id="atari/pong/expert-v0")
    with pytest.raises(PipelineError, match="recorded with game pong, the environment says break"):
        collect(folder, game())
