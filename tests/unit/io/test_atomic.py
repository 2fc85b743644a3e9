"""Writing whole or not at all: modes, planted links, what kills leave, two processes on one target.

Processes wait for each other by pipes; nothing depends on the clock.
"""

import errno
import fcntl
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from safetensors.torch import save_file
from tokenizers import Tokenizer, models

from pipeline.errors import PipelineError
from pipeline.io import atomic
from pipeline.io.artefact import ArtefactWriter
from pipeline.io.atomic import replacing, replacing_folder
from pipeline.io.resumable import PartsWriter, Rows


def video(path: Path) -> None:
    with av.open(path, "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width = stream.height = 32
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


WRITERS: dict[str, Callable[[Path], object]] = {
    "x.safetensors": lambda path: save_file({"a": torch.ones(3)}, path),
    "x.json": lambda path: Tokenizer(models.BPE()).save(str(path)),
    "x.png": lambda path: Figure().savefig(path),
    "y.png": lambda path: Image.new("RGB", (3, 3)).save(path),
    "x.mp4": video,
    "x.csv": lambda path: path.write_text("a,b\n", encoding="utf-8"),
    "private.csv": lambda path: (path.touch(mode=0o600), path.chmod(0o600)),
    "open.csv": lambda path: (path.touch(), path.chmod(0o777)),
}


@pytest.fixture(params=[0o022, 0o027, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.parametrize("name", WRITERS)
def test_a_library_s_file_has_the_umask_s_mode(umask: int, name: str, tmp_path: Path) -> None:
    with replacing(tmp_path / name) as temporary:
        WRITERS[name](temporary)
    assert mode(tmp_path / name) == 0o666 & ~umask
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("resumed", [None, False, True])
def test_a_folder_s_files_have_it(umask: int, resumed: bool | None, tmp_path: Path) -> None:
    with replacing_folder(tmp_path / "out", resumed) as folder:
        (folder / "deep").mkdir(mode=0o700)
        for name, write in WRITERS.items():
            write(folder / "deep" / name)
    assert mode(tmp_path / "out") == mode(tmp_path / "out" / "deep") == 0o777 & ~umask
    modes = {mode(tmp_path / "out" / "deep" / name) for name in WRITERS}
    assert modes == {0o666 & ~umask}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_artefact_has_it(umask: int, tmp_path: Path) -> None:
    write_artefact(tmp_path / "x.h5")
    make_parts(tmp_path / "y.h5")
    assert {mode(tmp_path / name) for name in ("x.h5", "y.h5")} == {0o666 & ~umask}


def write_text(path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_text("new", encoding="utf-8")


def write_folder(path: Path) -> None:
    with replacing_folder(path) as folder:
        (folder / "file").write_text("new", encoding="utf-8")


def go_on_with_folder(path: Path) -> None:
    with replacing_folder(path, resumed=True) as folder:
        (folder / "file").write_text("new", encoding="utf-8")


def write_artefact(path: Path) -> None:
    with ArtefactWriter(path, "test", {}) as writer:
        writer.write("a", np.arange(5))


def make_parts(path: Path) -> None:
    with PartsWriter(path, "test", {}, "same") as writer:
        rows = lambda batch: Rows({"a": np.arange(3)})  # noqa: E731
        writer.run({"a": ((), np.int64)}, 2, lambda batch: batch, rows, lambda made: made, "test")


WAYS = {
    "file": write_text,
    "folder": write_folder,
    "resumed folder": go_on_with_folder,
    "artefact": write_artefact,
    "parts": make_parts,
}
GONE_ON_WITH = ("resumed folder", "parts")
"""What a later attempt goes on with is one process's at a time."""


@pytest.mark.parametrize("way", WAYS)
def test_a_planted_link_is_not_followed(way: str, tmp_path: Path) -> None:
    """At every name that can be foreseen, to a file and to a folder."""
    other, out = tmp_path / "other", tmp_path / "out"
    out.mkdir()
    other.mkdir()
    (other / "file").write_text("theirs", encoding="utf-8")
    for target in (other, other / "file", tmp_path / "nothing"):
        for name in (".partial.x", ".x.partial", ".x.lock", ".x.parts", ".partial-0-x", "x"):
            (out / name).unlink(missing_ok=True)
            (out / name).symlink_to(target)
        WAYS[way](out / "x")
        assert not (out / "x").is_symlink()
        assert (other / "file").read_text(encoding="utf-8") == "theirs"
        assert [path.name for path in other.iterdir()] == ["file"]
        assert not (tmp_path / "nothing").exists()
        atomic.remove(out / "x")


class Process:
    """A fork that stops where it is told to, until it is let go on."""

    def __init__(self, work: Callable[[Callable[[], None]], None]) -> None:
        reached, go_on = os.pipe(), os.pipe()
        self._reached, self._go_on = reached[0], go_on[1]

        def stop() -> None:
            os.write(reached[1], b".")
            os.read(go_on[0], 1)

        self.number = os.fork()
        if not self.number:
            code = 70
            try:
                work(stop)
                code = 0
            except PipelineError:
                code = 1
            finally:
                os._exit(code)
        os.close(reached[1])
        assert os.read(self._reached, 1) == b"."

    def end(self) -> int:
        os.write(self._go_on, b".")
        return os.waitstatus_to_exitcode(os.waitpid(self.number, 0)[1])

    def kill(self) -> None:
        os.kill(self.number, signal.SIGKILL)
        os.waitpid(self.number, 0)


@contextmanager
def stopping(way: str, path: Path, stop: Callable[[], None]) -> Iterator[None]:
    """One of WAYS, with a stop in the middle of writing."""
    ways: dict[str, Callable[[], AbstractContextManager[object]]] = {
        "file": lambda: replacing(path),
        "folder": lambda: replacing_folder(path),
        "resumed folder": lambda: replacing_folder(path, resumed=True),
        "artefact": lambda: ArtefactWriter(path, "test", {}),
        "parts": lambda: PartsWriter(path, "test", {}, "same"),
    }
    with ways[way]() as place:
        if isinstance(place, PartsWriter):
            made = lambda batch: (stop() if batch else None, Rows({"a": np.arange(3)}))[1]  # noqa: E731
            place.run({"a": ((), np.int64)}, 2, lambda batch: batch, made, lambda m: m, "test")
        elif isinstance(place, ArtefactWriter):
            place.create("a", (), np.int64)
            place.append("a", np.arange(2))
            stop()
            place.append("a", np.arange(2, 5))
        elif isinstance(place, Path):
            file = place / "file" if place.is_dir() else place
            file.write_text("ne", encoding="utf-8")
            stop()
            file.write_text("new", encoding="utf-8")
        yield


def started(way: str, path: Path) -> Process:
    def work(stop: Callable[[], None]) -> None:
        with stopping(way, path, stop):
            pass

    return Process(work)


def whole(way: str, path: Path) -> bytes:
    expected = path.with_name("expected")
    WAYS[way](expected)
    content = [(p / "file" if p.is_dir() else p).read_bytes() for p in (path, expected)]
    assert content[0] == content[1]
    atomic.remove(expected)
    return content[0]


@pytest.mark.parametrize("way", WAYS)
def test_of_two_on_one_target_one_wins(way: str, tmp_path: Path) -> None:
    """The second comes while the first is in the middle, and ends before it."""
    first = started(way, tmp_path / "x")
    if way in GONE_ON_WITH:
        with pytest.raises(PipelineError, match=r"x: another process is making it.*let that one"):
            WAYS[way](tmp_path / "x")
        assert not (tmp_path / "x").exists()
    else:
        WAYS[way](tmp_path / "x")
        whole(way, tmp_path / "x")
    assert first.end() == 0
    whole(way, tmp_path / "x")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("way", WAYS)
def test_two_in_the_middle_at_once(way: str, tmp_path: Path) -> None:
    """One whose writing is shared may not begin; of the others each ends, in either order."""
    first = started(way, tmp_path / "x")
    if way in GONE_ON_WITH:
        with pytest.raises(PipelineError, match="another process is making it"):
            WAYS[way](tmp_path / "x")
        first.kill()
        first = started(way, tmp_path / "x")
        assert first.end() == 0
    else:
        second = started(way, tmp_path / "x")
        assert [second.end(), first.end()] == [0, 0]
    whole(way, tmp_path / "x")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("way", WAYS)
def test_what_a_kill_left_is_cleared(way: str, tmp_path: Path) -> None:
    started(way, tmp_path / "x").kill()
    assert not (tmp_path / "x").exists()
    assert list(tmp_path.iterdir())
    WAYS[way](tmp_path / "x")
    whole(way, tmp_path / "x")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_what_another_machine_writes_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until a day has gone by without a change."""
    killed = started("file", tmp_path / "x")
    killed.kill()
    monkeypatch.setattr("pipeline.io.private_folder.NODE", "other")
    write_text(tmp_path / "x")
    (left,) = tmp_path.glob(".partial-*")
    before = left.stat().st_mtime - 100_000
    for each in (left, *left.iterdir()):
        os.utime(each, (before, before))
    write_text(tmp_path / "x")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_another_machine_s_is_cleared_at_the_first_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A day after its last change, though nothing else has changed there since."""
    killed = started("file", tmp_path / "x")
    killed.kill()
    monkeypatch.setattr("pipeline.io.private_folder.NODE", "other")
    (left,) = tmp_path.glob(".partial-*")
    before = left.stat().st_mtime - 100_000
    for each in (left, *left.iterdir(), tmp_path):
        os.utime(each, (before, before))
    write_text(tmp_path / "x")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_one_that_has_been_at_it_for_days_ends(tmp_path: Path) -> None:
    """Where a folder is replaced, and another process tried to begin meanwhile."""
    write_folder(tmp_path / "x")
    with replacing_folder(tmp_path / "x", resumed=False) as new:
        (new / "file").write_text("new", encoding="utf-8")
        for each in tmp_path.iterdir():
            os.utime(each, (0, 0))
        (tmp_path / "elsewhere").touch()

        def second(stop: Callable[[], None]) -> None:
            stop()
            WAYS["resumed folder"](tmp_path / "x")

        assert Process(second).end() == 1  # refused
        signal.alarm(5)  # ends this process if it goes on for ever
    signal.alarm(0)
    assert (tmp_path / "x" / "file").read_text(encoding="utf-8") == "new"


def test_errors_of_something_else_stay_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Bad file descriptor"), atomic.writing(tmp_path / "x"):
        os.stat(99_999)


def test_a_relative_name_is_the_same_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "out" / "x" / "part"))
    with pytest.raises(PipelineError, match="out/x: cannot be written: No space left"):  # noqa: SIM117
        with atomic.writing(Path("out/x")):
            raise full


def test_a_folder_that_comes_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process puts its folder there after ours has made room, three times."""
    rename, times = Path.rename, iter(range(3))

    def late(self: Path, target: Path) -> Path:
        if target == tmp_path / "x" and next(times, None) is not None:
            target.mkdir()
            (target / "theirs").touch()
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", late)
    write_folder(tmp_path / "x")
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["file"]
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_where_there_are_no_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refused(file: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refused)
    for name, write in WAYS.items():
        write(tmp_path / "x")
        whole(name, tmp_path / "x")
        assert [path.name for path in tmp_path.iterdir()] == ["x"]
        atomic.remove(tmp_path / "x")


def test_names_as_long_as_a_file_system_takes(tmp_path: Path) -> None:
    write_text(tmp_path / ("x" * 255))
    write_folder(tmp_path / ("y" * 255))
    write_artefact(tmp_path / ("z" * 255))
    assert len(list(tmp_path.iterdir())) == 3


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    for way in ("file", "folder"):
        WAYS[way](tmp_path / way)

        def fail() -> None:
            raise RuntimeError("stop")

        with pytest.raises(RuntimeError, match="stop"), stopping(way, tmp_path / way, fail):
            pass
        whole(way, tmp_path / way)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
