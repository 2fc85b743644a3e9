from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import pytest
import torch
from policies import RandomStore, trajectories_of

from pipeline.config.methods.more3s import Settings as MoreSettings
from pipeline.config.schema import Placing
from pipeline.environments.action_space import ActionSpace
from pipeline.observations.window_indices import (
    repeat_starts,
    sample_ends,
    split_episodes,
    window_steps,
)
from pipeline.observations.windows import Windows, default_return_scale


def test_windows_are_consecutive_steps_of_one_episode_padded_on_the_left() -> None:
    data = trajectories_of([4, 1, 6])
    for end in range(11):
        first = data.starts[data.episode[end]]
        (steps,) = window_steps(np.array([end]), np.array([first]), 5)
        expected = [step if step >= first else -1 for step in range(end - 4, end + 1)]
        assert steps.tolist() == expected


def test_a_batch_is_what_a_loop_over_its_windows_gives() -> None:
    data = trajectories_of([4, 1, 6])
    store = RandomStore("more3s", 11)
    space = ActionSpace(("A", "B", "NOOP"), noop=2)
    windows = Windows(data, store, space, 5.0, MoreSettings(memory_length=2, context_length=3))
    batch = windows.batch(np.arange(11))
    for end in range(11):
        first = int(data.starts[data.episode[end]])
        stop = first + int(data.episode_length[data.episode[end]])
        for column, step in enumerate(range(end - 4, end + 1)):
            real = step >= first
            assert bool(batch.mask[end, column]) == real
            if not real:
                assert not batch.observation["mask"][end, column].any()
                continue
            assert batch.actions[end, column] == data.actions[step]
            previous = data.actions[step - 1] if step > first else 2
            assert batch.previous_actions[end, column] == previous
            assert batch.timesteps[end, column] == step - first
            assert batch.rewards[end, column] == data.rewards[step]
            assert bool(batch.terminal[end, column]) == (step == stop - 1)
            to_go = sum(data.rewards[step:stop]) / 5.0
            assert float(batch.returns_to_go[end, column]) == pytest.approx(to_go)
            tokens = store.observation["tokens"][0, step]
            assert torch.equal(batch.observation["tokens"][end, column], tokens)


@dataclass(frozen=True)
class Ahead:
    """Of a method that looks two steps ahead."""

    memory: int = 0
    context_length: int = 1
    ahead: int = 2


def test_windows_look_ahead_and_know_an_end_from_a_cut() -> None:
    data = replace(trajectories_of([4, 1, 6]), terminated=np.array([True, False, False]))
    store = RandomStore("more3s", 11)
    windows = Windows(data, store, ActionSpace(("A", "B", "C")), 5.0, cast(Any, Ahead()))
    batch = windows.batch(np.arange(11))
    for end, last in enumerate([3, 3, 3, 3, 4, 10, 10, 10, 10, 10, 10]):
        steps = [step for step in range(end, end + 3) if step <= last]
        padding = 3 - len(steps)
        assert batch.mask[end].tolist() == [True] * len(steps) + [False] * padding
        assert batch.rewards[end].tolist() == [*data.rewards[steps], *[0.0] * padding]
        assert batch.terminal[end].tolist() == [step == 3 for step in steps] + [False] * padding
    assert batch.index.tolist() == list(range(11))
    assert batch.context == slice(0, 1)
    # a cut episode's last step has neither a successor nor an end
    assert windows.drawn_from(np.arange(11)).tolist() == [0, 1, 2, 3, 5, 6, 7, 8, 9]


@dataclass
class Remembering:
    memory: int = 1
    context_length: int = 3
    ahead: int = 0


def test_where_windows_lie_decides_which_steps_count() -> None:
    """How often each of an episode's steps is learned from, if every step is drawn once."""
    data, store = trajectories_of([2, 6]), RandomStore("more3s", 8)
    windows = Windows(data, store, ActionSpace(("A", "B", "C")), 5.0, cast(Any, Remembering()))

    def counted(placing: Placing) -> list[int]:
        batch = windows.placed(np.arange(2, 8), placing)  # the second episode's
        real = batch.mask[:, batch.context]
        return np.bincount(batch.timesteps[:, batch.context][real]).tolist()

    assert counted("ends") == [3, 3, 3, 3, 2, 1]
    assert counted("starts") == [1, 2, 3, 3, 3, 3]
    assert counted("shifted") == [1, 2, 3, 5, 4, 3]  # the last three windows are one
    starts = windows.placed(np.array([2, 5, 7]), "starts")  # with a step of memory, if there is one
    expected = [[False, True, True, True], [True] * 4, [False, False, False, True]]
    assert starts.mask.tolist() == expected


@pytest.mark.parametrize(
    ("episodes", "fraction", "held_out"),
    [(10, 0.1, 1), (10, 0.01, 1), (10, 0.3, 3), (10, 0.0, 0), (1, 0.5, 0), (2, 0.9, 1)],
)
def test_whole_episodes_are_held_out(episodes: int, fraction: float, held_out: int) -> None:
    split = split_episodes(episodes, fraction, seed=3)
    assert split.sum() == held_out
    assert np.array_equal(split, split_episodes(episodes, fraction, seed=3))


def test_ends_are_uniform_over_the_steps() -> None:
    steps = np.array([3, 5, 8])
    ends = sample_ends(np.random.default_rng(0), [steps], 3000)
    values, counts = np.unique(ends, return_counts=True)
    assert values.tolist() == steps.tolist()
    assert counts.min() > 900


def test_starts_are_drawn_as_many_times_as_often_as_asked_for() -> None:
    steps, timesteps = np.array([2, 3, 4, 7, 8, 9]), np.array([0, 1, 2, 0, 1, 2])
    assert repeat_starts(steps, timesteps, start_steps=2, weight=1).tolist() == steps.tolist()
    drawn = repeat_starts(steps, timesteps, start_steps=2, weight=3)
    values, counts = np.unique(drawn, return_counts=True)
    assert values.tolist() == steps.tolist()
    assert counts.tolist() == [3, 3, 1, 3, 3, 1]


def test_returns_are_scaled_by_the_largest() -> None:
    data = trajectories_of([4, 6])
    assert default_return_scale(data) == np.abs(data.returns_to_go).max()
