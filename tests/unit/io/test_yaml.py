"""YAML without end, and values that cannot be: one line each, at once."""

import os
from pathlib import Path

import pytest
import yaml

from pipeline.errors import PipelineError
from pipeline.io.yaml import read_yaml

ROOT = Path(__file__).parents[3]
NINE = "[" + ", ".join(["*{}"] * 9) + "]"
MULTIPLYING = "a0: &a0 [x, x, x]\n" + "".join(
    f"a{i}: &a{i} {NINE.replace('{}', f'a{i - 1}')}\n" for i in range(1, 12)
)
MERGING = "a0: &a0 {x: 1, y: 2}\n" + "".join(
    f"a{i}: &a{i} {{<<: {NINE.replace('{}', f'a{i - 1}')}, z{i}: 1}}\n" for i in range(1, 12)
)
BAD = {
    "a sequence of itself": ("a: &a [*a]", "the alias 'a' stands for what it is in"),
    "a mapping of itself": ("a: &a\n  b: *a\n", "stands for what it is in"),
    "a mapping merged with itself": ("a: &a {<<: *a}", "stands for what it is in"),
    "aliases that multiply": (MULTIPLYING, "more than 100,000 values"),
    "merges that multiply": (MERGING, "more than 100,000 values"),
    "deep brackets": ("a: " + "[" * 100_000, "more than 50 levels"),
    "deep braces": ("{a: " * 100_000, "more than 50 levels"),
    "deep dashes": ("- " * 100_000 + "x", "more than 50 levels"),
    "a date that does not exist": ("a: 2026-02-30", "day .*line 1, column 4"),
    "a time that does not exist": ("x: 1\na: 2026-02-03 25:61:00", "hour .*line 2, column 4"),
    "a zone that does not exist": ("a: 2026-02-03 01:01:00 +99:00", "line 1, column 4"),
    "the year zero": ("a: 0000-01-01", "year"),
    "a long integer": ("a: " + "9" * 5000, "line 1, column 4"),
    "an integer of 4,000 digits": ("a: " + "9" * 4000, "more than 64 bits"),
    "hexadecimal": ("a: 0x" + "f" * 9000, "more than 64 bits"),
    "a base of sixty": ("a: 1" + ":59" * 4000, "line 1"),
    "no integer": ("a: !!int x", "line 1"),
    "an empty integer": ("a: !!int ''", "line 1"),
    "no number": ("a: !!float x", "line 1"),
    "no date": ("a: !!timestamp x", "line 1"),
    "no truth": ("a: !!bool x", "line 1"),
    "no base 64": ("a: !!binary x", "line 1"),
    "an object": ("a: !!python/object/apply:os.getcwd []", "python"),
    "a key that is there twice": ("a: 1\nb: {c: 1, d: 2, c: 3}", "'c' is there twice.*line 2"),
    "one twice in a list": ("- {a: 1}\n- {a: 1, a: 1}", "'a' is there twice.*line 2"),
    "an unhashable key": ("? [a]\n: 1", "line 1|unhashable"),
    "two documents": ("a: 1\n---\nb: 2", "another document"),
    "an unknown alias": ("a: *b", "undefined alias"),
    "a tab": ("a:\n\t- b", "line 2"),
    "a control character": ("a: \x07", "special characters|control characters"),
    "too long": ("#" * (1 << 20) + "\n", "more than 1,048,576 bytes"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_one_line_and_at_once(tmp_path: Path, name: str) -> None:
    text, cause = BAD[name]
    path = tmp_path / "a.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PipelineError, match=rf"a\.yaml: .*({cause}).*correct the file"):
        read_yaml(path)


def test_anchors_are_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: &a {x: 1}\nb: {<<: *a, y: 2}\nc: [*a, *a]\nd: 2026-02-03\n")
    assert read_yaml(path) == yaml.safe_load(path.read_text())
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")  # as some editors begin a file
    assert read_yaml(path) == {"a": 1}
    path.write_text("")
    assert read_yaml(path) is None


def test_a_key_may_replace_a_merged_one(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("x:\n  y: &b\n    <<: &a {k: 1}\n    k: 2\nz: {<<: *b, k: 3}\nw: {<<: *b}\n")
    assert read_yaml(path) == {"x": {"y": {"k": 2}}, "z": {"k": 3}, "w": {"k": 2}}


def test_what_ships_is_read_as_by_the_library() -> None:
    files = [*(ROOT / "config").rglob("*.yaml"), *(ROOT / "resources").rglob("*.yaml")]
    assert len(files) > 30
    for path in files:
        assert read_yaml(path) == yaml.safe_load(path.read_text(encoding="utf-8"))


def test_what_is_no_text_file(tmp_path: Path) -> None:
    (tmp_path / "zz.yaml").mkdir()
    with pytest.raises(PipelineError, match=r"zz\.yaml: is a folder, .*rename or remove it"):
        read_yaml(tmp_path / "zz.yaml")
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(PipelineError, match="is no ordinary file"):
        read_yaml(tmp_path / "pipe.yaml")
    (tmp_path / "a.yaml").write_bytes("a: 1\nb: Größe\n".encode("latin-1"))
    with pytest.raises(PipelineError, match=r"line 2 is not UTF-8 \(byte 0xf6\): save it as UTF-8"):
        read_yaml(tmp_path / "a.yaml")
    with pytest.raises(FileNotFoundError):
        read_yaml(tmp_path / "none.yaml")
