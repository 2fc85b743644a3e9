"""The toy project in a folder of its own: run Snakemake there, plan, edit, explain."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from warm import CLIENT, SOCKET

ROOT = Path(__file__).parents[2]
COPIED = ("Snakefile", "rules", "config", "pipeline", "envs", "profiles", "resources", "report")
METHODS = ("more3s", "decision_transformer", "behaviour_cloning")
SEEDS = 2
ABLATED = ("synonym_prompts", "pretrained_gpt_alone")
"""Variants of MORE-3S, of one seed each."""
RUNS = len(METHODS) * SEEDS + len(ABLATED)
CHOOSING = 1
"""Policies that no table has, which rules for actions are chosen with."""
EMPTY: Mapping[str, str] = MappingProxyType({})
TABLES = ("table1", "table5", "figure3")


def copy_project(folder: Path) -> None:
    """Copy what a run needs, without results, to `folder`."""
    for name in COPIED:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, folder / name)


def snakemake(
    folder: Path, *arguments: str, warm: Mapping[str, str] = EMPTY
) -> subprocess.CompletedProcess[str]:
    """Run Snakemake in `folder` on two cores; with `warm` its jobs are forks (`warm.listening`)."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **warm},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def planned(folder: Path, *targets: str, configfile: str = "config/toy.yaml") -> dict[str, int]:
    """Jobs that a run would start, by rule, except the aggregating target."""
    command = python("-m", "snakemake", "--cores", "2", "--dry-run", *targets)
    done = subprocess.run(
        [*command, "--configfile", configfile], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    table = done.stdout.partition("Job stats:")[2].partition("\n\n")[0]
    counts = dict(re.findall(r"^(\w+) +(\d+)$", table, flags=re.MULTILINE))
    return {rule: int(count) for rule, count in counts.items() if rule not in {"total", "all"}}


@contextmanager
def edited(path: Path, old: str, new: str) -> Iterator[None]:
    """Edit a file, and put it back as it was, modification time included."""
    before, times = path.read_text(), path.stat()
    assert old in before
    path.write_text(before.replace(old, new, 1))
    try:
        yield
    finally:
        path.write_text(before)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def explain(folder: Path, row: str, column: str) -> subprocess.CompletedProcess[str]:
    """Run `explain` on the table, in the folder of the project."""
    command = python("-m", "pipeline.stages.explain", "results/table1.csv", row, column)
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def python(*arguments: str) -> list[str]:
    """The command for `python …`, in a fork where a process listens (`warm.listening`)."""
    forks = [str(CLIENT)] if SOCKET in os.environ else []
    return [sys.executable, *(("-I", "-S") if forks else ()), *forks, *arguments]
