"""What the repository's own files promise each other."""

import re
import tomllib
from functools import cache
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
CONDA_NAMES = {"matplotlib-base": "matplotlib", "snakemake-minimal": "snakemake"}
NOT_OURS = {"python", "pip", "detectron2", "pytorch", "torchvision", "setuptools"}
"""Not in requirements.lock; the last four are detectron2 and the versions that it goes with."""


def plain(name: str) -> str:
    """A line's name without extras, as PyPI has it."""
    return CONDA_NAMES.get(name, name).partition("[")[0]


@cache
def locked() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    found = (line.split("==") for line in lines if not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in found}


def test_what_pyproject_asks_for_is_locked() -> None:
    """All extras but one, within the ranges; after a change of them: python envs/lock.py."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = dict(project["optional-dependencies"])
    del extras["kubernetes"]  # does not go together with the rest
    for line in [*project["dependencies"], *(line for lines in extras.values() for line in lines)]:
        wanted = Requirement(line)
        version = locked()[canonicalize_name(wanted.name)]
        assert wanted.specifier.contains(version), f"{line}, but {version} is locked"


@pytest.mark.parametrize("path", sorted((ROOT / "envs").glob("*.yaml")), ids=lambda path: path.stem)
def test_conda_environments_agree_with_the_lock(path: Path) -> None:
    content = yaml.safe_load(path.read_text())
    assert content["channels"][0] == "conda-forge"
    lines: list[str] = []
    for item in content["dependencies"]:
        lines += item["pip"] if isinstance(item, dict) else [item]
    for line in lines:
        name, *version = re.split("[=<]+", line)
        if name not in NOT_OURS:
            assert version == [locked()[canonicalize_name(plain(name))]], line


def test_rules_and_stages_have_the_same_names() -> None:
    rules = {
        name
        for path in (ROOT / "rules").glob("*.smk")
        for name in re.findall(r"^rule (\w+):", path.read_text(), flags=re.MULTILINE)
    }
    stages = {path.stem for path in (ROOT / "pipeline" / "stages").glob("[!_]*.py")}
    assert rules == stages - {"explain", "verify_cache"}


def test_a_rule_runs_the_stage_of_its_name() -> None:
    """And a share of a stage's work that of the rule which it is like."""
    for path in (ROOT / "rules").glob("*.smk"):
        blocks = re.split(r"^(?=rule |use rule )", path.read_text(), flags=re.MULTILINE)[1:]
        for block in blocks:
            name = re.match(r"(?:use )?rule (\w+)", block)
            assert name
            assert re.findall(r'\*\*stage\(\s*"(\w+)"', block) == [name[1]], block


def test_the_page_of_results_names_every_rule_that_writes_some() -> None:
    lines = (ROOT / "results" / "README.md").read_text().splitlines()
    cells = [line.split("|")[2] for line in lines if line.startswith("|")]
    told = {name.strip() for cell in cells for name in cell.split(",")}
    for path in (ROOT / "rules").glob("*.smk"):
        for block in re.split(r"^(?=rule )", path.read_text(), flags=re.MULTILINE)[1:]:
            name = block.removeprefix("rule ").partition(":")[0]
            assert name in told or "    output:\n" not in block, name


def test_files_and_rules_stay_small() -> None:
    modules = [path for name in ("more3s", "pipeline") for path in (ROOT / name).rglob("*.py")]
    for path in [*modules, *(ROOT / "rules").glob("*.smk")]:
        assert len(path.read_text().splitlines()) <= 400, path
    for path in (ROOT / "rules").glob("*.smk"):
        for block in re.findall(r"^rule \w+:\n(?:(?: .*)?\n)*", path.read_text(), re.MULTILINE):
            assert len([line for line in block.splitlines() if line.strip()]) <= 25, block
    for path in (ROOT / "pipeline" / "methods").glob("*.py"):
        assert len(path.read_text().splitlines()) < 200, path
    for path in (ROOT / "pipeline" / "stages").glob("[!_]*.py"):
        lines = len(path.read_text().splitlines())
        assert lines <= 50, f"{path} has {lines} lines: logic belongs in a package"


def test_files_of_tests_differ_in_name() -> None:
    """Pytest takes two of one name for one module, and collects neither."""
    names = [path.name for path in (ROOT / "tests").rglob("*.py") if path.name != "conftest.py"]
    assert {name for name in names if names.count(name) > 1} <= {"__init__.py"}


def test_modules_named_in_docstrings_are_there() -> None:
    files = [*ROOT.glob("pipeline/**/*.py"), *ROOT.glob("more3s/*.py")]
    known = {path.name for path in [*files, *ROOT.glob("benchmarks/*.py"), ROOT / "setup.py"]}
    for path in files:
        if path.parent.name == "methods":
            continue  # these name files of the originals
        for name in re.findall(r"`(\w+\.py)`", path.read_text(encoding="utf-8")):
            assert name in known, f"{path}: {name}"
