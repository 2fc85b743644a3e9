"""Who presses FIRE where a game waits for it, and that nothing else is touched."""

import csv
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline import environments
from pipeline.config.schema import DatasetConfig, EnvironmentConfig
from pipeline.data import frames
from pipeline.data.sources import recorded
from pipeline.environments._serving import WAITS, Waits
from pipeline.environments.atari import AtariEnvironment
from pipeline.errors import PipelineError

RESOURCES = Path(__file__).parents[3] / "resources"
BREAKOUT = EnvironmentConfig(family="atari", game="Breakout", random_score=2, reference_score=30)
WITHOUT_FIRE = [0, 2, 3]
"""Breakout's actions but FIRE."""


def course(game: AtariEnvironment, actions: list[int], seed: int, noops: int) -> list[bytes]:
    """All that is seen, remembered and paid."""
    game.reset(seed, noops)
    told = [game.state().tobytes() + game.frame().tobytes()]
    for action in actions:
        paid, over = game.step(action)
        told.append(game.state().tobytes() + game.frame().tobytes() + repr((paid, over)).encode())
        if over:
            break
    return told


def random_actions(steps: int, actions: list[int], seed: int = 0) -> list[int]:
    return np.random.default_rng(seed).choice(actions, steps).tolist()


@pytest.mark.parametrize("sticky", [0.0, 0.25])
def test_the_ball_moves_soon_after_each_start_of_a_life(sticky: float) -> None:
    game = AtariEnvironment("Breakout", 4, sticky, serve=True)
    game.reset(seed=2, noops=5)
    lives, begins, moved, last = game._console.lives(), [0], [], game.state()[[99, 101]]
    for step, action in enumerate(random_actions(600, WITHOUT_FIRE), 1):
        _, over = game.step(action)
        ball = game.state()[[99, 101]]
        if not np.array_equal(ball, last) and ball[1] and len(moved) < len(begins):
            moved.append(step)
        last = ball
        if over:
            break
        if game._console.lives() < lives:
            lives = game._console.lives()
            begins.append(step)
    assert over
    assert len(begins) == len(moved) == 5
    assert max(np.subtract(moved, begins)) <= 10  # of four emulator frames


def test_unserved_the_ball_does_not_move_without_fire() -> None:
    game = AtariEnvironment("Breakout", 4, 0.0)
    game.reset(seed=2, noops=5)
    balls = set()
    for action in random_actions(300, WITHOUT_FIRE):
        game.step(action)
        balls.add(game.state()[[99, 101]].tobytes())
    assert len(balls) == 1
    assert game._console.lives() == 5


def test_a_press_takes_emulator_frames_but_no_step() -> None:
    counts = []
    for serve in (False, True):
        game = AtariEnvironment("Breakout", 4, 0.0, serve=serve)
        game.reset(seed=0, noops=9)
        counts.append(game._console.getEpisodeFrameNumber())
    assert counts[1] - counts[0] == 4


@pytest.mark.parametrize("sticky", [0.0, 0.25])
def test_a_game_that_does_not_wait_is_untouched(sticky: float) -> None:
    told = []
    for serve in (False, True):
        game = AtariEnvironment("Qbert", 4, sticky, serve=serve)
        actions = random_actions(60, list(range(game.actions.size)))
        told.append(course(game, actions, seed=3, noops=7))
    assert told[0] == told[1]


def test_looking_ahead_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A game that is watched, and in which nothing is pressed, is as if it was not watched."""
    actions = random_actions(120, [0, 1, 2, 3])
    plain = course(AtariEnvironment("Breakout", 4, 0.25), actions, seed=3, noops=7)
    watched = AtariEnvironment("Breakout", 4, 0.25, serve=True)
    assert watched._server is not None
    server, seen = watched._server, []
    monkeypatch.setattr(server, "_serve", lambda: seen.append(server.waiting()) or 0.0)
    assert course(watched, actions, seed=3, noops=7) == plain
    assert set(seen) == {True, False}


def test_the_same_seed_gives_the_same_bytes() -> None:
    actions = random_actions(100, WITHOUT_FIRE)
    told = [course(AtariEnvironment("Breakout", 4, 0.25, serve=True), actions, 4, 2) for _ in "ab"]
    game = AtariEnvironment("Breakout", 4, 0.25, serve=True)
    course(game, actions[:50], 9, 9)
    told.append(course(game, actions, 4, 2))  # whatever was played before
    assert told[0] == told[1] == told[2]


def test_the_games_that_are_served_are_those_that_were_seen_to_wait() -> None:
    with (RESOURCES / "serving.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 90
    seen = {}
    for row in rows:
        waits = row["waits_at_start"], row["waits_after_life"]
        trials = row["start_trials"], row["life_trials"]
        always = any(w == t != "0" for w, t in zip(waits, trials, strict=True))
        assert (row["served"] == "True") == (always and row["waits_between"] == "False")
        if row["served"] == "True":
            seen[row["game"]] = Waits(waits[0] != "0", waits[1] != "0")
    assert seen == WAITS


def test_served_is_what_was_asked_for_in_a_game_that_waits() -> None:
    unserved = BREAKOUT.model_copy(update={"serve": False})
    qbert = BREAKOUT.model_copy(update={"game": "Qbert"})
    catch = BREAKOUT.model_copy(update={"family": "catch", "game": "Catch"})
    asked = [BREAKOUT, unserved, qbert, catch]
    assert [environments.serves(each) for each in asked] == [True, False, False, False]


def test_a_recording_is_replayed_as_it_was_recorded(tmp_path: Path) -> None:
    """Unserved recordings give their rewards in an environment that serves, and so do served ones
    in one that does not; a false flag is noticed.
    """
    dataset = DatasetConfig(
        environment="breakout", source="recorded", file="demonstrations/decisive/breakout.npz"
    )
    data = recorded.collect(dataset, BREAKOUT, RESOURCES)
    assert data.served is not None
    assert not data.served.any()
    shortest = int(data.episode_length.argmin())
    steps = data.starts[shortest] + np.arange(data.episode_length[shortest])
    old = replace(
        data,
        actions=data.actions[steps],
        rewards=data.rewards[steps],
        state_sha256=(data.state_sha256 or ())[shortest : shortest + 1],
        **{
            name: getattr(data, name)[[shortest]]
            for name in ("episode_length", "terminated", "score", "seed", "noops", "epsilon")
        },
        served=data.served[[shortest]],
    )
    game = AtariEnvironment("Breakout", 4, 0.0, serve=True)
    game.reset(5, 3)
    actions, rewards, over = random_actions(600, [0, 2, 3], seed=1), [], False
    while not over:
        paid, over = game.step(actions[len(rewards)])
        rewards.append(paid)
    new = replace(
        old,
        actions=np.array(actions[: len(rewards)]),
        rewards=np.array(rewards, np.float32),
        episode_length=np.array([len(rewards)]),
        score=np.array([sum(rewards)]),
        seed=np.array([5]),
        noops=np.array([3]),
        state_sha256=(hashlib.sha256(game.state().tobytes()).hexdigest(),),
        served=np.array([True]),
    )
    unserving = BREAKOUT.model_copy(update={"serve": False})
    for recording, environment in ((old, BREAKOUT), (new, unserving)):
        frames.render(recording, environment, tmp_path / "frames.h5")
    for recording in (replace(old, served=np.array([True])), replace(new, served=None)):
        with pytest.raises(PipelineError, match="the replay differs"):
            frames.render(recording, BREAKOUT, tmp_path / "frames.h5")
