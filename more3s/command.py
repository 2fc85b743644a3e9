"""The command `more3s`: what a person does beside Snakemake."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from more3s import tensorboard, workflow_files
from pipeline.errors import PipelineError


def command(arguments: Sequence[str] | None = None) -> None:
    """Run `init` or `tensorboard`; a PipelineError is one line and exit status 1."""
    parser = argparse.ArgumentParser(prog="more3s", description="MORE-3S, beside Snakemake.")
    commands = parser.add_subparsers(required=True, metavar="command", dest="name")
    init = commands.add_parser("init", help="copy the workflow into a folder")
    init.add_argument("folder", type=Path)
    events = commands.add_parser("tensorboard", help="write curves of trainings for TensorBoard")
    events.add_argument("runs", type=Path, help="results/runs, or a folder below it")
    events.add_argument("folder", type=Path, help="where to write")
    told = parser.parse_args(arguments)
    try:
        if told.name == "init":
            workflow_files.init(told.folder)
            next_step = f"cd {told.folder}\n  snakemake demo --cores all"
            print(f"The workflow is in {told.folder}. Next:\n  {next_step}")
        else:
            count = tensorboard.write(told.runs, told.folder)
            print(f"{count} curves. Next:\n  tensorboard --logdir {told.folder}")
    except PipelineError as error:
        sys.exit(f"error: {error}")
