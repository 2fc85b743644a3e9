"""The robot that tests of published state vectors use."""

from pipeline.config import EnvironmentConfig

HOPPER = EnvironmentConfig(
    family="mujoco", game="Hopper", max_noops=0, random_score=-20.3, reference_score=3234.3
)
OBSERVATIONS, ACTIONS, POSITIONS = 11, 3, 6
