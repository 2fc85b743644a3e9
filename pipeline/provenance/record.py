"""A record beside every artefact: `<artefact>.provenance.json` says what made it, from what.

A record may hold times and the kind of machine; the artefact itself never does, so that the same
settings give the same bytes. Paths are recorded as the stage was given them, contents by SHA-256.
"""

import hashlib
import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic_core import to_jsonable_python

from pipeline.config.schema import EnvironmentConfig, Section
from pipeline.errors import PipelineError
from pipeline.hardware import host
from pipeline.io.atomic import replacing
from pipeline.provenance import source_digest
from pipeline.provenance.checksum import Content, checks_itself, measure, size_and_time

SUFFIX = ".provenance.json"
DISTRIBUTIONS = (
    *("ale-py", "av", "gymnasium", "h5py", "hdf5plugin", "minari", "mujoco", "numpy", "pandas"),
    *("safetensors", "scipy", "snakemake", "tokenizers", "torch", "transformers"),
)
"""Whose versions are recorded where they are installed."""


class Input(Content):
    """What a stage read."""

    option: str
    given: bool
    """True for data that no stage makes, such as a recording."""


class Code(Section):
    """The first-party modules that ran, blind to comments and layout."""

    sha256: str
    modules: list[str]


class Record(Section):
    """The content of a sidecar."""

    stage: str
    output: Content
    inputs: list[Input]
    settings: dict[str, Any]
    """Every other option: sections of the configuration with all their keys, plain values."""
    seeds: dict[str, Any]
    """Those of the settings that are seeds, by their dotted keys."""
    code: Code
    versions: dict[str, str]
    environment: dict[str, str] | None
    """The emulator's version and the ROM's SHA-256, for a stage that is told an environment."""
    started: str
    """UTC, ISO 8601."""
    seconds: float
    """Wall time of the stage, without the imports before it."""
    host: dict[str, Any]


@dataclass(frozen=True)
class Job:
    """What a stage was told to do."""

    module: str
    """That was run, such as `pipeline.stages.train_policy`."""
    settings: Mapping[str, Any]
    inputs: Sequence[tuple[str, Path, bool]]
    """Option, path, whether it is given data."""
    outputs: Sequence[Path]


def write(job: Job, started: datetime) -> None:
    """Write the record of every output of a stage that has succeeded, each whole or not at all."""
    if not job.outputs:
        return
    seconds = (datetime.now(UTC) - started).total_seconds()
    modules = sorted(
        source_digest.loaded_modules() | {job.module}
    )  # before this imports any itself
    settings = to_jsonable_python(dict(job.settings))
    inputs = [
        Input(**_settled(path).model_dump(), option=option, given=given)
        for option, path, given in job.inputs
    ]
    for path in job.outputs:
        record = Record(
            stage=job.module.rpartition(".")[2],
            output=measure(path),
            inputs=inputs,
            settings=settings,
            seeds=dict(_seeds(settings)),
            code=Code(sha256=source_digest.code_digest(modules), modules=modules),
            versions={
                "python": platform.python_version(),
                **source_digest.versions(*DISTRIBUTIONS),
            },
            environment=_environment(job.settings),
            started=started.isoformat(timespec="seconds"),
            seconds=round(seconds, 3),
            host=host.describe(),
        )
        _save(record, path)


def identity(job: Job) -> str:
    """SHA-256 of all that a job's outputs depend on: settings, what the inputs hold, and code."""
    depends_on = {
        "settings": to_jsonable_python(dict(job.settings)),
        "inputs": [[option, _settled(path).sha256] for option, path, _ in job.inputs],
        "code": source_digest.code_digest(source_digest.loaded_modules() | {job.module}),
        "versions": source_digest.versions(*DISTRIBUTIONS),
    }
    return hashlib.sha256(json.dumps(depends_on, sort_keys=True).encode()).hexdigest()


def verify(path: Path) -> None:
    """Raise PipelineError if an artefact is not what its record says that was written.

    One without a record cannot be judged, and one whose blocks have checksums is when it is read.
    """
    if not sidecar(path).exists() or not path.exists() or checks_itself(path):
        return
    record = read(path)
    if measure(path).sha256 != record.output.sha256:
        raise PipelineError(
            f"{path}: damaged, or changed since {record.stage} wrote it (its SHA-256 is not that "
            f"of {sidecar(path).name}); {remake(path)}"
        )


def read(path: Path) -> Record:
    """The record of an artefact; PipelineError if it has none, or one that cannot be read."""
    place = sidecar(path)
    try:
        return Record.from_json(place.read_text(encoding="utf-8"))
    except FileNotFoundError:
        cause = "no record of how it was made"
        raise PipelineError(f"{path}: {cause} ({place.name} is missing); {remake(path)}") from None
    except (OSError, UnicodeDecodeError, PipelineError) as error:
        raise PipelineError(f"{place}: not a record ({error}); {remake(path)}") from None


def remake(path: Path) -> str:
    """The cure for an artefact that is not as its record says, or that has none."""
    return f"make it again: snakemake --force {path}"


def sidecar(path: Path) -> Path:
    """Where the record of an artefact lies."""
    return path.with_name(path.name + SUFFIX)


def content(path: Path) -> Content:
    """What a file or folder holds now.

    Its own record is believed where size and time of change still agree, so that a large file is
    hashed once, by the stage that wrote it. Raises PipelineError if there is nothing.
    """
    try:
        known = read(path).output
    except PipelineError:
        return measure(path)
    if (known.bytes, known.mtime_ns) == size_and_time(path):
        return known.model_copy(update={"path": str(path)})
    return measure(path)


def _settled(path: Path) -> Content:
    """`content`; and if only the time has changed, the artefact's own record learns the new one.

    Snakemake touches what a job has made, so that otherwise every reader would hash the file again.
    """
    now = content(path)
    with suppress(PipelineError):  # no record, or one that may not be written
        record = read(path)
        if record.output.sha256 == now.sha256 and record.output.mtime_ns != now.mtime_ns:
            output = record.output.model_copy(update={"mtime_ns": now.mtime_ns})
            _save(record.model_copy(update={"output": output}), path)
    return now


def _save(record: Record, path: Path) -> None:
    place, text = sidecar(path), record.model_dump_json(indent=1) + "\n"
    try:
        with replacing(place) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise PipelineError(f"{place}: cannot be written ({error.strerror})") from None


def _seeds(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from _seeds(value, f"{prefix}{key}.")
        elif key in ("seed", "seeds") or key.endswith("_seed"):
            yield prefix + key, value


def _environment(settings: Mapping[str, Any]) -> dict[str, str] | None:
    from pipeline import environments  # here: its code is not what the stage ran

    for section in settings.values():
        if isinstance(section, EnvironmentConfig):
            return environments.identify(section)
    return None
