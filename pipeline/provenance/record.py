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
from pipeline.io.reading import Refused, reading
from pipeline.provenance import source_digest
from pipeline.provenance.checksum import Content, checked_digest, measure, own_digest, size_and_time

SUFFIX = ".provenance.json"
UNSEALED = "0" * 64
DISTRIBUTIONS = (
    *("ale-py", "av", "gymnasium", "h5py", "hdf5plugin", "minari", "mujoco", "numpy", "pandas"),
    "pillow",
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

    checksum: str = ""
    """SHA-256 of the text of the sidecar with UNSEALED in place of this."""
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
    running: Sequence[str] = ()
    """Those of the settings that make no difference to what the outputs hold."""


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
    settings = {name: job.settings[name] for name in job.settings if name not in job.running}
    depends_on = {
        "settings": to_jsonable_python(settings),
        "inputs": [[option, _settled(path).sha256] for option, path, _ in job.inputs],
        "code": source_digest.code_digest(source_digest.loaded_modules() | {job.module}),
        "versions": source_digest.versions(*DISTRIBUTIONS),
    }
    return hashlib.sha256(json.dumps(depends_on, sort_keys=True).encode()).hexdigest()


def verify(path: Path) -> None:
    """Raise PipelineError if an artefact is not what its record says that was written.

    One without a record cannot be judged. Of our HDF5 files the digest is compared that they hold,
    to which each block is held when it is read; everything else is read through.
    """
    if not sidecar(path).exists() or not path.exists():
        return
    record = read(path)
    if not _is_of(record, path):
        raise PipelineError(
            f"{sidecar(path)}: the record of {record.output.path}, not of {path}; {remake(path)}"
        )
    with reading(path):
        now = checked_digest(path) if record.output.digest else measure(path).sha256
    then = record.output.digest or record.output.sha256
    if now == then:
        return
    said = f"SHA-256 {now[:12]}, its record says {then[:12]}"
    if other := _another(path, now):
        raise PipelineError(
            f"{path}: holds what {other} holds, not what {record.stage} wrote here ({said}); "
            f"{remake(path)}"
        )
    raise PipelineError(
        f"{path}: damaged, or changed since {record.stage} wrote it ({said}); {remake(path)}"
    )


def read(path: Path) -> Record:
    """The record of an artefact; PipelineError if it has none, or one that cannot be read, is
    damaged, or was written before records had a checksum.
    """
    place = sidecar(path)
    try:
        with reading(place):
            text = place.read_text(encoding="utf-8")
        record = Record.from_json(text)
    except FileNotFoundError:
        cause = "no record of how it was made"
        raise PipelineError(f"{path}: {cause} ({place.name} is missing); {remake(path)}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise PipelineError(f"{place}: not a record ({error}); {remake(path)}") from None
    except Refused:
        raise
    except PipelineError as error:
        raise PipelineError(f"{place}: not a record ({error}); {remake(path)}") from None
    if not record.checksum:
        raise PipelineError(f"{place}: of an earlier version, without checksum; {remake(path)}")
    if record.checksum != _checksum(text.replace(record.checksum, UNSEALED, 1)):
        raise PipelineError(f"{place}: damaged (its checksum differs); {remake(path)}")
    return record


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
    same = (known.bytes, known.mtime_ns) == size_and_time(path)
    if same and (known.digest is None or known.digest == own_digest(path)):
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
    place, unsealed = sidecar(path), record.model_copy(update={"checksum": UNSEALED})
    text = unsealed.model_dump_json(indent=1) + "\n"
    try:
        with replacing(place) as temporary:
            sealed = text.replace(UNSEALED, _checksum(text), 1)
            temporary.write_text(sealed, encoding="utf-8")
    except OSError as error:
        raise PipelineError(f"{place}: cannot be written ({error.strerror})") from None


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _is_of(record: Record, path: Path) -> bool:
    """Whether a record is of what lies at `path`, perhaps in a project that was moved: the name
    must agree, and of a path that was given relative to the project all but its first folder.
    """
    recorded, given = Path(record.output.path), path
    if recorded.is_absolute():
        return recorded.name == given.name
    known = recorded.parts[1:] or recorded.parts
    length = min(len(known), len(given.parts))
    return known[-length:] == given.parts[-length:]


def _another(path: Path, digest: str) -> str | None:
    """The path of an artefact near `path` whose record says that it holds this."""
    beside = path.parent.glob(f"*{SUFFIX}")
    for place in (*beside, *path.parent.parent.glob(f"*/{path.name}{SUFFIX}")):
        with suppress(PipelineError):
            output = read(place.with_name(place.name.removesuffix(SUFFIX))).output
            if digest in (output.digest, output.sha256):
                return output.path
    return None


def _seeds(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from _seeds(value, f"{prefix}{key}.")
        elif key in ("seed", "seeds") or key.endswith("_seed"):
            yield prefix + key, value


def _environment(settings: Mapping[str, Any]) -> dict[str, str] | None:
    from pipeline import environments  # here: its code is not what the stage ran

    told: dict[str, dict[str, None]] = {}
    for section in settings.values():
        for each in section if isinstance(section, list | tuple) else [section]:
            if isinstance(each, EnvironmentConfig):
                for name, value in environments.identify(each).items():
                    told.setdefault(name, {})[value] = None
    return {name: ", ".join(values) for name, values in told.items()} or None
