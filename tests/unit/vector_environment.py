"""An environment with a state vector and continuous actions, for sources of such data."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline import environments
from pipeline.actions import ActionSpace
from pipeline.config import EnvironmentConfig

OBSERVATIONS, ACTIONS = 11, 3
CONFIG = EnvironmentConfig(family="catch", game="Hopper", random_score=-20, reference_score=3234)


class Vectors:
    actions = ActionSpace(("thigh", "leg", "foot"), True, 0, (-1.0,) * 3, (1.0,) * 3)

    def reset(self, seed: int, noops: int) -> None:
        pass

    def observation(self) -> NDArray[np.float32]:
        return np.zeros(OBSERVATIONS, np.float32)


@pytest.fixture
def vectors(monkeypatch: pytest.MonkeyPatch) -> EnvironmentConfig:
    """Its configuration, of whatever family: `environments.make` gives this one."""
    monkeypatch.setattr(environments, "make", lambda config: Vectors())
    return CONFIG
