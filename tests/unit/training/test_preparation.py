"""What is refused before a training begins."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from chain import SPACE, chain

from pipeline.config.schema import EnvironmentConfig, MethodConfig
from pipeline.data.trajectories import Trajectories
from pipeline.errors import PipelineError
from pipeline.training import preparation

ENVIRONMENT = EnvironmentConfig.model_construct(game="Chain")


def prepare(monkeypatch: pytest.MonkeyPatch, data: Trajectories, method: str, batch: int) -> Any:
    store = chain()[1]
    monkeypatch.setattr(preparation, "open_store", lambda *_: store)
    monkeypatch.setattr(preparation.environments, "make", lambda _: SimpleNamespace(actions=SPACE))
    config = MethodConfig.model_validate(
        {"method": method, "policy": {"observation": "states"}, "training": {"batch_size": batch}}
    )
    return preparation.prepare(config, ENVIRONMENT, data, Path("chain"), seed=0)


@pytest.mark.parametrize("method", ["qr_dqn", "rem", "cql"])
def test_data_without_rewards_teach_no_values(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = chain()[0]
    nothing = replace(data, rewards=np.zeros_like(data.rewards), score=np.zeros_like(data.score))
    with pytest.raises(PipelineError, match=f"every reward is 0, and {method} learns from rewards"):
        prepare(monkeypatch, nothing, method, 8)
    prepare(monkeypatch, nothing, "behaviour_cloning", 8)  # who learns from no rewards may
    prepare(monkeypatch, data, method, 8)


def test_fewer_transitions_than_a_batch_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = chain()[0]
    with pytest.raises(
        PipelineError, match=r"\d+ transitions to train on, fewer than a batch of 9"
    ):
        prepare(monkeypatch, data, "qr_dqn", 99_999)


def test_episodes_of_which_each_is_cut_at_once_hold_no_transition(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = chain()[0]
    ones = np.ones(len(data.actions), np.int64)
    cut = Trajectories(
        actions=data.actions,
        rewards=data.rewards,
        episode_length=ones,
        terminated=np.zeros(len(ones), np.bool_),
        score=data.rewards.astype(np.float64),
        source="cut",
    )
    with pytest.raises(PipelineError, match="cut: 0 transitions to train on"):
        prepare(monkeypatch, cut, "rem", 8)
