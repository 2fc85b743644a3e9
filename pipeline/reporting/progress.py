"""How far running jobs are, for the person at the terminal: the last that each has said in its log.

Jobs draw a progress bar into their logs, on whatever machine they run; here it is read again.
"""

import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import NamedTuple

EVERY = 20
"""Seconds between looks."""
SILENT = 120
"""Seconds after which a job that says nothing is no longer told of."""
TAIL = 4096
"""Bytes at a log's end in which a bar is looked for."""
BAR = re.compile(r"(\w[\w ]*): +(\d+)%\|[^|]*\| *\S+/\S+ \[[^<\]]*<([^,\]]*)")


class Progress(NamedTuple):
    """What one job has said."""

    job: str
    """Its log below the folder of logs, without the ending."""
    doing: str
    percent: int
    left: str
    """Time as the bar estimates it, `?` where it cannot."""


def running(logs: Path, now: float) -> Iterator[Progress]:
    """Jobs below the folder `logs` that have lately said how far they are, and are not done."""
    for path in sorted(logs.rglob("*.log")):
        try:
            if now - path.stat().st_mtime > SILENT:
                continue
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - TAIL))
                said = file.read().decode("utf-8", errors="ignore")
        except OSError:  # it has just been removed
            continue
        bars = BAR.findall(said)
        if bars and int(bars[-1][1]) < 100:
            doing, percent, left = bars[-1]
            job = path.relative_to(logs).with_suffix("").as_posix()
            yield Progress(job, doing.strip(), int(percent), left.strip())


def watch(logs: Path) -> None:
    """Tell on standard error, now and then, how far the jobs are, for as long as this process
    lives; only where a person sees it.
    """
    if sys.stderr.isatty():
        Thread(target=_tell, args=(logs,), daemon=True).start()


def _tell(logs: Path) -> None:
    told: list[Progress] = []
    while True:
        time.sleep(EVERY)
        now = list(running(logs, time.time()))
        if now and now != told:
            print("\n".join(map(line, now)), file=sys.stderr, flush=True)
        told = now


def line(progress: Progress) -> str:
    """A line for people."""
    left = "" if progress.left == "?" else f", {progress.left} left"
    return f"  {progress.job}: {progress.doing} {progress.percent} %{left}"
