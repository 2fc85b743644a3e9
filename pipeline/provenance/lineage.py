"""Records followed back from an artefact: what it was made from, and whether that is still there;
the same as text. The paths are those that the records hold; none is spelled here.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError
from pipeline.provenance import record as records
from pipeline.provenance.record import Input, Record

Choice = Callable[[Record], Iterable[Input]]
"""Which inputs of a record are followed."""
STEPS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "train_policy": lambda settings: settings["method"]["training"]["steps"],
    "pretrain_encoder": lambda settings: settings["features"]["encoder"]["pretraining_steps"],
}
"""Stages that learn, and where their settings say how long."""
SHORT = 12
"""Digits of a SHA-256 that are printed."""
FAULT = "!! "
"""What a line of `tree` begins with, behind its indent, that says what is not as it was."""


@dataclass(frozen=True)
class Node:
    """A file or folder, as it is now and as its record says it was made."""

    path: Path
    sha256: str | None
    """Now; None if it is missing."""
    record: Record | None
    faults: tuple[str, ...]
    inputs: tuple["Link", ...]

    def walk(self) -> Iterator["Node"]:
        """This node and all it was made from, each once, depth first."""
        seen: dict[Path, Node] = {}
        waiting = [self]
        while waiting:
            node = waiting.pop()
            if node.path not in seen:
                seen[node.path] = node
                waiting.extend(link.node for link in reversed(node.inputs))
        yield from seen.values()


@dataclass(frozen=True)
class Link:
    """What a stage read under one of its options."""

    option: str
    node: Node
    faults: tuple[str, ...]
    """What has become of it since."""


def trace(path: Path, choice: Choice, known: dict[Path, Node] | None = None) -> Node:
    """Follow the records of an artefact; a file that many have read is one node."""
    known = {} if known is None else known
    if path not in known:
        known[path] = _node(path, choice, known)
    return known[path]


def _node(path: Path, choice: Choice, known: dict[Path, Node]) -> Node:
    sha256 = _present(path)
    try:
        record = records.read(path)
    except PipelineError as error:
        # the path stands before the error when it is printed
        return Node(path, sha256, None, (str(error).removeprefix(f"{path}: "),), ())
    links = tuple(_link(read, record, choice, known) for read in choice(record))
    faults = []
    if sha256 is None:
        faults.append(f"missing; {records.remake(path)}")
    elif sha256 != record.output.sha256:
        faults.append(f"changed since it was written by {record.stage}; {records.remake(path)}")
    return Node(path, sha256, record, tuple(faults), links)


def _link(read: Input, record: Record, choice: Choice, known: dict[Path, Node]) -> Link:
    path = Path(read.path)
    # no stage makes given data, so there is nothing to follow
    given = Node(path, _present(path), None, (), ()) if read.given else None
    node = given or trace(path, choice, known)
    faults: list[str] = []
    if node.sha256 is None and read.given:
        faults.append("missing; put the file back, the workflow does not make it")
    elif node.sha256 not in (None, read.sha256):
        what = f"changed since it was read by {record.stage}, when it was {read.sha256[:SHORT]}"
        faults.append(f"{what}; run the workflow again")
    return Link(read.option, node, tuple(faults))


def _present(path: Path) -> str | None:
    return records.content(path).sha256 if path.exists() else None


def tree(link: Link, shown: set[Path] | None = None, depth: int = 0) -> Iterator[str]:
    """The file of `link` and all it was made from, indented below it; each in full once.

    Data that no stage makes are called given. `shown` are files of earlier lines.
    """
    shown = set() if shown is None else shown
    node, indent = link.node, "  " * depth
    above = node.path in shown
    shown.add(node.path)
    yield f"{indent}{link.option}: {node.path}{' (above)' if above else ''}"
    faults = link.faults if above else (*link.faults, *node.faults)
    yield from (f"{indent}  {FAULT}{fault}" for fault in faults)
    if above:
        return
    yield f"{indent}  {_facts(node)}"
    repeated = []
    for each in node.inputs:
        if each.node.path in shown and not each.faults:
            repeated.append(each.option)
        else:
            yield from tree(each, shown, depth + 1)
    if repeated:
        yield f"{indent}  and from above: {', '.join(repeated)}"


def surroundings(root: Node) -> Iterator[str]:
    """Versions, environment and host; where stages differ, a line for each kind."""
    found = [node.record for node in root.walk() if node.record is not None]
    for title in ("versions", "environment", "host"):
        stages: dict[str, dict[str, None]] = {}  # text → stages, in order
        for record in found:
            if told := getattr(record, title):
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
        facts.append(f"{STEPS[record.stage](record.settings)} steps")
    facts += [f"{record.seconds:.1f} s", f"code {record.code.sha256[:SHORT]}", record.started]
    return ", ".join(facts)


def _listed(told: dict[str, Any]) -> str:
    values = {name: ", ".join(v) if isinstance(v, list) else v for name, v in told.items()}
    return ", ".join(f"{name} {value}" for name, value in values.items())
