"""What a training begins with."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from policies import SPACE, RandomStore, method_config, trajectories_of

from pipeline.config.schema import EnvironmentConfig
from pipeline.errors import PipelineError
from pipeline.training import preparation


def test_layers_that_nobody_gives_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not trained from random ones without a word."""
    monkeypatch.setattr(
        preparation.environments, "make", lambda config: SimpleNamespace(actions=SPACE)
    )
    monkeypatch.setattr(preparation, "open_observations", lambda *_: RandomStore("more3s", 60))
    config = method_config("more3s", initial_weights="language_model")
    environment = EnvironmentConfig.model_validate(
        {"family": "catch", "game": "Catch", "random_score": 0, "reference_score": 1}
    )
    data = trajectories_of([60])
    with pytest.raises(PipelineError, match="no language model's layers were given"):
        preparation.prepare(config, environment, data, Path("cache.h5"), seed=0)
