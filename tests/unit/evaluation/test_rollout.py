import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import robots
import torch
from numpy.typing import NDArray
from policies import SPACE, STATE, TORQUES, method_config, policy_of, spec_of, trajectories_of

from pipeline import environments
from pipeline.config.schema import EnvironmentConfig, EvaluationConfig
from pipeline.environments.action_space import Action, ActionSpace
from pipeline.errors import PipelineError
from pipeline.evaluation import run as runs
from pipeline.evaluation.draws import choose
from pipeline.evaluation.episodes import EPISODE_COLUMNS, Episode, write_episodes
from pipeline.evaluation.rollout import PolicyPlayer, RandomPlayer, play
from pipeline.evaluation.video import VideoRecorder, writing_video
from pipeline.methods import Moment, make
from pipeline.observations import LiveStep
from pipeline.observations.pixels import PixelObserver
from pipeline.observations.states import StateObserver
from pipeline.reporting.scores import RUN_KEYS
from pipeline.training import checkpoint

CATCH = EnvironmentConfig.model_validate(
    {"family": "catch", "game": "catch", "frame_skip": 4, "max_noops": 20}
    | {"random_score": -5, "reference_score": 6}
)
SEEDS = [11, 12, 13]


def play_catch(seeds: list[int], temperature: float, policy: Any) -> list[Episode]:
    player = PolicyPlayer(policy, PixelObserver(), len(seeds), target_return=6, return_scale=6)
    games = [environments.make(CATCH) for _ in seeds]
    return play(player, games, seeds, CATCH.max_noops, 60, temperature)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_episodes_do_not_depend_on_their_batch(temperature: float) -> None:
    policy = policy_of("decision_transformer", layers=1)
    together = play_catch(SEEDS, temperature, policy)
    apart = [played for seed in SEEDS for played in play_catch([seed], temperature, policy)]
    assert together == apart
    assert len({played.length for played in together}) > 1  # they end at different steps
    assert len({played.noops for played in together}) > 1


def test_episodes_are_cut_at_the_longest_length() -> None:
    games = [environments.make(CATCH)]
    (played,) = play(RandomPlayer(games[0].actions, [0]), games, [0], 0, 5, 1.0)
    assert (played.length, played.terminated) == (5, False)


class Spy:
    """Always the first action; remembers what it was shown."""

    def __init__(self) -> None:
        self.seen: list[LiveStep] = []

    def decide(self, live: LiveStep) -> NDArray[np.float64]:
        assert live.frames.shape[1:] == (2, 2, 3)  # drawn now: games go on
        self.seen.append(live)
        return np.tile([1.0, 0.0, 0.0], (len(live.episodes), 1))

    def keep(self, rows: NDArray[np.int64]) -> None:
        pass


class Fixed(Spy):
    """Always the same probabilities of the three actions."""

    def __init__(self, probabilities: list[float]) -> None:
        super().__init__()
        self.logits = np.log(probabilities)

    def decide(self, live: LiveStep) -> NDArray[np.float64]:
        return np.tile(self.logits, (len(live.episodes), 1))


class FakeGame:
    """Rewards 1 a step for `length` steps."""

    versions = {"fake": "1"}  # noqa: RUF012

    def __init__(self, length: int, actions: ActionSpace | None = None) -> None:
        self.length, self.t = length, 0
        self.actions = actions or ActionSpace(("A", "B", "C"), noop=2)
        self.taken: list[Action] = []

    def reset(self, seed: int, noops: int) -> None:
        self.t = 0

    def step(self, action: Action) -> tuple[float, bool]:
        self.t += 1
        self.taken.append(np.copy(action))
        return 1.0, self.t >= self.length

    def frame(self) -> NDArray[np.uint8]:
        return np.full((2, 2, 3), self.t, np.uint8)

    def observation(self) -> None:
        return None

    def state(self) -> NDArray[np.uint8]:
        return np.zeros(1, np.uint8)


def test_what_a_player_is_shown() -> None:
    spy = Spy()
    played = play(spy, [FakeGame(2), FakeGame(4)], [0, 1], 0, 10, 0.0)
    assert [episode.score for episode in played] == [2, 4]
    assert [s.episodes.tolist() for s in spy.seen] == [[0, 1], [0, 1], [1], [1]]
    assert [s.timestep for s in spy.seen] == [0, 1, 2, 3]
    assert spy.seen[0].previous_actions.tolist() == [2, 2]  # a_{-1} is the no-op
    assert spy.seen[1].previous_actions.tolist() == [0, 0]
    assert spy.seen[3].returns.tolist() == [3]
    assert [s.previous_rewards.tolist() for s in spy.seen[:3]] == [[0, 0], [1, 1], [1]]
    drawn = [s.noise(2) for s in spy.seen]
    assert [each.shape for each in drawn] == [(2, 2), (2, 2), (1, 2), (1, 2)]
    alone = Spy()
    play(alone, [FakeGame(4)], [1], 0, 10, 0.0)  # an episode's noise does not depend on others
    for seen, beside in zip(alone.seen, drawn, strict=True):
        np.testing.assert_array_equal(seen.noise(2)[0], beside[-1])
    assert spy.seen[2].frames[0, 0, 0, 0] == 2


def test_the_target_return_falls_by_each_reward_and_is_scaled() -> None:
    class Policy:
        seen: list[float] = []  # noqa: RUF012

        def start(self, episodes: int) -> Any:
            return None

        def act(self, moment: Moment, state: Any) -> Any:
            self.seen.append(float(moment.return_to_go))
            return torch.zeros(1, 3), None

    class Blind:
        def observe(self, *_: Any) -> Any:
            return {}

    player = PolicyPlayer(Policy(), Blind(), 1, target_return=10, return_scale=5)  # type: ignore[arg-type]
    play(player, [FakeGame(3)], [0], 0, 10, 0.0)
    assert Policy.seen == pytest.approx([2.0, 1.8, 1.6])


def test_random_continuous_actions_are_uniform_within_their_bounds() -> None:
    seeds = [3, 4]
    together = [FakeGame(400, TORQUES) for _ in seeds]
    play(RandomPlayer(TORQUES, seeds), together, seeds, 0, 400, 1.0)
    apart = FakeGame(400, TORQUES)
    play(RandomPlayer(TORQUES, [4]), [apart], [4], 0, 400, 1.0)
    np.testing.assert_array_equal(apart.taken, together[1].taken)  # whatever is played beside it
    drawn = np.array(together[0].taken)  # (400, 2)
    assert drawn.shape == (400, 2)
    np.testing.assert_allclose(drawn.min(axis=0), TORQUES.low, atol=0.05)
    np.testing.assert_allclose(drawn.max(axis=0), TORQUES.high, atol=0.05)
    np.testing.assert_allclose(drawn.mean(axis=0), 0, atol=0.2)


def test_a_continuous_policy_s_actions_are_taken_as_they_are() -> None:
    class Fixed(Spy):
        def decide(self, live: LiveStep) -> NDArray[np.float64]:
            self.seen.append(live)
            return np.tile([0.25, -1.5], (len(live.episodes), 1))

    spy, game = Fixed(), FakeGame(3, TORQUES)
    play(spy, [game], [0], 0, 10, temperature=0.7)
    np.testing.assert_array_equal(game.taken, [[0.25, -1.5]] * 3)
    assert spy.seen[0].previous_actions.tolist() == [[0, 0]]
    assert spy.seen[1].previous_actions.tolist() == [[0.25, -1.5]]


def test_a_player_may_decide_on_an_action_itself() -> None:
    class Decided(Spy):
        def decide(self, live: LiveStep) -> Any:
            return np.full(len(live.episodes), 2, np.int64)

    game = FakeGame(3)
    play(Decided(), [game], [0], 0, 10, temperature=1.0)
    np.testing.assert_array_equal(game.taken, [2, 2, 2])


def test_what_is_not_looked_at_is_not_rendered() -> None:
    """State vectors need no OpenGL."""

    class Unseen(FakeGame):
        def frame(self) -> NDArray[np.uint8]:
            raise AssertionError("rendered")

        def observation(self) -> NDArray[np.float32]:  # type: ignore[override]
            return np.full(STATE, self.t, np.float32)

    policy = policy_of("decision_transformer on states")
    player = PolicyPlayer(policy, StateObserver(), 2, target_return=10, return_scale=5)
    games = [Unseen(2, TORQUES), Unseen(4, TORQUES)]
    played = play(player, games, [0, 1], 0, 10, 0.0)
    assert [episode.length for episode in played] == [2, 4]
    nothing = np.zeros((2, 2), np.float32), np.zeros(2, np.float32), np.zeros(2)
    live = LiveStep(games, *nothing, np.arange(2), 4, np.zeros)
    observed = StateObserver().observe(live)["state"]
    assert observed.shape == (2, 1, STATE)
    assert observed[:, 0, 0].tolist() == [2, 4]
    with pytest.raises(PipelineError, match="no state vectors"):
        StateObserver().observe(replace(live, games=[FakeGame(1)]))


def test_actions_are_sampled_from_the_softmax_at_a_temperature() -> None:
    logits = np.log([0.6, 0.3, 0.1])
    generator = np.random.default_rng(0)
    for temperature, expected in (
        (1.0, [0.6, 0.3, 0.1]),
        (0.5, [0.36 / 0.46, 0.09 / 0.46, 0.01 / 0.46]),
    ):
        drawn = [choose(logits, temperature, generator) for _ in range(4000)]
        assert np.bincount(drawn) / 4000 == pytest.approx(expected, abs=0.03)
    assert choose(logits, 0, generator) == 0


def test_with_an_epsilon_of_zero_the_same_numbers_are_drawn_as_without() -> None:
    generator = np.random.default_rng(11)  # that of the episode: no-ops first, then an action each
    assert int(generator.integers(0, 1)) == 0
    expected = [choose(np.log([0.5, 0.3, 0.2]), 1.0, generator) for _ in range(50)]
    for rule in ({}, {"epsilon": 0.0}):
        game = FakeGame(50)
        play(Fixed([0.5, 0.3, 0.2]), [game], [11], 0, 50, 1.0, **rule)
        assert np.array(game.taken).tolist() == expected
    assert len(set(expected)) == 3


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_an_epsilon_of_one_is_uniform_whatever_the_player_says(temperature: float) -> None:
    game = FakeGame(3000)
    play(Fixed([0.998, 0.001, 0.001]), [game], [5], 0, 3000, temperature, epsilon=1.0)
    shares = np.bincount(np.array(game.taken)) / 3000
    np.testing.assert_allclose(shares, 1 / 3, atol=0.03)
    torques = FakeGame(400, TORQUES)
    play(Fixed([1.0]), [torques], [5], 0, 400, temperature, epsilon=1.0)
    drawn = np.array(torques.taken)
    np.testing.assert_allclose(drawn.min(axis=0), TORQUES.low, atol=0.05)
    np.testing.assert_allclose(drawn.max(axis=0), TORQUES.high, atol=0.05)


def test_epsilon_is_the_share_of_random_actions_of_a_player_that_decides_itself() -> None:
    class Decided(Spy):
        def decide(self, live: LiveStep) -> Any:
            return np.full(len(live.episodes), 2, np.int64)

    game = FakeGame(4000)
    play(Decided(), [game], [3], 0, 4000, temperature=1.0, epsilon=0.3)
    assert (np.array(game.taken) != 2).mean() == pytest.approx(0.3 * 2 / 3, abs=0.03)


def test_random_actions_do_not_depend_on_the_batch() -> None:
    together = [FakeGame(20), FakeGame(40), FakeGame(40)]
    play(Fixed([0.5, 0.3, 0.2]), together, SEEDS, 0, 40, 0.25, epsilon=0.4)
    for seed, beside in zip(SEEDS, together, strict=True):
        alone = FakeGame(beside.length)
        play(Fixed([0.5, 0.3, 0.2]), [alone], [seed], 0, 40, 0.25, epsilon=0.4)
        np.testing.assert_array_equal(alone.taken, beside.taken)


def test_tables_are_told_how_actions_were_chosen() -> None:
    config = method_config("behaviour_cloning")
    described = checkpoint.describe(config, 2, 6.0, spec_of("behaviour_cloning"))
    loaded = runs.LoadedPolicy(policy_of("behaviour_cloning"), described, PixelObserver())
    for temperature, epsilon, said in (
        (0.25, 0.0, "temperature 0.25, epsilon 0, sticky"),
        (0.0, 0.02, "arg-max (temperature 0), epsilon 0.02, sticky"),
    ):
        evaluation = EvaluationConfig(episodes=1, temperature=temperature, epsilon=epsilon)
        course = runs.EvaluationProtocol(CATCH, evaluation, trajectories_of([5, 5]), 4, seed=0)
        described = runs.play_policy(course, loaded)[1]
        assert described["sampling"].startswith(said)
        assert described["settings"]["evaluation"] == evaluation.model_dump(mode="json")


def test_a_run_writes_scores_description_and_video(tmp_path: Path) -> None:
    evaluation = EvaluationConfig(episodes=3, video_steps=4)
    course = runs.EvaluationProtocol(CATCH, evaluation, trajectories_of([5, 5]), 30, seed=2)
    config = method_config("behaviour_cloning")
    policy = make(config, spec_of("behaviour_cloning")).eval()
    observer = PixelObserver()
    described = checkpoint.describe(config, 2, 6.0, spec_of("behaviour_cloning"))
    loaded = runs.LoadedPolicy(policy, described, observer)
    with writing_video(tmp_path / "rollout.mp4") as keep:
        video = VideoRecorder(evaluation.video_steps, observer, SPACE, keep)
        episodes, run = runs.play_policy(course, loaded, video)
    write_episodes(tmp_path / "episodes.csv", [(7, episode) for episode in episodes])
    runs.write_run(tmp_path / "run.json", run)
    with (tmp_path / "episodes.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["reset_seed"] for row in rows] == ["12000", "12001", "12002"]
    assert tuple(rows[0]) == EPISODE_COLUMNS
    assert [(row["step"], row["episode"]) for row in rows] == [("7", "0"), ("7", "1"), ("7", "2")]
    content = json.loads((tmp_path / "run.json").read_text())
    assert set(content) == set(RUN_KEYS)
    assert content["settings"]["method"] == "behaviour_cloning"
    assert content["settings"]["learned_steps"] == config.policy.context_length
    assert content["weights"] == "policy trained here"
    assert content["target_return"] is None  # behaviour cloning has none
    with av.open(tmp_path / "rollout.mp4") as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert sum(1 for _ in container.decode(stream)) == 4
    assert len(list(tmp_path.iterdir())) == 3


def test_random_play_is_reproducible() -> None:
    course = runs.EvaluationProtocol(
        CATCH, EvaluationConfig(episodes=3), trajectories_of([5, 5]), 40, seed=0
    )
    (first, run), (again, _) = runs.play_random(course), runs.play_random(course)
    assert first == again
    assert run["sampling"].startswith("uniform")


def test_no_episode_is_played_from_a_start_that_was_trained_on() -> None:
    data = replace(trajectories_of([5, 5]), seed=np.array([7, 11_002]))
    with pytest.raises(PipelineError, match="first_seed: 10000 gives run 1 reset seed 11002"):
        runs.EvaluationProtocol(CATCH, EvaluationConfig(episodes=3), data, 40, seed=1)
    runs.EvaluationProtocol(CATCH, EvaluationConfig(episodes=2), data, 40, seed=1)


def test_a_console_starts_alike_from_every_seed_and_a_robot_does_not() -> None:
    breakout = EnvironmentConfig(family="atari", game="Breakout", random_score=0, reference_score=1)
    known = {"seed": np.array([1, 2, 3]), "noops": np.array([7, 0, 7])}
    evaluation, data = EvaluationConfig(episodes=2), trajectories_of([5, 5, 5])
    data = replace(data, **known)
    starts = {
        environment.game: runs.EvaluationProtocol(
            environment, evaluation, data, 40, seed=1
        ).known_starts()
        for environment in (breakout, CATCH, robots.config())
    }
    assert starts == {"Breakout": [0, 7], "catch": [], "Hopper": []}
    unknown = replace(data, noops=None)
    assert runs.EvaluationProtocol(breakout, evaluation, unknown, 40, seed=1).known_starts() == []
