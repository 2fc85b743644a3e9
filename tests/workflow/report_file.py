"""What is in a report, read without a browser."""

import base64
import json
import re
from html.parser import HTMLParser
from typing import Any

SECTIONS = (
    *("0 Result", "1 Tables", "2 Learning curves", "3 Target-return sweeps", "4 Rollout videos"),
    *("5 Boxes on frames", "6 Attention over memory", "7 Prompt lists", "8 Cost per stage"),
    "9 Provenance",
)
LOADING = {"src", "poster", "data", "srcset"}
"""Attributes that make a browser load something; an anchor's href does not, a link's does."""
BEGINS = {"image/png": b"\x89PNG\r\n\x1a\n", "text/html": b"<!doctype html>"}


def variable(report: str, name: str) -> dict[str, Any]:
    """A variable that the report's scripts read."""
    found = re.search(rf"^ *var {name} = (\{{.*\}});$", report, flags=re.MULTILINE)
    assert found is not None, name
    return dict(json.loads(found.group(1)))


def decoded(uri: str) -> tuple[str, bytes]:
    """Type and content of a base64 data URI."""
    head, _, content = uri.partition(",")
    assert head.startswith("data:"), head
    assert head.endswith(";base64"), head
    return head[5:].partition(";")[0], base64.b64decode(content, validate=True)


class _Loaded(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_style = tag == "style"
        names = LOADING | ({"href"} if tag == "link" else set())
        self.addresses += [value or "" for name, value in attrs if name in names]

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.addresses += re.findall(r"url\(\s*['\"]?([^)'\"]+)|@import\s+([^;]+)", data)

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False


def loaded(html: str) -> list[str]:
    """Addresses that a page loads by itself."""
    parser = _Loaded()
    parser.feed(html)
    return ["".join(address) for address in parser.addresses]
