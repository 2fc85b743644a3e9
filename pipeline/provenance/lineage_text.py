"""A lineage as plain text: a tree of files, and once what they were made on."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pipeline.provenance.lineage import Link, Node
from pipeline.provenance.record import Record

STEPS = {
    "train_policy": ("method", "training", "steps"),
    "pretrain_encoder": ("features", "encoder", "pretraining_steps"),
}
"""Stages that learn, and the setting that says how long."""
SHORT = 12
"""Digits of a SHA-256 that are printed."""


class Tree:
    """Prints files indented below what was made from them, each in full once.

    Data that no stage makes are called given. A line with `!!` says what is not as it was; `faults`
    counts those.
    """

    def __init__(self) -> None:
        self.faults = 0
        self._shown: set[Path] = set()

    def lines(self, link: Link, depth: int = 0) -> Iterator[str]:
        """The file of `link` and everything below it."""
        node, indent = link.node, "  " * depth
        above = node.path in self._shown
        self._shown.add(node.path)
        yield f"{indent}{link.option}: {node.path}{' (above)' if above else ''}"
        faults = link.faults if above else (*link.faults, *node.faults)
        self.faults += len(faults)
        yield from (f"{indent}  !! {fault}" for fault in faults)
        if not above:
            yield f"{indent}  {_facts(node)}"
            yield from self._below(node, depth + 1)

    def _below(self, node: Node, depth: int) -> Iterator[str]:
        above = []
        for link in node.inputs:
            if link.node.path in self._shown and not link.faults:
                above.append(link.option)
            else:
                yield from self.lines(link, depth)
        if above:
            yield f"{'  ' * depth}and from above: {', '.join(above)}"


def surroundings(root: Node) -> Iterator[str]:
    """Versions, environment and host; where stages differ, a line for each kind."""
    tellers: dict[str, Callable[[Record], dict[str, Any] | None]] = {
        "versions": lambda record: record.versions,
        "environment": lambda record: record.environment,
        "host": lambda record: record.host,
    }
    found = [node.record for node in root.walk() if node.record is not None]
    for title, tell in tellers.items():
        stages: dict[str, dict[str, None]] = {}  # text → stages, in order
        for record in found:
            if told := tell(record):
                stages.setdefault(_listed(told), {})[record.stage] = None
        for text, names in stages.items():
            of = f" of {', '.join(names)}" if len(stages) > 1 else ""
            yield f"{title}{of}: {text}"


def _facts(node: Node) -> str:
    facts = [f"sha256 {node.sha256[:SHORT]}" if node.sha256 else "not there"]
    if node.record is None:
        return facts[0] if node.faults else f"{facts[0]}, given"
    record = node.record
    facts.append(f"by {record.stage}")
    if "seed" in record.seeds:
        facts.append(f"seed {record.seeds['seed']}")
    if record.stage in STEPS:
        facts.append(f"{_setting(record, STEPS[record.stage])} steps")
    facts += [f"{record.seconds:.1f} s", f"code {record.code.sha256[:SHORT]}", record.started]
    return ", ".join(facts)


def _setting(record: Record, keys: tuple[str, ...]) -> Any:
    value: Any = record.settings
    for key in keys:
        value = value[key]
    return value


def _listed(told: dict[str, Any]) -> str:
    values = {name: ", ".join(v) if isinstance(v, list) else v for name, v in told.items()}
    return ", ".join(f"{name} {value}" for name, value in values.items())
