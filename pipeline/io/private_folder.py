"""A folder of one process beside a file that it makes: hidden, of a name that nobody can guess, and
open to its owner alone, so that no link can be planted in it.

Libraries write into it as they like, temporary files of their own included, and leave whatever
modes they choose; what leaves it has those that the umask gives. The name says whose it is, so that
the next attempt clears what a killed process has left, and nothing of one that still writes.
"""

import hashlib
import os
import platform
import secrets
import shutil
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

PREFIX = ".partial-"
NODE = f"{zlib.crc32(platform.node().encode(errors='surrogateescape')):08x}"
"""Of the machine: whether a process is still there can be asked on its own machine only."""
ABANDONED = 24 * 3600
"""Seconds without a change after which what another machine has left is cleared as well."""
_ours: set[str] = set()


class PrivateFolder:
    """Makes it; `remove` ends it."""

    def __init__(self, path: Path) -> None:
        """Make it beside `path`, whose folder exists."""
        name = f"{_beginning(path)}{NODE}-{os.getpid()}-{secrets.token_hex(4)}"
        _ours.add(name)
        self.folder = path.with_name(name)
        self.folder.mkdir(mode=0o700)  # of a name that is taken, be it by a link, an error
        self._file, self._folder = self._usual_modes()

    def permit(self, path: Path) -> None:
        """Give a file, or a folder with all in it, the mode of what a process makes by itself."""
        _change_mode(path, self._folder if path.is_dir() else self._file)
        for place, folders, files in os.walk(path):
            for name in folders:
                _change_mode(Path(place, name), self._folder)
            for name in files:
                _change_mode(Path(place, name), self._file)

    def remove(self) -> None:
        """Remove it with all that is still in it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        _ours.discard(self.folder.name)

    def _usual_modes(self) -> tuple[int, int]:
        """Of files and folders, tried: to read the umask is to change it for all threads."""
        file, folder = self.folder / "file", self.folder / "folder"
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        folder.mkdir()
        modes = file.stat().st_mode & 0o777, folder.stat().st_mode & 0o777
        file.unlink()
        folder.rmdir()
        return modes


def clear_left(path: Path) -> None:
    """Remove what attempts at `path` have left that were killed."""
    for folder in _of(path):
        if folder.name not in _ours and not (_runs(folder.name) and _changes(folder)):
            shutil.rmtree(folder, ignore_errors=True)


def _beginning(path: Path) -> str:
    """How the names of all private folders of `path` begin: short, however long its own is."""
    name = os.fsencode(path.name)
    return f"{PREFIX}{hashlib.sha256(name).hexdigest()[:12]}-"


def _of(path: Path) -> Iterator[Path]:
    beginning = _beginning(path)
    with suppress(FileNotFoundError), os.scandir(path.parent) as entries:
        for entry in entries:
            if entry.name.startswith(beginning):
                yield path.parent / entry.name


def _runs(name: str) -> bool:
    """Whether the process may still be there that made a private folder."""
    try:
        _, _, node, process, _ = name.split("-")
        if node != NODE:
            return True
        if int(process) == os.getpid():  # one that had the same number
            return False
        os.kill(int(process), 0)
    except PermissionError:
        return True
    except (ValueError, OverflowError, ProcessLookupError):  # or no name of ours
        return False
    return True


def _changes(folder: Path) -> bool:
    """Whether anything in it has changed of late, by the clock of its own file system."""
    with suppress(OSError):
        times = [each.stat().st_mtime for each in (folder, *folder.rglob("*"))]
        return folder.parent.stat().st_mtime - max(times) < ABANDONED
    return True


def _change_mode(path: Path, mode: int) -> None:
    if path.stat(follow_symlinks=False).st_mode & 0o777 != mode and not path.is_symlink():
        path.chmod(mode)
