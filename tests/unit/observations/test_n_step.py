"""Returns over several steps: within one episode, and an end is no cut."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.config.methods import MethodSettings
from pipeline.data.trajectories import Trajectories
from pipeline.environments.action_space import ActionSpace
from pipeline.observations import Observation
from pipeline.observations.n_step import n_step, n_step_inside, sums_ahead
from pipeline.observations.windows import Windows

DISCOUNT = 0.9


class Ahead(MethodSettings):
    """Of a method that looks `n` steps ahead, with `before` steps of memory."""

    n: int = 1
    before: int = 0

    @property
    def ahead(self) -> int:
        return self.n

    @property
    def memory(self) -> int:
        return self.before


class Numbers:
    """Each step is observed as its own number."""

    shape: dict[str, tuple[int, ...]]
    attributes: dict[str, Any]

    def __init__(self, steps: int) -> None:
        self.steps, self.shape, self.attributes = steps, {"number": (1,)}, {}

    def gather(self, steps: NDArray[np.int64]) -> Observation:
        return {"number": torch.from_numpy(np.where(steps < 0, -1, steps))[..., None]}


def windows_of(lengths: list[int], terminated: list[bool], settings: Ahead) -> Windows:
    total = sum(lengths)
    rewards = np.random.default_rng(0).normal(size=total).astype(np.float32)
    data = Trajectories(
        actions=np.zeros(total, np.int64),
        rewards=rewards,
        episode_length=np.array(lengths),
        terminated=np.array(terminated),
        score=np.add.reduceat(rewards.astype(np.float64), np.cumsum(lengths) - lengths),
        source="random lengths",
    )
    return Windows(data, Numbers(total), ActionSpace(("A", "B")), 1.0, settings)


@settings(deadline=None, max_examples=60)
@given(
    episodes=st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=1, max_size=4),
    n=st.integers(1, 5),
    more=st.integers(0, 2),
    context=st.integers(1, 3),
    memory=st.integers(0, 2),
)
def test_n_steps_are_those_of_one_episode(
    episodes: list[tuple[int, bool]], n: int, more: int, context: int, memory: int
) -> None:
    """Against a loop over the episode itself, whatever lies around it in the data set."""
    lengths, terminated = [length for length, _ in episodes], [ends for _, ends in episodes]
    settings = Ahead(n=n + more, before=memory, context_length=context)
    windows = windows_of(lengths, terminated, settings)
    data = windows.trajectories
    ends = np.arange(len(data.actions))
    batch = windows.batch(ends)
    found = n_step(batch, n, DISCOUNT)
    following = found.after(batch.observation["number"])[..., 0]
    for row, end in enumerate(ends.tolist()):
        for k in range(context):
            step = end - (context - 1 - k)
            episode = data.episode[end]
            start = data.starts[episode]
            after = start + data.episode_length[episode]  # the first step of the next episode
            if step < start:
                assert not found.mask[row, k]
                continue
            fell = bool(data.terminated[episode])
            horizon = min(n, after - step if fell else after - 1 - step)
            fallen = fell and step + horizon == after
            total = sum(DISCOUNT**j * data.rewards[step + j] for j in range(horizon))
            assert found.mask[row, k] == (horizon > 0)
            assert found.rewards[row, k].item() == pytest.approx(total, abs=1e-5)
            if fallen:
                assert found.discounts[row, k] == 0
            elif horizon:
                assert found.discounts[row, k].item() == pytest.approx(DISCOUNT**horizon)
                assert following[row, k] == step + horizon


def test_the_last_step_of_a_cut_episode_is_never_drawn() -> None:
    windows = windows_of([3, 3], [True, False], Ahead(n=4, context_length=1))
    assert windows.drawn_from(np.arange(6)).tolist() == [0, 1, 2, 3, 4]


def test_more_steps_than_a_batch_holds_are_refused() -> None:
    batch = windows_of([3], [True], Ahead(n=1, context_length=1)).batch(np.array([0]))
    with pytest.raises(ValueError, match="2 steps of a batch that looks 1 ahead"):
        n_step(batch, 2, DISCOUNT)
    assert math.isclose(n_step(batch, 1, DISCOUNT).discounts.item(), DISCOUNT, rel_tol=1e-6)


def test_other_rewards_take_the_place_of_the_paid_ones() -> None:
    batch = windows_of([4], [True], Ahead(n=2, context_length=1)).batch(np.array([0]))
    found = n_step(batch, 2, DISCOUNT, torch.ones_like(batch.rewards))
    assert found.rewards.item() == pytest.approx(1 + DISCOUNT)


@pytest.mark.parametrize("discount", [DISCOUNT, 1.0])
def test_sums_of_a_whole_window_end_with_the_episode_and_not_with_a_cut(discount: float) -> None:
    lengths, n = [5, 6], 3
    windows = windows_of(lengths, [True, False], Ahead(context_length=1, n=6))
    batch = windows.batch(np.arange(11))
    sums, known = sums_ahead(batch, batch.rewards, n, discount)
    assert sums.shape == known.shape == (11, 5)
    rewards = windows.trajectories.rewards
    for first in range(11):
        end, cut = (5, False) if first < 5 else (11, True)
        for place in range(5):
            t = first + place
            following = range(t, min(t + n, end))
            assert known[first, place] == (t < end and (len(following) == n or not cut))
            total = sum(discount ** (k - t) * rewards[k] for k in following)
            assert float(sums[first, place]) == pytest.approx(total, abs=1e-5)


@pytest.mark.parametrize("n", [1, 3, 9])
def test_inside_a_window_the_horizon_ends_with_it(n: int) -> None:
    """Nothing is expected after an end, whose target is its reward; beyond a cut there is none."""
    windows = windows_of([6, 5], [True, False], Ahead(context_length=4, n=0))
    ends, rewards = [5, 3, 1, 10], windows.trajectories.rewards
    batch = windows.batch(np.array(ends))
    found = n_step_inside(batch, n, DISCOUNT, batch.rewards)
    following = found.after(batch.observation["number"])[..., 0]
    for row, end in enumerate(ends):
        for place, t in enumerate(range(end - 3, end + 1)):
            real, fell = t >= 0, end == 5
            horizon = min(n, end + fell - t)
            assert found.mask[row, place] == (real and horizon > 0)
            if not found.mask[row, place]:
                continue
            total = sum(DISCOUNT**k * rewards[t + k] for k in range(horizon))
            assert found.rewards[row, place].item() == pytest.approx(total, abs=1e-5)
            ended = fell and t + horizon == 6
            expected = 0 if ended else DISCOUNT**horizon
            assert found.discounts[row, place].item() == pytest.approx(expected)
            if not ended:
                assert following[row, place] == t + horizon
    assert found.rewards[0, -1] == rewards[5]
