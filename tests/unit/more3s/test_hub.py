"""To a hub and back: a server of this machine answers as much of the hub's protocol as is needed.
No request leaves the machine.
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import huggingface_hub.constants
import numpy as np
import pytest
from bundles import make_bundle

import more3s
from pipeline.errors import PipelineError

NAME = "someone/policy"
COMMIT = "0123456789" * 4


class Hub(ThreadingHTTPServer):
    """Model repositories by name: file → content."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.repositories: dict[str, dict[str, bytes]] = {}

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answers(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        lines = self.rfile.read(length).splitlines() if length else self._chunks()
        files = self.server.repositories.setdefault(NAME, {})
        if self.path.startswith(f"/api/models/{NAME}/preupload/"):
            asked = json.loads(lines[0])["files"]
            small = {"uploadMode": "regular", "shouldIgnore": False}
            self._json({"files": [{"path": each["path"], **small} for each in asked]})
        elif self.path.startswith(f"/api/models/{NAME}/commit/"):
            for line in map(json.loads, lines):
                if line["key"] == "file":
                    files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            address = f"{self.server.address}/{NAME}/commit/{COMMIT}"
            self._json({"commitUrl": address, "commitOid": COMMIT, "hookOutput": ""})
        elif self.path == "/api/repos/create":
            self._json({"url": f"{self.server.address}/{NAME}", "name": NAME})
        else:  # the head of the card is looked at
            self._json({"errors": [], "warnings": []})

    def do_GET(self) -> None:
        files = self.server.repositories.get(NAME)
        if files is None or NAME not in self.path:
            self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif self.path.startswith(f"/api/models/{NAME}/tree/"):
            sizes = {name: len(content) for name, content in files.items()}
            self._json(
                [{"type": "file", "path": n, "size": size, "oid": n} for n, size in sizes.items()]
            )
        elif self.path.startswith(f"/api/models/{NAME}"):
            listed = [{"rfilename": name} for name in files]
            self._json({"id": NAME, "sha": COMMIT, "siblings": listed, "private": False})
        else:
            content = files[self.path.partition(f"/resolve/{COMMIT}/")[2]]
            digest = hashlib.sha256(content).hexdigest()
            self._send(200, content, {"ETag": f'"{digest}"', "X-Repo-Commit": COMMIT})

    do_HEAD = do_GET

    def _chunks(self) -> list[bytes]:
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        return content.splitlines()

    def _json(self, content: object) -> None:
        self._send(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", "none")
    server = Hub()
    Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_there_and_back(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    folder = make_bundle(tmp_path / "made", "behaviour_cloning", states=True)
    (folder / "notes.txt").write_text("mine")
    assert more3s.push(folder, NAME, endpoint=hub.address).endswith(COMMIT)
    kept = hub.repositories[NAME]
    assert set(kept) == {"README.md", "bundle.json", "policy.safetensors"}

    kept["modeling.py"] = b"raise SystemExit"
    pulled = more3s.pull(NAME, endpoint=hub.address)
    assert sorted(path.name for path in pulled.iterdir()) == sorted(set(kept) - {"modeling.py"})
    observation = np.linspace(-1, 1, 11)
    actions = [more3s.load(place).act(observation) for place in (folder, pulled)]
    np.testing.assert_array_equal(*actions)

    kept.clear()
    assert more3s.pull(NAME, offline=True, endpoint=hub.address) == pulled
    with pytest.raises(PipelineError, match=r"someone/nothing: the hub refused: .*404"):
        more3s.pull("someone/nothing", endpoint=hub.address)


def test_what_is_no_bundle_stays_here(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"bundle\.json: missing"):
        more3s.push(tmp_path, NAME, endpoint=hub.address)
    assert hub.repositories == {}
