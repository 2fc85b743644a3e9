"""What a rule's stage imports is in the rule's environment, at the version that is locked."""

import ast
import re
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest
import yaml

from pipeline.config import plugins
from pipeline.config.source_code import first_party_imports

ROOT = Path(__file__).parents[2]
DISTRIBUTIONS = {
    **{"yaml": "pyyaml", "PIL": "pillow", "markdown_it": "markdown-it-py"},
    "pydantic_core": "pydantic",  # its other half
}
CONDA_NAMES = {
    **{"matplotlib-base": "matplotlib", "snakemake-minimal": "snakemake", "pytorch": "torch"}
}
ON_DEMAND = {
    "pipeline.provenance.record",
    "pipeline.reporting.pages.listings",
    *(f"pipeline.features.{name}" for name in ("prompts", "prompt_rule")),
    "pipeline.environments.action_space",
}
"""Look into the environment of a stage that is told one and has it anyway, or need no family."""
CHECKSUMS = "pipeline.provenance.checksum"
"""Reads the digest of an HDF5 file where a stage reads or writes one, and has what it takes."""
SOURCES = "pipeline.data.trajectories"
"""Loads a plug-in only where data are collected."""
COLLECTING = ("collect_trajectories", "download_dataset", "render_frames")
DEBIAN, DEBIANS_PYTHON = "docker.io/library/debian:bookworm-slim", "3.11"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def distribution(line: str) -> str:
    """Its name, of a line with a version and perhaps extras."""
    return re.split(r"[\[=<>@ ]", line)[0]


REQUIRED = {distribution(line) for line in PROJECT["dependencies"]}
OPTIONAL = {
    distribution(line) for extra in PROJECT["optional-dependencies"].values() for line in extra
}
CHOSEN = {
    "detecting_environment": "envs/features.yaml",
    "acting_environment": "envs/policy.yaml",
}
"""Functions that name another file only for a detector that has an environment of its own."""
SAID = {
    name: env.strip('"').removeprefix("../")
    for path in (ROOT / "rules").glob("*.smk")
    for name, env in re.findall(
        r"^rule (\w+):\n(?:(?: .*)?\n)*?    conda:\n        (.+)",
        path.read_text(),
        flags=re.MULTILINE,
    )
}


RULES = {name: CHOSEN.get(env, env) for name, env in SAID.items()}
DETECTING = [(name, "envs/detectron2.yaml") for name, env in SAID.items() if env in CHOSEN]
"""Rules whose detector may need that one."""


@cache
def tree(module: str) -> ast.Module:
    base = ROOT.joinpath(*module.split("."))
    file = base.with_suffix(".py")
    return ast.parse((file if file.is_file() else base / "__init__.py").read_text())


@cache
def imported(module: str) -> frozenset[str]:
    """Top-level names of other people's packages that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
    return frozenset(found - set(sys.stdlib_module_names) - {"pipeline"})


@cache
def loaded(module: str) -> frozenset[str]:
    """First-party modules that a module imports, or that `plugins.load` may load for it."""
    found = set(first_party_imports(module))
    if module in ON_DEMAND:
        found -= {"pipeline.environments"}
    if module == CHECKSUMS:
        found -= {"pipeline.io.artefact"}
    if module == SOURCES:
        return frozenset(found)
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "plugins.load":
            room = ast.literal_eval(node.args[0])
            found |= {f"pipeline.{room}.{name}" for name in plugins.names(room)}
    return frozenset(found)


def needed(*modules: str) -> set[str]:
    """Distributions that some modules and all that they load import."""
    seen: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen.add(module)
            waiting.extend(loaded(module) - seen)
    names = {name for module in seen for name in imported(module)}
    return {DISTRIBUTIONS.get(name, name.replace("_", "-")) for name in names}


def environment(path: Path) -> set[str]:
    """Distributions of an environment, by their names on PyPI."""
    lines: list[str] = []
    for item in yaml.safe_load(path.read_text())["dependencies"]:
        lines += item["pip"] if isinstance(item, dict) else [item]
    names = [distribution(line) for line in lines]
    return {CONDA_NAMES.get(name, name) for name in names}


def test_every_rule_that_runs_a_stage_has_an_environment() -> None:
    stages = {path.stem for path in (ROOT / "pipeline" / "stages").glob("[!_]*.py")}
    assert set(RULES) == stages - {"explain", "verify_cache"}
    for env in RULES.values():
        assert (ROOT / env).is_file(), env


@pytest.mark.parametrize(("rule", "env"), sorted([*RULES.items(), *DETECTING]))
def test_a_rules_environment_covers_its_stage(rule: str, env: str) -> None:
    """Also what only an extra of pyproject.toml brings: nobody can install it into a job's."""
    sources = plugins.names("data.sources") if rule in COLLECTING else []
    wanted = needed(
        f"pipeline.stages.{rule}", *(f"pipeline.data.sources.{name}" for name in sources)
    )
    assert wanted & (REQUIRED | OPTIONAL) <= environment(ROOT / env)


def test_everything_that_is_imported_comes_from_somewhere() -> None:
    known = REQUIRED | OPTIONAL
    for path in (ROOT / "envs").glob("*.yaml"):
        known |= environment(path)
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in (ROOT / "pipeline").rglob("*.py")
    ]
    assert needed(*modules) <= known


def test_the_drivers_environment_is_its_own() -> None:
    sources = [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")]
    text = "\n".join(path.read_text() for path in sources)
    modules = re.findall(r"^(?:from|import) (pipeline\S*)", text, flags=re.MULTILINE)
    found = environment(ROOT / "envs" / "driver.yaml")
    assert needed(*modules) | {"snakemake"} <= found
    assert not found & {"torch", "numpy", "h5py"}


def test_jobs_have_the_image_that_is_configured() -> None:
    """One for all rules, in the Snakefile; no rule has another."""
    sources = [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")]
    text = "\n".join(path.read_text() for path in sources)
    found = re.findall(r"^ *container(?:ized)?:\s*(.+)$", text, flags=re.MULTILINE)
    assert found == ["CONFIG.hardware.image"]


def test_the_image_is_made_of_the_same_pins() -> None:
    """By installing this project, with the Python of Debian's release; it names no version."""
    text = (ROOT / "envs" / "Containerfile").read_text()
    assert re.findall(r"^FROM (.*)$", text, flags=re.MULTILINE) == [DEBIAN]
    assert PROJECT["requires-python"].startswith(f">={DEBIANS_PYTHON},")
    for path in (ROOT / "envs").glob("*.yaml"):
        assert f"python={DEBIANS_PYTHON}" in yaml.safe_load(path.read_text())["dependencies"], path
    assert "==" not in text
    assert re.search(r"pip install .*--editable '\.\[slurm,text\]'", text)
    copied = set(re.findall(r"^COPY (\S+) \./\1$", text, flags=re.MULTILINE))
    assert copied >= {"pipeline", "rules", "config", "envs", "profiles", "report", "resources"}
    assert re.search(r"^COPY pyproject.toml .*Snakefile \./$", text, flags=re.MULTILINE)
