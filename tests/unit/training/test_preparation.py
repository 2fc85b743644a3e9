"""What a training begins with, and what is refused before it does."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from chain import SPACE as LEFT_OR_RIGHT
from chain import chain
from policies import SPACE, RandomStore, method_config, trajectories_of

from pipeline.config.schema import EnvironmentConfig, MethodConfig
from pipeline.data.trajectories import Trajectories
from pipeline.errors import PipelineError
from pipeline.training import preparation
from pipeline.training.preparation import Recording

GAME = EnvironmentConfig(family="catch", game="Catch", random_score=0, reference_score=1)


def test_layers_that_nobody_gives_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not trained from random ones without a word."""
    monkeypatch.setattr(
        preparation.environments, "make", lambda config: SimpleNamespace(actions=SPACE)
    )
    monkeypatch.setattr(preparation, "open_observations", lambda *_: RandomStore("more3s", 60))
    config = method_config("more3s", initial_weights="language_model")
    data = trajectories_of([60])
    with pytest.raises(PipelineError, match="no language model's layers were given"):
        preparation.prepare(config, [Recording(GAME, data, Path("cache.h5"))], seed=0)


def test_a_seed_that_could_not_be_played() -> None:
    nothing: Any = None
    with pytest.raises(PipelineError, match=r"^seed 20240501: .*environments take 0 to 2,147,483"):
        preparation.prepare(
            MethodConfig(method="behaviour_cloning"),
            [Recording(GAME, nothing, Path())],
            seed=20_240_501,
        )


def prepare(monkeypatch: pytest.MonkeyPatch, data: Trajectories, method: str, batch: int) -> Any:
    store = chain()[1]
    monkeypatch.setattr(preparation, "open_store", lambda *_: store)
    space = SimpleNamespace(actions=LEFT_OR_RIGHT)
    monkeypatch.setattr(preparation.environments, "make", lambda _: space)
    config = MethodConfig.model_validate(
        {"method": method, "policy": {"observation": "states"}, "training": {"batch_size": batch}}
    )
    return preparation.prepare(config, [Recording(GAME, data, Path("chain"))], seed=0)


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
