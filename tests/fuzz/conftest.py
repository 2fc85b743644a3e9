"""How many inputs were tried, over all processes that tests are shared out to."""

from typing import Any

import pytest
import trying

LEAST = 10_000
"""Inputs of a whole run."""
_elsewhere: list[int] = []


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the process that shares out the tests; or, here, refuse a whole run of too few."""
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        output["tried"] = trying.tried
    elif trying.TIMES > 1 and total() < LEAST and not session.exitstatus:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A process has ended."""
    _elsewhere.append(node.workeroutput.get("tried", 0) if hasattr(node, "workeroutput") else 0)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say it."""
    terminalreporter.write_line(f"{total():,} bad inputs tried")


def total() -> int:
    """Inputs of all processes."""
    return trying.tried + sum(_elsewhere)
