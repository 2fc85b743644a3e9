"""Records followed back from an artefact: what it was made from, and whether that is still there.

The paths are those that the records hold; none is spelled here.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.provenance import record as records
from pipeline.provenance.record import Input, Record

Choice = Callable[[Record], Iterable[Input]]
"""Which inputs of a record are followed."""


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
        return Node(path, sha256, None, (_after(path, error),), ())
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
        what = f"changed since it was read by {record.stage}, when it was {read.sha256[:12]}"
        faults.append(f"{what}; run the workflow again")
    return Link(read.option, node, tuple(faults))


def _present(path: Path) -> str | None:
    return records.content(path).sha256 if path.exists() else None


def _after(path: Path, error: PipelineError) -> str:
    """The error without the path, which is printed before it."""
    return str(error).removeprefix(f"{path}: ")
