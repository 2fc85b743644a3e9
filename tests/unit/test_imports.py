"""Imports go from a room only to earlier rooms and leaves; the driver imports no torch."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.config.source_code import first_party_imports

ROOT = Path(__file__).parents[2]
ROOMS = (
    *("errors", "io", "config", "hardware", "pretrained", "environments", "data", "vision"),
    *("features", "nn", "observations", "methods", "training", "language", "evaluation"),
    *("reporting", "provenance", "stages"),
)
"""In the order the data flows; only `errors.py` lies outside a room."""
HEAVY = {
    "torch",
    "transformers",
    "h5py",
    "requests",
    "gymnasium",
    "ale_py",
    "matplotlib",
    "pandas",
    "scipy",
}
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "pipeline").rglob("*.py")
)


def room(module: str) -> str:
    return module.split(".")[1]


def test_every_module_lies_in_a_room() -> None:
    below = {path.name.removesuffix(".py") for path in (ROOT / "pipeline").iterdir()}
    assert below - {"__init__", "__pycache__"} == set(ROOMS)


@pytest.mark.parametrize("module", [name for name in MODULES if name != "pipeline"])
def test_imports_go_to_earlier_rooms(module: str) -> None:
    for imported in first_party_imports(module) - {"pipeline"}:
        earlier = ROOMS.index(room(imported)) <= ROOMS.index(room(module))
        assert earlier, f"{module} imports {imported}, which comes later in the data's flow"


def test_no_room_knows_of_the_door() -> None:
    """`more3s` stands before the pipeline, which works without it."""
    for path in (ROOT / "pipeline").rglob("*.py"):
        names = []
        for node in ast.walk(ast.parse(path.read_text())):
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
        assert not [name for name in names if name.startswith("more3s")], path


def test_the_driver_imports_nothing_heavy() -> None:
    sources = [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]
    text = "\n".join(path.read_text() for path in sources)
    modules = sorted(set(re.findall(r"^(?:from|import) (pipeline\S*)", text, flags=re.MULTILINE)))
    assert "pipeline.config.load" in modules
    code = (
        f"import sys, {', '.join(modules)}\n"
        "from pathlib import Path\n"
        "config = pipeline.config.load.load(Path('config/config.yaml'))\n"
        "pipeline.provenance.source_digest.source_digest('pipeline.stages.train_policy')\n"
        f"print(*({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
