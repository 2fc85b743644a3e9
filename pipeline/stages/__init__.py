"""One command per rule, `python -m pipeline.stages.<rule>`: parse → load → call → write.

No logic lives here.
"""

import argparse
import sys
from collections.abc import Callable

from pipeline.errors import PipelineError


def command(doc: str | None) -> argparse.ArgumentParser:
    """An argument parser whose `--help` opens with the docstring and which knows `--threads`."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--threads", type=int, default=1, help="threads of torch and the codecs (default: 1)"
    )
    return parser


def execute(main: Callable[[], None]) -> None:
    """Run a stage; a PipelineError becomes one line on standard error and exit status 1."""
    try:
        main()
    except PipelineError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
