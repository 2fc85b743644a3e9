"""The options of stages that compute: where, in how much memory, and how often they save
themselves.
"""

from typing import Annotated

from pipeline.hardware import devices
from pipeline.observations import MEMORY_MB as MEMORY_MB
from pipeline.stages import Lower, Parsed, Running
from pipeline.training import resume

Device = Annotated[str, Parsed(devices.claim), devices.HELP]
SaveEvery = Annotated[int | None, resume.HELP, Running()]
"""In steps."""
CacheMemory = Annotated[
    int,
    f"megabytes of decoded observations held in memory (default: {MEMORY_MB})",
    Lower("hardware.cache_memory_mb"),
    Running(),
]
