"""The toy workflow, run once in a copy of the project, for all tests of this folder."""

from pathlib import Path

import pytest
from toy_project import copy_project, snakemake


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which everything has been run."""
    folder = tmp_path_factory.mktemp("project")
    copy_project(folder)
    done = snakemake(folder, "--configfile", "config/toy.yaml")
    if done.returncode != 0:
        pytest.fail(done.stdout, pytrace=False)
    return folder


@pytest.fixture(scope="session")
def report(project: Path) -> Path:
    """The report of that run."""
    done = snakemake(project, "--report", "report.html", "--configfile", "config/toy.yaml")
    assert done.returncode == 0, done.stdout
    return project / "report.html"
