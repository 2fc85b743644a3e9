"""How bad input is tried: always the same examples, and a bound on their number instead of time.

`make test` tries a slice of them, `make fuzz` all: FUZZ is how many times as many.
"""

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from pipeline.errors import PipelineError

TIMES = int(os.environ.get("FUZZ", "1"))
"""Examples for each one of the slice."""
USUAL = 40
"""Examples of a test in the slice."""
tried = 0
"""Inputs that this process has tried."""


def examples(number: int) -> settings:
    """So many in the slice."""
    return settings(max_examples=number * TIMES)


settings.register_profile(
    "always_the_same",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=USUAL * TIMES,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("always_the_same")


def attempt(work: Callable[[], Any], another: bool = True) -> Any:
    """What `work` returns; None where it refuses with one line. What else it raises fails.

    `another`: whether it is another input than that of the attempt before.
    """
    global tried
    tried += another
    try:
        return work()
    except PipelineError as error:
        message = str(error)
        assert message.isprintable(), repr(message)
        assert 10 < len(message) < 1200, message
        return None


def damaged(content: bytes, data: st.DataObject) -> bytes:
    """The content with a few bytes changed, or cut off, or with more behind it."""
    kind = data.draw(st.sampled_from(["flip", "cut", "add"]))
    if kind == "cut":
        return content[: data.draw(st.integers(0, len(content) - 1))]
    if kind == "add":
        return content + data.draw(st.binary(min_size=1, max_size=9))
    changed = bytearray(content)
    head = st.integers(0, min(len(content), 600) - 1)  # where there is structure
    for place in data.draw(
        st.lists(head | st.integers(0, len(content) - 1), min_size=1, max_size=4)
    ):
        changed[place] ^= data.draw(st.integers(1, 255))
    return bytes(changed)
