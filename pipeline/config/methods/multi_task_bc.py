"""Settings of multi-task behaviour cloning (`pipeline/methods/multi_task_bc.py`)."""

from typing import ClassVar

from pipeline.config.methods.behaviour_cloning import Settings as BehaviourCloningSettings


class Settings(BehaviourCloningSettings):
    """What can be varied of multi-task behaviour cloning."""

    observations: ClassVar[tuple[str, ...]] = ("pixels",)
    several_tasks: ClassVar[bool] = True
