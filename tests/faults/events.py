"""What happens in a stage, counted, so that it can be ended at the n-th event on every machine:
file operations, blocks and batches that are written, updates of a model, an environment's steps.
"""

import itertools
import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

from torch.optim.optimizer import register_optimizer_step_post_hook

from pipeline.environments.catch import CatchEnvironment
from pipeline.io.array_blocks import GrowingArray
from pipeline.io.resumable import PartsWriter

FILES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate"}
"""Audited by Python before they happen; so are files that are opened."""
WRITTEN = os.O_WRONLY | os.O_RDWR | os.O_CREAT
METHODS = ((GrowingArray, "append"), (PartsWriter, "_add"), (CatchEnvironment, "step"))


class Events:
    """Counts in this process from now on; use it in a fork, for it cannot be undone."""

    def __init__(self, fatal: int | None) -> None:
        """This process is killed at the event number `fatal`, before that happens."""
        self.fatal, self._numbers, self.count = fatal, itertools.count(1), 0
        sys.dont_write_bytecode = True
        sys.addaudithook(self._audit)
        register_optimizer_step_post_hook(lambda *_: self._happens())
        for owner, name in METHODS:
            setattr(owner, name, self._counted(getattr(owner, name)))

    def _happens(self) -> None:
        self.count = next(self._numbers)  # whichever thread it is in
        if self.count == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in FILES or (event == "open" and (arguments[2] or 0) & WRITTEN):
            self._happens()

    def _counted(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def counted(*arguments: Any, **keywords: Any) -> Any:
            self._happens()
            return method(*arguments, **keywords)

        return counted
