"""Retrieve published files: retries, resumed downloads, a mirror and checksums, or a folder of
files that somebody has put there.

A `Published` enters; a folder with its files leaves, each of the size and SHA-256 that
`config/artefacts.csv` demands. A file without a known checksum is refused unless the configuration
accepts it.
"""

import hashlib
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import requests
from tqdm import tqdm

from pipeline.config.published import Published, PublishedFile
from pipeline.errors import PipelineError

BLOCK = 1 << 16
LENGTH = re.compile(r"[0-9]{1,18}")
"""What a server may say of a length; anything else says nothing."""
LARGEST = 1 << 35
"""Bytes of a file of which nobody says how large it is."""
GONE = (401, 403, 404, 410)
"""Answers after which the same address is not asked again."""


@dataclass(frozen=True)
class Patience:
    """How long to try."""

    attempts: int = 5
    """Per address."""
    pause: float = 2.0
    """Seconds before the second attempt; doubled before each further one."""
    timeout: float = 60.0
    """Seconds without a byte after which an attempt has failed."""


def retrieve(
    artefact: Published,
    folder: Path,
    offline: Path | None = None,
    unverified: bool = False,
    patience: Patience | None = None,
) -> None:
    """Put every file of `artefact` into `folder`, which may hold some of them already.

    Args:
        offline: a folder with one folder per artefact; nothing is downloaded then.
        unverified: whether files without a known SHA-256 are accepted.

    Raises:
        PipelineError: naming the file, what was expected and what to do; before any download where
            a file cannot be verified.
    """
    if artefact.unverified and not unverified:
        raise PipelineError(
            f"{artefact.name}: {', '.join(artefact.unverified)}: config/artefacts.csv has no "
            "SHA-256 for it, so nothing can tell a wrong file; enter the checksum there, or accept "
            f"what comes with `unverified_artefacts: [{artefact.name}]` in the configuration"
        )
    here = sum(each.stat().st_size for each in folder.iterdir() if each.is_file())
    needed = sum(file.bytes or 0 for file in artefact.files) - here  # of an earlier attempt
    if needed > (free := shutil.disk_usage(folder).free):
        raise PipelineError(
            f"{folder}: {artefact.name} needs {needed:,} bytes more, {free:,} are free"
        )
    for file in artefact.files:
        target = folder / file.file
        if offline is not None:
            _copy(artefact, file, offline / artefact.name / file.file, target)
        elif file.sha256 is None or not target.is_file() or _fault(file, target):
            _download(artefact, file, target, patience or Patience())
        if file.sha256 is None:
            print(f"{target.name}: SHA-256 {_sha256(target)}, accepted unverified")
    for other in {*folder.iterdir()} - {folder / file.file for file in artefact.files}:
        if other.is_file():
            other.unlink()  # a part of another address, or what an earlier attempt was told of


def _copy(artefact: Published, file: PublishedFile, source: Path, target: Path) -> None:
    """Take a file that somebody has brought."""
    fault = _fault(file, source) if source.is_file() else "missing"
    if fault:
        raise PipelineError(
            f"{source}: {fault}; expected {file.expected}; put the file of {artefact.name} "
            f"there (from {file.url}), or remove artefacts_dir from the configuration to download"
        )
    shutil.copyfile(source, target)


def _download(artefact: Published, file: PublishedFile, target: Path, patience: Patience) -> None:
    """Try the address, then the mirror; a part of an earlier attempt is gone on with."""
    causes = []
    for url in filter(None, (file.url, file.mirror)):
        # named after what it is a part of, so that a part of something else is never gone on with
        identity = hashlib.sha256(f"{url} {file.sha256}".encode()).hexdigest()
        part = target.with_name(f"{target.name}.{identity[:12]}.part")
        for cause in _attempts(file, url, part, patience):
            if cause is None:
                part.replace(target)
                return
            causes.append(f"{url}: {cause}")
            print(causes[-1])
    raise PipelineError(
        f"{artefact.name}: {file.file} cannot be had ({'; '.join(dict.fromkeys(causes))}); "
        f"expected {file.expected}; run again to go on where it stopped, correct "
        "config/artefacts.csv, or bring the file and name its folder as artefacts_dir"
    )


def _attempts(
    file: PublishedFile, url: str, part: Path, patience: Patience
) -> Iterator[str | None]:
    """What was wrong with each attempt; None, and the end, when the file is whole."""
    for attempt in range(patience.attempts):
        if attempt:
            time.sleep(patience.pause * 2 ** (attempt - 1))
        try:
            gone = _append(file, url, part, patience.timeout)
        except requests.RequestException as error:
            yield f"{type(error).__name__}: {error}"
            continue
        if gone:
            yield gone
            return
        cause = _fault(file, part)
        if cause and part.stat().st_size >= (file.bytes or 0):
            part.unlink()  # whole and wrong: nothing to go on with
        yield cause
        if cause is None:
            return


def _append(file: PublishedFile, url: str, part: Path, timeout: float) -> str | None:
    """Download what `part` still lacks; returns why there is no use in asking again.

    Raises requests.RequestException where asking again may help.
    """
    start = part.stat().st_size if part.is_file() else 0
    # Without compression, in which a range is of another file.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with requests.get(url, headers=headers, stream=True, timeout=(10, timeout)) as answer:
        if answer.status_code in GONE:
            return f"HTTP {answer.status_code}"
        if answer.status_code == 416:  # nothing left to send, or the part is too long
            if file.bytes != start and file.sha256 != _sha256(part):
                part.unlink()
                raise requests.ConnectionError("the server has less than was downloaded before")
            return None
        answer.raise_for_status()
        resumed = answer.status_code == 206
        start = start if resumed else 0
        length = answer.headers.get("Content-Length", "")
        total = start + int(length) if LENGTH.fullmatch(length) else None
        if total is not None and file.bytes not in (None, total):
            return f"{total:,} bytes are offered, {file.bytes:,} expected"
        with (
            part.open("ab" if resumed else "wb") as output,
            tqdm(total=total, initial=start, desc=file.file, unit="B", unit_scale=True) as bar,
        ):
            most = next(size for size in (file.bytes, total, LARGEST) if size is not None)
            for block in answer.iter_content(BLOCK):
                if output.tell() + len(block) > most:
                    output.truncate(0)
                    return f"more than the {most:,} bytes expected are sent"
                bar.update(output.write(block))
        if total is not None and part.stat().st_size != total:
            raise requests.ConnectionError(f"{part.stat().st_size:,} of {total:,} bytes came")
    return None


def _fault(file: PublishedFile, path: Path) -> str | None:
    """How a file differs from what is expected; None if it does not."""
    size = path.stat().st_size
    if file.bytes not in (None, size):
        return f"{size:,} bytes, not {file.bytes:,}"
    if file.sha256 is not None and (found := _sha256(path)) != file.sha256:
        return f"SHA-256 is {found}"
    return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
