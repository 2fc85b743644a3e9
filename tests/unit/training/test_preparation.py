"""What a training begins with, and what is refused before anything is loaded."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from policies import SPACE, RandomStore, method_config, trajectories_of

from pipeline.config.schema import EnvironmentConfig, MethodConfig
from pipeline.errors import PipelineError
from pipeline.training import preparation

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
        preparation.prepare(config, GAME, data, Path("cache.h5"), seed=0)


def test_a_seed_that_could_not_be_played() -> None:
    nothing: Any = None
    with pytest.raises(PipelineError, match=r"^seed 20240501: .*environments take 0 to 2,147,483"):
        preparation.prepare(
            MethodConfig(method="behaviour_cloning"), GAME, nothing, Path(), seed=20_240_501
        )
