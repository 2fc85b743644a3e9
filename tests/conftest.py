"""How tests are shared out between processes, and what none leaves behind for the next."""

import sys
from pathlib import Path

import pytest

WORKFLOW = Path(__file__).parent / "workflow"
SLOWEST = (WORKFLOW, Path(__file__).parent / "faults")
"""Folders whose tests begin first: if a long group begins last, one process waits for the other."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a file's tests in one process, and all of the workflow's, so that it runs once."""
    for item in items:
        together = item.path
        if item.path.is_relative_to(WORKFLOW):
            together = WORKFLOW
            item.add_marker(pytest.mark.workflow)
        item.add_marker(pytest.mark.xdist_group(str(together)))
    items.sort(key=lambda item: [*map(item.path.is_relative_to, SLOWEST)], reverse=True)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """A stage that a test calls sets its threads for the whole process. On busy processors small
    tensors take ten times as long with two of them.
    """
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Not every pytest fits every xdist: groups are lost without a word, and all runs twice."""
    grouped = session.config.getoption("loadgroup", default=False)
    if grouped and any("@" not in item.nodeid for item in session.items):
        raise pytest.UsageError("xdist does not group tests with this release of pytest")
