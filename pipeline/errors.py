"""The one exception a user is meant to read: a line that names the file, the cause and the fix."""

import difflib

LONGEST = 1000
"""Characters of a message; what libraries say of a damaged file can be pages."""


class PipelineError(Exception):
    """Raised for bad input of any kind; stages print it as one line and exit with status 1.

    Whatever the message quotes, it is one line that a terminal prints as it is.
    """

    def __init__(self, message: str) -> None:
        line = " ".join(part.strip() for part in message.splitlines())
        shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)
        super().__init__(shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}…")


def unknown_name(kind: str, name: object, allowed: list[str]) -> PipelineError:
    """Build the error for a name that nothing is registered under, listing those that exist."""
    name, allowed = str(name), list(map(str, allowed))
    close = difflib.get_close_matches(name, allowed, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return PipelineError(f"unknown {kind} {name!r}{hint}; allowed: {', '.join(sorted(allowed))}")
