"""Settings of behaviour cloning with a perceptron (`pipeline/methods/bc_mlp.py`)."""

from pipeline.config.methods._robots import RobotSettings


class Settings(RobotSettings):
    """What can be varied of it."""
