"""What is refused before anything is loaded to be trained on."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.config.schema import EnvironmentConfig, MethodConfig
from pipeline.errors import PipelineError
from pipeline.training import preparation


def test_a_seed_that_could_not_be_played() -> None:
    game = EnvironmentConfig(family="catch", game="Catch", random_score=0, reference_score=1)
    nothing: Any = None
    with pytest.raises(PipelineError, match=r"^seed 20240501: .*environments take 0 to 2,147,483"):
        preparation.prepare(
            MethodConfig(method="behaviour_cloning"), game, nothing, Path(), seed=20_240_501
        )
