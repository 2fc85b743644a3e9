"""The toy workflow, run once in a copy of the project, for all tests of this folder."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from toy_project import copy_project, snakemake
from warm import SOCKET, listening


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """What makes jobs forks of a process that has imported the libraries; plans are so already."""
    with listening(tmp_path_factory.mktemp("warm")) as environment:
        os.environ[SOCKET] = environment[SOCKET]
        yield environment
        del os.environ[SOCKET]


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory, warm: Mapping[str, str]) -> Path:
    """A copy of the project in which everything has been run."""
    folder = tmp_path_factory.mktemp("project")
    copy_project(folder)
    done = snakemake(folder, "--configfile", "config/toy.yaml", warm=warm)
    if done.returncode != 0:
        pytest.fail(done.stdout, pytrace=False)
    return folder


@pytest.fixture(scope="session")
def report(project: Path) -> Path:
    """The report of that run."""
    done = snakemake(project, "--report", "report.html", "--configfile", "config/toy.yaml")
    assert done.returncode == 0, done.stdout
    return project / "report.html"
