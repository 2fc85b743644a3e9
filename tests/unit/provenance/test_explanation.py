"""What `explain` refuses, each time in a line that says what is allowed."""

import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.provenance import explain, record
from pipeline.provenance.record import Job

ROOT = Path(__file__).parents[3]
TABLE = """dataset,method,variant,mean
catch,random,default,1.0
catch,more3s,default,2.0
catch,more3s,no_memory,3.0
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.csv"
    path.write_text(TABLE)
    return path


@pytest.mark.parametrize(
    ("row", "value"),
    [("0", "1.0"), ("catch/more3s", "2.0"), ("catch/more3s/no_memory", "3.0")],
)
def test_a_row_has_a_number_and_a_name(table: Path, row: str, value: str) -> None:
    assert explain.find(table, row, "mean").value == value


def test_rows_of_one_name_are_asked_for_by_number(tmp_path: Path) -> None:
    path = tmp_path / "curve.csv"
    path.write_text("dataset,method,variant,step,mean\n" + "catch,more3s,default,5,1.0\n" * 2)
    assert explain.find(path, "1", "mean").value == "1.0"
    with pytest.raises(PipelineError, match="rows 0, 1 are called 'catch/more3s'; give one's num"):
        explain.find(path, "catch/more3s", "mean")


def test_a_figure_across_games_counts_from_random_play(tmp_path: Path) -> None:
    path = tmp_path / "across.csv"
    path.write_text("method,variant,iqm,iqm_ci_low,games\nmore3s,default,1.0,0.9,4\n")
    assert explain.find(path, "0", "iqm").place == {}
    assert explain.find(path, "0", "iqm_ci_low").place == {}
    assert explain.find(path, "0", "games").place == {"method": "more3s", "variant": "default"}


@pytest.mark.parametrize(
    ("row", "column", "expected"),
    [
        ("3", "mean", "unknown row '3'; allowed: 0 to 2, or catch/random/default, catch/more3s/"),
        ("catch", "mean", "unknown row 'catch'; allowed: "),
        ("-1", "mean", "unknown row '-1'; allowed: "),
        ("0", "maen", "unknown column 'maen' (did you mean 'mean'?); allowed: dataset, mean, "),
        ("0", "mean", "no record of how it was made (table.csv.provenance.json is missing); make"),
    ],
)
def test_what_it_refuses(table: Path, row: str, column: str, expected: str) -> None:
    with pytest.raises(PipelineError) as caught:
        explain.explain(table, row, column)
    assert str(caught.value).startswith(f"{table}: {expected}")


def test_a_file_that_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"none\.csv: cannot be read"):
        explain.explain(tmp_path / "none.csv", "0", "mean")
    (tmp_path / "empty.csv").touch()
    with pytest.raises(PipelineError, match=r"empty\.csv: not a table"):
        explain.explain(tmp_path / "empty.csv", "0", "mean")


def test_a_table_without_episodes_behind_it(table: Path) -> None:
    record.write(Job("pipeline.stages.tabulate", {}, [], [table]), datetime.now(UTC))
    with pytest.raises(PipelineError, match="no record behind it names episodes"):
        explain.explain(table, "0", "mean")


def test_the_command_prints_one_line(table: Path) -> None:
    command = [sys.executable, "-m", "pipeline.stages.explain", str(table), "9", "mean"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_the_installed_command_is_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    module, _, name = project["scripts"]["explain"].partition(":")
    assert callable(getattr(import_module(module), name))
