"""YAML that people write, read with bounds: how long it is, how deep, and how much its aliases
stand for is known before anything is built of it. No tags but YAML's own.
"""

from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import PipelineError
from pipeline.io.reading import utf8_text

LONGEST = 1 << 20
"""Bytes of a file."""
DEEPEST = 50
"""Collections one inside the other; a few thousand crash libyaml."""
LARGEST = 100_000
"""Values, with those that each alias stands for."""
LARGEST_INTEGER = 1 << 64
CURE = "correct the file"
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml takes a tenth of the time
INVALID = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What PyYAML raises where a value is not of the type that it looks like."""


class _Loader(_Base):  # type: ignore[misc]
    """YAML's own types, of which a value that cannot be is an error that says where."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            found = super().construct_object(node, deep=deep)
        except INVALID as error:
            raise yaml.MarkedYAMLError(problem=str(error), problem_mark=node.start_mark) from None
        if isinstance(found, int) and abs(found) > LARGEST_INTEGER:
            cause = "an integer of more than 64 bits"
            raise yaml.MarkedYAMLError(problem=cause, problem_mark=node.start_mark)
        return found


def read_yaml(path: Path, shown: str | None = None) -> Any:
    """What a YAML file holds; `shown` names it in messages.

    Raises FileNotFoundError, or PipelineError naming the file, the place and the cause.
    """
    name = shown or str(path)
    text = utf8_text(path, CURE, LONGEST, name)
    try:
        _measure(text)
        loader = _Loader(text)
        node = loader.get_single_node()
        _check_keys(node)
        return None if node is None else loader.construct_document(node)
    except (yaml.YAMLError, *INVALID) as error:
        cause = " ".join(str(error).split())
        raise PipelineError(f"{name}: not valid YAML: {cause}; {CURE}") from None


def _check_keys(root: yaml.Node | None) -> None:
    """Raise YAMLError for a key that a mapping has twice, of which PyYAML would keep the last."""
    waiting, seen = [] if root is None else [root], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen or isinstance(node, yaml.ScalarNode):
            continue
        seen.add(id(node))  # an alias leads to the same node again
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
            continue
        found = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in found:
                    cause = f"the key {key.value!r} is there twice"
                    raise yaml.MarkedYAMLError(problem=cause, problem_mark=key.start_mark)
                found.add(key.value)
            waiting += [key, value]


def _measure(text: str) -> None:
    """Raise YAMLError for what is too deep or too much, as soon as so much of it is read."""
    sizes: dict[str, int] = {}  # of what has an anchor and is complete
    opened: list[tuple[str | None, int]] = []  # anchor of each open collection, values before it
    values = 0
    for event in yaml.parse(text, Loader=_Base):
        fault, values = None, values + 1
        if isinstance(event, yaml.CollectionStartEvent):
            opened.append((event.anchor, values - 1))
            fault = f"more than {DEEPEST} levels" if len(opened) > DEEPEST else None
            sizes.pop(event.anchor or "", None)
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = opened.pop()
            if anchor is not None:
                sizes[anchor] = values - before
        elif isinstance(event, yaml.AliasEvent):
            if any(anchor == event.anchor for anchor, _ in opened):
                fault = f"the alias {event.anchor!r} stands for what it is in"
            values += sizes.get(event.anchor or "", 1)
        if values > LARGEST:
            fault = f"more than {LARGEST:,} values, with those that aliases stand for"
        if fault:
            mark: Any = event.start_mark
            raise yaml.MarkedYAMLError(problem=fault, problem_mark=mark)
