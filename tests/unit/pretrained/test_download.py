"""Retrieving from a server on this machine that is broken, wrong or gone; and from a folder."""

import hashlib
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from command_line import words

from pipeline.config.published import Published, PublishedFile
from pipeline.errors import PipelineError
from pipeline.pretrained import download
from pipeline.pretrained.download import Patience, retrieve
from pipeline.stages import execute
from pipeline.stages.retrieve import retrieve as stage

CONTENT = np.random.default_rng(0).integers(256, size=300_000, dtype=np.uint8).tobytes()
SHA256 = hashlib.sha256(CONTENT).hexdigest()
ENDLESS = 200 * len(CONTENT)
QUICK = Patience(attempts=3, pause=0.0, timeout=60.0)


@dataclass
class Server:
    """Answers under `/whole`, and as the other paths say; remembers what was asked."""

    address: str = ""
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    failures: int = 0
    """So many answers under `/broken` end in the middle, and under `/busy` are errors."""
    sent: int = 0
    """Bytes of the answers under `/endless`."""

    def url(self, path: str) -> str:
        return f"{self.address}/{path}"

    def count(self, path: str) -> int:
        return [asked for asked, _ in self.asked].count(f"/{path}")


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            state.asked.append((self.path, wanted))
            path, content = self.path, CONTENT
            failing = state.failures > 0 and path in ("/broken", "/busy", "/forgetful")
            state.failures -= failing
            if path == "/gone" or (path == "/busy" and failing):
                self.send_error(404 if path == "/gone" else 503)
                return
            if path == "/wrong":
                content = CONTENT[::-1]
            if path == "/short":
                content = CONTENT[:1000]
            if path.startswith("/length="):  # a length that is none
                self.send_response(200)
                self.send_header("Content-Length", path.removeprefix("/length="))
                self.end_headers()
                self.wfile.write(content)
                return
            if path == "/endless":
                self.send_response(200)
                self.end_headers()
                while state.sent < ENDLESS:  # or until nobody listens any more
                    try:
                        state.sent += self.wfile.write(content)
                    except OSError:
                        return
                return
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
            if start >= len(content):
                self.send_error(416)
                return
            start = 0 if path == "/forgetful" else start  # a server that knows no ranges
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            rest = content[start:]
            self.wfile.write(rest[: len(rest) // 2] if failing else rest)

        def log_message(self, *_: object) -> None:
            pass

    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    state.address = f"http://127.0.0.1:{served.server_port}"
    yield state
    served.shutdown()
    served.server_close()


def published(url: str, mirror: str | None = None, **changes: object) -> Published:
    given: dict[str, object] = {"file": "net.bin", "repository": "somebody/net", "url": url}
    checked = {"sha256": SHA256, "bytes": len(CONTENT), "licence": "MIT"}
    row = PublishedFile.model_validate({**given, **checked, "mirror": mirror, **changes})
    return Published(name="net", files=[row])


def error(artefact: Published, folder: Path, **options: object) -> str:
    with pytest.raises(PipelineError) as caught:
        retrieve(artefact, folder, patience=QUICK, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_download_is_what_was_published(server: Server, tmp_path: Path) -> None:
    retrieve(published(server.url("whole")), tmp_path, patience=QUICK)
    assert (tmp_path / "net.bin").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["net.bin"]
    retrieve(published(server.url("whole")), tmp_path, patience=QUICK)
    assert server.count("whole") == 1  # it was there already


def test_a_broken_connection_is_gone_on_with(server: Server, tmp_path: Path) -> None:
    server.failures = 2
    retrieve(published(server.url("broken")), tmp_path, patience=QUICK)
    assert (tmp_path / "net.bin").read_bytes() == CONTENT
    starts = [int(wanted[6:-1]) if wanted else 0 for _, wanted in server.asked]
    assert starts[0] == 0
    assert 0 < starts[1] < starts[2] < len(CONTENT)


def test_a_later_run_goes_on_where_the_last_stopped(server: Server, tmp_path: Path) -> None:
    server.failures = 3
    message = error(published(server.url("broken")), tmp_path)
    assert "net.bin cannot be had" in message
    assert SHA256 in message
    assert "run again to go on where it stopped" in message
    assert not (tmp_path / "net.bin").exists()
    server.asked.clear()
    retrieve(published(server.url("broken")), tmp_path, patience=QUICK)
    assert (tmp_path / "net.bin").read_bytes() == CONTENT
    ((_, wanted),) = server.asked
    assert wanted is not None


def test_a_server_without_ranges_begins_again(server: Server, tmp_path: Path) -> None:
    server.failures = 1
    retrieve(published(server.url("forgetful")), tmp_path, patience=QUICK)
    assert (tmp_path / "net.bin").read_bytes() == CONTENT


def test_a_part_of_something_else_is_not_gone_on_with(server: Server, tmp_path: Path) -> None:
    server.failures = 3
    error(published(server.url("broken")), tmp_path)
    server.asked.clear()
    retrieve(published(server.url("whole")), tmp_path, patience=QUICK)
    assert server.asked == [("/whole", None)]


def test_files_of_an_earlier_attempt_do_not_stay(server: Server, tmp_path: Path) -> None:
    """The artefact's row was changed; by their names, the old files might be preferred."""
    (tmp_path / "model.safetensors").write_bytes(b"of another release")
    retrieve(published(server.url("whole")), tmp_path, patience=QUICK)
    assert [path.name for path in tmp_path.iterdir()] == ["net.bin"]


def test_attempts_are_bounded(server: Server, tmp_path: Path) -> None:
    server.failures = 2
    retrieve(published(server.url("busy")), tmp_path / "..", patience=QUICK)
    assert server.count("busy") == 3
    (tmp_path / ".." / "net.bin").unlink()
    server.failures, server.asked = 99, []
    assert "503" in error(published(server.url("busy"), server.url("gone")), tmp_path)
    assert (server.count("busy"), server.count("gone")) == (3, 1)


@pytest.mark.parametrize("first", ["gone", "wrong", "short", "broken"])
def test_the_mirror_serves_what_the_first_address_does_not(
    server: Server, tmp_path: Path, first: str
) -> None:
    server.failures = 99
    retrieve(published(server.url(first), server.url("whole")), tmp_path, patience=QUICK)
    assert (tmp_path / "net.bin").read_bytes() == CONTENT
    assert server.count("whole") == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "net.bin"]


def test_a_wrong_checksum_is_refused(server: Server, tmp_path: Path) -> None:
    message = error(published(server.url("wrong")), tmp_path)
    assert f"SHA-256 is {hashlib.sha256(CONTENT[::-1]).hexdigest()}" in message
    assert f"expected 300,000 bytes, SHA-256 {SHA256}" in message
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_size_is_refused_before_it_is_downloaded(server: Server, tmp_path: Path) -> None:
    message = error(published(server.url("short")), tmp_path)
    assert "1,000 bytes are offered, 300,000 expected" in message
    assert server.count("short") == 1


@pytest.mark.parametrize("length", ["abc", "-5", "1e9", "3.5", "9" * 5000])
def test_a_length_that_is_none_says_nothing(server: Server, tmp_path: Path, length: str) -> None:
    retrieve(published(server.url(f"length={length}")), tmp_path, patience=QUICK)
    assert (tmp_path / "net.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("expected", [len(CONTENT), None])
def test_a_server_that_never_stops(
    server: Server, tmp_path: Path, expected: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "LARGEST", 2 * len(CONTENT))
    artefact = published(server.url("endless"), server.url("endless"), bytes=expected)
    message = error(artefact, tmp_path)
    most = expected or download.LARGEST
    assert f"more than the {most:,} bytes expected are sent" in message
    assert server.count("endless") == 2  # nor is it asked again, but for the mirror
    assert server.sent < ENDLESS
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) == 0


def test_no_server_at_all(tmp_path: Path) -> None:
    message = error(published("http://127.0.0.1:9/net.bin"), tmp_path)
    assert "name its folder as artefacts_dir" in message


def test_what_nobody_can_verify_has_to_be_confirmed(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unknown = published(server.url("wrong"), sha256=None, bytes=None)
    assert "unverified_artefacts: [net]" in error(unknown, tmp_path)
    assert server.asked == []
    retrieve(unknown, tmp_path, unverified=True, patience=QUICK)
    found = hashlib.sha256(CONTENT[::-1]).hexdigest()
    assert f"net.bin: SHA-256 {found}, accepted unverified" in capsys.readouterr().out
    retrieve(unknown, tmp_path, unverified=True, patience=QUICK)
    assert server.count("wrong") == 2  # what is there may be of another address


def test_a_folder_takes_the_place_of_the_network(server: Server, tmp_path: Path) -> None:
    artefact, brought = published(server.url("whole")), tmp_path / "brought"
    (brought / "net").mkdir(parents=True)
    (folder := tmp_path / "out").mkdir()
    message = error(artefact, folder, offline=brought)
    assert f"{brought / 'net' / 'net.bin'}: missing; expected 300,000 bytes" in message
    assert server.url("whole") in message
    (brought / "net" / "net.bin").write_bytes(CONTENT[:-1])
    assert "299,999 bytes, not 300,000" in error(artefact, folder, offline=brought)
    (brought / "net" / "net.bin").write_bytes(CONTENT[::-1])
    assert "SHA-256 is " in error(artefact, folder, offline=brought)
    (brought / "net" / "net.bin").write_bytes(CONTENT)
    retrieve(artefact, folder, offline=brought, patience=QUICK)
    assert (folder / "net.bin").read_bytes() == CONTENT
    assert server.asked == []


def test_a_full_disk_is_known_before(server: Server, tmp_path: Path) -> None:
    assert "are free" in error(published(server.url("whole"), bytes=10**18), tmp_path)
    assert server.asked == []


def test_what_is_there_needs_no_room(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a download that was killed, or is complete."""
    whole = published(server.url("whole"), bytes=len(CONTENT))
    for kept in (len(CONTENT), len(CONTENT) - 900):
        (tmp_path / "net.bin").write_bytes(CONTENT[:kept])
        usage = shutil.disk_usage(tmp_path)._replace(free=1000 if kept < len(CONTENT) else 0)
        monkeypatch.setattr(shutil, "disk_usage", lambda folder, usage=usage: usage)
        retrieve(whole, tmp_path, patience=QUICK)
        assert (tmp_path / "net.bin").read_bytes() == CONTENT
        monkeypatch.undo()
    assert server.count("whole") == 1


def test_the_stage_writes_the_folder_whole_or_not_at_all(server: Server, tmp_path: Path) -> None:
    def run(artefact: Published) -> None:
        execute(stage, words(artefact=artefact.as_json(), files=tmp_path / "net"))

    two = published(server.url("whole")).files
    two += published(server.url("gone"), file="vocab.txt").files
    with pytest.raises(SystemExit):
        run(Published(name="net", files=two))
    assert not (tmp_path / "net").exists()
    server.asked.clear()
    two[1] = two[1].model_copy(update={"url": server.url("forgetful")})
    run(Published(name="net", files=two))
    assert sorted(path.name for path in (tmp_path / "net").iterdir()) == ["net.bin", "vocab.txt"]
    assert server.count("whole") == 0  # the first file of the failed attempt was kept
    assert (tmp_path / "net.provenance.json").is_file()
