"""The options of stages that compute: where, and how often they save themselves."""

from typing import Annotated

from pipeline.hardware import devices
from pipeline.stages import Parsed
from pipeline.training import resume

Device = Annotated[str, Parsed(devices.claim), devices.HELP]
SaveEvery = Annotated[int | None, resume.HELP]
"""In steps."""
