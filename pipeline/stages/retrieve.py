"""Retrieve published files: download and check them, or take them from a folder."""

from pathlib import Path
from typing import Annotated

from pipeline.config.published import Published
from pipeline.io.atomic import replacing_folder
from pipeline.pretrained import download
from pipeline.stages import Output, execute


def retrieve(
    *,
    artefact: Published,
    offline: Annotated[Path | None, "folder that holds one folder of files per artefact"] = None,
    unverified: Annotated[bool, "accept files without a known SHA-256"] = False,
    files: Annotated[Output, "folder of the files"],
) -> None:
    """Retrieve; what a failed attempt has downloaded waits for the next."""
    with replacing_folder(files, resumed=True) as folder:
        download.retrieve(artefact, folder, offline, unverified)


if __name__ == "__main__":
    execute(retrieve)
