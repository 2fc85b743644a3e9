"""The source digest sees code, and only code, through every first-party import."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.config import source_code
from pipeline.config.source_code import class_constant, constant, defines
from pipeline.errors import PipelineError
from pipeline.provenance import source_digest as digests
from pipeline.provenance.source_digest import (
    code_digest,
    loaded_modules,
    source_digest,
    versions,
)

SOURCES = {
    "__init__.py": '"""The package."""\n',
    "leaf.py": '"""A leaf."""\n\nVALUE = 1\n"""Its meaning."""\n',
    "room/__init__.py": '"""A room."""\n\nSHARED = 0\n',
    "room/plain.py": "class Plain:\n    pass\n",
    "room/seen.py": 'class Seen:\n    kind: "ClassVar[str]" = "pixels"\n',
    "room/heir.py": "from pipeline.room.seen import Seen\n\nclass Heir(Seen):\n    pass\n",
    "config/schema.py": (
        "from pipeline.leaf import VALUE\n\nNAME = 'a'\n\n\n"
        "class Section:\n"
        "    steps: int = 3\n"
        "    kind: ClassVar[str] = 'a section'\n\n"
        "    @validator\n"
        "    def _check(self):\n"
        "        return self.steps > 0\n\n"
        "    def fewer(self):\n"
        "        return self.steps - 1\n"
    ),
    "stage.py": (
        '"""A stage."""\n\nimport json\n\n'
        "from pipeline.config import schema\nfrom pipeline.room import plain\n\n\n"
        "def main():\n"
        '    """Run."""\n'
        "    from .leaf import VALUE  # late\n"
        "    return json, VALUE, plain, schema\n"
    ),
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    root = tmp_path / "pipeline"
    for name, text in SOURCES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    monkeypatch.setattr(source_code, "ROOT", tmp_path)
    forget()
    yield root
    forget()


def forget() -> None:
    read = (source_code.tree, source_code.path_of, source_code.first_party_imports)
    for cached in (*read, digests._own_digest):
        cached.cache_clear()


def after(path: Path, old: str, new: str, *plugins: str) -> bool:
    """Whether the digest of the stage changes with an edit."""
    before = source_digest("pipeline.stage", *plugins)
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    forget()
    return source_digest("pipeline.stage", *plugins) != before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("stage.py", "# late", "# not before it is needed"),
        ("stage.py", '"""A stage."""', '"""Another docstring."""'),
        ("stage.py", '    """Run."""\n', ""),
        ("stage.py", "import json\n", "import json\n\n\n"),
        ("leaf.py", "Its meaning.", "What it means."),
        ("leaf.py", "VALUE = 1", "VALUE = (1)"),
        ("room/seen.py", "pixels", "embeddings"),
        ("config/schema.py", "steps: int = 3", "steps: int = 4"),
        ("config/schema.py", "self.steps > 0", "self.steps > 1"),
    ],
)
def test_blind_to(package: Path, file: str, old: str, new: str) -> None:
    assert not after(package / file, old, new)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("stage.py", "return json", "return None, json"),
        ("leaf.py", "VALUE = 1", "VALUE = 2"),
        ("config/schema.py", "self.steps - 1", "self.steps // 2"),
        ("config/schema.py", "NAME = 'a'", "NAME = 'b'"),
        ("config/schema.py", "'a section'", "'another'"),
        ("room/plain.py", "pass", "x = 1"),
        ("room/__init__.py", "SHARED = 0", "SHARED = 1"),
        ("__init__.py", '"""The package."""', "X = 1"),
    ],
)
def test_sees(package: Path, file: str, old: str, new: str) -> None:
    assert after(package / file, old, new)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The settings of a copy of this package."""
    package = source_code.ROOT / "pipeline"
    shutil.copytree(package, tmp_path / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(source_code, "ROOT", tmp_path)
    forget()
    yield tmp_path / "pipeline" / "config"
    forget()


def replayed_after(path: Path, old: str, new: str, method: str) -> bool:
    """Whether the digest of a method's play changes with an edit."""
    job = "stages.evaluate_policy", f"methods.{method}", f"config.methods.{method}"
    modules = [f"pipeline.{name}" for name in job]
    before = source_digest(*modules)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    forget()
    return source_digest(*modules) != before


@pytest.mark.parametrize(
    ("method", "file", "old", "new"),
    [
        ("more3s", "evaluation.py", "= self.first_seed +", "= self.first_seed + 5 +"),
        ("more3s", "section.py", "SEEDS_APART = 1000", "SEEDS_APART = 2000"),
        ("more3s", "methods/__init__.py", "or self.observations[0]", "or self.observations[1]"),
        ("more3s", "methods/__init__.py", "return self.context_length", "return 1"),
        ("mbop", "methods/_planner.py", "return self.planner.horizon", "return 1"),
        ("jowa", "methods/_jowa.py", "rewards: ClassVar[bool] = True", "rewards: ClassVar = False"),
        ("rem", "methods/_discrete_values.py", "ClassVar[int] = 1", "ClassVar[int] = 2"),
        ("jowa_pixels", "methods/jowa_pixels.py", "ClassVar[float] = 0.0", "ClassVar[float] = 0.5"),
        ("behaviour_cloning", "methods/behaviour_cloning.py", "[bool] = False", "[bool] = True"),
    ],
)
def test_sees_what_is_computed_with_settings(
    settings: Path, method: str, file: str, old: str, new: str
) -> None:
    assert replayed_after(settings / file, old, new, method)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("evaluation.py", "episodes: int = Field(10", "episodes: int = Field(11"),
        ("methods/__init__.py", "layers: int = Field(3", "layers: int = Field(4"),
        ("methods/more3s.py", "float = Field(0.97", "float = Field(0.98"),
    ],
)
def test_blind_to_defaults_of_settings(settings: Path, file: str, old: str, new: str) -> None:
    assert not replayed_after(settings / file, old, new, "more3s")


def test_a_plug_in_counts_only_where_it_is_named(package: Path) -> None:
    assert not after(package / "room" / "heir.py", "pass", "x = 1")
    assert after(package / "room" / "heir.py", "x = 1", "x = 2", "pipeline.room.heir")
    assert after(package / "room" / "seen.py", "pixels", "grey", "pipeline.room.heir")


def test_driver_modules_do_not_count(package: Path) -> None:
    (package / "config" / "load.py").write_text("A = 1\n")
    (package / "leaf.py").write_text("import pipeline.config.load\n\nVALUE = 1\n")
    forget()
    assert not after(package / "config" / "load.py", "A = 1", "A = 2")


def test_errors_name_the_module(package: Path) -> None:
    with pytest.raises(PipelineError, match=r"no module pipeline\.stages\.nope: .*nope\.py"):
        source_digest("pipeline.stages.nope")
    (package / "leaf.py").write_text("def broken(:\n")
    forget()
    with pytest.raises(PipelineError, match=r"leaf\.py, line 1"):
        source_digest("pipeline.stage")


def test_class_constant_is_read_without_importing(package: Path) -> None:
    assert class_constant("pipeline.room.seen", "kind") == "pixels"
    assert class_constant("pipeline.room.heir", "kind") == "pixels"
    assert class_constant("pipeline.room.plain", "kind") is None
    (package / "room" / "plain.py").write_text("class Plain:\n    lit = False\n    count = 3\n")
    forget()
    assert class_constant("pipeline.room.plain", "lit") is False
    assert class_constant("pipeline.room.plain", "count") is None


def test_what_a_module_defines_is_read_without_importing(package: Path) -> None:
    text = "from os import path as found\n\nBOUND = 1\n\n\ndef build():\n    inside = 1\n"
    (package / "room" / "plain.py").write_text(text)
    forget()
    assert all(defines("pipeline.room.plain", name) for name in ("found", "BOUND", "build"))
    assert not defines("pipeline.room.plain", "inside")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("LIT = True", True),
        ("LIT: bool = True", True),
        ("LIT = False", False),
        ('LIT = ("a", "b")', ("a", "b")),
        ("LIT = 3", None),
    ],
)
def test_a_constant_is_read_without_importing(package: Path, text: str, value: object) -> None:
    (package / "room" / "plain.py").write_text(f"{text}\n")
    forget()
    assert constant("pipeline.room.plain", "LIT") == value
    assert constant("pipeline.room.plain", "DARK") is None


def test_versions_of_what_is_installed() -> None:
    assert set(versions("numpy", "no-such-package-here")) == {"numpy"}


def test_what_does_not_count_is_not_followed(package: Path) -> None:
    (package / "provenance").mkdir()
    (package / "provenance" / "record.py").write_text("import pipeline.room.plain\n")
    (package / "stage.py").write_text("import pipeline.provenance.record\n")
    forget()
    assert not after(package / "room" / "plain.py", "pass", "x = 1")


def test_the_digest_of_loaded_modules_sees_each_of_them() -> None:
    modules = loaded_modules()
    assert "pipeline" in modules
    assert "pipeline.provenance.source_digest" not in modules
    assert code_digest(modules) != code_digest(modules - {"pipeline"})
    assert code_digest(modules) == code_digest(sorted(modules, reverse=True))
