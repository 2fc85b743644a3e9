"""Benchmarks are run by hand; here only: they import, and `--help` says what they measure."""

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in (ROOT / "benchmarks").glob("[!_]*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_help(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("OMP_NUM_THREADS", "TQDM_DISABLE"):
        monkeypatch.setenv(variable, "1")  # the package sets them; undone after the test
    benchmark = importlib.import_module(f"benchmarks.{name}")
    with pytest.raises(SystemExit) as stopped:
        benchmark.main(["--help"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    assert benchmark.__doc__.splitlines()[0] in shown
    assert "--threads" in shown
