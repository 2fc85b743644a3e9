"""JSON from files that others may have written: whatever is wrong with it is a ValueError."""

import json
from typing import Any


def parse(text: str | bytes) -> Any:
    """What a text says; ValueError for what is not JSON, or nested without end."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested without end") from None
