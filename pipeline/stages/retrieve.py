"""Retrieve published files: download and check them, or take them from a folder."""

from argparse import Namespace
from pathlib import Path

from pipeline.config.published import Published
from pipeline.io.atomic import replacing_folder
from pipeline.pretrained.download import retrieve
from pipeline.stages import StageParser, execute

parser = StageParser(__doc__)
parser.sections(artefact=Published)
parser.add_argument("--offline", type=Path, help="folder with a folder of files per artefact")
parser.add_argument(
    "--unverified", action="store_true", help="accept files without a known SHA-256"
)
parser.outputs("output", help="folder of the files")


def main(arguments: Namespace) -> None:
    """Retrieve; what a failed attempt has downloaded waits for the next."""
    with replacing_folder(arguments.output, resumed=True) as folder:
        retrieve(arguments.artefact, folder, arguments.offline, arguments.unverified)


if __name__ == "__main__":
    execute(main, parser)
