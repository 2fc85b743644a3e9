"""One command per rule, `python -m pipeline.stages.<rule>`: parse → load → call → write.

No logic lives here. A stage is a function of its module's name; its signature is the command line,
and what the records beside its outputs say (`pipeline.provenance.record`).
"""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from io import TextIOWrapper

from pipeline.stages import _failure

# isort: split
# What follows loads libraries, and how that goes is watched from here on.
from pipeline.io import memory
from pipeline.provenance import record
from pipeline.stages._signature import (
    GivenInput,
    Identity,
    Input,
    Inputs,
    Lower,
    Output,
    OwnShard,
    Parsed,
    Positional,
    Reads,
    Running,
    Shards,
    Stage,
    call,
    job_of,
    lowered,
    parser_of,
)

__all__ = [
    "GivenInput",
    "Identity",
    "Input",
    "Inputs",
    "Lower",
    "Output",
    "OwnShard",
    "Parsed",
    "Positional",
    "Reads",
    "Running",
    "Shards",
    "execute",
]


LEAST_TO_COMPUTE = 1 << 28
"""Bytes without which libraries fail as torch begins to compute, some by a signal."""


def execute(stage: Stage, words: Sequence[str] | None = None) -> None:
    """Run a stage on inputs that are as their records say, and record what it wrote.

    `words` are its command line, by default this process's. A PipelineError, what the system says
    of a file, and memory that has ended become one line on standard error and exit status 1.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # whatever the locale cannot print is escaped
            stream.reconfigure(errors="backslashreplace")
    try:
        told = vars(parser_of(stage).parse_args(words))
        started = datetime.now(UTC)
        if torch := sys.modules.get("torch"):  # of a stage that computes with it
            memory.require(LEAST_TO_COMPUTE, stage.__name__)
            torch.set_num_threads(told["threads"])
        job = job_of(stage, _module_of(stage), told)
        for _, path, _ in job.inputs:
            record.verify(path)
        call(stage, {**told, "identity": lambda: record.identity(job)})
        record.write(job, started)
    except Exception as error:
        _failure.stop(error, stage.__name__, [*lowered(stage)])


def _module_of(stage: Stage) -> str:
    """The name of a stage's module, also where it runs as `__main__`."""
    spec = sys.modules[stage.__module__].__spec__
    return spec.name if spec else stage.__module__
