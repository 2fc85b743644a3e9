"""A lineage as text: each file in full once, and a line for whatever is not as it was."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.provenance import lineage, record
from pipeline.provenance.lineage import FAULT, Link
from pipeline.provenance.record import Job


def write(path: Path, **inputs: list[Path]) -> None:
    """A file, and a record that says it was made from `inputs`."""
    path.write_text(path.name)
    read = [(option, each, False) for option, paths in inputs.items() for each in paths]
    record.write(Job("pipeline.stages.tabulate", {"seed": 3}, read, [path]), datetime.now(UTC))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table of two files of episodes that were played with one policy."""
    policy, first, second = (tmp_path / name for name in ("policy", "first", "second"))
    write(policy)
    write(first, policy=[policy])
    write(second, policy=[policy])
    write(tmp_path / "table", episodes=[first, second])
    return tmp_path / "table"


def told(path: Path) -> list[str]:
    root = lineage.trace(path, lambda made: made.inputs)
    return list(lineage.tree(Link("table", root, ())))


def test_a_file_that_two_have_read_is_told_once(table: Path) -> None:
    folder = table.parent
    names = [line for line in told(table) if "sha256" not in line]
    assert names == [
        f"table: {table}",
        f"  episodes: {folder / 'first'}",
        f"    policy: {folder / 'policy'}",
        f"  episodes: {folder / 'second'}",
        "    and from above: policy",
    ]
    facts = [line for line in told(table) if "sha256" in line]
    assert len(facts) == 4
    assert all("by tabulate, seed 3, " in line for line in facts)


def test_what_is_not_as_it_was_has_a_line(table: Path) -> None:
    (table.parent / "policy").write_text("another one")
    faults = [line.strip() for line in told(table) if FAULT in line]
    assert len(faults) == 3  # as it was written, and as each of the two has read it
    assert all(line.startswith(FAULT + "changed since it was ") for line in faults)
    (table.parent / "first").unlink()
    assert any(FAULT + "missing; " in line for line in told(table))


def test_surroundings_are_told_once_where_they_agree(table: Path) -> None:
    root = lineage.trace(table, lambda made: made.inputs)
    lines = list(lineage.surroundings(root))
    assert [line.partition(":")[0] for line in lines] == ["versions", "host"]
