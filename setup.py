"""The wheel brings the workflow's files, which `more3s init` lays into a folder."""

from pathlib import Path
from shutil import copy, copytree, ignore_patterns

from setuptools import setup
from setuptools.command.build_py import build_py

WORKFLOW = ("Snakefile", "rules", "config", "envs", "profiles", "report", "resources")
"""Beside the packages in a clone, in `more3s/workflow` in a wheel."""
DOWNLOADED = ignore_patterns("d4rl", "dqn_replay", "minari")
"""Data that users put into `resources/`, as in .gitignore."""


class BuildWithWorkflow(build_py):
    """Python files, and those of the workflow. An editable install has the latter anyway."""

    def run(self) -> None:
        """Copy both."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib, "more3s", "workflow")
        target.mkdir(parents=True, exist_ok=True)
        for name in WORKFLOW:
            source = Path(__file__).parent / name
            if source.is_dir():
                copytree(source, target / name, ignore=DOWNLOADED, dirs_exist_ok=True)
            else:
                copy(source, target / name)


setup(cmdclass={"build_py": BuildWithWorkflow})
