"""Stages that run in a process of their own, to be disturbed there."""

import os
import resource
import signal
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from threading import RLock

from events import Events
from tqdm import tqdm

from pipeline.stages import execute
from pipeline.stages._signature import Stage

LONGEST = 900
"""Seconds after which a stage is ended as stuck; beside other work it takes minutes."""


@dataclass(frozen=True)
class Job:
    """A stage with its command line; outputs go to a folder of choice."""

    stage: Stage
    options: dict[str, str]
    outputs: dict[str, str]
    """Option → name of the file or folder."""

    def words(self, folder: Path) -> list[str]:
        """The command line."""
        given = {**self.options, **{k: str(folder / v) for k, v in self.outputs.items()}}
        return [word for name, value in given.items() for word in (_flag(name), value)]

    def start(
        self,
        folder: Path,
        log: Path | None = None,
        file_size: int | None = None,
        fatal: int | None = None,
        memory: int | None = None,
    ) -> int:
        """Run in a fork of this process, which has imported all that is slow; returns its id.

        With `file_size` the system lets no file grow beyond so many bytes; with `memory` it gives
        so many bytes more than there are at the start. With `fatal` it is killed at the event of
        that number, and one of 0 never comes: their number is then the last line of the log.
        """
        process = os.fork()
        if process:
            return process
        try:
            signal.alarm(LONGEST)
            tqdm.set_lock(RLock())  # the usual one is shared by forks: a kill may leave it held
            file = (log or folder / "log").open("w", buffering=1)
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            sys.stdout = sys.stderr = file  # else pytest's
            if file_size is not None:
                sys.dont_write_bytecode = True  # Python would keep what it could write of a module
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # an error number instead
                resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
            if memory is not None:
                limit = used() + memory
                resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
            events = None if fatal is None else Events(fatal)
            execute(self.stage, self.words(folder))
            if events is not None:
                print(events.count, flush=True)
        except BaseException as error:
            code = error.code if isinstance(error, SystemExit) else 70
            if code == 70:
                traceback.print_exc()
            sys.stderr.flush()
            os._exit(int(code or 0))
        os._exit(0)

    def refused(
        self, folder: Path, log: Path, file_size: int | None = None, memory: int | None = None
    ) -> str:
        """Run, and see it fail with one line, which is returned without `error: `."""
        _, status = os.waitpid(self.start(folder, log, file_size, memory=memory), 0)
        said = log.read_text()
        assert os.waitstatus_to_exitcode(status) == 1, said
        assert "Traceback" not in said, said
        errors = [line for line in said.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1, said
        return errors[0].removeprefix("error: ")

    def run(self, folder: Path) -> int:
        """Run to the end; returns how many events there were."""
        _, status = os.waitpid(self.start(folder, fatal=0), 0)
        said = (folder / "log").read_text()
        assert os.waitstatus_to_exitcode(status) == 0, said
        return int(said.split()[-1])

    def kill(self, folder: Path, event: int) -> bool:
        """Run, and be killed at an event; whether there were so many."""
        _, status = os.waitpid(self.start(folder, fatal=event), 0)
        assert os.WIFSIGNALED(status) or not status, (folder / "log").read_text()
        return os.WIFSIGNALED(status)


def used() -> int:
    """Bytes of this process's address space, on Linux."""
    pages = Path("/proc/self/statm").read_text().split()[0]
    return int(pages) * resource.getpagesize()


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def contents(folder: Path, names: list[str]) -> dict[str, bytes]:
    """Every file of the outputs that are there."""
    found = {}
    for name in names:
        path = folder / name
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        found |= {str(f.relative_to(folder)): f.read_bytes() for f in files if f.is_file()}
    return found


@dataclass(frozen=True)
class Trial:
    """A job that is to be disturbed in `folder`, and what it does when it is not."""

    job: Job
    folder: Path
    events: int
    expected: dict[str, bytes]
    files: set[str]
    """Names of all that lies in its folder in the end."""

    @classmethod
    def of(cls, job: Job, tmp_path: Path) -> "Trial":
        undisturbed, folder = tmp_path / "undisturbed", tmp_path / "killed"
        undisturbed.mkdir()
        folder.mkdir()
        events = job.run(undisturbed)
        expected = contents(undisturbed, list(job.outputs.values()))
        assert expected
        return cls(job, folder, events, expected, {path.name for path in undisturbed.iterdir()})

    def found(self) -> dict[str, bytes]:
        """The outputs that are there now."""
        return contents(self.folder, list(self.job.outputs.values()))

    def ends_alike(self) -> None:
        """Run it to its end."""
        self.job.run(self.folder)
        assert self.found() == self.expected
        left = {path.name for path in self.folder.iterdir()} - self.files
        assert not left, "what a kill left was not cleared"
