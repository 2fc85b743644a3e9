"""Upside-Down RL: what its commands say, and how they count down in play."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from interruption import assert_resumes
from policies import RandomStore, batch_of, method_config, moment_of, spec_of, trajectories_of
from policies import space_of as actions_of

from pipeline.config.schema import MethodConfig
from pipeline.data.trajectories import Trajectories
from pipeline.errors import PipelineError
from pipeline.methods import make
from pipeline.methods.upside_down import UpsideDown
from pipeline.observations.windows import Windows
from pipeline.training import loop
from pipeline.training.resume import Resumption

KINDS = ["decision_transformer", "decision_transformer on states"]
"""Test data with frames and discrete actions, and with state vectors and torques."""
STATES = KINDS[1]
LENGTHS, SCALE = [4, 9, 6, 20], 10.0


def recorded(kind: str, cut: tuple[int, ...] = ()) -> Trajectories:
    data = trajectories_of(LENGTHS, space=actions_of(kind))
    ended = np.array([episode not in cut for episode in range(len(LENGTHS))])
    return replace(data, terminated=ended)


def learner_of(kind: str = STATES, cut: tuple[int, ...] = (), **policy: Any) -> UpsideDown:
    torch.manual_seed(0)
    told = {"trajectories": recorded(kind, cut), "return_scale": SCALE}
    observation = {"observation": "pixels"} if kind == KINDS[0] else {}
    learner = make(
        method_config("upside_down", **{"width": 32, **observation, **policy}), spec_of(kind, told)
    )
    assert isinstance(learner, UpsideDown)
    return learner.eval()


def windows_of(learner: UpsideDown, kind: str = STATES, cut: tuple[int, ...] = ()) -> Windows:
    data = recorded(kind, cut)
    store = RandomStore(kind, len(data.actions))
    return Windows(data, store, actions_of(kind), SCALE, learner.settings)


@pytest.mark.parametrize("cut", [(), (1, 3)])
def test_commands_are_sums_of_rewards_and_numbers_of_steps(cut: tuple[int, ...]) -> None:
    learner, data = learner_of(cut=cut), recorded(STATES, cut)
    for start, length in zip(data.starts.tolist(), LENGTHS, strict=True):
        for first in range(start, start + length):
            for last in range(first + 1, start + length + 1):
                told = learner.command(torch.tensor([first]), torch.tensor([last]))[0]
                expected = [data.rewards[first:last].sum() / SCALE, last - first]
                np.testing.assert_allclose(told, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_segments_end_in_their_own_episode_at_any_step(share: float) -> None:
    learner, data = learner_of(trailing_share=share), recorded(STATES)
    first = torch.arange(len(data.actions)).repeat(400)
    last, end = learner.segments(first), learner.ends[first]
    assert (last > first).all()
    assert (last <= end).all()
    from_start = last[first == data.starts[3]]  # of the longest episode
    counts = torch.bincount(from_start - data.starts[3], minlength=LENGTHS[3] + 1)
    assert (counts[1:-1] > 0).all() or share == 1
    expected = share + (1 - share) / LENGTHS[3]
    assert float(counts[-1] / counts.sum()) == pytest.approx(expected, abs=0.08)


def test_the_first_command_is_what_the_best_quarter_did() -> None:
    learner, data = learner_of(), recorded(STATES)
    assert float(learner.best_length) == LENGTHS[int(data.score.argmax())]
    assert float(learner.longest) == 20


@pytest.mark.parametrize("kind", KINDS)
def test_commands_count_down_and_end_at_one_step(kind: str) -> None:
    learner = learner_of(kind, desired_horizon=3)
    batch = batch_of(kind, 2, 6)
    for t, left in enumerate([3, 2, 1, 1, 1, 1]):
        now = moment_of(batch, t)
        with torch.no_grad():
            decided, _ = learner.act(now, learner.start(2))
            told = torch.stack((now.return_to_go[:, 0], torch.full((2,), float(left))), dim=-1)
            torch.testing.assert_close(
                decided, learner.would(now.observation[learner.observed], told)
            )


@pytest.mark.parametrize("kind", KINDS)
def test_the_command_decides_and_other_episodes_do_not(kind: str) -> None:
    learner = learner_of(kind)
    now = moment_of(batch_of(kind, 3, 1), 0)
    with torch.no_grad():
        before = learner.act(now, learner.start(3))[0]
        asked = replace(now, return_to_go=now.return_to_go + torch.tensor([[0.0], [2.0], [0.0]]))
        after = learner.act(asked, learner.start(3))[0]
    torch.testing.assert_close(before[[0, 2]], after[[0, 2]])
    assert (before[1] - after[1]).abs().max() > 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_but_the_state_and_the_command_is_read(kind: str) -> None:
    learner = learner_of(kind)
    batch = windows_of(learner, kind).batch(np.arange(6))
    other = replace(
        batch,
        previous_actions=batch.previous_actions + 1,
        returns_to_go=batch.returns_to_go + 1,
        rewards=batch.rewards + 1,
        actions=batch.actions * 0,
    )
    with torch.no_grad():
        torch.testing.assert_close(learner.read(batch)[0], learner.read(other)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_can_be_overfitted(kind: str) -> None:
    learner = learner_of(kind, trailing_share=1.0, width=64).train()
    batch = windows_of(learner, kind).batch(np.arange(4, 12))
    optimizer = torch.optim.Adam(learner.parameters(), 0.003)
    for step in range(300):
        ((_, loss),) = learner.losses(batch, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.01


def trained(steps: int, saved: Resumption | None = None) -> tuple[UpsideDown, list[Any]]:
    training = {"steps": steps, "batch_size": 8, "warmup_steps": 1, "evaluate_every": 4}
    config = MethodConfig.model_validate({"method": "upside_down", "training": training})
    learner = learner_of()
    windows = windows_of(learner)
    return learner, loop.train(learner, windows, config.training, 0, saved=saved)


def test_a_killed_training_of_segments_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, curve = assert_resumes(trained, tmp_path, monkeypatch)
    assert {"held_out_loss", "held_out_mse"} <= set(curve[0].held_out)


def test_recorded_steps_are_no_part_of_a_checkpoint_and_play_needs_none() -> None:
    learner = learner_of()
    assert not {"returns_to_go", "ends"} & set(learner.state_dict())
    alone = make(method_config("upside_down", width=32), spec_of(STATES))
    alone.load_state_dict(learner.state_dict())
    now = moment_of(batch_of(STATES, 2, 1), 0)
    with torch.no_grad():
        torch.testing.assert_close(
            learner.act(now, learner.start(2))[0], alone.act(now, alone.start(2))[0]
        )


def test_another_horizon_trains_nothing_anew() -> None:
    plain = MethodConfig.model_validate({"method": "upside_down"})
    asked = MethodConfig.model_validate(
        {"method": "upside_down", "policy": {"desired_horizon": 500}}
    )
    assert plain.trained() == asked.trained()
    with pytest.raises(PipelineError, match="desired_horizon"):
        MethodConfig.from_json('{"method": "upside_down", "policy": {"desired_horizon": 0}}')
