"""The command `more3s`: what a person does beside Snakemake."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from more3s import tensorboard, workflow_files
from pipeline.errors import PipelineError


def command(arguments: Sequence[str] | None = None) -> None:
    """Run `init`, `tensorboard`, `export` or `record`. A PipelineError, and what the system says of
    a file, is one line and exit status 1.
    """
    parser = argparse.ArgumentParser(prog="more3s", description="MORE-3S, beside Snakemake.")
    commands = parser.add_subparsers(required=True, metavar="command", dest="name")
    init = commands.add_parser("init", help="copy the workflow into a folder")
    init.add_argument("folder", type=Path)
    events = commands.add_parser("tensorboard", help="write curves of trainings for TensorBoard")
    events.add_argument("runs", type=Path, help="results/runs, or a folder below it")
    events.add_argument("folder", type=Path, help="where to write")
    step = commands.add_parser("export", help="write a policy's acting step as ONNX")
    step.add_argument("bundle", type=Path, help="results/bundles/<dataset>/<method>")
    step.add_argument("file", type=Path, help="what to write: .onnx, or .pt2 for torch.export.load")
    play = commands.add_parser("record", help="record play of a policy, to train others on")
    play.add_argument("bundle", type=Path, help="results/bundles/<dataset>/<method>")
    play.add_argument("file", type=Path, help="what to write: .npz")
    play.add_argument("--episodes", type=int, default=25, help="default: 25")
    play.add_argument("--first-seed", type=int, default=0, help="reset seed; default: 0")
    told = parser.parse_args(arguments)
    try:
        if told.name == "init":
            workflow_files.init(told.folder)
            next_step = f"cd {told.folder}\n  snakemake demo --cores all"
            print(f"The workflow is in {told.folder}. Next:\n  {next_step}")
        elif told.name == "export":
            from more3s.agent import load  # loads torch

            inputs = load(told.bundle).export(told.file)
            print(f"The acting step is in {told.file}. For one episode it takes:")
            print(*(f"  {name} {shape}" for name, shape in inputs.items()), sep="\n")
        elif told.name == "record":
            from more3s.recorder import record

            scores = record(told.bundle, told.file, told.episodes, told.first_seed)
            low, high, mean = min(scores), max(scores), sum(scores) / len(scores)
            print(f"{told.file}: {len(scores)} episodes, {low:g} to {high:g}, mean {mean:g}")
        else:
            count = tensorboard.write(told.runs, told.folder)
            print(f"{count} curves. Next:\n  tensorboard --logdir {told.folder}")
    except (PipelineError, OSError) as error:
        sys.exit(f"error: {error}")
