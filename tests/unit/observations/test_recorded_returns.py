"""Recorded discounted returns of the windows of a batch, of one data set or of several."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from policies import SPACE, RandomStore, trajectories_of

from pipeline.config.methods import MethodSettings
from pipeline.data.together import concatenated
from pipeline.data.trajectories import Trajectories
from pipeline.observations.batch import Batch
from pipeline.observations.recorded_returns import RecordedReturns
from pipeline.observations.windows import Windows

GAMMA = 0.9


def data_of(lengths: list[int], cut: list[int], seed: int = 0) -> Trajectories:
    data = trajectories_of(lengths, seed)
    return replace(data, terminated=np.array([i not in cut for i in range(len(lengths))]))


def batch_of(data: Trajectories, ends: list[int], context: int = 4) -> Batch:
    steps = len(data.actions)
    settings = MethodSettings(context_length=context)
    windows = Windows(data, RandomStore("behaviour_cloning", steps), SPACE, 1.0, settings)
    return windows.batch(np.array(ends))


def by_hand(data: Trajectories, step: int) -> float:
    """Of an episode that ends by itself."""
    episode = data.episode[step]
    end = int(data.starts[episode] + data.episode_length[episode])
    signs = np.sign(data.rewards[step:end])
    return float(sum(GAMMA**k * sign for k, sign in enumerate(signs)))


def test_returns_are_of_signs_and_of_the_windows_own_steps() -> None:
    data = data_of([8, 6], cut=[])
    recorded = RecordedReturns([data], GAMMA, unknown_steps=3)
    returns, known = recorded(batch_of(data, [7, 9, 13]))
    assert known.tolist() == [[True] * 4, [False, False, True, True], [True] * 4]
    for row, end in enumerate((7, 9, 13)):
        for place, step in enumerate(range(end - 3, end + 1)):
            if known[row, place]:
                found = float(returns[row, place] * recorded.scales[0])
                assert found == pytest.approx(by_hand(data, step), rel=1e-5)
    everything = np.array([by_hand(data, step) for step in range(14)])
    assert float(recorded.scales[0]) == pytest.approx(np.quantile(everything, 0.95), rel=1e-5)
    assert not list(recorded.state_dict())


def test_near_a_cut_nothing_is_known() -> None:
    data = data_of([8, 6], cut=[0])
    recorded = RecordedReturns([data], GAMMA, unknown_steps=3)
    _, known = recorded(batch_of(data, [5, 7, 13]))
    assert known.tolist() == [[True, True, True, False], [True, False, False, False], [True] * 4]


def test_each_game_has_its_own_returns_and_scale() -> None:
    parts = [data_of([8, 6], cut=[]), data_of([5, 9], cut=[1], seed=4)]
    together = RecordedReturns(parts, GAMMA, unknown_steps=3)
    joined, ends = concatenated(parts), np.array([4, 8, 13])
    for game, data in enumerate(parts):
        alone = RecordedReturns([data], GAMMA, unknown_steps=3)
        expected = alone(batch_of(data, ends.tolist()))
        begin = 14 * game
        batch = batch_of(joined, (begin + ends).tolist())
        found = together(replace(batch, task=torch.full((3,), game)))
        assert torch.equal(found[1], expected[1])
        torch.testing.assert_close(found[0][found[1]], expected[0][expected[1]])
        assert together.scales[game] == alone.scales[0]


def test_without_rewards_the_scale_is_one() -> None:
    data = data_of([8], cut=[])
    none = replace(data, rewards=np.zeros(8, np.float32), score=np.zeros(1))
    assert RecordedReturns([none], GAMMA, 3).scales.tolist() == [1.0]
