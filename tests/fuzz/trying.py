"""How bad input is tried: always the same examples, and a bound on their number instead of time."""

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings

from pipeline.errors import PipelineError

settings.register_profile(
    "always_the_same",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=100,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("always_the_same")


def attempt(work: Callable[[], Any]) -> Any:
    """What `work` returns; None where it refuses with one line. What else it raises fails."""
    try:
        return work()
    except PipelineError as error:
        message = str(error)
        assert message.isprintable(), repr(message)
        assert 10 < len(message) < 1200, message
        return None
