"""Own play becomes a recording that the pipeline's sources take, or refuse with their own words."""

from pathlib import Path

import numpy as np
import pytest
from bundles import make_bundle

import more3s
from more3s.command import command
from pipeline.config.schema import DatasetConfig
from pipeline.data import frames, trajectories
from pipeline.errors import PipelineError
from pipeline.io.artefact import Artefact


def play(recorder: more3s.Recorder, seed: int | None, steps: int) -> tuple[list, list]:
    """Random actions; what was seen before each, and what each was paid."""
    generator = np.random.default_rng(seed)
    shown, _ = recorder.reset(seed=seed)
    seen, paid, over = [], [], False
    while not over and len(seen) < steps:
        low = getattr(recorder.action_space, "low", None)
        action = (
            int(generator.integers(3)) if low is None else generator.uniform(-0.1, 0.1, len(low))
        )
        seen.append(shown)
        shown, reward, ended, cut, _ = recorder.step(action)
        paid.append(reward)
        over = ended or cut
    return seen, paid


@pytest.mark.parametrize("name", ["catch", "breakout"])
def test_recorded_and_replayed_it_is_the_same(name: str, tmp_path: Path) -> None:
    cut = 60 if name == "catch" else 30  # which only Catch ends before
    recorder = more3s.Recorder(more3s.make(name, max_episode_steps=cut), "me", randomness=1)
    seen, paid = [], []
    for seed, steps in ((3, cut), (None, 10)):  # the second goes on when it is saved
        frames_, rewards = play(recorder, seed, steps)
        seen, paid = seen + frames_, paid + rewards
    file = recorder.save(tmp_path / "mine.npz")

    config = recorder.unwrapped.config  # type: ignore[attr-defined]
    dataset = DatasetConfig(environment=name, source="recorded", file=file.name)
    read = trajectories.collect(dataset, config, tmp_path)
    frames.render(read, config, tmp_path / "frames.h5")
    artefact = Artefact(tmp_path / "frames.h5", "frames")
    shown = artefact.read("frames")[artefact.read("step_frame")]
    np.testing.assert_array_equal(shown, np.stack(seen))
    assert read.rewards.tolist() == paid
    assert read.terminated.tolist() == [name == "catch", False]
    assert read.epsilon is not None
    assert read.epsilon.tolist() == [1, 1]


def test_a_robot_is_recorded_as_well(tmp_path: Path) -> None:
    recorder = more3s.Recorder(more3s.make("hopper"))
    seen, paid = play(recorder, 1, 15)
    file = recorder.save(tmp_path / "mine.npz")
    config = recorder.unwrapped.config  # type: ignore[attr-defined]
    dataset = DatasetConfig(environment="hopper", source="recorded_states", file=file.name)
    read = trajectories.collect(dataset, config, tmp_path)
    np.testing.assert_array_equal(read.observations, np.stack(seen))
    np.testing.assert_array_equal(read.rewards, np.array(paid, np.float32))
    assert read.qpos is not None
    assert read.qpos.shape[1] == 6


def test_play_that_was_meddled_with_is_refused(tmp_path: Path) -> None:
    env = more3s.make("catch")
    recorder = more3s.Recorder(env)
    recorder.reset(seed=0)
    recorder.step(1)
    env.step(2)  # past the recorder
    for _ in range(30):
        recorder.step(1)
    with pytest.raises(PipelineError, match=r"recorded mine: the replay differs: score is"):
        recorder.save(tmp_path / "mine.npz")
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_record(tmp_path: Path) -> None:
    recorder = more3s.Recorder(more3s.make("catch"))
    with pytest.raises(PipelineError, match="call the Recorder's reset first"):
        recorder.step(0)
    recorder.reset()
    with pytest.raises(PipelineError, match=r"mine\.npz: nothing was played"):
        recorder.save(tmp_path / "mine.npz")
    with pytest.raises(PipelineError, match="environments of more3s"):
        more3s.Recorder(recorder)  # type: ignore[arg-type]


def test_a_policy_is_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What it wrote are the episodes that the agent plays from these reset seeds."""
    bundle, file = make_bundle(tmp_path, "decision_transformer"), tmp_path / "weak.npz"
    command(["record", str(bundle), str(file), "--episodes", "3", "--first-seed", "5"])
    agent = more3s.load(bundle)
    dataset = DatasetConfig(environment="catch", source="recorded", file=file.name)
    read = trajectories.collect(dataset, agent.bundle.environment, tmp_path)
    env, taken = agent.make(), []
    for seed in (5, 6, 7):
        observation, _ = env.reset(seed=seed)
        agent.reset(seed=seed)
        reward, over = 0.0, False
        while not over:
            taken.append(agent.act(observation, reward))
            observation, reward, ended, cut, _ = env.step(taken[-1])
            over = ended or cut
    assert read.actions.tolist() == taken
    assert read.seed.tolist() == [5, 6, 7]
    assert read.epsilon is not None
    np.testing.assert_allclose(read.epsilon, 0.1)
    with np.load(file) as content:
        assert content["policy"][0] == "decision_transformer (default) of catch, seed 4"
    low, high, mean = read.score.min(), read.score.max(), read.score.mean()
    said = capsys.readouterr().out
    assert said == f"{file}: 3 episodes, {low:g} to {high:g}, mean {mean:g}\n"


def test_what_evaluations_play_is_not_recorded(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path, "behaviour_cloning")
    with pytest.raises(SystemExit, match="evaluations play from 10000 on"):
        command(["record", str(bundle), str(tmp_path / "weak.npz"), "--first-seed", "9990"])
    with pytest.raises(SystemExit, match="nothing was played"):
        command(["record", str(bundle), str(tmp_path / "weak.npz"), "--episodes", "0"])
    assert not (tmp_path / "weak.npz").exists()
