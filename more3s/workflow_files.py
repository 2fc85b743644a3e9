"""The workflow's files: beside the packages in a clone, inside this one where a wheel is installed.

    more3s init DIR

copies them into a folder, and the package `pipeline` with them: its stages run the code beside the
Snakefile, which can then be read, changed and added to as in a clone.
"""

import shutil
from pathlib import Path

import pipeline
from pipeline.errors import PipelineError

NAMES = ("Snakefile", "rules", "config", "envs", "profiles", "report", "resources")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "d4rl", "dqn_replay", "minari")
"""Caches, and data that users have put into `resources/`, as in setup.py."""


def folder() -> Path:
    """Where the workflow's files are."""
    inside = Path(__file__).parent / "workflow"
    return inside if inside.is_dir() else Path(__file__).parents[1]


def init(target: Path) -> None:
    """Copy the workflow into the folder `target`, which is made if there is none.

    Raises PipelineError where something of it is there already, or cannot be copied.
    """
    sources = [*(folder() / name for name in NAMES), Path(pipeline.__file__).parent]
    if missing := [source for source in sources if not source.exists()]:
        raise PipelineError(f"{missing[0]}: missing; install the package again, or clone it")
    if found := [source.name for source in sources if (target / source.name).exists()]:
        raise PipelineError(f"{target / found[0]}: exists already; name another folder")
    try:
        target.mkdir(parents=True, exist_ok=True)
        for source in sources:
            if source.is_dir():
                shutil.copytree(source, target / source.name, ignore=LEFT_OUT)
            else:
                shutil.copy(source, target)
    except OSError as error:
        raise PipelineError(f"{target}: {error.strerror}; name another folder") from None
