"""Names that a shell or a folder would read as more than a name are refused before any job."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.config.load import load
from pipeline.errors import PipelineError

ROOT = Path(__file__).parents[2]
NAMES = (
    *("two words", "it's", 'a"b', "$(touch owned)", "`touch owned`", "a;touch owned", "-rf"),
    *("a|b", "a&b", "a*", "a{b}", "a\nb", "..", ".hidden", "a\\b", "名", "~", "a" * 81),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT / "config", tmp_path / "config"))


@pytest.mark.parametrize("section", ["datasets", "environments", "features", "variants"])
@pytest.mark.parametrize("name", NAMES)
def test_a_file_with_such_a_name(folder: Path, section: str, name: str) -> None:
    found = next((folder / section).glob("*.yaml"))
    shutil.copy(found, folder / section / f"{name}.yaml")
    with pytest.raises(PipelineError, match=rf"config/{section}/.*rename the file"):
        load(folder / "toy.yaml")


@pytest.mark.parametrize("value", [*NAMES, "../x.npz", "/etc/passwd", "a/../b", "a//b"])
def test_a_place_below_the_resources(folder: Path, value: str) -> None:
    data, game = folder / "datasets" / "pong.yaml", folder / "environments" / "catch.yaml"
    quoted = "'" + value.replace("'", "''").replace("\n", "\n\n") + "'"
    for path, key in ((data, "file"), (game, "game")):
        before = path.read_text()
        lines = [line for line in before.splitlines() if not line.startswith(f"{key}:")]
        path.write_text("\n".join([*lines, f"{key}: {quoted}"]))
        with pytest.raises(PipelineError, match=f"{path.stem}.yaml: {key}: .*below the resources"):
            load(folder / "toy.yaml")
        path.write_text(before)


def test_the_workflow_refuses_before_any_shell(folder: Path) -> None:
    shutil.copy(folder / "datasets" / "catch.yaml", folder / "datasets" / "$(touch owned).yaml")
    tables = "tables={table1: {datasets: ['$(touch owned)']}}"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", "--cores", "1", "--snakefile", ROOT / "Snakefile"),
            *("--configfile", folder / "toy.yaml", "--config", tables, "--dry-run", "--directory"),
            folder.parent,
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode != 0
    errors = [line for line in done.stdout.splitlines() if not line.startswith("Using workflow")]
    assert len(errors) == 1, done.stdout
    assert errors[0].startswith("error: config/datasets/$(touch owned).yaml: a name has letters")
    assert not list(folder.parent.rglob("owned"))
