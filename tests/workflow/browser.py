"""A page in a real browser, over Chromium's debugging pipe: no port, no further package."""

import fcntl
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

PROGRAM = next(
    (p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None
)
SWITCHES = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--window-size=1500,1000"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    # Frames of data: addresses stay in the page's process, where its session sees their requests.
    *("--disable-site-isolation-trials", "--disable-features=IsolateOrigins,site-per-process"),
)
PATIENCE = 300
"""Seconds until something that was waited for counts as missing."""


class RefusedError(Exception):
    """The browser cannot do what it was told, as while a frame is being exchanged."""


class Page:
    """One page: scripts are run in it, and what it asks for is remembered."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._pending, self._count, self._session = b"", 0, ""
        self.requests: list[str] = []
        """Addresses of everything that was loaded, but for data: ones."""
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=page, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the debugging protocol; requests seen meanwhile are remembered."""
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("method") == "Network.requestWillBeSent":
                url = answer["params"]["request"]["url"]
                self.requests += [] if url.startswith("data:") else [url]
            if answer.get("id") == self._count:
                if "error" in answer:
                    raise RefusedError(answer["error"])
                return dict(answer["result"])

    def evaluate(self, script: str, frame: bool = False) -> Any:
        """The value of a script, in the page or in the one frame it shows; promises are awaited."""
        context = {}
        if frame:
            tree = self.call("Page.getFrameTree")["frameTree"]
            if not (frames := tree.get("childFrames")):
                raise RefusedError("the page has no frame")
            world = self.call("Page.createIsolatedWorld", frameId=frames[0]["frame"]["id"])
            context = {"contextId": world["executionContextId"]}
        done = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, **context
        )
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def wait(self, script: str, frame: bool = False) -> Any:
        """The first true value of a script; an AssertionError if it does not become true."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with suppress(RefusedError):
                if value := self.evaluate(script, frame):
                    return value
            time.sleep(0.05)
        raise AssertionError(f"not in {PATIENCE} s: {script}")

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._pending:
            part = os.read(self._answers, 1 << 20)
            assert part, "the browser has ended"
            self._pending += part
        message, self._pending = self._pending.split(b"\0", 1)
        return dict(json.loads(message))


@contextmanager
def opened(path: Path, profile: Path) -> Iterator[Page]:
    """The file in a browser of its own, with a new profile."""
    assert PROGRAM is not None
    # The browser reads commands from descriptor 3 and answers on 4.
    read, commands = (fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in os.pipe())
    answers, write = (fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in os.pipe())
    process = subprocess.Popen(
        [
            *(PROGRAM, *SWITCHES, "--remote-debugging-pipe", f"--user-data-dir={profile}"),
            "about:blank",  # else a start page, which loads things of its own
        ],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        preexec_fn=lambda: (os.dup2(read, 3), os.dup2(write, 4)),
        pass_fds=(3, 4),
    )
    try:
        page = Page(commands, answers)
        page.call("Page.navigate", url=path.as_uri())
        page.wait("document.readyState === 'complete'")
        yield page
    finally:
        process.terminate()
        process.wait()
        for descriptor in (read, commands, answers, write):
            os.close(descriptor)
