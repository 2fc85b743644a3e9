"""A Python that is too old or too new is refused before it leaves anything."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WRONG = "#!/bin/sh\nexit 1\n"
NO_VENV = f"""#!/bin/sh
case "$*" in *venv*) mkdir -p .venv/bin; exit 1;; esac
exec {sys.executable} "$@"
"""


def make(folder: Path, target: str, script: str) -> str:
    """What `make` says with another Python; it has to fail."""
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, folder)
    python = folder / "another"
    python.write_text(script)
    python.chmod(0o755)
    words = ["make", target, f"PYTHON={python}"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode
    return done.stderr


@pytest.mark.skipif(shutil.which("make") is None, reason="no make on this machine")
@pytest.mark.parametrize(
    ("script", "cause"),
    [
        (WRONG, "is not Python 3.11, 3.12 or 3.13: name one with make PYTHON="),
        (NO_VENV, "makes no environment: install its package, such as python3.11-venv"),
    ],
)
def test_nothing_is_left(tmp_path: Path, script: str, cause: str) -> None:
    assert cause in make(tmp_path, ".venv/.installed", script)
    assert not (tmp_path / ".venv").exists()


@pytest.mark.skipif(shutil.which("make") is None, reason="no make on this machine")
@pytest.mark.parametrize("target", [".venv/.installed", ".venv/.installed-dev"])
def test_what_another_python_has_left(tmp_path: Path, target: str) -> None:
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(WRONG)
    python.chmod(0o755)
    assert "error: .venv is of another Python: remove it with rm -r .venv" in make(
        tmp_path, target, WRONG
    )


@pytest.mark.skipif(shutil.which("make") is None, reason="no make on this machine")
def test_a_name_that_stands_for_no_python_is_passed_over(tmp_path: Path) -> None:
    """As where a manager of versions has a command for each, whether it is installed or not."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name, status in (("python3.11", 127), ("python3.12", 0), ("python3.13", 0)):
        (tmp_path / name).write_text(f"#!/bin/sh\nexit {status}\n")
        (tmp_path / name).chmod(0o755)
    words = ["make", "--dry-run", ".venv/bin/python"]
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run(words, cwd=tmp_path, env=path, capture_output=True, text=True, check=True)
    assert "python3.12 -m venv" in done.stdout


@pytest.mark.skipif(shutil.which("make") is None, reason="no make on this machine")
def test_clean_leaves_the_readme_alone(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    results = tmp_path / "results"
    (results / "bundles/breakout").mkdir(parents=True)
    for name in ("README.md", "table1.csv", "bundles/breakout/README.md"):
        (results / name).touch()
    subprocess.run(["make", "clean"], cwd=tmp_path, check=True, capture_output=True)
    assert [path.name for path in results.iterdir()] == ["README.md"]
