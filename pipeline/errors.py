"""The one exception a user is meant to read: a line that names the file, the cause and the fix."""

import difflib


class PipelineError(Exception):
    """Raised for bad input of any kind; stages print it as one line and exit with status 1."""


def unknown_name(kind: str, name: str, allowed: list[str]) -> PipelineError:
    """Build the error for a name that nothing is registered under, listing those that exist."""
    close = difflib.get_close_matches(name, allowed, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return PipelineError(f"unknown {kind} {name!r}{hint}; allowed: {', '.join(sorted(allowed))}")
