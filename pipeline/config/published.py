"""Published files that this pipeline can begin with: names, addresses, checksums and licences,
read from `config/artefacts.csv`, a row per file.

The driver imports this: no torch. `pipeline.pretrained.download` retrieves the files.
"""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from pipeline.config.schema import Section
from pipeline.config.section import validate
from pipeline.errors import PipelineError
from pipeline.io.reading import utf8_text

LONGEST = 1 << 20
"""Bytes of the table."""
COLUMNS = (
    *("artefact", "repository", "revision", "file", "url", "mirror", "sha256", "bytes", "licence"),
)


class PublishedFile(Section):
    """One row: a file, and how to tell that it is the right one."""

    file: str = Field(
        max_length=80,
        pattern=r"^\w[\w.-]*$",
        description="name of the file in its artefact's folder",
    )
    repository: str = Field(min_length=1, description="where it was published")
    revision: str | None = Field(None, description="commit of the repository")
    url: str = Field(pattern=r"^https?://\S+$")
    mirror: str | None = Field(
        None, pattern=r"^https?://\S+$", description="second address, tried if the first fails"
    )
    sha256: str | None = Field(
        None, pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the file; empty: not known"
    )
    bytes: int | None = Field(None, ge=1)
    licence: str = Field(min_length=1)

    @field_validator("*", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        return None if value == "" else value

    @property
    def expected(self) -> str:
        """What the file must be, for people."""
        size = "size unknown" if self.bytes is None else f"{self.bytes:,} bytes"
        return f"{size}, {f'SHA-256 {self.sha256}' if self.sha256 else 'no known SHA-256'}"


class Published(Section):
    """Files that belong together: a model's weights with its vocabulary."""

    name: str = Field(max_length=80, pattern=r"^\w+$")
    files: list[PublishedFile] = Field(min_length=1)

    @property
    def unverified(self) -> list[str]:
        """Files that no checksum protects."""
        return [file.file for file in self.files if file.sha256 is None]


def read(path: Path) -> dict[str, Published]:
    """The artefacts of a CSV file with COLUMNS, by name; none if there is no such file.

    Raises PipelineError naming the file, the line and the cause.
    """
    if not path.exists():
        return {}
    files: dict[str, list[PublishedFile]] = {}
    for line, row in _rows(path):
        where = f"{path.parent.name}/{path.name}, line {line}"
        name = row.pop("artefact")
        file = validate(PublishedFile, row, where)
        if file.file in (other.file for other in files.setdefault(name, [])):
            raise PipelineError(f"{where}: {name} has {file.file} twice; remove one")
        files[name].append(file)
    return {
        name: validate(Published, {"name": name, "files": rows}, f"{path.name}: {name}")
        for name, rows in files.items()
    }


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """The lines of the file with their numbers; PipelineError for another head or length."""
    shown = f"{path.parent.name}/{path.name}"
    text = utf8_text(path, "one row per file is expected", LONGEST, shown)
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise PipelineError(
                f"{shown}: columns are {', '.join(reader.fieldnames or [])}; "
                f"expected {', '.join(COLUMNS)}"
            )
        for row in reader:
            if None in row or None in row.values():
                raise PipelineError(
                    f"{shown}, line {reader.line_num}: "
                    f"expected {len(COLUMNS)} values, one for each column"
                )
            yield reader.line_num, row
    except csv.Error as error:
        raise PipelineError(f"{shown}, line {reader.line_num + 1}: {error}; correct it") from None
