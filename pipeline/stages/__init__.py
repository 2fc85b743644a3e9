"""One command per rule, `python -m pipeline.stages.<rule>`: parse → load → call → write.

No logic lives here. A stage is a function of its module's name; its signature is the command line,
and what the records beside its outputs say (`pipeline.provenance.record`).
"""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from io import TextIOWrapper
from typing import NoReturn

from pipeline.errors import PipelineError
from pipeline.provenance import record
from pipeline.stages._signature import (
    GivenInput,
    Identity,
    Input,
    Inputs,
    Output,
    OwnShard,
    Parsed,
    Positional,
    Reads,
    Shards,
    Stage,
    call,
    job_of,
    parser_of,
)

__all__ = [
    "GivenInput",
    "Identity",
    "Input",
    "Inputs",
    "Output",
    "OwnShard",
    "Parsed",
    "Positional",
    "Reads",
    "Shards",
    "execute",
]


def execute(stage: Stage, words: Sequence[str] | None = None) -> None:
    """Run a stage on inputs that are as their records say, and record what it wrote.

    `words` are its command line, by default this process's. A PipelineError, and what the system
    says of a file, become one line on standard error and exit status 1.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # whatever the locale cannot print is escaped
            stream.reconfigure(errors="backslashreplace")
    try:
        told = vars(parser_of(stage).parse_args(words))
        started = datetime.now(UTC)
        if torch := sys.modules.get("torch"):  # of a stage that computes with it
            torch.set_num_threads(told["threads"])
        job = job_of(stage, _module_of(stage), told)
        for _, path, _ in job.inputs:
            record.verify(path)
        call(stage, {**told, "identity": lambda: record.identity(job)})
        record.write(job, started)
    except PipelineError as error:
        _stop(error)
    except OSError as error:
        _stop(
            PipelineError(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        )


def _stop(error: PipelineError) -> NoReturn:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(1)


def _module_of(stage: Stage) -> str:
    """The name of a stage's module, also where it runs as `__main__`."""
    spec = sys.modules[stage.__module__].__spec__
    return spec.name if spec else stage.__module__
