"""The workflow's driver: two at once, and a clock that is wrong."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.workflow

ROOT = Path(__file__).parents[2]
COPIED = ("Snakefile", "rules", "config", "pipeline", "envs", "profiles", "resources", "report")
PROMPTS = "results/prompts/catch/original.json"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in COPIED:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    return tmp_path


def driver(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    """Snakemake in `folder`."""
    configured = [*arguments, "--cores", "1", "--configfile", "config/toy.yaml"]
    return subprocess.Popen(
        [sys.executable, "-m", "snakemake", *configured],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def planned(folder: Path) -> set[str]:
    said, _ = driver(folder, "--dry-run", PROMPTS).communicate()
    return set(re.findall(r"^rule (\w+):", said, flags=re.MULTILINE))


def test_two_drivers_in_one_folder(project: Path) -> None:
    stage = project / "pipeline" / "stages" / "write_prompts.py"
    waits = (
        '    """Read, write."""\n    import time\n    from pathlib import Path\n'
        '    while not Path("go").exists():\n        time.sleep(0.1)\n'
    )
    stage.write_text(stage.read_text().replace('    """Read, write."""\n', waits))
    first = driver(project, PROMPTS)
    while not (project / "results/logs/write_prompts/catch/original.log").exists():
        assert first.poll() is None
        time.sleep(0.1)
    second = driver(project, PROMPTS)
    said, _ = second.communicate()
    (project / "go").touch()
    other, _ = first.communicate()
    assert second.returncode != 0
    assert "Directory cannot be locked" in said
    assert "make sure that no other Snakemake process" in said
    assert "locked: another Snakemake runs here, or one was killed; if none runs" in said
    assert "--unlock" in said
    assert "Traceback" not in said
    assert first.returncode == 0, other  # undisturbed
    assert (project / PROMPTS).exists()


def refused(*arguments: object, cwd: Path) -> str:
    """The one line with which Snakemake ends before any job."""
    words = [sys.executable, "-m", "snakemake", "--cores", "1", "-n", *map(str, arguments)]
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    said = [line for line in done.stderr.splitlines() if not line.startswith(BEFORE)]
    assert len(said) == 1, done.stderr
    return said[0]


BEFORE = ("Using workflow", "Assuming unrestricted", "Building DAG")


def test_one_line_for_what_cannot_be_run(tmp_path: Path) -> None:
    """Started elsewhere, asked for what nobody makes, or told of a recording that is not there."""
    said = refused("-s", ROOT / "Snakefile", cwd=tmp_path)
    assert f"started; add --directory {ROOT}" in said
    taken = tmp_path / "results/original.json"
    taken.parent.mkdir()
    taken.write_text("{}")
    toy = ROOT / "config/toy.yaml"
    told = ("-s", ROOT / "Snakefile", "--directory", tmp_path, "--configfile", toy, taken)
    assert "original.json: is a result, and --configfile takes" in refused(*told, cwd=tmp_path)
    toy = shutil.copytree(ROOT / "config", tmp_path / "config") / "toy.yaml"
    pong = tmp_path / "config/datasets/pong.yaml"
    pong.write_text(re.sub("file: .*", "file: nowhere.npz", pong.read_text()))
    said = refused("--configfile", toy, "--", "results/tabel1.csv", cwd=ROOT)
    assert "results/tabel1.csv: no rule makes it (did you mean results/table1.csv?)" in said
    said = refused("--configfile", toy, "--", "results/trajectories/pong.h5", cwd=ROOT)
    assert "resources/nowhere.npz: missing, and data set 'pong' is read from it" in said
    catch = tmp_path / "config/environments/catch.yaml"
    catch.write_text(f"{catch.read_text()}\nprompts: nowhere\n")
    said = refused("--configfile", toy, "--", PROMPTS, cwd=ROOT)
    assert "resources/prompts/nowhere.yaml: missing, and what Catch's prompts say is read" in said
    assert said.endswith("correct 'prompts' or 'game' in config/environments/catch.yaml")


def test_another_folder_for_results(tmp_path: Path) -> None:
    """Configuration, resources and package are found beside the Snakefile, by stages as well."""
    there = tmp_path / "there"
    there.mkdir()
    toy = ROOT / "config/toy.yaml"
    told = ("-s", ROOT / "Snakefile", "--directory", there, "--cores", "1")
    words = [sys.executable, "-m", "snakemake", *map(str, told)]
    outside = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    for more in (["--dry-run", "--quiet", "all"], [PROMPTS, "--configfile", str(toy)]):
        done = subprocess.run(
            [*words, *more], cwd=tmp_path, env=outside, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert (there / PROMPTS).is_file()
    assert {path.name for path in there.iterdir()} == {".snakemake", "results"}


def test_a_clock_that_jumps(project: Path) -> None:
    """Snakemake goes by times, and of small files with a newer one by what they hold. So a time in
    the future runs nothing that has not changed, but a change that is dated before the output is
    missed: what `explain` is for, which goes by contents.
    """
    done = driver(project, PROMPTS)
    said, _ = done.communicate()
    assert done.returncode == 0, said
    assert planned(project) == set()
    wording = project / "resources" / "prompts" / "catch.yaml"
    later = time.time() + 3600
    os.utime(wording, (later, later))
    assert planned(project) == set()
    wording.write_text(wording.read_text() + "# changed\n")
    os.utime(wording, (later, later))
    assert planned(project) == {"write_prompts"}
    os.utime(wording, (0, 0))
    assert planned(project) == set()
